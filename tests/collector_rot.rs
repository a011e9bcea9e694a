//! A bit that flips on the disk is noticed, or changes no count.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bugsage_collector::store::Store;
use bugsage_collector::store::sqlite::{OpenOptions, Owner, SqliteStore, check};

use crate::support::collector::Folder;
use crate::support::events::{self, EventBuilder, mixed};
use crate::support::inside::Inside;
use crate::support::setting;

const BATCHES: usize = 10;

/// What is counted: of each issue, and of each outcome of the ledger.
type Counts = BTreeMap<String, i64>;

/// Flips where `STORY_FLIPS` says 10000: `cargo xtask prove rot`.
#[test]
fn a_bit_that_flips_is_noticed_or_changes_no_count() {
    let flips = setting("STORY_FLIPS", 60);
    let seed = setting("STORY_SEED", u64::from(std::process::id()));
    println!("seed {seed}");
    let (_kept, original) = stopped();
    let truth = counts(&original).expect("is whole");
    let length = fs::metadata(&original).expect("is there").len();
    let (mut noticed, mut harmless) = (0, 0);

    for flip in 0..flips {
        let folder = Folder::new();
        fs::create_dir_all(folder.data()).expect("can be made");
        let file = SqliteStore::file(&folder.data());
        let bit = mixed(seed.wrapping_add(flip)) % (length * 8);
        let mut bytes = fs::read(&original).expect("is there");
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        fs::write(&file, &bytes).expect("can be written");

        if is_noticed(&folder) {
            noticed += 1;
            continue;
        }
        harmless += 1;
        let counts = counts(&file).expect("nothing was noticed");
        assert_eq!(
            counts, truth,
            "bit {bit} changed a count and nobody noticed"
        );
    }
    println!("{noticed} flips noticed, {harmless} without harm");
}

/// The log has checksums: what follows a flip in it counts as never written, and nothing is half there.
#[test]
fn a_bit_that_flips_in_the_log_leaves_an_earlier_moment() {
    let flips = setting("STORY_FLIPS", 60);
    let seed = setting("STORY_SEED", u64::from(std::process::id()));
    println!("seed {seed}");
    let disk = Inside::start(|_| {});
    fill(&disk);
    let (database, log) = (
        fs::read(disk.folder().data().join("bugsage.db")).expect("is there"),
        fs::read(disk.folder().data().join("bugsage.db-wal")).expect("is there"),
    );
    assert!(!log.is_empty());
    let mut moments = BTreeMap::new();

    for flip in 0..flips {
        let folder = Folder::new();
        fs::create_dir_all(folder.data()).expect("can be made");
        let file = SqliteStore::file(&folder.data());
        fs::write(&file, &database).expect("can be written");
        let mut log = log.clone();
        let bit = mixed(seed.wrapping_add(flip)) % (log.len() as u64 * 8);
        log[(bit / 8) as usize] ^= 1 << (bit % 8);
        fs::write(folder.data().join("bugsage.db-wal"), &log).expect("can be written");

        if is_noticed(&folder) {
            continue;
        }
        let connection = rusqlite::Connection::open(&file).expect("was open before");
        let batches: i64 = connection
            .query_row("select count(*) from batches", [], |row| row.get(0))
            .expect("can be read");
        *moments.entry(batches).or_insert(0) += 1;
    }
    println!("batches that are left: {moments:?}");
    assert!(moments.len() > 1, "the log was not what was read");
}

/// Whether a start or a look at everything finds something.
fn is_noticed(folder: &Folder) -> bool {
    let Ok(store) = SqliteStore::open(OpenOptions::new(folder.data(), Owner::Server)) else {
        return true;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("needs nothing").block_on(store.close());
    check(&SqliteStore::file(&folder.data())).is_err()
}

/// The file of a collector that has ended well.
fn stopped() -> (Folder, PathBuf) {
    let disk = Inside::start(|_| {});
    fill(&disk);
    let (_, folder) = disk.stop();
    let kept = Folder::new();
    let copy = kept.path().join("original.db");
    fs::copy(SqliteStore::file(&folder.data()), &copy).expect("can be copied");
    (kept, copy)
}

fn fill(disk: &Inside) {
    for number in 0..BATCHES {
        let events = (0..4).map(|event| {
            let bug = format!("bug{}", (number * 3 + event) % 7);
            EventBuilder::panic(&bug).count(1 + number as u64).build()
        });
        let batch = events::seal(events.collect::<Vec<_>>());
        let answer = disk.client().send(&disk.project().key, &batch.bytes);
        assert_eq!(answer.taken(), (4, 0));
    }
}

fn counts(file: &Path) -> rusqlite::Result<Counts> {
    let connection = rusqlite::Connection::open(file)?;
    let mut counts = Counts::new();
    for query in [
        "select 'issue ' || id, events from issues",
        "select 'ledger ' || outcome, sum(reports) from ledger group by outcome",
        "select 'events', count(*) from seen_events",
        "select 'batches', count(*) from batches",
    ] {
        let mut select = connection.prepare(query)?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in rows {
            let (name, count) = row?;
            counts.insert(name, count);
        }
    }
    Ok(counts)
}
