//! Writes batches: each once, whole, with everything that follows from it.
//!
//! A transaction holds many batches. Ids, new issues and kept events are written as they come; all that
//! is counted is collected in a [`Tally`] and written once for the transaction, however many of its
//! events belong to one issue. What was looked up is remembered in a [`Cache`], from one transaction to
//! the next as long as nobody else writes.

mod cache;
mod facets;
mod keep;
mod traces;
mod lookup;
mod moved;
mod tally;
mod flush;

use std::collections::HashMap;

use rusqlite::{Connection, params};

use bugsage_core::clock::Timestamp;

use crate::observe::metrics::Writer;
use crate::store::StoreError;
use crate::store::model::{GroupedBatch, GroupedEvent, Limited, Receipt};

use super::{runs, sql};

pub(super) use cache::Cache;
use keep::Keeper;
pub(super) use moved::{move_events, tell_latest};
use tally::{Line, Tally, Told};
pub(super) use traces::root;

/// Who sends a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sender {
    pub(super) project: u64,
    /// The number of the ingest key.
    pub(super) key: u64,
}

/// The lines that a transaction adds to the ledger.
pub(super) struct Lines {
    events: HashMap<Line, (u64, u64)>,
    spans: HashMap<Line, u64>,
}

impl Lines {
    /// Counts them, now that they are committed.
    pub(super) fn count(self, metrics: &Writer) {
        for (line, (events, reports)) in self.events {
            let project = line.sender.project;
            metrics.count(project, line.outcome, line.reason, events, reports);
        }
        for (line, spans) in self.spans {
            metrics.count_spans(line.sender.project, line.outcome, line.reason, spans);
        }
    }
}

/// A transaction that batches are written in.
pub(super) struct Session<'a> {
    tx: &'a Connection,
    cache: &'a mut Cache,
    tally: Tally,
    /// Of one event, to be used again.
    facets: Vec<i64>,
}

impl<'a> Session<'a> {
    /// Begins. What others have written since the last one is seen.
    pub(super) fn begin(tx: &'a Connection, cache: &'a mut Cache) -> Result<Self, StoreError> {
        cache.look(tx)?;
        Ok(Self {
            tx,
            cache,
            tally: Tally::default(),
            facets: Vec::new(),
        })
    }

    /// Writes a batch. An error leaves the transaction in pieces: it has to be rolled back.
    pub(super) fn add(
        &mut self,
        sender: Sender,
        batch: &GroupedBatch,
    ) -> Result<Receipt, StoreError> {
        let tx = self.tx;
        let project = sender.project;
        let limited = batch.limited.map_or((0, 0), |it| (it.events, it.reports));
        let events = batch.events.len() as u64 + limited.0;
        let is_new = tx
            .prepare_cached(
                "insert or ignore into batches (project, id, events, received_at) values (?, ?, ?, ?)",
            )?
            .execute(params![
                sql(project),
                batch.id.to_bytes(),
                sql(events),
                sql(batch.received_at.0)
            ])?
            > 0;
        let reports: u64 = batch.events.iter().map(|it| it.event.count).sum();
        let reports = reports + limited.1;
        #[cfg(test)]
        assert_ne!(batch.id, crate::store::POISON, "a fault that a test wants");
        let rejected: u64 = batch.rejected.iter().map(|(_, items)| items).sum();
        // What an item that cannot be used stood for, nobody knows: it counts as one report.
        self.tally.account(
            sender,
            batch.received_at,
            "received",
            "",
            events + rejected,
            reports + rejected,
        );
        for (reason, items) in &batch.rejected {
            self.tally
                .account(sender, batch.received_at, "invalid", reason, *items, *items);
        }
        let spans = traces::count(&mut self.tally, sender, batch, is_new);
        if !is_new {
            self.tally.account(
                sender,
                batch.received_at,
                "duplicate",
                "batch",
                events,
                reports,
            );
            return Ok(Receipt {
                duplicate: events,
                duplicate_spans: spans,
                ..Receipt::default()
            });
        }
        if let Some(Limited {
            reason,
            events,
            reports,
        }) = batch.limited
        {
            let at = batch.received_at;
            self.tally
                .account(sender, at, "limited", reason, events, reports);
        }
        let mut keeper = Keeper::begin(tx, project, batch)?;
        let mut receipt = Receipt {
            limited: limited.0,
            spans,
            ..Receipt::default()
        };
        for event in &batch.events {
            if self.add_event(sender, event, batch.received_at, &mut keeper)? {
                receipt.accepted += 1;
            } else {
                receipt.duplicate += 1;
            }
        }
        keeper.end(&mut self.tally)?;
        for losses in &batch.losses {
            for (reason, reports) in &losses.dropped {
                // Running totals: a batch that comes late never takes anything back.
                tx.prepare_cached(
                    "insert into losses (project, run, reason, reports) values (?, ?, ?, ?)
                     on conflict (project, run, reason) do update set reports = max(reports, excluded.reports)",
                )?
                .execute(params![sql(project), losses.run.to_bytes(), &**reason, sql(*reports)])?;
            }
        }
        traces::write(tx, &mut self.tally, sender, batch)?;
        for state in &batch.run_states {
            runs::store(tx, project, state, batch.received_at)?;
        }
        Ok(receipt)
    }

    /// Counts one event and keeps it where that is wanted. False where its id was counted before.
    fn add_event(
        &mut self,
        sender: Sender,
        grouped: &GroupedEvent,
        received_at: Timestamp,
        keeper: &mut Keeper<'_>,
    ) -> Result<bool, StoreError> {
        let event = &grouped.event;
        let id = keeper.number(grouped);
        let is_new = self
            .tx
            .prepare_cached(
                "insert or ignore into seen_events (project, id, event) values (?, ?, ?)",
            )?
            .execute(params![sql(sender.project), event.id.to_bytes(), id])?
            > 0;
        if !is_new {
            self.tally
                .account(sender, received_at, "duplicate", "event", 1, event.count);
            return Ok(false);
        }
        self.tally.see_release(sender.project, event);
        let place = lookup::place(
            self.tx,
            self.cache,
            &mut self.tally,
            sender.project,
            grouped,
            received_at,
        )?;
        let (issue, whole) = (place.issue, place.whole);
        let is_kept = id.is_some() || place.why > 0;
        if is_kept {
            keeper.keep(self.cache, &mut self.tally, grouped, id, place)?;
            self.cache.kept(issue);
            self.tally
                .account(sender, received_at, "stored", "", 1, event.count);
        } else {
            self.tally.account(
                sender,
                received_at,
                "sampled_out",
                "like_others",
                1,
                event.count,
            );
        }
        facets::of(self.tx, self.cache, sender.project, event, &mut self.facets)?;
        self.tally.count(
            sender.project,
            [issue, whole],
            Told {
                event,
                title: &grouped.title,
                of: Some((&grouped.class, &grouped.culprit)),
            },
            is_kept,
            &self.facets,
        );
        Ok(true)
    }

    /// Writes what was counted, and tells what to count once it is committed.
    pub(super) fn end(self) -> Result<Lines, StoreError> {
        flush::all(self.tx, &self.tally)?;
        Ok(Lines {
            events: self.tally.ledger,
            spans: self.tally.span_ledger,
        })
    }
}

/// Writes down what happened to an issue.
pub(super) fn write_history(
    tx: &Connection,
    project: u64,
    issue: i64,
    at: Timestamp,
    actor: &str,
    what: &str,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into issue_history (project, issue, at, sequence, actor, what)
         select ?1, ?2, ?3, 1 + coalesce(max(sequence), 0), ?4, ?5
         from issue_history where project = ?1 and issue = ?2",
    )?
    .execute(params![sql(project), issue, sql(at.0), actor, what])?;
    Ok(())
}
