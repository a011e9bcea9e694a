//! Time and random ids: the collector is an edge, so they are made here and handed inwards.

use std::ops::Range;

use jiff::ToSpan;
use jiff::tz::TimeZone;

use bugsage_core::clock::{Clock, Timestamp};
use bugsage_core::id::CaseId;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that others are given"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since_epoch.map_or(0, |duration| duration.as_micros() as u64))
    }
}

/// A new id for a case that begins now.
pub fn new_case_id(at: Timestamp) -> CaseId {
    let mut random = [0; 10];
    random.copy_from_slice(&uuid::Uuid::new_v4().into_bytes()[..10]);
    CaseId::new(at, random)
}

/// The month of UTC that a time is in: its begin, and that of the next one.
pub fn month_of(at: Timestamp) -> Range<Timestamp> {
    let time = to_jiff(at).to_zoned(TimeZone::UTC);
    let begin = time.first_of_month().and_then(|day| day.start_of_day());
    let end = begin.as_ref().map_or_else(
        |_| jiff::Timestamp::MAX,
        |begin| begin.saturating_add(1.month()).timestamp(),
    );
    let begin = begin.map_or(jiff::Timestamp::UNIX_EPOCH, |begin| begin.timestamp());
    let micros = |time: jiff::Timestamp| Timestamp(time.as_microsecond().max(0) as u64);
    micros(begin)..micros(end)
}

fn to_jiff(at: Timestamp) -> jiff::Timestamp {
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX)
}

/// A time as RFC 3339 in UTC.
pub fn rfc3339(at: Timestamp) -> String {
    format!("{:.6}", to_jiff(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_and_ends_in_utc() {
        let at = |text: &str| {
            let time: jiff::Timestamp = text.parse().expect("is a time");
            Timestamp(time.as_microsecond() as u64)
        };
        for (time, begin, end) in [
            (
                "2026-02-28T23:59:59Z",
                "2026-02-01T00:00:00Z",
                "2026-03-01T00:00:00Z",
            ),
            (
                "2026-12-01T00:00:00Z",
                "2026-12-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                "1970-01-01T00:00:00Z",
                "1970-01-01T00:00:00Z",
                "1970-02-01T00:00:00Z",
            ),
        ] {
            assert_eq!(month_of(at(time)), at(begin)..at(end), "{time}");
        }
        let last = month_of(Timestamp(u64::MAX));
        assert!(last.start < last.end, "{last:?}");
    }
}
