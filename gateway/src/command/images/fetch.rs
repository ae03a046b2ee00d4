//! Brings one picture into a folder, and tries again where that helps.

use std::time::Duration;

use oriel_proto::CameraId;
use tokio::time::sleep;

use super::Failure;
use crate::{
    client::{Client, ClientError, Picture, TakenAt},
    command::folder::{Folder, file_name},
};

/// How long is waited before each further try.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// Where pictures come from and go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetcher<'a> {
    pub(super) client: &'a Client,
    pub(super) camera: &'a CameraId,
    /// What is said of every picture that is asked for.
    pub(super) query: &'a [(&'static str, String)],
    pub(super) folder: &'a Folder,
}

/// What has become of a picture.
#[derive(Debug)]
pub(super) enum Fetched {
    /// It is in the folder.
    Written,
    /// The camera does not have it any more.
    Dropped(ClientError),
    /// It did not come.
    Failed(Failure),
}

impl Fetcher<'_> {
    /// Brings the picture of this time.
    pub(super) async fn fetch(self, at: TakenAt) -> (TakenAt, Fetched) {
        let picture = match self.picture(at).await {
            Ok(picture) => picture,
            Err(why) if why.is_absent() => return (at, Fetched::Dropped(why)),
            Err(why) => return (at, Fetched::Failed(why.into())),
        };
        match self.folder.keep(file_name(self.camera, at), picture.jpeg).await {
            Ok(()) => (at, Fetched::Written),
            Err(why) => (at, Fetched::Failed(why)),
        }
    }

    async fn picture(&self, at: TakenAt) -> Result<Picture, ClientError> {
        for pause in PAUSES {
            match self.client.picture(self.camera, at, self.query).await {
                Err(why) if why.is_passing() => sleep(pause).await,
                done => return done,
            }
        }
        self.client.picture(self.camera, at, self.query).await
    }
}
