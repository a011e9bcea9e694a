//! Traces as they were stored, put together from their pieces.

use std::io;

use rusqlite::{Connection, Row, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::trace_context::TraceId;

use crate::store::StoreError;
use crate::store::scope::Organizations;
use crate::store::trace::{StoredTrace, TRACE_ENTRIES_MAX, TRACE_SPANS_MAX, Trace, TraceFilter};
use crate::store::trace::{each_once, unpack};

use super::ingest::root;
use super::{projects, scoped, sql, unsigned};

const SELECT: &str =
    "select t.id, t.trace, t.project, p.name, t.first_at, t.last_at, t.spans, t.failed,
        t.left_out, t.root_rank, t.root_at, t.root_ns, t.root_span, t.root_name, t.release,
        t.environment, t.created_at
    from projects p join traces t on t.project = p.id";

/// A row of the table, with its number and the time when it came.
type Listed = (i64, i64, Trace);

pub(super) fn list(
    c: &Connection,
    organizations: Organizations,
    filter: &TraceFilter,
) -> Result<Vec<Trace>, StoreError> {
    let projects = match &filter.project {
        Some(name) => vec![projects::one(c, organizations, name)?],
        None => projects::list(c, organizations)?,
    };
    let query = format!("{SELECT} where p.id = ? order by t.created_at desc, t.id desc limit ?");
    let mut select = c.prepare_cached(&query)?;
    let mut traces: Vec<Listed> = Vec::new();
    for project in projects {
        let rows = select.query_map(params![sql(project.id), filter.limit], listed)?;
        for row in rows {
            traces.push(row?);
        }
    }
    traces.sort_by_key(|(id, created_at, _)| std::cmp::Reverse((*created_at, *id)));
    traces.truncate(filter.limit as usize);
    Ok(traces.into_iter().map(|(_, _, trace)| trace).collect())
}

pub(super) fn one(
    c: &Connection,
    organizations: Organizations,
    id: TraceId,
) -> Result<StoredTrace, StoreError> {
    let query = format!("{SELECT} where {} and t.trace = ?", scoped(organizations));
    let parts: Vec<Listed> = c
        .prepare_cached(&query)?
        .query_map([id.to_bytes()], listed)?
        .collect::<Result<_, _>>()?;
    if parts.is_empty() {
        return Err(StoreError::NotFound {
            what: "trace",
            name: id.to_string(),
        });
    }
    let mut select = c.prepare_cached(
        "select document from trace_pieces where project = ? and trace = ? order by id",
    )?;
    let mut spans = Vec::new();
    for (trace, _, part) in &parts {
        let mut rows = select.query(params![sql(part.project), trace])?;
        // Many projects may have a part of it; who looks at it has one memory.
        while let Some(row) = rows.next()?.filter(|_| spans.len() < SPANS_READ_MAX) {
            let piece = unpack(id, row.get_ref(0)?.as_blob()?);
            spans.extend(piece.map_err(|error| unreadable(id, error))?);
        }
    }
    Ok(StoredTrace {
        parts: parts.into_iter().map(|(_, _, part)| part).collect(),
        spans: each_once(spans),
    })
}

/// Spans beyond which no further piece is read.
const SPANS_READ_MAX: usize = (TRACE_SPANS_MAX + TRACE_ENTRIES_MAX) as usize;

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let id = TraceId::from_bytes(row.get(1)?);
    let trace = Trace {
        id: id.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, 0))?,
        project: unsigned(row.get(2)?),
        project_name: row.get(3)?,
        first_at: Timestamp(unsigned(row.get(4)?)),
        last_at: Timestamp(unsigned(row.get(5)?)),
        spans: unsigned(row.get(6)?),
        failed: unsigned(row.get(7)?),
        left_out: unsigned(row.get(8)?),
        root: root(row, 9)?,
    };
    Ok((row.get(0)?, row.get(16)?, trace))
}

fn unreadable(trace: TraceId, error: io::Error) -> StoreError {
    StoreError::Unusable(format!("a piece of trace {trace} cannot be read: {error}"))
}
