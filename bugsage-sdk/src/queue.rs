//! The records between capturing threads and the shipping thread: fixed slots in memory that was
//! set aside at the start, mapped from a file where there is a spool.
//!
//! A capturing thread takes a free slot by `try_lock`, so it never waits: a slot that somebody
//! holds is passed by. The shipping thread does the same from the other side, and keeps a slot
//! until the batch that holds its report is safe. Where no slot is free the report is dropped and
//! counted.
//!
//! A slot's state is a word of the mapping, changed after the record is whole; length and checksum
//! stand beside it. So a record survives the process from the moment in which it is published.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::record::RECORD_BYTES;
use crate::spool::layout::{SLOT_WORDS, SLOTS, SLOTS_AT, Words};

/// Nobody uses the slot.
const FREE: u64 = 0;
/// A thread is writing a record.
const WRITING: u64 = 1;
/// A whole record waits.
const READY: u64 = 2;
/// The shipping thread has read the record and keeps it until its batch is safe.
const HELD: u64 = 3;

// The words of a slot.
const STATE: usize = 0;
const SEQUENCE: usize = 1;
/// Length in the upper half, CRC-32C of that many bytes in the lower.
const LENGTH_AND_CRC: usize = 2;
/// The number of the batch that the report goes into; zero where none was chosen yet.
const BATCH: usize = 3;

pub(crate) struct Queue {
    words: &'static [AtomicU64],
    buffers: Box<[Mutex<&'static mut [u8]>]>,
    sequence: AtomicU64,
}

impl Queue {
    pub(crate) fn new(words: &'static [AtomicU64], records: &'static mut [u8]) -> Self {
        // Here and not in the first panic: it looks at the processor once.
        crc32c::crc32c(&[0; 1_024]);
        Self {
            words: &words[SLOTS_AT..SLOTS_AT + SLOTS * SLOT_WORDS],
            buffers: records
                .chunks_exact_mut(RECORD_BYTES)
                .map(Mutex::new)
                .collect(),
            sequence: AtomicU64::new(0),
        }
    }

    fn word(&self, slot: usize, word: usize) -> &AtomicU64 {
        &self.words[slot * SLOT_WORDS + word]
    }

    /// Takes the first free slot, whose pages were touched before if any were; `None` where there
    /// is none.
    pub(crate) fn claim(&self) -> Option<Claim<'_>> {
        (0..SLOTS).find_map(|slot| {
            let state = self.word(slot, STATE);
            if state.load(Ordering::Relaxed) != FREE {
                return None;
            }
            let buffer = try_lock(&self.buffers[slot])?;
            // Somebody may have filled it before the lock was ours; and a forked child, which
            // reports through its parent, has locks of its own.
            let claimed =
                state.compare_exchange(FREE, WRITING, Ordering::AcqRel, Ordering::Relaxed);
            claimed.ok().map(|_| Claim {
                queue: self,
                slot,
                buffer,
                is_published: false,
            })
        })
    }

    /// Reads all waiting records in the order in which they were published. Their slots stay taken
    /// until [`release`].
    pub(crate) fn drain(&self, mut read: impl FnMut(u16, &[u8])) -> usize {
        let is_ready = |slot: &usize| self.word(*slot, STATE).load(Ordering::Acquire) == READY;
        let mut waiting: Vec<usize> = (0..SLOTS).filter(is_ready).collect();
        waiting.sort_by_key(|slot| self.word(*slot, SEQUENCE).load(Ordering::Relaxed));
        let mut drained = 0;
        for slot in waiting {
            // Nobody else locks a slot that is ready for longer than it takes to see that.
            if let Some(buffer) = try_lock(&self.buffers[slot]) {
                let (length, _) = parts(self.word(slot, LENGTH_AND_CRC).load(Ordering::Relaxed));
                read(slot as u16, buffer.get(..length).unwrap_or(&[]));
                self.word(slot, STATE).store(HELD, Ordering::Release);
                drained += 1;
            }
        }
        drained
    }

    /// Whether a record waits.
    pub(crate) fn is_empty(&self) -> bool {
        !(0..SLOTS).any(|slot| self.word(slot, STATE).load(Ordering::Acquire) == READY)
    }

    /// Whether so many slots are taken that the rest could soon be.
    pub(crate) fn is_tight(&self) -> bool {
        let is_taken = |slot: &usize| self.word(*slot, STATE).load(Ordering::Relaxed) != FREE;
        (0..SLOTS).filter(is_taken).count() > SLOTS / 2
    }
}

/// A slot that this thread may write into. Dropped unpublished, it is free again.
pub(crate) struct Claim<'a> {
    queue: &'a Queue,
    slot: usize,
    buffer: MutexGuard<'a, &'static mut [u8]>,
    is_published: bool,
}

impl Claim<'_> {
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Hands the first `length` bytes over to the shipping thread, of this process or of the next.
    pub(crate) fn publish(mut self, length: usize) {
        let crc = crc32c::crc32c(self.buffer.get(..length).unwrap_or(&[]));
        let sequence = self.queue.sequence.fetch_add(1, Ordering::Relaxed);
        let set = |word, value| {
            self.queue
                .word(self.slot, word)
                .store(value, Ordering::Relaxed)
        };
        set(SEQUENCE, sequence);
        set(LENGTH_AND_CRC, (length as u64) << 32 | u64::from(crc));
        set(BATCH, 0);
        let state = self.queue.word(self.slot, STATE);
        state.store(READY, Ordering::Release);
        self.is_published = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.is_published {
            let state = self.queue.word(self.slot, STATE);
            state.store(FREE, Ordering::Release);
        }
    }
}

/// Notes which batch the reports of slots go into. It counts once the books have that batch.
pub(crate) fn assign(words: &Words, slots: &[u16], batch: u64) {
    for slot in slots {
        words.store(at(*slot, BATCH), batch);
    }
}

/// Frees slots whose reports are safe elsewhere, or counted.
pub(crate) fn release(words: &Words, slots: &[u16]) {
    for slot in slots {
        words.store(at(*slot, STATE), FREE);
    }
}

/// A published record of a dead run.
pub(crate) struct Left {
    pub(crate) slot: u16,
    pub(crate) sequence: u64,
    pub(crate) length: usize,
    pub(crate) crc: u32,
}

/// How many slots a dead run has used, from the first on.
pub(crate) fn used(words: &Words) -> usize {
    let is_used = |slot: &u16| words.load(at(*slot, LENGTH_AND_CRC)) != 0;
    (0..SLOTS as u16)
        .rfind(is_used)
        .map_or(0, |last| usize::from(last) + 1)
}

/// The records that a dead run left and that are in no batch up to `batch`, in their order.
pub(crate) fn left(words: &Words, batch: u64) -> Vec<Left> {
    let slots = 0..SLOTS as u16;
    let published = slots.filter(|slot| {
        let chosen = words.load(at(*slot, BATCH));
        let state = words.load(at(*slot, STATE));
        matches!(state, READY | HELD) && (chosen == 0 || chosen > batch)
    });
    let mut left: Vec<Left> = published
        .map(|slot| {
            let (length, crc) = parts(words.load(at(slot, LENGTH_AND_CRC)));
            Left {
                slot,
                sequence: words.load(at(slot, SEQUENCE)),
                length,
                crc,
            }
        })
        .collect();
    left.sort_by_key(|record| record.sequence);
    left
}

fn at(slot: u16, word: usize) -> usize {
    SLOTS_AT + usize::from(slot) * SLOT_WORDS + word
}

fn parts(length_and_crc: u64) -> (usize, u32) {
    ((length_and_crc >> 32) as usize, length_and_crc as u32)
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
    use crate::spool::layout::Memory;

    fn queue() -> Queue {
        let memory = Memory::anonymous();
        Queue::new(memory.words, memory.records)
    }

    #[test]
    fn records_come_out_in_the_order_they_were_published() {
        let queue = queue();
        for byte in 1..=3 {
            let mut claim = queue.claim().expect("a slot is free");
            claim.buffer()[0] = byte;
            claim.publish(1);
        }

        let mut seen = Vec::new();
        queue.drain(|_, record| seen.push(record.to_vec()));

        assert_eq!(seen, [[1], [2], [3]]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_full_queue_refuses_until_slots_are_released() {
        let memory = Memory::anonymous();
        let words = Words::Shared(memory.words);
        let queue = Queue::new(memory.words, memory.records);
        for _ in 0..SLOTS {
            queue.claim().expect("a slot is free").publish(0);
        }

        assert!(queue.claim().is_none());
        assert_eq!(queue.drain(|_, _| {}), SLOTS);
        assert!(queue.claim().is_none(), "what was read is not safe yet");
        release(&words, &[3]);
        assert!(queue.claim().is_some());
    }

    #[test]
    fn a_claim_that_is_not_published_leaves_nothing() {
        let queue = queue();

        drop(queue.claim());

        assert!(queue.is_empty());
    }

    #[test]
    fn what_was_published_is_left_to_the_next_run_until_its_batch_counts() {
        let memory = Memory::anonymous();
        let words = Words::Shared(memory.words);
        let queue = Queue::new(memory.words, memory.records);
        for _ in 0..3 {
            queue.claim().expect("a slot is free").publish(5);
        }
        let unpublished = queue.claim().expect("a slot is free");
        let slots = |batch| -> Vec<u16> { left(&words, batch).iter().map(|r| r.slot).collect() };

        assert_eq!(slots(0), [0, 1, 2], "the one that is being written is not");
        queue.drain(|_, _| {});
        assign(&words, &[0, 2], 1);
        assert_eq!(slots(0), [0, 1, 2], "the batch does not count yet");
        assert_eq!(slots(1), [1]);
        release(&words, &[0, 2]);
        assert_eq!(slots(1), [1]);
        drop(unpublished);
    }
}
