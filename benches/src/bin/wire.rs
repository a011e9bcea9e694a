//! How many bytes does a panic take on the wire, alone and among others?
//!
//! Real panics through the SDK: about 25 frames of this program and of std, 20 breadcrumbs that all
//! differ, an open span with two fields, tags, and what the SDK tells of the host. Of the hundred
//! each takes another way through the program and says something else.

use std::hint::black_box;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

use bugsage_benches::{Figures, ROUNDS, Sink, median};
use tracing_subscriber::layer::SubscriberExt;

const BREADCRUMBS: u64 = 20;

/// Calls of a panic, beside those of `main` and of std.
const LEVELS: u64 = 14;

macro_rules! ways {
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

ways!(price cart order stock discount delivery invoice customer address);

/// A panic with all that a busy app knows at that moment.
fn panic_of(number: u64) {
    let order = tracing::info_span!("checkout", order = number * 7_919, customer = number * 31);
    let _entered = order.enter();
    for step in 0..BREADCRUMBS {
        let micros = (number * 7_919 + step * 104_729) % 9_973;
        tracing::info!("item {step} of order {number} was reserved in {micros} us");
    }
    drop(catch_unwind(|| next(number, number * 48_271, LEVELS)));
}

/// Bytes of all bodies that some panics take, and how many bodies there were.
fn bytes_of(spool: &Path, panics: u64) -> anyhow::Result<(f64, f64)> {
    let sink = Sink::start()?;
    let guard = bugsage_sdk::builder()
        .dsn(sink.dsn())
        .spool_dir(spool)
        .release("shop@1.4.0+3f2a91c0")
        .environment("production")
        .try_init()?;
    bugsage_sdk::set_tag("region", "eu-central-1");
    (0..panics).for_each(panic_of);
    let report = guard.shutdown(Duration::from_secs(30));
    anyhow::ensure!(report.delivered == panics, "not all arrived: {report:?}");
    let (bytes, batches) = sink.taken();
    Ok((bytes as f64, batches as f64))
}

fn main() -> anyhow::Result<()> {
    let spool = std::env::temp_dir().join(format!("bugsage-bench-wire-{}", std::process::id()));
    std::panic::set_hook(Box::new(|_| {}));
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    tracing::subscriber::set_global_default(subscriber)?;
    let mut figures = Figures::default();
    for panics in [1, 100] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(bytes_of(&spool, panics)?);
        }
        let bytes = rounds.iter().map(|(bytes, _)| bytes / panics as f64);
        figures.add(
            &format!("bytes_each_of_{panics}"),
            median(bytes.collect()),
            "bodies, by the number of panics",
        );
        let batches = rounds.iter().map(|(_, batches)| *batches);
        figures.add(
            &format!("bodies_of_{panics}"),
            median(batches.collect()),
            "how many that were",
        );
    }
    figures.print();
    std::fs::remove_dir_all(&spool)?;
    Ok(())
}
