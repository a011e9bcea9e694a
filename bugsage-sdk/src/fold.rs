//! Folds repeats on the capturing thread, before anything is written or queued.
//!
//! A fixed table of slots, each with the key of a report that is on its way. A repeat finds its
//! key and adds one to the slot's count; that is all it costs, and nothing can be full. The
//! shipping thread closes the slot when it seals the event, and takes the count with it.
//!
//! Nothing here locks or allocates. A slot's state is one word, `generation << 34 | phase << 32 |
//! count`, changed only by compare-and-exchange: a repeat that read the key of an earlier
//! generation fails, looks again, and so never counts for a stranger.
//!
//! The table lies beside the records, in the mapped file where there is a spool: counts survive the
//! process with the record that they belong to. So a slot opens only after its record was
//! published, and stays closed, its count untouched, until the event's batch is safe.

use std::sync::atomic::Ordering;

use crate::spool::layout::{FOLD_WORDS, FOLDS, FOLDS_AT, Words};
use crate::sync::AtomicU64;

/// How many slots a key may stand in, one after the other.
const PROBES: usize = 8;

/// How many early times are kept exactly.
const DELTAS: usize = bugsage_core::limits::DELTAS_MAX;

const COUNT_MASK: u64 = (1 << 32) - 1;
const PHASE_SHIFT: u32 = 32;
const GENERATION_SHIFT: u32 = 34;

/// Nobody uses the slot.
const FREE: u64 = 0;
/// A thread is writing key and times.
const CLAIMED: u64 = 1;
/// Repeats may count.
const OPEN: u64 = 2;
/// The count is taken, and kept until the event is safe.
const CLOSED: u64 = 3;

// The words of a slot.
const STATE: usize = 0;
const KEY: usize = 1;
/// The event id of the first report, in two halves.
const ID: usize = 2;
const LAST_AT: usize = 4;
/// Microseconds since the epoch of the first repeats; zero where none was written yet.
const TIMES: usize = 5;

const fn phase(state: u64) -> u64 {
    (state >> PHASE_SHIFT) & 3
}

const fn pack(generation: u64, phase: u64) -> u64 {
    (generation << GENERATION_SHIFT) | (phase << PHASE_SHIFT)
}

pub(crate) struct FoldTable {
    words: &'static [AtomicU64],
}

/// A slot that a report has taken; the record carries it to the shipping thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    slot: u16,
    generation: u64,
}

impl Ticket {
    pub(crate) fn to_parts(self) -> (u16, u64) {
        (self.slot, self.generation)
    }

    pub(crate) fn from_parts(slot: u16, generation: u64) -> Self {
        Self { slot, generation }
    }

    fn at(self, word: usize) -> usize {
        FOLDS_AT + usize::from(self.slot) % FOLDS * FOLD_WORDS + word
    }
}

/// What a slot had counted when it was closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Repeats {
    pub(crate) count: u64,
    pub(crate) last_at: u64,
    /// The times of the first repeats, in the order in which they were counted.
    pub(crate) times: Vec<u64>,
}

impl FoldTable {
    pub(crate) fn new(words: &'static [AtomicU64]) -> Self {
        Self {
            words: &words[FOLDS_AT..FOLDS_AT + FOLDS * FOLD_WORDS],
        }
    }

    /// Counts a repeat of a report that is on its way, and tells that report's id.
    pub(crate) fn repeat(&self, key: u64, at: u64) -> Option<[u64; 2]> {
        self.probes(key).find_map(|(_, slot)| slot.repeat(key, at))
    }

    /// Takes a slot for a report that will be queued; `None` where all its places are taken, and
    /// then it is simply not folded here. Repeats count from [`open`](Self::open) on.
    pub(crate) fn take(&self, key: u64, id: [u64; 2], at: u64) -> Option<Ticket> {
        self.probes(key).find_map(|(index, slot)| {
            let state = slot.state().load(Ordering::Relaxed);
            if phase(state) != FREE {
                return None;
            }
            let generation = state >> GENERATION_SHIFT;
            let claim = slot.state().compare_exchange(
                state,
                pack(generation, CLAIMED),
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            claim.ok()?;
            slot.words[KEY].store(key, Ordering::Relaxed);
            slot.words[ID].store(id[0], Ordering::Relaxed);
            slot.words[ID + 1].store(id[1], Ordering::Relaxed);
            slot.words[LAST_AT].store(at, Ordering::Relaxed);
            slot.words[TIMES..]
                .iter()
                .for_each(|time| time.store(0, Ordering::Relaxed));
            Some(Ticket {
                slot: index as u16,
                generation,
            })
        })
    }

    /// Lets repeats count, now that the record they belong to is published. Where the shipping
    /// thread was faster and has closed the slot, they are new reports.
    pub(crate) fn open(&self, ticket: Ticket) {
        let slot = self.slot(ticket.slot.into());
        let _ = slot.state().compare_exchange(
            pack(ticket.generation, CLAIMED),
            pack(ticket.generation, OPEN),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    fn slot(&self, index: usize) -> Slot<'_> {
        let start = index % FOLDS * FOLD_WORDS;
        Slot {
            words: &self.words[start..start + FOLD_WORDS],
        }
    }

    fn probes(&self, key: u64) -> impl Iterator<Item = (usize, Slot<'_>)> {
        let start = key as usize;
        (0..PROBES).map(move |step| {
            let index = start.wrapping_add(step) % FOLDS;
            (index, self.slot(index))
        })
    }
}

/// Closes a slot and tells what it counted. From here on repeats are new reports. Closed again, as
/// after a crash, it tells the same.
pub(crate) fn close(words: &Words, ticket: Ticket) -> Repeats {
    let mut state = words.load(ticket.at(STATE));
    loop {
        if state >> GENERATION_SHIFT != ticket.generation || phase(state) == FREE {
            return Repeats::default();
        }
        let count = state & COUNT_MASK;
        let closed = pack(ticket.generation, CLOSED) | count;
        match words.change(ticket.at(STATE), state, closed) {
            Ok(()) => return read(words, ticket, count),
            Err(changed) => state = changed,
        }
    }
}

fn read(words: &Words, ticket: Ticket, count: u64) -> Repeats {
    let kept = usize::try_from(count).unwrap_or(DELTAS).min(DELTAS);
    let times = (0..kept).map(|index| words.load(ticket.at(TIMES + index)));
    Repeats {
        count,
        last_at: words.load(ticket.at(LAST_AT)),
        times: times.filter(|time| *time != 0).collect(),
    }
}

/// Frees a closed slot, whose event is safe.
pub(crate) fn release(words: &Words, ticket: Ticket) {
    let state = words.load(ticket.at(STATE));
    if state >> GENERATION_SHIFT == ticket.generation && phase(state) == CLOSED {
        words.store(ticket.at(STATE), pack(ticket.generation + 1, FREE));
    }
}

struct Slot<'a> {
    words: &'a [AtomicU64],
}

impl Slot<'_> {
    fn state(&self) -> &AtomicU64 {
        &self.words[STATE]
    }

    fn repeat(&self, key: u64, at: u64) -> Option<[u64; 2]> {
        let mut state = self.state().load(Ordering::Acquire);
        loop {
            if phase(state) != OPEN || self.words[KEY].load(Ordering::Relaxed) != key {
                return None;
            }
            let count = state & COUNT_MASK;
            if count == COUNT_MASK {
                return None;
            }
            let id = [
                self.words[ID].load(Ordering::Relaxed),
                self.words[ID + 1].load(Ordering::Relaxed),
            ];
            let counted = self.state().compare_exchange_weak(
                state,
                state + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match counted {
                Ok(_) => {
                    // Written after the count: a close in between may miss this one time, or leave
                    // it to the slot's next user as its own first moments. Counts are exact, the
                    // kept times are samples.
                    self.words[LAST_AT].fetch_max(at, Ordering::Relaxed);
                    if let Some(time) = self.words[TIMES..].get(count as usize) {
                        time.store(at, Ordering::Relaxed);
                    }
                    return Some(id);
                }
                Err(changed) => state = changed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::spool::layout::Memory;

    fn table() -> (FoldTable, Words) {
        let words = Memory::anonymous().words;
        (FoldTable::new(words), Words::Shared(words))
    }

    fn take_and_open(table: &FoldTable, key: u64, id: [u64; 2], at: u64) -> Option<Ticket> {
        let ticket = table.take(key, id, at)?;
        table.open(ticket);
        Some(ticket)
    }

    fn close_and_release(words: &Words, ticket: Ticket) -> u64 {
        let count = close(words, ticket).count;
        release(words, ticket);
        count
    }

    #[test]
    fn a_repeat_counts_until_the_slot_is_closed() {
        let (table, words) = table();
        assert_eq!(table.repeat(7, 10), None);

        let ticket = take_and_open(&table, 7, [1, 2], 10).expect("the table is empty");
        assert_eq!(table.repeat(7, 11), Some([1, 2]));
        assert_eq!(table.repeat(7, 13), Some([1, 2]));
        assert_eq!(table.repeat(8, 13), None);

        let repeats = close(&words, ticket);
        assert_eq!(
            repeats,
            Repeats {
                count: 2,
                last_at: 13,
                times: vec![11, 13]
            }
        );
        assert_eq!(table.repeat(7, 14), None);
        assert_eq!(
            close(&words, ticket),
            repeats,
            "closed again it tells the same"
        );
        release(&words, ticket);
        assert_eq!(close(&words, ticket), Repeats::default());
    }

    #[test]
    fn a_full_neighbourhood_refuses_and_recovers() {
        let (table, words) = table();
        let tickets: Vec<_> = (0..PROBES)
            .map(|_| take_and_open(&table, 3, [0, 0], 1))
            .collect();
        assert!(tickets.iter().all(Option::is_some));

        assert_eq!(take_and_open(&table, 3, [0, 0], 1), None);
        close_and_release(&words, tickets[0].expect("was opened"));
        assert!(take_and_open(&table, 3, [0, 0], 1).is_some());
    }

    #[test]
    fn no_repeat_is_lost_or_counted_twice_while_slots_are_closed() {
        const REPEATS: u64 = 50_000;
        let (table, words) = table();
        let done = AtomicBool::new(false);

        let total = std::thread::scope(|scope| {
            let capture = || {
                // A report that finds no slot opens one, as a capturing thread does.
                let mut tickets = Vec::new();
                let mut firsts = 0_u64;
                for at in 1..=REPEATS {
                    if table.repeat(42, at).is_none() {
                        firsts += 1;
                        tickets.extend(take_and_open(&table, 42, [0, 0], at));
                    }
                    if at % 64 == 0 {
                        firsts += tickets
                            .drain(..)
                            .map(|ticket| close_and_release(&words, ticket))
                            .sum::<u64>();
                    }
                }
                firsts
                    + tickets
                        .drain(..)
                        .map(|ticket| close_and_release(&words, ticket))
                        .sum::<u64>()
            };
            let threads = [scope.spawn(capture), scope.spawn(capture)];
            let total: u64 = threads
                .map(|thread| thread.join().expect("no panic"))
                .iter()
                .sum();
            done.store(true, Ordering::Relaxed);
            total
        });

        assert_eq!(total, 2 * REPEATS);
    }

    #[test]
    fn repeats_wait_until_the_record_is_published() {
        let (table, words) = table();
        let ticket = table.take(7, [1, 2], 10).expect("the table is empty");

        assert_eq!(table.repeat(7, 11), None);
        table.open(ticket);
        assert_eq!(table.repeat(7, 12), Some([1, 2]));
        assert_eq!(close(&words, ticket).count, 1);
    }

    #[test]
    fn a_slot_that_was_closed_before_it_opened_stays_closed() {
        let (table, words) = table();
        let ticket = table.take(7, [1, 2], 10).expect("the table is empty");

        assert_eq!(close(&words, ticket).count, 0);
        table.open(ticket);

        assert_eq!(table.repeat(7, 12), None);
        release(&words, ticket);
        assert!(table.take(7, [3, 4], 13).is_some());
    }
}
