//! What all capturing threads share with the shipping thread, found through one pointer.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::Ended;
use bugsage_core::id::EventId;
use tokio::sync::Notify;

use crate::fold::FoldTable;
use crate::ledger::Ledger;
use crate::queue::Queue;
use crate::spool::LastRun;
use crate::spool::hours::Hours;
use crate::spool::layout::Memory;

/// The client that captures now; null where there is none. Clients are leaked, since a thread may
/// be inside one at any time, so each initialization costs its memory for good.
static ACTIVE: AtomicPtr<Client> = AtomicPtr::new(std::ptr::null_mut());

pub(crate) struct Client {
    pub(crate) ledger: Ledger,
    pub(crate) folds: FoldTable,
    pub(crate) queue: Queue,
    pub(crate) hours: Hours,
    pub(crate) hash_keys: RandomState,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) last_run: Option<LastRun>,
    ids: AtomicU64,
    /// Whether the shipping thread has been told of new work already.
    awake: AtomicBool,
    pub(crate) work: Notify,
    progress: Mutex<Progress>,
    progressed: Condvar,
}

/// What others ask of the shipping thread, and how far it has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Number of the latest flush that was asked for.
    pub(crate) flush_wanted: u64,
    /// Number of the latest flush that is done.
    pub(crate) flush_done: u64,
    /// From when on a flush has no time left for symbols: half of its timeout is for shipping.
    symbols_until: Option<Instant>,
    /// Whether the thread is to end, once its flush is done or at once.
    pub(crate) stop: Stop,
    /// Whether it has ended.
    pub(crate) ended: bool,
}

impl Progress {
    /// Whether somebody waits who has no time left for symbols.
    pub(crate) fn is_past_symbols(&self, now: Instant) -> bool {
        let is_flushing = self.flush_done < self.flush_wanted;
        is_flushing && self.symbols_until.is_some_and(|until| until <= now)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    #[default]
    No,
    AfterFlush,
    Now,
}

impl Client {
    pub(crate) fn new(
        shutdown_timeout: Duration,
        memory: Memory,
        last_run: Option<LastRun>,
        hash_keys: RandomState,
    ) -> Self {
        Self {
            ledger: Ledger::new(memory.words, memory.is_file),
            folds: FoldTable::new(memory.words),
            queue: Queue::new(memory.words, memory.records),
            hours: Hours::new(memory.words),
            hash_keys,
            shutdown_timeout,
            last_run,
            // Zero names the run.
            ids: AtomicU64::new(1),
            awake: AtomicBool::new(false),
            work: Notify::new(),
            progress: Mutex::new(Progress::default()),
            progressed: Condvar::new(),
        }
    }

    /// Ten bytes that no other call gets.
    pub(crate) fn random(&self) -> [u8; 10] {
        random(&self.hash_keys, self.ids.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn new_id(&self, at: Timestamp) -> EventId {
        EventId::new(at, self.random())
    }

    /// Tells the shipping thread that there is work, unless it knows.
    pub(crate) fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            self.work.notify_one();
        }
    }

    /// The shipping thread is about to look for work.
    pub(crate) fn looking(&self) {
        self.awake.store(false, Ordering::Release);
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change_progress(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.progressed.notify_all();
    }

    /// Asks that all that was captured so far be delivered, and waits at most `timeout` for it.
    pub(crate) fn flush(&self, timeout: Duration, stop: Stop) {
        let deadline = Instant::now().checked_add(timeout);
        let mut wanted = 0;
        self.change_progress(|progress| {
            progress.symbols_until = Instant::now().checked_add(timeout / 2);
            progress.flush_wanted += 1;
            wanted = progress.flush_wanted;
            if progress.stop == Stop::No {
                progress.stop = stop;
            }
        });
        self.awake.store(true, Ordering::Release);
        self.work.notify_one();

        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        while progress.flush_done < wanted && !progress.ended {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // A timeout beyond what a clock can say is as good as a year.
            let left = left.unwrap_or(Duration::from_secs(365 * 86_400));
            if left.is_zero() {
                break;
            }
            let waited = self.progressed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Ten bytes for a number: keyed hashes, with keys from the system.
pub(crate) fn random(keys: &RandomState, number: u64) -> [u8; 10] {
    let halves = [keys.hash_one((number, 0_u8)), keys.hash_one((number, 1_u8))];
    let mut random = [0; 10];
    random[..8].copy_from_slice(&halves[0].to_le_bytes());
    random[8..].copy_from_slice(&halves[1].to_le_bytes()[..2]);
    random
}

/// The client that captures now.
pub(crate) fn active() -> Option<&'static Client> {
    let client = ACTIVE.load(Ordering::Acquire);
    // SAFETY: the pointer is null or comes from `activate`, which was given a reference that
    // lives for ever.
    unsafe { client.as_ref() }
}

/// Makes a client the one that captures. False where another one does already.
pub(crate) fn activate(client: &'static Client) -> bool {
    let client = std::ptr::from_ref(client).cast_mut();
    let null = std::ptr::null_mut();
    ACTIVE
        .compare_exchange(null, client, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

/// Ends capturing by this client.
pub(crate) fn deactivate(client: &'static Client) {
    let client = std::ptr::from_ref(client).cast_mut();
    let null = std::ptr::null_mut();
    // Where another client is active already there is nothing to end.
    let _ = ACTIVE.compare_exchange(client, null, Ordering::AcqRel, Ordering::Acquire);
}

/// Waits until what was captured is delivered, for a process that ends when the hook returns.
pub(crate) fn deliver_before_abort() {
    if crate::context::thread_is_ours() {
        return;
    }
    if let Some(client) = active() {
        client.ledger.ended(Ended::Panicked);
        client.flush(client.shutdown_timeout, Stop::No);
    }
}

/// The present time; zero where the clock stands before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the SDK is an edge: a report is dated here"
)]
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_epoch.map_or(0, |duration| duration.as_micros() as u64))
}
