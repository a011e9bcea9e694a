//! The account of everything the SDK produced, which always balances.
//!
//! produced = delivered + dropped, by reason, + pending. Capturing threads only add to atomics;
//! the rest is settled by the one shipping thread, and for the last time by whoever shuts down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why reports were lost. The words are part of the batch format and of [`Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// All slots for new records were taken.
    QueueFull,
    /// `before_send` said no.
    BeforeSend,
    /// `before_send` panicked.
    BeforeSendPanicked,
    /// The collector turned the batch away for good.
    Refused,
    /// The collector took the batch but turned single events away.
    Rejected,
    /// A record could not be read again.
    Unreadable,
    /// The guard was dropped, and its time was up.
    Shutdown,
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Reason::QueueFull => "queue_full",
            Reason::BeforeSend => "before_send",
            Reason::BeforeSendPanicked => "before_send_panicked",
            Reason::Refused => "refused",
            Reason::Rejected => "rejected",
            Reason::Unreadable => "unreadable",
            Reason::Shutdown => "shutdown",
        }
    }
}

/// What became of everything that was captured.
///
/// `produced = delivered + spooled + pending + dropped_total()`, exactly. After
/// [`Guard::shutdown`](crate::Guard::shutdown) nothing is pending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Reports captured so far, repeats counted.
    pub produced: u64,
    /// Reports that the collector acknowledged.
    pub delivered: u64,
    /// Reports that lie on disk for the next start. There is no spool yet, so this is zero.
    pub spooled: u64,
    /// Reports still on their way.
    pub pending: u64,
    /// Reports that are lost, by reason: `queue_full`, `before_send`,
    /// `before_send_panicked`, `refused`, `rejected`, `unreadable`, `shutdown`.
    pub dropped: BTreeMap<String, u64>,
}

impl Report {
    /// All reports that are lost, whatever the reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

#[derive(Default)]
pub(crate) struct Ledger {
    produced: AtomicU64,
    queue_full: AtomicU64,
    settled: Mutex<Settled>,
}

#[derive(Default)]
struct Settled {
    delivered: u64,
    dropped: BTreeMap<Reason, u64>,
    /// Once closed, nothing changes any more: the report was given.
    closed: bool,
}

impl Ledger {
    /// Counts a report. Called by capturing threads; one atomic addition.
    pub(crate) fn produced(&self) {
        self.produced.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a report that found no slot. Called by capturing threads; one atomic addition.
    pub(crate) fn queue_full(&self) {
        self.queue_full.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn delivered(&self, reports: u64) {
        let mut settled = self.settled();
        if !settled.closed {
            settled.delivered += reports;
        }
    }

    pub(crate) fn dropped(&self, reason: Reason, reports: u64) {
        let mut settled = self.settled();
        if !settled.closed && reports > 0 {
            *settled.dropped.entry(reason).or_default() += reports;
        }
    }

    /// The account as it stands.
    pub(crate) fn report(&self) -> Report {
        self.report_of(&self.settled())
    }

    /// Closes the account: what is still pending is given up for `Shutdown`.
    pub(crate) fn close(&self) -> Report {
        let mut settled = self.settled();
        if !settled.closed {
            let pending = self.report_of(&settled).pending;
            if pending > 0 {
                *settled.dropped.entry(Reason::Shutdown).or_default() += pending;
            }
            settled.closed = true;
        }
        let mut report = self.report_of(&settled);
        // A thread that captures at this very moment comes too late to be in the report.
        report.produced -= report.pending;
        report.pending = 0;
        report
    }

    fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report_of(&self, settled: &Settled) -> Report {
        let queue_full = self.queue_full.load(Ordering::Relaxed);
        let mut dropped: BTreeMap<String, u64> = settled
            .dropped
            .iter()
            .map(|(reason, reports)| (reason.as_str().to_owned(), *reports))
            .collect();
        if queue_full > 0 {
            dropped.insert(Reason::QueueFull.as_str().to_owned(), queue_full);
        }
        // Read last, so that it is never smaller than its parts.
        let produced = self.produced.load(Ordering::SeqCst);
        let settled_total = settled.delivered + dropped.values().sum::<u64>();
        Report {
            produced: produced.max(settled_total),
            delivered: settled.delivered,
            spooled: 0,
            pending: produced.saturating_sub(settled_total),
            dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_pending_at_the_end_is_dropped_for_shutdown() {
        let ledger = Ledger::default();
        (0..5).for_each(|_| ledger.produced());
        ledger.delivered(2);

        assert_eq!(ledger.report().pending, 3);
        let report = ledger.close();

        assert_eq!((report.pending, report.dropped_total()), (0, 3));
        ledger.delivered(3);
        assert_eq!(ledger.close(), report, "a closed account does not change");
    }

    proptest! {
        #[test]
        fn the_account_balances_whatever_happens(steps in prop::collection::vec(0..5_u8, 0..60)) {
            let ledger = Ledger::default();
            let mut open = 0;
            for step in steps {
                match step {
                    0 | 1 => { ledger.produced(); open += 1; }
                    2 if open > 0 => { ledger.delivered(1); open -= 1; }
                    3 if open > 0 => { ledger.dropped(Reason::Refused, 1); open -= 1; }
                    _ if open > 0 => { ledger.queue_full(); open -= 1; }
                    _ => {}
                }
                let report = ledger.report();
                prop_assert_eq!(report.pending, open);
                prop_assert_eq!(report.produced, report.delivered + report.spooled + report.pending + report.dropped_total());
            }
        }
    }
}
