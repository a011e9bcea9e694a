//! Seals a batch from the description of its format alone, whatever its content is.

use bugsage_core::batch::HEADER_BYTES;
use flate2::{Compress, Compression, FlushCompress};

/// The body of version 1 around `content`, under the id 0707....
pub(crate) fn seal(content: &[u8]) -> Vec<u8> {
    let mut body = b"BUGS\x01\x00".to_vec();
    body.extend_from_slice(&[7; 16]);
    body.extend_from_slice(&(content.len() as u32).to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    // Deflate adds five bytes to 16 KiB that do not compress.
    body.reserve(content.len() + content.len() / 1_024 + 64);
    Compress::new(Compression::fast(), false)
        .compress_vec(content, &mut body, FlushCompress::Finish)
        .expect("there is room for all of it");
    let crc = crc32c::crc32c_append(crc32c::crc32c(&body[..26]), &body[HEADER_BYTES..]);
    body[26..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    body
}
