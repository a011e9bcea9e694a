//! What the collector tells of itself.

// Lines on standard error.
pub mod log;
