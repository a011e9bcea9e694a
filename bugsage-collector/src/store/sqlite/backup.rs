//! Copies of a store that are whole: taken while it is used, verified before they count as copies.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::store::StoreError;

use super::{OpenOptions, Owner, SqliteStore, open, unsigned, verify};

/// What a copy has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The size of its file.
    pub bytes: u64,
    /// Its issues.
    pub issues: u64,
    /// Events that were ever counted in it.
    pub events: u64,
    /// Its schema.
    pub schema: u32,
}

/// Writes everything that was acknowledged before this call into a new file, and verifies it. A collector
/// may be at work meanwhile.
///
/// Takes seconds for each gigabyte, and its size on the disk once more; until it is done, what the
/// collector writes stays in its log.
///
/// # Errors
///
/// Where the file is there already, cannot be written, or is not what the store is.
pub fn backup(folder: &Path, file: &Path) -> Result<Copied, StoreError> {
    if file.exists() {
        let message = format!("{} is there already: choose another name", file.display());
        return Err(StoreError::Unusable(message));
    }
    let partial = with_suffix(file, "partial");
    let options = OpenOptions::new(folder, Owner::Client);
    let copied = (|| {
        make_private(&partial)?;
        let connection = open::for_copying(&options)?;
        let name = partial.to_str().ok_or_else(|| not_text(&partial))?;
        // One transaction that reads: a copy of one moment.
        connection.execute("vacuum into ?", [name])?;
        let copied = check(&partial)?;
        sync(&partial)?;
        fs::rename(&partial, file).map_err(|error| cannot("rename", &partial, &error))?;
        sync_folder_of(file)?;
        Ok(copied)
    })();
    if copied.is_err() {
        let _ = fs::remove_file(&partial);
    }
    copied
}

/// Makes the store of a data folder out of a copy, which is verified before anything is touched. What was
/// there is moved aside, and the path that it is then at is told.
///
/// The caller holds the folder's lock.
///
/// # Errors
///
/// Where the copy is damaged or of a newer version, or a file cannot be written. What was there is
/// then still there.
pub fn restore(
    file: &Path,
    folder: &Path,
    at: u64,
) -> Result<(Copied, Option<PathBuf>), StoreError> {
    let copied = check(file)?;
    let store = SqliteStore::file(folder);
    let partial = with_suffix(&store, "partial");
    let _ = fs::remove_file(&partial);
    make_private(&partial)?;
    fs::copy(file, &partial).map_err(|error| cannot("write", &partial, &error))?;
    sync(&partial)?;
    let mut aside = None;
    if store.exists() {
        let beside = folder.join(format!("before-restore-{at}"));
        fs::create_dir(&beside).map_err(|error| cannot("make", &beside, &error))?;
        // The log first: without it the file is an older moment, and never a wrong one.
        for suffix in ["-wal", "-shm", ""] {
            let from = PathBuf::from(format!("{}{suffix}", store.display()));
            let Some(name) = from.file_name().filter(|_| from.exists()) else {
                continue;
            };
            fs::rename(&from, beside.join(name)).map_err(|error| cannot("move", &from, &error))?;
        }
        aside = Some(beside);
    }
    fs::rename(&partial, &store).map_err(|error| cannot("rename", &partial, &error))?;
    sync_folder_of(&store)?;
    // Brings the schema up to date.
    SqliteStore::open(OpenOptions::new(folder, Owner::Server))?;
    Ok((copied, aside))
}

/// Looks at a file that is said to be a copy of a store.
///
/// # Errors
///
/// With what is wrong with it.
pub fn check(file: &Path) -> Result<Copied, StoreError> {
    if !file.is_file() {
        let message = format!("{} is no file", file.display());
        return Err(StoreError::Unusable(message));
    }
    let wrong = |error: rusqlite::Error| {
        let message = format!("{} is no copy of a store: {error}", file.display());
        StoreError::Unusable(message)
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let c = Connection::open_with_flags(file, flags).map_err(wrong)?;
    let schema = open::schema_of(&c).map_err(wrong)?;
    open::check_schema(schema)?;
    let number = |query: &str| c.query_row(query, [], |row| row.get(0)).map(unsigned);
    let issues = number("select count(*) from issues").map_err(wrong)?;
    // Copies of earlier versions are verified once they are brought up to date.
    let is_current = schema == open::newest_schema();
    if is_current {
        let problems = verify::problems(&c)?;
        if !problems.is_empty() {
            return Err(StoreError::Unusable(format!(
                "{} is damaged: {}",
                file.display(),
                problems.join("; ")
            )));
        }
    }
    let events = match is_current {
        true => number("select count(*) from seen_events").map_err(wrong)?,
        false => number("select count(*) from events").map_err(wrong)?,
    };
    let bytes = fs::metadata(file).map_or(0, |metadata| metadata.len());
    Ok(Copied {
        bytes,
        issues,
        events,
        schema,
    })
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    file.with_file_name(name)
}

/// An empty file that only its owner may read: it will hold what apps sent.
fn make_private(file: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    let options = options.write(true).create_new(true).mode(0o600);
    let made = options.open(file);
    made.map(drop).map_err(|error| cannot("make", file, &error))
}

fn sync(file: &Path) -> Result<(), StoreError> {
    let synced = File::open(file).and_then(|file| file.sync_all());
    synced.map_err(|error| cannot("sync", file, &error))
}

fn sync_folder_of(file: &Path) -> Result<(), StoreError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    sync(folder)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unusable(format!("cannot {what} {}: {error}", path.display()))
}

fn not_text(path: &Path) -> StoreError {
    StoreError::Unusable(format!("{} has a name that is no text", path.display()))
}
