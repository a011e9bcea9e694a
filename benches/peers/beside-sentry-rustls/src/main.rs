//! The scenes with sentry, over rustls.

struct Sentry;

impl scenes::Sdk for Sentry {
    type Guard = sentry::ClientInitGuard;

    fn start(&self, dsn: &str) -> Self::Guard {
        sentry::init((dsn, sentry::ClientOptions::new().release("app@1.0.0")))
    }

    fn message(&self, text: &str) {
        sentry::capture_message(text, sentry::Level::Error);
    }
}

fn main() {
    scenes::play(&Sentry);
}
