//! Couriers, who work beside the others.

use std::hint::black_box;
use std::thread;

use crate::list;

/// A thread that begins with a closure, and fails in a helper that others use too.
pub(crate) fn in_thread() {
    let parcels: &[u64] = black_box(&[]);
    let ended = thread::spawn(move || list::pick(parcels, 1)).join();
    drop(ended);
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn in_task() {
    let _ = tokio::spawn(deliver(black_box(None))).await;
}

async fn deliver(address: Option<&'static str>) -> usize {
    tokio::task::yield_now().await;
    route(address).await
}

async fn route(address: Option<&str>) -> usize {
    address.expect("a parcel has an address").len()
}

/// One bug, met by two tasks.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn in_tasks_of_one_function() {
    for weight in [black_box(300_u32), black_box(400)] {
        let weigh = async move { u8::try_from(weight).unwrap() };
        let _ = tokio::spawn(weigh).await;
    }
}
