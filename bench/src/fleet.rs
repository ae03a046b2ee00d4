//! Light agents: the camera socket spoken by hand, one task and a few kilobytes each.

pub(crate) mod answer;
mod dial;
pub(crate) mod due;
pub(crate) mod life;
pub(crate) mod long;
pub(crate) mod opaque;
pub(crate) mod pictures;
pub(crate) mod prompt;
pub(crate) mod silent;
pub(crate) mod upload;

use std::net::Ipv4Addr;

use oriel_proto::{CameraId, InstanceId};
use serde::{Deserialize, Serialize};

pub(crate) use self::dial::Socket;
use crate::{
    enroll,
    failure::{Doing, Result},
    gateway::Gateway,
    target::{Target, source},
};

/// An agent: who it is, across all its connections.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its place in the fleet.
    pub(crate) number: usize,
    /// The gateway that it was enrolled at.
    pub(crate) target: Target,
    /// What it connects with.
    pub(crate) token: String,
    /// What it serves.
    pub(crate) cameras: Vec<CameraId>,
    /// Where it connects from: an address of its own.
    pub(crate) source: Ipv4Addr,
    instance: InstanceId,
    generation: u64,
}

/// What another process is told of an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recruit {
    number: usize,
    token: String,
    cameras: Vec<CameraId>,
}

impl Recruit {
    /// The agent, which connects to `target`.
    pub(crate) fn member(self, target: &Target) -> Member {
        let Self { number, token, cameras } = self;
        let (target, instance) = (target.clone(), InstanceId::new());
        Member { number, target, token, cameras, source: source(number), instance, generation: 0 }
    }
}

impl Member {
    /// It, for another process.
    pub(crate) fn recruit(&self) -> Recruit {
        Recruit { number: self.number, token: self.token.clone(), cameras: self.cameras.clone() }
    }

    /// The same agent, started anew.
    pub(crate) fn anew(&self) -> Self {
        Self { instance: InstanceId::new(), ..self.clone() }
    }
}

/// The id of the `n`th camera.
pub(crate) fn camera(n: usize) -> Result<CameraId> {
    format!("camera-{n}").parse().doing("a camera's id")
}

/// Enrols agents for so many cameras, with so many each.
pub(crate) async fn enrolled(gateway: &Gateway, cameras: usize, each: usize) -> Result<Vec<Member>> {
    let all = (0..cameras).map(camera).collect::<Result<Vec<_>>>()?;
    enrolled_for(gateway, all.chunks(each).map(<[_]>::to_vec).collect()).await
}

/// Enrols `count` agents with one camera each, from the `first` on.
pub(crate) async fn enrolled_from(gateway: &Gateway, first: usize, count: usize) -> Result<Vec<Member>> {
    let shares = (first..first + count).map(|n| Ok(vec![camera(n)?])).collect::<Result<_>>()?;
    enrolled_for(gateway, shares).await
}

async fn enrolled_for(gateway: &Gateway, shares: Vec<Vec<CameraId>>) -> Result<Vec<Member>> {
    let tokens = enroll::tokens(gateway, &shares).await.doing("enrolling")?;
    let recruits = shares.into_iter().zip(tokens).enumerate();
    let recruits = recruits.map(|(number, (cameras, token))| Recruit { number, token, cameras });
    Ok(recruits.map(|recruit| recruit.member(&gateway.target)).collect())
}
