//! What holds for every batch: events arrive as they were sent, and no bytes make the decoder panic.

mod support;

use std::sync::Arc;

use bugsage_core::batch::{self, Batch, BatchBuilder, HEADER_BYTES, Sealed};
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{
    Breadcrumb, ErrorLink, Event, EventKind, EventTrace, Level, Location, Losses, Pairs, Run,
    SpanContext, SpanTiming, Text, Thread,
};
use bugsage_core::id::{BatchId, EventId, RunId};
use bugsage_core::limits;
use bugsage_core::span::{Link, Span, SpanKind, SpanStatus};
use bugsage_core::stacktrace::{Frame, Module, StackTrace};
use bugsage_core::trace_context::{SpanId, TraceId};
use flate2::{Decompress, FlushDecompress};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Text as it is in events: often the same, sometimes strange.
fn any_text() -> impl Strategy<Value = Text> {
    let usual = vec!["", "shop::orders", "orders/src/quote.rs", "region", "eu"];
    prop_oneof![
        3 => select(usual).prop_map(Text::from),
        1 => ".{0,40}".prop_map(Text::from),
    ]
}

/// Text that says something; on the wire, none and the empty text are one.
fn some_text() -> impl Strategy<Value = Option<Text>> {
    option::of(any_text()).prop_map(|text| text.filter(|text| !text.is_empty()))
}

fn any_pairs() -> impl Strategy<Value = Pairs> {
    vec((any_text(), any_text()), 0..6)
}

fn any_level() -> impl Strategy<Value = Level> {
    select(vec![
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ])
}

fn any_module() -> impl Strategy<Value = Module> {
    let parts = (any_text(), any_text(), any::<u64>(), any::<u64>());
    parts.prop_map(|(path, build_id, base, size)| Module {
        path,
        build_id,
        base,
        size,
    })
}

fn any_frame() -> impl Strategy<Value = Arc<Frame>> {
    let place = (option::of(1..u32::MAX), option::of(1..u32::MAX));
    let module = option::of(any_module());
    let flags = any::<(bool, bool)>();
    let parts = (some_text(), some_text(), place, any::<u64>(), module, flags);
    parts.prop_map(|(function, file, (line, column), address, module, flags)| {
        Arc::new(Frame {
            function,
            file,
            line,
            column,
            address,
            module: module.map(Arc::new),
            inlined: flags.0,
            in_app: flags.1,
        })
    })
}

fn any_stack() -> impl Strategy<Value = Arc<StackTrace>> {
    let parts = (vec(any_frame(), 0..12), any::<bool>());
    parts.prop_map(|(frames, symbolicated)| {
        Arc::new(StackTrace {
            frames,
            symbolicated,
        })
    })
}

fn any_span() -> impl Strategy<Value = SpanContext> {
    let timing = (any_span_id(), any::<u64>(), option::of(any::<u64>()));
    let timing = timing.prop_map(|(id, open_us, busy_us)| SpanTiming {
        id,
        open_us,
        busy_us,
    });
    let parts = (any_text(), any_text(), any_pairs(), option::of(timing));
    parts.prop_map(|(name, target, fields, timing)| SpanContext {
        name,
        target,
        fields,
        timing,
    })
}

fn any_span_id() -> impl Strategy<Value = SpanId> {
    (1..=u64::MAX).prop_map(|id| SpanId::from_bytes(id.to_be_bytes()).unwrap())
}

fn any_trace_id() -> impl Strategy<Value = TraceId> {
    (1..=u128::MAX).prop_map(|id| TraceId::from_bytes(id.to_be_bytes()).unwrap())
}

fn any_trace() -> impl Strategy<Value = EventTrace> {
    let parts = (any_trace_id(), any_span_id(), any::<bool>());
    parts.prop_map(|(id, span, is_sampled)| EventTrace {
        id,
        span,
        is_sampled,
    })
}

fn any_finished_span() -> impl Strategy<Value = Span> {
    let link = (any_trace_id(), any_span_id()).prop_map(|(trace, span)| Link { trace, span });
    let names = (
        any_trace_id(),
        any_span_id(),
        option::of(any_span_id()),
        any::<bool>(),
        vec(link, 0..=limits::SPAN_LINKS_MAX),
    );
    let words = (
        any_text(),
        any_text(),
        option::of(any_location()),
        some_text(),
        any_pairs(),
    );
    let choices = (
        select(SpanKind::ALL.to_vec()),
        select(SpanStatus::ALL.to_vec()),
    );
    let numbers = (any_time(), any::<u64>(), any::<u64>(), any::<u64>());
    let parts = (any_run(1), names, words, choices, numbers);
    parts.prop_map(|(run, names, words, choices, numbers)| {
        let (trace, id, parent, is_entry, links) = names;
        let (name, target, location, thread_name, fields) = words;
        let (started_at, duration_ns, busy_ns, thread_id) = numbers;
        Span {
            run,
            trace,
            id,
            parent,
            is_entry,
            links,
            name,
            target,
            location,
            kind: choices.0,
            status: choices.1,
            started_at: Timestamp(started_at),
            duration_ns,
            busy_ns,
            thread: Thread {
                name: thread_name,
                id: thread_id,
            },
            fields,
        }
    })
}

/// Times within a few thousand years, in any order.
fn any_time() -> impl Strategy<Value = u64> {
    0..1_u64 << 56
}

fn any_breadcrumb() -> impl Strategy<Value = Breadcrumb> {
    let parts = (any_time(), any_level(), any_text(), any_text());
    parts.prop_map(|(at, level, target, message)| Breadcrumb {
        at: Timestamp(at),
        level,
        target,
        message,
    })
}

fn any_error() -> impl Strategy<Value = ErrorLink> {
    (some_text(), any_text()).prop_map(|(type_name, message)| ErrorLink { type_name, message })
}

fn any_location() -> impl Strategy<Value = Location> {
    let parts = (any_text(), any::<u32>(), any::<u32>());
    parts.prop_map(|(file, line, column)| Location { file, line, column })
}

fn any_run(id: u8) -> impl Strategy<Value = Arc<Run>> {
    let parts = (some_text(), some_text(), any::<u64>(), any_text());
    parts.prop_map(move |(release, environment, started_at, sdk)| {
        Arc::new(Run {
            id: RunId::from_bytes([id; 16]),
            release,
            environment,
            started_at: Timestamp(started_at),
            sdk,
        })
    })
}

/// An event without a run of its own.
fn any_event() -> impl Strategy<Value = Event> {
    let kind = select(vec![EventKind::Panic, EventKind::Error, EventKind::Log]);
    let numbers = (
        any::<[u8; 16]>(),
        1..=limits::REPORTS_MAX as u64,
        any_time(),
        any_time(),
    );
    let words = (
        any_text(),
        vec(any_error(), 0..=limits::ERRORS_MAX),
        option::of(any_location()),
        some_text(),
        some_text(),
        any::<u64>(),
    );
    let surroundings = (
        vec(any_span(), 0..4),
        vec(any_breadcrumb(), 0..8),
        any_pairs(),
        any_pairs(),
        vec(any::<u64>(), 0..=limits::DELTAS_MAX),
        (any_pairs(), any_pairs(), option::of(any_trace())),
    );
    let parts = (kind, any_level(), numbers, words, surroundings);
    parts.prop_map(|(kind, level, numbers, words, surroundings)| {
        let (id, count, first_at, last_after) = numbers;
        let (message, errors, location, thread_name, user, thread_id) = words;
        let (spans, breadcrumbs, tags, contexts, deltas_us, own) = surroundings;
        let (attached, inputs, trace) = own;
        Event {
            id: EventId::from_bytes(id),
            run: nobodys_run(),
            kind,
            level,
            count,
            first_at: Timestamp(first_at),
            last_at: Timestamp(first_at + last_after),
            deltas_us,
            message,
            errors,
            location,
            thread: Thread {
                name: thread_name,
                id: thread_id,
            },
            stack: None,
            spans,
            breadcrumbs,
            tags,
            user,
            contexts,
            attached,
            inputs,
            trace,
        }
    })
}

fn nobodys_run() -> Arc<Run> {
    Arc::new(Run {
        id: RunId::from_bytes([0; 16]),
        release: None,
        environment: None,
        started_at: Timestamp(0),
        sdk: "".into(),
    })
}

/// Events of a few runs that share a few stacks.
fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let stacks = vec(any_stack(), 1..4);
    let runs = (any_run(1), any_run(2));
    let events = vec((any_event(), any::<Index>(), any::<u8>()), 0..12);
    (stacks, runs, events).prop_map(|(stacks, runs, events)| {
        let join = |(event, stack, choice): (Event, Index, u8)| Event {
            run: if choice & 1 == 0 { &runs.0 } else { &runs.1 }.clone(),
            stack: (choice & 2 == 0).then(|| stack.get(&stacks).clone()),
            ..event
        };
        events.into_iter().map(join).collect()
    })
}

fn any_losses() -> impl Strategy<Value = Losses> {
    let dropped = vec((any_text(), any::<u64>()), 0..6);
    let parts = (any::<[u8; 16]>(), any::<u64>(), dropped);
    parts.prop_map(|(run, produced, dropped)| Losses {
        run: RunId::from_bytes(run),
        produced,
        dropped,
    })
}

fn builder(events: &[Event], losses: &[Losses]) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    events.iter().for_each(|event| builder.push(event));
    losses.iter().for_each(|losses| builder.push_losses(losses));
    builder
}

fn seal(events: &[Event], losses: &[Losses]) -> Vec<u8> {
    builder(events, losses)
        .seal(BatchId::from_bytes([7; 16]))
        .bytes
}

fn content(body: &[u8]) -> Vec<u8> {
    let header = batch::check(body).unwrap();
    let mut content = Vec::with_capacity(header.inflated_bytes);
    Decompress::new(false)
        .decompress_vec(&body[HEADER_BYTES..], &mut content, FlushDecompress::Finish)
        .unwrap();
    content
}

/// Whether a batch names each of its items once at most.
fn counts_once(batch: &Batch) -> bool {
    let events = batch.events.iter().map(|(index, _)| *index);
    let spans = batch.spans.iter().map(|(index, _)| *index);
    let rejected = batch.rejected.iter().map(|rejected| rejected.index);
    let mut indexes: Vec<u32> = events.chain(spans).chain(rejected).collect();
    let n_indexes = indexes.len();
    indexes.sort_unstable();
    indexes.dedup();
    indexes.len() == n_indexes
}

proptest! {
    #[test]
    fn events_and_losses_arrive_as_they_were_sent(
        events in any_events(),
        losses in vec(any_losses(), 0..3),
        spans in vec(any_finished_span(), 0..4),
        span_losses in vec(any_losses(), 0..3),
    ) {
        let mut builder = builder(&events, &losses);
        // A batch knows a run by its id.
        let run = spans.first().map(|span| span.run.clone());
        let run = events.iter().map(|event| event.run.clone()).find(|run| {
            run.id == RunId::from_bytes([1; 16])
        }).or(run);
        let spans: Vec<Span> = spans
            .into_iter()
            .map(|span| Span { run: run.clone().unwrap_or(span.run), ..span })
            .collect();
        spans.iter().for_each(|span| builder.push_span(span));
        span_losses.iter().for_each(|losses| builder.push_span_losses(losses));
        let sealed = builder.seal(BatchId::from_bytes([7; 16]));
        let batch = batch::decode(&sealed.bytes).unwrap();

        prop_assert!(batch.spans.iter().all(|(index, _)| sealed.is_span(*index)));
        prop_assert!(!batch.events.iter().any(|(index, _)| sealed.is_span(*index)));
        prop_assert_eq!(&Sealed::read(sealed.bytes.clone()).unwrap(), &sealed);
        let arrived: Vec<Span> = batch.spans.into_iter().map(|(_, span)| span).collect();
        prop_assert_eq!(arrived, spans);
        prop_assert_eq!(batch.span_losses, span_losses);

        let arrived: Vec<Event> = batch.events.into_iter().map(|(_, event)| event).collect();
        prop_assert_eq!(arrived, events);
        prop_assert_eq!(batch.losses, losses);
        prop_assert_eq!(batch.rejected, []);
        prop_assert_eq!(batch.unknown_items, 0);
    }

    #[test]
    fn the_same_events_give_the_same_bytes(events in any_events()) {
        prop_assert_eq!(seal(&events, &[]), seal(&events, &[]));
    }

    #[test]
    fn random_bytes_are_no_batch(body in vec(any::<u8>(), 0..2_000)) {
        prop_assert!(batch::decode(&body).is_err());
    }

    #[test]
    fn random_bytes_behind_a_sound_header_are_read_or_refused(
        content in vec(any::<u8>(), 0..2_000),
    ) {
        if let Ok(batch) = batch::decode(&support::seal(&content)) {
            prop_assert!(counts_once(&batch));
        }
    }

    #[test]
    fn items_of_random_bytes_are_rejected_one_by_one(
        items in vec((0..13_u8, vec(any::<u8>(), 0..60)), 0..20),
    ) {
        let mut content = Vec::new();
        for (kind, bytes) in &items {
            content.push(*kind);
            content.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            content.extend_from_slice(bytes);
        }

        let batch = batch::decode(&support::seal(&content)).unwrap();

        prop_assert!(counts_once(&batch));
        prop_assert!(batch.rejected.len() <= items.len());
    }

    #[test]
    fn a_sound_batch_with_a_few_bytes_changed_is_read_or_refused(
        events in any_events(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut content = content(&seal(&events, &[]));
        prop_assume!(!content.is_empty());
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }

        if let Ok(batch) = batch::decode(&support::seal(&content)) {
            prop_assert!(counts_once(&batch));
            prop_assert!(batch.events.len() <= events.len() + 1);
        }
    }
}
