//! Projects and their ingest keys.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::StoreError;
use crate::store::model::{NewProject, Project};
use crate::store::scope::{Organizations, Scope};

use super::{scoped, sql, unsigned};

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
        (select count(*) from issues i where i.project = p.id)
    from projects p";

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        id: unsigned(row.get(0)?),
        name: row.get(1)?,
        repository: row.get(2)?,
        ingest_key: row.get(3)?,
        issues: unsigned(row.get(4)?),
        losses: Vec::new(),
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
