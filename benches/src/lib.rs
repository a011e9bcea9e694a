//! What the benches share: medians, a sink for batches, events to send, and CPU time.
//!
//! Machines are shared and noisy, so every figure is a median of at least seven rounds.

pub mod events;
pub mod library;
pub mod load;
pub mod recorded;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Rounds of which the median is taken.
pub const ROUNDS: usize = 7;

/// The figures of a bench, in the order in which they were found.
#[derive(Default)]
pub struct Figures(Map<String, Value>, Vec<String>);

impl Figures {
    /// Notes a figure under its name, with its unit last in it.
    pub fn add(&mut self, name: &str, value: f64, words: &str) {
        let rounded = (value * 1_000.0).round() / 1_000.0;
        self.0.insert(name.to_owned(), json!(rounded));
        self.1.push(format!("{rounded:>14.3}  {name:<44} {words}"));
    }

    /// Prints a table, or one document where `--json` was given.
    pub fn print(self) {
        if std::env::args().any(|word| word == "--json") {
            println!("{}", Value::Object(self.0));
        } else {
            self.1.iter().for_each(|line| println!("{line}"));
        }
    }
}

/// The middle of some values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A value below which so many percent of all are.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let at = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// Median nanoseconds of one call over [`ROUNDS`] rounds, after a tenth of a round to warm up.
pub fn nanos_per_call(calls: u64, mut call: impl FnMut(u64)) -> f64 {
    (0..calls / 10).for_each(&mut call);
    let round = |_| {
        let begun = Instant::now();
        (0..calls).for_each(&mut call);
        begun.elapsed().as_nanos() as f64 / calls as f64
    };
    median((0..ROUNDS).map(round).collect())
}

/// CPU time of a process, user and system, from `/proc`.
pub fn cpu_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field may hold spaces, and ends in the last parenthesis.
    let fields = stat.rsplit(") ").next().unwrap_or("");
    let ticks = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok());
    let per_second = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64(ticks.sum::<u64>() as f64 / per_second as f64)
}

/// A field of `/proc/PID/status` that is told in KiB, such as `VmHWM`.
pub fn memory_kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with(field))
        .unwrap_or("");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0)
}

/// Takes every batch and counts its bytes.
pub struct Sink {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
    batches: Arc<AtomicU64>,
}

impl Sink {
    /// Listens on a free port until the process ends, and answers at once.
    pub fn start() -> std::io::Result<Self> {
        Self::behind(Duration::ZERO)
    }

    /// Listens on a free port until the process ends, and answers after a round trip of that time.
    pub fn behind(round_trip: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sink = Self {
            address: listener.local_addr()?,
            bytes: Arc::default(),
            batches: Arc::default(),
        };
        let (bytes, batches) = (sink.bytes.clone(), sink.batches.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (bytes, batches) = (bytes.clone(), batches.clone());
                std::thread::spawn(move || drop(answer(&stream, round_trip, &bytes, &batches)));
            }
        });
        Ok(sink)
    }

    /// Where an SDK finds it.
    pub fn dsn(&self) -> String {
        format!("http://key@{}/1", self.address)
    }

    /// Bytes of all bodies, and how many there were.
    pub fn taken(&self) -> (u64, u64) {
        (
            self.bytes.load(Ordering::SeqCst),
            self.batches.load(Ordering::SeqCst),
        )
    }
}

fn answer(
    stream: &TcpStream,
    round_trip: Duration,
    bytes: &AtomicU64,
    batches: &AtomicU64,
) -> std::io::Result<()> {
    // Header and body of an answer leave together.
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut length = 0_u64;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        bytes.fetch_add(length, Ordering::SeqCst);
        batches.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(round_trip);
        let body = r#"{"accepted":1,"duplicate":0,"rejected":[]}"#;
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        writer.write_all(answer.as_bytes())?;
    }
}

/// A DSN whose host takes connections and never answers.
pub fn black_hole() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten().take(1_000) {
            held.push(stream);
        }
    });
    Ok(format!("http://key@{address}/1"))
}
