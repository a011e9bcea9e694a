//! Events as they are kept: JSON documents, many to a pack, compressed together.
//!
//! Documents of a batch have most of their words in common, so together they take a fraction. A pack
//! is small enough that reading one event out of it takes a millisecond.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use zstd::bulk::Compressor;

use bugsage_core::event::Event;
use bugsage_core::stacktrace::StackTrace;

/// A stack under the hash of its JSON.
#[derive(Debug, Clone)]
pub struct StoredStack {
    /// SHA-256 of the JSON, cut to 128 bits.
    pub hash: [u8; 16],
    /// The stack.
    pub stack: Arc<StackTrace>,
}

/// A pack is closed once its documents have this many bytes: compression gains little beyond that, and
/// whoever reads one event has to expand all of them.
const RAW_BYTES: usize = 256 << 10;

/// The most documents in a pack: their places are 16 bits of an event's number.
const DOCUMENTS_MAX: usize = 1 << 16;

/// The level of zstd: four times as fast as the default one, for a tenth more bytes.
const LEVEL: i32 = 1;

/// More than any pack has: its last document may have begun just before it was full, and JSON takes
/// several times what a batch does. A length that was damaged asks for no more memory than this.
const EXPANDED_BYTES_MAX: usize = 128 << 20;

/// Compressed documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// The documents one after the other, compressed.
    pub documents: Vec<u8>,
    /// How many bytes they have before compression.
    pub raw_bytes: u32,
}

/// Where a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Which pack of those that were made together.
    pub pack: u32,
    /// Which document of the pack.
    pub place: u16,
    /// Where it begins.
    pub at: u32,
    /// How many bytes it has.
    pub bytes: u32,
}

/// Collects documents.
#[derive(Debug, Default)]
pub struct Packer {
    packs: Vec<Pack>,
    raw: Vec<u8>,
    documents: usize,
}

impl Packer {
    /// Adds an event without its stack, which is kept apart: many events have the same.
    pub fn push(&mut self, event: &Event) -> io::Result<Slot> {
        let at = self.raw.len();
        if let Err(error) = serde_json::to_writer(&mut self.raw, event) {
            self.raw.truncate(at);
            return Err(error.into());
        }
        self.placed(at)
    }

    /// Adds a document that was in a pack before.
    pub fn push_document(&mut self, document: &[u8]) -> io::Result<Slot> {
        let at = self.raw.len();
        self.raw.extend_from_slice(document);
        self.placed(at)
    }

    fn placed(&mut self, at: usize) -> io::Result<Slot> {
        let slot = Slot {
            pack: self.packs.len() as u32,
            place: self.documents as u16,
            at: at as u32,
            bytes: (self.raw.len() - at) as u32,
        };
        self.documents += 1;
        if self.raw.len() >= RAW_BYTES || self.documents == DOCUMENTS_MAX {
            self.close()?;
        }
        Ok(slot)
    }

    /// The packs, in the order in which slots name them.
    pub fn finish(mut self) -> io::Result<Vec<Pack>> {
        if self.documents > 0 {
            self.close()?;
        }
        Ok(self.packs)
    }

    fn close(&mut self) -> io::Result<()> {
        self.packs.push(Pack {
            documents: shrink(&self.raw)?,
            raw_bytes: self.raw.len() as u32,
        });
        self.raw.clear();
        self.documents = 0;
        Ok(())
    }
}

impl Pack {
    /// The documents, expanded.
    pub fn expand(&self) -> io::Result<Vec<u8>> {
        grow(&self.documents, self.raw_bytes)
    }
}

/// With a checksum, so that a bit that flips on the disk is an error and not a fact.
fn shrink(raw: &[u8]) -> io::Result<Vec<u8>> {
    thread_local! {
        /// Takes longer to make than to use.
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|compressor| {
        let compressor = match compressor {
            Some(compressor) => compressor,
            none => {
                let mut compressor = Compressor::new(LEVEL)?;
                compressor.include_checksum(true)?;
                none.insert(compressor)
            }
        };
        compressor.compress(raw)
    })
}

fn grow(compressed: &[u8], raw_bytes: u32) -> io::Result<Vec<u8>> {
    let raw_bytes = raw_bytes as usize;
    if raw_bytes > EXPANDED_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    zstd::bulk::decompress(compressed, raw_bytes)
}

/// Compresses one document that is kept alone.
pub fn compress(document: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = (document.len() as u32).to_le_bytes().to_vec();
    bytes.append(&mut shrink(document)?);
    Ok(bytes)
}

/// What [`compress`] was given.
pub fn expand(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let Some((length, compressed)) = bytes.split_first_chunk() else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    grow(compressed, u32::from_le_bytes(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_from_where_they_were_put() {
        let document = |number: usize| format!("{{\"number\":{number}}}").repeat(4_000);
        let mut packer = Packer::default();
        let slots: Vec<Slot> = (0..20)
            .map(|number| {
                packer
                    .push_document(document(number).as_bytes())
                    .expect("fits")
            })
            .collect();
        let packs = packer.finish().expect("is compressed");

        assert!(packs.len() > 1, "one pack does not grow for ever");
        for (number, slot) in slots.iter().enumerate() {
            let pack = &packs[slot.pack as usize];
            let raw = pack.expand().expect("is what was compressed");
            assert_eq!(raw.len(), pack.raw_bytes as usize);
            let at = slot.at as usize;
            assert_eq!(
                &raw[at..at + slot.bytes as usize],
                document(number).as_bytes()
            );
        }
    }

    #[test]
    fn a_document_alone_comes_back_and_a_broken_one_is_an_error() {
        let bytes = compress(b"document").expect("is compressed");

        assert_eq!(expand(&bytes).expect("is whole"), b"document");
        assert!(expand(&bytes[..3]).is_err());
        assert!(expand(&bytes[..bytes.len() - 1]).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let is_harmless = expand(&flipped).is_ok_and(|raw| raw == b"document");
            assert!(is_harmless || expand(&flipped).is_err(), "bit {bit}");
        }
    }
}
