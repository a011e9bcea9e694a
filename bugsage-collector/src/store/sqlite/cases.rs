//! Cases, and the leased jobs that move them.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::id::CaseId;
use bugsage_pipeline::case::{Case, State};
use bugsage_pipeline::subject::{ReleaseSeen, Subject};

use crate::store::StoreError;
use crate::store::model::{CaseFilter, LeasedJob, Work};
use crate::store::scope::Organizations;

use super::issues::time;
use super::{events, issues, scoped, sql, unsigned};

const KIND: &str = "case";

/// Events that a case gets to see: the latest ones. One is explained; the others show what varies.
const SAMPLES_MAX: u32 = 8;

/// Releases that a case gets to see, the newest.
const RELEASES_MAX: u32 = 200;

/// Opens a case for an issue that has none, where its project has a repository.
pub(super) fn open_for(
    tx: &Connection,
    project: u64,
    issue: i64,
    at: Timestamp,
) -> Result<(), StoreError> {
    let is_wanted = tx
        .prepare_cached(
            "select 1 from issues i join projects p on p.id = i.project
             where i.id = ? and i.latest_case is null and i.status = 'unresolved'
                 and p.repository is not null",
        )?
        .exists([issue])?;
    if is_wanted {
        open(tx, project, issue, at)
    } else {
        Ok(())
    }
}

/// Opens a further case for an issue that came back.
pub(super) fn reopen_for(
    tx: &Connection,
    project: u64,
    issue: i64,
    at: Timestamp,
) -> Result<(), StoreError> {
    let has_repository = tx
        .prepare_cached("select 1 from projects where id = ? and repository is not null")?
        .exists([sql(project)])?;
    if has_repository {
        open(tx, project, issue, at)
    } else {
        Ok(())
    }
}

fn open(tx: &Connection, project: u64, issue: i64, at: Timestamp) -> Result<(), StoreError> {
    let case = Case::new(crate::clock::new_case_id(at), project, unsigned(issue), at);
    let id = case.id.to_bytes();
    tx.execute(
        "insert into cases (project, id, issue, state, document, created_at, updated_at)
         values (?, ?, ?, ?, ?, ?, ?)",
        params![
            sql(project),
            id,
            issue,
            case.state.as_str(),
            document(&case)?,
            sql(at.0),
            sql(at.0)
        ],
    )?;
    tx.execute(
        "update issues set latest_case = ? where id = ?",
        params![id, issue],
    )?;
    queue(tx, project, case.id, at)
}

pub(super) fn one(
    c: &Connection,
    organizations: Organizations,
    id: CaseId,
) -> Result<Case, StoreError> {
    let query = format!(
        "select k.document from cases k join projects p on p.id = k.project where {} and k.id = ?",
        scoped(organizations)
    );
    let document: Option<String> = c
        .prepare_cached(&query)?
        .query_row([id.to_bytes()], |row| row.get(0))
        .optional()?;
    let not_found = || StoreError::NotFound {
        what: "case",
        name: id.to_string(),
    };
    serde_json::from_str(&document.ok_or_else(not_found)?).map_err(|error| {
        StoreError::Unusable(format!("the stored case {id} cannot be read: {error}"))
    })
}

pub(super) fn subject(
    c: &Connection,
    organizations: Organizations,
    issue: u64,
) -> Result<Subject, StoreError> {
    let issue = issues::one(c, organizations, issue)?;
    let repository = c.query_row(
        "select repository from projects where id = ?",
        [sql(issue.project)],
        |row| row.get(0),
    )?;
    let samples = events::list(c, organizations, issue.id, SAMPLES_MAX)?;
    let releases = c
        .prepare_cached(
            "select r.name, r.first_seen, r.last_seen, exists (
                 select 1 from issue_variants v
                 where v.project = r.project and v.release = r.name and v.issue = ?2)
             from releases r
             where r.project = ?1 order by r.first_seen desc limit ?3",
        )?
        .query_map(
            params![sql(issue.project), sql(issue.id), RELEASES_MAX],
            |row| {
                Ok(ReleaseSeen {
                    name: row.get(0)?,
                    first_seen: time(row, 1)?,
                    last_seen: time(row, 2)?,
                    has_issue: row.get(3)?,
                })
            },
        )?
        .collect::<Result<_, _>>()?;
    Ok(Subject {
        title: issue.title,
        events: issue.events,
        users: issue.users,
        first_seen: issue.first_seen,
        last_seen: issue.last_seen,
        samples: samples.into_iter().map(|sample| sample.event).collect(),
        repository,
        releases,
    })
}

const DUE: &str = "from jobs j join projects p on p.id = j.project
    join cases k on k.project = j.project and k.id = j.subject
    where j.kind = ?1 and j.run_after <= ?2 and (j.lease_until is null or j.lease_until <= ?2)
        and (k.state in ('queued', 'analyzing')) = ?3";

pub(super) fn is_due(
    c: &Connection,
    organizations: Organizations,
    work: Work,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let query = format!("select 1 {DUE} and {} limit 1", scoped(organizations));
    Ok(c.prepare_cached(&query)?
        .exists(params![KIND, sql(now.0), work == Work::Explain])?)
}

pub(super) fn lease(
    tx: &Connection,
    organizations: Organizations,
    work: Work,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<LeasedJob>, StoreError> {
    let query = format!(
        "select j.id, j.project, j.subject, j.attempts {DUE} and {} order by j.run_after, j.id limit 1",
        scoped(organizations)
    );
    let job = tx
        .query_row(
            &query,
            params![KIND, sql(now.0), work == Work::Explain],
            |row| {
                Ok(LeasedJob {
                    id: unsigned(row.get(0)?),
                    project: unsigned(row.get(1)?),
                    case: CaseId::from_bytes(row.get(2)?),
                    attempts: row.get(3)?,
                    lease_until: until,
                    owner: owner.to_owned(),
                })
            },
        )
        .optional()?;
    if let Some(job) = &job {
        tx.execute(
            "update jobs set lease_owner = ?, lease_until = ?, attempts = attempts + 1 where id = ?",
            params![owner, sql(until.0), sql(job.id)],
        )?;
    }
    Ok(job)
}

/// Takes the job of one case, which is made where it has none.
pub(super) fn lease_one(
    tx: &Connection,
    organizations: Organizations,
    case: CaseId,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<LeasedJob, StoreError> {
    let project = one(tx, organizations, case)?.project;
    queue(tx, project, case, now)?;
    let (id, attempts) = tx.query_row(
        "select id, attempts from jobs where kind = ? and subject = ?",
        params![KIND, case.to_bytes()],
        |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)),
    )?;
    // Not one of the attempts that a worker has: a person may look as often as they like.
    let taken = tx.execute(
        "update jobs set lease_owner = ?1, lease_until = ?2
         where id = ?3 and (lease_until is null or lease_until <= ?4)",
        params![owner, sql(until.0), id, sql(now.0)],
    )?;
    if taken == 0 {
        return Err(StoreError::Conflict { what: "case" });
    }
    Ok(LeasedJob {
        id: unsigned(id),
        project,
        case,
        attempts,
        lease_until: until,
        owner: owner.to_owned(),
    })
}

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
    filter: &CaseFilter,
) -> Result<Vec<Case>, StoreError> {
    let query = format!(
        "select k.document from cases k join projects p on p.id = k.project
         where {} and (?1 is null or p.name = ?1 or cast(p.id as text) = ?1)
             and (?2 is null or k.state = ?2)
         order by k.created_at desc, k.id desc limit ?3",
        scoped(organizations)
    );
    let state = filter.state.map(State::as_str);
    let documents: Vec<String> = c
        .prepare_cached(&query)?
        .query_map(params![filter.project, state, filter.limit], |row| {
            row.get(0)
        })?
        .collect::<Result<_, _>>()?;
    let cases = documents.iter().map(|document| {
        serde_json::from_str(document)
            .map_err(|error| StoreError::Unusable(format!("a stored case cannot be read: {error}")))
    });
    cases.collect()
}

/// Opens a further case for an issue, whatever became of those before.
pub(super) fn open_again(
    tx: &Connection,
    organizations: Organizations,
    issue: u64,
    at: Timestamp,
) -> Result<CaseId, StoreError> {
    let project = issues::one(tx, organizations, issue)?.project;
    let has_repository = tx
        .prepare_cached("select 1 from projects where id = ? and repository is not null")?
        .exists([sql(project)])?;
    if !has_repository {
        return Err(StoreError::Unusable(format!(
            "the project of issue {issue} has no repository: \
             bugsage project set {project} --repository PATH"
        )));
    }
    open(tx, project, sql(issue), at)?;
    let latest = issues::one(tx, organizations, issue)?.case;
    latest.ok_or(StoreError::Conflict { what: "issue" })
}

pub(super) fn save(
    tx: &Connection,
    organizations: Organizations,
    lease: &LeasedJob,
    case: &Case,
    until: Timestamp,
) -> Result<(), StoreError> {
    let before = one(tx, organizations, case.id)?;
    hold(
        tx,
        lease,
        "update jobs set lease_until = ?3 where id = ?1 and lease_owner = ?2",
        sql(until.0),
    )?;
    write(tx, lease.project, &before, case)?;
    if case.state == State::Analyzed
        && let Some(analysis) = &case.analysis
    {
        tx.execute(
            "update issues set severity = ? where id = ? and latest_case = ?",
            params![
                analysis.severity.as_str(),
                sql(case.issue),
                case.id.to_bytes()
            ],
        )?;
    }
    Ok(())
}

pub(super) fn finish(
    tx: &Connection,
    organizations: Organizations,
    lease: &LeasedJob,
) -> Result<(), StoreError> {
    one(tx, organizations, lease.case)?;
    hold(
        tx,
        lease,
        "delete from jobs where id = ?1 and lease_owner = ?2 and ?3 >= 0",
        0,
    )
}

pub(super) fn retry(
    tx: &Connection,
    organizations: Organizations,
    lease: &LeasedJob,
    at: Timestamp,
    error: Option<&str>,
) -> Result<(), StoreError> {
    one(tx, organizations, lease.case)?;
    hold(
        tx,
        lease,
        "update jobs set lease_owner = null, lease_until = null, run_after = ?3 where id = ?1 and lease_owner = ?2",
        sql(at.0),
    )?;
    tx.execute(
        "update jobs set error = ? where id = ?",
        params![error, sql(lease.id)],
    )?;
    Ok(())
}

pub(super) fn release(
    tx: &Connection,
    organizations: Organizations,
    owner_prefix: &str,
) -> Result<u64, StoreError> {
    let query = format!(
        "update jobs set lease_owner = null, lease_until = null
         where substr(lease_owner, 1, length(?1)) = ?1
             and project in (select p.id from projects p where {})",
        scoped(organizations)
    );
    Ok(tx.execute(&query, [owner_prefix])? as u64)
}

/// Queues cases again that wait for a person, of a project or of one issue, now that somebody has
/// mended what was missing. Tells how many.
pub(super) fn requeue(
    tx: &Connection,
    organizations: Organizations,
    project: u64,
    issue: Option<u64>,
    actor: &str,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let query = format!(
        "select k.id from cases k join issues i on i.latest_case = k.id
         join projects p on p.id = k.project
         where {} and k.project = ?1 and k.state in ('needs_human', 'failed')
             and (?2 is null or i.id = ?2)",
        scoped(organizations)
    );
    let waiting: Vec<[u8; 16]> = tx
        .prepare_cached(&query)?
        .query_map(params![sql(project), issue.map(sql)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in &waiting {
        let before = one(tx, organizations, CaseId::from_bytes(*id))?;
        let mut case = before.clone();
        case.enter(State::Queued, at, actor, "asked for again")
            .map_err(|_| StoreError::Conflict { what: "case" })?;
        write(tx, project, &before, &case)?;
        queue(tx, project, case.id, at)?;
    }
    Ok(waiting.len() as u64)
}

/// Writes a case and the transitions that are new.
fn write(tx: &Connection, project: u64, before: &Case, case: &Case) -> Result<(), StoreError> {
    tx.execute(
        "update cases set state = ?, document = ?, updated_at = ? where project = ? and id = ?",
        params![
            case.state.as_str(),
            document(case)?,
            sql(case.updated_at.0),
            sql(project),
            case.id.to_bytes(),
        ],
    )?;
    let known = before.history.last();
    let new = case
        .history
        .iter()
        .rev()
        .take_while(|transition| Some(*transition) != known);
    let new: Vec<_> = new.collect();
    for transition in new.into_iter().rev() {
        tx.execute(
            "insert into case_transitions (project, case_id, sequence, at, actor, from_state, to_state, reason)
             select ?1, ?2, 1 + coalesce(max(sequence), 0), ?3, ?4, ?5, ?6, ?7
             from case_transitions where project = ?1 and case_id = ?2",
            params![
                sql(project),
                case.id.to_bytes(),
                sql(transition.at.0),
                transition.actor,
                transition.from.as_str(),
                transition.to.as_str(),
                transition.reason,
            ],
        )?;
    }
    Ok(())
}

fn queue(tx: &Connection, project: u64, case: CaseId, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "insert or ignore into jobs (project, kind, subject, run_after) values (?, ?, ?, ?)",
        params![sql(project), KIND, case.to_bytes(), sql(at.0)],
    )?;
    Ok(())
}

/// Changes a job only while the lease is held: whoever took too long has lost it.
fn hold(tx: &Connection, lease: &LeasedJob, change: &str, value: i64) -> Result<(), StoreError> {
    let changed = tx.execute(change, params![sql(lease.id), lease.owner, value])?;
    if changed == 0 {
        Err(StoreError::Conflict { what: "job" })
    } else {
        Ok(())
    }
}

fn document(case: &Case) -> Result<String, StoreError> {
    serde_json::to_string(case)
        .map_err(|error| StoreError::Unavailable(format!("a case is no JSON: {error}")))
}
