//! Counts bodies that were turned away, and writes the counts down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bugsage_core::clock::Clock;

use crate::observe::STUCK;
use crate::observe::heartbeat::Heartbeat;
use crate::store::Store;
use crate::store::model::Refusal;
use crate::store::scope::Scope;

/// How often counts are written down: what was turned away in the last second before a crash is not
/// accounted for.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a write may wait for its turn, and for whoever holds the store.
const WRITE_MAX: Duration = Duration::from_secs(10).saturating_add(STUCK);

/// Projects and reasons that are counted at a time; reasons are a few words of ours.
const COUNTS_MAX: usize = 10_000;

const HOUR_US: u64 = 3_600_000_000;

/// A project and a reason. Project 0 is nobody's.
type Of = (u64, &'static str);

/// Requests and their bytes.
type Sum = (u64, u64);

/// What was turned away, by project and reason.
#[derive(Default)]
pub(super) struct Refusals {
    counts: Mutex<HashMap<Of, Sum>>,
}

impl Refusals {
    pub(super) fn note(&self, project: u64, reason: &'static str, bytes: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < COUNTS_MAX || counts.contains_key(&(project, reason)) {
            let (requests, sum) = counts.entry((project, reason)).or_default();
            *requests += 1;
            *sum = sum.saturating_add(bytes);
        }
    }

    fn take(&self) -> HashMap<Of, Sum> {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_back(&self, refusals: Vec<(Of, Sum)>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (of, (requests, bytes)) in refusals {
            let (all_requests, sum) = counts.entry(of).or_default();
            *all_requests += requests;
            *sum = sum.saturating_add(bytes);
        }
    }
}

/// Writes counts down until it is dropped.
pub(super) async fn write_down(
    refusals: Arc<Refusals>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    heartbeat: Heartbeat,
) {
    let scope = Scope::system();
    loop {
        heartbeat.due_in(INTERVAL + WRITE_MAX);
        tokio::time::sleep(INTERVAL).await;
        let counts: Vec<_> = refusals.take().into_iter().collect();
        if counts.is_empty() {
            continue;
        }
        let hour = clock.now().0 / HOUR_US;
        let lines = counts
            .iter()
            .map(|((project, reason), (requests, bytes))| Refusal {
                project: *project,
                hour,
                reason: (*reason).to_owned(),
                requests: *requests,
                bytes: *bytes,
            });
        if store.note_refusals(&scope, lines.collect()).await.is_err() {
            // The store has told why; it is tried again.
            refusals.put_back(counts);
        }
    }
}
