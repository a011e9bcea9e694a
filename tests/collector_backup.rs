//! A copy is whole while the collector writes, is verified, and comes back as it was.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::client::{Record, load};
use crate::support::collector::{Collector, Folder};
use crate::support::events::{EventBuilder, mixed};

/// What is done to a copy, and how.
type Damage = (&'static str, fn(&PathBuf));

fn sum_of_reports(folder: &Folder) -> u64 {
    let issues = folder.issues();
    let reports = issues.iter().map(|it| it["events"].as_u64());
    reports.map(|it| it.expect("is a number")).sum()
}

fn copy_of(folder: &Folder) -> (String, PathBuf) {
    let path = folder.path().join("copy.db");
    (path.to_str().expect("is text").to_owned(), path)
}

#[test]
fn a_copy_under_load_has_all_that_was_acknowledged_before_it_began() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let record = Mutex::new(Record::default());
    let is_over = AtomicBool::new(false);
    let (name, _) = copy_of(collector.folder());

    let acknowledged = thread::scope(|scope| {
        let (address, key) = (collector.address(), &project.key);
        let (record, is_over) = (&record, &is_over);
        scope.spawn(move || load(address, key, 4, usize::MAX, 7, is_over, record));
        let reports = || -> u64 {
            let record = record.lock().expect("nobody panicked");
            record.acknowledged.values().sum()
        };
        while reports() < 10_000 {
            thread::yield_now();
        }
        let before = reports();
        let told = collector.folder().json(&["backup", &name]);
        assert!(told["events"].as_u64() > Some(0), "{told}");
        is_over.store(true, Ordering::Release);
        before
    });

    let other = Folder::new();
    other.run(&["restore", "--check", &name]).well();
    other.run(&["restore", &name]).well();
    assert!(sum_of_reports(&other) >= acknowledged);
    let restored = Collector::start_on(other);
    let next = EventBuilder::panic("price").seal();
    assert_eq!(restored.send(&project, &next).taken(), (1, 0));
    let ledger = restored.folder().json(&["ledger"]);
    assert_eq!(ledger[0]["balanced"], true, "{ledger:#}");
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let batch = EventBuilder::panic("price").seal();
    assert_eq!(collector.send(&project, &batch).taken(), (1, 0));
    let (name, path) = copy_of(collector.folder());
    collector.folder().run(&["backup", &name]).well();
    let copy = fs::read(&path).expect("is there");

    let again = collector.folder().run(&["backup", &name]).with_code(4);
    assert!(again.stderr.contains("already"), "{again:#?}");
    assert_eq!(fs::read(&path).expect("is there"), copy);
    let folder = collector.folder();
    let refused = folder.run(&["restore", &name]).with_code(4);
    assert!(refused.stderr.contains("--replace"), "{refused:#?}");
    let beside = folder.run(&["restore", "--replace", &name]).with_code(4);
    assert!(beside.stderr.contains("another collector"), "{beside:#?}");

    let later = EventBuilder::panic("cart").seal();
    assert_eq!(collector.send(&project, &later).taken(), (1, 0));
    let (_, folder) = collector.stop();
    let told = folder.json(&["restore", "--replace", &name]);
    assert_eq!(folder.issues().len(), 1, "as it was when it was copied");
    let aside = Folder::new();
    let moved = told["moved_to"].as_str().expect("tells where it is");
    fs::create_dir_all(aside.data()).expect("can be made");
    for entry in fs::read_dir(moved).expect("is there") {
        let entry = entry.expect("can be read");
        let to = aside.data().join(entry.file_name());
        fs::copy(entry.path(), to).expect("can be copied");
    }
    assert_eq!(aside.issues().len(), 2, "what was there is still whole");
}

#[test]
fn a_copy_that_was_damaged_is_refused_and_what_is_there_stays() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    for name in ["price", "cart"] {
        let batch = EventBuilder::panic(name).count(1_000).seal();
        assert_eq!(collector.send(&project, &batch).taken(), (1, 0));
    }
    let (name, path) = copy_of(collector.folder());
    collector.folder().run(&["backup", &name]).well();
    let (_, folder) = collector.stop();

    let damages: [Damage; 5] = [
        ("a count that is wrong, without a checksum", |path| {
            without_checksum(path);
            let file = rusqlite::Connection::open(path).expect("can be opened");
            let changed = file.execute("update issues set events = events + 1 where id = 1", []);
            assert_eq!(changed, Ok(1));
        }),
        ("a letter of a title", |path| {
            let bytes = fs::read(path).expect("is there");
            let at = bytes.windows(5).rposition(|it| it == b"price");
            let mut bytes = bytes;
            bytes[at.expect("is in it")] = b'x';
            fs::write(path, bytes).expect("can be written");
        }),
        ("half of it", |path| {
            let bytes = fs::read(path).expect("is there");
            fs::write(path, &bytes[..bytes.len() / 2]).expect("can be written");
        }),
        ("something else", |path| {
            fs::write(path, "not a store").expect("can be written");
        }),
        ("of a newer version", |path| {
            without_checksum(path);
            let file = rusqlite::Connection::open(path).expect("can be opened");
            let set = file.pragma_update(None, "user_version", 999);
            assert_eq!(set, Ok(()));
        }),
    ];
    for (what, damage) in damages {
        let damaged = folder.path().join("damaged.db");
        fs::copy(&path, &damaged).expect("can be copied");
        damage(&damaged);
        let damaged = damaged.to_str().expect("is text");

        let ended = folder.run(&["restore", "--replace", damaged]);

        assert_eq!(ended.status.code(), Some(1), "{what}: {ended:#?}");
        assert_eq!(folder.issues().len(), 2, "{what}: what is there stays");
        let check = folder.run(&["restore", "--check", damaged]);
        assert_eq!(check.status.code(), Some(1), "{what}");
    }
    let seed = u64::from(std::process::id());
    for flip in 0..40 {
        let mut bytes = fs::read(&path).expect("is there");
        let bit = mixed(seed.wrapping_add(flip)) as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let damaged = folder.path().join("flipped.db");
        fs::write(&damaged, bytes).expect("can be written");
        let damaged = damaged.to_str().expect("is text");
        let ended = folder.run(&["restore", "--check", damaged]);
        assert_eq!(ended.status.code(), Some(1), "bit {bit}: {ended:#?}");
        assert!(ended.stderr.contains("flipped.db"), "{ended:#?}");
    }
    let bare = folder.path().join("bare.db");
    fs::copy(&path, &bare).expect("can be copied");
    without_checksum(&bare);
    let bare = folder.json(&["restore", "--check", bare.to_str().expect("is text")]);
    assert_eq!(bare["has_checksum"], false);
    let missing = folder.run(&["restore", "--replace", "/nonexistent/copy.db"]);
    assert_eq!(missing.status.code(), Some(1));
    let whole: Value = folder.json(&["restore", "--check", &name]);
    assert_eq!(whole["issues"], 2);
    assert_eq!(whole["has_checksum"], true);
}

/// Cuts off what stands behind the last page.
fn without_checksum(path: &PathBuf) {
    let file = fs::File::options().write(true).open(path);
    let file = file.expect("can be opened");
    let bytes = file.metadata().expect("can be asked").len();
    file.set_len(bytes / 4_096 * 4_096).expect("can be cut");
}

#[test]
fn a_copy_touches_no_file_that_it_did_not_make() {
    let folder = Folder::new();
    folder.create_project("shop", None);
    let (name, path) = copy_of(&folder);
    let partial = path.with_file_name("copy.db.partial");
    fs::write(&partial, "precious").expect("can be written");

    let ended: Vec<_> = thread::scope(|scope| {
        let copies: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| folder.run(&["backup", &name])))
            .collect();
        let ended = copies.into_iter().map(|it| it.join().expect("ends"));
        ended.collect()
    });

    let good = ended.iter().filter(|it| it.status.success()).count();
    assert_eq!(good, 1, "of those to one name: {ended:#?}");
    folder.run(&["restore", "--check", &name]).well();
    assert_eq!(fs::read(&partial).expect("is there"), b"precious");
    let left = fs::read_dir(folder.path()).expect("is there");
    let left = left.filter(|it| {
        let name = it.as_ref().expect("can be read").file_name();
        name.to_string_lossy().ends_with(".partial")
    });
    assert_eq!(left.count(), 1, "nothing is left of the others");
}
