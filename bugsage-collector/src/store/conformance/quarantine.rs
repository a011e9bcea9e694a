//! Batches that the program failed at.

use bugsage_core::id::BatchId;

use crate::store::model::{LedgerFilter, Poison, QUARANTINE_BYTES_MAX};
use crate::store::{Store, StoreError};

use super::{NOW, Sender, batch, batch_of, counts, operator, panic};

fn poison(number: u8, bytes: usize) -> Poison {
    Poison {
        batch: BatchId::from_bytes([number; 16]),
        received_at: NOW,
        reason: "a digit was expected, at src/decode.rs:7".to_owned(),
        body: vec![number; bytes],
    }
}

pub(super) async fn a_batch_in_quarantine_is_kept_as_it_came_and_counted_beside_the_equation(
    store: &dyn Store,
) {
    let sender = Sender::new(store, "shop").await;
    let poison = poison(7, 100);

    for _ in 0..2 {
        let kept = store.quarantine(&sender.scope, poison.clone()).await;
        kept.expect("is kept once");
    }

    let listed = store.quarantined(&operator()).await.expect("is read");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].batch, listed[0].bytes), (poison.batch, 100));
    let (scope, back) = store.poison(&operator(), poison.batch).await.expect("is");
    assert_eq!((scope, back), (sender.scope.clone(), poison.clone()));
    let filter = LedgerFilter {
        project: None,
        since: NOW,
    };
    let accounts = store.ledger(&operator(), filter).await.expect("is read");
    let refusals = &accounts[0].refusals;
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].reason, "quarantined");
    assert_eq!((refusals[0].requests, refusals[0].bytes), (1, 100));
    assert!(accounts[0].lines.is_empty());

    let others = store.quarantined(&sender.scope).await.expect("is read");
    assert!(others.is_empty(), "a key reads nothing");
    store
        .discard(&operator(), poison.batch)
        .await
        .expect("is there");
    let gone = store.discard(&operator(), poison.batch).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })));
}

pub(super) async fn the_quarantine_of_a_project_is_bounded(store: &dyn Store) {
    let (loud, quiet) = (
        Sender::new(store, "loud").await,
        Sender::new(store, "quiet").await,
    );
    let most = QUARANTINE_BYTES_MAX as usize;
    let first = store.quarantine(&loud.scope, poison(1, most)).await;
    first.expect("there is room");

    let refused = store.quarantine(&loud.scope, poison(2, 1)).await;

    assert!(matches!(refused, Err(StoreError::QuarantineFull(1))));
    let other = store.quarantine(&quiet.scope, poison(3, 1)).await;
    other.expect("another project has room of its own");
}

pub(super) async fn a_batch_that_the_store_fails_at_takes_none_of_its_neighbors_along(
    store: &dyn Store,
) {
    let sender = Sender::new(store, "shop").await;
    let poison = batch_of(crate::store::POISON, [panic("poison")]);
    let send = |batch| store.ingest(&sender.scope, batch);

    let (before, poisoned, after) = tokio::join!(
        send(batch([panic("price")])),
        send(poison),
        send(batch([panic("price")])),
    );

    assert_eq!(before.expect("is written").accepted, 1);
    assert_eq!(after.expect("is written").accepted, 1);
    assert!(matches!(poisoned, Err(StoreError::Poison(_))));
    assert_eq!(counts(store).await, [2]);
    let next = send(batch([panic("price"), panic("cart")])).await;
    assert_eq!(next.expect("the store goes on").accepted, 2);
    assert_eq!(counts(store).await, [3, 1]);
}
