//! The surface of an SDK without the feature `capture`: everything is there and does nothing.
//!
//! Libraries depend on this one. The app that they end up in turns `capture` on, and cargo gives
//! them all the same SDK.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::id::EventId;
use crate::kinds::{Boxed, Lent, Plain};
use crate::report::Report;
use crate::trace::TraceContext;
use tracing::level_filters::LevelFilter;

/// Does nothing: the SDK was built without the feature `capture`.
pub fn init() -> Guard {
    builder().init()
}

/// Starts with no settings. Nothing comes of them: the SDK was built without the feature `capture`.
pub fn builder() -> Builder {
    Builder::default()
}

/// Settings without effect. Made by [`builder`].
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "a builder does nothing before init()"]
pub struct Builder {}

impl Builder {
    /// Has no effect.
    pub fn dsn(self, _: impl Into<String>) -> Self {
        self
    }

    /// Has no effect.
    pub fn release(self, _: impl Into<String>) -> Self {
        self
    }

    /// Has no effect.
    pub fn environment(self, _: impl Into<String>) -> Self {
        self
    }

    /// Has no effect.
    pub fn shutdown_timeout(self, _: Duration) -> Self {
        self
    }

    /// Has no effect.
    pub fn spool_dir(self, _: impl Into<PathBuf>) -> Self {
        self
    }

    /// Has no effect.
    pub fn spool_bytes_max(self, _: u64) -> Self {
        self
    }

    /// Has no effect.
    pub fn spool_age_max(self, _: Duration) -> Self {
        self
    }

    /// Has no effect.
    pub fn without_spool(self) -> Self {
        self
    }

    /// Has no effect.
    pub fn rate_limit(self, _: u16, _: Duration) -> Self {
        self
    }

    /// Has no effect.
    pub fn follow_collector(self) -> Self {
        self
    }

    /// Has no effect.
    pub fn traces_sample_rate(self, _: f64) -> Self {
        self
    }

    /// Has no effect.
    pub fn traces_sample_rate_of(self, _: impl Into<String>, _: f64) -> Self {
        self
    }

    /// Has no effect.
    pub fn panic_payload<T: 'static>(self) -> Self {
        self
    }

    /// Has no effect.
    pub fn symbols_bytes_max(self, _: u64) -> Self {
        self
    }

    /// Says once on standard error that nothing is reported: an app that sets the SDK up wants to
    /// know.
    pub fn init(self) -> Guard {
        // Not `eprintln!`, which panics where standard error is closed.
        let _ = writeln!(
            io::stderr(),
            "bugsage: nothing is reported: the SDK was built without the feature `capture`; \
             leave out `default-features = false`, or add `ring` or `capture`"
        );
        Guard {}
    }
}

/// Guards nothing.
#[derive(Debug)]
#[non_exhaustive]
pub struct Guard {}

impl Guard {
    /// False.
    pub fn is_active(&self) -> bool {
        false
    }

    /// Returns at once: nothing was captured.
    pub fn flush(&self, _: Duration) -> Report {
        Report::default()
    }

    /// Returns at once: nothing was captured.
    pub fn shutdown(self, _: Duration) -> Report {
        Report::default()
    }
}

/// A `tracing` layer that does nothing. Made by [`layer`].
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Layer;

/// Makes the layer.
pub fn layer() -> Layer {
    Layer
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Layer {}

/// Reports nothing, and returns all zeros.
pub fn capture_error<E: Error + ?Sized + 'static>(_: &E) -> EventId {
    EventId::from_bytes([0; 16])
}

/// Reports nothing, and returns all zeros.
pub fn capture_error_with_backtrace<E: Error + ?Sized + 'static>(
    _: &E,
    _: &std::backtrace::Backtrace,
) -> EventId {
    EventId::from_bytes([0; 16])
}

/// Reports nothing, and returns all zeros.
pub fn capture_message(_: tracing::Level, _: &str) -> EventId {
    EventId::from_bytes([0; 16])
}

/// Hands the `Result` on, and nothing else.
pub trait ReportError<Kind>: Sized {
    /// Hands it on.
    fn report(self) -> Self {
        self
    }
}

// For the same types as where errors are reported: a library that compiles here does so there.
impl<T, E: Error + 'static> ReportError<Plain> for Result<T, E> {}

impl<T, E: AsRef<dyn Error> + std::fmt::Debug> ReportError<Lent> for Result<T, E> {}

impl<T> ReportError<Boxed> for Result<T, Box<dyn Error + Send + Sync>> {}

/// Does nothing.
pub fn set_tag(_: impl AsRef<str>, _: impl AsRef<str>) {}

/// Does nothing.
pub fn set_fingerprint<P: AsRef<str>>(_: impl IntoIterator<Item = P>) {}

/// Does nothing.
pub fn set_user(_: impl AsRef<str>) {}

/// Does nothing.
pub fn set_context(_: impl AsRef<str>, _: impl AsRef<str>) {}

/// Does nothing.
pub fn set_input(_: impl AsRef<str>, _: impl std::fmt::Display) {}

/// Does nothing, and formats nothing.
#[macro_export]
macro_rules! input {
    ($value:ident) => {{
        let _ = &$value;
    }};
    ($name:expr, $($format:tt)+) => {{
        let _ = ($name, ::core::format_args!($($format)+));
    }};
}

/// Spans that are none.
pub(crate) mod spans {
    use tracing::Metadata;
    use tracing::field::Value;

    /// There is no value of it.
    pub(crate) enum Entered {}

    impl Entered {
        pub(crate) fn begin(
            _: &'static Metadata<'static>,
            _: impl FnOnce(&mut Values<'_>),
        ) -> Option<Self> {
            None
        }

        pub(crate) fn end(self) {}
    }

    /// Nobody makes one, so nothing is evaluated.
    #[derive(Debug)]
    pub struct Values<'a>(std::marker::PhantomData<&'a ()>);

    impl Values<'_> {
        /// Takes nothing.
        pub fn add<V: Value + ?Sized>(&mut self, _: &V) {}
    }
}

/// Does nothing.
pub fn set_traces_sample_rate(_: f64) {}

/// Does nothing.
pub fn set_traces_sample_rate_of(_: &str, _: f64) {}

/// Does nothing.
pub fn set_breadcrumb_level(_: LevelFilter) {}

/// Does nothing.
pub fn set_breadcrumb_level_of(_: &str, _: LevelFilter) {}

/// Does nothing.
pub fn set_event_level(_: LevelFilter) {}

/// Does nothing.
pub fn set_event_level_of(_: &str, _: LevelFilter) {}

/// `None`: nobody traces.
pub fn trace_context() -> Option<TraceContext> {
    None
}

/// Runs `open` and nothing else.
pub fn continue_trace<T>(_: Option<TraceContext>, open: impl FnOnce() -> T) -> T {
    open()
}

/// Does nothing.
pub fn pause() {}

/// Does nothing.
pub fn resume() {}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn a_library_reports_to_nobody() {
        let guard = builder()
            .dsn("http://key@127.0.0.1:1/1")
            .rate_limit(100, Duration::from_secs(60))
            .without_spool()
            .init();
        let _subscribed =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(layer()));
        set_tag("region", "eu");
        set_user("ada");
        tracing::error!("nobody is told");
        let id = capture_message(tracing::Level::ERROR, "nobody is told");

        assert_eq!(id, capture_error(&std::fmt::Error));
        assert!(!guard.is_active());
        assert_eq!(guard.shutdown(Duration::ZERO), Report::default());
    }
}
