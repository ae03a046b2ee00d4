//! A gateway as a library in a process of its own: says what `oriel serve` says, and gives freed memory back on SIGUSR1.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it says what the program says that it stands for"
)]

use oriel_gateway::{
    Gateway,
    access::NewKey,
    config::Config,
    store::{Role, Scope},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Result;

/// What is said when memory was given back.
pub(crate) const TRIMMED: &str = "trimmed";

/// Gives freed memory back on each SIGUSR1, and says so.
pub(crate) fn trim_when_asked(say: impl Fn() + Send + 'static) -> Result<()> {
    let mut usr1 = signal(SignalKind::user_defined1())?;
    tokio::spawn(async move {
        while usr1.recv().await.is_some() {
            oriel_trim::trim();
            say();
        }
    });
    Ok(())
}

/// Serves until SIGTERM.
pub(crate) async fn serve(config: Config) -> Result<()> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    trim_when_asked(|| eprintln!("{TRIMMED}"))?;
    let gateway = Gateway::start(config.clone()).await?;
    let listeners = gateway.listen()?;
    if !gateway.access().has_any_key() {
        let scope = Scope { all: true, cameras: Vec::new(), tags: Vec::new() };
        let key = NewKey { name: "first".into(), role: Role::Admin, scope, expires_at: None };
        println!("{}", gateway.access().add_key(key).await?.1.expose());
    }
    eprintln!("serving url=\"{}\"", config.base_url(listeners.main.local_addr()?));
    let stopped = async {
        terminate.recv().await;
        stop.cancel();
    };
    tokio::join!(gateway.serve(listeners, stop.clone()), stopped);
    Ok(())
}
