//! Memory for a file's sections, which the system has back the moment that they are dropped.
//!
//! The allocator of the app would keep it: freed blocks of this size change from when on it gives
//! memory back at all, for the whole process. A mapping of the file itself would end the process
//! where somebody cuts that file short.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Anonymous memory, zero at first.
pub(super) struct Pages {
    at: *mut u8,
    length: usize,
}

// SAFETY: the memory belongs to this value alone, as that of a `Box<[u8]>` does.
unsafe impl Send for Pages {}

impl Pages {
    pub(super) fn new(length: usize) -> io::Result<Self> {
        if length == 0 {
            let at = ptr::NonNull::dangling().as_ptr();
            return Ok(Self { at, length });
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a mapping at a place that the system chooses touches nothing that is there.
        let at = unsafe { mmap_anonymous(ptr::null_mut(), length, protection, MapFlags::PRIVATE) }?;
        let at = at.cast();
        Ok(Self { at, length })
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: that many bytes are mapped, zeroed by the system, as long as `self` lives.
        unsafe { std::slice::from_raw_parts(self.at, self.length) }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.length) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the mapping is this value's own, and nothing borrows it any more. It cannot
            // fail for a whole mapping; if it did, the memory would stay.
            let _ = unsafe { munmap(self.at.cast(), self.length) };
        }
    }
}
