//! What an app links to report its panics and errors to BugSage.
#![doc = include_str!("../README.md")]

#[cfg(feature = "capture")]
mod sync;
#[cfg(feature = "capture")]
mod record;
#[cfg(feature = "capture")]
mod spool;
#[cfg(feature = "capture")]
mod queue;
#[cfg(feature = "capture")]
mod fold;
#[cfg(feature = "capture")]
mod limiter;
#[cfg(feature = "capture")]
mod ledger;
#[cfg(feature = "capture")]
mod ticks;
#[cfg(feature = "capture")]
mod breadcrumbs;
#[cfg(feature = "capture")]
mod levels;
#[cfg(feature = "capture")]
mod spans;
#[cfg(feature = "capture")]
mod context;
#[cfg(feature = "capture")]
mod client;
#[cfg(feature = "capture")]
mod capture;
#[cfg(feature = "capture")]
mod integrations;
#[cfg(feature = "capture")]
mod ship;
#[cfg(feature = "capture")]
pub mod transport;
#[cfg(feature = "capture")]
mod birthmark;
#[cfg(feature = "capture")]
mod launch;
#[cfg(feature = "capture")]
mod options;
#[cfg(feature = "capture")]
mod controls;
#[cfg(feature = "capture")]
mod propagation;
mod native;
#[cfg(feature = "capture")]
mod guard;
#[cfg(all(feature = "capture", fuzzing))]
#[doc(hidden)]
pub use ship::fuzzing;
#[cfg(all(test, bugsage_loom))]
mod loom;
#[cfg(feature = "capture")]
pub mod test;
#[cfg(feature = "capture")]
mod active;
#[cfg(not(feature = "capture"))]
mod facade;
mod kinds;
mod report;

/// The release of the crate that is being built, as text: `name@version`. With the feature `macros` it has
/// the commit as well.
#[cfg(not(feature = "macros"))]
#[macro_export]
macro_rules! release {
    () => {
        ::core::concat!(
            ::core::env!("CARGO_PKG_NAME"),
            "@",
            ::core::env!("CARGO_PKG_VERSION")
        )
    };
}

pub use bugsage_core::id;
pub use bugsage_core::trace_context as trace;
/// The release of the crate that is being built, as text: `name@version+commit`.
///
/// The commit is `BUGSAGE_COMMIT` where the build sets it, else what the repository around the crate has
/// checked out when it is built; without either, or without the feature `macros`, there is none.
///
/// ```
/// let builder = bugsage_sdk::builder().release(bugsage_sdk::release!());
/// # let _ = builder;
/// ```
#[cfg(feature = "macros")]
pub use bugsage_macros::release;
#[cfg(feature = "tower")]
pub use integrations::http;
pub use kinds::{Boxed, Lent, Plain};
pub use native::SpanGuard;
pub use report::{Report, SpanReport};

/// What [`span!`] expands to; no part of what stays as it is.
#[doc(hidden)]
pub mod __private {
    pub use tracing::Metadata;
    pub use tracing::field::{debug, display};

    pub use crate::native::{NativeCallsite, metadata, open};
}

#[cfg(feature = "capture")]
pub use active::*;
#[cfg(not(feature = "capture"))]
pub use facade::*;
