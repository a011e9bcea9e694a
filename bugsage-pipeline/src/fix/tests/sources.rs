//! Each index and each `unwrap` of the files in `tests/sources`, whatever the rules make of it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::*;

/// A place in a file that may fail.
#[derive(Debug, Clone)]
struct Spot {
    file: usize,
    line: u32,
    column: u32,
    is_index: bool,
}

struct Spots {
    file: usize,
    found: Vec<Spot>,
}

impl Spots {
    fn add(&mut self, span: proc_macro2::Span, is_index: bool) {
        let start = span.start();
        self.found.push(Spot {
            file: self.file,
            line: start.line as u32,
            column: start.column as u32 + 1,
            is_index,
        });
    }
}

impl<'ast> Visit<'ast> for Spots {
    fn visit_expr_index(&mut self, index: &'ast syn::ExprIndex) {
        self.add(index.bracket_token.span.open(), true);
        self.add(index.span(), true);
        visit::visit_expr_index(self, index);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "unwrap" || call.method == "expect" {
            self.add(call.method.span(), false);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let list = syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        for argument in mac.parse_body_with(list).iter().flatten() {
            self.visit_expr(argument);
        }
    }
}

static FILES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sources"));
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
});

static SPOTS: LazyLock<Vec<Spot>> = LazyLock::new(|| {
    let mut found = Vec::new();
    for (file, (_, text)) in FILES.iter().enumerate() {
        let mut spots = Spots {
            file,
            found: Vec::new(),
        };
        spots.visit_file(&syn::parse_file(text).unwrap());
        found.extend(spots.found);
    }
    found
});

const INDEXED: &[&str] = &[
    INDEX,
    "index out of bounds: the len is 0 but the index is 0",
    RANGE,
    "range start index 9 out of range for slice of length 4",
    "slice index starts at 3 but ends at 2",
    BOUNDARY,
    "start byte index 2 is not a char boundary; it is inside 'é' (bytes 1..3) of `aé`",
    "byte index 2 is not a char boundary; it is inside 'é' (bytes 1..3) of `aé`",
    STR_END,
    "begin > end (2 > 1) when slicing `abc`",
    "no entry found for key",
];

const UNWRAPPED: &[&str] = &[
    NONE,
    ERR,
    "an id",
    "a port: ParseIntError { kind: Empty }",
    "something else",
    "called `Result::unwrap()` on an `Err` value: PoisonError { .. }",
];

/// What no edit may bring or take.
fn counts(text: &str) -> Vec<usize> {
    [
        "unsafe",
        "wrapping_",
        "saturating_",
        "#[allow",
        "catch_unwind",
        "assert",
        "unwrap_or_default",
        "transmute",
    ]
    .iter()
    .map(|word| text.matches(word).count())
    .collect()
}

/// The heads of all functions.
fn signatures(text: &str) -> Vec<String> {
    #[derive(Default)]
    struct Heads {
        found: Vec<String>,
    }
    impl<'ast> Visit<'ast> for Heads {
        fn visit_signature(&mut self, signature: &'ast syn::Signature) {
            let source = signature.span().source_text();
            self.found.push(source.unwrap_or_default());
        }
    }
    let mut heads = Heads::default();
    heads.visit_file(&syn::parse_file(text).unwrap());
    heads.found
}

/// The file as it is, or as others write theirs.
fn written(text: &str, way: usize) -> (String, u32) {
    match way {
        0 => (text.to_owned(), 0),
        1 => (text.replace('\n', "\r\n"), 0),
        2 => (format!("\u{feff}// Größe: 字 😀\n{text}"), 1),
        _ => (format!("#!/usr/bin/env run\n{text}"), 1),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_candidate_is_a_small_edit_of_one_function(
        at in any::<Index>(),
        indexed in select(INDEXED),
        unwrapped in select(UNWRAPPED),
        way in 0..4_usize,
        with_column in prop::bool::weighted(0.8),
        old in any::<bool>(),
    ) {
        let spot = at.get(&SPOTS);
        let (text, shift) = written(&FILES[spot.file].1, way);
        let message = if spot.is_index { indexed } else { unwrapped };
        let site = Site {
            text: &text,
            line: spot.line + shift,
            column: with_column.then_some(spot.column),
            message,
            recorded: &[],
            rust_version: old.then_some((1, 70)),
        };

        let proposal = propose(&site);

        prop_assert_eq!(&proposal, &propose(&site), "the same twice");
        prop_assert!(proposal.candidates.len() <= 8);
        prop_assert!(!proposal.candidates.is_empty() || !proposal.declined.is_empty());
        let plain = text.trim_start_matches('\u{feff}');
        for candidate in &proposal.candidates {
            prop_assert!(candidate.claim.ends_with('.') && candidate.reason.ends_with('.'));
            let result = splice(&text, &candidate.edits).unwrap();
            prop_assert_eq!(counts(&result), counts(&text));
            prop_assert_eq!(signatures(result.trim_start_matches('\u{feff}')), signatures(plain));
            let (first, last) = (candidate.edits[0].start, candidate.edits.last().unwrap().end);
            prop_assert!(result.starts_with(&text[..first]) && result.ends_with(&text[last..]));
            let n_lines = text[first..last].matches('\n').count();
            prop_assert!(n_lines < 12, "{n_lines} lines");
            let ends = result.matches('\n').count();
            prop_assert!(way != 1 || ends == result.matches("\r\n").count());
        }
        let mut results: Vec<_> = proposal
            .candidates
            .iter()
            .map(|candidate| splice(&text, &candidate.edits))
            .collect();
        results.dedup();
        prop_assert_eq!(results.len(), proposal.candidates.len(), "no repeats");
    }
}

/// Whether the compiler takes a file.
fn compiles(text: &str) -> Result<(), String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit=metadata",
            "-o",
            "-",
            "-Awarnings",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    rustc
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = rustc.wait_with_output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The messages that a spot would have, as far as its line shows.
fn likely(line: &str, spot: &Spot) -> Vec<&'static str> {
    if !spot.is_index {
        return vec![NONE, ERR];
    }
    if line.contains("..") {
        vec![RANGE, BOUNDARY]
    } else {
        vec![INDEX]
    }
}

/// How many sites have candidates, and which of those have none that compiles.
fn compiled() -> (usize, Vec<String>) {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut n_sites, mut failed) = (0, Vec::new());
        while let Some(spot) = SPOTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (name, text) = &FILES[spot.file];
            let line = text.lines().nth(spot.line as usize - 1).unwrap_or_default();
            let proposals: Vec<Proposal> = likely(line, spot)
                .into_iter()
                .map(|message| propose(&site(text, spot.line, Some(spot.column), message)))
                .collect();
            // One of the messages does not fit the types, and only the compiler knows which: where
            // the rules decline the other, nothing has to compile.
            let is_answered = |proposal: &Proposal| !proposal.candidates.is_empty();
            if !proposals.iter().all(is_answered) {
                continue;
            }
            let candidates = proposals.iter().flat_map(|proposal| &proposal.candidates);
            n_sites += 1;
            let mut results = candidates.map(|candidate| splice(text, &candidate.edits).unwrap());
            let (mut first_error, mut is_fine) = (String::new(), false);
            for result in &mut results {
                match compiles(&result) {
                    Ok(()) => {
                        is_fine = true;
                        break;
                    }
                    Err(error) if first_error.is_empty() => first_error = error,
                    Err(_) => {}
                }
            }
            if !is_fine {
                let head = first_error.lines().take(8).collect::<Vec<_>>().join("\n");
                failed.push(format!(
                    "{name}:{}:{} {}\n{head}",
                    spot.line,
                    spot.column,
                    line.trim()
                ));
            }
        }
        (n_sites, failed)
    };
    let n_threads = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .min(8);
    let found: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let n_sites = found.iter().map(|(n_sites, _)| n_sites).sum();
    (
        n_sites,
        found.into_iter().flat_map(|(_, failed)| failed).collect(),
    )
}

#[test]
fn the_sources_compile() {
    for (name, text) in FILES.iter() {
        assert_eq!(compiles(text), Ok(()), "{name}");
    }
}

#[test]
fn one_candidate_of_every_site_compiles() {
    let (n_sites, failed) = compiled();

    assert!(n_sites > 100, "only {n_sites} sites have candidates");
    assert!(
        failed.is_empty(),
        "{} of {n_sites} sites have no candidate that compiles:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
}
