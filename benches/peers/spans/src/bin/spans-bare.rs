//! The control: the registry of `tracing` alone, which every layer needs.

use spans::{Account, Layer};
use tracing_subscriber::util::SubscriberInitExt;

struct Bare;

impl Layer for Bare {
    type Guard = ();

    fn start(&self, _: f64, _: Option<&str>) {
        tracing_subscriber::registry().init();
    }

    fn end(&self, (): ()) -> Option<Account> {
        None
    }
}

fn main() {
    spans::play(&Bare);
}
