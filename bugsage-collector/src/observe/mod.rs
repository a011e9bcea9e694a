//! What the collector tells of itself: lines, counters, and whether each stage still moves.
//!
//! Every stage is handed an [`Observer`], which is cheap to clone, and tells it what it does. `/metrics`
//! and `/readyz` read it. Nothing here waits or takes long; what does, [`crate::worker::watch`] does.

// Lines on standard error.
pub mod log;
// Counters of every stage.
pub mod metrics;
// Whether whoever should move still does.
pub mod heartbeat;
// How much room the disk has.
pub mod disk;
// What the system knows of this process.
pub mod process;
// Whether batches can be taken.
pub mod readiness;
// All of it as Prometheus reads it.
pub mod exposition;

use std::time::Duration;

use disk::Disk;
use heartbeat::Heartbeats;
use metrics::Metrics;
use readiness::Look;

/// How long a step may take before it counts as stuck. A sync on a slow disk takes a second at worst.
pub const STUCK: Duration = Duration::from_secs(5);

/// What every stage tells of itself.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    /// Counters.
    pub metrics: Metrics,
    /// Who is expected to move.
    pub heartbeats: Heartbeats,
    /// Room on the disk.
    pub disk: Disk,
    /// What came of the last look at the store.
    pub look: Look,
}
