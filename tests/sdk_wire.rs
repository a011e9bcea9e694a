//! What goes over the wire is what the collector expects, and little.

use crate::support::program::subject;
use crate::support::sink::{KEY, Sink};

/// The most that a storm of equal panics may cost.
const STORM_BYTES_MAX: usize = 64 << 10;

#[test]
fn a_batch_is_posted_with_the_key_and_its_type() {
    let sink = Sink::open();

    subject("messages").arg("1").dsn(sink.dsn()).run().well();

    let received = sink.received();
    assert_eq!(received.len(), 1);
    let request = &received[0].request;
    assert_eq!(request.line, "POST /v1/batches");
    let key = format!("Bearer {KEY}");
    assert_eq!(request.header("authorization"), Some(&*key));
    let kind = request.header("content-type");
    assert_eq!(kind, Some("application/octet-stream"));
    let agent = request.header("user-agent").expect("says who it is");
    assert!(agent.starts_with("bugsage-sdk/"), "{agent}");
    let batch = received[0].batch();
    assert_eq!((batch.unknown_items, batch.runs.len()), (0, 1));
}

#[test]
fn a_hundred_thousand_equal_panics_are_counted_exactly_and_cost_64_kib_at_most() {
    let sink = Sink::open();

    let ended = subject("panic_many_times").dsn(sink.dsn()).run().well();

    let account = ended.account("account");
    assert_eq!((account.produced, account.delivered), (100_000, 100_000));
    assert_eq!(sink.reports(), 100_000);
    let bytes = sink.body_bytes();
    assert!(bytes <= STORM_BYTES_MAX, "{bytes} bytes");
    let events = sink.events();
    let same = |event: &bugsage_core::event::Event| {
        event.message == events[0].message && event.location == events[0].location
    };
    assert!(events.iter().all(same));
    assert!(events.iter().all(|event| event.first_at <= event.last_at));
}

#[test]
fn different_reports_share_a_batch() {
    let sink = Sink::open();

    subject("messages").arg("200").dsn(sink.dsn()).run().well();

    assert_eq!(sink.events().len(), 200);
    assert!(
        sink.received().len() <= 4,
        "{} batches",
        sink.received().len()
    );
}
