//! Does making room keep anybody waiting, and does the room return to the disk?
//!
//! A store is filled beyond its budget. Batches come before and while it is swept, one after the other, at
//! most a hundred a second; what is told is how long their acknowledgements take, how long the steps of the
//! sweep do, and the size of the data folder.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bugsage_benches::events::{Maker, Shape, seal};
use bugsage_benches::load::Collector;
use bugsage_benches::{Figures, percentile};

/// Batches that the store is filled with, a hundred whole events each: some times its budget.
const FILL: u64 = 5_000;

/// The least budget there is.
const BUDGET: &str = "16MiB";

/// Between the batches that are timed, each of one event.
const PAUSE: Duration = Duration::from_millis(10);

/// How long batches are timed before the sweep.
const BEFORE: Duration = Duration::from_secs(10);

/// How long a sweep may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let environment = [
        ("BUGSAGE_RETENTION_EVENTS", "all"),
        ("BUGSAGE_RETENTION_BYTES", BUDGET),
    ];
    let collector = Collector::start_with(&environment)?;
    let mut timed = Timed {
        collector: &collector,
        maker: Maker::new(Shape::FULL, 1),
        number: 0,
    };
    let before = timed.until(|elapsed| Ok(elapsed > BEFORE))?;
    let mut connection = collector.connect()?;
    for number in 0..FILL {
        let events: Vec<_> = (0..100).map(|_| timed.maker.event()).collect();
        connection.post(&seal(1 << 40 | number, events))?;
    }
    wait(|| Ok(swept(&collector)? > 0))?;
    let largest = collector.disk_bytes();
    let mut events = 0;
    let mut looked = Instant::now();
    let during = timed.until(|_| {
        if looked.elapsed() < Duration::from_secs(5) {
            return Ok(false);
        }
        looked = Instant::now();
        let was = std::mem::replace(&mut events, swept(&collector)?);
        Ok(events == was)
    })?;
    for (name, times) in [("before", before), ("during", during)] {
        let words = format!("to an acknowledgement {name} the sweep");
        for percent in [50.0, 99.0, 99.9] {
            let name = format!("{name}_p{percent}_ms").replace("99.9", "999");
            figures.add(&name, percentile(&times, percent), &words);
        }
        let longest = times.last().copied().unwrap_or(f64::NAN);
        figures.add(&format!("{name}_longest_ms"), longest, &words);
        figures.add(&format!("{name}_batches"), times.len() as f64, "timed");
    }
    let page = collector.page("/metrics")?;
    let steps = value(&page, "bugsage_sweep_step_seconds_count ")?;
    let short = value(&page, "bugsage_sweep_step_seconds_bucket{le=\"0.05\"} ")?;
    figures.add("steps", steps, "of the sweep");
    let words = "of its steps, their wait for the writer included";
    figures.add("steps_within_50_ms_percent", short / steps * 100.0, words);
    figures.add("swept_events", events as f64, "of those that were kept");
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    figures.add("disk_before_mib", mib(largest), "the whole data folder");
    figures.add("disk_after_mib", mib(collector.disk_bytes()), "the same");
    collector.stop()?;
    figures.print();
    Ok(())
}

/// Sends batches on time.
struct Timed<'a> {
    collector: &'a Collector,
    maker: Maker,
    number: u64,
}

impl Timed<'_> {
    /// Tells the milliseconds from each to its answer, sorted.
    fn until(
        &mut self,
        mut is_over: impl FnMut(Duration) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Vec<f64>> {
        let mut connection = self.collector.connect()?;
        let mut times = Vec::new();
        let begun = Instant::now();
        let mut due = begun;
        while !is_over(begun.elapsed())? && begun.elapsed() < PATIENCE {
            self.number += 1;
            let body = seal(2 << 40 | self.number, [self.maker.event()]);
            due += PAUSE;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = Instant::now();
            due = due.max(sent);
            let status = connection.post(&body)?;
            if status != 200 {
                bail!("a batch was answered {status}");
            }
            times.push(sent.elapsed().as_secs_f64() * 1_000.0);
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }
}

fn wait(mut is_over: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_over()? {
        if begun.elapsed() > PATIENCE {
            bail!("nothing is swept");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// How many events were swept.
fn swept(collector: &Collector) -> anyhow::Result<u64> {
    let page = collector.page("/metrics")?;
    Ok(value(&page, "bugsage_sweep_events_total ")? as u64)
}

/// A metric's value.
fn value(page: &str, name: &str) -> anyhow::Result<f64> {
    let value = page.lines().find_map(|line| line.strip_prefix(name));
    let value = value.with_context(|| format!("no metric {name}"))?;
    Ok(value.trim().parse()?)
}
