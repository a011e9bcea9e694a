//! Lives that end in all the ways in which a process can, and those that come after.

use std::io::Write;
use std::panic::catch_unwind;

use bugsage_sdk::event::Event;
use tracing::Level;

use crate::{builder, finish, panics, start};

/// Which life of a story this is.
fn life() -> String {
    std::env::var("SUBJECT_LIFE").unwrap_or_default()
}

/// Three different messages, each twice, and a panic: seven reports, four events.
fn capture() {
    let life = life();
    for number in [0, 1, 2, 0, 1, 2] {
        bugsage_sdk::capture_message(Level::ERROR, &format!("message {number} of life {life}"));
    }
    let _ = catch_unwind(panics::in_pick);
}

/// Ends the process the moment after the last report was taken down.
pub(crate) fn die(how: &str) {
    let guard = start();
    capture();
    match how {
        "kill" => {
            let ourselves = rustix::process::getpid();
            let _ = rustix::process::kill_process(ourselves, rustix::process::Signal::KILL);
        }
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        "panic" => panic!("the end of life {}", life()),
        _ => finish(guard),
    }
}

/// Captures, tells it, and waits for its end.
pub(crate) fn linger() {
    let _guard = start();
    capture();
    let _ = writeln!(std::io::stderr(), "lingers");
    loop {
        std::thread::park();
    }
}

/// Captures a thousand different reports a second until it is killed.
pub(crate) fn load() {
    let _guard = start();
    let begun = std::time::Instant::now();
    for number in 0_u64.. {
        bugsage_sdk::capture_message(Level::ERROR, &format!("load {number}"));
        let due = std::time::Duration::from_millis(number);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}

pub(crate) fn secret_and_die() {
    let _guard = start();
    bugsage_sdk::capture_message(Level::ERROR, "cannot log in with password=hunter2abc");
    std::process::exit(3);
}

/// Drops all events of earlier lives but one.
pub(crate) fn drop_recovered() {
    let keep = |event: Event| event.message.contains("message 1").then_some(event);
    finish(builder().before_send(keep).init());
}

pub(crate) fn last_run() {
    let guard = start();
    match bugsage_sdk::last_run() {
        Some(last) => println!("last run: {:?} {:?}", last.ended, last.release),
        None => println!("last run: none"),
    }
    finish(guard);
}
