//! Waits for a run's end, or brings it about where it takes too long or too much memory.
//!
//! The limits of `prlimit` hold for each process; what all of them hold together is added up here,
//! every tenth of a second, as the run's processes are: children of bubblewrap, however deep.

use std::collections::HashMap;
use std::io;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::validate::sandbox::{End, Limits};

/// How often the end is looked for: a fraction of the shortest run.
const LOOK: Duration = Duration::from_millis(5);

/// How often memory is added up. A process that takes 2 GB a second is found 200 MB late.
const ADD_UP: Duration = Duration::from_millis(100);

/// How long a run's pipes may stay open after its end: the kernel ends what is left in its process
/// namespace, which is quick.
const CLOSE: Duration = Duration::from_secs(5);

/// Waits until the child has ended and its output is read.
pub(super) fn watch(
    child: &mut Child,
    limits: &Limits,
    is_read: impl Fn() -> bool,
) -> io::Result<(End, Duration)> {
    let begun = Instant::now();
    let mut add_up_at = begun + ADD_UP;
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
        if now >= add_up_at {
            add_up_at = now + ADD_UP;
            if memory_of(child.id()) > limits.memory_bytes {
                break Ok(End::TooMuchMemory);
            }
        }
        if is_read() {
            // Everything is closed, or there was too much of it.
            let ended = wait_at_most(child, Duration::from_millis(500))?;
            break Ok(ended.map_or(End::TooMuchOutput, |status| End::Exited(code(status))));
        }
        thread::sleep(LOOK);
    };
    // bubblewrap's end is the end of the first process of its namespace, and that is everybody's.
    let _ = child.kill();
    let _ = child.wait();
    let wall = begun.elapsed();
    let deadline = Instant::now() + CLOSE;
    while !is_read() && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    Ok((end?, wall))
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

/// What a process and all below it hold in memory. Pages that several share count for each: a bound
/// may come early, never late.
fn memory_of(root: u32) -> u64 {
    let mut parents: HashMap<u32, u32> = HashMap::new();
    let mut held: HashMap<u32, u64> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // It may have ended since it was listed.
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        if let Some(parent) = field("PPid:") {
            parents.insert(process, parent as u32);
            let own = field("RssAnon:").unwrap_or(0) + field("RssShmem:").unwrap_or(0);
            held.insert(process, own * 1024);
        }
    }
    let is_below = |process: u32| {
        let chain = std::iter::successors(Some(process), |at| parents.get(at).copied());
        chain.take(PARENTS_MAX).any(|at| at == root)
    };
    held.iter()
        .filter(|(process, _)| is_below(**process))
        .map(|(_, bytes)| bytes)
        .sum()
}

/// How deep processes are followed upwards: a run may have no more of them.
const PARENTS_MAX: usize = 4_096;
