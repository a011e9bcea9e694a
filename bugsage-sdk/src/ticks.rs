//! What time it is for spans: nanoseconds of a clock that never goes back.
//!
//! A span takes four times. Asking the kernel's clock takes 20 to 25 ns each; where the processor's own
//! counter is what that clock is read from, as the kernel says, it is read instead, for half of that, once
//! the shipping thread has found out how fast it counts.

use bugsage_core::clock::Timestamp;

use crate::client;
use crate::spool::layout::{EPOCH_OFFSET_AT, Words};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use counter::{Calibration, now};

/// Notes in a run's words what makes times of this clock times since the epoch, and tells the time.
pub(crate) fn note_epoch(words: &Words) -> u64 {
    let now = now();
    let since_epoch = client::now().0.wrapping_sub(now / 1_000);
    words.store(EPOCH_OFFSET_AT, since_epoch);
    now
}

/// When a time of this clock was, by what a run's words say.
pub(crate) fn date(words: &Words, ns: u64) -> Timestamp {
    Timestamp(words.load(EPOCH_OFFSET_AT).wrapping_add(ns / 1_000))
}

/// Nanoseconds of the system's clock, which on Linux is the same for all processes until the machine starts
/// again.
fn clock() -> u64 {
    read(false)
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) fn now() -> u64 {
    clock()
}

/// There is nothing to calibrate: the system's clock is read.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
#[derive(Default)]
pub(crate) struct Calibration;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
impl Calibration {
    pub(crate) fn go_on(&mut self) {}

    pub(crate) fn due_in(&self) -> Option<std::time::Duration> {
        None
    }
}

/// As [`now`], to a few milliseconds, for a fifth of the price. The two may differ by that over a second,
/// and by more over days: a time is only to be compared with others of its kind.
pub(crate) fn coarse() -> u64 {
    read(true)
}

/// By the C library, which asks the kernel where it must: `rustix` looks for the kernel's own page in memory,
/// and under valgrind there is none where it is said to be.
#[cfg(target_os = "linux")]
fn read(is_coarse: bool) -> u64 {
    let id = if is_coarse {
        libc::CLOCK_MONOTONIC_COARSE
    } else {
        libc::CLOCK_MONOTONIC
    };
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the place for the answer is ours and of its type. Both clocks are there since Linux 2.6.32;
    // where one were not, the answer would stay at zero.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(not(target_os = "linux"))]
fn read(_: bool) -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    // One more than nothing, so that zero stays free to say "never".
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod counter {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::clock;

    /// Where the kernel tells what its clock is read from.
    const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

    /// How long the counter is watched before it is believed: reading both clocks takes some 100 ns, a
    /// hundred-thousandth of this.
    const WATCHED_NS: u64 = 20_000_000;

    /// How far the counter may be from the clock before it is given up for good. A virtual machine that
    /// moves to another host may come to a counter of another speed.
    const DRIFT_MAX_NS: u64 = 5_000_000;

    /// Nanoseconds for each count, times 2³²; zero where the counter is not used.
    static SCALE: AtomicU64 = AtomicU64::new(0);
    /// What the counter and the clock said at the same time.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static NS: AtomicU64 = AtomicU64::new(0);

    /// Nanoseconds of a clock that never goes back on any thread by more than cores differ.
    #[inline]
    pub(crate) fn now() -> u64 {
        let scale = SCALE.load(Ordering::Acquire);
        if scale == 0 {
            return clock();
        }
        at(count(), scale)
    }

    fn at(count: u64, scale: u64) -> u64 {
        let counted = count.saturating_sub(COUNT.load(Ordering::Relaxed));
        let ns = (u128::from(counted) * u128::from(scale)) >> 32;
        NS.load(Ordering::Relaxed).wrapping_add(ns as u64)
    }

    fn count() -> u64 {
        // SAFETY: every processor of this architecture has the instruction, and it touches no memory.
        // Where a process is forbidden to use it, so is reading the clock in user space: `go_on` tries it
        // on the shipping thread only where the kernel itself reads its clock so.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    /// Finds out how fast the counter counts, on the one shipping thread, which never waits for it.
    #[derive(Default)]
    pub(crate) struct Calibration {
        /// Counter and clock when watching began.
        begun: Option<(u64, u64)>,
        is_over: bool,
    }

    impl Calibration {
        /// How long until a further look finds out more; `None` where none is needed.
        pub(crate) fn due_in(&self) -> Option<std::time::Duration> {
            let (_, ns_then) = self.begun?;
            let is_wanted = !self.is_over && SCALE.load(Ordering::Relaxed) == 0;
            let left = (ns_then + WATCHED_NS).saturating_sub(clock());
            is_wanted.then(|| std::time::Duration::from_nanos(left + 1))
        }

        /// Takes a further look.
        pub(crate) fn go_on(&mut self) {
            if self.is_over {
                return;
            }
            let Some((count_then, ns_then)) = self.begun else {
                let source = std::fs::read_to_string(SOURCE).unwrap_or_default();
                self.is_over = source.trim() != "tsc";
                if !self.is_over {
                    self.begun = Some((count(), clock()));
                }
                return;
            };
            let (count_now, ns_now) = (count(), clock());
            let scale = SCALE.load(Ordering::Relaxed);
            if scale != 0 {
                if at(count_now, scale).abs_diff(ns_now)
                    > DRIFT_MAX_NS + (ns_now - ns_then) / 10_000
                {
                    SCALE.store(0, Ordering::Release);
                    self.is_over = true;
                }
                return;
            }
            let (counted, ns) = (count_now.saturating_sub(count_then), ns_now - ns_then);
            if ns < WATCHED_NS || counted == 0 {
                return;
            }
            COUNT.store(count_now, Ordering::Relaxed);
            NS.store(ns_now, Ordering::Relaxed);
            let scale = (u128::from(ns) << 32) / u128::from(counted);
            SCALE.store(scale as u64, Ordering::Release);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_counter_tells_the_clocks_time_where_it_may_be_used() {
            let mut calibration = Calibration::default();
            calibration.go_on();
            while !calibration.is_over && SCALE.load(Ordering::Acquire) == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
                calibration.go_on();
            }

            let (before, now, after) = (clock(), now(), clock());
            let slack = 100_000;
            assert!(
                before <= now + slack && now <= after + slack,
                "{before} {now} {after}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_tell_the_same_time() {
        let (before, coarse, after) = (now(), coarse(), now());

        assert!(before <= after);
        // A tick is 10 ms on the slowest kernels; a stopped virtual machine may take longer to be told.
        assert!(before.abs_diff(coarse) < 1_000_000_000, "{before} {coarse}");
    }
}
