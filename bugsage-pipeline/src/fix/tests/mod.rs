//! What the rules make of small sources. `«` marks where the compiler reports the failure.

// `v[i]`, `v[a..b]`, `s[a..b]`.
mod access;
// `unwrap` and `expect`.
mod unwrap;
// Errors that a function builds already.
mod errors;
// `let … else`.
mod guard;
// A string cut inside of a character.
mod boundary;
// What no rule may touch.
mod forbidden;
// What an early return would leave half done.
mod half_done;
// From recorded fields to a test.
mod reproduce;
// Each expression of each file in `tests/sources`.
mod sources;

use super::*;
use crate::evidence::Untrusted;

const INDEX: &str = "index out of bounds: the len is 3 but the index is 7";
const RANGE: &str = "range end index 9 out of range for slice of length 4";
const BOUNDARY: &str =
    "end byte index 2 is not a char boundary; it is inside 'é' (bytes 1..3) of `aé`";
const STR_END: &str = "end byte index 9 is out of bounds of `abc`";
const NONE: &str = "called `Option::unwrap()` on a `None` value";
const ERR: &str =
    "called `Result::unwrap()` on an `Err` value: ParseIntError { kind: InvalidDigit }";

/// Takes the mark out of a source, and tells its line and column.
fn marked(source: &str) -> (String, u32, u32) {
    let before = &source[..source.find('«').expect("the source has a mark")];
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u32 + 1;
    (source.replacen('«', "", 1), line, column)
}

fn site<'a>(text: &'a str, line: u32, column: Option<u32>, message: &'a str) -> Site<'a> {
    Site {
        text,
        line,
        column,
        message,
        recorded: &[],
        rust_version: None,
    }
}

/// What the rules make of the marked place.
fn proposal(source: &str, message: &str) -> (String, Proposal) {
    let (text, line, column) = marked(source);
    let proposal = propose(&site(&text, line, Some(column), message));
    (text, proposal)
}

/// The candidates as rules and resulting texts.
fn results(source: &str, message: &str) -> Vec<(String, String)> {
    let (text, proposal) = proposal(source, message);
    proposal
        .candidates
        .iter()
        .map(|candidate| {
            let result = splice(&text, &candidate.edits).unwrap();
            (candidate.rule.clone(), result)
        })
        .collect()
}

/// Checks the rule and the whole result of the first candidate.
#[track_caller]
fn check(source: &str, message: &str, rule: &str, expected: &str) {
    let results = results(source, message);

    let Some((found, result)) = results.first() else {
        panic!("no candidate: {:#?}", proposal(source, message).1.declined);
    };
    assert_eq!((&**found, &**result), (rule, expected), "{results:#?}");
}

/// Checks that the first candidate replaces one piece of the source.
#[track_caller]
fn edits(source: &str, message: &str, rule: &str, from: &str, to: &str) {
    let (text, ..) = marked(source);
    assert_eq!(text.matches(from).count(), 1, "{from} stands once");
    check(source, message, rule, &text.replacen(from, to, 1));
}

/// Checks that some candidate has the result.
#[track_caller]
fn offers(source: &str, message: &str, rule: &str, expected: &str) {
    let results = results(source, message);

    let expected = (rule.to_owned(), expected.to_owned());
    assert!(results.contains(&expected), "{results:#?}");
}

/// Checks that there is no candidate, and a piece of the reason.
#[track_caller]
fn declines(source: &str, message: &str, reason: &str) {
    let proposal = proposal(source, message).1;

    assert_eq!(proposal.candidates, [], "{proposal:#?}");
    let reasons: Vec<&str> = proposal.declined.iter().map(|d| &*d.reason).collect();
    assert!(
        reasons.iter().any(|found| found.contains(reason)),
        "{reasons:#?}"
    );
}

/// A field that the span of a function recorded.
fn recorded(span: &str, field: &str, value: &str) -> Recorded {
    Recorded {
        span: Untrusted::new(span),
        field: Untrusted::new(field),
        values: vec![Untrusted::new(value)],
    }
}

#[test]
fn a_file_that_is_no_rust_is_declined() {
    declines("fn f( {\n    «x\n}\n", INDEX, "can be parsed");
}

#[test]
fn a_line_outside_of_every_function_is_declined() {
    declines("«use std::fmt;\n\nfn f() {}\n", INDEX, "no function");
}

#[test]
fn a_line_that_cannot_fail_so_is_declined() {
    declines(
        "fn f(v: &[u8]) -> Option<u8> {\n    «v.first().copied()\n}\n",
        INDEX,
        "nothing on line 2",
    );
}
