//! The embedded store: SQLite in one file, one writer thread, connections that only read.
//!
//! ```text
//! calls ─► writer queue ─► transaction of many ─► commit + sync ─► answers
//! calls ─► reader connections (snapshots, short)
//! ```
//!
//! Write-ahead log with `synchronous=FULL`: a commit returns after its sync. The writer thread
//! owns the write connection and all checkpoints. Client commands open the same file from another
//! process and never checkpoint.

mod open;
mod errors;
mod carry;
mod writer;
mod readers;
mod ingest;
mod issues;
mod fingerprints;
mod grouping;
mod rekey;
mod similar;
mod events;
mod traces;
mod files;
mod runs;
mod releases;
mod ledger;
mod quarantine;
mod sweep;
mod verify;
mod backup;
mod usage;
mod projects;
mod cases;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use bugsage_core::clock::Timestamp;
use bugsage_core::id::{BatchId, CaseId, EventId};
use bugsage_core::remote::RemoteSettings;
use bugsage_core::trace_context::TraceId;
use bugsage_pipeline::case::Case;
use bugsage_pipeline::subject::Subject;

use super::grouping::{Regroup, Rekey, RulesVersion, SimilarIssue};
use super::model::{
    Account, CaseFilter, GroupedBatch, Health, IngestKey, Issue, IssueDetail, IssueFilter,
    LeasedJob, LedgerFilter, Limits, NewProject, Poison, Project, Quarantined, Quota, Receipt,
    Refusal, ReleaseFilter, ReleaseHealth, Retention, Status, StoredEvent, Swept, Usage, Work,
};
use super::scope::{Organizations, Scope};
use super::trace::{StoredTrace, Trace, TraceFilter};
use super::{Store, StoreError};

pub use backup::{Copied, backup, check, restore};
use ingest::Sender;
pub use open::{OpenOptions, Owner, SQLITE_VERSION_MIN, make_folder};
use readers::Readers;
use writer::Writer;

/// Versions of rules that are told. They may be 64 KiB each.
const PAST_RULES_MAX: u32 = 100;

/// The embedded store.
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Readers>,
    schema_version: u32,
}

impl SqliteStore {
    /// Opens the store in a folder, making it and bringing its schema up to date where needed.
    pub fn open(options: OpenOptions) -> Result<Self, StoreError> {
        let (connection, schema_version) = open::for_writing(&options)?;
        let writer = Writer::start(connection, &options)?;
        Ok(Self {
            writer,
            readers: Arc::new(Readers::new(options)),
            schema_version,
        })
    }

    /// The file that a folder's store lies in.
    pub fn file(folder: &Path) -> std::path::PathBuf {
        folder.join("bugsage.db")
    }

    /// The version of the schema of a store that is there, and the newest that this program knows.
    /// Changes nothing.
    pub fn look(folder: &Path) -> Result<(u32, u32), StoreError> {
        let connection = open::for_reading(&OpenOptions::new(folder, Owner::Client))?;
        let found = usage::schema_version(&connection)?;
        // Of a file that is no database, the version alone reads as zero.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        Ok((found, open::newest_schema()))
    }

    /// Runs a query on a connection that only reads, off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(query).await
    }

    /// Runs a change on the writer thread; the answer comes after the sync.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(change).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ingest_scope(&self, key: &str) -> Result<Option<Scope>, StoreError> {
        let key = key.to_owned();
        self.read(move |c| projects::ingest_scope(c, &key)).await
    }

    async fn ingest(&self, scope: &Scope, batch: GroupedBatch) -> Result<Receipt, StoreError> {
        let project = scope.ingest_project().ok_or(StoreError::Forbidden)?;
        let key = scope.ingest_key().ok_or(StoreError::Forbidden)?;
        self.writer.ingest(Sender { project, key }, batch).await
    }

    async fn create_project(&self, scope: &Scope, new: NewProject) -> Result<Project, StoreError> {
        let organizations = scope.organizations();
        self.write(move |tx| projects::create(tx, organizations, new))
            .await
    }

    async fn set_repository(
        &self,
        scope: &Scope,
        project: &str,
        repository: Option<String>,
    ) -> Result<Project, StoreError> {
        let (organizations, project) = (scope.organizations(), project.to_owned());
        self.write(move |tx| projects::set_repository(tx, organizations, &project, repository))
            .await
    }

    async fn set_limits(
        &self,
        scope: &Scope,
        project: &str,
        limits: Limits,
    ) -> Result<Project, StoreError> {
        let (organizations, project) = (scope.organizations(), project.to_owned());
        self.write(move |tx| projects::set_limits(tx, organizations, &project, limits))
            .await
    }

    async fn set_remote_settings(
        &self,
        scope: &Scope,
        project: &str,
        settings: RemoteSettings,
    ) -> Result<Project, StoreError> {
        let (organizations, project) = (scope.organizations(), project.to_owned());
        self.write(move |tx| projects::set_remote_settings(tx, organizations, &project, settings))
            .await
    }

    async fn quota(&self, scope: &Scope, now: Timestamp) -> Result<Quota, StoreError> {
        let project = scope.ingest_project().ok_or(StoreError::Forbidden)?;
        self.read(move |c| projects::quota(c, project, now)).await
    }

    async fn ingest_keys(
        &self,
        scope: &Scope,
        project: Option<&str>,
    ) -> Result<Vec<IngestKey>, StoreError> {
        let (organizations, project) = (scope.organizations(), project.map(str::to_owned));
        self.read(move |c| projects::keys(c, organizations, project.as_deref()))
            .await
    }

    async fn add_ingest_key(
        &self,
        scope: &Scope,
        project: &str,
        key: &str,
        at: Timestamp,
    ) -> Result<Project, StoreError> {
        let (organizations, project) = (scope.organizations(), project.to_owned());
        let key = key.to_owned();
        self.write(move |tx| projects::add_key(tx, organizations, &project, &key, at))
            .await
    }

    async fn revoke_ingest_key(
        &self,
        scope: &Scope,
        key: &str,
        at: Timestamp,
    ) -> Result<IngestKey, StoreError> {
        let (organizations, key) = (scope.organizations(), key.to_owned());
        self.write(move |tx| projects::revoke_key(tx, organizations, &key, at))
            .await
    }

    async fn projects(&self, scope: &Scope) -> Result<Vec<Project>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| projects::list(c, organizations)).await
    }

    async fn issues(&self, scope: &Scope, filter: IssueFilter) -> Result<Vec<Issue>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| issues::list(c, organizations, &filter))
            .await
    }

    async fn issue(&self, scope: &Scope, issue: u64) -> Result<IssueDetail, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| issues::detail(c, organizations, issue))
            .await
    }

    async fn set_status(
        &self,
        scope: &Scope,
        issue: u64,
        status: Status,
        at: Timestamp,
    ) -> Result<Issue, StoreError> {
        let (organizations, actor) = (scope.organizations(), scope.actor().to_owned());
        self.write(move |tx| issues::set_status(tx, organizations, issue, status, &actor, at))
            .await
    }

    async fn regroup(
        &self,
        scope: &Scope,
        regroup: Regroup,
        at: Timestamp,
    ) -> Result<Issue, StoreError> {
        let (organizations, actor) = (scope.organizations(), scope.actor().to_owned());
        self.write(move |tx| grouping::regroup(tx, organizations, &regroup, &actor, at))
            .await
    }

    async fn provisional(&self, scope: &Scope, project: u64) -> Result<Vec<u64>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| rekey::provisional(c, organizations, project))
            .await
    }

    async fn rekey(&self, scope: &Scope, rekey: Rekey, at: Timestamp) -> Result<bool, StoreError> {
        let (organizations, actor) = (scope.organizations(), scope.actor().to_owned());
        self.write(move |tx| rekey::rekey(tx, organizations, &rekey, &actor, at))
            .await
    }

    async fn owners(
        &self,
        scope: &Scope,
        project: u64,
        fingerprints: &[String],
    ) -> Result<Vec<Option<u64>>, StoreError> {
        let (organizations, fingerprints) = (scope.organizations(), fingerprints.to_vec());
        self.read(move |c| grouping::owners(c, organizations, project, &fingerprints))
            .await
    }

    async fn similar(
        &self,
        scope: &Scope,
        issue: u64,
        limit: u32,
    ) -> Result<Vec<SimilarIssue>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| similar::list(c, organizations, issue, limit))
            .await
    }

    async fn grouping_rules(
        &self,
        scope: &Scope,
        project: &str,
    ) -> Result<Option<RulesVersion>, StoreError> {
        let (organizations, project) = (scope.organizations(), project.to_owned());
        self.read(move |c| grouping::rules(c, organizations, &project))
            .await
    }

    async fn past_grouping_rules(
        &self,
        scope: &Scope,
        project: &str,
    ) -> Result<Vec<RulesVersion>, StoreError> {
        let (organizations, project) = (scope.organizations(), project.to_owned());
        self.read(move |c| grouping::past_rules(c, organizations, &project, PAST_RULES_MAX))
            .await
    }

    async fn set_grouping_rules(
        &self,
        scope: &Scope,
        project: &str,
        rules: &str,
        at: Timestamp,
    ) -> Result<RulesVersion, StoreError> {
        let (organizations, actor) = (scope.organizations(), scope.actor().to_owned());
        let (project, rules) = (project.to_owned(), rules.to_owned());
        self.write(move |tx| grouping::set_rules(tx, organizations, &project, &rules, &actor, at))
            .await
    }

    async fn events(
        &self,
        scope: &Scope,
        issue: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| events::list(c, organizations, issue, limit))
            .await
    }

    async fn event(&self, scope: &Scope, event: EventId) -> Result<StoredEvent, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| events::one(c, organizations, event))
            .await
    }

    async fn traces(&self, scope: &Scope, filter: TraceFilter) -> Result<Vec<Trace>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| traces::list(c, organizations, &filter))
            .await
    }

    async fn trace(&self, scope: &Scope, trace: TraceId) -> Result<StoredTrace, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| traces::one(c, organizations, trace))
            .await
    }

    async fn releases(
        &self,
        scope: &Scope,
        filter: ReleaseFilter,
    ) -> Result<Vec<ReleaseHealth>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| releases::list(c, organizations, &filter))
            .await
    }

    async fn case(&self, scope: &Scope, case: CaseId) -> Result<Case, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| cases::one(c, organizations, case)).await
    }

    async fn subject(&self, scope: &Scope, issue: u64) -> Result<Subject, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| cases::subject(c, organizations, issue))
            .await
    }

    async fn lease_case(
        &self,
        scope: &Scope,
        work: Work,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeasedJob>, StoreError> {
        let (organizations, owner) = (scope.organizations(), owner.to_owned());
        // Looked for without writing first: an idle collector syncs nothing.
        if !self
            .read(move |c| cases::is_due(c, organizations, work, now))
            .await?
        {
            return Ok(None);
        }
        self.write(move |tx| cases::lease(tx, organizations, work, &owner, now, until))
            .await
    }

    async fn lease_one(
        &self,
        scope: &Scope,
        case: CaseId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<LeasedJob, StoreError> {
        let (organizations, owner) = (scope.organizations(), owner.to_owned());
        self.write(move |tx| cases::lease_one(tx, organizations, case, &owner, now, until))
            .await
    }

    async fn cases(&self, scope: &Scope, filter: CaseFilter) -> Result<Vec<Case>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| cases::list(c, organizations, &filter))
            .await
    }

    async fn open_case(
        &self,
        scope: &Scope,
        issue: u64,
        at: Timestamp,
    ) -> Result<CaseId, StoreError> {
        let organizations = scope.organizations();
        self.write(move |tx| cases::open_again(tx, organizations, issue, at))
            .await
    }

    async fn save_case(
        &self,
        scope: &Scope,
        lease: &LeasedJob,
        case: &Case,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let (organizations, lease, case) = (scope.organizations(), lease.clone(), case.clone());
        self.write(move |tx| cases::save(tx, organizations, &lease, &case, until))
            .await
    }

    async fn finish_job(&self, scope: &Scope, lease: &LeasedJob) -> Result<(), StoreError> {
        let (organizations, lease) = (scope.organizations(), lease.clone());
        self.write(move |tx| cases::finish(tx, organizations, &lease))
            .await
    }

    async fn retry_job(
        &self,
        scope: &Scope,
        lease: &LeasedJob,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let (organizations, lease) = (scope.organizations(), lease.clone());
        let error = error.map(str::to_owned);
        self.write(move |tx| cases::retry(tx, organizations, &lease, at, error.as_deref()))
            .await
    }

    async fn requeue_cases(
        &self,
        scope: &Scope,
        project: u64,
        issue: Option<u64>,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let (organizations, actor) = (scope.organizations(), scope.actor().to_owned());
        self.write(move |tx| cases::requeue(tx, organizations, project, issue, &actor, at))
            .await
    }

    async fn release_leases(&self, scope: &Scope, owner_prefix: &str) -> Result<u64, StoreError> {
        let (organizations, prefix) = (scope.organizations(), owner_prefix.to_owned());
        self.write(move |tx| cases::release(tx, organizations, &prefix))
            .await
    }

    async fn ledger(
        &self,
        scope: &Scope,
        filter: LedgerFilter,
    ) -> Result<Vec<Account>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| ledger::accounts(c, organizations, &filter))
            .await
    }

    async fn note_refusals(&self, scope: &Scope, refusals: Vec<Refusal>) -> Result<(), StoreError> {
        if scope.organizations() != Organizations::All {
            return Err(StoreError::Forbidden);
        }
        self.write(move |tx| ledger::note_refusals(tx, &refusals))
            .await
    }

    async fn quarantine(&self, scope: &Scope, poison: Poison) -> Result<(), StoreError> {
        let project = scope.ingest_project().ok_or(StoreError::Forbidden)?;
        let key = scope.ingest_key().ok_or(StoreError::Forbidden)?;
        let sender = Sender { project, key };
        self.write(move |tx| quarantine::keep(tx, sender, &poison))
            .await
    }

    async fn quarantined(&self, scope: &Scope) -> Result<Vec<Quarantined>, StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| quarantine::list(c, organizations)).await
    }

    async fn poison(&self, scope: &Scope, batch: BatchId) -> Result<(Scope, Poison), StoreError> {
        let organizations = scope.organizations();
        self.read(move |c| quarantine::one(c, organizations, batch))
            .await
    }

    async fn discard(&self, scope: &Scope, batch: BatchId) -> Result<(), StoreError> {
        let organizations = scope.organizations();
        self.write(move |tx| quarantine::discard(tx, organizations, batch))
            .await
    }

    async fn sweep(
        &self,
        scope: &Scope,
        retention: Retention,
        now: Timestamp,
        without_room: &[u64],
    ) -> Result<Swept, StoreError> {
        if scope.organizations() != Organizations::All {
            return Err(StoreError::Forbidden);
        }
        let swept = self
            .write({
                let without_room = without_room.to_vec();
                move |tx| sweep::step(tx, retention, now, &without_room)
            })
            .await?;
        if swept.is_done && self.read(sweep::has_free_pages).await? {
            self.write(sweep::give_back).await?;
            return Ok(Swept {
                is_done: false,
                ..swept
            });
        }
        Ok(swept)
    }

    async fn schema_version(&self) -> Result<u32, StoreError> {
        self.read(usage::schema_version).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.write(usage::probe).await
    }

    async fn usage(&self, scope: &Scope, now: Timestamp) -> Result<Usage, StoreError> {
        if scope.organizations() != Organizations::All {
            return Err(StoreError::Forbidden);
        }
        self.read(move |c| usage::usage(c, now)).await
    }

    async fn close(&self) {
        // A reader that is open would keep the log from being emptied.
        self.readers.close();
        self.writer.end().await;
    }

    fn oldest_wait(&self) -> Duration {
        Duration::from_micros(self.writer.state().oldest_wait_us())
    }

    async fn health(&self) -> Health {
        let state = self.writer.state();
        Health {
            failed: state.failed(),
            refused: state.refused(),
            schema_version: self.schema_version,
            waiting: self.writer.waiting(),
            since_commit: state.since_commit(),
            commit_us: state.commit_us(),
            oldest_wait_us: state.oldest_wait_us(),
        }
    }
}

/// Microseconds of an hour.
const HOUR_US: u64 = 3_600_000_000;

/// SQL's integers are signed; ids and counts stay far below.
fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The condition that keeps a query inside its scope, for a query over `projects p`.
fn scoped(organizations: Organizations) -> String {
    match organizations {
        Organizations::None => "0".to_owned(),
        Organizations::One(organization) => format!("p.organization = {organization}"),
        Organizations::All => "1".to_owned(),
    }
}
