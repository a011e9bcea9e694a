//! A git repository with the source of an imaginary app.

use std::fs;
use std::path::PathBuf;
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

/// Makes a repository in a folder, and tells its path and its one commit.
pub(crate) fn make(folder: &Folder) -> (PathBuf, String) {
    let path = folder.path().join("repository");
    fs::create_dir_all(path.join("src")).expect("a folder can be made");
    fs::write(path.join("src/price.rs"), PRICE).expect("can be written");
    fs::write(path.join("src/main.rs"), "fn main() {}\n").expect("can be written");
    let git = |words: &[&str]| {
        let output = Command::new("git")
            .current_dir(&path)
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
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "price: charge by weight"]);
    let commit = git(&["rev-parse", "HEAD"]);
    (path, commit)
}
