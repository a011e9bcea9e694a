//! Batches that cost as much as batches may, made from the description of the format alone.

use bugsage_core::limits;
use serde::Serialize;

use super::events::{Forgery, Item, content, kind, unique};

/// The longest string that may stand on the wire.
pub(crate) fn long(letter: &str) -> String {
    letter.repeat(limits::VALUE_BYTES_MAX)
}

/// Stacks in which all names are long, as many as a batch may have.
pub(crate) fn stacks_of_long_names() -> Vec<u8> {
    let frames: Vec<_> = (0..250_u32).map(|line| frame(1, 2, line + 1)).collect();
    let stacks: Vec<_> = (0..2).map(|shift| stack(250, shift)).collect();
    Batch::default()
        .dictionary(kind::STRINGS, &[format!("a::{}", long("f")), long("p")])
        .dictionary(kind::FRAMES, &frames)
        .dictionary(kind::STACKS, &stacks)
        .run()
        .events(2_000, |at| event(1, at as u32 % 2 + 1, 0, 0))
        .seal()
}

/// As many frames as a batch may have, and no text at all.
pub(crate) fn stacks_of_many_frames() -> Vec<u8> {
    let frames: Vec<_> = (0..250_u32).map(|line| frame(0, 0, line + 1)).collect();
    let stacks: Vec<_> = (0..250).map(|shift| stack(250, shift)).collect();
    Batch::default()
        .dictionary(kind::STRINGS, &["s"])
        .dictionary(kind::FRAMES, &frames)
        .dictionary(kind::STACKS, &stacks)
        .run()
        .events(250, |at| event(1, at as u32 + 1, 0, 0))
        .seal()
}

/// Thousands of small events that all fail in one function with a long name.
pub(crate) fn events_in_a_long_name() -> Vec<u8> {
    let strings = [format!("a::{}", long("f")), "src/a.rs".to_owned()];
    Batch::default()
        .dictionary(kind::STRINGS, &strings)
        .dictionary(kind::FRAMES, &[frame(1, 2, 1)])
        .dictionary(kind::STACKS, &[(true, vec![0_u32])])
        .run()
        .events(4_000, |_| event(2, 1, 0, 0))
        .seal()
}

/// As much text as a batch may stand for, all of it secrets that must be cleaned away.
pub(crate) fn events_of_long_text() -> Vec<u8> {
    let secret = "password=hunter2 token=abcdef0123456789 mail ann@example.com ";
    let text = secret.repeat(limits::VALUE_BYTES_MAX / secret.len());
    Batch::default()
        .dictionary(kind::STRINGS, &[text])
        .run()
        .events(12, |_| event(1, 0, 100, 0))
        .seal()
}

/// Thousands of events with a hundred facts each.
pub(crate) fn events_of_many_facts() -> Vec<u8> {
    let facts: Vec<Vec<(u32, u32)>> = vec![vec![(1, 1); limits::PAIRS_MAX]];
    Batch::default()
        .dictionary(kind::STRINGS, &["k"])
        .dictionary(kind::CONTEXTS, &facts)
        .run()
        .events(4_000, |_| event(1, 0, 0, 1))
        .seal()
}

/// As many spans as a batch may have, each of a trace of its own.
pub(crate) fn spans_of_many_traces() -> Vec<u8> {
    Batch::default()
        .dictionary(kind::STRINGS, &["s"])
        .run()
        .spans(16_000, |_| span(unique(), 1, &[]))
        .seal()
}

/// One trace with as much text as a batch may stand for.
pub(crate) fn spans_of_long_text() -> Vec<u8> {
    let trace = unique();
    Batch::default()
        .dictionary(kind::STRINGS, &[long("t")])
        .run()
        .spans(13, |_| span(trace, 1, &[(1, 1); limits::PAIRS_MAX / 2]))
        .seal()
}

/// Thousands of spans with a hundred fields each.
pub(crate) fn spans_of_many_fields() -> Vec<u8> {
    let trace = unique();
    Batch::default()
        .dictionary(kind::STRINGS, &["k"])
        .run()
        .spans(3_000, |_| span(trace, 1, &vec![(1, 1); limits::PAIRS_MAX]))
        .seal()
}

pub(crate) fn zeros() -> Vec<u8> {
    let mut bomb = Forgery::of(&vec![0; 2 * limits::BATCH_INFLATED_BYTES_MAX]);
    bomb.inflated_bytes = limits::BATCH_INFLATED_BYTES_MAX as u32;
    bomb.seal()
}

/// A batch in the making, from the description of the format alone.
#[derive(Default)]
pub(crate) struct Batch(Vec<Item>);

impl Batch {
    pub(crate) fn dictionary<T: Serialize>(mut self, kind: u8, entries: &[T]) -> Self {
        self.0.push((kind, message(&entries)));
        self
    }

    pub(crate) fn run(self) -> Self {
        self.run_of(0)
    }

    /// A run of the release that stands at this place, from 1.
    pub(crate) fn run_of(mut self, release: u32) -> Self {
        let run = (unique(), release, 0_u32, 5_u64, 0_u32);
        self.0.push((kind::RUN, message(&run)));
        self
    }

    pub(crate) fn events(mut self, n: usize, event: impl Fn(usize) -> Vec<u8>) -> Self {
        let events = (0..n).map(|at| (kind::EVENT, event(at)));
        self.0.extend(events);
        self
    }

    pub(crate) fn spans(mut self, n: usize, span: impl Fn(usize) -> Vec<u8>) -> Self {
        let spans = (0..n).map(|at| (kind::SPAN, span(at)));
        self.0.extend(spans);
        self
    }

    pub(crate) fn item(mut self, kind: u8, bytes: Vec<u8>) -> Self {
        self.0.push((kind, bytes));
        self
    }

    pub(crate) fn seal(self) -> Vec<u8> {
        let body = Forgery::of(&content(&self.0)).seal();
        assert!(body.len() <= limits::BATCH_BYTES_MAX, "{}", body.len());
        body
    }
}

pub(crate) fn message(message: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(message).expect("it has a known length")
}

pub(crate) fn frame(function: u32, file: u32, line: u32) -> impl Serialize {
    (function, file, line, 1_u32, 1_u64, 0_u32, 0_u8)
}

/// A stack of so many frames that begins somewhere else than its neighbors.
pub(crate) fn stack(n: u32, shift: u32) -> (bool, Vec<u32>) {
    let frames = (0..n).map(|at| (at * (shift / n + 1) + shift) % n);
    (true, frames.collect())
}

pub(crate) fn event(text: u32, stack: u32, n_breadcrumbs: usize, contexts: u32) -> Vec<u8> {
    let breadcrumbs = vec![(0_i64, 2_u8, 0_u32, text); n_breadcrumbs];
    whole_event((0, 1_000, text, stack), &breadcrumbs, &[], contexts)
}

/// An event of a run, at a time, with tags.
pub(crate) fn tagged_event(run: u32, at: u64, tags: &[(u32, u32)]) -> Vec<u8> {
    whole_event((run, at, 1, 0), &[], tags, 0)
}

fn whole_event(
    (run, at, text, stack): (u32, u64, u32, u32),
    breadcrumbs: &[(i64, u8, u32, u32)],
    tags: &[(u32, u32)],
    contexts: u32,
) -> Vec<u8> {
    let mut bytes = message(&(unique(), run, 0_u8, 5_u8, 1_u64, at, 0_u64));
    let (deltas, errors): (Vec<u64>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
    let location: Option<(u32, u32, u32)> = None;
    bytes.extend(message(&(
        deltas, text, errors, location, 0_u32, 1_u64, stack,
    )));
    let spans: Vec<u8> = Vec::new();
    bytes.extend(message(&(spans, breadcrumbs, tags, 0_u32, contexts)));
    bytes
}

/// A span that failed, with a name and fields.
pub(crate) fn span(trace: [u8; 16], name: u32, fields: &[(u32, u32)]) -> Vec<u8> {
    let [id @ .., _, _, _, _, _, _, _, _] = unique();
    let parent = [0_u8; 8];
    let links: Vec<u8> = Vec::new();
    let location: Option<(u32, u32, u32)> = None;
    let mut bytes = message(&(0_u32, trace, id, parent, true, links));
    bytes.extend(message(&(name, 0_u32, location, 0_u8, 2_u8)));
    bytes.extend(message(&(
        5_u64, 1_000_u64, 1_000_u64, 0_u32, 1_u64, fields,
    )));
    bytes
}
