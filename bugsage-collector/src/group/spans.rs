//! Sorts finished spans into their traces.

use std::collections::HashMap;
use std::io;

use bugsage_core::batch::Rejected;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::Losses;
use bugsage_core::id::RunId;
use bugsage_core::scrub::Cleaner;
use bugsage_core::span::Span;

use crate::store::trace::{GroupedSpans, Piece, end_of};

/// A piece is closed once its JSON has about this many bytes: what is not compressed yet is held by as many
/// requests as there are at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Spans of a batch as pieces of their traces.
///
/// # Errors
///
/// Where they cannot be compressed, which takes a system without memory.
pub(super) fn group(
    spans: Vec<(u32, Span)>,
    rejected: &[Rejected],
    losses: Vec<Losses>,
    received_at: Timestamp,
    cleaner: &mut Cleaner,
) -> io::Result<GroupedSpans> {
    let all = spans.len() as u64;
    let mut spans: Vec<Span> = spans.into_iter().map(|(_, span)| span).collect();
    clamp(&mut spans, received_at);
    for span in &mut spans {
        cleaner.span(span);
    }
    // In their place, without a list for each trace: a batch may have a trace for each of its spans.
    // Entry spans first: they are kept where a trace is full.
    spans.sort_unstable_by_key(|span| (span.trace, !span.is_entry, span.id));
    spans.dedup_by_key(|span| (span.trace, span.id));
    let distinct = spans.len() as u64;
    let (mut pieces, mut documents) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    let is_same_piece = |one: &Span, other: &Span| {
        bytes += about(one);
        let is_same = one.trace == other.trace && bytes < PIECE_BYTES;
        if !is_same {
            bytes = 0;
        }
        is_same
    };
    for spans in spans.chunk_by(is_same_piece) {
        pieces.extend(Piece::pack(spans[0].trace, spans, &mut documents)?);
    }
    in_order_of_begin(&mut pieces);
    let mut left = invalid(rejected);
    if all > distinct {
        left.push(("duplicate", "span", all - distinct));
    }
    Ok(GroupedSpans {
        pieces,
        documents,
        left,
        losses,
    })
}

/// The trace that began first comes first, so that lists of what was stored last are in order too. The pieces
/// of a trace stay in theirs.
fn in_order_of_begin(pieces: &mut [Piece]) {
    let mut began_at = HashMap::new();
    for piece in &*pieces {
        let began_at = began_at.entry(piece.trace).or_insert(piece.first_at);
        *began_at = piece.first_at.min(*began_at);
    }
    pieces.sort_by_key(|piece| began_at.get(&piece.trace).copied());
}

/// About how many bytes of JSON a span becomes.
fn about(span: &Span) -> usize {
    let fields = span.fields.iter();
    let fields = fields.map(|(name, value)| name.len() + value.len() + 8);
    200 + span.name.len() + span.target.len() + 80 * span.links.len() + fields.sum::<usize>()
}

/// Spans of a project that has sent too much: they are only counted.
pub(super) fn only_count(
    spans: u64,
    rejected: &[Rejected],
    losses: Vec<Losses>,
    reason: &'static str,
) -> GroupedSpans {
    let mut left = invalid(rejected);
    if spans > 0 {
        left.push(("limited", reason, spans));
    }
    GroupedSpans {
        pieces: Vec::new(),
        documents: Vec::new(),
        left,
        losses,
    }
}

fn invalid(rejected: &[Rejected]) -> Vec<(&'static str, &'static str, u64)> {
    let spans = rejected.iter().filter(|item| item.is_span);
    let reasons = super::by_reason(spans).into_iter();
    reasons
        .map(|(reason, spans)| ("invalid", reason, spans))
        .collect()
}

/// Nothing has ended after it was received, whatever the sender's clock says.
///
/// A duration was measured, so it stays; what a run's clock is ahead by is taken off all of its spans
/// alike, so that they keep their places in each other.
fn clamp(spans: &mut [Span], received_at: Timestamp) {
    let mut ahead_us: HashMap<RunId, u64> = HashMap::new();
    for span in &mut *spans {
        let longest_ns = received_at.0.saturating_mul(1_000);
        span.duration_ns = span.duration_ns.min(longest_ns);
        let ahead = ahead_us.entry(span.run.id).or_default();
        *ahead = end_of(span).micros_since(received_at).max(*ahead);
    }
    for span in spans {
        let ahead = ahead_us.get(&span.run.id).copied().unwrap_or(0);
        span.started_at = Timestamp(span.started_at.0.saturating_sub(ahead));
        // A run may claim times that are further apart than its clock goes back.
        let until = received_at.0 - span.duration_ns.div_ceil(1_000).min(received_at.0);
        span.started_at = span.started_at.min(Timestamp(until));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bugsage_core::event::{Run, Thread};
    use bugsage_core::span::{SpanKind, SpanStatus};
    use bugsage_core::trace_context::{SpanId, TraceId};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn span(started_at: u64, duration_ns: u64) -> Span {
        let run = Run {
            id: RunId::from_bytes([1; 16]),
            release: None,
            environment: None,
            started_at: NOW,
            sdk: "".into(),
        };
        Span {
            run: Arc::new(run),
            trace: TraceId::from_bytes([1; 16]).expect("is not zero"),
            id: SpanId::from_bytes(started_at.to_be_bytes()).expect("is not zero"),
            parent: None,
            is_entry: true,
            links: Vec::new(),
            name: "".into(),
            target: "".into(),
            location: None,
            kind: SpanKind::Internal,
            status: SpanStatus::Unset,
            started_at: Timestamp(started_at),
            duration_ns,
            busy_ns: 0,
            thread: Thread::default(),
            fields: Vec::new(),
        }
    }

    #[test]
    fn a_clock_that_is_ahead_moves_all_spans_of_its_run_alike() {
        let ahead = NOW.0 + 5_000_000;
        let mut spans = [span(ahead, 2_000_000), span(ahead + 500, 1_000_000)];

        clamp(&mut spans, NOW);

        let starts = spans.each_ref().map(|span| NOW.0 - span.started_at.0);
        assert_eq!(starts, [2_000, 1_500]);
        assert_eq!(spans[0].duration_ns, 2_000_000, "it was measured");
    }

    #[test]
    fn no_time_is_beyond_all_bounds() {
        let mut spans = [span(u64::MAX, u64::MAX), span(1, u64::MAX), span(1, 0)];

        clamp(&mut spans, NOW);

        assert!(spans.iter().all(|span| end_of(span) <= NOW));
    }

    #[test]
    fn a_clock_that_is_right_changes_nothing() {
        let before = [span(NOW.0 - 5_000, 5_000_000), span(7, 1)];
        let mut spans = before.clone();

        clamp(&mut spans, NOW);

        assert_eq!(spans, before);
    }
}
