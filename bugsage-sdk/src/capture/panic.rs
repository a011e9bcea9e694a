//! The panic hook: takes the report down, lets the app's own hook print, and returns.

use std::panic::PanicHookInfo;
use std::sync::Once;

use bugsage_core::event::{EventKind, Level};

use super::backtrace::Addresses;
use super::payload::{self, Words};
use super::{Sighting, capture};
use crate::client;

static INSTALLED: Once = Once::new();

/// What std says right before it aborts, since a panic may not go on from where it is.
const LAST_WORDS: [&str; 2] = [
    "panic in a function that cannot unwind",
    "panic in a destructor during cleanup",
];

/// Puts our hook in front of the one that is installed, once per process.
pub(crate) fn install() {
    if std::thread::panicking() {
        // `set_hook` panics then. The next init gets another chance.
        return;
    }
    INSTALLED.call_once(|| {
        let chained = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // First the record: the chained hook may exit, abort, sleep or panic.
            take_down(info);
            chained(info);
            if cfg!(panic = "abort") {
                // The process ends when we return, and nobody else can send what it knew.
                client::deliver_before_abort();
            }
        }));
    });
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
    });
}
