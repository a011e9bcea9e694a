//! What an app may say about how, how much and whether it reports.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bugsage_sdk::transport::{Answer, Batch, Sending, Transport};
use tracing::Level;

use crate::{builder, finish, start, tell_account, timeout};

/// Ten different reports of one place and one of another, of each three are allowed.
pub(crate) fn limited() {
    let hours = Duration::from_secs(7_200);
    let guard = builder().rate_limit(3, hours).init();
    for number in 0..10 {
        bugsage_sdk::capture_message(Level::ERROR, &format!("here {number}"));
    }
    for _ in 0..5 {
        bugsage_sdk::capture_message(Level::ERROR, "there");
    }
    finish(guard);
}

pub(crate) fn paused() {
    bugsage_sdk::pause();
    let guard = start();
    bugsage_sdk::capture_message(Level::ERROR, "paused before the start");
    bugsage_sdk::resume();
    bugsage_sdk::capture_message(Level::ERROR, "resumed");
    bugsage_sdk::pause();
    drop(catch_unwind(|| panic!("paused again")));
    bugsage_sdk::resume();
    finish(guard);
}

/// The first answer of the collector says that it does not want some kind.
pub(crate) fn unwanted() {
    let guard = start();
    bugsage_sdk::capture_message(Level::ERROR, "before");
    tell_account("flushed", &guard.flush(timeout()));
    bugsage_sdk::capture_message(Level::ERROR, "after");
    drop(catch_unwind(|| panic!("of another kind")));
    finish(guard);
}

/// Panics twice, wants to wait, and takes the batch at the fourth try.
struct Moody {
    tries: Arc<AtomicUsize>,
}

impl Transport for Moody {
    fn send(&mut self, batch: Batch) -> Sending {
        let number = self.tries.fetch_add(1, Ordering::SeqCst);
        assert!(number > 0, "on the way");
        Box::pin(async move {
            match number {
                1 => panic!("later on the way"),
                2 => Answer::Later { after: None },
                _ => {
                    for event in batch.events() {
                        println!("took: {} of {}", event.message, batch.reports());
                    }
                    Answer::Taken
                }
            }
        })
    }
}

pub(crate) fn own_transport() {
    let tries = Arc::default();
    let moody = Moody {
        tries: Arc::clone(&tries),
    };
    let guard = builder().transport(moody).init();
    bugsage_sdk::capture_message(Level::ERROR, "by another way");
    finish(guard);
    println!("tries: {}", tries.load(Ordering::SeqCst));
}

/// Trusts a certificate that the app brings itself.
pub(crate) fn own_root(file: &str) {
    let pem = std::fs::read(file).expect("the certificate is there");
    let guard = builder().root_certificates(pem).init();
    bugsage_sdk::capture_message(Level::ERROR, "over TLS");
    finish(guard);
}

/// Two deliveries, one after the other.
pub(crate) fn twice() {
    let guard = start();
    for number in 0..2 {
        bugsage_sdk::capture_message(Level::ERROR, &format!("delivery {number}"));
        tell_account("flushed", &guard.flush(timeout()));
    }
    finish(guard);
}
