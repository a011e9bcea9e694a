//! Which frames of a stack tell about the bug.
//!
//! A panic's stack begins with the hook and the panic machinery, ends in the runtime that started
//! the thread, and has std, executors and libraries in between. [`judge`] gives each frame its
//! part in that; the SDK cuts with it before shipping, the collector groups by what is left.

use std::borrow::{Borrow, Cow};
use std::sync::Arc;

use crate::stacktrace::{Frame, StackTrace};

use super::symbol::{self, Symbol};

/// What a frame is doing on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The app's own code.
    App,
    /// The panic machinery and BugSage itself, at the inner end.
    Machinery,
    /// The part of the panic machinery that calls the hook and, after it, the unwinder.
    Hook,
    /// What takes a panic up the stack.
    Unwinder,
    /// What started the thread, at the outer end.
    Runtime,
    /// What would catch a panic: the end of a task, of a request, or of whatever the app runs by
    /// itself.
    Catch,
    /// The standard library.
    Std,
    /// A library that the app depends on.
    Dependency,
    /// Nothing is known about it.
    Unknown,
}

impl Part {
    /// The rule's name in an explanation.
    pub fn rule(self) -> &'static str {
        match self {
            Part::App => "app code",
            Part::Machinery | Part::Hook | Part::Unwinder => "panic machinery",
            Part::Runtime => "runtime end",
            Part::Catch => "beyond what catches panics",
            Part::Std => "standard library",
            Part::Dependency => "dependency",
            Part::Unknown => "no symbol",
        }
    }

    fn is_machinery(self) -> bool {
        matches!(self, Part::Machinery | Part::Hook | Part::Unwinder)
    }
}

/// Crates that carry calls for the app, where a frame has no file that says so.
pub(super) const CARRIER_CRATES: &[&str] = &[
    "tokio",
    "hyper",
    "hyper_util",
    "tower",
    "tower_http",
    "axum",
    "futures",
    "futures_util",
    "futures_core",
    "futures_executor",
    "async_std",
    "smol",
    "async_executor",
    "rayon",
    "rayon_core",
    "tracing",
    "tracing_core",
    "tracing_subscriber",
    "backtrace",
    "anyhow",
    "eyre",
    "color_eyre",
    "actix",
    "actix_rt",
    "actix_web",
    "tonic",
    "reqwest",
    "log",
    "crossbeam_channel",
];

/// In the name of what calls the hook, however it is mangled.
const HOOK_CALLER: &str = "panic_with_hook";

/// C functions at the ends of stacks.
const C_RUNTIME: &[&str] = &[
    "main",
    "_start",
    "__libc_start_main",
    "__libc_start_call_main",
    "__libc_start_main_impl",
    "start_thread",
    "clone",
    "clone3",
    "__clone3",
    "thread_start",
    "_pthread_start",
    "BaseThreadInitThunk",
    "RtlUserThreadStart",
];

/// What a frame is doing, by its function and file alone.
pub fn judge(frame: &Frame) -> Part {
    judge_read(frame, frame.function.as_deref().map(Symbol::read).as_ref())
}

/// [`judge`] for a caller who has read the function's symbol already.
pub(crate) fn judge_read(frame: &Frame, symbol: Option<&Symbol<'_>>) -> Part {
    if let Some(symbol) = symbol {
        if let Some(part) = judge_name(&symbol.name, frame) {
            return part;
        }
        // Names without a path come from inlined calls of other crates; the file decides there.
        if symbol::is_std(&symbol.home) {
            return Part::Std;
        }
    }
    match frame.file.as_deref().map(judge_file) {
        Some(part) => part,
        None => match symbol.map(|symbol| &*symbol.home) {
            Some(home) if CARRIER_CRATES.contains(&home) => Part::Dependency,
            // A C function, or a bare name.
            Some("") | None => Part::Unknown,
            Some(_) => Part::App,
        },
    }
}

/// The part of functions that are known by their names.
fn judge_name(function: &str, frame: &Frame) -> Option<Part> {
    let file = frame.file.as_deref();
    let krate = &function[..symbol::word_length(function)];
    // Of a path in another crate the end alone may tell.
    let is_elsewhere = krate.len() < function.len()
        && !matches!(
            krate,
            "std" | "core" | "panic_unwind" | "__rustc" | "bugsage_sdk" | "bugsage_core"
        );
    if !is_elsewhere && let Some(part) = judge_panic(function, file) {
        return Some(part);
    }
    // A trait of ours too, as `.report()` on any `Result`: its type is std's.
    let is_our_trait = |whole: &str| whole.starts_with('<') && whole.contains(" as bugsage_sdk::");
    if (!is_elsewhere && is_machinery(function))
        || function.ends_with("__rust_end_short_backtrace")
        || frame.function.as_deref().is_some_and(is_our_trait)
    {
        return Some(Part::Machinery);
    }
    if function.ends_with("__rust_begin_short_backtrace") {
        return Some(Part::Runtime);
    }
    // On a system with debug information of its C library these have files, in C.
    let is_rust = || file.is_some_and(|file| file.ends_with(".rs"));
    (!is_elsewhere && C_RUNTIME.contains(&function) && !is_rust()).then_some(Part::Runtime)
}

/// What raises, carries and catches panics.
fn judge_panic(function: &str, file: Option<&str>) -> Option<Part> {
    let is_std =
        |file: &str| file.ends_with("/std/src/panicking.rs") || file.ends_with("/std/src/panic.rs");
    match function {
        // What calls the hook, in all versions of std.
        "std::panicking::rust_panic_with_hook" | "std::panicking::panic_with_hook" => {
            Some(Part::Hook)
        }
        // What std goes on with when the hook is through, innermost last.
        "rust_panic"
        | "__rustc::rust_panic"
        | "std::panicking::rust_panic"
        | "__rust_start_panic"
        | "__rustc::__rust_start_panic"
        | "panic_unwind::imp::panic"
        | "_Unwind_RaiseException" => Some(Part::Unwinder),
        // What catches panics, in all versions of std, and the bare names of the same in inlined calls.
        "std::panic::catch_unwind"
        | "std::panicking::catch_unwind"
        | "std::panicking::catch_unwind::do_call"
        | "std::panicking::try"
        | "std::panicking::try::do_call"
        | "__rust_try" => Some(Part::Catch),
        "catch_unwind" | "do_call" | "try" => file.is_some_and(is_std).then_some(Part::Catch),
        _ => None,
    }
}

/// Whether a frame's code belongs to the app: not std, not a dependency, not BugSage.
pub fn in_app(frame: &Frame) -> bool {
    judge(frame) == Part::App
}

fn is_machinery(function: &str) -> bool {
    match function {
        "rust_begin_unwind"
        | "__rustc::rust_begin_unwind"
        | "core::option::unwrap_failed"
        | "core::option::expect_failed"
        | "core::option::expect_none_failed"
        | "core::result::unwrap_failed"
        | "core::str::slice_error_fail"
        | "core::str::slice_error_fail_rt" => true,
        _ if function.starts_with("core::") => {
            function.starts_with("core::panicking::")
                || function.starts_with("core::slice::index::slice_")
                || (function.starts_with("core::cell::panic_") && function.contains("borrow"))
        }
        _ => ["std::panicking::", "bugsage_sdk::", "bugsage_core::"]
            .iter()
            .any(|inside| function.starts_with(inside)),
    }
}

/// The part of a function whose name says nothing, by the folders that its file is in.
fn judge_file(file: &str) -> Part {
    let folders = file.as_bytes().split(|byte| matches!(byte, b'/' | b'\\'));
    // The last four folders, the innermost first. No folder has the name of those before the first.
    let (mut a, mut b, mut c, mut d): (&[u8], &[u8], &[u8], &[u8]) = (b"/", b"/", b"/", b"/");
    let (mut is_std, mut is_dependency, mut is_compiler) = (false, false, false);
    for (at, folder) in folders.enumerate() {
        match a {
            // Inlined calls have no more than a bare name, so BugSage in the app's own workspace or
            // beside it is known by its folders.
            b"src" if matches!(b, b"bugsage-sdk" | b"bugsage-core") => return Part::Machinery,
            b"src" if b == b"registry" && at > 2 => is_dependency = true,
            b"checkouts" if b == b"git" && at > 2 => is_dependency = true,
            b"vendor" => is_dependency = true,
            // The standard library as rustup has it, in the toolchain or by a name that stands for it, ...
            b"rustc" if b.is_empty() && at == 2 => is_std = true,
            b"rust" if b == b"src" && c == b"rustlib" && d == b"lib" && at > 4 => is_std = true,
            // ... the crates that it is built with, and itself by its own paths.
            b"deps" if b == b"rust" && c.is_empty() && at == 3 => is_std = true,
            b"std" | b"core" | b"alloc" if b == b"library" && at == 2 => is_std = true,
            // As distributions build it: `/usr/src/rustc-1.63.0/library`.
            _ if !is_compiler && a.starts_with(b"rustc-") => {
                is_compiler = true;
                is_std |= folder == b"library";
            }
            _ => {}
        }
        (a, b, c, d) = (folder, a, b, c);
    }
    if is_std {
        Part::Std
    } else if is_dependency {
        Part::Dependency
    } else if file.ends_with(".rs") {
        Part::App
    } else {
        // C and assembler below Rust: libc, the unwinder.
        Part::Unknown
    }
}

/// Where the panic machinery ends. `part` is that of a frame, and asked for where it matters alone.
///
/// All that the hook has called is inside of what calls the hook, and may be code of the app: a
/// hook of its own. Beyond that the cut never goes past a frame of the app, so a second panic in a
/// destructor keeps its own frames.
pub(super) fn inner_end(
    frames: &[impl Borrow<Frame>],
    mut part: impl FnMut(usize) -> Part,
) -> usize {
    let hook = frames.iter().enumerate().position(|(at, frame)| {
        let function = frame.borrow().function.as_deref();
        // Looking for a word costs a part of what reading a name does.
        function.is_some_and(|it| it.contains(HOOK_CALLER)) && part(at) == Part::Hook
    });
    let called = match hook {
        Some(at) if at > 0 && part(at - 1) != Part::Unwinder => at + 1,
        _ => 0,
    };
    let mut end = called;
    for at in called..frames.len() {
        match part(at) {
            Part::App => break,
            part if part.is_machinery() => end = at + 1,
            _ => {}
        }
    }
    end
}

/// The stack between the panic machinery and the runtime's end, with `in_app` set by rule, as the
/// SDK ships it. Both ends of a stack that is too long are kept.
pub fn trim(frames: Vec<Frame>, symbolicated: bool) -> StackTrace {
    let parts: Vec<Part> = frames.iter().map(judge).collect();
    let start = inner_end(&frames, |at| parts[at]);
    let runtime = parts[start..].iter().position(|it| *it == Part::Runtime);
    let end = runtime.map_or(parts.len(), |at| start + at);
    let told = if start == end {
        0..parts.len()
    } else {
        start..end
    };
    let frames_max = crate::limits::FRAMES_MAX;
    let middle = told.start + frames_max / 2;
    let left_out = middle..middle + told.len().saturating_sub(frames_max);
    let kept = frames.into_iter().zip(parts).enumerate();
    let kept = kept.filter(|(at, _)| told.contains(at) && !left_out.contains(at));
    let frames = kept.map(|(_, (mut frame, part))| {
        frame.in_app = part == Part::App;
        Arc::new(frame)
    });
    StackTrace {
        frames: frames.collect(),
        symbolicated,
    }
}

/// The part of a path that does not depend on where the crate was built: from the last `src`,
/// `tests`, `examples` or `benches` on, else the file's name.
pub fn crate_relative(file: &str) -> Cow<'_, str> {
    if file.contains('\\') {
        let file = file.replace('\\', "/");
        return file[crate_root(&file)..].to_owned().into();
    }
    file[crate_root(file)..].into()
}

/// Where the part of a path begins that does not depend on where the crate was built.
fn crate_root(file: &str) -> usize {
    let bytes = file.as_bytes();
    let begin = |end: usize| {
        let slash = bytes[..end].iter().rposition(|byte| *byte == b'/');
        slash.map_or(0, |at| at + 1)
    };
    let name = begin(bytes.len());
    let (mut start, mut end) = (name, bytes.len());
    loop {
        if matches!(
            &bytes[start..end],
            b"src" | b"tests" | b"examples" | b"benches"
        ) {
            return start;
        }
        if start == 0 {
            return name;
        }
        end = start - 1;
        start = begin(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str) -> Frame {
        Frame {
            function: (!function.is_empty()).then(|| function.into()),
            file: (!file.is_empty()).then(|| file.into()),
            ..Frame::default()
        }
    }

    #[test]
    fn every_frame_has_its_part() {
        let registry =
            "/home/u/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde-1.0.0/src/de.rs";
        let library = "/rustc/59807616e/library/core/src/ops/function.rs";
        for (function, file, part) in [
            ("shop::pricing::discount", "src/pricing.rs", Part::App),
            ("main", "src/main.rs", Part::App),
            ("main", "", Part::Runtime),
            ("start_thread", "./nptl/pthread_create.c", Part::Runtime),
            (
                "<core::result::Result<T,E> as bugsage_sdk::capture::error::ReportError<K>>::report",
                "",
                Part::Machinery,
            ),
            ("core::panicking::panic_fmt", library, Part::Machinery),
            (
                "core::panicking::panic_bounds_check",
                library,
                Part::Machinery,
            ),
            (
                "__rustc[4794b31dd7191200]::rust_begin_unwind",
                library,
                Part::Machinery,
            ),
            (
                "core::slice::index::slice_index_fail",
                library,
                Part::Machinery,
            ),
            ("core::option::unwrap_failed", library, Part::Machinery),
            ("std::panicking::panic_with_hook", library, Part::Hook),
            ("__rustc::rust_panic", library, Part::Unwinder),
            (
                "take_down",
                "/home/u/bugsage/bugsage-sdk/src/capture/panic.rs",
                Part::Machinery,
            ),
            (
                "std::panicking::catch_unwind::do_call",
                library,
                Part::Catch,
            ),
            ("std::panicking::try", library, Part::Catch),
            (
                "do_call<&fn(), ()>",
                "/rustc/59807616e/library/std/src/panicking.rs",
                Part::Catch,
            ),
            ("do_call", "src/rpc.rs", Part::App),
            (
                "std::sys::backtrace::__rust_begin_short_backtrace",
                library,
                Part::Runtime,
            ),
            (
                "bugsage_sdk::capture::panic::hook",
                "bugsage-sdk/src/capture/panic.rs",
                Part::Machinery,
            ),
            ("serde::de::Visitor::visit", registry, Part::Dependency),
            ("visit", registry, Part::Dependency),
            (
                "<alloc::vec::Vec<T> as core::ops::Index<I>>::index",
                library,
                Part::Std,
            ),
            ("index", library, Part::Std),
            ("tokio::runtime::task::raw::poll", "", Part::Dependency),
            ("__libc_start_call_main", "", Part::Runtime),
            ("", "", Part::Unknown),
        ] {
            assert_eq!(judge(&frame(function, file)), part, "{function} in {file}");
        }
    }

    #[test]
    fn a_stack_is_cut_at_both_ends() {
        let library = "/rustc/59807616e/library/std/src/panicking.rs";
        let frames = vec![
            frame(
                "bugsage_sdk::capture::panic::hook",
                "bugsage-sdk/src/capture/panic.rs",
            ),
            frame("std::panicking::rust_panic_with_hook", library),
            frame("core::panicking::panic_fmt", library),
            frame(
                "core::slice::index::<impl core::ops::Index<I> for [T]>::index",
                library,
            ),
            frame("shop::price", "src/price.rs"),
            frame("shop::main", "src/main.rs"),
            frame("core::ops::function::FnOnce::call_once", library),
            frame("std::sys::backtrace::__rust_begin_short_backtrace", library),
            frame("main", ""),
        ];

        let stack = trim(frames, true);

        let kept: Vec<_> = stack
            .frames
            .iter()
            .map(|f| (f.function.as_deref().unwrap_or(""), f.in_app))
            .collect();
        assert_eq!(
            kept,
            [
                (
                    "core::slice::index::<impl core::ops::Index<I> for [T]>::index",
                    false
                ),
                ("shop::price", true),
                ("shop::main", true),
                ("core::ops::function::FnOnce::call_once", false),
            ]
        );
    }

    fn trimmed(frames: &[(&str, &str)]) -> Vec<String> {
        let frames = frames.iter().map(|(function, file)| frame(function, file));
        let stack = trim(frames.collect(), true);
        let names = stack.frames.iter().map(|f| f.function.as_deref());
        names.map(|name| name.unwrap_or("").to_owned()).collect()
    }

    #[test]
    fn a_hook_of_the_app_is_no_part_of_the_panic() {
        let library = "/rustc/59807616e/library/std/src/panicking.rs";

        let kept = trimmed(&[
            ("take_down", "/build/bugsage-sdk/src/capture/panic.rs"),
            ("shop::logging::install::{{closure}}", "src/logging.rs"),
            ("std::panicking::panic_with_hook", library),
            ("core::panicking::panic_fmt", library),
            ("shop::price", "src/price.rs"),
        ]);

        assert_eq!(kept, ["shop::price"]);
    }

    #[test]
    fn an_error_in_a_destructor_keeps_its_own_frames_while_a_panic_unwinds() {
        let library = "/rustc/59807616e/library/std/src/panicking.rs";

        let kept = trimmed(&[
            ("bugsage_sdk::capture_error", "bugsage-sdk/src/lib.rs"),
            ("<shop::Cart as core::ops::Drop>::drop", "src/cart.rs"),
            ("_Unwind_RaiseException", ""),
            ("__rustc::rust_panic", library),
            ("std::panicking::panic_with_hook", library),
            ("core::panicking::panic_fmt", library),
            ("shop::price", "src/price.rs"),
        ]);

        assert_eq!(kept[0], "<shop::Cart as core::ops::Drop>::drop");
    }

    #[test]
    fn a_stack_that_is_too_long_keeps_both_ends() {
        let frames = (0..1_000)
            .map(|n| frame(&format!("shop::f{n}"), "src/main.rs"))
            .collect();

        let stack = trim(frames, true);

        assert_eq!(stack.frames.len(), crate::limits::FRAMES_MAX);
        assert_eq!(stack.frames[0].function.as_deref(), Some("shop::f0"));
        assert_eq!(stack.frames[249].function.as_deref(), Some("shop::f999"));
    }

    #[test]
    fn a_path_is_told_from_its_crate_on() {
        assert_eq!(
            crate_relative("/home/u/shop/orders/src/a/b.rs"),
            "src/a/b.rs"
        );
        assert_eq!(crate_relative("orders\\src\\a.rs"), "src/a.rs");
        assert_eq!(crate_relative("main.rs"), "main.rs");
        assert_eq!(crate_relative("build/gen.rs"), "gen.rs");
    }
}
