//! Takes batches: who may send, how much at a time, and what became of each.
//!
//! In: requests to `/v1/batches`. Out: grouped batches for [`crate::store`], and an answer.
//! Never: an answer of 2xx before the store has synced; a body that is read before its sender,
//! type and length were checked.
//!
//! Memory is bounded by permits for KiB that are taken before it is used: for bodies, as they come
//! in, and for what a batch will become once it is decoded, until it is stored. Where no permit is
//! free the sender is told to come back.

mod admission;
pub mod head;
mod auth;
mod native;
mod refusals;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use tokio::sync::Semaphore;

use bugsage_core::batch::{self, Batch, Rejected};
use bugsage_core::clock::{Clock, Timestamp};
use bugsage_core::id::BatchId;
use bugsage_core::limits;

use crate::api::error::ApiError;
use crate::faults;
use crate::group::sample::Keep;
use crate::group::sources::SourceCache;
use crate::group::{self, By, Memory};
use crate::observe::{Observer, STUCK};
use crate::store::model::{GroupedBatch, Receipt};
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

use admission::{Admission, Exhausted};
use auth::KeyCache;
use refusals::Refusals;

/// What all bodies that are not decoded yet may take, in KiB: eight of the largest, or thousands of
/// ordinary ones. A body takes its part as it arrives, so that a slow sender holds no more than it
/// has sent.
const BODIES_KIB_MAX: usize = 8 * BODY_GROWTH * limits::BATCH_BYTES_MAX / 1_024;

/// A vector that grows has up to twice the room for what it holds.
const BODY_GROWTH: usize = 2;

/// What one batch may take once it is decoded, in KiB.
const BATCH_KIB_MAX: usize = limits::BATCH_TEXT_BYTES_MAX / 1_024;

/// What all batches between decoding and commit may take, in KiB: two of the largest being decoded, for
/// two cores, while a third is written; or hundreds of ordinary ones.
const DECODED_KIB_MAX: usize = 3 * BATCH_KIB_MAX;

/// How many times its inflated size a batch may take: an event of 40 bytes may refer to a hundred
/// facts. Most take three times; how much it is indeed is known once it is decoded.
const DECODED_GROWTH_MAX: usize = 128;

/// How long a request waits for its turn at the decoder before it is told to come back.
const TURN_MAX: Duration = Duration::from_secs(5);

/// Chunks of one body. A chunk costs as much work as a kilobyte, and may hold a single byte.
const BODY_PIECES_MAX: usize = limits::BATCH_BYTES_MAX / 16;

/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// How long a sender that was turned away for load is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The same where the disk has no room: somebody has to make some.
const DISK_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Called with each batch before it is grouped, for tests that make it fail as a fault of ours would.
pub type OnBatch = fn(&Batch);

/// What the ingest path needs.
pub struct Ingest {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keys: KeyCache,
    admission: Arc<Admission>,
    bodies: Arc<Semaphore>,
    decoded: Semaphore,
    memory: Arc<Memory>,
    refusals: Arc<Refusals>,
    on_batch: Option<OnBatch>,
    observer: Observer,
}

/// A batch that was read and grouped.
struct Read {
    grouped: GroupedBatch,
    rejected: Vec<Rejected>,
    size_bytes: usize,
    exhausted: Option<Exhausted>,
}

impl Ingest {
    /// An ingest path into a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, keep: Keep) -> Self {
        Self {
            store,
            clock,
            keys: KeyCache::default(),
            admission: Arc::default(),
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX)),
            decoded: Semaphore::new(DECODED_KIB_MAX),
            memory: Arc::new(Memory::new(keep)),
            refusals: Arc::default(),
            on_batch: None,
            observer: Observer::default(),
        }
    }

    /// Tells this one what it does.
    #[must_use]
    pub fn with_observer(mut self, observer: Observer) -> Self {
        self.observer = observer;
        self
    }

    /// The source of what ran, as far as it was asked for.
    pub fn sources(&self) -> Arc<SourceCache> {
        self.memory.sources.clone()
    }

    /// Bytes that are set aside for bodies that arrive, and for batches that are worked on.
    pub fn memory_bytes(&self) -> [u64; 2] {
        let taken = |all: usize, free: usize| all.saturating_sub(free) as u64 * 1_024;
        [
            taken(BODIES_KIB_MAX, self.bodies.available_permits()),
            taken(DECODED_KIB_MAX, self.decoded.available_permits()),
        ]
    }

    /// Turns batches away before the disk is full: what is written beside them needs room too.
    fn check_disk(&self) -> Result<(), ApiError> {
        if self.observer.disk.is_low() {
            return Err(ApiError::no_room(DISK_RETRY_AFTER));
        }
        Ok(())
    }

    /// Calls this with each batch.
    #[must_use]
    pub fn with_on_batch(mut self, on_batch: Option<OnBatch>) -> Self {
        self.on_batch = on_batch;
        self
    }

    /// Decodes and groups a body. Takes the time of a processor: not for an async thread.
    fn read(
        &self,
        scope: &Scope,
        by: &By,
        body: &[u8],
        received_at: Timestamp,
    ) -> Result<Read, ApiError> {
        let project = scope.ingest_project().ok_or_else(ApiError::internal)?;
        let metrics = &self.observer.metrics.ingest;
        let begun = Instant::now();
        let batch = batch::decode(body).map_err(native::refuse)?;
        metrics.decode.since(begun);
        if let Some(on_batch) = self.on_batch {
            on_batch(&batch);
        }
        let (size_bytes, rejected) = (batch.size_bytes, batch.rejected.clone());
        let events = batch.events.len() as u64;
        let exhausted = self.admission.exhausted(project, received_at);
        let exhausted = exhausted.filter(|_| events > 0 || !batch.spans.is_empty());
        if exhausted.is_none() {
            let key = scope.ingest_key().unwrap_or(0);
            self.admission.used(project, key, events);
        }
        let begun = Instant::now();
        let grouped = match exhausted {
            Some(exhausted) => group::only_count(batch, exhausted.reason, received_at),
            None => {
                let grouped = group::group(batch, project, by, received_at, &self.memory);
                grouped.map_err(|_| ApiError::internal())?
            }
        };
        metrics.group.since(begun);
        Ok(Read {
            grouped,
            rejected,
            size_bytes,
            exhausted,
        })
    }

    /// Tries a batch of the quarantine again, and takes it out where it works. It counts as received
    /// when it came.
    ///
    /// # Errors
    ///
    /// With what is wrong with it, or with the store. The batch stays where it is.
    pub async fn replay(self: Arc<Self>, scope: &Scope, batch: BatchId) -> anyhow::Result<Receipt> {
        let (of_key, poison) = self.store.poison(scope, batch).await?;
        let quota = self.store.quota(&of_key, self.clock.now()).await?;
        let (ingest, sender) = (self.clone(), of_key.clone());
        let worked = tokio::task::spawn_blocking(move || {
            let by = By {
                repository: quota.repository.clone(),
                rules: group::rules(&quota.rules),
            };
            faults::contained(|| ingest.read(&sender, &by, &poison.body, poison.received_at))
        });
        let still = |reason: &str| anyhow::anyhow!("batch {batch} still cannot be read: {reason}");
        let read = worked.await?.map_err(|fault| still(&fault.reason))?;
        let read = read.map_err(|error| still(error.message()))?;
        let receipt = match self.store.ingest(&of_key, read.grouped).await {
            Err(StoreError::Poison(reason)) => return Err(still(&reason)),
            receipt => receipt?,
        };
        self.store.discard(scope, batch).await?;
        Ok(receipt)
    }

    /// Writes down what was turned away, until it is dropped.
    pub fn note_refusals(&self) -> impl Future<Output = ()> + Send + 'static {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let heartbeat = self.observer.heartbeats.expect("refusals", STUCK);
        refusals::write_down(self.refusals.clone(), store, clock, heartbeat)
    }
}

/// The routes of senders.
pub fn routes(ingest: Arc<Ingest>) -> Router {
    Router::new()
        .route("/v1/batches", post(native::batches))
        .with_state(ingest)
}
