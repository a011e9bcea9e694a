//! Writes how runs are doing: by maximum, so that nothing counts twice and no order matters.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{RunHour, RunState};
use bugsage_core::limits;
use bugsage_core::sketch::Sketch;

use crate::store::StoreError;

use super::{sql, unsigned};

/// Rows that go at a time where there are too many, so that not every batch has to make room.
const ROOM: u64 = 64;

pub(super) fn store(
    tx: &Connection,
    project: u64,
    state: &RunState,
    received_at: Timestamp,
) -> Result<(), StoreError> {
    let run = store_run(tx, project, state, received_at)?;
    for hour in &state.hours {
        store_hour(tx, project, run, hour)?;
        if !hour.users.is_empty() {
            store_users(tx, project, state, hour)?;
        }
    }
    Ok(())
}

fn store_run(
    tx: &Connection,
    project: u64,
    state: &RunState,
    received_at: Timestamp,
) -> Result<i64, StoreError> {
    let run = &state.run;
    let key = params![sql(project), run.id.to_bytes()];
    let mut find = tx.prepare_cached("select id from runs where project = ? and run = ?")?;
    let known = find.query_row(key, |row| row.get::<_, i64>(0)).optional()?;
    if known.is_none() {
        make_room(tx, project, &RUNS)?;
    }
    let id = tx
        .prepare_cached(
            "insert into runs (project, run, release, environment, sdk, started_at, ended, alive_at,
                 first_heard, last_heard)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
             on conflict (project, run) do update set
                 release = max(release, excluded.release),
                 environment = max(environment, excluded.environment),
                 sdk = max(sdk, excluded.sdk),
                 started_at = max(started_at, excluded.started_at),
                 ended = max(ended, excluded.ended),
                 alive_at = max(alive_at, excluded.alive_at),
                 first_heard = min(first_heard, excluded.first_heard),
                 last_heard = max(last_heard, excluded.last_heard)
             returning id",
        )?
        .query_row(
            params![
                sql(project),
                run.id.to_bytes(),
                run.release.as_deref().unwrap_or(""),
                run.environment.as_deref().unwrap_or(""),
                &*run.sdk,
                sql(run.started_at.0),
                state.ended.number(),
                sql(state.alive_at.0),
                sql(received_at.0),
            ],
            |row| row.get(0),
        )?;
    Ok(id)
}

fn store_hour(tx: &Connection, project: u64, run: i64, hour: &RunHour) -> Result<(), StoreError> {
    let known = tx
        .prepare_cached("select 1 from run_hours where run = ? and hour = ?")?
        .exists(params![run, sql(hour.hour)])?;
    if !known {
        make_room(tx, project, &RUN_HOURS)?;
    }
    tx.prepare_cached(
        "insert into run_hours (project, run, hour, roots, roots_failed) values (?, ?, ?, ?, ?)
         on conflict (run, hour) do update set
             roots = max(roots, excluded.roots),
             roots_failed = max(roots_failed, excluded.roots_failed)",
    )?
    .execute(params![
        sql(project),
        run,
        sql(hour.hour),
        sql(hour.roots),
        sql(hour.roots_failed)
    ])?;
    Ok(())
}

fn store_users(
    tx: &Connection,
    project: u64,
    state: &RunState,
    hour: &RunHour,
) -> Result<(), StoreError> {
    let release = state.run.release.as_deref().unwrap_or("");
    let environment = state.run.environment.as_deref().unwrap_or("");
    let known = tx
        .prepare_cached(
            "select id, users, users_panicked from user_hours
             where project = ? and release = ? and environment = ? and hour = ?",
        )?
        .query_row(
            params![sql(project), release, environment, sql(hour.hour)],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    Sketch::from_bytes(&row.get::<_, Vec<u8>>(1)?),
                    Sketch::from_bytes(&row.get::<_, Vec<u8>>(2)?),
                ))
            },
        )
        .optional()?;
    let Some((id, users, users_panicked)) = known else {
        make_room(tx, project, &USER_HOURS)?;
        tx.prepare_cached(
            "insert into user_hours (project, release, environment, hour, users, users_panicked)
             values (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            sql(project),
            release,
            environment,
            sql(hour.hour),
            hour.users.to_bytes(),
            hour.users_panicked.to_bytes(),
        ])?;
        return Ok(());
    };
    let merged = |mut known: Sketch, more: &Sketch| {
        known.merge(more);
        known
    };
    let all = merged(users.clone(), &hour.users);
    let all_panicked = merged(users_panicked.clone(), &hour.users_panicked);
    if (&all, &all_panicked) != (&users, &users_panicked) {
        tx.prepare_cached("update user_hours set users = ?, users_panicked = ? where id = ?")?
            .execute(params![all.to_bytes(), all_panicked.to_bytes(), id])?;
    }
    Ok(())
}

/// A table of which a project may have so many rows, and which of them go first.
struct Bounded {
    table: &'static str,
    oldest_first: &'static str,
    rows_max: u64,
}

const RUNS: Bounded = Bounded {
    table: "runs",
    oldest_first: "last_heard",
    rows_max: limits::PROJECT_RUNS_MAX,
};

const RUN_HOURS: Bounded = Bounded {
    table: "run_hours",
    oldest_first: "hour",
    rows_max: limits::PROJECT_RUN_HOURS_MAX,
};

const USER_HOURS: Bounded = Bounded {
    table: "user_hours",
    oldest_first: "hour",
    rows_max: limits::PROJECT_USER_HOURS_MAX,
};

/// Counts a row that is about to be added; where there are too many the oldest go.
fn make_room(tx: &Connection, project: u64, bounded: &Bounded) -> Result<(), StoreError> {
    let kept: i64 = tx
        .prepare_cached(
            "insert into run_rows (project, kind, kept) values (?, ?, 1)
             on conflict (project, kind) do update set kept = kept + 1
             returning kept",
        )?
        .query_row(params![sql(project), bounded.table], |row| row.get(0))?;
    if unsigned(kept) <= bounded.rows_max {
        return Ok(());
    }
    remove_oldest(tx, project, bounded, ROOM.min(bounded.rows_max))
}

fn remove_oldest(
    tx: &Connection,
    project: u64,
    bounded: &Bounded,
    rows: u64,
) -> Result<(), StoreError> {
    let Bounded {
        table,
        oldest_first,
        ..
    } = bounded;
    let oldest =
        format!("select id from {table} where project = ?1 order by {oldest_first}, id limit ?2");
    let key = params![sql(project), sql(rows)];
    if bounded.table == RUNS.table {
        // What a run counted goes with it.
        let hours = format!("delete from run_hours where run in ({oldest})");
        let removed = tx.prepare_cached(&hours)?.execute(key)?;
        count_removed(tx, project, RUN_HOURS.table, removed)?;
    }
    let rows = format!("delete from {table} where id in ({oldest})");
    let removed = tx.prepare_cached(&rows)?.execute(key)?;
    count_removed(tx, project, table, removed)
}

fn count_removed(
    tx: &Connection,
    project: u64,
    table: &str,
    removed: usize,
) -> Result<(), StoreError> {
    tx.prepare_cached("update run_rows set kept = kept - ? where project = ? and kind = ?")?
        .execute(params![removed as i64, sql(project), table])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with one project, and a table that may have so many rows.
    fn database() -> Connection {
        let c = Connection::open_in_memory().expect("memory is free");
        for migration in [
            include_str!("../../../migrations/sqlite/0001_first.sql"),
            include_str!("../../../migrations/sqlite/0002_runs.sql"),
        ] {
            c.execute_batch(migration).expect("is sound");
        }
        c.execute_batch(
            "insert into projects (id, organization, name, created_at) values (1, 1, 'shop', 0)",
        )
        .expect("is sound");
        c
    }

    fn add(c: &Connection, at: u64, runs: &Bounded) {
        make_room(c, 1, runs).expect("is written");
        c.execute(
            "insert into runs (project, run, release, environment, sdk, started_at, ended, alive_at,
                 first_heard, last_heard) values (1, ?1, '', '', '', 0, 0, 0, 0, ?2)",
            params![at.to_be_bytes(), sql(at)],
        )
        .expect("is written");
        let run = c.last_insert_rowid();
        make_room(c, 1, &RUN_HOURS).expect("is written");
        c.execute(
            "insert into run_hours (project, run, hour, roots, roots_failed) values (1, ?, 1, 1, 0)",
            [run],
        )
        .expect("is written");
    }

    #[test]
    fn the_oldest_runs_go_with_their_hours_where_there_are_too_many() {
        let c = database();
        let runs = Bounded {
            rows_max: 10,
            ..RUNS
        };

        (1..=1_000).for_each(|at| add(&c, at, &runs));

        let row = |query: &str| c.query_row(query, [], |row| row.get::<_, i64>(0));
        let kept = row("select count(*) from runs").expect("is read");
        assert!((1..=10).contains(&kept), "{kept}");
        assert_eq!(row("select max(last_heard) from runs"), Ok(1_000));
        assert_eq!(row("select min(last_heard) from runs"), Ok(1_001 - kept));
        assert_eq!(row("select count(*) from run_hours"), Ok(kept));
        let counted = row("select kept from run_rows where kind = 'runs'");
        assert_eq!(counted, Ok(kept));
        let counted = row("select kept from run_rows where kind = 'run_hours'");
        assert_eq!(counted, Ok(kept));
    }
}
