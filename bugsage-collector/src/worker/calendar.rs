//! What time it is for those who delete: the clock's word, once it can be believed.
//!
//! A machine that starts without a network may be years ahead for a minute, and ninety days would be over
//! for every event. So a clock that went another way than time itself is believed only after it has stood by
//! it for a while; until then the earlier of the two counts. Where it was right after all, as after a long
//! pause, old events stay a day longer.

use std::time::Duration;

use bugsage_core::clock::Timestamp;

/// How far the clock may be from what was to be expected: more than a step of NTP, less than the shortest
/// retention.
const APART_MAX: Duration = Duration::from_secs(3_600);

/// After how long a clock that is apart is right.
const BELIEVED_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// A clock under observation.
#[derive(Debug)]
pub(super) struct Calendar {
    expected: Timestamp,
    /// For how long the clock has told something else.
    apart: Duration,
}

impl Calendar {
    /// Begins with a time that is known to have been, such as that of the newest receipt.
    pub(super) fn since(known: Timestamp) -> Self {
        Self {
            expected: known,
            apart: Duration::ZERO,
        }
    }

    /// Hears what the clock tells so long after the last time, and says what to go by.
    pub(super) fn hear(&mut self, told: Timestamp, elapsed: Duration) -> Timestamp {
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let expected = Timestamp(self.expected.0.saturating_add(elapsed_us));
        let apart = Duration::from_micros(told.0.abs_diff(expected.0));
        let was_apart = self.is_apart();
        self.apart = match apart > APART_MAX {
            true => self
                .apart
                .saturating_add(elapsed.max(Duration::from_nanos(1))),
            false => Duration::ZERO,
        };
        if self.is_apart() && !was_apart {
            let days = apart.as_secs() / (24 * 3_600);
            let is_ahead = told > expected;
            tracing::warn!(
                days,
                is_ahead,
                "the clock is far from where it should be: until it has stood by that for a day, \
                 no event is too old"
            );
        }
        if !self.is_apart() || self.apart >= BELIEVED_AFTER {
            self.apart = Duration::ZERO;
            self.expected = told;
        } else {
            self.expected = expected;
        }
        told.min(self.expected)
    }

    fn is_apart(&self) -> bool {
        !self.apart.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
    const LOOK: Duration = Duration::from_secs(30);
    const DAY: u64 = 24 * 3_600;

    fn after(begin: Timestamp, seconds: u64) -> Timestamp {
        Timestamp(begin.0 + seconds * 1_000_000)
    }

    #[test]
    fn a_clock_that_walks_is_believed() {
        let mut calendar = Calendar::since(NOW);
        for look in 1..10_000 {
            // Slewed, and stepped by a few minutes.
            let told = after(NOW, look * 31 + look % 300);
            assert_eq!(calendar.hear(told, LOOK), told);
        }
    }

    #[test]
    fn a_clock_that_jumps_ahead_for_an_hour_is_not_believed() {
        let mut calendar = Calendar::since(NOW);
        for look in 1..=120 {
            let told = after(NOW, 3_650 * DAY + look * 30);
            let by = calendar.hear(told, LOOK);
            assert_eq!(by, after(NOW, look * 30));
        }
        let right = after(NOW, 121 * 30);
        assert_eq!(calendar.hear(right, LOOK), right);
    }

    #[test]
    fn a_clock_that_falls_back_and_returns_was_right_before() {
        let mut calendar = Calendar::since(NOW);
        let fallen = Timestamp(0);
        assert_eq!(
            calendar.hear(fallen, LOOK),
            fallen,
            "nothing is old in 1970"
        );
        let right = after(NOW, 60);
        assert_eq!(calendar.hear(right, LOOK), right);
    }

    #[test]
    fn a_clock_that_stands_by_its_jump_for_a_day_is_believed() {
        for told_at in [3_650 * DAY, 2 * DAY] {
            let mut calendar = Calendar::since(NOW);
            let looks = DAY / 30;
            for look in 1..looks {
                let by = calendar.hear(after(NOW, told_at + look * 30), LOOK);
                assert!(by < after(NOW, 2 * DAY), "look {look}");
            }
            for look in looks + 1..looks + 100 {
                let told = after(NOW, told_at + look * 30);
                assert_eq!(calendar.hear(told, LOOK), told);
            }
        }
    }

    #[test]
    fn a_clock_that_never_says_the_same_twice_is_never_believed_ahead() {
        let mut calendar = Calendar::since(NOW);
        for look in 1..1_000 {
            let ahead = if look % 2 == 0 { 3_650 * DAY } else { 30 * DAY };
            let by = calendar.hear(after(NOW, ahead + look * 30), LOOK);
            assert_eq!(by, after(NOW, look * 30));
        }
    }
}
