//! One finished span of a trace.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::event::{Location, Pairs, Run, Text, Thread};
use crate::trace_context::{SpanId, TraceId};

/// Something that took time in an app, with what it was part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The run of the app that it belongs to.
    pub run: Arc<Run>,
    /// The trace, which may go through several services.
    pub trace: TraceId,
    /// Its own name in the trace.
    pub id: SpanId,
    /// The span that it is part of, here or in the service that called; `None` for the root of a trace.
    pub parent: Option<SpanId>,
    /// Whether no span of the same process is around it: the process's part of the trace begins here.
    pub is_entry: bool,
    /// Spans that it follows from, without being part of them.
    pub links: Vec<Link>,
    /// Its name; a function's where `#[instrument]` made it.
    pub name: Text,
    /// The module path it was declared in.
    pub target: Text,
    /// Where it was declared.
    pub location: Option<Location>,
    /// What side of a call it is.
    pub kind: SpanKind,
    /// How it went.
    pub status: SpanStatus,
    /// When it was opened.
    pub started_at: Timestamp,
    /// Nanoseconds from there until it was closed.
    pub duration_ns: u64,
    /// Nanoseconds of these in which it was entered. Where it was entered on several threads at a time it
    /// may be more than the duration.
    pub busy_ns: u64,
    /// The thread that closed it.
    pub thread: Thread,
    /// Its fields as text, in the order in which they were recorded.
    pub fields: Pairs,
}

/// A span of this trace or of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Its trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
}

/// What side of a call a span is, in the words of OpenTelemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Something within a process.
    #[default]
    Internal,
    /// Answers a request that came from outside.
    Server,
    /// Makes a request and waits for the answer.
    Client,
    /// Hands a message over.
    Producer,
    /// Works on a message.
    Consumer,
}

/// How a span went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanStatus {
    /// Nobody said.
    #[default]
    Unset,
    /// The app says that it went well.
    Ok,
    /// It failed: an error or a panic was captured in it, or the app says so.
    Error,
}

macro_rules! numbered {
    ($name:ident { $($variant:ident = $word:literal),* }) => {
        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The word for it in JSON and on pages.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word),*
                }
            }

            /// Its number on the wire and in the spool: the place in its order.
            pub fn number(self) -> u8 {
                self as u8
            }

            /// What has this number.
            pub fn of_number(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
    };
}

numbered!(SpanKind {
    Internal = "internal",
    Server = "server",
    Client = "client",
    Producer = "producer",
    Consumer = "consumer"
});
numbered!(SpanStatus {
    Unset = "unset",
    Ok = "ok",
    Error = "error"
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_lead_back() {
        for kind in SpanKind::ALL {
            assert_eq!(SpanKind::of_number(kind.number()), Some(*kind));
            let word = serde_json::to_value(kind).expect("is a word");
            assert_eq!(word, kind.as_str());
        }
        for status in SpanStatus::ALL {
            assert_eq!(SpanStatus::of_number(status.number()), Some(*status));
            let word = serde_json::to_value(status).expect("is a word");
            assert_eq!(word, status.as_str());
        }
        assert_eq!(SpanStatus::of_number(3), None);
    }
}
