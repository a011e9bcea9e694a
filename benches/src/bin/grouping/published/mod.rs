//! The peers' rules held against groups that the peers publish: what their own tests and snapshots tell of small
//! events. Named are the project and its commit, the file and the case; the events are made here from those facts.

mod sentry;

use bugsage_core::stacktrace::Frame;

use crate::peers::told::{Call, Exception, Told};
use crate::peers::{self, parameters};

fn event(platform: &'static str, exception: Exception) -> Told {
    Told {
        platform,
        exceptions: vec![exception],
        ..Told::default()
    }
}

fn log(text: &str) -> Told {
    Told {
        log: Some(text.to_owned()),
        ..Told::default()
    }
}

fn exception(type_name: &str, value: &str) -> Exception {
    Exception {
        type_name: Some(type_name.to_owned()),
        value: value.to_owned(),
        ..Exception::default()
    }
}

fn raised(type_name: &str, value: &str) -> Told {
    event("native", exception(type_name, value))
}

fn of(told: Told, transaction: &str) -> Told {
    Told {
        transaction: Some(transaction.to_owned()),
        ..told
    }
}

/// A frame of the app.
fn call(function: &str) -> Call {
    Call {
        function: Some(function.to_owned()),
        in_app: true,
        ..Call::default()
    }
}

fn system(function: &str) -> Call {
    Call {
        in_app: false,
        ..call(function)
    }
}

fn in_file(file: &str, line: u32, call: Call) -> Call {
    Call {
        file_name: Some(file.to_owned()),
        line: Some(line),
        ..call
    }
}

fn in_module(module: &str, call: Call) -> Call {
    Call {
        module: Some(module.to_owned()),
        ..call
    }
}

// getsentry/sentry-rust at 0b213369, sentry-backtrace/src/utils.rs, strip_crate_hash; and what 0.49.5 sent of the
// frames of a panic.
#[test]
fn frames_are_told_as_the_sdk_tells_them() {
    let cases = [
        (
            "std::panic::catch_unwind::hd044952603e5f56c",
            "std::panic::catch_unwind",
            false,
        ),
        (
            "std[550525b9dd91a68e]::rt::lang_start::<()>",
            "std::rt::lang_start::<()>",
            false,
        ),
        (
            "<fn() as core[bb3d6b31f0e973c8]::ops::function::FnOnce<()>>::call_once",
            "<fn() as core::ops::function::FnOnce<()>>::call_once",
            true,
        ),
        (
            "core::panicking::panic_fmt",
            "core::panicking::panic_fmt",
            false,
        ),
        (
            "<alloc::boxed::Box<F> as Fn>::call",
            "<alloc::boxed::Box<F> as Fn>::call",
            false,
        ),
        (
            "__rustc::rust_begin_unwind",
            "__rustc::rust_begin_unwind",
            true,
        ),
        (
            "sentry_panic::panic_handler",
            "sentry_panic::panic_handler",
            true,
        ),
        ("shop::main::{{closure}}", "shop::main::{{closure}}", true),
        ("__libc_start_main_impl", "__libc_start_main_impl", true),
        ("_start", "_start", false),
    ];

    for (function, sent, in_app) in cases {
        let told = Call::of(&Frame {
            function: Some(function.into()),
            file: Some("/rustc/0123/library/src/main.rs".into()),
            ..Frame::default()
        });
        assert_eq!(
            (told.function.as_deref(), told.in_app),
            (Some(sent), in_app)
        );
        assert_eq!(told.file_name.as_deref(), Some("main.rs"));
    }
}

// bugsink/bugsink at 5b09ae57, issues/test_grouping_v1.py: the keys as they are published.
#[test]
fn bugsink_1_keys_as_published() {
    let unnamed = |value: &str| {
        let exception = Exception {
            value: value.to_owned(),
            ..Exception::default()
        };
        event("python", exception)
    };
    let synthetic = |frames| {
        let exception = Exception {
            is_synthetic: true,
            frames,
            ..exception("Error", "the ignored value")
        };
        event("python", exception)
    };
    let several = Told {
        exceptions: vec![
            Exception::default(),
            exception("KeyError", "exception message"),
        ],
        ..Told::default()
    };
    let with_frame = Exception {
        frames: vec![call("foo")],
        ..Exception::default()
    };
    let cases = [
        // test_empty_data
        (
            Told::default(),
            "Log Message: <no log message> ⋄ <no transaction>",
        ),
        // test_logentry_with_formatted_only
        (
            log("msg: foobar"),
            "Log Message: msg: foobar ⋄ <no transaction>",
        ),
        // test_logentry_with_transaction
        (
            of(log("msg"), "transaction"),
            "Log Message: msg ⋄ transaction",
        ),
        // test_exception_value_only
        (
            unnamed("exception message"),
            "Error: exception message ⋄ <no transaction>",
        ),
        // test_exception_type_only
        (raised("KeyError", ""), "KeyError ⋄ <no transaction>"),
        // test_exception_type_value
        (
            raised("KeyError", "exception message"),
            "KeyError: exception message ⋄ <no transaction>",
        ),
        // test_exception_multiple_frames
        (several, "KeyError: exception message ⋄ <no transaction>"),
        // test_exception_transaction
        (
            of(raised("KeyError", ""), "transaction"),
            "KeyError ⋄ transaction",
        ),
        // test_exception_function_is_ignored_unless_specifically_synthetic
        (event("python", with_frame), "Error ⋄ <no transaction>"),
        // test_synthetic_exception_ignores_value
        (synthetic(vec![]), "<unknown> ⋄ <no transaction>"),
        // test_exception_uses_function_when_top_level_exception_is_synthetic
        (synthetic(vec![system("foo")]), "foo ⋄ <no transaction>"),
    ];

    for (told, published) in cases {
        assert_eq!(peers::bugsink_1(&told), published);
    }
}

// bugsink/bugsink at 5b09ae57, issues/test_grouping_v2.py, test_v2_grouping_ignores_transaction.
#[test]
fn bugsink_2_groups_whatever_the_transaction() {
    let told = || raised("KeyError", "exception message");

    let keys = ["transaction", "other-transaction"].map(|it| peers::bugsink_2(&of(told(), it)));

    assert_eq!(keys, ["KeyError: exception message"; 2]);
    let first = peers::bugsink_1(&of(told(), "transaction"));
    assert_ne!(first, peers::bugsink_1(&of(told(), "other-transaction")));
}

// bugsink/bugsink at 5b09ae57, issues/test_grouping_v2.py,
// test_normalized_exception_values_have_stable_grouping_key: pairs of values of one group, and what its key holds.
#[test]
fn bugsink_2_groups_whatever_the_values() {
    let cases = [
        (
            "Consumer object at 0x7fbb00112233>",
            "Consumer object at 0x7fbb44556677>",
            "<hex>",
        ),
        (
            "would use 81604378624 bytes, code: 241",
            "would use 91604378624 bytes, code: 242",
            "<int>",
        ),
        (
            "connect to some-host:5432",
            "connect to some-host:6543",
            "some-host:<int>",
        ),
        (
            "object 2eb7d3ba-4d15-4f9d-9a8f-b1ddf7f94b93",
            "object 358a94e6-7649-455e-bfd5-91ba0d50a8e2",
            "<uuid>",
        ),
        (
            "record name='alice'",
            "record name='bob'",
            "name=<quoted_str>",
        ),
        (
            "call api1.example.com",
            "call api2.example.com",
            "<hostname>",
        ),
        ("took 123ms", "took 456ms", "<duration>"),
        ("started at 12:34 PM", "started at 1:23 PM", "<date>"),
        (
            "on Mon, 02 Jan 2006 15:04:05 GMT",
            "on Tue, 03 Jan 2006 16:05:06 GMT",
            "<date>",
        ),
    ];

    for (one, other, held) in cases {
        let key = peers::bugsink_2(&raised("Error", one));
        assert_eq!(key, peers::bugsink_2(&raised("Error", other)));
        assert!(key.contains(held), "{key}");
        // What the first rule holds apart.
        assert_ne!(
            peers::bugsink_1(&raised("Error", one)),
            peers::bugsink_1(&raised("Error", other))
        );
    }
}

// getsentry/sentry, tests/sentry/grouping/test_parameterization.py, standard_cases: those that were so at
// 597d25951d00 too, which Bugsink took over.
#[test]
fn values_are_told_by_their_kinds() {
    let cases = [
        ("maisey+thedog@dogsaregreat.com", "<email>"),
        ("http://charlie:s3cretSqu1rrel@dogsaregreat.com:10", "<url>"),
        (
            "http://dogsaregreat.com/adopt/dont/shop.js?command=sit&trick=spin",
            "<url>",
        ),
        ("http://[2001:db8::1]:80", "<url>"),
        ("dogs.squirrelchasers.net", "<hostname>"),
        ("11.21.12.31", "<ip>"),
        ("::1", "<ip>"),
        ("1121:0c03:1231:130d:0000:16da:0908:da07", "<ip>"),
        ("7c1811ed-e98f-4c9c-a9f9-58c757ff494f", "<uuid>"),
        ("5fc35719b9cf96ec602dbc748ff31c587a46961d", "<sha1>"),
        ("0751007cd28df267e8e051b51f918c60", "<md5>"),
        ("2024-02-20T22:16:36", "<date>"),
        ("Mon, 02 Jan 06 15:04 -0700", "<date>"),
        ("Monday, 02-Jan-06 15:04:05 MST", "<date>"),
        ("2006-01-02T15:04:05.999999999Z07:00", "<date>"),
        ("Jan 18, 2019", "<date>"),
        ("2024-02-23 02:13:53.418", "<date>"),
        (
            "datetime.datetime(2025, 6, 24, 18, 33, 0, 447640)",
            "<date>",
        ),
        ("1000000ms", "<duration>"),
        ("1.234s", "<duration>"),
        ("0xDEADBEEF", "<hex>"),
        ("0.23", "<float>"),
        ("-23", "<int>"),
        ("{\"msg\" => \"(#239323)", "{\"msg\" => \"(#<int>)"),
        ("b = '1'", "b = '<int>'"),
        ("b=\"0.0.0.0 1 a=True\"", "b=<quoted_str>"),
        ("b='value\"", "b='value\""),
        ("a=false", "a=<bool>"),
        ("a = true", "a = true"),
        ("0.0.0.0:80", "<ip>:<int>"),
    ];

    for (value, kind) in cases {
        assert_eq!(parameters::replace(value), kind);
        let within = parameters::replace(&format!("prefix {value} suffix"));
        if !kind.contains('\"') {
            assert_eq!(within, format!("prefix {kind} suffix"));
        }
    }
}

// GlitchTip's backend at 4e835bc4, apps/event_ingest/tests/test_process_issue_event.py: its tests hold title and
// culprit, which are what it hashes, against events/test_data/oss_sentry_events. No test tells a hash.
#[test]
fn glitchtip_names_as_published() {
    let dotnet = |type_name: &str, value: &str, module: &str, function: &str| {
        let frames = vec![
            in_module("Executor.VoidHandlerMethod", system("Execute")),
            in_module(module, call("OnGet")),
            in_module(module, call(function)),
        ];
        event(
            "csharp",
            Exception {
                frames,
                ..exception(type_name, value)
            },
        )
    };
    let python = |type_name: &str, value: &str, transaction: &str| {
        let frames = vec![in_module(
            "errors.views",
            in_file("errors/views.py", 1, call("get")),
        )];
        of(
            event(
                "python",
                Exception {
                    frames,
                    ..exception(type_name, value)
                },
            ),
            transaction,
        )
    };
    let go = Exception {
        frames: vec![in_module(
            "main",
            in_file("file-not-found.go", 1, call("main")),
        )],
        ..exception(
            "*os.PathError",
            "open ./test.txt: no such file or directory",
        )
    };
    let cases = [
        // test_dotnet_zero_division: dotnet_divide_zero.json
        (
            dotnet(
                "System.DivideByZeroException",
                "Attempted to divide by zero.",
                "myWebApp.Pages.DivideZeroModel",
                "DivideByZero",
            ),
            (
                "System.DivideByZeroException: Attempted to divide by zero.",
                "myWebApp.Pages.DivideZeroModel in DivideByZero",
            ),
        ),
        // test_dotnet_error: dotnet_error.json
        (
            dotnet(
                "System.NullReferenceException",
                "Object reference not set to an instance of an object.",
                "myWebApp.Pages.IndexModel",
                "OnGet",
            ),
            (
                "System.NullReferenceException: Object reference not set to an instance of an object.",
                "myWebApp.Pages.IndexModel in OnGet",
            ),
        ),
        // test_go_file_not_found: go_file_not_found.json
        (
            event("go", go),
            (
                "*os.PathError: open ./test.txt: no such file or directory",
                "main in main",
            ),
        ),
        // test_python_zero_division: python_zero_division.json
        (
            python("ZeroDivisionError", "division by zero", "/divide-zero/"),
            ("ZeroDivisionError: division by zero", "/divide-zero/"),
        ),
        // test_ruby_zero_division: ruby_zero_division.json
        (
            python(
                "ZeroDivisionError",
                "divided by 0 (ZeroDivisionError)",
                "ArticlesController#index",
            ),
            (
                "ZeroDivisionError: divided by 0 (ZeroDivisionError)",
                "ArticlesController#index",
            ),
        ),
        // test_python_logging: python_logging.json
        (
            of(log("This is a warning: warning"), "/logger-warning/"),
            ("This is a warning: warning", "/logger-warning/"),
        ),
    ];

    for (told, (title, culprit)) in cases {
        let (told_title, told_culprit) = peers::glitchtip_parts(&told);
        assert_eq!((&*told_title, &*told_culprit), (title, culprit));
        let kind = if told.exceptions.is_empty() { "0" } else { "1" };
        assert_eq!(peers::glitchtip(&told), format!("{title}{culprit}{kind}"));
    }
    // test_two_issues: messages a and b are two issues; test_transaction_truncation: 199 letters and an ellipsis.
    assert_ne!(peers::glitchtip(&log("a")), peers::glitchtip(&log("b")));
    let long = of(log("hi"), &"x".repeat(201));
    assert_eq!(
        peers::glitchtip_parts(&long).1,
        format!("{}…", "x".repeat(199))
    );
}

// codecoradev/trapfall at 286d72f, crates/trapfall-core/src/fingerprint.rs, its unit tests: what is hashed, and which
// events differ. No test tells a hash.
#[test]
fn trapfall_fingerprints_as_published() {
    let event = |type_name: &str, function: &str, file: &str| {
        let frames = vec![in_file(file, 42, call(function))];
        event(
            "rust",
            Exception {
                frames,
                ..exception(type_name, "test error")
            },
        )
    };
    let main = event("TypeError", "main", "app.rs");

    // fingerprint_deterministic
    assert_eq!(peers::trapfall(&main), peers::trapfall(&main.clone()));
    // fingerprint_different_exceptions
    assert_ne!(
        peers::trapfall(&main),
        peers::trapfall(&event("ValueError", "main", "app.rs"))
    );
    // fingerprint_same_exception_different_location
    let (one, other) = (
        event("TypeError", "func_a", "a.rs"),
        event("TypeError", "func_b", "b.rs"),
    );
    assert_ne!(peers::trapfall(&one), peers::trapfall(&other));
    // fingerprint_message_fallback
    let message = "Database connection failed";
    assert_eq!(peers::trapfall_parts(&log(message)), [message]);
    // fingerprint_empty_stacktrace_uses_type
    assert_eq!(peers::trapfall_parts(&raised("Panic", "")), ["Panic"]);
    // The doc of derive_fingerprint and of top_in_app_frame: type, function and file of the last frame in the app.
    let mut deeper = main.clone();
    deeper.exceptions[0]
        .frames
        .push(in_file("lib.rs", 1, system("log")));
    assert_eq!(
        peers::trapfall_parts(&deeper),
        ["TypeError", "main", "app.rs"]
    );
}
