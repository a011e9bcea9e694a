//! Sealed batches in the order in which they are sent: those of earlier runs first.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bugsage_core::batch::Sealed;
use bugsage_core::clock::Timestamp;

use crate::ledger::Reason;

use super::origin::{Origin, Outcome, Parcel};

/// Batches that may wait in memory. Each has at most 768 KiB before compression.
const SEALED_MAX: usize = 16;

/// Batches that are sealed ahead of the one that is on its way, so that the next can follow at once.
const AHEAD_MAX: usize = 1;

pub(super) struct Outbox {
    parcels: VecDeque<Parcel>,
    /// How many there ever were.
    pushed: u64,
    /// How many bytes may wait in files.
    bytes_max: u64,
    age_max: Duration,
}

impl Outbox {
    pub(super) fn new(bytes_max: u64, age_max: Duration) -> Self {
        Self {
            parcels: VecDeque::new(),
            pushed: 0,
            bytes_max,
            age_max,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// How many batches were ever added: the number of the last.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// The least number of a batch that waits.
    pub(super) fn oldest_number(&self) -> Option<u64> {
        self.parcels.iter().map(|parcel| parcel.number).min()
    }

    /// Whether all that waits is how runs are doing: nothing that is worth an app's time.
    pub(super) fn is_only_news(&self) -> bool {
        self.parcels.iter().all(|parcel| parcel.is_news)
    }

    /// Whether all that waits survives the process.
    pub(super) fn is_in_files(&self) -> bool {
        self.parcels.iter().all(Parcel::is_in_file)
    }

    /// Whether another batch may wait. In files any number may: there the oldest make room.
    pub(super) fn has_room(&self) -> bool {
        let in_memory = self.parcels.iter().filter(|parcel| !parcel.is_in_file());
        in_memory.count() < SEALED_MAX
    }

    /// Whether the network is behind. What is due then waits where it is, and travels in fewer and
    /// larger batches.
    pub(super) fn is_behind(&self) -> bool {
        self.parcels.len() > AHEAD_MAX
    }

    pub(super) fn has_any_of(&self, origin: &Rc<Origin>) -> bool {
        let mut origins = self.parcels.iter().map(|parcel| &parcel.origin);
        origins.any(|other| Rc::ptr_eq(other, origin))
    }

    /// How many runs that are over have batches here. Those of one stand together.
    pub(super) fn dead_runs(&self) -> usize {
        let mut runs: Vec<_> = self.parcels.iter().map(|p| Rc::as_ptr(&p.origin)).collect();
        runs.dedup();
        runs.len().saturating_sub(1)
    }

    /// What was made before this time is too old.
    pub(super) fn oldest(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_sub(self.age_max.as_micros() as u64))
    }

    /// How many reports and how many spans of a run wait.
    pub(super) fn reports_and_spans_of(&self, origin: &Rc<Origin>) -> (u64, u64) {
        let ours = self
            .parcels
            .iter()
            .filter(|p| Rc::ptr_eq(&p.origin, origin));
        ours.fold((0, 0), |(reports, spans): (u64, u64), parcel| {
            (
                reports.saturating_add(parcel.reports),
                spans.saturating_add(parcel.spans),
            )
        })
    }

    /// Adds a batch: behind those of its own run and of earlier ones, and before this run's where
    /// it is of another. The first may be on its way already, so it stays the first.
    pub(super) fn push(&mut self, mut parcel: Parcel) {
        self.pushed += 1;
        parcel.number = self.pushed;
        if self.parcels.len() >= SEALED_MAX && parcel.is_in_file() {
            // Its file has it; memory stays bounded.
            parcel.sealed = None;
        }
        let is_later = |other: &Parcel| other.origin.is_own && !parcel.origin.is_own;
        let mut at = self.parcels.len();
        while at > 1 && is_later(&self.parcels[at - 1]) {
            at -= 1;
        }
        self.parcels.insert(at, parcel);
    }

    /// The first batch as it is sent, and whose batches were damaged before it.
    pub(super) fn first(&mut self) -> (Option<Arc<Sealed>>, Vec<Rc<Origin>>) {
        let mut damaged = Vec::new();
        while let Some(parcel) = self.parcels.front() {
            match parcel.load() {
                Ok(Some(sealed)) => return (Some(sealed), damaged),
                Ok(None) => {}
                // Not now: it is looked at again at the next round.
                Err(_) => break,
            }
            let (reports, spans) = (parcel.reports, parcel.spans);
            // Had it told losses, they are told again.
            parcel.origin.books.commit(|settled| {
                settled.told = 0;
                settled.ended_told = 0;
            });
            parcel.origin.news.forget();
            let corrupt = Outcome::dropped(Reason::SpoolCorrupt, reports, spans);
            damaged.extend(self.settle_first(&corrupt));
        }
        (None, damaged)
    }

    /// The first batch is done with.
    pub(super) fn settle_first(&mut self, outcome: &Outcome) -> Option<Rc<Origin>> {
        let parcel = self.parcels.pop_front()?;
        let origin = parcel.origin.clone();
        parcel.settle(outcome);
        Some(origin)
    }

    /// Drops what is too much or too old, spans before reports, and the oldest first; one that is on its
    /// way stays. Tells whose batches were dropped.
    pub(super) fn bound(&mut self, is_sending: bool, now: Timestamp) -> Vec<Rc<Origin>> {
        let first = usize::from(is_sending);
        let mut dropped = Vec::new();
        let age_max = self.age_max;
        let is_old = |parcel: &Parcel| {
            Duration::from_micros(now.0.saturating_sub(parcel.sealed_at.0)) > age_max
        };
        while let Some(at) = self.droppable(first, is_old) {
            dropped.extend(self.drop_at(at, Reason::SpoolExpired));
        }
        let in_files = self.parcels.iter().filter(|parcel| parcel.is_in_file());
        let mut bytes: u64 = in_files.map(|parcel| parcel.size_bytes).sum();
        while bytes > self.bytes_max {
            let spans = self.droppable(first, |parcel| parcel.reports == 0 && parcel.spans > 0);
            let Some(at) = spans.or_else(|| self.droppable(first, |_| true)) else {
                break;
            };
            bytes = bytes.saturating_sub(self.parcels[at].size_bytes);
            dropped.extend(self.drop_at(at, Reason::SpoolFull));
        }
        dropped
    }

    /// The first batch behind those that stay that `is_meant` and may be dropped at all.
    fn droppable(&self, first: usize, is_meant: impl Fn(&Parcel) -> bool) -> Option<usize> {
        let mut parcels = self.parcels.iter().enumerate().skip(first);
        let found = parcels.find(|(_, parcel)| {
            // News of losses is small, and nobody would tell it again. How a run is doing is small too,
            // but comes every hour.
            let is_losses = parcel.reports == 0 && parcel.spans == 0 && !parcel.is_news;
            parcel.is_in_file() && !is_losses && is_meant(parcel)
        });
        found.map(|(at, _)| at)
    }

    fn drop_at(&mut self, at: usize, reason: Reason) -> Option<Rc<Origin>> {
        let parcel = self.parcels.remove(at)?;
        let origin = parcel.origin.clone();
        let outcome = Outcome::dropped(reason, parcel.reports, parcel.spans);
        parcel.settle(&outcome);
        Some(origin)
    }
}
