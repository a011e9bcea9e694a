//! Copies of a store that are whole: taken while it is used, verified before they count as copies.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

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
    /// Whether every byte of it is vouched for by a checksum. Copies that something else has made have none.
    pub has_checksum: bool,
}

/// Stands behind the database in the file, before the checksum of it. SQLite does not read it.
const MARK: &[u8] = b"\nbugsage-backup-sha256:";

/// The mark, and the checksum as 64 digits.
const TRAILER_BYTES: u64 = MARK.len() as u64 + 64;

/// Pages of SQLite have a power of two of bytes, at least these: a file with more or fewer is cut, or has a
/// trailer.
const PAGE_BYTES_MIN: u64 = 512;

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
    // A name of its own: somebody else may be making a copy, or have been stopped at it.
    let partial = with_suffix(file, &format!("{}.partial", uuid::Uuid::new_v4().simple()));
    let options = OpenOptions::new(folder, Owner::Client);
    make_private(&partial)?;
    let copied = (|| {
        let connection = open::for_copying(&options)?;
        let name = partial.to_str().ok_or_else(|| not_text(&partial))?;
        // One transaction that reads: a copy of one moment.
        connection.execute("vacuum into ?", [name])?;
        drop(connection);
        append_checksum(&partial).map_err(|error| cannot("write", &partial, &error))?;
        let copied = check(&partial)?;
        sync(&partial)?;
        take_name(&partial, file)?;
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
    fs::copy(file, &partial)
        .and_then(|bytes| {
            let trailer = if copied.has_checksum {
                TRAILER_BYTES
            } else {
                0
            };
            let copy = File::options().write(true).open(&partial)?;
            copy.set_len(bytes.saturating_sub(trailer))
        })
        .map_err(|error| cannot("write", &partial, &error))?;
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
    let has_checksum = fits_checksum(file).map_err(|error| cannot("read", file, &error))?;
    let has_checksum = has_checksum
        .map_err(|what| StoreError::Unusable(format!("{} is damaged: {what}", file.display())))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let c = Connection::open_with_flags(file, flags).map_err(wrong)?;
    let schema = open::schema_of(&c).map_err(wrong)?;
    open::check_schema(schema)?;
    let number = |query: &str| c.query_row(query, [], |row| row.get(0)).map(unsigned);
    let issues = number("select count(*) from issues").map_err(wrong)?;
    // Copies of earlier versions are verified once they are brought up to date.
    let is_current = schema == open::newest_schema();
    if is_current {
        let problems = verify::problems(&c).map_err(|error| {
            StoreError::Unusable(format!("{} is damaged: {error}", file.display()))
        })?;
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
        has_checksum,
    })
}

/// Gives a file its name. Unlike a rename it takes none that somebody else has made meanwhile, where the
/// file system can tell.
fn take_name(partial: &Path, file: &Path) -> Result<(), StoreError> {
    match fs::hard_link(partial, file) {
        Ok(()) => fs::remove_file(partial).map_err(|error| cannot("remove", partial, &error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(cannot("make", file, &error))
        }
        // A file system without links.
        Err(_) => fs::rename(partial, file).map_err(|error| cannot("rename", partial, &error)),
    }
}

fn append_checksum(file: &Path) -> io::Result<()> {
    let digits = checksum(&mut File::open(file)?)?;
    let mut end = File::options().append(true).open(file)?;
    end.write_all(MARK)?;
    end.write_all(digits.as_bytes())
}

/// Whether a file has a checksum, or what is wrong with it.
fn fits_checksum(file: &Path) -> io::Result<Result<bool, &'static str>> {
    let mut file = File::open(file)?;
    let bytes = file.metadata()?.len();
    let Some(content) = bytes.checked_sub(TRAILER_BYTES) else {
        return Ok(Ok(false));
    };
    let mut trailer = Vec::new();
    file.seek(SeekFrom::Start(content))?;
    file.read_to_end(&mut trailer)?;
    let Some(told) = trailer.strip_prefix(MARK) else {
        let is_whole = bytes.is_multiple_of(PAGE_BYTES_MIN);
        return Ok(is_whole
            .then_some(false)
            .ok_or("its end is cut off or changed"));
    };
    file.seek(SeekFrom::Start(0))?;
    let found = checksum(&mut file.take(content))?;
    let fits = found.as_bytes() == told;
    Ok(fits
        .then_some(true)
        .ok_or("its checksum does not fit what is in it"))
}

fn checksum(from: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match from.read(&mut piece)? {
            0 => break,
            n => hash.update(piece.get(..n).unwrap_or_default()),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
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
