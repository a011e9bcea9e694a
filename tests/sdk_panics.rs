//! Whatever panics, wherever it panics, is reported once, with all that is known about it.

use bugsage_core::event::{Event, EventKind, Level};
use bugsage_core::fingerprint::frames::{self, Part};
use bugsage_core::limits;

use crate::support::program::{Ended, subject};
use crate::support::sink::Sink;
use crate::support::source;

fn run(scenario: &str) -> (Sink, Ended) {
    let sink = Sink::open();
    let ended = subject(scenario).dsn(sink.dsn()).run();
    (sink, ended)
}

/// Runs a scenario that reports one event and ends well.
#[track_caller]
fn only_event(scenario: &str) -> Event {
    let (sink, ended) = run(scenario);
    let account = ended.well().account("account");
    assert_eq!((account.produced, account.delivered), (1, 1));
    sink.only_event()
}

#[test]
fn a_panic_arrives_with_message_place_thread_and_run() {
    let event = only_event("panic_in_thread");

    assert_eq!(event.kind, EventKind::Panic);
    assert_eq!(event.level, Level::Fatal);
    assert_eq!(event.count, 1);
    assert_eq!(
        &*event.message,
        "index out of bounds: the len is 3 but the index is 7"
    );
    source::in_panics("pick").is(event.location.as_ref());
    assert_eq!(event.thread.name.as_deref(), Some("worker-7"));
    assert_eq!(event.run.release.as_deref(), Some("subject@1.2.3+0a1b2c3d"));
    assert_eq!(event.run.commit(), Some("0a1b2c3d"));
    assert_eq!(event.run.environment.as_deref(), Some("test"));
    assert!(event.first_at >= event.run.started_at);
    let os = event.contexts.iter().find(|(name, _)| &**name == "os.name");
    assert_eq!(os.map(|(_, value)| &**value), Some(std::env::consts::OS));
}

#[test]
fn a_stack_begins_in_the_app_and_has_no_panic_machinery() {
    let event = only_event("panic_in_thread");

    let stack = event.stack.expect("a stack was taken");
    assert!(stack.symbolicated);
    source::in_panics("pick").is_called(&stack.frames[0], "panics::pick");
    for frame in &stack.frames {
        let part = frames::judge(frame);
        assert_ne!(part, Part::Machinery, "{frame:?}");
        assert_ne!(part, Part::Runtime, "{frame:?}");
        assert_eq!(frame.in_app, part == Part::App, "{frame:?}");
    }
    let module = stack.frames[0]
        .module
        .as_deref()
        .expect("the binary is known");
    assert!(module.path.ends_with("/subject"), "{module:?}");
}

#[test]
fn an_inlined_call_is_on_the_stack() {
    let event = only_event("panic_in_inlined_call");

    let frames = &event.stack.expect("a stack was taken").frames;
    source::in_panics("inlined").is_called(&frames[0], "panics::inlined");
    assert!(frames[0].inlined);
    source::in_panics("calling").is_called(&frames[1], "panics::calling");
    assert!(!frames[1].inlined);
}

#[test]
fn every_kind_of_payload_is_reported() {
    let (sink, ended) = run("panic_payloads");

    ended.well();
    let messages: Vec<_> = sink
        .events()
        .into_iter()
        .map(|event| event.message)
        .collect();
    assert_eq!(
        messages
            .iter()
            .map(|message| &**message)
            .collect::<Vec<_>>(),
        [
            "a text",
            "a text with 17",
            "Box<dyn Any>: 17 (i32)",
            "Box<dyn Any>: subject::panics::payloads::OutOfStock",
            "Box<dyn Any>"
        ]
    );
}

#[test]
fn a_message_that_is_too_long_is_cut() {
    let message = only_event("panic_with_long_message").message;

    assert!(message.starts_with("long long"));
    assert!(message.len() <= limits::MESSAGE_BYTES_MAX);
    assert!(message.ends_with(limits::CUT), "and says so");
}

#[test]
fn a_panic_that_ends_the_app_is_reported_while_the_guard_is_dropped() {
    let (sink, ended) = run("panic_in_main");

    let ended = ended.with_code(101);
    assert!(ended.stderr.contains("index out of bounds"), "{ended:?}");
    let event = sink.only_event();
    assert_eq!(event.thread.name.as_deref(), Some("main"));
    source::in_panics("pick").is(event.location.as_ref());
}

/// The spans follow the task, and so do its breadcrumbs, wherever it goes on after an `.await`.
#[track_caller]
fn knows_its_task(event: &Event) {
    assert_eq!(&*event.message, "order 17 cannot be booked");
    source::in_panics("book").is(event.location.as_ref());
    let spans: Vec<_> = event
        .spans
        .iter()
        .map(|span| (&*span.name, &*span.fields[0].0, &*span.fields[0].1))
        .collect();
    assert_eq!(spans, [("request", "id", "4711"), ("book", "order", "17")]);
    let breadcrumbs: Vec<_> = event
        .breadcrumbs
        .iter()
        .map(|breadcrumb| (breadcrumb.level, &*breadcrumb.message))
        .collect();
    assert_eq!(
        breadcrumbs,
        [
            (Level::Info, "before the await"),
            (Level::Warn, "after the await left=0")
        ]
    );
    let stack = event.stack.as_ref().expect("a stack was taken");
    assert!(
        stack.frames[0]
            .function
            .as_deref()
            .is_some_and(|name| name.contains("panics::book")),
        "{:?}",
        stack.frames[0]
    );
}

#[test]
fn a_panic_in_a_task_of_a_runtime_with_many_threads_knows_its_task() {
    knows_its_task(&only_event("panic_in_task_of_many_threads"));
}

#[test]
fn a_panic_in_a_task_of_a_runtime_with_one_thread_knows_its_task() {
    knows_its_task(&only_event("panic_in_task_of_one_thread"));
}

#[test]
fn tasks_that_take_turns_on_a_thread_do_not_share_breadcrumbs() {
    let event = only_event("panic_in_task_after_await");

    assert_eq!(&*event.message, "failing failed");
    let breadcrumbs: Vec<_> = event
        .breadcrumbs
        .iter()
        .map(|crumb| &*crumb.message)
        .collect();
    assert_eq!(breadcrumbs, ["failing 0", "failing 1", "failing 2"]);
}

#[test]
fn a_panic_on_a_stack_of_64_kib_is_reported() {
    let event = only_event("panic_on_small_stack");

    assert_eq!(&*event.message, "on a small stack");
    let spans: Vec<_> = event.spans.iter().map(|span| &*span.name).collect();
    assert_eq!(spans, ["small", "inner"]);
    assert_eq!(event.breadcrumbs.len(), limits::BREADCRUMBS_MAX);
    assert_eq!(event.tags.len(), 20);
    assert_eq!(event.user.as_deref(), Some("ann"));
}

/// std's own part of a panic takes some of it: on a stack of a third, without the SDK, it overflows.
#[test]
fn a_panic_is_reported_on_half_of_the_smallest_stack_that_is_promised() {
    let sink = Sink::open();

    let running = subject("panic_on_stack").arg((32 << 10).to_string());
    running.dsn(sink.dsn()).run().well();

    assert_eq!(&*sink.only_event().message, "on a small stack");
}

#[test]
fn a_panic_with_the_locks_of_the_standard_streams_held_is_reported_at_once() {
    let (sink, ended) = run("panic_holding_stdout");

    let ended = ended.well();
    let held = ended.account("while held");
    assert_eq!((held.produced, held.delivered), (2, 2));
    let mut messages: Vec<_> = sink.events().into_iter().map(|it| it.message).collect();
    messages.sort();
    assert_eq!(
        messages,
        ["beside the locks".into(), "with the locks held".into()]
    );
}

#[test]
fn a_panic_that_is_handed_on_is_reported_once() {
    assert_eq!(&*only_event("panic_resumed").message, "only once");
}

#[test]
fn a_hundred_threads_that_panic_at_once_are_all_reported_or_counted() {
    let (sink, ended) = run("panic_in_hundred_threads");

    let account = ended.well().account("account");
    assert_eq!((account.produced, account.pending), (100, 0));
    assert_eq!(sink.reports(), account.delivered);
    let mut messages: Vec<_> = sink
        .events()
        .into_iter()
        .map(|event| event.message)
        .collect();
    messages.sort();
    messages.dedup();
    assert_eq!(
        messages.len() as u64,
        account.delivered,
        "each is told apart"
    );
}

/// The process ends before anybody can deliver; what counts is that it ends as it would alone.
#[test]
fn a_panic_in_a_destructor_while_unwinding_aborts_with_both_messages() {
    let (_sink, ended) = run("panic_in_drop");

    let ended = ended.by_abort();
    assert!(ended.stderr.contains("the first"), "{ended:?}");
    assert!(
        ended.stderr.contains("the second, in a destructor"),
        "{ended:?}"
    );
}

#[test]
fn a_panic_that_may_not_unwind_aborts_with_its_message() {
    let (_sink, ended) = run("panic_in_extern_c");

    let ended = ended.by_abort();
    assert!(
        ended.stderr.contains("nothing may unwind into C"),
        "{ended:?}"
    );
}

#[test]
fn a_panic_while_a_thread_takes_down_its_locals_is_reported() {
    let event = only_event("panic_caught_in_thread_local");

    assert_eq!(&*event.message, "in a destructor of a thread-local");
}

#[test]
fn a_panic_that_escapes_from_a_thread_local_aborts_with_its_message() {
    let (_sink, ended) = run("panic_in_thread_local");

    let ended = ended.by_abort();
    let message = "in a destructor of a thread-local";
    assert!(ended.stderr.contains(message), "{ended:?}");
}
