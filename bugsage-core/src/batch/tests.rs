//! What broken, lying and hostile batches do to the decoder, and long or many values to the builder.
//!
//! The batches are forged from the wire's own structs, so that each is wrong in one place only.

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::event::{Breadcrumb, EventKind, Level, Losses, Thread};
use crate::id::{EventId, RunId};
use crate::limits;
use crate::stacktrace::{Frame, Module, StackTrace};

use super::v1::{BreadcrumbV1, EventV1, FrameV1, LossesV1, ModuleV1, RunV1, SpanV1, StackV1};
use super::*;

const ID: BatchId = BatchId::from_bytes([7; 16]);

/// The items of a content, in the order in which they are put.
#[derive(Default)]
struct Forge {
    content: Vec<u8>,
}

impl Forge {
    fn raw(mut self, kind: u8, bytes: &[u8]) -> Self {
        frame::put_item(&mut self.content, kind, bytes);
        self
    }

    fn item(self, kind: u8, message: &impl Serialize) -> Self {
        self.raw(kind, &postcard::to_allocvec(message).unwrap())
    }

    fn strings(self, strings: &[&str]) -> Self {
        self.item(kind::STRINGS, &strings)
    }

    fn run(self) -> Self {
        self.item(kind::RUN, &wire_run())
    }

    fn event(self, event: EventV1) -> Self {
        self.item(kind::EVENT, &event)
    }

    fn body(&self) -> Vec<u8> {
        frame::seal(ID, &self.content, frame::Effort::Usual)
    }

    fn batch(&self) -> Batch {
        decode(&self.body()).expect("the body is sound")
    }
}

fn wire_run() -> RunV1 {
    RunV1 {
        id: [1; 16],
        release: 0,
        environment: 0,
        started_at: 5,
        sdk: 0,
    }
}

/// The smallest event there is.
fn wire_event() -> EventV1 {
    EventV1 {
        id: [2; 16],
        run: 0,
        kind: 0,
        level: 5,
        count: 1,
        first_at: 1_000_000,
        last_after: 0,
        deltas: Default::default(),
        message: 0,
        errors: Default::default(),
        location: None,
        thread_name: 0,
        thread_id: 1,
        stack: 0,
        spans: Default::default(),
        breadcrumbs: Default::default(),
        tags: Default::default(),
        user: 0,
        contexts: 0,
    }
}

fn wire_span() -> SpanV1 {
    SpanV1 {
        name: 0,
        target: 0,
        fields: Default::default(),
    }
}

fn wire_breadcrumb() -> BreadcrumbV1 {
    BreadcrumbV1 {
        before: 1,
        level: 2,
        target: 0,
        message: 0,
    }
}

fn wire_frame() -> FrameV1 {
    FrameV1 {
        function: 0,
        file: 0,
        line: 0,
        column: 0,
        address: 9,
        module: 0,
        flags: 0,
    }
}

fn many<C: FromIterator<T>, T: Clone>(value: T, n: usize) -> C {
    std::iter::repeat_n(value, n).collect()
}

/// What a decoded event looks like that says nothing but `message`.
fn event(message: &str) -> Event {
    Event {
        id: EventId::from_bytes([2; 16]),
        run: Arc::new(Run {
            id: RunId::from_bytes([1; 16]),
            release: None,
            environment: None,
            started_at: Timestamp(5),
            sdk: "".into(),
        }),
        kind: EventKind::Panic,
        level: Level::Fatal,
        count: 1,
        first_at: Timestamp(1_000_000),
        last_at: Timestamp(1_000_000),
        deltas_us: Vec::new(),
        message: message.into(),
        errors: Vec::new(),
        location: None,
        thread: Thread { name: None, id: 1 },
        stack: None,
        spans: Vec::new(),
        breadcrumbs: Vec::new(),
        tags: Vec::new(),
        user: None,
        contexts: Vec::new(),
        attached: Vec::new(),
        inputs: Vec::new(),
        trace: None,
    }
}

/// Seals the events and decodes them again.
fn travel(events: &[Event]) -> Batch {
    let mut builder = BatchBuilder::new();
    for event in events {
        builder.push(event);
    }
    decode(&builder.seal(ID).bytes).expect("what the builder seals is sound")
}

/// The body with its bytes at `at` replaced and its checksum made right again.
fn with_header(mut body: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    body[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&body[..26]), &body[HEADER_BYTES..]);
    body[26..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    body
}

fn with_declared_length(body: Vec<u8>, length: u32) -> Vec<u8> {
    with_header(body, 22, &length.to_le_bytes())
}

fn rejections(batch: &Batch) -> Vec<(u32, String)> {
    let rejected = batch.rejected.iter();
    rejected
        .map(|rejected| (rejected.index, rejected.reason.to_string()))
        .collect()
}

// The body as a whole.

#[test]
fn a_body_shorter_than_its_header_is_truncated() {
    let body = Forge::default().body();

    for size_bytes in 0..HEADER_BYTES {
        let error = decode(&body[..size_bytes]).unwrap_err();
        assert_eq!(error, BatchError::Truncated { size_bytes });
    }
}

#[test]
fn a_batch_without_items_is_empty_and_sound() {
    let batch = Forge::default().batch();

    assert_eq!(batch.id, ID);
    assert!(batch.events.is_empty() && batch.rejected.is_empty());
}

#[test]
fn what_does_not_begin_like_a_batch_is_none() {
    let body = br#"{"events": [{"message": "this is JSON, not a batch"}]}"#;

    assert_eq!(decode(body).unwrap_err(), BatchError::NotABatch);
}

#[test]
fn another_version_is_told_before_the_checksum_is_asked() {
    let body = Forge::default().body();

    for found in [0, VERSION + 1, 0x0700, u16::MAX] {
        let mut body = body.clone();
        body[4..6].copy_from_slice(&found.to_le_bytes());

        let error = decode(&body).unwrap_err();

        assert_eq!(error, BatchError::UnsupportedVersion { found });
        assert_eq!(error.code(), "unsupported_version");
    }
}

#[test]
fn a_body_over_the_limit_is_refused_unread() {
    let body = vec![0; limits::BATCH_BYTES_MAX + 1];

    let error = decode(&body).unwrap_err();

    assert_eq!(error.code(), "too_large");
    let limit = limits::BATCH_BYTES_MAX;
    assert_eq!(error.limit_and_value(), Some((limit, limit + 1)));
}

#[test]
fn a_declared_length_that_lies_is_an_error() {
    let sound = Forge::default().strings(&["some", "text"]).run();
    let declared = sound.content.len() as u32;

    for lie in [0, 1, declared - 1, declared + 1, declared * 2, 8 << 20] {
        let error = decode(&with_declared_length(sound.body(), lie)).unwrap_err();

        assert_eq!(error.code(), "inflate", "{lie}");
    }
}

#[test]
fn a_declared_length_over_the_limit_is_refused_before_inflating() {
    let body = Forge::default().body();

    for lie in [limits::BATCH_INFLATED_BYTES_MAX as u32 + 1, u32::MAX] {
        let error = decode(&with_declared_length(body.clone(), lie)).unwrap_err();

        assert_eq!(error.code(), "inflated_too_large", "{lie}");
    }
}

#[test]
fn a_stream_larger_than_its_header_says_is_stopped() {
    let bomb = frame::seal(
        ID,
        &vec![0; limits::BATCH_INFLATED_BYTES_MAX],
        frame::Effort::Usual,
    );
    assert!(bomb.len() < 16 << 10);

    let error = decode(&with_declared_length(bomb, 100)).unwrap_err();

    assert_eq!(error.code(), "inflate");
}

#[test]
fn a_stream_of_empty_items_ends_at_the_limit_of_items() {
    let bomb = frame::seal(
        ID,
        &vec![0; limits::BATCH_INFLATED_BYTES_MAX],
        frame::Effort::Usual,
    );

    let error = decode(&bomb).unwrap_err();

    let limit = limits::BATCH_ITEMS_MAX;
    assert_eq!(error, BatchError::TooManyItems { limit });
}

#[test]
fn as_many_items_as_the_limit_allows_are_read() {
    let limit = limits::BATCH_ITEMS_MAX;
    let content = vec![0; limit * frame::ITEM_OVERHEAD_BYTES];

    let batch = decode(&frame::seal(ID, &content, frame::Effort::Usual)).unwrap();

    assert_eq!(batch.unknown_items as usize, limit);
}

#[test]
fn bytes_behind_the_compressed_stream_are_an_error() {
    let mut body = Forge::default().run().body();
    body.extend_from_slice(b"more");

    let error = decode(&with_header(body, 0, b"BUGS")).unwrap_err();

    assert_eq!(error.code(), "inflate");
}

#[test]
fn a_stream_that_is_no_deflate_is_an_error() {
    let mut body = Forge::default().run().body();
    body.truncate(HEADER_BYTES);
    body.extend_from_slice(&[0xff; 40]);

    let error = decode(&with_header(body, 0, b"BUGS")).unwrap_err();

    assert_eq!(error.code(), "inflate");
}

#[test]
fn a_stream_of_another_compressor_is_read_all_the_same() {
    let content = Forge::default().strings(&["text"]).run().content;
    let mut deflate = DeflateEncoder::new(Vec::new(), flate2::Compression::none());
    deflate.write_all(&content).unwrap();
    let mut body = frame::seal(ID, &content, frame::Effort::Usual);
    body.truncate(HEADER_BYTES);
    body.extend_from_slice(&deflate.finish().unwrap());

    let batch = decode(&with_header(body, 0, b"BUGS")).unwrap();

    assert_eq!(batch.runs.len(), 1);
}

#[test]
fn an_item_that_leads_past_the_end_is_an_error() {
    let sound = Forge::default().run();
    for tail in [
        &[kind::EVENT][..],
        &[kind::EVENT, 1, 0, 0, 0],
        &[kind::EVENT, 0xff, 0xff, 0xff, 0xff, 1, 2, 3],
    ] {
        let content = [&sound.content, tail].concat();

        let error = decode(&frame::seal(ID, &content, frame::Effort::Usual)).unwrap_err();

        assert_eq!(error, BatchError::ItemTruncated { index: 1 });
    }
}

// Single items.

#[test]
fn items_of_unknown_kinds_are_counted_and_skipped() {
    let batch = Forge::default()
        .raw(0, b"")
        .run()
        .raw(99, b"an item of the future")
        .event(wire_event())
        .raw(u8::MAX, &[0; 1_000])
        .batch();

    assert_eq!(batch.unknown_items, 3);
    assert_eq!(batch.events, [(3, event(""))]);
    assert_eq!(batch.rejected, []);
}

fn rejected(index: u32, is_span: bool, reason: ItemError) -> Rejected {
    Rejected {
        index,
        is_span,
        reason,
    }
}

#[test]
fn a_malformed_span_is_told_as_one_and_leaves_its_neighbors_alone() {
    let batch = Forge::default()
        .run()
        .event(wire_event())
        .raw(kind::SPAN, &[0xff; 64])
        .event(wire_event())
        .batch();

    assert_eq!(batch.events.len(), 2);
    let reason = ItemError::Malformed { kind: kind::SPAN };
    assert_eq!(batch.rejected, [rejected(2, true, reason)]);
}

#[test]
fn a_malformed_event_leaves_its_neighbors_alone() {
    let malformed = [&[][..], &[1; 16], &[0xff; 64], b"no event at all"];
    for bytes in malformed {
        let batch = Forge::default()
            .run()
            .event(wire_event())
            .raw(kind::EVENT, bytes)
            .event(wire_event())
            .batch();

        assert_eq!(batch.events, [(1, event("")), (3, event(""))]);
        let reason = ItemError::Malformed { kind: kind::EVENT };
        assert_eq!(batch.rejected, [rejected(2, false, reason)]);
    }
}

#[test]
fn an_event_that_refers_to_what_is_not_there_is_rejected_by_its_index() {
    let with = |change: fn(&mut EventV1)| {
        let mut event = wire_event();
        change(&mut event);
        let batch = Forge::default()
            .strings(&["only"])
            .run()
            .event(event)
            .event(wire_event())
            .batch();
        assert_eq!(batch.events.len(), 1, "the neighbor is kept");
        rejections(&batch)
    };
    let string = vec![(2, "strings has no entry 1".to_owned())];

    assert_eq!(with(|e| e.message = 2), string);
    assert_eq!(with(|e| e.thread_name = 2), string);
    assert_eq!(with(|e| e.user = 2), string);
    assert_eq!(with(|e| e.location = Some((2, 1, 1))), string);
    assert_eq!(with(|e| e.errors = many((2, 0), 1)), string);
    assert_eq!(with(|e| e.errors = many((0, 2), 1)), string);
    assert_eq!(with(|e| e.tags = many((2, 1), 1)), string);
    assert_eq!(with(|e| e.tags = many((1, 2), 1)), string);
    let span = |name, field| SpanV1 {
        name,
        target: 0,
        fields: many((field, field), 1),
    };
    let mut event = wire_event();
    event.spans = [span(1, 0), span(0, 2)].into_iter().collect();
    let batch = Forge::default().strings(&["only"]).run().event(event);
    assert_eq!(rejections(&batch.batch()), string);
    assert_eq!(
        with(|e| {
            let crumb = BreadcrumbV1 {
                message: u32::MAX,
                ..wire_breadcrumb()
            };
            e.breadcrumbs = [crumb].into_iter().collect();
        }),
        [(2, "strings has no entry 4294967294".to_owned())]
    );
    let missing = |text: &str| vec![(2, text.to_owned())];
    assert_eq!(with(|e| e.run = 1), missing("runs has no entry 1"));
    assert_eq!(with(|e| e.stack = 1), missing("stacks has no entry 0"));
    assert_eq!(with(|e| e.contexts = 9), missing("contexts has no entry 8"));
}

#[test]
fn a_number_that_names_nothing_is_rejected() {
    let with = |change: fn(&mut EventV1)| {
        let mut event = wire_event();
        change(&mut event);
        rejections(&Forge::default().run().event(event).batch())
    };
    let named = |text: &str| vec![(1, text.to_owned())];

    assert_eq!(
        with(|e| e.kind = 3),
        named("kind is 3, which names nothing")
    );
    assert_eq!(
        with(|e| e.level = 6),
        named("level is 6, which names nothing")
    );
    assert_eq!(
        with(|e| e.count = 0),
        named("count is 0, which names nothing")
    );
}

#[test]
fn more_of_something_than_an_event_may_have_is_rejected_with_its_number() {
    let with = |change: fn(&mut EventV1)| {
        let mut event = wire_event();
        change(&mut event);
        let forge = Forge::default().run().event(event).event(wire_event());
        let batch = forge.batch();
        assert_eq!(batch.events.len(), 1, "the neighbor is kept");
        rejections(&batch)
    };
    let over = |what: &str, limit: usize, value: usize| {
        vec![(1, format!("{what}: {value}, the limit is {limit}"))]
    };

    let limit = limits::DELTAS_MAX;
    assert_eq!(
        with(|e| e.deltas = many(1, limits::DELTAS_MAX + 1)),
        over("time deltas", limit, limit + 1)
    );
    let limit = limits::ERRORS_MAX;
    assert_eq!(
        with(|e| e.errors = many((0, 0), limits::ERRORS_MAX * 100)),
        over("errors", limit, limit * 100)
    );
    let limit = limits::SPANS_MAX;
    assert_eq!(
        with(|e| e.spans = (0..limits::SPANS_MAX + 1).map(|_| wire_span()).collect()),
        over("spans", limit, limit + 1)
    );
    let limit = limits::BREADCRUMBS_MAX;
    assert_eq!(
        with(|e| {
            let crumbs = 0..limits::BREADCRUMBS_MAX + 1;
            e.breadcrumbs = crumbs.map(|_| wire_breadcrumb()).collect();
        }),
        over("breadcrumbs", limit, limit + 1)
    );
    let limit = limits::PAIRS_MAX;
    assert_eq!(
        with(|e| e.tags = many((0, 0), limits::PAIRS_MAX + 1)),
        over("pairs", limit, limit + 1)
    );
    assert_eq!(
        with(|e| {
            let fields = many((0, 0), limits::PAIRS_MAX + 1);
            let span = SpanV1 {
                fields,
                ..wire_span()
            };
            e.spans = [span].into_iter().collect();
        }),
        over("pairs", limit, limit + 1)
    );
}

#[test]
fn an_event_item_over_its_limit_is_rejected_unread() {
    let bytes = vec![0; limits::EVENT_BYTES_MAX + 1];

    let batch = Forge::default().run().raw(kind::EVENT, &bytes).batch();

    assert_eq!(batch.rejected[0].reason.code(), "over_limit");
}

#[test]
fn losses_over_their_limit_are_rejected() {
    let losses = |n| LossesV1 {
        run: [1; 16],
        produced: 10,
        dropped: many((0, 1), n),
    };
    let limit = limits::LOSS_REASONS_MAX;

    let batch = Forge::default()
        .item(kind::LOSSES, &losses(limit))
        .item(kind::LOSSES, &losses(limit + 1))
        .batch();

    assert_eq!(batch.losses.len(), 1);
    let reason = format!("loss reasons: {}, the limit is {limit}", limit + 1);
    assert_eq!(rejections(&batch), [(1, reason)]);
}

// Dictionaries.

#[test]
fn a_dictionary_that_lies_about_its_count_is_rejected() {
    for kind in [
        kind::STRINGS,
        kind::MODULES,
        kind::FRAMES,
        kind::STACKS,
        kind::CONTEXTS,
    ] {
        let rejected = |count: u32| {
            let forge = Forge::default().item(kind, &count).run();
            let batch = forge.event(wire_event()).batch();
            assert_eq!(batch.events.len(), 1, "the neighbor is kept");
            batch.rejected[0].clone()
        };

        let over = rejected(u32::MAX);
        assert_eq!((over.index, over.reason.code()), (0, "over_limit"));
        let short = rejected(200);
        assert_eq!(short.reason, ItemError::Malformed { kind });
    }
}

#[test]
fn dictionaries_in_many_items_share_one_limit() {
    let half = vec![""; limits::DICTIONARY_ENTRIES_MAX / 2];
    let full = Forge::default().strings(&half).strings(&half);
    assert_eq!(full.batch().rejected, []);

    let batch = full.strings(&["one more"]).batch();

    let (limit, value) = (65_536, 65_537);
    let what = "dictionary entries";
    let reason = ItemError::OverLimit { what, limit, value };
    assert_eq!(batch.rejected, [rejected(2, false, reason)]);
}

#[test]
fn a_dictionary_with_bytes_behind_its_entries_is_rejected() {
    let mut bytes = postcard::to_allocvec(&vec!["text"]).unwrap();
    assert_eq!(
        Forge::default().raw(kind::STRINGS, &bytes).batch().rejected,
        []
    );
    bytes.push(0);

    let batch = Forge::default().raw(kind::STRINGS, &bytes).batch();

    let kind = kind::STRINGS;
    assert_eq!(batch.rejected[0].reason, ItemError::Malformed { kind });
}

#[test]
fn a_bad_entry_of_a_dictionary_leaves_its_neighbors_alone() {
    let stack = |frames: Vec<u32>| StackV1 {
        symbolicated: false,
        frames: frames.into_iter().collect(),
    };
    let event = |stack| EventV1 {
        stack,
        ..wire_event()
    };
    let nameless = FrameV1 {
        function: 1,
        ..wire_frame()
    };
    let frames = vec![nameless, wire_frame()];
    let too_long = stack(vec![1; limits::FRAMES_MAX + 1]);
    let stacks = vec![too_long, stack(vec![0, 1]), stack(vec![1; 2])];

    let batch = Forge::default()
        .item(kind::FRAMES, &frames)
        .item(kind::STACKS, &stacks)
        .run()
        .event(event(1))
        .event(event(2))
        .event(event(3))
        .batch();

    assert_eq!(batch.events.len(), 1);
    let stack = batch.events[0].1.stack.as_ref().unwrap();
    assert_eq!(stack.frames.len(), 2);
    assert_eq!(
        rejections(&batch),
        [
            (0, "strings has no entry 0".to_owned()),
            (1, "frames: 251, the limit is 250".to_owned()),
            (3, "stacks has no entry 0".to_owned()),
            (4, "stacks has no entry 1".to_owned()),
        ]
    );
}

#[test]
fn a_frame_refers_to_its_module_and_a_module_to_its_path() {
    let module = |path| ModuleV1 {
        path,
        build_id: 0,
        base: 1,
        size: 2,
    };
    let frame = |module| FrameV1 {
        module,
        ..wire_frame()
    };
    let missing = |modules: &[ModuleV1], frames: &[FrameV1]| {
        let forge = Forge::default().item(kind::MODULES, &modules);
        rejections(&forge.item(kind::FRAMES, &frames).batch())
    };

    assert_eq!(missing(&[module(0)], &[frame(1)]), []);
    assert_eq!(
        missing(&[module(1)], &[]),
        [(0, "strings has no entry 0".to_owned())]
    );
    assert_eq!(
        missing(&[module(0)], &[frame(2)]),
        [(1, "modules has no entry 1".to_owned())]
    );
}

// What dictionaries can make of a small batch.

#[test]
fn the_text_of_all_events_together_is_bounded() {
    let long = "x".repeat(limits::VALUE_BYTES_MAX);
    let text_of = |event: EventV1| {
        let mut forge = Forge::default().strings(&[&long]).run();
        let bytes = postcard::to_allocvec(&event).unwrap();
        for _ in 0..4_000 {
            forge = forge.raw(kind::EVENT, &bytes);
        }
        let batch = forge.batch();
        assert_eq!(batch.events.len() + batch.rejected.len(), 4_000);
        let text = serde_json::to_string(&batch.events).unwrap();
        text.len()
    };

    for (where_it_stands, event) in [
        (
            "message",
            EventV1 {
                message: 1,
                ..wire_event()
            },
        ),
        (
            "type of an error",
            EventV1 {
                errors: many((1, 0), limits::ERRORS_MAX),
                ..wire_event()
            },
        ),
        (
            "file",
            EventV1 {
                location: Some((1, 1, 1)),
                ..wire_event()
            },
        ),
        (
            "thread",
            EventV1 {
                thread_name: 1,
                ..wire_event()
            },
        ),
    ] {
        let text_bytes = text_of(event);

        let limit = limits::BATCH_TEXT_BYTES_MAX * 5 / 4;
        assert!(text_bytes < limit, "{where_it_stands}: {text_bytes}");
    }
}

#[test]
fn the_text_of_one_event_is_bounded() {
    let long = "x".repeat(limits::VALUE_BYTES_MAX);
    let crumb = || BreadcrumbV1 {
        message: 1,
        target: 1,
        ..wire_breadcrumb()
    };
    let event = EventV1 {
        breadcrumbs: (0..limits::BREADCRUMBS_MAX).map(|_| crumb()).collect(),
        ..wire_event()
    };

    let batch = Forge::default().strings(&[&long]).run().event(event);

    let batch = batch.event(wire_event()).batch();
    assert_eq!(batch.events.len(), 1);
    assert_eq!(batch.rejected[0].index, 2);
    assert_eq!(batch.rejected[0].reason.code(), "over_limit");
}

#[test]
fn names_are_cut_to_their_limit() {
    let long = "n".repeat(1_000);
    let forge = Forge::default().strings(&[&long]).item(
        kind::RUN,
        &RunV1 {
            release: 1,
            environment: 1,
            ..wire_run()
        },
    );
    let event = EventV1 {
        user: 1,
        thread_name: 1,
        ..wire_event()
    };

    let batch = forge.event(event).batch();

    let event = &batch.events[0].1;
    for name in [
        &event.run.release,
        &event.run.environment,
        &event.user,
        &event.thread.name,
    ] {
        let name = name.as_ref().unwrap();
        assert!(name.len() <= limits::NAME_BYTES_MAX && name.ends_with(limits::CUT));
    }
}

// The builder.

#[test]
fn a_thousand_equal_panics_carry_one_stack_and_little_else() {
    let frames = (0..40).map(|n| {
        Arc::new(Frame {
            function: Some(format!("shop::orders::function_number_{n}").into()),
            file: Some(format!("/home/build/shop/src/orders/file_{n}.rs").into()),
            line: Some(100 + n),
            column: Some(9),
            address: 0x5000 + u64::from(n) * 77,
            ..Frame::default()
        })
    });
    let stack = Arc::new(StackTrace {
        frames: frames.collect(),
        symbolicated: true,
    });
    let event = |n: u64| Event {
        id: EventId::new(Timestamp(1_700_000_000_000_000 + n), random(n)),
        first_at: Timestamp(1_700_000_000_000_000 + n * 1_013),
        last_at: Timestamp(1_700_000_000_000_000 + n * 1_013),
        stack: Some(stack.clone()),
        ..event("index out of bounds: the len is 3 but the index is 3")
    };
    let seal = |n| {
        let mut builder = BatchBuilder::new();
        (0..n).for_each(|n| builder.push(&event(n)));
        builder.seal(ID).bytes.len()
    };

    let (one, thousand) = (seal(1), seal(1_000));

    let bytes_per_event = (thousand - one) / 999;
    assert!(bytes_per_event <= 32, "{bytes_per_event} bytes per event");
}

/// Ten bytes that do not compress.
fn random(seed: u64) -> [u8; 10] {
    let mut bytes = [0; 10];
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes[..8].copy_from_slice(&(mixed ^ mixed >> 29).to_le_bytes());
    bytes
}

#[test]
fn a_text_over_the_limit_is_cut_wherever_it_stands() {
    let long: Text = "é".repeat(limits::VALUE_BYTES_MAX).into();
    let module = Module {
        path: long.clone(),
        ..Module::default()
    };
    let frame = Frame {
        function: Some(long.clone()),
        file: Some(long.clone()),
        module: Some(Arc::new(module)),
        ..Frame::default()
    };
    let stack = StackTrace {
        frames: vec![Arc::new(frame)],
        symbolicated: true,
    };
    let sent = Event {
        stack: Some(Arc::new(stack)),
        tags: vec![("tag".into(), long.clone())],
        contexts: vec![(long.clone(), long.clone())],
        attached: Vec::new(),
        inputs: Vec::new(),
        trace: None,
        ..event(&long)
    };

    let batch = travel(&[sent]);

    let event = &batch.events[0].1;
    let frame = &event.stack.as_ref().unwrap().frames[0];
    for text in [
        &event.message,
        &event.tags[0].1,
        &event.contexts[0].0,
        &event.contexts[0].1,
        frame.function.as_ref().unwrap(),
        frame.file.as_ref().unwrap(),
        &frame.module.as_ref().unwrap().path,
    ] {
        assert!(text.len() <= limits::VALUE_BYTES_MAX);
        assert!(text.ends_with("é…"));
    }
}

#[test]
fn a_builder_that_says_it_fits_seals_what_decodes_whole() {
    let event = |n: usize| {
        let tags = (0..limits::PAIRS_MAX).map(|m| ("tag".into(), format!("{n}.{m}").into()));
        let frame = |m: usize| Frame {
            address: m as u64,
            module: Some(Arc::new(Module {
                base: (n * 100 + m) as u64,
                ..Module::default()
            })),
            ..Frame::default()
        };
        let stack = StackTrace {
            frames: (0..100).map(|m| Arc::new(frame(m))).collect(),
            symbolicated: false,
        };
        let stack = (n < 80).then(|| Arc::new(stack));
        Event {
            tags: tags.collect(),
            stack,
            ..event("many small strings")
        }
    };

    let mut builder = BatchBuilder::new();
    let mut n = 0;
    while builder.fits(1_000) {
        builder.push(&event(n));
        n += 1;
    }

    let sealed = builder.seal(ID);
    let batch = decode(&sealed.bytes).unwrap();
    assert_eq!(batch.rejected, []);
    assert_eq!((batch.events.len(), sealed.reports), (n, n as u64));
}

#[test]
fn a_builder_counts_what_shared_text_becomes() {
    let line = "x".repeat(limits::BREADCRUMB_BYTES_MAX);
    let breadcrumb = Breadcrumb {
        at: Timestamp(1),
        level: Level::Info,
        target: "shop".into(),
        message: line.into(),
    };
    let event = Event {
        breadcrumbs: vec![breadcrumb; limits::BREADCRUMBS_MAX],
        ..event("the same hundred lines before every event")
    };

    let mut builder = BatchBuilder::new();
    let mut n = 0;
    while builder.fits(limits::BREADCRUMB_BYTES_MAX) {
        builder.push(&event);
        n += 1;
    }

    let batch = decode(&builder.seal(ID).bytes).unwrap();
    assert_eq!(batch.rejected, []);
    assert_eq!(batch.events.len(), n);
}

#[test]
fn the_names_of_a_stack_beyond_all_measure_are_cut_so_that_the_next_event_has_room() {
    let long = "f".repeat(limits::VALUE_BYTES_MAX);
    let frame = |n: usize| Frame {
        function: Some(format!("shop::{n}::{long}").into()),
        file: Some(format!("src/{n}{long}").into()),
        module: Some(Arc::new(Module {
            path: format!("/{n}{long}").into(),
            build_id: "ab".into(),
            base: n as u64,
            size: 1,
        })),
        ..Frame::default()
    };
    let of = |n: usize| {
        let frames = (0..limits::FRAMES_MAX).map(|at| Arc::new(frame(n + at)));
        let stack = StackTrace {
            frames: frames.collect(),
            symbolicated: true,
        };
        Event {
            stack: Some(Arc::new(stack)),
            ..event("deep")
        }
    };

    let mut builder = BatchBuilder::new();
    let mut n = 0;
    while builder.fits(1_000) {
        builder.push(&of(n));
        n += 1;
    }

    assert!(n > 1, "one such stack filled a batch");
    let batch = decode(&builder.seal(ID).bytes).unwrap();
    assert_eq!(batch.rejected, []);
    assert_eq!(batch.events.len(), n);
    let stack = batch.events[1].1.stack.as_ref().unwrap();
    assert_eq!(stack.frames.len(), limits::FRAMES_MAX);
    let function = stack.frames[0].function.as_ref().unwrap();
    assert!(function.starts_with("shop::1::ff") && function.ends_with(limits::CUT));
}

#[test]
fn losses_travel_with_the_events() {
    let losses = Losses {
        run: RunId::from_bytes([1; 16]),
        produced: 1_000,
        dropped: vec![("queue_full".into(), 17), ("rate".into(), u64::MAX)],
    };
    let mut builder = BatchBuilder::new();
    assert!(builder.is_empty());

    builder.push_losses(&losses);

    assert!(!builder.is_empty());
    let batch = decode(&builder.seal(ID).bytes).unwrap();
    assert_eq!(batch.losses, [losses]);
}

#[test]
fn the_header_can_be_read_alone() {
    let body = Forge::default().run().body();

    let header = check(&body).unwrap();

    assert_eq!(header.id, ID);
    assert_eq!(header.inflated_bytes, Forge::default().run().content.len());
}

#[test]
fn more_accounts_of_losses_than_there_may_be_are_turned_away() {
    let losses = || LossesV1 {
        run: [1; 16],
        produced: 1,
        dropped: vec![(1, 1)].into(),
    };
    let accounts = 0..limits::LOSSES_MAX + 3;
    let forge = accounts.fold(Forge::default().strings(&["rate"]), |forge, _| {
        forge.item(kind::LOSSES, &losses())
    });

    let batch = forge.batch();

    assert_eq!(batch.losses.len(), limits::LOSSES_MAX);
    let reasons = batch.rejected.iter().map(|it| it.reason.code());
    assert_eq!(reasons.collect::<Vec<_>>(), ["over_limit"; 3]);
}
