//! Takes batches: who may send, how much at a time, and what became of each.
//!
//! In: requests to `/v1/batches`. Out: grouped batches for [`crate::store`], and an answer.
//! Never: an answer of 2xx before the store has synced; a body that is read before its sender,
//! type and length were checked.
//!
//! Memory is bounded by permits for KiB that are taken before it is used: for bodies, as they come
//! in, and for what a batch will become once it is decoded, until it is stored. Where no permit is
//! free the sender is told to come back.

mod auth;
mod native;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio::sync::Semaphore;

use bugsage_core::clock::Clock;
use bugsage_core::limits;

use crate::group::Memory;
use crate::group::sample::Keep;
use crate::store::Store;

use auth::KeyCache;
use refusals::Refusals;

/// What all bodies that are not decoded yet may take, in KiB: eight of the largest, or thousands of
/// ordinary ones. A body takes its part as it arrives, so that a slow sender holds no more than it
/// has sent.
const BODIES_KIB_MAX: usize = 8 * BODY_GROWTH * limits::BATCH_BYTES_MAX / 1_024;

/// A vector that grows has up to twice the room for what it holds.
const BODY_GROWTH: usize = 2;

/// What all batches between decoding and commit may take, in KiB: one of the largest, or hundreds
/// of ordinary ones.
const DECODED_KIB_MAX: usize = limits::BATCH_TEXT_BYTES_MAX / 1_024;

/// How many times its inflated size a batch may take: an event of 40 bytes may refer to a hundred
/// facts. Most take three times; how much it is indeed is known once it is decoded.
const DECODED_GROWTH_MAX: usize = 128;

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
    bodies: Arc<Semaphore>,
    decoded: Semaphore,
    memory: Arc<Memory>,
    refusals: Arc<Refusals>,
}

impl Ingest {
    /// An ingest path into a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, keep: Keep) -> Self {
        Self {
            store,
            clock,
            keys: KeyCache::default(),
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX)),
            decoded: Semaphore::new(DECODED_KIB_MAX),
            memory: Arc::new(Memory::new(keep)),
            refusals: Arc::default(),
        }
    }

    /// Writes down what was turned away, until it is dropped.
    pub fn note_refusals(&self) -> impl Future<Output = ()> + Send + 'static {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        refusals::write_down(self.refusals.clone(), store, clock)
    }
}

/// The routes of senders.
pub fn routes(ingest: Arc<Ingest>) -> Router {
    Router::new()
        .route("/v1/batches", post(native::batches))
        .with_state(ingest)
}
