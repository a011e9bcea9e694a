//! Spans with sentry, as its front page says to set it up.

use std::sync::Arc;

use spans::{Account, Layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Takes envelopes and forgets them.
struct Discard;

impl sentry::Transport for Discard {
    fn send_envelope(&self, _: sentry::Envelope) {}
}

struct Sentry;

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
            .with(sentry::integrations::tracing::layer())
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
