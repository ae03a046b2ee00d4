//! `POST /verkada/api/v1.0/logs/post` and `…/post/{camera}`: a camera brings its list, which is stored and answers who waits for it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use oriel_proto::{CameraId, Timestamp};
use tokio::task::spawn_blocking;
use warp::{Buf, http::StatusCode, reply::Response};

use super::{
    Vc,
    camera::List,
    json,
    list::{Answer, PostedList},
};
use crate::{clock, problem::LegacyProblem};

impl Vc {
    /// Takes a list and gives it back.
    pub(super) async fn post<B: Buf>(
        self: &Arc<Self>,
        id: CameraId,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, LegacyProblem> {
        let camera = self.admit(&id).await?;
        // Whoever asks from here on wants another list than the one that the camera has in its hand.
        let (list, began) = (camera.begin(), clock::now());
        let body = self.room.read(body).await?;
        let (vc, same) = (Arc::clone(self), body.clone());
        // What has come is taken, also when the camera hangs up without waiting for the answer.
        let taken = self.app.tasks.spawn(async move { vc.take(id, list, body, began).await });
        taken.await.map_err(|_| LegacyProblem::Failed)??;
        Ok(json(StatusCode::CREATED, same))
    }

    /// Stores a list, and answers with it.
    async fn take(
        &self,
        id: CameraId,
        list: List<Arc<Answer>>,
        body: Bytes,
        began: Timestamp,
    ) -> Result<(), LegacyProblem> {
        let _turn = self.turn(body.len()).await?;
        let read = spawn_blocking(move || PostedList::read(body)).await.map_err(|_| LegacyProblem::Failed)?;
        let (posted, entries) = read.ok_or(LegacyProblem::BadRequest)?;
        let count = entries.len() as u64;
        let kept = self.store.keep_posted(id.clone(), self.agent, entries, began, clock::now()).await;
        let result = match &kept {
            Ok(Some(kept)) => {
                let ingest = &self.app.metrics.ingest;
                ingest.stored.inc_by(kept.stored);
                ingest.doubled.inc_by(count.saturating_sub(kept.stored));
                self.roster.has_log(&id);
                Ok(())
            }
            // Somebody took the camera away meanwhile.
            Ok(None) => return Err(LegacyProblem::NotFound),
            Err(error) => Err(LegacyProblem::from(error.clone())),
        };
        // Clients get what the camera says, also when nothing can be stored.
        list.answer(&Arc::new(Answer { list: posted, kept: kept.ok().flatten() }));
        result
    }
}
