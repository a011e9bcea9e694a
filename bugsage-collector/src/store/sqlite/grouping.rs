//! What people say about grouping: issues that are one bug, fingerprints that are another, and a project's rules.
//!
//! An issue that is merged becomes a part: it keeps its fingerprints and counts on by itself, so that it can be
//! taken out again without a loss.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::limits;

use crate::store::StoreError;
use crate::store::grouping::{Regroup, RulesVersion};
use crate::store::model::{Issue, Status};
use crate::store::scope::Organizations;

use super::ingest::{move_events, tell_latest, write_history};
use super::{issues, projects, scoped, sql, unsigned};

/// Kept events that go along where a fingerprint is split off. Their documents are read, and nothing else is written
/// meanwhile: at some tens of microseconds each, about a second.
const MOVED_MAX: u32 = 20_000;

pub(super) fn regroup(
    tx: &Connection,
    organizations: Organizations,
    regroup: &Regroup,
    actor: &str,
    at: Timestamp,
) -> Result<Issue, StoreError> {
    match regroup {
        Regroup::Merge { into, issues } => merge(tx, organizations, *into, issues, actor, at),
        Regroup::Unmerge { part } => unmerge(tx, organizations, *part, actor, at),
        Regroup::Split { issue, fingerprint } => {
            split(tx, organizations, *issue, fingerprint, actor, at)
        }
    }
}

/// Makes issues parts of another one of their project.
pub(super) fn merge(
    tx: &Connection,
    organizations: Organizations,
    into: u64,
    merged: &[u64],
    actor: &str,
    at: Timestamp,
) -> Result<Issue, StoreError> {
    let whole = whole(tx, organizations, into)?;
    for id in merged {
        let issue = issues::one(tx, organizations, *id)?;
        if issue.id == whole.id {
            return Err(StoreError::Refused(match into == whole.id {
                true => format!("issue {id} cannot be merged into itself: name another one"),
                false => format!("issue {into} is a part of issue {id} already"),
            }));
        }
        if issue.project != whole.project {
            return Err(StoreError::Refused(format!(
                "issue {id} is of project {}, and issue {} of {}: only issues of one project can be merged",
                issue.project_name, whole.id, whole.project_name
            )));
        }
        if issue.merged_into == Some(whole.id) {
            continue;
        }
        if let Some(other) = issue.merged_into {
            return Err(StoreError::Refused(format!(
                "issue {id} is a part of issue {other} already: unmerge it first, or merge issue {other}"
            )));
        }
        let is_open = |issue: &Issue| issue.status == Status::Unresolved.as_str();
        if is_open(&issue) && !is_open(&whole) {
            return Err(StoreError::Refused(format!(
                "issue {} is {}, and issue {id} is open: nobody would see it any more. Reopen the one, or say of the \
                 other what is said of it",
                whole.id, whole.status
            )));
        }
        tx.execute(
            "update issues set merged_into = ?1, merged_with = iif(id = ?2, ?1, merged_with)
             where id = ?2 or merged_into = ?2",
            params![sql(whole.id), sql(*id)],
        )?;
        tx.execute(
            "update issues set last_seen = max(last_seen, ?) where id = ?",
            params![sql(issue.last_seen.0), sql(whole.id)],
        )?;
        let project = whole.project;
        let what = format!("merged into issue {}", whole.id);
        write_history(tx, project, sql(*id), at, actor, &what)?;
        let what = format!("issue {id} was merged into it");
        write_history(tx, project, sql(whole.id), at, actor, &what)?;
    }
    issues::one(tx, organizations, whole.id)
}

/// Makes a part an issue of its own again, with what was merged into it before. It stands where it stood when it was
/// merged.
fn unmerge(
    tx: &Connection,
    organizations: Organizations,
    id: u64,
    actor: &str,
    at: Timestamp,
) -> Result<Issue, StoreError> {
    let part = issues::one(tx, organizations, id)?;
    let Some(whole) = part.merged_into else {
        let parts = issues::parts(tx, id)?;
        let parts: Vec<String> = parts.iter().map(|(part, _)| part.id.to_string()).collect();
        let hint = match parts.is_empty() {
            true => "`bugsage issues show` tells what an issue is merged from".to_owned(),
            false => format!("its parts are {}: unmerge one of these", parts.join(", ")),
        };
        return Err(StoreError::Refused(format!(
            "issue {id} was merged into no other; {hint}"
        )));
    };
    tx.execute(
        "with recursive inner (id) as (
             select ?1 union
             select i.id from issues i join inner on i.merged_with = inner.id where i.merged_into = ?2)
         update issues set merged_into = nullif(?1, id), merged_with = iif(id = ?1, null, merged_with)
         where id in (select id from inner)",
        params![sql(id), sql(whole)],
    )?;
    see_last(tx, part.project, sql(whole))?;
    let what = format!("taken out of issue {whole}");
    write_history(tx, part.project, sql(id), at, actor, &what)?;
    let what = format!("issue {id} was taken out of it");
    write_history(tx, part.project, sql(whole), at, actor, &what)?;
    issues::one(tx, organizations, id)
}

/// Where an issue stands in lists, after a part that had set it is gone.
pub(super) fn see_last(tx: &Connection, project: u64, issue: i64) -> Result<(), StoreError> {
    tx.execute(
        "update issues set last_seen = max(
             coalesce((select max(last_seen) from issue_variants where project = ?1 and issue = ?2), 0),
             coalesce((select max(last_seen) from issues where merged_into = ?2), 0),
             first_seen)
         where id = ?2",
        params![sql(project), issue],
    )?;
    Ok(())
}

/// Makes a fingerprint, with all that came with it, an issue of its own. The events that were kept go along, the
/// latest [`MOVED_MAX`] of them.
fn split(
    tx: &Connection,
    organizations: Organizations,
    id: u64,
    fingerprint: &str,
    actor: &str,
    at: Timestamp,
) -> Result<Issue, StoreError> {
    let issue = whole(tx, organizations, id)?;
    let project = issue.project;
    let owner: Option<i64> = tx
        .query_row(
            "select issue from fingerprints where project = ?1 and fingerprint = ?3 and issue in
                 (select id from issues where id = ?2 or merged_into = ?2)",
            params![sql(project), sql(issue.id), fingerprint],
            |row| row.get(0),
        )
        .optional()?;
    let not_found = || StoreError::NotFound {
        what: "fingerprint",
        name: format!("{} of issue {}", limits::cut(fingerprint, 80), issue.id),
    };
    let owner = owner.ok_or_else(not_found)?;
    let is_first = tx
        .prepare("select 1 from fingerprints where project = ? and issue = ? and brought_by = ?")?
        .exists(params![sql(project), owner, fingerprint])?;
    if !is_first {
        return Err(StoreError::Refused(format!(
            "{fingerprint} is not what events of issue {owner} go by first: take the first of the \
             `fingerprints` that `bugsage events show EVENT --json` tells"
        )));
    }
    let others: i64 = tx.query_row(
        "select count(*) from fingerprints where project = ? and issue = ?
             and coalesce(brought_by, fingerprint) <> ? and fingerprint <> ?3",
        params![sql(project), owner, fingerprint],
        |row| row.get(0),
    )?;
    if others == 0 {
        return Err(StoreError::Refused(match owner == sql(issue.id) {
            true => format!(
                "{fingerprint} is all that issue {owner} is known by: there is nothing to split"
            ),
            false => format!(
                "{fingerprint} is all that part {owner} of issue {} is known by: unmerge {owner}",
                issue.id
            ),
        }));
    }
    let new = open_beside(tx, unsigned(owner), at)?;
    tx.execute(
        "update fingerprints set issue = ?1
         where project = ?2 and issue = ?3 and (fingerprint = ?4 or brought_by = ?4)",
        params![new, sql(project), owner, fingerprint],
    )?;
    let numbers = tx
        .prepare_cached(
            "select id from events where project = ? and issue = ? and fingerprint = ?
             order by first_at desc limit ?",
        )?
        .query_map(
            params![sql(project), owner, fingerprint, MOVED_MAX],
            |row| row.get(0),
        )?
        .collect::<Result<Vec<i64>, _>>()?;
    move_events(tx, project, [owner, new], &numbers)?;
    tell_latest(tx, project, new)?;
    let what = format!("split off issue {owner} with {fingerprint}");
    write_history(tx, project, new, at, actor, &what)?;
    let what = format!("{fingerprint} was split off into issue {new}");
    write_history(tx, project, owner, at, actor, &what)?;
    issues::one(tx, organizations, unsigned(new))
}

/// Opens an issue that is like another one, and has counted nothing yet.
pub(super) fn open_beside(tx: &Connection, issue: u64, at: Timestamp) -> Result<i64, StoreError> {
    tx.execute(
        "insert into issues (project, kind, level, title, class, culprit, status, substatus, severity,
             events, users, first_seen, last_seen, first_release, last_release)
         select project, kind, level, title, class, culprit, 'unresolved', 'ongoing', severity,
             0, 0, ?1, ?1, null, null from issues where id = ?2",
        params![sql(at.0), sql(issue)],
    )?;
    Ok(tx.last_insert_rowid())
}

/// Counts the kept events of an issue after some came or went.
pub(super) fn count_kept(tx: &Connection, issue: i64) -> Result<(), StoreError> {
    tx.execute(
        "update issues set (kept, latest_event, latest_event_at) =
             (select count(*), (select event from events where issue = ?1 order by first_at desc limit 1),
                 coalesce(max(first_at), 0) from events where issue = ?1)
         where id = ?1",
        params![issue],
    )?;
    Ok(())
}

/// The issues that own fingerprints of a project, in the same order.
pub(super) fn owners(
    c: &Connection,
    organizations: Organizations,
    project: u64,
    fingerprints: &[String],
) -> Result<Vec<Option<u64>>, StoreError> {
    let mut owner = c.prepare_cached(&format!(
        "select coalesce(i.merged_into, i.id) from fingerprints f
         join issues i on i.id = f.issue join projects p on p.id = f.project
         where {} and f.project = ? and f.fingerprint = ?",
        scoped(organizations)
    ))?;
    let mut owners = Vec::with_capacity(fingerprints.len());
    for fingerprint in fingerprints {
        let found = owner.query_row(params![sql(project), fingerprint], |row| row.get(0));
        owners.push(found.optional()?.map(unsigned));
    }
    Ok(owners)
}

/// An issue, or the one that it is a part of.
pub(super) fn whole(
    c: &Connection,
    organizations: Organizations,
    id: u64,
) -> Result<Issue, StoreError> {
    let issue = issues::one(c, organizations, id)?;
    match issue.merged_into {
        Some(whole) => issues::one(c, organizations, whole),
        None => Ok(issue),
    }
}

/// What a project groups by; `None` where only the built-in rules hold.
pub(super) fn rules(
    c: &Connection,
    organizations: Organizations,
    project: &str,
) -> Result<Option<RulesVersion>, StoreError> {
    Ok(past_rules(c, organizations, project, 1)?.pop())
}

/// What a project groups by and has grouped by before, the latest first.
pub(super) fn past_rules(
    c: &Connection,
    organizations: Organizations,
    project: &str,
    limit: u32,
) -> Result<Vec<RulesVersion>, StoreError> {
    let project = projects::one(c, organizations, project)?;
    let mut statement = c.prepare_cached(
        "select version, rules, set_at, actor from grouping_rules where project = ?
         order by version desc limit ?",
    )?;
    let versions = statement.query_map(params![sql(project.id), limit], |row| {
        Ok(RulesVersion {
            version: unsigned(row.get(0)?),
            rules: row.get(1)?,
            set_at: issues::time(row, 2)?,
            actor: row.get(3)?,
        })
    })?;
    Ok(versions.collect::<Result<_, _>>()?)
}

/// Sets what a project groups by from now on.
pub(super) fn set_rules(
    tx: &Connection,
    organizations: Organizations,
    project: &str,
    rules: &str,
    actor: &str,
    at: Timestamp,
) -> Result<RulesVersion, StoreError> {
    let id = projects::one(tx, organizations, project)?.id;
    tx.execute(
        "insert into grouping_rules (project, version, rules, set_at, actor)
         select ?1, 1 + coalesce(max(version), 0), ?2, ?3, ?4 from grouping_rules where project = ?1",
        params![sql(id), rules, sql(at.0), actor],
    )?;
    let set = self::rules(tx, organizations, project)?;
    set.ok_or(StoreError::Conflict { what: "project" })
}
