//! Batches that the program failed at, as they came.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::id::BatchId;
use bugsage_core::limits;

use crate::store::StoreError;
use crate::store::model::{Poison, QUARANTINE_BYTES_MAX, Quarantined, Refusal};
use crate::store::scope::{Organizations, Scope};

use super::ingest::Sender;
use super::issues::time;
use super::{HOUR_US, ledger, projects, sql, unsigned};

/// The reason under which the ledger has them, beside its equation: what is in them, nobody knows yet.
const REASON: &str = "quarantined";

/// The longest reason that is kept.
const REASON_BYTES_MAX: usize = 2_000;

pub(super) fn keep(tx: &Connection, sender: Sender, poison: &Poison) -> Result<(), StoreError> {
    let bytes = poison.body.len() as u64;
    let (there, is_there) = tx
        .prepare_cached(
            "select coalesce(sum(length(body)), 0), coalesce(max(batch = ?2), 0), count(*)
             from quarantine where project = ?1",
        )?
        .query_row(
            params![sql(sender.project), poison.batch.to_bytes()],
            |row| {
                let there = (unsigned(row.get(0)?), unsigned(row.get(2)?));
                Ok((there, row.get::<_, bool>(1)?))
            },
        )?;
    if is_there {
        return Ok(());
    }
    if there.0.saturating_add(bytes) > QUARANTINE_BYTES_MAX {
        return Err(StoreError::QuarantineFull(there.1));
    }
    let reason = limits::cut(&poison.reason, REASON_BYTES_MAX);
    tx.prepare_cached(
        "insert into quarantine (project, batch, key, received_at, reason, body)
         values (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        sql(sender.project),
        poison.batch.to_bytes(),
        sql(sender.key),
        sql(poison.received_at.0),
        reason,
        poison.body,
    ])?;
    let refusal = Refusal {
        project: sender.project,
        hour: poison.received_at.0 / HOUR_US,
        reason: REASON.to_owned(),
        requests: 1,
        bytes,
    };
    ledger::note_refusals(tx, &[refusal])
}

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
) -> Result<Vec<Quarantined>, StoreError> {
    let mut all = Vec::new();
    for project in projects::list(c, organizations)? {
        let mut select = c.prepare_cached(
            "select batch, received_at, reason, length(body) from quarantine where project = ?",
        )?;
        let rows = select.query_map([sql(project.id)], |row| {
            Ok(Quarantined {
                batch: BatchId::from_bytes(row.get(0)?),
                project: project.id,
                project_name: project.name.clone(),
                received_at: time(row, 1)?,
                reason: row.get(2)?,
                bytes: unsigned(row.get(3)?),
            })
        })?;
        for row in rows {
            all.push(row?);
        }
    }
    all.sort_by_key(|quarantined| (quarantined.received_at, quarantined.batch));
    Ok(all)
}

pub(super) fn one(
    c: &Connection,
    organizations: Organizations,
    batch: BatchId,
) -> Result<(Scope, Poison), StoreError> {
    for project in projects::list(c, organizations)? {
        let mut select = c.prepare_cached(
            "select key, received_at, reason, body from quarantine where project = ? and batch = ?",
        )?;
        let found = select
            .query_row(params![sql(project.id), batch.to_bytes()], |row| {
                let poison = Poison {
                    batch,
                    received_at: time(row, 1)?,
                    reason: row.get(2)?,
                    body: row.get(3)?,
                };
                let key = unsigned(row.get(0)?);
                Ok((Scope::of_ingest_key(project.id, key), poison))
            })
            .optional()?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(not_there(batch))
}

pub(super) fn discard(
    tx: &Connection,
    organizations: Organizations,
    batch: BatchId,
) -> Result<(), StoreError> {
    for project in projects::list(tx, organizations)? {
        let n = tx
            .prepare_cached("delete from quarantine where project = ? and batch = ?")?
            .execute(params![sql(project.id), batch.to_bytes()])?;
        if n > 0 {
            return Ok(());
        }
    }
    Err(not_there(batch))
}

fn not_there(batch: BatchId) -> StoreError {
    StoreError::NotFound {
        what: "batch in quarantine with the id",
        name: batch.to_string(),
    }
}
