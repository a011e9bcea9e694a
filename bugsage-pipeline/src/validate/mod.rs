//! Proves a patch, or finds out that it does not hold.

// Where code that nobody has read is built and run.
pub mod sandbox;
// The real toolchain.
pub mod toolchain;
