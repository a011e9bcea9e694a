//! Tells whether this is the process that something was made in, or a child that `fork` copied.

use std::sync::atomic::{AtomicU64, Ordering};

/// What stands in the process that made it.
const HERE: u64 = 1;

/// What stands in a child once somebody there has taken notice.
const CLAIMED: u64 = 2;

/// A mark that a copy of the process does not have.
pub(crate) enum Birthmark {
    /// A word that the kernel sets to zero in a child: reading it is all that a report costs.
    Wiped(&'static AtomicU64),
    /// The number of the process, where the kernel has no such pages.
    Numbered { process: u64, claimed: AtomicU64 },
}

impl Birthmark {
    pub(crate) fn new() -> Self {
        match wiped_word() {
            Some(word) => {
                word.store(HERE, Ordering::Release);
                Birthmark::Wiped(word)
            }
            None => Birthmark::Numbered {
                process: std::process::id().into(),
                claimed: AtomicU64::new(0),
            },
        }
    }

    /// Whether this is still the process that it was made in.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        match self {
            Birthmark::Wiped(word) => word.load(Ordering::Acquire) == HERE,
            Birthmark::Numbered { process, .. } => u64::from(std::process::id()) == *process,
        }
    }

    /// True for the first who asks in a child.
    pub(crate) fn claim(&self) -> bool {
        let now = u64::from(std::process::id());
        let (word, known, claimed) = match self {
            Birthmark::Wiped(word) => (*word, 0, CLAIMED),
            // A child of a child that never asked has what its parent had.
            Birthmark::Numbered { claimed, .. } => (claimed, claimed.load(Ordering::Acquire), now),
        };
        known != claimed
            && word
                .compare_exchange(known, claimed, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }
}

#[cfg(target_os = "linux")]
fn wiped_word() -> Option<&'static AtomicU64> {
    use rustix::mm::{Advice, MapFlags, ProtFlags};

    const PAGE_BYTES: usize = 4_096;
    let (flags, protection) = (MapFlags::PRIVATE, ProtFlags::READ | ProtFlags::WRITE);
    // SAFETY: the mapping is new, private, writable, never unmapped, and of one page, which has room
    // for a word and begins at its alignment. `AtomicU64` may have any bits.
    unsafe {
        let page = rustix::mm::mmap_anonymous(std::ptr::null_mut(), PAGE_BYTES, protection, flags);
        let page = page.ok()?;
        // Linux 4.14 and later.
        match rustix::mm::madvise(page, PAGE_BYTES, Advice::LinuxWipeOnFork) {
            Ok(()) => Some(&*page.cast::<AtomicU64>()),
            Err(_) => {
                // One page that is never used where that fails too.
                let _ = rustix::mm::munmap(page, PAGE_BYTES);
                None
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn wiped_word() -> Option<&'static AtomicU64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_here_where_it_was_made() {
        for mark in [
            Birthmark::new(),
            Birthmark::Numbered {
                process: std::process::id().into(),
                claimed: AtomicU64::new(0),
            },
        ] {
            assert!(mark.is_here());
        }
    }

    #[test]
    fn in_a_child_the_first_who_asks_has_it() {
        let wiped = Birthmark::new();
        if let Birthmark::Wiped(word) = &wiped {
            // What the kernel does.
            word.store(0, Ordering::Release);
        }
        let numbered = Birthmark::Numbered {
            process: 0,
            claimed: AtomicU64::new(0),
        };
        for mark in [numbered, wiped] {
            assert!(matches!(mark, Birthmark::Numbered { .. }) || !mark.is_here());
            assert!(!mark.is_here());
            assert!(mark.claim());
            assert!(!mark.claim());
            assert!(!mark.is_here());
        }
    }
}
