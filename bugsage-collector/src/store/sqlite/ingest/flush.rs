//! Writes what a transaction counted: each issue, hour and line once.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::Text;
use bugsage_core::sketch::Sketch;

use crate::store::StoreError;

use super::super::sql;
use super::facets;
use super::tally::{Delta, Hour, Tally, Variant};

pub(super) fn all(tx: &Connection, tally: &Tally) -> Result<(), StoreError> {
    for (project, releases) in &tally.releases {
        for (release, seen) in releases {
            see_release(tx, *project, release, *seen)?;
        }
    }
    for (issue, delta) in &tally.issues {
        count(tx, *issue, delta)?;
        if delta.whole != *issue {
            // Where the whole stands in lists is by the latest of its parts.
            tx.prepare_cached("update issues set last_seen = max(last_seen, ?) where id = ?")?
                .execute(params![sql(delta.last.at.0), delta.whole])?;
        }
        for (hour, counted) in &delta.hours {
            count_hour(tx, delta.project, *issue, *hour, counted)?;
        }
        for variant in &delta.variants {
            count_variant(tx, delta.project, *issue, variant)?;
        }
        if !delta.users.is_empty() {
            count_users(tx, delta.project, *issue, &delta.users)?;
        }
    }
    for (stack, kept) in &tally.stacks {
        tx.prepare_cached("update stacks set kept = kept + ? where id = ?")?
            .execute(params![sql(*kept), stack])?;
    }
    for (project, bytes) in &tally.spaces {
        tx.prepare_cached(
            "insert into spaces (project, bytes) values (?, ?)
             on conflict (project) do update set bytes = bytes + excluded.bytes",
        )?
        .execute(params![sql(*project), sql(*bytes)])?;
    }
    for (project, bytes) in &tally.trace_spaces {
        tx.prepare_cached(
            "insert into trace_spaces (project, bytes) values (?, ?)
             on conflict (project) do update set bytes = bytes + excluded.bytes",
        )?
        .execute(params![sql(*project), sql(*bytes)])?;
    }
    for (line, spans) in &tally.span_ledger {
        tx.prepare_cached(
            "insert into span_ledger (project, key, hour, outcome, reason, spans)
             values (?, ?, ?, ?, ?, ?)
             on conflict (project, hour, key, outcome, reason) do update set
                 spans = spans + excluded.spans",
        )?
        .execute(params![
            sql(line.sender.project),
            sql(line.sender.key),
            sql(line.hour),
            line.outcome,
            line.reason,
            sql(*spans),
        ])?;
    }
    for (line, (events, reports)) in &tally.ledger {
        tx.prepare_cached(
            "insert into ledger (project, key, hour, outcome, reason, events, reports)
             values (?, ?, ?, ?, ?, ?, ?)
             on conflict (project, hour, key, outcome, reason) do update set
                 events = events + excluded.events,
                 reports = min(reports, 9223372036854775807 - excluded.reports) + excluded.reports",
        )?
        .execute(params![
            sql(line.sender.project),
            sql(line.sender.key),
            sql(line.hour),
            line.outcome,
            line.reason,
            sql(*events),
            sql(*reports),
        ])?;
    }
    Ok(())
}

/// Takes what was counted at an issue off it again. Its users stay: a sketch does not tell whose mark is whose.
pub(super) fn take_off(tx: &Connection, issue: i64, delta: &Delta) -> Result<(), StoreError> {
    tx.prepare_cached("update issues set events = max(events - ?, 0) where id = ?")?
        .execute(params![sql(delta.reports), issue])?;
    for (hour, counted) in &delta.hours {
        let facets = facets::take_off_hour(tx, delta.project, issue, *hour, &counted.facets)?;
        tx.prepare_cached(
            "update issue_hours set events = max(events - ?, 0), facets = ?
             where project = ? and issue = ? and hour = ?",
        )?
        .execute(params![
            sql(counted.reports),
            facets,
            sql(delta.project),
            issue,
            sql(*hour)
        ])?;
    }
    for variant in &delta.variants {
        tx.prepare_cached(
            "update issue_variants set events = max(events - ?, 0)
             where project = ? and issue = ? and release = ? and environment = ?",
        )?
        .execute(params![
            sql(variant.reports),
            sql(delta.project),
            issue,
            variant.release.as_deref().unwrap_or(""),
            variant.environment.as_deref().unwrap_or(""),
        ])?;
    }
    for table in ["issue_hours", "issue_variants"] {
        tx.prepare_cached(&format!(
            "delete from {table} where project = ? and issue = ? and events = 0"
        ))?
        .execute(params![sql(delta.project), issue])?;
    }
    // By what is left; where nothing is, it says what it said.
    tx.prepare_cached(
        "update issues set (first_seen, last_seen, first_release, last_release) =
             (select min(v.first_seen), max(v.last_seen),
                 (select nullif(release, '') from issue_variants
                  where project = ?1 and issue = ?2 order by first_seen limit 1),
                 (select release from issue_variants
                  where project = ?1 and issue = ?2 and release <> '' order by last_seen desc limit 1)
              from issue_variants v where v.project = ?1 and v.issue = ?2)
         where id = ?2 and exists (select 1 from issue_variants where project = ?1 and issue = ?2)",
    )?
    .execute(params![sql(delta.project), issue])?;
    Ok(())
}

fn see_release(
    tx: &Connection,
    project: u64,
    release: &Text,
    (first, last): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into releases (project, name, first_seen, last_seen) values (?1, ?2, ?3, ?4)
         on conflict (project, name) do update set
             first_seen = min(first_seen, excluded.first_seen),
             last_seen = max(last_seen, excluded.last_seen)",
    )?
    .execute(params![sql(project), &**release, sql(first.0), sql(last.0)])?;
    Ok(())
}

fn count(tx: &Connection, issue: i64, delta: &Delta) -> Result<(), StoreError> {
    let (latest_at, latest) = match delta.latest {
        Some((at, id)) => (sql(at.0), Some(id.to_bytes())),
        None => (-1, None),
    };
    let (class, culprit) = delta
        .last
        .of
        .as_ref()
        .map(|(class, culprit)| (class, culprit))
        .unzip();
    // Sums stay integers, whatever senders claim. An issue has several classes where somebody says so; builds that
    // tell less of a function leave it as it is.
    tx.prepare_cached(
        "update issues set
             events = min(events, 9223372036854775807 - ?2) + ?2,
             kept = kept + ?3,
             first_release = case when ?4 < first_seen then ?5 else first_release end,
             first_seen = min(first_seen, ?4),
             last_release = case when ?6 >= last_seen then coalesce(?7, last_release) else last_release end,
             title = case when ?6 >= last_seen then ?8 else title end,
             level = case when ?6 >= last_seen then ?9 else level end,
             culprit = case when ?6 >= last_seen and ?12 <> class then ?13 else culprit end,
             class = case when ?6 >= last_seen then coalesce(?12, class) else class end,
             last_seen = max(last_seen, ?6),
             latest_event = case when ?10 >= latest_event_at then ?11 else latest_event end,
             latest_event_at = max(latest_event_at, ?10)
         where id = ?1",
    )?
    .execute(params![
        issue,
        sql(delta.reports),
        sql(delta.kept),
        sql(delta.first_at.0),
        delta.first_release.as_deref(),
        sql(delta.last.at.0),
        delta.last.release.as_deref(),
        delta.last.title,
        delta.last.level.as_str(),
        latest_at,
        latest,
        class,
        culprit,
    ])?;
    Ok(())
}

fn count_hour(
    tx: &Connection,
    project: u64,
    issue: i64,
    hour: u64,
    counted: &Hour,
) -> Result<(), StoreError> {
    let facets = facets::add_to_hour(tx, project, issue, hour, &counted.facets)?;
    tx.prepare_cached(
        "insert into issue_hours (project, issue, hour, events, facets) values (?, ?, ?, ?, ?)
         on conflict (project, issue, hour) do update set
             events = min(events, 9223372036854775807 - excluded.events) + excluded.events,
             facets = excluded.facets",
    )?
    .execute(params![
        sql(project),
        issue,
        sql(hour),
        sql(counted.reports),
        facets
    ])?;
    Ok(())
}

fn count_variant(
    tx: &Connection,
    project: u64,
    issue: i64,
    variant: &Variant,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into issue_variants (project, issue, release, environment, events, first_seen, last_seen)
         values (?, ?, ?, ?, ?, ?, ?)
         on conflict (project, issue, release, environment) do update set
             events = min(events, 9223372036854775807 - excluded.events) + excluded.events,
             first_seen = min(first_seen, excluded.first_seen),
             last_seen = max(last_seen, excluded.last_seen)",
    )?
    .execute(params![
        sql(project),
        issue,
        variant.release.as_deref().unwrap_or(""),
        variant.environment.as_deref().unwrap_or(""),
        sql(variant.reports),
        sql(variant.first_at.0),
        sql(variant.last_at.0),
    ])?;
    Ok(())
}

fn count_users(
    tx: &Connection,
    project: u64,
    issue: i64,
    users: &Sketch,
) -> Result<(), StoreError> {
    let stored: Option<Vec<u8>> = tx
        .prepare_cached("select users from issue_users where project = ? and issue = ?")?
        .query_row(params![sql(project), issue], |row| row.get(0))
        .optional()?;
    let before = Sketch::from_bytes(&stored.unwrap_or_default());
    let mut after = before.clone();
    after.merge(users);
    if after == before {
        return Ok(());
    }
    tx.prepare_cached(
        "insert into issue_users (project, issue, users) values (?, ?, ?)
         on conflict (project, issue) do update set users = excluded.users",
    )?
    .execute(params![sql(project), issue, after.to_bytes()])?;
    tx.prepare_cached("update issues set users = ? where id = ?")?
        .execute(params![sql(after.estimate()), issue])?;
    Ok(())
}
