//! Makes room among traces: the oldest go first.
//!
//! A trace that a kept event was made in stays as long as that event, whatever its age. All others go once
//! they are older than a project's days, or where its traces take more than their budget. Where the traces of
//! kept events alone take more, the oldest of these go too: a disk must not fill up with them.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::clock::Timestamp;

use crate::store::StoreError;
use crate::store::model::{Retention, Swept};

use super::super::{sql, unsigned};
use super::{Step, days_before};

/// Traces that one step looks at: a few milliseconds.
const STEP_TRACES: u32 = 256;

/// What a pass takes that began at the oldest trace: those without a kept event.
const PASS_WHOLE: i64 = 1;

/// What the last pass takes: all.
const PASS_ALL: i64 = 2;

/// The last pass goes on until so much of the budget is free, or each new trace would lead to a pass over all.
const FREE_PART: u64 = 16;

/// One step: for the first project that has something to do.
pub(super) fn step(
    tx: &Connection,
    retention: Retention,
    now: Timestamp,
) -> Result<Option<Swept>, StoreError> {
    let spaces: Vec<Space> = tx
        .prepare_cached(
            "select project, bytes, aged_at, aged_trace, pass, next_at, next_trace from trace_spaces",
        )?
        .query_map([], |row| {
            Ok(Space {
                project: row.get(0)?,
                bytes: unsigned(row.get(1)?),
                aged: (row.get(2)?, row.get(3)?),
                pass: row.get(4)?,
                next: (row.get(5)?, row.get(6)?),
            })
        })?
        .collect::<Result<_, _>>()?;
    for space in spaces {
        let swept = match space.age(tx, retention, now)? {
            Some(swept) => Some(swept),
            None => space.thin(tx, retention.trace_bytes)?,
        };
        if swept.is_some() {
            return Ok(swept);
        }
    }
    Ok(None)
}

/// An event has gone: its trace goes too, where it is too old to be there without one.
pub(super) fn release(
    tx: &Connection,
    project: i64,
    trace: [u8; 16],
    step: &mut Step,
) -> Result<(), StoreError> {
    let candidate = tx
        .prepare_cached(
            "select id, created_at, bytes from traces t
             where project = ?1 and trace = ?2 and created_at < ?3
                 and not exists (select 1 from events e where e.project = ?1 and e.trace = ?2)",
        )?
        .query_row(params![project, trace, sql(step.traces_until)], |row| {
            Ok(Candidate {
                place: (row.get(1)?, row.get(0)?),
                bytes: unsigned(row.get(2)?),
                has_event: false,
            })
        })
        .optional()?;
    match candidate {
        Some(candidate) => candidate.drop(tx, project, step),
        None => Ok(()),
    }
}

/// The time when a trace came, and its number.
type Place = (i64, i64);

/// What a project's traces take.
struct Space {
    project: i64,
    bytes: u64,
    aged: Place,
    pass: i64,
    next: Place,
}

/// A trace that is looked at.
struct Candidate {
    place: Place,
    bytes: u64,
    has_event: bool,
}

impl Candidate {
    fn drop(&self, tx: &Connection, project: i64, step: &mut Step) -> Result<(), StoreError> {
        let (_, id) = self.place;
        tx.prepare_cached("delete from trace_pieces where project = ? and trace = ?")?
            .execute(params![project, id])?;
        tx.prepare_cached("delete from traces where id = ?")?
            .execute([id])?;
        tx.prepare_cached("update trace_spaces set bytes = max(0, bytes - ?) where project = ?")?
            .execute(params![sql(self.bytes), project])?;
        step.traces += 1;
        step.bytes += self.bytes;
        step.worked_bytes += self.bytes;
        Ok(())
    }
}

impl Space {
    /// Sweeps what is too old. `None` where nothing is.
    fn age(
        &self,
        tx: &Connection,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Option<Swept>, StoreError> {
        let until = sql(days_before(now, retention.trace_days));
        let mut step = Step::default();
        let mut last = None;
        for candidate in self.behind(tx, self.aged, until)? {
            if !candidate.has_event {
                candidate.drop(tx, self.project, &mut step)?;
            }
            last = Some(candidate.place);
            if step.is_enough() {
                break;
            }
        }
        let Some((at, trace)) = last else {
            return Ok(None);
        };
        tx.prepare_cached("update trace_spaces set aged_at = ?, aged_trace = ? where project = ?")?
            .execute(params![at, trace, self.project])?;
        Ok(Some(step.swept()))
    }

    /// Sweeps the oldest, where there is too much. `None` where there is room.
    fn thin(&self, tx: &Connection, budget: u64) -> Result<Option<Swept>, StoreError> {
        let enough = match self.pass {
            PASS_ALL => budget - budget / FREE_PART,
            _ => budget,
        };
        if self.bytes <= enough {
            if self.pass > 0 {
                self.note(tx, 0, self.next)?;
            }
            return Ok(None);
        }
        let candidates = self.behind(tx, self.next, i64::MAX)?;
        if candidates.is_empty() {
            let is_over = self.pass == PASS_ALL;
            self.note(tx, if is_over { 0 } else { self.pass + PASS_WHOLE }, (0, 0))?;
            // A last pass that has found nothing more is no reason for another one.
            return Ok((!is_over).then(|| Step::default().swept()));
        }
        let (mut step, mut next) = (Step::default(), self.next);
        for candidate in candidates {
            if self.bytes.saturating_sub(step.bytes) <= enough || step.is_enough() {
                break;
            }
            if self.pass == PASS_ALL || !candidate.has_event {
                candidate.drop(tx, self.project, &mut step)?;
            }
            next = candidate.place;
        }
        self.note(tx, self.pass, next)?;
        Ok(Some(step.swept()))
    }

    fn note(&self, tx: &Connection, pass: i64, (at, trace): Place) -> Result<(), StoreError> {
        tx.prepare_cached(
            "update trace_spaces set pass = ?, next_at = ?, next_trace = ? where project = ?",
        )?
        .execute(params![pass, at, trace, self.project])?;
        Ok(())
    }

    /// The next traces, the oldest first.
    fn behind(
        &self,
        tx: &Connection,
        (at, trace): Place,
        until: i64,
    ) -> Result<Vec<Candidate>, StoreError> {
        let candidates = tx
            .prepare_cached(
                "select id, created_at, bytes,
                     exists (select 1 from events e where e.project = t.project and e.trace = t.trace)
                 from traces t
                 where project = ? and (created_at, id) > (?, ?) and created_at < ?
                 order by created_at, id limit ?",
            )?
            .query_map(params![self.project, at, trace, until, STEP_TRACES], |row| {
                Ok(Candidate {
                    place: (row.get(1)?, row.get(0)?),
                    bytes: unsigned(row.get(2)?),
                    has_event: row.get(3)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(candidates)
    }
}
