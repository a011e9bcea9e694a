//! With `panic = "abort"` the hook's return ends the process, so only there it waits for delivery,
//! and not for long.

use std::time::Duration;

use crate::support::MARGIN;
use crate::support::program::aborting_subject;
use crate::support::sink::{Sink, closed_port_dsn};
use crate::support::source;

#[test]
fn a_panic_is_delivered_before_the_process_aborts() {
    let sink = Sink::open();

    let ended = aborting_subject("panic_in_thread")
        .dsn(sink.dsn())
        .run()
        .by_abort();

    assert!(ended.stderr.contains("index out of bounds"), "{ended:?}");
    let event = sink.only_event();
    source::in_panics("pick").is(event.location.as_ref());
    let stack = event.stack.expect("a stack was taken");
    source::in_panics("pick").is_called(&stack.frames[0], "panics::pick");
}

#[test]
fn a_program_at_a_fixed_address_is_resolved_too() {
    let sink = Sink::open();

    let aborting = aborting_subject("panic_in_thread").dsn(sink.dsn());
    let file = std::fs::read(aborting.file()).expect("the program can be read");
    aborting.run().by_abort();

    // The kind of file in the head of ELF: 2 lies where it says, 3 anywhere.
    assert_eq!(file[16], 2, "it was built to lie at a fixed address");
    let stack = sink.only_event().stack.expect("a stack was taken");
    let modules = stack
        .frames
        .iter()
        .filter_map(|frame| frame.module.as_ref());
    assert!(
        modules
            .clone()
            .any(|module| module.path.ends_with("/subject"))
    );
    source::in_panics("pick").is_called(&stack.frames[0], "panics::pick");
}

#[test]
fn a_hundred_threads_that_panic_at_once_end_the_process() {
    let sink = Sink::open();

    let running = aborting_subject("panic_in_hundred_threads").dsn(sink.dsn());
    running.run().by_abort();

    assert!(sink.reports() >= 1, "the first to return was delivered");
}

#[test]
fn the_message_is_printed_before_the_hook_waits() {
    let sink = Sink::silent();
    let timeout = Duration::from_secs(3);

    let aborting = aborting_subject("panic_in_main").dsn(sink.dsn());
    let mut running = aborting.timeout(timeout).spawn();
    running.wait_for_stderr("index out of bounds");

    assert!(running.is_running(), "the hook waits, the message does not");
    let ended = running.wait().by_abort();
    assert!(
        ended.took >= timeout && ended.took < timeout + MARGIN,
        "{ended:?}"
    );
}

#[test]
fn a_hook_that_exits_ends_the_app_with_its_code() {
    let sink = Sink::open();

    let ended = aborting_subject("hook").arg("exit").dsn(sink.dsn()).run();

    ended.with_code(7);
}

#[test]
fn a_collector_that_is_away_does_not_keep_the_process_longer_than_the_timeout() {
    let timeout = Duration::from_secs(1);

    let aborting = aborting_subject("panic_in_main").dsn(closed_port_dsn());
    let ended = aborting.timeout(timeout).run().by_abort();

    assert!(ended.took < timeout + MARGIN, "{ended:?}");
}
