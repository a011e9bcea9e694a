//! What does a panic cost its thread, and how long does the guard take to go?
//!
//! Control: the same panics over a silent hook before the SDK is there. The network is a black
//! hole: it takes connections and never answers. The spool is on, as it is by default.

use std::hint::black_box;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bugsage_benches::{Figures, Sink, black_hole, median};

/// Panics per figure; few enough that all kinds fit into the queue.
const PANICS: u64 = 150;

/// Panics of one kind that are counted on the wire.
const REPEATS: u64 = 100_000;

/// When the hook that prints was last called.
static PRINTS: Mutex<Option<Instant>> = Mutex::new(None);

/// The app's own hook: where it would print, it notes the time.
fn would_print() {
    if let Ok(mut prints) = PRINTS.lock() {
        *prints = Some(Instant::now());
    }
}

/// Microseconds from a panic to where its message is printed.
fn message_us(number: u64) -> f64 {
    std::thread::sleep(Duration::from_millis(2));
    let begun = Instant::now();
    drop(black_box(catch_unwind(|| deep(20, number))));
    let prints = PRINTS.lock().ok().and_then(|prints| *prints);
    let elapsed = prints.map(|prints| prints.duration_since(begun));
    elapsed.map_or(f64::NAN, |elapsed| elapsed.as_nanos() as f64 / 1e3)
}

#[inline(never)]
fn deep(levels: u32, number: u64) -> u64 {
    if levels == 0 {
        panic!("panic number {number}");
    }
    deep(black_box(levels - 1), number) + 1
}

/// Microseconds of one caught panic.
fn panic_us(number: u64) -> f64 {
    let begun = Instant::now();
    let caught = catch_unwind(|| deep(20, number));
    let elapsed = begun.elapsed();
    drop(black_box(caught));
    elapsed.as_nanos() as f64 / 1e3
}

/// The median over panics that differ or are all the same.
fn panics_us(numbers: impl Iterator<Item = u64>) -> f64 {
    let times = numbers.map(|number| {
        // Apart, as panics are: back to back they measure the caches.
        std::thread::sleep(Duration::from_millis(2));
        panic_us(number)
    });
    median(times.collect())
}

fn drop_ms(dsn: &str, spool: &Path, timeout: Duration) -> f64 {
    let guard = bugsage_sdk::builder()
        .dsn(dsn)
        .spool_dir(spool)
        .shutdown_timeout(timeout)
        .init();
    drop(catch_unwind(|| deep(1, 1)));
    let begun = Instant::now();
    drop(guard);
    begun.elapsed().as_secs_f64() * 1e3
}

fn main() -> anyhow::Result<()> {
    let mut figures = Figures::default();
    std::panic::set_hook(Box::new(|_| would_print()));
    black_box(panics_us(0..20));
    let control = panics_us(0..PANICS);
    figures.add(
        "silent_hook_us",
        control,
        "the control: a caught panic, 25 frames",
    );

    // Each black hole has a port of its own, so nothing is shipped here that was left before.
    let spool = std::env::temp_dir().join(format!("bugsage-bench-hook-{}", std::process::id()));
    let guard = bugsage_sdk::builder()
        .dsn(black_hole()?)
        .spool_dir(&spool)
        .shutdown_timeout(Duration::from_millis(100))
        .init();
    let first = panic_us(u64::MAX);
    figures.add(
        "first_over_silent_us",
        first - control,
        "the first panic of the process",
    );
    let messages = (1 << 40..).take(PANICS as usize / 2).map(message_us);
    figures.add(
        "message_us",
        median(messages.collect()),
        "from a panic to where its message is printed",
    );
    let distinct = panics_us(0..PANICS);
    figures.add(
        "different_over_silent_us",
        distinct - control,
        "panics that all differ, warm",
    );
    let equal = panics_us(std::iter::repeat_n(1, PANICS as usize));
    figures.add(
        "equal_over_silent_us",
        equal - control,
        "the same panic again and again, warm",
    );
    drop(guard);

    let up = Sink::start()?;
    let slow = Sink::behind(Duration::from_millis(500))?;
    for (name, dsn) in [
        ("up", up.dsn()),
        ("slow", slow.dsn()),
        ("refused", "http://key@127.0.0.1:1/1".to_owned()),
    ] {
        let guard = bugsage_sdk::builder()
            .dsn(dsn)
            .spool_dir(&spool)
            .shutdown_timeout(Duration::from_millis(100))
            .init();
        let distinct = panics_us(0..PANICS);
        figures.add(
            &format!("different_{name}_over_silent_us"),
            distinct - control,
            "the same with a network that is so",
        );
        drop(guard);
    }

    let timeout = Duration::from_millis(500);
    let over = |dsn: &str| median((0..7).map(|_| drop_ms(dsn, &spool, timeout)).collect()) - 500.0;
    figures.add(
        "drop_black_hole_over_timeout_ms",
        over(&black_hole()?),
        "guard dropped, server never answers",
    );
    figures.add(
        "drop_refused_over_timeout_ms",
        over("http://key@127.0.0.1:1/1"),
        "guard dropped, connection refused",
    );

    let sink = Sink::start()?;
    let guard = bugsage_sdk::builder()
        .dsn(sink.dsn())
        .spool_dir(&spool)
        .init();
    let begun = Instant::now();
    (0..REPEATS).for_each(|_| drop(catch_unwind(|| deep(20, 7))));
    let each = begun.elapsed().as_nanos() as f64 / 1e3 / REPEATS as f64;
    let report = guard.shutdown(Duration::from_secs(10));
    let (bytes, batches) = sink.taken();
    figures.add("back_to_back_us", each, "100,000 equal panics, each caught");
    figures.add(
        "delivered",
        report.delivered as f64,
        "of them, as the SDK counts",
    );
    figures.add("wire_bytes", bytes as f64, "all bodies of these together");
    figures.add("wire_batches", batches as f64, "how many bodies that were");
    figures.print();
    std::fs::remove_dir_all(&spool)?;
    Ok(())
}
