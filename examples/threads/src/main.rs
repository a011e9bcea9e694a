//! Plain threads: the span that started them goes with them, where they enter it.
//!
//! ```sh
//! BUGSAGE_DSN=stdout: cargo run -p example-threads
//! ```

use std::io;
use std::thread;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> io::Result<()> {
    let _guard = bugsage_sdk::builder()
        .release(bugsage_sdk::release!())
        .init();
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();
    // Outside of any span: of the whole process.
    bugsage_sdk::set_tag("region", "eu-west");

    let _import = tracing::info_span!("import", file = "orders.csv").entered();
    // Inside one: of this span and of those below it.
    bugsage_sdk::set_user("customer-4711");
    let mut workers = Vec::new();
    for number in 1..=3 {
        // A thread begins without a span, so it takes this one along.
        let span = tracing::Span::current();
        let worker = thread::Builder::new().name(format!("worker-{number}"));
        workers.push(worker.spawn(move || span.in_scope(|| work(number)))?);
    }
    for worker in workers {
        let name = worker.thread().name().unwrap_or("").to_owned();
        match worker.join() {
            Ok(rows) => println!("{name}: {rows} rows"),
            // The hook has reported it, with its thread and stack.
            Err(_) => println!("{name}: panicked"),
        }
    }
    Ok(())
}

fn work(number: usize) -> usize {
    tracing::info!("part {number} begins");
    let parts = ["tea 450\ncup 1200", "pot 2300"];
    parts[number - 1].lines().count()
}
