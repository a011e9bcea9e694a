//! What was grouped for now is grouped anew, once more is known of it.

use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::source::{Functions, Sources};
use bugsage_core::fingerprint::{self};

use crate::store::grouping::{Regroup, Rekey, RekeyedEvent};
use crate::store::model::Status;

use super::*;

/// Two functions that fail alike, and who calls both.
const SOURCE: &str = "fn total(prices: &[u64]) -> u64 {
    prices[7]
}
fn discount(prices: &[u64]) -> u64 {
    prices[7]
}
fn invoice() -> u64 {
    total(&[]) + discount(&[])
}
";

const TOTAL: u32 = 2;
const DISCOUNT: u32 = 5;

struct Source;

impl Sources for Source {
    fn functions(&mut self, _file: &str) -> Option<Arc<Functions>> {
        Some(Arc::new(Functions::read(SOURCE)))
    }
}

/// An event of a build that tells no more than the place of the panic and a function that is visible.
fn for_now(line: u32) -> Event {
    let mut event = in_release("price", "shop@1.0.0");
    event.location = Some(Location {
        file: "src/price.rs".into(),
        line,
        column: 5,
    });
    let frame = Frame {
        function: Some("shop::price::invoice".into()),
        ..Frame::default()
    };
    event.stack = Some(Arc::new(StackTrace {
        frames: vec![Arc::new(frame)],
        symbolicated: true,
    }));
    event
}

/// The same bug by a build that names its functions.
fn named(function: &str) -> Event {
    let frame = |function: &str| {
        Arc::new(Frame {
            function: Some(format!("shop::price::{function}").as_str().into()),
            file: Some("src/price.rs".into()),
            line: Some(7),
            ..Frame::default()
        })
    };
    let mut event = in_release("price", "shop@1.0.0");
    event.stack = Some(Arc::new(StackTrace {
        frames: vec![frame(function), frame("invoice")],
        symbolicated: true,
    }));
    event
}

/// The events as the source tells them.
fn known(issue: u64, events: &[Event]) -> Rekey {
    let events = events.iter().map(|event| {
        let grouping = fingerprint::group(event, &mut Source, &Rules::default());
        RekeyedEvent {
            event: event.id,
            fingerprints: grouping.fingerprints,
            reasons: grouping.reasons,
            culprit: grouping.culprit,
        }
    });
    Rekey {
        issue,
        events: events.collect(),
    }
}

async fn rekey(store: &dyn Store, rekey: Rekey) -> bool {
    let changed = store.rekey(&Scope::system(), rekey, later(2_000)).await;
    changed.expect("can be written")
}

async fn provisional(store: &dyn Store, sender: &Sender) -> Vec<u64> {
    let ids = store.provisional(&Scope::system(), sender.project.id).await;
    ids.expect("can be read")
}

pub(super) async fn events_that_turn_out_to_be_several_bugs_part(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let events = [TOTAL, DISCOUNT, TOTAL].map(for_now);
    shop.send(store, batch(events.clone())).await;
    let [issue] = &*all_issues(store).await else {
        panic!("nobody can tell them apart yet");
    };
    assert_eq!(provisional(store, &shop).await, [issue.id]);

    assert!(rekey(store, known(issue.id, &events)).await);

    assert!(provisional(store, &shop).await.is_empty());
    assert_eq!(counts(store).await, [2, 1]);
    let issues = all_issues(store).await;
    assert_eq!(issues[1].latest_event, Some(events[1].id));
    let history = store.issue(&operator(), issues[1].id).await;
    let history = history.expect("is there").history;
    let came = format!("came from issue {}", issue.id);
    assert!(history.iter().any(|entry| entry.what.ends_with(&came)));
    let kept = store.events(&operator(), issue.id, 10).await;
    assert_eq!(kept.expect("are read").len(), 2);
    // From now on each comes where it belongs, however it was built.
    shop.send(store, batch([named("total"), named("discount")]))
        .await;
    assert_eq!(counts(store).await, [3, 2]);
    // And who knows no better comes to the first of them.
    shop.send(store, batch([for_now(TOTAL)])).await;
    assert_eq!(counts(store).await, [4, 2]);
    assert!(!rekey(store, known(issue.id, &[])).await);
}

pub(super) async fn an_issue_that_turns_out_to_be_another_one_is_merged_into_it(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    shop.send(store, batch([named("total")])).await;
    let events = [TOTAL, TOTAL].map(for_now);
    shop.send(store, batch(events.clone())).await;
    assert_eq!(counts(store).await, [1, 2]);
    let ids: Vec<u64> = all_issues(store).await.iter().map(|it| it.id).collect();

    assert!(rekey(store, known(ids[1], &events)).await);

    assert_eq!(counts(store).await, [3]);
    let whole = store.issue(&operator(), ids[0]).await.expect("is there");
    assert_eq!(whole.parts[0].id, ids[1]);
    let last = whole.history.last().expect("has some");
    assert_eq!(last.actor, "system");
    assert!(provisional(store, &shop).await.is_empty());
}

pub(super) async fn what_is_open_is_not_hidden_and_what_people_said_holds(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    shop.send(store, batch([named("total")])).await;
    let events = [for_now(TOTAL)];
    shop.send(store, batch(events.clone())).await;
    shop.send(store, batch([panic("mail")])).await;
    let ids: Vec<u64> = all_issues(store).await.iter().map(|it| it.id).collect();
    let scope = operator();
    let resolved = store.set_status(&scope, ids[0], Status::Resolved, later(1));
    resolved.await.expect("is resolved");

    assert!(!rekey(store, known(ids[1], &events)).await);
    assert_eq!(counts(store).await.len(), 3);

    let merge = Regroup::Merge {
        into: ids[2],
        issues: vec![ids[1]],
    };
    let merged = store.regroup(&operator(), merge, later(2)).await;
    merged.expect("are merged");
    assert!(!rekey(store, known(ids[1], &events)).await);
    let part = store.issue(&operator(), ids[1]).await.expect("is there");
    assert_eq!(part.issue.merged_into, Some(ids[2]));
}
