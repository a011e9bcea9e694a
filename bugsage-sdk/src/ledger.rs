//! The account of everything the SDK produced, which always balances.
//!
//! produced = delivered + spooled + pending + dropped, by reason. Capturing threads only add to
//! words of the spool; the rest is settled in its books by the one shipping thread, and told for
//! the last time by whoever shuts down.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bugsage_core::event::Ended;

use crate::queue;
use crate::report::{Report, SpanReport};
use crate::spool::books::Books;
use crate::spool::ended_of;
use crate::spool::layout::{
    ENDED_AT, PAUSED_AT, PRODUCED_AT, QUEUE_FULL_AT, RATE_LIMITED_AT, SPANS_FULL_AT, UNWANTED_AT,
    Words,
};
use crate::sync::AtomicU64;

/// Why reports were lost. The words are part of the batch format and of [`Report`], the order is
/// part of the spool's: new ones come last.
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
    /// The guard was dropped, its time was up, and there was no spool to keep them.
    Shutdown,
    /// The spool had all the bytes that it may have; the oldest went.
    SpoolFull,
    /// They lay in the spool for longer than they may.
    SpoolExpired,
    /// The process died while it took them down, or the spool's files were damaged.
    SpoolCorrupt,
    /// A place in the code had made more different reports than the app allows.
    RateLimited,
    /// The collector does not want reports of their kind for now.
    Unwanted,
    /// The app had paused capturing.
    Paused,
}

/// How many reasons there are.
pub(crate) const REASONS: usize = Reason::ALL.len();

impl Reason {
    pub(crate) const ALL: [Reason; 13] = [
        Reason::QueueFull,
        Reason::BeforeSend,
        Reason::BeforeSendPanicked,
        Reason::Refused,
        Reason::Rejected,
        Reason::Unreadable,
        Reason::Shutdown,
        Reason::SpoolFull,
        Reason::SpoolExpired,
        Reason::SpoolCorrupt,
        Reason::RateLimited,
        Reason::Unwanted,
        Reason::Paused,
    ];

    /// Those that capturing threads count, each in a word of its own.
    pub(crate) const AT_CAPTURE: [(Reason, usize); 4] = [
        (Reason::QueueFull, QUEUE_FULL_AT),
        (Reason::RateLimited, RATE_LIMITED_AT),
        (Reason::Unwanted, UNWANTED_AT),
        (Reason::Paused, PAUSED_AT),
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Reason::QueueFull => "queue_full",
            Reason::BeforeSend => "before_send",
            Reason::BeforeSendPanicked => "before_send_panicked",
            Reason::Refused => "refused",
            Reason::Rejected => "rejected",
            Reason::Unreadable => "unreadable",
            Reason::Shutdown => "shutdown",
            Reason::SpoolFull => "spool_full",
            Reason::SpoolExpired => "spool_expired",
            Reason::SpoolCorrupt => "spool_corrupt",
            Reason::RateLimited => "rate_limited",
            Reason::Unwanted => "unwanted",
            Reason::Paused => "paused",
        }
    }
}

/// Reports by the reason why they were lost. Sums stop at what a word can hold: those of a damaged
/// file may be anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally([u64; REASONS]);

impl Tally {
    pub(crate) fn add(&mut self, reason: Reason, reports: u64) {
        let count = &mut self.0[reason as usize];
        *count = count.saturating_add(reports);
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        for (reason, reports) in other.by_reason() {
            self.add(reason, reports);
        }
    }

    pub(crate) fn counts(&self) -> &[u64] {
        &self.0
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The reasons that occurred.
    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (Reason, u64)> {
        let all = Reason::ALL.into_iter().zip(self.0);
        all.filter(|(_, reports)| *reports > 0)
    }
}

/// The account of this run.
pub(crate) struct Ledger {
    produced: &'static AtomicU64,
    at_capture: [&'static AtomicU64; Reason::AT_CAPTURE.len()],
    pub(crate) books: Arc<Books>,
    is_file: bool,
    /// The last report, once it was given: nothing changes it any more.
    closed: Mutex<Option<Report>>,
}

impl Ledger {
    pub(crate) fn new(words: &'static [AtomicU64], is_file: bool) -> Self {
        Self {
            produced: &words[PRODUCED_AT],
            at_capture: Reason::AT_CAPTURE.map(|(_, at)| &words[at]),
            books: Arc::new(Books::open(Words::Shared(words))),
            is_file,
            closed: Mutex::new(None),
        }
    }

    /// Counts a report. Called by capturing threads; one atomic addition.
    pub(crate) fn produced(&self) {
        self.produced.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a report that is lost where it is made. Called by capturing threads; one atomic addition.
    pub(crate) fn lost_at_capture(&self, reason: Reason) {
        let counts = Reason::AT_CAPTURE.iter().zip(self.at_capture);
        let count = counts
            .into_iter()
            .find(|((counted, _), _)| *counted == reason);
        if let Some((_, count)) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a finished span that is lost where it is closed.
    pub(crate) fn span_lost(&self) {
        self.books.words.add(SPANS_FULL_AT, 1);
    }

    /// Notes for the next start how this run ended.
    pub(crate) fn ended(&self, how: Ended) {
        self.books.words.store(ENDED_AT, how.number().into());
    }

    pub(crate) fn how_it_ended(&self) -> Ended {
        ended_of(&self.books.words)
    }

    /// The account as it stands.
    pub(crate) fn report(&self) -> Report {
        self.closed().clone().unwrap_or_else(|| self.open_report())
    }

    /// Closes the account. What is still on its way stays in the spool; where there is none it is
    /// given up for `Shutdown`.
    pub(crate) fn close(&self) -> Report {
        let mut closed = self.closed();
        let report = closed.get_or_insert_with(|| {
            let mut report = self.open_report();
            if report.pending > 0 {
                let reason = Reason::Shutdown.as_str().to_owned();
                report.dropped.insert(reason, report.pending);
                report.pending = 0;
            }
            let spans = &mut report.spans;
            if spans.pending > 0 {
                let reason = Reason::Shutdown.as_str().to_owned();
                spans.dropped.insert(reason, spans.pending);
                spans.pending = 0;
            }
            report
        });
        report.clone()
    }

    fn closed(&self) -> MutexGuard<'_, Option<Report>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_report(&self) -> Report {
        let settled = self.books.settled();
        let lost = self.books.lost(&Tally::default());
        let mut dropped = BTreeMap::new();
        for (reason, reports) in lost.by_reason() {
            dropped.insert(reason.as_str().to_owned(), reports);
        }
        let spans = self.open_spans();
        let settled_total = settled.delivered + lost.total();
        // Read last, so that it is never smaller than its parts.
        let produced = self.produced.load(Ordering::SeqCst).max(settled_total);
        let open = produced - settled_total;
        Report {
            produced,
            delivered: settled.delivered,
            spooled: if self.is_file { open } else { 0 },
            pending: if self.is_file { 0 } else { open },
            dropped,
            spans,
        }
    }

    fn open_spans(&self) -> SpanReport {
        let settled = self.books.settled();
        let lost = self.books.spans_lost(&Tally::default());
        let settled_total = settled.spans_delivered + lost.total();
        let in_pages = queue::spans_in_pages(&self.books.words, settled.batch);
        let produced = self.books.spans_counted().saturating_add(in_pages);
        let produced = produced.max(settled_total);
        let open = produced - settled_total;
        let dropped = lost.by_reason();
        SpanReport {
            produced,
            delivered: settled.spans_delivered,
            spooled: if self.is_file { open } else { 0 },
            pending: if self.is_file { 0 } else { open },
            dropped: dropped
                .map(|(reason, n)| (reason.as_str().to_owned(), n))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::layout::Memory;
    use proptest::prelude::*;

    fn delivered(ledger: &Ledger, reports: u64) {
        ledger.books.commit(|settled| settled.delivered += reports);
    }

    #[test]
    fn what_is_pending_at_the_end_is_dropped_for_shutdown() {
        let ledger = Ledger::new(Memory::anonymous().words, false);
        (0..5).for_each(|_| ledger.produced());
        delivered(&ledger, 2);

        assert_eq!(ledger.report().pending, 3);
        let report = ledger.close();

        assert_eq!((report.pending, report.dropped_total()), (0, 3));
        delivered(&ledger, 3);
        assert_eq!(ledger.close(), report, "a closed account does not change");
    }

    #[test]
    fn what_lies_in_the_spool_at_the_end_is_not_lost() {
        let ledger = Ledger::new(Memory::anonymous().words, true);
        (0..5).for_each(|_| ledger.produced());
        delivered(&ledger, 2);

        let report = ledger.close();

        assert_eq!((report.spooled, report.dropped_total()), (3, 0));
    }

    proptest! {
        #[test]
        fn the_account_balances_whatever_happens(
            steps in prop::collection::vec(0..5_u8, 0..60),
            is_file: bool,
        ) {
            let ledger = Ledger::new(Memory::anonymous().words, is_file);
            let mut open = 0;
            for step in steps {
                match step {
                    0 | 1 => { ledger.produced(); open += 1; }
                    2 if open > 0 => { delivered(&ledger, 1); open -= 1; }
                    3 if open > 0 => {
                        ledger.books.commit(|settled| settled.dropped.add(Reason::Refused, 1));
                        open -= 1;
                    }
                    _ if open > 0 => { ledger.lost_at_capture(Reason::QueueFull); open -= 1; }
                    _ => {}
                }
                let report = ledger.report();
                prop_assert_eq!(report.pending + report.spooled, open);
                prop_assert_eq!(report.produced, report.delivered + open + report.dropped_total());
            }
        }
    }
}
