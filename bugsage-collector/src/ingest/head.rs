//! What the head of a request says about who sends and what comes, as anybody may write it.

use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};

use bugsage_core::limits;

use crate::api::error::ApiError;

use super::native;

/// The longest key that is looked up.
pub const KEY_BYTES_MAX: usize = 200;

/// Turns away what is no batch, or one that is too large, before any of it is read.
///
/// # Errors
///
/// With the rule that the head breaks.
pub fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    check_type(headers)?;
    check_length(headers)
}

/// The key in `Authorization: Bearer KEY`, which nobody has looked up yet.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    let is_key = !key.is_empty() && key.len() <= KEY_BYTES_MAX;
    (scheme.eq_ignore_ascii_case("bearer") && is_key).then_some(key)
}

/// The length that is announced, where it is one.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok()
}

/// A batch has one type, and is compressed inside.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim();
    if !essence.eq_ignore_ascii_case("application/octet-stream") {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type",
            "a batch is sent as Content-Type: application/octet-stream",
        ));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_encoding",
            "a batch is compressed inside: send it without Content-Encoding",
        ));
    }
    Ok(())
}

/// Turns a body away by the length that it announces, before any of it is read.
fn check_length(headers: &HeaderMap) -> Result<(), ApiError> {
    match content_length(headers).map(|length| length as usize) {
        Some(size_bytes) if size_bytes > limits::BATCH_BYTES_MAX => {
            Err(native::too_large(size_bytes))
        }
        _ => Ok(()),
    }
}
