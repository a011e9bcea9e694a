//! What was acknowledged survives `kill -9`, and counts once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bugsage_collector::store::sqlite::{SqliteStore, check};
use serde_json::Value;

use crate::support::client::{Record, load};
use crate::support::collector::{Collector, Folder};
use crate::support::events::mixed;
use crate::support::setting;

/// Connections that send at the same time, so that commits are shared.
const CONNECTIONS: u64 = 4;

/// Batches of one connection between two kills: what an hour of load would add up to is no more
/// of a proof, only longer to count.
const BATCHES_MAX: usize = 40;

/// Two thousand kills where `STORY_CRASHES` says so: `cargo xtask prove crashes`.
#[test]
fn kills_under_load_lose_nothing_that_was_acknowledged() {
    let kills = setting("STORY_CRASHES", 50);
    let seed = setting("STORY_SEED", u64::from(std::process::id()));
    println!("seed {seed}");
    let folder = Folder::new();
    let project = folder.create_project("shop", None);
    let record = Mutex::new(Record::default());
    let mut collector = Collector::start_on(folder);

    for kill in 0..kills {
        let address = collector.address();
        let is_over = AtomicBool::new(false);
        let pause = Duration::from_millis(20 + mixed(seed ^ kill) % 130);
        thread::scope(|scope| {
            scope.spawn(|| {
                let seed = mixed(seed).wrapping_add(kill);
                let (record, is_over) = (&record, &is_over);
                load(
                    address,
                    &project.key,
                    CONNECTIONS,
                    BATCHES_MAX,
                    seed,
                    is_over,
                    record,
                );
            });
            thread::sleep(pause);
            collector.end_at_once();
            is_over.store(true, Ordering::Release);
        });
        collector = Collector::start_on(collector.kill());
        let mut record = record.lock().expect("nobody panicked");
        record.resend(&mut collector.client(), &project.key);
    }

    let record = record.into_inner().expect("nobody panicked");
    println!("{} events acknowledged", record.events);
    assert!(record.events > 10 * kills, "the load was none");
    assert_eq!(collector.folder().reports_by_bug(), record.acknowledged);
    check_releases(collector.folder(), &record);
    let ledger = collector.folder().json(&["ledger", "--hours", "1000"]);
    assert_eq!(ledger[0]["balanced"], true, "{ledger:#}");
    let (_, folder) = collector.stop();
    let whole = check(&SqliteStore::file(&folder.data())).expect("says the same everywhere");
    assert_eq!(whole.events, record.events);
}

fn check_releases(folder: &Folder, record: &Record) {
    for issue in folder.issues() {
        let detail = folder.issue(number(&issue, "id"));
        let releases = detail["releases"].as_array().expect("is a list");
        let in_releases: u64 = releases.iter().map(|it| number(it, "events")).sum();
        assert_eq!(in_releases, record.acknowledged[&bug(&issue)]);
    }
}

/// `bug3` of `shop::bug3::fail`.
fn bug(issue: &Value) -> String {
    let culprit = issue["culprit"].as_str().expect("is text");
    culprit.split("::").nth(1).expect("is a path").to_owned()
}

fn number(document: &Value, name: &str) -> u64 {
    document[name].as_u64().expect("is a number")
}
