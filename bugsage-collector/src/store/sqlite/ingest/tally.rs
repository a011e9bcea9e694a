//! What a transaction counts, before it is written.

use std::collections::HashMap;

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, Level, Text};
use bugsage_core::id::EventId;
use bugsage_core::sketch::Sketch;

use super::super::HOUR_US;
use super::Sender;
use super::facets::Counts;

/// Counts of one transaction.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) issues: HashMap<i64, Delta>,
    /// When releases were first and last seen.
    pub(super) releases: HashMap<u64, HashMap<Text, (Timestamp, Timestamp)>>,
    pub(super) ledger: HashMap<Line, (u64, u64)>,
    pub(super) span_ledger: HashMap<Line, u64>,
    /// Events that were kept, by their stack.
    pub(super) stacks: HashMap<i64, u64>,
    /// Bytes of packs, by project.
    pub(super) spaces: HashMap<u64, u64>,
    /// Bytes of pieces of traces, by project.
    pub(super) trace_spaces: HashMap<u64, u64>,
}

/// A line of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) sender: Sender,
    pub(super) hour: u64,
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
}

/// What changed about an issue.
pub(super) struct Delta {
    pub(super) project: u64,
    /// The issue that it is a part of, or itself.
    pub(super) whole: i64,
    pub(super) reports: u64,
    pub(super) kept: u64,
    pub(super) first_at: Timestamp,
    pub(super) first_release: Option<Text>,
    pub(super) last: Last,
    /// The latest that was kept.
    pub(super) latest: Option<(Timestamp, EventId)>,
    pub(super) hours: HashMap<u64, Hour>,
    /// By release and environment.
    pub(super) variants: Vec<Variant>,
    pub(super) users: Sketch,
}

/// The last event, as far as the issue tells of it.
pub(super) struct Last {
    pub(super) at: Timestamp,
    pub(super) release: Option<Text>,
    pub(super) level: Level,
    pub(super) title: String,
    /// Its class and function, where they are known.
    pub(super) of: Option<(String, String)>,
}

/// An event, and what lists tell of it.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) event: &'a Event,
    pub(super) title: &'a str,
    /// Its class and function.
    pub(super) of: Option<(&'a str, &'a str)>,
}

#[derive(Default)]
pub(super) struct Hour {
    pub(super) reports: u64,
    pub(super) facets: Counts,
}

pub(super) struct Variant {
    pub(super) release: Option<Text>,
    pub(super) environment: Option<Text>,
    pub(super) reports: u64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
}

impl Tally {
    /// Notes what became of something that was received.
    pub(super) fn account(
        &mut self,
        sender: Sender,
        received_at: Timestamp,
        outcome: &'static str,
        reason: &'static str,
        events: u64,
        reports: u64,
    ) {
        let line = Line {
            sender,
            hour: received_at.0 / HOUR_US,
            outcome,
            reason,
        };
        let sum = self.ledger.entry(line).or_default();
        sum.0 += events;
        sum.1 = sum.1.saturating_add(reports);
    }

    /// The same of spans.
    pub(super) fn account_spans(
        &mut self,
        sender: Sender,
        received_at: Timestamp,
        outcome: &'static str,
        reason: &'static str,
        spans: u64,
    ) {
        if spans == 0 {
            return;
        }
        let line = Line {
            sender,
            hour: received_at.0 / HOUR_US,
            outcome,
            reason,
        };
        *self.span_ledger.entry(line).or_default() += spans;
    }

    pub(super) fn see_release(&mut self, project: u64, event: &Event) {
        let Some(release) = &event.run.release else {
            return;
        };
        let releases = self.releases.entry(project).or_default();
        match releases.get_mut(release) {
            Some((first, last)) => {
                *first = event.first_at.min(*first);
                *last = event.last_at.max(*last);
            }
            None => {
                releases.insert(release.clone(), (event.first_at, event.last_at));
            }
        }
    }

    pub(super) fn release_first_seen(&self, project: u64, release: &str) -> Option<Timestamp> {
        self.releases.get(&project)?.get(release).map(|seen| seen.0)
    }

    pub(super) fn count(
        &mut self,
        project: u64,
        [issue, whole]: [i64; 2],
        told: Told<'_>,
        is_kept: bool,
        facets: &[i64],
    ) {
        let delta = self.issues.entry(issue);
        let delta = delta.or_insert_with(|| Delta::begin(project, whole, told));
        delta.add(told, is_kept, facets);
    }
}

impl Delta {
    fn begin(project: u64, whole: i64, told: Told<'_>) -> Self {
        let event = told.event;
        Self {
            project,
            whole,
            reports: 0,
            kept: 0,
            first_at: event.first_at,
            first_release: event.run.release.clone(),
            last: Last::of(told),
            latest: None,
            hours: HashMap::new(),
            variants: Vec::new(),
            users: Sketch::default(),
        }
    }

    fn add(&mut self, told: Told<'_>, is_kept: bool, facets: &[i64]) {
        let event = told.event;
        self.reports = self.reports.saturating_add(event.count);
        if event.first_at < self.first_at {
            self.first_at = event.first_at;
            self.first_release.clone_from(&event.run.release);
        }
        // The latest by time, not by arrival: old batches may come late.
        if event.last_at >= self.last.at {
            self.last.set(told);
        }
        if is_kept {
            self.kept += 1;
            if self.latest.is_none_or(|(at, _)| event.last_at >= at) {
                self.latest = Some((event.last_at, event.id));
            }
        }
        // A folded event counts in the hour of its first report; a fold lasts seconds.
        let hour = self.hours.entry(event.first_at.0 / HOUR_US).or_default();
        hour.reports = hour.reports.saturating_add(event.count);
        for facet in facets {
            let count = hour.facets.entry(*facet).or_default();
            *count = count.saturating_add(event.count);
        }
        self.add_variant(event);
        if let Some(user) = &event.user {
            self.users.add(user);
        }
    }

    fn add_variant(&mut self, event: &Event) {
        let run = &event.run;
        let known = self.variants.iter_mut().find(|variant| {
            variant.release == run.release && variant.environment == run.environment
        });
        match known {
            Some(variant) => {
                variant.reports = variant.reports.saturating_add(event.count);
                variant.first_at = variant.first_at.min(event.first_at);
                variant.last_at = variant.last_at.max(event.last_at);
            }
            None => self.variants.push(Variant {
                release: run.release.clone(),
                environment: run.environment.clone(),
                reports: event.count,
                first_at: event.first_at,
                last_at: event.last_at,
            }),
        }
    }
}

impl Last {
    fn of(told: Told<'_>) -> Self {
        Self {
            at: told.event.last_at,
            release: told.event.run.release.clone(),
            level: told.event.level,
            title: told.title.to_owned(),
            of: told
                .of
                .map(|(class, culprit)| (class.to_owned(), culprit.to_owned())),
        }
    }

    /// Most events say what the one before said: its memory is used again.
    fn set(&mut self, told: Told<'_>) {
        self.at = told.event.last_at;
        if let Some(release) = &told.event.run.release {
            self.release = Some(release.clone());
        }
        self.level = told.event.level;
        told.title.clone_into(&mut self.title);
        match (&mut self.of, told.of) {
            (Some((class, culprit)), Some(of)) => {
                of.0.clone_into(class);
                of.1.clone_into(culprit);
            }
            (before, now) => {
                *before = now.map(|(class, culprit)| (class.to_owned(), culprit.to_owned()));
            }
        }
    }
}
