//! Reads the ledger, and adds to it what was turned away.

use rusqlite::{Connection, params};

use crate::store::StoreError;
use crate::store::model::{Account, LedgerFilter, LedgerLine, Refusal};
use crate::store::scope::Organizations;
use crate::store::trace::{SpanAccount, SpanLine};

use super::{HOUR_US, projects, sql, unsigned};

/// The name of what came under keys that are not known.
const NOBODY: &str = "no known key";

pub(super) fn accounts(
    c: &Connection,
    organizations: Organizations,
    filter: &LedgerFilter,
) -> Result<Vec<Account>, StoreError> {
    let since = filter.since.0 / HOUR_US;
    let projects = match &filter.project {
        Some(name) => vec![projects::one(c, organizations, name)?],
        None => projects::list(c, organizations)?,
    };
    let mut accounts = Vec::new();
    for project in projects {
        accounts.push(Account {
            project: project.id,
            lines: lines(c, project.id, since)?,
            refusals: refusals(c, project.id, since)?,
            project_name: project.name,
            losses: project.losses,
            spans: spans(c, project.id, since)?,
        });
    }
    if filter.project.is_none() && organizations != Organizations::None {
        let refusals = refusals(c, 0, since)?;
        if !refusals.is_empty() {
            accounts.push(Account {
                project: 0,
                project_name: NOBODY.to_owned(),
                lines: Vec::new(),
                refusals,
                losses: Vec::new(),
                spans: SpanAccount::default(),
            });
        }
    }
    Ok(accounts)
}

fn lines(c: &Connection, project: u64, since: u64) -> Result<Vec<LedgerLine>, StoreError> {
    let mut select = c.prepare_cached(
        "select key, hour, outcome, reason, events, reports from ledger
         where project = ? and hour >= ? order by hour, key, outcome, reason",
    )?;
    let lines = select.query_map(params![sql(project), sql(since)], |row| {
        Ok(LedgerLine {
            key: unsigned(row.get(0)?),
            hour: unsigned(row.get(1)?),
            outcome: row.get(2)?,
            reason: row.get(3)?,
            events: unsigned(row.get(4)?),
            reports: unsigned(row.get(5)?),
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

fn spans(c: &Connection, project: u64, since: u64) -> Result<SpanAccount, StoreError> {
    let mut select = c.prepare_cached(
        "select key, hour, outcome, reason, spans from span_ledger
         where project = ? and hour >= ? order by hour, key, outcome, reason",
    )?;
    let lines = select.query_map(params![sql(project), sql(since)], |row| {
        Ok(SpanLine {
            key: unsigned(row.get(0)?),
            hour: unsigned(row.get(1)?),
            outcome: row.get(2)?,
            reason: row.get(3)?,
            spans: unsigned(row.get(4)?),
        })
    })?;
    let lines = lines.collect::<Result<_, _>>()?;
    let mut select = c.prepare_cached(
        "select reason, cast(min(total(spans), 9e18) as integer) from span_losses
         where project = ? group by reason order by reason",
    )?;
    let losses = select.query_map([sql(project)], |row| {
        Ok((row.get(0)?, unsigned(row.get(1)?)))
    })?;
    Ok(SpanAccount {
        lines,
        losses: losses.collect::<Result<_, _>>()?,
    })
}

fn refusals(c: &Connection, project: u64, since: u64) -> Result<Vec<Refusal>, StoreError> {
    let mut select = c.prepare_cached(
        "select hour, reason, requests, bytes from refusals
         where project = ? and hour >= ? order by hour, reason",
    )?;
    let refusals = select.query_map(params![sql(project), sql(since)], |row| {
        Ok(Refusal {
            project,
            hour: unsigned(row.get(0)?),
            reason: row.get(1)?,
            requests: unsigned(row.get(2)?),
            bytes: unsigned(row.get(3)?),
        })
    })?;
    Ok(refusals.collect::<Result<_, _>>()?)
}

pub(super) fn note_refusals(tx: &Connection, refusals: &[Refusal]) -> Result<(), StoreError> {
    for refusal in refusals {
        tx.prepare_cached(
            "insert into refusals (project, hour, reason, requests, bytes) values (?, ?, ?, ?, ?)
             on conflict (project, hour, reason) do update set
                 requests = requests + excluded.requests,
                 bytes = min(bytes, 9223372036854775807 - excluded.bytes) + excluded.bytes",
        )?
        .execute(params![
            sql(refusal.project),
            sql(refusal.hour),
            refusal.reason,
            sql(refusal.requests),
            sql(refusal.bytes),
        ])?;
    }
    Ok(())
}
