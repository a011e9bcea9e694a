//! Spans with BugSage, as its front page says to set it up.

use std::future::ready;
use std::time::Duration;

use bugsage_sdk::transport::{Answer, Batch, Sending, Transport};
use spans::{Account, Layer, Lost};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Takes batches and forgets them.
struct Discard;

impl Transport for Discard {
    fn send(&mut self, _: Batch) -> Sending {
        Box::pin(ready(Answer::Taken))
    }
}

struct BugSage;

impl Layer for BugSage {
    type Guard = bugsage_sdk::Guard;

    fn start(&self, rate: f64, dsn: Option<&str>) -> Self::Guard {
        let builder = bugsage_sdk::builder()
            .release("app@1.0.0")
            .traces_sample_rate(rate);
        let guard = match dsn {
            Some(dsn) => builder.dsn(dsn).init(),
            None => builder.transport(Discard).init(),
        };
        tracing_subscriber::registry()
            .with(bugsage_sdk::layer())
            .init();
        guard
    }

    fn end(&self, guard: Self::Guard) -> Option<Account> {
        let report = guard.shutdown(Duration::from_secs(2));
        Some(Account {
            spans: Lost {
                made: report.spans.produced,
                lost: report.spans.dropped_total(),
            },
            reports: Lost {
                made: report.produced,
                lost: report.dropped_total(),
            },
        })
    }
}

fn main() {
    spans::play(&BugSage);
}
