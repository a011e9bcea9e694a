//! The app that the tests look at from outside: `subject SCENARIO [ARGUMENT]`.
//!
//! It tells what it sees on standard output, as `name: value` a line.

mod panics;
mod hooks;
mod modules;
mod errors;
mod context;
mod layers;
mod delivery;
mod control;
mod children;
mod spool;
mod runs;
mod spans;
#[cfg(feature = "aws-lc")]
mod tls;

use std::time::{Duration, Instant};

use bugsage_sdk::{Builder, Guard, Report, SpanReport};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() {
    let scenario = std::env::args().nth(1).expect("a scenario is named");
    match &*scenario {
        "panic_in_main" => panics::in_main(),
        "panic_in_thread" => panics::in_thread(),
        "panic_payloads" => panics::payloads(),
        "panic_with_long_message" => panics::with_long_message(),
        "panic_in_inlined_call" => panics::in_inlined_call(),
        "panic_on_small_stack" => panics::on_small_stack(),
        "panic_on_stack" => panics::on_stack(argument().parse().expect("is a number")),
        "panic_resumed" => panics::resumed(),
        "panic_in_hundred_threads" => panics::in_hundred_threads(),
        "panic_many_times" => panics::many_times(),
        "panic_in_drop" => panics::in_drop(),
        "panic_in_extern_c" => panics::in_extern_c(),
        "panic_caught_in_thread_local" => panics::caught_in_thread_local(),
        "panic_in_thread_local" => panics::in_thread_local(),
        "panic_in_task_of_many_threads" => panics::in_task_of_many_threads(),
        "panic_in_task_of_one_thread" => panics::in_task_of_one_thread(),
        "panic_in_task_after_await" => panics::in_task_after_await(),
        "panic_holding_stdout" => panics::holding_stdout(),
        "hook" => hooks::chained(&argument()),
        "hook_slow" => hooks::slow(),
        "hook_order" => hooks::order(),
        "hook_of_others" => hooks::of_others(&argument()),
        "hook_kills" => hooks::kills(&argument()),
        "libraries" => modules::libraries(&argument()),
        "replaced" => modules::replaced(&argument()),
        "capture_error" => errors::captured(),
        "error_stacks" => errors::with_stacks(),
        "coloured_error_stack" => errors::with_coloured_stack(),
        "log_error" => errors::logged(),
        "display_panics" => errors::display_panics(),
        "long_chain" => errors::long_chain(),
        "debug_panics" => errors::debug_panics(),
        "context" => context::of_a_panic(&argument()),
        "breadcrumbs" => context::breadcrumbs(),
        "tags" => context::tags(),
        "hold_lock" => layers::hold_lock(&argument()),
        "secrets" => context::secrets(),
        "nothing" => delivery::nothing(),
        "messages" => delivery::messages(&argument()),
        "drop_full" => delivery::drop_full(),
        "drop_guard" => delivery::drop_guard(),
        "flush_then_shutdown" => delivery::flush_then_shutdown(&argument()),
        "before_send" => delivery::before_send(),
        "forget_guard" => delivery::forget_guard(),
        "two_guards" => delivery::two_guards(),
        "two_lives" => delivery::two_lives(),
        "limited" => control::limited(),
        "paused" => control::paused(),
        "unwanted" => control::unwanted(),
        "own_transport" => control::own_transport(),
        "own_root" => control::own_root(&argument()),
        "follow" => control::follow(&argument()),
        "deaf" => control::deaf(&argument()),
        "twice" => control::twice(),
        "fork" => children::fork(&argument()),
        "die" => spool::die(&argument()),
        "load" => spool::load(),
        "linger" => spool::linger(),
        "secret_and_die" => spool::secret_and_die(),
        "drop_recovered" => spool::drop_recovered(),
        "last_run" => spool::last_run(),
        "busy" => runs::busy(&argument()),
        "requests" => spans::requests(&argument()),
        "requests_and_die" => spans::requests_and_die(&argument()),
        "span_filter" => spans::filtered(),
        "flood_of_spans" => spans::flood(),
        "quiet" => runs::quiet(&argument()),
        #[cfg(feature = "aws-lc")]
        "tls" => tls::beside(&argument()),
        _ => panic!("there is no scenario {scenario:?}"),
    }
}

/// What was given to the scenario.
fn argument() -> String {
    std::env::args()
        .nth(2)
        .expect("the scenario has an argument")
}

/// The settings of every scenario; where reports go is in the environment.
fn builder() -> Builder {
    bugsage_sdk::builder()
        .release("subject@1.2.3+0a1b2c3d")
        .environment("test")
        .shutdown_timeout(timeout())
}

fn start() -> Guard {
    builder().init()
}

fn add_layer() {
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();
}

/// Long, unless a test wants to see it pass: delivery ends it.
fn timeout() -> Duration {
    let millis = std::env::var("SUBJECT_TIMEOUT_MS").ok();
    let millis = millis.map(|millis| millis.parse().expect("is a number"));
    Duration::from_millis(millis.unwrap_or(30_000))
}

/// Ends the SDK and tells what became of everything.
fn finish(guard: Guard) {
    tell_account("account", &guard.shutdown(timeout()));
}

fn tell_account(name: &str, report: &Report) {
    let Report {
        produced,
        delivered,
        spooled,
        pending,
        dropped,
        spans,
    } = report;
    print!("{name}: produced={produced} delivered={delivered} spooled={spooled} pending={pending}");
    for (reason, reports) in dropped {
        print!(" dropped.{reason}={reports}");
    }
    println!();
    let SpanReport {
        produced,
        delivered,
        spooled,
        pending,
        dropped,
    } = spans;
    print!(
        "{name} of spans: produced={produced} delivered={delivered} spooled={spooled} pending={pending}"
    );
    for (reason, spans) in dropped {
        print!(" dropped.{reason}={spans}");
    }
    println!();
}

/// Runs something and tells how long it took.
fn tell_time<T>(name: &str, run: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let value = run();
    println!("{name}: {}", started.elapsed().as_millis());
    value
}
