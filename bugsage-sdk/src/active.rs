//! The surface of an SDK that captures.

pub use bugsage_core::clock::Timestamp;
pub use bugsage_core::event::Ended;
pub use bugsage_core::{event, span, stacktrace};

pub use crate::capture::error::{
    ReportError, capture_error, capture_error_with_backtrace, capture_message,
};
pub use crate::context::{set_context, set_fingerprint, set_input, set_tag, set_user};
pub use crate::controls::{
    set_breadcrumb_level, set_breadcrumb_level_of, set_event_level, set_event_level_of,
    set_traces_sample_rate, set_traces_sample_rate_of,
};
pub use crate::guard::Guard;
pub use crate::integrations::tracing::{Layer, layer};
pub use crate::options::{Builder, InitError};
pub use crate::propagation::{continue_trace, trace_context};
pub use crate::spans::sampling::TraceRoot;
pub use crate::spool::LastRun;

use crate::client;

/// Starts capturing with the settings of the environment: `BUGSAGE_DSN`, `BUGSAGE_RELEASE`,
/// `BUGSAGE_ENVIRONMENT`, `BUGSAGE_TRACES_SAMPLE_RATE`, `BUGSAGE_SPOOL_DIR` and `BUGSAGE_SYMBOLS_BYTES_MAX`.
///
/// A missing or malformed DSN leaves one line on standard error, and the app runs on without
/// BugSage. [`Builder::try_init`] says what a start does and costs.
///
/// ```
/// let _guard = bugsage_sdk::init();
/// ```
pub fn init() -> Guard {
    builder().init()
}

/// Starts with no settings; what stays unset is taken from the environment. Nothing happens before
/// [`Builder::init`].
pub fn builder() -> Builder {
    Builder::default()
}

/// How the run of this program before this one ended, as far as its traces in the spool tell.
///
/// `None` where there is none, where no spool is in use, or where nothing is captured now. Where many
/// processes of one program share a spool, it is the one that was started last of those that are
/// over. It was read when the SDK started, and costs a copy now.
///
/// ```
/// use bugsage_sdk::Ended;
///
/// # let _guard = bugsage_sdk::builder().dsn("http://key@127.0.0.1:1/1").without_spool().init();
/// if let Some(last) = bugsage_sdk::last_run() && last.ended != Ended::Clean {
///     eprintln!("the last run ended badly: {:?}", last.ended);
/// }
/// ```
pub fn last_run() -> Option<LastRun> {
    client::active()?.last_run.clone()
}

/// Takes down no more reports until [`resume`], in the whole process, whether the SDK was started or
/// not: for an app whose user has not agreed yet, or for a part that fails on purpose.
///
/// What is reported meanwhile is gone, and counted as `paused`. Spans that close meanwhile are not told, and
/// neither spans nor users are counted. That the process started, and how it ends, is told all the same. What was captured before is still
/// delivered. Costs one store.
///
/// ```
/// bugsage_sdk::pause();
/// let outcome = std::panic::catch_unwind(|| panic!("nobody is told"));
/// bugsage_sdk::resume();
/// # assert!(outcome.is_err());
/// ```
pub fn pause() {
    client::pause(true);
}

/// Ends a [`pause`], whoever began it: pauses are not counted. Costs one store.
pub fn resume() {
    client::pause(false);
}
