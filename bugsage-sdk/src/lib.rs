//! What an app links to report its panics and errors to BugSage.
#![doc = include_str!("../README.md")]

mod record;
mod spool;
mod queue;
mod fold;
mod ledger;
mod context;
mod client;
mod capture;
mod integrations;
mod ship;
mod options;
mod guard;

pub use bugsage_core::event::Ended;
pub use bugsage_core::{event, id, stacktrace};

pub use capture::error::{capture_error, capture_message};
pub use context::{set_tag, set_user};
pub use guard::Guard;
pub use integrations::tracing::{Layer, layer};
pub use ledger::Report;
pub use options::{Builder, InitError};
pub use spool::LastRun;

/// Starts capturing with the settings of the environment: `BUGSAGE_DSN`, `BUGSAGE_RELEASE`,
/// `BUGSAGE_ENVIRONMENT` and `BUGSAGE_SPOOL_DIR`.
///
/// A missing or malformed DSN leaves one line on standard error, and the app runs on without
/// BugSage.
pub fn init() -> Guard {
    builder().init()
}

/// How the run of this program before this one ended, as far as its traces in the spool tell.
///
/// `None` where there is none, where no spool is in use, or where nothing is captured now. Where many
/// processes of one program share a spool, it is the one that was started last of those that are
/// over.
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

/// Starts with no settings; what stays unset is taken from the environment.
pub fn builder() -> Builder {
    Builder::default()
}
