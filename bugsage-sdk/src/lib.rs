//! What an app links to report its panics and errors to BugSage.
#![doc = include_str!("../README.md")]

mod record;
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

pub use bugsage_core::{event, id, stacktrace};

pub use capture::error::{capture_error, capture_message};
pub use context::{set_tag, set_user};
pub use guard::Guard;
pub use integrations::tracing::{Layer, layer};
pub use ledger::Report;
pub use options::{Builder, InitError};

/// Starts capturing with the settings of the environment: `BUGSAGE_DSN`, `BUGSAGE_RELEASE` and
/// `BUGSAGE_ENVIRONMENT`.
///
/// A missing or malformed DSN leaves one line on standard error, and the app runs on without
/// BugSage.
pub fn init() -> Guard {
    builder().init()
}

/// Starts with no settings; what stays unset is taken from the environment.
pub fn builder() -> Builder {
    Builder::default()
}
