//! What a call costs: time and allocations of the calling thread, and CPU time of the whole process.
//!
//! Time is the median of many pieces of about a millisecond, so that neither a piece in which another
//! program had the core nor one in which the machine was interrupted counts.

use std::time::{Duration, Instant};

use crate::allocations;
use crate::process;

/// How long a piece takes at least.
const PIECE: Duration = Duration::from_micros(500);

/// How long calls are made, before and while they are measured.
const WARMING: Duration = Duration::from_millis(100);
const MEASURING: Duration = Duration::from_millis(400);

/// Pieces of calls, and what they cost.
#[derive(Default)]
pub(crate) struct Costs {
    piece_ns: Vec<f64>,
    calls: u64,
    allocations: u64,
}

impl Costs {
    /// Makes so many calls and takes down what they cost.
    pub(crate) fn piece(&mut self, calls: u64, mut call: impl FnMut(u64)) {
        let allocations = allocations::made();
        let begun = Instant::now();
        for number in self.calls..self.calls + calls {
            call(number);
        }
        let elapsed = begun.elapsed();
        self.allocations += allocations::made() - allocations;
        self.piece_ns
            .push(elapsed.as_nanos() as f64 / calls.max(1) as f64);
        self.calls += calls;
    }

    /// Forgets what was cold. The calls go on with the next number.
    pub(crate) fn forget(&mut self) {
        self.piece_ns.clear();
        self.allocations = 0;
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) fn ns(&self) -> f64 {
        median(&self.piece_ns)
    }

    /// Prints it, of so many calls that were measured.
    fn print(&self, measured: u64, cpu_ns: f64) {
        let of_each = |sum: f64| sum / measured.max(1) as f64;
        println!("ns {}", self.ns());
        println!("allocations {}", of_each(self.allocations as f64));
        println!("cpu_ns {}", of_each(cpu_ns));
    }
}

/// Calls as fast as they go.
pub(crate) fn flood(mut call: impl FnMut(u64)) {
    let mut costs = Costs::default();
    let calls = calls_of_a_piece(&mut costs, &mut call);
    let mut go_on = |costs: &mut Costs, time: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < time {
            costs.piece(calls, &mut call);
        }
    };
    go_on(&mut costs, WARMING);
    costs.forget();
    let (before, cpu_ns) = (costs.calls(), process::cpu_ns());
    go_on(&mut costs, MEASURING);
    costs.print(costs.calls() - before, process::cpu_ns() - cpu_ns);
}

fn calls_of_a_piece(costs: &mut Costs, call: &mut impl FnMut(u64)) -> u64 {
    let mut calls = 1;
    loop {
        let begun = Instant::now();
        costs.piece(calls, &mut *call);
        if begun.elapsed() > PIECE {
            return calls;
        }
        calls *= 2;
    }
}

/// How calls come that leave whoever ships them time to do so.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) bursts: u32,
    /// Bursts before those that are measured.
    pub(crate) cold: u32,
    pub(crate) every: Duration,
    /// Pieces of a burst, and calls of a piece.
    pub(crate) pieces: u64,
    pub(crate) calls: u64,
}

/// Calls in bursts, and prints what they cost. What is shipped after the last burst counts too, up to
/// the time at which the next would begin.
pub(crate) fn paced(pace: Pace, call: impl FnMut(u64)) {
    let (costs, cpu_ns) = bursts(pace, Instant::now(), call);
    let measured = u64::from(pace.bursts) * pace.pieces * pace.calls;
    costs.print(measured, cpu_ns);
}

/// Calls in bursts, the first at a given time, and tells what they cost and the CPU time meanwhile.
pub(crate) fn bursts(pace: Pace, begun: Instant, mut call: impl FnMut(u64)) -> (Costs, f64) {
    let mut costs = Costs::default();
    let mut cpu_ns = process::cpu_ns();
    let mut due = begun;
    for burst in 0..pace.cold + pace.bursts {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if burst == pace.cold {
            costs.forget();
            cpu_ns = process::cpu_ns();
        }
        for _ in 0..pace.pieces {
            costs.piece(pace.calls, &mut call);
        }
        due += pace.every;
    }
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
    (costs, process::cpu_ns() - cpu_ns)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
