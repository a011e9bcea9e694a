//! Spans with fastrace, which has macros of its own and no part in `tracing`: only the scenes of nested
//! spans mean anything here.

use std::hint::black_box;

use fastrace::Span;
use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use fastrace::local::LocalSpan;
use spans::{Account, Layer};

/// Takes spans and forgets them.
struct Discard;

impl Reporter for Discard {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        black_box(spans.len());
    }
}

struct Fastrace;

impl Layer for Fastrace {
    type Guard = f64;

    fn start(&self, rate: f64, _: Option<&str>) -> Self::Guard {
        fastrace::set_reporter(Discard, Config::default());
        rate
    }

    fn end(&self, _: Self::Guard) -> Option<Account> {
        fastrace::flush();
        None
    }

    fn trace(&self, number: u64) {
        let outer = Span::root("outer", SpanContext::random())
            .with_property(|| ("user", number.to_string()));
        let _entered = outer.set_local_parent();
        handler(number);
        handler(number + 1);
    }
}

#[inline(never)]
fn handler(number: u64) {
    let _span = LocalSpan::enter_with_local_parent("request")
        .with_property(|| ("user", number.to_string()))
        .with_property(|| ("route", "/checkout"));
    black_box(number.wrapping_mul(31));
}

fn main() {
    spans::play(&Fastrace);
}
