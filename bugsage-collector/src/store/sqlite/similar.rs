//! How issues look, and which look alike.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::similar::{self, Portrait, Vector};

use crate::store::StoreError;
use crate::store::grouping::SimilarIssue;
use crate::store::scope::Organizations;

use super::{issues, sql, unsigned};

/// Issues that one is compared with: the latest of its project. To read and compare so many takes tens of
/// milliseconds.
const COMPARED_MAX: i64 = 20_000;

/// Writes down how an issue looks that was opened just now.
pub(super) fn write(
    tx: &Connection,
    project: u64,
    issue: i64,
    portrait: &Portrait,
) -> Result<(), StoreError> {
    let features = serde_json::json!(portrait.telling).to_string();
    tx.prepare_cached(
        "insert into portraits (project, issue, vector, features) values (?, ?, ?, ?)",
    )?
    .execute(params![
        sql(project),
        issue,
        portrait.vector.to_bytes(),
        features
    ])?;
    Ok(())
}

/// The issues that look like one, the most alike first.
pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
    id: u64,
    limit: u32,
) -> Result<Vec<SimilarIssue>, StoreError> {
    let issue = issues::one(c, organizations, id)?;
    let Some(own) = one(c, issue.project, id)? else {
        return Ok(Vec::new());
    };
    // Parts are shown by their wholes, and what belongs together already is no suggestion.
    let mut others = c.prepare_cached(
        "select issue, vector from portraits
         where project = ?1 and issue not in (?2, ?3)
             and issue not in (select id from issues where merged_into is not null)
         order by issue desc limit ?4",
    )?;
    let whole = issue.merged_into.unwrap_or(id);
    let mut rows = others.query(params![
        sql(issue.project),
        sql(id),
        sql(whole),
        COMPARED_MAX
    ])?;
    let mut alike = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(vector) = Vector::from_bytes(row.get_ref(1)?.as_blob()?) else {
            continue;
        };
        let similarity = own.vector.similarity(&vector);
        if similarity >= similar::SUGGESTED_MIN {
            alike.push((similarity, unsigned(row.get(0)?)));
        }
    }
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let alike = alike.into_iter().take(limit as usize);
    let suggested = alike.map(|(similarity, other)| {
        let telling = one(c, issue.project, other)?.map_or_else(Vec::new, |it| it.telling);
        let shares = similar::shared(&own.telling, &telling);
        Ok(SimilarIssue {
            shares: shares.into_iter().map(str::to_owned).collect(),
            issue: issues::one(c, organizations, other)?,
            similarity,
        })
    });
    suggested.collect()
}

/// How an issue looks, where that was written down and can still be compared.
fn one(c: &Connection, project: u64, issue: u64) -> Result<Option<Portrait>, StoreError> {
    let found = c
        .prepare_cached("select vector, features from portraits where project = ? and issue = ?")?
        .query_row(params![sql(project), sql(issue)], |row| {
            let features = row.get_ref(1)?.as_str()?;
            let telling = serde_json::from_str(features).unwrap_or_default();
            let vector = Vector::from_bytes(row.get_ref(0)?.as_blob()?);
            Ok(vector.map(|vector| Portrait { vector, telling }))
        })
        .optional()?;
    Ok(found.flatten())
}
