//! Jobs in tasks of their own: what each reports has the job's span, on whatever thread it ran.
//!
//! ```sh
//! BUGSAGE_DSN=stdout: cargo run -p example-tokio
//! ```

use bugsage_sdk::ReportError as _;
use tokio::task::JoinSet;
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main]
async fn main() {
    // Inside the runtime or before it: BugSage has a thread of its own and needs none of yours. A guard
    // that is dropped waits for delivery, so the last place for it is the end of `main`.
    let _guard = bugsage_sdk::builder()
        .release(bugsage_sdk::release!())
        .init();
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();

    let mut jobs = JoinSet::new();
    for id in 1..=4 {
        // A task has no span but the one that it is given.
        jobs.spawn(job(id).instrument(tracing::info_span!("job", id)));
    }
    let mut failed = 0;
    while let Some(ended) = jobs.join_next().await {
        match ended {
            Ok(Ok(cents)) => println!("a job came to {cents}"),
            // Both were reported where they happened, with their span: nothing is left to do.
            Ok(Err(_)) | Err(_) => failed += 1,
        }
    }
    println!("failed: {failed}");
}

async fn job(id: u32) -> Result<u32, std::num::ParseIntError> {
    // A breadcrumb of this job: at most 100 of them go with what it reports.
    tracing::info!("job {id} begins");
    let text = load(id).await;
    let cents = text.parse::<u32>().report()?;
    Ok(cents * 2)
}

async fn load(id: u32) -> &'static str {
    tokio::task::yield_now().await;
    ["", "450", "dear", "1200"][id as usize]
}
