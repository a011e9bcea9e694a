//! What the collector says while it runs, on standard error.
//!
//! Never: a key, or anything that an app has reported. What is logged of a batch is why it could not be
//! taken, and ids.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts the log of this process.
///
/// # Errors
///
/// Where there is one already.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&log.level);
    let filter = filter.with_context(|| format!("log.level is {}", log.level))?;
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter);
    let started = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}
