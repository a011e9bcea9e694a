//! Events as they were stored, with their stacks.

use std::io;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use bugsage_core::event::Event;
use bugsage_core::id::EventId;
use bugsage_core::stacktrace::StackTrace;

use crate::store::StoreError;
use crate::store::model::StoredEvent;
use crate::store::pack::{self, Pack};
use crate::store::scope::Organizations;

use super::issues::{self, PARTS};
use super::{scoped, sql, unsigned};

const SELECT: &str = "select coalesce(i.merged_into, i.id), e.id >> 16, e.at, e.bytes, s.document,
        e.fingerprint, e.project
    from events e join projects p on p.id = e.project
    join issues i on i.id = e.issue
    left join stacks s on s.id = e.stack";

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
    issue: u64,
    limit: u32,
) -> Result<Vec<StoredEvent>, StoreError> {
    let issue = issues::one(c, organizations, issue)?;
    let query = format!(
        "{SELECT} where e.project = ?1 and e.issue in ({PARTS}) order by e.first_at desc limit ?3"
    );
    let mut statement = c.prepare_cached(&query)?;
    let rows = statement.query_map(params![sql(issue.project), sql(issue.id), limit], kept)?;
    let mut packs = Packs::new(c);
    rows.map(|row| packs.event(&row?)).collect()
}

pub(super) fn one(
    c: &Connection,
    organizations: Organizations,
    id: EventId,
) -> Result<StoredEvent, StoreError> {
    let query = format!(
        "{SELECT} where {} and e.id =
             (select n.event from seen_events n where n.project = p.id and n.id = ?)",
        scoped(organizations)
    );
    let row = c
        .prepare_cached(&query)?
        .query_row([id.to_bytes()], kept)
        .optional()?;
    let not_found = || StoreError::NotFound {
        what: "event",
        name: id.to_string(),
    };
    Packs::new(c).event(&row.ok_or_else(not_found)?)
}

/// Calls for events by their numbers, without their stacks, one at a time.
pub(super) fn each_without_stack(
    c: &Connection,
    numbers: &[i64],
    mut call: impl FnMut(&Event) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = c.prepare_cached(
        "select issue, id >> 16, at, bytes, null, fingerprint, project from events where id = ?",
    )?;
    let mut numbers = numbers.to_vec();
    // Pack by pack.
    numbers.sort_unstable();
    let mut packs = Packs::new(c);
    for number in numbers {
        let kept = statement.query_row([number], kept)?;
        call(&packs.event(&kept)?.event)?;
    }
    Ok(())
}

/// The latest event of an issue that is kept, parts aside, and its first fingerprint.
pub(super) fn latest(
    c: &Connection,
    issue: i64,
) -> Result<Option<(Event, Option<String>)>, StoreError> {
    let query = format!(
        "{SELECT} where e.project = i.project and e.issue = ? order by e.first_at desc limit 1"
    );
    let row = c.prepare_cached(&query)?.query_row([issue], kept);
    let Some(row) = row.optional()? else {
        return Ok(None);
    };
    let stored = Packs::new(c).event(&row)?;
    Ok(Some((stored.event, stored.fingerprint)))
}

/// An event as the tables have it.
struct Kept {
    issue: i64,
    pack: i64,
    at: u32,
    bytes: u32,
    stack: Option<Vec<u8>>,
    fingerprint: Option<String>,
    project: i64,
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        issue: row.get(0)?,
        pack: row.get(1)?,
        at: row.get(2)?,
        bytes: row.get(3)?,
        stack: row.get(4)?,
        fingerprint: row.get(5)?,
        project: row.get(6)?,
    })
}

/// Reads events out of their packs. The last pack stays expanded: events of one time lie together.
struct Packs<'a> {
    c: &'a Connection,
    last: i64,
    documents: Vec<u8>,
}

impl<'a> Packs<'a> {
    fn new(c: &'a Connection) -> Self {
        Self {
            c,
            last: 0,
            documents: Vec::new(),
        }
    }

    fn event(&mut self, kept: &Kept) -> Result<StoredEvent, StoreError> {
        let issue = unsigned(kept.issue);
        let unreadable = |error: io::Error| {
            StoreError::Unusable(format!(
                "a stored event of issue {issue} cannot be read: {error}"
            ))
        };
        if self.last != kept.pack {
            let pack = self
                .c
                .prepare_cached("select documents, raw_bytes from packs where id = ?")?
                .query_row([kept.pack], |row| {
                    Ok(Pack {
                        documents: row.get(0)?,
                        raw_bytes: row.get(1)?,
                    })
                })?;
            self.documents = pack.expand().map_err(unreadable)?;
            self.last = kept.pack;
        }
        let (at, bytes) = (kept.at as usize, kept.bytes as usize);
        let document = self.documents.get(at..at + bytes);
        let document = document.ok_or_else(|| unreadable(io::ErrorKind::UnexpectedEof.into()))?;
        let mut event: Event =
            serde_json::from_slice(document).map_err(|error| unreadable(error.into()))?;
        if let Some(stack) = &kept.stack {
            let stack = pack::expand(stack).map_err(unreadable)?;
            let stack: StackTrace =
                serde_json::from_slice(&stack).map_err(|error| unreadable(error.into()))?;
            event.stack = Some(Arc::new(stack));
        }
        Ok(StoredEvent {
            project: unsigned(kept.project),
            issue,
            fingerprint: kept.fingerprint.clone(),
            event,
        })
    }
}
