//! `/metrics`: for this machine alone, as pages are. It names no bug, and still tells how an
//! organization's apps are doing.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::observe::exposition::{self, Now};
use crate::store::scope::Scope;

use super::{Watched, local};

/// How long the store may be asked what is in it. A stuck store must not hide the rest.
const USAGE_MAX: Duration = Duration::from_secs(2);

pub(super) async fn text(State(watched): State<Arc<Watched>>, headers: HeaderMap) -> Response {
    if !watched.is_local || !local::has_loopback_host(&headers) {
        let message = "Metrics are only told on a loopback address, by a loopback name.\n";
        return (StatusCode::FORBIDDEN, message).into_response();
    }
    let scope = Scope::system();
    let usage = watched.store.usage(&scope, watched.clock.now());
    let usage = match tokio::time::timeout(USAGE_MAX, usage).await {
        Ok(Ok(usage)) => Some(usage),
        // `/readyz` and the log say what is wrong.
        Ok(Err(_)) | Err(_) => None,
    };
    let now = Now {
        health: watched.store.health().await,
        usage,
        memory: watched.ingest.memory_bytes(),
    };
    match watched.exposition.text(&now) {
        Ok(text) => ([(CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
