//! Batches as they were once sent, which every later version reads as the same events.
//!
//! `BUGSAGE_BLESS=1` writes the golden batches that are not there yet and the JSON of what all of
//! them say. A batch that is there is never written again: apps in the field still send it so.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use bugsage_core::batch::{self, Batch, BatchBuilder};
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{
    Breadcrumb, Ended, ErrorLink, Event, EventKind, EventTrace, Level, Location, Losses, Pairs,
    Run, RunHour, RunState, SpanContext, SpanTiming, Thread,
};
use bugsage_core::id::{BatchId, EventId, RunId};
use bugsage_core::sketch::{Mark, Sketch};
use bugsage_core::span::{Link, Span, SpanKind, SpanStatus};
use bugsage_core::stacktrace::{Frame, Module, StackTrace};
use bugsage_core::trace_context::{SpanId, TraceId};
use serde_json::{Value, json};

/// The start of the run that all golden events belong to.
const START: u64 = 1_790_000_000_000_000;

fn golden() -> Vec<(&'static str, BatchBuilder)> {
    vec![
        ("v1-panic", panic_batch()),
        ("v1-errors", errors_batch()),
        ("v1-folded", folded_batch()),
        ("v1-losses", losses_batch()),
        ("v1-runs", runs_batch()),
        ("v1-traces", traces_batch()),
        ("v1-empty", BatchBuilder::new()),
    ]
}

/// One panic with everything that an event can say.
fn panic_batch() -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    builder.push(&panic());
    builder
}

/// An error with its chain, a log line, and what has no stack, no release and no name.
fn errors_batch() -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    builder.push(&Event {
        errors: vec![
            ErrorLink {
                type_name: Some("shop::OrderError".into()),
                message: "the order cannot be placed".into(),
            },
            ErrorLink {
                type_name: None,
                message: "connection refused (os error 111)".into(),
            },
        ],
        stack: Some(Arc::new(addresses_only())),
        ..plain(EventKind::Error, "the order cannot be placed")
    });
    builder.push(&Event {
        level: Level::Warn,
        user: Some("customer-17".into()),
        ..plain(EventKind::Log, "price of „Käse“ is 0 €")
    });
    let bare = Run {
        id: RunId::from_bytes([9; 16]),
        release: None,
        environment: None,
        started_at: Timestamp(0),
        sdk: "".into(),
    };
    builder.push(&Event {
        run: Arc::new(bare),
        first_at: Timestamp(0),
        last_at: Timestamp(u64::MAX),
        thread: Thread::default(),
        ..plain(EventKind::Log, "")
    });
    builder
}

/// A hundred thousand equal panics as one event, and the same stack in another.
fn folded_batch() -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    builder.push(&Event {
        count: 100_000,
        last_at: Timestamp(START + 3_600_000_000),
        deltas_us: (0..32).map(|n| n * n).collect(),
        ..panic()
    });
    builder.push(&Event {
        id: EventId::from_bytes([3; 16]),
        message: "attempt to divide by zero".into(),
        ..panic()
    });
    builder
}

fn losses_batch() -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    builder.push_losses(&Losses {
        run: RunId::from_bytes([1; 16]),
        produced: 100_017,
        dropped: vec![("queue_full".into(), 12), ("before_send".into(), 5)],
    });
    builder
}

/// A run that is over, with users, and one that has only begun.
fn runs_batch() -> BatchBuilder {
    let users = |n: u32| Sketch::from_marks((0..n).map(|n| Mark::of(&format!("customer-{n}"))));
    let run = plain(EventKind::Log, "").run;
    let mut builder = BatchBuilder::new();
    builder.push_run_state(&RunState {
        run: run.clone(),
        ended: Ended::Panicked,
        alive_at: Timestamp(START + 7_200_000_000),
        hours: vec![
            RunHour {
                hour: 497_222,
                roots: 12_345,
                roots_failed: 17,
                users: users(100),
                users_panicked: users(2),
            },
            RunHour {
                hour: 497_223,
                ..RunHour::default()
            },
        ],
    });
    builder.push_run_state(&RunState {
        run: Arc::new(Run {
            id: RunId::from_bytes([9; 16]),
            ..Run::clone(&run)
        }),
        ended: Ended::Running,
        alive_at: Timestamp(START),
        hours: Vec::new(),
    });
    builder
}

/// A panic in a trace, two spans of it, and what was lost of such.
fn traces_batch() -> BatchBuilder {
    let trace = TraceId::from_bytes([0x4b; 16]).unwrap();
    let [outer, inner] = [1, 2].map(|n| SpanId::from_bytes([n; 8]).unwrap());
    let mut event = panic();
    event.spans[0].timing = Some(SpanTiming {
        id: outer,
        open_us: 12_345,
        busy_us: Some(12_000),
    });
    event.trace = Some(EventTrace {
        id: trace,
        span: inner,
        is_sampled: true,
    });
    event.attached = pairs(&[("cart", "{\"items\":3}")]);
    event.inputs = pairs(&[("request", "GET /quote?items=0")]);
    let root = Span {
        run: event.run.clone(),
        trace,
        id: outer,
        parent: None,
        is_entry: true,
        links: Vec::new(),
        name: "request".into(),
        target: "shop::http".into(),
        location: event.location.clone(),
        kind: SpanKind::Server,
        status: SpanStatus::Error,
        started_at: Timestamp(START),
        duration_ns: 12_400_000,
        busy_ns: 12_000_000,
        thread: event.thread.clone(),
        fields: pairs(&[("method", "GET")]),
    };
    let child = Span {
        id: inner,
        parent: Some(outer),
        is_entry: false,
        links: vec![Link {
            trace: TraceId::from_bytes([9; 16]).unwrap(),
            span: outer,
        }],
        name: "place_order".into(),
        location: None,
        kind: SpanKind::Internal,
        status: SpanStatus::Unset,
        duration_ns: 1,
        busy_ns: 0,
        thread: Thread::default(),
        fields: Vec::new(),
        ..root.clone()
    };
    let mut builder = BatchBuilder::new();
    builder.push(&plain(EventKind::Log, "outside of any trace"));
    builder.push(&event);
    builder.push_span(&child);
    builder.push_span(&root);
    builder.push_span_losses(&Losses {
        run: RunId::from_bytes([1; 16]),
        produced: 1_000,
        dropped: vec![("queue_full".into(), 12)],
    });
    builder
}

fn panic() -> Event {
    Event {
        location: Some(Location {
            file: "orders/src/quote.rs".into(),
            line: 31,
            column: 22,
        }),
        stack: Some(Arc::new(stack())),
        spans: vec![
            SpanContext {
                name: "request".into(),
                target: "shop::http".into(),
                fields: pairs(&[("method", "POST"), ("path", "/orders")]),
                timing: None,
            },
            SpanContext {
                name: "place_order".into(),
                target: "shop::orders".into(),
                fields: Vec::new(),
                timing: None,
            },
        ],
        breadcrumbs: vec![
            Breadcrumb {
                at: Timestamp(START + 1_000),
                level: Level::Info,
                target: "shop::http".into(),
                message: "connection accepted peer=127.0.0.1".into(),
            },
            Breadcrumb {
                at: Timestamp(START + 9_000_000),
                level: Level::Trace,
                target: "shop::orders".into(),
                message: "logged by another thread after the panic".into(),
            },
        ],
        tags: pairs(&[("region", "eu"), ("region", "twice"), ("empty", "")]),
        user: Some("customer-17".into()),
        contexts: pairs(&[("os.name", "linux"), ("process.pid", "4711")]),
        ..plain(
            EventKind::Panic,
            "index out of bounds: the len is 3 but the index is 3",
        )
    }
}

fn plain(kind: EventKind, message: &str) -> Event {
    Event {
        id: EventId::from_bytes([2; 16]),
        run: Arc::new(Run {
            id: RunId::from_bytes([1; 16]),
            release: Some("shop@1.2.0+0a1b2c3d".into()),
            environment: Some("production".into()),
            started_at: Timestamp(START),
            sdk: "bugsage-sdk/0.1.0".into(),
        }),
        kind,
        level: Level::Fatal,
        count: 1,
        first_at: Timestamp(START + 5_000_000),
        last_at: Timestamp(START + 5_000_000),
        deltas_us: Vec::new(),
        message: message.into(),
        errors: Vec::new(),
        location: None,
        thread: Thread {
            name: Some("worker-2".into()),
            id: 7,
        },
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

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    let pairs = pairs.iter();
    pairs.map(|&(k, v)| (k.into(), v.into())).collect()
}

fn stack() -> StackTrace {
    let module = Arc::new(module());
    let frame = |function: &str, file: &str, line, inlined, in_app| {
        Arc::new(Frame {
            function: Some(function.into()),
            file: Some(file.into()),
            line: Some(line),
            column: Some(9),
            address: 0x1_2340 + u64::from(line),
            module: Some(module.clone()),
            inlined,
            in_app,
        })
    };
    let outer = frame("shop::main", "server/src/main.rs", 12, false, true);
    StackTrace {
        frames: vec![
            frame(
                "shop::quote::shipping",
                "orders/src/quote.rs",
                31,
                true,
                true,
            ),
            frame("shop::quote::quote", "orders/src/quote.rs", 18, false, true),
            frame("core::ops::call_once", "core/src/ops.rs", 250, false, false),
            outer.clone(),
            outer,
        ],
        symbolicated: true,
    }
}

fn addresses_only() -> StackTrace {
    let frame = |address, module: Option<Module>| {
        Arc::new(Frame {
            address,
            module: module.map(Arc::new),
            ..Frame::default()
        })
    };
    StackTrace {
        frames: vec![
            frame(0x1_2345, Some(module())),
            frame(0x99, Some(Module::default())),
            frame(u64::MAX, None),
        ],
        symbolicated: false,
    }
}

fn module() -> Module {
    Module {
        path: "/usr/bin/shop".into(),
        build_id: "4f3e2d1c0b0a99887766554433221100ffeeddcc".into(),
        base: 0x5555_5555_4000,
        size: 0x40_0000,
    }
}

fn path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(name)
}

/// Writes what is missing, where it was asked for.
fn bless() {
    if std::env::var("BUGSAGE_BLESS").is_ok_and(|value| value == "1") {
        for (name, builder) in golden() {
            let batch = path(&format!("{name}.batch"));
            if !batch.exists() {
                fs::write(&batch, seal(builder)).unwrap();
            }
            let words = words(&batch::decode(&fs::read(&batch).unwrap()).unwrap());
            let text = serde_json::to_string_pretty(&words).unwrap();
            fs::write(path(&format!("{name}.json")), text + "\n").unwrap();
        }
    }
}

/// The golden bytes as they lie in the repository.
fn body(name: &str) -> Vec<u8> {
    static BLESSED: Once = Once::new();
    BLESSED.call_once(bless);
    let path = path(&format!("{name}.batch"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn seal(builder: BatchBuilder) -> Vec<u8> {
    builder.seal(BatchId::from_bytes([8; 16])).bytes
}

/// What a batch says, with nothing left out.
fn words(batch: &Batch) -> Value {
    let rejected = batch.rejected.iter();
    let rejected = rejected.map(|rejected| (rejected.index, rejected.reason.to_string()));
    let states = batch.run_states.iter().map(|state| {
        let hours = state.hours.iter().map(|hour| {
            json!({
                "hour": hour.hour,
                "roots": hour.roots,
                "roots_failed": hour.roots_failed,
                "users": hour.users.to_bytes(),
                "users_panicked": hour.users_panicked.to_bytes(),
            })
        });
        json!({
            "run": state.run.id,
            "ended": state.ended,
            "alive_at": state.alive_at,
            "hours": hours.collect::<Vec<_>>(),
        })
    });
    let mut words = json!({
        "id": batch.id,
        "runs": batch.runs,
        "events": batch.events,
        "losses": batch.losses,
        "run_states": states.collect::<Vec<_>>(),
        "rejected": rejected.collect::<Vec<_>>(),
        "unknown_items": batch.unknown_items,
    });
    // What older batches cannot have is left out where it is not there.
    if !batch.spans.is_empty() {
        words["spans"] = json!(batch.spans);
    }
    if !batch.span_losses.is_empty() {
        words["span_losses"] = json!(batch.span_losses);
    }
    words
}

#[test]
fn golden_batches_keep_their_meaning() {
    for (name, _) in golden() {
        let words = words(&batch::decode(&body(name)).unwrap());

        let expected = fs::read_to_string(path(&format!("{name}.json"))).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        assert_eq!(words, expected, "{name}");
    }
}

#[test]
fn what_is_sealed_today_says_what_the_golden_batch_says() {
    for (name, builder) in golden() {
        let today = batch::decode(&seal(builder)).unwrap();

        let golden = batch::decode(&body(name)).unwrap();
        assert_eq!(words(&today), words(&golden), "{name}");
    }
}

#[test]
fn every_golden_file_is_checked() {
    let names: Vec<_> = golden().into_iter().map(|(name, _)| name).collect();

    for entry in fs::read_dir(path("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (stem, _) = name.split_once('.').unwrap();
        assert!(names.contains(&stem), "{name} is checked by nobody");
    }
}

#[test]
fn every_truncation_of_a_golden_batch_is_an_error() {
    for (name, _) in golden() {
        let body = body(name);
        for length in 0..body.len() {
            assert!(
                batch::decode(&body[..length]).is_err(),
                "{name} to {length}"
            );
        }
    }
}

#[test]
fn every_single_bit_flip_of_a_golden_batch_is_an_error() {
    for (name, _) in golden() {
        let mut body = body(name);
        for bit in 0..body.len() * 8 {
            body[bit / 8] ^= 1 << (bit % 8);
            let error = batch::decode(&body).expect_err("the bit counts");
            let expected = match bit / 8 {
                0..4 => "not_a_batch",
                4..6 => "unsupported_version",
                _ => "checksum",
            };
            assert_eq!(error.code(), expected, "{name}, bit {bit}");
            body[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(batch::decode(&body).is_ok(), "{name}");
    }
}
