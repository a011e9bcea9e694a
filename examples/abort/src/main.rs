//! An app that aborts where it panics: the hook waits for delivery before the process ends.
//!
//! ```sh
//! BUGSAGE_DSN=stdout: cargo run -p example-abort --profile abort -- 7
//! ```
//!
//! No guard is dropped there, so the hook does what the guard would: it prints the panic first and then
//! waits, for at most `shutdown_timeout`. What is not delivered by then lies in the spool for the next
//! start. `before_send` must not panic: under `panic = "abort"` nothing can be contained.

use std::env;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() {
    let _guard = bugsage_sdk::builder()
        .release(bugsage_sdk::release!())
        // How much later the process may end than it would without BugSage.
        .shutdown_timeout(Duration::from_secs(5))
        .init();
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();

    let shelf = env::args().nth(1).and_then(|word| word.parse().ok());
    let shelf: usize = shelf.unwrap_or(0);
    let _order = tracing::info_span!("order", shelf).entered();
    println!("on the shelf: {}", ["tea", "cup", "pot"][shelf]);
}
