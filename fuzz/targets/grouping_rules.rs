//! Rules as anybody may write them, and behind a zero byte what an event says: message, tag, function, file, error.

#![no_main]

use std::sync::{Arc, LazyLock};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{
    ErrorLink, Event, EventKind, FINGERPRINT_TAG, Level, Location, Run, Thread,
};
use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::source::NoSources;
use bugsage_core::fingerprint::{explain, group};
use bugsage_core::id::{EventId, RunId};
use bugsage_core::stacktrace::{Frame, StackTrace};

static RUN: LazyLock<Arc<Run>> = LazyLock::new(|| {
    Arc::new(Run {
        id: RunId::from_bytes([1; 16]),
        release: Some("shop@1.0.0".into()),
        environment: None,
        started_at: Timestamp(0),
        sdk: "fuzz".into(),
    })
});

libfuzzer_sys::fuzz_target!(|data: &str| {
    let (text, about) = data.split_once('\0').unwrap_or((data, ""));
    let rules = match Rules::parse(text) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(error.line.unwrap_or(0) as usize <= text.lines().count());
            assert!(error.to_string().len() < 2_000, "{error}");
            Rules::default()
        }
    };
    let mut about = about.split('\0');
    let mut next = || about.next().unwrap_or("");
    let (message, tag, function, file, error) = (next(), next(), next(), next(), next());
    let frame = Frame {
        function: (!function.is_empty()).then(|| function.into()),
        file: (!file.is_empty()).then(|| file.into()),
        line: Some(7),
        ..Frame::default()
    };
    let event = Event {
        id: EventId::from_bytes([2; 16]),
        run: RUN.clone(),
        kind: if error.is_empty() {
            EventKind::Panic
        } else {
            EventKind::Error
        },
        level: Level::Error,
        count: 1,
        first_at: Timestamp(0),
        last_at: Timestamp(0),
        deltas_us: Vec::new(),
        message: message.into(),
        errors: vec![ErrorLink {
            type_name: Some(error.into()),
            message: message.into(),
        }],
        location: Some(Location {
            file: file.into(),
            line: 7,
            column: 1,
        }),
        thread: Thread::default(),
        stack: Some(Arc::new(StackTrace {
            frames: vec![Arc::new(frame)],
            symbolicated: true,
        })),
        spans: Vec::new(),
        breadcrumbs: Vec::new(),
        tags: vec![
            ("tenant".into(), tag.into()),
            (FINGERPRINT_TAG.into(), tag.into()),
        ],
        user: None,
        contexts: Vec::new(),
        attached: Vec::new(),
        inputs: Vec::new(),
        trace: None,
    };
    let grouping = group(&event, &mut NoSources, &rules);
    assert!(!grouping.fingerprints.is_empty());
    assert_eq!(grouping.fingerprints.len(), grouping.reasons.len());
    assert_eq!(
        explain(&event, &mut NoSources, &rules).kept,
        grouping.reasons[0]
    );
});
