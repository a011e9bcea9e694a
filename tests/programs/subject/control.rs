//! What an app may say about how, how much and whether it reports.

use std::panic::catch_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bugsage_sdk::Builder;
use bugsage_sdk::transport::{Answer, Batch, Sending, Transport};
use tracing::Level;

use crate::{add_layer, builder, finish, start, tell_account, timeout};

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

/// Does what the collector asks for, until there is a file.
pub(crate) fn follow(until: &str) {
    let until = Path::new(until);
    work(builder().follow_collector(), |_| !until.exists());
}

/// Does what it wants to, for some rounds.
pub(crate) fn deaf(rounds: &str) {
    let rounds: u64 = rounds.parse().expect("is a number");
    work(builder(), |round| round < rounds);
}

/// Works in rounds, each with a trace, two lines of the log and a message, and delivers all of it. Tells each
/// change of what becomes of these.
fn work(builder: Builder, goes_on: impl Fn(u64) -> bool) {
    add_layer();
    let last_breadcrumb = Arc::new(Mutex::new(String::new()));
    let seen = last_breadcrumb.clone();
    let builder = builder.traces_sample_rate(0.0).before_send(move |event| {
        let last = event.breadcrumbs.last();
        let last = last.map_or(String::new(), |it| it.message.to_string());
        *seen.lock().expect("nobody panics") = last;
        Some(event)
    });
    let guard = builder.init();
    let (mut rounds, mut sampled, mut warnings, mut produced) = (0, 0, 0, 0);
    let mut known = String::new();
    while goes_on(rounds) {
        rounds += 1;
        let is_sampled = {
            let _span = tracing::info_span!("round").entered();
            tracing::warn!("nearly sold out");
            bugsage_sdk::trace_context().is_some_and(|context| context.is_sampled)
        };
        tracing::info!("on the way {rounds}");
        bugsage_sdk::capture_message(Level::ERROR, "arrived");
        let now_produced = guard.flush(timeout()).produced;
        let warned = now_produced - produced - 1;
        produced = now_produced;
        sampled += u64::from(is_sampled);
        warnings += warned;
        let last = last_breadcrumb.lock().expect("nobody panics").clone();
        let is_noted = last == format!("on the way {rounds}");
        let state = format!("sampled={is_sampled} warned={warned} noted={is_noted}");
        if known != state {
            eprintln!("{state}");
            known = state;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    finish(guard);
    println!("rounds: {rounds}");
    println!("sampled: {sampled}");
    println!("warnings: {warnings}");
}
