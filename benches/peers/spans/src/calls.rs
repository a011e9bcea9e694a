//! Spans, breadcrumbs and errors, one call at a time.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tracing::{Instrument, error, info, info_span};

use crate::measure::{self, Pace};

pub(crate) use crate::measure::flood;

/// Traces in bursts of 2,000, which is 60,000 spans a second.
const TRACES: Pace = Pace {
    bursts: 10,
    cold: 2,
    every: Duration::from_millis(100),
    pieces: 10,
    calls: 200,
};

/// Different errors, 5,000 a second.
const ERRORS: Pace = Pace {
    bursts: 100,
    cold: 20,
    every: Duration::from_millis(10),
    pieces: 1,
    calls: 50,
};

/// Breadcrumbs held before.
const HELD: u64 = 100;

/// Three spans with five fields.
#[inline(never)]
pub(crate) fn nested(number: u64) {
    let span = info_span!("outer", user = number);
    let _entered = span.enter();
    handler(number);
    handler(number + 1);
}

#[inline(never)]
fn handler(number: u64) {
    let span = info_span!("request", user = number, route = "/checkout");
    let _entered = span.enter();
    black_box(number.wrapping_mul(31));
}

pub(crate) fn paced(call: impl FnMut(u64)) {
    measure::paced(TRACES, call);
}

/// One poll of a future that waits inside a span.
pub(crate) fn poll() {
    let waiting = poll_fn(|_| -> Poll<()> { black_box(Poll::Pending) });
    let mut future = pin!(waiting.instrument(info_span!("request", user = 1)));
    let mut context = Context::from_waker(Waker::noop());
    flood(|_| {
        black_box(future.as_mut().poll(&mut context).is_pending());
    });
}

#[inline(never)]
fn span_with_crumb(number: u64) {
    let span = info_span!("request", user = number);
    let _entered = span.enter();
    info!(user = number, "cache miss for key");
}

fn hold() {
    for number in 0..HELD {
        info!(user = number, "warm");
    }
}

pub(crate) fn crumb_span() {
    flood(span_with_crumb);
}

/// Held by the thread, outside of any span.
pub(crate) fn crumb_span_held() {
    hold();
    flood(span_with_crumb);
}

/// Held by the trace that each span is a part of.
pub(crate) fn crumb_span_inside() {
    let span = info_span!("outer");
    let _entered = span.enter();
    hold();
    flood(span_with_crumb);
}

pub(crate) fn crumb() {
    let span = info_span!("request", user = 1);
    let _entered = span.enter();
    flood(|number| info!(user = number, "cache miss for key"));
}

pub(crate) fn error_equal() {
    flood(|_| error!(user = 1, "payment declined"));
}

pub(crate) fn error_different() {
    measure::paced(ERRORS, |number| error!(user = number, "payment declined"));
}
