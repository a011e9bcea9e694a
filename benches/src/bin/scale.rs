//! What does a full store cost?
//!
//! A million issues with ten million events are put in first. Then events come as in the bench `ingest`, into this store
//! and into one with a thousand issues: 500 bugs of their own, and then bugs of all the issues that are there. The
//! collector is started again at last.

use std::time::Instant;

use anyhow::bail;
use bugsage_benches::events::{Maker, Shape, Zipf};
use bugsage_benches::load::Collector;
use bugsage_benches::{Figures, cpu_of, median, memory_kib};
use bugsage_core::batch::BatchBuilder;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::Event;
use bugsage_core::id::BatchId;

/// What fills the store: small, to be made quickly.
const SMALL: Shape = Shape {
    frames: 3,
    breadcrumbs: 0,
    tags: 0,
    bugs: 500,
};

/// What is measured: as in the mix `light` of the bench `ingest`.
const LIGHT: Shape = Shape {
    frames: 60,
    breadcrumbs: 5,
    tags: 0,
    bugs: 500,
};

const BATCH: usize = 2_000;
const FEW_ISSUES: usize = 1_000;
const ISSUES: usize = 1_000_000;
/// How many events each issue has on average.
const EVENTS_AN_ISSUE: usize = 10;
const ROUNDS: u64 = 7;

fn seal(number: u64, events: impl Iterator<Item = Event>) -> Vec<u8> {
    let mut batch = BatchBuilder::new();
    events.for_each(|event| batch.push(&event));
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    let at = Timestamp(1_790_000_000_000_000);
    batch.seal(BatchId::new(at, random)).bytes
}

fn main() -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let few = Collector::start()?;
    fill(&few, FEW_ISSUES)?;
    let few_us = cost(&few, LIGHT, 100, |maker| maker.event())?;
    let few_spread_us = spread(&few, 300, FEW_ISSUES)?;
    few.stop()?;

    let mut full = Collector::start()?;
    let begun = Instant::now();
    fill(&full, ISSUES)?;
    let seconds = begun.elapsed().as_secs_f64();
    figures.add(
        "fill_s",
        seconds,
        "to put a million issues and ten million events in",
    );
    let disk = full.disk_bytes() as f64 / (ISSUES * EVENTS_AN_ISSUE) as f64;
    figures.add(
        "disk_bytes_per_event",
        disk,
        "of the full store, issues included",
    );
    let full_us = cost(&full, LIGHT, 200, |maker| maker.event())?;
    let full_spread_us = spread(&full, 400, ISSUES)?;
    for (name, us, words) in [
        (
            "few_us_per_event",
            few_us,
            "of CPU, 500 bugs, beside a thousand issues",
        ),
        ("full_us_per_event", full_us, "the same beside a million"),
        (
            "few_spread_us_per_event",
            few_spread_us,
            "of CPU, 3 frames, bugs of all thousand issues, n as often as 1/n",
        ),
        (
            "full_spread_us_per_event",
            full_spread_us,
            "the same of all million",
        ),
    ] {
        figures.add(name, us, words);
    }
    figures.add("full_beside_few", full_us / few_us, "the same bugs");
    figures.add(
        "full_spread_beside_few",
        full_spread_us / few_spread_us,
        "bugs of all issues: more of them in each batch",
    );
    let peak = memory_kib(full.pid(), "VmHWM") as f64 / 1_024.0;
    figures.add("peak_mib", peak, "resident at most, filling included");
    let times = (0..ROUNDS).map(|_| Ok(full.restart()?.as_secs_f64()));
    let times: Vec<f64> = times.collect::<anyhow::Result<_>>()?;
    figures.add(
        "restart_s",
        median(times),
        "from its start until it listens",
    );
    full.stop()?;
    figures.print();
    Ok(())
}

/// Puts issues in, each with its events: some in one batch, as a bug that has just come up.
fn fill(collector: &Collector, issues: usize) -> anyhow::Result<()> {
    let (mut maker, mut connection) = (Maker::new(SMALL, 1), collector.connect()?);
    for first in (0..issues * EVENTS_AN_ISSUE).step_by(BATCH) {
        let events =
            (first..first + BATCH).map(|number| maker.event_beside(number / EVENTS_AN_ISSUE));
        let status = connection.post(&seal(1 << 40 | first as u64, events))?;
        if status != 200 {
            bail!("a batch was answered {status}");
        }
    }
    Ok(())
}

/// What an event costs of any issue that is there.
fn spread(collector: &Collector, seed: u64, issues: usize) -> anyhow::Result<f64> {
    let (zipf, mut number) = (Zipf::new(issues), seed << 40);
    cost(collector, SMALL, seed, |maker| {
        number += 1;
        maker.event_beside(zipf.number(number))
    })
}

/// Microseconds of the collector's CPU for each of many events.
fn cost(
    collector: &Collector,
    shape: Shape,
    seed: u64,
    mut event: impl FnMut(&mut Maker) -> Event,
) -> anyhow::Result<f64> {
    let mut costs = Vec::new();
    for round in 0..ROUNDS {
        let mut maker = Maker::new(shape, seed + round);
        let number = |batch: u64| (seed + round) << 40 | batch;
        let bodies = (0..20).map(|batch| {
            let events: Vec<Event> = (0..BATCH).map(|_| event(&mut maker)).collect();
            seal(number(batch), events.into_iter())
        });
        let bodies: Vec<Vec<u8>> = bodies.collect();
        let mut connection = collector.connect()?;
        let cpu = cpu_of(collector.pid());
        for body in &bodies {
            let status = connection.post(body)?;
            if status != 200 {
                bail!("a batch was answered {status}");
            }
        }
        let spent = (cpu_of(collector.pid()) - cpu).as_secs_f64() * 1e6;
        costs.push(spent / (bodies.len() * BATCH) as f64);
    }
    Ok(median(costs))
}
