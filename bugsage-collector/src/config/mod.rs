//! What an operator may set, and where each value came from.
//!
//! Layers: flags over `BUGSAGE_*` variables over `bugsage.toml` over defaults. One table,
//! [`setting::SETTINGS`], describes every setting; the files, variables, documents and the README are
//! read, printed and checked by it. What is wrong is told all at once, with place and key.

// The table.
pub mod setting;
// Sizes as people write them.
mod size;
// What was meant by a word that nobody knows.
pub(crate) mod nearest;
// As written in a file.
mod file;
// All layers together.
mod resolve;

use std::net::{Ipv4Addr, SocketAddr};

use crate::group::sample::Keep;

pub use resolve::{Flag, Origin, Problems, Resolved, Sources, is_ours};
pub use size::human;

/// The name of the file in the data folder.
pub const FILE: &str = "bugsage.toml";

/// The variable that names another file.
pub const FILE_VARIABLE: &str = "BUGSAGE_CONFIG";

/// How a collector behaves; every field was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What is logged, and how.
    pub log: Log,
    /// What is kept, and for how long.
    pub retention: Retention,
    /// What must not be exceeded.
    pub limits: Limits,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level, or several with targets, as `tracing` filters them.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Which events are kept whole. All are counted.
    pub events: Keep,
    /// For how many days events are kept.
    pub days: u64,
    /// How many bytes the events of one project may take.
    pub bytes: u64,
    /// For how many days traces are kept that belong to no kept event.
    pub trace_days: u64,
    /// How many bytes the traces of one project may take.
    pub trace_bytes: u64,
}

/// What must not be exceeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are open at the same time.
    pub connections: u64,
    /// Free space on the disk of the data folder, below which no batch is taken.
    pub disk_free_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4100)),
            log: Log {
                level: "info".to_owned(),
                format: LogFormat::Text,
            },
            retention: Retention {
                events: Keep::Samples,
                days: 90,
                bytes: 10 << 30,
                trace_days: 30,
                trace_bytes: 2 << 30,
            },
            limits: Limits {
                connections: 1_024,
                disk_free_bytes: 256 << 20,
            },
        }
    }
}
