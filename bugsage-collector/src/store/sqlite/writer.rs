//! The one thread that writes: many changes, one transaction, one sync, then the answers.
//!
//! The thread takes what waits (while a sync runs, more gathers), runs each change inside its own
//! savepoint, so that one that fails takes nothing of its neighbours along, commits, and only then
//! answers. A commit that fails is answered with its error, and nothing of it is kept. When it was
//! the sync that failed, nobody knows what the disk has: the writer takes nothing more until the
//! next start, which writes again what that sync covered (see [`super::open`]).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, ffi};
use tokio::sync::oneshot;

use crate::store::StoreError;

use super::open::{self, Copy, Owner};

/// Changes that may wait. Each is a batch whose memory the ingest path has bounded already.
const WAITING_MAX: usize = 1_024;

/// Changes of one transaction: enough to share a sync, few enough to answer within milliseconds.
const GROUP_MAX: usize = 256;

/// How long one transaction may go on taking further changes.
const GROUP_TIME_MAX: Duration = Duration::from_millis(20);

/// Pages of 4 KiB that may be only in the log: larger logs slow down every reader.
const LOG_PAGES_MAX: i64 = 4_096;

/// How long the writer may be idle before it copies a small log back too.
const IDLE: Duration = Duration::from_secs(5);

/// Hands changes to the writer thread.
pub(super) struct Writer {
    changes: mpsc::SyncSender<Box<dyn Change>>,
    state: Arc<State>,
}

/// What others may see of the writer.
pub(super) struct State {
    failed: Mutex<Option<String>>,
    has_failed: AtomicBool,
    commit_us: AtomicU64,
    started: Instant,
    /// Microseconds since `started` plus one at which the group under way began; zero where there
    /// is none.
    busy_since: AtomicU64,
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
        match self.busy_since.load(Ordering::Relaxed) {
            0 => 0,
            since => (self.started.elapsed().as_micros() as u64 + 1).saturating_sub(since),
        }
    }

    fn fail(&self, reason: String) {
        self.has_failed.store(true, Ordering::Release);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn check(&self) -> Result<(), StoreError> {
        if !self.has_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(StoreError::Failed(self.failed().unwrap_or_default()))
    }
}

/// A change that waits, with whoever waits for it.
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
    pub(super) fn start(connection: Connection, owner: Owner) -> Result<Self, StoreError> {
        let (changes, waiting) = mpsc::sync_channel(WAITING_MAX);
        let state = Arc::new(State {
            failed: Mutex::new(None),
            has_failed: AtomicBool::new(false),
            commit_us: AtomicU64::new(0),
            started: Instant::now(),
            busy_since: AtomicU64::new(0),
        });
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let of_thread = state.clone();
        thread
            .spawn(move || write(connection, owner, &waiting, &of_thread))
            .map_err(|error| StoreError::Unusable(format!("no thread for the store: {error}")))?;
        Ok(Self { changes, state })
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.state.check()?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            change: Some(change),
            outcome: None,
            answer,
        };
        let full = |_| StoreError::Unavailable("too many writes are waiting".to_owned());
        self.changes.try_send(Box::new(waiting)).map_err(full)?;
        let gone = |_| StoreError::Unavailable("the writer has ended".to_owned());
        answered.await.map_err(gone)?
    }
}

fn write(
    mut connection: Connection,
    owner: Owner,
    waiting: &mpsc::Receiver<Box<dyn Change>>,
    state: &State,
) {
    let mut is_copied = true;
    loop {
        let first = match waiting.recv_timeout(IDLE) {
            Ok(first) => first,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if owner == Owner::Server && !is_copied && state.check().is_ok() {
                    is_copied = copy_back(&connection, Copy::WhatIsFree, state) == 0;
                }
                continue;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        };
        let begun = Instant::now();
        let since_start = begun.duration_since(state.started).as_micros() as u64;
        state.busy_since.store(since_start + 1, Ordering::Relaxed);
        let mut group = Vec::new();
        let committed = commit(&mut connection, first, waiting, &mut group, state);
        is_copied = false;
        state
            .commit_us
            .store(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
        for change in group {
            change.answer(committed.clone());
        }
        if owner == Owner::Server && committed.is_ok() {
            let waiting = copy_back(&connection, Copy::Nothing, state);
            if waiting > LOG_PAGES_MAX {
                copy_back(&connection, Copy::WhatIsFree, state);
            }
        }
        state.busy_since.store(0, Ordering::Relaxed);
    }
    if owner == Owner::Server && state.check().is_ok() {
        copy_back(&connection, Copy::AndEmpty, state);
    }
}

/// Runs a group of changes in one transaction. The changes come back in `group` to be answered.
fn commit(
    connection: &mut Connection,
    first: Box<dyn Change>,
    waiting: &mpsc::Receiver<Box<dyn Change>>,
    group: &mut Vec<Box<dyn Change>>,
    state: &State,
) -> Result<(), StoreError> {
    group.push(first);
    state.check()?;
    let begun = Instant::now();
    let mut tx = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| judge(&error, state))?;
    let mut at = 0;
    while at < group.len() {
        let savepoint = tx.savepoint().map_err(|error| judge(&error, state))?;
        match group[at].run(&savepoint) {
            Ok(()) => savepoint.commit().map_err(|error| judge(&error, state))?,
            // The savepoint rolls back; the change has its own answer.
            Err(_) => drop(savepoint),
        }
        at += 1;
        if at == group.len() && group.len() < GROUP_MAX && begun.elapsed() < GROUP_TIME_MAX {
            group.extend(waiting.try_recv());
        }
    }
    tx.commit().map_err(|error| judge(&error, state))
}

/// What an error of a whole transaction means for all of its changes.
fn judge(error: &rusqlite::Error, state: &State) -> StoreError {
    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    let is_sync = extended == ffi::SQLITE_IOERR_FSYNC || extended == ffi::SQLITE_IOERR_DIR_FSYNC;
    let is_corrupt = error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt);
    if is_sync || is_corrupt {
        tracing::error!(error = %error, "the store takes nothing more until a restart");
        state.fail(error.to_string());
        return StoreError::Failed(error.to_string());
    }
    tracing::warn!(error = %error, "a transaction failed and was rolled back");
    StoreError::Unavailable(error.to_string())
}

/// Copies the log into the database, and tells how many pages are only in the log.
fn copy_back(connection: &Connection, how: Copy, state: &State) -> i64 {
    match open::copy_back(connection, how) {
        Ok(log) => log.waiting(),
        // Acknowledged data is safe in the log; but a sync that failed is never tried again.
        Err(error) => {
            judge(&error, state);
            0
        }
    }
}
