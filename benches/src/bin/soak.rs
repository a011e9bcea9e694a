//! Does the SDK stay as it is, hour after hour? `soak [SECONDS]`, ten minutes where nothing is said.
//!
//! 10,000 reports a second, a tenth of them unlike all others, over a network that answers, refuses,
//! asks for pauses and goes silent in turns. At the end all accounts must be equal, and memory must be
//! what it was after the first tenth of the time. Prints its seed, and fails where something is wrong.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bugsage_benches::{Figures, cpu_of, memory_kib};
use bugsage_core::batch;
use bugsage_core::id::{BatchId, EventId};

const PER_SECOND: u64 = 10_000;

/// How long the network stays as it is.
const WEATHER: Duration = Duration::from_millis(1_700);

/// How much the memory may grow after the first tenth: what a slower network lets wait.
const GROWTH_KIB_MAX: u64 = 24 << 10;

/// What came, each batch once.
#[derive(Default)]
struct Taken {
    batches: HashSet<BatchId>,
    events: HashSet<EventId>,
    reports: u64,
    doubled: u64,
    lost: u64,
}

impl Taken {
    fn take(&mut self, body: &[u8]) -> anyhow::Result<()> {
        let batch = batch::decode(body)?;
        if !self.batches.insert(batch.id) {
            return Ok(());
        }
        for (_, event) in batch.events {
            self.reports += event.count;
            self.doubled += u64::from(!self.events.insert(event.id));
        }
        for losses in batch.losses {
            let lost = losses.dropped.iter().map(|(_, reports)| reports).sum();
            self.lost = self.lost.max(lost);
        }
        Ok(())
    }
}

/// A number that the same seed always gives for the same moment.
fn dice(seed: u64, number: u64) -> u64 {
    let mixed = (seed ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
}

fn serve(
    stream: &TcpStream,
    seed: u64,
    begun: Instant,
    taken: &Mutex<Taken>,
) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let weather = dice(
            seed,
            begun.elapsed().as_millis() as u64 / WEATHER.as_millis() as u64,
        );
        let take = || {
            taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(&body)
        };
        let status = match weather % 8 {
            0 => "503 Busy\r\nretry-after: 1",
            1 => "500 Broken",
            // Taken, and nobody hears of it.
            2 => {
                take()?;
                return Ok(());
            }
            3 => return Ok(()),
            4 => {
                std::thread::sleep(Duration::from_millis(700));
                take()?;
                "200 OK"
            }
            _ => {
                take()?;
                "200 OK"
            }
        };
        let body = r#"{"accepted":1,"duplicate":0,"rejected":[]}"#;
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        writer.write_all(answer.as_bytes())?;
    }
}

fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().nth(1).filter(|word| word != "--json");
    let seconds: u64 = seconds.map_or(Ok(600), |seconds| seconds.parse())?;
    let seed = std::env::var("SOAK_SEED").ok();
    let seed = seed.map_or(Ok(u64::from(std::process::id())), |seed| seed.parse())?;
    println!("seed {seed}: SOAK_SEED={seed} gives the same network again");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let taken: Arc<Mutex<Taken>> = Arc::default();
    let begun = Instant::now();
    let server = taken.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let taken = server.clone();
            // A client that goes away is no fault of the server.
            std::thread::spawn(move || drop(serve(&stream, seed, begun, &taken)));
        }
    });
    let process = std::process::id();
    let spool = std::env::temp_dir().join(format!("bugsage-soak-{process}"));
    let guard = bugsage_sdk::builder()
        .dsn(format!("http://key@{address}/1"))
        .spool_dir(&spool)
        .init();

    let until = Duration::from_secs(seconds);
    let (mut made, mut settled_kib, mut highest_kib) = (0_u64, 0, 0);
    while begun.elapsed() < until {
        let due = begun.elapsed().as_secs_f64() * PER_SECOND as f64;
        while made < due as u64 {
            let number = if made.is_multiple_of(10) {
                made
            } else {
                made % 50
            };
            let message = format!("report {number}");
            bugsage_sdk::capture_message(tracing::Level::ERROR, &message);
            made += 1;
        }
        std::thread::sleep(Duration::from_millis(2));
        if begun.elapsed() > until / 10 {
            // Of this process alone: the server in it keeps every id, which is told apart below.
            let known = taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .events
                .len() as u64;
            let own_kib = memory_kib(process, "VmRSS").saturating_sub(known * 48 / 1_024);
            settled_kib = if settled_kib == 0 {
                own_kib
            } else {
                settled_kib
            };
            highest_kib = highest_kib.max(own_kib);
        }
    }
    let cpu = cpu_of(process).as_secs_f64();
    let mut report = guard.flush(Duration::from_secs(60));
    for _ in 0..10 {
        if report.spooled == 0 {
            break;
        }
        report = guard.flush(Duration::from_secs(30));
    }
    let report = {
        let last = guard.shutdown(Duration::from_secs(60));
        ensure!(last.produced >= report.produced, "an account went back");
        last
    };

    let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let mut figures = Figures::default();
    figures.add("produced", report.produced as f64, "as the SDK counts");
    figures.add("delivered", report.delivered as f64, "as the SDK counts");
    figures.add(
        "taken",
        taken.reports as f64,
        "as the server counts, each batch once",
    );
    figures.add("dropped", report.dropped_total() as f64, "with a reason");
    figures.add("told_dropped", taken.lost as f64, "as the server was told");
    figures.add(
        "doubled",
        taken.doubled as f64,
        "events that came in two batches",
    );
    figures.add(
        "settled_kib",
        settled_kib as f64,
        "memory after a tenth of the time",
    );
    figures.add(
        "highest_kib",
        highest_kib as f64,
        "memory at most after that",
    );
    figures.add(
        "cpu_percent",
        cpu * 100.0 / seconds as f64,
        "of one core, server and all",
    );
    figures.print();
    std::fs::remove_dir_all(&spool).context("the spool can be removed")?;
    ensure!(made == report.produced, "{made} were made");
    ensure!(report.spooled == 0, "not all is delivered: {report:?}");
    ensure!(
        report.produced == report.delivered + report.dropped_total(),
        "{report:?}"
    );
    ensure!(
        taken.reports == report.delivered,
        "the server counts otherwise"
    );
    ensure!(taken.doubled == 0, "an event came twice");
    ensure!(
        taken.lost == report.dropped_total(),
        "the server was told otherwise"
    );
    ensure!(highest_kib < settled_kib + GROWTH_KIB_MAX, "memory grows");
    Ok(())
}
