//! What reports are counted by beside their issue: release, environment, and tags.
//!
//! A value has a number in its project, and an hour of an issue has pairs of such numbers and counts, as
//! varints. Names and values are bounded: a tag that is different in every report (an id) is counted as
//! [`OTHER`] once there are too many.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::event::{Event, Text};

use crate::store::StoreError;

use super::super::sql;
use super::cache::Cache;

/// Names of tags that reports of a project are counted by.
const NAMES_MAX: usize = 64;

/// Values of a name that are told apart.
const VALUES_MAX: usize = 200;

/// Stands for all further values.
const OTHER: &str = "";

/// Values that reports of one issue in one hour are counted by. Further ones are not: 512 are more than
/// a page shows, and a few kilobytes.
const OF_HOUR_MAX: usize = 512;

/// The numbers of all that an event is counted by.
pub(super) fn of(
    tx: &Connection,
    cache: &mut Cache,
    project: u64,
    event: &Event,
    facets: &mut Vec<i64>,
) -> Result<(), StoreError> {
    facets.clear();
    let run = &event.run;
    let of_run = [("release", &run.release), ("environment", &run.environment)];
    for (name, value) in of_run {
        if let Some(value) = value {
            facets.extend(number(tx, cache, project, name, value)?);
        }
    }
    for (name, value) in &event.tags {
        if !matches!(&**name, "release" | "environment") {
            facets.extend(number(tx, cache, project, name, value)?);
        }
    }
    // A name may stand twice, and then counts once.
    facets.sort_unstable();
    facets.dedup();
    Ok(())
}

/// The number of a value, given where it has none. `None` where its name is one too many.
fn number(
    tx: &Connection,
    cache: &mut Cache,
    project: u64,
    name: &str,
    value: &str,
) -> Result<Option<i64>, StoreError> {
    if let Some(number) = cache.facet(project, name, value) {
        return Ok(Some(number));
    }
    let names = learn_names(tx, cache, project)?;
    if cache.has_facet_name(project, name) {
        learn(tx, cache, project, name)?;
    } else if names >= NAMES_MAX {
        // Without a query: there may be a hundred such names in each event.
        return Ok(None);
    }
    if let Some(number) = cache.facet(project, name, value) {
        return Ok(Some(number));
    }
    let values = cache.facet_values(project, name);
    let value = if values < VALUES_MAX { value } else { OTHER };
    if let Some(number) = cache.facet(project, name, value) {
        return Ok(Some(number));
    }
    tx.prepare_cached("insert into facets (project, name, value) values (?, ?, ?)")?
        .execute(params![sql(project), name, value])?;
    let number = tx.last_insert_rowid();
    cache.set_facet(project, name, value, number);
    Ok(Some(number))
}

/// Learns all names of a project, once, and tells how many there are.
fn learn_names(tx: &Connection, cache: &mut Cache, project: u64) -> Result<usize, StoreError> {
    if let Some(names) = cache.facet_names(project) {
        return Ok(names);
    }
    let names: Vec<Text> = tx
        .prepare_cached("select distinct name from facets where project = ?")?
        .query_map([sql(project)], |row| Ok(row.get_ref(0)?.as_str()?.into()))?
        .collect::<Result<_, _>>()?;
    let n = names.len();
    cache.set_facet_names(project, names);
    Ok(n)
}

/// Learns all values of a name, once.
fn learn(tx: &Connection, cache: &mut Cache, project: u64, name: &str) -> Result<(), StoreError> {
    if cache.facet_values(project, name) > 0 {
        return Ok(());
    }
    let mut find =
        tx.prepare_cached("select value, id from facets where project = ? and name = ?")?;
    let mut rows = find.query(params![sql(project), name])?;
    while let Some(row) = rows.next()? {
        cache.set_facet(project, name, row.get_ref(0)?.as_str()?, row.get(1)?);
    }
    Ok(())
}

/// Reports by facet.
pub(super) type Counts = BTreeMap<i64, u64>;

/// Adds what was counted to what an hour of an issue has.
pub(super) fn add_to_hour(
    tx: &Connection,
    project: u64,
    issue: i64,
    hour: u64,
    more: &Counts,
) -> Result<Vec<u8>, StoreError> {
    let mut counts = of_hour(tx, project, issue, hour)?;
    for (facet, reports) in more {
        if counts.len() < OF_HOUR_MAX || counts.contains_key(facet) {
            let count = counts.entry(*facet).or_default();
            *count = count.saturating_add(*reports);
        }
    }
    Ok(encode(&counts))
}

/// Takes some off what an hour of an issue has.
pub(super) fn take_off_hour(
    tx: &Connection,
    project: u64,
    issue: i64,
    hour: u64,
    less: &Counts,
) -> Result<Vec<u8>, StoreError> {
    let mut counts = of_hour(tx, project, issue, hour)?;
    for (facet, reports) in less {
        if let Some(count) = counts.get_mut(facet) {
            *count = count.saturating_sub(*reports);
        }
    }
    counts.retain(|_, reports| *reports > 0);
    Ok(encode(&counts))
}

fn of_hour(tx: &Connection, project: u64, issue: i64, hour: u64) -> Result<Counts, StoreError> {
    let stored: Option<Option<Vec<u8>>> = tx
        .prepare_cached(
            "select facets from issue_hours where project = ? and issue = ? and hour = ?",
        )?
        .query_row(params![sql(project), issue, sql(hour)], |row| row.get(0))
        .optional()?;
    Ok(decode(&stored.flatten().unwrap_or_default()))
}

fn encode(counts: &Counts) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(counts.len() * 4);
    for (facet, reports) in counts {
        put(&mut bytes, facet.unsigned_abs());
        put(&mut bytes, *reports);
    }
    bytes
}

/// Reads what [`encode`] wrote; of other bytes, what can be read.
pub(in crate::store::sqlite) fn decode(mut bytes: &[u8]) -> Counts {
    let mut counts = Counts::new();
    while let (Some(facet), Some(reports)) = (take(&mut bytes), take(&mut bytes)) {
        counts.insert(i64::try_from(facet).unwrap_or(i64::MAX), reports);
    }
    counts
}

/// Seven bits to a byte, the lowest first; the highest bit says that there are more.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_as_they_were() {
        let counts: Counts = [(1, 1), (2, 127), (300, 128), (i64::MAX, u64::MAX)].into();

        assert_eq!(decode(&encode(&counts)), counts);
        assert_eq!(decode(&[]), Counts::new());
        assert_eq!(decode(&[0x80; 20]), Counts::new());
    }
}
