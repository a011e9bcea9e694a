//! What goes into a store and comes out of it: plain data, no type of any database.

use std::sync::Arc;
use std::time::Duration;

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, Losses, RunState};
use bugsage_core::fingerprint::{Fingerprint, Kept};
use bugsage_core::id::{BatchId, CaseId, EventId};
use bugsage_core::remote::RemoteSettings;
use bugsage_pipeline::case::State;

use super::grouping::OwnedFingerprint;
use super::pack::{Pack, Slot, StoredStack};
use super::trace::{GroupedSpans, SpanAccount};

/// A project to be made.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// Its name, unique in the organization.
    pub name: String,
    /// Where its source is.
    pub repository: Option<String>,
    /// Its first ingest key.
    pub ingest_key: String,
    /// When it is made.
    pub at: Timestamp,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Where its source is.
    pub repository: Option<String>,
    /// Its newest ingest key that was not revoked.
    pub ingest_key: Option<String>,
    /// How many issues it has.
    pub issues: u64,
    /// What its apps say they lost, by reason.
    pub losses: Vec<(String, u64)>,
    /// How many events it may send.
    pub limits: Limits,
    /// What it asks of its apps.
    pub settings: RemoteSettings,
}

/// How many events a project may send; `None` is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// In a minute, all keys together.
    pub rate: Option<u64>,
    /// In a minute, each key.
    pub key_rate: Option<u64>,
    /// In a month of UTC.
    pub monthly_quota: Option<u64>,
}

/// Limits with what was used of them, and what else of a project is wanted for each batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// The limits.
    pub limits: Limits,
    /// What the project asks of its apps.
    pub settings: RemoteSettings,
    /// Where its source is.
    pub repository: Option<Arc<str>>,
    /// What it groups by instead of the built-in rules; empty where those hold.
    pub rules: String,
    /// Events that were counted this month, where there is a quota.
    pub month: u64,
    /// Events that were counted this hour, where there is a quota.
    pub hour: u64,
    /// Events that are to be expected in this hour, where there is a quota: the larger of what an hour of
    /// the last day had, and what this hour of the last seven days had, on average.
    pub expected: u64,
}

/// An ingest key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestKey {
    /// Its number.
    pub id: u64,
    /// The key itself.
    pub key: String,
    /// Its project's number.
    pub project: u64,
    /// Its project's name.
    pub project_name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it opens nothing.
    pub revoked_at: Option<Timestamp>,
}

/// Events that nobody looked at: their project had sent too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// Which limit.
    pub reason: &'static str,
    /// How many events.
    pub events: u64,
    /// How many reports they stand for.
    pub reports: u64,
}

/// A batch after grouping, ready to be written.
#[derive(Debug)]
pub struct GroupedBatch {
    /// The id that makes it count once.
    pub id: BatchId,
    /// When it was received.
    pub received_at: Timestamp,
    /// Its events.
    pub events: Vec<GroupedEvent>,
    /// The documents of those that are to be kept whole.
    pub packs: Vec<Pack>,
    /// Events that are not among `events`, since there were too many.
    pub limited: Option<Limited>,
    /// Items that could not be used, by reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// What its senders say they lost.
    pub losses: Vec<Losses>,
    /// How runs are doing.
    pub run_states: Vec<RunState>,
    /// Its finished spans.
    pub spans: GroupedSpans,
}

/// An event with the bug it belongs to.
#[derive(Debug)]
pub struct GroupedEvent {
    /// The event without its stack. Cleaned, where it has a document; otherwise as far as it is counted.
    pub event: Event,
    /// Its document, if it was chosen to be kept whole. A store may have to keep it without.
    pub document: Option<Slot>,
    /// The stack as it is stored, once for all events that have it.
    pub stack: Option<StoredStack>,
    /// Its fingerprints, most telling first.
    pub fingerprints: Vec<Fingerprint>,
    /// What each of them is made of, in the same order.
    pub reasons: Arc<[Vec<Kept>]>,
    /// The class of the bug.
    pub class: String,
    /// The function or place that failed.
    pub culprit: String,
    /// One line for lists.
    pub title: String,
    /// `low`, `medium`, `high` or `critical`, until an analysis knows better.
    pub severity: &'static str,
    /// Whether the issue is worth a case, as far as the event can tell.
    pub wants_case: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Events that are now stored and counted.
    pub accepted: u64,
    /// Events that were stored before, by this batch or another one.
    pub duplicate: u64,
    /// Events that were too many.
    pub limited: u64,
    /// Finished spans that are now counted, and stored as far as there is room.
    pub spans: u64,
    /// Finished spans that were counted before.
    pub duplicate_spans: u64,
}

/// What batches in quarantine may take of a project. They are a fault of ours, which nobody should be
/// able to fill a disk with.
pub const QUARANTINE_BYTES_MAX: u64 = 16 << 20;

/// A batch that the program failed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// Its id.
    pub batch: BatchId,
    /// When it was received.
    pub received_at: Timestamp,
    /// Where the program failed, and how. May hold data of the batch.
    pub reason: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// A batch in quarantine, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id.
    pub batch: BatchId,
    /// Its project's number.
    pub project: u64,
    /// Its project's name.
    pub project_name: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// Where the program failed, and how. May hold data of the batch.
    pub reason: String,
    /// The size of the body.
    pub bytes: u64,
}

/// Where an issue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Somebody should do something about it.
    Unresolved,
    /// It is mended; a newer release that has it reopens it.
    Resolved,
    /// Nobody wants to hear of it.
    Ignored,
}

impl Status {
    /// The status' name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Unresolved => "unresolved",
            Status::Resolved => "resolved",
            Status::Ignored => "ignored",
        }
    }
}

/// An issue with its counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// Its number.
    pub id: u64,
    /// Its project's number.
    pub project: u64,
    /// Its project's name.
    pub project_name: String,
    /// `panic`, `error` or `log`.
    pub kind: String,
    /// The level of its latest event.
    pub level: String,
    /// One line for lists.
    pub title: String,
    /// The class of the bug.
    pub class: String,
    /// The function or place that failed.
    pub culprit: String,
    /// `unresolved`, `resolved` or `ignored`.
    pub status: String,
    /// `new`, `ongoing` or `regressed`.
    pub substatus: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// Reports, repeats counted.
    pub events: u64,
    /// About how many different users, within 2.3 %.
    pub users: u64,
    /// When its first report was made.
    pub first_seen: Timestamp,
    /// When its last report was made.
    pub last_seen: Timestamp,
    /// The release that first had it.
    pub first_release: Option<String>,
    /// The release that last had it.
    pub last_release: Option<String>,
    /// The latest of its events that were kept.
    pub latest_event: Option<EventId>,
    /// Its latest case.
    pub case: Option<CaseId>,
    /// The issue that it is a part of.
    pub merged_into: Option<u64>,
}

/// Which issues are wanted.
#[derive(Debug, Clone, Default)]
pub struct IssueFilter {
    /// Only those of a project, by its name or number.
    pub project: Option<String>,
    /// Only those of a status.
    pub status: Option<String>,
    /// Only those whose title, class or culprit has all these words.
    pub words: Vec<String>,
    /// At most so many, the latest first.
    pub limit: u32,
}

/// What an issue did in a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueRelease {
    /// The release.
    pub release: String,
    /// Reports in it.
    pub events: u64,
    /// When it first had the issue.
    pub first_seen: Timestamp,
    /// When it last had it.
    pub last_seen: Timestamp,
}

/// Something that happened to an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// What: `opened`, `resolved`, `ignored`, `reopened`, `regressed in ...`.
    pub what: String,
}

/// Everything about an issue that a page needs beside its events.
#[derive(Debug, Clone, PartialEq)]
pub struct IssueDetail {
    /// The issue.
    pub issue: Issue,
    /// Its releases, the first first.
    pub releases: Vec<IssueRelease>,
    /// Reports by hour since the epoch, only hours that have some.
    pub hours: Vec<(u64, u64)>,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryEntry>,
    /// The fingerprints it owns, the first first.
    pub fingerprints: Vec<OwnedFingerprint>,
    /// The issues that are a part of it.
    pub parts: Vec<Issue>,
}

/// An event as it was stored, with the issue it belongs to.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// The project's number.
    pub project: u64,
    /// The issue.
    pub issue: u64,
    /// Its first fingerprint, where that was written down.
    pub fingerprint: Option<String>,
    /// The event with its stack.
    pub event: Event,
}

/// Which releases are wanted.
#[derive(Debug, Clone)]
pub struct ReleaseFilter {
    /// Only those of a project, by its name or number.
    pub project: Option<String>,
    /// Only runs in an environment.
    pub environment: Option<String>,
    /// Only runs that were heard of since then, and what they counted since then.
    pub since: Timestamp,
    /// A run that goes on and was not heard of since then ended nobody knows how.
    pub silent_since: Timestamp,
    /// At most so many, the newest first.
    pub limit: u32,
}

/// How a release is doing in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseHealth {
    /// The number of its project.
    pub project: u64,
    /// The name of its project.
    pub project_name: String,
    /// The release, where its runs told one.
    pub release: Option<String>,
    /// The environment, where its runs told one.
    pub environment: Option<String>,
    /// Its runs by how they ended.
    pub runs: RunCounts,
    /// About how many users its runs told.
    pub users: u64,
    /// About how many of them met a panic.
    pub users_panicked: u64,
    /// Root spans that closed.
    pub roots: u64,
    /// Root spans in which something failed.
    pub roots_failed: u64,
    /// When its first run began.
    pub first_seen: Timestamp,
    /// When its last run was last known to live.
    pub last_seen: Timestamp,
    /// Reports of the release, in all environments and for ever.
    pub events: u64,
    /// Issues that the release was the first to have, in all environments.
    pub new_issues: u64,
}

/// Runs by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// They go on.
    pub running: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// As they should.
    pub clean: u64,
    /// From outside, or by a word of their own.
    pub killed: u64,
    /// By a native crash.
    pub crashed: u64,
    /// By a panic.
    pub panicked: u64,
}

/// A job that somebody has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedJob {
    /// Its number.
    pub id: u64,
    /// Its project.
    pub project: u64,
    /// The case it is about.
    pub case: CaseId,
    /// How often it was taken before.
    pub attempts: u32,
    /// Until when nobody else takes it.
    pub lease_until: Timestamp,
    /// Who took it.
    pub owner: String,
}

/// Which part of the way of a case a worker takes. Explaining takes a moment and a proof minutes, so
/// that no explanation waits for a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Until the bug is explained.
    Explain,
    /// From there on.
    Prove,
}

impl Work {
    /// Whether a case in this state is for this worker.
    pub fn includes(self, state: State) -> bool {
        let explains = matches!(state, State::Queued | State::Analyzing);
        explains == (self == Work::Explain)
    }
}

/// Which cases are wanted.
#[derive(Debug, Clone, Default)]
pub struct CaseFilter {
    /// Only those of a project, by its name or number.
    pub project: Option<String>,
    /// Only those in this state.
    pub state: Option<State>,
    /// At most so many, the latest first.
    pub limit: u32,
}

/// Which part of the ledger is wanted.
#[derive(Debug, Clone)]
pub struct LedgerFilter {
    /// Only a project, by its name or number.
    pub project: Option<String>,
    /// What was received since then, by whole hours.
    pub since: Timestamp,
}

/// What became of all that a project received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The project's number; 0 for what came under keys that are not known.
    pub project: u64,
    /// Its name.
    pub project_name: String,
    /// By key, hour, outcome and reason.
    pub lines: Vec<LedgerLine>,
    /// Bodies that were turned away unread or unreadable.
    pub refusals: Vec<Refusal>,
    /// What its apps say they lost before they could send it, by reason, for ever.
    pub losses: Vec<(String, u64)>,
    /// The same of finished spans.
    pub spans: SpanAccount,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// The number of the ingest key.
    pub key: u64,
    /// The hour since the epoch in which it was received.
    pub hour: u64,
    /// `received`, or what became of that: `stored`, `sampled_out`, `duplicate`, `filtered`, `limited`,
    /// `invalid`.
    pub outcome: String,
    /// Why, in a word; empty where the outcome says it.
    pub reason: String,
    /// Events.
    pub events: u64,
    /// Reports that they stand for.
    pub reports: u64,
}

/// Bodies that were turned away before anything in them was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The project; 0 where the key was not known.
    pub project: u64,
    /// The hour since the epoch.
    pub hour: u64,
    /// Why, in a word.
    pub reason: String,
    /// How many requests.
    pub requests: u64,
    /// How long their bodies were, as far as they said.
    pub bytes: u64,
}

/// How long whole events and traces are kept, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days after which they go.
    pub days: u32,
    /// Bytes that those of a project may take on the disk.
    pub bytes: u64,
    /// Days after which traces go that belong to no kept event.
    pub trace_days: u32,
    /// Bytes that the traces of a project may take on the disk.
    pub trace_bytes: u64,
}

/// What one step of making room has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Events that went.
    pub events: u64,
    /// Traces that went.
    pub traces: u64,
    /// Bytes that are free now.
    pub bytes: u64,
    /// Whether there is nothing more to do.
    pub is_done: bool,
    /// A project whose budget is too small for what must stay.
    pub has_no_room: Option<u64>,
}

impl Default for Swept {
    fn default() -> Self {
        Self {
            events: 0,
            traces: 0,
            bytes: 0,
            is_done: true,
            has_no_room: None,
        }
    }
}

/// How a store is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Why it takes nothing, where it does not.
    pub failed: Option<String>,
    /// Why the last write failed, where it did. The next may work.
    pub refused: Option<String>,
    /// The newest migration that was applied.
    pub schema_version: u32,
    /// Writes that wait.
    pub waiting: u64,
    /// How long the last write took, its sync included.
    pub commit_us: u64,
    /// How long that is ago, where there was one.
    pub since_commit: Option<Duration>,
    /// For how long the oldest waiting write has waited.
    pub oldest_wait_us: u64,
}

/// What is in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Pages of the database.
    pub pages: u64,
    /// Those that nothing is in.
    pub free_pages: u64,
    /// Documents of kept events, as they are packed.
    pub kept_bytes: u64,
    /// Pieces of traces, as they are packed.
    pub trace_bytes: u64,
    /// When the newest of both came, by the clock of then.
    pub newest_at: Option<Timestamp>,
    /// Jobs by kind and state.
    pub jobs: Vec<Jobs>,
}

/// So many jobs of a kind in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jobs {
    /// What is to be done.
    pub kind: String,
    /// `leased`, `due` or `resting`.
    pub state: &'static str,
    /// How many.
    pub jobs: u64,
}
