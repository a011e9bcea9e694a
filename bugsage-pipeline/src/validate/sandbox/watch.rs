//! Waits for a run's end, or brings it about where it takes too long or too much memory.
//!
//! The limits of `prlimit` hold for each process; what all of them hold together is added up here as
//! the run's processes are: children of bubblewrap, however deep.
//!
//! bubblewrap's first process inside ends when the one outside does, because it asked the kernel to.
//! As an ordinary user it has the same user id as the code that is run, which could make it take that
//! back. So its end is not left to it: the run stands still until its first process is known here,
//! and that one is killed, which the kernel makes the end of everybody in its process namespace.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::validate::sandbox::{End, Limits, ROOT, bubblewrap};

/// How often the end is looked for: a fraction of the shortest run.
const LOOK: Duration = Duration::from_millis(5);

/// How often memory is added up. A process that takes 2 GB a second is found 200 MB late.
const ADD_UP: Duration = Duration::from_millis(100);

/// How often where half of the memory is taken: many processes together are faster.
const ADD_UP_SOON: Duration = Duration::from_millis(10);

/// How long a run's processes and pipes may stay after its end: killing them all is quick.
const CLOSE: Duration = Duration::from_secs(5);

/// How long bubblewrap may take to see that what it started has ended.
const REAP: Duration = Duration::from_millis(200);

/// What an empty file takes of the kernel's memory, which no file system's size counts.
const INODE_BYTES: u64 = 1_024;

/// What a socket may hold in the kernel's memory: the default of `net.core.wmem_max`, which counts
/// double.
const SOCKET_BYTES: u64 = 416 << 10;

/// The last of the machine's memory is not for what a run makes the kernel hold elsewhere.
const MACHINE_BYTES_MIN: u64 = 128 << 20;

/// How deep processes are followed upwards: a run may have no more of them.
const PARENTS_MAX: usize = 4_096;

/// Waits until the child has ended and its output is read.
pub(super) fn watch(
    child: &mut Child,
    limits: &Limits,
    is_read: impl Fn() -> bool,
) -> io::Result<(End, Duration)> {
    let begun = Instant::now();
    let memory = Memory::new(limits);
    let mut first = None;
    let mut add_up_at = begun;
    let end = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(End::Exited(code(status))),
            Ok(None) => {}
            Err(error) => break Err(error),
        }
        let now = Instant::now();
        if now - begun > limits.wall {
            break Ok(End::TooLong);
        }
        match &first {
            None => match First::let_go(child.id()) {
                Ok(known) => first = known,
                Err(error) => break Err(error),
            },
            Some(first) if now >= add_up_at => {
                let held = memory.held(child.id(), first);
                if held > limits.memory_bytes {
                    break Ok(End::TooMuchMemory);
                }
                let is_half = held > limits.memory_bytes / 2;
                // From now: adding up may take long where there are many processes.
                add_up_at = Instant::now() + if is_half { ADD_UP_SOON } else { ADD_UP };
            }
            Some(_) => {}
        }
        if is_read() {
            // Everything is closed, or there was too much of it.
            match wait_at_most(child, Duration::from_millis(500)) {
                Ok(Some(status)) => break Ok(End::Exited(code(status))),
                Ok(None) => break Ok(End::TooMuchOutput),
                Err(error) => break Err(error),
            }
        }
        thread::sleep(LOOK);
    };
    let deadline = Instant::now() + CLOSE;
    let ended = match first {
        Some(first) => {
            let ended = first.end(deadline);
            // The one outside ends with it, and leaves no dead process for others to collect.
            let _ = wait_at_most(child, REAP);
            ended
        }
        // Nothing of others has run. bubblewrap's first process asks the kernel late to end with the
        // one outside, and before that would stay.
        None => {
            end_children(child.id());
            Ok(())
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    let wall = begun.elapsed();
    while !is_read() && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    ended?;
    Ok((end?, wall))
}

/// The first process of a run's process namespace: its end is everybody's.
struct First {
    process: Pid,
    handle: OwnedFd,
}

impl First {
    /// Finds it where the script has stopped, and lets the script go on. `None` before that.
    fn let_go(root: u32) -> io::Result<Option<Self>> {
        let processes = processes();
        let chain = |from: u32| {
            let parent = |at: &u32| processes.get(at).map(|process| process.parent);
            std::iter::successors(Some(from), parent).take(PARENTS_MAX)
        };
        let mut stopped = processes.iter().filter(|(_, process)| process.is_stopped);
        let found = stopped.find(|(number, _)| chain(**number).any(|at| at == root));
        let Some((stopped, process)) = found else {
            return Ok(None);
        };
        if !process.is_apart {
            let what = "its processes have no namespace of their own";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let is_first = |number: &u32| processes[number].parent == root;
        let first = chain(*stopped).take_while(|at| *at != root).find(is_first);
        if let (Some(first), Some(stopped)) = (first.and_then(pid), pid(*stopped)) {
            // The handle is the process's even when its number is another's.
            let handle = pidfd_open(first, PidfdFlags::empty())?;
            kill_process(stopped, Signal::CONT)?;
            return Ok(Some(First {
                process: first,
                handle,
            }));
        }
        Ok(None)
    }

    /// Ends it, and waits until everybody in its namespace is gone.
    fn end(&self, deadline: Instant) -> io::Result<()> {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
        let mut poll = libc::pollfd {
            fd: self.handle.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // SAFETY: it points to one `pollfd`, which lives here.
            match unsafe { libc::poll(&raw mut poll, 1, left.as_millis() as libc::c_int) } {
                1 => return Ok(()),
                0 => return Err(io::Error::other("processes of the run do not end")),
                // A signal of ours.
                _ => {}
            }
        }
    }

    /// How many files there are in the memory that the run can write.
    fn n_inodes(&self) -> u64 {
        let root = self.process.as_raw_nonzero();
        let used = [ROOT, "/dev/shm"].map(|folder| {
            let found = rustix::fs::statfs(format!("/proc/{root}/root{folder}"));
            found.map_or(0, |found| found.f_files.saturating_sub(found.f_ffree))
        });
        used.iter().sum()
    }

    /// How many sockets there are in the run's network: what is sent and not received is in nobody's
    /// count.
    fn n_sockets(&self) -> u64 {
        let path = format!("/proc/{}/net/sockstat", self.process.as_raw_nonzero());
        let lines = std::fs::read_to_string(path).unwrap_or_default();
        number(&lines, "sockets: used").unwrap_or(0)
    }
}

/// Ends whom bubblewrap has started so far.
fn end_children(root: u32) {
    for (process, found) in processes() {
        if found.parent == root
            && let Some(process) = pid(process)
        {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

fn wait_at_most(child: &mut Child, time_max: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + time_max;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// What a run holds, as it is seen from outside.
struct Memory {
    /// More of the machine's shared memory than this is more than a run may have in any way.
    shared_bytes_max: u64,
}

impl Memory {
    fn new(limits: &Limits) -> Self {
        let shared = of_machine("Shmem:").unwrap_or(0);
        let files = limits.disk_bytes + bubblewrap::SHM_BYTES;
        Memory {
            shared_bytes_max: shared + limits.memory_bytes + files,
        }
    }

    /// Pages that several processes share count for each: a bound may come early, never late.
    fn held(&self, root: u32, first: &First) -> u64 {
        // Shared memory can be in nobody's page table and still be there: only the machine's sum
        // tells. Somebody else's growth at the same time ends the run early.
        let shared = of_machine("Shmem:").unwrap_or(0);
        let available = of_machine("MemAvailable:").unwrap_or(u64::MAX);
        if shared > self.shared_bytes_max || available < MACHINE_BYTES_MIN {
            return u64::MAX;
        }
        let by_kernel = first.n_inodes() * INODE_BYTES + first.n_sockets() * SOCKET_BYTES;
        of_processes(root) + by_kernel
    }
}

/// A line of the machine's account of its memory.
fn of_machine(name: &str) -> Option<u64> {
    let lines = std::fs::read_to_string("/proc/meminfo").ok()?;
    kilobytes(&lines, name)
}

fn kilobytes(lines: &str, name: &str) -> Option<u64> {
    number(lines, name).map(|kilobytes| kilobytes * 1024)
}

fn number(lines: &str, name: &str) -> Option<u64> {
    let line = lines.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a process and all below it hold in memory, with what was swapped out and the page tables.
fn of_processes(root: u32) -> u64 {
    let processes = processes();
    let is_below = |process: u32| {
        let parent = |at: &u32| processes.get(at).map(|process| process.parent);
        let chain = std::iter::successors(Some(process), parent);
        chain.take(PARENTS_MAX).any(|at| at == root)
    };
    processes
        .iter()
        .filter(|(number, _)| is_below(**number))
        .map(|(_, process)| process.held_bytes)
        .sum()
}

struct Process {
    parent: u32,
    is_stopped: bool,
    /// It is in a process namespace below this process's.
    is_apart: bool,
    held_bytes: u64,
}

fn processes() -> HashMap<u32, Process> {
    let mut processes = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended since it was listed.
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let Some(parent) = number(&status, "PPid:") else {
            continue;
        };
        let held = ["RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:"];
        let held = held.map(|name| kilobytes(&status, name).unwrap_or(0));
        let process_found = Process {
            parent: parent as u32,
            is_stopped: status.lines().any(|line| line.starts_with("State:\tT")),
            is_apart: status.lines().any(|line| {
                let numbers = line.strip_prefix("NSpid:");
                numbers.is_some_and(|numbers| numbers.split_whitespace().count() > 1)
            }),
            held_bytes: held.iter().sum(),
        };
        processes.insert(process, process_found);
    }
    processes
}
