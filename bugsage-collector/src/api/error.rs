//! The one shape of an error: `{"error": {code, message, limit, value}}`.

use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::store::StoreError;

/// An error as a client sees it. What only we should know is logged where it arose.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    retry_after: Option<Duration>,
}

#[derive(Debug, Serialize)]
struct ErrorBody {
    code: &'static str,
    message: String,
    /// The bound that was broken, where there is one.
    limit: Option<u64>,
    /// What broke it.
    value: Option<u64>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: &'a ErrorBody,
}

impl ApiError {
    /// An error with a status, a word for programs and a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let body = ErrorBody {
            code,
            message: message.into(),
            limit: None,
            value: None,
        };
        Self {
            status,
            body,
            retry_after: None,
        }
    }

    /// The word for programs.
    pub fn code(&self) -> &'static str {
        self.body.code
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.body.message
    }

    /// The key is missing or opens nothing.
    pub fn unauthorized(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    /// There is too much to do: come back.
    pub fn busy(message: &str, retry_after: Duration) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message);
        Self {
            retry_after: Some(retry_after),
            ..error
        }
    }

    /// A project or a key has sent more than it may: come back.
    pub fn rate_limited(whose: &str, rate: u64, retry_after: Duration) -> Self {
        let message = format!("this {whose} may send {rate} events a minute");
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message);
        Self {
            // Whole seconds are told, and never fewer.
            retry_after: Some(retry_after + Duration::from_secs(1)),
            ..error
        }
    }

    /// The disk has no room: come back.
    pub fn no_room(retry_after: Duration) -> Self {
        let message = "the collector's disk is nearly full; nothing is taken until there is room";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "disk_low", message);
        Self {
            retry_after: Some(retry_after),
            ..error
        }
    }

    /// The body took too long to arrive.
    pub fn too_slow(limit: Duration) -> Self {
        let message = format!("the body took longer than {} s to arrive", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
    }

    /// A fault of ours.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "a fault in the collector; see its log",
        )
    }

    /// Names the bound and what broke it.
    #[must_use]
    pub fn with_limit(mut self, limit: u64, value: u64) -> Self {
        self.body.limit = Some(limit);
        self.body.value = Some(value);
        self
    }

    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// How long a sender waits after a write that failed; disks fill up and empty within minutes.
const STORE_RETRY: Duration = Duration::from_secs(5);

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", message),
            StoreError::Exists { .. } => Self::new(StatusCode::CONFLICT, "exists", message),
            StoreError::Conflict { .. } | StoreError::Busy { .. } | StoreError::Refused(_) => {
                Self::new(StatusCode::CONFLICT, "conflict", message)
            }
            StoreError::Forbidden => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
            StoreError::Poison(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "poison", message)
            }
            StoreError::QuarantineFull(_) => {
                tracing::error!(
                    error = message,
                    "a batch that the collector fails at was refused"
                );
                Self::internal()
            }
            StoreError::Unavailable(_)
            | StoreError::Failed(_)
            | StoreError::Damaged(_)
            | StoreError::Unusable(_) => {
                // Whoever writes has said it once; a full disk refuses thousands.
                tracing::debug!(error = message, "the store refused a request");
                let public = "the store cannot write now; the batch was not taken";
                let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", public);
                Self {
                    retry_after: Some(STORE_RETRY),
                    ..error
                }
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Envelope { error: &self.body })).into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
