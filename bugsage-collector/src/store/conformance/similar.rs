//! Which issues are suggested as similar.

use crate::store::grouping::{Regroup, SimilarIssue};

use super::*;

async fn similar(store: &dyn Store, issue: u64) -> Vec<SimilarIssue> {
    let similar = store.similar(&operator(), issue, 5).await;
    similar.expect("is read")
}

fn ids(similar: &[SimilarIssue]) -> Vec<u64> {
    similar.iter().map(|it| it.issue.id).collect()
}

/// The same failure, raised in a file that has moved: no fingerprint says that it is.
fn moved(name: &str, file: &str) -> Event {
    let mut event = panic(name);
    let stack = event.stack.take().expect("has a stack");
    let frames = stack.frames.iter().map(|frame| {
        let is_failing = frame.function.as_deref() != Some("shop::main");
        let file = frame
            .file
            .clone()
            .map(|own| if is_failing { file.into() } else { own });
        Arc::new(Frame {
            file,
            ..Frame::clone(frame)
        })
    });
    event.stack = Some(Arc::new(StackTrace {
        frames: frames.collect(),
        symbolicated: true,
    }));
    event
}

pub(super) async fn issues_that_look_alike_are_suggested_with_what_they_share(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let office = Sender::new(store, "office").await;
    let events = [
        panic("cart"),
        moved("cart", "src/basket/cart.rs"),
        Event {
            message: "no table is free".into(),
            location: None,
            stack: None,
            kind: EventKind::Log,
            ..panic("table")
        },
    ];
    shop.send(store, batch(events)).await;
    office.send(store, batch([panic("cart")])).await;
    let [cart, basket, table, desk] = all_issues(store).await.try_into().expect("are four");

    let suggested = similar(store, cart.id).await;

    assert_eq!(ids(&suggested), [basket.id], "of the project, and alike");
    assert_eq!(suggested[0].issue, basket);
    assert!(suggested[0].similarity >= bugsage_core::similar::SUGGESTED_MIN);
    assert!(
        suggested[0]
            .shares
            .contains(&"class index_out_of_bounds".to_owned())
    );
    assert_eq!(ids(&similar(store, basket.id).await), [cart.id]);
    assert!(similar(store, table.id).await.is_empty());
    assert!(similar(store, desk.id).await.is_empty());
    let none = store.similar(&operator(), cart.id, 0).await;
    assert!(none.expect("is read").is_empty());
    let missing = store.similar(&operator(), 99, 5).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    let of_key = store.similar(&office.scope, cart.id, 5).await;
    assert!(of_key.is_err(), "a key reads nothing: {of_key:?}");
}

pub(super) async fn a_part_is_no_suggestion_and_later_events_change_none(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let places = ["src/a/cart.rs", "src/b/cart.rs", "src/c/cart.rs"];
    shop.send(store, batch(places.map(|file| moved("cart", file))))
        .await;
    let [a, b, c] = all_issues(store).await.try_into().expect("are three");
    let before = similar(store, a.id).await;
    assert_eq!(ids(&before), [b.id, c.id]);

    let other_words = Event {
        message: "index out of bounds: the len is 0 but the index is 1".into(),
        spans: Vec::new(),
        ..moved("cart", "src/b/cart.rs")
    };
    shop.send(store, batch([other_words])).await;
    let after = similar(store, a.id).await;
    assert_eq!(after[0].similarity, before[0].similarity);
    assert_eq!(after[0].issue.events, 2);

    let merge = Regroup::Merge {
        into: a.id,
        issues: vec![b.id],
    };
    let merged = store.regroup(&operator(), merge, later(2_000)).await;
    merged.expect("are merged");
    assert_eq!(ids(&similar(store, a.id).await), [c.id]);
    assert_eq!(ids(&similar(store, b.id).await), [c.id], "not its whole");
    assert_eq!(ids(&similar(store, c.id).await), [a.id]);
}
