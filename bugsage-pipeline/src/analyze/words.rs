//! What the standard library's calls mean when they give nothing, and what its errors mean.

use bugsage_core::panic_class::PanicClass;

/// Why a method of the standard library gave `None`, for the receiver and the first argument as the
/// source writes them. Methods that anybody may define are not in the list.
pub(crate) fn why_none(method: &str, receiver: &str, argument: Option<&str>) -> Option<String> {
    let argument = argument.unwrap_or("it");
    Some(match method {
        "get" | "get_mut" => format!("`{receiver}` has nothing at `{argument}`"),
        "remove" => format!("`{receiver}` has no `{argument}` to remove"),
        "first" | "last" | "first_mut" | "last_mut" | "split_first" | "split_last"
        | "first_key_value" | "last_key_value" => format!("`{receiver}` is empty"),
        "pop" | "pop_front" | "pop_back" | "pop_first" | "pop_last" | "front" | "back" | "peek" => {
            format!("`{receiver}` has no element left")
        }
        "next" | "next_back" | "nth" => format!("`{receiver}` has no further item"),
        "max" | "min" | "max_by" | "min_by" | "max_by_key" | "min_by_key" | "reduce" => {
            format!("`{receiver}` yields no item")
        }
        "find" | "position" | "rposition" | "find_map" | "rfind" => {
            format!("nothing in `{receiver}` matches `{argument}`")
        }
        "split_once" | "rsplit_once" => format!("`{receiver}` does not contain `{argument}`"),
        "strip_prefix" => format!("`{receiver}` does not begin with `{argument}`"),
        "strip_suffix" => format!("`{receiver}` does not end with `{argument}`"),
        "partial_cmp" => format!("`{receiver}` and `{argument}` have no order; one of them is NaN"),
        "to_str" => format!("`{receiver}` is not valid UTF-8"),
        "to_digit" => format!("`{receiver}` is not a digit"),
        "parent" => format!("`{receiver}` has no parent"),
        "file_name" | "file_stem" | "extension" => {
            format!("`{receiver}` has no {}", method.replace('_', " "))
        }
        "upgrade" => format!("what `{receiver}` pointed to was dropped"),
        "ok" => format!("`{receiver}` is an error, which `ok` threw away"),
        "err" => format!("`{receiver}` is no error"),
        "take" => format!("`{receiver}` was already taken"),
        "checked_add" | "checked_mul" | "checked_pow" => {
            format!("`{receiver}` and `{argument}` give more than the type holds")
        }
        "checked_sub" => format!("`{argument}` is more than `{receiver}`"),
        "checked_div" | "checked_rem" => format!("`{argument}` is 0"),
        _ => return None,
    })
}

/// What an error of the standard library means, by its type and kind.
pub(crate) fn why_err(err_type: &str, err_kind: Option<&str>) -> Option<&'static str> {
    Some(match (err_type, err_kind) {
        ("ParseIntError", Some("Empty")) => "the text is empty",
        ("ParseIntError", Some("InvalidDigit")) => "the text holds something that is no digit",
        ("ParseIntError", Some("PosOverflow")) => "the number is larger than its type holds",
        ("ParseIntError", Some("NegOverflow")) => "the number is smaller than its type holds",
        ("ParseIntError", Some("Zero")) => "the number is zero, which its type excludes",
        ("ParseFloatError", Some("Empty")) => "the text is empty",
        ("ParseFloatError", _) => "the text is no number",
        ("ParseBoolError", _) => "the text is neither `true` nor `false`",
        ("CharTryFromError" | "ParseCharError" | "CharErrorKind", _) => "it is not one character",
        ("AddrParseError", _) => "the text is no network address",
        ("Utf8Error" | "FromUtf8Error" | "FromUtf16Error", _) => "the bytes are not valid text",
        ("NulError", _) => "the text holds a NUL byte",
        ("TryFromIntError", _) => "the number does not fit the smaller type",
        ("TryFromSliceError", _) => "the slice has another length than the array",
        ("TryReserveError" | "LayoutError", _) => "more memory was asked for than there can be",
        ("NotPresent", _) => "the environment variable is not set",
        ("NotUnicode", _) => "the environment variable is not valid text",
        ("SystemTimeError", _) => "the clock went back",
        ("Os", Some("NotFound")) => "the file or folder does not exist",
        ("Os", Some("PermissionDenied")) => "the process may not do that",
        ("Os", Some("AlreadyExists")) => "it exists already",
        ("Os", Some("ConnectionRefused")) => "nobody listens at that address",
        ("Os", Some("ConnectionReset" | "BrokenPipe")) => "the other side closed the connection",
        ("Os", Some("AddrInUse")) => "the address is already in use",
        ("Os", Some("TimedOut")) => "it took too long",
        ("Os", Some("StorageFull")) => "the disk is full",
        ("Error", _) => return None,
        _ => return None,
    })
}

/// What a class means where no expression tells more.
pub(crate) fn meaning(class: PanicClass) -> &'static str {
    use PanicClass::*;
    match class {
        IndexOutOfBounds | DequeIndex => {
            "An element is asked for that the collection does not have."
        }
        KeyNotFound => "A map is indexed by a key that it does not hold.",
        SliceRange => "A range reaches outside of a slice, or is reversed.",
        NotCharBoundary => {
            "A string is cut inside a character: byte offsets are no character counts."
        }
        StrOutOfBounds => "A string is cut behind its end.",
        StrRangeReversed => "A string is cut by a range that ends before it starts.",
        StringRemove => "A character is removed at the end of a string, where there is none.",
        UnwrapNone => "A value is taken for granted that was `None`.",
        UnwrapErr => "A success is taken for granted that was an error.",
        UnwrapOk => "An error is taken for granted that was a success.",
        Expect => "A value is taken for granted that was not there.",
        ArithmeticOverflow => "The result of a calculation does not fit its type.",
        DivideByZero => "A divisor is zero.",
        MathDomain => "A function is asked for a value that it does not have.",
        ClampBounds => "The bounds of a `clamp` are reversed, or one of them is NaN.",
        RefcellBorrow => "A `RefCell` is borrowed while another borrow of it is alive.",
        ExplicitPanic => "The code panics on purpose.",
        Todo => "The code was never written.",
        Unimplemented => "The case is not implemented.",
        Unreachable => "A place is reached that the code calls unreachable.",
        Assertion => "A condition that the code relies on does not hold.",
        CapacityOverflow | AllocationFailure => "More memory is asked for than there can be.",
        TimeOverflow => "A time lies before the first or after the last that its type holds.",
        DurationFromFloat => "A duration is made from a number that is negative, too large or NaN.",
        Poison => {
            "An earlier panic, while a lock was held, poisoned it. That panic is the one to mend."
        }
        Join => {
            "Another thread or task panicked, and this one waited for it. That panic is the one to mend."
        }
        ReentrantInit => "A value needs itself while it is made.",
        Channel => "The other end of a channel is gone, or the channel is full.",
        CopyLength => "Two slices that must be equally long are not.",
        ZeroSize => "A size or a step is zero.",
        Radix => "A radix is outside of 2 to 36.",
        VecIndex => "A place is named that the collection does not have.",
        BtreeRange => "A range of a sorted map ends before it starts.",
        SortOrder => "A comparison contradicts itself, so nothing can be sorted by it.",
        PolledAfterCompletion => "A future is polled after it has given its result.",
        ThreadSpawn => "The system gave no new thread.",
        TlsAccess => "A thread-local value is used after its thread has let it go.",
        PrintFailed => "Standard output is closed.",
        FormatError => "A formatting implementation returned an error of its own.",
        AtomicOrdering => "An atomic operation is given an ordering that it does not know.",
        TokioNoReactor => "Something that needs a tokio runtime is used outside of one.",
        TokioNestedRuntime => "A runtime is started from within a runtime.",
        TokioBlocking => "A thread that drives asynchronous tasks is blocked.",
        TokioDriverDisabled => "The runtime was built without the timers or the I/O that are used.",
        TokioShutdown => "The runtime is already shutting down.",
        TokioLocalSet => "A local task is spawned outside of a local set.",
        TokioWorkerSpawn => "The system gave the runtime no thread.",
        StackOverflow => "The stack ran out; something calls itself without an end.",
        UnsafePrecondition | MisalignedPointer | NullPointer | InvalidEnum => {
            "Unsafe code broke a rule that it must keep."
        }
        CannotUnwind => {
            "A panic reached a function that cannot unwind. The first panic is the one to mend."
        }
        PanicInCleanup => {
            "A destructor panicked during a panic. The first panic is the one to mend."
        }
        _ => "The app panicked in its own words.",
    }
}
