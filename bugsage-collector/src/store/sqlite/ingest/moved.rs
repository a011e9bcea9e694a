//! Moves events that were kept to another issue, with all that they were counted as.
//!
//! What was counted and not kept stays: nobody knows any more which bug it was.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::source::NoSources;
use bugsage_core::fingerprint::{self, Kept, Strength};

use crate::store::StoreError;

use super::super::{events, grouping, sql};
use super::cache::Cache;
use super::tally::{Tally, Told};
use super::{facets, flush};

/// Moves events, by their numbers. It reads their documents: some milliseconds each at most.
pub(in super::super) fn move_events(
    tx: &Connection,
    project: u64,
    [from, to]: [i64; 2],
    numbers: &[i64],
) -> Result<(), StoreError> {
    let (mut cache, mut tally) = (Cache::default(), Tally::default());
    let mut of_event = Vec::new();
    let whole = tx
        .prepare_cached("select coalesce(merged_into, id) from issues where id = ?")?
        .query_row([to], |row| row.get(0))?;
    events::each_without_stack(tx, numbers, |event| {
        let title = fingerprint::title(event);
        facets::of(tx, &mut cache, project, event, &mut of_event)?;
        let told = Told {
            event,
            title: &title,
            of: None,
        };
        tally.count(project, [to, whole], told, true, &of_event);
        Ok(())
    })?;
    let Some(delta) = tally.issues.get(&to) else {
        return Ok(());
    };
    let mut go = tx.prepare_cached("update events set issue = ? where id = ?")?;
    for number in numbers {
        go.execute(params![to, number])?;
    }
    flush::take_off(tx, from, delta)?;
    grouping::count_kept(tx, from)?;
    // An issue that has counted nothing yet was never seen.
    tx.execute(
        "update issues set first_seen = ?, last_seen = 0 where id = ? and events = 0",
        params![i64::MAX, to],
    )?;
    flush::all(tx, &tally)?;
    tell_latest(tx, project, from)?;
    let whole: Option<i64> = tx
        .prepare_cached("select merged_into from issues where id = ?")?
        .query_row([from], |row| row.get(0))?;
    grouping::see_last(tx, project, from)?;
    whole.map_or(Ok(()), |whole| grouping::see_last(tx, project, whole))
}

/// Has an issue tell of the latest of its events that are kept, after some came or went: what it told may have been
/// theirs.
pub(in super::super) fn tell_latest(
    tx: &Connection,
    project: u64,
    issue: i64,
) -> Result<(), StoreError> {
    let Some((event, own)) = events::latest(tx, issue)? else {
        return Ok(());
    };
    let grouping = fingerprint::group(&event, &mut NoSources, &Rules::default());
    let is_known = grouping
        .fingerprints
        .first()
        .is_some_and(|it| it.strength() > Strength::Provisional);
    // Where the stack does not say it, the source may have said it once.
    let failed = match is_known {
        true => None,
        false => function_of(tx, project, own.as_deref())?,
    };
    tx.prepare_cached(
        "update issues set title = ?, level = ?, class = ?, culprit = ? where id = ?",
    )?
    .execute(params![
        grouping.title,
        event.level.as_str(),
        grouping.class,
        failed.unwrap_or(grouping.culprit),
        issue
    ])?;
    Ok(())
}

/// The function that a fingerprint is made of.
fn function_of(
    tx: &Connection,
    project: u64,
    fingerprint: Option<&str>,
) -> Result<Option<String>, StoreError> {
    let reason: Option<Option<String>> = tx
        .prepare_cached("select reason from fingerprints where project = ? and fingerprint = ?")?
        .query_row(params![sql(project), fingerprint], |row| row.get(0))
        .optional()?;
    let kept: Vec<Kept> = reason
        .flatten()
        .and_then(|reason| serde_json::from_str(&reason).ok())
        .unwrap_or_default();
    let function = kept.into_iter().find(|kept| kept.rule == "function");
    Ok(function.map(|kept| kept.value))
}
