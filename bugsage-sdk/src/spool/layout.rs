//! Where everything stands in a run's file of records.
//!
//! ```text
//! words   header · counters · two panes of the books · 4,096 × slot · 512 × fold · 2 × hour
//! records 4,096 × 2 KiB
//! ```
//!
//! Words are `u64`s of this machine at fixed places, so that capturing threads change them by single
//! instructions and the next start can read them whatever happened in between. The layout never
//! changes without its version: a file of another version is passed by.

use std::sync::atomic::Ordering;

use bugsage_core::checksum::crc32c;
use bugsage_core::clock::Timestamp;
use bugsage_core::id::RunId;

use super::dead::FileWords;
use crate::sync::AtomicU64;

/// `BUGSPOL` and the version of the layout.
const MAGIC: u64 = u64::from_le_bytes(*b"BUGSPOL\x04");

const MAGIC_AT: usize = 0;
const RUN_AT: usize = 1;
const PID_AT: usize = 3;
pub(crate) const STARTED_AT: usize = 4;
const CHECK_AT: usize = 5;
/// How often the books were changed; its last bit says which pane counts.
pub(crate) const EPOCH_AT: usize = 6;
/// How the run ended, by the numbers of [`bugsage_core::event::Ended`]; zero until it has.
pub(crate) const ENDED_AT: usize = 7;
// A line of the cache of their own: every capture adds to these.
pub(crate) const PRODUCED_AT: usize = 8;
pub(crate) const QUEUE_FULL_AT: usize = 9;
pub(crate) const RATE_LIMITED_AT: usize = 12;
pub(crate) const UNWANTED_AT: usize = 13;
pub(crate) const PAUSED_AT: usize = 14;
/// How often somebody began to recover the file.
pub(crate) const ATTEMPTS_AT: usize = 10;
/// Where to look first for a free slot: a hint for this process, and nothing to the next.
pub(crate) const FREE_AT: usize = 11;
/// Which of the two hours counts.
pub(crate) const PAGE_AT: usize = 15;
/// When the run was last known to live.
pub(crate) const ALIVE_AT: usize = 16;
/// Finished spans for which there was no room.
pub(crate) const SPANS_FULL_AT: usize = 17;
/// Slots that are pages of spans.
pub(crate) const PAGES_AT: usize = 18;
/// What is added to microseconds of the clock of spans to get microseconds since the epoch.
pub(crate) const EPOCH_OFFSET_AT: usize = 19;
/// How often slots were given back: a hint for this process, and nothing to the next.
pub(crate) const FREED_AT: usize = 20;

pub(crate) const PANES_AT: usize = 24;
pub(crate) const PANE_WORDS: usize = 48;

/// Room for a part of a record: a message needs one, a stack with breadcrumbs two or three.
pub(crate) const SLOT_BYTES: usize = 2 << 10;

/// Parts of the records that may wait at once, 8 MiB: a fifth of a second of 20,000 different
/// reports a second, or 256 of the largest.
pub(crate) const SLOTS: usize = if cfg!(bugsage_loom) { 2 } else { 4_096 };
pub(crate) const SLOTS_AT: usize = PANES_AT + 2 * PANE_WORDS;
pub(crate) const SLOT_WORDS: usize = 8;

/// Reports of so many kinds at once are folded before they are written; more are still folded by
/// the shipping thread, at the price of a record each.
pub(crate) const FOLDS: usize = if cfg!(bugsage_loom) { 1 } else { 512 };
pub(crate) const FOLDS_AT: usize = SLOTS_AT + SLOTS * SLOT_WORDS;
pub(crate) const FOLD_WORDS: usize = 5 + bugsage_core::limits::DELTAS_MAX;

/// Hours of which something is counted: this one and the one before.
pub(crate) const HOURS: usize = 2;
pub(crate) const HOURS_AT: usize = FOLDS_AT + FOLDS * FOLD_WORDS;
pub(crate) const HOUR_WORDS: usize = 3 + 2 * bugsage_core::sketch::REGISTERS / 8;

pub(crate) const WORDS: usize = HOURS_AT + HOURS * HOUR_WORDS;
/// Whole pages, so that records begin at one.
pub(crate) const WORDS_BYTES: usize = (WORDS * 8).next_multiple_of(4_096);
pub(crate) const FILE_BYTES: usize = WORDS_BYTES + SLOTS * SLOT_BYTES;

/// The words of a run: shared with capturing threads, or those of a dead run.
pub(crate) enum Words {
    Shared(&'static [AtomicU64]),
    Dead(FileWords),
}

impl Words {
    pub(crate) fn load(&self, at: usize) -> u64 {
        match self {
            Words::Shared(words) => words.get(at).map_or(0, |word| word.load(Ordering::Acquire)),
            Words::Dead(words) => words.load(at),
        }
    }

    pub(crate) fn store(&self, at: usize, value: u64) {
        match self {
            Words::Shared(words) => {
                if let Some(word) = words.get(at) {
                    word.store(value, Ordering::Release);
                }
            }
            Words::Dead(words) => words.store(at, value),
        }
    }

    /// Adds to a word.
    pub(crate) fn add(&self, at: usize, value: u64) {
        match self {
            Words::Shared(words) => {
                if let Some(word) = words.get(at) {
                    word.fetch_add(value, Ordering::AcqRel);
                }
            }
            Words::Dead(words) => words.store(at, words.load(at).wrapping_add(value)),
        }
    }

    /// Takes from a word what was added before.
    pub(crate) fn subtract(&self, at: usize, value: u64) {
        self.add(at, value.wrapping_neg());
    }

    /// Changes a word that still has the value `known`; otherwise tells what it has become.
    pub(crate) fn change(&self, at: usize, known: u64, value: u64) -> Result<(), u64> {
        match self {
            Words::Shared(words) => words.get(at).map_or(Err(0), |word| {
                word.compare_exchange(known, value, Ordering::AcqRel, Ordering::Acquire)
                    .map(drop)
            }),
            Words::Dead(words) => {
                words.store(at, value);
                Ok(())
            }
        }
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) run: RunId,
    pub(crate) pid: u32,
    pub(crate) started_at: Timestamp,
}

impl Header {
    pub(crate) fn write(&self, words: &Words) {
        let id = u128::from_be_bytes(self.run.to_bytes());
        words.store(RUN_AT, (id >> 64) as u64);
        words.store(RUN_AT + 1, id as u64);
        words.store(PID_AT, self.pid.into());
        words.store(STARTED_AT, self.started_at.0);
        words.store(CHECK_AT, Self::check(words));
        words.store(MAGIC_AT, MAGIC);
    }

    /// `None` where the file is of another version or its header was damaged.
    pub(crate) fn read(words: &Words) -> Option<Self> {
        if words.load(MAGIC_AT) != MAGIC || words.load(CHECK_AT) != Self::check(words) {
            return None;
        }
        let id = u128::from(words.load(RUN_AT)) << 64 | u128::from(words.load(RUN_AT + 1));
        Some(Self {
            run: RunId::from_bytes(id.to_be_bytes()),
            pid: words.load(PID_AT) as u32,
            started_at: Timestamp(words.load(STARTED_AT)),
        })
    }

    fn check(words: &Words) -> u64 {
        let checked: Vec<[u8; 8]> = (RUN_AT..CHECK_AT)
            .map(|at| words.load(at).to_le_bytes())
            .collect();
        crc32c(checked.as_flattened()).into()
    }
}

/// What capturing threads write into: mapped from a file, or memory of this process alone.
pub(crate) struct Memory {
    pub(crate) words: &'static [AtomicU64],
    pub(crate) records: &'static mut [u8],
    /// Whether it outlives the process.
    pub(crate) is_file: bool,
}

impl Memory {
    /// Memory that dies with the process.
    pub(crate) fn anonymous() -> Self {
        let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Self {
            words: words.leak(),
            // One zeroed allocation of this size comes from the system untouched.
            records: vec![0; SLOTS * SLOT_BYTES].leak(),
            is_file: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_was_touched_is_none() {
        let words = Words::Shared(Memory::anonymous().words);
        let header = Header {
            run: RunId::from_bytes([7; 16]),
            pid: 42,
            started_at: Timestamp(9),
        };
        assert_eq!(Header::read(&words), None, "nothing was written yet");

        header.write(&words);
        assert_eq!(Header::read(&words), Some(header));
        words.store(PID_AT, 43);

        assert_eq!(Header::read(&words), None);
    }
}
