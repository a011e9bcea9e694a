//! A panic hook of the app's own keeps its place, whatever it does.

use std::time::Duration;

use bugsage_core::event::Event;

use crate::support::collector::Folder;
use crate::support::program::{Ended, Program, subject};
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
fn a_hook_that_runs_while_others_are_looked_for_costs_no_report() {
    let sink = Sink::open();
    let ended = subject("hook_slow").dsn(sink.dsn()).run();

    assert_eq!(ended.well().account("account").delivered, 21);
}

#[test]
fn a_hook_may_log_what_it_was_told() {
    let (sink, ended) = hook_that("log");

    assert_eq!(ended.well().account("account").delivered, 2);
    let events = sink.events();
    let messages: Vec<_> = events.iter().map(|event| &*event.message).collect();
    assert_eq!(messages, ["the cause", "logged by the hook"]);
}

/// Ends an app by a hook that kills it, or by the way in which it ends itself, and lets another life
/// find what is in the file.
#[track_caller]
fn what_is_left(dying: Program, how: impl FnOnce(Ended) -> Ended) -> Vec<Event> {
    let (sink, spool) = (Sink::open(), Folder::new());
    how(dying.spool(spool.path()).dsn(sink.dsn()).run());

    let heir = subject("nothing").spool(spool.path()).dsn(sink.dsn());
    heir.run().well();

    sink.events()
}

#[track_caller]
fn messages(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| &*event.message).collect()
}

#[test]
fn the_record_is_in_the_file_before_a_chained_hook_runs_wherever_the_panic_is() {
    for (way, expected) in [
        (
            "main",
            "index out of bounds: the len is 3 but the index is 7",
        ),
        (
            "thread",
            "index out of bounds: the len is 3 but the index is 7",
        ),
        ("inlined call", "in an inlined call"),
        ("small stack", "on a small stack"),
        ("task", "order 17 cannot be booked"),
        ("extern C", "nothing may unwind into C"),
        ("thread-local", "in a destructor of a thread-local"),
        ("stdout", "with the locks held"),
    ] {
        let events = what_is_left(subject("hook_kills").arg(way), Ended::by_kill);

        assert_eq!(messages(&events), [expected], "{way}");
        assert!(events[0].location.is_some(), "{way}");
    }
}

#[test]
fn the_record_of_a_second_panic_is_in_the_file_before_a_chained_hook_runs() {
    let events = what_is_left(subject("hook_kills").arg("destructor"), Ended::by_kill);

    let expected = ["the first", "the second, in a destructor"];
    assert_eq!(messages(&events), expected);
}

#[test]
fn a_panic_is_in_the_file_before_a_hook_ends_the_process() {
    for deed in ["panic", "abort"] {
        let events = what_is_left(subject("hook").arg(deed), Ended::by_abort);

        assert_eq!(messages(&events), ["the cause"], "{deed}");
    }
    let exiting = subject("hook").arg("exit");
    let events = what_is_left(exiting, |ended| ended.with_code(7));
    assert_eq!(messages(&events), ["the cause"]);
}

#[test]
fn panics_that_abort_are_found_by_the_next_start() {
    for (scenario, expected) in [
        (
            "panic_in_drop",
            &["the first", "the second, in a destructor"][..],
        ),
        ("panic_in_extern_c", &["nothing may unwind into C"]),
        (
            "panic_in_thread_local",
            &["in a destructor of a thread-local"],
        ),
    ] {
        let events = what_is_left(subject(scenario), Ended::by_abort);

        let messages = messages(&events);
        let own = messages.iter().take(expected.len());
        assert_eq!(own.collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        // Where nothing may unwind, std panics once more before it aborts, and says why.
        let rest = &messages[expected.len()..];
        let is_of_std = |message: &&str| message.starts_with("panic in a ");
        assert!(rest.len() <= 1 && rest.iter().all(is_of_std), "{rest:?}");
    }
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
fn hooks_that_call_nobody_run_beside_ours_in_any_order() {
    for (order, printed) in [
        ("silent us nothing", "the silent hook"),
        ("nothing us silent", "the silent hook"),
        ("colourful us nothing", "The application panicked (crashed)"),
        ("nothing us colourful", "The application panicked (crashed)"),
        ("silent us colourful", "The application panicked (crashed)"),
        ("colourful us silent", "the silent hook"),
    ] {
        let sink = Sink::open();

        let ended = subject("hook_of_others").arg(order).dsn(sink.dsn());
        let ended = ended.run().well();

        assert!(ended.stderr.contains(printed), "{order}: {ended:?}");
        let events = sink.events();
        let reports: u64 = events.iter().map(|event| event.count).sum();
        assert_eq!(
            (messages(&events), reports),
            (vec!["the cause"], 1),
            "{order}"
        );
    }
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
