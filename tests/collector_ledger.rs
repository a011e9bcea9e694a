//! The ledger adds up, whatever comes in.

use serde_json::Value;

use crate::support::client::Request;
use crate::support::collector::{Collector, wait_for};
use crate::support::events::{EventBuilder, Forgery, content, items, kind, seal};

/// The account of a project.
fn account(collector: &Collector, project: &str) -> Value {
    let accounts = collector.folder().json(&["ledger", "--project", project]);
    accounts[0].clone()
}

/// Events and reports with an outcome.
fn sum(account: &Value, outcome: &str, reason: &str) -> (u64, u64) {
    let lines = account["outcomes"].as_array().expect("is a list").iter();
    let reason = (!reason.is_empty()).then_some(reason);
    let mut lines = lines.filter(|it| it["outcome"] == outcome && it["reason"].as_str() == reason);
    let line = lines.next().cloned().unwrap_or_default();
    let number = |name: &str| line[name].as_u64().unwrap_or(0);
    (number("events"), number("reports"))
}

fn received(account: &Value) -> (u64, u64) {
    let number = |name: &str| account["received"][name].as_u64().expect("is a number");
    (number("events"), number("reports"))
}

#[test]
fn all_that_was_received_is_accounted_for_once() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let mut client = collector.client();
    let event = EventBuilder::panic("price").count(5).build();
    let batch = seal([event.clone(), EventBuilder::panic("stock").build()]);

    client.send(&project.key, &batch.bytes).taken();
    client.send(&project.key, &batch.bytes).taken();
    client.send(&project.key, &seal([event]).bytes).taken();

    let account = account(&collector, "shop");
    assert_eq!(account["balanced"], true, "{account:#}");
    assert_eq!(received(&account), (5, 17));
    assert_eq!(sum(&account, "stored", ""), (2, 6));
    assert_eq!(sum(&account, "duplicate", "batch"), (2, 6));
    assert_eq!(sum(&account, "duplicate", "event"), (1, 5));
    let page = client.get("/ledger").body;
    assert!(page.contains("It balances."), "{page}");
}

#[test]
fn a_flood_is_counted_wholly_and_kept_in_samples() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let mut client = collector.client();
    for _ in 0..10 {
        let events = (0..500).map(|_| EventBuilder::panic("price").build());
        client.send(&project.key, &seal(events).bytes).taken();
    }

    let account = account(&collector, "shop");
    let issue = collector.folder().issue(1);
    let limit = ["--limit", "10000"];
    let listed = ["events", "list", "--issue", "1"];
    let kept = collector.folder().json(&[&listed[..], &limit[..]].concat());

    assert_eq!(issue["events"], 5_000);
    assert_eq!(account["balanced"], true, "{account:#}");
    let stored = sum(&account, "stored", "");
    let sampled_out = sum(&account, "sampled_out", "like_others");
    assert_eq!(stored.1 + sampled_out.1, 5_000);
    assert!((128..=1_000).contains(&stored.0), "{stored:?}");
    assert_eq!(kept.as_array().map(|it| it.len() as u64), Some(stored.0));
}

#[test]
fn a_bad_item_is_accounted_for_as_invalid() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let batch = seal(["a", "b", "c"].map(|name| EventBuilder::panic(name).build()));
    let mut items = items(&batch.bytes);
    let is_event = |(kind, _): &(u8, Vec<u8>)| *kind == kind::EVENT;
    let first = items.iter().position(is_event).expect("has events");
    items[first].1 = vec![0xff; 100];

    let broken = Forgery::of(&content(&items)).seal();
    collector.client().send(&project.key, &broken).taken();

    let account = account(&collector, "shop");
    assert_eq!(account["balanced"], true, "{account:#}");
    assert_eq!(received(&account), (3, 3));
    assert_eq!(sum(&account, "invalid", "malformed"), (1, 1));
}

#[test]
fn what_is_turned_away_is_counted_beside_the_equation() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let mut client = collector.client();
    let batch = EventBuilder::panic("price").seal();
    let length = batch.bytes.len() as u64;

    client
        .send("no-key", &batch.bytes)
        .error(401, "unknown_key");
    let plain = Request::batch(&project.key, &batch.bytes).header("content-type", "text/plain");
    client.ask(&plain).error(415, "content_type");

    let accounts = wait_for("the refusals", || {
        let accounts = collector.folder().json(&["ledger"]);
        let all = accounts.as_array().expect("is a list");
        let refused = all.iter().flat_map(|it| it["refused"].as_array());
        (refused.flatten().count() == 2).then(|| accounts.clone())
    });
    let of = |at: usize| &accounts[at]["refused"][0];
    assert_eq!(
        (&of(0)["reason"], &of(0)["requests"]),
        (&"content_type".into(), &1.into())
    );
    assert_eq!(of(0)["bytes"], length);
    assert_eq!(
        (&of(1)["reason"], &of(1)["requests"]),
        (&"unknown_key".into(), &1.into())
    );
    assert!(accounts[1]["project"].is_null());
    assert_eq!(accounts[0]["balanced"], true);
}
