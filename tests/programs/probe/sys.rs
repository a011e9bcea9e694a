//! System calls by their number, since most attempts are such that no library offers them.

use std::io;
use std::time::Duration;

/// Makes a call with up to six arguments.
///
/// Pointers among them point to memory of the caller's that lives longer than the call.
pub(crate) fn call<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> io::Result<i64> {
    let mut six = [0; 6];
    six[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = six;
    // SAFETY: the kernel checks what it is given; pointers are the caller's as said above, and calls
    // that change this process's memory are made for memory that only the caller knows.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Forks; the child does `work` and ends.
pub(crate) fn fork(work: impl FnOnce()) -> io::Result<u32> {
    // SAFETY: this program has one thread where it forks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            work();
            std::process::exit(0);
        }
        child => Ok(child as u32),
    }
}

/// Sends a signal; zero only asks whether it could.
pub(crate) fn kill(process: i32, signal: i32) -> io::Result<i64> {
    call(libc::SYS_kill, [process as usize, signal as usize])
}

/// From now on no signal that can be ignored does anything.
pub(crate) fn ignore_signals() {
    for signal in 1..32 {
        // SAFETY: no handler is installed, the signal is ignored.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Waits, without anything that a signal could shorten.
pub(crate) fn wait_seconds(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// Maps memory, and tells where.
pub(crate) fn map(length: usize, flags: libc::c_int, file: libc::c_int) -> io::Result<usize> {
    let writable = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let arguments = [0, length, writable, flags as usize, file as usize, 0];
    call(libc::SYS_mmap, arguments).map(|address| address as usize)
}

/// Writes to each page of memory that [`map`] or `shmat` gave.
pub(crate) fn touch(address: usize, length: usize) {
    for page in (0..length).step_by(4096) {
        // SAFETY: the memory is mapped, writable, at least so long, and nobody else's.
        unsafe { std::ptr::write_volatile((address + page) as *mut u8, 1) };
    }
}
