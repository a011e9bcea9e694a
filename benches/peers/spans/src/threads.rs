//! The same traces on one thread, and then on two at once.

use std::time::{Duration, Instant};

use crate::Layer;
use crate::measure::{self, Pace};

/// Half as many of each thread as one makes alone elsewhere.
const PACE: Pace = Pace {
    bursts: 8,
    cold: 2,
    every: Duration::from_millis(100),
    pieces: 10,
    calls: 100,
};

/// Spans of one call.
const SPANS: f64 = 3.0;

pub(crate) fn threads(layer: &impl Layer) {
    let one = ns(layer, 1);
    let two = ns(layer, 2);
    println!("one_ns {one}");
    println!("two_ns {two}");
    println!("ratio {}", two / one);
}

/// Nanoseconds of a span on so many threads, whose bursts begin together.
fn ns(layer: &impl Layer, threads: usize) -> f64 {
    let begun = Instant::now() + Duration::from_millis(50);
    let sum: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| measure::bursts(PACE, begun, |number| layer.trace(number))))
            .collect();
        let costs = threads.into_iter().filter_map(|thread| thread.join().ok());
        costs.map(|(costs, _)| costs.ns()).sum()
    });
    sum / threads as f64 / SPANS
}
