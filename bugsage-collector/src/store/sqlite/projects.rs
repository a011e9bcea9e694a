//! Projects and their ingest keys.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::remote::{LevelFilter, Rate, RemoteSettings};

use crate::clock::month_of;
use crate::store::StoreError;
use crate::store::model::{IngestKey, Limits, NewProject, Project, Quota};
use crate::store::scope::{Organizations, Scope};

use super::issues::time;
use super::{HOUR_US, scoped, sql, unsigned};

pub(super) fn ingest_scope(c: &Connection, key: &str) -> Result<Option<Scope>, StoreError> {
    let found = c
        .prepare_cached("select project, id from ingest_keys where key = ? and revoked_at is null")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(project, key)| Scope::of_ingest_key(unsigned(project), unsigned(key))))
}

pub(super) fn create(
    tx: &Connection,
    organizations: Organizations,
    new: NewProject,
) -> Result<Project, StoreError> {
    let Organizations::One(organization) = organizations else {
        return Err(StoreError::Forbidden);
    };
    let added = tx.execute(
        "insert or ignore into projects (organization, name, repository, created_at) values (?, ?, ?, ?)",
        params![sql(organization), new.name, new.repository, sql(new.at.0)],
    )?;
    if added == 0 {
        return Err(StoreError::Exists {
            what: "project",
            name: new.name,
        });
    }
    let id = tx.last_insert_rowid();
    tx.execute(
        "insert into ingest_keys (key, project, created_at) values (?, ?, ?)",
        params![new.ingest_key, id, sql(new.at.0)],
    )?;
    one(tx, organizations, &id.to_string())
}

pub(super) fn set_repository(
    tx: &Connection,
    organizations: Organizations,
    project: &str,
    repository: Option<String>,
) -> Result<Project, StoreError> {
    let project = one(tx, organizations, project)?;
    tx.execute(
        "update projects set repository = ? where id = ?",
        params![repository, sql(project.id)],
    )?;
    Ok(Project {
        repository,
        ..project
    })
}

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
) -> Result<Vec<Project>, StoreError> {
    let query = format!("{SELECT} where {} order by p.id", scoped(organizations));
    let projects: Vec<Project> = c
        .prepare_cached(&query)?
        .query_map([], project)?
        .collect::<Result<_, _>>()?;
    projects
        .into_iter()
        .map(|project| with_losses(c, project))
        .collect()
}

/// A project by its name, or else by its number.
pub(super) fn one(
    c: &Connection,
    organizations: Organizations,
    name: &str,
) -> Result<Project, StoreError> {
    let query = format!(
        "{SELECT} where {} and (p.name = ?1 or cast(p.id as text) = ?1) order by p.name = ?1 desc limit 1",
        scoped(organizations)
    );
    let project = c
        .prepare_cached(&query)?
        .query_row([name], project)
        .optional()?;
    let not_found = || StoreError::NotFound {
        what: "project",
        name: name.to_owned(),
    };
    with_losses(c, project.ok_or_else(not_found)?)
}

const SELECT: &str = "select p.id, p.name, p.repository,
        (select key from ingest_keys k where k.project = p.id and k.revoked_at is null
         order by created_at desc limit 1),
        (select count(*) from issues i where i.project = p.id),
        l.rate, l.key_rate, l.monthly_quota, s.traces_rate, s.event_level, s.breadcrumb_level
    from projects p
        left join project_limits l on l.project = p.id
        left join project_settings s on s.project = p.id";

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        id: unsigned(row.get(0)?),
        name: row.get(1)?,
        repository: row.get(2)?,
        ingest_key: row.get(3)?,
        issues: unsigned(row.get(4)?),
        losses: Vec::new(),
        limits: limits(row, 5)?,
        settings: settings(row, 8)?,
    })
}

fn with_losses(c: &Connection, project: Project) -> Result<Project, StoreError> {
    let losses = c
        .prepare_cached(
            "select reason, sum(reports) from losses where project = ? group by reason order by reason",
        )?
        .query_map([sql(project.id)], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
        .collect::<Result<_, _>>()?;
    Ok(Project { losses, ..project })
}

/// Limits in three columns from this one on.
fn limits(row: &Row<'_>, from: usize) -> rusqlite::Result<Limits> {
    let limit = |column: usize| -> rusqlite::Result<Option<u64>> {
        let limit: Option<i64> = row.get(from + column)?;
        Ok(limit.map(unsigned))
    };
    Ok(Limits {
        rate: limit(0)?,
        key_rate: limit(1)?,
        monthly_quota: limit(2)?,
    })
}

pub(super) fn set_limits(
    tx: &Connection,
    organizations: Organizations,
    project: &str,
    limits: Limits,
) -> Result<Project, StoreError> {
    let project = one(tx, organizations, project)?;
    tx.execute(
        "insert or replace into project_limits (project, rate, key_rate, monthly_quota)
         values (?, ?, ?, ?)",
        params![
            sql(project.id),
            limits.rate.map(sql),
            limits.key_rate.map(sql),
            limits.monthly_quota.map(sql),
        ],
    )?;
    Ok(Project { limits, ..project })
}

/// Settings in three columns from this one on. The table holds none that cannot be read.
fn settings(row: &Row<'_>, from: usize) -> rusqlite::Result<RemoteSettings> {
    let level = |column: usize| -> rusqlite::Result<Option<LevelFilter>> {
        let level: Option<String> = row.get(from + column)?;
        Ok(level.and_then(|level| level.parse().ok()))
    };
    let rate: Option<f64> = row.get(from)?;
    Ok(RemoteSettings {
        traces_rate: rate.and_then(Rate::new),
        event_level: level(1)?,
        breadcrumb_level: level(2)?,
    })
}

pub(super) fn set_remote_settings(
    tx: &Connection,
    organizations: Organizations,
    project: &str,
    settings: RemoteSettings,
) -> Result<Project, StoreError> {
    let project = one(tx, organizations, project)?;
    tx.execute(
        "insert or replace into project_settings
             (project, traces_rate, event_level, breadcrumb_level)
         values (?, ?, ?, ?)",
        params![
            sql(project.id),
            settings.traces_rate.map(Rate::get),
            settings.event_level.map(LevelFilter::as_str),
            settings.breadcrumb_level.map(LevelFilter::as_str),
        ],
    )?;
    Ok(Project {
        settings,
        ..project
    })
}

/// The limits and settings of a project, and where there is a quota, what was used of it.
pub(super) fn quota(c: &Connection, project: u64, now: Timestamp) -> Result<Quota, StoreError> {
    let (limits, settings, repository, rules) = c
        .prepare_cached(
            "select l.rate, l.key_rate, l.monthly_quota,
                 s.traces_rate, s.event_level, s.breadcrumb_level, p.repository,
                 (select g.rules from grouping_rules g where g.project = p.id
                  order by g.version desc limit 1)
             from projects p
                 left join project_limits l on l.project = p.id
                 left join project_settings s on s.project = p.id
             where p.id = ?",
        )?
        .query_row([sql(project)], |row| {
            let repository: Option<String> = row.get(6)?;
            Ok((
                limits(row, 0)?,
                settings(row, 3)?,
                repository.map(Arc::from),
                row.get::<_, Option<String>>(7)?.unwrap_or_default(),
            ))
        })
        .optional()?
        .unwrap_or_default();
    if limits.monthly_quota.is_none() {
        return Ok(Quota {
            limits,
            settings,
            repository,
            rules,
            ..Quota::default()
        });
    }
    let hour = now.0 / HOUR_US;
    let counted = |from: u64, to: u64| -> Result<u64, StoreError> {
        let sum = c
            .prepare_cached(
                "select coalesce(sum(events), 0) from ledger
                 where project = ? and hour >= ? and hour < ? and outcome in ('stored', 'sampled_out')",
            )?
            .query_row(params![sql(project), sql(from), sql(to)], |row| row.get(0))?;
        Ok(unsigned(sum))
    };
    let day = counted(hour.saturating_sub(24), hour)? / 24;
    let mut same_hours = 0;
    for days in 1..=7 {
        let then = hour.saturating_sub(24 * days);
        same_hours += counted(then, then + 1)?;
    }
    Ok(Quota {
        limits,
        settings,
        repository,
        rules,
        month: counted(month_of(now).start.0 / HOUR_US, hour + 1)?,
        hour: counted(hour, hour + 1)?,
        expected: day.max(same_hours / 7),
    })
}

pub(super) fn keys(
    c: &Connection,
    organizations: Organizations,
    project: Option<&str>,
) -> Result<Vec<IngestKey>, StoreError> {
    let projects = match project {
        Some(project) => vec![one(c, organizations, project)?],
        None => list(c, organizations)?,
    };
    let mut keys = Vec::new();
    for project in projects {
        let mut select = c.prepare_cached(
            "select id, key, created_at, revoked_at from ingest_keys where project = ? order by id",
        )?;
        let rows = select.query_map([sql(project.id)], |row| {
            let revoked_at: Option<i64> = row.get(3)?;
            Ok(IngestKey {
                id: unsigned(row.get(0)?),
                key: row.get(1)?,
                project: project.id,
                project_name: project.name.clone(),
                created_at: time(row, 2)?,
                revoked_at: revoked_at.map(|at| Timestamp(unsigned(at))),
            })
        })?;
        for row in rows {
            keys.push(row?);
        }
    }
    Ok(keys)
}

pub(super) fn add_key(
    tx: &Connection,
    organizations: Organizations,
    project: &str,
    key: &str,
    at: Timestamp,
) -> Result<Project, StoreError> {
    let project = one(tx, organizations, project)?;
    tx.execute(
        "insert into ingest_keys (key, project, created_at) values (?, ?, ?)",
        params![key, sql(project.id), sql(at.0)],
    )?;
    one(tx, organizations, &project.id.to_string())
}

/// Revokes a key, which may be named by its number too.
pub(super) fn revoke_key(
    tx: &Connection,
    organizations: Organizations,
    name: &str,
    at: Timestamp,
) -> Result<IngestKey, StoreError> {
    let known = keys(tx, organizations, None)?;
    let found = known
        .into_iter()
        .find(|it| it.key == name || it.id.to_string() == name);
    let found = found.ok_or_else(|| StoreError::NotFound {
        what: "ingest key",
        name: name.to_owned(),
    })?;
    tx.execute(
        "update ingest_keys set revoked_at = coalesce(revoked_at, ?) where id = ?",
        params![sql(at.0), sql(found.id)],
    )?;
    Ok(IngestKey {
        revoked_at: found.revoked_at.or(Some(at)),
        ..found
    })
}
