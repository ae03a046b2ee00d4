//! The one thread that writes: jobs wait in a bounded queue, and those that are waiting together are committed together.

use std::{fmt, sync::Arc, thread, time::Duration};

use rusqlite::{Connection, TransactionBehavior};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Arrival, StoreError, log};

/// Jobs that may wait; one more makes its caller wait for room.
const QUEUE: usize = 1024;

/// How long a caller waits for room before it is told that the store is overloaded.
pub(super) const ROOM_WITHIN: Duration = Duration::from_secs(10);

/// Jobs in one commit, and the time after which no more are taken in: one sync to disk serves them all (events.md).
const GROUP: usize = 1_000;
const GROUP_WITHIN: Duration = Duration::from_millis(5);

/// Tells the caller how its job ended, after the commit.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// One job: does its work in the open transaction, or is told why there is none.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Answer + Send>;

enum Command {
    Work(Job),
    Changed(oneshot::Sender<Result<bool, StoreError>>),
    Close,
}

/// A handle to the writer's thread.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Command>,
    /// The last event that is on disk.
    pub(super) arrived: watch::Receiver<Arrival>,
    ended: CancellationToken,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("room", &self.queue.capacity()).finish()
    }
}

impl Writer {
    /// Starts the thread; it ends with [`Writer::close`] or with the last handle.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let version = data_version(&connection).unwrap_or_default();
        let (arrived_tx, arrived) = watch::channel(log::newest_arrival(&connection)?);
        let work = Work { connection, version, jobs, arrived_tx, _ended: guard };
        // Inside a simulation no real thread is waited for.
        #[cfg(feature = "sim")]
        if turmoil::in_simulation() {
            tokio::spawn(work.run_as_task());
            return Ok(Self { queue, arrived, ended });
        }
        let named = thread::Builder::new().name("store-writer".into());
        named.spawn(|| work.run()).map_err(|e| StoreError::Thread(Arc::new(e)))?;
        Ok(Self { queue, arrived, ended })
    }

    /// Does `work` in a transaction and, once it is on disk, `after`, even when the caller has gone meanwhile.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer_tx, answer_rx) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let done = connection.and_then(|connection| in_savepoint(connection, work));
            Box::new(move |committed| {
                let result = done.and_then(|value| committed.map(|()| value));
                if let Ok(value) = &result {
                    after(value);
                }
                // A caller that has gone needs no answer.
                let _ = answer_tx.send(result);
            })
        });
        self.send(Command::Work(job)).await?;
        answer_rx.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether another process has changed the database since this was last asked.
    pub(super) async fn changed_elsewhere(&self) -> Result<bool, StoreError> {
        let (answer_tx, answer_rx) = oneshot::channel();
        self.send(Command::Changed(answer_tx)).await?;
        answer_rx.await.map_err(|_| StoreError::Closed)?
    }

    /// Finishes what is queued and waits for the thread to end.
    pub(super) async fn close(&self) {
        // The queue is closed already when somebody else closed first: then only the wait is left.
        let _ = self.queue.send(Command::Close).await;
        self.ended.cancelled().await;
    }

    async fn send(&self, command: Command) -> Result<(), StoreError> {
        match timeout(ROOM_WITHIN, self.queue.send(command)).await {
            Ok(sent) => sent.map_err(|_| StoreError::Closed),
            Err(_) => Err(StoreError::Overloaded),
        }
    }
}

/// What the writer's thread has.
struct Work {
    connection: Connection,
    version: i64,
    jobs: mpsc::Receiver<Command>,
    arrived_tx: watch::Sender<Arrival>,
    _ended: DropGuard,
}

impl Work {
    fn run(mut self) {
        while let Some(command) = self.jobs.blocking_recv() {
            self.obey(command);
        }
    }

    #[cfg(feature = "sim")]
    async fn run_as_task(mut self) {
        while let Some(command) = self.jobs.recv().await {
            self.obey(command);
        }
    }

    /// Does what a command says, and what those say that wait behind it as far as it fits.
    fn obey(&mut self, command: Command) {
        let mut next = Some(command);
        while let Some(command) = next.take() {
            match command {
                Command::Work(job) => next = self.commit_together(job),
                Command::Changed(answer_tx) => {
                    let changed = |now| std::mem::replace(&mut self.version, now) != now;
                    let _ = answer_tx.send(data_version(&self.connection).map(changed));
                }
                // What is queued already is still done; then the queue gives nothing more.
                Command::Close => self.jobs.close(),
            }
        }
    }

    /// Does `job` and the jobs waiting behind it in one transaction; gives back a command that is not a job.
    fn commit_together(&mut self, job: Job) -> Option<Command> {
        let Self { connection, jobs, arrived_tx, .. } = self;
        let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(transaction) => transaction,
            Err(error) => {
                job(Err(error.into()))(Ok(()));
                return None;
            }
        };
        let start = Instant::now();
        let mut answers = vec![job(Ok(&transaction))];
        let mut other = None;
        // A full disk can end the transaction from inside: then nothing more may join it.
        while answers.len() < GROUP && start.elapsed() < GROUP_WITHIN && !transaction.is_autocommit() {
            match jobs.try_recv() {
                Ok(Command::Work(job)) => answers.push(job(Ok(&transaction))),
                Ok(command) => {
                    other = Some(command);
                    break;
                }
                Err(_) => break,
            }
        }
        // To commit what has ended would hide from everybody why it did.
        let ended = transaction.is_autocommit();
        let arrived = log::newest_arrival(&transaction);
        let committed =
            if ended { Err(StoreError::Ended) } else { transaction.commit().map_err(StoreError::from) };
        if let (Ok(()), Ok(arrived)) = (&committed, arrived) {
            arrived_tx.send_if_modified(|before| std::mem::replace(before, arrived) != arrived);
        }
        for answer in answers {
            answer(committed.clone());
        }
        other
    }
}

/// Does `work`; when it fails, only its own changes are taken back.
fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.prepare_cached("SAVEPOINT job")?.execute(())?;
    let result = work(connection);
    match &result {
        Ok(_) => _ = connection.prepare_cached("RELEASE job")?.execute(())?,
        Err(_) if connection.is_autocommit() => {}
        Err(_) => connection.execute_batch("ROLLBACK TO job; RELEASE job")?,
    }
    result
}

/// SQLite's count of the changes that other connections made.
fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
}
