//! How many different reports does one process deliver over a slow network, and at what price?
//!
//! Every report differs from all others, so nothing is folded. Two threads make them at a fixed rate
//! for some seconds; the collector answers each batch after 50 ms. The spool is on, as by default.

use std::path::Path;
use std::time::{Duration, Instant};

use bugsage_benches::{Figures, ROUNDS, Sink, cpu_of, median};
use bugsage_sdk::Report;
use tracing_subscriber::layer::SubscriberExt;

const ROUND_TRIP: Duration = Duration::from_millis(50);

/// How long reports are made in one round.
const MAKING: Duration = Duration::from_secs(2);

const THREADS: u64 = 2;

/// Breadcrumbs that every report of the second kind has.
const BREADCRUMBS: u64 = 20;

/// What one round came to.
struct Round {
    report: Report,
    wire_bytes: u64,
    seconds: f64,
    cpu_seconds: f64,
}

/// Makes reports at a rate, and waits until all are delivered.
fn round(spool: &Path, per_second: u64, make: fn(u64)) -> anyhow::Result<Round> {
    let sink = Sink::behind(ROUND_TRIP)?;
    let guard = bugsage_sdk::builder()
        .dsn(sink.dsn())
        .spool_dir(spool)
        .try_init()?;
    let cpu_before = cpu_of(std::process::id());
    let begun = Instant::now();
    let reports = per_second * MAKING.as_secs() / THREADS;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in 0..reports {
                    make(number * THREADS + thread);
                    // In small bursts, as timers allow.
                    let due = MAKING.mul_f64(number as f64 / reports as f64);
                    if let Some(early) = due.checked_sub(begun.elapsed()) {
                        std::thread::sleep(early);
                    }
                }
            });
        }
    });
    let report = guard.shutdown(Duration::from_secs(60));
    Ok(Round {
        seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: (cpu_of(std::process::id()) - cpu_before).as_secs_f64(),
        wire_bytes: sink.taken().0,
        report,
    })
}

fn plain(number: u64) {
    let message = format!("payment {number} was declined");
    bugsage_sdk::capture_message(tracing::Level::ERROR, &message);
}

fn with_breadcrumbs(number: u64) {
    let order = tracing::info_span!("order", number);
    let _entered = order.enter();
    for step in 0..BREADCRUMBS {
        tracing::info!("step {step} of order {number} took {} us", number % 997);
    }
    tracing::error!("order {number} failed");
}

fn add(
    figures: &mut Figures,
    spool: &Path,
    name: &str,
    per_second: u64,
    make: fn(u64),
) -> anyhow::Result<()> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(spool, per_second, make)?);
    }
    let mut figure = |what: &str, words: &str, value: fn(&Round) -> f64| {
        let values = rounds.iter().map(value).collect();
        figures.add(&format!("{name}_{what}"), median(values), words);
    };
    figure("made_per_s", "how fast they were made", |r| {
        r.report.produced as f64 / MAKING.as_secs_f64()
    });
    figure(
        "delivered_per_s",
        "from the first to the last answer",
        |r| r.report.delivered as f64 / r.seconds,
    );
    figure("dropped", "of all that were made, counted", |r| {
        r.report.dropped_total() as f64
    });
    figure(
        "wire_bytes_each",
        "body bytes of one delivered report",
        |r| r.wire_bytes as f64 / r.report.delivered as f64,
    );
    figure(
        "cpu_us_each",
        "of the whole process, making and answering too",
        |r| r.cpu_seconds * 1e6 / r.report.produced as f64,
    );
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let spool = std::env::temp_dir().join(format!("bugsage-bench-delivery-{}", std::process::id()));
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    tracing::subscriber::set_global_default(subscriber)?;
    let mut figures = Figures::default();
    add(&mut figures, &spool, "plain", 25_000, plain)?;
    add(&mut figures, &spool, "breadcrumbs", 5_000, with_breadcrumbs)?;
    figures.print();
    std::fs::remove_dir_all(&spool)?;
    Ok(())
}
