//! Writes a batch: once, whole, with everything that follows from it.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use bugsage_core::clock::Timestamp;

use crate::group::regression;
use crate::store::StoreError;
use crate::store::model::{GroupedBatch, GroupedEvent, Receipt, StoredStack};

use super::{HOUR_US, cases, runs, sql, unsigned};

/// Users of one issue that are told apart; beyond that the number stands still.
const USERS_MAX: i64 = 100_000;

pub(super) fn batch(
    tx: &Connection,
    project: u64,
    batch: GroupedBatch,
) -> Result<Receipt, StoreError> {
    let events = batch.events.len() as u64;
    let known =
        tx.prepare_cached(
            "insert or ignore into batches (project, id, events, received_at) values (?, ?, ?, ?)",
        )?
        .execute(params![
            sql(project),
            batch.id.to_bytes(),
            sql(events),
            sql(batch.received_at.0)
        ])? == 0;
    if known {
        return Ok(Receipt {
            accepted: 0,
            duplicate: events,
        });
    }
    for stack in distinct_stacks(&batch.events) {
        store_stack(tx, project, stack)?;
    }
    let mut receipt = Receipt::default();
    for event in &batch.events {
        if store_event(tx, project, event, batch.received_at)? {
            receipt.accepted += 1;
        } else {
            receipt.duplicate += 1;
        }
    }
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
    for state in &batch.run_states {
        runs::store(tx, project, state, batch.received_at)?;
    }
    Ok(receipt)
}

/// The stacks of a batch, each once: a thousand equal panics have one.
fn distinct_stacks(events: &[GroupedEvent]) -> impl Iterator<Item = &StoredStack> {
    let mut known = HashSet::new();
    let stacks = events.iter().filter_map(|event| event.stack.as_ref());
    stacks.filter(move |stack| known.insert(stack.hash))
}

fn store_stack(tx: &Connection, project: u64, stack: &StoredStack) -> Result<(), StoreError> {
    let is_known = tx
        .prepare_cached("select 1 from stacks where project = ? and hash = ?")?
        .exists(params![sql(project), stack.hash])?;
    if !is_known {
        tx.prepare_cached("insert into stacks (project, hash, document) values (?, ?, ?)")?
            .execute(params![sql(project), stack.hash, json(&stack.stack)?])?;
    }
    Ok(())
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Unavailable(format!("an event is no JSON: {error}")))
}

/// Stores one event and counts it. False where its id was stored before.
fn store_event(
    tx: &Connection,
    project: u64,
    grouped: &GroupedEvent,
    received_at: Timestamp,
) -> Result<bool, StoreError> {
    let event = &grouped.event;
    let is_known = tx
        .prepare_cached("select 1 from events where project = ? and id = ?")?
        .exists(params![sql(project), event.id.to_bytes()])?;
    if is_known {
        return Ok(false);
    }
    if let Some(release) = &event.run.release {
        tx.prepare_cached(
            "insert into releases (project, name, first_seen, last_seen) values (?1, ?2, ?3, ?4)
             on conflict (project, name) do update set
                 first_seen = min(first_seen, excluded.first_seen),
                 last_seen = max(last_seen, excluded.last_seen)",
        )?
        .execute(params![
            sql(project),
            &**release,
            sql(event.first_at.0),
            sql(event.last_at.0)
        ])?;
    }
    let issue = match find_issue(tx, project, grouped)? {
        Some(issue) => {
            count(tx, project, issue, grouped, received_at)?;
            issue
        }
        None => open_issue(tx, project, grouped)?,
    };
    for fingerprint in &grouped.fingerprints {
        tx.prepare_cached(
            "insert or ignore into fingerprints (project, fingerprint, issue) values (?, ?, ?)",
        )?
        .execute(params![sql(project), fingerprint.to_string(), issue])?;
    }
    let document = json(event)?;
    tx.prepare_cached(
        "insert into events (project, id, issue, first_at, reports, stack, document) values (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        sql(project),
        event.id.to_bytes(),
        issue,
        sql(event.first_at.0),
        sql(event.count),
        grouped.stack.as_ref().map(|stack| stack.hash),
        document,
    ])?;
    roll_up(tx, project, issue, grouped)?;
    if grouped.wants_case {
        cases::open_for(tx, project, issue, received_at)?;
    }
    Ok(true)
}

fn find_issue(
    tx: &Connection,
    project: u64,
    grouped: &GroupedEvent,
) -> Result<Option<i64>, StoreError> {
    let mut find =
        tx.prepare_cached("select issue from fingerprints where project = ? and fingerprint = ?")?;
    // Two bugs may share a weak fingerprint: it does not lead to one that is known to be another.
    let mut has_strong = tx.prepare_cached(
        "select 1 from fingerprints where project = ? and issue = ? and fingerprint not like 'w%'",
    )?;
    let is_known_well = grouped.fingerprints.iter().any(|it| !it.is_weak());
    for fingerprint in &grouped.fingerprints {
        let key = params![sql(project), fingerprint.to_string()];
        let found = find.query_row(key, |row| row.get(0)).optional()?;
        let Some(issue) = found else { continue };
        let is_other = fingerprint.is_weak()
            && is_known_well
            && has_strong.exists(params![sql(project), issue])?;
        if !is_other {
            return Ok(Some(issue));
        }
    }
    Ok(None)
}

fn open_issue(tx: &Connection, project: u64, grouped: &GroupedEvent) -> Result<i64, StoreError> {
    let event = &grouped.event;
    tx.prepare_cached(
        "insert into issues (project, kind, level, title, class, culprit, status, substatus, severity,
             events, users, first_seen, last_seen, first_release, last_release, latest_event)
         values (?, ?, ?, ?, ?, ?, 'unresolved', 'new', ?, ?, 0, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        sql(project),
        event.kind.as_str(),
        event.level.as_str(),
        grouped.title,
        grouped.class,
        grouped.culprit,
        grouped.severity,
        sql(event.count),
        sql(event.first_at.0),
        sql(event.last_at.0),
        event.run.release.as_deref(),
        event.run.release.as_deref(),
        event.id.to_bytes(),
    ])?;
    let issue = tx.last_insert_rowid();
    write_history(tx, project, issue, event.first_at, "system", "opened")?;
    Ok(issue)
}

fn count(
    tx: &Connection,
    project: u64,
    issue: i64,
    grouped: &GroupedEvent,
    received_at: Timestamp,
) -> Result<(), StoreError> {
    let event = &grouped.event;
    // The latest by time, not by arrival: old batches may come late.
    tx.prepare_cached(
        "update issues set
             events = events + ?2,
             first_release = case when ?3 < first_seen then ?5 else first_release end,
             first_seen = min(first_seen, ?3),
             latest_event = case when ?4 >= last_seen then ?6 else latest_event end,
             last_release = case when ?4 >= last_seen then coalesce(?5, last_release) else last_release end,
             title = case when ?4 >= last_seen then ?7 else title end,
             level = case when ?4 >= last_seen then ?8 else level end,
             last_seen = max(last_seen, ?4)
         where id = ?1",
    )?
    .execute(params![
        issue,
        sql(event.count),
        sql(event.first_at.0),
        sql(event.last_at.0),
        event.run.release.as_deref(),
        event.id.to_bytes(),
        grouped.title,
        event.level.as_str(),
    ])?;
    reopen(tx, project, issue, grouped, received_at)
}

/// Reopens a resolved issue that came back in a newer release.
fn reopen(
    tx: &Connection,
    project: u64,
    issue: i64,
    grouped: &GroupedEvent,
    received_at: Timestamp,
) -> Result<(), StoreError> {
    let event = &grouped.event;
    let resolved = tx
        .prepare_cached(
            "select resolved_at, resolved_release from issues where id = ? and status = 'resolved'",
        )?
        .query_row([issue], |row| {
            Ok((
                row.get::<_, Option<i64>>(0)?,
                row.get::<_, Option<String>>(1)?,
            ))
        })
        .optional()?;
    let Some((resolved_at, resolved_release)) = resolved else {
        return Ok(());
    };
    let release = event.run.release.as_deref();
    let release_seen = match release {
        Some(release) => tx
            .prepare_cached("select first_seen from releases where project = ? and name = ?")?
            .query_row(params![sql(project), release], |row| row.get::<_, i64>(0))
            .optional()?,
        None => None,
    };
    let returned = regression::Return {
        release,
        release_first_seen: release_seen.map(|at| Timestamp(unsigned(at))),
        last_at: event.last_at,
        resolved_release: resolved_release.as_deref(),
        resolved_at: Timestamp(resolved_at.map_or(0, unsigned)),
    };
    if !returned.is_regression() {
        return Ok(());
    }
    tx.prepare_cached(
        "update issues set status = 'unresolved', substatus = 'regressed',
             resolved_at = null, resolved_release = null where id = ?",
    )?
    .execute([issue])?;
    let what = match release {
        Some(release) => format!("regressed in {release}"),
        None => "regressed".to_owned(),
    };
    write_history(tx, project, issue, received_at, "system", &what)?;
    if grouped.wants_case {
        cases::reopen_for(tx, project, issue, received_at)?;
    }
    Ok(())
}

fn roll_up(
    tx: &Connection,
    project: u64,
    issue: i64,
    grouped: &GroupedEvent,
) -> Result<(), StoreError> {
    let event = &grouped.event;
    // A folded event counts in the hour of its first report; a fold lasts seconds.
    tx.prepare_cached(
        "insert into issue_hours (project, issue, hour, events) values (?, ?, ?, ?)
         on conflict (project, issue, hour) do update set events = events + excluded.events",
    )?
    .execute(params![
        sql(project),
        issue,
        sql(event.first_at.0 / HOUR_US),
        sql(event.count)
    ])?;
    if let Some(release) = &event.run.release {
        tx.prepare_cached(
            "insert into issue_releases (project, issue, release, events, first_seen, last_seen)
             values (?, ?, ?, ?, ?, ?)
             on conflict (project, issue, release) do update set
                 events = events + excluded.events,
                 first_seen = min(first_seen, excluded.first_seen),
                 last_seen = max(last_seen, excluded.last_seen)",
        )?
        .execute(params![
            sql(project),
            issue,
            &**release,
            sql(event.count),
            sql(event.first_at.0),
            sql(event.last_at.0),
        ])?;
    }
    if let Some(user) = &event.user {
        let added = tx
            .prepare_cached(
                "insert or ignore into issue_users (project, issue, user)
                 select ?1, ?2, ?3 where (select users from issues where id = ?2) < ?4",
            )?
            .execute(params![sql(project), issue, &**user, USERS_MAX])?;
        tx.prepare_cached("update issues set users = users + ? where id = ?")?
            .execute(params![added as i64, issue])?;
    }
    Ok(())
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
