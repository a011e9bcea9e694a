//! An error of the disk at any write and any sync: no acknowledgement after it, reading goes on, and what
//! can heal does so by itself.

use std::collections::BTreeSet;
use std::fs;

use bugsage_collector::store::Store;
use bugsage_collector::store::sqlite::{OpenOptions, Owner, SqliteStore, check};
use bugsage_core::batch::Sealed;
use rusqlite::ffi;

use crate::support::client::Client;
use crate::support::collector::{Folder, Project, wait_for};
use crate::support::events::{self, EventBuilder};
use crate::support::inside::Inside;
use crate::support::setting;
use crate::support::vfs::{Fault, Watch};

/// Batches of the run that is repeated with each fault.
const BATCHES: usize = 4;

/// Every write where `STORY_STRIDE` says 1: `cargo xtask prove faults`.
fn stride() -> usize {
    setting("STORY_STRIDE", 29) as usize
}

#[test]
fn an_error_at_any_write_refuses_its_batch_and_heals_by_itself() {
    for code in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_FULL] {
        // A disk that is full stays so until somebody makes room.
        let lasts = code == ffi::SQLITE_FULL;
        let tried = each(stride(), |after| Fault::Write { code, after, lasts });
        println!("{tried} writes failed with {code}, each in a run of its own");
    }
}

#[test]
fn an_error_at_any_sync_stops_acknowledging_until_a_restart() {
    let tried = each(1, |after| Fault::OneSync { after });
    println!("{tried} syncs failed, each in a run of its own");
}

#[test]
fn an_error_at_any_write_or_sync_of_a_start_leaves_a_store_that_starts() {
    let (template, batches) = unfinished();
    let write = |after| Fault::Write {
        code: ffi::SQLITE_IOERR_WRITE,
        after,
        lasts: false,
    };
    let faults: [(usize, &dyn Fn(u32) -> Fault); 2] =
        [(stride(), &write), (1, &|after| Fault::OneSync { after })];
    for (stride, fault) in faults {
        let mut tried = 0;
        for after in (0_u32..).step_by(stride) {
            let folder = Folder::new();
            copy_files(&template, &folder);
            let watch = Watch::register();
            watch.fail(Some(fault(after)));
            let options = OpenOptions {
                vfs: Some(watch.name().to_owned()),
                ..OpenOptions::new(folder.data(), Owner::Server)
            };
            if let Ok(store) = SqliteStore::open(options) {
                close(&store);
            }
            let is_over = watch.failures() == 0;
            let store = SqliteStore::open(OpenOptions::new(folder.data(), Owner::Server));
            close(&store.expect("starts on a disk that is sound"));
            holds_each_once(&folder, &batches);
            if is_over {
                break;
            }
            tried += 1;
        }
        assert!(tried > 0, "a start writes");
        println!("{tried} faults of a start");
    }
}

/// Repeats a run with a fault at each of its writes or syncs, and tells how many there are.
fn each(stride: usize, fault: impl Fn(u32) -> Fault) -> usize {
    let template = Folder::new();
    let project = template.create_project("shop", None);
    let mut tried = 0;
    for after in (0_u32..).step_by(stride) {
        let folder = Folder::new();
        copy_files(&template, &folder);
        if !run(folder, project.clone(), fault(after)) {
            break;
        }
        tried += 1;
    }
    assert!(tried > 0, "nothing was written");
    tried
}

/// One run. False where it was over before the fault was met.
fn run(folder: Folder, project: Project, fault: Fault) -> bool {
    let watch = Watch::register();
    let disk = Inside::start_on(folder, project, |config| {
        config.vfs = Some(watch.name().to_owned());
    });
    let key = disk.project().key.clone();
    let batches: Vec<Sealed> = (0..BATCHES).map(batch).collect();
    watch.fail(Some(fault));
    let mut acknowledged = BTreeSet::new();
    for (number, batch) in batches.iter().enumerate() {
        let answer = disk.client().send(&key, &batch.bytes);
        match answer.status {
            200 => drop(acknowledged.insert(number)),
            _ => drop(answer.error(503, "store_unavailable")),
        }
        let page = disk.client().get("/issues?status=all");
        assert_eq!(page.status, 200, "reading goes on: {fault:?}");
    }
    let was_met = watch.failures() > 0;
    watch.fail(None);
    let is_sync = matches!(fault, Fault::OneSync { .. });
    if was_met && is_sync {
        let ready = disk.client().get("/readyz").status;
        // The last sync of a run may be one that copies the log back, when all was answered.
        assert_eq!(ready, 503, "{fault:?}");
        let next = disk.client().send(&key, &batch(9).bytes);
        next.error(503, "store_unavailable");
    } else {
        wait_for("the store to heal", || {
            (disk.client().get("/readyz").status == 200).then_some(())
        });
        send_all(&mut disk.client(), &key, &batches, &acknowledged);
    }
    let (project, folder) = disk.stop();

    let again = Inside::start_on(folder, project, |_| {});
    send_all(&mut again.client(), &key, &batches, &acknowledged);
    let (_, folder) = again.stop();
    holds_each_once(&folder, &batches);
    was_met
}

/// Sends all, as an SDK does that has not heard of some. What was acknowledged is known.
#[track_caller]
fn send_all(client: &mut Client, key: &str, batches: &[Sealed], acknowledged: &BTreeSet<usize>) {
    for (number, batch) in batches.iter().enumerate() {
        let (accepted, duplicate) = client.send(key, &batch.bytes).taken();
        assert_eq!(accepted + duplicate, events_of(number));
        if acknowledged.contains(&number) {
            assert_eq!(accepted, 0, "what was acknowledged is there");
        }
    }
}

#[track_caller]
fn holds_each_once(folder: &Folder, batches: &[Sealed]) {
    let file = SqliteStore::file(&folder.data());
    let copied = check(&file).expect("is whole");
    let events: u64 = (0..batches.len()).map(events_of).sum();
    assert_eq!(copied.events, events);
}

fn close(store: &SqliteStore) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("needs nothing").block_on(store.close());
}

/// The files of a collector that was cut off: all of it is in the log.
fn unfinished() -> (Folder, Vec<Sealed>) {
    let disk = Inside::start(|_| {});
    let key = disk.project().key.clone();
    let batches: Vec<Sealed> = (0..BATCHES).map(batch).collect();
    for batch in &batches {
        assert!(disk.client().send(&key, &batch.bytes).taken().0 > 0);
    }
    let copy = Folder::new();
    copy_files(disk.folder(), &copy);
    (copy, batches)
}

fn copy_files(from: &Folder, to: &Folder) {
    fs::create_dir_all(to.data()).expect("can be made");
    for name in ["bugsage.db", "bugsage.db-wal"] {
        let path = from.data().join(name);
        if path.exists() {
            fs::copy(path, to.data().join(name)).expect("can be copied");
        }
    }
}

fn events_of(number: usize) -> u64 {
    1 + number as u64 % 3
}

fn batch(number: usize) -> Sealed {
    let events = (0..events_of(number)).map(|event| {
        let bug = format!("bug{}", (number as u64 + event) % 5);
        EventBuilder::panic(&bug).count(1 + event).build()
    });
    events::seal(events.collect::<Vec<_>>())
}
