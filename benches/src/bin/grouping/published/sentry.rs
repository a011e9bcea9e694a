//! Sentry's published hashes, which are MD5 of the texts that our rule makes, and its trimmed functions.

use md5::{Digest, Md5};

use super::{call, event, exception, in_file, in_module, system};
use crate::peers::enhancements::{Act, Is, Reach, Rule};
use crate::peers::told::{Call, Exception};
use crate::peers::{function, sentry};

fn md5(text: &str) -> String {
    Md5::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The hashes of the frames of the app, where any counts, and of all frames.
fn hashes(exception: Exception, added: &[Rule]) -> (Option<String>, String) {
    let (app, system) = sentry::key(&event("native", exception), added);
    (app.as_deref().map(md5), md5(&system))
}

const LOG_DEMO_IS_APP: Rule = Rule {
    caller: None,
    frame: &[Is::Function("log_demo::*")],
    callee: None,
    acts: &[Act::App(Reach::It, true)],
};

const fn uncounted(frame: &'static [Is]) -> Rule {
    Rule {
        caller: None,
        frame,
        callee: None,
        acts: &[Act::Count(Reach::It, false)],
    }
}

/// The exception of the snapshots named below: a logged error of a Rust program.
fn log_demo(frames: &[&str]) -> Exception {
    Exception {
        frames: frames.iter().map(|function| system(function)).collect(),
        ..exception("log_demo", "Everything is on fire!")
    }
}

const RUST_FRAMES: &[&str] = &[
    "_main",
    "std::rt::lang_start_internal",
    "___rust_maybe_catch_panic",
    "std::panicking::try::do_call",
    "std::rt::lang_start::{{closure}}",
    "log_demo::main",
    "log::__private_api_log",
];

// getsentry/sentry, tests/sentry/grouping/snapshots/grouphash_metadata/test_metadata_from_variants/
// newstyle@2026_01_20, here and below; the events are those of tests/sentry/grouping/grouping_inputs.
// stacktrace_rust and stacktrace_rust2: one group by the frames of the app, though all frames differ.
#[test]
fn sentry_hashes_rust_stacks_as_published() {
    let app = Some("ef42635ff82b83bc711ed7c65b7cb189".to_owned());

    let first = hashes(log_demo(RUST_FRAMES), &[LOG_DEMO_IS_APP]);
    let rules = [
        LOG_DEMO_IS_APP,
        uncounted(&[Is::Function("__*")]),
        uncounted(&[Is::Function("*::__*")]),
    ];
    let second = hashes(log_demo(RUST_FRAMES), &rules);

    assert_eq!(
        first,
        (app.clone(), "193a67f0b7f8b5a69f29dc6a259d47c3".to_owned())
    );
    assert_eq!(second, (app, "68021c81b00bc4f2f983b11f10efbfda".to_owned()));
}

// native_no_filenames: a Rust program by a first SDK, with frames of the SDK, unknown ones, and `in_app` as told.
#[test]
fn sentry_hashes_what_the_sdk_takes_for_the_app() {
    let frames = vec![
        call("_main"),
        system("std::rt::lang_start"),
        system("std::rt::lang_start_internal"),
        call("___rust_maybe_catch_panic"),
        system("std::panicking::try::do_call"),
        system("std::rt::lang_start::{{closure}}"),
        call("log_demo::main"),
        call("log::__private_api_log"),
        system("<sentry::integrations::log::Logger as log::Log>::log"),
        system("sentry::hub::Hub::with_active"),
        system("sentry::hub::Hub::with"),
        system("sentry::hub::Hub::with_active::{{closure}}"),
        system("<unknown>"),
        system("<redacted>"),
    ];
    let exception = Exception {
        is_synthetic: true,
        frames,
        ..log_demo(&[])
    };

    let (app, all) = hashes(exception, &[]);

    assert_eq!(app.as_deref(), Some("418120a66f7031923031f5c52aca0724"));
    assert_eq!(all, "bbcdb2e1d8df09ffe0fffd30fb361d4b");
}

// native_complex_function_names, native_windows_anon_namespace and native_with_function_name: C++, where nothing is
// the app's, so that all frames decide.
#[test]
fn sentry_hashes_native_stacks_as_published() {
    let complex = [
        "Scaleform::GFx::IME::GImeNamesManagerVista::OnActivated(unsigned long,_GUID const &,HKL__ *)",
        "Scaleform::GFx::AS3::IMEManager::DispatchEvent(char const *,char const *,char const *)",
        "<lambda_5db80dab47756d3e72c2dcd38b80b1dd>::operator()",
    ];
    let windows = [
        ("exe_common.inl", "__scrt_common_main_seh"),
        ("exe_common.inl", "invoke_main"),
        ("main.cpp", "main"),
        ("main.cpp", "`anonymous namespace'::start"),
        ("main.cpp", "?A0xc3a0617d::crash"),
    ];
    let mac = [
        ("../macos/main.cpp", "main"),
        ("../macos/main.cpp", "(anonymous namespace)::start()"),
        (
            "../macos/main.cpp",
            "(anonymous namespace)::crash(int, int)",
        ),
        (
            "../macos/main.cpp",
            "(anonymous namespace)::something::nested::Foo<std::map<int, char> >::crash(int, int)",
        ),
    ];
    let in_files = |frames: &[(&str, &str)]| {
        let frames = frames.iter().enumerate();
        let frames = frames.map(|(at, (file, name))| in_file(file, at as u32, system(name)));
        frames.collect()
    };
    let cases: [(Vec<Call>, &str); 3] = [
        (
            complex.map(system).into(),
            "9b78cced1eefcd0c655a0a3d8ce2cdd2",
        ),
        (in_files(&windows), "46b84e4da51648cc9f9741abd2bdad51"),
        (in_files(&mac), "c29439027eafcf7642f641554ab0f0ef"),
    ];

    for (frames, published) in cases {
        let exception = Exception {
            is_synthetic: true,
            frames,
            ..exception("EXCEPTION_ACCESS_VIOLATION_WRITE", "Fatal Error")
        };
        assert_eq!(hashes(exception, &[]), (None, published.to_owned()));
    }
}

// stacktrace_collapse_recursion: calls of one line count once, of another line again.
#[test]
fn sentry_folds_recursion_of_one_line() {
    let frame = |line, function| {
        in_module(
            "com.example.Application",
            in_file("Application.java", line, system(function)),
        )
    };
    let frames = vec![
        frame(13, "main"),
        frame(20, "normalFunc"),
        frame(27, "recurFunc"),
        frame(27, "recurFunc"),
        frame(27, "recurFunc"),
        frame(25, "recurFunc"),
        frame(32, "throwError"),
    ];
    let exception = Exception {
        is_synthetic: true,
        frames,
        ..Exception::default()
    };

    assert_eq!(
        hashes(exception, &[]),
        (None, "9bdadae4fa003cef6cf460ff1325e54b".to_owned())
    );
}

// getsentry/sentry, tests/sentry/stacktraces/test_functions.py, test_trim_native_function_name.
#[test]
fn sentry_trims_functions_as_published() {
    let cases = [
        (
            "namespace::function::h9de5fbebc1652d47",
            "namespace::function",
        ),
        ("?A0xc3a0617d::crash", "`anonymous namespace'::crash"),
        (
            "<actix_web::pipeline::Pipeline<S, H> as actix_web::server::handler::HttpHandlerTask>::poll_io",
            "actix_web::pipeline::Pipeline<T>::poll_io",
        ),
        (
            "<tokio_current_thread::scheduler::Scheduled<'a, U>>::tick",
            "tokio_current_thread::scheduler::Scheduled<T>::tick",
        ),
        (
            "tokio::runtime::current_thread::runtime::Runtime::enter::{{closure}}::{{closure}}",
            "tokio::runtime::current_thread::runtime::Runtime::enter::{{closure}}::{{closure}}",
        ),
        (
            "<std::panic::AssertUnwindSafe<F> as core::ops::function::FnOnce<()>>::call_once",
            "std::panic::AssertUnwindSafe<T>::call_once",
        ),
        (
            "static <NoType> std::panicking::begin_panic<str*>(struct str*, struct (str*, u32, u32) *)",
            "std::panicking::begin_panic<T>",
        ),
        (
            "<actix::contextimpl::ContextFut<A, C> as futures::future::Future>::poll::h9de5fbebc1652d47",
            "actix::contextimpl::ContextFut<T>::poll",
        ),
        (
            "<T as core::convert::Into<U>>::into",
            "core::convert::Into<T>::into",
        ),
        (
            "(anonymous namespace)::StupidFunction<std::vector<std::string>>(int)",
            "(anonymous namespace)::StupidFunction<T>",
        ),
        ("-[FLFoo barBaz]", "-[FLFoo barBaz]"),
        ("ThreadStartWhatever@16", "ThreadStartWhatever"),
        ("main::{lambda(int)#1}", "main::lambda"),
        (
            "trigger_crash_a(int*) [clone .constprop.0]",
            "trigger_crash_a",
        ),
        (
            "pthread_cond_timedwait@@GLIBC_2.3.2",
            "pthread_cond_timedwait",
        ),
        (
            "std::__1::unique_ptr<X,std::default_delete<X> >::operator->",
            "std::__1::unique_ptr<T>::operator->",
        ),
    ];

    for (function, published) in cases {
        assert_eq!(function::trim(function), published);
    }
}
