//! Groups issues anew that were grouped for now, until symbols or source came.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::fingerprint::Fingerprint;

use crate::store::StoreError;
use crate::store::grouping::{Rekey, RekeyedEvent};
use crate::store::model::{Issue, Status};
use crate::store::scope::Organizations;

use super::ingest::{move_events, write_history};
use super::{fingerprints, grouping, issues, scoped, sql, unsigned};

/// Issues of a project among which those are looked for that are grouped for now: the latest. It takes some tens of
/// milliseconds.
const LOOKED_AT_MAX: i64 = 2_000;

/// The issues of a project that are grouped for now.
pub(super) fn provisional(
    c: &Connection,
    organizations: Organizations,
    project: u64,
) -> Result<Vec<u64>, StoreError> {
    let mut statement = c.prepare_cached(&format!(
        "select id from
             (select i.id, i.project from issues i join projects p on p.id = i.project
              where {} and i.project = ?1 and i.merged_into is null
              order by i.last_seen desc limit ?2) latest
         where exists (select 1 from fingerprints f where f.project = latest.project
                 and f.issue = latest.id and f.fingerprint glob 'p*')
             and not exists (select 1 from fingerprints f where f.project = latest.project
                 and f.issue = latest.id and f.fingerprint glob '[wv]*')",
        scoped(organizations)
    ))?;
    let ids = statement.query_map(params![sql(project), LOOKED_AT_MAX], |row| {
        Ok(unsigned(row.get(0)?))
    })?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Groups an issue anew, and tells whether that has changed anything.
pub(super) fn rekey(
    tx: &Connection,
    organizations: Organizations,
    rekey: &Rekey,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let issue = issues::one(tx, organizations, rekey.issue)?;
    if issue.merged_into.is_some() {
        // A person was faster.
        return Ok(false);
    }
    let mut bugs = bugs(tx, &issue, &rekey.events)?.into_iter();
    let Some(first) = bugs.next() else {
        return Ok(false);
    };
    for others in bugs {
        move_to_their_issue(tx, &issue, &others, actor, at)?;
    }
    let (of, id) = (first[0], sql(issue.id));
    let owner = fingerprints::find(tx, issue.project, &of.fingerprints)?;
    fingerprints::own(
        tx,
        issue.project,
        owner.unwrap_or(id),
        &of.fingerprints,
        &of.reasons,
        at,
    )?;
    for event in &first {
        set_first_fingerprint(tx, &issue, event)?;
    }
    match owner.filter(|owner| *owner != id) {
        Some(owner) => merge(tx, organizations, &issue, unsigned(owner), actor, at),
        None => {
            tx.execute(
                "update issues set culprit = ? where id = ?",
                params![of.culprit, id],
            )?;
            let what = format!("grouped by {} now", failed(of));
            write_history(tx, issue.project, id, at, actor, &what)?;
            Ok(true)
        }
    }
}

/// The events of an issue by what they are known to be now, most first.
fn bugs<'a>(
    tx: &Connection,
    issue: &Issue,
    events: &'a [RekeyedEvent],
) -> Result<Vec<Vec<&'a RekeyedEvent>>, StoreError> {
    let mut is_of_issue =
        tx.prepare_cached("select 1 from events where project = ? and issue = ? and event = ?")?;
    let mut bugs: Vec<Vec<&RekeyedEvent>> = Vec::new();
    let mut of: HashMap<Fingerprint, usize> = HashMap::new();
    for event in events {
        let Some(first) = event.fingerprints.first() else {
            continue;
        };
        let key = params![sql(issue.project), sql(issue.id), event.event.to_bytes()];
        if !is_of_issue.exists(key)? {
            continue;
        }
        let at = *of.entry(*first).or_insert(bugs.len());
        match bugs.get_mut(at) {
            Some(same) => same.push(event),
            None => bugs.push(vec![event]),
        }
    }
    bugs.sort_by_key(|bug| std::cmp::Reverse(bug.len()));
    Ok(bugs)
}

/// Moves events that are another bug to the issue of that, which may be a new one.
fn move_to_their_issue(
    tx: &Connection,
    issue: &Issue,
    events: &[&RekeyedEvent],
    actor: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (of, id) = (events[0], sql(issue.id));
    let owner = fingerprints::find(tx, issue.project, &of.fingerprints)?;
    let target = match owner.filter(|owner| *owner != id) {
        Some(owner) => owner,
        None => {
            let new = grouping::open_beside(tx, issue.id, at)?;
            tx.execute(
                "update issues set culprit = ? where id = ?",
                params![of.culprit, new],
            )?;
            new
        }
    };
    fingerprints::own(tx, issue.project, target, &of.fingerprints, &of.reasons, at)?;
    let mut numbers = Vec::with_capacity(events.len());
    for event in events {
        set_first_fingerprint(tx, issue, event)?;
        let key = params![sql(issue.project), event.event.to_bytes()];
        let mut number =
            tx.prepare_cached("select event from seen_events where project = ? and id = ?")?;
        numbers.push(number.query_row(key, |row| row.get(0))?);
    }
    move_events(tx, issue.project, [id, target], &numbers)?;
    let what = format!("events of {} went to issue {target}", failed(of));
    write_history(tx, issue.project, id, at, actor, &what)?;
    let what = format!("events of {} came from issue {id}", failed(of));
    write_history(tx, issue.project, target, at, actor, &what)?;
    Ok(())
}

/// The function that failed, as far as it is known.
fn failed(event: &RekeyedEvent) -> &str {
    let mut kept = event.reasons.iter().flatten();
    let function = kept.find(|kept| kept.rule == "function");
    function.map_or(&event.culprit, |kept| &kept.value)
}

/// Makes the issue a part of the one that owns its bug. One that is open does not go into one that is not: nobody
/// would see it any more.
fn merge(
    tx: &Connection,
    organizations: Organizations,
    issue: &Issue,
    owner: u64,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let owner = grouping::whole(tx, organizations, owner)?;
    let is_open = |issue: &Issue| issue.status == Status::Unresolved.as_str();
    if owner.id == issue.id || is_open(issue) && !is_open(&owner) {
        return Ok(false);
    }
    let merged = [issue.id];
    grouping::merge(tx, organizations, owner.id, &merged, actor, at)?;
    Ok(true)
}

fn set_first_fingerprint(
    tx: &Connection,
    issue: &Issue,
    event: &RekeyedEvent,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update events set fingerprint = ? where project = ? and issue = ? and event = ?",
    )?
    .execute(params![
        event.fingerprints.first().map(ToString::to_string),
        sql(issue.project),
        sql(issue.id),
        event.event.to_bytes()
    ])?;
    Ok(())
}
