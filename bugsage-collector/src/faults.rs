//! What a fault of the program itself leaves behind.
//!
//! A panic's message may hold a piece of what was worked on, which must not reach a log. The log gets
//! the place; who contains the panic gets the message too.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

thread_local! {
    /// Where this thread has panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that was contained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The message and, once [`log_places`] was called, the place.
    pub reason: String,
}

/// From now on panics are logged by their place.
pub fn log_places() {
    panic::set_hook(Box::new(|panic| {
        let place = place(panic);
        let thread = std::thread::current();
        tracing::error!(
            place,
            thread = thread.name().unwrap_or("unnamed"),
            "a fault of the collector: please report it"
        );
        PLACE.set(Some(place));
    }));
}

fn place(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location();
    place.map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}

/// Runs a piece of work that must not take others along. What it has changed must be thrown away
/// where it fails.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = message(&*payload);
        let reason = match PLACE.take() {
            Some(place) => format!("{message}, at {place}"),
            None => message.to_owned(),
        };
        Fault { reason }
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let fixed = payload.downcast_ref::<&str>().copied();
    let built = || payload.downcast_ref::<String>().map(String::as_str);
    fixed.or_else(built).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contained_panic_tells_its_message() {
        assert_eq!(contained(|| 7), Ok(7));
        let built = contained(|| panic!("item {} is odd", 3)).unwrap_err();
        assert!(built.reason.starts_with("item 3 is odd"), "{built:?}");
        let other = contained(|| panic::panic_any(7)).unwrap_err();
        assert!(other.reason.starts_with("a panic without"), "{other:?}");
    }
}
