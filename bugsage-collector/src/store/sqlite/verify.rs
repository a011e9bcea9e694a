//! Whether a store says the same everywhere: SQLite's own check, and the counts that are kept in more than
//! one place.
//!
//! SQLite has no checksums in its database file: a bit that flips in a counter is a counter like any
//! other. That counts stand in several tables is what gives it away.

use std::io;

use rusqlite::{Connection, Row, Statement};

use crate::store::StoreError;
use crate::store::pack::{self, Pack};

/// Problems of one kind that are told: more say nothing new.
const TOLD_MAX: usize = 10;

/// What must be the same: what it is of, and two numbers that differ.
const COUNTS: &[(&str, &str)] = &[
    (
        "issue {}: {} reports counted, {} by hour",
        "select i.id, i.events, coalesce(sum(h.events), 0) from issues i
         left join issue_hours h on h.project = i.project and h.issue = i.id
         group by i.id having i.events <> coalesce(sum(h.events), 0)",
    ),
    (
        "issue {}: {} reports counted, {} by release and environment",
        "select i.id, i.events, sum(v.events) from issues i
         join issue_variants v on v.project = i.project and v.issue = i.id
         group by i.id having sum(v.events) > i.events",
    ),
    (
        "project {}: {} reports in its issues, {} in the ledger",
        "select p.id, p.counted, p.accounted from (
             select p.id,
                 (select coalesce(sum(events), 0) from issues where project = p.id) as counted,
                 (select coalesce(sum(reports), 0) from ledger
                     where project = p.id and outcome in ('stored', 'sampled_out')) as accounted
             from projects p) as p
         where p.counted <> p.accounted",
    ),
    (
        "project {}: {} ids of events, {} events in the ledger",
        "select p.id, p.seen, p.accounted from (
             select p.id,
                 (select count(*) from seen_events where project = p.id) as seen,
                 (select coalesce(sum(events), 0) from ledger
                     where project = p.id and outcome in ('stored', 'sampled_out')) as accounted
             from projects p) as p
         where p.seen <> p.accounted",
    ),
    (
        "project {}: {} events received, {} accounted for",
        "select project, received, rest from (
             select project,
                 sum(case when outcome = 'received' then events else 0 end) as received,
                 sum(case when outcome = 'received' then 0 else events end) as rest
             from ledger group by project)
         where received <> rest",
    ),
    (
        "project {}: {} reports received, {} accounted for",
        "select project, received, rest from (
             select project,
                 sum(case when outcome = 'received' then reports else 0 end) as received,
                 sum(case when outcome = 'received' then 0 else reports end) as rest
             from ledger group by project)
         where received <> rest",
    ),
    (
        "project {}: {} events kept, {} ids that lead to one",
        "select p.id, p.kept, p.known from (
             select p.id,
                 (select count(*) from events where project = p.id) as kept,
                 (select count(*) from seen_events s join events e on e.id = s.event
                     where s.project = p.id and e.event = s.id) as known
             from projects p) as p
         where p.kept <> p.known",
    ),
    (
        "stack {}: {} events have it, {} are there",
        "select s.id, s.kept, count(e.id) from stacks s left join events e on e.stack = s.id
         group by s.id having s.kept <> count(e.id)",
    ),
    (
        "project {}: {} bytes of packs, {} are there",
        "select p.id, p.told, p.found from (
             select p.id,
                 (select coalesce(sum(bytes), 0) from spaces where project = p.id) as told,
                 (select coalesce(sum(length(documents)), 0) from packs where project = p.id) as found
             from projects p) as p
         where p.told <> p.found",
    ),
    (
        "project {}: {} spans received, {} accounted for",
        "select project, received, rest from (
             select project,
                 sum(case when outcome = 'received' then spans else 0 end) as received,
                 sum(case when outcome = 'received' then 0 else spans end) as rest
             from span_ledger group by project)
         where received <> rest",
    ),
    (
        "project {}: {} spans in its traces, {} stored by the ledger",
        "select p.id, p.found, p.accounted from (
             select p.id,
                 (select coalesce(sum(spans), 0) from traces where project = p.id) as found,
                 (select coalesce(sum(spans), 0) from span_ledger
                     where project = p.id and outcome = 'stored') as accounted
             from projects p) as p
         where p.found > p.accounted",
    ),
    (
        "trace {}: {} bytes of pieces, {} are there",
        "select t.id, t.bytes, coalesce(sum(length(i.document)), 0) from traces t
         left join trace_pieces i on i.project = t.project and i.trace = t.id
         group by t.id having t.bytes <> coalesce(sum(length(i.document)), 0)",
    ),
    (
        "project {}: {} bytes of traces, {} are there",
        "select p.id, p.told, p.found from (
             select p.id,
                 (select coalesce(sum(bytes), 0) from trace_spaces where project = p.id) as told,
                 (select coalesce(sum(length(document)), 0) from trace_pieces where project = p.id) as found
             from projects p) as p
         where p.told <> p.found",
    ),
    (
        "event {}: its pack {} ends before byte {}",
        "select e.id, e.id >> 16, e.at + e.bytes from events e left join packs p on p.id = e.id >> 16
         where p.id is null or p.raw_bytes < e.at + e.bytes",
    ),
];

/// Looks at everything, and tells what is wrong. Takes seconds for each gigabyte.
pub(super) fn problems(c: &Connection) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    let mut check = c.prepare(&format!("pragma integrity_check({TOLD_MAX})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines {
        let line = line?;
        if line != "ok" {
            problems.push(line);
        }
    }
    if !problems.is_empty() {
        // What else is read from such a file says nothing.
        return Ok(problems);
    }
    let mut check = c.prepare("select \"table\", rowid, parent from pragma_foreign_key_check")?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()?.filter(|_| problems.len() < TOLD_MAX) {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        problems.push(format!("a row of {table} belongs to nothing in {parent}"));
    }
    for (what, query) in COUNTS {
        counts(c, what, query, &mut problems)?;
    }
    packs(c, &mut problems)?;
    Ok(problems)
}

fn counts(
    c: &Connection,
    what: &str,
    query: &str,
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut select = c.prepare(query)?;
    let mut rows = select.query([])?;
    let mut told = 0;
    while let Some(row) = rows.next()?.filter(|_| told < TOLD_MAX) {
        told += 1;
        let mut problem = what.to_owned();
        for column in 0..3 {
            let number: i64 = row.get(column)?;
            problem = problem.replacen("{}", &number.to_string(), 1);
        }
        problems.push(problem);
    }
    Ok(())
}

/// Every pack, stack and piece of a trace, with its checksum.
fn packs(c: &Connection, problems: &mut Vec<String>) -> Result<(), StoreError> {
    let mut select = c.prepare("select id, documents, raw_bytes from packs")?;
    let whole = |row: &Row<'_>| -> Result<io::Result<Vec<u8>>, StoreError> {
        let pack = Pack {
            documents: row.get(1)?,
            raw_bytes: row.get(2)?,
        };
        Ok(pack.expand())
    };
    expand_all(&mut select, "pack", whole, problems)?;
    let whole = |row: &Row<'_>| -> Result<io::Result<Vec<u8>>, StoreError> {
        Ok(pack::expand(row.get_ref(1)?.as_bytes().unwrap_or_default()))
    };
    let mut select = c.prepare("select id, document from stacks")?;
    expand_all(&mut select, "stack", whole, problems)?;
    let mut select = c.prepare("select id, document from trace_pieces")?;
    expand_all(&mut select, "piece of a trace", whole, problems)
}

fn expand_all(
    select: &mut Statement<'_>,
    what: &str,
    expand: impl Fn(&Row<'_>) -> Result<io::Result<Vec<u8>>, StoreError>,
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut rows = select.query([])?;
    let mut told = 0;
    while let Some(row) = rows.next()?.filter(|_| told < TOLD_MAX) {
        if let Err(error) = expand(row)? {
            told += 1;
            let id: i64 = row.get(0)?;
            problems.push(format!("{what} {id} cannot be read: {error}"));
        }
    }
    Ok(())
}
