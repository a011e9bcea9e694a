//! What is there while nothing happens.

use std::time::Duration;

use crate::Layer;
use crate::process;

/// After the start, until it has settled.
const SETTLING: Duration = Duration::from_secs(2);

const WATCHING: Duration = Duration::from_secs(10);

pub(crate) fn idle(layer: &impl Layer, rate: f64) {
    // What reading takes itself is there before.
    process::others();
    process::memory_kib();
    let (memory, anonymous) = process::memory_kib();
    let guard = layer.start(rate, None);
    std::thread::sleep(SETTLING);
    let (threads, switches) = process::others();
    let now = process::memory_kib();
    std::thread::sleep(WATCHING);
    let switches = process::others().1 - switches;
    println!("threads {threads}");
    println!("memory_kib {}", now.0.saturating_sub(memory));
    println!("anonymous_kib {}", now.1.saturating_sub(anonymous));
    println!("switches {switches}");
    layer.end(guard);
}
