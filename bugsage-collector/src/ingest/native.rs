//! `POST /v1/batches`: our own SDK's batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use bugsage_core::batch::{self, BatchError, Rejected};
use bugsage_core::remote::{self, RemoteSettings};
use bugsage_core::{limits, pauses};

use crate::api::error::ApiError;
use crate::faults;
use crate::group::By;
use crate::store::StoreError;
use crate::store::model::{Poison, Receipt};
use crate::store::scope::Scope;

use super::{
    BATCH_KIB_MAX, BODY_DEADLINE, BODY_GROWTH, BODY_PIECES_MAX, DECODED_GROWTH_MAX, Ingest,
    RETRY_AFTER, TURN_MAX, head,
};

/// What became of a batch.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Events that are stored now.
    accepted: u64,
    /// Events that were stored before.
    duplicate: u64,
    /// Events that are only counted, since their project has sent too many.
    limited: u64,
    /// What became of finished spans.
    spans: AnsweredSpans,
    /// Items that could not be used.
    rejected: Vec<RejectedItem>,
    /// Whether the collector failed at the batch, and keeps it as it is.
    quarantined: bool,
    /// For how long nothing more is wanted.
    #[serde(skip)]
    pause: Option<Duration>,
    /// What the project asks of its apps.
    #[serde(skip)]
    settings: RemoteSettings,
}

#[derive(Debug, Serialize)]
struct AnsweredSpans {
    /// Spans that are counted now, and stored as far as there is room.
    accepted: u64,
    /// Spans that were counted before.
    duplicate: u64,
}

#[derive(Debug, Serialize)]
struct RejectedItem {
    index: u32,
    reason: &'static str,
    message: String,
}

impl Answer {
    fn new(receipt: Receipt, rejected: Vec<RejectedItem>) -> Self {
        Self {
            accepted: receipt.accepted,
            duplicate: receipt.duplicate,
            limited: receipt.limited,
            spans: AnsweredSpans {
                accepted: receipt.spans,
                duplicate: receipt.duplicate_spans,
            },
            rejected,
            quarantined: false,
            pause: None,
            settings: RemoteSettings::default(),
        }
    }

    fn of_quarantine() -> Self {
        Self {
            quarantined: true,
            ..Self::new(Receipt::default(), Vec::new())
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let pause = self.pause.map(pauses::to_value);
        let asks = !self.settings.is_empty();
        let settings = asks.then(|| self.settings.to_string());
        let mut response = Json(self).into_response();
        for (name, value) in [(pauses::HEADER, pause), (remote::HEADER, settings)] {
            let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<Rejected> for RejectedItem {
    fn from(rejected: Rejected) -> Self {
        Self {
            index: rejected.index,
            reason: rejected.reason.code(),
            message: rejected.reason.to_string(),
        }
    }
}

pub(super) async fn batches(
    State(ingest): State<Arc<Ingest>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, ApiError> {
    let begun = Instant::now();
    let metrics = ingest.observer.metrics.ingest.clone();
    // What a stranger announces is not what it has sent.
    let length = head::content_length(&headers).unwrap_or(0);
    let length = length.min(limits::BATCH_BYTES_MAX as u64);
    let answer = answer(ingest, &headers, body, length).await;
    match &answer {
        Ok(_) => metrics.accepted(begun),
        Err(error) => metrics.refused(error.code(), length, begun),
    }
    answer
}

async fn answer(
    ingest: Arc<Ingest>,
    headers: &HeaderMap,
    body: Body,
    length: u64,
) -> Result<Answer, ApiError> {
    let refusals = ingest.refusals.clone();
    let scope = ingest.keys.scope(&*ingest.store, headers).await;
    let scope = scope.inspect_err(|error| refusals.note(0, error.code(), length))?;
    let project = scope.ingest_project().unwrap_or(0);
    let answer = accept(ingest, scope, headers, body).await;
    answer.inspect_err(|error| refusals.note(project, error.code(), length))
}

async fn accept(
    ingest: Arc<Ingest>,
    scope: Scope,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, ApiError> {
    head::check(headers)?;
    ingest.check_disk()?;
    let admission = ingest.admission.clone();
    let admitted = admission.admit(&*ingest.store, &scope, ingest.clock.now());
    let admitted = admitted.await?;
    let body = tokio::time::timeout(BODY_DEADLINE, read(body, ingest.bodies.clone()));
    let (body, in_body) = body
        .await
        .map_err(|_| ApiError::too_slow(BODY_DEADLINE))??;
    ingest.observer.metrics.ingest.read(body.len());
    // A task of its own: a client that goes away must not free the room of a batch that is still
    // worked on.
    let taken = tokio::spawn(async move {
        let answer = take(ingest, scope, admitted.by(), body, in_body).await;
        let settings = admitted.settings();
        drop(admitted);
        answer.map(|answer| Answer { settings, ..answer })
    });
    taken.await.map_err(|_| ApiError::internal())?
}

async fn take(
    ingest: Arc<Ingest>,
    scope: Scope,
    by: By,
    body: Vec<u8>,
    in_body: OwnedSemaphorePermit,
) -> Result<Answer, ApiError> {
    let header = batch::check(&body).map_err(refuse)?;
    let expected_kib = decoded_kib(header.inflated_bytes.saturating_mul(DECODED_GROWTH_MAX));
    let turn = ingest.decoded.acquire_many(expected_kib);
    let turn = tokio::time::timeout(TURN_MAX, turn).await;
    let turn = turn.map_err(|_| ApiError::busy("the store is behind", RETRY_AFTER))?;
    // Held until the batch is stored.
    let mut held = turn.map_err(|_| ApiError::busy("the collector is closing", RETRY_AFTER))?;

    let received_at = ingest.clock.now();
    // The bytes stay until the batch is stored: what the program fails at is kept as it came.
    let body = Arc::new(body);
    let worked = tokio::task::spawn_blocking({
        let (ingest, scope, body) = (ingest.clone(), scope.clone(), body.clone());
        move || faults::contained(|| ingest.read(&scope, &by, &body, received_at))
    });
    let taken = match worked.await.map_err(|_| ApiError::internal())? {
        Ok(read) => {
            let read = read?;
            let kib = decoded_kib(read.size_bytes);
            // Now that it is known what the batch takes, others may have the rest.
            drop(held.split(expected_kib.saturating_sub(kib) as usize));
            let rejected = read.rejected.into_iter().map(RejectedItem::from).collect();
            match ingest.store.ingest(&scope, read.grouped).await {
                Ok(receipt) => Ok(Answer {
                    pause: read.exhausted.map(|it| it.pause),
                    ..Answer::new(receipt, rejected)
                }),
                Err(StoreError::Poison(reason)) => Err(reason),
                Err(error) => return Err(error.into()),
            }
        }
        Err(fault) => Err(fault.reason),
    };
    let answer = match taken {
        Ok(answer) => answer,
        Err(reason) => {
            let poison = Poison {
                batch: header.id,
                received_at,
                reason,
                body: Arc::unwrap_or_clone(body),
            };
            ingest.store.quarantine(&scope, poison).await?;
            let project = scope.ingest_project();
            tracing::error!(project, batch = %header.id, "a batch went to quarantine");
            Answer::of_quarantine()
        }
    };
    drop(in_body);
    Ok(answer)
}

/// Reads a body, which may announce nothing or something else than it has, with its part of the
/// room that all bodies share.
async fn read(
    mut body: Body,
    room: Arc<Semaphore>,
) -> Result<(Vec<u8>, OwnedSemaphorePermit), ApiError> {
    let busy = |_| ApiError::busy("too many batches arrive at once", RETRY_AFTER);
    let mut held = room.clone().try_acquire_owned().map_err(busy)?;
    let mut bytes = Vec::new();
    let mut pieces = 0;
    while let Some(frame) = body.frame().await {
        let broken = |_| ApiError::new(StatusCode::BAD_REQUEST, "body", "the body broke off");
        pieces += 1;
        if pieces > BODY_PIECES_MAX {
            let message =
                format!("the body has more than {BODY_PIECES_MAX} chunks, send larger ones");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "body", message));
        }
        let frame = frame.map_err(broken)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if bytes.len() + data.len() > limits::BATCH_BYTES_MAX {
            return Err(too_large(bytes.len() + data.len()));
        }
        let kib = ((bytes.len() + data.len()) * BODY_GROWTH).div_ceil(1_024);
        let more_kib = kib.saturating_sub(held.num_permits()) as u32;
        let more = room.clone().try_acquire_many_owned(more_kib);
        held.merge(more.map_err(busy)?);
        bytes.extend_from_slice(data);
    }
    Ok((bytes, held))
}

/// The permits for a batch that takes so much, at least one and at most all that there are.
fn decoded_kib(size_bytes: usize) -> u32 {
    size_bytes.div_ceil(1_024).clamp(1, BATCH_KIB_MAX) as u32
}

pub(super) fn too_large(size_bytes: usize) -> ApiError {
    refuse(BatchError::TooLarge {
        size_bytes,
        limit_bytes: limits::BATCH_BYTES_MAX,
    })
}

pub(super) fn refuse(error: BatchError) -> ApiError {
    let status = match error {
        BatchError::TooLarge { .. }
        | BatchError::InflatedTooLarge { .. }
        | BatchError::TooManyItems { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BatchError::UnsupportedVersion { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => StatusCode::BAD_REQUEST,
    };
    let answer = ApiError::new(status, error.code(), error.to_string());
    match error.limit_and_value() {
        Some((limit, value)) => answer.with_limit(limit as u64, value as u64),
        None => answer,
    }
}
