//! How the process gives memory back to the system.

/// From this size on, what is freed goes back to the system at once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK_BYTES_MIN: libc::c_int = 128 << 10;

/// Has the allocator give large buffers back as soon as they are freed.
///
/// Left alone, glibc takes the first large buffer that is freed as a hint to keep others of that
/// size, for each of its arenas: batches of a few megabytes, decoded on one thread after the other,
/// would leave tens of megabytes with each. Only sizes above the bound pay for it.
pub(crate) fn give_back_large_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` may be called at any time and reads nothing but its two numbers.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK_BYTES_MIN);
    }
}
