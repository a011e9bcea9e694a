//! What the collector says while it runs, on standard error.
//!
//! Never: a key, or anything that an app has reported. What is logged of a batch is why it could not be
//! taken, and ids.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat, nearest};

/// The levels, from the one that says least.
pub(crate) const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts the log of this process.
///
/// # Errors
///
/// Where there is one already.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = filter(&log.level).map_err(|reason| anyhow::anyhow!("log.level: {reason}"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let filtered = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Text => filtered.with(lines).try_init(),
        LogFormat::Json => filtered.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

/// Reads a filter: a level, and targets with levels of their own, between commas. No patterns: one of a
/// hundred letters can take minutes to read.
pub(crate) fn filter(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for directive in text.split(',').map(str::trim) {
        let (target, word) = match directive.split_once('=') {
            Some((target, word)) => (Some(target.trim()), word.trim()),
            None => (None, directive),
        };
        let level = LEVELS.iter().any(|it| it.eq_ignore_ascii_case(word));
        let level = level.then(|| word.parse::<LevelFilter>().ok()).flatten();
        let level = level.ok_or_else(|| unknown(word))?;
        targets = match target {
            Some(target) if is_path(target) => targets.with_target(target, level),
            Some(target) => {
                return Err(format!(
                    "`{target}` is no target, which is a path such as `hyper`"
                ));
            }
            None => targets.with_default(level),
        };
    }
    Ok(targets)
}

fn unknown(word: &str) -> String {
    match nearest::of(word, LEVELS) {
        Some(level) => format!("`{word}` is no level: did you mean {level}?"),
        None => format!("`{word}` is no level, which are {}", LEVELS.join(", ")),
    }
}

fn is_path(target: &str) -> bool {
    let may_be = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
    !target.is_empty() && target.chars().all(may_be)
}
