//! What an app can name of the SDK, kept as a list, so that no change of it goes unseen.
//!
//! In: what rustdoc says as JSON. Out: `bugsage-sdk/public-api.txt`, or how it differs. Libraries link the
//! facade, the SDK without the feature `capture`: it has the same functions, or says here why not.

mod json;
mod types;
mod items;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::ci;
use crate::program::Program;
use items::{Document, Line, lines};
use json::Value;

/// The list, from the root of the checkout.
const LIST: &str = "bugsage-sdk/public-api.txt";

/// All features but those that choose a cryptography, which shows nowhere and takes minutes of C.
const FEATURES: &str = "macros,capture,http,http2,tower,axum";

/// Functions and types that libraries do not find, since only an app has a use for them: it brings code of
/// its own, or asks what became of a run. Modules (`test`, `transport`, `http`) are not compared at all.
const APPS_ALONE: [&str; 9] = [
    "Builder::before_send",
    "Builder::before_send_span",
    "Builder::root_certificates",
    "Builder::traces_sampler",
    "Builder::transport",
    "Builder::try_init",
    "Ended",
    "Timestamp",
    "last_run",
];

/// Compares the list with what there is, or writes it anew.
pub(crate) fn run(root: &Path, accept: bool) -> Result<(), String> {
    let words = read(
        root,
        "bugsage_core",
        "--package bugsage-core --no-default-features --features model",
    )?;
    let features = format!("--package bugsage-sdk --no-default-features --features {FEATURES}");
    let app = lines(&[read(root, "bugsage_sdk", &features)?, words]);
    let few_words = read(
        root,
        "bugsage_core",
        "--package bugsage-core --no-default-features",
    )?;
    let library = "--package bugsage-sdk --no-default-features";
    let library = lines(&[read(root, "bugsage_sdk", library)?, few_words]);

    let missing = missing(&app, &library);
    if !missing.is_empty() {
        let missing = missing.join("\n  ");
        return Err(format!(
            "api: libraries do not find what apps call; add it to bugsage-sdk/src/facade.rs:\n  {missing}"
        ));
    }
    let now = list(&app, &library);
    let path = root.join(LIST);
    if accept {
        return fs::write(&path, now)
            .map_err(|error| format!("api: {LIST} cannot be written: {error}"));
    }
    let known = fs::read_to_string(&path)
        .map_err(|error| format!("api: {LIST} cannot be read: {error}"))?;
    match difference(&known, &now) {
        None => {
            println!("api: {} lines as listed", now.lines().count());
            Ok(())
        }
        Some(difference) => Err(format!(
            "api: what apps can name has changed:\n{difference}\n\
             Where that is meant, `cargo xtask api --accept` lists it, and CHANGELOG.md tells users."
        )),
    }
}

/// What rustdoc says of a crate with some features.
fn read(root: &Path, name: &'static str, words: &str) -> Result<Document, String> {
    // A folder of its own: build scripts look at the variable that lets a stable rustdoc write JSON, and
    // would be run anew each time.
    let target = ci::target(root).join("api");
    let program = Program::cargo(&format!("rustdoc --quiet --locked --lib {words}"))
        // What rustdoc has to say is said where the documentation is built.
        .args("-- --cap-lints allow -Z unstable-options --output-format json")
        .variable("RUSTC_BOOTSTRAP", "1")
        .variable("CARGO_TARGET_DIR", &target);
    let status = program
        .status(root)
        .map_err(|error| format!("api: cargo cannot be started: {error}"))?;
    if !status.success() {
        return Err(format!("api: {status}: {program}"));
    }
    let path = target.join("doc").join(name).with_extension("json");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("api: {} cannot be read: {error}", path.display()))?;
    let json = Value::parse(&text).map_err(|error| format!("api: {}: {error}", path.display()))?;
    Ok(Document { name, json })
}

/// Functions and macros of apps that libraries do not find, or not with the same signature.
fn missing(app: &BTreeSet<Line>, library: &BTreeSet<Line>) -> Vec<String> {
    let modules: Vec<&str> = app
        .iter()
        .filter_map(|line| line.text.strip_prefix("mod "))
        .collect();
    let is_called = |line: &&Line| {
        let is_function = line.text.contains("fn ") && !line.text.starts_with("impl");
        let is_in_module = modules
            .iter()
            .any(|module| line.path.starts_with(&format!("{module}::")));
        (is_function || line.text.starts_with("macro ")) && !is_in_module
    };
    let is_for_apps = |line: &Line| {
        let mut names = APPS_ALONE.iter();
        names.any(|name| line.path == *name || line.path.starts_with(&format!("{name}::")))
    };
    app.iter()
        .filter(is_called)
        .filter(|line| !is_for_apps(line) && !library.contains(line))
        .map(|line| line.text.clone())
        .collect()
}

fn list(app: &BTreeSet<Line>, library: &BTreeSet<Line>) -> String {
    let mut text =
        "# What an app can name of bugsage-sdk, written by `cargo xtask api --accept`.\n\n\
                    # With all features\n\n"
            .to_owned();
    for line in app {
        text.push_str(&line.text);
        text.push('\n');
    }
    text.push_str("\n# Without `capture`: what libraries link\n\n");
    for line in library {
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}

/// The lines that are gone and those that are new, by part, or nothing.
fn difference(known: &str, now: &str) -> Option<String> {
    let (known, now) = (parts(known), parts(now));
    let gone = known.difference(&now).map(|(part, line)| (part, line, '-'));
    let new = now.difference(&known).map(|(part, line)| (part, line, '+'));
    let mut all: Vec<_> = gone.chain(new).collect();
    all.sort_by_key(|(part, line, sign)| (*part, bare(line), *sign == '+'));
    let mut text = String::new();
    let mut last = None;
    for (part, line, sign) in &all {
        if last != Some(part) {
            text.push_str(&format!("  {part}\n"));
            last = Some(part);
        }
        text.push_str(&format!("  {sign} {line}\n"));
    }
    (!all.is_empty()).then_some(text)
}

/// A line from the name on, so that what was changed stands together.
fn bare(line: &str) -> &str {
    let start = line.find(['(', ':', '<']);
    &line[..start.unwrap_or(line.len())]
}

/// Each line with the heading that it stands below.
fn parts(list: &str) -> BTreeSet<(&str, &str)> {
    let mut part = "";
    let mut lines = BTreeSet::new();
    for line in list.lines().filter(|line| !line.is_empty()) {
        match line.starts_with("# ") {
            true => part = line,
            false => drop(lines.insert((part, line))),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&str, &str)]) -> BTreeSet<Line> {
        let lines = lines.iter().map(|(path, text)| Line {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        });
        lines.collect()
    }

    #[test]
    fn a_function_that_libraries_do_not_find_is_named() {
        let app = of(&[
            ("set_tag", "fn set_tag(&str, &str)"),
            ("set_user", "fn set_user(&str)"),
            ("last_run", "fn last_run() -> Option<LastRun>"),
            ("test", "mod test"),
            ("test::capture", "fn test::capture(impl FnOnce())"),
            ("Guard", "impl Fn for Guard"),
            ("input", "macro input!"),
        ]);
        let library = of(&[("set_tag", "fn set_tag(&str)")]);

        assert_eq!(
            missing(&app, &library),
            [
                "macro input!",
                "fn set_tag(&str, &str)",
                "fn set_user(&str)"
            ]
        );
        assert_eq!(missing(&app, &app), Vec::<String>::new());
    }

    #[test]
    fn a_difference_has_what_was_changed_together() {
        let known = list(
            &of(&[("a", "fn a()"), ("b", "fn b(u8)"), ("c", "fn c()")]),
            &of(&[("a", "fn a()")]),
        );
        let now = list(
            &of(&[("a", "fn a()"), ("b", "fn b(u16)"), ("d", "fn d()")]),
            &of(&[]),
        );

        assert_eq!(difference(&known, &known), None);
        assert_eq!(
            difference(&known, &now).as_deref(),
            Some(
                "  # With all features\n  - fn b(u8)\n  + fn b(u16)\n  - fn c()\n  + fn d()\n  \
                 # Without `capture`: what libraries link\n  - fn a()\n"
            )
        );
    }

    #[test]
    fn the_list_is_made_with_every_feature_that_shows() {
        let manifest = crate::root().join("bugsage-sdk/Cargo.toml");
        let manifest = fs::read_to_string(manifest).expect("is there");
        let features = manifest.split("[features]\n").nth(1).expect("has features");
        let features = features.split("\n[").next().expect("ends");
        let names = features.lines().filter_map(|line| line.split_once(" = "));
        let mut names: Vec<&str> = names.map(|(name, _)| name).collect();
        names.retain(|name| !["default", "ring", "aws-lc"].contains(name));

        let mut listed: Vec<&str> = FEATURES.split(',').collect();
        names.sort_unstable();
        listed.sort_unstable();
        assert_eq!(names, listed);
    }
}
