//! Issues: lists, details, and changes of status.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use bugsage_core::clock::Timestamp;
use bugsage_core::id::{CaseId, EventId};

use crate::store::StoreError;
use crate::store::model::{HistoryEntry, Issue, IssueDetail, IssueFilter, IssueRelease, Status};
use crate::store::scope::Organizations;

use super::ingest::write_history;
use super::{scoped, sql, unsigned};

const SELECT: &str = "select i.id, i.project, p.name, i.kind, i.level, i.title, i.class, i.culprit,
        i.status, i.substatus, i.severity, i.events, i.users, i.first_seen, i.last_seen,
        i.first_release, i.last_release, i.latest_event, i.latest_case
    from issues i join projects p on p.id = i.project";

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
    filter: &IssueFilter,
) -> Result<Vec<Issue>, StoreError> {
    let mut query = format!("{SELECT} where {}", scoped(organizations));
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
    Ok(issues.collect::<Result<_, _>>()?)
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
    found.ok_or_else(|| StoreError::NotFound {
        what: "issue",
        name: id.to_string(),
    })
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
             where project = ? and issue = ? and release <> ''
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
            "select hour, events from issue_hours where project = ? and issue = ? order by hour",
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
        .prepare_cached("select fingerprint from fingerprints where project = ? and issue = ?")?
        .query_map(key, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let history = history.into_iter().rev().collect();
    Ok(IssueDetail {
        issue,
        releases,
        hours,
        history,
        fingerprints,
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
    let issue = one(tx, organizations, id)?;
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

fn issue(row: &Row<'_>) -> rusqlite::Result<Issue> {
    Ok(Issue {
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
    })
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp(unsigned(row.get(column)?)))
}
