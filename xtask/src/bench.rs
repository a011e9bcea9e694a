//! Runs the bench programs of the `benches` package.
//!
//! Each prints its table, or with `--json` one document; several documents become one object with
//! a key for each bench. What cargo has to say goes to standard error.

use std::path::Path;

use crate::program::Program;

/// The bench programs, each a binary of `bugsage-benches` that answers one question.
pub(crate) const NAMES: &[&str] = &[
    "codec",
    "fingerprint",
    "ingest",
    "service",
    "scale",
    "sweep",
    "hook",
    "symbols",
    "wire",
    "delivery",
    "fix",
];

/// Runs the benches `names` one after the other.
pub(crate) fn run(root: &Path, names: &[&str], json: bool) -> Result<(), String> {
    let mut documents = Vec::new();
    for &name in names {
        let program = program(name, json);
        if json {
            documents.push((name, document(&program, root)?));
        } else {
            println!("== {name}");
            let status = program.status(root);
            succeeded(&program, status.map(|status| status.success()))?;
        }
    }
    if json {
        println!("{}", object(&documents));
    }
    Ok(())
}

/// Runs the program that measures the grouping rules.
pub(crate) fn grouping(root: &Path, words: &[String]) -> Result<(), String> {
    let program = program("grouping", false);
    let program = words
        .iter()
        .fold(program, |program, word| program.arg(word));
    let status = program.status(root);
    succeeded(&program, status.map(|status| status.success()))
}

fn program(name: &str, json: bool) -> Program {
    let program = Program::cargo("run --release --locked --package bugsage-benches --bin");
    let program = program.arg(name).arg("--");
    if json { program.arg("--json") } else { program }
}

/// The one document that the program prints.
fn document(program: &Program, root: &Path) -> Result<String, String> {
    let output = program.output(root);
    succeeded(program, output.as_ref().map(|o| o.status.success()))?;
    let stdout = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&stdout).trim().to_owned();
    if text.starts_with(['{', '[']) {
        Ok(text)
    } else {
        Err(format!("bench failed: `{program}` printed no document"))
    }
}

fn succeeded<E: std::fmt::Display>(
    program: &Program,
    success: Result<bool, E>,
) -> Result<(), String> {
    match success {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("bench failed: `{program}`")),
        Err(error) => Err(format!("bench failed: `{program}`: {error}")),
    }
}

fn object(documents: &[(&str, String)]) -> String {
    let members = documents
        .iter()
        .map(|(name, document)| format!("\"{name}\": {document}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_documents_become_one_object() {
        let documents = [
            ("codec", r#"{"encode_ns": 1}"#.to_owned()),
            ("hook", "[2]".to_owned()),
        ];

        assert_eq!(
            object(&documents),
            "{\"codec\": {\"encode_ns\": 1},\n\"hook\": [2]}"
        );
    }

    #[test]
    fn a_bench_that_prints_no_document_fails() {
        let here = Path::new(".");
        let says = |text: &str| Program::new("echo", "").arg(text);

        assert_eq!(document(&says("[1]"), here), Ok("[1]".to_owned()));
        assert!(document(&says("done"), here).is_err());
        assert!(document(&Program::new("false", ""), here).is_err());
    }
}
