//! What is kept, behind one trait.
//!
//! In: grouped batches, cases, questions, each with the [`Scope`] it is asked under. Out: plain
//! data of [`model`]. Never: HTTP, pages, or a type of a database in a signature.
//!
//! A write is answered after the transaction that holds it was synced, never before. SQLite is
//! the embedded backend; `conformance` is what any backend must do.

pub mod scope;
pub mod model;
pub mod grouping;
pub mod pack;
pub mod trace;
pub mod sqlite;
#[cfg(test)]
pub(crate) mod conformance;

use std::time::Duration;

use async_trait::async_trait;

use bugsage_core::clock::Timestamp;
use bugsage_core::id::{BatchId, CaseId, EventId};
use bugsage_core::remote::RemoteSettings;
use bugsage_core::trace_context::TraceId;
use bugsage_pipeline::case::Case;
use bugsage_pipeline::subject::Subject;

use grouping::{Regroup, Rekey, RulesVersion, SimilarIssue};
use model::{
    Account, CaseFilter, GroupedBatch, Health, IngestKey, Issue, IssueDetail, IssueFilter,
    LeasedJob, LedgerFilter, Limits, NewProject, Poison, Project, Quarantined, Quota, Receipt,
    Refusal, ReleaseFilter, ReleaseHealth, Retention, Status, StoredEvent, Swept, Usage, Work,
};
use scope::Scope;
use trace::{StoredTrace, Trace, TraceFilter};

/// Why a store did not do what it was asked.
#[non_exhaustive]
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing in the scope of the caller.
    #[error("there is no {what} {name}")]
    NotFound {
        /// What was asked for.
        what: &'static str,
        /// Its name or number.
        name: String,
    },
    /// Something with that name is there already.
    #[error("there is a {what} named {name} already: choose another name")]
    Exists {
        /// What was to be made.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It cannot be done as things are; the reason says what can.
    #[error("{0}")]
    Refused(String),
    /// The scope of the caller does not reach that far.
    #[error("this key or person may not do that")]
    Forbidden,
    /// Somebody else has changed it, or holds its lease.
    #[error("{what} was changed by somebody else: read it again")]
    Conflict {
        /// What was to be changed.
        what: &'static str,
    },
    /// Somebody else works on it at the moment.
    #[error(
        "{what} {name} is worked on by a collector, or by a command that was stopped within the last \
         two minutes: try again in a moment"
    )]
    Busy {
        /// What was to be changed.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The disk said no this once: nothing of this write is kept. It may work again by itself.
    #[error("the store cannot write: {0}; free some space or look at the disk")]
    Unavailable(String),
    /// A sync failed, so that nobody knows what is on the disk, or the files are no longer where they were.
    /// Nothing is taken until a restart, which writes again what that sync covered.
    #[error(
        "writing has failed for good ({0}): nothing is taken until the collector is started again"
    )]
    Failed(String),
    /// The file is not what was written.
    #[error(
        "the store is damaged ({0}): `bugsage doctor` looks at it; a backup comes back with \
         `bugsage restore FILE --replace`"
    )]
    Damaged(String),
    /// The program itself failed at this batch, and would again. The reason may hold data of the batch.
    #[error(
        "this batch cannot be worked on: that is a fault of the collector, and its log says more"
    )]
    Poison(String),
    /// The quarantine has no room for a further batch.
    #[error(
        "{0} batches are in quarantine, which is full: see `bugsage quarantine list`, and replay or \
         discard them"
    )]
    QuarantineFull(u64),
    /// The data folder cannot be used as it is.
    #[error("{0}")]
    Unusable(String),
}

/// A batch that every store fails at, for the tests of what follows from that.
#[cfg(test)]
const POISON: BatchId = BatchId::from_bytes([0xbb; 16]);

/// What keeps everything.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The scope that an ingest key opens, if it is a key and was not revoked.
    async fn ingest_scope(&self, key: &str) -> Result<Option<Scope>, StoreError>;

    /// Writes a batch, once: events, counts, issues, and cases for what is new. Answered after the
    /// sync.
    async fn ingest(&self, scope: &Scope, batch: GroupedBatch) -> Result<Receipt, StoreError>;

    /// Makes a project with its ingest key.
    async fn create_project(&self, scope: &Scope, new: NewProject) -> Result<Project, StoreError>;

    /// Changes where a project's source is.
    async fn set_repository(
        &self,
        scope: &Scope,
        project: &str,
        repository: Option<String>,
    ) -> Result<Project, StoreError>;

    /// Sets how many events a project may send. It takes effect within a second.
    async fn set_limits(
        &self,
        scope: &Scope,
        project: &str,
        limits: Limits,
    ) -> Result<Project, StoreError>;

    /// Sets what a project asks of its apps. It is told them within a second.
    async fn set_remote_settings(
        &self,
        scope: &Scope,
        project: &str,
        settings: RemoteSettings,
    ) -> Result<Project, StoreError>;

    /// What the project of an ingest key may send, what it has sent, and what it asks of its apps.
    async fn quota(&self, scope: &Scope, now: Timestamp) -> Result<Quota, StoreError>;

    /// Ingest keys, of a project or of all, those that were revoked among them.
    async fn ingest_keys(
        &self,
        scope: &Scope,
        project: Option<&str>,
    ) -> Result<Vec<IngestKey>, StoreError>;

    /// Gives a project a further ingest key.
    async fn add_ingest_key(
        &self,
        scope: &Scope,
        project: &str,
        key: &str,
        at: Timestamp,
    ) -> Result<Project, StoreError>;

    /// Revokes an ingest key, by itself or by its number. It opens nothing any more within a second.
    async fn revoke_ingest_key(
        &self,
        scope: &Scope,
        key: &str,
        at: Timestamp,
    ) -> Result<IngestKey, StoreError>;

    /// All projects of the scope.
    async fn projects(&self, scope: &Scope) -> Result<Vec<Project>, StoreError>;

    /// Issues, the latest first.
    async fn issues(&self, scope: &Scope, filter: IssueFilter) -> Result<Vec<Issue>, StoreError>;

    /// One issue with its releases, hours and history.
    async fn issue(&self, scope: &Scope, issue: u64) -> Result<IssueDetail, StoreError>;

    /// Changes where an issue stands.
    async fn set_status(
        &self,
        scope: &Scope,
        issue: u64,
        status: Status,
        at: Timestamp,
    ) -> Result<Issue, StoreError>;

    /// Changes what belongs to which issue, and tells the issue that came of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] where that cannot be, as [`Regroup`] says.
    async fn regroup(
        &self,
        scope: &Scope,
        regroup: Regroup,
        at: Timestamp,
    ) -> Result<Issue, StoreError>;

    /// The issues of a project that are grouped for now, and parts of none: they own a provisional fingerprint, and
    /// none that tells more than one function. Those among its latest 2,000, the latest first.
    async fn provisional(&self, scope: &Scope, project: u64) -> Result<Vec<u64>, StoreError>;

    /// Groups an issue anew that was grouped for now. Where its events are several bugs, the fewer become issues of
    /// their own, or come to those that own their fingerprints; what was counted stays. The issue itself gets the
    /// fingerprints of the others, or becomes a part of the issue that owns these, if that is no less open. Tells
    /// whether anything has changed.
    async fn rekey(&self, scope: &Scope, rekey: Rekey, at: Timestamp) -> Result<bool, StoreError>;

    /// The issues that own fingerprints of a project, in the same order.
    async fn owners(
        &self,
        scope: &Scope,
        project: u64,
        fingerprints: &[String],
    ) -> Result<Vec<Option<u64>>, StoreError>;

    /// Issues of the same project that look like one, the most alike first: suggestions, which are none of them
    /// parts of others. The one is compared with the latest 20,000, by the events that opened them; what looks less
    /// alike than [`SUGGESTED_MIN`](bugsage_core::similar::SUGGESTED_MIN) is no suggestion. One that was opened
    /// before this was written down has none.
    async fn similar(
        &self,
        scope: &Scope,
        issue: u64,
        limit: u32,
    ) -> Result<Vec<SimilarIssue>, StoreError>;

    /// What a project groups by; `None` where only the built-in rules hold.
    async fn grouping_rules(
        &self,
        scope: &Scope,
        project: &str,
    ) -> Result<Option<RulesVersion>, StoreError>;

    /// What a project has grouped by, the latest first, and no more than the last hundred.
    async fn past_grouping_rules(
        &self,
        scope: &Scope,
        project: &str,
    ) -> Result<Vec<RulesVersion>, StoreError>;

    /// Sets what a project groups by. It takes effect within a second.
    async fn set_grouping_rules(
        &self,
        scope: &Scope,
        project: &str,
        rules: &str,
        at: Timestamp,
    ) -> Result<RulesVersion, StoreError>;

    /// Events of an issue, the latest first.
    async fn events(
        &self,
        scope: &Scope,
        issue: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// One event.
    async fn event(&self, scope: &Scope, event: EventId) -> Result<StoredEvent, StoreError>;

    /// Traces, those that came last first.
    async fn traces(&self, scope: &Scope, filter: TraceFilter) -> Result<Vec<Trace>, StoreError>;

    /// One trace, of all projects of the scope that have a part of it.
    async fn trace(&self, scope: &Scope, trace: TraceId) -> Result<StoredTrace, StoreError>;

    /// How releases are doing, the newest first.
    async fn releases(
        &self,
        scope: &Scope,
        filter: ReleaseFilter,
    ) -> Result<Vec<ReleaseHealth>, StoreError>;

    /// One case.
    async fn case(&self, scope: &Scope, case: CaseId) -> Result<Case, StoreError>;

    /// What is known about an issue, for its case to begin with.
    async fn subject(&self, scope: &Scope, issue: u64) -> Result<Subject, StoreError>;

    /// Takes the next job on a case that is due and in a state for this work, for a while.
    async fn lease_case(
        &self,
        scope: &Scope,
        work: Work,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeasedJob>, StoreError>;

    /// Takes the job of one case, due or not, for a while: a person wants it now. A case at rest gets
    /// a job.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] while somebody else holds it.
    async fn lease_one(
        &self,
        scope: &Scope,
        case: CaseId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<LeasedJob, StoreError>;

    /// Cases, the latest first.
    async fn cases(&self, scope: &Scope, filter: CaseFilter) -> Result<Vec<Case>, StoreError>;

    /// Opens a further case for an issue whose project has a repository.
    async fn open_case(
        &self,
        scope: &Scope,
        issue: u64,
        at: Timestamp,
    ) -> Result<CaseId, StoreError>;

    /// Saves a case under its lease, with its new transitions, and holds the lease for longer.
    async fn save_case(
        &self,
        scope: &Scope,
        lease: &LeasedJob,
        case: &Case,
        until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends a job; its case rests where it stands.
    async fn finish_job(&self, scope: &Scope, lease: &LeasedJob) -> Result<(), StoreError>;

    /// Gives a job back, to be taken again at a time; with the reason, where that is a failure.
    async fn retry_job(
        &self,
        scope: &Scope,
        lease: &LeasedJob,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Queues cases again that failed or wait for a person: of a project, or of one of its issues.
    /// Tells how many.
    async fn requeue_cases(
        &self,
        scope: &Scope,
        project: u64,
        issue: Option<u64>,
        at: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Gives back what owners whose names begin so have taken, and tells how many jobs that were.
    /// Only for a caller who knows that they are dead.
    async fn release_leases(&self, scope: &Scope, owner_prefix: &str) -> Result<u64, StoreError>;

    /// What became of all that was received.
    async fn ledger(&self, scope: &Scope, filter: LedgerFilter)
    -> Result<Vec<Account>, StoreError>;

    /// Adds bodies that were turned away to the ledger.
    async fn note_refusals(&self, scope: &Scope, refusals: Vec<Refusal>) -> Result<(), StoreError>;

    /// Keeps a batch that the program failed at, as it came, and adds it to the ledger. One that is
    /// there already stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::QuarantineFull`], beyond [`model::QUARANTINE_BYTES_MAX`] of a project.
    async fn quarantine(&self, scope: &Scope, poison: Poison) -> Result<(), StoreError>;

    /// Batches in quarantine, the oldest first.
    async fn quarantined(&self, scope: &Scope) -> Result<Vec<Quarantined>, StoreError>;

    /// A batch in quarantine, with the scope that it came under.
    async fn poison(&self, scope: &Scope, batch: BatchId) -> Result<(Scope, Poison), StoreError>;

    /// Takes a batch out of quarantine: it was replayed, or nobody wants it.
    async fn discard(&self, scope: &Scope, batch: BatchId) -> Result<(), StoreError>;

    /// Takes one small step at making room: whole events and traces go, counts stay. Projects of which it is known
    /// that they have no room are only swept by age.
    async fn sweep(
        &self,
        scope: &Scope,
        retention: Retention,
        now: Timestamp,
        without_room: &[u64],
    ) -> Result<Swept, StoreError>;

    /// The version of the schema, as it is now. Shows that reading works.
    async fn schema_version(&self) -> Result<u32, StoreError>;

    /// Writes what is there already. Shows whether writing works.
    async fn probe(&self) -> Result<(), StoreError>;

    /// What is in the store.
    async fn usage(&self, scope: &Scope, now: Timestamp) -> Result<Usage, StoreError>;

    /// Writes all that waits and lets go of the files. Nothing is written after it.
    async fn close(&self);

    /// How long the write that waits longest has waited. Costs nothing.
    fn oldest_wait(&self) -> Duration;

    /// How the store is doing.
    async fn health(&self) -> Health;
}
