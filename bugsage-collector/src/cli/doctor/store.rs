//! What lies in the data folder: who can read it, whether it opens, and when it was written.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bugsage_core::clock::{Clock, Timestamp};

use crate::clock::SystemClock;
use crate::store::sqlite::SqliteStore;

use super::Finding;

/// By how much a file may be younger than the clock says it is: file systems round.
const AHEAD_US: u64 = 60_000_000;

/// Whether the files belong to whoever runs this, and to nobody else.
pub(super) fn files(folder: &Path) -> Finding {
    let name = "files";
    let ours = rustix::process::geteuid().as_raw();
    let mut wrong = Vec::new();
    for file in ["bugsage.db", "bugsage.db-wal", "bugsage.db-shm", "lock"] {
        let path = folder.join(file);
        let Ok(metadata) = path.metadata() else {
            continue;
        };
        if metadata.uid() != ours && ours != 0 {
            let owner = metadata.uid();
            wrong.push(format!(
                "{} belongs to user {owner}: chown it",
                path.display()
            ));
        } else if metadata.permissions().mode() & 0o600 != 0o600 {
            wrong.push(format!(
                "{} cannot be written: chmod u+rw it",
                path.display()
            ));
        }
    }
    match wrong.is_empty() {
        true => Finding::good(name, "what is there can be read and written"),
        false => Finding::bad(name, wrong.join("; ")),
    }
}

/// Whether the store can be read, and by this program. Changes nothing.
pub(super) fn store(folder: &Path) -> Finding {
    let name = "store";
    if !SqliteStore::file(folder).exists() {
        return Finding::good(name, "is not there yet; `bugsage serve` makes it");
    }
    match SqliteStore::look(folder) {
        Ok((found, newest)) if found > newest => Finding::bad(
            name,
            format!("has schema {found}, and this program knows {newest}: use a newer bugsage"),
        ),
        Ok((found, newest)) if found < newest => Finding::good(
            name,
            format!("opens; schema {found} is brought to {newest} at the next start"),
        ),
        Ok((found, _)) => Finding::good(name, format!("opens, schema {found}")),
        Err(error) => Finding::bad(
            name,
            format!("{error}: restore it from a backup, or ask before you touch its files"),
        ),
    }
}

/// Whether the clock was later once: what is stored would seem to come from the future.
pub(super) fn is_from_the_future(folder: &Path, now: Timestamp) -> bool {
    let log = SqliteStore::file(folder).with_extension("db-wal");
    let files = [SqliteStore::file(folder), log];
    let written = files.iter().filter_map(|path| path.metadata().ok());
    let latest = written.map(|metadata| metadata.mtime()).max().unwrap_or(0);
    let latest_us = u64::try_from(latest).unwrap_or(0).saturating_mul(1_000_000);
    latest_us > now.0.saturating_add(AHEAD_US)
}

/// By how much the wall clock and the monotonic one differ over a moment, in microseconds: one that is
/// being set, or slewed hard, differs.
pub(super) fn drift_us(moment: std::time::Duration) -> u64 {
    let (wall, begun) = (SystemClock.now(), std::time::Instant::now());
    std::thread::sleep(moment);
    let (wall_us, us) = (
        SystemClock.now().0.saturating_sub(wall.0),
        begun.elapsed().as_micros(),
    );
    wall_us.abs_diff(us as u64)
}
