//! How many different reports one place in the code may make.
//!
//! Equal reports are folded and cost nothing; a place whose reports all differ, in an id or a time of
//! their message, would fill queue, disk and network. The table is of fixed size, and a place that
//! finds no entry of its own takes that of another, which then begins anew: it lets more pass, never
//! less. What is held back is counted exactly.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bugsage_core::clock::Timestamp;

use crate::sync::AtomicU64;

/// Places that are told apart: far more than fail in any one second.
const PLACES: usize = if cfg!(bugsage_loom) { 4 } else { 1_024 };

/// How many entries a place may stand in.
const PROBES: usize = 4;

// An entry is one word: 24 bits of the place, 24 of the period, 16 of the count.
const COUNT_MASK: u64 = 0xffff;
const PERIOD_SHIFT: u32 = 16;
const PERIOD_MASK: u64 = 0xff_ffff;
const PLACE_SHIFT: u32 = 40;

/// At most so many different reports of a place in each period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) reports_max: u16,
    pub(crate) period: Duration,
}

pub(crate) struct Limiter {
    limit: Limit,
    entries: Box<[AtomicU64]>,
}

impl Limiter {
    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            limit,
            entries: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Whether a report of a place may be taken down. One atomic change where it may.
    pub(crate) fn allows(&self, place: u64, at: Timestamp) -> bool {
        let period_us = self.limit.period.as_micros().max(1) as u64;
        // Period zero is that of an entry that nobody used.
        let period = (at.0 / period_us + 1) & PERIOD_MASK;
        let own = place >> PLACE_SHIFT << PLACE_SHIFT | period << PERIOD_SHIFT;
        let probes: [&AtomicU64; PROBES] =
            std::array::from_fn(|step| &self.entries[(place as usize % PLACES) ^ step]);
        let is_own = |entry: u64| entry & !COUNT_MASK == own;
        let is_old = |entry: u64| (entry >> PERIOD_SHIFT) & PERIOD_MASK != period;
        // Looked at once: threads that meet choose the same.
        let seen = probes.map(|entry| entry.load(Ordering::Relaxed));
        let chosen = seen.iter().position(|entry| is_own(*entry));
        let chosen = chosen.or_else(|| seen.iter().position(|entry| is_old(*entry)));
        let entry = probes[chosen.unwrap_or(0)];
        let counted = entry.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let count = if is_own(word) { word & COUNT_MASK } else { 0 };
            let has_room = count < u64::from(self.limit.reports_max);
            has_room.then_some(own | (count + 1))
        });
        counted.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(reports_max: u16) -> Limiter {
        Limiter::new(Limit {
            reports_max,
            period: Duration::from_secs(10),
        })
    }

    fn allowed(limiter: &Limiter, place: u64, at_s: u64, tries: usize) -> usize {
        let at = Timestamp(at_s * 1_000_000);
        (0..tries).filter(|_| limiter.allows(place, at)).count()
    }

    #[test]
    fn a_place_has_its_number_in_each_period() {
        let limiter = limiter(3);

        assert_eq!(allowed(&limiter, 7, 100, 5), 3);
        assert_eq!(allowed(&limiter, 7, 109, 5), 0, "the period is not over");
        assert_eq!(allowed(&limiter, 7, 110, 5), 3);
    }

    #[test]
    fn places_do_not_take_each_others_number() {
        let limiter = limiter(2);
        let places: Vec<u64> = (1..=200)
            .map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();

        for place in &places {
            assert_eq!(allowed(&limiter, *place, 50, 4), 2);
        }
    }

    #[test]
    fn more_places_than_entries_let_more_pass_and_never_less() {
        let limiter = limiter(1);

        for place in 1..=(PLACES as u64 * 8) {
            let place = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert_eq!(allowed(&limiter, place, 50, 1), 1);
        }
    }

    #[test]
    fn threads_that_meet_share_one_number() {
        let limiter = limiter(1_000);
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| allowed(&limiter, 9, 50, 1_000)))
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .sum()
        });

        assert_eq!(passed, 1_000);
    }
}
