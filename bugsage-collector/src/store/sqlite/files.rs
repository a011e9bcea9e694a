//! Whether what is written is still where it will be looked for.
//!
//! A file that was removed or replaced takes every write and sync for as long as it is open, and is gone
//! with the process. Asking for its number costs a microsecond at each commit.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

use super::SqliteStore;

/// The database file and its log.
pub(super) struct Files([Tracked; 2]);

struct Tracked {
    path: PathBuf,
    /// The file system and the number of the file in it, once it was seen.
    identity: Option<(u64, u64)>,
}

impl Files {
    /// The files of a store that is open.
    pub(super) fn of(folder: &Path) -> Self {
        let database = SqliteStore::file(folder);
        let mut log = database.clone().into_os_string();
        log.push("-wal");
        Self([database, log.into()].map(|path| Tracked {
            identity: identity(&path).ok(),
            path,
        }))
    }

    /// An error where one of them was removed or replaced.
    pub(super) fn check(&mut self) -> Result<(), StoreError> {
        self.0.iter_mut().try_for_each(Tracked::check)
    }
}

impl Tracked {
    fn check(&mut self) -> Result<(), StoreError> {
        let path = self.path.display();
        match (identity(&self.path), self.identity) {
            (Ok(now), Some(then)) if now != then => Err(StoreError::Failed(format!(
                "{path} was replaced while the collector was running"
            ))),
            (Ok(now), _) => {
                self.identity = Some(now);
                Ok(())
            }
            // It is made with the first write.
            (Err(_), None) => Ok(()),
            (Err(error), Some(_)) => Err(StoreError::Failed(format!("{path} is gone: {error}"))),
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
