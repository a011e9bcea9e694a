//! Who may send: ingest keys, which open one project for writing and nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};

use bugsage_core::dsn::PROJECT_HEADER;

use crate::api::error::ApiError;
use crate::store::Store;
use crate::store::scope::Scope;

use super::head;

/// How long a key is believed after it was looked up: a key that is revoked stops within this.
const BELIEVED: Duration = Duration::from_secs(1);

/// Keys that are remembered. Only keys that exist are, so nobody can fill this from outside.
const KEYS_MAX: usize = 10_000;

/// Keys that were good a moment ago.
#[derive(Default)]
pub(super) struct KeyCache {
    keys: Mutex<HashMap<String, (Scope, Instant)>>,
}

impl KeyCache {
    /// The scope of the key in `Authorization: Bearer <key>`.
    pub(super) async fn scope(
        &self,
        store: &dyn Store,
        headers: &HeaderMap,
    ) -> Result<Scope, ApiError> {
        let key = head::bearer(headers).ok_or_else(|| {
            ApiError::unauthorized(
                "missing_key",
                "send the ingest key as Authorization: Bearer KEY",
            )
        })?;
        let scope = self.of_key(store, key).await?;
        check_project(&scope, headers)?;
        Ok(scope)
    }

    async fn of_key(&self, store: &dyn Store, key: &str) -> Result<Scope, ApiError> {
        if let Some(scope) = self.known(key) {
            return Ok(scope);
        }
        let scope = store.ingest_scope(key).await?.ok_or_else(|| {
            ApiError::unauthorized(
                "unknown_key",
                "this ingest key is unknown here or was revoked",
            )
        })?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(key.to_owned(), (scope.clone(), Instant::now()));
        Ok(scope)
    }

    fn known(&self, key: &str) -> Option<Scope> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (scope, since) = keys.get(key)?;
        (since.elapsed() < BELIEVED).then(|| scope.clone())
    }
}

/// A DSN whose project is not its key's was put together by hand: its reports would turn up where
/// nobody looks for them.
fn check_project(scope: &Scope, headers: &HeaderMap) -> Result<(), ApiError> {
    let named = headers.get(PROJECT_HEADER);
    let named = named.and_then(|value| value.to_str().ok());
    let of_key = scope.ingest_project();
    if named.is_none_or(|named| of_key == named.parse().ok()) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "other_project",
        "this ingest key is not of the project that the DSN names: copy the DSN again from \
         `bugsage project list`",
    ))
}
