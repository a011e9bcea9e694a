//! What all capturing threads share with the shipping thread, found through one pointer.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Ended, EventKind};
use bugsage_core::id::EventId;
use bugsage_core::pauses::Pauses;
use bugsage_core::remote::{Rate, RemoteSettings};
use tokio::sync::Notify;

use crate::birthmark::Birthmark;
use crate::context::Scope;
use crate::fold::FoldTable;
use crate::launch::{Setup, launch};
use crate::ledger::{Ledger, Reason};
use crate::levels::{self, BREADCRUMBS, EVENTS, Follower};
use crate::limiter::Limiter;
use crate::queue::Queue;
use crate::spans::sampling::Sampling;
use crate::spool::LastRun;
use crate::spool::hours::Hours;
use crate::spool::layout::{Memory, Words};
use crate::ticks;

/// The client that captures now; null where there is none. Clients are leaked, since a thread may
/// be inside one at any time, so each initialization costs its memory for good.
static ACTIVE: AtomicPtr<Client> = AtomicPtr::new(std::ptr::null_mut());

/// Whether the app has paused capturing, which it may do before anything else.
static PAUSED: AtomicBool = AtomicBool::new(false);

/// Whether the app was told that nothing is reported: then the layer need not do anything either.
static OFF: AtomicBool = AtomicBool::new(false);

pub(crate) struct Client {
    pub(crate) ledger: Ledger,
    pub(crate) folds: FoldTable,
    pub(crate) queue: Queue,
    pub(crate) hours: Hours,
    pub(crate) hash_keys: RandomState,
    /// What a child that is made by `fork` starts with.
    setup: Option<Arc<Setup>>,
    birthmark: Birthmark,
    /// Tags and user of a test's recorder.
    pub(crate) scope: RwLock<Scope>,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) last_run: Option<LastRun>,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) sampling: Sampling,
    /// Whether the collector may change rates and levels.
    follows_collector: bool,
    /// In whose name the levels of the process are changed, which outlive this client.
    pub(crate) follower: Follower,
    /// Until when reports of each kind are not wanted, in microseconds since the epoch.
    unwanted_until: [AtomicU64; EventKind::ALL.len()],
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
    /// From when on a flush has no time left for symbols: the rest of its timeout is for shipping.
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

/// What a flush keeps of its timeout for shipping, half of it at most: symbols that are not found by then
/// go without.
const SHIPPING_TIME: Duration = Duration::from_millis(500);

/// Every so many slots that are filled the shipping thread is woken, whatever it does.
const WAKING_SLOTS: u16 = 256;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    #[default]
    No,
    AfterFlush,
    Now,
}

impl Client {
    pub(crate) fn new(
        setup: Arc<Setup>,
        memory: Memory,
        last_run: Option<LastRun>,
        hash_keys: RandomState,
    ) -> Self {
        Self {
            shutdown_timeout: setup.shutdown_timeout,
            last_run,
            limiter: setup.limit.map(Limiter::new),
            sampling: setup.sampling(),
            follows_collector: setup.follows_collector,
            setup: Some(setup),
            ..Self::recording(memory, hash_keys)
        }
    }

    /// A client that nobody ships for.
    pub(crate) fn recording(memory: Memory, hash_keys: RandomState) -> Self {
        // Before the first span: who recovers it has nothing else to date it by.
        ticks::note_epoch(&Words::Shared(memory.words));
        Self {
            ledger: Ledger::new(memory.words, memory.is_file),
            folds: FoldTable::new(memory.words),
            queue: Queue::new(memory.words, memory.records),
            hours: Hours::new(memory.words),
            hash_keys,
            setup: None,
            birthmark: Birthmark::new(),
            scope: RwLock::new(Scope::new()),
            shutdown_timeout: Duration::ZERO,
            last_run: None,
            limiter: None,
            follows_collector: false,
            follower: Follower::new(),
            // A recorder wants to see them all.
            sampling: Sampling::new(1.0, Vec::new(), None),
            unwanted_until: Default::default(),
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

    /// Why a report of a kind is not taken down now, if it is not.
    pub(crate) fn is_closed_to(&self, kind: EventKind, at: Timestamp) -> Option<Reason> {
        if PAUSED.load(Ordering::Relaxed) {
            return Some(Reason::Paused);
        }
        let until = self.unwanted_until[kind as usize].load(Ordering::Relaxed);
        (at.0 < until).then_some(Reason::Unwanted)
    }

    /// Takes in which kinds the collector does not want for how long.
    pub(crate) fn heard(&self, pauses: &Pauses, now: Timestamp) {
        for (kind, pause) in pauses.iter() {
            let until = now.0.saturating_add(pause.as_micros() as u64);
            self.unwanted_until[kind as usize].store(until, Ordering::Relaxed);
        }
    }

    /// Takes in what the collector asks for. What it asks for no more is the app's own matter again.
    pub(crate) fn follow(&self, asked: RemoteSettings) {
        if !self.follows_collector {
            return;
        }
        self.sampling.ask_rate(asked.traces_rate.map(Rate::get));
        EVENTS.ask(self.follower, asked.event_level);
        BREADCRUMBS.ask(self.follower, asked.breadcrumb_level);
    }

    /// Tells the shipping thread that there is work, unless it knows or will look soon enough. `slot` is
    /// where the work lies: often enough as slots fill up it is told in any case.
    pub(crate) fn wake(&self, slot: u16) {
        let is_filling = slot % WAKING_SLOTS == WAKING_SLOTS - 1;
        if !self.awake.swap(true, Ordering::AcqRel) || is_filling {
            self.work.notify_one();
        }
    }

    /// The shipping thread sleeps for a moment so short that nobody needs to wake it: waking it costs
    /// a capturing thread more than all else but the stack.
    pub(crate) fn napping(&self) {
        self.awake.store(true, Ordering::Release);
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
            let for_symbols = timeout - (timeout / 2).min(SHIPPING_TIME);
            progress.symbols_until = Instant::now().checked_add(for_symbols);
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

/// Ten bytes for a number: keyed hashes, with keys from the system. Children of one process may have
/// the same keys, so the process counts too.
pub(crate) fn random(keys: &RandomState, number: u64) -> [u8; 10] {
    let process = std::process::id();
    let halves = [0_u8, 1].map(|half| keys.hash_one((number, process, half)));
    let mut random = [0; 10];
    random[..8].copy_from_slice(&halves[0].to_le_bytes());
    random[8..].copy_from_slice(&halves[1].to_le_bytes()[..2]);
    random
}

impl Client {
    /// The client of this process: this one, or in a child the one that was started there, if any
    /// was.
    pub(crate) fn of_this_process(&'static self) -> Option<&'static Self> {
        if self.birthmark.is_here() {
            return Some(self);
        }
        let client = ACTIVE.load(Ordering::Acquire);
        // SAFETY: as in `active`.
        let client: Option<&'static Client> = unsafe { client.as_ref() };
        client.filter(|client| client.birthmark.is_here())
    }
}

/// Notes whether the SDK was told to start and could not.
pub(crate) fn set_off(is_off: bool) {
    OFF.store(is_off, Ordering::Relaxed);
}

/// Whether nobody will ever ask what surrounds a report on this thread.
#[inline]
pub(crate) fn is_off() -> bool {
    OFF.load(Ordering::Relaxed) && crate::test::recording().is_none()
}

/// Whether the app has paused capturing.
#[inline]
pub(crate) fn is_paused() -> bool {
    PAUSED.load(Ordering::Relaxed)
}

/// Ends or resumes capturing by whatever client.
pub(crate) fn pause(is_paused: bool) {
    PAUSED.store(is_paused, Ordering::Relaxed);
}

/// Whom this thread reports to: a test's recorder, else the client that captures now.
#[inline]
pub(crate) fn listening() -> Option<&'static Client> {
    crate::test::recording().or_else(active)
}

/// The client that captures now.
#[inline]
pub(crate) fn active() -> Option<&'static Client> {
    let client = ACTIVE.load(Ordering::Acquire);
    // SAFETY: the pointer is null or comes from `activate`, which was given a reference that
    // lives for ever.
    let client: &'static Client = unsafe { client.as_ref() }?;
    if client.birthmark.is_here() {
        return Some(client);
    }
    active_in_child(client)
}

/// Whoever is the first in a child starts over; others find nobody for these few milliseconds.
#[cold]
fn active_in_child(client: &'static Client) -> Option<&'static Client> {
    let setup = client.setup.clone().filter(|_| client.birthmark.claim())?;
    match launch(setup, Some(client)) {
        Ok(own) => Some(own),
        Err(_) => {
            deactivate(client);
            None
        }
    }
}

/// Makes a client the one that captures, in place of `known`. False where another one does.
pub(crate) fn activate(client: &'static Client, known: Option<&'static Client>) -> bool {
    ACTIVE
        .compare_exchange(
            pointer(known),
            pointer(Some(client)),
            Ordering::AcqRel,
            Ordering::Acquire,
        )
        .is_ok()
}

fn pointer(client: Option<&'static Client>) -> *mut Client {
    client.map_or(std::ptr::null_mut(), |client| {
        std::ptr::from_ref(client).cast_mut()
    })
}

/// Ends capturing by this client.
pub(crate) fn deactivate(client: &'static Client) {
    let (known, nobody) = (pointer(Some(client)), pointer(None));
    // Where another client is active already there is nothing to end.
    let _ = ACTIVE.compare_exchange(known, nobody, Ordering::AcqRel, Ordering::Acquire);
    levels::unfollow(client.follower);
}

/// Notes for the next start that a panic ends the process.
pub(crate) fn ends_by_panic() {
    if let Some(client) = active() {
        client.ledger.ended(Ended::Panicked);
    }
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

/// The present time as it goes with spans, for a part of the price: what the spans' clock has gone on since the
/// shipping thread last compared the two.
pub(crate) fn now_of_spans() -> Timestamp {
    match listening() {
        Some(client) => ticks::date(&client.ledger.books.words, ticks::now()),
        None => now(),
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
