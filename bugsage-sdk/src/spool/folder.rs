//! A run's folder: the file of records, the facts about the run, and sealed batches.
//!
//! The folder itself is locked while its run lives, or while somebody takes care of a dead one; the
//! lock goes with the process, however that ends. Files come into being under another name and are
//! renamed: half a file is never seen. Nothing is synced: the kernel keeps what a killed process has
//! written, and what a power cut takes is counted as lost.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bugsage_core::id::RunId;
use bugsage_core::limits;

use super::{fault, sys};

pub(crate) const RECORDS: &str = "records";
pub(crate) const ABOUT: &str = "about";
const BATCH: &str = ".batch";
/// How files and folders are called that are not complete yet.
const UNFINISHED: &str = "new-";

/// The folder of one run, locked by this process.
#[derive(Debug)]
pub(crate) struct RunFolder {
    pub(crate) run: RunId,
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Makes the folder of a run, locked before anybody can see it, with its file of records.
    /// `fill` completes it.
    pub(crate) fn create<T>(
        spool: &Path,
        run: RunId,
        fill: impl FnOnce(&Self, &File) -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let unfinished = spool.join(format!("{UNFINISHED}{run}"));
        sys::make_folder(&unfinished)?;
        let made = Self::make(&unfinished, run, fill);
        let named = made.and_then(|(mut folder, filled)| {
            let path = spool.join(run.to_string());
            fs::rename(&unfinished, &path)?;
            folder.path = path;
            Ok((folder, filled))
        });
        named.inspect_err(|_| remove(&unfinished))
    }

    fn make<T>(
        path: &Path,
        run: RunId,
        fill: impl FnOnce(&Self, &File) -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let lock = File::open(path)?;
        lock.try_lock().map_err(|_| io::ErrorKind::Unsupported)?;
        let folder = Self {
            run,
            path: path.to_owned(),
            _lock: lock,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let records = sys::private(&mut options).open(path.join(RECORDS))?;
        let filled = fill(&folder, &records)?;
        Ok((folder, filled))
    }

    /// Locks the folder of a run that is over. `None` where it lives, or is no folder of ours.
    pub(crate) fn take_over(spool: &Path, name: &str) -> Option<Self> {
        let run: RunId = name.parse().ok()?;
        let path = spool.join(name);
        sys::is_ours(&path).ok()?;
        let lock = lock(&path)?;
        // Who had it before may have removed it while we waited for nothing.
        path.exists().then_some(Self {
            run,
            path,
            _lock: lock,
        })
    }

    /// Opens the file of records of a run that is over.
    pub(crate) fn records(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        open_file(&self.path.join(RECORDS), options.read(true).write(true))
    }

    /// Writes a file, whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.path, name, bytes)
    }

    /// Reads a file of at most so many bytes.
    pub(crate) fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        read_bounded(&self.path.join(name), bytes_max)
    }

    pub(crate) fn write_batch(&self, number: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(&batch_name(number), bytes)
    }

    pub(crate) fn read_batch(&self, number: u64) -> io::Result<Vec<u8>> {
        self.read(&batch_name(number), limits::BATCH_BYTES_MAX)
    }

    pub(crate) fn remove_batch(&self, number: u64) {
        // Where that fails the books still say that it is done with.
        let _ = fs::remove_file(self.path.join(batch_name(number)));
        fault::point();
    }

    /// The numbers and times of all sealed batches, in their order. What was left half written is
    /// removed.
    pub(crate) fn batches(&self) -> Vec<(u64, SystemTime)> {
        let mut batches = Vec::new();
        for (name, entry) in entries(&self.path) {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if name.starts_with(UNFINISHED) {
                let _ = fs::remove_file(self.path.join(&name));
            }
            let number = name.strip_suffix(BATCH).filter(|digits| digits.len() == 16);
            let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            if let Some(number) = number.filter(|_| metadata.is_file()) {
                let at = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                batches.push((number, at));
            }
        }
        batches.sort_by_cached_key(|(number, _)| *number);
        batches
    }

    /// Removes the folder, when nothing in it is needed any more.
    pub(crate) fn remove(&self) {
        remove(&self.path);
    }
}

fn batch_name(number: u64) -> String {
    format!("{number:016x}{BATCH}")
}

/// The names in a spool that may be runs, the oldest first: their ids begin with the time.
pub(crate) fn runs(spool: &Path) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    for (name, entry) in entries(spool) {
        if name.parse::<RunId>().is_ok() {
            runs.push(name);
            continue;
        }
        let metadata = entry.metadata().ok().filter(is_older_than_an_hour);
        if let Some(metadata) = metadata.filter(|_| name.starts_with(UNFINISHED)) {
            // Its maker died, or it would have been renamed long ago.
            let path = spool.join(name);
            if metadata.is_file() {
                let _ = fs::remove_file(path);
            } else if lock(&path).is_some() {
                remove(&path);
            }
        }
    }
    runs.sort_unstable();
    runs
}

fn is_older_than_an_hour(metadata: &fs::Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age.as_secs() > 3_600)
}

fn entries(path: &Path) -> Vec<(String, fs::DirEntry)> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let entries = entries.take(limits::SPOOL_FILES_MAX);
    let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry)));
    named.collect()
}

fn lock(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    match folder.try_lock() {
        Ok(()) => Some(folder),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

/// Removes a folder with all that this SDK may have put into it, and nothing else.
fn remove(path: &Path) {
    for (name, _) in entries(path) {
        if name == RECORDS || name == ABOUT || name.ends_with(BATCH) || name.starts_with(UNFINISHED)
        {
            let _ = fs::remove_file(path.join(name));
            fault::point();
        }
    }
    // Stays where somebody has put something else into it.
    let _ = fs::remove_dir(path);
}

pub(crate) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    sys::may_grow_to(bytes.len() as u64)?;
    let unfinished = folder.join(format!("{UNFINISHED}{name}-{}", std::process::id()));
    let _ = fs::remove_file(&unfinished);
    let mut options = OpenOptions::new();
    let file = sys::private(options.write(true).create_new(true)).open(&unfinished);
    fault::point();
    let written = file.and_then(|mut file| file.write_all(bytes));
    fault::point();
    let renamed = written.and_then(|()| fs::rename(&unfinished, folder.join(name)));
    fault::point();
    renamed.inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

/// Opens what is a file; a link, a folder or a pipe that somebody put there is none.
fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    sys::private(options).open(path)
}

pub(crate) fn read_bounded(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    let file = open_file(path, options.read(true))?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
