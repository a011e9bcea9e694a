//! What the app is told of its reports.

use std::collections::BTreeMap;

/// What became of everything that this run captured.
///
/// `produced = delivered + spooled + pending + dropped_total()`, exactly. After
/// [`Guard::shutdown`](crate::Guard::shutdown) nothing is pending. Reports are counted with their repeats,
/// spans in an account of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Reports captured so far, repeats counted.
    pub produced: u64,
    /// Reports that the collector acknowledged.
    pub delivered: u64,
    /// Reports that lie in the spool, on their way or for the next start: they survive the process.
    pub spooled: u64,
    /// Reports on their way that would die with the process: there is no spool.
    pub pending: u64,
    /// Reports that are lost, by reason: `queue_full`, `before_send`,
    /// `before_send_panicked`, `refused`, `rejected`, `unreadable`, `shutdown`, `spool_full`,
    /// `spool_expired`, `spool_corrupt`, `rate_limited`, `unwanted`, `paused`. A reason that nothing was lost
    /// for is not there.
    pub dropped: BTreeMap<String, u64>,
    /// What became of the finished spans of sampled traces, by the same rules.
    pub spans: SpanReport,
}

/// What became of the spans that were sampled and closed.
///
/// `produced = delivered + spooled + pending + dropped_total()`, exactly. Those of traces that are not
/// sampled are no spans of this account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpanReport {
    /// Spans that were closed so far.
    pub produced: u64,
    /// Spans that the collector acknowledged.
    pub delivered: u64,
    /// Spans that lie in the spool: they survive the process.
    pub spooled: u64,
    /// Spans on their way that would die with the process: there is no spool.
    pub pending: u64,
    /// Spans that are lost, by the reasons of [`Report::dropped`].
    pub dropped: BTreeMap<String, u64>,
}

impl SpanReport {
    /// All spans that are lost, whatever the reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

impl Report {
    /// All reports that are lost, whatever the reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}
