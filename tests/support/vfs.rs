//! A file system for SQLite that tells what was written and synced when, and fails on demand.
//!
//! Each watch is a copy of the default file system under a name of its own. Opening goes through
//! here and gives each file a copy of its table of methods, in which writing and syncing go through
//! here too. Everything else is the original.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::ffi;

/// Something that happened, in the order in which it was over.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Bytes went to a file. A commit is the last write of a transaction to the log.
    Wrote {
        file: Kind,
        at: u64,
        bytes: Vec<u8>,
        is_commit: bool,
    },
    /// A file was cut.
    Cut { file: Kind, bytes: u64 },
    /// A file was synced, or not.
    Synced { file: Kind, worked: bool },
    /// Somebody outside saw something.
    Noted(String),
}

/// Which file of the store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Database,
    Log,
    Other,
}

/// How the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Syncs fail, and nobody knows what the disk has.
    Sync,
    /// Writes fail with this code of SQLite, after so many that still work: once, or from then on.
    Write {
        code: c_int,
        after: u32,
        lasts: bool,
    },
    /// One sync fails, after so many that still work.
    OneSync { after: u32 },
}

#[derive(Default)]
struct State {
    steps: Vec<Step>,
    fault: Option<Fault>,
    /// How often a fault was met.
    failures: u32,
    sync_takes: Duration,
    /// Whether the last header of a frame in the log was that of a commit.
    is_commit: bool,
}

/// What a file system saw. Lives as long as the process: SQLite may use it until then.
pub(crate) struct Watch {
    name: String,
    state: Mutex<State>,
}

impl Watch {
    /// Makes a file system under a name that no other has.
    pub(crate) fn register() -> &'static Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("watched-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let name_for_c = CString::new(name.as_str()).expect("has no zero byte");
        let watch: &'static Watch = Box::leak(Box::new(Self {
            name,
            state: Mutex::default(),
        }));
        // SAFETY: the default file system is registered for the life of the process, and so is our
        // copy of it with its name, since both are leaked. SQLite writes into `base` alone.
        unsafe {
            let original = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!original.is_null(), "there is a default file system");
            let mut base = *original;
            base.zName = name_for_c.into_raw();
            base.pNext = std::ptr::null_mut();
            base.xOpen = Some(open);
            let vfs = Box::leak(Box::new(Vfs {
                base,
                original,
                watch,
            }));
            assert_eq!(ffi::sqlite3_vfs_register(&mut vfs.base, 0), ffi::SQLITE_OK);
        }
        watch
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// From now on the disk fails so; `None` mends it.
    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// How often the disk has failed so far.
    pub(crate) fn failures(&self) -> u32 {
        self.state().failures
    }

    /// From now on a sync takes so long, so that nobody can be faster by chance.
    pub(crate) fn slow_syncs(&self, takes: Duration) {
        self.state().sync_takes = takes;
    }

    /// Writes down what somebody outside sees now.
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.state().steps.push(Step::Noted(what.into()));
    }

    /// Everything that happened so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a write, unless it is to fail.
    fn before_write(&self, file: Kind, at: u64, bytes: &[u8]) -> Result<(), c_int> {
        let mut state = self.state();
        state.check_write()?;
        let is_commit = file == Kind::Log && state.is_commit_frame(bytes);
        state.steps.push(Step::Wrote {
            file,
            at,
            bytes: bytes.to_vec(),
            is_commit,
        });
        Ok(())
    }

    /// Notes a cut, unless it is to fail.
    fn before_cut(&self, file: Kind, bytes: u64) -> Result<(), c_int> {
        let mut state = self.state();
        state.check_write()?;
        state.steps.push(Step::Cut { file, bytes });
        Ok(())
    }

    /// Waits as a slow disk does, and says whether the sync is to fail.
    fn before_sync(&self) -> Result<(), c_int> {
        let takes = self.state().sync_takes;
        std::thread::sleep(takes);
        let mut state = self.state();
        let fails = match &mut state.fault {
            Some(Fault::Sync) => true,
            Some(Fault::OneSync { after: 0 }) => {
                state.fault = None;
                true
            }
            Some(Fault::OneSync { after }) => {
                *after -= 1;
                false
            }
            _ => false,
        };
        if fails {
            state.failures += 1;
            return Err(ffi::SQLITE_IOERR_FSYNC);
        }
        Ok(())
    }

    fn after_sync(&self, file: Kind, worked: bool) {
        self.state().steps.push(Step::Synced { file, worked });
    }
}

impl State {
    fn check_write(&mut self) -> Result<(), c_int> {
        let Some(Fault::Write { code, after, lasts }) = &mut self.fault else {
            return Ok(());
        };
        if let Some(left) = after.checked_sub(1) {
            *after = left;
            return Ok(());
        }
        let (code, lasts) = (*code, *lasts);
        self.failures += 1;
        if !lasts {
            self.fault = None;
        }
        Err(code)
    }

    /// The log is a row of frames: a header of 24 bytes and a page. The header of a commit tells
    /// the size of the database after it, which is zero in all others. Header and page are written
    /// one after the other.
    fn is_commit_frame(&mut self, bytes: &[u8]) -> bool {
        const FRAME_HEADER_BYTES: usize = 24;
        let is_header = bytes.len() == FRAME_HEADER_BYTES;
        if is_header {
            self.is_commit = bytes[4..8] != [0; 4];
        }
        !is_header && self.is_commit
    }
}

/// Our copy of the file system. SQLite knows it by its first field.
#[repr(C)]
struct Vfs {
    base: ffi::sqlite3_vfs,
    original: *mut ffi::sqlite3_vfs,
    watch: &'static Watch,
}

/// Our copy of a file's methods. SQLite knows it by its first field.
#[repr(C)]
struct Methods {
    base: ffi::sqlite3_io_methods,
    original: *const ffi::sqlite3_io_methods,
    watch: &'static Watch,
    file: Kind,
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with the file system that it was registered for, which is the first
    // field of a `Vfs` that lives for ever, and otherwise keeps the contract of `xOpen`, which we
    // pass on: the file has the original's size, because ours is a copy. Where the original leaves
    // methods, they are a static table of which we give the file a copy that is leaked.
    unsafe {
        let ours = &*vfs.cast::<Vfs>();
        let Some(open) = (*ours.original).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let code = open(ours.original, name, file, flags, out_flags);
        let original = (*file).pMethods;
        if code == ffi::SQLITE_OK && !original.is_null() {
            let mut base = *original;
            base.xWrite = Some(write);
            base.xSync = Some(sync);
            base.xTruncate = Some(truncate);
            let methods = Box::leak(Box::new(Methods {
                base,
                original,
                watch: ours.watch,
                file: kind(flags),
            }));
            (*file).pMethods = &methods.base;
        }
        code
    }
}

fn kind(flags: c_int) -> Kind {
    if flags & ffi::SQLITE_OPEN_WAL != 0 {
        Kind::Log
    } else if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
        Kind::Database
    } else {
        Kind::Other
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: the file was opened above, so its methods are the first field of a `Methods` that
    // lives for ever; SQLite promises `length` bytes, and the original gets what we were given.
    unsafe {
        let methods = &*(*file).pMethods.cast::<Methods>();
        let content = std::slice::from_raw_parts(bytes.cast::<u8>(), length as usize);
        if let Err(code) = methods
            .watch
            .before_write(methods.file, offset as u64, content)
        {
            return code;
        }
        match (*methods.original).xWrite {
            Some(write) => write(file, bytes, length, offset),
            None => ffi::SQLITE_IOERR_WRITE,
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: as for `write`.
    unsafe {
        let methods = &*(*file).pMethods.cast::<Methods>();
        let code = match (methods.watch.before_sync(), (*methods.original).xSync) {
            (Ok(()), Some(sync)) => sync(file, flags),
            (Ok(()), None) => ffi::SQLITE_IOERR_FSYNC,
            (Err(code), _) => code,
        };
        methods
            .watch
            .after_sync(methods.file, code == ffi::SQLITE_OK);
        code
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, bytes: ffi::sqlite3_int64) -> c_int {
    // SAFETY: as for `write`.
    unsafe {
        let methods = &*(*file).pMethods.cast::<Methods>();
        if let Err(code) = methods.watch.before_cut(methods.file, bytes as u64) {
            return code;
        }
        match (*methods.original).xTruncate {
            Some(truncate) => truncate(file, bytes),
            None => ffi::SQLITE_IOERR_TRUNCATE,
        }
    }
}
