//! Panics, in all the places where a panic can happen.

use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use tracing::Instrument;

use crate::{add_layer, builder, finish, start, tell_account, timeout};

/// The whole app panics, with the guard on the stack.
pub(crate) fn in_main() {
    let _guard = start();
    pick(&[10, 20, 30], 7);
}

pub(crate) fn in_thread() {
    let guard = start();
    let thread = thread::Builder::new().name("worker-7".to_owned());
    let ended = thread
        .spawn(|| pick(&[10, 20, 30], 7))
        .expect("a thread can be started")
        .join();
    assert!(ended.is_err());
    finish(guard);
}

/// Panics where everybody panics.
pub(crate) fn in_pick() {
    pick(&[1, 2, 3], 7);
}

#[inline(never)]
fn pick(values: &[u32], at: usize) -> u32 {
    values[at] // here: pick
}

pub(crate) fn payloads() {
    struct OutOfStock;
    struct Unnamed;

    let guard = builder().panic_payload::<OutOfStock>().init();
    let amount = 17;
    let _ = catch_unwind(|| panic!("a text"));
    let _ = catch_unwind(|| panic!("a text with {amount}"));
    let _ = catch_unwind(|| panic::panic_any(amount));
    let _ = catch_unwind(|| panic::panic_any(OutOfStock));
    let _ = catch_unwind(|| panic::panic_any(Unnamed));
    finish(guard);
}

pub(crate) fn with_long_message() {
    let guard = start();
    let ended = catch_unwind(|| panic!("{}", "long ".repeat(100_000)));
    assert!(ended.is_err());
    finish(guard);
}

pub(crate) fn in_inlined_call() {
    let guard = start();
    let _ = catch_unwind(calling);
    finish(guard);
}

#[inline(never)]
fn calling() {
    inlined(); // here: calling
}

#[inline(always)]
fn inlined() {
    panic!("in an inlined call"); // here: inlined
}

pub(crate) fn on_small_stack() {
    on_stack(64 << 10);
}

/// With as much around it as a report tells of: spans, breadcrumbs, tags, a user.
pub(crate) fn on_stack(bytes: usize) {
    let guard = start();
    add_layer();
    let thread = thread::Builder::new().stack_size(bytes);
    let ended = thread
        .spawn(|| {
            let words = "many words ".repeat(100);
            let _span = tracing::info_span!("small", room = "64 KiB").entered();
            let _inner = tracing::info_span!("inner", words).entered();
            bugsage_sdk::set_user("ann");
            for number in 0..20 {
                bugsage_sdk::set_tag(format!("tag {number}"), &words);
            }
            for number in 0..200 {
                tracing::info!("breadcrumb {number}");
            }
            panic!("on a small stack");
        })
        .expect("a thread can be started")
        .join();
    assert!(ended.is_err());
    finish(guard);
}

/// With both locks of the standard streams held, by the thread that panics and by another.
pub(crate) fn holding_stdout() {
    let guard = start();
    let held = (io::stdout().lock(), io::stderr().lock());
    let ended = catch_unwind(|| panic!("with the locks held"));
    assert!(ended.is_err());
    // The message of this one waits for the lock; its report does not.
    let thread = thread::spawn(|| panic!("beside the locks"));
    while guard.flush(timeout()).produced < 2 {
        thread::yield_now();
    }
    let report = guard.flush(timeout());
    drop(held);
    assert!(thread.join().is_err());
    tell_account("while held", &report);
    finish(guard);
}

/// As a thread pool hands a panic on to whoever waits.
pub(crate) fn resumed() {
    let guard = start();
    let payload = catch_unwind(|| panic!("only once")).expect_err("it panicked");
    let again = catch_unwind(AssertUnwindSafe(|| panic::resume_unwind(payload)));
    assert!(again.is_err());
    finish(guard);
}

pub(crate) fn in_hundred_threads() {
    let guard = start();
    let barrier = std::sync::Barrier::new(100);
    thread::scope(|scope| {
        let panicking = |number: u32| {
            barrier.wait();
            panic!("number {number}");
        };
        let threads: Vec<_> = (0..100)
            .map(|number| scope.spawn(move || panicking(number)))
            .collect();
        for thread in threads {
            assert!(thread.join().is_err());
        }
    });
    finish(guard);
}

/// A hundred thousand, from four threads.
pub(crate) fn many_times() {
    panic::set_hook(Box::new(|_| {}));
    let guard = start();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25_000 {
                    let _ = catch_unwind(|| pick(&[10, 20, 30], 7));
                }
            });
        }
    });
    finish(guard);
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the second, in a destructor");
    }
}

pub(crate) fn in_drop() {
    let _guard = start();
    let _bomb = Bomb;
    panic!("the first");
}

pub(crate) fn in_extern_c() {
    extern "C" fn called_from_c() {
        panic!("nothing may unwind into C");
    }
    let _guard = start();
    called_from_c();
}

/// A thread-local that panics while its thread ends.
struct LastWords {
    is_caught: Cell<bool>,
}

impl Drop for LastWords {
    fn drop(&mut self) {
        if self.is_caught.get() {
            let _ = catch_unwind(|| panic!("in a destructor of a thread-local"));
        } else {
            panic!("in a destructor of a thread-local");
        }
    }
}

thread_local! {
    static LAST_WORDS: LastWords = const { LastWords { is_caught: Cell::new(false) } };
}

/// The thread's own places are gone in part when this one is reported.
pub(crate) fn caught_in_thread_local() {
    let guard = start();
    add_layer();
    let ended = thread::spawn(|| {
        // First of all, so that it is destroyed last.
        LAST_WORDS.with(|words| words.is_caught.set(true));
        let _span = tracing::info_span!("used").entered();
        tracing::info!("a breadcrumb");
    })
    .join();
    assert!(ended.is_ok());
    finish(guard);
}

pub(crate) fn in_thread_local() {
    let _guard = start();
    let _ = thread::spawn(|| LAST_WORDS.with(|words| words.is_caught.set(false))).join();
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn in_task_of_many_threads() {
    in_task().await;
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn in_task_of_one_thread() {
    in_task().await;
}

async fn in_task() {
    let guard = start();
    add_layer();
    let request = book(17).instrument(tracing::info_span!("request", id = 4711));
    let ended = tokio::spawn(request).await;
    assert!(ended.is_err());
    finish(guard);
}

#[tracing::instrument]
async fn book(order: u32) {
    tracing::info!("before the await");
    tokio::time::sleep(Duration::from_millis(20)).await;
    tracing::warn!(left = 0, "after the await");
    panic!("order {order} cannot be booked"); // here: book
}

/// Two tasks on one thread take turns, and only one of them panics.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn in_task_after_await() {
    let guard = start();
    add_layer();
    let task = |name: &'static str, fails: bool| {
        let span = tracing::info_span!("request", name);
        let work = async move {
            for step in 0..3 {
                tracing::info!("{name} {step}");
                tokio::task::yield_now().await;
            }
            assert!(!fails, "{name} failed");
        };
        tokio::spawn(work.instrument(span))
    };
    let (quiet, failing) = (task("quiet", false), task("failing", true));
    assert!(failing.await.is_err());
    quiet.await.expect("does not panic");
    finish(guard);
}
