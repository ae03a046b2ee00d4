//! `oriel serve`: runs the gateway until it is told to stop.

use oriel_gateway::{
    Gateway,
    access::{Access, NewKey},
    config::Config,
    store::{Role, Scope},
};
use oriel_proto::Secret;
use sd_notify::NotifyState;

use super::{Failure, open_files, output::print_line, service, stop};

/// Runs the gateway.
pub(super) async fn run(config: Config) -> Result<(), Failure> {
    config.check()?;
    let stop = stop::on_signal().map_err(Failure::Runtime)?;
    let gateway = Gateway::start(config.clone()).await?;
    let listeners = gateway.listen()?;
    let url = config.base_url(listeners.main.local_addr()?);
    if !gateway.access().has_any_key() {
        let key = admin_key(gateway.access(), "first").await?;
        print_line(&format!(
            "no key existed yet: this one may do everything, and is shown only now\n{}",
            key.expose()
        ))?;
    }
    tracing::info!(url, data = %config.data.display(), "serving");
    open_files::tell_missing(&config.limits);
    service::started();
    let stopping = stop.clone();
    let said = async {
        stopping.cancelled().await;
        tracing::info!("stopping");
        service::tell(NotifyState::Stopping);
    };
    tokio::join!(gateway.serve(listeners, stop), said);
    Ok(())
}

/// Makes a key that may do everything.
pub(super) async fn admin_key(access: &Access, name: &str) -> Result<Secret, Failure> {
    let scope = Scope { all: true, cameras: Vec::new(), tags: Vec::new() };
    let key = NewKey { name: name.to_owned(), role: Role::Admin, scope, expires_at: None };
    Ok(access.add_key(key).await?.1)
}
