//! Where the app's own instrumentation comes in.

pub(crate) mod field_names;
pub(crate) mod tracing;
#[cfg(feature = "tower")]
pub mod http;
