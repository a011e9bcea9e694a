//! An app on tokio: requests that come on time whatever became of those before, each with 200 µs of
//! work, 20 spans and 10 lines of log.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{LocalSet, yield_now};
use tracing::{Instrument, info, info_span};

use crate::measure::median;
use crate::process;

/// Requests that come together, and how far apart they do: a thousand a second.
const TOGETHER: u64 = 4;
const APART: Duration = Duration::from_millis(4);

/// Comings, before and while they are measured.
const WARMING: u32 = 75;
const MEASURING: u32 = 500;

/// Spans of a request beside its own.
const STEPS: u64 = 19;

/// What one step does, about 10 µs of CPU.
const WORK: u64 = 12_000;

pub(crate) fn app() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
    else {
        return eprintln!("there is no runtime");
    };
    LocalSet::new().block_on(&runtime, serve());
}

async fn serve() {
    requests(WARMING).await;
    let cpu_ns = process::cpu_ns();
    let times_us = requests(MEASURING).await;
    let cpu_us = (process::cpu_ns() - cpu_ns) / 1e3;
    println!("cpu_us {}", cpu_us / times_us.len() as f64);
    println!("p50_us {}", median(&times_us));
    println!("p99_us {}", percentile(times_us, 99));
}

/// Microseconds from when each request was to come to its end.
async fn requests(comings: u32) -> Vec<f64> {
    let times_us = Rc::new(RefCell::new(Vec::new()));
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for coming in 0..comings {
        let due = begun + APART * coming;
        tokio::time::sleep_until(due.into()).await;
        // The timer wakes up to a millisecond late, which is no fault of the spans.
        let came = Instant::now();
        for number in 0..TOGETHER {
            let times_us = times_us.clone();
            let number = u64::from(coming) * TOGETHER + number;
            let span = info_span!("request", user = number, route = "/checkout");
            tasks.push(tokio::task::spawn_local(async move {
                request(number).instrument(span).await;
                let elapsed = came.elapsed();
                times_us.borrow_mut().push(elapsed.as_nanos() as f64 / 1e3);
            }));
        }
    }
    for task in tasks {
        if let Err(error) = task.await {
            eprintln!("a request ended early: {error}");
        }
    }
    times_us.take()
}

async fn request(number: u64) {
    for step in 0..STEPS {
        step_of(number, step)
            .instrument(info_span!("step", user = number, step))
            .await;
    }
}

async fn step_of(number: u64, step: u64) {
    work();
    if step.is_multiple_of(2) {
        info!(user = number, step, "cache miss for key");
    }
    yield_now().await;
}

/// A chain of multiplications, of which none can begin before the last has ended.
fn work() {
    let mut product = black_box(1_u64);
    for factor in 0..WORK {
        product = product.wrapping_mul(factor | 1).wrapping_add(1);
    }
    black_box(product);
}

fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = values.len() * percent / 100;
    values.get(at).copied().unwrap_or(f64::NAN)
}
