//! Traces as they are stored: in pieces, each what one batch had of one trace.
//!
//! A piece is JSON under zstd. Runs stand in it once, and spans refer to them by their place.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Location, Losses, Pairs, Run, Text, Thread};
use bugsage_core::limits;
use bugsage_core::span::{Link, Span, SpanKind, SpanStatus};
use bugsage_core::trace_context::{SpanId, TraceId};

use super::pack;

/// Spans that are kept of one trace: whoever looks at it has all of them in memory, and a loop that opens a
/// span each time fills a disk with what nobody reads. Of further pieces only the entry spans are kept.
pub const TRACE_SPANS_MAX: u64 = 10_000;

/// Bytes of one trace, before compression, for the same reason: 400 for each span.
pub const TRACE_BYTES_MAX: u64 = 4 << 20;

/// Entry spans beyond that, so that a trace which is cut has its root: a root closes last.
pub const TRACE_ENTRIES_MAX: u64 = 256;

/// What one batch has of one trace.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The trace.
    pub trace: TraceId,
    /// Where its spans are among the documents that were packed together, compressed.
    pub at: Range<usize>,
    /// How many bytes that is before compression.
    pub raw_bytes: u64,
    /// How many spans are in it.
    pub spans: u64,
    /// How many of these failed.
    pub failed: u64,
    /// How many more the batch had.
    pub left_out: u64,
    /// The start of its first span.
    pub first_at: Timestamp,
    /// The end of its last.
    pub last_at: Timestamp,
    /// The span that stands for it.
    pub root: Root,
}

/// The span that stands for a trace in lists: its root, or what is nearest to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// 2 where it has no parent, 1 where a process's part begins with it, else 0.
    pub rank: u8,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ns: u64,
    /// Its id.
    pub span: SpanId,
    /// Its name, cut to what a list shows.
    pub name: Text,
    /// The release that it ran in.
    pub release: Option<Text>,
    /// The environment that it ran in.
    pub environment: Option<Text>,
}

/// The spans of a batch, ready to be written.
#[derive(Debug, Default)]
pub struct GroupedSpans {
    /// By trace.
    pub pieces: Vec<Piece>,
    /// The documents of these, one after the other: a batch may have a trace for each of its spans, and
    /// thousands of small buffers would stay with the allocator.
    pub documents: Vec<u8>,
    /// Spans that are in no piece: outcome, reason and number.
    pub left: Vec<(&'static str, &'static str, u64)>,
    /// What its senders say they lost.
    pub losses: Vec<Losses>,
}

/// A trace as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// The number of the project that has it.
    pub project: u64,
    /// The name of the project.
    pub project_name: String,
    /// The start of its first span.
    pub first_at: Timestamp,
    /// The end of its last.
    pub last_at: Timestamp,
    /// Spans that are kept.
    pub spans: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Spans beyond what is kept of one trace.
    pub left_out: u64,
    /// The span that stands for it.
    pub root: Root,
}

/// A trace with its spans.
#[derive(Debug, Clone)]
pub struct StoredTrace {
    /// What each project has of it.
    pub parts: Vec<Trace>,
    /// Its spans, each once, in the order in which they came.
    pub spans: Vec<Span>,
}

/// Which traces are wanted.
#[derive(Debug, Clone, Default)]
pub struct TraceFilter {
    /// Only those of a project, by its name or number.
    pub project: Option<String>,
    /// At most so many, those that came last first.
    pub limit: u32,
}

/// What became of all spans that a project received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpanAccount {
    /// By key, hour, outcome and reason.
    pub lines: Vec<SpanLine>,
    /// What its apps say they lost before they could send it, by reason, for ever.
    pub losses: Vec<(String, u64)>,
}

/// A line of the ledger, of spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanLine {
    /// The number of the ingest key.
    pub key: u64,
    /// The hour since the epoch in which it was received.
    pub hour: u64,
    /// As in [`LedgerLine`](super::model::LedgerLine).
    pub outcome: String,
    /// Why, in a word; empty where the outcome says it.
    pub reason: String,
    /// Spans.
    pub spans: u64,
}

/// What is in a piece.
#[derive(Debug, Deserialize)]
struct Document {
    spans: Vec<Row>,
    runs: Vec<Arc<Run>>,
}

/// A span in a piece: without its trace, and with its run by its place.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    run: usize,
    id: SpanId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<SpanId>,
    #[serde(default, skip_serializing_if = "is_default")]
    is_entry: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    name: Text,
    target: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    #[serde(default, skip_serializing_if = "is_default")]
    kind: SpanKind,
    #[serde(default, skip_serializing_if = "is_default")]
    status: SpanStatus,
    started_at: Timestamp,
    duration_ns: u64,
    busy_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    thread: Thread,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Pairs,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Piece {
    /// Packs spans of one trace behind other documents. Beyond what is kept of one trace, they are left out.
    ///
    /// `None` where there is no span.
    ///
    /// # Errors
    ///
    /// Where they cannot be compressed, which takes a system without memory.
    pub fn pack(
        trace: TraceId,
        spans: &[Span],
        documents: &mut Vec<u8>,
    ) -> io::Result<Option<Self>> {
        let Some(root) = spans.iter().map(Root::of).reduce(Root::better) else {
            return Ok(None);
        };
        let (kept, raw) = write(spans)?;
        let first_at = kept.iter().map(|span| span.started_at).min();
        let last_at = kept.iter().map(|span| end_of(span)).max();
        let begin = documents.len();
        documents.append(&mut pack::compress(&raw)?);
        Ok(Some(Self {
            trace,
            at: begin..documents.len(),
            raw_bytes: raw.len() as u64,
            spans: kept.len() as u64,
            failed: failed(&kept),
            left_out: (spans.len() - kept.len()) as u64,
            first_at: first_at.unwrap_or_default(),
            last_at: last_at.unwrap_or_default(),
            root,
        }))
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> u64 {
        self.at.len() as u64
    }

    /// Its entry spans alone, at most so many, for a trace that is full, with their document. `None` where it
    /// has none.
    ///
    /// # Errors
    ///
    /// Where it cannot be read or compressed.
    pub fn entries(&self, document: &[u8], most: u64) -> io::Result<Option<(Self, Vec<u8>)>> {
        let mut spans = unpack(self.trace, document)?;
        spans.retain(|span| span.is_entry);
        spans.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        let mut document = Vec::new();
        let entries = Self::pack(self.trace, &spans, &mut document)?;
        Ok(entries.map(|entries| {
            let left_out = self.left_out + self.spans - entries.spans;
            (
                Self {
                    left_out,
                    ..entries
                },
                document,
            )
        }))
    }
}

/// The spans of a piece.
///
/// # Errors
///
/// Where it is not what was written.
pub fn unpack(trace: TraceId, document: &[u8]) -> io::Result<Vec<Span>> {
    let Document { runs, spans } = serde_json::from_slice(&pack::expand(document)?)?;
    let spans = spans.into_iter().map(|row| {
        let run = runs.get(row.run).ok_or(io::ErrorKind::InvalidData)?;
        Ok(row.into_span(trace, run.clone()))
    });
    spans.collect()
}

/// The spans of a trace, each once: a span that comes twice is the one that came first.
pub fn each_once(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut seen = HashSet::new();
    let spans = spans.into_iter().filter(|span| seen.insert(span.id));
    spans.collect()
}

/// When a span ended.
pub fn end_of(span: &Span) -> Timestamp {
    let duration_us = span.duration_ns.div_ceil(1_000);
    Timestamp(span.started_at.0.saturating_add(duration_us))
}

impl Root {
    /// A span as the one that stands for its trace.
    pub fn of(span: &Span) -> Self {
        let rank = match (span.parent, span.is_entry) {
            (None, _) => 2,
            (Some(_), true) => 1,
            (Some(_), false) => 0,
        };
        Self {
            rank,
            started_at: span.started_at,
            duration_ns: span.duration_ns,
            span: span.id,
            name: match limits::cut(&span.name, limits::NAME_BYTES_MAX) {
                Cow::Borrowed(_) => span.name.clone(),
                Cow::Owned(name) => name.into(),
            },
            release: span.run.release.clone(),
            environment: span.run.environment.clone(),
        }
    }

    /// The one of two that stands for both: the same in whatever order they come.
    pub fn better(self, other: Self) -> Self {
        let order = |root: &Self| (std::cmp::Reverse(root.rank), root.started_at, root.span);
        if order(&other) < order(&self) {
            other
        } else {
            self
        }
    }
}

/// Entry spans first, where not all can be kept.
fn by_worth(spans: &[Span]) -> impl Iterator<Item = &Span> {
    let entries = spans.iter().filter(|span| span.is_entry);
    entries.chain(spans.iter().filter(|span| !span.is_entry))
}

fn failed(spans: &[&Span]) -> u64 {
    let failed = spans.iter().filter(|it| it.status == SpanStatus::Error);
    failed.count() as u64
}

/// Writes a [`Document`] of as many spans as are kept of one trace, and tells which these are.
fn write(spans: &[Span]) -> io::Result<(Vec<&Span>, Vec<u8>)> {
    let mut runs: Vec<&Run> = Vec::new();
    let mut places: HashMap<*const Run, usize> = HashMap::new();
    let (mut kept, mut raw) = (Vec::new(), b"{\"spans\":[".to_vec());
    for span in by_worth(spans).take(TRACE_SPANS_MAX as usize) {
        let run = *places.entry(Arc::as_ptr(&span.run)).or_insert_with(|| {
            runs.push(&span.run);
            runs.len() - 1
        });
        let end = raw.len();
        if !kept.is_empty() {
            raw.push(b',');
        }
        serde_json::to_writer(&mut raw, &Row::of(span, run))?;
        // The first is always kept: what one span may be is bounded too.
        if raw.len() as u64 > TRACE_BYTES_MAX && !kept.is_empty() {
            raw.truncate(end);
            continue;
        }
        kept.push(span);
    }
    raw.extend_from_slice(b"],\"runs\":");
    serde_json::to_writer(&mut raw, &runs)?;
    raw.push(b'}');
    Ok((kept, raw))
}

impl Row {
    fn of(span: &Span, run: usize) -> Self {
        Self {
            run,
            id: span.id,
            parent: span.parent,
            is_entry: span.is_entry,
            links: span.links.clone(),
            name: span.name.clone(),
            target: span.target.clone(),
            location: span.location.clone(),
            kind: span.kind,
            status: span.status,
            started_at: span.started_at,
            duration_ns: span.duration_ns,
            busy_ns: span.busy_ns,
            thread: span.thread.clone(),
            fields: span.fields.clone(),
        }
    }

    fn into_span(self, trace: TraceId, run: Arc<Run>) -> Span {
        Span {
            run,
            trace,
            id: self.id,
            parent: self.parent,
            is_entry: self.is_entry,
            links: self.links,
            name: self.name,
            target: self.target,
            location: self.location,
            kind: self.kind,
            status: self.status,
            started_at: self.started_at,
            duration_ns: self.duration_ns,
            busy_ns: self.busy_ns,
            thread: self.thread,
            fields: self.fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use bugsage_core::id::RunId;

    use super::*;

    fn span(number: u64) -> Span {
        let run = Run {
            id: RunId::from_bytes([1; 16]),
            release: Some("shop@1.0.0".into()),
            environment: None,
            started_at: Timestamp(1),
            sdk: "test".into(),
        };
        Span {
            run: Arc::new(run),
            trace: trace(),
            id: id(number),
            parent: Some(id(1)),
            is_entry: false,
            links: Vec::new(),
            name: "load".into(),
            target: "shop".into(),
            location: None,
            kind: SpanKind::Client,
            status: SpanStatus::Error,
            started_at: Timestamp(number),
            duration_ns: 1_500,
            busy_ns: 9,
            thread: Thread::default(),
            fields: vec![("order".into(), "7".into())],
        }
    }

    fn id(number: u64) -> SpanId {
        SpanId::from_bytes(number.to_be_bytes()).expect("is not zero")
    }

    fn trace() -> TraceId {
        TraceId::from_bytes([7; 16]).expect("is not zero")
    }

    fn pack(spans: &[Span]) -> (Piece, Vec<u8>) {
        let mut documents = Vec::new();
        let piece = Piece::pack(trace(), spans, &mut documents).expect("can be packed");
        (piece.expect("has spans"), documents)
    }

    #[test]
    fn a_piece_comes_back_as_it_was_packed() {
        let spans = [span(3), span(4)];

        let (piece, document) = pack(&spans);

        assert_eq!((piece.spans, piece.failed, piece.left_out), (2, 2, 0));
        assert_eq!(
            (piece.first_at, piece.last_at),
            (Timestamp(3), Timestamp(6))
        );
        assert_eq!(unpack(trace(), &document).expect("is whole"), spans);
        let nothing = Piece::pack(trace(), &[], &mut Vec::new());
        assert!(nothing.expect("is nothing").is_none());
    }

    #[test]
    fn of_too_many_spans_the_entries_are_kept_and_the_others_counted() {
        let mut spans: Vec<Span> = (2..TRACE_SPANS_MAX + 100).map(span).collect();
        let entry = spans.last_mut().expect("has one");
        entry.is_entry = true;
        let entry = entry.clone();

        let (piece, document) = pack(&spans);
        let kept = unpack(trace(), &document).expect("is whole");
        let entries = piece.entries(&document, 5).expect("can be packed");
        let (entries, alone) = entries.expect("has one");
        let alone = unpack(trace(), &alone).expect("is whole");

        assert_eq!(piece.spans + piece.left_out, spans.len() as u64);
        assert!(piece.spans <= TRACE_SPANS_MAX && piece.left_out >= 98);
        assert!(piece.raw_bytes <= TRACE_BYTES_MAX + 1_000);
        assert!(kept.contains(&entry));
        assert_eq!(alone, [entry]);
        assert_eq!(entries.spans + entries.left_out, spans.len() as u64);
    }

    #[test]
    fn spans_that_swell_when_they_are_written_are_bounded_by_what_they_become() {
        let field = "\u{1}".repeat(8 << 10);
        let spans: Vec<Span> = (2..200)
            .map(|number| Span {
                fields: vec![("noise".into(), field.as_str().into())],
                ..span(number)
            })
            .collect();

        let (piece, _) = pack(&spans);

        assert!(piece.left_out > 0 && piece.raw_bytes <= TRACE_BYTES_MAX + 1_000);
    }

    #[test]
    fn the_root_is_the_same_in_whatever_order_spans_come() {
        let without_parent = Span {
            parent: None,
            ..span(9)
        };
        let entry = Span {
            is_entry: true,
            ..span(2)
        };
        let mut roots = [&without_parent, &entry, &span(1)].map(Root::of);

        for _ in 0..3 {
            roots.rotate_left(1);
            let root = roots.iter().cloned().reduce(Root::better);
            assert_eq!(root.map(|root| root.span), Some(id(9)));
        }
    }
}
