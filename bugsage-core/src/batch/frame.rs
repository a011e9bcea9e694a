//! The outside of a batch: header, checksum and compression.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::checksum::crc32c_of;
use crate::id::BatchId;
use crate::limits;

use super::{BatchError, Header, VERSION};

const MAGIC: &[u8; 4] = b"BUGS";

/// The length of the header.
pub const HEADER_BYTES: usize = 30;

/// Where the checksum stands; it covers everything before and behind it.
const CRC_AT: usize = 26;

pub(super) fn check(body: &[u8]) -> Result<Header, BatchError> {
    if body.len() > limits::BATCH_BYTES_MAX {
        return Err(BatchError::TooLarge {
            size_bytes: body.len(),
            limit_bytes: limits::BATCH_BYTES_MAX,
        });
    }
    let Some((header, deflated)) = body.split_first_chunk::<HEADER_BYTES>() else {
        return Err(BatchError::Truncated {
            size_bytes: body.len(),
        });
    };
    if !header.starts_with(MAGIC) {
        return Err(BatchError::NotABatch);
    }
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version == 0 || version > VERSION {
        return Err(BatchError::UnsupportedVersion { found: version });
    }
    let (covered, crc) = header.split_at(CRC_AT);
    if crc != checksum(covered, deflated).to_le_bytes() {
        return Err(BatchError::Checksum);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&header[6..22]);
    let inflated_bytes =
        u32::from_le_bytes([header[22], header[23], header[24], header[25]]) as usize;
    if inflated_bytes > limits::BATCH_INFLATED_BYTES_MAX {
        return Err(BatchError::InflatedTooLarge {
            size_bytes: inflated_bytes,
            limit_bytes: limits::BATCH_INFLATED_BYTES_MAX,
        });
    }
    Ok(Header {
        id: BatchId::from_bytes(id),
        inflated_bytes,
    })
}

/// Inflates to exactly the declared length; a byte more or less is an error, also in the body.
pub(super) fn inflate(body: &[u8], header: &Header) -> Result<Vec<u8>, BatchError> {
    let declared_bytes = header.inflated_bytes;
    let broken = BatchError::Inflate { declared_bytes };
    // One byte of room behind the declared length shows a stream that goes on. The room is also
    // bounded by what deflate can make of the body, so that a small lie costs little.
    let room = declared_bytes.min(body.len().saturating_mul(1_032)) + 1;
    let mut content = Vec::with_capacity(room);
    let deflated = &body[HEADER_BYTES..];
    let mut inflate = Decompress::new(false);
    let status = inflate
        .decompress_vec(deflated, &mut content, FlushDecompress::Finish)
        .map_err(|_| broken.clone())?;
    let whole = status == Status::StreamEnd && inflate.total_in() == deflated.len() as u64;
    if !whole || content.len() != declared_bytes {
        return Err(broken);
    }
    Ok(content)
}

/// How hard a batch is compressed.
#[derive(Clone, Copy)]
pub(super) enum Effort {
    /// Reports are few, and travel far.
    Usual,
    /// A fifth of the time, for a third more bytes: spans are many, and an app has better things to do.
    Fast,
}

pub(super) fn seal(id: BatchId, content: &[u8], effort: Effort) -> Vec<u8> {
    let mut body = Vec::with_capacity(HEADER_BYTES + content.len() / 2 + 64);
    body.extend_from_slice(MAGIC);
    body.extend_from_slice(&VERSION.to_le_bytes());
    body.extend_from_slice(&id.to_bytes());
    // The builder stays far below 4 GiB; see `BatchBuilder::fits`.
    body.extend_from_slice(&(content.len() as u32).to_le_bytes());
    body.extend_from_slice(&[0; 4]);

    let level = match effort {
        Effort::Usual => Compression::default(),
        Effort::Fast => Compression::fast(),
    };
    let mut deflate = Compress::new(level, false);
    let mut rest = content;
    loop {
        body.reserve(rest.len() / 2 + 128);
        let before = deflate.total_in();
        let status = deflate.compress_vec(rest, &mut body, FlushCompress::Finish);
        rest = &rest[(deflate.total_in() - before) as usize..];
        if matches!(status, Ok(Status::StreamEnd) | Err(_)) {
            break;
        }
    }

    let crc = checksum(&body[..CRC_AT], &body[HEADER_BYTES..]);
    body[CRC_AT..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    body
}

fn checksum(header: &[u8], deflated: &[u8]) -> u32 {
    crc32c_of([header, deflated])
}

/// Writes one item behind the others.
pub(super) fn put_item(content: &mut Vec<u8>, kind: u8, item: &[u8]) {
    content.push(kind);
    content.extend_from_slice(&(item.len() as u32).to_le_bytes());
    content.extend_from_slice(item);
}

/// The bytes that an item takes beside its message.
pub(super) const ITEM_OVERHEAD_BYTES: usize = 5;

/// The items of a content, one after the other.
pub(super) struct Items<'a> {
    rest: &'a [u8],
    index: u32,
}

impl<'a> Items<'a> {
    pub(super) fn new(content: &'a [u8]) -> Self {
        Self {
            rest: content,
            index: 0,
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u32, u8, &'a [u8]), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let index = self.index;
        if index as usize >= limits::BATCH_ITEMS_MAX {
            self.rest = &[];
            return Some(Err(BatchError::TooManyItems {
                limit: limits::BATCH_ITEMS_MAX,
            }));
        }
        self.index += 1;
        let item = split_item(self.rest);
        self.rest = item.map_or(&[], |(_, _, rest)| rest);
        Some(match item {
            Some((kind, bytes, _)) => Ok((index, kind, bytes)),
            None => Err(BatchError::ItemTruncated { index }),
        })
    }
}

fn split_item(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, a, b, c, d], rest) = bytes.split_first_chunk::<ITEM_OVERHEAD_BYTES>()?;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let (item, rest) = rest.split_at_checked(length)?;
    Some((kind, item, rest))
}
