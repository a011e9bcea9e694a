//! Spans with sentry: the layers that do what BugSage's one does, each with the filter that its pages say
//! to give it. Logs, which BugSage has not, are left out.

use std::sync::Arc;

use sentry::integrations::tracing::{BreadcrumbLayer, ErrorLayer, SpanLayer};
use spans::{Account, Layer};
use tracing::{Level, Metadata};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Takes envelopes and forgets them.
struct Discard;

impl sentry::Transport for Discard {
    fn send_envelope(&self, _: sentry::Envelope) {}
}

struct Sentry;

/// An error is an event of its own.
fn is_breadcrumb(metadata: &Metadata<'_>) -> bool {
    matches!(*metadata.level(), Level::INFO | Level::WARN)
}

impl Layer for Sentry {
    type Guard = sentry::ClientInitGuard;

    fn start(&self, rate: f64, _: Option<&str>) -> Self::Guard {
        let discard =
            |_: &sentry::ClientOptions| -> Arc<dyn sentry::Transport> { Arc::new(Discard) };
        let options = sentry::ClientOptions::new()
            .dsn("http://key@127.0.0.1:1/1")
            .release("app@1.0.0")
            .traces_sample_rate(rate as f32)
            .transport(discard);
        let guard = sentry::init(options);
        tracing_subscriber::registry()
            .with(SpanLayer::new().with_filter(LevelFilter::INFO))
            .with(BreadcrumbLayer::new().with_filter(filter_fn(is_breadcrumb)))
            .with(ErrorLayer::new().with_filter(LevelFilter::ERROR))
            .init();
        guard
    }

    fn end(&self, guard: Self::Guard) -> Option<Account> {
        drop(guard);
        None
    }
}

fn main() {
    spans::play(&Sentry);
}
