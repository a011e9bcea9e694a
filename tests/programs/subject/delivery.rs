//! What happens between capture and collector, and at the end of the app.

use std::time::Duration;

use bugsage_sdk::event::Event;
use tracing::Level;

use crate::{builder, finish, start, tell_account, tell_time, timeout};

pub(crate) fn nothing() {
    let guard = start();
    println!("active: {}", guard.is_active());
    finish(guard);
    println!("went on: yes");
}

/// So many different reports.
pub(crate) fn messages(count: &str) {
    let guard = start();
    tell_time("capture", || capture(count.parse().expect("is a number")));
    tell_time("shutdown", || finish(guard));
}

fn capture(count: u32) {
    capture_from(0, count);
}

fn capture_from(first: u32, count: u32) {
    for number in first..first + count {
        bugsage_sdk::capture_message(Level::ERROR, &format!("message {number}"));
    }
}

pub(crate) fn drop_guard() {
    let guard = start();
    capture(3);
    tell_time("drop", || drop(guard));
}

/// More than can wait anywhere.
pub(crate) fn drop_full() {
    let guard = start();
    let mut number = 0;
    while guard.flush(Duration::ZERO).dropped.is_empty() && number < 2_000_000 {
        capture_from(number, 10_000);
        number += 10_000;
    }
    tell_account("flushed", &guard.flush(Duration::ZERO));
    tell_time("drop", || drop(guard));
}

/// What every linter warns of.
pub(crate) fn forget_guard() {
    std::mem::forget(start());
    capture(3);
    println!("went on: yes");
}

/// Asks in between how it stands.
pub(crate) fn flush_then_shutdown(flush_ms: &str) {
    let guard = start();
    capture(3);
    let flush = Duration::from_millis(flush_ms.parse().expect("is a number"));
    let flushed = tell_time("flush", || guard.flush(flush));
    tell_account("flushed", &flushed);
    tell_time("shutdown", || finish(guard));
}

pub(crate) fn before_send() {
    let change = |mut event: Event| match &*event.message {
        "message 0" => None,
        "message 1" => panic!("in before_send"),
        _ => {
            event.message = "changed".into();
            event.tags.push(("changed".into(), "yes".into()));
            // Nobody may change the account.
            event.count = 1_000;
            Some(event)
        }
    };
    let guard = builder().before_send(change).init();
    capture(3);
    // The second part tells the collector what was lost in the first.
    tell_account("flushed", &guard.flush(timeout()));
    finish(guard);
}

pub(crate) fn two_guards() {
    let first = start();
    let second = start();
    println!("second is active: {}", second.is_active());
    println!(
        "refusal: {}",
        builder().try_init().expect_err("one is active")
    );
    drop(second);
    capture(1);
    finish(first);
}

/// The SDK ends and starts again in the same process.
pub(crate) fn two_lives() {
    let first = start();
    capture(1);
    tell_account("first", &first.shutdown(timeout()));
    bugsage_sdk::capture_message(Level::ERROR, "between two lives");
    let second = start();
    let _ = std::panic::catch_unwind(|| panic!("in the second life"));
    tell_account("second", &second.shutdown(timeout()));
}
