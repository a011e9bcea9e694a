//! The demo: the whole main job on a real crate, with exactly the bugs that are in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::collector::{Folder, bugsage, root};

/// Long enough to build the example and all that it needs on a slow machine.
const COLD: Duration = Duration::from_secs(600);

/// A bug that is in the example on purpose, by the example's own list.
struct Bug {
    file: String,
    function: String,
    line: String,
    class: String,
    commit: String,
    events: u64,
}

#[test]
fn the_demo_finds_each_bug_with_its_count_place_and_commit() {
    let output = demo(root());

    assert!(output.status.success(), "{output:?}");
    let shown: Value = serde_json::from_slice(&output.stdout).expect("is one document");
    let seconds = shown["seconds"].as_f64().expect("is a number");
    assert!(seconds > 0.0 && seconds < COLD.as_secs_f64());
    let url = shown["url"].as_str().expect("is text");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let issues = shown["issues"].as_array().expect("is a list");
    let bugs = bugs();
    assert_eq!(issues.len(), bugs.len(), "{issues:#?}");
    assert_eq!(shown["cases"].as_array().map(Vec::len), Some(bugs.len()));
    for bug in &bugs {
        check(bug, issues);
    }
}

#[track_caller]
fn check(bug: &Bug, issues: &[Value]) {
    let function = |issue: &Value| issue["case"]["analysis"]["function"] == bug.function.as_str();
    let issue = issues.iter().find(|issue| function(issue));
    let issue = issue.unwrap_or_else(|| panic!("{} is not in {issues:#?}", bug.function));
    let analysis = &issue["case"]["analysis"];
    assert_eq!(issue["events"], bug.events, "{}", bug.function);
    assert_eq!(issue["class"], bug.class.as_str());
    assert_eq!(issue["culprit"], bug.function.as_str());
    assert_eq!(issue["case"]["state"], "analyzed");
    assert_eq!(analysis["class"], bug.class.as_str());
    assert_eq!(analysis["file"], bug.file.as_str());
    assert_eq!(analysis["suspect_commit"]["subject"], bug.commit.as_str());
    let number = analysis["line"].as_u64().expect("is a number") as usize;
    let source = source(&bug.file, analyzed_version(issue));
    let line = source.lines().nth(number - 1).expect("is there");
    assert_eq!(line.trim(), bug.line, "line {number}");
    let cause = analysis["root_cause"].as_str().expect("is text");
    assert!(cause.len() > 20, "{cause}");
}

/// The version of the release that a case was read at.
fn analyzed_version(issue: &Value) -> &str {
    let commit = issue["case"]["commit"].as_str().expect("is text");
    let releases = [&issue["first_release"], &issue["last_release"]];
    let mut releases = releases.into_iter().filter_map(Value::as_str);
    let release = releases.find(|release| release.ends_with(commit));
    let release = release.unwrap_or_else(|| panic!("{commit} is in no release of {issue}"));
    let (_, version) = release.split_once('@').expect("has a name");
    version.split('+').next().expect("has a first part")
}

/// A file of the example as a release had it: the step's own, or else the present one.
fn source(file: &str, version: &str) -> String {
    let example = root().join("examples/order-service");
    let tag = format!("tag: v{version}\n");
    let mut steps = (1..).map(|step| example.join("history").join(step.to_string()));
    let step = steps.find(|step| {
        let commit = fs::read_to_string(step.join("COMMIT")).expect("the release has a step");
        commit.contains(&tag)
    });
    let own = step.expect("steps end").join("tree").join(file);
    let present = example.join(file);
    fs::read_to_string(if own.exists() { own } else { present }).expect("can be read")
}

#[test]
fn outside_a_clone_the_demo_says_how_to_get_one() {
    let folder = Folder::inside(&std::env::temp_dir());

    let output = demo(folder.path());

    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("git clone https://"), "{stderr}");
    assert_eq!(output.stdout, b"");
}

fn demo(folder: &Path) -> Output {
    let begun = Instant::now();
    let files = Folder::new();
    let (stdout, stderr) = (files.path().join("stdout"), files.path().join("stderr"));
    let create = |path: &Path| fs::File::create(path).expect("can be made");
    let mut child = Command::new(bugsage())
        .args(["demo", "--json"])
        .current_dir(folder)
        .stdout(create(&stdout))
        .stderr(create(&stderr))
        .spawn()
        .expect("can be started");
    let status = loop {
        if let Some(status) = child.try_wait().expect("is our child") {
            break status;
        }
        if begun.elapsed() > COLD {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the demo hangs: {:?}", fs::read_to_string(&stderr));
        }
        thread::sleep(Duration::from_millis(50));
    };
    Output {
        status,
        stdout: fs::read(stdout).expect("can be read"),
        stderr: fs::read(stderr).expect("can be read"),
    }
}

/// The example's list, of which only a few forms of TOML are used.
fn bugs() -> Vec<Bug> {
    let path = root().join("examples/order-service/history/bugs.toml");
    let text = fs::read_to_string(path).expect("can be read");
    let bugs: Vec<Bug> = text.split("[[bug]]").skip(1).map(bug).collect();
    assert!(!bugs.is_empty());
    bugs
}

fn bug(section: &str) -> Bug {
    let value = |name: &str| {
        let mut lines = section.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        value.unwrap_or_else(|| panic!("{name} is not in {section}"))
    };
    let text = |name: &str| value(name).trim_matches('"').replace("\\\"", "\"");
    // `{ "v1.0.0" = 12, "v1.1.0" = 240 }`
    let events = value("events").trim_matches(['{', '}', ' ']).split(',');
    let events = events.map(|pair| {
        let (_, count) = pair.split_once('=').expect("is a pair");
        count.trim().parse::<u64>().expect("is a number")
    });
    Bug {
        file: text("file"),
        function: text("function"),
        line: text("line"),
        class: text("class"),
        commit: text("commit"),
        events: events.sum(),
    }
}
