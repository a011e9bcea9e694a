//! Counters of every stage, from the start of the process.
//!
//! Labels are words of ours, and the ids of the first projects: what an outsider sends never becomes one.

use std::fmt;
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use bugsage_core::limits::METRIC_PROJECTS_MAX;

/// Seconds that a step may take: from a lookup to a disk that hangs.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Batches of one transaction.
const BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Connections.
    pub connections: Connections,
    /// Batches, as they come in.
    pub ingest: Ingest,
    /// The one thread that writes.
    pub writer: Writer,
    /// Making room.
    pub sweep: Sweep,
    /// Work on cases.
    pub cases: Cases,
}

/// A distribution of seconds.
#[derive(Debug, Clone)]
pub struct Seconds(Histogram);

impl Seconds {
    /// Notes the time since then.
    pub fn since(&self, begun: Instant) {
        self.took(begun.elapsed());
    }

    /// Notes a time.
    pub fn took(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }

    fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register_with_unit(name, help, Unit::Seconds, self.0.clone());
    }
}

impl Default for Seconds {
    fn default() -> Self {
        Self(Histogram::new(SECONDS))
    }
}

/// Connections.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    /// Open now.
    pub open: Gauge,
    /// Accepted so far.
    pub accepted: Counter,
    /// Accepts that failed.
    pub failed: Counter,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    outcome: &'static str,
    /// Why it was refused; the code of the error.
    reason: &'static str,
}

/// Batches, as they come in.
#[derive(Debug, Clone, Default)]
pub struct Ingest {
    requests: Family<Answered, Counter>,
    refused_bytes: Counter,
    read_bytes: Counter,
    /// From the head of a request to its answer.
    request: Seconds,
    /// Decoding a batch.
    pub decode: Seconds,
    /// Grouping its events.
    pub group: Seconds,
}

impl Ingest {
    /// A body was read.
    pub fn read(&self, bytes: usize) {
        self.read_bytes.inc_by(bytes as u64);
    }

    /// A request was answered.
    pub fn accepted(&self, begun: Instant) {
        self.answered("accepted", "", begun);
    }

    /// A request was refused; its body has so many bytes, as far as it said.
    pub fn refused(&self, reason: &'static str, bytes: u64, begun: Instant) {
        self.answered("refused", reason, begun);
        self.refused_bytes.inc_by(bytes);
    }

    fn answered(&self, outcome: &'static str, reason: &'static str, begun: Instant) {
        let answered = Answered { outcome, reason };
        self.requests.get_or_create(&answered).inc();
        self.request.since(begun);
    }
}

/// A project, as far as it is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Project(Option<u64>);

impl Project {
    fn new(id: u64) -> Self {
        Self(Some(id).filter(|id| *id <= METRIC_PROJECTS_MAX))
    }
}

impl EncodeLabelValue for Project {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => id.encode(encoder),
            None => "other".encode(encoder),
        }
    }
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Fate {
    project: Project,
    /// As in the ledger.
    outcome: &'static str,
    reason: &'static str,
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Transaction {
    kind: &'static str,
    outcome: &'static str,
}

/// The one thread that writes.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Writes that wait, those under way not among them.
    pub waiting: Gauge,
    /// How long a write waited for its turn.
    pub wait: Seconds,
    transactions: Family<Transaction, Counter>,
    batches: Histogram,
    /// A transaction, from its begin to the end of its commit.
    pub transaction: Seconds,
    /// A commit of batches: the log is written and synced.
    pub commit: Seconds,
    /// Copying the log into the database, with its sync.
    pub copy_back: Seconds,
    /// Pages that are only in the log.
    pub log_pages: Gauge,
    events: Family<Fate, Counter>,
    reports: Family<Fate, Counter>,
    spans: Family<Fate, Counter>,
}

impl Writer {
    /// Adds a line of the ledger, once it is committed.
    pub fn count(
        &self,
        project: u64,
        outcome: &'static str,
        reason: &'static str,
        events: u64,
        reports: u64,
    ) {
        let fate = Fate {
            project: Project::new(project),
            outcome,
            reason,
        };
        self.events.get_or_create(&fate).inc_by(events);
        self.reports.get_or_create(&fate).inc_by(reports);
    }

    /// The same of finished spans.
    pub fn count_spans(
        &self,
        project: u64,
        outcome: &'static str,
        reason: &'static str,
        spans: u64,
    ) {
        let fate = Fate {
            project: Project::new(project),
            outcome,
            reason,
        };
        self.spans.get_or_create(&fate).inc_by(spans);
    }

    /// A transaction has ended.
    pub fn transaction(&self, kind: &'static str, is_committed: bool, begun: Instant) {
        let outcome = if is_committed { "committed" } else { "failed" };
        let transaction = Transaction { kind, outcome };
        self.transactions.get_or_create(&transaction).inc();
        self.transaction.since(begun);
    }

    /// So many batches shared a transaction.
    pub fn shared(&self, batches: usize) {
        self.batches.observe(batches as f64);
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            waiting: Gauge::default(),
            wait: Seconds::default(),
            transactions: Family::default(),
            batches: Histogram::new(BATCHES),
            transaction: Seconds::default(),
            commit: Seconds::default(),
            copy_back: Seconds::default(),
            log_pages: Gauge::default(),
            events: Family::default(),
            reports: Family::default(),
            spans: Family::default(),
        }
    }
}

/// Making room.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    /// A step, its wait for the writer included.
    pub step: Seconds,
    /// Events that went.
    pub events: Counter,
    /// Traces that went.
    pub traces: Counter,
    /// Bytes that are free now.
    pub bytes: Counter,
    /// Steps that failed.
    pub failed: Counter,
}

/// A state of a case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Entered {
    state: &'static str,
}

/// Work on cases.
#[derive(Debug, Clone, Default)]
pub struct Cases {
    transitions: Family<Entered, Counter>,
    /// One stage of a case.
    pub stage: Seconds,
    /// Cases that were put back for another try.
    pub put_back: Counter,
}

impl Cases {
    /// A case has entered a state.
    pub fn entered(&self, state: &'static str) {
        self.transitions.get_or_create(&Entered { state }).inc();
    }
}

impl Metrics {
    /// Adds all of them to a registry.
    pub(super) fn register(&self, to: &mut Registry) {
        let Self {
            connections,
            ingest,
            writer,
            sweep,
            cases,
        } = self;
        let it = &connections;
        to.register("connections_open", "Open connections", it.open.clone());
        to.register(
            "connections_accepted",
            "Accepted connections",
            it.accepted.clone(),
        );
        to.register(
            "connections_failed",
            "Connections that could not be accepted",
            it.failed.clone(),
        );
        ingest.register(to);
        writer.register(to);
        sweep.step.register(
            to,
            "sweep_step",
            "Steps at making room, with their wait for the writer",
        );
        to.register(
            "sweep_events",
            "Events that were swept",
            sweep.events.clone(),
        );
        let help = "Traces that were swept";
        to.register("sweep_traces", help, sweep.traces.clone());
        let help = "Bytes that sweeping has freed";
        to.register_with_unit("sweep_freed", help, Unit::Bytes, sweep.bytes.clone());
        to.register(
            "sweep_failures",
            "Steps at making room that failed",
            sweep.failed.clone(),
        );
        let help = "Cases that entered a state";
        to.register("case_transitions", help, cases.transitions.clone());
        cases.stage.register(to, "case_stage", "Stages of cases");
        let help = "Cases that were put back for another try";
        to.register("case_retries", help, cases.put_back.clone());
    }
}

impl Ingest {
    fn register(&self, to: &mut Registry) {
        let help = "Requests with batches, by what became of them";
        to.register("ingest_requests", help, self.requests.clone());
        let help = "Bodies that were read";
        to.register_with_unit("ingest_read", help, Unit::Bytes, self.read_bytes.clone());
        let help = "Bodies of requests that were refused, by the length that they announced";
        to.register_with_unit(
            "ingest_refused",
            help,
            Unit::Bytes,
            self.refused_bytes.clone(),
        );
        self.request.register(
            to,
            "ingest_request",
            "From the head of a request to its answer",
        );
        self.decode
            .register(to, "ingest_decode", "Decoding of batches");
        self.group
            .register(to, "ingest_group", "Grouping of batches");
    }
}

impl Writer {
    fn register(&self, to: &mut Registry) {
        to.register(
            "writer_queue",
            "Writes that wait for their turn",
            self.waiting.clone(),
        );
        self.wait
            .register(to, "writer_wait", "How long writes waited for their turn");
        let help = "Transactions, by what they wrote and how they ended";
        to.register("writer_transactions", help, self.transactions.clone());
        let help = "Batches that shared a transaction";
        to.register("writer_batches", help, self.batches.clone());
        self.transaction
            .register(to, "writer_transaction", "Transactions, commit included");
        self.commit.register(
            to,
            "writer_commit",
            "Commits of batches: writing the log and syncing it",
        );
        let help = "Copying the log into the database, and syncing it";
        self.copy_back.register(to, "writer_copy_back", help);
        let help = "Pages that are only in the log";
        to.register("store_log_pages", help, self.log_pages.clone());
        let help = "Events by what became of them, as in the ledger";
        to.register("events", help, self.events.clone());
        let help = "Reports that events stand for, by what became of them, as in the ledger";
        to.register("reports", help, self.reports.clone());
        let help = "Finished spans by what became of them, as in the ledger";
        to.register("spans", help, self.spans.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded_however_many_projects_there_are() {
        let writer = Writer::default();
        let mut registry = Registry::default();
        writer.register(&mut registry);

        for project in 1..=METRIC_PROJECTS_MAX * 3 {
            writer.count(project, "stored", "", 1, 2);
        }

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("is text");
        let of_events = text
            .lines()
            .filter(|line| line.starts_with("events_total{"));
        assert_eq!(of_events.count() as u64, METRIC_PROJECTS_MAX + 1);
        let others = format!(
            "reports_total{{project=\"other\",outcome=\"stored\",reason=\"\"}} {}",
            METRIC_PROJECTS_MAX * 4
        );
        assert!(text.contains(&others));
    }
}
