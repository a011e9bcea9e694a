//! Issues: lists, details, and changes of status.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use bugsage_core::clock::Timestamp;
use bugsage_core::id::{CaseId, EventId};
use bugsage_core::sketch::Sketch;

use crate::store::StoreError;
use crate::store::grouping::OwnedFingerprint;
use crate::store::model::{HistoryEntry, Issue, IssueDetail, IssueFilter, IssueRelease, Status};
use crate::store::scope::Organizations;

use super::ingest::write_history;
use super::{scoped, sql, unsigned};

const SELECT: &str = "select i.id, i.project, p.name, i.kind, i.level, i.title, i.class, i.culprit,
        i.status, i.substatus, i.severity, i.events, i.users, i.first_seen, i.last_seen,
        i.first_release, i.last_release, i.latest_event, i.latest_case, i.merged_into, i.latest_event_at
    from issues i join projects p on p.id = i.project";

/// The numbers of an issue and its parts, where `?2` is the issue's.
pub(super) const PARTS: &str = "select id from issues where id = ?2 or merged_into = ?2";

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
    filter: &IssueFilter,
) -> Result<Vec<Issue>, StoreError> {
    let mut query = format!(
        "{SELECT} where {} and i.merged_into is null",
        scoped(organizations)
    );
    let mut values: Vec<Value> = Vec::new();
    if let Some(project) = &filter.project {
        let project = super::projects::one(c, organizations, project)?;
        query.push_str(" and i.project = ?");
        values.push(sql(project.id).into());
    }
    if let Some(status) = &filter.status {
        query.push_str(" and i.status = ?");
        values.push(status.clone().into());
    }
    for word in &filter.words {
        query.push_str(
            " and instr(lower(i.title || ' ' || i.class || ' ' || i.culprit), lower(?)) > 0",
        );
        values.push(word.clone().into());
    }
    query.push_str(" order by i.last_seen desc, i.id desc limit ?");
    values.push(i64::from(filter.limit).into());
    let mut statement = c.prepare_cached(&query)?;
    let issues = statement.query_map(params_from_iter(values), issue)?;
    issues.map(|row| whole(c, row?)).collect()
}

pub(super) fn one(
    c: &Connection,
    organizations: Organizations,
    id: u64,
) -> Result<Issue, StoreError> {
    let query = format!("{SELECT} where {} and i.id = ?", scoped(organizations));
    let found = c
        .prepare_cached(&query)?
        .query_row([sql(id)], issue)
        .optional()?;
    let not_found = || StoreError::NotFound {
        what: "issue",
        name: id.to_string(),
    };
    whole(c, found.ok_or_else(not_found)?)
}

/// An issue with what its parts add to it. They count on by themselves.
fn whole(c: &Connection, (mut issue, mut latest_at): (Issue, i64)) -> Result<Issue, StoreError> {
    let parts = parts(c, issue.id)?;
    if parts.is_empty() {
        return Ok(issue);
    }
    for (part, part_latest_at) in parts {
        issue.events += part.events;
        if part.first_seen < issue.first_seen {
            (issue.first_seen, issue.first_release) = (part.first_seen, part.first_release);
        }
        if part.last_seen >= issue.last_seen {
            issue.last_seen = part.last_seen;
            issue.last_release = part.last_release.or(issue.last_release);
        }
        if part_latest_at > latest_at {
            (issue.latest_event, latest_at) = (part.latest_event, part_latest_at);
        }
    }
    let mut users = Sketch::default();
    let mut sketches = c.prepare_cached(&format!(
        "select users from issue_users where project = ?1 and issue in ({PARTS})"
    ))?;
    let mut rows = sketches.query(params![sql(issue.project), sql(issue.id)])?;
    while let Some(row) = rows.next()? {
        users.merge(&Sketch::from_bytes(row.get_ref(0)?.as_blob()?));
    }
    issue.users = users.estimate();
    Ok(issue)
}

/// The parts of an issue, each with when its latest event was that was kept.
pub(super) fn parts(c: &Connection, id: u64) -> Result<Vec<(Issue, i64)>, StoreError> {
    let query = format!("{SELECT} where i.merged_into = ? order by i.id");
    let mut statement = c.prepare_cached(&query)?;
    let parts = statement.query_map([sql(id)], issue)?;
    Ok(parts.collect::<Result<_, _>>()?)
}

pub(super) fn detail(
    c: &Connection,
    organizations: Organizations,
    id: u64,
) -> Result<IssueDetail, StoreError> {
    let issue = one(c, organizations, id)?;
    let key = params![sql(issue.project), sql(id)];
    let releases = c
        .prepare_cached(
            "select release, sum(events), min(first_seen) as first, max(last_seen) from issue_variants
             where project = ?1 and issue in (select id from issues where id = ?2 or merged_into = ?2)
                 and release <> ''
             group by release order by first, release",
        )?
        .query_map(key, |row| {
            Ok(IssueRelease {
                release: row.get(0)?,
                events: unsigned(row.get(1)?),
                first_seen: time(row, 2)?,
                last_seen: time(row, 3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let hours = c
        .prepare_cached(
            "select hour, sum(events) from issue_hours
             where project = ?1 and issue in (select id from issues where id = ?2 or merged_into = ?2)
             group by hour order by hour",
        )?
        .query_map(key, |row| {
            Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
        })?
        .collect::<Result<_, _>>()?;
    let history = c
        .prepare_cached(
            "select at, actor, what from issue_history where project = ? and issue = ?
             order by sequence desc limit 100",
        )?
        .query_map(key, |row| {
            Ok(HistoryEntry {
                at: time(row, 0)?,
                actor: row.get(1)?,
                what: row.get(2)?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let fingerprints = c
        .prepare_cached(&format!(
            "select fingerprint, issue, reason, brought_by from fingerprints
             where project = ?1 and issue in ({PARTS}) order by added_at, issue, fingerprint"
        ))?
        .query_map(key, |row| {
            let reason: Option<String> = row.get(2)?;
            let kept = reason.and_then(|reason| serde_json::from_str(&reason).ok());
            Ok(OwnedFingerprint {
                fingerprint: row.get(0)?,
                issue: unsigned(row.get(1)?),
                kept: kept.unwrap_or_default(),
                brought_by: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let parts = parts(c, id)?.into_iter().map(|(part, _)| part).collect();
    let history = history.into_iter().rev().collect();
    Ok(IssueDetail {
        issue,
        releases,
        hours,
        history,
        fingerprints,
        parts,
    })
}

pub(super) fn set_status(
    tx: &Connection,
    organizations: Organizations,
    id: u64,
    status: Status,
    actor: &str,
    at: Timestamp,
) -> Result<Issue, StoreError> {
    let mut issue = one(tx, organizations, id)?;
    if let Some(whole) = issue.merged_into {
        issue = one(tx, organizations, whole)?;
    }
    let id = issue.id;
    if issue.status == status.as_str() {
        return Ok(issue);
    }
    // The newest release of the project, whether it had this issue or not: what comes later has
    // what resolved it.
    let newest: Option<String> = tx
        .query_row(
            "select name from releases where project = ? order by first_seen desc, name desc limit 1",
            [sql(issue.project)],
            |row| row.get(0),
        )
        .optional()?;
    let resolved = status == Status::Resolved;
    let substatus = if status == Status::Unresolved {
        "ongoing"
    } else {
        issue.substatus.as_str()
    };
    tx.execute(
        "update issues set status = ?, substatus = ?, resolved_at = ?, resolved_release = ? where id = ?",
        params![
            status.as_str(),
            substatus,
            resolved.then_some(sql(at.0)),
            newest.filter(|_| resolved),
            sql(id),
        ],
    )?;
    let what = if status == Status::Unresolved {
        "reopened"
    } else {
        status.as_str()
    };
    write_history(tx, issue.project, sql(id), at, actor, what)?;
    one(tx, organizations, id)
}

/// An issue as its row has it, and when its latest event was that was kept.
fn issue(row: &Row<'_>) -> rusqlite::Result<(Issue, i64)> {
    let issue = Issue {
        id: unsigned(row.get(0)?),
        project: unsigned(row.get(1)?),
        project_name: row.get(2)?,
        kind: row.get(3)?,
        level: row.get(4)?,
        title: row.get(5)?,
        class: row.get(6)?,
        culprit: row.get(7)?,
        status: row.get(8)?,
        substatus: row.get(9)?,
        severity: row.get(10)?,
        events: unsigned(row.get(11)?),
        users: unsigned(row.get(12)?),
        first_seen: time(row, 13)?,
        last_seen: time(row, 14)?,
        first_release: row.get(15)?,
        last_release: row.get(16)?,
        latest_event: row.get::<_, Option<[u8; 16]>>(17)?.map(EventId::from_bytes),
        case: row.get::<_, Option<[u8; 16]>>(18)?.map(CaseId::from_bytes),
        merged_into: row.get::<_, Option<i64>>(19)?.map(unsigned),
    };
    Ok((issue, row.get(20)?))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp(unsigned(row.get(column)?)))
}
