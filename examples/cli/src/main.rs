//! A command-line tool: its exit code says whether it failed, BugSage is told why.
//!
//! ```sh
//! BUGSAGE_DSN=stdout: cargo run -p example-cli -- Cargo.toml
//! ```

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;
use bugsage_sdk::ReportError as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    // Delivers what is left when `main` returns, for at most two seconds. `std::process::exit` drops no
    // guard: what was reported would wait in the spool for the next start.
    let _guard = bugsage_sdk::builder()
        .release(bugsage_sdk::release!())
        .init();
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();

    let words: Vec<_> = env::args_os().skip(1).collect();
    let (file, discount) = match &words[..] {
        [file] => (file, "0"),
        [file, discount] => (file, discount.to_str().unwrap_or("")),
        _ => {
            // Wrong usage is nothing that a developer could mend.
            eprintln!("usage: example-cli FILE [DISCOUNT]");
            return ExitCode::from(2);
        }
    };
    // Whatever is reported from here on has it, and what was logged in it.
    let _run = tracing::info_span!("total", ?file).entered();
    // Reports the error with all that led to it, and hands it on.
    match total(file).report() {
        Ok(total) => {
            let total = example_library::discounted_cents(total, discount);
            println!("total: {total}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn total(file: &OsStr) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file:?}"))?;
    // Sent with an error or a panic of this span, and only then: what it can be made again from.
    bugsage_sdk::input!("prices", "{text}");
    example_library::total_cents(&text).with_context(|| format!("cannot add up {file:?}"))
}
