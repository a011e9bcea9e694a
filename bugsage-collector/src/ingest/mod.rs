//! Takes batches: who may send, how much at a time, and what became of each.
//!
//! In: requests to `/v1/batches`. Out: grouped batches for [`crate::store`], and an answer.
//! Never: an answer of 2xx before the store has synced; a body that is read before its sender,
//! type and length were checked.
//!
//! Memory is bounded by permits that are taken before it is used: one for each body on its way in,
//! and one for each KiB that a batch will inflate to, held until the batch is stored. Where no
//! permit is free the sender is told to come back.

mod auth;
mod native;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio::sync::Semaphore;

use bugsage_core::clock::Clock;
use bugsage_core::limits;

use crate::store::Store;

use auth::KeyCache;

/// Bodies that are read at the same time, each of up to 1 MiB.
const BODIES_MAX: usize = 16;

/// What all batches between decoding and commit may inflate to, in KiB: one of the largest, or
/// hundreds of ordinary ones. A decoded batch takes a few times what it inflates to.
const INFLATED_KIB_MAX: usize = limits::BATCH_INFLATED_BYTES_MAX / 1_024;

/// How long a request waits for its turn at the decoder before it is told to come back.
const TURN_MAX: Duration = Duration::from_secs(5);

/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// How long a sender that was turned away for load is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What the ingest path needs.
pub struct Ingest {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keys: KeyCache,
    bodies: Semaphore,
    inflated: Semaphore,
}

impl Ingest {
    /// An ingest path into a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            keys: KeyCache::default(),
            bodies: Semaphore::new(BODIES_MAX),
            inflated: Semaphore::new(INFLATED_KIB_MAX),
        }
    }
}

/// The routes of senders.
pub fn routes(ingest: Arc<Ingest>) -> Router {
    Router::new()
        .route("/v1/batches", post(native::batches))
        .with_state(ingest)
}
