//! The house rules that no other tool checks, read off the files of the checkout.
//!
//! In: the files that git tracks or would track. Out: one line for each rule that a file breaks.
//! Never: changing a file.

mod rules;
mod migrations;

use std::fmt;
use std::fs;
use std::path::Path;

use crate::program::Program;

/// A file of the checkout.
#[derive(Debug)]
struct File {
    /// From the root of the checkout, with forward slashes.
    path: String,
    size_bytes: u64,
    /// Read where a rule looks at it.
    text: Option<String>,
}

impl File {
    /// The folder and the name.
    fn split(&self) -> (&str, &str) {
        self.path.rsplit_once('/').unwrap_or(("", &self.path))
    }

    /// The text, where this is a Rust file that somebody writes by hand.
    fn rust(&self) -> Option<&str> {
        let text = self.text.as_deref()?;
        let first = text.lines().next().unwrap_or_default();
        let written = !first.contains("@generated");
        (written && self.path.ends_with(".rs")).then_some(text)
    }
}

/// A rule that a file breaks.
#[derive(Debug, PartialEq)]
struct Complaint {
    path: String,
    message: String,
}

impl Complaint {
    fn new(path: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Checks all rules and prints every complaint.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let files = files(root)?;
    let complaints = check(&files);
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => {
            println!("tidy: {} files in order", files.len());
            Ok(())
        }
        1 => Err("tidy: 1 rule broken".to_owned()),
        n => Err(format!("tidy: {n} rules broken")),
    }
}

fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files {
        complaints.extend(rules::header(file));
        complaints.extend(rules::length(file));
        complaints.extend(rules::size(file));
    }
    complaints.extend(rules::module_files(files));
    complaints.extend(migrations::check(files));
    complaints.extend(rules::changelog(files));
    complaints
}

/// The files that git tracks or would track.
fn files(root: &Path) -> Result<Vec<File>, String> {
    // Git refuses a checkout of another user, as in a container. Who runs this command trusts the
    // checkout already, since the command was built from it.
    let list = Program::new("git", "-c")
        .arg(&format!("safe.directory={}", root.display()))
        .arg("ls-files")
        .arg("-z")
        .arg("--cached")
        .arg("--others")
        .arg("--exclude-standard");
    let output = list
        .output(root)
        .map_err(|error| format!("tidy: git cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("tidy: `{list}` failed"));
    }
    let mut paths: Vec<&str> = std::str::from_utf8(&output.stdout)
        .map_err(|_| "tidy: a file's name is not UTF-8".to_owned())?
        .split_terminator('\0')
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
        .into_iter()
        .filter_map(|path| file(root, path).transpose())
        .collect()
}

/// Reads a file; `None` where it was removed and git does not know yet.
fn file(root: &Path, path: &str) -> Result<Option<File>, String> {
    let full = root.join(path);
    let Ok(metadata) = fs::symlink_metadata(&full) else {
        return Ok(None);
    };
    let read = metadata.is_file() && (path.ends_with(".rs") || path == rules::CHANGELOG);
    let text = read.then(|| fs::read_to_string(&full)).transpose();
    Ok(Some(File {
        path: path.to_owned(),
        size_bytes: metadata.len(),
        text: text.map_err(|error| format!("tidy: {path} cannot be read: {error}"))?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_those_of_this_checkout() {
        let files = files(&crate::root()).expect("git lists them");

        let this = files.iter().find(|f| f.path == "xtask/src/tidy/mod.rs");
        assert!(this.is_some_and(|f| f.rust().is_some()));
        assert!(!files.iter().any(|f| f.path.starts_with("target/")));
    }

    #[test]
    fn a_complaint_begins_with_its_file() {
        let complaint = Complaint::new("a/b.rs", "is wrong");

        assert_eq!(complaint.to_string(), "a/b.rs: is wrong");
    }
}
