//! Folds repeats on the capturing thread, before anything is written or queued.
//!
//! A fixed table of slots, each with the key of a report that is on its way. A repeat finds its
//! key and adds one to the slot's count; that is all it costs, and nothing can be full. The
//! shipping thread closes the slot when it seals the event, and takes the count with it.
//!
//! Nothing here locks or allocates. A slot's state is one word, `generation << 34 | phase << 32 |
//! count`, changed only by compare-and-exchange: a repeat that read the key of an earlier
//! generation fails, looks again, and so never counts for a stranger.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of the table. Reports of so many kinds at once are folded; more are still folded on the
/// shipping thread, at the price of a record each.
const SLOTS: usize = 512;

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

const fn phase(state: u64) -> u64 {
    (state >> PHASE_SHIFT) & 3
}

const fn pack(generation: u64, phase: u64) -> u64 {
    (generation << GENERATION_SHIFT) | (phase << PHASE_SHIFT)
}

struct Slot {
    state: AtomicU64,
    key: AtomicU64,
    /// The event id of the first report, in two halves.
    id: [AtomicU64; 2],
    last_at: AtomicU64,
    /// Microseconds since the epoch of the first repeats; zero where none was written yet.
    times: [AtomicU64; DELTAS],
}

pub(crate) struct FoldTable {
    slots: Box<[Slot]>,
}

/// A slot that a report has opened; the record carries it to the shipping thread.
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
    pub(crate) fn new() -> Self {
        let slot = |_| Slot {
            state: AtomicU64::new(pack(0, FREE)),
            key: AtomicU64::new(0),
            id: [AtomicU64::new(0), AtomicU64::new(0)],
            last_at: AtomicU64::new(0),
            times: [const { AtomicU64::new(0) }; DELTAS],
        };
        Self {
            slots: (0..SLOTS).map(slot).collect(),
        }
    }

    /// Counts a repeat of a report that is on its way, and tells that report's id.
    pub(crate) fn repeat(&self, key: u64, at: u64) -> Option<[u64; 2]> {
        self.probes(key).find_map(|(_, slot)| slot.repeat(key, at))
    }

    /// Opens a slot for a report that will be queued; `None` where all its places are taken, and
    /// then it is simply not folded here.
    pub(crate) fn open(&self, key: u64, id: [u64; 2], at: u64) -> Option<Ticket> {
        self.probes(key).find_map(|(index, slot)| {
            let state = slot.state.load(Ordering::Relaxed);
            if phase(state) != FREE {
                return None;
            }
            let generation = state >> GENERATION_SHIFT;
            let claim = slot.state.compare_exchange(
                state,
                pack(generation, CLAIMED),
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            claim.ok()?;
            slot.key.store(key, Ordering::Relaxed);
            slot.id[0].store(id[0], Ordering::Relaxed);
            slot.id[1].store(id[1], Ordering::Relaxed);
            slot.last_at.store(at, Ordering::Relaxed);
            slot.times
                .iter()
                .for_each(|time| time.store(0, Ordering::Relaxed));
            slot.state.store(pack(generation, OPEN), Ordering::Release);
            Some(Ticket {
                slot: index as u16,
                generation,
            })
        })
    }

    /// Closes a slot and takes what it counted. From here on repeats are new reports.
    pub(crate) fn close(&self, ticket: Ticket) -> Repeats {
        let Some(slot) = self.slots.get(usize::from(ticket.slot)) else {
            return Repeats::default();
        };
        let mut state = slot.state.load(Ordering::Acquire);
        loop {
            if state >> GENERATION_SHIFT != ticket.generation || phase(state) != OPEN {
                return Repeats::default();
            }
            // Read before the slot is free for others.
            let count = state & COUNT_MASK;
            let repeats = Repeats {
                count,
                last_at: slot.last_at.load(Ordering::Relaxed),
                times: slot
                    .times
                    .iter()
                    .take(usize::try_from(count).unwrap_or(DELTAS))
                    .map(|time| time.load(Ordering::Relaxed))
                    .filter(|time| *time != 0)
                    .collect(),
            };
            let free = pack(ticket.generation + 1, FREE);
            match slot
                .state
                .compare_exchange(state, free, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return repeats,
                Err(changed) => state = changed,
            }
        }
    }

    fn probes(&self, key: u64) -> impl Iterator<Item = (usize, &Slot)> {
        let start = key as usize;
        (0..PROBES).map(move |step| {
            let index = start.wrapping_add(step) % SLOTS;
            (index, &self.slots[index])
        })
    }
}

impl Slot {
    fn repeat(&self, key: u64, at: u64) -> Option<[u64; 2]> {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if phase(state) != OPEN || self.key.load(Ordering::Relaxed) != key {
                return None;
            }
            let count = state & COUNT_MASK;
            if count == COUNT_MASK {
                return None;
            }
            let id = [
                self.id[0].load(Ordering::Relaxed),
                self.id[1].load(Ordering::Relaxed),
            ];
            let counted = self.state.compare_exchange_weak(
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
                    self.last_at.fetch_max(at, Ordering::Relaxed);
                    if let Some(time) = self.times.get(count as usize) {
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

    #[test]
    fn a_repeat_counts_until_the_slot_is_closed() {
        let table = FoldTable::new();
        assert_eq!(table.repeat(7, 10), None);

        let ticket = table.open(7, [1, 2], 10).expect("the table is empty");
        assert_eq!(table.repeat(7, 11), Some([1, 2]));
        assert_eq!(table.repeat(7, 13), Some([1, 2]));
        assert_eq!(table.repeat(8, 13), None);

        let repeats = table.close(ticket);
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
            table.close(ticket),
            Repeats::default(),
            "a slot is closed once"
        );
    }

    #[test]
    fn a_full_neighbourhood_refuses_and_recovers() {
        let table = FoldTable::new();
        let tickets: Vec<_> = (0..PROBES).map(|_| table.open(3, [0, 0], 1)).collect();
        assert!(tickets.iter().all(Option::is_some));

        assert_eq!(table.open(3, [0, 0], 1), None);
        table.close(tickets[0].expect("was opened"));
        assert!(table.open(3, [0, 0], 1).is_some());
    }

    #[test]
    fn no_repeat_is_lost_or_counted_twice_while_slots_are_closed() {
        const REPEATS: u64 = 50_000;
        let table = FoldTable::new();
        let done = AtomicBool::new(false);

        let total = std::thread::scope(|scope| {
            let capture = || {
                // A report that finds no slot opens one, as a capturing thread does.
                let mut tickets = Vec::new();
                let mut firsts = 0_u64;
                for at in 1..=REPEATS {
                    if table.repeat(42, at).is_none() {
                        firsts += 1;
                        tickets.extend(table.open(42, [0, 0], at));
                    }
                    if at % 64 == 0 {
                        firsts += tickets
                            .drain(..)
                            .map(|ticket| table.close(ticket).count)
                            .sum::<u64>();
                    }
                }
                firsts
                    + tickets
                        .drain(..)
                        .map(|ticket| table.close(ticket).count)
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
}
