//! Where the app's own instrumentation comes in.

pub(crate) mod tracing;
#[cfg(feature = "tower")]
pub mod http;
