//! What any store must do: each claim a function over [`Store`], run against every backend.

mod batches;
mod issues;
mod runs;
mod retention;
mod traces;
mod quarantine;
mod cases;
mod regroup;
mod rekey;
mod similar;

use std::sync::Arc;

use bugsage_core::batch::Batch;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, EventKind, FINGERPRINT_TAG, Level, Location, Run, Thread};
use bugsage_core::id::{BatchId, EventId, RunId};
use bugsage_core::span::Span;
use bugsage_core::stacktrace::{Frame, StackTrace};

use crate::group;
use crate::group::sample::Keep;

use super::model::{GroupedBatch, Issue, IssueFilter, NewProject, Project, Receipt};
use super::scope::Scope;
use super::sqlite::{OpenOptions, Owner, SqliteStore};
use super::{Store, StoreError};

/// A point in time that is far from both ends.
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

/// An hour in microseconds.
const HOUR_US: u64 = 3_600_000_000;

/// Runs every claim against a backend, each on a store of its own. `$open` makes an empty one and
/// whatever must live as long as it does.
macro_rules! suite {
    ($backend:ident, $open:path) => {
        suite! { $backend, $open,
            batches::a_batch_counts_once_whoever_sends_it_again,
            batches::an_event_counts_once_in_any_batch,
            batches::what_is_stored_comes_back_as_it_was,
            batches::counts_are_kept_by_issue_release_hour_and_user,
            batches::the_latest_event_is_so_by_time_and_not_by_arrival,
            batches::losses_are_running_totals,
            batches::a_weak_fingerprint_leads_to_an_issue_only_where_nothing_better_is_known,
            issues::issues_are_filtered_and_the_latest_stand_first,
            issues::a_change_of_status_is_written_down_with_its_actor,
            issues::a_resolved_issue_comes_back_with_a_newer_release_only,
            issues::a_name_of_a_project_is_given_once,
            issues::a_project_is_found_by_name_and_by_number,
            issues::a_project_asks_its_apps_for_what_was_set_last,
            issues::a_key_opens_its_project_for_writing_and_nothing_else,
            issues::what_is_not_there_is_told,
            runs::what_is_told_of_runs_counts_once_in_any_order,
            runs::releases_are_told_by_project_environment_and_time,
            runs::a_run_that_fell_silent_ended_nobody_knows_how,
            runs::a_release_tells_its_events_and_the_issues_that_it_brought,
            runs::what_a_sender_says_is_brought_within_bounds,
            retention::old_events_go_and_their_counts_and_ids_stay,
            retention::a_budget_thins_what_is_common_and_leaves_what_is_rare,
            retention::what_always_stays_may_be_more_than_the_budget,
            retention::only_the_system_sweeps,
            traces::a_trace_is_put_together_from_pieces_in_any_order,
            traces::a_span_that_comes_twice_is_shown_once,
            traces::a_batch_of_spans_that_comes_again_is_a_duplicate,
            traces::a_trace_goes_through_the_services_of_several_projects,
            traces::no_other_scope_sees_a_trace,
            traces::traces_are_listed_by_when_they_came_and_stand_for_their_root,
            traces::all_spans_are_accounted_for_by_what_became_of_them,
            traces::a_trace_beyond_its_bound_is_cut_and_keeps_its_entries,
            traces::what_apps_lost_of_their_spans_is_a_running_total,
            traces::a_trace_stays_as_long_as_the_event_that_was_made_in_it,
            traces::a_budget_takes_the_oldest_traces_and_those_of_events_last,
            traces::the_traces_of_events_alone_do_not_fill_a_disk,
            quarantine::a_batch_in_quarantine_is_kept_as_it_came_and_counted_beside_the_equation,
            quarantine::the_quarantine_of_a_project_is_bounded,
            quarantine::a_batch_that_the_store_fails_at_takes_none_of_its_neighbors_along,
            cases::an_issue_worth_it_gets_one_case_where_there_is_a_repository,
            cases::a_job_is_leased_to_one_owner_until_its_lease_runs_out,
            cases::a_case_is_saved_under_its_lease_alone,
            cases::a_job_that_is_given_back_rests_until_its_time,
            cases::a_job_that_is_done_is_gone,
            cases::jobs_are_told_by_state_and_to_the_system_alone,
            cases::an_explanation_and_a_proof_are_the_work_of_different_leases,
            cases::one_case_is_leased_by_name_and_by_nobody_else_meanwhile,
            cases::cases_are_listed_by_project_and_state_and_an_issue_may_get_a_further_one,
            cases::leases_of_the_dead_are_released_and_no_others,
            cases::a_healthy_store_says_so,
            regroup::merged_issues_count_as_one_and_come_apart_as_they_were,
            regroup::what_is_said_of_a_part_is_said_of_the_whole,
            regroup::a_part_comes_out_with_its_own_parts_and_its_own_standing,
            regroup::a_fingerprint_that_is_split_off_stays_apart,
            regroup::an_issue_of_several_classes_tells_of_the_latest,
            regroup::what_is_split_off_counts_as_if_it_had_come_alone,
            regroup::what_cannot_be_regrouped_is_refused,
            regroup::the_rules_of_a_project_are_those_that_were_set_last,
            rekey::events_that_turn_out_to_be_several_bugs_part,
            rekey::an_issue_that_turns_out_to_be_another_one_is_merged_into_it,
            rekey::what_is_open_is_not_hidden_and_what_people_said_holds,
            similar::issues_that_look_alike_are_suggested_with_what_they_share,
            similar::a_part_is_no_suggestion_and_later_events_change_none,
        }
    };
    ($backend:ident, $open:path, $($part:ident::$claim:ident,)*) => {
        mod $backend {
            $(
                #[tokio::test]
                async fn $claim() {
                    let (store, _keeps) = $open();
                    super::$part::$claim(&store).await;
                }
            )*
        }
    };
}

suite!(sqlite, super::sqlite_in_a_folder);

fn sqlite_in_a_folder() -> (SqliteStore, Folder) {
    let name = format!("bugsage-store-{}", uuid::Uuid::new_v4().simple());
    let folder = Folder(std::env::temp_dir().join(name));
    let options = OpenOptions::new(&folder.0, Owner::Server);
    let store = SqliteStore::open(options).expect("an empty folder can be used");
    (store, folder)
}

/// Removed when dropped.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A project with the scope that its key opens.
struct Sender {
    project: Project,
    scope: Scope,
}

impl Sender {
    async fn new(store: &dyn Store, name: &str) -> Self {
        Self::with(store, name, None).await
    }

    async fn with_repository(store: &dyn Store) -> Self {
        Self::with(store, "shop", Some("/srv/shop")).await
    }

    async fn with(store: &dyn Store, name: &str, repository: Option<&str>) -> Self {
        let project = create(store, name, repository).await.expect("can be made");
        let key = project.ingest_key.clone().expect("has a key");
        let scope = store.ingest_scope(&key).await.expect("can be read");
        let scope = scope.expect("the key is known");
        Self { project, scope }
    }

    async fn send(&self, store: &dyn Store, batch: GroupedBatch) -> Receipt {
        let receipt = store.ingest(&self.scope, batch).await;
        receipt.expect("can be written")
    }
}

async fn create(
    store: &dyn Store,
    name: &str,
    repository: Option<&str>,
) -> Result<Project, StoreError> {
    let new = NewProject {
        name: name.to_owned(),
        repository: repository.map(str::to_owned),
        ingest_key: format!("key-of-{name}"),
        at: NOW,
    };
    store.create_project(&operator(), new).await
}

fn operator() -> Scope {
    Scope::local_operator()
}

/// A panic in `shop::NAME::fail`, called by a function that may be a closure.
fn panic_called_by(name: &str, caller: &str) -> Event {
    let file = format!("src/{name}.rs");
    let frame = |function: &str, file: &str| {
        Arc::new(Frame {
            function: Some(function.into()),
            file: Some(file.into()),
            line: Some(7),
            ..Frame::default()
        })
    };
    let frames = vec![
        frame(&format!("shop::{name}::fail"), &file),
        frame(caller, "src/main.rs"),
    ];
    Event {
        id: EventId::from_bytes(*uuid::Uuid::new_v4().as_bytes()),
        run: run("shop@1.0.0"),
        kind: EventKind::Panic,
        level: Level::Fatal,
        count: 1,
        first_at: NOW,
        last_at: NOW,
        deltas_us: Vec::new(),
        message: "index out of bounds: the len is 3 but the index is 7".into(),
        errors: Vec::new(),
        location: Some(Location {
            file: file.into(),
            line: 7,
            column: 5,
        }),
        thread: Thread::default(),
        stack: Some(Arc::new(StackTrace {
            frames,
            symbolicated: true,
        })),
        spans: Vec::new(),
        breadcrumbs: Vec::new(),
        tags: vec![("region".into(), "eu".into())],
        user: None,
        contexts: Vec::new(),
        attached: Vec::new(),
        inputs: Vec::new(),
        trace: None,
    }
}

pub(crate) fn panic(name: &str) -> Event {
    panic_called_by(name, "shop::main")
}

fn in_release(name: &str, release: &str) -> Event {
    Event {
        run: run(release),
        ..panic(name)
    }
}

fn run(release: &str) -> Arc<Run> {
    Arc::new(Run {
        id: RunId::from_bytes([1; 16]),
        release: Some(release.into()),
        environment: None,
        started_at: NOW,
        sdk: "test".into(),
    })
}

fn at(mut event: Event, at: Timestamp) -> Event {
    (event.first_at, event.last_at) = (at, at);
    event
}

fn later(hours: u64) -> Timestamp {
    Timestamp(NOW.0 + hours * HOUR_US)
}

/// A batch of its own, received long after all that is in it.
fn batch(events: impl IntoIterator<Item = Event>) -> GroupedBatch {
    let id = BatchId::from_bytes(*uuid::Uuid::new_v4().as_bytes());
    batch_of(id, events)
}

fn batch_of(id: BatchId, events: impl IntoIterator<Item = Event>) -> GroupedBatch {
    grouped(decoded(id, events, []), later(1_000))
}

/// A batch as it is decoded.
fn decoded(
    id: BatchId,
    events: impl IntoIterator<Item = Event>,
    spans: impl IntoIterator<Item = Span>,
) -> Batch {
    Batch {
        id,
        runs: Vec::new(),
        events: (0..).zip(events).collect(),
        losses: Vec::new(),
        spans: (0..).zip(spans).collect(),
        span_losses: Vec::new(),
        run_states: Vec::new(),
        rejected: Vec::new(),
        unknown_items: 0,
        size_bytes: 0,
    }
}

/// What all of it is kept of.
fn grouped(batch: Batch, received_at: Timestamp) -> GroupedBatch {
    let by = group::By::default();
    let grouped = group::group(batch, 1, &by, received_at, &group::Memory::new(Keep::All));
    grouped.expect("can be packed")
}

async fn all_issues(store: &dyn Store) -> Vec<Issue> {
    let filter = IssueFilter {
        limit: 100,
        ..IssueFilter::default()
    };
    let mut issues = store.issues(&operator(), filter).await.expect("is read");
    issues.sort_by_key(|issue| issue.id);
    issues
}

/// Reports of all issues, in the order in which they were opened.
async fn counts(store: &dyn Store) -> Vec<u64> {
    let issues = all_issues(store).await;
    issues.iter().map(|issue| issue.events).collect()
}
