//! One report from an app, and the run of the app that it belongs to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EventId, RunId};
use crate::sketch::Sketch;
use crate::stacktrace::StackTrace;
use crate::trace_context::{SpanId, TraceId};

/// Text that many events share: a batch holds each string once.
pub type Text = Arc<str>;

/// One report from an app: a panic, an error it captured, or an error it logged.
///
/// An event may stand for many equal reports: `count` of them between `first_at` and `last_at`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The id that the app gave it.
    pub id: EventId,
    /// The run of the app that made it.
    pub run: Arc<Run>,
    /// What kind of report it is.
    pub kind: EventKind,
    /// How bad the app says it is.
    pub level: Level,
    /// How many equal reports it stands for, at least 1.
    pub count: u64,
    /// When the first of them was made.
    pub first_at: Timestamp,
    /// When the last of them was made.
    pub last_at: Timestamp,
    /// Microseconds from each of the first reports to the next, as far as they were kept.
    pub deltas_us: Vec<u64>,
    /// The panic's payload, the error's text or the log line.
    pub message: Text,
    /// The error and its sources, outermost first; empty where there was no error value.
    pub errors: Vec<ErrorLink>,
    /// Where the panic was raised or the log line stands.
    pub location: Option<Location>,
    /// The thread that made it.
    pub thread: Thread,
    /// The stack of that thread.
    pub stack: Option<Arc<StackTrace>>,
    /// The spans that were open, outermost first.
    pub spans: Vec<SpanContext>,
    /// What was logged before, oldest first.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// What the app attached to tell events apart.
    pub tags: Pairs,
    /// Who was using the app, as the app names its users.
    pub user: Option<Text>,
    /// Facts about the host, the build and the process, under dotted names.
    pub contexts: Pairs,
    /// What the app attached of its own, under names it chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Pairs,
    /// What the app was working on: requests or jobs as it handed them over, to fail again with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Pairs,
    /// The trace that it was made in, where a span was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<EventTrace>,
}

/// The trace that an event was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventTrace {
    /// The trace.
    pub id: TraceId,
    /// The innermost span that was open.
    pub span: SpanId,
    /// Whether the trace's spans are sent.
    pub is_sampled: bool,
}

/// The tag that an app says with what its events are grouped by: one part a line.
pub const FINGERPRINT_TAG: &str = "bugsage.fingerprint";

/// Names and values in the order in which they came.
pub type Pairs = Vec<(Text, Text)>;

/// What kind of report an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A thread panicked.
    Panic,
    /// The app handed over an error value.
    Error,
    /// The app logged at error level, or captured a message.
    Log,
}

impl EventKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [EventKind; 3] = [EventKind::Panic, EventKind::Error, EventKind::Log];

    /// The kind's name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Panic => "panic",
            EventKind::Error => "error",
            EventKind::Log => "log",
        }
    }
}

/// How bad an event is, in the words of `tracing`, with `Fatal` for what ends a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Very fine detail.
    Trace,
    /// Detail for developers.
    Debug,
    /// Normal course.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
    /// A thread or the process ended.
    Fatal,
}

impl Level {
    /// The level's name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }
}

/// One error of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ErrorLink {
    /// The error's type, where it could be known; otherwise the variant that its `Debug` output names.
    pub type_name: Option<Text>,
    /// The error's `Display` text.
    pub message: Text,
}

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The file as the compiler names it.
    pub file: Text,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1; 0 where it is not known.
    pub column: u32,
}

/// The thread that made an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Thread {
    /// Its name, where it has one.
    pub name: Option<Text>,
    /// Its number in the process.
    pub id: u64,
}

/// A span that was open when an event was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpanContext {
    /// The span's name; a function's where `#[instrument]` made it.
    pub name: Text,
    /// The module path it was declared in.
    pub target: Text,
    /// Its fields as text, in the order in which they were recorded.
    pub fields: Pairs,
    /// How long it was open, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<SpanTiming>,
}

/// How long a span was open when an event was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpanTiming {
    /// Its name in the trace.
    pub id: SpanId,
    /// Microseconds since it was opened; to some milliseconds where the trace is not sampled.
    pub open_us: u64,
    /// Microseconds of these in which it was entered; only where the trace is sampled.
    pub busy_us: Option<u64>,
}

/// Something that was logged before an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Breadcrumb {
    /// When it was logged.
    pub at: Timestamp,
    /// At which level.
    pub level: Level,
    /// The module path that logged it.
    pub target: Text,
    /// Its message and fields as one line.
    pub message: Text,
}

/// One process start of an app.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// Names the run.
    pub id: RunId,
    /// `name@version[+commit]`, where the app told it.
    pub release: Option<Text>,
    /// `production`, `staging`, ...; where the app told it.
    pub environment: Option<Text>,
    /// When the SDK was initialized.
    pub started_at: Timestamp,
    /// The SDK's name and version.
    pub sdk: Text,
}

impl Run {
    /// For how long the process had run at a time, in microseconds. `None` where its start is not known, or
    /// where a clock that was set back has it later.
    pub fn uptime_us(&self, at: Timestamp) -> Option<u64> {
        let started_at = Some(self.started_at).filter(|it| it.0 != 0)?;
        at.0.checked_sub(started_at.0)
    }

    /// The commit in the release's name: the part after `+`, where it is 7 to 40 hex digits.
    pub fn commit(&self) -> Option<&str> {
        let (_, commit) = self.release.as_deref()?.rsplit_once('+')?;
        let hex = commit.bytes().all(|b| b.is_ascii_hexdigit());
        (hex && (7..=40).contains(&commit.len())).then_some(commit)
    }
}

/// How a run ended, as far as anybody can tell.
///
/// Of two words about one run the later in this order counts: they are of one process, so they only
/// differ where one of them came too early.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It has not, or nobody has told yet.
    Running,
    /// Its traces cannot be read, or it was not heard of for too long.
    Unknown,
    /// The guard was dropped, or shut down.
    Clean,
    /// The process ended with the guard alive: `kill -9`, an unhandled signal, out of memory,
    /// `abort`, `std::process::exit`, or a power cut.
    Killed,
    /// A native crash ended the process.
    Crashed,
    /// The guard was dropped by a panic that ended `main`, or the panic ended the process.
    Panicked,
}

impl Ended {
    /// All of them, in their order.
    pub const ALL: [Ended; 6] = [
        Ended::Running,
        Ended::Unknown,
        Ended::Clean,
        Ended::Killed,
        Ended::Crashed,
        Ended::Panicked,
    ];

    /// The word for it in JSON and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Ended::Running => "running",
            Ended::Unknown => "unknown",
            Ended::Clean => "clean",
            Ended::Killed => "killed",
            Ended::Crashed => "crashed",
            Ended::Panicked => "panicked",
        }
    }

    /// Its number on the wire, in stores and in the spool: the place in its order.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What has this number.
    pub fn of_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// How a run is doing, as running totals: told again and again, in any order, nothing counts twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// The run.
    pub run: Arc<Run>,
    /// How it ended.
    pub ended: Ended,
    /// When it was last known to live, or when it ended.
    pub alive_at: Timestamp,
    /// What happened in some of its hours. Totals of an hour only grow.
    pub hours: Vec<RunHour>,
}

/// What happened in one hour of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunHour {
    /// The hour since the epoch.
    pub hour: u64,
    /// Root spans that closed, sampled or not.
    pub roots: u64,
    /// Those in which an error or a panic was captured.
    pub roots_failed: u64,
    /// The users that the app told.
    pub users: Sketch,
    /// Those who met a panic.
    pub users_panicked: Sketch,
}

/// What a run has lost so far, of its reports or of its spans, by reason. Totals only grow, so that a
/// lost batch loses no account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// The run that lost it.
    pub run: RunId,
    /// Reports or spans that the run produced, lost ones included.
    pub produced: u64,
    /// Reason and number of reports or spans.
    pub dropped: Vec<(Text, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(release: &str, started_at: u64) -> Run {
        Run {
            id: RunId::from_bytes([0; 16]),
            release: Some(release.into()),
            environment: None,
            started_at: Timestamp(started_at),
            sdk: "".into(),
        }
    }

    fn commit_of(release: &str) -> Option<String> {
        run(release, 0).commit().map(str::to_owned)
    }

    #[test]
    fn a_run_whose_start_is_not_known_or_later_has_no_uptime() {
        let uptime = |started_at| run("shop@1.0", started_at).uptime_us(Timestamp(7_000_000));

        assert_eq!(uptime(5_000_000), Some(2_000_000));
        assert_eq!((uptime(0), uptime(7_000_001)), (None, None));
    }

    #[test]
    fn the_commit_is_what_follows_the_plus() {
        assert_eq!(
            commit_of("shop@1.2.0+0a1b2c3d").as_deref(),
            Some("0a1b2c3d")
        );
        assert_eq!(commit_of("shop@1.2.0"), None);
        assert_eq!(commit_of("shop@1.2.0+build7"), None);
        assert_eq!(commit_of("shop@1.2.0+abc"), None);
    }
}
