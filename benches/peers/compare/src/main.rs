//! Runs the same scenes with BugSage, with its peers and with nothing, in turns, and prints medians
//! and ratios: `cargo run --release -p compare [--json] [SCENE...]`.
//!
//! The scenes are `panics`, `wire`, `delivery`, `exits`, `kills`, `cost` and `spans`. `cost` builds each
//! program from nothing and `spans` has a table and goals of its own: both take minutes, and are left out
//! where no scene is named.

mod cost;
mod server;
mod spans;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Map, Value, json};

use server::{Manner, Server};

/// Rounds of which the median is taken.
const ROUNDS: usize = 7;

/// A program that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Programs, the control first.
const PROGRAMS: [&str; 3] = ["without", "beside-sentry", "beside-bugsage"];

/// Kills per program.
const KILLS: usize = 10;

/// Figures by name, each with a value by program.
#[derive(Default)]
struct Table(BTreeMap<String, BTreeMap<&'static str, Vec<f64>>>);

impl Table {
    fn add(&mut self, figure: &str, program: &'static str, value: f64) {
        let values = self.0.entry(figure.to_owned()).or_default();
        values.entry(program).or_default().push(value);
    }

    /// Medians by program, and the ratio of BugSage's to sentry's.
    fn medians(&self) -> impl Iterator<Item = (&String, [Option<f64>; 3], Option<f64>)> {
        self.0.iter().map(|(figure, values)| {
            let medians = PROGRAMS.map(|program| values.get(program).map(|values| median(values)));
            let [_, sentry, bugsage] = medians;
            let ratio = bugsage.zip(sentry).map(|(ours, theirs)| ours / theirs);
            (figure, medians, ratio)
        })
    }

    fn document(&self) -> Map<String, Value> {
        let mut document = Map::new();
        for (figure, [without, sentry, bugsage], ratio) in self.medians() {
            let figures = json!({
                "without": without, "sentry": sentry, "bugsage": bugsage, "ratio": ratio,
            });
            document.insert(figure.clone(), figures);
        }
        document
    }

    fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        println!(
            "{:<44} {:>12} {:>12} {:>12} {:>9}",
            "", "without", "sentry", "bugsage", "ratio"
        );
        for (figure, medians, ratio) in self.medians() {
            let [without, sentry, bugsage] = medians.map(cell);
            let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
            println!("{figure:<44} {without:>12} {sentry:>12} {bugsage:>12} {ratio:>9}");
        }
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.1}"))
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Where the programs lie: beside this one.
fn folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own
        .parent()
        .context("a program lies in a folder")?
        .to_owned())
}

/// A scene that is being played. Dropped, it is killed.
struct Playing {
    child: Child,
    begun: Instant,
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(program: &str, words: &[&str], spool: &Path) -> anyhow::Result<Playing> {
    let mut command = Command::new(folder()?.join(program));
    command
        .args(words)
        .env("BUGSAGE_SPOOL_DIR", spool)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let child = command.spawn().with_context(|| {
        format!("{program} is not there: build all of this workspace with --release --workspace")
    })?;
    Ok(Playing {
        child,
        begun: Instant::now(),
    })
}

/// Plays a scene to its end and reads its figures. One that hangs has none.
fn play(
    program: &'static str,
    scene: &str,
    dsn: &str,
    spool: &Path,
) -> anyhow::Result<Vec<(String, f64)>> {
    finish(start(program, &[scene, dsn], spool)?)
}

fn finish(mut playing: Playing) -> anyhow::Result<Vec<(String, f64)>> {
    while playing.child.try_wait()?.is_none() {
        if playing.begun.elapsed() > PATIENCE {
            return Ok(Vec::new());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = playing.child.stdout.take().context("is piped")?;
    let mut figures = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some((name, value)) = line.split_once(' ') {
            figures.push((name.to_owned(), value.parse()?));
        }
    }
    Ok(figures)
}

/// A spool folder of its own, so that no program ships what another left.
struct Spool(PathBuf);

impl Spool {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("bugsage-peers-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Panics and their message, over networks that answer at once, late and never.
fn panics(table: &mut Table) -> anyhow::Result<()> {
    let networks = [
        ("up", Manner::Answers(Duration::ZERO)),
        ("slow", Manner::Answers(Duration::from_millis(300))),
        ("dead", Manner::Refuses),
    ];
    for _ in 0..ROUNDS {
        for (network, manner) in networks {
            for program in PROGRAMS {
                let (server, spool) = (Server::start(manner)?, Spool::new());
                for scene in ["panic", "message"] {
                    // Two seconds for each panic over a slow network: a few are as good.
                    if program == "beside-sentry" && scene == "panic" && network == "slow" {
                        continue;
                    }
                    for (name, value) in play(program, scene, &server.dsn(), &spool.0)? {
                        let name = name.replace("_us", "");
                        let figure = match scene {
                            "panic" => format!("panic {name}, network {network}, us"),
                            _ => format!("panic to {name}, network {network}, us"),
                        };
                        table.add(&figure, program, value);
                    }
                }
            }
        }
    }
    Ok(())
}

fn wire(table: &mut Table) -> anyhow::Result<()> {
    for (scene, panics) in [("one", 1), ("many", 100)] {
        for _ in 0..ROUNDS {
            for program in &PROGRAMS[1..] {
                let (server, spool) = (
                    Server::start(Manner::Answers(Duration::ZERO))?,
                    Spool::new(),
                );
                play(program, scene, &server.dsn(), &spool.0)?;
                let taken = server.taken();
                let bytes = taken.bytes as f64 / taken.reports.max(1) as f64;
                table.add(
                    &format!("wire, bytes of a panic, of {panics}"),
                    program,
                    bytes,
                );
                let arrived = taken.reports as f64;
                table.add(
                    &format!("wire, panics that arrived, of {panics}"),
                    program,
                    arrived,
                );
            }
        }
    }
    Ok(())
}

fn delivery(table: &mut Table) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        for program in &PROGRAMS[1..] {
            let manner = Manner::Answers(Duration::from_millis(50));
            let (server, spool) = (Server::start(manner)?, Spool::new());
            let figures: BTreeMap<_, _> = play(program, "flood", &server.dsn(), &spool.0)?
                .into_iter()
                .collect();
            let seconds = figures.get("seconds").copied().unwrap_or(f64::NAN);
            let delivered = server.taken().reports as f64;
            table.add(
                "delivery over 50 ms, reports/s",
                program,
                delivered / seconds,
            );
            let cpu = figures.get("cpu_us").copied().unwrap_or(f64::NAN);
            table.add("delivery, CPU of a report made, us", program, cpu);
        }
    }
    Ok(())
}

/// How long dropping the guard takes; what hangs counts with the time that it was waited for.
fn exits(table: &mut Table) -> anyhow::Result<()> {
    let networks = [
        ("up", Manner::Answers(Duration::ZERO)),
        ("refused", Manner::Refuses),
        ("never answers", Manner::Silent),
        ("a byte a second", Manner::Drips),
    ];
    for round in 0..ROUNDS {
        for (network, manner) in networks {
            for program in &PROGRAMS[1..] {
                // One that hangs hangs each time.
                let figure = format!("guard drop, {network}, ms");
                let hung = PATIENCE.as_secs_f64() * 1e3;
                let seen = table.0.get(&figure).and_then(|values| values.get(program));
                if round > 0 && seen.is_some_and(|values| values.contains(&hung)) {
                    continue;
                }
                let (server, spool) = (Server::start(manner)?, Spool::new());
                let figures = play(program, "exit", &server.dsn(), &spool.0)?;
                let took = figures.first().map_or(hung, |(_, value)| *value);
                table.add(&figure, program, took);
            }
        }
    }
    Ok(())
}

fn kills(table: &mut Table) -> anyhow::Result<()> {
    for program in &PROGRAMS[1..] {
        let (server, spool) = (
            Server::start(Manner::Answers(Duration::ZERO))?,
            Spool::new(),
        );
        for _ in 0..KILLS {
            let mut playing = start(program, &["kill", &server.dsn()], &spool.0)?;
            let output = playing.child.stdout.take().context("is piped")?;
            let captured = BufReader::new(output).lines().next();
            captured.context("it captures before it is killed")??;
            // `kill -9`.
            drop(playing);
        }
        // The next start, which reports nothing itself.
        play(program, "hello", &server.dsn(), &spool.0)?;
        let arrived = server.taken().reports as f64 * 100.0 / KILLS as f64;
        table.add("kill -9 after capture, arrived %", program, arrived);
    }
    Ok(())
}

type Scene = (&'static str, fn(&mut Table) -> anyhow::Result<()>);

const SCENES: [Scene; 6] = [
    ("panics", panics),
    ("wire", wire),
    ("delivery", delivery),
    ("exits", exits),
    ("kills", kills),
    ("cost", cost::builds),
];

fn main() -> anyhow::Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let as_json = words.iter().any(|word| word == "--json");
    words.retain(|word| word != "--json");
    if words.is_empty() {
        words = SCENES[..SCENES.len() - 1]
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
    }
    let mut table = Table::default();
    let mut spans = None;
    for word in &words {
        if word == "spans" {
            spans = Some(spans::compare()?);
            continue;
        }
        let scene = SCENES.iter().find(|(name, _)| name == word);
        let (_, play) = scene.with_context(|| format!("there is no scene {word:?}"))?;
        play(&mut table)?;
    }
    if as_json {
        let mut document = table.document();
        if let Some(spans) = spans {
            document.insert("spans".to_owned(), spans.document());
        }
        println!("{}", Value::Object(document));
    } else {
        table.print();
        if let Some(spans) = spans {
            spans.print();
        }
    }
    Ok(())
}
