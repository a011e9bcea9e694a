//! One bug is one issue, whatever the build; two bugs are two, whatever they share.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::collector::{Collector, Folder, cargo_build, target_and_profile};
use crate::support::program::Program;

/// How many bugs the program has.
const BUGS: usize = 12;

#[test]
fn debug_and_release_builds_agree_on_what_is_one_bug() {
    let (target, _) = target_and_profile();
    // The SDK needs no TLS of its own here, which is the dearest part of the build.
    let package = [
        "--package",
        "bugsage-tests",
        "--bin",
        "twins",
        "--no-default-features",
    ];
    cargo_build(&package, &target, "release");
    let debug = env!("CARGO_BIN_EXE_twins");
    let release = target.join("release").join("twins");
    let collector = Collector::start();
    let project = collector.create_project("twins");

    for (path, release) in [(debug.as_ref(), "twins@1.0.0"), (&*release, "twins@1.0.1")] {
        let program = Program::new(path)
            .dsn(&project.dsn)
            .env("BUGSAGE_RELEASE", release);
        assert_eq!(program.run().well().told("bugs"), BUGS.to_string());
    }

    let issues = collector.folder().issues();
    let told = told(collector.folder(), &issues);
    assert_eq!(issues.len(), BUGS, "{told:#?}");
    for issue in &issues {
        let id = issue["id"].as_u64().expect("is a number");
        let releases = collector.folder().issue(id)["releases"].clone();
        assert_eq!(releases.as_array().map(Vec::len), Some(2), "{told:#?}");
        assert_eq!(releases[0]["events"], releases[1]["events"], "{told:#?}");
    }
}

/// Each issue with the stacks in it, for whoever must find out why they differ.
fn told(folder: &Folder, issues: &[Value]) -> BTreeMap<u64, Vec<String>> {
    let mut told: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for issue in issues {
        let id = issue["id"].as_u64().expect("is a number");
        let events = folder.json(&["events", "list", "--issue", &id.to_string()]);
        for event in events.as_array().expect("is a list") {
            let frames = event["frames"].as_array().expect("is a list");
            let frames = frames.iter().map(|frame| {
                let inlined = if frame["inlined"] == true {
                    " inlined"
                } else {
                    ""
                };
                format!("{}{inlined} in {}", frame["function"], frame["file"])
            });
            let lines = told.entry(id).or_default();
            lines.push(format!("{}: {}", event["release"], event["message"]));
            lines.push(format!("counted: {}", event["grouping"]["kept"]));
            lines.extend(frames);
        }
    }
    told
}
