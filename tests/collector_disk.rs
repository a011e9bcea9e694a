//! An acknowledgement means that the disk has it; a disk that fails is told, not hidden.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use bugsage_core::batch::Sealed;
use rusqlite::ffi;

use crate::support::client::Client;
use crate::support::collector::{Collector, Folder, Project, wait_for};
use crate::support::events::EventBuilder;
use crate::support::inside::Inside;
use crate::support::vfs::{Fault, Kind, Step, Watch};

#[test]
fn between_the_last_write_of_a_batch_and_its_answer_there_is_a_sync() {
    let disk = Watched::start();
    disk.watch.slow_syncs(Duration::from_millis(5));

    for _ in 0..20 {
        disk.send_and_note(&batch());
    }
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10).for_each(|_| disk.send_and_note(&batch())));
        }
    });

    let steps = disk.watch.steps();
    let answered = answers(&steps);
    assert_eq!(answered.len(), 100);
    for (id, at) in answered {
        assert_eq!(check_synced(&steps, &id, at), Ok(()));
    }
}

/// Keeps the story above honest: it would see an answer without a sync.
#[test]
fn the_watch_sees_a_commit_that_was_not_synced() {
    for (synchronous, verdict) in [("full", Ok(())), ("normal", Err("no sync"))] {
        let folder = Folder::new();
        let watch = Watch::register();
        let file = folder.path().join("some.db");
        let connection = rusqlite::Connection::open_with_flags_and_vfs(
            file,
            rusqlite::OpenFlags::default(),
            watch.name(),
        )
        .expect("can be opened");
        let settings = format!(
            "pragma journal_mode = wal; pragma synchronous = {synchronous};
             create table batches (id blob)"
        );
        connection.execute_batch(&settings).expect("is SQL");
        let batch = batch();

        let id = batch.id.to_bytes();
        connection
            .execute("insert into batches values (?)", [id])
            .expect("works");
        watch.note(batch.id.to_string());

        let steps = watch.steps();
        let at = answers(&steps)[&id];
        assert_eq!(check_synced(&steps, &id, at), verdict, "{synchronous}");
    }
}

#[test]
fn a_sync_that_fails_is_never_acknowledged_and_stops_writing_until_a_restart() {
    let disk = Watched::start();
    let (before, during, after) = (batch(), batch(), batch());
    assert_eq!(
        disk.client().send(&disk.key(), &before.bytes).taken(),
        (1, 0)
    );

    disk.watch.fail(Some(Fault::Sync));
    let refused = disk.client().send(&disk.key(), &during.bytes);
    disk.watch.fail(None);

    refused.error(503, "store_unavailable");
    assert!(refused.header("retry-after").is_some());
    let later = disk.client().send(&disk.key(), &after.bytes);
    later.error(503, "store_unavailable");
    let ready = disk.client().get("/readyz");
    assert_eq!(ready.status, 503);
    let reason = ready.json()["reason"].as_str().unwrap_or("").to_owned();
    assert!(reason.contains("sync failed"), "{reason}");
    assert!(reason.contains("started again"), "{reason}");
    assert_eq!(disk.client().get("/healthz").status, 200);
    let page = disk.client().get("/issues/1");
    assert_eq!(page.status, 200, "reading goes on: {page:?}");

    let (project, folder) = disk.stop();
    let collector = Collector::start_on(folder);

    assert_eq!(collector.client().get("/readyz").status, 200);
    assert_eq!(collector.send(&project, &before).taken(), (0, 1));
    let (accepted, duplicate) = collector.send(&project, &during).taken();
    assert_eq!(
        accepted + duplicate,
        1,
        "nobody knows whether it was written"
    );
    assert_eq!(collector.send(&project, &after).taken(), (1, 0));
    assert_eq!(collector.folder().only_issue()["events"], 3);
}

#[test]
fn many_batches_under_a_sync_that_fails_get_no_acknowledgement() {
    let disk = Watched::start();
    disk.watch.fail(Some(Fault::Sync));

    let batches: Vec<Sealed> = (0..8).map(|_| batch()).collect();
    thread::scope(|scope| {
        for batch in &batches {
            scope.spawn(|| {
                let answer = disk.client().send(&disk.key(), &batch.bytes);
                answer.error(503, "store_unavailable");
            });
        }
    });

    let (project, folder) = disk.stop();
    let collector = Collector::start_on(folder);
    for batch in &batches {
        let (accepted, duplicate) = collector.send(&project, batch).taken();
        assert_eq!(accepted + duplicate, 1);
    }
    assert_eq!(collector.folder().only_issue()["events"], 8);
}

#[test]
fn what_would_be_written_into_a_file_that_is_gone_is_not_acknowledged() {
    for (what, name) in [("removed", "bugsage.db"), ("replaced", "bugsage.db-wal")] {
        let collector = Collector::start();
        let project = collector.create_project("shop");
        assert_eq!(collector.send(&project, &batch()).taken(), (1, 0));

        let path = collector.folder().data().join(name);
        fs::remove_file(&path).expect("is there");
        if what == "replaced" {
            fs::write(&path, "").expect("can be written");
        }

        let refused = collector.send(&project, &batch());
        refused.error(503, "store_unavailable");
        let ready = collector.client().get("/readyz");
        assert_eq!(ready.status, 503);
        let reason = ready.json()["reason"].as_str().unwrap_or("").to_owned();
        assert!(reason.contains(name), "{reason}");
    }
}

#[test]
fn a_file_that_is_gone_turns_readiness_red_though_nobody_writes() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    assert_eq!(collector.send(&project, &batch()).taken(), (1, 0));

    fs::remove_file(collector.folder().data().join("bugsage.db")).expect("is there");

    wait_for("it to be noticed", || {
        let ready = collector.client().get("/readyz");
        (ready.status == 503).then_some(())
    });
}

#[test]
fn a_full_disk_refuses_a_batch_whole_and_heals_by_itself() {
    for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE] {
        for after in [0, 3] {
            let disk = Watched::start();
            let (refused, other) = (batch(), batch());

            disk.watch.fail(Some(Fault::Write {
                code,
                after,
                lasts: true,
            }));
            let answer = disk.client().send(&disk.key(), &refused.bytes);
            answer.error(503, "store_unavailable");
            assert!(answer.header("retry-after").is_some());
            let page = disk.client().get("/issues?status=all");
            assert!(!page.body.contains("index out of bounds"), "nothing counts");

            disk.watch.fail(None);
            assert_eq!(
                disk.client().send(&disk.key(), &other.bytes).taken(),
                (1, 0)
            );
            wait_for("readiness", || {
                (disk.client().get("/readyz").status == 200).then_some(())
            });
            assert_eq!(
                disk.client().send(&disk.key(), &refused.bytes).taken(),
                (1, 0)
            );
            let (_, folder) = disk.stop();
            assert_eq!(folder.only_issue()["events"], 2, "{code} after {after}");
        }
    }
}

#[test]
fn a_disk_that_works_again_turns_readiness_green_though_nobody_sends() {
    let disk = Watched::start();
    let ready = |is: u16| {
        wait_for("readiness", || {
            (disk.client().get("/readyz").status == is).then_some(())
        });
    };
    let code = ffi::SQLITE_IOERR_WRITE;
    disk.watch.fail(Some(Fault::Write {
        code,
        after: 0,
        lasts: true,
    }));
    let refused = disk.client().send(&disk.key(), &batch().bytes);
    refused.error(503, "store_unavailable");
    ready(503);

    disk.watch.fail(None);
    ready(200);
}

fn batch() -> Sealed {
    EventBuilder::panic("price").seal()
}

/// Which batches were answered, and as which step.
fn answers(steps: &[Step]) -> BTreeMap<[u8; 16], usize> {
    let answers = steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| match step {
            Step::Noted(id) => {
                let id: bugsage_core::id::BatchId = id.parse().expect("is an id");
                Some((id.to_bytes(), at))
            }
            _ => None,
        });
    answers.collect()
}

/// Looks for the sync between the commit of a batch and its answer.
fn check_synced(steps: &[Step], id: &[u8; 16], answered: usize) -> Result<(), &'static str> {
    let has_id = |bytes: &[u8]| bytes.windows(id.len()).any(|window| window == id);
    let before = &steps[..answered];
    let written = before.iter().position(|step| match step {
        Step::Wrote { file, bytes, .. } => *file == Kind::Log && has_id(bytes),
        _ => false,
    });
    let behind = &before[written.ok_or("no write")?..];
    let committed = behind.iter().position(|step| {
        matches!(
            step,
            Step::Wrote {
                file: Kind::Log,
                is_commit: true,
                ..
            }
        )
    });
    let behind = &behind[committed.ok_or("no commit")?..];
    let is_sync = |step: &Step| {
        matches!(
            step,
            Step::Synced {
                file: Kind::Log,
                worked: true
            }
        )
    };
    behind.iter().any(is_sync).then_some(()).ok_or("no sync")
}

/// A collector in this process, on a disk that is watched.
struct Watched {
    watch: &'static Watch,
    inside: Inside,
}

impl Watched {
    fn start() -> Self {
        let watch = Watch::register();
        let inside = Inside::start(|config| config.vfs = Some(watch.name().to_owned()));
        Self { watch, inside }
    }

    fn client(&self) -> Client {
        self.inside.client()
    }

    fn key(&self) -> String {
        self.inside.project().key.clone()
    }

    fn send_and_note(&self, batch: &Sealed) {
        let answer = self.client().send(&self.key(), &batch.bytes);
        self.watch.note(batch.id.to_string());
        assert_eq!(answer.taken(), (1, 0));
    }

    fn stop(self) -> (Project, Folder) {
        self.inside.stop()
    }
}
