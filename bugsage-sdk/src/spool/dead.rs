//! The file of a run that is over, read and written without mapping it.
//!
//! Anybody may have cut it short since, and a mapped page behind the end of a file is `SIGBUS`.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::layout::{FILE_BYTES, WORDS, WORDS_BYTES};
use crate::record::RECORD_BYTES;

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
        // Cut to its words once all records were taken over.
        let is_whole = length == FILE_BYTES as u64 || length == WORDS_BYTES as u64;
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

    /// The first bytes of a slot's record.
    pub(crate) fn record(&self, slot: u16, length: usize) -> io::Result<Vec<u8>> {
        let mut record = vec![0; length.min(RECORD_BYTES)];
        let at = WORDS_BYTES + usize::from(slot) * RECORD_BYTES;
        read_at(&self.file, &mut record, at as u64)?;
        Ok(record)
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
