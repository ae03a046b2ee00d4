//! An HTTP front for NATS: requests become NATS requests to the subject of their camera, with the client that NATS offers for Rust.

use std::net::SocketAddr;

use async_nats::{Client, ServerAddr};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::{
    failure::{Doing, Result},
    front, report,
};

/// HTTP in front of a NATS server
#[derive(Debug, clap::Args)]
pub(crate) struct NatsFront {
    /// Address and port to serve on, which is told once it serves [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The NATS server
    #[arg(long, value_name = "ADDR")]
    nats: SocketAddr,
}

impl NatsFront {
    /// Serves until the process is ended.
    pub(crate) async fn run(self) -> Result<bool> {
        let client = connect(self.nats).await?;
        let listener = front::listen(self.listen)?;
        report::say(listener.local_addr()?);
        match front::serve(listener, move |request| respond(client.clone(), request)).await? {}
    }
}

/// Connects to a NATS server.
pub(crate) async fn connect(address: SocketAddr) -> Result<Client> {
    let url: ServerAddr = format!("nats://{address}").parse()?;
    async_nats::connect(url).await.doing("connecting to nats-server")
}

/// The subject at which a camera is asked.
pub(crate) fn subject(camera: &str) -> String {
    format!("cameras.{camera}")
}

async fn respond(client: Client, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let question = request.uri().path_and_query().map_or(path, |whole| whole.as_str());
    let asked = client.request(subject(front::camera(path)), Bytes::copy_from_slice(question.as_bytes()));
    // A camera that nobody is subscribed for is the only failure that the bench could cause.
    asked.await.map_or_else(|_| front::only(StatusCode::BAD_GATEWAY), |answer| front::json(answer.payload))
}
