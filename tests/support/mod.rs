//! What all stories stand on: programs as child processes, and servers that they report to.
//!
//! Everything here ends when it is dropped: a child is killed, a server's threads are joined.
//! Stories wait for conditions, at most [`PATIENCE`]; how fast something is, benches say.

pub(crate) mod program;
pub(crate) mod sink;
#[cfg(feature = "aws-lc")]
pub(crate) mod tls;
#[cfg(feature = "aws-lc")]
pub(crate) mod proxy;
pub(crate) mod http;
pub(crate) mod account;
pub(crate) mod source;
pub(crate) mod build;
pub(crate) mod collector;
pub(crate) mod inside;
pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod spans;
pub(crate) mod worst;
pub(crate) mod repository;
pub(crate) mod vfs;

use std::time::Duration;

/// How long anything may take before it counts as hung. Long, since test machines are slow and
/// many stories run at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// By how much something that has a timeout may overrun it on a busy machine.
pub(crate) const MARGIN: Duration = Duration::from_secs(3);

/// How much of a proof is run: a number that whoever runs it may set.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("is a number"))
}
