//! Answers that are handed out once they have begun as they should: a link that ended before has told nobody anything yet.

use std::future::Future;

use oriel_proto::{Call, CameraId};

use super::{Answering, Question, Relay, RelayError, shared::Patience};

/// Asks until somebody has an answer, as `collect` makes it, or nobody has patience any more. The camera is told the longest time that
/// anybody waits; who joined later with more makes it asked again when that was too short.
pub async fn whole<T, F>(
    relay: &Relay,
    camera: &CameraId,
    call: &Call,
    patience: &Patience,
    collect: impl Fn(Answering) -> F,
) -> Result<T, RelayError>
where
    F: Future<Output = Result<T, RelayError>>,
{
    loop {
        let told = patience.longest();
        let mut question = Question::new(camera.clone(), call.clone(), told);
        match once(relay, &mut question, || patience.begin(), &collect).await {
            Err(error) if error.is_late() && patience.longest() > told => {}
            answer => return answer,
        }
    }
}

/// Asks, and once more when the link ends while `collect` works on the answer; `begun` is told when its first piece has come.
pub async fn once<T, F>(
    relay: &Relay,
    question: &mut Question,
    begun: impl Fn(),
    collect: impl Fn(Answering) -> F,
) -> Result<T, RelayError>
where
    F: Future<Output = Result<T, RelayError>>,
{
    loop {
        let answer = relay.ask(question).await?;
        begun();
        match collect(answer).await {
            Err(RelayError::Interrupted) if question.may_repeat() => {}
            Err(RelayError::Interrupted) => return Err(RelayError::Offline),
            answer => return answer,
        }
    }
}
