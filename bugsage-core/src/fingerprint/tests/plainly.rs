//! The rules as they read most plainly, to compare those with that are to be fast.

use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;

use crate::stacktrace::{Frame, StackTrace};

use super::super::explain::Dropped;
use super::super::frames::{self, Part};
use super::super::message;
use super::super::outline::{Anchor, Outline};
use super::super::symbol::{self, CLOSURE, is_std};

/// What symbols are made of, so that some of what comes out looks like one.
fn symbol_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "shop", "::", "::", "<", ">", "impl ", " for ", " as ", "->", "{closure#0}", "{{closure}}",
            "{async_fn#0}", "{async_block#1}", "{generator#0}", "closure$0", "closure_env$1", "async_fn$0", "impl$1", "$", "{impl#2}", "{shim:vtable#0}", "[732db11e2f5fb19e]", "[", "]", "&mut ",
            "'a ", "dyn ", "h1a2b3c4d5e6f7a8b", "core", "std", "alloc", "panicking", "panic_with_hook", "try",
            "catch_unwind", "bugsage_sdk", ".llvm.12", ".cold", "_ZN4shop3run17h1a2b3c4d5e6f7a8bE", "é", "(", ")", ", ",
            "__rust_begin_short_backtrace", "_RNvCs1_4shop3run", " ", ":", "main", "tokio", "rust_panic", "slice", "index",
        ]).prop_map(str::to_owned),
        1 => "[<>a-z:&{}#0-9 \\[\\]().é-]{0,6}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn path_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "/",
        "\\",
        "src",
        "src",
        "registry",
        "git",
        "checkouts",
        "vendor",
        "bugsage-sdk",
        "bugsage-core",
        "rustc",
        "rustc-1.63.0",
        "rustc-x",
        "library",
        "std",
        "core",
        "alloc",
        "rust",
        "deps",
        "lib",
        "rustlib",
        "tests",
        "examples",
        "benches",
        "main.rs",
        "a.c",
        ".rs",
        "shop",
        "é",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn frame() -> impl Strategy<Value = Frame> {
    let function = prop_oneof![
        1 => Just(None),
        3 => symbol_text().prop_map(Some),
        6 => prop::sample::select(vec![
            "shop::run", "shop::run::{{closure}}", "shop::load", "{closure#0}", "{async_fn#0}", "shop::{impl#0}", "run",
            "std::panicking::panic_with_hook", "core::panicking::panic_fmt", "rust_panic", "std::panicking::try", "do_call",
            "<shop::Cart as core::fmt::Debug>::fmt", "std::sys::backtrace::__rust_begin_short_backtrace", "main",
        ]).prop_map(|it| Some(it.to_owned())),
    ];
    let file = prop_oneof![
        1 => Just(None),
        1 => path_text().prop_map(Some),
        3 => prop::sample::select(vec![
            "src/main.rs", "src/cart.rs", "/home/u/shop/src/cart.rs", "/rustc/59807616e/library/std/src/panicking.rs",
        ]).prop_map(|it| Some(it.to_owned())),
    ];
    (function, file).prop_map(|(function, file)| Frame {
        function: function.map(Into::into),
        file: file.map(Into::into),
        ..Frame::default()
    })
}

proptest! {
    #[test]
    fn symbols_are_read_as_plainly(text in symbol_text()) {
        let (symbol, plain) = (symbol::Symbol::read(&text), read(&text));
        prop_assert_eq!((&*symbol.name, &*symbol.home), (&*plain.0, &*plain.1));
        prop_assert_eq!(symbol::is_closure(&text), is_closure(&text));
        prop_assert_eq!(symbol::last_segment(&text), last_segment(&text));
    }

    #[test]
    fn paths_are_judged_as_plainly(file in path_text()) {
        prop_assert_eq!(frames::crate_relative(&file), crate_relative(&file));
        let frame = Frame { file: Some(file.into()), ..Frame::default() };
        prop_assert_eq!(frames::judge(&frame), judge(&frame));
    }

    #[test]
    fn frames_are_judged_as_plainly(frame in frame()) {
        prop_assert_eq!(frames::judge(&frame), judge(&frame));
    }

    #[test]
    fn stacks_are_walked_as_plainly(
        frames in prop::collection::vec(frame().prop_map(Arc::new), 0..20), symbolicated: bool,
    ) {
        let stack = StackTrace { frames, symbolicated };
        let mut dropped = Vec::new();
        let explained = Outline::explained(&stack, &mut dropped);

        let mut plainly_dropped = Vec::new();
        let plain = walk(&stack, |rule, frame, name| {
            let shown = name.map_or_else(|| format!("{:#x}", frame.address), str::to_owned);
            plainly_dropped.push(Dropped { rule: rule.to_owned(), frame: shown });
        });

        prop_assert_eq!(&explained, &plain);
        prop_assert_eq!(dropped, plainly_dropped);
        prop_assert_eq!(Outline::of(&stack), explained);
    }
}

proptest! {
    #[test]
    fn the_words_of_a_message_are_the_opening_of_its_template(
        message in "([a-z<]{1,9}|[ \t\u{a0}]{0,3}|[0-9]{1,3}|[\"'`./:@-]{1,2}|\n){0,12}",
    ) {
        prop_assert_eq!(message::words(&message), message::opening(&message::template(&message)));
    }
}

const DEPTH_MAX: usize = 6;
const SYMBOL_BYTES_MAX: usize = 8 << 10;

fn read(symbol: &str) -> (String, String) {
    let symbol = &symbol[..symbol.floor_char_boundary(SYMBOL_BYTES_MAX)];
    let symbol = symbol.split(".llvm.").next().unwrap_or(symbol);
    let symbol = symbol.strip_suffix(".cold").unwrap_or(symbol);
    if is_plain(symbol) {
        let name = match symbol.rsplit_once("::") {
            Some((path, last)) if is_hash(last) => path,
            _ => symbol,
        };
        let home = first_of_path(name).unwrap_or_default();
        return (name.to_owned(), home.to_owned());
    }
    let demangled = rustc_demangle::try_demangle(symbol).map(|it| format!("{it:#}"));
    let text = demangled.as_deref().unwrap_or(symbol);
    (path(text, 0), home(text, 0).unwrap_or_default().to_owned())
}

fn home(text: &str, depth: usize) -> Option<&str> {
    if depth == DEPTH_MAX {
        return None;
    }
    let Some(inner) = text.strip_prefix('<') else {
        // An impl stands where its path says, whatever it is for.
        return first_of_path(text);
    };
    let mut parts = split_top(inner, " as ");
    let own = parts.next().map(bare_type);
    let own = own.and_then(|own| home(own, depth + 1));
    let of_trait = parts.next().and_then(first_of_path);
    // What std has of one's own trait is one's own, and so is what one has of a trait of std's.
    own.filter(|own| !is_std(own)).or(of_trait).or(own)
}

fn first_of_path(path: &str) -> Option<&str> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let (first, mut rest) = path.split_at(end);
    if rest.starts_with('[') && is_disambiguator(rest) {
        rest = rest.split_once(']')?.1;
    }
    (!first.is_empty() && rest.starts_with("::")).then_some(first)
}

fn is_plain(symbol: &str) -> bool {
    let is_mangled = ["_ZN", "ZN", "__ZN", "_R", "R", "__R"]
        .iter()
        .any(|p| symbol.starts_with(p));
    let is_path = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':' || b >= 0x80;
    !is_mangled
        && !symbol.starts_with(':')
        && symbol.bytes().all(is_path)
        && !symbol.contains(":::")
}

fn last_segment(normalized: &str) -> Option<&str> {
    normalized
        .rsplit("::")
        .find(|segment| !segment.is_empty() && *segment != CLOSURE)
}

fn is_closure(symbol: &str) -> bool {
    let symbol = &symbol[..symbol.floor_char_boundary(SYMBOL_BYTES_MAX)];
    if symbol.ends_with("{{closure}}") {
        return true;
    }
    let symbol = strip_generics(symbol);
    let mut segments = symbol.rsplit("::").filter(|s| !s.is_empty() && !is_hash(s));
    let kinds = ["closure", "async_", "generator", "coroutine"];
    let made = segments.next().and_then(made);
    made.is_some_and(|made| kinds.iter().any(|kind| made.starts_with(kind)))
}

/// What the compiler calls what it has made: in braces, or with a number behind a dollar.
fn made(name: &str) -> Option<&str> {
    if name.starts_with('{') {
        return Some(name.trim_start_matches('{'));
    }
    let kinds = [
        "closure",
        "closure_env",
        "async_block",
        "async_block_env",
        "async_fn",
        "async_fn_env",
        "generator",
        "generator_env",
        "coroutine",
        "coroutine_env",
        "impl",
        "impl_env",
    ];
    kinds.into_iter().find(|kind| {
        let number = name.strip_prefix(kind).and_then(|it| it.strip_prefix('$'));
        number.is_some_and(|it| !it.is_empty() && it.chars().all(|c| c.is_ascii_digit()))
    })
}

fn path(text: &str, depth: usize) -> String {
    let mut segments: Vec<String> = Vec::new();
    for raw in split_top(text, "::") {
        let raw = raw.trim();
        if let Some(inner) = raw.strip_prefix('<') {
            // A qualified type, or the generic arguments of a turbofish, which are dropped.
            let inner = inner.strip_suffix('>').unwrap_or(inner);
            match self_type(inner) {
                Some(self_type) => {
                    // `a::b::<impl T for U>::m` is `U::m` wherever the impl stands.
                    segments.clear();
                    if depth < DEPTH_MAX {
                        segments.push(path(bare_type(self_type), depth + 1));
                    }
                }
                None if segments.is_empty() && depth < DEPTH_MAX => {
                    segments.push(path(bare_type(inner), depth + 1));
                }
                None => {}
            }
            continue;
        }
        let name = strip_generics(raw);
        let name = name.trim();
        if let Some(made) = made(name) {
            match made {
                b if b.starts_with("async_fn")
                    || b.starts_with("impl")
                    || b.starts_with("shim") => {}
                _ if segments.last().is_some_and(|last| last == CLOSURE) => {}
                _ => segments.push(CLOSURE.to_owned()),
            }
        } else if !name.is_empty() && !is_hash(name) {
            segments.push(name.to_owned());
        }
    }
    segments.join("::")
}

fn self_type(inner: &str) -> Option<&str> {
    if let Some(rest) = inner.strip_prefix("impl ") {
        let mut parts = split_top(rest, " for ");
        let first = parts.next().unwrap_or(rest);
        return Some(parts.next().unwrap_or(first));
    }
    let mut parts = split_top(inner, " as ");
    let first = parts.next()?;
    parts.next().map(|_| first)
}

fn bare_type(mut name: &str) -> &str {
    loop {
        let before = name;
        for prefix in ["&", "mut ", "*const ", "*mut ", "dyn "] {
            name = name.strip_prefix(prefix).unwrap_or(name).trim_start();
        }
        if let Some(rest) = name.strip_prefix('\'') {
            name = rest.split_once(' ').map_or(rest, |(_, rest)| rest);
        }
        if name == before {
            return name;
        }
    }
}

fn strip_generics(segment: &str) -> String {
    let mut name = String::with_capacity(segment.len());
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (at, c) in segment.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if previous != '-' => depth = depth.saturating_sub(1),
            '[' if depth == 0 && is_disambiguator(&segment[at..]) => depth += 1,
            ']' if depth > 0
                && segment[..at]
                    .rfind('[')
                    .is_some_and(|open| is_disambiguator(&segment[open..])) =>
            {
                depth -= 1
            }
            _ if depth == 0 => name.push(c),
            _ => {}
        }
        previous = c;
    }
    name
}

fn is_disambiguator(text: &str) -> bool {
    let Some((hex, _)) = text[1..].split_once(']') else {
        return false;
    };
    (1..=16).contains(&hex.len()) && hex.len() >= 8 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_hash(segment: &str) -> bool {
    let Some(hex) = segment.strip_prefix('h') else {
        return false;
    };
    hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

fn split_top<'a>(text: &'a str, separator: &'static str) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let mut depth = 0_usize;
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'<' | b'(' | b'[' | b'{' => depth += 1,
                b'>' if at > 0 && bytes[at - 1] == b'-' => {}
                b'>' | b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                _ if depth == 0 && bytes[at..].starts_with(separator.as_bytes()) => {
                    rest = Some(&text[at + separator.len()..]);
                    return Some(&text[..at]);
                }
                _ => {}
            }
            at += 1;
        }
        rest = None;
        Some(text)
    })
}

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
const HOOK: &[&str] = &[
    "std::panicking::rust_panic_with_hook",
    "std::panicking::panic_with_hook",
];
const UNWINDER: &[&str] = &[
    "rust_panic",
    "__rustc::rust_panic",
    "std::panicking::rust_panic",
    "__rust_start_panic",
    "__rustc::__rust_start_panic",
    "panic_unwind::imp::panic",
    "_Unwind_RaiseException",
];
const CATCH: &[&str] = &[
    "std::panic::catch_unwind",
    "std::panicking::catch_unwind",
    "std::panicking::catch_unwind::do_call",
    "std::panicking::try",
    "std::panicking::try::do_call",
    "__rust_try",
];
const CATCH_INLINED: &[&str] = &["catch_unwind", "do_call", "try"];

fn judge(frame: &Frame) -> Part {
    let symbol = frame.function.as_deref().map(read);
    let symbol = symbol.as_ref().map(|(name, home)| (&**name, &**home));
    if let Some((function, home)) = symbol {
        if HOOK.contains(&function) {
            return Part::Hook;
        }
        if UNWINDER.contains(&function) {
            return Part::Unwinder;
        }
        if CATCH.contains(&function) || is_inlined_catch(function, frame.file.as_deref()) {
            return Part::Catch;
        }
        // A trait of ours too, as `.report()` on any `Result`: its type is std's.
        let is_our_trait =
            |whole: &str| whole.starts_with('<') && whole.contains(" as bugsage_sdk::");
        if is_machinery(function) || frame.function.as_deref().is_some_and(is_our_trait) {
            return Part::Machinery;
        }
        if function.ends_with("__rust_begin_short_backtrace") {
            return Part::Runtime;
        }
        // On a system with debug information of its C library these have files, in C.
        let is_rust = frame
            .file
            .as_deref()
            .is_some_and(|file| file.ends_with(".rs"));
        if !is_rust && C_RUNTIME.contains(&function) {
            return Part::Runtime;
        }
        // Names without a path come from inlined calls of other crates; the file decides there.
        if is_std(home) {
            return Part::Std;
        }
    }
    match frame.file.as_deref().map(judge_file) {
        Some(part) => part,
        None => match symbol {
            Some((_, home)) if frames::CARRIER_CRATES.contains(&home) => Part::Dependency,
            // A C function, or a bare name.
            Some((_, "")) | None => Part::Unknown,
            Some(_) => Part::App,
        },
    }
}

fn is_inlined_catch(function: &str, file: Option<&str>) -> bool {
    let is_there =
        |file: &str| file.ends_with("/std/src/panicking.rs") || file.ends_with("/std/src/panic.rs");
    CATCH_INLINED.contains(&function) && file.is_some_and(is_there)
}

fn is_machinery(function: &str) -> bool {
    const EXACT: &[&str] = &[
        "rust_begin_unwind",
        "__rustc::rust_begin_unwind",
        "core::option::unwrap_failed",
        "core::option::expect_failed",
        "core::option::expect_none_failed",
        "core::result::unwrap_failed",
        "core::str::slice_error_fail",
        "core::str::slice_error_fail_rt",
    ];
    const INSIDE: &[&str] = &[
        "core::panicking::",
        "std::panicking::",
        "bugsage_sdk::",
        "bugsage_core::",
    ];
    if function.ends_with("__rust_end_short_backtrace") || EXACT.contains(&function) {
        return true;
    }
    let is_failure = function.starts_with("core::slice::index::slice_")
        || (function.starts_with("core::cell::panic_") && function.contains("borrow"));
    is_failure || INSIDE.iter().any(|inside| function.starts_with(inside))
}

fn judge_file(file: &str) -> Part {
    let file = file.replace('\\', "/");
    // Inlined calls have no more than a bare name, so BugSage in the app's own workspace or beside
    // it is known by its folders.
    if ["bugsage-sdk/src/", "bugsage-core/src/"]
        .iter()
        .any(|own| file.starts_with(own) || file.contains(&format!("/{own}")))
    {
        return Part::Machinery;
    }
    if is_std_file(&file) {
        return Part::Std;
    }
    let is_dependency = file.contains("/registry/src/")
        || file.contains("/git/checkouts/")
        || file.contains("/vendor/")
        || file.starts_with("vendor/");
    if is_dependency {
        return Part::Dependency;
    }
    // C and assembler below Rust: libc, the unwinder.
    let is_rust = file.ends_with(".rs");
    if is_rust { Part::App } else { Part::Unknown }
}

fn is_std_file(file: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "/rustc/",
        "/rust/deps/",
        "library/std/",
        "library/core/",
        "library/alloc/",
    ];
    let is_compilers_source = || {
        let mut folders = file.split('/');
        folders.any(|folder| folder.starts_with("rustc-")) && folders.next() == Some("library")
    };
    BEGINNINGS.iter().any(|begin| file.starts_with(begin))
        || file.contains("/lib/rustlib/src/rust/")
        || is_compilers_source()
}

fn crate_relative(file: &str) -> String {
    let file = file.replace('\\', "/");
    let segments: Vec<&str> = file.split('/').collect();
    let root = segments
        .iter()
        .rposition(|segment| matches!(*segment, "src" | "tests" | "examples" | "benches"))
        .unwrap_or(segments.len() - 1);
    segments[root..].join("/")
}

/// A name as it counts, and whether it is a closure's.
type Name = (String, bool);

fn name_of(frame: &Frame) -> Option<Name> {
    let function = frame.function.as_deref()?;
    Some((read(function).0, is_closure(function)))
}

fn anchor(frame: &Frame, name: &Name, with_name: bool) -> Option<Anchor> {
    let file = frame.file.as_deref().map(crate_relative);
    let function = name.0.trim_end_matches("::{closure}");
    let last = last_segment(function);
    let is_nameless = last.is_none() || (name.1 && !with_name);
    let key = match (&file, last) {
        (Some(file), _) if is_nameless => format!("{file}#{CLOSURE}"),
        (Some(file), Some(last)) => format!("{file}#{last}"),
        (None, Some(_)) => function.to_owned(),
        (_, None) => return None,
    };
    Some(Anchor {
        key,
        function: last.map(|_| function.into()),
        has_file: file.is_some(),
        is_nameless,
        place: frame.file.clone().zip(frame.line),
    })
}

fn walk(stack: &StackTrace, mut drop: impl FnMut(&'static str, &Frame, Option<&str>)) -> Outline {
    let named: Vec<(Option<Name>, Part)> = stack
        .frames
        .iter()
        .map(|frame| (name_of(frame), judge(frame)))
        .collect();
    let parts: Vec<Part> = named.iter().map(|(_, part)| *part).collect();
    let bounds = bounds(stack, &parts);

    let (mut by_name, mut nameless) = (Vec::new(), Vec::new());
    let mut known = None;
    for (at, (frame, (name, part))) in stack.frames.iter().zip(&named).enumerate() {
        if bounds.contains(&at) && by_name.len() < 2 && !stack.symbolicated && name.is_none() {
            known.get_or_insert(by_name.len());
        }
        let rule = if at < bounds.start {
            Some(Part::Machinery.rule())
        } else if at >= bounds.end {
            Some(parts[bounds.end].rule())
        } else if *part != Part::App {
            Some(part.rule())
        } else if let Some(name) = name {
            let within = &named[at + 1..bounds.end];
            let parent = || parent(frame, &stack.frames[at + 1..bounds.end], within);
            let name = &parent_if_nameless(frame, name, parent);
            let with = push_candidate(&mut by_name, anchor(frame, name, true));
            let without = push(&mut nameless, anchor(frame, name, false));
            with.and(without).err()
        } else {
            None
        };
        if let Some(rule) = rule {
            drop(rule, frame, name.as_ref().map(|name| &*name.0));
        }
    }
    Outline {
        by_name,
        nameless,
        known,
    }
}

/// Where the panic machinery ends, and where the runtime begins or a panic would be caught.
fn bounds(stack: &StackTrace, parts: &[Part]) -> Range<usize> {
    let is_machinery = |part: &Part| matches!(part, Part::Machinery | Part::Hook | Part::Unwinder);
    let of_hook = |function: &str| function.contains("panic_with_hook");
    let hook = stack.frames.iter().zip(parts).position(|(frame, part)| {
        *part == Part::Hook && frame.function.as_deref().is_some_and(of_hook)
    });
    let is_in_hook = |at: &usize| *at > 0 && parts[at - 1] != Part::Unwinder;
    let called = hook.filter(is_in_hook).map_or(0, |at| at + 1);
    let app = parts[called..].iter().position(|part| *part == Part::App);
    let inner = &parts[called..app.map_or(parts.len(), |app| called + app)];
    let start = called + inner.iter().rposition(is_machinery).map_or(0, |at| at + 1);
    let is_end = |part: &Part| matches!(part, Part::Runtime | Part::Catch);
    let end = parts[start..].iter().position(is_end);
    start..end.map_or(parts.len(), |at| start + at)
}

fn parent_if_nameless(frame: &Frame, name: &Name, parent: impl FnOnce() -> Option<Name>) -> Name {
    let is_nameless = last_segment(&name.0).is_none();
    // The body of an async function is called by who awaits it, which is another function.
    let is_async = frame
        .function
        .as_deref()
        .is_some_and(|name| name.contains("async"));
    let parent = (is_nameless && !is_async).then(parent).flatten();
    parent.unwrap_or_else(|| name.clone())
}

fn parent(closure: &Frame, frames: &[Arc<Frame>], named: &[(Option<Name>, Part)]) -> Option<Name> {
    let mut outer = frames.iter().zip(named);
    let (frame, name) = outer.find_map(|(frame, (name, part))| {
        let name = name.as_ref().filter(|_| *part == Part::App)?;
        last_segment(&name.0)?;
        Some((frame, name))
    })?;
    (frame.file.is_some() && frame.file == closure.file).then(|| name.clone())
}

fn push_candidate(anchors: &mut Vec<Anchor>, anchor: Option<Anchor>) -> Result<(), &'static str> {
    match anchor {
        Some(_) if anchors.len() >= 8 => Err("further out than what counts"),
        Some(anchor) if anchors.iter().any(|it| it.is_nameless) => {
            anchors.push(anchor);
            Ok(())
        }
        anchor => push(anchors, anchor),
    }
}

fn push(anchors: &mut Vec<Anchor>, anchor: Option<Anchor>) -> Result<(), &'static str> {
    let anchor = anchor.ok_or("closure without name and file")?;
    if anchors.iter().any(|known| known.key == anchor.key) {
        Err("recursion")
    } else if anchors.len() >= 2 {
        Err("further out than what counts")
    } else {
        anchors.push(anchor);
        Ok(())
    }
}
