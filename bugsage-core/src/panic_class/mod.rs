//! Tells from a panic's message what kind of mistake raised it.
//!
//! The standard library's messages are its only account of a panic, so each class stands for exact
//! wordings, old and new, with the numbers that they carry. A wording must match from the first
//! byte, with numbers where numbers belong: an app may say "index out of bounds" in its own words,
//! and that is [`PanicClass::Custom`]. A wrong class would send a reader, and later a fix, astray;
//! "custom" only says that the source must be asked.

mod messages;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::messages::SHAPES;
use self::shape::{comparison, failed_unwrap, fit, fixed, overflowed_stack};

macro_rules! panic_classes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The kind of mistake behind a panic, as its message tells it.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PanicClass {
            $($(#[$doc])* $variant,)*
        }

        impl PanicClass {
            /// Every class there is.
            pub const ALL: &'static [PanicClass] = &[$(PanicClass::$variant,)*];

            /// The class's name in JSON, SQL and fingerprints.
            pub fn as_str(self) -> &'static str {
                match self { $(PanicClass::$variant => $name,)* }
            }
        }
    };
}

panic_classes! {
    /// `index out of bounds: the len is 3 but the index is 7`: a slice, an array or a `Vec`.
    IndexOutOfBounds = "index_out_of_bounds",
    /// `Out of bounds access`, `` `at` out of bounds ``, `index out of bounds`: a `VecDeque`.
    DequeIndex = "deque_index",
    /// `no entry found for key`: a map indexed by a key that it does not hold.
    KeyNotFound = "key_not_found",
    /// `range end index 9 out of range for slice of length 4`, `slice index starts at 3 but ends at 2`.
    SliceRange = "slice_range",
    /// `end byte index 2 is not a char boundary; …`: a string cut inside a character.
    NotCharBoundary = "not_char_boundary",
    /// `end byte index 9 is out of bounds of …`: a string cut behind its end.
    StrOutOfBounds = "str_out_of_bounds",
    /// `begin > end (2 > 1) when slicing …`: a string cut by a reversed range.
    StrRangeReversed = "str_range_reversed",
    /// `cannot remove a char from the end of a string`.
    StringRemove = "string_remove",
    /// `` called `Option::unwrap()` on a `None` value ``.
    UnwrapNone = "unwrap_none",
    /// `` called `Result::unwrap()` on an `Err` value: … ``.
    UnwrapErr = "unwrap_err",
    /// `` called `Result::unwrap_err()` on an `Ok` value: … ``.
    UnwrapOk = "unwrap_ok",
    /// `expect("…")` on `None` or `Err`. Its text is the app's own: only the source can tell.
    Expect = "expect",
    /// `attempt to subtract with overflow` and its like; the value `operation` names which.
    ArithmeticOverflow = "arithmetic_overflow",
    /// `attempt to divide by zero`, also as a remainder or of a duration.
    DivideByZero = "divide_by_zero",
    /// `argument of integer logarithm must be positive`, `… square root cannot be negative`.
    MathDomain = "math_domain",
    /// `min > max. min = 5, max = 1`: `clamp` with reversed bounds.
    ClampBounds = "clamp_bounds",
    /// `RefCell already borrowed`, `already mutably borrowed: BorrowError`.
    RefcellBorrow = "refcell_borrow",
    /// `explicit panic`: `panic!()` without words.
    ExplicitPanic = "explicit_panic",
    /// `not yet implemented`: `todo!`.
    Todo = "todo",
    /// `not implemented`: `unimplemented!`.
    Unimplemented = "unimplemented",
    /// `internal error: entered unreachable code`: `unreachable!`.
    Unreachable = "unreachable",
    /// `assertion failed: …`, `` assertion `left == right` failed ``.
    Assertion = "assertion",
    /// `capacity overflow`: a collection asked for more than an address space holds.
    CapacityOverflow = "capacity_overflow",
    /// `memory allocation of 4096 bytes failed`.
    AllocationFailure = "allocation_failure",
    /// `overflow when subtracting durations` and its like: a time before the first or after the last.
    TimeOverflow = "time_overflow",
    /// `cannot convert float seconds to Duration: value is negative`.
    DurationFromFloat = "duration_from_float",
    /// `PoisonError { .. }`, `LazyLock instance has previously been poisoned`: an earlier panic's echo.
    Poison = "poison",
    /// `reentrant init`: a once-cell that needs itself.
    ReentrantInit = "reentrant_init",
    /// `SendError { .. }`, `RecvError`: the other end of a channel is gone or full.
    Channel = "channel",
    /// `Any { .. }`, `a scoped thread panicked`: the echo of a panic in another thread or task.
    Join = "join",
    /// `copy_from_slice: source slice length (1) does not match destination slice length (2)`.
    CopyLength = "copy_length",
    /// `chunk size must be non-zero`, `assertion failed: step != 0`.
    ZeroSize = "zero_size",
    /// `to_digit: invalid radix …`.
    Radix = "radix",
    /// `removal index (is 3) should be < len (is 1)`, `mid > len`: a `Vec` changed at a place it lacks.
    VecIndex = "vec_index",
    /// `range start is greater than range end in BTreeMap`.
    BtreeRange = "btree_range",
    /// `user-provided comparison function does not correctly implement a total order`.
    SortOrder = "sort_order",
    /// `` `async fn` resumed after completion ``: a future polled once too often.
    PolledAfterCompletion = "polled_after_completion",
    /// `failed to spawn thread: …`, `thread name may not contain interior null bytes`.
    ThreadSpawn = "thread_spawn",
    /// `cannot access a Thread Local Storage value during or after destruction`.
    TlsAccess = "tls_access",
    /// `failed printing to stdout: …`.
    PrintFailed = "print_failed",
    /// `a Display implementation returned an error unexpectedly`.
    FormatError = "format_error",
    /// `there is no such thing as a release load`: an ordering that the operation does not know.
    AtomicOrdering = "atomic_ordering",
    /// `there is no reactor running, must be called from the context of a Tokio 1.x runtime`.
    TokioNoReactor = "tokio_no_reactor",
    /// `Cannot start a runtime from within a runtime`.
    TokioNestedRuntime = "tokio_nested_runtime",
    /// `Cannot block the current thread from within a runtime` and its like.
    TokioBlocking = "tokio_blocking",
    /// `A Tokio 1.x context was found, but timers are disabled`.
    TokioDriverDisabled = "tokio_driver_disabled",
    /// `A Tokio 1.x context was found, but it is being shutdown`.
    TokioShutdown = "tokio_shutdown",
    /// `` `spawn_local` called from outside of a `task::LocalSet` ``.
    TokioLocalSet = "tokio_local_set",
    /// `OS can't spawn worker thread: …`.
    TokioWorkerSpawn = "tokio_worker_spawn",
    /// `thread 'main' has overflowed its stack`.
    StackOverflow = "stack_overflow",
    /// `unsafe precondition(s) violated: …`.
    UnsafePrecondition = "unsafe_precondition",
    /// `misaligned pointer dereference: …`.
    MisalignedPointer = "misaligned_pointer",
    /// `null pointer dereference occurred`.
    NullPointer = "null_pointer",
    /// `trying to construct an enum from an invalid value 0x7`.
    InvalidEnum = "invalid_enum",
    /// `panic in a function that cannot unwind`.
    CannotUnwind = "cannot_unwind",
    /// `panic in a destructor during cleanup`.
    PanicInCleanup = "panic_in_cleanup",
    /// `Box<dyn Any>`: a payload that is no text.
    NonString = "non_string",
    /// Anything else: the app's own words.
    Custom = "custom",
}

impl PanicClass {
    /// Whether such a panic is only the echo of an earlier one, which is the one to mend.
    pub fn is_secondary(self) -> bool {
        use PanicClass::{CannotUnwind, Join, PanicInCleanup, Poison};
        matches!(self, Poison | Join | CannotUnwind | PanicInCleanup)
    }
}

impl fmt::Display for PanicClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PanicClass {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        let known = Self::ALL.iter().find(|class| class.as_str() == name);
        known.copied().ok_or(UnknownClass)
    }
}

impl Serialize for PanicClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PanicClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

/// The name is not one of [`PanicClass::ALL`]; a newer version may have written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a panic class of this version")]
pub struct UnknownClass;

/// What a message says: its class, and the values that it carries, by name.
///
/// Numbers are called `len`, `index`, `start`, `end`, `left_len`, `right_len` or `bytes`; `err`,
/// `ok`, `left`, `right`, `note`, `text` and `expression` are text as the app printed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified<'a> {
    /// The kind of mistake.
    pub class: PanicClass,
    /// Names and values in the order in which the message has them.
    pub values: Vec<(&'static str, &'a str)>,
}

impl<'a> Classified<'a> {
    fn new(class: PanicClass) -> Self {
        Classified {
            class,
            values: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: &'a str) -> Self {
        self.values.push((name, value));
        self
    }

    /// The value of that name, where the message has it.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.values
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    /// The value of that name as a number, where it is one.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }
}

/// Tells what kind of mistake a panic's message stands for. Takes time linear in its length.
pub fn classify(message: &str) -> Classified<'_> {
    fixed(message)
        .or_else(|| {
            SHAPES
                .iter()
                .find_map(|(shape, class)| fit(message, shape, *class))
        })
        .or_else(|| comparison(message))
        .or_else(|| {
            fit(
                message,
                "assertion failed: {expression:text}",
                PanicClass::Assertion,
            )
        })
        .or_else(|| failed_unwrap(message))
        .or_else(|| overflowed_stack(message))
        .unwrap_or_else(|| Classified::new(PanicClass::Custom))
}
