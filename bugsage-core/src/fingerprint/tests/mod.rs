//! What tests of grouping share, and the rules as they read most plainly.

mod grouping;
mod plainly;

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::event::{Event, EventKind, Level, Location, Run, Thread};
use crate::id::{EventId, RunId};
use crate::stacktrace::{Frame, StackTrace};

use super::source::{Functions, Sources};

/// One text for all files.
pub(super) struct Everywhere(pub(super) &'static str);

impl Sources for Everywhere {
    fn functions(&mut self, _file: &str) -> Option<Arc<Functions>> {
        Some(Arc::new(Functions::read(self.0)))
    }
}

pub(crate) fn panic(message: &str, frames: &[(&str, &str, u32)]) -> Event {
    let frames = frames.iter().map(|(function, file, line)| {
        Arc::new(Frame {
            function: (!function.is_empty()).then(|| (*function).into()),
            file: (!file.is_empty()).then(|| (*file).into()),
            line: Some(*line),
            ..Frame::default()
        })
    });
    let run = Run {
        id: RunId::from_bytes([1; 16]),
        release: None,
        environment: None,
        started_at: Timestamp(0),
        sdk: "test".into(),
    };
    Event {
        id: EventId::from_bytes([2; 16]),
        run: Arc::new(run),
        kind: EventKind::Panic,
        level: Level::Fatal,
        count: 1,
        first_at: Timestamp(1),
        last_at: Timestamp(1),
        deltas_us: Vec::new(),
        message: message.into(),
        errors: Vec::new(),
        location: Some(Location {
            file: "src/price.rs".into(),
            line: 7,
            column: 5,
        }),
        thread: Thread::default(),
        stack: Some(Arc::new(StackTrace {
            frames: frames.collect(),
            symbolicated: true,
        })),
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
