//! What travels from the SDK to the collector: many events, coded against shared dictionaries.
//!
//! A body is a little-endian header and raw deflate:
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic, `BUGS` |
//! | 4..6 | format version |
//! | 6..22 | batch id |
//! | 22..26 | length of what the deflate stream holds |
//! | 26..30 | CRC-32C of all other bytes of the body |
//! | 30.. | deflate of length-prefixed items: kind (`u8`), length (`u32`), that many bytes |
//!
//! Dictionaries (strings, modules, frames, stacks, contexts) come first, then runs, events, what surrounded
//! them, finished spans, losses and states of runs; each item is a `postcard` message of `v1.rs`. An item of an unknown kind is counted and
//! skipped, a bad item is reported by its index and leaves its neighbours alone. The sender may
//! lie about every number: nothing is allocated before its bound in [`crate::limits`] was checked,
//! and no type on the wire is recursive.

mod frame;
mod dictionary;
mod bound;
mod v1;

use std::sync::Arc;

use crate::event::{Event, Losses, Run, RunState, Text};
use crate::id::BatchId;
use crate::span::Span;

pub use dictionary::BatchBuilder;
pub use frame::HEADER_BYTES;

/// The format that [`BatchBuilder`] writes.
pub const VERSION: u16 = 1;

/// The kind of an item on the wire. Numbers are never given twice.
mod kind {
    pub(super) const STRINGS: u8 = 1;
    pub(super) const MODULES: u8 = 2;
    pub(super) const FRAMES: u8 = 3;
    pub(super) const STACKS: u8 = 4;
    pub(super) const CONTEXTS: u8 = 5;
    pub(super) const RUN: u8 = 6;
    pub(super) const EVENT: u8 = 7;
    pub(super) const SPAN: u8 = 8;
    pub(super) const LOSSES: u8 = 9;
    pub(super) const RUN_STATE: u8 = 10;
    /// What is known about an event beside [`EVENT`]: its trace, and what the app attached.
    pub(super) const SURROUNDINGS: u8 = 11;
    pub(super) const SPAN_LOSSES: u8 = 12;
}

/// A batch whose bytes are fixed: it is sent, and sent again, just so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The id inside the bytes.
    pub id: BatchId,
    /// The body of the request.
    pub bytes: Vec<u8>,
    /// How many reports it carries, repeats counted.
    pub reports: u64,
    /// How many finished spans it carries.
    pub spans: u64,
    /// Whether it tells what was lost.
    pub tells_losses: bool,
    /// The index of the first event's item, and how many reports each event stands for.
    first_event: u32,
    event_reports: Vec<u64>,
    /// The index of the first span's item.
    first_span: u32,
}

impl Sealed {
    /// Takes a batch that was sealed before, as it was kept. Checks all of it: what cannot be decoded
    /// whole is damaged, and nobody would take it.
    pub fn read(bytes: Vec<u8>) -> Result<Self, BatchError> {
        let batch = decode(&bytes)?;
        let counts: Vec<u64> = batch.events.iter().map(|(_, event)| event.count).collect();
        let first_event = batch.events.first().map_or(0, |(index, _)| *index);
        let first_span = batch.spans.first().map_or(0, |(index, _)| *index);
        Ok(Self {
            id: batch.id,
            reports: counts.iter().fold(0, |sum, n| sum.saturating_add(*n)),
            spans: batch.spans.len() as u64,
            tells_losses: !batch.losses.is_empty() || !batch.span_losses.is_empty(),
            bytes,
            first_event,
            event_reports: counts,
            first_span,
        })
    }

    /// How many reports the item at an index stands for; zero where it is no event.
    pub fn reports_of_item(&self, index: u32) -> u64 {
        let event = index
            .checked_sub(self.first_event)
            .and_then(|at| usize::try_from(at).ok());
        event
            .and_then(|at| self.event_reports.get(at))
            .copied()
            .unwrap_or(0)
    }

    /// Whether the item at an index is a finished span.
    pub fn is_span(&self, index: u32) -> bool {
        let at = index.checked_sub(self.first_span);
        at.is_some_and(|at| u64::from(at) < self.spans)
    }
}

/// A decoded batch.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The id that the sender gave it.
    pub id: BatchId,
    /// The runs that its events belong to.
    pub runs: Vec<Arc<Run>>,
    /// Its good events with their item indexes, in the order in which they were sent.
    pub events: Vec<(u32, Event)>,
    /// Its good spans with their item indexes, in the order in which they were sent.
    pub spans: Vec<(u32, Span)>,
    /// The senders' running totals of the reports they lost.
    pub losses: Vec<Losses>,
    /// The senders' running totals of the spans they lost.
    pub span_losses: Vec<Losses>,
    /// How runs are doing.
    pub run_states: Vec<RunState>,
    /// The items that could not be used.
    pub rejected: Vec<Rejected>,
    /// How many items had a kind that this version does not know.
    pub unknown_items: u32,
    /// About what all of it takes, at most [`crate::limits::BATCH_TEXT_BYTES_MAX`].
    pub size_bytes: usize,
}

/// An item that could not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The index of the item in the batch, dictionaries counted, from 0.
    pub index: u32,
    /// Whether it is a finished span. Spans have an account of their own.
    pub is_span: bool,
    /// The rule that it broke.
    pub reason: ItemError,
}

/// Why one item of a batch was turned away. Every variant is for the sender to mend.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// The bytes are no message of their kind.
    #[error("item of kind {kind} cannot be read")]
    Malformed {
        /// The kind that the item claims.
        kind: u8,
    },
    /// A number is not one of those that the field may have.
    #[error("{field} is {value}, which names nothing")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// What stood there.
        value: u64,
    },
    /// The item refers to a dictionary entry that is not in the batch.
    #[error("{dictionary} has no entry {entry}")]
    MissingEntry {
        /// The dictionary.
        dictionary: &'static str,
        /// The entry, counted from 0.
        entry: u32,
    },
    /// The item has more of something than one item may have.
    #[error("{what}: {value}, the limit is {limit}")]
    OverLimit {
        /// What there is too much of.
        what: &'static str,
        /// The bound in [`crate::limits`].
        limit: usize,
        /// How much there is.
        value: usize,
    },
}

impl ItemError {
    /// The reason as one word, for counters and answers.
    pub fn code(&self) -> &'static str {
        match self {
            ItemError::Malformed { .. } => "malformed",
            ItemError::UnknownValue { .. } => "unknown_value",
            ItemError::MissingEntry { .. } => "missing_entry",
            ItemError::OverLimit { .. } => "over_limit",
        }
    }
}

/// Why a whole body was turned away. Every variant is for the sender to mend.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The body is shorter than the header.
    #[error("the body has {size_bytes} bytes, a batch begins with a header of {HEADER_BYTES}")]
    Truncated {
        /// The length of the body.
        size_bytes: usize,
    },
    /// The body does not begin with the magic bytes.
    #[error("the body does not begin with BUGS, so it is no batch")]
    NotABatch,
    /// The format is newer than this collector.
    #[error("the batch has format version {found}, the newest known here is {VERSION}")]
    UnsupportedVersion {
        /// The version in the header.
        found: u16,
    },
    /// The body has more bytes than a batch may have.
    #[error("the body has {size_bytes} bytes, the limit is {limit_bytes}")]
    TooLarge {
        /// The length of the body.
        size_bytes: usize,
        /// [`crate::limits::BATCH_BYTES_MAX`].
        limit_bytes: usize,
    },
    /// The content would be larger than a batch may be.
    #[error("the batch inflates to {size_bytes} bytes, the limit is {limit_bytes}")]
    InflatedTooLarge {
        /// The length in the header.
        size_bytes: usize,
        /// [`crate::limits::BATCH_INFLATED_BYTES_MAX`].
        limit_bytes: usize,
    },
    /// The checksum does not fit the bytes: they changed on the way.
    #[error("the checksum does not fit the body")]
    Checksum,
    /// The compressed stream is broken, or shorter or longer than the header says.
    #[error("the compressed stream does not hold the {declared_bytes} bytes that its header says")]
    Inflate {
        /// The length in the header.
        declared_bytes: usize,
    },
    /// An item's length leads past the end of the content.
    #[error("item {index} leads past the end of the batch")]
    ItemTruncated {
        /// The item, counted from 0.
        index: u32,
    },
    /// There are more items than a batch may have.
    #[error("the batch has more than {limit} items")]
    TooManyItems {
        /// [`crate::limits::BATCH_ITEMS_MAX`].
        limit: usize,
    },
}

impl BatchError {
    /// The reason as one word, for counters and answers.
    pub fn code(&self) -> &'static str {
        match self {
            BatchError::Truncated { .. } => "truncated",
            BatchError::NotABatch => "not_a_batch",
            BatchError::UnsupportedVersion { .. } => "unsupported_version",
            BatchError::TooLarge { .. } => "too_large",
            BatchError::InflatedTooLarge { .. } => "inflated_too_large",
            BatchError::Checksum => "checksum",
            BatchError::Inflate { .. } => "inflate",
            BatchError::ItemTruncated { .. } => "item_truncated",
            BatchError::TooManyItems { .. } => "too_many_items",
        }
    }

    /// The bound that was broken and the value that broke it, where there is one.
    pub fn limit_and_value(&self) -> Option<(usize, usize)> {
        match *self {
            BatchError::TooLarge {
                size_bytes,
                limit_bytes,
            }
            | BatchError::InflatedTooLarge {
                size_bytes,
                limit_bytes,
            } => Some((limit_bytes, size_bytes)),
            BatchError::Truncated { size_bytes } => Some((HEADER_BYTES, size_bytes)),
            BatchError::UnsupportedVersion { found } => Some((VERSION.into(), found.into())),
            BatchError::TooManyItems { limit } => Some((limit, limit + 1)),
            _ => None,
        }
    }
}

/// What the header says, read before anything is inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The batch id.
    pub id: BatchId,
    /// How many bytes the content takes once inflated, at most
    /// [`crate::limits::BATCH_INFLATED_BYTES_MAX`].
    pub inflated_bytes: usize,
}

/// Reads and checks the header and the checksum, at the cost of one pass over the body.
pub fn check(body: &[u8]) -> Result<Header, BatchError> {
    frame::check(body)
}

/// Decodes a body, whatever is in it.
///
/// Takes the inflated length (by [`check`]) and at most [`crate::limits::BATCH_TEXT_BYTES_MAX`] for
/// what comes of it, with the vectors around that less than 32 MiB at any moment.
pub fn decode(body: &[u8]) -> Result<Batch, BatchError> {
    let header = frame::check(body)?;
    let content = frame::inflate(body, &header)?;
    v1::decode(header.id, &content)
}

/// Makes text that is shared by reference.
fn text(s: &str) -> Text {
    Arc::from(s)
}

#[cfg(test)]
mod tests;
