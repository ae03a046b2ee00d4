//! What the null relay keeps for a socket that is connected and silent, before and after it was busy.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;
use tokio::{task::JoinSet, time::sleep};

use super::CALLERS;
use crate::{
    failure::{Failure, Result},
    measure::{
        NULL, Question, Subject,
        caller::{Caller, Script},
    },
    null_relay::{self, devices},
    process,
    program::Program,
    target::source,
    thread::Thread,
};

/// What it does in the background after a change is over by then; freed memory is given back when that is asked for.
const SETTLES: Duration = Duration::from_secs(3);

/// After many have connected at once, what the system did for it is over by then.
const CONNECTED: Duration = Duration::from_secs(1);

/// What each socket costs the null relay, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Null {
    /// When it has just connected.
    pub(super) fresh: f64,
    /// After it has moved as much as the gateway's.
    pub(super) used: Option<f64>,
}

/// Measures so many sockets; each moves so many bytes in messages of `part` bytes.
pub(super) async fn measure(agents: usize, moved: usize, part: usize) -> Result<Null> {
    let (mut relay, address) = Program::serving(null_relay::NAME, &[]).await?;
    let subject = Subject::open(NULL, address, vec![relay.pid()]);
    let thread = Thread::start()?;
    let empty = trimmed(&mut relay).await?;
    let each = |now: u64| (now as f64 - empty as f64) / agents as f64;
    let answer = Bytes::from(vec![b' '; part]);
    let _devices = devices::start(&subject.target, 0..agents, &answer, thread.handle()).await?;
    sleep(CONNECTED).await;
    let fresh = each(trimmed(&mut relay).await?);
    if moved == 0 {
        return Ok(Null { fresh, used: None });
    }
    move_all(&subject, agents, moved.div_ceil(part)).await?;
    Ok(Null { fresh, used: Some(each(trimmed(&mut relay).await?)) })
}

/// Asks every device so many times.
async fn move_all(subject: &Subject, agents: usize, times: usize) -> Result<()> {
    let (cameras, next) = ((0..agents).collect::<Vec<_>>(), Arc::<AtomicU64>::default());
    let script = Arc::new(Script::new(subject, &cameras, Question::Events(1), false, next)?);
    let mut asking = JoinSet::new();
    for n in 0..CALLERS {
        // Each begins elsewhere and asks its share of all questions.
        let mut caller = Caller::new(Arc::clone(&script), n * agents / CALLERS, source(30_000 + n));
        asking.spawn(async move {
            for _ in 0..(agents * times).div_ceil(CALLERS) {
                caller.ask().await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked??;
    }
    Ok(())
}

/// Resident memory of what is in use.
async fn trimmed(relay: &mut Program) -> Result<u64> {
    sleep(SETTLES).await;
    relay.trim().await?;
    process::resident(relay.pid())
}
