//! Cases and the leased jobs that move them.

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, EventKind};
use bugsage_pipeline::case::{Case, State};

use crate::store::model::{CaseFilter, LeasedJob, Work};
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

use super::{NOW, Sender, batch, later, panic};

/// Takes the next job for a minute.
async fn lease(store: &dyn Store, owner: &str, now: Timestamp) -> Option<LeasedJob> {
    let until = Timestamp(now.0 + 60_000_000);
    let system = Scope::system();
    let leased = store
        .lease_case(&system, Work::Explain, owner, now, until)
        .await;
    leased.expect("can be written")
}

/// Saves a case that was moved to a state by any legal way there.
async fn moved(store: &dyn Store, job: &LeasedJob, states: &[State]) -> Case {
    let system = Scope::system();
    let mut case = store.case(&system, job.case).await.expect("is there");
    for state in states {
        case.enter(*state, due(), "system", "because")
            .expect("is legal");
    }
    let until = Timestamp(due().0 + 60_000_000);
    let saved = store.save_case(&system, job, &case, until).await;
    saved.expect("holds the lease");
    case
}

pub(super) async fn an_explanation_and_a_proof_are_the_work_of_different_leases(store: &dyn Store) {
    let shop = Sender::with_repository(store).await;
    shop.send(store, batch([panic("price")])).await;
    let system = Scope::system();
    let until = Timestamp(due().0 + 60_000_000);
    let prove = async || {
        let leased = store.lease_case(&system, Work::Prove, "b", due(), until);
        leased.await.expect("can be written")
    };
    assert_eq!(prove().await, None, "it is not explained yet");
    let job = lease(store, "a", due()).await.expect("is due");

    moved(store, &job, &[State::Analyzing, State::Analyzed]).await;
    let given = store.retry_job(&system, &job, due(), None).await;
    given.expect("holds the lease");

    assert_eq!(lease(store, "a", due()).await, None, "it is explained");
    assert_eq!(prove().await.expect("is due").case, job.case);
}

pub(super) async fn one_case_is_leased_by_name_and_by_nobody_else_meanwhile(store: &dyn Store) {
    let shop = Sender::with_repository(store).await;
    shop.send(store, batch([panic("price")])).await;
    let operator = Scope::local_operator();
    let job = lease(store, "a", due()).await.expect("is due");
    let until = Timestamp(due().0 + 60_000_000);
    let by_name = async |now: Timestamp| {
        let leased = store.lease_one(&operator, job.case, "command-1", now, until);
        leased.await
    };

    let taken = by_name(due()).await;
    assert!(
        matches!(taken, Err(StoreError::Conflict { .. })),
        "{taken:?}"
    );
    let done = store.finish_job(&Scope::system(), &job).await;
    done.expect("holds the lease");
    let held = by_name(due()).await.expect("is at rest");

    assert_eq!((held.case, held.project), (job.case, shop.project.id));
    assert_eq!(lease(store, "b", due()).await, None, "it is held");
    let released = store.finish_job(&operator, &held).await;
    released.expect("holds the lease");
    // The scope of an ingest key.
    let foreign = store
        .lease_one(&shop.scope, job.case, "c", due(), until)
        .await;
    assert!(
        matches!(foreign, Err(StoreError::NotFound { .. })),
        "{foreign:?}"
    );
}

pub(super) async fn cases_are_listed_by_project_and_state_and_an_issue_may_get_a_further_one(
    store: &dyn Store,
) {
    let shop = Sender::with_repository(store).await;
    let bank = Sender::new(store, "bank").await;
    shop.send(store, batch([panic("price"), panic("stock")]))
        .await;
    bank.send(store, batch([panic("rate")])).await;
    let operator = Scope::local_operator();
    let list = async |project: Option<&str>, state: Option<State>| {
        let filter = CaseFilter {
            project: project.map(str::to_owned),
            state,
            limit: 10,
        };
        let cases = store.cases(&operator, filter).await.expect("can be read");
        cases.iter().map(|case| case.issue).collect::<Vec<_>>()
    };
    let job = lease(store, "a", due()).await.expect("is due");
    moved(store, &job, &[State::Analyzing, State::Cancelled]).await;

    assert_eq!(list(None, None).await.len(), 2);
    assert_eq!(list(Some("bank"), None).await, [0; 0]);
    assert_eq!(list(None, Some(State::Cancelled)).await, [1]);
    let further = store.open_case(&operator, 1, due()).await;
    let further = further.expect("has a repository");
    assert_ne!(further, job.case);
    let issue = store.issue(&operator, 1).await.expect("is there");
    assert_eq!(issue.issue.case, Some(further));
    let without = store.open_case(&operator, 3, due()).await;
    assert!(
        matches!(without, Err(StoreError::Unusable(_))),
        "{without:?}"
    );
}

/// A time at which all jobs are due: they are made when a batch is received.
fn due() -> Timestamp {
    later(1_001)
}

pub(super) async fn an_issue_worth_it_gets_one_case_where_there_is_a_repository(store: &dyn Store) {
    let bank = Sender::new(store, "bank").await;
    bank.send(store, batch([panic("price")])).await;
    assert_eq!(lease(store, "a", due()).await, None, "it has no repository");

    let shop = Sender::with_repository(store).await;
    let log = Event {
        kind: EventKind::Log,
        stack: None,
        ..panic("log")
    };
    let events = [panic("price"), panic("price"), panic("stock"), log];
    shop.send(store, batch(events)).await;
    shop.send(store, batch([panic("price")])).await;

    let mut cases = Vec::new();
    while let Some(job) = lease(store, "a", due()).await {
        assert_eq!(job.project, shop.project.id);
        let case = store.case(&Scope::system(), job.case).await;
        cases.push(case.expect("is there").issue);
    }
    assert_eq!(cases, [2, 3]);
    let subject = store.subject(&Scope::system(), 2).await.expect("is known");
    assert_eq!((subject.events, subject.samples.len()), (3, 3));
    assert_eq!(subject.repository.as_deref(), Some("/srv/shop"));
}

pub(super) async fn a_job_is_leased_to_one_owner_until_its_lease_runs_out(store: &dyn Store) {
    let shop = Sender::with_repository(store).await;
    shop.send(store, batch([panic("price")])).await;

    assert_eq!(lease(store, "a", NOW).await, None, "it is not due yet");
    let first = lease(store, "a", due()).await.expect("is due");
    assert_eq!(lease(store, "b", due()).await, None, "it is taken");
    let after = Timestamp(due().0 + 60_000_000);
    let second = lease(store, "b", after).await.expect("has run out");

    assert_eq!(second.case, first.case);
    assert_eq!((first.attempts, second.attempts), (0, 1));
}

pub(super) async fn a_case_is_saved_under_its_lease_alone(store: &dyn Store) {
    let shop = Sender::with_repository(store).await;
    shop.send(store, batch([panic("price")])).await;
    let lost = lease(store, "a", due()).await.expect("is due");
    let after = Timestamp(due().0 + 60_000_000);
    let held = lease(store, "b", after).await.expect("has run out");
    let system = Scope::system();
    let mut case: Case = store.case(&system, held.case).await.expect("is there");
    case.enter(State::Analyzing, after, "system", "because")
        .expect("is legal");
    let until = Timestamp(after.0 + 60_000_000);

    let late = store.save_case(&system, &lost, &case, until).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    let before = store.case(&system, held.case).await.expect("is there");
    assert_eq!(before.state, State::Queued);

    let saved = store.save_case(&system, &held, &case, until).await;
    saved.expect("holds the lease");
    assert_eq!(
        store.case(&system, held.case).await.expect("is there"),
        case
    );
    let still = Timestamp(until.0 - 1);
    assert_eq!(
        lease(store, "c", still).await,
        None,
        "it is held for longer"
    );
}

pub(super) async fn a_job_that_is_given_back_rests_until_its_time(store: &dyn Store) {
    let shop = Sender::with_repository(store).await;
    shop.send(store, batch([panic("price")])).await;
    let job = lease(store, "a", due()).await.expect("is due");
    let at = Timestamp(due().0 + 10);

    let system = Scope::system();
    let given = store
        .retry_job(&system, &job, at, Some("the disk is busy"))
        .await;
    given.expect("holds the lease");

    assert_eq!(lease(store, "b", due()).await, None);
    let again = lease(store, "b", at).await.expect("is due again");
    assert_eq!(again.attempts, 1);
    let late = store.retry_job(&system, &job, at, Some("too late")).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
}

pub(super) async fn a_job_that_is_done_is_gone(store: &dyn Store) {
    let shop = Sender::with_repository(store).await;
    shop.send(store, batch([panic("price")])).await;
    let job = lease(store, "a", due()).await.expect("is due");

    let done = store.finish_job(&Scope::system(), &job).await;
    done.expect("holds the lease");

    assert_eq!(lease(store, "b", later(9_999)).await, None);
    let again = store.finish_job(&Scope::system(), &job).await;
    assert!(
        matches!(again, Err(StoreError::Conflict { .. })),
        "{again:?}"
    );
}

pub(super) async fn leases_of_the_dead_are_released_and_no_others(store: &dyn Store) {
    let shop = Sender::with_repository(store).await;
    shop.send(store, batch([panic("price"), panic("stock")]))
        .await;
    let dead = lease(store, "serve-1", due()).await.expect("is due");
    let alive = lease(store, "worker-1", due()).await.expect("is due");
    let system = Scope::system();

    let released = store.release_leases(&system, "serve-").await;
    assert_eq!(released.expect("can be written"), 1);

    let again = lease(store, "serve-2", due()).await.expect("is free");
    assert_eq!((again.case, again.attempts), (dead.case, 1));
    assert_eq!(lease(store, "serve-2", due()).await, None);
    store.finish_job(&system, &alive).await.expect("is held");
    for nobody in ["erve-", "SERVE-", "%", "serve-2x"] {
        let released = store.release_leases(&system, nobody).await;
        assert_eq!(released.expect("can be written"), 0, "{nobody}");
    }
}

pub(super) async fn jobs_are_told_by_state_and_to_the_system_alone(store: &dyn Store) {
    let shop = Sender::with_repository(store).await;
    shop.send(store, batch([panic("price")])).await;
    let system = Scope::system();
    let states = async || {
        let usage = store.usage(&system, due()).await.expect("is read");
        assert!(usage.pages > usage.free_pages && usage.kept_bytes > 0);
        let there = usage.jobs.into_iter().filter(|jobs| jobs.jobs > 0);
        there.map(|it| (it.state, it.jobs)).collect::<Vec<_>>()
    };

    assert_eq!(states().await, [("due", 1)]);
    let job = lease(store, "a", due()).await.expect("is due");
    assert_eq!(states().await, [("leased", 1)]);
    let later = Timestamp(due().0 + 1);
    let given = store.retry_job(&system, &job, later, None).await;
    given.expect("holds the lease");
    assert_eq!(states().await, [("resting", 1)]);
    let operator = Scope::local_operator();
    let refused = store.usage(&operator, due()).await;
    assert!(matches!(refused, Err(StoreError::Forbidden)), "{refused:?}");
}

pub(super) async fn a_healthy_store_says_so(store: &dyn Store) {
    Sender::new(store, "shop").await;
    store.probe().await.expect("writes");

    let health = store.health().await;

    assert_eq!((health.failed, health.refused), (None, None));
    assert!(health.since_commit.is_some());
    assert_eq!(health.waiting, 0);
    let version = store.schema_version().await.expect("reads");
    assert_eq!(version, health.schema_version, "a probe changes nothing");
    assert!(health.schema_version >= 1);
    // It may still be copying the log back.
    while store.health().await.oldest_wait_us > 0 {
        tokio::task::yield_now().await;
    }
}
