//! Who may use a route: every handler takes an [`Inbound`](super::Inbound) of one of these, so none can forget to ask.

use std::{future::Future, net::IpAddr};

use warp::http::{HeaderMap, header::AUTHORIZATION};

use super::App;
use crate::{
    access::{Access, AgentGrant, Viewer},
    problem::Problem,
    store::Role,
};

/// A condition for using a route, and what is known of the caller once it holds.
pub trait Guard: Sized + Send + 'static {
    /// The guard's name in the route table and in the API document.
    const NAME: &'static str;

    /// Lets the caller in or says why not.
    fn admit(
        app: &App,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> impl Future<Output = Result<Self, Problem>> + Send;
}

/// Open to everybody; `access.md` lists these routes, and so does [`OPEN`](super::OPEN).
#[derive(Debug)]
pub struct Open;

impl Guard for Open {
    const NAME: &'static str = "open";

    async fn admit(_: &App, _: &HeaderMap, _: IpAddr) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl Guard for Viewer {
    const NAME: &'static str = "viewer";

    async fn admit(app: &App, headers: &HeaderMap, peer: IpAddr) -> Result<Self, Problem> {
        viewer(&app.access, headers, peer).await
    }
}

/// Someone who may do everything everywhere.
#[derive(Debug)]
pub struct Admin(pub Viewer);

impl Guard for Admin {
    const NAME: &'static str = "admin";

    async fn admit(app: &App, headers: &HeaderMap, peer: IpAddr) -> Result<Self, Problem> {
        let viewer = viewer(&app.access, headers, peer).await?;
        viewer.require_everywhere(Role::Admin)?;
        Ok(Self(viewer))
    }
}

/// An agent.
#[derive(Debug)]
pub struct Device(pub AgentGrant);

impl Guard for Device {
    const NAME: &'static str = "agent";

    async fn admit(app: &App, headers: &HeaderMap, peer: IpAddr) -> Result<Self, Problem> {
        Ok(Self(app.access.agent(bearer(headers)?, peer).await?))
    }
}

async fn viewer(access: &Access, headers: &HeaderMap, peer: IpAddr) -> Result<Viewer, Problem> {
    Ok(access.viewer(bearer(headers)?, peer).await?)
}

/// The credential of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let header = headers.get(AUTHORIZATION).ok_or_else(Problem::no_credential)?;
    let wrong = || Problem::unauthorized("the Authorization header is not of the form Bearer <key>");
    let (scheme, credential) = header.to_str().map_err(|_| wrong())?.split_once(' ').ok_or_else(wrong)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(credential.trim()) } else { Err(wrong()) }
}
