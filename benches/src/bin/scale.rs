//! What does a full store cost?
//!
//! A million issues with ten million events are put in first. Then events come as in the bench `ingest`,
//! into this store and into an empty one, and the collector is started again.

use std::time::Instant;

use anyhow::bail;
use bugsage_benches::events::{Maker, Shape};
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
const ISSUES: usize = 1_000_000;
const EVENTS: usize = 10_000_000;
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
    let empty = Collector::start()?;
    let empty_us = cost(&empty, 100)?;
    empty.stop()?;

    let mut full = Collector::start()?;
    let begun = Instant::now();
    fill(&full)?;
    let seconds = begun.elapsed().as_secs_f64();
    figures.add(
        "fill_s",
        seconds,
        "to put a million issues and ten million events in",
    );
    let disk = full.disk_bytes() as f64 / EVENTS as f64;
    figures.add(
        "disk_bytes_per_event",
        disk,
        "of the full store, issues included",
    );
    let full_us = cost(&full, 200)?;
    figures.add(
        "empty_us_per_event",
        empty_us,
        "of CPU, into an empty store",
    );
    figures.add("full_us_per_event", full_us, "of CPU, into the full one");
    figures.add("full_beside_empty", full_us / empty_us, "");
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

/// Puts issues in, and then events of old ones.
fn fill(collector: &Collector) -> anyhow::Result<()> {
    let (mut maker, mut connection) = (Maker::new(SMALL, 1), collector.connect()?);
    for number in 0..EVENTS / BATCH {
        let is_new = number < ISSUES / BATCH;
        let events = (0..BATCH).map(|_| match is_new {
            true => maker.event_of_new_bug(),
            false => maker.event(),
        });
        let status = connection.post(&seal(1 << 40 | number as u64, events))?;
        if status != 200 {
            bail!("a batch was answered {status}");
        }
    }
    Ok(())
}

/// Microseconds of the collector's CPU for each of many events.
fn cost(collector: &Collector, seed: u64) -> anyhow::Result<f64> {
    let mut costs = Vec::new();
    for round in 0..ROUNDS {
        let mut maker = Maker::new(LIGHT, seed + round);
        let number = |batch: u64| (seed + round) << 40 | batch;
        let bodies = (0..20).map(|batch| seal(number(batch), (0..BATCH).map(|_| maker.event())));
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
