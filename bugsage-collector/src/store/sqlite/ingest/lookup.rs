//! Finds the issue of an event, opens it, and reopens it where it came back.

use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::Event;

use crate::group::{regression, similar};
use crate::store::StoreError;
use crate::store::model::GroupedEvent;

use super::super::{cases, fingerprints, similar as portraits, sql, unsigned};
use super::cache::{Cache, Known};
use super::tally::Tally;
use super::write_history;

/// The first event of an issue.
pub(super) const WHY_FIRST: i64 = 1;
/// The first of an issue in a release and environment.
pub(super) const WHY_VARIANT: i64 = 2;
/// The first after its issue was resolved.
pub(super) const WHY_REGRESSED: i64 = 4;

/// Where an event belongs.
pub(super) struct Place {
    pub(super) issue: i64,
    /// The issue that this one is a part of, or itself.
    pub(super) whole: i64,
    /// Why the event must be kept; 0 where it need not be.
    pub(super) why: i64,
    /// How many events of the issue were kept before.
    pub(super) ordinal: u64,
}

pub(super) fn place(
    tx: &Connection,
    cache: &mut Cache,
    tally: &mut Tally,
    project: u64,
    grouped: &GroupedEvent,
    received_at: Timestamp,
) -> Result<Place, StoreError> {
    let event = &grouped.event;
    let mut why = 0;
    let issue = match cache.place(project, &grouped.fingerprints) {
        Some(issue) => issue,
        None => {
            let found = fingerprints::find(tx, project, &grouped.fingerprints)?;
            if found.is_none() {
                why |= WHY_FIRST;
            }
            let issue = match found {
                Some(issue) => issue,
                None => open(tx, project, grouped)?,
            };
            let (all, reasons) = (&grouped.fingerprints, &grouped.reasons);
            fingerprints::own(tx, project, issue, all, reasons, received_at)?;
            cache.set_place(project, &grouped.fingerprints, issue);
            issue
        }
    };
    if is_new_variant(tx, cache, project, issue, event)? {
        why |= WHY_VARIANT;
    }
    let part = known(tx, cache, issue)?;
    let (ordinal, whole) = (part.kept, part.whole);
    // A part counts by itself. What becomes of it is said of the whole.
    let mut known = match whole == issue {
        true => part,
        false => known(tx, cache, whole)?,
    };
    if let Some((resolved_at, resolved_release)) = &known.resolved
        && has_come_back(
            tx,
            tally,
            project,
            event,
            *resolved_at,
            resolved_release.as_deref(),
        )?
    {
        reopen(tx, project, whole, grouped, received_at)?;
        why |= WHY_REGRESSED;
        known.resolved = None;
        known.may_have_case = false;
        cache.set_issue(whole, known.clone());
    }
    if grouped.wants_case && known.may_have_case {
        cases::open_for(tx, project, whole, received_at)?;
        known.may_have_case = false;
        cache.set_issue(whole, known.clone());
    }
    Ok(Place {
        issue,
        whole,
        why,
        ordinal,
    })
}

/// Opens an issue that has counted nothing yet.
fn open(tx: &Connection, project: u64, grouped: &GroupedEvent) -> Result<i64, StoreError> {
    let event = &grouped.event;
    tx.prepare_cached(
        "insert into issues (project, kind, level, title, class, culprit, status, substatus, severity,
             events, users, first_seen, last_seen, first_release, last_release)
         values (?, ?, ?, ?, ?, ?, 'unresolved', 'new', ?, 0, 0, ?, ?, ?, ?)",
    )?
    .execute(params![
        sql(project),
        event.kind.as_str(),
        event.level.as_str(),
        grouped.title,
        grouped.class,
        grouped.culprit,
        grouped.severity,
        sql(event.first_at.0),
        sql(event.last_at.0),
        event.run.release.as_deref(),
        event.run.release.as_deref(),
    ])?;
    let issue = tx.last_insert_rowid();
    write_history(tx, project, issue, event.first_at, "system", "opened")?;
    portraits::write(tx, project, issue, &similar::portrait(grouped))?;
    Ok(issue)
}

fn known(tx: &Connection, cache: &mut Cache, issue: i64) -> Result<Known, StoreError> {
    if let Some(known) = cache.issue(issue) {
        return Ok(known.clone());
    }
    let known = tx
        .prepare_cached(
            "select status, resolved_at, resolved_release, latest_case is null, kept,
                 coalesce(merged_into, id)
             from issues where id = ?",
        )?
        .query_row([issue], |row| {
            let is_resolved = row.get_ref(0)?.as_str()? == "resolved";
            let at = row.get::<_, Option<i64>>(1)?.map_or(0, unsigned);
            let release = row.get(2)?;
            Ok(Known {
                resolved: is_resolved.then_some((Timestamp(at), release)),
                may_have_case: row.get(3)?,
                kept: unsigned(row.get(4)?),
                whole: row.get(5)?,
            })
        })?;
    cache.set_issue(issue, known.clone());
    Ok(known)
}

/// Whether the issue was never seen in the release and environment of this event.
fn is_new_variant(
    tx: &Connection,
    cache: &mut Cache,
    project: u64,
    issue: i64,
    event: &Event,
) -> Result<bool, StoreError> {
    let release = event.run.release.as_deref().unwrap_or("");
    let environment = event.run.environment.as_deref().unwrap_or("");
    let mut hasher = DefaultHasher::new();
    (release, environment).hash(&mut hasher);
    let variant = hasher.finish();
    if cache.has_variant(issue, variant) {
        return Ok(false);
    }
    cache.set_variant(issue, variant);
    let is_known = tx
        .prepare_cached(
            "select 1 from issue_variants
             where project = ? and issue = ? and release = ? and environment = ?",
        )?
        .exists(params![sql(project), issue, release, environment])?;
    Ok(!is_known)
}

/// Whether a resolved issue came back in a newer release.
fn has_come_back(
    tx: &Connection,
    tally: &Tally,
    project: u64,
    event: &Event,
    resolved_at: Timestamp,
    resolved_release: Option<&str>,
) -> Result<bool, StoreError> {
    let release = event.run.release.as_ref();
    let stored = match release {
        Some(release) => tx
            .prepare_cached("select first_seen from releases where project = ? and name = ?")?
            .query_row(params![sql(project), &**release], |row| {
                row.get::<_, i64>(0)
            })
            .optional()?
            .map(|at| Timestamp(unsigned(at))),
        None => None,
    };
    let counted = release.and_then(|release| tally.release_first_seen(project, release));
    let returned = regression::Return {
        release: release.map(|release| &**release),
        release_first_seen: stored.into_iter().chain(counted).min(),
        last_at: event.last_at,
        resolved_release,
        resolved_at,
    };
    Ok(returned.is_regression())
}

fn reopen(
    tx: &Connection,
    project: u64,
    issue: i64,
    grouped: &GroupedEvent,
    received_at: Timestamp,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update issues set status = 'unresolved', substatus = 'regressed',
             resolved_at = null, resolved_release = null where id = ?",
    )?
    .execute([issue])?;
    let what = match grouped.event.run.release.as_deref() {
        Some(release) => format!("regressed in {release}"),
        None => "regressed".to_owned(),
    };
    write_history(tx, project, issue, received_at, "system", &what)?;
    if grouped.wants_case {
        cases::reopen_for(tx, project, issue, received_at)?;
    }
    Ok(())
}
