//! The folder that validation works in: archives, and what base commits were built to.
//!
//! Never: a file of a repository, unpacked. What a killed worker left is removed by the next one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use crate::limits;

/// The folder.
#[derive(Debug, Clone)]
pub struct Workshop {
    folder: PathBuf,
}

/// A folder of one run, removed when dropped.
#[derive(Debug)]
pub(crate) struct Bench {
    folder: PathBuf,
}

/// What the names of runs begin with; the number of their process follows.
const RUN: &str = "run-";

impl Workshop {
    /// The workshop in a folder, which is made where it is missing.
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(folder.join("bases"))?;
        // bubblewrap mounts from where it is, whatever the working folder is then.
        let folder = folder.canonicalize()?;
        Ok(Workshop { folder })
    }

    /// A folder for one run.
    pub(crate) fn bench(&self) -> io::Result<Bench> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        self.sweep();
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("{RUN}{}-{n}", std::process::id()));
        std::fs::create_dir(&folder)?;
        Ok(Bench { folder })
    }

    /// Where what belongs to a base commit is kept.
    pub(crate) fn base(&self, key: &str, suffix: &str) -> PathBuf {
        self.folder.join("bases").join(format!("{key}.{suffix}"))
    }

    /// Removes the target folders that were not used for longest.
    pub(crate) fn forget_old_bases(&self) -> io::Result<()> {
        let mut bases: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(self.folder.join("bases"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|suffix| suffix == "json") {
                bases.push((path.metadata()?.modified()?, path));
            }
        }
        bases.sort();
        let excess = bases.len().saturating_sub(limits::BASES_MAX);
        for (_, path) in bases.iter().take(excess) {
            // The description goes first: without it the archive is nothing.
            std::fs::remove_file(path)?;
            std::fs::remove_file(path.with_extension("run"))?;
            std::fs::remove_file(path.with_extension("source"))?;
        }
        Ok(())
    }

    /// Removes what dead processes left. What cannot be removed now is in nobody's way.
    fn sweep(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let bases = std::fs::read_dir(self.folder.join("bases"))
            .into_iter()
            .flatten();
        for entry in entries.chain(bases).flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| {
                let (_, numbers) = name.split_once(RUN)?;
                numbers.split('-').next()?.parse::<u32>().ok()
            });
            if owner.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
                let _ = std::fs::remove_dir_all(entry.path());
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Bench {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What is left is swept by the next process.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_removed_and_what_a_living_one_uses_stays() {
        let folder = std::env::temp_dir().join(format!("bugsage-workshop-{}", std::process::id()));
        let workshop = Workshop::new(&folder).unwrap();
        let mine = workshop.bench().unwrap();
        std::fs::create_dir_all(folder.join("run-4194305-0/deep")).unwrap();
        std::fs::write(folder.join("bases/key.run-4194305-0"), "partial").unwrap();

        let other = workshop.bench().unwrap();

        assert!(mine.folder.is_dir() && other.folder.is_dir());
        assert!(!folder.join("run-4194305-0").exists());
        assert!(!folder.join("bases/key.run-4194305-0").exists());
        let gone = mine.folder.clone();
        drop(mine);
        assert!(!gone.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
