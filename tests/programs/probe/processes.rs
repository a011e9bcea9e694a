//! Processes that stay, multiply, or reach for others.

use std::time::Duration;

use crate::{Outcome, must_all_fail, must_fail, sys};

/// More than any cap of a story.
const MANY: u64 = 400;

/// Goes into the background as daemons do, deaf to every signal that can be ignored.
pub(crate) fn daemon() -> Outcome {
    let forked = sys::fork(|| {
        // SAFETY: no memory is concerned.
        unsafe { libc::setsid() };
        let _ = sys::fork(|| {
            sys::ignore_signals();
            // What it printed to stays open otherwise, and whoever reads that waits.
            for stream in 0..3 {
                let _ = sys::call(libc::SYS_close, [stream]);
            }
            sys::wait_seconds(30);
        });
    });
    std::thread::sleep(Duration::from_millis(100));
    match forked {
        Ok(_) => Outcome::Works("a daemon".to_owned()),
        Err(error) => Outcome::Held(error.to_string()),
    }
}

/// Forks until it may not.
pub(crate) fn forks() -> Outcome {
    let mut children = Vec::new();
    while (children.len() as u64) < MANY {
        match sys::fork(|| sys::wait_seconds(30)) {
            Ok(child) => children.push(child),
            Err(_) => break,
        }
    }
    for child in &children {
        let _ = sys::kill(*child as i32, libc::SIGKILL);
    }
    Outcome::Got(children.len() as u64)
}

/// Threads count like processes.
pub(crate) fn threads() -> Outcome {
    let mut n_threads = 0;
    while n_threads < MANY {
        let builder = std::thread::Builder::new().stack_size(64 << 10);
        match builder.spawn(|| sys::wait_seconds(30)) {
            Ok(_) => n_threads += 1,
            Err(_) => break,
        }
    }
    Outcome::Got(n_threads)
}

/// Neither listens nor ends.
pub(crate) fn deaf() -> Outcome {
    sys::ignore_signals();
    for _ in 0..4 {
        let _ = sys::fork(|| sys::wait_seconds(30));
    }
    sys::wait_seconds(30);
    Outcome::BrokeOut("outlived its time".to_owned())
}

/// Everybody that it may send signals to.
pub(crate) fn kills_everyone() -> Outcome {
    match sys::kill(-1, libc::SIGKILL) {
        Ok(_) => Outcome::Works("killed everybody that it reaches".to_owned()),
        Err(error) => Outcome::Held(error.to_string()),
    }
}

/// A process outside, by its id there.
pub(crate) fn signals(process: &str) -> Outcome {
    let process: i32 = process.parse().expect("is a process id");
    must_all_fail([
        must_fail("signal", sys::kill(process, 0)),
        must_fail(
            "signal by descriptor",
            sys::call(libc::SYS_pidfd_open, [process as usize, 0]),
        ),
    ])
}

/// Makes bubblewrap's first process inside take back that it ends with the one outside, by writing
/// the call for that into its code.
#[cfg(target_arch = "x86_64")]
pub(crate) fn takes_over() -> Outcome {
    // prctl(PR_SET_PDEATHSIG, 0); then pause() for ever.
    const CODE: &[u8] = &[
        0xb8, 0x9d, 0, 0, 0, // mov eax, 157
        0xbf, 1, 0, 0, 0, // mov edi, 1
        0x31, 0xf6, // xor esi, esi
        0x0f, 0x05, // syscall
        0xb8, 0x22, 0, 0, 0, // mov eax, 34
        0x0f, 0x05, // syscall
        0xeb, 0xf7, // jmp back to the second mov
    ];
    let take = || -> std::io::Result<()> {
        use std::os::unix::fs::FileExt;
        let memory = std::fs::File::options().write(true).open("/proc/1/mem")?;
        let maps = std::fs::read_to_string("/proc/1/maps")?;
        // The C library's code: it waits in there, and comes back to where it was.
        let line = maps
            .lines()
            .find(|line| line.contains("r-xp") && line.contains("libc"));
        let range = line.and_then(|line| line.split(' ').next());
        let (from, to) = range
            .and_then(|range| range.split_once('-'))
            .ok_or_else(|| std::io::Error::other("no C library"))?;
        let number = |text: &str| u64::from_str_radix(text, 16).map_err(std::io::Error::other);
        let (from, to) = (number(from)?, number(to)?);
        // Nothing but steps to the code, which stands at the end.
        let mut all = vec![0x90; (to - from) as usize];
        let at = all.len() - CODE.len();
        all[at..].copy_from_slice(CODE);
        memory.write_all_at(&all, from)
    };
    let taken = take();
    // Its child's end wakes it.
    let _ = sys::fork(|| {
        let _ = sys::fork(|| {});
    });
    match taken {
        Ok(()) => {
            std::thread::sleep(Duration::from_millis(200));
            Outcome::Works("bubblewrap's first process does what this one says".to_owned())
        }
        Err(error) => Outcome::Held(error.to_string()),
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn takes_over() -> Outcome {
    Outcome::Held("nobody has written the code for this processor".to_owned())
}

/// Reads another process's memory, or takes it over.
pub(crate) fn traces(process: &str) -> Outcome {
    let folder = format!("/proc/{process}");
    let process: usize = process.parse().expect("is a process id");
    let read = |name: &str| std::fs::read(format!("{folder}/{name}"));
    let seize = [libc::PTRACE_SEIZE as usize, process, 0, 0];
    let mut byte = 0_u8;
    let local = libc::iovec {
        iov_base: std::ptr::from_mut(&mut byte).cast(),
        iov_len: 1,
    };
    let vector = std::ptr::from_ref(&local) as usize;
    must_all_fail([
        must_fail("its environment", read("environ")),
        must_fail("its files", std::fs::read_dir(format!("{folder}/root"))),
        must_fail("seize", sys::call(libc::SYS_ptrace, seize)),
        // Of a first process inside the same: it is bubblewrap's.
        must_fail(
            "its memory",
            sys::call(
                libc::SYS_process_vm_readv,
                [process, vector, 1, vector, 1, 0],
            ),
        ),
    ])
}
