//! Time as everybody here counts it: microseconds since the epoch, and a clock that tests can hold.

/// A point in time: microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "model", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "model", serde(transparent))]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The whole milliseconds since the epoch, as UUIDv7 counts them.
    pub fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// The microseconds from `earlier` to `self`, zero where `earlier` is later.
    pub fn micros_since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Tells the time. The edges implement it; everything inside takes it as an argument.
pub trait Clock: Send + Sync {
    /// The present time by this clock.
    fn now(&self) -> Timestamp;
}
