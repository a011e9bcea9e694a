//! What goes when there is too much, and what never does.

use bugsage_core::event::Event;

use crate::store::Store;
use crate::store::model::{Retention, Swept};
use crate::store::scope::Scope;

use super::{
    HOUR_US, Sender, Timestamp, all_issues, at, batch, in_release, later, operator, panic,
};

/// When the batches of these claims were received.
pub(super) const RECEIVED_HOURS: u64 = 1_000;

pub(super) const DAY_HOURS: u64 = 24;

/// Nothing goes.
pub(super) const KEEP_ALL: Retention = Retention {
    days: 3_650,
    bytes: u64::MAX,
    trace_days: 3_650,
    trace_bytes: u64::MAX,
};

/// Sweeps until there is nothing to do, and tells what went.
pub(super) async fn sweep(store: &dyn Store, retention: Retention, now: Timestamp) -> Swept {
    let mut all = Swept::default();
    // More steps than any of these claims can take.
    for _ in 0..10_000 {
        let without_room = Vec::from_iter(all.has_no_room);
        let swept = store
            .sweep(&Scope::system(), retention, now, &without_room)
            .await
            .expect("can be swept");
        all.events += swept.events;
        all.traces += swept.traces;
        all.bytes += swept.bytes;
        all.has_no_room = all.has_no_room.or(swept.has_no_room);
        if swept.is_done {
            return all;
        }
    }
    panic!("sweeping does not end: {all:?}");
}

/// An event with a quarter of a kilobyte that cannot be compressed.
fn large(event: Event) -> Event {
    let words = (0..16).map(|_| uuid::Uuid::new_v4().simple().to_string());
    let text: String = words.collect();
    Event {
        contexts: vec![("noise".into(), text.into())],
        ..event
    }
}

async fn kept(store: &dyn Store, issue: u64) -> Vec<Event> {
    let events = store.events(&operator(), issue, 10_000).await;
    let events = events.expect("is read").into_iter();
    events.map(|stored| stored.event).collect()
}

pub(super) async fn old_events_go_and_their_counts_and_ids_stay(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let events: Vec<Event> = (0..50)
        .map(|hour| at(panic("price"), later(hour)))
        .collect();
    shop.send(store, batch(events.clone())).await;
    let retention = Retention {
        days: 30,
        ..KEEP_ALL
    };

    let early = later(RECEIVED_HOURS + 29 * DAY_HOURS);
    let nothing = sweep(store, retention, early).await;
    let late = later(RECEIVED_HOURS + 31 * DAY_HOURS);
    let swept = sweep(store, retention, late).await;
    let again = sweep(store, retention, late).await;

    assert_eq!((nothing.events, swept.events, again.events), (0, 48, 0));
    let left: Vec<_> = kept(store, 1).await.iter().map(|event| event.id).collect();
    assert_eq!(
        left,
        [events[49].id, events[0].id],
        "the first and the latest"
    );
    let issue = &all_issues(store).await[0];
    assert_eq!(issue.events, 50);
    let detail = store.issue(&operator(), 1).await.expect("is there");
    assert_eq!(detail.hours.len(), 50);
    let gone = store.event(&operator(), events[20].id).await;
    assert!(gone.is_err());
    let receipt = shop.send(store, batch([events[20].clone()])).await;
    assert_eq!((receipt.accepted, receipt.duplicate), (0, 1));
}

pub(super) async fn a_budget_thins_what_is_common_and_leaves_what_is_rare(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let bank = Sender::new(store, "bank").await;
    let rare: Vec<Event> = (0..3).map(|_| large(panic("rare"))).collect();
    shop.send(store, batch(rare.clone())).await;
    for hundred in 0..6 {
        let release = format!("shop@1.{}.0", hundred / 3);
        let flood = (0..100).map(|number| {
            let event = large(in_release("common", &release));
            at(event, Timestamp(later(hundred).0 + number))
        });
        shop.send(store, batch(flood)).await;
    }
    bank.send(store, batch((0..20).map(|_| large(panic("other")))))
        .await;
    let budget = Retention {
        bytes: 100 << 10,
        ..KEEP_ALL
    };

    let swept = sweep(store, budget, later(RECEIVED_HOURS + 1)).await;

    assert!(swept.events > 200 && swept.bytes > 50 << 10, "{swept:?}");
    assert_eq!(swept.has_no_room, None);
    let issues = all_issues(store).await;
    let counts: Vec<u64> = issues.iter().map(|issue| issue.events).collect();
    assert_eq!(counts, [3, 600, 20]);
    assert_eq!(kept(store, 1).await.len(), 3, "the rare one is whole");
    assert_eq!(
        kept(store, 3).await.len(),
        20,
        "others have budgets of their own"
    );
    let common = kept(store, 2).await;
    assert!(
        common.len() > 20,
        "no more went than had to: {}",
        common.len()
    );
    let hours = common.iter().map(|event| event.first_at.0 / HOUR_US);
    let hours: std::collections::BTreeSet<u64> = hours.collect();
    assert_eq!(hours.len(), 6, "what is left is spread over the time");
    let latest = issues[1].latest_event.expect("has one");
    assert!(common.iter().any(|event| event.id == latest));
}

pub(super) async fn what_always_stays_may_be_more_than_the_budget(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let releases = (0..30).map(|n| format!("shop@1.{n}.0"));
    let events: Vec<Event> = releases
        .flat_map(|release| {
            let event = move |_| large(in_release("price", &release));
            (0..3).map(event).collect::<Vec<_>>()
        })
        .collect();
    shop.send(store, batch(events)).await;
    let later_project = Sender::new(store, "bank").await;
    let flood = (0..200).map(|_| large(panic("common")));
    later_project.send(store, batch(flood)).await;
    let budget = Retention {
        bytes: 6 << 10,
        ..KEEP_ALL
    };

    let swept = sweep(store, budget, later(RECEIVED_HOURS + 1)).await;

    assert_eq!(swept.has_no_room, Some(shop.project.id));
    let left = kept(store, 1).await;
    assert!(
        (30..=31).contains(&left.len()),
        "one of each release, and the latest: {}",
        left.len()
    );
    let thinned = kept(store, 2).await.len();
    assert!(
        thinned < 100,
        "the next one has its turn all the same: {thinned}"
    );
}

pub(super) async fn only_the_system_sweeps(store: &dyn Store) {
    let retention = Retention {
        days: 1,
        ..KEEP_ALL
    };

    let refused = store.sweep(&operator(), retention, later(0), &[]).await;

    assert!(refused.is_err());
}
