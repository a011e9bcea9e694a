//! How many events does a collector take, each acknowledged after its sync?
//!
//! The collector runs in its own process on the same machine, and so does this load tool; the CPU
//! of both is told. All bodies are made before the clock runs. Afterwards the reports are counted
//! in the issues: only what is visible there counts.

use std::time::Instant;

use anyhow::bail;
use bugsage_benches::events::{Maker, Shape};
use bugsage_benches::load::Collector;
use bugsage_benches::{Figures, cpu_of, median, memory_kib};
use bugsage_core::batch::BatchBuilder;
use bugsage_core::clock::Timestamp;
use bugsage_core::id::BatchId;
use bugsage_core::limits;

/// A question to the collector.
struct Mix {
    name: &'static str,
    words: &'static str,
    shape: Shape,
    events_per_batch: usize,
    /// How many equal reports each event stands for.
    reports: u64,
    batches: usize,
    connections: usize,
    /// What is set for the collector.
    environment: &'static [(&'static str, &'static str)],
}

const LIGHT: Shape = Shape {
    frames: 60,
    breadcrumbs: 5,
    tags: 0,
    bugs: 500,
};

const KEEP_ALL: &[(&str, &str)] = &[("BUGSAGE_RETENTION_EVENTS", "all")];

const MIXES: [Mix; 4] = [
    Mix {
        name: "single",
        words: "one event a request",
        shape: Shape::FULL,
        events_per_batch: 1,
        reports: 1,
        batches: 8_000,
        connections: 32,
        environment: &[],
    },
    Mix {
        name: "kept",
        words: "full events, 100 a batch, each kept whole",
        shape: Shape::FULL,
        events_per_batch: 100,
        reports: 1,
        batches: 400,
        connections: 8,
        environment: KEEP_ALL,
    },
    Mix {
        name: "light",
        words: "5 breadcrumbs, 1,500 a batch",
        shape: LIGHT,
        events_per_batch: 1_500,
        reports: 1,
        batches: 267,
        connections: 8,
        environment: &[],
    },
    Mix {
        name: "folded",
        words: "reports, a thousand folded into each event, 100 events a batch",
        shape: LIGHT,
        events_per_batch: 100,
        reports: 1_000,
        batches: 1_000,
        connections: 8,
        environment: &[],
    },
];

fn bodies(mix: &Mix, seed: u64) -> Vec<Vec<u8>> {
    let mut maker = Maker::new(mix.shape, seed);
    let bodies = (0..mix.batches).map(|number| {
        let mut batch = BatchBuilder::new();
        for _ in 0..mix.events_per_batch {
            let mut event = maker.event();
            event.count = mix.reports;
            event.last_at = Timestamp(event.first_at.0 + mix.reports - 1);
            // The first of them, as the SDK tells them.
            let deltas = mix.reports.saturating_sub(1).min(limits::DELTAS_MAX as u64);
            event.deltas_us = (0..deltas).map(|_| 1).collect();
            batch.push(&event);
        }
        let mut random = [0; 10];
        random[..8].copy_from_slice(&(seed << 40 | number as u64).to_be_bytes());
        batch
            .seal(BatchId::new(Timestamp(1_790_000_000_000_000), random))
            .bytes
    });
    bodies.collect()
}

fn main() -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--json")
        .collect();
    let is_wanted = |mix: &&Mix| wanted.is_empty() || wanted.iter().any(|name| name == mix.name);
    for mix in MIXES.iter().filter(is_wanted) {
        let collector = Collector::start_with(mix.environment)?;
        let idle_kib = memory_kib(collector.pid(), "VmRSS");
        let disk_before = collector.disk_bytes();
        let mut rates = Vec::new();
        let (mut server_cpu, mut load_cpu, mut wall) = (0.0, 0.0, 0.0);
        // Rounds into the same store: the later ones meet what the earlier ones left.
        for round in 0..3 {
            let bodies = bodies(mix, round + 1);
            let before = (cpu_of(collector.pid()), cpu_of(std::process::id()));
            let begun = Instant::now();
            let refused: usize = std::thread::scope(|scope| {
                let clients = (0..mix.connections).map(|client| {
                    let (collector, bodies) = (&collector, &bodies);
                    scope.spawn(move || {
                        let mut connection = collector.connect()?;
                        let mine = bodies.iter().skip(client).step_by(mix.connections);
                        let mut refused = 0;
                        for body in mine {
                            refused += usize::from(connection.post(body)? != 200);
                        }
                        Ok::<_, anyhow::Error>(refused)
                    })
                });
                let clients: Vec<_> = clients.collect();
                clients
                    .into_iter()
                    .map(|client| {
                        client
                            .join()
                            .map_err(|_| anyhow::anyhow!("a client panicked"))?
                    })
                    .sum::<anyhow::Result<usize>>()
            })?;
            let elapsed = begun.elapsed().as_secs_f64();
            if refused > 0 {
                bail!("{refused} batches were refused");
            }
            let reports = (mix.batches * mix.events_per_batch) as f64 * mix.reports as f64;
            rates.push(reports / elapsed);
            wall += elapsed;
            server_cpu += (cpu_of(collector.pid()) - before.0).as_secs_f64();
            load_cpu += (cpu_of(std::process::id()) - before.1).as_secs_f64();
        }
        let sent = 3 * mix.batches * mix.events_per_batch;
        let counted = collector.counted()?;
        let reports = sent as u64 * mix.reports;
        if counted != reports {
            bail!("{counted} of {reports} acknowledged reports are visible");
        }
        let name = |what: &str| format!("{}_{what}", mix.name);
        let disk = (collector.disk_bytes() - disk_before) as f64 / sent as f64;
        let what = if mix.reports == 1 {
            "events_per_s"
        } else {
            "reports_per_s"
        };
        figures.add(&name(what), median(rates), mix.words);
        figures.add(
            &name("server_cpu_percent"),
            server_cpu / wall * 100.0,
            "of one core",
        );
        figures.add(
            &name("load_cpu_percent"),
            load_cpu / wall * 100.0,
            "of one core, this tool",
        );
        figures.add(
            &name("idle_mib"),
            idle_kib as f64 / 1_024.0,
            "resident before",
        );
        figures.add(
            &name("peak_mib"),
            memory_kib(collector.pid(), "VmHWM") as f64 / 1_024.0,
            "resident at most",
        );
        figures.add(
            &name("disk_bytes_per_event"),
            disk,
            "the whole data folder, log included",
        );
        collector.stop()?;
    }
    figures.print();
    Ok(())
}
