//! A batch that the collector fails at is kept as it came, costs no neighbor, and can be tried again.

use std::thread;

use bugsage_core::batch::{Batch, Sealed};
use serde_json::Value;

use crate::support::collector::{Collector, Folder};
use crate::support::events::{self, EventBuilder};
use crate::support::inside::Inside;

/// What the batches that the collector fails at have in them.
const POISON: &str = "the last straw";

fn fail_at_poison(batch: &Batch) {
    let mut messages = batch.events.iter().map(|(_, event)| &event.message);
    assert!(
        messages.all(|message| &**message != POISON),
        "a fault that a story wants"
    );
}

fn poison() -> Sealed {
    events::seal(vec![
        EventBuilder::panic("cart").build(),
        EventBuilder::panic("price").message(POISON).build(),
    ])
}

fn quarantined(folder: &Folder) -> Vec<Value> {
    let Value::Array(list) = folder.json(&["quarantine", "list"]) else {
        panic!("a list is expected");
    };
    list
}

#[test]
fn a_batch_that_the_collector_fails_at_is_acknowledged_kept_and_replayed_once() {
    let failing = Inside::start(|config| config.on_batch = Some(fail_at_poison));
    let key = failing.project().key.clone();
    let batch = poison();

    let answers: Vec<_> = thread::scope(|scope| {
        let send = || {
            let sound = EventBuilder::panic("sound").seal();
            failing.client().send(&key, &sound.bytes).taken()
        };
        let neighbors: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        for _ in 0..2 {
            let answer = failing.client().send(&key, &batch.bytes);
            assert_eq!(answer.taken(), (0, 0));
            assert_eq!(answer.json()["quarantined"], true);
        }
        let joined = neighbors.into_iter().map(|it| it.join());
        joined.map(|it| it.expect("is answered")).collect()
    });
    assert_eq!(answers, [(1, 0); 8], "no neighbor is harmed");
    let page = failing.client().get("/ledger");
    assert!(page.body.contains("Quarantine") && page.body.contains(&batch.id.to_string()));
    let ledger = failing.folder().json(&["ledger"]);
    assert_eq!(ledger[0]["balanced"], true);
    assert_eq!(ledger[0]["received"]["events"], 8);
    assert_eq!(ledger[0]["refused"][0]["reason"], "quarantined");
    assert_eq!(ledger[0]["refused"][0]["requests"], 1);

    let (project, folder) = failing.stop();
    let listed = quarantined(&folder);
    assert_eq!(listed.len(), 1, "what came twice is there once");
    assert_eq!(listed[0]["id"], batch.id.to_string());
    assert_eq!(listed[0]["bytes"], batch.bytes.len());
    assert_eq!(listed[0]["reason"], "a fault that a story wants");
    let file = folder.path().join("saved");
    let id = batch.id.to_string();
    let name = file.to_str().expect("is text");
    folder.run(&["quarantine", "save", &id, name]).well();
    assert_eq!(std::fs::read(&file).expect("is there"), batch.bytes);

    // A collector that has no such fault.
    let mended = Collector::start_on(folder);
    let replayed = mended.folder().run(&["quarantine", "replay", "--all"]);
    assert!(replayed.well().stdout.contains("2 events are counted now"));
    assert_eq!(mended.send(&project, &batch).taken(), (0, 2));
    assert_eq!(quarantined(mended.folder()).len(), 0);
    assert_eq!(mended.folder().issues().len(), 3);
    let ledger = mended.folder().json(&["ledger"]);
    assert_eq!(ledger[0]["balanced"], true, "{ledger:#}");
}

#[test]
fn what_the_operator_asks_of_the_quarantine_is_answered() {
    let failing = Inside::start(|config| config.on_batch = Some(fail_at_poison));
    let key = failing.project().key.clone();
    let batch = poison();
    assert_eq!(failing.client().send(&key, &batch.bytes).status, 200);
    let folder = failing.folder();
    let id = batch.id.to_string();

    let code = |words: &[&str]| folder.run(words).status.code();
    assert_eq!(code(&["quarantine", "replay"]), Some(2));
    assert_eq!(code(&["quarantine", "discard"]), Some(2));
    assert_eq!(code(&["quarantine", "save", "nonsense", "file"]), Some(2));
    let unknown = bugsage_core::id::BatchId::from_bytes([7; 16]).to_string();
    assert_eq!(code(&["quarantine", "discard", &unknown]), Some(3));
    let there = folder.path().join("there");
    std::fs::write(&there, "mine").expect("can be written");
    let name = there.to_str().expect("is text");
    assert_eq!(code(&["quarantine", "save", &id, name]), Some(1));
    assert_eq!(std::fs::read(&there).expect("is there"), b"mine");

    folder.run(&["quarantine", "discard", &id]).well();
    let listed = folder.run(&["quarantine", "list"]).well();
    assert!(listed.stdout.contains("No batch"), "{listed:#?}");
}
