//! What is inside a body whose frame is in order: items, dictionaries and references.

#![no_main]

use bugsage_core::batch::{self, HEADER_BYTES};
use bugsage_core::limits;
use flate2::{Compress, Compression, FlushCompress};

/// The body of version 1 around some content, by the description of the format alone.
fn body(content: &[u8]) -> Vec<u8> {
    let mut body = b"BUGS\x01\x00".to_vec();
    body.extend_from_slice(&[7; 16]);
    body.extend_from_slice(&(content.len() as u32).to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    body.reserve(content.len() * 2 + 64);
    Compress::new(Compression::fast(), false)
        .compress_vec(content, &mut body, FlushCompress::Finish)
        .expect("there is room for all of it");
    let crc = crc32c::crc32c_append(crc32c::crc32c(&body[..26]), &body[HEADER_BYTES..]);
    body[26..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    body
}

libfuzzer_sys::fuzz_target!(|content: &[u8]| {
    let batch = batch::decode(&body(content));
    let Ok(batch) = batch else { return };
    assert!(batch.size_bytes <= limits::BATCH_TEXT_BYTES_MAX);
    assert!(batch.events.len() <= limits::BATCH_ITEMS_MAX);
});
