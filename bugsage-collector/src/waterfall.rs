//! A trace as people look at it: its spans as a tree, in the order of time.
//!
//! Spans come from anywhere and in pieces. One whose parent is not here stands at the root and says so, and
//! whatever parents claim, every span stands in exactly one row.

use std::collections::{BTreeSet, HashMap, HashSet};

use bugsage_core::clock::Timestamp;
use bugsage_core::span::{Span, SpanStatus};
use bugsage_core::trace_context::SpanId;

use crate::store::trace::end_of;

/// The spans of a trace.
#[derive(Debug)]
pub struct Waterfall<'a> {
    /// The start of its first span.
    pub started_at: Timestamp,
    /// Microseconds from there to the end of its last.
    pub duration_us: u64,
    /// Every span below its parent.
    pub rows: Vec<Row<'a>>,
}

/// A span in its place.
#[derive(Debug)]
pub struct Row<'a> {
    /// The span.
    pub span: &'a Span,
    /// How many spans are around it.
    pub depth: usize,
    /// The row of its parent.
    pub parent: Option<usize>,
    /// Microseconds from the start of the trace to its own.
    pub offset_us: u64,
    /// Whether it has a parent that is not here.
    pub is_orphan: bool,
    /// Whether its parent ran in another release, or there is none: a service's part begins here.
    pub enters_release: bool,
}

impl Row<'_> {
    /// Microseconds that it took.
    pub fn duration_us(&self) -> u64 {
        self.span.duration_ns / 1_000
    }

    /// Whether it failed.
    pub fn has_failed(&self) -> bool {
        self.span.status == SpanStatus::Error
    }
}

impl<'a> Waterfall<'a> {
    /// Puts spans into their places. Each id is to come once.
    pub fn new(spans: &'a [Span]) -> Self {
        let started_at = spans.iter().map(|span| span.started_at).min();
        let started_at = started_at.unwrap_or_default();
        let ended_at = spans.iter().map(end_of).max().unwrap_or_default();
        let mut order: Vec<&Span> = spans.iter().collect();
        order.sort_by_key(|span| (span.started_at, span.id));
        let known: HashSet<SpanId> = order.iter().map(|span| span.id).collect();
        let mut children: HashMap<SpanId, Vec<&Span>> = HashMap::new();
        let mut roots = Vec::new();
        for span in &order {
            match span.parent.filter(|parent| known.contains(parent)) {
                Some(parent) => children.entry(parent).or_default().push(span),
                None => roots.push(*span),
            }
        }
        let mut planting = Planting {
            started_at,
            children,
            planted: HashSet::new(),
            rows: Vec::with_capacity(spans.len()),
        };
        // Spans that are each other's parents have no root: the first of them is made one.
        for root in roots.into_iter().chain(order) {
            planting.plant(root);
        }
        Self {
            started_at,
            duration_us: ended_at.micros_since(started_at),
            rows: planting.rows,
        }
    }

    /// At most so many rows, in their order: a span and those around it first, then those that failed, then
    /// those with the fewest spans around them.
    pub fn telling(&self, marked: Option<SpanId>, rows_max: usize) -> Vec<&Row<'a>> {
        let mut chosen = BTreeSet::new();
        let marked = |row: &Row<'_>| Some(row.span.id) == marked;
        let mut around = self.rows.iter().position(marked);
        while let Some(at) = around.filter(|_| chosen.len() < rows_max) {
            chosen.insert(at);
            around = self.rows[at].parent;
        }
        let rows = || self.rows.iter().enumerate();
        let mut by_worth: Vec<_> = rows().collect();
        by_worth.sort_by_key(|(_, row)| (!row.has_failed(), row.depth));
        for (at, _) in by_worth {
            if chosen.len() >= rows_max {
                break;
            }
            chosen.insert(at);
        }
        chosen.into_iter().map(|at| &self.rows[at]).collect()
    }
}

/// A tree that grows.
struct Planting<'a> {
    started_at: Timestamp,
    children: HashMap<SpanId, Vec<&'a Span>>,
    planted: HashSet<SpanId>,
    rows: Vec<Row<'a>>,
}

impl<'a> Planting<'a> {
    /// Adds a span with all that is below it, unless it is there. Not by recursion: a trace may be as deep
    /// as it has spans.
    fn plant(&mut self, root: &'a Span) {
        let mut next: Vec<(&Span, Option<usize>)> = vec![(root, None)];
        while let Some((span, parent)) = next.pop() {
            if !self.planted.insert(span.id) {
                continue;
            }
            let at = self.rows.len();
            let around = parent.map(|parent| &self.rows[parent]);
            self.rows.push(Row {
                span,
                depth: around.map_or(0, |around| around.depth + 1),
                enters_release: around
                    .is_none_or(|around| around.span.run.release != span.run.release),
                parent,
                offset_us: span.started_at.micros_since(self.started_at),
                is_orphan: parent.is_none() && span.parent.is_some(),
            });
            let children = self.children.get(&span.id).into_iter().flatten();
            next.extend(children.rev().map(|child| (*child, Some(at))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bugsage_core::event::{Run, Thread};
    use bugsage_core::id::RunId;
    use bugsage_core::span::SpanKind;
    use bugsage_core::trace_context::TraceId;

    use super::*;

    fn id(number: u64) -> SpanId {
        SpanId::from_bytes(number.to_be_bytes()).expect("is not zero")
    }

    /// A span of ten microseconds that starts at its number.
    fn span(number: u64, parent: u64) -> Span {
        let run = Run {
            id: RunId::from_bytes([1; 16]),
            release: None,
            environment: None,
            started_at: Timestamp(0),
            sdk: "".into(),
        };
        Span {
            run: Arc::new(run),
            trace: TraceId::from_bytes([1; 16]).expect("is not zero"),
            id: id(number),
            parent: SpanId::from_bytes(parent.to_be_bytes()),
            is_entry: false,
            links: Vec::new(),
            name: "".into(),
            target: "".into(),
            location: None,
            kind: SpanKind::Internal,
            status: SpanStatus::Unset,
            started_at: Timestamp(100 + number),
            duration_ns: 10_000,
            busy_ns: 0,
            thread: Thread::default(),
            fields: Vec::new(),
        }
    }

    /// Number, depth, and whether its parent is missing.
    fn rows(spans: &[Span]) -> Vec<(u64, usize, bool)> {
        let rows = Waterfall::new(spans).rows.into_iter();
        rows.map(|row| {
            let number = u64::from_be_bytes(row.span.id.to_bytes());
            (number, row.depth, row.is_orphan)
        })
        .collect()
    }

    #[test]
    fn spans_stand_below_their_parents_in_the_order_of_time() {
        let spans = [span(5, 2), span(4, 1), span(2, 1), span(3, 2), span(1, 0)];

        let told = rows(&spans);

        let tree = [(1, 0), (2, 1), (3, 2), (5, 2), (4, 1)];
        assert_eq!(told, tree.map(|(number, depth)| (number, depth, false)));
        let waterfall = Waterfall::new(&spans);
        assert_eq!(
            (waterfall.started_at, waterfall.duration_us),
            (Timestamp(101), 14)
        );
        assert_eq!(waterfall.rows[2].offset_us, 2);
    }

    #[test]
    fn a_span_without_its_parent_stands_at_the_root_and_says_so() {
        assert_eq!(
            rows(&[span(3, 9), span(1, 0), span(4, 3)]),
            [(1, 0, false), (3, 0, true), (4, 1, false)]
        );
    }

    #[test]
    fn spans_in_a_circle_each_have_one_row() {
        assert_eq!(rows(&[span(1, 1)]), [(1, 0, true)]);
        assert_eq!(
            rows(&[span(3, 2), span(2, 4), span(4, 3), span(1, 0)]),
            [(1, 0, false), (2, 0, true), (3, 1, false), (4, 2, false)]
        );
        assert_eq!(rows(&[]), []);
    }

    #[test]
    fn a_trace_may_be_as_deep_as_it_has_spans() {
        let spans: Vec<Span> = (1..=10_000).map(|n| span(n, n - 1)).collect();

        assert_eq!(rows(&spans).last(), Some(&(10_000, 9_999, false)));
    }

    #[test]
    fn of_many_rows_those_around_the_marked_one_and_those_that_failed_are_telling() {
        let mut spans: Vec<Span> = (2..100).map(|n| span(n, 1)).collect();
        spans.push(span(1, 0));
        spans.push(span(200, 99));
        spans[50].status = SpanStatus::Error;
        let waterfall = Waterfall::new(&spans);

        let telling = waterfall.telling(Some(id(200)), 6);

        let numbers = telling.iter().map(|row| row.span.id);
        assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 52, 99, 200].map(id));
    }
}
