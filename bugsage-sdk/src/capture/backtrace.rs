//! Takes return addresses, and nothing else: symbols are the shipping thread's work.

/// The most addresses that are taken; of a deeper stack, as of endless recursion, the inner end.
pub(crate) const ADDRESSES_MAX: usize = 128;

/// The return addresses of a thread, innermost first.
pub(crate) struct Addresses {
    taken: [usize; ADDRESSES_MAX],
    count: usize,
}

impl Addresses {
    /// Walks the calling thread's stack. Allocates nothing.
    #[inline(never)]
    pub(crate) fn take() -> Self {
        let mut addresses = Self {
            taken: [0; ADDRESSES_MAX],
            count: 0,
        };
        walk(|address| {
            // Stacks of threads may end in a frame that is nowhere.
            if address != 0 {
                addresses.taken[addresses.count] = address;
                addresses.count += 1;
            }
            addresses.count < ADDRESSES_MAX
        });
        addresses
    }

    /// Addresses that somebody else took, as many as there is room for.
    pub(crate) fn of(taken: impl Iterator<Item = usize>) -> Self {
        let mut addresses = Self {
            taken: [0; ADDRESSES_MAX],
            count: 0,
        };
        for (place, address) in addresses.taken.iter_mut().zip(taken) {
            *place = address;
            addresses.count += 1;
        }
        addresses
    }

    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.taken[..self.count]
    }
}

#[cfg(unix)]
fn walk(mut each: impl FnMut(usize) -> bool) {
    // SAFETY: the crate asks for its lock only because of `dbghelp` on Windows. On Unix the walk
    // goes through `_Unwind_Backtrace`, which may run on any number of threads at once. The safe
    // function would take the lock that symbolizing holds, and a panicking thread would wait.
    unsafe {
        backtrace::trace_unsynchronized(|frame| each(frame.ip() as usize));
    }
}

#[cfg(not(unix))]
fn walk(mut each: impl FnMut(usize) -> bool) {
    backtrace::trace(|frame| each(frame.ip() as usize));
}
