//! Every message once, near misses, and the messages of the toolchain that runs the tests.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::PanicClass::*;
use super::messages::FIXED;
use super::*;

/// A message, its class, and its values as `name=value`.
type Row = (&'static str, PanicClass, &'static [&'static str]);

fn check(message: &str, class: PanicClass, values: &[&str]) {
    let classified = classify(message);

    let found: Vec<_> = classified
        .values
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(classified.class, class, "{message}");
    assert_eq!(found, values, "{message}");
}

#[test]
fn messages_with_values_are_known_in_old_and_new_words() {
    const ROWS: &[Row] = &[
        (
            "index out of bounds: the len is 3 but the index is 7",
            IndexOutOfBounds,
            &["len=3", "index=7"],
        ),
        (
            "range start index 3 out of range for slice of length 1",
            SliceRange,
            &["start=3", "len=1"],
        ),
        (
            "range end index 18446744073709551615 out of range for slice of length 4",
            SliceRange,
            &["end=18446744073709551615", "len=4"],
        ),
        (
            "slice index starts at 3 but ends at 2",
            SliceRange,
            &["start=3", "end=2"],
        ),
        (
            "end byte index 2 is not a char boundary; it is inside 'é' (bytes 1..3) of `aé\nb`",
            NotCharBoundary,
            &[
                "end=2",
                "char='é'",
                "char_start=1",
                "char_end=3",
                "text=aé\nb`",
            ],
        ),
        (
            "start byte index 2 is not a char boundary; it is inside '\\u{301}' (bytes 1..3) of `a`[...]",
            NotCharBoundary,
            &[
                "start=2",
                "char='\\u{301}'",
                "char_start=1",
                "char_end=3",
                "text=a`[...]",
            ],
        ),
        (
            "byte index 2 is not a char boundary; it is inside '\u{2019}' (bytes 1..4) of `a`",
            NotCharBoundary,
            &[
                "index=2",
                "char='\u{2019}'",
                "char_start=1",
                "char_end=4",
                "text=a`",
            ],
        ),
        (
            "start byte index 9 is out of bounds of `abc`",
            StrOutOfBounds,
            &["start=9", "text=abc`"],
        ),
        (
            "end byte index 9 is out of bounds of `abc`",
            StrOutOfBounds,
            &["end=9", "text=abc`"],
        ),
        (
            "byte index 9 is out of bounds of ``",
            StrOutOfBounds,
            &["index=9", "text=`"],
        ),
        (
            "begin > end (2 > 1) when slicing `abc`",
            StrRangeReversed,
            &["start=2", "end=1", "text=abc`"],
        ),
        (
            "begin <= end (2 <= 1) when slicing `abc`",
            StrRangeReversed,
            &["start=2", "end=1", "text=abc`"],
        ),
        (
            "min > max. min = 5, max = -1",
            ClampBounds,
            &["min=5", "max=-1"],
        ),
        (
            "min > max, or either was NaN. min = NaN, max = 1.0",
            ClampBounds,
            &["min=NaN", "max=1.0"],
        ),
        ("not yet implemented: refunds", Todo, &["note=refunds"]),
        ("not implemented: refunds", Unimplemented, &["note=refunds"]),
        (
            "internal error: entered unreachable code: state 4",
            Unreachable,
            &["note=state 4"],
        ),
        (
            "assertion failed: total > 0",
            Assertion,
            &["expression=total > 0"],
        ),
        (
            "assertion `left == right` failed\n  left: 1\n right: 2",
            Assertion,
            &["operator===", "left=1", "right=2"],
        ),
        (
            "assertion `left != right` failed: two\nlines\n  left: \"a\\nb\"\n right: \"a\\nb\"",
            Assertion,
            &[
                "operator=!=",
                "left=\"a\\nb\"",
                "right=\"a\\nb\"",
                "note=two\nlines",
            ],
        ),
        (
            "assertion `left matches right` failed\n  left: 1\n right: Some(_)",
            Assertion,
            &["operator=matches", "left=1", "right=Some(_)"],
        ),
        (
            "assertion failed: `(left == right)`\n  left: `1`,\n right: `2`",
            Assertion,
            &["operator===", "left=1", "right=2"],
        ),
        (
            "assertion failed: `(left != right)`\n  left: `1`,\n right: `1`: same",
            Assertion,
            &["operator=!=", "left=1", "right=1", "note=same"],
        ),
        (
            "memory allocation of 4096 bytes failed",
            AllocationFailure,
            &["bytes=4096"],
        ),
        (
            "cannot convert float seconds to Duration: value is negative",
            DurationFromFloat,
            &["note=value is negative"],
        ),
        (
            "cannot convert float seconds to Duration: value is either too big or NaN",
            DurationFromFloat,
            &["note=value is either too big or NaN"],
        ),
        (
            "copy_from_slice: source slice length (1) does not match destination slice length (2)",
            CopyLength,
            &["right_len=1", "left_len=2"],
        ),
        (
            "source slice length (1) does not match destination slice length (2)",
            CopyLength,
            &["right_len=1", "left_len=2"],
        ),
        (
            "clone_from_slice: source slice length (1) does not match destination slice length (2)",
            CopyLength,
            &["right_len=1", "left_len=2"],
        ),
        (
            "from_ascii_radix: radix must lie in the range `[2, 36]` - found 40",
            Radix,
            &["radix=40"],
        ),
        (
            "removal index (is 3) should be < len (is 1)",
            VecIndex,
            &["index=3", "len=1"],
        ),
        (
            "insertion index (is 3) should be <= len (is 1)",
            VecIndex,
            &["index=3", "len=1"],
        ),
        (
            "swap_remove index (is 3) should be < len (is 1)",
            VecIndex,
            &["index=3", "len=1"],
        ),
        (
            "`at` split index (is 3) should be <= len (is 1)",
            VecIndex,
            &["index=3", "len=1"],
        ),
        (
            "partition_at_index index 3 greater than length of slice 1",
            VecIndex,
            &["index=3", "len=1"],
        ),
        (
            "thread name may not contain interior null bytes: NulError(1, [97, 0])",
            ThreadSpawn,
            &["err=NulError(1, [97, 0])"],
        ),
        (
            "failed to spawn thread: Os { code: 11 }",
            ThreadSpawn,
            &["err=Os { code: 11 }"],
        ),
        (
            "cannot access a Thread Local Storage value during or after destruction: AccessError",
            TlsAccess,
            &["err=AccessError"],
        ),
        (
            "failed printing to stdout: Broken pipe (os error 32)",
            PrintFailed,
            &["err=Broken pipe (os error 32)"],
        ),
        (
            "a Display implementation returned an error unexpectedly: Error",
            FormatError,
            &["err=Error"],
        ),
        (
            "Cannot start a runtime from within a runtime. This happens because a function",
            TokioNestedRuntime,
            &["note=This happens because a function"],
        ),
        (
            "Cannot block the current thread from within a runtime. This happens",
            TokioBlocking,
            &["note=This happens"],
        ),
        (
            "Cannot drop a runtime in a context where blocking is not allowed. This happens",
            TokioBlocking,
            &["note=This happens"],
        ),
        (
            "A Tokio 1.x context was found, but timers are disabled. Call `enable_time`",
            TokioDriverDisabled,
            &["note=Call `enable_time`"],
        ),
        (
            "A Tokio 1.x context was found, but IO is disabled. Call `enable_io`",
            TokioDriverDisabled,
            &["note=Call `enable_io`"],
        ),
        (
            "`spawn_local` called from outside of a `task::LocalSet` or `runtime::LocalRuntime`",
            TokioLocalSet,
            &["note=` or `runtime::LocalRuntime`"],
        ),
        (
            "OS can't spawn worker thread: EAGAIN",
            TokioWorkerSpawn,
            &["err=EAGAIN"],
        ),
        (
            "thread 'main' (4711) has overflowed its stack",
            StackOverflow,
            &["thread=main"],
        ),
        (
            "thread 'main' has overflowed its stack\nfatal runtime error: stack overflow, aborting",
            StackOverflow,
            &["thread=main"],
        ),
        (
            "unsafe precondition(s) violated: slice::get_unchecked requires",
            UnsafePrecondition,
            &["note=slice::get_unchecked requires"],
        ),
        (
            "misaligned pointer dereference: address must be a multiple of 0x8 but is 0x7ffd1",
            MisalignedPointer,
            &["align=0x8", "address=0x7ffd1"],
        ),
        (
            "trying to construct an enum from an invalid value 0x7",
            InvalidEnum,
            &["value=0x7"],
        ),
    ];
    for (message, class, values) in ROWS {
        check(message, *class, values);
    }
}

#[test]
fn errors_that_were_unwrapped_tell_their_type_and_kind() {
    const ROWS: &[Row] = &[
        ("\"a\\nb\"", UnwrapErr, &[]),
        ("[1]", UnwrapErr, &[]),
        ("Timeout", UnwrapErr, &["err_type=Timeout"]),
        ("Empty", UnwrapErr, &["err_type=Empty"]),
        (
            "ParseIntError { kind: InvalidDigit }",
            UnwrapErr,
            &["err_type=ParseIntError", "err_kind=InvalidDigit"],
        ),
        (
            "ParseFloatError { kind: Invalid }",
            UnwrapErr,
            &["err_type=ParseFloatError", "err_kind=Invalid"],
        ),
        (
            "Utf8Error { valid_up_to: 0, error_len: Some(1) }",
            UnwrapErr,
            &["err_type=Utf8Error"],
        ),
        (
            "TryFromIntError(())",
            UnwrapErr,
            &["err_type=TryFromIntError"],
        ),
        ("NotPresent", UnwrapErr, &["err_type=NotPresent"]),
        (
            "Os { code: 2, kind: NotFound, message: \"No such file\" }",
            UnwrapErr,
            &["err_type=Os", "err_kind=NotFound"],
        ),
        (
            "Custom { kind: Other, error: \"boo\" }",
            UnwrapErr,
            &["err_type=Custom", "err_kind=Other"],
        ),
        ("PoisonError { .. }", Poison, &["err_type=PoisonError"]),
        ("\"PoisonError { inner: .. }\"", Poison, &[]),
        ("SendError { .. }", Channel, &["err_type=SendError"]),
        ("\"SendError(..)\"", Channel, &[]),
        ("TrySendError::Full(..)", Channel, &[]),
        ("RecvError", Channel, &["err_type=RecvError"]),
        ("Any { .. }", Join, &["err_type=Any"]),
        ("JoinError::Panic(Id(7), \"boo\", ...)", Join, &[]),
    ];
    for (err, class, values) in ROWS {
        let message = format!("called `Result::unwrap()` on an `Err` value: {err}");
        let err = format!("err={err}");
        let values: Vec<&str> = std::iter::once(err.as_str())
            .chain(values.iter().copied())
            .collect();
        check(&message, *class, &values);
    }
    check(
        "called `Result::unwrap_err()` on an `Ok` value: 3",
        UnwrapOk,
        &["ok=3"],
    );
}

#[test]
fn messages_without_values_are_known() {
    for (message, class, operation) in FIXED {
        let operation = format!("operation={operation}");
        let values = if operation.ends_with('=') {
            vec![]
        } else {
            vec![operation.as_str()]
        };
        check(message, *class, &values);
    }
}

#[test]
fn no_message_stands_twice_in_the_table() {
    let mut texts: Vec<_> = FIXED.iter().map(|(text, ..)| *text).collect();
    texts.sort_unstable();

    assert!(texts.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn words_that_only_resemble_a_message_are_custom() {
    for message in [
        "",
        "index out of bounds: my own words",
        "index out of bounds: the len is many but the index is 7",
        "index out of bounds: the len is 3 but the index is 7, sorry",
        "order 17: index out of bounds: the len is 3 but the index is 7",
        "Index out of bounds",
        "range end index -1 out of range for slice of length 4",
        "slice index starts at 3",
        "byte index 2 is not a char boundary",
        "end byte index 2 is not a char boundary; it is inside é (bytes 1..3) of `aé`",
        "end byte index 9 is out of bounds of abc",
        "begin > end when slicing",
        "called `Option::unwrap()` on a `None` value!",
        "called `Option::expect()` on a `None` value",
        "attempt to add with overflow in ledger",
        "attempt to divide by zero customers",
        "RefCell already borrowed by the cart",
        "already borrowed: by the cart",
        "not implementedyet",
        "not yet implemented:",
        "internal error",
        "assertion failed",
        "assertion `left ~ right` failed\n  left: 1\n right: 2",
        "assertion `left == right` failed",
        "removal index (is x) should be < len (is 1)",
        "capacity overflow of the warehouse",
        "memory allocation of many bytes failed",
        "thread 'main' has overflowed its stack of orders",
        "thread 'main' (x) has overflowed its stack",
        "PoisonError { .. }",
        "min > max. min = low, max = high",
        "explicit panic\n",
        "hi: ParseIntError { kind: InvalidDigit }",
    ] {
        check(message, Custom, &[]);
    }
}

#[test]
fn a_class_survives_its_name() {
    for class in PanicClass::ALL {
        assert_eq!(class.as_str().parse(), Ok(*class));
        let json = serde_json::to_string(class).unwrap();
        assert_eq!(serde_json::from_str::<PanicClass>(&json).unwrap(), *class);
    }
    assert_eq!("no such class".parse::<PanicClass>(), Err(UnknownClass));
}

fn message_of(panics: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
    }
}

/// Runs each body, which panics, and compares the class of the message that this toolchain gave it.
macro_rules! provoke {
    ($($class:ident: $body:expr;)*) => {
        $({
            let message = message_of(|| { let _ = black_box($body); });
            assert_eq!(classify(&message).class, $class, "{}: {message}", stringify!($body));
        })*
    };
}

#[test]
fn the_running_toolchain_words_its_panics_as_the_table_says() {
    let four = black_box(4);
    provoke! {
        IndexOutOfBounds: vec![1][four];
        IndexOutOfBounds: [1, 2].swap(0, four);
        DequeIndex: VecDeque::<i32>::new()[four];
        DequeIndex: VecDeque::new().insert(four, 1);
        KeyNotFound: HashMap::<usize, i32>::new()[&four];
        KeyNotFound: BTreeMap::<usize, i32>::new()[&four];
        SliceRange: [1, 2][four..].len();
        SliceRange: [1, 2][..four].len();
        SliceRange: [1, 2, 3, 4, 5][four..1].len();
        SliceRange: vec![1].drain(four..).len();
        NotCharBoundary: "aé"[..four - 2].len();
        NotCharBoundary: String::from("é").insert(four - 3, 'x');
        NotCharBoundary: String::from("é").replace_range(..four - 3, "");
        StrOutOfBounds: "abc"[..=four].len();
        StrRangeReversed: "abcdef"[four..1].len();
        StringRemove: String::new().remove(four - 4);
        UnwrapNone: [1].get(four).unwrap();
        UnwrapErr: "x".parse::<i32>().unwrap();
        UnwrapOk: "1".parse::<i32>().unwrap_err();
        Custom: [1].get(four).expect("four items");
        ArithmeticOverflow: usize::MAX.strict_add(four);
        ArithmeticOverflow: 1usize.strict_shl(four as u32 * 99);
        DivideByZero: 1 / (four - 4);
        DivideByZero: 1 % (four - 4);
        DivideByZero: Duration::from_secs(1) / (four as u32 - 4);
        MathDomain: (four - 4).ilog2();
        ClampBounds: four.clamp(3, 2);
        RefcellBorrow: { let cell = std::cell::RefCell::new(1); let _held = cell.borrow(); cell.replace(2) };
        ExplicitPanic: if four == 4 { panic!() };
        Unreachable: if four == 4 { unreachable!() };
        Assertion: assert!(four == 5);
        Assertion: assert_eq!(four, 5, "four {}", 4);
        Assertion: assert_ne!(four, 4);
        CapacityOverflow: Vec::<u64>::with_capacity(usize::MAX - four);
        TimeOverflow: Duration::MAX * four as u32;
        TimeOverflow: Instant::now() + Duration::MAX;
        DurationFromFloat: Duration::from_secs_f64(-(four as f64));
        CopyLength: [1, 2].copy_from_slice(&[1]);
        ZeroSize: [1].chunks(four - 4);
        ZeroSize: (0..1).step_by(four - 4);
        Radix: '1'.to_digit(four as u32 * 10);
        VecIndex: vec![1].remove(four);
        VecIndex: vec![1].insert(four, 1);
        VecIndex: vec![1].split_off(four);
        VecIndex: [1].rotate_left(four);
        BtreeRange: BTreeMap::from([(1, 1)]).range(four..1).count();
        Channel: { let (sender, receiver) = std::sync::mpsc::channel(); drop(receiver); sender.send(1).unwrap() };
        Join: std::thread::scope(|scope| { scope.spawn(|| panic!()); });
    }
}

proptest! {
    #[test]
    fn classifying_never_panics(message in any::<String>()) {
        classify(&message);
    }

    #[test]
    fn classifying_pieces_of_messages_never_panics(
        a in 0..SHAPES.len(), b in 0..FIXED.len(), cut in 0usize..80, tail in "\\PC{0,20}",
    ) {
        let shape = SHAPES[a].0.replace("{len}", "3").replace("{end}", "7").replace("{char:char}", &tail);
        let whole = format!("{shape}{}{tail}", FIXED[b].0);
        classify(&whole);
        classify(&whole[whole.floor_char_boundary(cut)..]);
        classify(&whole[..whole.floor_char_boundary(cut)]);
        classify(&format!("called `Result::unwrap()` on an `Err` value: {tail}"));
        classify(&format!("assertion `left == right` failed{tail}\n  left: {tail}\n right: {tail}"));
    }
}
