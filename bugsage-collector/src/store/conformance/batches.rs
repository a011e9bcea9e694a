//! What becomes of a batch: it counts once, and all of its counts agree.

use std::sync::Arc;

use bugsage_core::event::{Event, Losses};
use bugsage_core::id::{BatchId, RunId};
use bugsage_core::stacktrace::{Frame, StackTrace};

use crate::store::Store;
use crate::store::model::GroupedBatch;

use super::{
    HOUR_US, NOW, Sender, all_issues, at, batch, batch_of, counts, in_release, later, operator,
    panic, panic_called_by,
};

pub(super) async fn a_batch_counts_once_whoever_sends_it_again(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let bank = Sender::new(store, "bank").await;
    let id = BatchId::from_bytes([7; 16]);
    let event = panic("price");
    let make = || batch_of(id, [event.clone()]);

    let first = shop.send(store, make()).await;
    let again = shop.send(store, make()).await;
    let elsewhere = bank.send(store, make()).await;

    assert_eq!((first.accepted, first.duplicate), (1, 0));
    assert_eq!((again.accepted, again.duplicate), (0, 1));
    assert_eq!((elsewhere.accepted, elsewhere.duplicate), (1, 0));
    assert_eq!(counts(store).await, [1, 1]);
}

pub(super) async fn an_event_counts_once_in_any_batch(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let event = Event {
        count: 5,
        ..panic("price")
    };

    shop.send(store, batch([event.clone()])).await;
    let with_neighbor = [event.clone(), panic("price"), event];
    let receipt = shop.send(store, batch(with_neighbor)).await;

    assert_eq!((receipt.accepted, receipt.duplicate), (1, 2));
    assert_eq!(counts(store).await, [6]);
}

pub(super) async fn what_is_stored_comes_back_as_it_was(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let mut event = panic("price");
    event.contexts = vec![("os".into(), "linux".into())];
    event.deltas_us = vec![1, 2, 3];
    event.user = Some("u1".into());
    shop.send(store, batch([event.clone()])).await;

    let stored = store.event(&operator(), event.id).await.expect("is there");
    let listed = store.events(&operator(), 1, 10).await.expect("is there");

    // Whether a frame is the app's own is found out by the collector.
    let mut expected = event.clone();
    let stack = event.stack.as_deref().expect("has one");
    let frames = stack.frames.iter().map(|frame| {
        Arc::new(Frame {
            in_app: true,
            ..Frame::clone(frame)
        })
    });
    expected.stack = Some(Arc::new(StackTrace {
        frames: frames.collect(),
        symbolicated: true,
    }));
    assert_eq!(stored.event, expected);
    assert_eq!(stored.issue, 1);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].event, expected);
}

pub(super) async fn counts_are_kept_by_issue_release_hour_and_user(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let user = |event: Event, user: &str, count| Event {
        user: Some(user.into()),
        count,
        ..event
    };
    let old = in_release("price", "shop@1.0.0");
    let new = at(in_release("price", "shop@1.1.0"), later(2));

    shop.send(store, batch([user(old.clone(), "u1", 10)])).await;
    let more = [user(new, "u1", 3), user(panic("price"), "u2", 1)];
    shop.send(store, batch(more)).await;

    let detail = store.issue(&operator(), 1).await.expect("is there");
    let issue = &detail.issue;
    assert_eq!((issue.events, issue.users), (14, 2));
    assert_eq!((issue.first_seen, issue.last_seen), (NOW, later(2)));
    assert_eq!(issue.first_release.as_deref(), Some("shop@1.0.0"));
    assert_eq!(issue.last_release.as_deref(), Some("shop@1.1.0"));
    let hour = NOW.0 / HOUR_US;
    assert_eq!(detail.hours, [(hour, 11), (hour + 2, 3)]);
    let releases = detail.releases.iter();
    let releases: Vec<_> = releases
        .map(|it| (it.release.as_str(), it.events))
        .collect();
    assert_eq!(releases, [("shop@1.0.0", 11), ("shop@1.1.0", 3)]);
}

pub(super) async fn the_latest_event_is_so_by_time_and_not_by_arrival(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let latest = at(in_release("price", "shop@1.1.0"), later(5));
    let late = at(in_release("price", "shop@1.0.0"), later(1));

    shop.send(store, batch([latest.clone()])).await;
    shop.send(store, batch([late])).await;

    let issue = &all_issues(store).await[0];
    assert_eq!(issue.latest_event, Some(latest.id));
    assert_eq!(issue.last_release.as_deref(), Some("shop@1.1.0"));
    assert_eq!(issue.first_release.as_deref(), Some("shop@1.0.0"));
    assert_eq!((issue.first_seen, issue.last_seen), (later(1), later(5)));
}

pub(super) async fn losses_are_running_totals(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let lost = |run: u8, reports| Losses {
        run: RunId::from_bytes([run; 16]),
        produced: 100,
        dropped: vec![("queue_full".into(), reports)],
    };

    for losses in [lost(1, 5), lost(1, 9), lost(2, 1), lost(1, 7)] {
        let batch = GroupedBatch {
            losses: vec![losses],
            ..batch([])
        };
        shop.send(store, batch).await;
    }

    let projects = store.projects(&operator()).await.expect("is read");
    assert_eq!(projects[0].losses, [("queue_full".to_owned(), 10)]);
}

pub(super) async fn a_weak_fingerprint_leads_to_an_issue_only_where_nothing_better_is_known(
    store: &dyn Store,
) {
    let shop = Sender::new(store, "shop").await;
    let one = || panic_called_by("price", "shop::one::{{closure}}");
    let other = || panic_called_by("price", "shop::other::{{closure}}");
    let nameless = || panic_called_by("price", "{closure#0}");

    shop.send(store, batch([nameless()])).await;
    assert_eq!(counts(store).await, [1]);
    // The first that has a name is taken for the same.
    shop.send(store, batch([one()])).await;
    assert_eq!(counts(store).await, [2]);
    // The next is known to be another.
    shop.send(store, batch([other(), one(), other()])).await;
    assert_eq!(counts(store).await, [3, 2]);
    // Without a name there is nothing better to go by.
    shop.send(store, batch([nameless()])).await;
    assert_eq!(counts(store).await, [4, 2]);
}
