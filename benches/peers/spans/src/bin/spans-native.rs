//! Spans with BugSage and without `tracing`, by its macro `span!`: only the scenes of nested spans mean
//! anything here.

use std::future::ready;
use std::hint::black_box;
use std::time::Duration;

use bugsage_sdk::span;
use bugsage_sdk::transport::{Answer, Batch, Sending, Transport};
use spans::{Account, Layer, Lost};

/// Takes batches and forgets them.
struct Discard;

impl Transport for Discard {
    fn send(&mut self, _: Batch) -> Sending {
        Box::pin(ready(Answer::Taken))
    }
}

struct Native;

impl Layer for Native {
    type Guard = bugsage_sdk::Guard;

    fn start(&self, rate: f64, _: Option<&str>) -> Self::Guard {
        bugsage_sdk::builder()
            .release("app@1.0.0")
            .traces_sample_rate(rate)
            .transport(Discard)
            .init()
    }

    fn end(&self, guard: Self::Guard) -> Option<Account> {
        let report = guard.shutdown(Duration::from_secs(2));
        Some(Account {
            spans: Lost {
                made: report.spans.produced,
                lost: report.spans.dropped_total(),
            },
            reports: Lost { made: 0, lost: 0 },
        })
    }

    fn trace(&self, number: u64) {
        let _outer = span!("outer", user = number);
        handler(number);
        handler(number + 1);
    }
}

#[inline(never)]
fn handler(number: u64) {
    let _span = span!("request", user = number, route = "/checkout");
    black_box(number.wrapping_mul(31));
}

fn main() {
    spans::play(&Native);
}
