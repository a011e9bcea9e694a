//! Memory and disk, taken in every way that is known to pass by somebody's count.
//!
//! Each takes until it is refused, or until it has far more than any cap of a story; then it waits
//! for longer than the watch looks away, and tells how much it holds: in MiB, or in files.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use crate::{Outcome, bytes, sys};

const STEP: usize = 16 << 20;

/// Twice the cap of the stories, and more.
const STEPS_MAX: u64 = 40;

/// Memory of one process.
pub(crate) fn private() -> Outcome {
    steps(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        sys::map(STEP, flags, -1).map(|address| sys::touch(address, STEP))
    })
}

/// Eight processes that each stay below the cap.
pub(crate) fn of_many() -> Outcome {
    let take = || {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        if let Ok(address) = sys::map(4 * STEP, flags, -1) {
            sys::touch(address, 4 * STEP);
        }
        sys::wait_seconds(5);
    };
    let n_children = (0..8).filter(|_| sys::fork(take).is_ok()).count();
    sys::wait_seconds(5);
    Outcome::Got((n_children * 4 * STEP) as u64 >> 20)
}

/// Shared memory that is no longer in any page table stays in memory all the same.
pub(crate) fn shared() -> Outcome {
    steps(|| {
        let address = sys::map(STEP, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)?;
        sys::touch(address, STEP);
        hide(address)
    })
}

/// The device of zeros, mapped, is shared memory too.
pub(crate) fn device_zero() -> Outcome {
    let Ok(zero) = File::options().read(true).write(true).open("/dev/zero") else {
        return Outcome::Held("it is not there".to_owned());
    };
    steps(|| {
        let address = sys::map(STEP, libc::MAP_SHARED, zero.as_raw_fd())?;
        sys::touch(address, STEP);
        hide(address)
    })
}

/// Keeps a page of it: the rest is in nobody's count then.
fn hide(address: usize) -> std::io::Result<()> {
    sys::call(libc::SYS_munmap, [address + 4096, STEP - 4096]).map(|_| ())
}

/// Files without a name, that are in no file system with a size.
pub(crate) fn memfd() -> Outcome {
    let content = vec![1; STEP - 4096];
    let mut files = Vec::new();
    steps(|| {
        let name = c"probe".as_ptr() as usize;
        let number = sys::call(libc::SYS_memfd_create, [name, 0])?;
        let mut file = File::options()
            .write(true)
            .open(format!("/proc/self/fd/{number}"))?;
        file.write_all(&content)?;
        files.push(file);
        Ok(())
    })
}

/// Memory that stays when nobody has it attached.
pub(crate) fn sysv() -> Outcome {
    steps(|| {
        let flags = (libc::IPC_CREAT | 0o600) as usize;
        let segment = sys::call(libc::SYS_shmget, [libc::IPC_PRIVATE as usize, STEP, flags])?;
        let address = sys::call(libc::SYS_shmat, [segment as usize, 0, 0])? as usize;
        sys::touch(address, STEP);
        sys::call(libc::SYS_shmdt, [address]).map(|_| ())
    })
}

/// Datagrams that nobody receives. A hundred sockets hold 16 MiB or so.
pub(crate) fn sockets() -> Outcome {
    let mut pairs = Vec::new();
    let datagram = vec![0; 64 << 10];
    steps(|| {
        let mut sent_bytes = 0;
        while sent_bytes < STEP {
            let (from, to) = UnixDatagram::pair()?;
            from.set_nonblocking(true)?;
            while from.send(&datagram).is_ok() {
                sent_bytes += datagram.len();
            }
            pairs.push((from, to));
        }
        Ok(())
    })
}

/// Files in a folder.
pub(crate) fn files(folder: &str, size_bytes: usize) -> Outcome {
    let content = vec![1; size_bytes];
    let mut n_bytes = 0;
    for n in 0.. {
        let path = format!("{folder}/file-{n}");
        if std::fs::write(&path, &content).is_err() || n_bytes > STEP as u64 * STEPS_MAX {
            break;
        }
        n_bytes += size_bytes as u64;
    }
    Outcome::Got(n_bytes >> 20)
}

/// One file.
pub(crate) fn file() -> Outcome {
    // A limit on size is told by a signal.
    sys::ignore_signals();
    let content = vec![1; 1 << 20];
    let path = format!("{}/large", bytes::temporary());
    let mut file = File::create(path).expect("the folder is writable");
    let mut n_megabytes = 0;
    while n_megabytes < 200 && file.write_all(&content).is_ok() {
        n_megabytes += 1;
    }
    Outcome::Got(n_megabytes)
}

/// Empty files: they take memory of the kernel, and no byte of the file system's size.
pub(crate) fn inodes() -> Outcome {
    let folder = bytes::temporary();
    for n in 0_u64..1_000_000 {
        if File::create(format!("{folder}/{n}")).is_err() {
            return Outcome::Got(n);
        }
    }
    sys::wait_seconds(1);
    Outcome::Got(1_000_000)
}

/// Prints without end.
pub(crate) fn floods() -> Outcome {
    loop {
        println!("{}", "flood ".repeat(1_000));
    }
}

/// Repeats a step that takes [`STEP`] bytes.
fn steps(mut step: impl FnMut() -> std::io::Result<()>) -> Outcome {
    let mut n_steps = 0;
    while n_steps < STEPS_MAX && step().is_ok() {
        n_steps += 1;
    }
    sys::wait_seconds(1);
    Outcome::Got((n_steps * STEP as u64) >> 20)
}
