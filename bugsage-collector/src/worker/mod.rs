//! Jobs that run beside the ingest path, one file each.

pub mod cases;
pub mod rekey;
pub mod sweep;
mod calendar;
pub mod watch;
