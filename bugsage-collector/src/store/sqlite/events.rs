//! Events as they were stored, with their stacks.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use bugsage_core::event::Event;
use bugsage_core::id::EventId;
use bugsage_core::stacktrace::StackTrace;

use crate::store::StoreError;
use crate::store::model::StoredEvent;
use crate::store::scope::Organizations;

use super::{issues, scoped, sql, unsigned};

const SELECT: &str = "select e.issue, e.document, s.document
    from events e join projects p on p.id = e.project
    left join stacks s on s.project = e.project and s.hash = e.stack";

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
    issue: u64,
    limit: u32,
) -> Result<Vec<StoredEvent>, StoreError> {
    let issue = issues::one(c, organizations, issue)?;
    let query =
        format!("{SELECT} where e.project = ? and e.issue = ? order by e.first_at desc limit ?");
    let mut statement = c.prepare_cached(&query)?;
    let rows = statement.query_map(params![sql(issue.project), sql(issue.id), limit], documents)?;
    rows.map(|row| event(row?)).collect()
}

pub(super) fn one(
    c: &Connection,
    organizations: Organizations,
    id: EventId,
) -> Result<StoredEvent, StoreError> {
    let query = format!("{SELECT} where {} and e.id = ?", scoped(organizations));
    let row = c
        .prepare_cached(&query)?
        .query_row([id.to_bytes()], documents)
        .optional()?;
    event(row.ok_or_else(|| StoreError::NotFound {
        what: "event",
        name: id.to_string(),
    })?)
}

type Documents = (i64, String, Option<String>);

fn documents(row: &Row<'_>) -> rusqlite::Result<Documents> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn event((issue, document, stack): Documents) -> Result<StoredEvent, StoreError> {
    let unreadable = |error: serde_json::Error| {
        StoreError::Unusable(format!(
            "a stored event of issue {issue} cannot be read: {error}"
        ))
    };
    let mut event: Event = serde_json::from_str(&document).map_err(unreadable)?;
    if let Some(stack) = stack {
        let stack: StackTrace = serde_json::from_str(&stack).map_err(unreadable)?;
        event.stack = Some(Arc::new(stack));
    }
    Ok(StoredEvent {
        issue: unsigned(issue),
        event,
    })
}
