//! How releases are doing, read from what their runs told.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use bugsage_core::sketch::Sketch;

use crate::store::StoreError;
use crate::store::model::{ReleaseFilter, ReleaseHealth, RunCounts};
use crate::store::scope::Organizations;

use super::issues::time;
use super::{HOUR_US, scoped, sql, unsigned};

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
    filter: &ReleaseFilter,
) -> Result<Vec<ReleaseHealth>, StoreError> {
    let mut query = format!(
        "select r.project, p.name, r.release, r.environment,
             sum(r.ended = 0 and r.last_heard >= ?1), sum(r.ended = 1 or r.ended = 0 and r.last_heard < ?1),
             sum(r.ended = 2), sum(r.ended = 3), sum(r.ended = 4), sum(r.ended = 5),
             min(iif(r.started_at > 0, r.started_at, r.first_heard)) as first_seen, max(r.alive_at)
         from runs r join projects p on p.id = r.project
         where {} and r.last_heard >= ?2",
        scoped(organizations)
    );
    let mut values: Vec<Value> = vec![
        sql(filter.silent_since.0).into(),
        sql(filter.since.0).into(),
    ];
    if let Some(project) = &filter.project {
        let project = super::projects::one(c, organizations, project)?;
        query.push_str(" and r.project = ?");
        values.push(sql(project.id).into());
    }
    if let Some(environment) = &filter.environment {
        query.push_str(" and r.environment = ?");
        values.push(environment.clone().into());
    }
    query.push_str(
        " group by r.project, r.release, r.environment
          order by first_seen desc, r.project, r.release desc, r.environment limit ?",
    );
    values.push(i64::from(filter.limit).into());
    let mut statement = c.prepare_cached(&query)?;
    let releases = statement.query_map(params_from_iter(values), release)?;
    let releases: Vec<ReleaseHealth> = releases.collect::<Result<_, _>>()?;
    let since_hour = filter.since.0 / HOUR_US;
    releases
        .into_iter()
        .map(|release| with_counts(c, release, since_hour))
        .collect()
}

fn release(row: &Row<'_>) -> rusqlite::Result<ReleaseHealth> {
    let count = |column| row.get(column).map(unsigned);
    let name = |column| {
        let name: String = row.get(column)?;
        Ok::<_, rusqlite::Error>(Some(name).filter(|name| !name.is_empty()))
    };
    Ok(ReleaseHealth {
        project: count(0)?,
        project_name: row.get(1)?,
        release: name(2)?,
        environment: name(3)?,
        runs: RunCounts {
            running: count(4)?,
            unknown: count(5)?,
            clean: count(6)?,
            killed: count(7)?,
            crashed: count(8)?,
            panicked: count(9)?,
        },
        users: 0,
        users_panicked: 0,
        roots: 0,
        roots_failed: 0,
        first_seen: time(row, 10)?,
        last_seen: time(row, 11)?,
        events: 0,
        new_issues: 0,
    })
}

/// Adds what stands in other tables. Each is found by its index, for one release of a short list.
fn with_counts(
    c: &Connection,
    release: ReleaseHealth,
    since_hour: u64,
) -> Result<ReleaseHealth, StoreError> {
    let project = sql(release.project);
    let name = release.release.as_deref().unwrap_or("");
    let environment = release.environment.as_deref().unwrap_or("");
    let key = params![project, name, environment, sql(since_hour)];
    let (roots, roots_failed) = c
        .prepare_cached(
            "select coalesce(sum(h.roots), 0), coalesce(sum(h.roots_failed), 0)
             from runs r join run_hours h on h.run = r.id and h.hour >= ?4
             where r.project = ?1 and r.release = ?2 and r.environment = ?3",
        )?
        .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (mut users, mut users_panicked) = (Sketch::default(), Sketch::default());
    let mut statement = c.prepare_cached(
        "select users, users_panicked from user_hours
         where project = ?1 and release = ?2 and environment = ?3 and hour >= ?4",
    )?;
    let mut rows = statement.query(key)?;
    while let Some(row) = rows.next()? {
        users.merge(&Sketch::from_bytes(&row.get::<_, Vec<u8>>(0)?));
        users_panicked.merge(&Sketch::from_bytes(&row.get::<_, Vec<u8>>(1)?));
    }
    let events = c
        .prepare_cached(
            "select coalesce(sum(events), 0) from issue_variants where project = ? and release = ?",
        )?
        .query_row(params![project, name], |row| row.get(0))?;
    let new_issues = c
        .prepare_cached("select count(*) from issues where project = ? and first_release = ? and merged_into is null")?
        .query_row(params![project, name], |row| row.get(0))?;
    Ok(ReleaseHealth {
        users: users.estimate(),
        // An estimate each: the part is never more than the whole.
        users_panicked: users_panicked.estimate().min(users.estimate()),
        roots: unsigned(roots),
        roots_failed: unsigned(roots_failed),
        events: unsigned(events),
        new_issues: unsigned(new_issues),
        ..release
    })
}
