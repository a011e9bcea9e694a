//! A panic hook of the app's own keeps its place, whatever it does.

use std::time::Duration;

use crate::support::program::{Ended, subject};
use crate::support::sink::Sink;

/// Runs an app whose hook, which was there first, prints and then does something.
fn hook_that(deed: &str) -> (Sink, Ended) {
    let sink = Sink::open();
    let ended = subject("hook").arg(deed).dsn(sink.dsn()).run();
    assert!(
        ended.stderr.contains("the chained hook: the cause"),
        "{ended:?}"
    );
    (sink, ended)
}

#[test]
fn a_hook_that_exits_ends_the_app_with_its_code() {
    let (_sink, ended) = hook_that("exit");

    ended.with_code(7);
}

#[test]
fn a_hook_that_aborts_ends_the_app_by_its_signal() {
    let (_sink, ended) = hook_that("abort");

    ended.by_abort();
}

#[test]
fn a_hook_that_panics_aborts_as_it_does_alone() {
    let (_sink, ended) = hook_that("panic");

    ended.by_abort();
}

#[test]
fn a_hook_that_sleeps_costs_no_report() {
    let (sink, ended) = hook_that("sleep");

    assert_eq!(ended.well().account("account").delivered, 1);
    assert_eq!(&*sink.only_event().message, "the cause");
}

#[test]
fn a_hook_may_log_what_it_was_told() {
    let (sink, ended) = hook_that("log");

    assert_eq!(ended.well().account("account").delivered, 2);
    let events = sink.events();
    let messages: Vec<_> = events.iter().map(|event| &*event.message).collect();
    assert_eq!(messages, ["the cause", "logged by the hook"]);
}

#[test]
fn hooks_from_before_and_after_the_guard_both_run() {
    let sink = Sink::open();

    let ended = subject("hook_order").dsn(sink.dsn()).run().well();

    let hooks: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(hooks, ["the last hook", "the first hook"]);
    assert_eq!(&*sink.only_event().message, "the cause");
}

#[test]
fn the_message_is_printed_before_anybody_waits_for_the_network() {
    let sink = Sink::black_hole();
    let timeout = Duration::from_secs(3);

    let mut running = subject("panic_in_main")
        .dsn(sink.dsn())
        .timeout(timeout)
        .spawn();
    running.wait_for_stderr("index out of bounds");

    assert!(
        running.is_running(),
        "the guard waits, the message does not"
    );
    let ended = running.wait().with_code(101);
    assert!(ended.took >= timeout, "{ended:?}");
}
