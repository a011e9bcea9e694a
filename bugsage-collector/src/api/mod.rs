//! The few endpoints for machines: whether the collector lives, and whether it is ready.

pub mod error;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::store::Store;

/// How long a write may be under way before the collector says that it is stuck. A sync on a
/// slow disk takes a second at worst.
const STUCK_US: u64 = 5_000_000;

/// The routes of whoever watches the collector.
pub fn routes(store: Arc<dyn Store>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(store)
}

#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    reason: Option<String>,
    schema_version: u32,
    commit_us: u64,
    oldest_wait_us: u64,
}

async fn ready(State(store): State<Arc<dyn Store>>) -> (StatusCode, Json<Readiness>) {
    let health = store.health().await;
    let stuck = health.oldest_wait_us > STUCK_US;
    let stuck = stuck.then(|| format!("a write has waited for {} us", health.oldest_wait_us));
    let failed = health.failed.map(|reason| {
        format!("a sync failed ({reason}): nothing is written until the collector is started again")
    });
    let reason = failed.or(stuck);
    let status = if reason.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let readiness = Readiness {
        ready: reason.is_none(),
        reason,
        schema_version: health.schema_version,
        commit_us: health.commit_us,
        oldest_wait_us: health.oldest_wait_us,
    };
    (status, Json(readiness))
}
