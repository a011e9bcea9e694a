//! The clock may say anything: nothing is lost, nothing counts twice, nothing goes before its time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use bugsage_collector::clock::SystemClock;
use bugsage_collector::store::sqlite::{SqliteStore, check};
use bugsage_core::clock::{Clock, Timestamp};
use bugsage_core::event::Event;

use crate::support::client::{Client, Request};
use crate::support::collector::{Folder, wait_for};
use crate::support::events::{EventBuilder, mixed, seal};
use crate::support::inside::Inside;
use crate::support::setting;

const DAY_US: u64 = 24 * 3_600_000_000;
const YEAR_US: u64 = 365 * DAY_US;

/// Clients that send while the clock jumps.
const CLIENTS: u64 = 4;

/// Batches that each of them sends: every other one is sent twice.
const BATCHES: u64 = 60;

/// A clock that says what it is told to.
struct Hands(AtomicU64);

impl Hands {
    fn at(time: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(time)))
    }

    fn set(&self, time: u64) {
        self.0.store(time, Ordering::Release);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Acquire))
    }
}

/// Where a clock may jump to from the right time.
fn jumps(right: u64) -> [u64; 8] {
    [
        right,
        right + DAY_US,
        right - DAY_US,
        right + 10 * YEAR_US,
        right - 10 * YEAR_US,
        0,
        1,
        u64::MAX,
    ]
}

fn inside(clock: &Arc<Hands>) -> Inside {
    Inside::start(|setup| setup.clock = clock.clone())
}

fn events(n: usize, reports: u64) -> Vec<Event> {
    let event = EventBuilder::panic("price").count(reports);
    (0..n).map(|_| event.build()).collect()
}

/// All that a store has, by what must add up.
fn sums(folder: &Folder) -> BTreeMap<String, i64> {
    let connection = rusqlite::Connection::open(SqliteStore::file(&folder.data()));
    let connection = connection.expect("is a database");
    let sum = |query: &str| connection.query_row(query, [], |row| row.get(0));
    let queries = [
        ("reports", "select sum(events) from issues"),
        ("by hour", "select sum(events) from issue_hours"),
        ("kept", "select count(*) from events"),
        (
            "backwards",
            "select count(*) from issues where first_seen > last_seen",
        ),
        (
            "duplicate",
            "select coalesce(sum(events), 0) from ledger where outcome = 'duplicate'",
        ),
        (
            "received",
            "select coalesce(sum(events), 0) from ledger where outcome = 'received'",
        ),
    ];
    let sums = queries.map(|(name, query)| (name.to_owned(), sum(query).expect("is SQL")));
    sums.into()
}

#[test]
fn a_clock_that_jumps_under_load_neither_loses_nor_doubles_anything() {
    let seed = setting("STORY_SEED", u64::from(std::process::id()));
    println!("seed {seed}");
    let right = SystemClock.now().0;
    let clock = Hands::at(right);
    let inside = inside(&clock);
    let key = inside.project().key.clone();
    let is_over = AtomicBool::new(false);

    thread::scope(|scope| {
        let jump = scope.spawn(|| {
            for turn in 0.. {
                let jumps = jumps(right);
                clock.set(jumps[mixed(seed ^ turn) as usize % jumps.len()]);
                if is_over.load(Ordering::Acquire) {
                    return turn;
                }
                thread::yield_now();
            }
            0
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut client: Client = inside.client();
                let key = &key;
                scope.spawn(move || {
                    for batch in 0..BATCHES {
                        let sealed = seal(events(5, 7));
                        assert_eq!(client.send(key, &sealed.bytes).taken(), (5, 0));
                        if batch % 2 == 0 {
                            assert_eq!(client.send(key, &sealed.bytes).taken(), (0, 5));
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("does not panic");
        }
        is_over.store(true, Ordering::Release);
        let turns = jump.join().expect("does not panic");
        println!("{turns} jumps");
        assert!(turns > 1_000, "the clock stood still");
    });
    for page in ["/issues", "/issues/1", "/ledger", "/releases", "/metrics"] {
        for time in jumps(right) {
            clock.set(time);
            assert_eq!(inside.client().get(page).status, 200, "{page} at {time}");
        }
    }

    let (_, folder) = inside.stop();
    let new = CLIENTS * BATCHES * 5;
    let whole = check(&SqliteStore::file(&folder.data())).expect("says the same everywhere");
    assert_eq!(whole.events, new);
    let sums = sums(&folder);
    assert_eq!(sums["reports"], 7 * new as i64);
    assert_eq!(sums["by hour"], 7 * new as i64);
    assert_eq!(sums["backwards"], 0);
    assert_eq!(sums["duplicate"], new as i64 / 2);
    assert_eq!(sums["received"], 3 * new as i64 / 2);
}

#[test]
fn a_clock_that_stands_still_changes_no_count() {
    let right = SystemClock.now().0;
    for time in [right, 0] {
        let inside = inside(&Hands::at(time));
        let mut client = inside.client();
        for _ in 0..20 {
            let sealed = seal(events(10, 3));
            let request = Request::batch(&inside.project().key, &sealed.bytes);
            assert_eq!(client.ask(&request).taken(), (10, 0));
            assert_eq!(client.ask(&request).taken(), (0, 10));
        }

        let (_, folder) = inside.stop();
        check(&SqliteStore::file(&folder.data())).expect("says the same everywhere");
        let issue = folder.only_issue();
        assert_eq!(issue["events"], 600);
        // Both are text in one form, so they compare as times do.
        let text = |name: &str| issue[name].as_str().expect("is text").to_owned();
        assert!(text("first_seen") <= text("last_seen"), "{issue:#}");
    }
}

#[test]
fn an_event_that_came_while_the_clock_was_wrong_is_found_once_it_is_right() {
    let right = SystemClock.now().0;
    for wrong in jumps(right) {
        let clock = Hands::at(wrong);
        let inside = inside(&clock);
        let key = inside.project().key.clone();
        let before = seal(events(1, 1));
        assert_eq!(inside.client().send(&key, &before.bytes).taken(), (1, 0));

        clock.set(right);
        assert_eq!(inside.client().send(&key, &before.bytes).taken(), (0, 1));
        let after = seal(events(1, 1));
        assert_eq!(inside.client().send(&key, &after.bytes).taken(), (1, 0));

        let issue = inside.folder().only_issue();
        assert_eq!(issue["events"], 2);
        let latest = issue["latest_event"].as_str().expect("there is one");
        inside.folder().json(&["events", "show", latest]);
    }
}

#[test]
fn a_start_with_a_clock_far_ahead_throws_nothing_away() {
    let right = SystemClock.now().0;
    let clock = Hands::at(right);
    let inside = inside(&clock);
    let key = inside.project().key.clone();
    let sealed = seal(events(100, 1));
    assert_eq!(inside.client().send(&key, &sealed.bytes).taken(), (100, 0));
    let (mut project, mut folder) = inside.stop();
    let kept = sums(&folder)["kept"];
    assert_eq!(kept, 100);

    for ahead in [200 * DAY_US, 10 * YEAR_US] {
        clock.set(right + ahead);
        let inside = Inside::start_on(folder, project, |setup| setup.clock = clock.clone());
        wait_for("a sweep", || {
            let metrics = inside.client().get("/metrics").body;
            let line = metrics
                .lines()
                .find(|line| line.starts_with("bugsage_sweep_step_seconds_count"))?;
            let steps: f64 = line.split(' ').nth(1)?.parse().ok()?;
            (steps >= 1.0).then_some(())
        });
        (project, folder) = inside.stop();
        assert_eq!(sums(&folder)["kept"], kept);
    }
    check(&SqliteStore::file(&folder.data())).expect("says the same everywhere");
}
