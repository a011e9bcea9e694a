//! How does a collector serve those who wait for it?
//!
//! The time from when a request was to be sent to its acknowledgement, a thousand of them a second, sent
//! on time whatever became of those before (open loop). The time from sending an event to seeing its new
//! issue on the page. And what an overload does to a project that sends little.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bugsage_benches::events::{Maker, Shape, seal};
use bugsage_benches::load::{Collector, Connection};
use bugsage_benches::{Figures, cpu_of, memory_kib, percentile};
use bugsage_core::clock::Timestamp;
use bugsage_core::event::Event;
use serde_json::Value;

/// Requests a second.
const RATE: u64 = 1_000;

/// How long they come.
const SECONDS: u64 = 20;

/// Connections that send them: more than are ever waiting.
const SENDERS: u64 = 64;

/// Issues that are looked for.
const LOOKS: usize = 60;

/// Connections of the loud project, each of which sends again as soon as it is answered.
const LOUD: usize = 64;

/// How long both go on.
const OVERLOAD: Duration = Duration::from_secs(60);

/// The time between requests of the quiet project.
const QUIET_PAUSE: Duration = Duration::from_millis(50);

fn main() -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let collector = Collector::start()?;
    latency(&collector, &mut figures)?;
    visible(&collector, &mut figures)?;
    collector.stop()?;
    overload(&mut figures)?;
    figures.print();
    Ok(())
}

fn latency(collector: &Collector, figures: &mut Figures) -> anyhow::Result<()> {
    let mut maker = Maker::new(Shape::FULL, 1);
    let bodies: Vec<Vec<u8>> = (0..RATE * SECONDS)
        .map(|number| seal(1 << 40 | number, [maker.event()]))
        .collect();
    let begun = Instant::now() + Duration::from_millis(100);
    let cpu = cpu_of(collector.pid());
    let times: Vec<f64> = std::thread::scope(|scope| {
        let senders = (0..SENDERS).map(|sender| {
            let bodies = &bodies;
            scope.spawn(move || send_on_time(collector.connect()?, bodies, sender, begun))
        });
        let senders: Vec<_> = senders.collect();
        let mut all = Vec::new();
        for sender in senders {
            let times = sender
                .join()
                .map_err(|_| anyhow::anyhow!("a sender panicked"))?;
            all.extend(times?);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    let cpu = (cpu_of(collector.pid()) - cpu).as_secs_f64() / SECONDS as f64;
    let mut times = times;
    times.sort_by(f64::total_cmp);
    for (name, percent) in [("latency_p50_ms", 50.0), ("latency_p99_ms", 99.0)] {
        let words = "a thousand requests a second, open loop";
        figures.add(name, percentile(&times, percent), words);
    }
    figures.add("latency_server_cpu_percent", cpu * 100.0, "of one core");
    Ok(())
}

/// Sends every nth body at its time, and tells the milliseconds from then to each answer.
fn send_on_time(
    mut connection: Connection,
    bodies: &[Vec<u8>],
    sender: u64,
    begun: Instant,
) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for number in (sender..bodies.len() as u64).step_by(SENDERS as usize) {
        let due = begun + Duration::from_micros(number * 1_000_000 / RATE);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let status = connection.post(&bodies[number as usize])?;
        if status != 200 {
            bail!("a request was answered {status}");
        }
        times.push(due.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(times)
}

/// Events of new bugs, one after the other, beside 500 others a second.
fn visible(collector: &Collector, figures: &mut Figures) -> anyhow::Result<()> {
    let mut maker = Maker::new(Shape::FULL, 2);
    let is_over = AtomicBool::new(false);
    let mut times = std::thread::scope(|scope| {
        let is_over = &is_over;
        let others = scope.spawn(move || -> anyhow::Result<()> {
            let mut maker = Maker::new(Shape::FULL, 3);
            let mut connection = collector.connect()?;
            let begun = Instant::now();
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let events: Vec<Event> = (0..10).map(|_| maker.event()).collect();
                connection.post(&seal(3 << 40 | number, events))?;
                let due = begun + Duration::from_millis(20 * (number + 1));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            Ok(())
        });
        let mut connection = collector.connect()?;
        let mut times = Vec::new();
        for number in 0..LOOKS {
            let event = maker.event_beside(number);
            let message = format!("visible{number}x");
            // Later than all others, so that its issue stands first.
            let at = Timestamp(event.last_at.0 + 3_600_000_000);
            let event = Event {
                message: message.as_str().into(),
                first_at: at,
                last_at: at,
                ..event
            };
            let body = seal(2 << 40 | number as u64, [event]);
            let begun = Instant::now();
            connection.post(&body)?;
            while !collector.page("/issues")?.contains(&message) {
                if begun.elapsed() > Duration::from_secs(30) {
                    bail!("an issue does not become visible");
                }
            }
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        is_over.store(true, Ordering::Relaxed);
        let others = others
            .join()
            .map_err(|_| anyhow::anyhow!("a sender panicked"))?;
        others.map(|()| times)
    })?;
    times.sort_by(f64::total_cmp);
    let words = "from sending an event to its new issue on the page, 500 others a second";
    figures.add("visible_p95_ms", percentile(&times, 95.0), words);
    Ok(())
}

/// What became of requests.
#[derive(Default)]
struct Answered {
    taken: AtomicU64,
    turned_away: AtomicU64,
    other: AtomicU64,
}

impl Answered {
    fn note(&self, status: u16) {
        let counter = match status {
            200 => &self.taken,
            429 => &self.turned_away,
            _ => &self.other,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn told(&self) -> (f64, f64, f64) {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        (
            number(&self.taken),
            number(&self.turned_away),
            number(&self.other),
        )
    }
}

/// A loud project that sends as fast as it can and hears no 429, beside a quiet one.
fn overload(figures: &mut Figures) -> anyhow::Result<()> {
    let collector = Collector::start()?;
    let quiet_key = collector.further_project("quiet")?;
    let (loud, quiet) = (Answered::default(), Answered::default());
    let is_over = AtomicBool::new(false);
    let begun = Instant::now();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let (collector, loud, is_over) = (&collector, &loud, &is_over);
        for sender in 0..LOUD as u64 {
            scope.spawn(move || -> anyhow::Result<()> {
                let mut maker = Maker::new(Shape::FULL, 10 + sender);
                // Made once: this tool must not be what is slow.
                let bodies: Vec<Vec<u8>> = (0..40)
                    .map(|number| {
                        let events: Vec<Event> = (0..100).map(|_| maker.event()).collect();
                        seal((10 + sender) << 40 | number, events)
                    })
                    .collect();
                let mut connection = collector.connect()?;
                for body in bodies.iter().cycle() {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    match connection.post(body) {
                        Ok(status) => loud.note(status),
                        // Turned away before the body was read, on a connection that ends.
                        Err(_) => connection = collector.connect()?,
                    }
                }
                Ok(())
            });
        }
        let mut maker = Maker::new(Shape::FULL, 9);
        let mut connection = collector.connect_as(&quiet_key)?;
        for number in 0_u64.. {
            if begun.elapsed() > OVERLOAD {
                break;
            }
            let body = seal(9 << 40 | number, [maker.event()]);
            match connection.post(&body) {
                Ok(status) => quiet.note(status),
                Err(_) => {
                    quiet.note(0);
                    connection = collector.connect_as(&quiet_key)?;
                }
            }
            std::thread::sleep(QUIET_PAUSE);
        }
        is_over.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let (taken, turned_away, other) = loud.told();
    figures.add(
        "overload_seconds",
        seconds,
        "of a loud project beside a quiet one",
    );
    figures.add(
        "overload_taken_per_s",
        taken / seconds,
        "batches of 100 events",
    );
    figures.add(
        "overload_turned_away_per_s",
        turned_away / seconds,
        "batches",
    );
    figures.add("overload_other_answers", other, "neither taken nor 429");
    let (taken, turned_away, other) = quiet.told();
    let part = taken / (taken + turned_away + other) * 100.0;
    figures.add(
        "overload_quiet_percent",
        part,
        "of the quiet project's requests, taken at once",
    );
    let peak = memory_kib(collector.pid(), "VmHWM") as f64 / 1_024.0;
    figures.add("overload_peak_mib", peak, "resident at most");
    let ledger = collector.ask(&["ledger"])?;
    let ledger = ledger.as_array().context("the ledger is a list")?;
    let balances = ledger
        .iter()
        .all(|account| account["balanced"] == Value::Bool(true));
    figures.add(
        "overload_ledger_balances",
        f64::from(balances),
        "1 where it does",
    );
    collector.stop()
}
