//! The file of a run that is over, read and written without mapping it.
//!
//! Anybody may have cut it short since, and a mapped page behind the end of a file is `SIGBUS`.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::layout::{FILE_BYTES, SLOT_BYTES, WORDS, WORDS_BYTES};
use super::sys;

/// A run that used more slots than these is left as it is: it was busy, and looking through all of
/// it takes longer than a start may.
const TRIMMED_SLOTS_MAX: usize = 512;

const PAGE_BYTES: usize = 4_096;

/// The words of a dead run: a copy, and the file that every change is written to.
pub(crate) struct FileWords {
    file: File,
    words: Vec<AtomicU64>,
    /// Whether a change could not be written: then nothing more is done about this run.
    has_failed: AtomicBool,
}

impl FileWords {
    /// Reads the words. An error where the file is no whole file of records.
    pub(crate) fn read(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let length = metadata.len();
        // Trimmed by the start after it, and cut to its words once all records were taken over.
        let is_whole = (WORDS_BYTES as u64..=FILE_BYTES as u64).contains(&length);
        if !metadata.is_file() || !is_whole {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; WORDS * 8];
        read_at(&file, &mut bytes, 0)?;
        let words = bytes.as_chunks().0.iter();
        let words = words.map(|word| AtomicU64::new(u64::from_ne_bytes(*word)));
        Ok(Self {
            words: words.collect(),
            file,
            has_failed: AtomicBool::new(false),
        })
    }

    pub(crate) fn load(&self, at: usize) -> u64 {
        let word = self.words.get(at);
        word.map_or(0, |word| word.load(Ordering::Relaxed))
    }

    pub(crate) fn store(&self, at: usize, value: u64) {
        let Some(word) = self.words.get(at) else {
            return;
        };
        word.store(value, Ordering::Relaxed);
        // After a change that failed no other may be written: their order is what counts.
        let failed = self.has_failed.load(Ordering::Relaxed)
            || write_at(&self.file, &value.to_ne_bytes(), at as u64 * 8).is_err();
        self.has_failed.store(failed, Ordering::Relaxed);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// The first `length` bytes of the record that lies in slots.
    pub(crate) fn record(&self, slots: &[u16], length: usize) -> io::Result<Vec<u8>> {
        let mut record = vec![0; length.min(slots.len() * SLOT_BYTES)];
        for (part, slot) in record.chunks_mut(SLOT_BYTES).zip(slots) {
            let at = WORDS_BYTES + usize::from(*slot) * SLOT_BYTES;
            read_at(&self.file, part, at as u64)?;
        }
        Ok(record)
    }

    /// Gives back what was never used, which is nearly all: slots are taken from the first one on.
    pub(crate) fn trim(&self, slots_used: usize) {
        let length = WORDS_BYTES + slots_used * SLOT_BYTES;
        if slots_used > TRIMMED_SLOTS_MAX || self.file.set_len(length as u64).is_err() {
            return;
        }
        let mut bytes = vec![0; length];
        if read_at(&self.file, &mut bytes, 0).is_err() {
            return;
        }
        let mut at = 0;
        while at < length {
            let is_unused = |page: &[u8]| page.iter().all(|byte| *byte == 0);
            let pages = bytes[at..].chunks(PAGE_BYTES);
            let unused = pages.take_while(|page| is_unused(page)).count() * PAGE_BYTES;
            if unused > 0 {
                // Holes are read as the zeros that stood there. Where that fails it stays large.
                let _ = sys::give_back(&self.file, at as u64, unused as u64);
            }
            at += unused + PAGE_BYTES;
        }
    }

    /// Gives the records' bytes back, once all of them are safe elsewhere.
    pub(crate) fn cut_records(&self) {
        // Where that fails the file stays as large as it was.
        let _ = self.file.set_len(WORDS_BYTES as u64);
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn write_at(_: &File, _: &[u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
