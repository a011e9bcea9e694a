//! `/metrics`: all of it as Prometheus reads it, in the OpenMetrics text format.

use std::path::PathBuf;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::store::model::{Health, Usage};
use crate::store::sqlite::SqliteStore;

use super::{Observer, process, readiness};

/// What the answer is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the names of our metrics begin with.
const PREFIX: &str = "bugsage";

/// All that is told.
pub struct Exposition {
    counters: Registry,
    observer: Observer,
    data: PathBuf,
}

/// What is only known when somebody asks.
pub struct Now {
    /// How the store is doing.
    pub health: Health,
    /// What is in it, where that could be read.
    pub usage: Option<Usage>,
    /// Bytes of bodies that arrive, and of batches that are worked on.
    pub memory: [u64; 2],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Job {
    kind: String,
    state: &'static str,
}

impl Exposition {
    /// What an observer was told, and what lies in a data folder.
    pub fn new(observer: Observer, data: PathBuf) -> Self {
        let mut counters = Registry::with_prefix(PREFIX);
        observer.metrics.register(&mut counters);
        let build = Info::new(vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("sqlite", rusqlite::version()),
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
        ]);
        counters.register("build", "This program", build);
        Self {
            counters,
            observer,
            data,
        }
    }

    /// All of it as text.
    ///
    /// # Errors
    ///
    /// Where a number does not fit the format.
    pub fn text(&self, now: &Now) -> Result<String, std::fmt::Error> {
        let mut ours = Registry::with_prefix(PREFIX);
        self.readiness(now, &mut ours);
        self.store(now, &mut ours);
        let mut of_process = Registry::default();
        process::register(&mut of_process);
        let mut text = String::new();
        for registry in [&self.counters, &ours, &of_process] {
            encode_registry(&mut text, registry)?;
        }
        encode_eof(&mut text)?;
        Ok(text)
    }

    fn readiness(&self, now: &Now, to: &mut Registry) {
        let readiness = readiness::judge(&self.observer, &now.health);
        let ready = ConstGauge::new(u32::from(readiness.ready));
        to.register("ready", "Whether batches can be taken", ready);
        let checks = Family::<Named, Gauge>::default();
        for check in &readiness.checks {
            let named = Named { name: check.name };
            checks.get_or_create(&named).set(i64::from(check.ok));
        }
        to.register("ready_check", "Whether a check of /readyz is good", checks);
        let seconds = now.health.oldest_wait_us as f64 / 1e6;
        let help = "How long the oldest write has waited";
        let age = ConstGauge::new(seconds);
        to.register_with_unit("writer_queue_age", help, Unit::Seconds, age);
        let failed = ConstGauge::new(u32::from(now.health.failed.is_some()));
        to.register("store_sync_failed", "Whether a sync has failed", failed);
        let memory = Family::<Named, Gauge>::default();
        for (name, bytes) in ["bodies", "decoded"].into_iter().zip(now.memory) {
            memory.get_or_create(&Named { name }).set(signed(bytes));
        }
        let help = "Memory that is set aside for bodies that arrive and for decoded batches";
        to.register_with_unit("ingest_memory", help, Unit::Bytes, memory);
    }

    fn store(&self, now: &Now, to: &mut Registry) {
        let mut bytes = |name: &str, help: &str, bytes: u64| {
            to.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(signed(bytes)));
        };
        if let Some(space) = self.observer.disk.space() {
            bytes(
                "disk_free",
                "Free on the disk of the data folder",
                space.free,
            );
            bytes(
                "disk_size",
                "Size of the disk of the data folder",
                space.size,
            );
        }
        let database = SqliteStore::file(&self.data);
        let log = database.with_extension("db-wal");
        let size = |path: &PathBuf| std::fs::metadata(path).map(|it| it.len());
        if let Ok(size) = size(&database) {
            bytes("store_database", "The file of the database", size);
        }
        if let Ok(size) = size(&log) {
            bytes("store_log", "The file of its log", size);
        }
        let version = ConstGauge::new(now.health.schema_version);
        to.register("store_schema_version", "The newest migration", version);
        let Some(usage) = &now.usage else {
            return;
        };
        let help = "Pages of the database";
        to.register("store_pages", help, ConstGauge::new(signed(usage.pages)));
        let help = "Pages of the database that nothing is in";
        let free = ConstGauge::new(signed(usage.free_pages));
        to.register("store_free_pages", help, free);
        let help = "Documents of kept events, packed";
        let kept = ConstGauge::new(signed(usage.kept_bytes));
        to.register_with_unit("store_kept", help, Unit::Bytes, kept);
        let help = "Pieces of traces, packed";
        let traces = ConstGauge::new(signed(usage.trace_bytes));
        to.register_with_unit("store_traces", help, Unit::Bytes, traces);
        let jobs = Family::<Job, Gauge>::default();
        for job in &usage.jobs {
            let kind = job.kind.clone();
            let job_state = Job {
                kind,
                state: job.state,
            };
            jobs.get_or_create(&job_state).set(signed(job.jobs));
        }
        to.register("jobs", "Jobs by state", jobs);
    }
}

/// Gauges are signed; nothing that is told comes near the end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
