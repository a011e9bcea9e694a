//! The oldest Rust that everything builds with is the one that the gate builds with, and nobody says
//! otherwise.

use std::fs;
use std::path::Path;

use crate::program::Program;

/// Where it is told, with what stands before and behind it.
const TOLD: [(&str, &str, &str); 7] = [
    ("Cargo.toml", "rust-version = \"", "\""),
    (
        "examples/order-service/Cargo.toml",
        "rust-version = \"",
        "\"",
    ),
    ("benches/peers/Cargo.toml", "rust-version = \"", "\""),
    ("fuzz/Cargo.toml", "rust-version = \"", "\""),
    ("README.md", "with Rust ", " "),
    ("CONTRIBUTING.md", "Rust ", ","),
    ("bugsage-sdk/README.md", "Rust ", ","),
];

/// Compares what is told with the compiler at hand.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let output = Program::new("rustc", "--version")
        .output(root)
        .map_err(|error| format!("rustc cannot be started: {error}"))?;
    let compiler = String::from_utf8_lossy(&output.stdout);
    let compiler =
        release(&compiler).ok_or_else(|| format!("rustc says no version: {}", compiler.trim()))?;
    let mut told = Vec::new();
    for (path, before, behind) in TOLD {
        let text = fs::read_to_string(root.join(path))
            .map_err(|error| format!("{path} cannot be read: {error}"))?;
        told.push((path, between(&text, before, behind).map(str::to_owned)));
    }
    check(&compiler, &told)?;
    println!("oldest Rust: {compiler}, as this gate builds with");
    Ok(())
}

/// `1.95` of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn release(version: &str) -> Option<String> {
    let number = version.strip_prefix("rustc ")?.split([' ', '-']).next()?;
    let mut parts = number.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    Some(format!("{major}.{minor}"))
}

/// The first version that stands between two texts.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    text.match_indices(before).find_map(|(at, _)| {
        let rest = &text[at + before.len()..];
        let version = &rest[..rest.find(behind)?];
        let is_version = version.starts_with(|c: char| c.is_ascii_digit())
            && version.chars().all(|c| c.is_ascii_digit() || c == '.');
        is_version.then_some(version)
    })
}

/// Says in one line for each place where it differs.
fn check(compiler: &str, told: &[(&str, Option<String>)]) -> Result<(), String> {
    let wrong = told.iter().filter_map(|(path, told)| match told {
        Some(told) if told == compiler => None,
        Some(told) => Some(format!(
            "{path} says Rust {told}, and this gate builds with {compiler}: \
             nobody knows what {told} makes of it"
        )),
        None => Some(format!("{path} does not say which Rust it takes")),
    });
    let wrong: Vec<String> = wrong.collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{}; build with that one (`cargo +VERSION xtask ci`), or change what is said",
            wrong.join("; ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_says_its_version() {
        let stable = release("rustc 1.95.0 (59807616e 2026-04-14)");
        assert_eq!(stable.as_deref(), Some("1.95"));
        let nightly = release("rustc 1.97.0-nightly (0123456 2026-05-01)");
        assert_eq!(nightly.as_deref(), Some("1.97"));
        assert_eq!(release("no compiler"), None);
    }

    #[test]
    fn a_version_is_found_between_what_stands_around_it() {
        let text = "Rust apps need Rust, of course: Rust 1.95, what CI builds with.";

        assert_eq!(between(text, "Rust ", ","), Some("1.95"));
        assert_eq!(between(text, "rust-version = \"", "\""), None);
    }

    #[test]
    fn a_place_that_says_another_version_or_none_is_named() {
        let told = |version: Option<&str>| [("README.md", version.map(str::to_owned))];

        assert_eq!(check("1.95", &told(Some("1.95"))), Ok(()));
        for (said, complaint) in [
            (
                Some("1.94"),
                "README.md says Rust 1.94, and this gate builds with 1.95",
            ),
            (Some("1.96"), "README.md says Rust 1.96"),
            (None, "README.md does not say"),
        ] {
            let wrong = check("1.95", &told(said)).expect_err("differs");
            assert!(wrong.starts_with(complaint), "{wrong}");
        }
    }

    #[test]
    fn every_place_says_a_version() {
        for (path, before, behind) in TOLD {
            let text = fs::read_to_string(crate::root().join(path)).expect("is there");
            assert!(between(&text, before, behind).is_some(), "{path}");
        }
    }
}
