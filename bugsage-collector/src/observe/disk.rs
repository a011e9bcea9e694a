//! How much room is left on the disk of the data folder, as it was a moment ago.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Not known yet.
const UNKNOWN: u64 = u64::MAX;

/// Room on a disk, in bytes.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    free_min: u64,
    free: AtomicU64,
    size: AtomicU64,
}

/// What a disk has, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub free: u64,
    /// All there is.
    pub size: u64,
}

impl Space {
    /// Asks the system. Waits where the file system does.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(Self {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            size: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

impl Disk {
    /// A disk of which so much must stay free.
    pub fn new(free_min: u64) -> Self {
        Self(Arc::new(Inner {
            free_min,
            free: AtomicU64::new(UNKNOWN),
            size: AtomicU64::new(UNKNOWN),
        }))
    }

    /// Notes what it has.
    pub fn note(&self, space: Space) {
        self.0.free.store(space.free, Ordering::Relaxed);
        self.0.size.store(space.size, Ordering::Relaxed);
    }

    /// What it had when it was looked at last.
    pub fn space(&self) -> Option<Space> {
        let free = self.0.free.load(Ordering::Relaxed);
        (free != UNKNOWN).then(|| Space {
            free,
            size: self.0.size.load(Ordering::Relaxed),
        })
    }

    /// What must stay free.
    pub fn free_min(&self) -> u64 {
        self.0.free_min
    }

    /// Whether less is free than must be.
    pub fn is_low(&self) -> bool {
        self.0.free.load(Ordering::Relaxed) < self.0.free_min
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new(0)
    }
}
