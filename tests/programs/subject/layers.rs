//! Layers of the app's own beside BugSage's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::span::{Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{finish, start};

/// Runs code of the app under a lock of the registry, as a layer does that formats fields into it.
struct Holding {
    panics: bool,
}

impl<S> Layer<S> for Holding
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_record(&self, id: &Id, _: &Record<'_>, ctx: Context<'_, S>) {
        let span = ctx.span(id).expect("the span is open");
        let _held = span.extensions_mut();
        assert!(!self.panics, "under a lock of the registry");
        tracing::info_span!("inner").in_scope(|| tracing::error!("under a lock of the registry"));
    }
}

/// Under the lock somebody `panics`, or goes on and `logs`.
pub(crate) fn hold_lock(deed: &str) {
    let guard = start();
    let panics = deed == "panics";
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .with(Holding { panics })
        .init();
    let span = tracing::info_span!("outer", late = tracing::field::Empty);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        // As a task leaves its span when it panics, and enters it again to drop what it holds.
        let _entered = span.enter();
        let _again = EnterOnDrop(&span);
        span.record("late", "yes");
    }));
    assert_eq!(ended.is_err(), panics);
    finish(guard);
}

struct EnterOnDrop<'a>(&'a Span);

impl Drop for EnterOnDrop<'_> {
    fn drop(&mut self) {
        let _entered = self.0.enter();
    }
}
