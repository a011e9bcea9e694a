//! A git repository with the source of an imaginary app.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::collector::Folder;

/// The function in which [`super::events::EventBuilder::panic`] of "price" fails, at line 7.
const PRICE: &str = "\
//! Prices.

const FEES: [u32; 3] = [10, 20, 30];

/// The fee for a parcel.
pub fn fail(weight: usize) -> u32 {
    FEES[weight]
}
";

/// A package without dependencies that fails in the same place, where the caller can be told.
const MANIFEST: &str = "[package]\nname = \"shop\"\nversion = \"1.0.0\"\nedition = \"2024\"\n";
const LOCK: &str = "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"1.0.0\"\n";
const LIB: &str = "//! A shop.\n\npub mod price;\n";
const FALLIBLE_PRICE: &str = "\
//! Prices.

const FEES: [u32; 3] = [10, 20, 30];

/// The fee for a parcel.
pub fn fail(weight: usize) -> Option<u32> {
    let fee = FEES[weight];
    Some(fee)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_parcel_costs_its_fee() {
        assert_eq!(super::fail(1), Some(20));
    }
}
";

/// Makes a repository in a folder, and tells its path and its one commit.
pub(crate) fn make(folder: &Folder) -> (PathBuf, String) {
    let files = [("src/price.rs", PRICE), ("src/main.rs", "fn main() {}\n")];
    commit_all(folder, &files)
}

/// The same with a package that builds, whose failure a rule can mend.
pub(crate) fn make_package(folder: &Folder) -> (PathBuf, String) {
    let files = [
        ("Cargo.toml", MANIFEST),
        ("Cargo.lock", LOCK),
        ("src/lib.rs", LIB),
        ("src/price.rs", FALLIBLE_PRICE),
    ];
    commit_all(folder, &files)
}

/// A repository with these files, and its only commit.
pub(crate) fn commit_all(folder: &Folder, files: &[(&str, &str)]) -> (PathBuf, String) {
    let path = folder.path().join("repository");
    fs::create_dir_all(path.join("src")).expect("a folder can be made");
    for (name, text) in files {
        fs::write(path.join(name), text).expect("can be written");
    }
    git(&path, &["init", "--quiet", "--initial-branch=main"]);
    let commit = commit(&path, "price: charge by weight");
    (path, commit)
}

/// Commits everything, and tells the commit.
pub(crate) fn commit(path: &Path, message: &str) -> String {
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "--message", message]);
    git(path, &["rev-parse", "HEAD"])
}

/// Runs git, and tells what it printed.
pub(crate) fn git(path: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(path)
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(words)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Ann Lee")
        .env("GIT_AUTHOR_EMAIL", "ann@example.com")
        .env("GIT_COMMITTER_NAME", "Ann Lee")
        .env("GIT_COMMITTER_EMAIL", "ann@example.com")
        .stdin(Stdio::null())
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "git {words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
