//! The few endpoints for machines: whether the collector lives, whether it is ready, and its metrics.

pub mod error;
pub mod local;
mod metrics;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};

use bugsage_core::clock::Clock;

use crate::ingest::Ingest;
use crate::observe::Observer;
use crate::observe::exposition::Exposition;
use crate::observe::readiness::{self, Readiness};
use crate::store::Store;

/// What these endpoints tell of.
pub struct Watched {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The way of batches into it.
    pub ingest: Arc<Ingest>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the stages have told.
    pub observer: Observer,
    /// The same as text.
    pub exposition: Exposition,
    /// Whether only this machine can reach the listener.
    pub is_local: bool,
}

/// The routes of whoever watches the collector.
pub fn routes(watched: Watched) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::text))
        .with_state(Arc::new(watched))
}

async fn ready(State(watched): State<Arc<Watched>>) -> (StatusCode, Json<Readiness>) {
    let health = watched.store.health().await;
    let readiness = readiness::judge(&watched.observer, &health);
    let status = match readiness.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(readiness))
}
