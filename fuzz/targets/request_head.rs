//! The head of a request for batches: a line for each header, as anybody may write them.

#![no_main]

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bugsage_collector::ingest::head;
use bugsage_core::limits::BATCH_BYTES_MAX;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let at = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if let Some(key) = head::bearer(&headers) {
        assert!(!key.is_empty() && key.len() <= head::KEY_BYTES_MAX);
    }
    let length = head::content_length(&headers);
    if head::check(&headers).is_ok() {
        assert!(headers.contains_key("content-type"));
        assert!(!headers.contains_key("content-encoding"));
        assert!(length.is_none_or(|length| length <= BATCH_BYTES_MAX as u64));
    }
});
