//! Points at which a test may kill the process. Outside of this crate's tests they are nothing.

/// A step is done; a kill here must cost nothing.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn point() {}

#[cfg(test)]
pub(crate) use testing::{kill_after, point};

#[cfg(test)]
mod testing {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    struct Killed;

    thread_local! {
        static STEPS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    pub(crate) fn point() {
        let left = STEPS_LEFT.get();
        STEPS_LEFT.set(left.map(|left| left.saturating_sub(1)));
        if left == Some(0) {
            STEPS_LEFT.set(None);
            // No hook runs, as none would.
            resume_unwind(Box::new(Killed));
        }
    }

    /// Runs something and ends it after so many steps; tells whether it came to that.
    pub(crate) fn kill_after(steps: u32, run: impl FnOnce()) -> bool {
        STEPS_LEFT.set(Some(steps));
        let ended = catch_unwind(AssertUnwindSafe(run));
        STEPS_LEFT.set(None);
        match ended {
            Ok(()) => false,
            Err(payload) if payload.is::<Killed>() => true,
            Err(payload) => resume_unwind(payload),
        }
    }
}
