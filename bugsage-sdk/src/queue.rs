//! The records between capturing threads and the shipping thread: fixed slots in memory that was
//! set aside at the start.
//!
//! A capturing thread takes a free slot by `try_lock`, so it never waits: a slot that somebody
//! holds is passed by. The shipping thread does the same from the other side. Where no slot is
//! free the report is dropped and counted.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::record::RECORD_BYTES;

/// How many reports of different kinds may wait at once. Times [`RECORD_BYTES`] this is 8 MiB of
/// address space, of which only what was used is ever touched.
const SLOTS: usize = 256;

pub(crate) struct Queue {
    slots: Box<[Slot]>,
    /// Where the next search begins, so that threads do not meet at the first slot.
    hint: AtomicUsize,
    sequence: AtomicU64,
}

struct Slot {
    /// Whether a whole record waits in it. Only changed with the buffer locked.
    ready: AtomicBool,
    sequence: AtomicU64,
    buffer: Mutex<&'static mut [u8]>,
}

impl Queue {
    /// Sets the memory aside, for the rest of the process: a client is never taken down.
    pub(crate) fn new() -> Self {
        // One zeroed allocation of this size comes from the system untouched.
        let memory: &'static mut [u8] = vec![0; SLOTS * RECORD_BYTES].leak();
        let slots = memory.chunks_exact_mut(RECORD_BYTES).map(|buffer| Slot {
            ready: AtomicBool::new(false),
            sequence: AtomicU64::new(0),
            buffer: Mutex::new(buffer),
        });
        Self {
            slots: slots.collect(),
            hint: AtomicUsize::new(0),
            sequence: AtomicU64::new(0),
        }
    }

    /// Takes a free slot; `None` where there is none.
    pub(crate) fn claim(&self) -> Option<Claim<'_>> {
        let start = self.hint.fetch_add(1, Ordering::Relaxed);
        (0..SLOTS).find_map(|step| {
            let slot = &self.slots[start.wrapping_add(step) % SLOTS];
            if slot.ready.load(Ordering::Relaxed) {
                return None;
            }
            let buffer = try_lock(&slot.buffer)?;
            // Somebody may have filled it before the lock was ours.
            (!slot.ready.load(Ordering::Acquire)).then(|| Claim {
                queue: self,
                slot,
                buffer,
            })
        })
    }

    /// Reads all waiting records in the order in which they were published, and frees them.
    pub(crate) fn drain(&self, mut read: impl FnMut(&[u8])) -> usize {
        let mut waiting: Vec<&Slot> = self
            .slots
            .iter()
            .filter(|slot| slot.ready.load(Ordering::Acquire))
            .collect();
        waiting.sort_by_key(|slot| slot.sequence.load(Ordering::Relaxed));
        let mut drained = 0;
        for slot in waiting {
            // Nobody else locks a slot that is ready for longer than it takes to see that.
            if let Some(buffer) = try_lock(&slot.buffer) {
                read(&buffer);
                slot.ready.store(false, Ordering::Release);
                drained += 1;
            }
        }
        drained
    }

    /// Whether a record waits.
    pub(crate) fn is_empty(&self) -> bool {
        !self
            .slots
            .iter()
            .any(|slot| slot.ready.load(Ordering::Acquire))
    }
}

/// A slot that this thread may write into. Dropped unpublished, it is free again.
pub(crate) struct Claim<'a> {
    queue: &'a Queue,
    slot: &'a Slot,
    buffer: MutexGuard<'a, &'static mut [u8]>,
}

impl Claim<'_> {
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Hands the record over to the shipping thread.
    pub(crate) fn publish(self) {
        let sequence = self.queue.sequence.fetch_add(1, Ordering::Relaxed);
        self.slot.sequence.store(sequence, Ordering::Relaxed);
        self.slot.ready.store(true, Ordering::Release);
    }
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        // A panic while writing left a record unpublished; the buffer is as good as before.
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_in_the_order_they_were_published() {
        let queue = Queue::new();
        for byte in 1..=3 {
            let mut claim = queue.claim().expect("a slot is free");
            claim.buffer()[0] = byte;
            claim.publish();
        }

        let mut seen = Vec::new();
        queue.drain(|record| seen.push(record[0]));

        assert_eq!(seen, [1, 2, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_full_queue_refuses_and_a_drained_one_takes_again() {
        let queue = Queue::new();
        for _ in 0..SLOTS {
            queue.claim().expect("a slot is free").publish();
        }

        assert!(queue.claim().is_none());
        assert_eq!(queue.drain(|_| {}), SLOTS);
        assert!(queue.claim().is_some());
    }

    #[test]
    fn a_claim_that_is_not_published_leaves_nothing() {
        let queue = Queue::new();

        drop(queue.claim());

        assert!(queue.is_empty());
    }
}
