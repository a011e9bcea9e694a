//! Where the app's own instrumentation comes in.

pub(crate) mod tracing;
