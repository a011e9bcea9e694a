//! Where open spans lie, found by the numbers that their registry gave them.
//!
//! A registry reuses numbers of spans that are closed, dense from zero in each of its shards, one of
//! which each thread has. So numbers that follow each other share a chunk of cells, and only chunks are
//! scattered: a thread that opens and closes spans works in the same few cells, and those of other threads
//! are elsewhere.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::{Birth, Cell};

/// Spans of a process that may be open at once and be told, 28 MiB of cells where all are. Beyond that
/// spans are left out until others close.
pub(super) const OPEN_SPANS_MAX: usize = CHUNKS * CHUNK;

/// Cells that are allocated together, when the first of them is needed.
const CHUNK: usize = 64;
const CHUNKS: usize = 1_024;

/// How many chunks are tried. With nine cells in ten taken, one span in thirty finds no place.
const STEPS_MAX: u64 = 32;

/// From one chunk to the next that is tried: coprime with their number.
const STEP_CHUNKS: u64 = 389;

/// Bits of a number that say where in its shard it is, in `sharded-slab` 0.1; above them is the shard, and
/// above that how often the place was used before. Where that changes spans are still found, only further
/// apart.
const SHARD_SHIFT: u32 = 38;
const SHARD_MASK: u64 = 0xfff;

static TABLE: Table = Table::new();

struct Table {
    chunks: [OnceLock<Box<[Cell]>>; CHUNKS],
    /// The longest way that any span lies from its place.
    steps: AtomicU64,
}

/// An open span: where it lies, and who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle {
    place: u32,
    key: u64,
}

impl Handle {
    /// The span's cell, as long as it is open.
    #[inline]
    pub(super) fn cell(self) -> Option<&'static Cell> {
        let cell = TABLE.known(self.place.into())?;
        (cell.key.load(Ordering::Acquire) == self.key && self.key != 0).then_some(cell)
    }

    /// Where it lies.
    pub(super) fn place(self) -> u32 {
        self.place
    }

    pub(super) fn is_some(&self) -> bool {
        self.key != 0
    }

    pub(super) fn to_words(self) -> (u64, u64) {
        (self.place.into(), self.key)
    }

    pub(super) fn from_words(place: u64, key: u64) -> Self {
        Self {
            place: place as u32,
            key,
        }
    }
}

/// Makes a span known. `None` where there are too many.
#[inline]
pub(super) fn open(
    layer: u64,
    key: u64,
    birth: &Birth,
    fields: &mut Vec<u8>,
) -> Option<(Handle, &'static Cell)> {
    let mut places = places(key);
    let first = places.next()?;
    let (place, cell) = match claim(first, key) {
        Some(cell) => (first, cell),
        None => {
            let (step, place, cell) = places
                .zip(1..STEPS_MAX)
                .find_map(|(place, step)| Some((step, place, claim(place, key)?)))?;
            TABLE.steps.fetch_max(step, Ordering::Relaxed);
            (place, cell)
        }
    };
    Some(filled(layer, key, place, cell, birth, fields))
}

/// Makes a span known that nobody will look for by its number: in the place that its thread used before, else
/// near where `number` would lie.
pub(super) fn open_anywhere(
    layer: u64,
    key: u64,
    before: Option<u32>,
    number: u64,
    birth: &Birth,
    fields: &mut Vec<u8>,
) -> Option<(Handle, &'static Cell)> {
    let near = places(number).take(STEPS_MAX as usize);
    let (place, cell) = before
        .map(u64::from)
        .into_iter()
        .chain(near)
        .find_map(|place| Some((place, claim(place, key)?)))?;
    Some(filled(layer, key, place, cell, birth, fields))
}

/// The cell at a place, if it is free: nobody else's from now on.
#[inline]
fn claim(place: u64, key: u64) -> Option<&'static Cell> {
    let cell = TABLE.cell(place);
    cell.claim(key).then_some(cell)
}

#[inline]
fn filled(
    layer: u64,
    key: u64,
    place: u64,
    cell: &'static Cell,
    birth: &Birth,
    fields: &mut Vec<u8>,
) -> (Handle, &'static Cell) {
    let handle = Handle {
        place: place as u32,
        key,
    };
    cell.fill(handle, birth, fields);
    cell.publish(layer);
    (handle, cell)
}

/// The number of a thread's `count`th span that no registry has numbered, in a shard that it shares with few.
pub(super) fn number_in(shard: u64, count: u64) -> u64 {
    ((shard & SHARD_MASK) << SHARD_SHIFT | count & (CHUNK as u64 * CHUNKS as u64 - 1)) + 1
}

/// The span with a number, of those that came through a layer.
#[inline]
pub(super) fn find(layer: u64, key: u64) -> Option<(Handle, &'static Cell)> {
    let at = |place: u64| {
        let cell = TABLE.known(place)?;
        let is_it = cell.is_of(layer, key);
        let handle = Handle {
            place: place as u32,
            key,
        };
        is_it.then_some((handle, cell))
    };
    let mut places = places(key);
    // Nearly all lie in their first place.
    places.next().and_then(at).or_else(|| {
        let steps = TABLE.steps.load(Ordering::Relaxed);
        places.zip(0..steps).find_map(|(place, _)| at(place))
    })
}

/// Where a span may lie, the likeliest place first.
fn places(key: u64) -> impl Iterator<Item = u64> {
    const CHUNK_BITS: u32 = CHUNK.ilog2();
    const CHUNKS_BITS: u32 = CHUNKS.ilog2();
    // Numbers begin at one.
    let number = key.wrapping_sub(1);
    let shard = (number >> SHARD_SHIFT) & SHARD_MASK;
    let place = number & ((1 << SHARD_SHIFT) - 1);
    let chunk = (shard << 32 | place >> CHUNK_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        >> (u64::BITS - CHUNKS_BITS);
    let offset = place % CHUNK as u64;
    (0..).map(move |step| (chunk + step * STEP_CHUNKS) % CHUNKS as u64 * CHUNK as u64 + offset)
}

impl Table {
    const fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            steps: AtomicU64::new(0),
        }
    }

    #[inline]
    fn cell(&self, place: u64) -> &Cell {
        let place = place as usize % OPEN_SPANS_MAX;
        let chunk =
            self.chunks[place / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Cell::new()).collect());
        &chunk[place % CHUNK]
    }

    /// The cell at a place, where it was ever used.
    #[inline]
    fn known(&self, place: u64) -> Option<&Cell> {
        let place = place as usize % OPEN_SPANS_MAX;
        self.chunks[place / CHUNK].get()?.get(place % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_neighbours_are_neighbours_and_those_of_other_threads_are_elsewhere() {
        let first = |shard: u64, place: u64| places((shard << SHARD_SHIFT | place) + 1).next();
        let chunk = |shard| first(shard, 0).map(|place| place / CHUNK as u64);

        assert_eq!(first(3, 1), first(3, 0).map(|place| place + 1));
        let mut chunks: Vec<_> = (0..64).map(chunk).collect();
        chunks.sort_unstable();
        chunks.dedup();
        assert!(
            chunks.len() >= 60,
            "{} of 64 threads have one",
            chunks.len()
        );
    }

    #[test]
    fn a_span_has_as_many_places_as_are_tried() {
        let mut tried: Vec<u64> = places(4_711).take(STEPS_MAX as usize).collect();
        tried.sort_unstable();
        tried.dedup();
        assert_eq!(tried.len() as u64, STEPS_MAX);
        assert!(tried.iter().all(|place| *place < OPEN_SPANS_MAX as u64));
    }
}
