//! The panic hook: takes the report down, lets the app's own hooks print, and returns.

use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bugsage_core::event::{EventKind, Level};

use super::backtrace::Addresses;
use super::payload::{self, Words};
use super::{Sighting, capture};
use crate::client;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

static INSTALLED: Once = Once::new();

/// Where our hook lies, as far as it can be told from others.
static OURS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether our hook runs on this thread: what it calls may be ours again, further in.
    static RUNS: Cell<bool> = const { Cell::new(false) };

    /// Whether this thread tries something that may panic and concerns nobody.
    static TRIES: Cell<bool> = const { Cell::new(false) };
}

/// How often our hook was called.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// How many threads it runs on. One that prints a backtrace takes as long as a few looks are apart.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// When it is seen whether another hook was set in place of ours, in milliseconds after the start: while `main`
/// sets everything up, and once more for what starts slowly.
///
/// There is no way to look without taking the hook for a moment, some 200 ns, in which a panic meets std's own
/// and a hook that is set is put aside. So it is looked for seldom.
const LOOKS_MS: [u64; 3] = [5, 50, 1_000];

/// What std says right before it aborts, since a panic may not go on from where it is.
const LAST_WORDS: [&str; 2] = [
    "panic in a function that cannot unwind",
    "panic in a destructor during cleanup",
];

/// Puts our hook in front of the one that is installed, once per process.
pub(crate) fn install() {
    if thread::panicking() {
        // `set_hook` panics then. The next init gets another chance.
        return;
    }
    INSTALLED.call_once(|| put_in_front(panic::take_hook()));
}

/// Keeps our hook in front of those that are set in the first second: some, as that of `color-eyre`, do not
/// call the one that they found.
///
/// On a thread of its own, which ends then: a hook that runs meanwhile holds up who sets another one, for as
/// long as it likes.
pub(crate) fn stay_in_front() {
    static STAYS: Once = Once::new();
    STAYS.call_once(|| {
        let look = || {
            let mut waited = Duration::ZERO;
            let mut calls = CALLS.load(Ordering::Relaxed);
            for at in LOOKS_MS.map(Duration::from_millis) {
                thread::sleep(at - waited);
                waited = at;
                let before = std::mem::replace(&mut calls, CALLS.load(Ordering::Relaxed));
                if calls != before || RUNNING.load(Ordering::Relaxed) > 0 {
                    // It is called. While threads panic, those that wait for their turn would meet std's.
                    continue;
                }
                let installed = panic::take_hook();
                if address(&installed) == OURS.load(Ordering::Relaxed) {
                    panic::set_hook(installed);
                } else {
                    put_in_front(installed);
                }
            }
        };
        let thread = thread::Builder::new()
            .name("bugsage-hook".to_owned())
            // It calls nothing that is deep, and no hook.
            .stack_size(64 << 10);
        // Without it our hook stays where it is, which is in front of what was set before.
        let _ = thread.spawn(look);
    });
}

/// Runs something whose panic is neither reported nor printed. `None` where our hook is not there to see to it.
pub(crate) fn in_silence<T>(run: impl FnOnce() -> T) -> Option<T> {
    if !INSTALLED.is_completed() || thread::panicking() {
        return None;
    }
    TRIES.set(true);
    let done = run();
    TRIES.set(false);
    Some(done)
}

fn put_in_front(chained: Hook) {
    let hook: Hook = Box::new(move |info| run(info, &chained));
    OURS.store(address(&hook), Ordering::Relaxed);
    panic::set_hook(hook);
}

fn address(hook: &Hook) -> usize {
    std::ptr::from_ref(&**hook).addr()
}

fn run(info: &PanicHookInfo<'_>, chained: &Hook) {
    if TRIES.get() {
        return;
    }
    CALLS.fetch_add(1, Ordering::Relaxed);
    RUNNING.fetch_add(1, Ordering::Relaxed);
    report(info, chained);
    RUNNING.fetch_sub(1, Ordering::Relaxed);
}

fn report(info: &PanicHookInfo<'_>, chained: &Hook) {
    if RUNS.replace(true) {
        // The hook that was put in front of us calls us, or what it logs panics: it is taken down already.
        return chained(info);
    }
    // First the record: the chained hook may exit, abort, sleep or panic.
    take_down(info);
    chained(info);
    if cfg!(panic = "abort") {
        // The process ends when we return, and nobody else can send what it knew.
        client::deliver_before_abort();
    }
    RUNS.set(false);
}

fn take_down(info: &PanicHookInfo<'_>) {
    let mut words = Words::new();
    let message = payload::describe(info.payload(), &mut words);
    let location = info
        .location()
        .map(|at| (at.file(), at.line(), at.column()));
    if LAST_WORDS.contains(&message) {
        client::ends_by_panic();
    }
    let addresses = Addresses::take();
    capture(&Sighting {
        kind: EventKind::Panic,
        level: Level::Fatal,
        message,
        errors: &[],
        location,
        addresses: addresses.as_slice(),
        stack: "",
    });
}
