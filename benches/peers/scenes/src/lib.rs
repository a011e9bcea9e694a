//! What every program here does, with whichever SDK it has: `PROGRAM SCENE [DSN]`.
//!
//! Figures are printed as `name value`, one a line.

use std::hint::black_box;
use std::panic::{catch_unwind, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An SDK, as far as the scenes use it.
pub trait Sdk {
    /// What keeps it alive; dropping it delivers.
    type Guard;

    /// Starts it with its defaults.
    fn start(&self, dsn: &str) -> Self::Guard;

    /// Reports a message.
    fn message(&self, text: &str);
}

/// Panics of which the median is taken; apart, as panics are.
const PANICS: u64 = 101;
const APART: Duration = Duration::from_millis(3);

/// How long reports are made where it is counted how many arrive.
const MAKING: Duration = Duration::from_secs(3);

/// Plays the scene that the command line names.
pub fn play(sdk: &impl Sdk) {
    let mut words = std::env::args().skip(1);
    let scene = words.next().unwrap_or_default();
    let dsn = words.next().unwrap_or_default();
    match &*scene {
        "hello" => drop(sdk.start(&dsn)),
        "panic" => panics(sdk, &dsn),
        "message" => message(sdk, &dsn),
        "one" => one(sdk, &dsn),
        "many" => many(sdk, &dsn),
        "flood" => flood(sdk, &dsn),
        "exit" => exit(sdk, &dsn),
        "kill" => kill(sdk, &dsn),
        _ => eprintln!("there is no scene {scene:?}"),
    }
}

macro_rules! calls {
    ($($name:ident)*) => {
        $(#[inline(never)]
        fn $name(number: u64, way: u64, levels: u64) -> u64 {
            next(black_box(number), black_box(way / 3), black_box(levels)) + 1
        })*

        /// Calls on, by a way that differs from number to number.
        #[inline(never)]
        fn next(number: u64, way: u64, levels: u64) -> u64 {
            if levels == 0 {
                panic!("cart {number} of customer {} has no price", number * 31);
            }
            let ways = [$($name),*];
            ways[way as usize % ways.len()](number, way, levels - 1)
        }
    };
}

calls!(price cart order stock discount delivery invoice customer address);

/// Microseconds of one caught panic, twelve calls deep.
fn panic_us(number: u64) -> f64 {
    let begun = Instant::now();
    let caught = catch_unwind(|| next(number, number * 48_271, 6));
    let elapsed = begun.elapsed();
    assert!(caught.is_err());
    elapsed.as_nanos() as f64 / 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn panics(sdk: &impl Sdk, dsn: &str) {
    set_hook(Box::new(|_| {}));
    let _guard = sdk.start(dsn);
    println!("first_us {}", panic_us(0));
    let cpu = cpu_seconds();
    let warm = (1..=PANICS).map(|number| {
        std::thread::sleep(APART);
        panic_us(number)
    });
    println!("warm_us {}", median(warm.collect()));
    println!("cpu_us {}", (cpu_seconds() - cpu) * 1e6 / PANICS as f64);
}

/// From the panic to the moment in which the hook of the app runs, which prints.
fn message(sdk: &impl Sdk, dsn: &str) {
    static PRINTED_AT: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    set_hook(Box::new(move |_| {
        PRINTED_AT.store(start.elapsed().as_nanos() as u64, Ordering::SeqCst);
    }));
    let _guard = sdk.start(dsn);
    let begun = start.elapsed().as_nanos() as u64;
    let _ = catch_unwind(|| next(1, 1, 6));
    let printed = PRINTED_AT.load(Ordering::SeqCst);
    println!("message_us {}", printed.saturating_sub(begun) as f64 / 1e3);
}

fn one(sdk: &impl Sdk, dsn: &str) {
    set_hook(Box::new(|_| {}));
    let guard = sdk.start(dsn);
    panic_us(1);
    drop(guard);
}

/// A hundred panics, none like another.
fn many(sdk: &impl Sdk, dsn: &str) {
    set_hook(Box::new(|_| {}));
    let guard = sdk.start(dsn);
    for number in 0..100 {
        panic_us(number);
    }
    drop(guard);
}

/// As many different messages as it takes to see how many arrive.
fn flood(sdk: &impl Sdk, dsn: &str) {
    let guard = sdk.start(dsn);
    let begun = Instant::now();
    let mut made = 0_u64;
    while begun.elapsed() < MAKING {
        // 25,000 a second.
        while made < (begun.elapsed().as_secs_f64() * 25_000.0) as u64 {
            sdk.message(&format!("payment {made} was declined"));
            made += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(guard);
    println!("made {made}");
    println!("seconds {}", begun.elapsed().as_secs_f64());
    println!("cpu_us {}", cpu_seconds() * 1e6 / made as f64);
}

fn exit(sdk: &impl Sdk, dsn: &str) {
    let guard = sdk.start(dsn);
    for number in 0..3 {
        sdk.message(&format!("message {number}"));
    }
    let begun = Instant::now();
    drop(guard);
    println!("drop_ms {}", begun.elapsed().as_secs_f64() * 1e3);
}

/// Says that something was captured, and waits to be killed.
fn kill(sdk: &impl Sdk, dsn: &str) {
    let _guard = sdk.start(dsn);
    sdk.message("the last words");
    println!("captured 1");
    loop {
        std::thread::park();
    }
}

/// CPU time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or("");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // `USER_HZ`, which is 100 on every Linux that Rust runs on.
    ticks as f64 / 100.0
}
