//! The scenes with BugSage, as its front page says to set it up.

struct BugSage;

impl scenes::Sdk for BugSage {
    type Guard = bugsage_sdk::Guard;

    fn start(&self, dsn: &str) -> Self::Guard {
        bugsage_sdk::builder().dsn(dsn).release("app@1.0.0").init()
    }

    fn message(&self, text: &str) {
        bugsage_sdk::capture_message(tracing::Level::ERROR, text);
    }
}

fn main() {
    scenes::play(&BugSage);
}
