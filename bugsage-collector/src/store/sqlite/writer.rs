//! The one thread that writes: many batches, one transaction, one sync, then the answers.
//!
//! The thread takes what waits (while a sync runs, more gathers), commits, and only then answers. A
//! commit that fails is answered with its error to all who wait for it, and nothing of it is kept. A
//! batch that makes the program itself fail is taken out, and its neighbors are written without it.
//! Changes other than batches have transactions of their own, each change inside a savepoint, so that
//! one that is refused takes nothing of the others along.
//!
//! When it was the sync that failed, nobody knows what the disk has: the writer takes nothing more
//! until the next start, which writes again what that sync covered (see [`super::open`]).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::faults::{self, Fault};
use crate::observe::heartbeat::Heartbeat;
use crate::observe::{STUCK, metrics};
use crate::store::StoreError;
use crate::store::model::{GroupedBatch, Receipt};

use super::files::Files;
use super::ingest::{Cache, Sender, Session};
use super::open::{self, Copy, OpenOptions, Owner};

/// Batches and changes that may wait. The ingest path has bounded the memory of batches already.
const WAITING_MAX: usize = 1_024;

/// Batches or changes of one transaction: enough to share a sync, few enough to answer within
/// milliseconds.
const GROUP_MAX: usize = 256;

/// Events and pieces of traces of one transaction, beyond which no further batch is taken in: some tens of milliseconds.
const EVENTS_MAX: usize = 16_384;

/// How long one transaction may go on taking further changes.
const GROUP_TIME_MAX: Duration = Duration::from_millis(20);

/// Pages of 4 KiB that may be only in the log: larger logs slow down every reader.
const LOG_PAGES_MAX: i64 = 4_096;

/// How long the writer may be idle before it copies a small log back too.
const IDLE: Duration = Duration::from_secs(5);

/// Hands changes to the writer thread.
pub(super) struct Writer {
    work: mpsc::SyncSender<Queued>,
    state: Arc<State>,
}

/// What others may see of the writer.
pub(super) struct State {
    failed: Mutex<Option<String>>,
    has_failed: AtomicBool,
    /// Why the last transaction failed, where it did.
    refused: Mutex<Option<String>>,
    metrics: metrics::Writer,
    commit_us: AtomicU64,
    started: Instant,
    /// Microseconds since `started` plus one at which the oldest write under way was handed over; zero
    /// where there is none.
    busy_since: AtomicU64,
    /// The same of the end of the last transaction that was committed.
    committed_at: AtomicU64,
}

impl State {
    pub(super) fn failed(&self) -> Option<String> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn commit_us(&self) -> u64 {
        self.commit_us.load(Ordering::Relaxed)
    }

    pub(super) fn oldest_wait_us(&self) -> u64 {
        self.micros_since(&self.busy_since).unwrap_or(0)
    }

    pub(super) fn since_commit(&self) -> Option<Duration> {
        self.micros_since(&self.committed_at)
            .map(Duration::from_micros)
    }

    pub(super) fn refused(&self) -> Option<String> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn micros_since(&self, at: &AtomicU64) -> Option<u64> {
        match at.load(Ordering::Relaxed) {
            0 => None,
            at => Some(self.stamp(Instant::now()).saturating_sub(at)),
        }
    }

    /// A time as it is noted here, which is never zero.
    fn stamp(&self, at: Instant) -> u64 {
        1 + at.saturating_duration_since(self.started).as_micros() as u64
    }

    /// Tells how a transaction has ended.
    fn ended(&self, kind: &'static str, is_committed: bool, begun: Instant) {
        self.metrics.transaction(kind, is_committed, begun);
        if is_committed {
            let now = self.stamp(Instant::now());
            self.committed_at.store(now, Ordering::Relaxed);
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn fail(&self, reason: String) {
        self.has_failed.store(true, Ordering::Release);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Remembers that nothing more is to be written, where an error means that.
    fn judge(&self, error: StoreError) -> StoreError {
        match &error {
            StoreError::Failed(reason) | StoreError::Damaged(reason) => {
                tracing::error!(error = %error, "the store takes nothing more until a restart");
                self.fail(reason.clone());
            }
            _ => {
                let reason = error.to_string();
                let refused = self.refused.lock();
                let before = refused
                    .unwrap_or_else(PoisonError::into_inner)
                    .replace(reason);
                // Said again when it is another, or the same after it had healed.
                if before != Some(error.to_string()) {
                    tracing::warn!(error = %error, "a transaction failed and was rolled back");
                }
            }
        }
        error
    }

    fn check(&self) -> Result<(), StoreError> {
        if !self.has_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(StoreError::Failed(self.failed().unwrap_or_default()))
    }
}

/// Work with the time at which it was handed over.
struct Queued {
    since: Instant,
    work: Work,
}

impl Queued {
    /// Its turn has come.
    fn taken(self, metrics: &metrics::Writer) -> Self {
        metrics.waiting.dec();
        metrics.wait.since(self.since);
        self
    }
}

/// Work that waits, with whoever waits for it.
enum Work {
    Batch(Box<WaitingBatch>),
    Change(Box<dyn Change>),
    /// Nothing comes after this.
    End(oneshot::Sender<()>),
}

/// A batch that waits.
struct WaitingBatch {
    sender: Sender,
    batch: GroupedBatch,
    outcome: Result<Receipt, StoreError>,
    /// The batch goes back too: freeing it takes time that the writer has not.
    answer: oneshot::Sender<(Result<Receipt, StoreError>, GroupedBatch)>,
}

/// A change other than a batch.
trait Change: Send {
    fn run(&mut self, tx: &Connection) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Waiting<T, F> {
    change: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Change for Waiting<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &Connection) -> Result<(), StoreError> {
        let Some(change) = self.change.take() else {
            return Ok(());
        };
        match change(tx) {
            Ok(value) => {
                self.outcome = Some(Ok(value));
                Ok(())
            }
            Err(error) => {
                self.outcome = Some(Err(error.clone()));
                Err(error)
            }
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let lost = || Err(StoreError::Unavailable("the change was not run".to_owned()));
        let answer = match committed {
            Ok(()) => self.outcome.unwrap_or_else(lost),
            Err(error) => Err(error),
        };
        // Whoever asked may have gone; the change is done all the same.
        let _ = self.answer.send(answer);
    }
}

impl Writer {
    pub(super) fn start(connection: Connection, options: &OpenOptions) -> Result<Self, StoreError> {
        let (work, waiting) = mpsc::sync_channel(WAITING_MAX);
        let state = Arc::new(State {
            failed: Mutex::new(None),
            has_failed: AtomicBool::new(false),
            refused: Mutex::new(None),
            metrics: options.observer.metrics.writer.clone(),
            commit_us: AtomicU64::new(0),
            started: Instant::now(),
            busy_since: AtomicU64::new(0),
            committed_at: AtomicU64::new(0),
        });
        let heartbeats = &options.observer.heartbeats;
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let writing = Writing {
            connection,
            owner: options.owner,
            heartbeat: heartbeats.expect("writer", STUCK),
            waiting,
            next: None,
            files: Files::of(&options.folder),
            cache: Cache::default(),
            state: state.clone(),
        };
        thread
            .spawn(move || writing.run())
            .map_err(|error| StoreError::Unusable(format!("no thread for the store: {error}")))?;
        Ok(Self { work, state })
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Writes that wait for their turn.
    pub(super) fn waiting(&self) -> u64 {
        u64::try_from(self.state.metrics.waiting.get()).unwrap_or(0)
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            change: Some(change),
            outcome: None,
            answer,
        };
        self.enqueue(Work::Change(Box::new(waiting)))?;
        answered.await.map_err(gone)?
    }

    pub(super) async fn ingest(
        &self,
        sender: Sender,
        batch: GroupedBatch,
    ) -> Result<Receipt, StoreError> {
        let (answer, answered) = oneshot::channel();
        let waiting = WaitingBatch {
            sender,
            batch,
            outcome: Err(StoreError::Unavailable(
                "the batch was not written".to_owned(),
            )),
            answer,
        };
        self.enqueue(Work::Batch(Box::new(waiting)))?;
        let (outcome, batch) = answered.await.map_err(gone)?;
        drop(batch);
        outcome
    }

    /// Ends the thread once all that waits is written, and the log is copied back.
    pub(super) async fn end(&self) {
        let (answer, answered) = oneshot::channel();
        let (work, end) = (self.work.clone(), self.queued(Work::End(answer)));
        // It may have to wait for its place among what is to be written.
        let sent = tokio::task::spawn_blocking(move || work.send(end).is_ok());
        if sent.await.unwrap_or(false) {
            // An error means that the thread has ended.
            let _ = answered.await;
        }
    }

    /// Counted before it is sent: the writer may be faster than this thread.
    fn queued(&self, work: Work) -> Queued {
        self.state.metrics.waiting.inc();
        let since = Instant::now();
        Queued { since, work }
    }

    fn enqueue(&self, work: Work) -> Result<(), StoreError> {
        self.state.check()?;
        let full = |_| StoreError::Unavailable("too many writes are waiting".to_owned());
        let sent = self.work.try_send(self.queued(work));
        sent.map_err(full).inspect_err(|_| {
            self.state.metrics.waiting.dec();
        })
    }
}

fn gone(_: oneshot::error::RecvError) -> StoreError {
    StoreError::Unavailable("the writer has ended".to_owned())
}

/// The thread that writes.
struct Writing {
    connection: Connection,
    owner: Owner,
    heartbeat: Heartbeat,
    waiting: mpsc::Receiver<Queued>,
    /// What was taken and belongs into the next transaction.
    next: Option<Queued>,
    files: Files,
    cache: Cache,
    state: Arc<State>,
}

impl Writing {
    fn run(mut self) {
        let mut is_copied = true;
        let mut ended = None;
        loop {
            self.heartbeat.due_in(IDLE + STUCK);
            let first = match self.next.take() {
                Some(next) => Ok(next),
                None => {
                    let first = self.waiting.recv_timeout(IDLE);
                    first.map(|first| first.taken(&self.state.metrics))
                }
            };
            self.heartbeat.due_in(STUCK);
            let first = match first {
                Ok(first) => first,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if self.state.check().is_ok()
                        && let Err(error) = self.files.check()
                    {
                        self.state.judge(error);
                    }
                    if self.is_owner() && !is_copied && self.state.check().is_ok() {
                        is_copied = self.copy_back(Copy::WhatIsFree) == 0;
                    }
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            };
            let begun = Instant::now();
            let since = self.state.stamp(first.since);
            self.state.busy_since.store(since, Ordering::Relaxed);
            let is_written = match first.work {
                Work::Batch(first) => self.batches(*first),
                Work::Change(first) => self.changes(first),
                Work::End(answer) => {
                    ended = Some(answer);
                    break;
                }
            };
            is_copied = false;
            self.state
                .commit_us
                .store(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
            if self.is_owner() && is_written {
                let waiting = self.copy_back(Copy::Nothing);
                self.state.metrics.log_pages.set(waiting);
                if waiting > LOG_PAGES_MAX {
                    self.copy_back(Copy::WhatIsFree);
                }
            }
            self.state.busy_since.store(0, Ordering::Relaxed);
        }
        if self.is_owner() && self.state.check().is_ok() {
            self.copy_back(Copy::AndEmpty);
        }
        drop(self.connection);
        if let Some(ended) = ended {
            // Whoever asked may have gone.
            let _ = ended.send(());
        }
    }

    fn is_owner(&self) -> bool {
        self.owner == Owner::Server
    }

    /// Writes batches in one transaction, and answers them. Tells whether anything was written.
    fn batches(&mut self, first: WaitingBatch) -> bool {
        let begun = Instant::now();
        let mut group = vec![first];
        let mut committed = self.commit_batches(&mut group, true);
        // One that the program cannot bear takes none of its neighbors along.
        while let Err(Trouble::Poison(at, fault)) = committed {
            self.cache.clear();
            let poison = group.swap_remove(at);
            poison.reply(Err(StoreError::Poison(fault.reason)));
            if group.is_empty() {
                return false;
            }
            committed = self.commit_batches(&mut group, false);
        }
        let is_written = committed.is_ok();
        self.state.ended("batches", is_written, begun);
        self.state.metrics.shared(group.len());
        if !is_written {
            // What was looked up in a transaction that is gone may never have been.
            self.cache.clear();
        }
        for waiting in group {
            let outcome = match &committed {
                Err(Trouble::All(error)) => Err(error.clone()),
                _ => waiting.outcome.clone(),
            };
            waiting.reply(outcome);
        }
        is_written
    }

    fn commit_batches(
        &mut self,
        group: &mut Vec<WaitingBatch>,
        may_take_more: bool,
    ) -> Result<(), Trouble> {
        self.state.check().map_err(Trouble::All)?;
        let begun = Instant::now();
        let judged = |error: StoreError| Trouble::All(self.state.judge(error));
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| judged(error.into()))?;
        let mut session = Session::begin(&tx, &mut self.cache).map_err(judged)?;
        let (mut at, mut events) = (0, 0);
        while at < group.len() {
            let waiting = &mut group[at];
            events += waiting.batch.events.len() + waiting.batch.spans.pieces.len();
            match faults::contained(|| session.add(waiting.sender, &waiting.batch)) {
                Ok(Ok(receipt)) => waiting.outcome = Ok(receipt),
                Ok(Err(error)) => return Err(judged(error)),
                Err(fault) => return Err(Trouble::Poison(at, fault)),
            }
            at += 1;
            let has_room = at == group.len()
                && group.len() < GROUP_MAX
                && events < EVENTS_MAX
                && begun.elapsed() < GROUP_TIME_MAX;
            if may_take_more && has_room && self.next.is_none() {
                let next = self.waiting.try_recv().ok();
                match next.map(|next| next.taken(&self.state.metrics)) {
                    Some(Queued {
                        work: Work::Batch(batch),
                        ..
                    }) => group.push(*batch),
                    change => self.next = change,
                }
            }
        }
        let lines = session.end().map_err(judged)?;
        let begun = Instant::now();
        tx.commit().map_err(|error| judged(error.into()))?;
        self.files.check().map_err(judged)?;
        self.state.metrics.commit.since(begun);
        lines.count(&self.state.metrics);
        Ok(())
    }

    /// Runs changes in one transaction, each inside its own savepoint, and answers them. Tells whether
    /// anything was written.
    fn changes(&mut self, first: Box<dyn Change>) -> bool {
        let begun = Instant::now();
        let mut group = vec![first];
        let committed = self.commit_changes(&mut group);
        self.state.ended("changes", committed.is_ok(), begun);
        // A change may be about anything that was looked up.
        self.cache.clear();
        for change in group {
            change.answer(committed.clone());
        }
        committed.is_ok()
    }

    fn commit_changes(&mut self, group: &mut Vec<Box<dyn Change>>) -> Result<(), StoreError> {
        self.state.check()?;
        let begun = Instant::now();
        let judged = |error: rusqlite::Error| self.state.judge(error.into());
        let mut tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(judged)?;
        let mut at = 0;
        while at < group.len() {
            let savepoint = tx.savepoint().map_err(judged)?;
            match group[at].run(&savepoint) {
                Ok(()) => savepoint.commit().map_err(judged)?,
                // The savepoint rolls back; the change has its own answer.
                Err(_) => drop(savepoint),
            }
            at += 1;
            let has_room = at == group.len()
                && group.len() < GROUP_MAX
                && begun.elapsed() < GROUP_TIME_MAX
                && self.next.is_none();
            if has_room {
                let next = self.waiting.try_recv().ok();
                match next.map(|next| next.taken(&self.state.metrics)) {
                    Some(Queued {
                        work: Work::Change(change),
                        ..
                    }) => group.push(change),
                    batch => self.next = batch,
                }
            }
        }
        tx.commit().map_err(judged)?;
        self.files.check().map_err(|error| self.state.judge(error))
    }

    /// Copies the log into the database, and tells how many pages are only in the log.
    fn copy_back(&self, how: Copy) -> i64 {
        let begun = Instant::now();
        let copied = open::copy_back(&self.connection, how);
        if how != Copy::Nothing {
            self.state.metrics.copy_back.since(begun);
        }
        match copied {
            Ok(log) => log.waiting(),
            // Acknowledged data is safe in the log; but a sync that failed is never tried again.
            Err(error) => {
                self.state.judge(error.into());
                0
            }
        }
    }
}

impl WaitingBatch {
    fn reply(self, outcome: Result<Receipt, StoreError>) {
        // Whoever asked may have gone; the batch is written all the same.
        let _ = self.answer.send((outcome, self.batch));
    }
}

/// Why a transaction of batches was not committed.
enum Trouble {
    /// For a reason that has nothing to do with any of them.
    All(StoreError),
    /// The program failed at the batch in this place.
    Poison(usize, Fault),
}
