//! Errors and messages that the app hands over itself.

use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt::{self, Write};
use std::panic::Location;

use bugsage_core::event::{EventKind, Level};
use bugsage_core::id::EventId;
use bugsage_core::limits;

use super::backtrace::Addresses;
use super::{Sighting, capture, text_stack};
use crate::kinds::{Boxed, Lent, Plain};

/// Reports an error with all its sources and the stack of the caller.
///
/// Costs about what walking the stack costs, tens of microseconds, and never waits. Returns the
/// event's id, of an equal event that is on its way the same id; all zeros where nothing is
/// reported. Of a chain at most 16 errors are told, of each text 8 KiB, and 128 return addresses. A `Display`
/// or `source` that panics is contained, except under `panic = "abort"`.
///
/// ```
/// # fn load() -> Result<(), std::io::Error> { Ok(()) }
/// if let Err(error) = load() {
///     bugsage_sdk::capture_error(&error);
/// }
/// ```
#[track_caller]
pub fn capture_error<E: Error + ?Sized + 'static>(error: &E) -> EventId {
    capture_with(error, &Addresses::take(), "")
}

/// Reports an error as [`capture_error`] does, with the stack that was taken where the error was made.
///
/// std tells the addresses of a backtrace only after it has found all of its functions: the first call takes
/// tens of milliseconds, later ones some. Where no backtrace was taken, as without `RUST_BACKTRACE`, the
/// caller's stack stands for it.
///
/// ```
/// fn load() -> anyhow::Result<()> {
///     anyhow::bail!("the file is empty")
/// }
/// if let Err(error) = load() {
///     bugsage_sdk::capture_error_with_backtrace(&*error, error.backtrace());
/// }
/// ```
#[track_caller]
pub fn capture_error_with_backtrace<E: Error + ?Sized + 'static>(
    error: &E,
    backtrace: &Backtrace,
) -> EventId {
    let taken = text_stack::addresses(backtrace);
    capture_with(error, &taken.unwrap_or_else(Addresses::take), "")
}

#[track_caller]
fn capture_with<E: Error + ?Sized + 'static>(
    error: &E,
    addresses: &Addresses,
    stack: &str,
) -> EventId {
    let location = Location::caller();
    let errors = chain(std::any::type_name::<E>(), error);
    let message = errors.first().map_or("", |(_, message)| message);
    let id = capture(&Sighting {
        kind: EventKind::Error,
        level: Level::Error,
        message,
        errors: &errors,
        location: Some((location.file(), location.line(), location.column())),
        addresses: addresses.as_slice(),
        stack,
    });
    id.unwrap_or(NO_EVENT)
}

/// Reports the error of a `Result` in passing: `load()?` becomes `load().report()?`.
///
/// It is there for every error type, for `anyhow::Error`, `eyre::Report` and others that lend their error
/// as `dyn Error`, and for boxed errors. `Kind` tells these apart and is always inferred.
///
/// ```
/// use bugsage_sdk::ReportError as _;
///
/// fn amount(text: &str) -> Result<u64, std::num::ParseIntError> {
///     text.parse().report()
/// }
/// assert!(amount("many").is_err());
/// ```
pub trait ReportError<Kind> {
    /// Reports the error, where there is one, as [`capture_error`] does, and hands the `Result` on. The stack
    /// that an error of `anyhow` or `eyre` took where it was made, as `RUST_BACKTRACE=1` has it do, stands for
    /// the caller's. An `Ok` costs nothing.
    #[track_caller]
    fn report(self) -> Self;
}

impl<T, E: Error + 'static> ReportError<Plain> for Result<T, E> {
    #[track_caller]
    fn report(self) -> Self {
        if let Err(error) = &self {
            capture_error(error);
        }
        self
    }
}

impl<T, E: AsRef<dyn Error> + fmt::Debug> ReportError<Lent> for Result<T, E> {
    #[track_caller]
    fn report(self) -> Self {
        if let Err(error) = &self {
            let stack = text_stack::of_debug(error);
            capture_with(error.as_ref(), &Addresses::take(), &stack);
        }
        self
    }
}

impl<T> ReportError<Boxed> for Result<T, Box<dyn Error + Send + Sync>> {
    #[track_caller]
    fn report(self) -> Self {
        if let Err(error) = &self {
            capture_error(&**error);
        }
        self
    }
}

/// Reports a message at a level, with the place of the call but without a stack.
///
/// Costs about a microsecond and never waits. Returns the event's id; all zeros where nothing is
/// reported. The message is cut at 8 KiB. It becomes an event at any level, whatever
/// [`set_event_level`](crate::set_event_level) says.
///
/// ```
/// bugsage_sdk::capture_message(tracing::Level::WARN, "the cache is cold");
/// ```
#[track_caller]
pub fn capture_message(level: tracing::Level, message: &str) -> EventId {
    let location = Location::caller();
    let id = capture(&Sighting {
        kind: EventKind::Log,
        level: level_of(level),
        message,
        errors: &[],
        location: Some((location.file(), location.line(), location.column())),
        addresses: &[],
        stack: "",
    });
    id.unwrap_or(NO_EVENT)
}

const NO_EVENT: EventId = EventId::from_bytes([0; 16]);

pub(crate) fn level_of(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

/// Type and text of an error and its sources, outermost first. A chain that runs in a circle ends
/// at the limit.
pub(crate) fn chain<E: Error + ?Sized>(type_name: &str, error: &E) -> Vec<(String, String)> {
    let outermost =
        if type_name.starts_with("dyn ") || type_name.starts_with("alloc::boxed::Box<dyn") {
            debug_name(error)
        } else {
            type_name.to_owned()
        };
    let mut errors = vec![(outermost, bounded(error))];
    let mut source = contained(|| error.source()).flatten();
    while let Some(error) = source
        && errors.len() < limits::ERRORS_MAX
    {
        errors.push((debug_name(error), bounded(error)));
        source = contained(|| error.source()).flatten();
    }
    errors
}

fn bounded<E: fmt::Display + ?Sized>(error: &E) -> String {
    format_bounded(limits::MESSAGE_BYTES_MAX, format_args!("{error}"))
}

/// The name that an error's `Debug` text begins with: the type's, or the variant's.
fn debug_name<E: fmt::Debug + ?Sized>(error: &E) -> String {
    let text = format_bounded(limits::NAME_BYTES_MAX, format_args!("{error:?}"));
    let name = text
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        .next();
    name.filter(|name| name.starts_with(char::is_alphabetic))
        .unwrap_or("")
        .to_owned()
}

/// Formats at most `bytes_max` bytes. A `Display` or `Debug` of the app that panics is contained.
pub(crate) fn format_bounded(bytes_max: usize, arguments: fmt::Arguments<'_>) -> String {
    struct Bounded {
        text: String,
        bytes_max: usize,
    }
    impl Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = self.bytes_max - self.text.len();
            if text.len() <= room {
                self.text.push_str(text);
                return Ok(());
            }
            self.text.push_str(&text[..text.floor_char_boundary(room)]);
            // Ends the formatting: what follows would be thrown away.
            Err(fmt::Error)
        }
    }
    let mut bounded = Bounded {
        text: String::new(),
        bytes_max,
    };
    let whole = contained(|| bounded.write_fmt(arguments).is_ok());
    match whole {
        Some(true) => {}
        Some(false) => bounded.text.push_str(limits::CUT),
        None => bounded.text.push_str("<its text panicked>"),
    }
    bounded.text
}

/// Runs code of the app that must not take us along when it panics. Under `panic = "abort"`
/// nothing can be contained.
pub(crate) fn contained<T>(run: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot read the amount")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_chain_names_every_error() {
        let error = Outer("x".parse::<u8>().expect_err("x is no number"));

        let errors = chain(std::any::type_name::<Outer>(), &error);

        assert!(errors[0].0.ends_with("::Outer"), "{errors:?}");
        assert_eq!(errors[0].1, "cannot read the amount");
        assert_eq!(
            errors[1],
            (
                "ParseIntError".to_owned(),
                "invalid digit found in string".to_owned()
            )
        );
    }

    #[test]
    fn a_chain_in_a_circle_ends() {
        #[derive(Debug)]
        struct Circle;
        impl fmt::Display for Circle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("again")
            }
        }
        impl Error for Circle {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }

        assert_eq!(chain("Circle", &Circle).len(), limits::ERRORS_MAX);
    }

    #[test]
    fn an_endless_text_is_cut() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("endless ")?;
                }
            }
        }

        let text = format_bounded(100, format_args!("{Endless}"));

        assert_eq!(text.len(), 100 + limits::CUT.len());
    }
}
