//! What is in the store, and whether it can be read and written.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::clock::Timestamp;

use crate::store::StoreError;
use crate::store::model::{Jobs, Usage};

use super::{sql, unsigned};

const VERSION: &str = "user_version";

/// The version of the schema, as it is now.
pub(super) fn schema_version(c: &Connection) -> Result<u32, StoreError> {
    Ok(c.pragma_query_value(None, VERSION, |row| row.get(0))?)
}

/// Writes the version of the schema that is there: a page, and nothing else changes.
pub(super) fn probe(tx: &Connection) -> Result<(), StoreError> {
    let version = schema_version(tx)?;
    Ok(tx.pragma_update(None, VERSION, version)?)
}

pub(super) fn usage(c: &Connection, now: Timestamp) -> Result<Usage, StoreError> {
    let number = |query: &str| -> Result<u64, StoreError> {
        let number = c.prepare_cached(query)?.query_row([], |row| row.get(0))?;
        Ok(unsigned(number))
    };
    Ok(Usage {
        pages: number("pragma page_count")?,
        free_pages: number("pragma freelist_count")?,
        kept_bytes: number("select coalesce(sum(bytes), 0) from spaces")?,
        trace_bytes: number("select coalesce(sum(bytes), 0) from trace_spaces")?,
        newest_at: newest(c)?,
        jobs: jobs(c, now)?,
    })
}

fn newest(c: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let newest = |query: &str| -> Result<Option<i64>, StoreError> {
        let mut select = c.prepare_cached(query)?;
        Ok(select.query_row([], |row| row.get(0)).optional()?)
    };
    let event = newest("select created_at from packs order by id desc limit 1")?;
    let trace = newest("select created_at from traces order by id desc limit 1")?;
    Ok(event.max(trace).map(|at| Timestamp(unsigned(at))))
}

fn jobs(c: &Connection, now: Timestamp) -> Result<Vec<Jobs>, StoreError> {
    let mut select = c.prepare_cached(
        "select kind,
             coalesce(sum(lease_until > ?1), 0),
             coalesce(sum(coalesce(lease_until, 0) <= ?1 and run_after <= ?1), 0),
             count(*)
         from jobs group by kind",
    )?;
    let rows = select.query_map(params![sql(now.0)], |row| {
        let (leased, due, all) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (leased, due, all) = (unsigned(leased), unsigned(due), unsigned(all));
        Ok((row.get::<_, String>(0)?, leased, due, all))
    })?;
    let mut jobs = Vec::new();
    for row in rows {
        let (kind, leased, due, all) = row?;
        let resting = all.saturating_sub(leased + due);
        for (state, number) in [("leased", leased), ("due", due), ("resting", resting)] {
            jobs.push(Jobs {
                kind: kind.clone(),
                state,
                jobs: number,
            });
        }
    }
    Ok(jobs)
}
