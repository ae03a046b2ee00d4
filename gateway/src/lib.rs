//! The Oriel gateway: HTTP questions travel down the socket that a camera's agent keeps open, and answers come back.
//!
//! # Layout
//!
//! From the edge inwards; each may use what stands below it, never what stands above.
//!
//! - [`server`]: the accept loop: TLS, limits, time limits, graceful stop; [`io`] is a connection.
//! - [`routes`]: the URL table, and one file per resource; [`openapi`] describes them.
//! - [`facade`]: doors for clients and cameras of older systems.
//! - [`problem`]: every failure as an HTTP answer.
//! - [`events`]: a camera's log.
//! - [`images`]: a camera's pictures.
//! - [`ingest`]: what agents upload goes into the store, and is acknowledged.
//! - [`cameras`]: the known cameras, and who is connected.
//! - [`access`]: who is asking, and what may they see; [`store`] keeps what must survive.
//! - [`relay`]: asks a camera, with one deadline.
//! - [`registry`]: who is connected.
//! - [`link`]: one connected agent: its pump, outbox and pending questions.
//! - `stop`: how everything ends.
//! - [`config`], [`clock`], [`csv`] and [`metrics`] serve all of them; only this file reads the whole configuration.
//!
//! # The path of a request
//!
//! `GET /v1/cameras/porch/events`, step by step:
//!
//! 1. `server.rs` accepts the connection, names the request and notes where it came from.
//! 2. `routes.rs` finds the line of its table; `routes/guard.rs` asks [`access`] who is asking.
//! 3. `routes/events.rs` asks [`cameras`] whether the caller may see the camera, and reads the query into types.
//! 4. `events.rs` looks how far what is kept in [`store`] reaches (`events/stored.rs`), and ends here if that is the answer. For the
//!    rest it joins an equal question that is open (`relay/shared.rs`), or puts this one.
//! 5. `relay.rs` finds the link and waits for the answer until the deadline; when the link dies, it tries the next one.
//! 6. `registry.rs` gives a clone of the link; the map's lock is gone by then.
//! 7. `link.rs` takes a ticket (`link/ticket.rs`) and puts the question into `link/outbox.rs`.
//! 8. `link/pump.rs` encodes it and sends it down the socket. The agent's `session.rs` hands it to `jobs.rs`, which
//!    reads the camera's `spool.rs` and answers.
//! 9. `link/pump.rs` checks each frame of the answer and gives it to who waits in `link/pending.rs`; `link/ticket.rs` hands it on
//!    and allows the agent more.
//! 10. `events/camera.rs` reads the frames where they are and writes their events as JSON (`events/text.rs`); `events/merge.rs` puts
//!     what is kept between them, and `events/coverage.rs` says what that covers and what is missing.
//!     `routes/events.rs` answers 200 with that, or `problem.rs` says what went wrong.

pub mod access;
pub mod cameras;
pub mod clock;
pub mod config;
pub mod csv;
pub mod events;
pub mod facade;
mod hash;
pub mod images;
pub mod ingest;
pub mod io;
pub mod link;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod registry;
pub mod relay;
pub mod routes;
pub mod server;
mod stop;
pub mod store;

use std::{collections::HashSet, net::SocketAddr, panic::resume_unwind, sync::Arc, time::Duration};

use oriel_proto::{AgentId, CameraId};
use tokio::{
    net::TcpListener,
    signal::unix::Signal,
    sync::Semaphore,
    task::JoinError,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use self::{
    access::{Access, AccessError},
    cameras::Cameras,
    config::Config,
    events::Events,
    facade::vc::{self, Vc},
    ingest::Ingest,
    io::Listen,
    link::{Budget, Close},
    metrics::Metrics,
    registry::Registry,
    relay::Relay,
    routes::{App, Cursors, Parts, Settings},
    server::{
        Server,
        admission::Admission,
        tls::{self, Tls, TlsError},
    },
    stop::Doors,
    store::{FolderLock, Retention, Store, StoreError},
};

/// How long sockets and tasks may take to end when the gateway stops.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How often events are removed that are past their time, and the pause between two steps of it.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
const EXPIRE_PAUSE: Duration = Duration::from_millis(20);

/// Connections that the metrics listener serves at once.
const METRICS_CONNECTIONS: usize = 32;

/// Connections that the older system's listener serves at once: a poll of every camera that may be there, and as many clients.
const LEGACY_CONNECTIONS: usize = 2_048;

/// A gateway that is ready to serve.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    app: App,
    store: Store,
    vc: Option<Arc<Vc>>,
    tls: Option<Tls>,
    /// From before anybody is told that this gateway serves: a SIGHUP that nobody listens for ends the process.
    hangups: Option<Signal>,
    _lock: FolderLock,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The credentials cannot be read.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
}

/// Where a gateway listens.
#[derive(Debug)]
pub struct Listeners<L = TcpListener> {
    /// For the API and the agents.
    pub main: L,
    /// For `/metrics` without a key.
    pub metrics: Option<L>,
    /// For clients and cameras of the older system.
    pub legacy: Option<L>,
}

impl Gateway {
    /// Opens the data folder and reads what is in it.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let lock = FolderLock::take(&config.data)?;
        let store = Store::open(&config.data)?;
        let access = Access::open(store.clone()).await?;
        access.load_tokens().await?;
        let cursors = Cursors::new(access.signing_key().await?);
        let metrics = Arc::new(Metrics::default());
        let (registry, stopping) = (Registry::default(), CancellationToken::new());
        let cameras = Cameras::load(store.clone(), registry.clone()).await?;
        let relay = Relay::new(registry.clone(), Arc::clone(&metrics), stopping.clone());
        let (budget, counters) = (config.limits.ingest_bytes, metrics.ingest.clone());
        let ingest = Ingest::new(store.clone(), registry.clone(), counters, budget);
        let tls = config.tls().map(|(certificate, key)| Tls::read(certificate, key)).transpose()?;
        let app = Arc::new(Parts {
            access,
            cameras,
            events: Events::new(relay, registry.clone(), store.clone()),
            ingest,
            registry,
            credit: Budget::shared(config.limits.credit_bytes),
            cursors,
            newest: routes::Newest::default(),
            metrics,
            settings: Settings {
                public_url: config.public_url.as_ref().map(ToString::to_string),
                heartbeat: config.heartbeat,
                body_bytes: config.limits.body_bytes,
            },
            agent_permits: Arc::new(Semaphore::new(config.limits.agents)),
            tasks: TaskTracker::new(),
            stopping,
            closing: CancellationToken::new(),
            idempotency: routes::Idempotency::default(),
        });
        let vc = match config.legacy_listen.address() {
            Some(listen) => Some(Vc::open(&app, store.clone(), legacy(&config, listen)).await?),
            None => None,
        };
        let hangups = tls.is_some().then(tls::hangups).transpose()?;
        Ok(Self { config, app, store, vc, tls, hangups, _lock: lock })
    }

    /// Who may do what; for the command that runs the gateway.
    pub fn access(&self) -> &Access {
        &self.app.access
    }

    /// Who is connected.
    pub fn registry(&self) -> &Registry {
        &self.app.registry
    }

    /// The URL table, as it is served.
    pub fn endpoints(&self) -> Vec<routes::Endpoint> {
        routes::endpoints(&self.app)
    }

    /// The agents that these cameras are bound to.
    pub fn owners<'a>(&self, cameras: impl Iterator<Item = &'a CameraId>) -> HashSet<AgentId> {
        cameras.filter_map(|camera| self.app.cameras.record(camera)?.agent).collect()
    }

    /// Listens where the configuration says.
    pub fn listen(&self) -> Result<Listeners, StartError> {
        let listen = |address| server::listen(address).map_err(|why| StartError::Listen { address, why });
        Ok(Listeners {
            main: listen(self.config.listen)?,
            metrics: self.config.metrics_listen.address().map(listen).transpose()?,
            legacy: self.config.legacy_listen.address().map(listen).transpose()?,
        })
    }

    /// Serves until `stop`; then lets open answers finish, ends every socket and task, and closes the store.
    pub async fn serve(mut self, listeners: Listeners<impl Listen>, stop: CancellationToken) {
        let hangups = self.hangups.take();
        let app = &self.app;
        app.tasks.spawn(tick(Arc::clone(app)));
        app.tasks.spawn(app.events.clone().read_ahead(app.stopping.clone()));
        app.tasks.spawn(expire(Arc::clone(app), self.store.clone(), self.retention()));
        // Not among the tasks: it ends after them.
        let ingest = AbortOnDropHandle::new(tokio::spawn(app.ingest.clone().run()));
        if let (Some(tls), Some(hangups)) = (self.tls.clone(), hangups) {
            app.tasks.spawn(tls.reload_on(hangups, app.stopping.clone()));
        }
        let doors = Doors::default();
        if let Some(listener) = listeners.metrics {
            let (closed, cut) = (doors.closed.clone(), doors.cut.clone());
            app.tasks.spawn(self.metrics_server().run(listener, closed, cut));
        }
        if let (Some(vc), Some(listener)) = (&self.vc, listeners.legacy) {
            let (closed, cut) = (doors.closed.clone(), doors.cut.clone());
            app.tasks.spawn(self.legacy_server(vc).run(listener, closed, cut));
            app.tasks.spawn(Arc::clone(vc).run());
        }
        // A task, because the thread that waits here is none of the workers: each connection would have to cross over.
        let serving = self.server().run(listeners.main, doors.closed.clone(), doors.cut.clone());
        tokio::select! {
            served = AbortOnDropHandle::new(tokio::spawn(serving)) => {
                if let Some(Ok(panic)) = served.err().map(JoinError::try_into_panic) {
                    resume_unwind(panic);
                }
            }
            () = stop::stop(app, &doors, stop) => {}
        }
        doors.cut.cancel();
        app.closing.cancel();
        app.registry.end_all(Close::Restart);
        app.tasks.close();
        if timeout(END_WITHIN, app.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = app.tasks.len(), "some tasks did not end in time");
        }
        app.ingest.close();
        if timeout(END_WITHIN, ingest).await.is_err() {
            tracing::warn!("what came last was not stored in time");
        }
        let (cameras, agents) = tokio::join!(app.cameras.write_seen(), app.access.write_seen());
        if let Err(error) = cameras.map_err(AccessError::from).and(agents) {
            not_stored(app, &error, "last seen");
        }
        self.store.close().await;
    }

    fn retention(&self) -> Retention {
        let config::Retention { age, events } = self.config.retention;
        Retention { age, events: events as u64 }
    }

    fn server(&self) -> Server {
        let (limits, metrics) = (&self.config.limits, Arc::clone(&self.app.metrics));
        Server {
            routes: routes::routes(&self.app),
            tls: self.tls.clone(),
            admission: Admission::new(
                limits.connections,
                limits.connections_per_address,
                Arc::clone(&metrics),
            ),
            proxies: self.config.behind_proxy.clone(),
            metrics,
        }
    }

    fn legacy_server(&self, vc: &Arc<Vc>) -> Server {
        let metrics = Arc::clone(&self.app.metrics);
        Server {
            routes: vc.routes(),
            tls: None,
            admission: Admission::new(LEGACY_CONNECTIONS, LEGACY_CONNECTIONS, Arc::clone(&metrics)),
            proxies: Vec::new(),
            metrics,
        }
    }

    fn metrics_server(&self) -> Server {
        let metrics = Arc::<Metrics>::default();
        Server {
            routes: routes::metrics_only(&self.app),
            tls: None,
            admission: Admission::new(METRICS_CONNECTIONS, METRICS_CONNECTIONS, Arc::clone(&metrics)),
            proxies: Vec::new(),
            metrics,
        }
    }
}

/// What the older system's listener needs of the configuration.
fn legacy(config: &Config, listen: SocketAddr) -> vc::Settings {
    vc::Settings { listen, allow: config.legacy.allow.clone(), cameras: config.legacy.scope() }
}

/// What is done every second: taking note of what another process changed, and writing down who was there.
async fn tick(app: App) {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = second.tick() => {
                if let Err(error) = app.access.tick().await {
                    not_stored(&app, &error, "access");
                }
                if let Err(error) = app.cameras.write_seen().await {
                    not_stored(&app, &error, "last seen");
                }
            }
            () = app.stopping.cancelled() => return,
        }
    }
}

/// Says that something could not be written down, unless it was said already that the store cannot be written.
fn not_stored(app: &App, error: &dyn std::error::Error, what: &str) {
    match app.ingest.trouble() {
        None => tracing::error!(%error, what, "not stored"),
        Some(_) => tracing::debug!(%error, what, "not stored"),
    }
}

/// Removes what is past its time, a little at a time.
async fn expire(app: App, store: Store, retention: Retention) {
    let mut next = interval(EXPIRE_EVERY);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = next.tick() => {}
            () = app.stopping.cancelled() => return,
        }
        loop {
            match store.expire(retention, clock::now()).await {
                Ok(expired) => {
                    app.metrics.ingest.expired.inc_by(expired.events);
                    if !expired.more {
                        break;
                    }
                }
                Err(error) => {
                    not_stored(&app, &error, "that what is past its time goes");
                    break;
                }
            }
            // Who waits to write goes first.
            sleep(EXPIRE_PAUSE).await;
        }
    }
}
