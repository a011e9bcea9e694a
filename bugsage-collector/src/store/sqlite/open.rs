//! Opens the database file: settings, schema, and what must be written again after a crash.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::observe::Observer;
use crate::store::StoreError;

use super::{SqliteStore, carry};

/// The oldest SQLite that is safe: earlier ones may corrupt a log that two processes write
/// (<https://sqlite.org/releaselog/3_51_3.html>).
pub const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// How long a write waits for another process. Client commands hold the lock for milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The size that the log's file shrinks to once all of it was copied back.
const LOG_FILE_BYTES_MAX: i64 = 64 << 20;

/// One step of the schema: SQL, and what it cannot say.
type Migration = (&'static str, fn(&Connection) -> Result<(), StoreError>);

/// Every migration, oldest first; its number is its place in this list, from 1.
const MIGRATIONS: &[Migration] = &[
    (
        include_str!("../../../migrations/sqlite/0001_first.sql"),
        nothing,
    ),
    (
        include_str!("../../../migrations/sqlite/0002_runs.sql"),
        nothing,
    ),
    (
        include_str!("../../../migrations/sqlite/0003_kept.sql"),
        carry::to_3,
    ),
    (
        include_str!("../../../migrations/sqlite/0004_traces.sql"),
        nothing,
    ),
    (
        include_str!("../../../migrations/sqlite/0005_settings.sql"),
        nothing,
    ),
    (
        include_str!("../../../migrations/sqlite/0006_grouping.sql"),
        nothing,
    ),
    (
        include_str!("../../../migrations/sqlite/0007_similar.sql"),
        nothing,
    ),
];

fn nothing(_: &Connection) -> Result<(), StoreError> {
    Ok(())
}

/// Who opens the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The server: owns checkpoints.
    Server,
    /// A client command beside a server that may run: never checkpoints.
    Client,
}

/// Where a store lies and who opens it.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The data folder.
    pub folder: PathBuf,
    /// Who opens it.
    pub owner: Owner,
    /// A virtual file system that SQLite knows by this name. Tests watch and break files with it.
    pub vfs: Option<String>,
    /// Who is told what the store does.
    pub observer: Observer,
}

impl OpenOptions {
    /// A store on the ordinary file system.
    pub fn new(folder: impl Into<PathBuf>, owner: Owner) -> Self {
        Self {
            folder: folder.into(),
            owner,
            vfs: None,
            observer: Observer::default(),
        }
    }
}

/// Opens for writing, brings the schema up to date, and tells its version.
pub(super) fn for_writing(options: &OpenOptions) -> Result<(Connection, u32), StoreError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        let version = rusqlite::version();
        return Err(StoreError::Unusable(format!(
            "SQLite {version} can corrupt the store: build with 3.51.3 or newer"
        )));
    }
    make_folder(&options.folder)?;
    make_file(&SqliteStore::file(&options.folder))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = open(options, flags)?;
    // Of a file that is made now: pages that are free go back to the disk, in steps, when asked.
    connection
        .pragma_update(None, "auto_vacuum", "incremental")
        .map_err(unusable)?;
    connection
        .pragma_update(None, "journal_mode", "wal")
        .map_err(unusable)?;
    connection
        .pragma_update(None, "synchronous", "full")
        .map_err(unusable)?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(unusable)?;
    // The writer thread checkpoints between transactions, and nobody else does.
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .map_err(unusable)?;
    // A log that a long reader made large shrinks again.
    connection
        .pragma_update(None, "journal_size_limit", LOG_FILE_BYTES_MAX)
        .map_err(unusable)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(unusable)?;
    if options.owner == Owner::Server {
        // What the log holds may have been read back from memory after a sync that failed. Copying
        // it into the database and syncing that makes it safe before anything is acknowledged.
        let copied = copy_back(&connection, Copy::AndEmpty).map_err(unusable)?;
        if !copied.is_whole() {
            let reason = "another process holds the store open for long: end it and start again";
            return Err(StoreError::Unusable(reason.to_owned()));
        }
    }
    let version = migrate(&mut connection)?;
    if options.owner == Owner::Server {
        vacuum_once(&connection).map_err(unusable)?;
    }
    Ok((connection, version))
}

/// Files of earlier versions cannot give pages back to the disk. Writing one anew changes that, once.
fn vacuum_once(connection: &Connection) -> rusqlite::Result<()> {
    const INCREMENTAL: i64 = 2;
    let mode: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if mode == INCREMENTAL {
        return Ok(());
    }
    tracing::info!("the store is written anew, once, so that it can shrink later");
    connection.execute_batch("pragma auto_vacuum = incremental; vacuum")
}

/// Opens for reading only.
pub(super) fn for_reading(options: &OpenOptions) -> Result<Connection, StoreError> {
    let connection = open(options, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens to copy all of it. The copy is a file of its own, so this may write.
pub(super) fn for_copying(options: &OpenOptions) -> Result<Connection, StoreError> {
    open(options, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// The schema that this program writes.
pub(super) fn newest_schema() -> u32 {
    MIGRATIONS.len() as u32
}

/// The schema that a file has.
pub(super) fn schema_of(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Refuses what a newer program wrote.
pub(super) fn check_schema(schema: u32) -> Result<(), StoreError> {
    let newest = newest_schema();
    if schema <= newest {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "the store has schema {schema}, this program knows up to {newest}: use a newer bugsage"
    )))
}

/// How a log is copied back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    /// Not at all: only to see how large it is.
    Nothing,
    /// As far as nobody reads it. Waits for no one.
    WhatIsFree,
    /// Wholly, waiting for readers, and the log is empty then.
    AndEmpty,
}

/// What is in the log, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log {
    is_busy: bool,
    pages: i64,
    copied: i64,
}

impl Log {
    /// Pages that are only in the log.
    pub(super) fn waiting(self) -> i64 {
        self.pages - self.copied
    }

    fn is_whole(self) -> bool {
        !self.is_busy && self.waiting() == 0
    }
}

/// Copies the log into the database and syncs.
pub(super) fn copy_back(connection: &Connection, how: Copy) -> rusqlite::Result<Log> {
    let pragma = match how {
        Copy::Nothing => "pragma wal_checkpoint(noop)",
        Copy::WhatIsFree => "pragma wal_checkpoint(passive)",
        Copy::AndEmpty => "pragma wal_checkpoint(truncate)",
    };
    connection.prepare_cached(pragma)?.query_row([], |row| {
        Ok(Log {
            is_busy: row.get::<_, i64>(0)? != 0,
            pages: row.get(1)?,
            copied: row.get(2)?,
        })
    })
}

fn open(options: &OpenOptions, flags: OpenFlags) -> Result<Connection, StoreError> {
    let file = SqliteStore::file(&options.folder);
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&file, flags, vfs.as_str()),
        None => Connection::open_with_flags(&file, flags),
    };
    let connection = connection.map_err(|error| {
        StoreError::Unusable(format!("cannot open {}: {error}", file.display()))
    })?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unusable)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Makes the data folder, for its owner only.
pub fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let cannot = |error| {
        StoreError::Unusable(format!(
            "cannot make the data folder {}: {error}",
            folder.display()
        ))
    };
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(cannot)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Events may hold what nobody else on the machine should read.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(cannot)?;
    }
    Ok(())
}

/// Makes the database file, for its owner only, where there is none: the folder may be anybody's. Its log
/// gets the same rights.
fn make_file(file: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::File::options();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Unusable(format!(
            "cannot make {}: {error}",
            file.display()
        ))),
    }
}

fn migrate(connection: &mut Connection) -> Result<u32, StoreError> {
    let newest = newest_schema();
    let applied = schema_of(connection).map_err(unusable)?;
    check_schema(applied)?;
    if applied == newest {
        return Ok(newest);
    }
    let tx = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(unusable)?;
    // Another process may have been faster.
    let applied = schema_of(&tx).map_err(unusable)?;
    for (index, (sql, carry)) in MIGRATIONS.iter().enumerate().skip(applied as usize) {
        tx.execute_batch(sql).map_err(unusable)?;
        carry(&tx)?;
        tx.pragma_update(None, "user_version", index as u32 + 1)
            .map_err(unusable)?;
    }
    tx.commit().map_err(unusable)?;
    Ok(newest)
}

fn unusable(error: rusqlite::Error) -> StoreError {
    StoreError::Unusable(format!("the store cannot be used: {error}"))
}
