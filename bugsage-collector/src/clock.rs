//! Time and random ids: the collector is an edge, so they are made here and handed inwards.

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

/// A time as RFC 3339 in UTC.
pub fn rfc3339(at: Timestamp) -> String {
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.6}")
}
