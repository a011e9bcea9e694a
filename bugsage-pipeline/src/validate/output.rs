//! What cargo's programs print: which tests ran and how, where a test panicked, what clippy said.
//!
//! Never: a success read out of a text that does not say so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestResult {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It was not run.
    Ignored,
}

/// The tests of one run of `cargo test`, by the program that holds them and their name.
pub type Tests = BTreeMap<String, TestResult>;

/// Reads which tests ran. A name stands behind its program: `orders src/lib.rs: tests::name`.
pub fn tests(output: &str) -> Tests {
    let mut tests = Tests::new();
    let mut program = String::new();
    for line in output.lines() {
        let line = line.trim_end();
        if let Some(running) = line.trim_start().strip_prefix("Running ") {
            program = running_program(running);
        } else if let Some(package) = line.trim_start().strip_prefix("Doc-tests ") {
            program = format!("{package} doc");
        } else if let Some((name, result)) = test_line(line) {
            tests.insert(format!("{program}: {name}"), result);
        }
    }
    tests
}

/// `test name ... ok`. What a test prints itself may stand between the dots and the result.
fn test_line(line: &str) -> Option<(&str, TestResult)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let result = match result {
        "ok" => TestResult::Passed,
        "FAILED" => TestResult::Failed,
        text if text == "ignored" || text.starts_with("ignored,") => TestResult::Ignored,
        text if text.ends_with("FAILED") => TestResult::Failed,
        text if text.ends_with("ok") => TestResult::Passed,
        _ => return None,
    };
    // `- should panic` belongs to the way it is run.
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    Some((name, result))
}

/// `unittests src/lib.rs (target/debug/deps/orders-f315f010428ca315)` without what changes.
fn running_program(running: &str) -> String {
    let Some((target, path)) = running.split_once(" (") else {
        return running.to_owned();
    };
    let file = path
        .trim_end_matches(')')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    let target = target.strip_prefix("unittests ").unwrap_or(target);
    format!("{name} {target}")
}

/// Where and how a test panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    /// The file, as the compiler was given it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// The message: the lines up to the next one that is not part of it.
    pub message: String,
}

/// The panics that a run of tests reports: `thread 'name' (7) panicked at file:12:34:`.
pub fn panics(output: &str) -> Vec<Panicked> {
    let mut lines = output.lines().peekable();
    let mut panics = Vec::new();
    while let Some(line) = lines.next() {
        let Some(place) = panic_place(line) else {
            continue;
        };
        let mut message = String::new();
        while let Some(text) = lines.next_if(|text| {
            !text.starts_with("note: ")
                && !text.starts_with("stack backtrace:")
                && panic_place(text).is_none()
        }) {
            if !message.is_empty() {
                message.push('\n');
            }
            message.push_str(text);
            if text.is_empty() || message.len() > limits::COMPLAINT_BYTES_MAX {
                break;
            }
        }
        let (file, line, column) = place;
        panics.push(Panicked {
            file,
            line,
            column,
            message: message.trim_end().to_owned(),
        });
    }
    panics
}

fn panic_place(line: &str) -> Option<(String, u32, u32)> {
    let (thread, place) = line.split_once(" panicked at ")?;
    if !thread.trim_start().starts_with("thread '") {
        return None;
    }
    let mut parts = place.strip_suffix(':')?.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some((parts.next()?.to_owned(), line, column))
}

/// What the compiler and clippy complain of, by what it is and in which file, with how often: lines
/// move, complaints stay.
pub type Complaints = BTreeMap<String, u32>;

/// Reads the complaints of `--message-format=json`. `None` where a line is no message: then nothing
/// is known.
pub fn complaints(output: &str) -> Option<Complaints> {
    let mut complaints = Complaints::new();
    let mut finished = false;
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        match message["reason"].as_str()? {
            "build-finished" => finished = true,
            "compiler-message" => {
                let message = &message["message"];
                let level = message["level"].as_str()?;
                if !matches!(level, "warning" | "error") {
                    continue;
                }
                let text = message["message"].as_str()?;
                // A count of the others.
                let spans = message["spans"].as_array()?;
                let Some(span) = spans
                    .iter()
                    .find(|span| span["is_primary"] == true)
                    .or_else(|| spans.first())
                else {
                    continue;
                };
                let code = message["code"]["code"].as_str().unwrap_or(level);
                let file = span["file_name"].as_str()?;
                let key = format!("{code} in {file}: {text}");
                *complaints.entry(key).or_default() += 1;
            }
            _ => {}
        }
    }
    finished.then_some(complaints)
}

/// The output of `--message-format=json` as people read it: what cargo says, and the complaints.
pub fn rendered(output: &str) -> String {
    let mut text = String::new();
    for line in output.lines() {
        let message = line
            .starts_with('{')
            .then(|| serde_json::from_str::<serde_json::Value>(line).ok())
            .flatten();
        match message {
            Some(message) => {
                text.push_str(message["message"]["rendered"].as_str().unwrap_or_default());
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

/// What stands in `after` more often than in `before`.
pub fn new_complaints(before: &Complaints, after: &Complaints) -> Vec<String> {
    let is_new =
        |(key, count): &(&String, &u32)| before.get(*key).is_none_or(|known| known < *count);
    after
        .iter()
        .filter(is_new)
        .map(|(key, _)| key.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "\
   Compiling orders v0.0.0 (/build/source/orders)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.61s
     Running unittests src/lib.rs (/build/target/debug/deps/orders-f315f010428ca315)

running 3 tests
test shipping::tests::a ... ok
test shipping::tests::b ... FAILED
test slow ... ignored, takes an hour
test c - should panic ... ok

failures:

---- shipping::tests::b stdout ----

thread 'shipping::tests::b' (12) panicked at orders/src/shipping.rs:63:15:
index out of bounds: the len is 2 but the index is 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

     Running tests/place_order.rs (/build/target/debug/deps/place_order-62970cd8b66b9a16)

running 1 test
test a ... ok

   Doc-tests orders

running 1 test
test orders/src/lib.rs - place (line 3) ... ok
";

    #[test]
    fn tests_are_known_by_their_program_and_name() {
        let tests = tests(RUN);

        let expected = [
            (
                "orders doc: orders/src/lib.rs - place (line 3)",
                TestResult::Passed,
            ),
            ("orders src/lib.rs: c", TestResult::Passed),
            ("orders src/lib.rs: shipping::tests::a", TestResult::Passed),
            ("orders src/lib.rs: shipping::tests::b", TestResult::Failed),
            ("orders src/lib.rs: slow", TestResult::Ignored),
            ("place_order tests/place_order.rs: a", TestResult::Passed),
        ];
        let expected = expected.map(|(name, result)| (name.to_owned(), result));
        assert_eq!(tests, BTreeMap::from(expected));
    }

    #[test]
    fn a_panic_is_read_with_its_place_and_message() {
        let panics = panics(RUN);

        assert_eq!(panics.len(), 1);
        assert_eq!(
            (panics[0].file.as_str(), panics[0].line, panics[0].column),
            ("orders/src/shipping.rs", 63, 15)
        );
        assert_eq!(
            panics[0].message,
            "index out of bounds: the len is 2 but the index is 2"
        );
        assert!(super::panics("my thread panicked at noon:1:2:\n").is_empty());
    }

    fn message(code: &str, line: u32) -> String {
        serde_json::json!({
            "reason": "compiler-message",
            "message": {
                "level": "warning", "message": "unused", "code": {"code": code},
                "spans": [{"file_name": "src/lib.rs", "line_start": line, "is_primary": true}],
            },
        })
        .to_string()
    }

    #[test]
    fn a_warning_is_new_when_there_are_more_of_it_and_not_when_it_moved() {
        let finished = "{\"reason\":\"build-finished\",\"success\":true}";
        let run = |messages: &[String]| {
            complaints(&format!(
                "    Checking x\n{}\n{finished}\n",
                messages.join("\n")
            ))
            .unwrap()
        };
        let before = run(&[message("unused", 3)]);

        let moved = run(&[message("unused", 9)]);
        let twice = run(&[message("unused", 3), message("unused", 9)]);
        let other = run(&[message("dead_code", 3)]);

        assert!(new_complaints(&before, &moved).is_empty());
        assert_eq!(
            new_complaints(&before, &twice),
            ["unused in src/lib.rs: unused"]
        );
        assert_eq!(
            new_complaints(&before, &other),
            ["dead_code in src/lib.rs: unused"]
        );
    }

    #[test]
    fn people_read_what_cargo_says_and_the_complaints() {
        let warning =
            "{\"reason\":\"compiler-message\",\"message\":{\"rendered\":\"warning: x\\n\"}}";
        let output =
            format!("    Checking x\n{{\"reason\":\"compiler-artifact\"}}\n{warning}\n{{torn\n");

        assert_eq!(rendered(&output), "    Checking x\nwarning: x\n{torn\n");
    }

    #[test]
    fn a_run_that_did_not_finish_says_nothing() {
        assert_eq!(complaints(""), None);
        assert_eq!(complaints(&message("unused", 3)), None);
        assert_eq!(complaints("{broken\n"), None);
    }
}
