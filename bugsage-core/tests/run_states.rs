//! States of runs arrive as they were sent, and hostile ones are turned away alone.

mod support;

use std::sync::Arc;

use bugsage_core::batch::{self, Batch, BatchBuilder};
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Ended, Run, RunHour, RunState};
use bugsage_core::id::{BatchId, RunId};
use bugsage_core::limits;
use bugsage_core::sketch::{Mark, Sketch};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;

const RUN: u8 = 6;
const RUN_STATE: u8 = 10;

fn any_sketch() -> impl Strategy<Value = Sketch> {
    let users = vec(any::<u16>(), 0..200);
    users.prop_map(|users| Sketch::from_marks(users.iter().map(|it| Mark::of(&it.to_string()))))
}

fn any_hour() -> impl Strategy<Value = RunHour> {
    let counts = any::<(u64, u64, u64)>();
    (counts, any_sketch(), any_sketch()).prop_map(|(counts, users, users_panicked)| RunHour {
        hour: counts.0,
        roots: counts.1,
        roots_failed: counts.2,
        users,
        users_panicked,
    })
}

fn any_state() -> impl Strategy<Value = RunState> {
    let ended = prop::sample::select(Ended::ALL.to_vec());
    let parts = (0..3_u8, ended, any::<u64>(), vec(any_hour(), 0..4));
    parts.prop_map(|(run, ended, alive_at, hours)| RunState {
        run: self::run(run),
        ended,
        alive_at: Timestamp(alive_at),
        hours,
    })
}

fn run(number: u8) -> Arc<Run> {
    Arc::new(Run {
        id: RunId::from_bytes([number; 16]),
        release: Some("shop@1.0.0".into()),
        environment: None,
        started_at: Timestamp(7),
        sdk: "test".into(),
    })
}

fn content(items: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (kind, bytes) in items {
        content.push(*kind);
        content.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        content.extend_from_slice(bytes);
    }
    content
}

/// A batch with one run, and these items about it.
fn decoded(states: impl IntoIterator<Item = Vec<u8>>) -> Batch {
    let mut items = vec![(RUN, message(&([1_u8; 16], 0_u32, 0_u32, 5_u64, 0_u32)))];
    items.extend(states.into_iter().map(|state| (RUN_STATE, state)));
    batch::decode(&support::seal(&content(&items))).expect("the body is sound")
}

fn message(message: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(message).expect("has a known length")
}

/// Hour, root spans, failed ones, and both sketches.
type WireHour = (u64, u64, u64, Vec<u16>, Vec<u16>);

/// Run, how it ended, when, and its hours.
fn state(run: u32, ended: u8, hours: &[WireHour]) -> Vec<u8> {
    message(&(run, ended, 9_u64, hours))
}

fn reasons(batch: &Batch) -> Vec<&'static str> {
    let rejected = batch.rejected.iter();
    rejected.map(|rejected| rejected.reason.code()).collect()
}

proptest! {
    #[test]
    fn states_arrive_as_they_were_sent(states in vec(any_state(), 0..4)) {
        let mut builder = BatchBuilder::new();
        states.iter().for_each(|state| builder.push_run_state(state));
        prop_assert_eq!(builder.is_empty(), states.is_empty());
        let sealed = builder.seal(BatchId::from_bytes([7; 16]));

        let batch = batch::decode(&sealed.bytes).unwrap();

        prop_assert_eq!(batch.run_states, states);
        prop_assert_eq!(batch.rejected, []);
        prop_assert_eq!((sealed.reports, sealed.tells_losses), (0, false));
    }

    #[test]
    fn random_states_are_read_or_turned_away(
        states in vec(vec(any::<u8>(), 0..40), 0..40),
    ) {
        let n_states = states.len();
        let batch = decoded(states);
        prop_assert_eq!(batch.run_states.len() + batch.rejected.len(), n_states);
    }
}

#[test]
fn a_bad_state_costs_its_neighbors_nothing() {
    let good = || state(0, 0, &[(1, 2, 3, vec![33], vec![])]);
    let no_run = state(1, 0, &[]);
    let no_end = state(0, 6, &[]);
    let no_rank = state(0, 0, &[(1, 2, 3, vec![32], vec![])]);
    let past_the_last_register = state(0, 0, &[(1, 2, 3, vec![u16::MAX, 1], vec![])]);

    let batch = decoded([
        good(),
        no_run,
        no_end,
        no_rank,
        past_the_last_register,
        good(),
    ]);

    assert_eq!(batch.run_states.len(), 2);
    let expected = ["missing_entry", "unknown_value", "malformed", "malformed"];
    assert_eq!(reasons(&batch), expected);
}

#[test]
fn more_states_hours_or_marks_than_there_may_be_are_turned_away() {
    let hours = |n: usize| state(0, 0, &vec![(1, 2, 3, vec![], vec![]); n]);
    let full = state(0, 0, &[(1, 2, 3, vec![], vec![1; 2_049])]);

    let batch = decoded([
        hours(limits::RUN_HOURS_MAX),
        hours(limits::RUN_HOURS_MAX + 1),
        full,
    ]);

    assert_eq!(batch.run_states.len(), 1);
    assert_eq!(reasons(&batch), ["over_limit", "over_limit"]);
    let batch = decoded(vec![hours(0); limits::RUN_STATES_MAX + 5]);
    assert_eq!(batch.run_states.len(), limits::RUN_STATES_MAX);
    assert_eq!(reasons(&batch), ["over_limit"; 5]);
}
