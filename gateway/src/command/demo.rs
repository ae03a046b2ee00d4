//! `oriel demo`: a gateway and simulated cameras in one process, with nothing to set up and nothing left behind.

mod fleet;

use std::{io, net::SocketAddr, path::PathBuf};

use oriel_gateway::{
    Gateway, Listeners,
    config::{Config, Endpoint, Legacy, LegacyCameras},
    server,
};
use oriel_proto::{CameraId, Secret};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Failure,
    output::{print, print_json},
    serve::admin_key,
    stop,
};

/// Where the gateway listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Where the metrics are unless told otherwise.
const METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);

/// Where clients and cameras of the older system are served unless told otherwise.
const LEGACY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);

/// Options of `oriel demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// How many cameras to simulate
    #[arg(long, value_name = "N", default_value = "9", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    cameras: u16,
    /// Address of this machine alone and port to listen on; port 0 takes a free one
    /// [default: 127.0.0.1:8080, or a free port]
    #[arg(long, value_name = "ADDR", value_parser = on_loopback)]
    listen: Option<SocketAddr>,
    /// Address of this machine alone and port of /metrics [default: 127.0.0.1:9464, or a free port]
    #[arg(long, value_name = "ADDR", value_parser = on_loopback)]
    metrics_listen: Option<SocketAddr>,
    /// Address of this machine alone and port for clients and cameras of the older system
    /// [default: 127.0.0.1:5000, or a free port]
    #[arg(long, value_name = "ADDR", value_parser = on_loopback)]
    legacy_listen: Option<SocketAddr>,
    /// Keep the data in this folder instead of a temporary one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one line of JSON once all cameras are connected
    #[arg(long)]
    json: bool,
}

/// An address that other machines do not reach: the demo is plain HTTP, and its key may do everything.
fn on_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "not an address with a port")?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("the demo speaks plain HTTP and stays on this machine: give 127.0.0.1 or [::1], or use oriel serve".into())
    }
}

/// A data folder, which may vanish with the demo.
enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn path(&self) -> PathBuf {
        match self {
            Self::Kept(path) => path.clone(),
            Self::Temporary(folder) => folder.path().to_owned(),
        }
    }
}

impl Demo {
    /// Runs until a signal.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let stop = stop::on_signal().map_err(Failure::Runtime)?;
        let folder = match &self.data {
            Some(path) => Folder::Kept(path.clone()),
            None => Folder::Temporary(tempfile::Builder::new().prefix("oriel-demo-").tempdir()?),
        };
        let listeners = Listeners {
            main: listen(self.listen, LISTEN)?,
            metrics: Some(listen(self.metrics_listen, METRICS)?),
            legacy: Some(listen(self.legacy_listen, LEGACY)?),
        };
        let urls = Urls::of(&listeners)?;
        let gateway = Gateway::start(self.config(&listeners, folder.path())?).await?;
        let key = admin_key(gateway.access(), "demo").await?;
        let fleet = fleet::Fleet::new(&gateway, &folder.path(), &urls.main, self.cameras).await?;
        let cameras = fleet.cameras();
        let connected = fleet::all_connected(gateway.registry().clone(), cameras.clone());
        let (tasks, stop_fleet) = (TaskTracker::new(), CancellationToken::new());
        fleet.start(&tasks, &stop_fleet);
        let serving = gateway.serve(listeners, stop.clone());
        let announce = async {
            tokio::select! {
                () = connected => self.announce(&urls, &key, &cameras, &folder),
                () = stop.cancelled() => Ok(()),
            }
        };
        let stopping = async {
            stop.cancelled().await;
            // The agents first: each says goodbye to a gateway that still listens.
            stop_fleet.cancel();
        };
        let ((), announced, ()) = tokio::join!(serving, announce, stopping);
        tasks.close();
        tasks.wait().await;
        announced
    }

    fn config(&self, listeners: &Listeners, data: PathBuf) -> io::Result<Config> {
        Ok(Config {
            listen: listeners.main.local_addr()?,
            metrics_listen: Endpoint::Off,
            legacy_listen: listeners
                .legacy
                .as_ref()
                .map_or(Ok(Endpoint::Off), |at| at.local_addr().map(Endpoint::At))?,
            legacy: Legacy { cameras: vec![LegacyCameras::All], ..Config::default().legacy },
            data,
            ..Config::default()
        })
    }

    fn announce(
        &self,
        urls: &Urls,
        key: &Secret,
        cameras: &[CameraId],
        folder: &Folder,
    ) -> Result<(), Failure> {
        let (key, data) = (key.expose(), folder.path());
        if self.json {
            return print_json(&json!({
                "url": urls.main, "key": key, "cameras": cameras, "legacy_url": urls.legacy,
                "metrics_url": urls.metrics, "data": data, "pid": std::process::id(),
            }));
        }
        let (url, legacy) = (&urls.main, urls.legacy.as_deref().unwrap_or_default());
        let first = cameras.first().map_or("porch", CameraId::as_str);
        let leaves = match folder {
            Folder::Kept(path) => format!("stops everything; {} stays", path.display()),
            Folder::Temporary(_) => "stops everything and leaves nothing behind".to_owned(),
        };
        print(&format!(
            "{} simulated cameras are connected to {url}

  key  {key}

Ask for all cameras, and for the log of one:

  curl -H 'Authorization: Bearer {key}' {url}/v1/cameras
  curl -H 'Authorization: Bearer {key}' '{url}/v1/cameras/{first}/events?limit=5'

Or as a client of the older system, from this machine alone:

  curl {legacy}/verkada/api/v1.0/logs/{first}

Ctrl-C {leaves}.
",
            cameras.len()
        ))
    }
}

/// Where everything is.
struct Urls {
    main: String,
    metrics: Option<String>,
    legacy: Option<String>,
}

impl Urls {
    fn of(listeners: &Listeners) -> io::Result<Self> {
        Ok(Self {
            main: url(&listeners.main)?,
            metrics: listeners.metrics.as_ref().map(url).transpose()?,
            legacy: listeners.legacy.as_ref().map(url).transpose()?,
        })
    }
}

/// Listens where told; without being told, where usual, or on a free port when that one is taken.
fn listen(told: Option<SocketAddr>, usual: SocketAddr) -> Result<TcpListener, Failure> {
    let at = |address: SocketAddr| {
        server::listen(address).map_err(|why| oriel_gateway::StartError::Listen { address, why }.into())
    };
    let Some(told) = told else {
        return at(usual).or_else(|_: Failure| {
            tracing::warn!("port {} is taken: using a free one", usual.port());
            at(SocketAddr::new(usual.ip(), 0))
        });
    };
    at(told)
}

fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}
