//! Measures what decoding takes at most, on the worst batches that fit into the limits.
//!
//! The batches are written here from the description of the format alone, so that they may be as
//! strange as a hostile sender's. A program of its own, because it counts every allocation.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bugsage_core::batch::{self, Batch};
use bugsage_core::limits;
use serde::Serialize;

/// What one decode may take at its peak, the batch that it returns included.
const PEAK_BYTES_MAX: usize = 32 << 20;

/// The system's allocator, counting for each thread what it holds and the most it ever held.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged. The counters are plain cells that
// need neither an allocation nor a destructor. A reallocation is left to the trait, which takes the
// new room before it gives the old one back: the dearest way there is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.get().wrapping_add(layout.size());
        HELD.set(held);
        // A thread may free more than it took, which wraps; that is no peak.
        if held < usize::MAX / 2 {
            PEAK.set(PEAK.get().max(held));
        }
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The items of a batch.
#[derive(Default)]
struct Forge {
    content: Vec<u8>,
}

impl Forge {
    fn item(mut self, kind: u8, bytes: &[u8]) -> Self {
        self.content.push(kind);
        let length = bytes.len() as u32;
        self.content.extend_from_slice(&length.to_le_bytes());
        self.content.extend_from_slice(bytes);
        self
    }

    /// A dictionary of the same entry `n` times.
    fn dictionary(self, kind: u8, entry: &impl Serialize, n: usize) -> Self {
        self.item(kind, &sequence(entry, n))
    }

    /// The same item as often as the limits of a batch leave room for it.
    fn fill(mut self, kind: u8, bytes: &[u8]) -> Self {
        let room = limits::BATCH_INFLATED_BYTES_MAX - self.content.len();
        // Some kinds of items are sent before; a hundred are more than any of them.
        let n = (room / (bytes.len() + 5)).min(limits::BATCH_ITEMS_MAX - 100);
        for _ in 0..n {
            self = self.item(kind, bytes);
        }
        self
    }

    /// Decodes it and holds the decoder to its promise.
    fn check(self, name: &str) -> Batch {
        let body = support::seal(&self.content);
        let content_bytes = self.content.len();
        drop(self);
        assert!(
            body.len() <= limits::BATCH_BYTES_MAX,
            "{name}: {}",
            body.len()
        );
        let before = HELD.get();
        PEAK.set(before);

        let batch = batch::decode(&body);

        let peak_bytes = PEAK.get() - before;
        let held_bytes = HELD.get() - before;
        println!("{name}: {content_bytes} bytes of content, peak {peak_bytes}, held {held_bytes}");
        assert!(peak_bytes <= PEAK_BYTES_MAX, "{name}: {peak_bytes} bytes");
        batch.expect(name)
    }
}

const STRINGS: u8 = 1;
const MODULES: u8 = 2;
const FRAMES: u8 = 3;
const STACKS: u8 = 4;
const CONTEXTS: u8 = 5;
const RUN: u8 = 6;
const EVENT: u8 = 7;
const LOSSES: u8 = 9;
const RUN_STATE: u8 = 10;

const ID: [u8; 16] = [1; 16];

/// What refers to no string, and takes one byte.
const NONE: u32 = 0;

fn sequence(entry: &impl Serialize, n: usize) -> Vec<u8> {
    let mut bytes = message(&(n as u32));
    bytes.extend(message(entry).repeat(n));
    bytes
}

fn message(message: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(message).expect("it has a known length")
}

fn run(name: u32) -> Vec<u8> {
    message(&(ID, name, name, 5_u64, name))
}

/// An event whose sequences are given as they stand on the wire.
#[derive(Default)]
struct Event {
    message: u32,
    deltas: Vec<u8>,
    errors: Vec<u8>,
    stack: u32,
    spans: Vec<u8>,
    breadcrumbs: Vec<u8>,
    tags: Vec<u8>,
    user: u32,
    contexts: u32,
}

impl Event {
    fn bytes(&self) -> Vec<u8> {
        let none = |bytes: &Vec<u8>| {
            if bytes.is_empty() {
                vec![0]
            } else {
                bytes.clone()
            }
        };
        let run_kind_level = (0_u32, 0_u8, 5_u8);
        let mut bytes = message(&(ID, run_kind_level, 1_u64, 1_000_u64, 0_u64));
        bytes.extend(none(&self.deltas));
        bytes.extend(message(&self.message));
        bytes.extend(none(&self.errors));
        let location: Option<(u32, u32, u32)> = None;
        bytes.extend(message(&(location, NONE, 1_u64, self.stack)));
        bytes.extend(none(&self.spans));
        bytes.extend(none(&self.breadcrumbs));
        bytes.extend(none(&self.tags));
        bytes.extend(message(&(self.user, self.contexts)));
        bytes
    }
}

fn pairs(name: u32, n: usize) -> Vec<u8> {
    sequence(&(name, name), n)
}

fn spans(n: usize, n_fields: usize) -> Vec<u8> {
    let mut span = message(&(NONE, NONE));
    span.extend(pairs(NONE, n_fields));
    let mut bytes = message(&(n as u32));
    bytes.extend(span.repeat(n));
    bytes
}

fn breadcrumbs(n: usize) -> Vec<u8> {
    sequence(&(0_i64, 0_u8, NONE, NONE), n)
}

fn frame(function: u32) -> impl Serialize {
    (function, function, 1_u32, 1_u32, 1_u64, NONE, 0_u8)
}

fn stack(n: usize) -> impl Serialize {
    (true, vec![0_u32; n])
}

/// Eight mebibytes less what an item and a few small neighbors take.
const CONTENT: usize = limits::BATCH_INFLATED_BYTES_MAX - 1_024;

/// One mebibyte less what an event takes beside one sequence.
const ITEM: usize = limits::EVENT_BYTES_MAX - 128;

#[test]
fn a_sound_and_full_batch_stays_within_the_bound() {
    let event = Event {
        message: 1,
        tags: pairs(1, 1),
        stack: 1,
        ..Event::default()
    };

    let batch = Forge::default()
        .dictionary(STRINGS, &"a text of forty bytes, as they often are", 1_000)
        .dictionary(FRAMES, &frame(1), 1_000)
        .dictionary(STACKS, &stack(50), 100)
        .item(RUN, &run(1))
        .fill(EVENT, &event.bytes())
        .check("sound");

    assert_eq!(batch.rejected, []);
    assert!(batch.events.len() > 16_000);
}

#[test]
fn eight_mebibytes_of_strings_stay_within_the_bound() {
    for length in [1, 10, 126, 8_190] {
        let text = "s".repeat(length);
        let n = (CONTENT / (length + 2)).min(limits::DICTIONARY_ENTRIES_MAX);

        let batch = Forge::default().dictionary(STRINGS, &text, n);

        let batch = batch.check(&format!("strings of {length} bytes"));
        assert!(batch.rejected.is_empty());
    }
    Forge::default()
        .dictionary(STRINGS, &"", CONTENT)
        .check("eight million empty strings");
    Forge::default()
        .dictionary(STRINGS, &"s".repeat(CONTENT), 1)
        .check("one string of eight mebibytes");
}

#[test]
fn modules_frames_and_stacks_stay_within_the_bound() {
    let n = CONTENT / 7;
    Forge::default()
        .dictionary(FRAMES, &frame(NONE), n)
        .check("a million frames");
    Forge::default()
        .dictionary(MODULES, &(NONE, NONE, 0_u64, 0_u64), CONTENT / 4)
        .check("two million modules");
    Forge::default()
        .dictionary(FRAMES, &frame(NONE), 1)
        .dictionary(STACKS, &stack(CONTENT - 10), 1)
        .check("one stack of eight million frames");
    Forge::default()
        .dictionary(FRAMES, &frame(NONE), 1)
        .dictionary(STACKS, &stack(limits::FRAMES_MAX + 1), 4_096)
        .check("stacks of one frame too many");
    let batch = Forge::default()
        .dictionary(MODULES, &(NONE, NONE, 0_u64, 0_u64), limits::MODULES_MAX)
        .dictionary(FRAMES, &frame(NONE), limits::DICTIONARY_ENTRIES_MAX)
        .dictionary(STACKS, &stack(limits::FRAMES_MAX), limits::STACKS_MAX)
        .check("as many stacks as there may be");
    assert_eq!(batch.rejected.len(), 1, "they would fill a store");
}

/// A byte may refer to a frame with a long name: each stack that has it is written out.
#[test]
fn stacks_of_long_names_are_turned_away_from_the_one_that_is_too_much() {
    let long = "s".repeat(limits::VALUE_BYTES_MAX);
    for (n, rejected) in [(2, 0), (2_000, 1)] {
        let batch = Forge::default()
            .dictionary(STRINGS, &long, 1)
            .dictionary(FRAMES, &frame(1), 1)
            .dictionary(STACKS, &stack(limits::FRAMES_MAX), n)
            .check(&format!("{n} stacks of long names"));

        assert_eq!(batch.rejected.len(), rejected);
    }
}

#[test]
fn contexts_stay_within_the_bound() {
    let long = "c".repeat(limits::VALUE_BYTES_MAX);
    Forge::default()
        .item(
            CONTEXTS,
            &[&[1][..], &pairs(NONE, CONTENT / 2 - 10)].concat(),
        )
        .check("one set of four million contexts");
    let mut sets = message(&256_u32);
    sets.extend(pairs(1, limits::PAIRS_MAX).repeat(256));
    let event = Event {
        contexts: 256,
        ..Event::default()
    };
    let batch = Forge::default()
        .dictionary(STRINGS, &"c", 1)
        .item(CONTEXTS, &sets)
        .item(RUN, &run(NONE))
        .fill(EVENT, &event.bytes())
        .check("contexts in every event");
    assert!(!batch.events.is_empty());
    Forge::default()
        .dictionary(STRINGS, &long, 1)
        .item(CONTEXTS, &sets)
        .item(RUN, &run(NONE))
        .fill(EVENT, &event.bytes())
        .check("long contexts in every event");
}

#[test]
fn one_item_of_too_much_stays_within_the_bound() {
    for (name, event) in [
        (
            "deltas",
            Event {
                deltas: sequence(&0_u64, ITEM),
                ..Event::default()
            },
        ),
        (
            "errors",
            Event {
                errors: pairs(NONE, ITEM / 2),
                ..Event::default()
            },
        ),
        (
            "spans",
            Event {
                spans: spans(ITEM / 3, 0),
                ..Event::default()
            },
        ),
        (
            "fields of a span",
            Event {
                spans: spans(1, ITEM / 2),
                ..Event::default()
            },
        ),
        (
            "breadcrumbs",
            Event {
                breadcrumbs: breadcrumbs(ITEM / 4),
                ..Event::default()
            },
        ),
        (
            "tags",
            Event {
                tags: pairs(NONE, ITEM / 2),
                ..Event::default()
            },
        ),
    ] {
        let bytes = event.bytes();
        let batch = Forge::default().item(RUN, &run(NONE)).fill(EVENT, &bytes);

        let batch = batch.check(&format!("events of a mebibyte of {name}"));

        assert!(!batch.rejected.is_empty(), "{name}");
    }
    let losses = [message(&(ID, 1_u64)), pairs(NONE, CONTENT / 2 - 20)].concat();
    Forge::default()
        .item(LOSSES, &losses)
        .check("four million losses");
}

#[test]
fn small_items_that_say_much_stay_within_the_bound() {
    let long = "l".repeat(limits::VALUE_BYTES_MAX);
    let losses = [message(&(ID, 1_u64)), pairs(1, limits::LOSS_REASONS_MAX)].concat();
    let start = || Forge::default().dictionary(STRINGS, &long, 1);

    start()
        .fill(LOSSES, &losses)
        .check("losses of long reasons");
    start().fill(RUN, &run(1)).check("runs of long names");
    let named = Event {
        user: 1,
        deltas: sequence(&0_u64, limits::DELTAS_MAX),
        ..Event::default()
    };
    start()
        .item(RUN, &run(1))
        .fill(EVENT, &named.bytes())
        .check("events of users with long names");
    for (name, event) in [
        (
            "breadcrumbs",
            Event {
                breadcrumbs: breadcrumbs(limits::BREADCRUMBS_MAX),
                ..Event::default()
            },
        ),
        (
            "spans of fields",
            Event {
                spans: spans(limits::SPANS_MAX, limits::PAIRS_MAX),
                ..Event::default()
            },
        ),
        (
            "tags",
            Event {
                tags: pairs(NONE, limits::PAIRS_MAX),
                ..Event::default()
            },
        ),
    ] {
        let batch = Forge::default()
            .item(RUN, &run(NONE))
            .fill(EVENT, &event.bytes());

        let batch = batch.check(&format!("events of many empty {name}"));

        assert!(!batch.events.is_empty(), "{name}");
    }
}

#[test]
fn one_long_string_referred_to_a_million_times_stays_within_the_bound() {
    let long = "x".repeat(limits::VALUE_BYTES_MAX);
    for n_pairs in [0, 1, 31, 60] {
        let event = Event {
            message: 1,
            tags: pairs(1, n_pairs),
            ..Event::default()
        };

        let batch = Forge::default()
            .dictionary(STRINGS, &long, 1)
            .item(RUN, &run(NONE))
            .fill(EVENT, &event.bytes())
            .check(&format!("one string in {n_pairs} pairs of every event"));

        let n_references = batch.events.len() * (2 * n_pairs + 1);
        assert!(n_references > 0);
        assert!(n_references * long.len() <= limits::BATCH_TEXT_BYTES_MAX);
    }
}

#[test]
fn states_of_runs_stay_within_the_bound() {
    let hours = |marks: usize, n: usize| {
        let users = sequence(&1_u16, marks);
        let hour = [message(&(9_u64, 9_u64, 9_u64)), users.clone(), users].concat();
        let head = message(&(0_u32, 0_u8, 5_u64, n as u32));
        [head, hour.repeat(n)].concat()
    };
    let full = hours(31, limits::RUN_HOURS_MAX);
    let empty = hours(0, limits::RUN_HOURS_MAX);
    let too_many_marks = hours(1 << 20, 3);
    let too_many_hours = hours(0, 1 << 20);

    for (name, item) in [
        ("full states", full),
        ("empty hours", empty),
        ("too many marks", too_many_marks),
        ("too many hours", too_many_hours),
    ] {
        let forge = Forge::default().item(RUN, &run(NONE));
        let batch = forge.fill(RUN_STATE, &item).check(name);
        assert!(batch.run_states.len() <= limits::RUN_STATES_MAX, "{name}");
        assert!(!batch.rejected.is_empty(), "{name}");
    }
}

#[test]
fn empty_items_stay_within_the_bound() {
    let empty = Forge::default().item(0, b"");
    let content = empty.content.repeat(limits::BATCH_ITEMS_MAX);
    let batch = Forge { content }.check("as many empty items as there may be");
    assert_eq!(batch.unknown_items as usize, limits::BATCH_ITEMS_MAX);

    for kind in 0..13 {
        let empty = Forge::default().item(kind, b"");
        let content = empty.content.repeat(limits::BATCH_ITEMS_MAX);
        Forge { content }.check(&format!("empty items of kind {kind}"));
    }
}

#[test]
fn everything_at_once_stays_within_the_bound() {
    let event = Event {
        spans: spans(limits::SPANS_MAX, 10),
        tags: pairs(NONE, limits::PAIRS_MAX),
        deltas: sequence(&0_u64, limits::DELTAS_MAX),
        stack: 1,
        user: 1,
        ..Event::default()
    };
    let names = "n".repeat(limits::NAME_BYTES_MAX + 1);
    let mut batch = Forge::default()
        .dictionary(STRINGS, &names, 1)
        .dictionary(STRINGS, &"t", limits::DICTIONARY_ENTRIES_MAX - 600)
        .dictionary(STRINGS, &"v".repeat(8_100), 500)
        .dictionary(MODULES, &(NONE, NONE, 0_u64, 0_u64), limits::MODULES_MAX)
        .dictionary(FRAMES, &frame(1), limits::DICTIONARY_ENTRIES_MAX)
        .dictionary(STACKS, &stack(limits::FRAMES_MAX), limits::STACKS_MAX);
    for _ in 0..4_000 {
        batch = batch.item(RUN, &run(1));
    }
    let bytes = event.bytes();
    for _ in 0..1_000 {
        batch = batch.item(EVENT, &bytes);
    }

    batch.check("everything at once");
}
