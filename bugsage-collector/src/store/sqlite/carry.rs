//! Carries over what SQL alone cannot: what the tables of schema 2 held, as schema 3 keeps it.

use std::collections::HashMap;
use std::io;

use rusqlite::{Connection, params};

use bugsage_core::sketch::Sketch;

use crate::store::StoreError;
use crate::store::pack::{self, Packer, Slot};

/// Events that are carried over at a time: a few megabytes.
const CHUNK: u32 = 1_000;

/// Fills the tables of schema 3 from those that it has renamed, and drops these.
pub(super) fn to_3(tx: &Connection) -> Result<(), StoreError> {
    let stacks = stacks(tx)?;
    // Every event of schema 2 was received and stored; under which key, nobody wrote down.
    tx.execute_batch(
        "insert into ledger (project, key, hour, outcome, reason, events, reports)
             select project, 0, first_at / 3600000000, outcome.name, '', count(*), sum(reports)
             from old_events, (select 'received' as name union all select 'stored') as outcome
             group by project, first_at / 3600000000, outcome.name",
    )?;
    while events(tx, &stacks)? {}
    users(tx)?;
    tx.execute_batch(
        "update stacks set kept = (select count(*) from events e where e.stack = stacks.id);
         insert into spaces (project, bytes)
             select project, sum(length(documents)) from packs group by project;
         update issues set kept = (select count(*) from events e where e.issue = issues.id);
         drop table old_events;
         drop table old_stacks;
         drop table old_issue_users;",
    )?;
    Ok(())
}

type Stacks = HashMap<(i64, [u8; 16]), i64>;

fn stacks(tx: &Connection) -> Result<Stacks, StoreError> {
    let mut stacks = Stacks::new();
    let mut select = tx.prepare("select project, hash, document from old_stacks")?;
    let mut insert = tx.prepare("insert into stacks (project, hash, document) values (?, ?, ?)")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (project, hash) = (row.get(0)?, row.get(1)?);
        let document = pack::compress(row.get_ref(2)?.as_bytes()?).map_err(unpackable)?;
        insert.execute(params![project, hash, document])?;
        stacks.insert((project, hash), tx.last_insert_rowid());
    }
    Ok(stacks)
}

struct Event {
    project: i64,
    id: Vec<u8>,
    issue: i64,
    first_at: i64,
    reports: i64,
    stack: Option<i64>,
    slot: Slot,
}

/// Carries some events over; false where there are no more.
fn events(tx: &Connection, stacks: &Stacks) -> Result<bool, StoreError> {
    let mut packer = Packer::default();
    let mut events = Vec::new();
    {
        let mut select = tx.prepare_cached(
            "select project, id, issue, first_at, reports, stack, document from old_events
             order by project, id limit ?",
        )?;
        let mut rows = select.query([CHUNK])?;
        while let Some(row) = rows.next()? {
            let project = row.get(0)?;
            // A pack is of one project.
            if events
                .first()
                .is_some_and(|first: &Event| first.project != project)
            {
                break;
            }
            let stack: Option<[u8; 16]> = row.get(5)?;
            events.push(Event {
                project,
                id: row.get(1)?,
                issue: row.get(2)?,
                first_at: row.get(3)?,
                reports: row.get(4)?,
                stack: stack.and_then(|hash| stacks.get(&(project, hash)).copied()),
                slot: packer
                    .push_document(row.get_ref(6)?.as_bytes()?)
                    .map_err(unpackable)?,
            });
        }
    }
    let Some(first) = events.first() else {
        return Ok(false);
    };
    let mut packs = Vec::new();
    for pack in packer.finish().map_err(unpackable)? {
        tx.prepare_cached(
            "insert into packs (project, created_at, raw_bytes, documents) values (?, ?, ?, ?)",
        )?
        .execute(params![
            first.project,
            first.first_at,
            pack.raw_bytes,
            pack.documents
        ])?;
        packs.push(tx.last_insert_rowid());
    }
    for event in &events {
        let pack = packs.get(event.slot.pack as usize).copied().unwrap_or(0);
        let number = pack << 16 | i64::from(event.slot.place);
        tx.prepare_cached("insert into seen_events (project, id, event) values (?, ?, ?)")?
            .execute(params![event.project, event.id, number])?;
        tx.prepare_cached(
            "insert into events (id, project, issue, event, first_at, reports, stack, at, bytes, why, ordinal)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0,
                 (select count(*) from events where project = ?2 and issue = ?3))",
        )?
        .execute(params![
            number,
            event.project,
            event.issue,
            event.id,
            event.first_at,
            event.reports,
            event.stack,
            event.slot.at,
            event.slot.bytes,
        ])?;
        tx.prepare_cached("delete from old_events where project = ? and id = ?")?
            .execute(params![event.project, event.id])?;
    }
    Ok(true)
}

fn users(tx: &Connection) -> Result<(), StoreError> {
    let mut sketches: HashMap<(i64, i64), Sketch> = HashMap::new();
    let mut select = tx.prepare("select project, issue, user from old_issue_users")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let sketch = sketches.entry((row.get(0)?, row.get(1)?)).or_default();
        sketch.add(row.get_ref(2)?.as_str().unwrap_or(""));
    }
    for ((project, issue), sketch) in sketches {
        tx.prepare_cached("insert into issue_users (project, issue, users) values (?, ?, ?)")?
            .execute(params![project, issue, sketch.to_bytes()])?;
    }
    Ok(())
}

fn unpackable(error: io::Error) -> StoreError {
    StoreError::Unusable(format!("a stored event cannot be packed: {error}"))
}

#[cfg(test)]
mod tests {
    use bugsage_core::clock::Timestamp;
    use bugsage_core::id::EventId;
    use bugsage_core::remote::RemoteSettings;

    use crate::store::Store;
    use crate::store::model::{IssueFilter, LedgerFilter};
    use crate::store::scope::Scope;
    use crate::store::sqlite::{OpenOptions, Owner, SqliteStore};
    use crate::store::trace::TraceFilter;

    use super::*;

    /// What was there before, as the program of then told it.
    const ISSUES: [(u64, u64, u64, &str); 6] = [
        (1, 3, 0, "01a2054d-ea27-7765-be3c-95fcbcec2820"),
        (2, 3, 0, "01a2054d-e677-74b0-9843-f7667f319a9b"),
        (3, 1, 1, "01a2054e-2120-7566-9fb9-282cb5bc8bdf"),
        (4, 1, 1, "01a2054e-2120-7619-88c6-da3d367a8533"),
        (5, 1, 0, "01a2054e-2180-73b9-817e-16315bfb55b8"),
        (6, 1, 0, "01a2054e-2180-7ed4-af20-2c62f1799ce5"),
    ];

    /// What schema 2 has and schema 1 had not.
    const RUNS: &str = "
        drop table runs; drop table run_hours; drop table user_hours; drop table run_rows;
        drop index issue_releases_by_release; drop index issues_by_first_release;
        pragma user_version = 1";

    #[tokio::test]
    async fn a_store_of_schema_1_has_all_that_it_had() {
        is_carried(|old| old.execute_batch(RUNS).expect("is SQL")).await;
    }

    #[tokio::test]
    async fn a_store_of_schema_2_has_all_that_it_had() {
        is_carried(|_| ()).await;
    }

    #[tokio::test]
    async fn a_store_of_schema_3_has_all_that_it_had() {
        is_carried(|old| {
            old.execute_batch(include_str!("../../../migrations/sqlite/0003_kept.sql"))
                .expect("is SQL");
            to_3(old).expect("is carried over");
            old.execute_batch("pragma user_version = 3")
                .expect("is SQL");
        })
        .await;
    }

    #[tokio::test]
    async fn a_store_of_schema_4_has_all_that_it_had() {
        is_carried(|old| {
            old.execute_batch(include_str!("../../../migrations/sqlite/0003_kept.sql"))
                .expect("is SQL");
            to_3(old).expect("is carried over");
            old.execute_batch(include_str!("../../../migrations/sqlite/0004_traces.sql"))
                .expect("is SQL");
            old.execute_batch("pragma user_version = 4")
                .expect("is SQL");
        })
        .await;
    }

    async fn is_carried(before: impl Fn(&Connection)) {
        let name = format!("bugsage-carry-{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("can be made");
        let old = Connection::open(SqliteStore::file(&folder)).expect("can be made");
        old.execute_batch(include_str!(
            "../../../migrations/sqlite/tests/schema_2.sql"
        ))
        .expect("is SQL");
        before(&old);
        drop(old);

        let store = SqliteStore::open(OpenOptions::new(&folder, Owner::Server));

        let store = store.expect("is brought up to date");
        let operator = Scope::local_operator();
        let filter = IssueFilter {
            limit: 10,
            ..IssueFilter::default()
        };
        let mut issues = store.issues(&operator, filter).await.expect("is read");
        issues.sort_by_key(|issue| issue.id);
        assert_eq!(issues.len(), ISSUES.len());
        for (issue, (id, events, users, latest)) in issues.iter().zip(ISSUES) {
            let latest: EventId = latest.parse().expect("is an id");
            let counts = (issue.id, issue.events, issue.users, issue.latest_event);
            assert_eq!(counts, (id, events, users, Some(latest)));
            let kept = store.events(&operator, id, 10).await.expect("is read");
            let reports: u64 = kept.iter().map(|it| it.event.count).sum();
            assert_eq!(reports, events, "of issue {id}");
            let event = store.event(&operator, latest).await.expect("is kept").event;
            assert_eq!(event.id, latest);
            let detail = store.issue(&operator, id).await.expect("is read");
            let releases = detail.releases.iter();
            let releases: Vec<_> = releases.map(|it| (&*it.release, it.events)).collect();
            assert_eq!(releases, [("subject@1.2.3+0a1b2c3d", events)]);
        }
        let panic = store.events(&operator, 1, 1).await.expect("is read");
        let stack = panic[0].event.stack.as_ref().expect("has one");
        let function = stack.frames[0].function.as_deref();
        assert!(function.is_some_and(|it| it.ends_with("panics::pick")));
        let whole = LedgerFilter {
            project: None,
            since: Timestamp(0),
        };
        let ledger = store.ledger(&operator, whole).await.expect("is read");
        assert!(!ledger.is_empty(), "what it had is in the ledger");
        let filter = TraceFilter {
            limit: 1,
            ..TraceFilter::default()
        };
        let traces = store.traces(&operator, filter).await.expect("is read");
        assert!(traces.is_empty(), "it knew of none");
        let projects = store.projects(&operator).await.expect("are read");
        assert!(projects.iter().all(|it| it.settings.is_empty()));
        let name = projects[0].name.clone();
        let asked = RemoteSettings::parse("traces_rate=0.5");
        let set = store.set_remote_settings(&operator, &name, asked).await;
        assert_eq!(set.expect("is there").settings, asked);
        drop(store);
        let now = Connection::open(SqliteStore::file(&folder)).expect("is there");
        let problems = super::super::verify::problems(&now).expect("is read");
        assert!(problems.is_empty(), "{problems:?}");
        drop(now);
        std::fs::remove_dir_all(&folder).expect("can be removed");
    }
}
