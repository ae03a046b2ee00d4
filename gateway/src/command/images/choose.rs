//! Which camera `oriel images get --random` takes: one that is online and has enough pictures.

use std::time::Duration;

use oriel_proto::CameraId;
use rand::seq::SliceRandom;
use tokio::time::timeout;

use super::{Failure, get::Get};
use crate::client::{Client, ClientError, Listed};

/// How many cameras are drawn, of which one is taken.
const DRAWN: usize = 100;

/// The longest that cameras are asked for one that has enough.
const CHOSEN_WITHIN: Duration = Duration::from_secs(60);

impl Get {
    /// The camera, and its pictures that were asked for.
    pub(super) async fn choose(&self, client: &Client) -> Result<(CameraId, Vec<Listed>), Failure> {
        if let Some(camera) = &self.camera {
            return Ok((camera.clone(), self.list(client, camera).await?));
        }
        let cameras = self.draw(client).await?;
        if cameras.is_empty() {
            let detail = "no camera is online".into();
            return Err(ClientError::Offline { detail, request_id: None }.into());
        }
        match timeout(CHOSEN_WITHIN, self.first_with_enough(client, cameras)).await {
            Ok(Ok(Some(chosen))) => Ok(chosen),
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(None)) | Err(_) => {
                let what = format!("found no camera online with {} such pictures; try --count", self.count);
                Err(Failure::incomplete(what, None))
            }
        }
    }

    /// Cameras that are online and take such pictures, in random order.
    async fn draw(&self, client: &Client) -> Result<Vec<CameraId>, ClientError> {
        let query = [("status", "online".to_owned()), ("sample", DRAWN.to_string())];
        let answer = client.get(&["cameras"], &query).await?;
        let class = self.class.as_str();
        let cameras = answer["cameras"].as_array().into_iter().flatten().take(DRAWN).filter(|camera| {
            camera["classes"].as_array().is_none_or(|classes| classes.iter().any(|one| one == class))
        });
        let mut cameras: Vec<CameraId> =
            cameras.filter_map(|camera| camera["id"].as_str()?.parse().ok()).collect();
        cameras.shuffle(&mut rand::rng());
        Ok(cameras)
    }

    /// The first camera that has enough pictures. One that fails is left out, unless all do.
    async fn first_with_enough(
        &self,
        client: &Client,
        cameras: Vec<CameraId>,
    ) -> Result<Option<(CameraId, Vec<Listed>)>, ClientError> {
        let (mut has_answered, mut last) = (false, None);
        for camera in cameras {
            match self.list(client, &camera).await {
                Ok(listed) if listed.len() >= self.count as usize => return Ok(Some((camera, listed))),
                Ok(_) => has_answered = true,
                Err(error @ (ClientError::Refused { .. } | ClientError::Unreachable { .. })) => {
                    return Err(error);
                }
                Err(error) => last = Some(error),
            }
        }
        last.filter(|_| !has_answered).map_or(Ok(None), Err)
    }

    async fn list(&self, client: &Client, camera: &CameraId) -> Result<Vec<Listed>, ClientError> {
        let mut query = vec![self.class.asked(), self.client.patience()];
        query.extend(self.span.asked());
        client.pictures(camera, &query, self.count as usize).await
    }
}
