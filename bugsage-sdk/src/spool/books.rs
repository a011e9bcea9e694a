//! The account of one run, in two panes: whatever must change together changes at once.
//!
//! A change is written whole into the pane that does not count. Storing the epoch, one word, makes
//! it the one that counts. So whoever reads the file after a kill at any instruction finds the
//! books as they were before the change or as they are after it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Ended, Losses};
use bugsage_core::id::RunId;

use super::fault;
use super::layout::{
    ENDED_AT, EPOCH_AT, Header, PANE_WORDS, PANES_AT, PRODUCED_AT, SPANS_FULL_AT, Words,
};
use crate::ledger::{REASONS, Reason, Tally};

/// What is known for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The number of the last batch that counts. A file with a higher one was never sent.
    pub(crate) batch: u64,
    /// The batch that is done with: its file is to be deleted, where it is still there. Zero: none.
    pub(crate) gone: u64,
    /// How many reports were lost when the collector was last told.
    pub(crate) told: u64,
    pub(crate) delivered: u64,
    /// How the run ended when the collector was last told, as a number plus one; zero where it was not.
    pub(crate) ended_told: u64,
    pub(crate) dropped: Tally,
    /// How many spans went into batches, or were dropped on the way there.
    pub(crate) spans_packed: u64,
    pub(crate) spans_delivered: u64,
    pub(crate) spans_dropped: Tally,
}

impl Settled {
    fn write(&self, words: &Words, pane: usize) {
        let head = [
            self.batch,
            self.gone,
            self.told,
            self.delivered,
            self.ended_told,
            self.spans_packed,
            self.spans_delivered,
        ];
        let counts = self.dropped.counts().iter();
        let counts = counts.chain(self.spans_dropped.counts());
        for (offset, word) in head.iter().chain(counts).enumerate() {
            words.store(pane + offset, *word);
        }
    }

    fn read(words: &Words, pane: usize) -> Self {
        let tally = |begin: usize| {
            let mut tally = Tally::default();
            for (index, reason) in Reason::ALL.iter().enumerate() {
                tally.add(*reason, words.load(pane + begin + index));
            }
            tally
        };
        Self {
            batch: words.load(pane),
            gone: words.load(pane + 1),
            told: words.load(pane + 2),
            delivered: words.load(pane + 3),
            ended_told: words.load(pane + 4),
            spans_packed: words.load(pane + 5),
            spans_delivered: words.load(pane + 6),
            dropped: tally(HEAD_WORDS),
            spans_dropped: tally(HEAD_WORDS + REASONS),
        }
    }
}

/// The words of a pane before the losses by reason.
const HEAD_WORDS: usize = 7;

const _: () = assert!(
    HEAD_WORDS + 2 * REASONS <= PANE_WORDS,
    "a pane has room for every reason"
);

/// The books of a run. One thread changes them; capturing threads only count beside them.
pub(crate) struct Books {
    pub(crate) words: Words,
    settled: Mutex<Settled>,
}

impl Books {
    /// Opens the books as they stand in the words.
    pub(crate) fn open(words: Words) -> Self {
        let settled = Settled::read(&words, pane(words.load(EPOCH_AT)));
        Self {
            words,
            settled: Mutex::new(settled),
        }
    }

    /// Fills new books for a run whose own were damaged. The header comes last: a kill before it
    /// leaves them damaged.
    pub(crate) fn lose_all(self, last_batch: u64, run: RunId) -> Option<Words> {
        self.commit(|settled| {
            settled.batch = last_batch;
            settled.dropped.add(Reason::SpoolCorrupt, 1);
        });
        let header = Header {
            run,
            pid: 0,
            started_at: Timestamp(0),
        };
        self.words.store(ENDED_AT, Ended::Unknown.number().into());
        header.write(&self.words);
        match self.words {
            Words::Dead(file) if file.has_failed() => None,
            words => Some(words),
        }
    }

    pub(crate) fn settled(&self) -> Settled {
        *self.lock()
    }

    /// Changes the books, all at once.
    pub(crate) fn commit(&self, change: impl FnOnce(&mut Settled)) {
        let mut settled = self.lock();
        change(&mut settled);
        self.write(&settled);
    }

    fn write(&self, settled: &Settled) {
        let epoch = self.words.load(EPOCH_AT).wrapping_add(1);
        fault::point();
        settled.write(&self.words, pane(epoch));
        fault::point();
        self.words.store(EPOCH_AT, epoch);
        fault::point();
    }

    /// Reports captured so far.
    pub(crate) fn produced(&self) -> u64 {
        self.words.load(PRODUCED_AT)
    }

    /// What was lost, with what capturing threads counted and what is about to be.
    pub(crate) fn lost(&self, more: &Tally) -> Tally {
        let mut lost = self.settled().dropped;
        for (reason, at) in Reason::AT_CAPTURE {
            lost.add(reason, self.words.load(at));
        }
        lost.add_all(more);
        lost
    }

    /// The running totals as the collector is told them.
    pub(crate) fn losses(&self, run: RunId, more: &Tally) -> Losses {
        let lost = self.lost(more);
        let dropped = lost
            .by_reason()
            .map(|(reason, n)| (reason.as_str().into(), n));
        Losses {
            run,
            produced: self.produced().max(lost.total()),
            dropped: dropped.collect(),
        }
    }

    /// Spans that were closed so far, but for those in pages that are not packed.
    pub(crate) fn spans_counted(&self) -> u64 {
        let lost = self.words.load(SPANS_FULL_AT);
        self.settled().spans_packed.saturating_add(lost)
    }

    /// What was lost of spans, with what capturing threads counted and what is about to be.
    pub(crate) fn spans_lost(&self, more: &Tally) -> Tally {
        let mut lost = self.settled().spans_dropped;
        lost.add(Reason::QueueFull, self.words.load(SPANS_FULL_AT));
        lost.add_all(more);
        lost
    }

    /// The running totals of spans as the collector is told them, where `more` and `packed` are about to
    /// be added.
    pub(crate) fn span_losses(&self, run: RunId, more: &Tally, packed: u64) -> Losses {
        let lost = self.spans_lost(more);
        let dropped = lost
            .by_reason()
            .map(|(reason, n)| (reason.as_str().into(), n));
        Losses {
            run,
            produced: self
                .spans_counted()
                .saturating_add(packed)
                .max(lost.total()),
            dropped: dropped.collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the pane of an epoch begins.
fn pane(epoch: u64) -> usize {
    PANES_AT + (epoch % 2) as usize * PANE_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::layout::Memory;

    #[test]
    fn a_change_that_is_cut_short_at_any_step_counts_whole_or_not_at_all() {
        let words = Memory::anonymous().words;
        let mut before = Books::open(Words::Shared(words)).settled();
        for steps in 0..6 {
            let killed = fault::kill_after(steps, || {
                Books::open(Words::Shared(words)).commit(|settled| {
                    settled.batch += 1;
                    settled.delivered += 3;
                    settled.dropped.add(Reason::Refused, 2);
                });
            });

            let now = Books::open(Words::Shared(words)).settled();
            let times = now.batch - before.batch;
            assert!(times == 1 || (times == 0 && killed), "after {steps} steps");
            assert_eq!(now.delivered, before.delivered + 3 * times);
            assert_eq!(now.dropped.total(), before.dropped.total() + 2 * times);
            before = now;
        }
        assert!(before.batch > 0);
    }
}
