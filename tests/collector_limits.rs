//! Who sends too much is told so before a body is read, and what is only counted is counted exactly.

use std::thread;
use std::time::{Duration, Instant};

use bugsage_core::batch::Sealed;
use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::client::{Client, Request};
use crate::support::collector::{Collector, wait_for};
use crate::support::events::{self, EventBuilder};

/// Events of one bug, each with an id of its own.
fn batch(events: usize) -> Sealed {
    let events = (0..events).map(|_| EventBuilder::panic("price").build());
    events::seal(events.collect::<Vec<_>>())
}

#[track_caller]
fn set(collector: &Collector, words: &[&str]) {
    let all = [&["project", "set", "shop"], words].concat();
    collector.folder().run(&all).well();
    // What is set takes effect within a second.
    thread::sleep(Duration::from_secs(1));
}

fn ledger(collector: &Collector) -> Value {
    let accounts = collector.folder().json(&["ledger"]);
    assert_eq!(accounts[0]["balanced"], true, "{accounts:#}");
    accounts[0].clone()
}

/// Events of an outcome and reason in the ledger.
fn outcome(ledger: &Value, outcome: &str, reason: &str) -> u64 {
    let lines = ledger["outcomes"].as_array().expect("is a list");
    let found = lines
        .iter()
        .find(|line| line["outcome"] == outcome && line["reason"] == reason);
    found.map_or(0, |line| line["events"].as_u64().expect("is a number"))
}

#[test]
fn a_project_beyond_its_rate_is_turned_away_before_its_body_is_read() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let quiet = collector.create_project("quiet");
    set(&collector, &["--rate", "100"]);

    assert_eq!(collector.send(&project, &batch(120)).taken(), (120, 0));
    let next = batch(1);
    // Nobody waits for the body that this announces.
    let head = Request::batch(&project.key, &next.bytes).head_alone();
    let refused = collector.client().ask(&head);

    let error = refused.error(429, "rate_limited");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|it| it.contains("100"))
    );
    let wait: u64 = refused
        .header("retry-after")
        .and_then(|it| it.parse().ok())
        .expect("is in seconds");
    assert!(
        (1..=20).contains(&wait),
        "{wait} s for twenty events too many"
    );
    assert_eq!(collector.send(&quiet, &batch(1)).taken(), (1, 0));
    let refused = wait_for("the ledger", || {
        ledger(&collector)["refused"].as_array()?.first().cloned()
    });
    assert_eq!(refused["reason"], "rate_limited");
    assert_eq!(refused["requests"], 1);
    assert_eq!(refused["bytes"], next.bytes.len());
    set(&collector, &["--rate", "none"]);
    assert_eq!(collector.send(&project, &next).taken(), (1, 0));
}

#[test]
fn a_rate_of_each_key_leaves_the_other_keys_alone() {
    let collector = Collector::start();
    let first = collector.create_project("shop");
    let second = collector.folder().json(&["key", "create", "shop"]);
    let second = second["ingest_key"].as_str().expect("is text").to_owned();
    set(&collector, &["--key-rate", "10"]);

    assert_eq!(collector.send(&first, &batch(10)).taken(), (10, 0));

    collector.send(&first, &batch(1)).error(429, "rate_limited");
    let other = collector.client().send(&second, &batch(1).bytes);
    assert_eq!(other.taken(), (1, 0));
}

#[test]
fn what_is_beyond_a_quota_is_counted_and_its_sender_pauses() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    set(&collector, &["--monthly-quota", "200000"]);
    assert_eq!(collector.send(&project, &batch(2_000)).taken(), (2_000, 0));

    // Two thousand an hour, a hundredth of the month, are what a project without a history may have.
    let spike = batch(7);
    let answer = collector.send(&project, &spike);

    assert_eq!(answer.taken(), (0, 0));
    assert_eq!(answer.json()["limited"], 7);
    let pause = answer.header("bugsage-pause").expect("asks for a pause");
    for kind in ["panic", "error", "log"] {
        assert!(pause.contains(&format!("{kind}=")), "{pause}");
    }
    set(&collector, &["--monthly-quota", "10"]);
    let answer = collector.send(&project, &batch(5));
    assert_eq!(answer.json()["limited"], 5);
    // Whoever sends again is told so, and nothing counts twice.
    assert_eq!(collector.send(&project, &spike).taken(), (0, 7));
    let account = ledger(&collector);
    assert_eq!(outcome(&account, "limited", "spike"), 7);
    assert_eq!(outcome(&account, "limited", "monthly_quota"), 5);
    assert_eq!(account["received"]["events"], 2_000 + 7 + 5 + 7);
    assert_eq!(collector.folder().only_issue()["events"], 2_000);

    set(&collector, &["--monthly-quota", "none"]);
    let answer = collector.send(&project, &batch(1));
    assert_eq!(answer.taken(), (1, 0));
    assert_eq!(answer.header("bugsage-pause"), None);
}

#[test]
fn a_key_that_is_revoked_opens_nothing_within_a_second() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let second = collector.folder().json(&["key", "create", "shop"]);
    let second = second["ingest_key"].as_str().expect("is text").to_owned();
    assert_eq!(collector.send(&project, &batch(1)).taken(), (1, 0));

    let revoked = collector.folder().json(&["key", "revoke", &project.key]);
    assert!(revoked["revoked_at"].is_string());
    let since = Instant::now();
    let mut client = Client::new(collector.address());
    while client.send(&project.key, &batch(1).bytes).status == 200 {
        assert!(since.elapsed() < PATIENCE, "it is still believed");
    }

    let answer = client.send(&project.key, &batch(1).bytes);
    answer.error(401, "unknown_key");
    assert_eq!(client.send(&second, &batch(1).bytes).taken(), (1, 0));
    let keys = collector
        .folder()
        .json(&["key", "list", "--project", "shop"]);
    assert_eq!(keys.as_array().map(Vec::len), Some(2));
    let shown = collector.folder().json(&["project", "show", "shop"]);
    assert_eq!(
        shown["ingest_key"],
        second.as_str(),
        "the newest that is good"
    );
    let unknown = collector.folder().run(&["key", "revoke", "bsi_unknown"]);
    assert_eq!(unknown.status.code(), Some(3));
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let collector = Collector::start();
    collector.create_project("shop");
    for words in [
        &["--rate", "0"][..],
        &["--rate", "-1"],
        &["--monthly-quota", "many"],
        &[],
    ] {
        let all = [&["project", "set", "shop"], words].concat();
        let ended = collector.folder().run(&all);
        assert_eq!(ended.status.code(), Some(2), "{words:?}: {ended:#?}");
    }
    let folder = collector.folder();
    folder
        .run(&["project", "set", "shop", "--rate", "1_000"])
        .well();
    let shown = folder.json(&["project", "show", "shop"]);
    assert_eq!(shown["rate"], 1_000);
    assert!(shown["monthly_quota"].is_null());
}
