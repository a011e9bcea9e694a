//! What runs tell of themselves counts once, and adds up to the health of their release.

use std::sync::Arc;

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Ended, Run, RunHour, RunState};
use bugsage_core::id::{BatchId, RunId};
use bugsage_core::limits;
use bugsage_core::sketch::{Mark, Sketch};

use crate::store::model::{GroupedBatch, ReleaseFilter, ReleaseHealth, RunCounts};
use crate::store::{Store, StoreError};

use super::{HOUR_US, NOW, Sender, at, batch, grouped, in_release, later, operator, panic};

/// The hour in which everything begins.
const HOUR: u64 = NOW.0 / HOUR_US;

fn state(run: u8, release: &str, ended: Ended) -> RunState {
    RunState {
        run: Arc::new(Run {
            id: RunId::from_bytes([run; 16]),
            release: Some(release.into()),
            environment: Some("production".into()),
            started_at: NOW,
            sdk: "test".into(),
        }),
        ended,
        alive_at: later(1),
        hours: Vec::new(),
    }
}

fn hour(hour: u64, roots: u64, users: std::ops::Range<u32>, panicked: u32) -> RunHour {
    let sketch = |users: std::ops::Range<u32>| {
        Sketch::from_marks(users.map(|user| Mark::of(&format!("user-{user}"))))
    };
    RunHour {
        hour,
        roots,
        roots_failed: roots / 10,
        users_panicked: sketch(users.start..users.start + panicked),
        users: sketch(users),
    }
}

fn told(states: &[RunState], received_at: Timestamp) -> GroupedBatch {
    let decoded = bugsage_core::batch::Batch {
        id: BatchId::from_bytes(*uuid::Uuid::new_v4().as_bytes()),
        runs: Vec::new(),
        events: Vec::new(),
        losses: Vec::new(),
        spans: Vec::new(),
        span_losses: Vec::new(),
        run_states: states.to_vec(),
        rejected: Vec::new(),
        unknown_items: 0,
        size_bytes: 0,
    };
    grouped(decoded, received_at)
}

fn everything() -> ReleaseFilter {
    ReleaseFilter {
        project: None,
        environment: None,
        since: Timestamp(0),
        silent_since: Timestamp(0),
        limit: 100,
    }
}

async fn releases(store: &dyn Store, filter: ReleaseFilter) -> Vec<ReleaseHealth> {
    let releases = store.releases(&operator(), filter).await;
    releases.expect("can be read")
}

/// Three runs as they told more and more of themselves.
fn story() -> Vec<RunState> {
    let with = |state: RunState, hours: Vec<RunHour>| RunState { hours, ..state };
    vec![
        state(1, "shop@1.0.0", Ended::Running),
        with(
            state(1, "shop@1.0.0", Ended::Running),
            vec![hour(HOUR, 100, 0..20, 0)],
        ),
        with(
            state(1, "shop@1.0.0", Ended::Clean),
            vec![hour(HOUR, 150, 0..30, 1), hour(HOUR + 1, 20, 10..12, 0)],
        ),
        with(
            state(2, "shop@1.0.0", Ended::Panicked),
            vec![hour(HOUR + 1, 30, 25..40, 2)],
        ),
        with(
            state(3, "shop@1.0.0", Ended::Killed),
            vec![hour(HOUR, 7, 0..0, 0)],
        ),
    ]
}

pub(super) async fn what_is_told_of_runs_counts_once_in_any_order(store: &dyn Store) {
    let mut seed = 17_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let in_order = Sender::new(store, "in-order").await;
    for state in story() {
        in_order.send(store, told(&[state], later(2))).await;
    }

    for round in 0..20 {
        let project = Sender::new(store, &format!("project-{round}")).await;
        // Each at least once, many twice, in any order, alone or together.
        let mut states = story();
        states.extend((0..random(6)).map(|n| story()[n % 5].clone()));
        while !states.is_empty() {
            let mut together = Vec::new();
            for _ in 0..=random(3).min(states.len() - 1) {
                together.push(states.swap_remove(random(states.len())));
            }
            project.send(store, told(&together, later(2))).await;
        }
    }

    let all = releases(store, everything()).await;
    assert_eq!(all.len(), 21);
    let first = &all[0];
    let expected = RunCounts {
        clean: 1,
        panicked: 1,
        killed: 1,
        ..RunCounts::default()
    };
    assert_eq!(first.runs, expected);
    assert_eq!((first.roots, first.roots_failed), (207, 20));
    assert_eq!((first.users, first.users_panicked), (40, 3));
    assert_eq!((first.first_seen, first.last_seen), (NOW, later(1)));
    for other in &all {
        let as_first = ReleaseHealth {
            project: first.project,
            project_name: first.project_name.clone(),
            ..other.clone()
        };
        assert_eq!(&as_first, first, "{}", other.project_name);
    }
}

pub(super) async fn releases_are_told_by_project_environment_and_time(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let bank = Sender::new(store, "bank").await;
    let in_staging = |state: RunState| RunState {
        run: Arc::new(Run {
            environment: Some("staging".into()),
            ..Run::clone(&state.run)
        }),
        ..state
    };
    let begun = |state: RunState, at: Timestamp| RunState {
        run: Arc::new(Run {
            started_at: at,
            ..Run::clone(&state.run)
        }),
        hours: vec![hour(at.0 / HOUR_US, 10, 0..2, 0)],
        alive_at: at,
        ..state
    };
    let old = begun(state(1, "shop@1.0.0", Ended::Clean), NOW);
    let new = begun(state(2, "shop@1.1.0", Ended::Clean), later(50));
    let staged = in_staging(begun(state(3, "shop@1.1.0", Ended::Clean), later(40)));
    let other = begun(state(4, "bank@1.0.0", Ended::Clean), later(45));
    shop.send(store, told(&[old], later(1))).await;
    shop.send(store, told(&[new, staged], later(51))).await;
    bank.send(store, told(&[other], later(51))).await;
    let names = |all: Vec<ReleaseHealth>| -> Vec<String> {
        let name = |it: ReleaseHealth| {
            format!(
                "{} {}",
                it.release.expect("was told"),
                it.environment.expect("was told")
            )
        };
        all.into_iter().map(name).collect()
    };
    let found = async |filter: ReleaseFilter| names(releases(store, filter).await);

    let all = found(everything()).await;
    assert_eq!(
        all,
        [
            "shop@1.1.0 production",
            "bank@1.0.0 production",
            "shop@1.1.0 staging",
            "shop@1.0.0 production"
        ]
    );
    let one = ReleaseFilter {
        project: Some("shop".to_owned()),
        environment: Some("production".to_owned()),
        ..everything()
    };
    let expected = ["shop@1.1.0 production", "shop@1.0.0 production"];
    assert_eq!(found(one.clone()).await, expected);
    let lately = ReleaseFilter {
        since: later(10),
        ..one.clone()
    };
    assert_eq!(found(lately).await, expected[..1]);
    let first = ReleaseFilter { limit: 1, ..one };
    assert_eq!(found(first).await, expected[..1]);
    let nobody = ReleaseFilter {
        project: Some("nobody".to_owned()),
        ..everything()
    };
    let refused = store.releases(&operator(), nobody).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));
    let by_key = store.releases(&shop.scope, everything()).await;
    assert_eq!(by_key.expect("can be asked"), []);
}

pub(super) async fn a_run_that_fell_silent_ended_nobody_knows_how(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let running = state(1, "shop@1.0.0", Ended::Running);
    shop.send(store, told(std::slice::from_ref(&running), later(1)))
        .await;
    let runs = async |silent_since| {
        let filter = ReleaseFilter {
            silent_since,
            ..everything()
        };
        releases(store, filter).await[0].runs
    };

    assert_eq!(runs(later(1)).await.running, 1);
    assert_eq!(runs(later(2)).await.unknown, 1);
    shop.send(store, told(&[running], later(3))).await;

    assert_eq!(runs(later(2)).await.running, 1, "it was heard of again");
}

pub(super) async fn a_release_tells_its_events_and_the_issues_that_it_brought(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let runs = [
        state(1, "shop@1.0.0", Ended::Clean),
        state(2, "shop@1.1.0", Ended::Clean),
    ];
    shop.send(store, told(&runs, later(1))).await;
    let events = [
        panic("price"),
        panic("price"),
        at(in_release("price", "shop@1.1.0"), later(1)),
        at(in_release("cart", "shop@1.1.0"), later(1)),
    ];
    shop.send(store, batch(events)).await;

    let counts = releases(store, everything()).await.into_iter();
    let counts: Vec<_> = counts.map(|it| (it.events, it.new_issues)).collect();

    assert_eq!(counts, [(2, 1), (2, 1)]);
}

pub(super) async fn what_a_sender_says_is_brought_within_bounds(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let hostile = RunHour {
        hour: u64::MAX,
        roots: u64::MAX,
        roots_failed: u64::MAX,
        ..hour(0, 0, 0..1, 1)
    };
    for run in 1..=20 {
        let state = RunState {
            alive_at: Timestamp(u64::MAX),
            hours: vec![hostile.clone()],
            ..state(run, "shop@1.0.0", Ended::Running)
        };
        shop.send(store, told(&[state], later(1))).await;
    }

    let release = &releases(store, everything()).await[0];

    assert_eq!(release.last_seen, later(1));
    assert_eq!(release.roots, 20 * limits::ROOT_SPANS_MAX);
    assert_eq!(release.roots_failed, release.roots);
}
