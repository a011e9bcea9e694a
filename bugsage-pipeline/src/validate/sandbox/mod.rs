//! Where code that nobody has read is built and run: without a network, without credentials, and
//! within limits.
//!
//! In: a [`Job`]: a shell script of ours, the files it may read, and its limits. Out: what it printed
//! and how it ended, as [`Ended`].
//! Never: a run without the sandbox; a process that outlives its run; a byte outside of the mounts.
//!
//! bubblewrap gives the run namespaces of its own (mounts, processes, network, IPC, host name). What
//! is writable is memory (`tmpfs`) of a fixed size, gone with the run; all else is read-only.
//!
//! - As root there is **no user namespace**: root inside one keeps its capabilities over it, and
//!   limits on processes would be shared. `setpriv` switches to a user id of this run alone, with no
//!   capability and no way to new privileges, before anything else runs.
//! - As an ordinary user it is a user namespace with no capability in it, which can make no other.
//!
//! A filter on system calls refuses new namespaces, mounts, kernel keyrings, `io_uring`, and sockets
//! other than local and IP ones: a VM's host answers on `AF_VSOCK` whatever the network namespace.
//! Limits: processes, memory, file size and CPU time by `prlimit`; the whole run's memory and wall
//! time by `watch.rs`.

// What bubblewrap is asked for.
mod bubblewrap;
// The system calls that are refused.
mod filter;
// Waits for the end, or brings it about.
mod watch;
// Whether this machine has what it takes.
mod offer;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{io, thread};

use rustix::fs::MemfdFlags;

use crate::limits;

pub use self::offer::NoSandbox;

/// Where the writable memory is, and all that belongs to a run.
pub const ROOT: &str = "/build";

/// The sandbox that this machine offers. [`Sandbox::find`] has tried it.
#[derive(Debug, Clone)]
pub struct Sandbox {
    bubblewrap: PathBuf,
    version: String,
    kind: Kind,
}

/// How the sandbox keeps its distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Root without a user namespace, then a user id of the run alone.
    OwnUser,
    /// A user namespace of an ordinary user.
    UserNamespace,
}

/// What is to be run.
#[derive(Debug)]
pub struct Job<'a> {
    /// A script for `sh`, written by us. Texts of others stand in it only as quoted words.
    pub script: &'a str,
    /// What it can read beside the system's programs.
    pub mounts: &'a [Mount],
    /// Its environment, beside the usual folders.
    pub environment: &'a [(&'a str, &'a str)],
    /// How much of everything.
    pub limits: Limits,
}

/// A file or a folder, readable inside at another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is on this machine.
    pub from: PathBuf,
    /// Where it is inside, below [`ROOT`].
    pub to: String,
}

impl Mount {
    /// Makes a thing readable at `name` below [`ROOT`].
    pub fn new(from: impl Into<PathBuf>, name: &str) -> Self {
        Mount {
            from: from.into(),
            to: format!("{ROOT}/{name}"),
        }
    }
}

/// How much a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From start to end.
    pub wall: Duration,
    /// Memory of all its processes together, and of each alone.
    pub memory_bytes: u64,
    /// Processes and threads at the same time.
    pub processes: u32,
    /// The largest file.
    pub file_bytes: u64,
    /// Everything it writes.
    pub disk_bytes: u64,
    /// What it may print.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            wall: limits::SANDBOX_WALL_MAX,
            memory_bytes: limits::SANDBOX_MEMORY_BYTES_MAX,
            processes: limits::SANDBOX_PROCESSES_MAX,
            file_bytes: limits::SANDBOX_FILE_BYTES_MAX,
            disk_bytes: limits::SANDBOX_DISK_BYTES_MAX,
            output_bytes: limits::SANDBOX_OUTPUT_BYTES_MAX,
        }
    }
}

/// How a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code; 128 and more where a signal ended the script.
    Exited(i32),
    /// It took longer than [`Limits::wall`].
    TooLong,
    /// Its processes held more than [`Limits::memory_bytes`].
    TooMuchMemory,
    /// It printed more than [`Limits::output_bytes`].
    TooMuchOutput,
}

/// A run that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How.
    pub end: End,
    /// The last of its complaints: what went to standard error.
    pub complaint: String,
    /// How long it took.
    pub wall: Duration,
}

impl Sandbox {
    /// How it keeps its distance.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// One line for `doctor` and for the proof.
    pub fn describe(&self) -> String {
        let how = match self.kind {
            Kind::OwnUser => "as root, a user id for each run",
            Kind::UserNamespace => "in a user namespace",
        };
        format!("bubblewrap {} {how}, no network", self.version)
    }

    /// Runs a job and waits for its end; what it prints goes to `output`. When this returns, none of
    /// its processes lives.
    ///
    /// # Errors
    ///
    /// Where the sandbox could not be started or watched, or `output` could not be written; the job
    /// is dead then too.
    pub fn run(&self, job: &Job<'_>, output: &mut (dyn Write + Send)) -> io::Result<Ended> {
        let filter = memory_file("bugsage-filter", &filter::bytes()?)?;
        let mut command = bubblewrap::command(self, job, &filter);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        drop(filter);
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let (watched, copied, complaint) = thread::scope(|scope| {
            let complaint = scope.spawn(move || tail(stderr));
            let copied = scope.spawn(move || copy(stdout, output, job.limits.output_bytes));
            let watched = watch::watch(&mut child, &job.limits, || copied.is_finished());
            (watched, copied.join(), complaint.join())
        });
        let broken = |_| io::Error::other("a thread of the sandbox broke");
        let (end, wall) = watched?;
        let complete = copied.map_err(broken)??;
        let end = if complete { end } else { End::TooMuchOutput };
        Ok(Ended {
            end,
            complaint: complaint.map_err(broken)?,
            wall,
        })
    }
}

/// A file in memory that a child inherits, with its text at the start.
fn memory_file(name: &str, bytes: &[u8]) -> io::Result<std::fs::File> {
    // Not closed on exec: bubblewrap reads it by its number.
    let file = rustix::fs::memfd_create(name, MemfdFlags::empty())?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    Ok(file)
}

/// Copies until the end or the bound. False where there was more.
fn copy(pipe: Option<impl Read>, output: &mut dyn Write, bytes_max: u64) -> io::Result<bool> {
    let Some(mut pipe) = pipe else {
        return Ok(true);
    };
    let copied = io::copy(&mut (&mut pipe).take(bytes_max), output)?;
    output.flush()?;
    let mut more = [0];
    Ok(copied < bytes_max || pipe.read(&mut more)? == 0)
}

/// The last bytes of a stream.
fn tail(pipe: Option<impl Read>) -> String {
    let mut last = Vec::new();
    let mut chunk = [0; 4096];
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    // What was read before an error is still worth showing.
    while let Ok(read @ 1..) = pipe.read(&mut chunk) {
        last.extend_from_slice(&chunk[..read]);
        let excess = last.len().saturating_sub(limits::COMPLAINT_BYTES_MAX);
        last.drain(..excess);
    }
    String::from_utf8_lossy(&last).into_owned()
}

/// A word for the shell, whatever it holds.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Whether a path can be mounted: bubblewrap's own errors name neither the mount nor the way out.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

// Everything named so needs a sandbox to run.
#[cfg(test)]
mod sandboxed;
