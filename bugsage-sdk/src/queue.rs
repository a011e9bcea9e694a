//! The records between capturing threads and the shipping thread: slots in memory that was set
//! aside at the start, mapped from a file where there is a spool.
//!
//! A record takes as many slots as it needs, up to [`PARTS_MAX`]; the first, its head, names the
//! others. A capturing thread takes free slots by `try_lock`, so it never waits: a slot that somebody
//! holds is passed by. The shipping thread does the same from the other side, and keeps the slots
//! until the batch that holds their report is safe. Where no slot is free the report is dropped and
//! counted; where one becomes none while it is written, its end is left out.
//!
//! A head's state is a word of the mapping, changed after the record is whole; length, checksum and
//! the other slots stand beside it. So a record survives the process from the moment in which it is
//! published.

use std::sync::atomic::Ordering;
use std::sync::{PoisonError, TryLockError};

use crate::record::{RECORD_BYTES, REST_BYTES, Space};
use crate::spool::layout::{
    FREE_AT, FREED_AT, PAGES_AT, SLOT_BYTES, SLOT_WORDS, SLOTS, SLOTS_AT, Words,
};
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// The most slots of one record.
const PARTS_MAX: usize = RECORD_BYTES / SLOT_BYTES;

/// Slots that are touched before anybody needs them, 256 KiB: more than most apps ever fill at once.
const WARM_SLOTS: usize = if SLOTS < 128 { SLOTS } else { 128 };

/// Nobody uses the slot.
const FREE: u64 = 0;
/// A thread is writing a record.
const WRITING: u64 = 1;
/// A whole record waits.
const READY: u64 = 2;
/// The shipping thread has read the record and keeps it until its batch is safe.
const HELD: u64 = 3;
/// Belongs to the record of another slot.
const PART: u64 = 4;
/// A page of finished spans: its thread goes on writing.
const PAGE: u64 = 5;
/// A page that has no more room.
const FULL_PAGE: u64 = 6;
/// The shipping thread has the page, and keeps it until its batch is safe.
const HELD_PAGE: u64 = 7;

/// Slots that pages may have: reports keep at least half.
const PAGES_MAX: u64 = if SLOTS < 8 { 1 } else { SLOTS as u64 / 2 };

// The words of a slot.
const STATE: usize = 0;
const SEQUENCE: usize = 1;
/// Length in the upper half, [`check`] of that many bytes in the lower.
const LENGTH_AND_CHECK: usize = 2;
/// The number of the batch that the report goes into; zero where none was chosen yet.
const BATCH: usize = 3;
/// The other slots of the record, 16 bits each: their numbers plus one.
const OTHERS: usize = 4;

const _: () = assert!(
    OTHERS + (PARTS_MAX - 1).div_ceil(4) <= SLOT_WORDS,
    "a head has room to name all its parts"
);

pub(crate) struct Queue {
    words: &'static [AtomicU64],
    slots: Box<[Mutex<&'static mut [u8]>]>,
    sequence: AtomicU64,
    /// How many slots, from the first on, were ever used.
    used: AtomicU64,
    /// One more than [`FREED_AT`] was when no slot was found: as long as it is that, none will be.
    none_free: AtomicU64,
}

impl Queue {
    pub(crate) fn new(words: &'static [AtomicU64], records: &'static mut [u8]) -> Self {
        Self {
            words,
            slots: records
                .chunks_exact_mut(SLOT_BYTES)
                .map(Mutex::new)
                .collect(),
            sequence: AtomicU64::new(0),
            used: AtomicU64::new(0),
            none_free: AtomicU64::new(0),
        }
    }

    fn word(&self, slot: u16, word: usize) -> &AtomicU64 {
        &self.words[at(slot, word)]
    }

    /// Touches the pages of the first slots, so that capturing threads find them there: the first
    /// write to a page costs more than the rest of a record.
    pub(crate) fn warm(&self) {
        for slot in 0..WARM_SLOTS {
            if let Some(mut part) = self.take_at(slot, WRITING) {
                part.bytes[0] = 0;
                self.word(slot as u16, STATE).store(FREE, Ordering::Release);
            }
        }
    }

    /// Begins a record; `None` where no slot is free.
    pub(crate) fn claim(&self) -> Option<Claim<'_>> {
        let mut claim = Claim {
            queue: self,
            parts: [const { None }; PARTS_MAX],
            count: 0,
            written: 0,
            is_published: false,
        };
        claim.add_part(WRITING).then_some(claim)
    }

    /// Takes a free slot, the first where possible: its pages were touched before.
    fn take(&self, as_what: u64) -> Option<Part<'_>> {
        // Read before any slot is: what is given back from now on counts for the next who asks.
        let freed = self.words[FREED_AT].load(Ordering::Acquire);
        if self.none_free.load(Ordering::Relaxed) == freed.wrapping_add(1) {
            return None;
        }
        let hint = &self.words[FREE_AT];
        let start = hint.load(Ordering::Relaxed) as usize;
        let taken =
            (0..SLOTS).find_map(|step| self.take_at(start.wrapping_add(step) % SLOTS, as_what));
        let Some(taken) = taken else {
            self.none_free
                .store(freed.wrapping_add(1), Ordering::Relaxed);
            return None;
        };
        let next = u64::from(taken.slot) + 1;
        hint.store(next, Ordering::Relaxed);
        self.used.fetch_max(next, Ordering::Relaxed);
        Some(taken)
    }

    fn take_at(&self, slot: usize, as_what: u64) -> Option<Part<'_>> {
        let state = self.word(slot as u16, STATE);
        if state.load(Ordering::Relaxed) != FREE {
            return None;
        }
        let bytes = try_lock(&self.slots[slot])?;
        // Somebody may have filled it before the lock was ours.
        let claimed = state.compare_exchange(FREE, as_what, Ordering::AcqRel, Ordering::Relaxed);
        claimed.ok().map(|_| Part {
            slot: slot as u16,
            bytes,
        })
    }

    fn slots_in_state(&self, is_meant: impl Fn(u64) -> bool) -> impl Iterator<Item = u16> {
        let used = self.used.load(Ordering::Relaxed) as u16;
        (0..used).filter(move |slot| is_meant(self.word(*slot, STATE).load(Ordering::Acquire)))
    }

    /// Reads all waiting records in the order in which they were published, each by the slot that is
    /// its head. Their slots stay taken until [`release`].
    pub(crate) fn drain(&self, mut read: impl FnMut(u16, &[u8])) -> usize {
        let mut waiting: Vec<u16> = self.slots_in_state(|state| state == READY).collect();
        waiting.sort_by_cached_key(|slot| self.word(*slot, SEQUENCE).load(Ordering::Relaxed));
        let mut record = Vec::new();
        for head in &waiting {
            let load = |word| self.word(*head, word).load(Ordering::Relaxed);
            let (length, _) = lengths(load(LENGTH_AND_CHECK));
            record.clear();
            for slot in parts(*head, load) {
                // Nobody else locks a slot that is taken for longer than it takes to see that.
                let bytes = lock(&self.slots[usize::from(slot)]);
                let missing = length.saturating_sub(record.len());
                record.extend_from_slice(&bytes[..missing.min(SLOT_BYTES)]);
            }
            record.resize(record.len() + REST_BYTES, 0);
            read(*head, &record);
            self.word(*head, STATE).store(HELD, Ordering::Release);
        }
        waiting.len()
    }

    /// Begins a page of finished spans, whose sequence is the present time. `None` where no slot is free, or
    /// where pages have all that they may have.
    pub(crate) fn open_page(&self, now: u64) -> Option<u16> {
        let pages = &self.words[PAGES_AT];
        if pages.load(Ordering::Relaxed) >= PAGES_MAX {
            return None;
        }
        let part = self.take(PAGE)?;
        pages.fetch_add(1, Ordering::Relaxed);
        let word = |word| self.word(part.slot, word);
        word(SEQUENCE).store(now, Ordering::Relaxed);
        word(LENGTH_AND_CHECK).store(0, Ordering::Relaxed);
        word(BATCH).store(0, Ordering::Relaxed);
        for other in OTHERS..SLOT_WORDS {
            word(other).store(0, Ordering::Relaxed);
        }
        Some(part.slot)
    }

    /// Lets its thread write into a page. `write` tells where the page ends now and how many spans were
    /// added, or nothing where nothing is to change. `None` too where the shipping thread has the page.
    pub(crate) fn write_page(
        &self,
        slot: u16,
        sequence: u64,
        write: impl FnOnce(&mut [u8]) -> Option<(usize, u32)>,
    ) -> Option<usize> {
        let mut bytes = try_lock(&self.slots[usize::from(slot)])?;
        let state = self.word(slot, STATE).load(Ordering::Relaxed);
        if state != PAGE || self.word(slot, SEQUENCE).load(Ordering::Relaxed) != sequence {
            return None;
        }
        let (length, added) = write(&mut bytes)?;
        let word = self.word(slot, LENGTH_AND_CHECK);
        let (_, spans) = lengths(word.load(Ordering::Relaxed));
        let spans = spans.saturating_add(added);
        // Last, so that what it counts is there.
        word.store((length as u64) << 32 | u64::from(spans), Ordering::Release);
        Some(length)
    }

    /// The page's thread needs another one.
    pub(crate) fn page_is_full(&self, slot: u16, sequence: u64) {
        if let Some(_bytes) = try_lock(&self.slots[usize::from(slot)])
            && self.word(slot, SEQUENCE).load(Ordering::Relaxed) == sequence
        {
            // Taken by the shipping thread meanwhile it stays what it is.
            let _ = self.word(slot, STATE).compare_exchange(
                PAGE,
                FULL_PAGE,
                Ordering::Release,
                Ordering::Relaxed,
            );
        }
    }

    /// Takes the pages that are full or were begun before a time, in the order in which they were begun.
    /// Their slots stay taken until [`release_pages`].
    pub(crate) fn take_pages(&self, begun_before: u64) -> Vec<u16> {
        let mut taken: Vec<u16> = self
            .slots_in_state(|state| state == PAGE || state == FULL_PAGE)
            .collect();
        taken.retain(|slot| {
            // Its thread holds it for as long as it takes to write one span.
            let _bytes = lock(&self.slots[usize::from(*slot)]);
            let state = self.word(*slot, STATE);
            let begun_at = self.word(*slot, SEQUENCE).load(Ordering::Relaxed);
            let is_due = state.load(Ordering::Relaxed) == FULL_PAGE || begun_at < begun_before;
            if is_due {
                state.store(HELD_PAGE, Ordering::Release);
            }
            is_due
        });
        taken.sort_by_cached_key(|slot| self.word(*slot, SEQUENCE).load(Ordering::Relaxed));
        taken
    }

    /// When the oldest page was begun that nobody has taken, and how many there are.
    pub(crate) fn pages(&self) -> Option<(u64, usize)> {
        if self.words[PAGES_AT].load(Ordering::Relaxed) == 0 {
            return None;
        }
        let open = self.slots_in_state(|state| state == PAGE || state == FULL_PAGE);
        let begun = open.map(|slot| self.word(slot, SEQUENCE).load(Ordering::Relaxed));
        begun.fold(None, |pages, begun_at| match pages {
            None => Some((begun_at, 1)),
            Some((oldest, count)) => Some((begun_at.min(oldest), count + 1)),
        })
    }

    /// What is written in a page that was taken.
    pub(crate) fn page(&self, slot: u16) -> Vec<u8> {
        let bytes = lock(&self.slots[usize::from(slot)]);
        let (length, _) = lengths(self.word(slot, LENGTH_AND_CHECK).load(Ordering::Acquire));
        bytes[..length.min(SLOT_BYTES)].to_vec()
    }

    /// Whether no record waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots_in_state(|state| state == READY).next().is_none()
    }

    /// Whether so many slots are taken, of those that pages of spans leave, that the rest could soon be.
    pub(crate) fn is_tight(&self) -> bool {
        let pages = self.slots_in_state(is_page).count();
        let reports = self.slots_in_state(|state| state != FREE && !is_page(state));
        reports.count() > (SLOTS - pages) / 2
    }
}

/// A slot with its bytes.
struct Part<'a> {
    slot: u16,
    bytes: MutexGuard<'a, &'static mut [u8]>,
}

/// A record that this thread writes. Dropped unpublished, its slots are free again.
pub(crate) struct Claim<'a> {
    queue: &'a Queue,
    parts: [Option<Part<'a>>; PARTS_MAX],
    count: usize,
    written: usize,
    is_published: bool,
}

impl Claim<'_> {
    fn add_part(&mut self, as_what: u64) -> bool {
        let Some(place) = self.parts.get_mut(self.count) else {
            return false;
        };
        *place = self.queue.take(as_what);
        let is_added = place.is_some();
        self.count += usize::from(is_added);
        is_added
    }

    /// Hands the record over to the shipping thread, of this process or of the next, and tells the
    /// slot where it begins.
    pub(crate) fn publish(mut self) -> u16 {
        let Some(Some(head)) = self.parts.first() else {
            // There is no claim without a slot.
            return 0;
        };
        let slot = head.slot;
        let parts = || self.parts.iter().flatten();
        let mut missing = self.written;
        let check = check(parts().map(|part| {
            let bytes = &part.bytes[..missing.min(SLOT_BYTES)];
            missing -= bytes.len();
            bytes
        }));
        let mut others = [0_u64; SLOT_WORDS - OTHERS];
        for (index, part) in parts().skip(1).enumerate() {
            others[index / 4] |= (u64::from(part.slot) + 1) << (index % 4 * 16);
        }
        let sequence = self.queue.sequence.fetch_add(1, Ordering::Relaxed);
        let word = |word| self.queue.word(head.slot, word);
        word(SEQUENCE).store(sequence, Ordering::Relaxed);
        let length_and_check = (self.written as u64) << 32 | u64::from(check);
        word(LENGTH_AND_CHECK).store(length_and_check, Ordering::Relaxed);
        word(BATCH).store(0, Ordering::Relaxed);
        for (index, slots) in others.into_iter().enumerate() {
            word(OTHERS + index).store(slots, Ordering::Relaxed);
        }
        word(STATE).store(READY, Ordering::Release);
        self.is_published = true;
        slot
    }
}

impl Space for Claim<'_> {
    fn room(&self) -> usize {
        RECORD_BYTES - self.written
    }

    fn grow(&mut self, bytes: usize) -> usize {
        let wanted = (self.written + bytes).min(RECORD_BYTES);
        while self.count * SLOT_BYTES < wanted && self.add_part(PART) {}
        bytes.min(self.count * SLOT_BYTES - self.written)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.set(self.written, bytes);
        self.written += bytes.len();
    }

    fn written(&self) -> usize {
        self.written
    }

    fn set(&mut self, mut at: usize, mut bytes: &[u8]) {
        while let Some(Some(part)) = self.parts.get_mut(at / SLOT_BYTES)
            && !bytes.is_empty()
        {
            let (now, later) = bytes.split_at(bytes.len().min(SLOT_BYTES - at % SLOT_BYTES));
            part.bytes[at % SLOT_BYTES..][..now.len()].copy_from_slice(now);
            at += now.len();
            bytes = later;
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        for place in &mut self.parts {
            let Some(part) = place.take() else { break };
            let state = self.queue.word(part.slot, STATE);
            // Whoever sees that it is free finds its lock free too.
            drop(part.bytes);
            state.store(FREE, Ordering::Release);
        }
        self.queue.words[FREED_AT].fetch_add(1, Ordering::Release);
    }
}

/// Notes which batch the reports of slots go into. It counts once the books have that batch.
pub(crate) fn assign(words: &Words, heads: &[u16], batch: u64) {
    for head in heads {
        words.store(at(*head, BATCH), batch);
    }
}

/// Takes back what was noted of batches that never counted: their numbers will be those of others, which these
/// records may not be in.
pub(crate) fn unassign(words: &Words, batch: u64) {
    for slot in 0..SLOTS as u16 {
        if words.load(at(slot, BATCH)) > batch {
            words.store(at(slot, BATCH), 0);
        }
    }
}

/// Frees the slots of records whose reports are safe elsewhere, or counted.
pub(crate) fn release(words: &Words, heads: &[u16]) {
    let mut first = words.load(FREE_AT);
    for head in heads {
        first = first.min(u64::from(*head));
        let others = parts(*head, |word| words.load(at(*head, word))).skip(1);
        for slot in others {
            first = first.min(u64::from(slot));
            words.store(at(slot, STATE), FREE);
        }
        // Last: killed before, recovery passes by the record as one whose batch counts.
        words.store(at(*head, STATE), FREE);
    }
    words.store(FREE_AT, first);
    words.add(FREED_AT, 1);
}

/// How many spans lie in pages that are in no batch up to `batch`.
pub(crate) fn spans_in_pages(words: &Words, batch: u64) -> u64 {
    let slots = (0..SLOTS as u16).filter(|slot| {
        let chosen = words.load(at(*slot, BATCH));
        is_page(words.load(at(*slot, STATE))) && (chosen == 0 || chosen > batch)
    });
    slots.map(|slot| u64::from(spans_of(words, slot))).sum()
}

/// How many spans a page has.
pub(crate) fn spans_of(words: &Words, slot: u16) -> u32 {
    lengths(words.load(at(slot, LENGTH_AND_CHECK))).1
}

fn is_page(state: u64) -> bool {
    matches!(state, PAGE | FULL_PAGE | HELD_PAGE)
}

/// Frees pages as [`release`] does.
pub(crate) fn release_pages(words: &Words, pages: &[u16]) {
    release(words, pages);
    words.subtract(PAGES_AT, pages.len() as u64);
}

/// A published record of a dead run.
pub(crate) struct Left {
    pub(crate) head: u16,
    /// Where it lies, the head first.
    pub(crate) slots: Vec<u16>,
    pub(crate) sequence: u64,
    pub(crate) length: usize,
    pub(crate) check: u32,
    /// Whether it is a page of spans, which has no check.
    pub(crate) is_page: bool,
}

/// Leaves a record of one slot as a run that died would have.
#[cfg(fuzzing)]
pub(crate) fn leave(words: &Words, slot: u16, record: &[u8]) {
    words.store(at(slot, SEQUENCE), slot.into());
    let length_and_check = (record.len() as u64) << 32 | u64::from(check([record]));
    words.store(at(slot, LENGTH_AND_CHECK), length_and_check);
    words.store(at(slot, STATE), READY);
}

/// Tells a record that was torn or changed from a whole one: words multiplied and folded, by the
/// constant of MurmurHash3. No cyclic redundancy check: its tables are 16 KiB that a thread which
/// panics once an hour would first have to fetch.
///
/// Parts but the last have a length that is a multiple of eight.
pub(crate) fn check<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
    let mut mix = |word: [u8; 8]| {
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
    };
    for part in parts {
        let (words, rest) = part.as_chunks::<8>();
        words.iter().copied().for_each(&mut mix);
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            mix(word);
        }
    }
    hash as u32
}

/// How many slots a dead run has used, from the first on.
pub(crate) fn used(words: &Words) -> usize {
    let is_used = |slot: &u16| words.load(at(*slot, STATE)) != FREE;
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
        let is_whole = matches!(state, READY | HELD) || is_page(state);
        is_whole && (chosen == 0 || chosen > batch)
    });
    let mut left: Vec<Left> = published
        .map(|head| {
            let load = |word| words.load(at(head, word));
            let (length, check) = lengths(load(LENGTH_AND_CHECK));
            Left {
                head,
                slots: parts(head, load).collect(),
                sequence: load(SEQUENCE),
                is_page: is_page(load(STATE)),
                length,
                check,
            }
        })
        .collect();
    left.sort_by_cached_key(|record| record.sequence);
    left
}

/// The slots of a record, the head first. Of a damaged file they may be any, but slots they are.
fn parts(head: u16, load: impl Fn(usize) -> u64) -> impl Iterator<Item = u16> {
    let others = (0..PARTS_MAX - 1).map(move |index| {
        let slots = load(OTHERS + index / 4);
        (slots >> (index % 4 * 16)) as u16
    });
    let others = others.map_while(|number| number.checked_sub(1));
    let others = others.filter(|slot| usize::from(*slot) < SLOTS);
    std::iter::once(head).chain(others)
}

fn at(slot: u16, word: usize) -> usize {
    SLOTS_AT + usize::from(slot) * SLOT_WORDS + word
}

fn lengths(length_and_check: u64) -> (usize, u32) {
    ((length_and_check >> 32) as usize, length_and_check as u32)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::collections::VecDeque;

    use super::*;
    use crate::spool::layout::Memory;
    use proptest::prelude::*;

    fn queue() -> (Queue, Words) {
        let memory = Memory::anonymous();
        let words = Words::Shared(memory.words);
        (Queue::new(memory.words, memory.records), words)
    }

    fn publish(queue: &Queue, record: &[u8]) -> bool {
        let Some(mut claim) = queue.claim() else {
            return false;
        };
        if claim.grow(record.len()) < record.len() {
            return false;
        }
        claim.put(record);
        claim.publish();
        true
    }

    fn drained(queue: &Queue) -> Vec<(u16, Vec<u8>)> {
        let mut records = Vec::new();
        queue.drain(|head, record| {
            let (record, rest) = record.split_at(record.len() - REST_BYTES);
            assert!(rest.iter().all(|byte| *byte == 0));
            records.push((head, record.to_vec()));
        });
        records
    }

    #[test]
    fn records_come_out_in_the_order_they_were_published() {
        let (queue, _) = queue();
        (1..=3).for_each(|byte| assert!(publish(&queue, &[byte])));

        let records = drained(&queue);

        let records: Vec<Vec<u8>> = records.into_iter().map(|(_, record)| record).collect();
        assert_eq!(records, [[1], [2], [3]]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_full_queue_refuses_until_slots_are_released() {
        let (queue, words) = queue();
        (0..SLOTS).for_each(|_| assert!(publish(&queue, &[])));

        assert!(queue.claim().is_none());
        assert!(queue.is_tight());
        assert_eq!(drained(&queue).len(), SLOTS);
        assert!(queue.claim().is_none(), "what was read is not safe yet");
        release(&words, &[3]);
        assert!(queue.claim().is_some());
    }

    #[test]
    fn pages_have_half_of_the_slots_and_reports_have_theirs() {
        let (queue, words) = queue();
        let pages = (1..).map_while(|now| queue.open_page(now)).count();
        assert_eq!(pages, SLOTS / 2);
        assert!(!queue.is_tight(), "reports have all of their room");
        (0..SLOTS / 4 + 1).for_each(|_| assert!(publish(&queue, &[])));
        assert!(queue.is_tight());
        (SLOTS / 4 + 1..SLOTS / 2).for_each(|_| assert!(publish(&queue, &[])));
        assert!(queue.claim().is_none());

        let taken = queue.take_pages(u64::MAX);
        assert_eq!(taken.len(), pages);
        assert!(
            queue.open_page(1).is_none(),
            "what was taken is not safe yet"
        );
        release_pages(&words, &taken);
        assert!(queue.open_page(1).is_some());
    }

    #[test]
    fn a_page_that_was_taken_is_no_longer_written() {
        let (queue, words) = queue();
        let slot = queue.open_page(5).expect("a slot is free");
        let write = |sequence| queue.write_page(slot, sequence, |_| Some((3, 1)));
        assert_eq!(write(5), Some(3));
        assert_eq!(write(6), None, "another page lies there");
        assert!(queue.take_pages(5).is_empty(), "it is too young");
        assert_eq!(queue.pages(), Some((5, 1)));
        assert_eq!(spans_in_pages(&words, 0), 1);

        assert_eq!(queue.take_pages(6), [slot]);

        assert_eq!(write(5), None);
        assert_eq!(queue.pages(), None);
        assert_eq!(spans_in_pages(&words, 0), 1, "it is in no batch yet");
        assign(&words, &[slot], 3);
        assert_eq!(spans_in_pages(&words, 3), 0);
        let left = left(&words, 2);
        assert!(left.len() == 1 && left[0].is_page);
    }

    #[test]
    fn a_claim_that_is_not_published_leaves_nothing() {
        let (queue, _) = queue();
        let mut claim = queue.claim().expect("a slot is free");
        assert_eq!(claim.grow(RECORD_BYTES), RECORD_BYTES);

        drop(claim);

        assert!(queue.is_empty());
        assert_eq!(queue.slots_in_state(|state| state != FREE).count(), 0);
    }

    #[test]
    fn a_record_that_finds_no_more_slots_ends_where_they_end() {
        let (queue, words) = queue();
        (0..SLOTS - 2).for_each(|_| assert!(publish(&queue, &[])));
        let mut claim = queue.claim().expect("a slot is free");

        assert_eq!(claim.grow(RECORD_BYTES), 2 * SLOT_BYTES);
        claim.put(&[7; 2 * SLOT_BYTES]);
        assert_eq!(claim.grow(1), 0);
        claim.publish();

        let records = drained(&queue);
        let (head, record) = records.last().expect("was published");
        assert_eq!(record, &[7; 2 * SLOT_BYTES]);
        release(&words, &[*head]);
        assert_eq!(queue.slots_in_state(|state| state == FREE).count(), 2);
    }

    #[test]
    fn what_was_published_is_left_to_the_next_run_until_its_batch_counts() {
        let (queue, words) = queue();
        (0..3).for_each(|_| assert!(publish(&queue, &[5; 5])));
        let unpublished = queue.claim().expect("a slot is free");
        let heads = |batch| -> Vec<u16> { left(&words, batch).iter().map(|r| r.head).collect() };

        assert_eq!(heads(0), [0, 1, 2], "the one that is being written is not");
        drained(&queue);
        assign(&words, &[0, 2], 1);
        assert_eq!(heads(0), [0, 1, 2], "the batch does not count yet");
        assert_eq!(heads(1), [1]);
        release(&words, &[0, 2]);
        assert_eq!(heads(1), [1]);
        drop(unpublished);
    }

    #[test]
    fn a_damaged_head_names_slots_and_nothing_else() {
        let (queue, words) = queue();
        assert!(publish(&queue, &[1; 9_000]));
        words.store(at(0, OTHERS), u64::MAX);

        let left = left(&words, 0);

        assert_eq!(left[0].slots, [0]);
        assert_eq!(drained(&queue)[0].1.len(), SLOT_BYTES);
    }

    proptest! {
        #[test]
        fn a_record_with_a_flipped_bit_is_told_from_a_whole_one(
            record in prop::collection::vec(any::<u8>(), 1..300),
            at: prop::sample::Index,
            bit in 0..8_u8,
            cut in 0..37_usize,
        ) {
            let whole = check([&*record]);
            let (first, second) = record.split_at((cut * 8).min(record.len() / 8 * 8));
            prop_assert_eq!(check([first, second]), whole, "parts do not matter");
            let mut changed = record.clone();
            changed[at.index(record.len())] ^= 1 << bit;
            prop_assert_ne!(check([&*changed]), whole);
        }

        /// The model: records that were published and not released, in their order.
        #[test]
        fn every_record_comes_out_whole_and_every_slot_comes_back(
            steps in prop::collection::vec((0..5_u8, 0..=RECORD_BYTES), 1..120),
        ) {
            let (queue, words) = queue();
            let (mut waiting, mut held) = (VecDeque::new(), Vec::new());
            for (number, (step, length)) in steps.into_iter().enumerate() {
                let record = vec![number as u8; length];
                match step {
                    0..=2 => if publish(&queue, &record) { waiting.push_back(record) },
                    3 => for (head, record) in drained(&queue) {
                        let left = left(&words, 0).into_iter().find(|left| left.head == head);
                        prop_assert_eq!(left.map(|left| left.check), Some(check([&*record])));
                        prop_assert_eq!(Some(record), waiting.pop_front());
                        held.push(head);
                    },
                    _ => release(&words, &std::mem::take(&mut held)),
                }
            }
            held.extend(drained(&queue).into_iter().map(|(head, _)| head));
            release(&words, &held);
            prop_assert_eq!(queue.slots_in_state(|state| state != FREE).count(), 0);
        }
    }
}
