//! More spans open at once than are told. Alone in its program: all others would find no room meanwhile.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bugsage_sdk::span::Span;
use bugsage_sdk::transport::{Answer, Batch, Sending, Transport};
use tracing::{error, info_span};
use tracing_subscriber::layer::SubscriberExt;

/// Takes every batch.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<Batch>>>);

impl Transport for Shelf {
    fn send(&mut self, batch: Batch) -> Sending {
        self.0.lock().expect("no panic").push(batch);
        Box::pin(std::future::ready(Answer::Taken))
    }
}

impl Shelf {
    fn spans(&self) -> Vec<Span> {
        let batches = self.0.lock().expect("no panic");
        batches.iter().flat_map(Batch::spans).collect()
    }
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn spans_beyond_what_may_be_open_are_counted_to_the_last_and_those_after_them_are_told() {
    const SPANS: u64 = 100_000;
    let shelf = Shelf::default();
    let guard = bugsage_sdk::builder()
        .transport(shelf.clone())
        .without_spool()
        .traces_sample_rate(1.0)
        .init();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    let _subscribed = tracing::subscriber::set_default(subscriber);

    let open: Vec<_> = (0..SPANS)
        .map(|number| info_span!(parent: None, "crowd", number))
        .collect();
    let lost = guard.flush(LONG).spans;
    assert_eq!(lost.produced, lost.dropped_total(), "none is closed yet");
    assert!(lost.produced >= SPANS - (1 << 16), "{lost:?}");
    // Entered, left, recorded into and reported from, they harm nobody.
    for span in &open {
        span.record("number", 0);
        span.in_scope(|| {});
    }
    open[SPANS as usize - 1].in_scope(|| error!("in the crowd"));
    drop(open);
    let after = guard.flush(LONG).spans;
    assert_eq!(after.produced, SPANS, "{after:?}");
    assert_eq!(after.delivered + after.dropped_total(), SPANS, "{after:?}");
    assert_eq!(after.delivered, shelf.spans().len() as u64);

    for number in 0..1_000_u64 {
        info_span!("after", number).in_scope(|| drop(info_span!("child")));
    }
    let report = guard.shutdown(LONG);
    assert_eq!(report.spans.produced, SPANS + 2_000);
    assert_eq!(
        report.spans.delivered,
        after.delivered + 2_000,
        "there is room again"
    );
    assert_eq!((report.produced, report.delivered), (1, 1));
    let spans = shelf.spans();
    let told = |name: &str| spans.iter().filter(|span| &*span.name == name).count();
    assert_eq!((told("after"), told("child")), (1_000, 1_000));
}
