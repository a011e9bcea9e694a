//! What does resolving symbols cost: memory at its peak and a second later, time, and the panics that
//! happen meanwhile?
//!
//! Control: the same process before its first panic through a library with that much debug information.
//! Each case is a process of its own, since the system remembers the peak of a process.

use std::hint::black_box;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bugsage_benches::library::Library;
use bugsage_benches::{Figures, Sink, median, memory_kib};

/// Modules for about 64 MiB and about 300 MiB of debug sections.
const MIB_64: u32 = 140;
const MIB_300: u32 = 650;

/// Name, modules, units, and how much may be read.
const CASES: [(&str, u32, u32, u64); 5] = [
    ("64_mib", MIB_64, 16, 96 << 20),
    ("64_mib_one_unit", MIB_64, 1, 96 << 20),
    ("300_mib_all", MIB_300, 16, 1 << 30),
    ("300_mib_default", MIB_300, 16, 64 << 20),
    ("300_mib_off", MIB_300, 16, 0),
];

extern "C-unwind" fn panics() {
    panic!("through a large library");
}

extern "C-unwind" fn goes_back() {
    black_box(());
}

#[inline(never)]
fn deep(levels: u32, number: u64) -> u64 {
    if levels == 0 {
        panic!("panic number {number}");
    }
    deep(black_box(levels - 1), number) + 1
}

fn panic_us(number: u64) -> f64 {
    let begun = Instant::now();
    drop(black_box(catch_unwind(|| deep(20, number))));
    begun.elapsed().as_nanos() as f64 / 1e3
}

/// The median of panics that are apart, as panics are: back to back they measure the caches.
fn control_us() -> f64 {
    let apart = |number| {
        std::thread::sleep(Duration::from_millis(2));
        panic_us(number)
    };
    median((0..100).map(apart).collect())
}

fn resident_mib() -> f64 {
    memory_kib(std::process::id(), "VmRSS:") as f64 / 1024.0
}

/// One case, in a process of its own: figures as a line of words.
fn measure(path: &str, bytes_max: u64) -> anyhow::Result<()> {
    let library = Library::load(Path::new(path))?;
    library.call(goes_back);
    std::panic::set_hook(Box::new(|_| {}));
    black_box((0..20).map(panic_us).sum::<f64>());
    let control = control_us();
    let sink = Sink::start()?;
    let guard = bugsage_sdk::builder()
        .dsn(sink.dsn())
        .without_spool()
        .symbols_bytes_max(bytes_max)
        .init();
    // All else that shipping takes is paid before; what is resolved here is in this program, which
    // has line tables.
    let first = panic_us(u64::MAX);
    guard.flush(Duration::from_secs(60));
    std::thread::sleep(Duration::from_secs(1));
    let base = resident_mib();
    // Forgets the peak so far.
    std::fs::write("/proc/self/clear_refs", "5").context("the peak can be reset")?;

    let begun = Instant::now();
    drop(catch_unwind(|| library.call(panics)));
    let through = begun.elapsed().as_nanos() as f64 / 1e3;
    let mut meanwhile = Vec::new();
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| guard.flush(Duration::from_secs(60)));
        while !flush.is_finished() {
            std::thread::sleep(Duration::from_millis(2));
            meanwhile.push(panic_us(meanwhile.len() as u64 % 100));
        }
    });
    let took = begun.elapsed().as_secs_f64() * 1e3;
    let peak = memory_kib(std::process::id(), "VmHWM:") as f64 / 1024.0 - base;
    std::thread::sleep(Duration::from_secs(1));
    let left = resident_mib() - base;
    let meanwhile = median(meanwhile) - control;
    let debug = library.debug_bytes as f64 / f64::from(1 << 20);
    let (first, through) = (first - control, through - control);
    println!("{debug} {peak} {left} {took} {first} {through} {meanwhile}");
    drop(guard);
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    if let [_, word, path, bytes_max] = &*words
        && word == "measure"
    {
        return measure(path, bytes_max.parse()?);
    }
    let names = [
        ("debug_mib", "debug sections of the library"),
        ("peak_added_mib", "memory at the peak, over before"),
        ("left_after_1_s_mib", "memory a second later, over before"),
        ("resolved_ms", "from the panic to its delivery"),
        (
            "first_panic_over_silent_us",
            "the first panic of the process",
        ),
        (
            "through_over_silent_us",
            "the first panic through the library",
        ),
        (
            "meanwhile_over_silent_us",
            "panics while that one is resolved",
        ),
    ];
    let mut figures = Figures::default();
    for (case, modules, units, bytes_max) in CASES {
        let library = Library::build(modules, units)?;
        let round = || -> anyhow::Result<Vec<f64>> {
            let output = Command::new(std::env::current_exe()?)
                .arg("measure")
                .arg(&library)
                .arg(bytes_max.to_string())
                .output()?;
            let text = String::from_utf8(output.stdout)?;
            let values: Vec<f64> = text
                .split_whitespace()
                .map(str::parse)
                .collect::<Result<_, _>>()?;
            if values.len() != names.len() {
                bail!("{case}: {}", String::from_utf8_lossy(&output.stderr));
            }
            Ok(values)
        };
        let rounds = (0..bugsage_benches::ROUNDS).map(|_| round());
        let rounds: Vec<Vec<f64>> = rounds.collect::<anyhow::Result<_>>()?;
        for (at, (name, words)) in names.into_iter().enumerate() {
            let value = median(rounds.iter().map(|values| values[at]).collect());
            figures.add(&format!("{case}_{name}"), value, words);
        }
    }
    figures.print();
    Ok(())
}
