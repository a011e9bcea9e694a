//! Sorts events into issues, and spans into traces.
//!
//! In: decoded events and spans from [`crate::ingest`]. Out: [`GroupedEvent`]s, and pieces of traces, for
//! [`crate::store`].
//! Never: network, wall clock, deleting.
//!
//! Events are cleaned again here: not every sender is our SDK. Whether a frame is the app's own is
//! computed anew for the same reason.

pub mod regression;
pub mod sample;
pub mod similar;
pub mod sources;
pub mod stacks;
pub mod trial;
pub mod why;
mod spans;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bugsage_core::batch::{Batch, Rejected};
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, EventKind, RunState};
use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::{self, Outline};
use bugsage_core::limits;
use bugsage_core::scrub::Cleaner;

use crate::forward;
use crate::store::model::{GroupedBatch, GroupedEvent, Limited, Project};
use crate::store::pack::Packer;
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

use sample::{Candidate, Keep, Sampler};
use sources::{EventSources, SourceCache};
use stacks::{StackCache, Stacks};

/// A sender's clock may be ahead by this much before it is worth a note.
const DRIFT_NOTED_US: u64 = 1_000_000;

/// What is remembered from batch to batch, to be faster. Nothing depends on it.
#[derive(Default)]
pub struct Memory {
    /// What was kept a moment ago.
    pub sampler: Sampler,
    /// What came of stacks.
    pub stacks: StackCache,
    /// The source of what ran.
    pub sources: Arc<SourceCache>,
}

impl Memory {
    /// One that remembers nothing yet.
    pub fn new(keep: Keep) -> Self {
        Self {
            sampler: Sampler::new(keep),
            stacks: StackCache::default(),
            sources: Arc::default(),
        }
    }
}

/// What a project's events are grouped by, beside themselves.
#[derive(Debug, Clone, Default)]
pub struct By {
    /// Where its source is.
    pub repository: Option<Arc<str>>,
    /// Its own rules.
    pub rules: Arc<Rules>,
}

impl By {
    /// What the events of a project are grouped by now.
    ///
    /// # Errors
    ///
    /// Where the store does not tell.
    pub async fn of(
        store: &dyn Store,
        scope: &Scope,
        project: &Project,
    ) -> Result<Self, StoreError> {
        let name = project.id.to_string();
        let set = store.grouping_rules(scope, &name).await?;
        let rules = set.map(|set| rules(&set.rules));
        Ok(Self {
            repository: project.repository.as_deref().map(Arc::from),
            rules: rules.unwrap_or_default(),
        })
    }
}

/// A project's rules, as the store has them. They were read before they were set.
pub fn rules(text: &str) -> Arc<Rules> {
    let rules = Rules::parse(text).unwrap_or_else(|error| {
        tracing::error!(%error, "the rules of a project cannot be read: the built-in ones hold");
        Rules::default()
    });
    Arc::new(rules)
}

/// Groups a batch of a project.
///
/// # Errors
///
/// Where events cannot be compressed, which takes a system without memory.
pub fn group(
    batch: Batch,
    project: u64,
    by: &By,
    received_at: Timestamp,
    memory: &Memory,
) -> io::Result<GroupedBatch> {
    let (mut cleaner, mut stacks) = (Cleaner::default(), Stacks::new(&memory.stacks));
    let mut sources = EventSources::new(&memory.sources, by.repository.as_ref());
    let events = batch.events.into_iter().map(|(_, mut event)| {
        cleaner.head(&mut event);
        group_event(event, received_at, &mut stacks, &mut sources, &by.rules)
    });
    let mut events: Vec<GroupedEvent> = events.collect();
    let candidates = events.iter().filter_map(|grouped| {
        Some(Candidate {
            fingerprint: *grouped.fingerprints.first()?,
            run: &grouped.event.run,
            last_at: grouped.event.last_at,
        })
    });
    let chosen = memory.sampler.choose(project, received_at, candidates);
    let mut packer = Packer::default();
    let candidates = events.iter_mut().filter(|it| !it.fingerprints.is_empty());
    for (grouped, is_chosen) in candidates.zip(chosen) {
        if is_chosen {
            cleaner.event(&mut grouped.event);
            grouped.document = Some(packer.push(&grouped.event)?);
        }
    }
    Ok(GroupedBatch {
        id: batch.id,
        received_at,
        events,
        packs: packer.finish()?,
        limited: None,
        spans: spans::group(
            batch.spans,
            &batch.rejected,
            batch.span_losses,
            received_at,
            &mut cleaner,
        )?,
        rejected: rejected(&batch.rejected),
        losses: batch.losses,
        run_states: run_states(batch.run_states, received_at),
    })
}

/// A batch of a project that has sent too much: its events and spans are only counted.
pub fn only_count(batch: Batch, reason: &'static str, received_at: Timestamp) -> GroupedBatch {
    GroupedBatch {
        id: batch.id,
        received_at,
        events: Vec::new(),
        packs: Vec::new(),
        limited: Some(Limited {
            reason,
            events: batch.events.len() as u64,
            reports: batch.events.iter().map(|(_, event)| event.count).sum(),
        }),
        spans: spans::only_count(
            batch.spans.len() as u64,
            &batch.rejected,
            batch.span_losses,
            reason,
        ),
        rejected: rejected(&batch.rejected),
        losses: batch.losses,
        run_states: run_states(batch.run_states, received_at),
    }
}

fn group_event(
    mut event: Event,
    received_at: Timestamp,
    stacks: &mut Stacks,
    sources: &mut EventSources<'_>,
    rules: &Rules,
) -> GroupedEvent {
    clamp(&mut event, received_at);
    sources.of(event.run.release.as_ref());
    let stack = event.stack.take();
    let mut stack = stack.map(|stack| stacks.judge(stack));
    let grouping = match &mut stack {
        Some(stack) => stack.group(&mut event, sources, rules),
        None => fingerprint::group_on(&event, &Outline::default(), sources, rules),
    };
    GroupedEvent {
        stack: stack.map(|stack| stack.stored()),
        fingerprints: grouping.fingerprints,
        reasons: grouping.reasons,
        severity: severity(event.kind),
        wants_case: forward::wants_case(event.kind, grouping.in_app),
        class: grouping.class,
        culprit: grouping.culprit,
        title: grouping.title,
        document: None,
        event,
    }
}

/// Items that could not be used, spans not among them.
fn rejected(items: &[Rejected]) -> Vec<(&'static str, u64)> {
    by_reason(items.iter().filter(|item| !item.is_span))
}

fn by_reason<'a>(items: impl Iterator<Item = &'a Rejected>) -> Vec<(&'static str, u64)> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item.reason.code()).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// Nothing was seen after it was received, whatever the sender's clock says.
fn clamp(event: &mut Event, received_at: Timestamp) {
    let ahead_us = event.last_at.micros_since(received_at);
    if ahead_us > DRIFT_NOTED_US {
        event
            .contexts
            .push(("clock.ahead_us".into(), ahead_us.to_string().into()));
    }
    event.first_at = event.first_at.min(received_at);
    event.last_at = event.last_at.min(received_at).max(event.first_at);
}

/// States of runs within what a store can add up, and not later than they were received.
fn run_states(states: Vec<RunState>, received_at: Timestamp) -> Vec<RunState> {
    const HOUR_US: u64 = 3_600_000_000;
    let clamped = states.into_iter().map(|mut state| {
        state.alive_at = state.alive_at.min(received_at);
        if state.run.started_at > received_at {
            Arc::make_mut(&mut state.run).started_at = received_at;
        }
        for hour in &mut state.hours {
            hour.hour = hour.hour.min(received_at.0 / HOUR_US);
            hour.roots = hour.roots.min(limits::ROOT_SPANS_MAX);
            hour.roots_failed = hour.roots_failed.min(hour.roots);
        }
        state
    });
    clamped.collect()
}

fn severity(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Panic => "high",
        EventKind::Error => "medium",
        EventKind::Log => "low",
    }
}
