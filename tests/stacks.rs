//! What is the app's own on real stacks, with std's eyes: std resolves and prints them, and whose a
//! frame is says the folder that its file lies in.
//!
//! With `BUGSAGE_BLESS=1` the stacks are written to `bugsage-core/tests/stacks/stacks.json`, where each
//! frame has a mark that a person has to look at before it is committed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bugsage_core::fingerprint::frames;
use bugsage_core::stacktrace::Frame;
use serde_json::{Value, json};

use crate::support::build::{plugin, tool};
use crate::support::collector::{Folder, cargo_build, root, target_and_profile};
use crate::support::program::{Program, subject};

/// A stack as std has printed it.
struct Printed {
    name: String,
    frames: Vec<Frame>,
}

/// What std prints of the panics of a program, whole stacks, each kind once.
fn printed(name: &str, program: Program) -> Vec<Printed> {
    let ended = program.dsn("stdout:").env("RUST_BACKTRACE", "full").run();
    let mut all: Vec<Printed> = Vec::new();
    let mut lines = ended.stderr.lines().chain(ended.stdout.lines()).peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with("stack backtrace:") {
            continue;
        }
        let mut frames: Vec<Frame> = Vec::new();
        while let Some(line) = lines.peek() {
            if let Some((_, function)) = line.split_once(" - ")
                && line.contains(": ")
            {
                frames.push(Frame {
                    function: (function != "<unknown>").then(|| function.into()),
                    ..Frame::default()
                });
            } else if let Some(place) = line.trim_start().strip_prefix("at ")
                && let Some(frame) = frames.last_mut()
            {
                let mut parts = place.rsplitn(3, ':');
                frame.column = parts.next().and_then(|column| column.parse().ok());
                frame.line = parts.next().and_then(|line| line.parse().ok());
                frame.file = parts.next().map(Into::into);
            } else {
                break;
            }
            lines.next();
        }
        let is_known = |known: &Printed| known.frames.iter().eq(&frames);
        if !all.iter().any(is_known) {
            let name = format!("{name} {}", all.len());
            all.push(Printed { name, frames });
        }
    }
    assert!(!all.is_empty(), "{name} prints a stack");
    all
}

fn all() -> Vec<Printed> {
    let (target, _) = target_and_profile();
    // As the story of grouping builds it.
    let package = ["--package", "bugsage-tests", "--bin", "twins"];
    let words = [&package[..], &["--no-default-features"]].concat();
    cargo_build(&words, &target, "release");
    let folder = Folder::new();
    let library = plugin(&folder, "library", &["-g"]);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/plugin/failing.rs");
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let builds: [(&str, &[&str]); 2] = [
        ("test", &["-g"]),
        ("thin lto", &["-g", "-Copt-level=3", "-Clto=thin"]),
    ];
    for (name, flags) in builds {
        let usual = ["--edition=2024", "--test", "-o", name, source];
        tool(&rustc, &[&usual, flags].concat(), folder.path());
    }
    let mut all = printed("debug", Program::new(env!("CARGO_BIN_EXE_twins")));
    all.extend(printed(
        "release",
        Program::new(target.join("release/twins")),
    ));
    // std does not resolve what was loaded after its first stack: these frames have no names.
    all.extend(printed("library", subject("libraries").arg(&library)));
    for (name, _) in builds {
        all.extend(printed(name, Program::new(folder.path().join(name))));
    }
    for scenario in [
        "panic_in_task_of_many_threads",
        "panic_in_inlined_call",
        "panic_in_drop",
        "panic_in_extern_c",
        "panic_in_thread_local",
        "panic_caught_in_thread_local",
    ] {
        all.extend(printed(scenario, subject(scenario)));
    }
    all
}

fn is_of_the_app(frame: &Frame) -> bool {
    let file = frame.file.as_deref().unwrap_or("");
    file.contains("/programs/")
}

/// `a` is the app's, `k` is kept beside it, `-` is cut off.
fn marks(all: &[Frame]) -> String {
    let numbered = all.iter().enumerate().map(|(at, frame)| Frame {
        address: at as u64 + 1,
        ..frame.clone()
    });
    let kept = frames::trim(numbered.collect(), true).frames;
    let kept: BTreeMap<u64, Arc<Frame>> = kept.into_iter().map(|it| (it.address, it)).collect();
    let mark = |at: usize| match kept.get(&(at as u64 + 1)) {
        Some(frame) if frame.in_app => 'a',
        Some(_) => 'k',
        None => '-',
    };
    (0..all.len()).map(mark).collect()
}

#[test]
fn what_is_the_apps_on_a_real_stack_is_told_exactly() {
    let all = all();

    for stack in &all {
        let named = |frame: &Frame, part: &str| {
            frame
                .function
                .as_deref()
                .is_some_and(|name| name.contains(part))
        };
        let hook = stack
            .frames
            .iter()
            .position(|it| named(it, "panic_with_hook"));
        let start = hook.expect("std calls its hook");
        let end = stack
            .frames
            .iter()
            .position(|it| named(it, "__rust_begin_short_backtrace"));
        let end = end.unwrap_or(stack.frames.len());
        let marks = marks(&stack.frames);
        let told = stack.frames.iter().zip(marks.chars()).enumerate();
        let mut apps = 0;
        for (at, (frame, mark)) in told {
            let expected = is_of_the_app(frame) && (start..end).contains(&at);
            assert_eq!(mark == 'a', expected, "{} {at}: {frame:?}", stack.name);
            assert!(mark == '-' || !named(frame, "bugsage_sdk"), "{frame:?}");
            assert!(
                mark == '-' || !named(frame, "panicking::panic"),
                "{frame:?}"
            );
            apps += usize::from(expected);
        }
        assert!(apps > 0, "{}: the app is on its own stack", stack.name);
    }
    if std::env::var_os("BUGSAGE_BLESS").is_some() {
        bless(&all);
    }
}

fn bless(all: &[Printed]) {
    let mut table: Vec<(String, String)> = Vec::new();
    let mut stacks: Vec<Value> = Vec::new();
    for stack in all {
        let mut indexes = Vec::new();
        for frame in &stack.frames {
            let entry = (
                frame.function.as_deref().unwrap_or("").to_owned(),
                shortened(frame.file.as_deref().unwrap_or("")),
            );
            let known = table.iter().position(|known| *known == entry);
            indexes.push(known.unwrap_or_else(|| {
                table.push(entry);
                table.len() - 1
            }));
        }
        let marks = marks(&stack.frames);
        stacks.push(json!({ "name": stack.name, "frames": indexes, "marks": marks }));
    }
    let lines = |values: Vec<Value>| {
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        lines.join(",\n")
    };
    let table = table.into_iter().map(|entry| json!(entry)).collect();
    let text = format!(
        "{{\"frames\":[\n{}\n],\"stacks\":[\n{}\n]}}\n",
        lines(table),
        lines(stacks)
    );
    let path = root().join("bugsage-core/tests/stacks/stacks.json");
    std::fs::write(path, text).expect("can be written");
}

/// A path without what is of this machine alone.
fn shortened(file: &str) -> String {
    let checkout = root().to_string_lossy().into_owned();
    let file = file.replace(&checkout, "/home/u/bugsage");
    match file.split_once("/.cargo/registry/") {
        Some((_, rest)) => format!("/home/u/.cargo/registry/{rest}"),
        None => file,
    }
}
