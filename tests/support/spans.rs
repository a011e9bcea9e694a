//! Finished spans as an SDK makes them.

use std::sync::Arc;

use bugsage_collector::clock::SystemClock;
use bugsage_core::batch::{BatchBuilder, Sealed};
use bugsage_core::clock::{Clock, Timestamp};
use bugsage_core::event::{Event, EventTrace, Run, Thread};
use bugsage_core::id::{BatchId, RunId};
use bugsage_core::span::{Span, SpanKind, SpanStatus};
use bugsage_core::trace_context::{SpanId, TraceId};

use super::events::{RELEASE, unique};

/// A trace of its own.
pub(crate) fn trace_id() -> TraceId {
    TraceId::from_bytes(unique()).expect("is not zero")
}

/// A span in the making: the root of a trace that took a second and has just ended, unless told otherwise.
#[derive(Debug, Clone)]
pub(crate) struct SpanBuilder(Span);

impl SpanBuilder {
    pub(crate) fn root(trace: TraceId, name: &str) -> Self {
        Self(Span {
            run: run(RELEASE),
            trace,
            id: span_id(),
            parent: None,
            is_entry: true,
            links: Vec::new(),
            name: name.into(),
            target: "shop".into(),
            location: None,
            kind: SpanKind::Server,
            status: SpanStatus::Unset,
            started_at: Timestamp(SystemClock.now().0 - 1_000_000),
            duration_ns: 1_000_000_000,
            busy_ns: 1_000,
            thread: Thread::default(),
            fields: Vec::new(),
        })
    }

    /// A span in this one, over the middle half of its time.
    pub(crate) fn child(&self, name: &str) -> Self {
        let mut child = self.0.clone();
        child.id = span_id();
        child.parent = Some(self.0.id);
        child.is_entry = false;
        child.kind = SpanKind::Internal;
        child.status = SpanStatus::Unset;
        child.name = name.into();
        child.started_at.0 += self.0.duration_ns / 4_000;
        child.duration_ns = self.0.duration_ns / 2;
        Self(child)
    }

    /// In the process of another service, where its part begins.
    pub(crate) fn in_service(self, release: &str) -> Self {
        self.with(|span| {
            span.run = run(release);
            span.is_entry = true;
        })
    }

    pub(crate) fn failed(self) -> Self {
        self.with(|span| span.status = SpanStatus::Error)
    }

    /// Changes whatever there is no word for.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Span)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn id(&self) -> SpanId {
        self.0.id
    }

    pub(crate) fn build(&self) -> Span {
        self.0.clone()
    }

    /// What an event knows that is made while this span is the innermost one.
    pub(crate) fn context(&self, is_sampled: bool) -> EventTrace {
        EventTrace {
            id: self.0.trace,
            span: self.0.id,
            is_sampled,
        }
    }
}

fn span_id() -> SpanId {
    let [id @ .., _, _, _, _, _, _, _, _] = unique();
    SpanId::from_bytes(id).expect("is not zero")
}

fn run(release: &str) -> Arc<Run> {
    let mut id = [1; 16];
    let n = release.len().min(16);
    id[..n].copy_from_slice(&release.as_bytes()[..n]);
    Arc::new(Run {
        id: RunId::from_bytes(id),
        release: Some(release.into()),
        environment: Some("test".into()),
        started_at: Timestamp(1_700_000_000_000_000),
        sdk: "bugsage-tests/0".into(),
    })
}

/// A batch of its own with these spans.
pub(crate) fn seal_spans<'a>(spans: impl IntoIterator<Item = &'a SpanBuilder>) -> Sealed {
    seal_both([], spans)
}

/// A batch with events too.
pub(crate) fn seal_both<'a>(
    events: impl IntoIterator<Item = Event>,
    spans: impl IntoIterator<Item = &'a SpanBuilder>,
) -> Sealed {
    let mut builder = BatchBuilder::new();
    for event in events {
        builder.push(&event);
    }
    for span in spans {
        builder.push_span(&span.0);
    }
    builder.seal(BatchId::from_bytes(unique()))
}
