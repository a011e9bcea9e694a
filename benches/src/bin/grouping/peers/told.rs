//! What a peer is told of a panic: the event that the sentry SDK for Rust sends, version 0.49.
//!
//! As it is sent, every panic's innermost frames are those of the panic's machinery and of that SDK's hook, and some
//! of them pass for the app's: rules that look at the innermost frame of the app see the same frame in all panics
//! of a program. The corpus has no such frames. The peers are judged without them, which is to their favor.

use std::sync::LazyLock;

use bugsage_core::event::{Event, EventKind};
use bugsage_core::stacktrace::Frame;
use regex::Regex;

/// An event as it is on the wire.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// The language or family that the event is from; Rust's is `native`.
    pub(crate) platform: &'static str,
    /// The exceptions, what was raised last.
    pub(crate) exceptions: Vec<Exception>,
    /// The text of an event without exceptions.
    pub(crate) log: Option<String>,
    /// What the app was working on, where it says so: the SDK does not.
    pub(crate) transaction: Option<String>,
    pub(crate) environment: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Exception {
    pub(crate) type_name: Option<String>,
    pub(crate) value: String,
    /// Whether an SDK made the exception up, as for a signal.
    pub(crate) is_synthetic: bool,
    /// Outermost first.
    pub(crate) frames: Vec<Call>,
}

/// A frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Call {
    pub(crate) function: Option<String>,
    /// What a language has for modules: Rust's are part of the function.
    pub(crate) module: Option<String>,
    /// The name of the file alone.
    pub(crate) file_name: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) in_app: bool,
}

impl Told {
    pub(crate) fn of(event: &Event) -> Self {
        let stack = event.stack.iter().flat_map(|stack| &stack.frames).rev();
        let frames: Vec<Call> = stack.map(|frame| Call::of(frame)).collect();
        let mut exceptions: Vec<Exception> = match event.kind {
            EventKind::Panic => vec![Exception {
                type_name: Some("panic".to_owned()),
                value: event.message.to_string(),
                ..Exception::default()
            }],
            EventKind::Error => event.errors.iter().rev().map(of_link).collect(),
            EventKind::Log => Vec::new(),
        };
        if let Some(raised) = exceptions.last_mut() {
            raised.frames = frames;
        }
        Self {
            platform: "native",
            log: exceptions.is_empty().then(|| event.message.to_string()),
            exceptions,
            ..Self::default()
        }
    }

    /// What was raised.
    pub(crate) fn raised(&self) -> Option<&Exception> {
        self.exceptions.last()
    }
}

fn of_link(link: &bugsage_core::event::ErrorLink) -> Exception {
    let name = link.type_name.as_deref().unwrap_or("Error");
    Exception {
        type_name: Some(name.rsplit("::").next().unwrap_or(name).to_owned()),
        value: link.message.to_string(),
        ..Exception::default()
    }
}

/// How functions begin that the SDK does not take for the app's.
const NOT_OF_THE_APP: &[&str] = &[
    "std::",
    "core::",
    "alloc::",
    "backtrace::",
    "sentry::",
    "sentry_core::",
    "sentry_types::",
    "sentry_backtrace::",
    "sentry_tracing::",
    "__rust_",
    "___rust_",
    "rust_begin_unwind",
    "_start",
    "anyhow::",
    "log::",
    "tokio::",
    "tracing_core::",
    "futures_core::",
    "futures_util::",
];

static HASH: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"::h[0-9a-f]{16}$|\b\[[0-9a-f]{16}\]").ok());

impl Call {
    pub(crate) fn of(frame: &Frame) -> Self {
        let function = frame.function.as_deref().unwrap_or("<unknown>");
        let function = match &*HASH {
            Some(hash) => hash.replace_all(function, "").into_owned(),
            None => function.to_owned(),
        };
        let file_name = frame
            .file
            .as_deref()
            .and_then(|it| it.rsplit(['/', '\\']).next());
        Self {
            in_app: is_of_the_app(&function),
            function: Some(function),
            module: None,
            file_name: file_name.map(str::to_owned),
            path: frame.file.as_deref().map(str::to_owned),
            line: frame.line,
        }
    }
}

fn is_of_the_app(function: &str) -> bool {
    let function = function
        .trim_start_matches("<F as ")
        .trim_start_matches('<')
        .trim_start_matches("_<");
    !NOT_OF_THE_APP
        .iter()
        .any(|known| function.starts_with(known))
}
