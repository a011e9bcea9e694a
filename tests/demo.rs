//! The demo: the whole main job on a real crate, with exactly the bugs that are in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
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
    /// Whether the obvious change is wrong.
    trap: bool,
}

/// The whole demo runs once, with a sandbox; without one, `no_sandbox` runs it to where it ends then.
mod sandboxed {
    use super::*;

    #[test]
    fn the_demo_explains_each_bug_and_proves_the_fixes_that_can_be_proved() {
        let output = demo(root(), &[]);

        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let shown = whole(&output);
        for bug in &bugs() {
            check_fix(bug, issue_of(bug, &shown));
        }
    }
}

#[test]
fn without_a_sandbox_the_demo_shows_everything_up_to_the_proof_and_says_how_to_get_one() {
    let output = demo(root(), &[("BUGSAGE_BWRAP", "/nonexistent/bwrap")]);

    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("install bubblewrap"), "{stderr}");
    let shown = whole(&output);
    for bug in &bugs() {
        let case = &issue_of(bug, &shown)["case"];
        assert_eq!(case["state"], "needs_human", "{case:#}");
        assert_eq!(case["verdicts"].as_array().map(Vec::len), Some(0));
        assert_eq!(case["patch"].is_null(), bug.trap);
    }
}

/// What the demo printed, with all that holds whether or not there is a sandbox.
#[track_caller]
fn whole(output: &Output) -> Value {
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
        check(bug, issue_of(bug, &shown));
    }
    shown
}

#[track_caller]
fn issue_of<'v>(bug: &Bug, shown: &'v Value) -> &'v Value {
    let issues = shown["issues"].as_array().expect("is a list");
    let function = |issue: &Value| issue["case"]["analysis"]["function"] == bug.function.as_str();
    let issue = issues.iter().find(|issue| function(issue));
    issue.unwrap_or_else(|| panic!("{} is not in {issues:#?}", bug.function))
}

/// A fix that passed every gate; of a trap, an honest refusal or a warning.
#[track_caller]
fn check_fix(bug: &Bug, issue: &Value) {
    let case = &issue["case"];
    if bug.trap {
        let is_declined = case["state"] == "needs_human" && case["patch"].is_null();
        let is_risky = case["risk"].as_f64().is_some_and(|risk| risk >= 0.7);
        assert!(is_declined || is_risky, "{case:#}");
        return;
    }
    assert_eq!(case["state"], "ready", "{case:#}");
    let verdicts = case["verdicts"].as_array().expect("is a list");
    let gates: Vec<&str> = verdicts
        .iter()
        .map(|verdict| {
            assert_eq!(verdict["passed"], true, "{verdict:#}");
            verdict["gate"].as_str().expect("is text")
        })
        .collect();
    assert_eq!(gates, ["diff", "red", "check", "green", "suite", "clippy"]);
    let patch = &case["patch"];
    assert_eq!(patch["files"], serde_json::json!([bug.file]));
    let diff = patch["diff"].as_str().expect("is text");
    assert!(diff.contains("#[cfg(test)]"), "{diff}");
    assert!(case["risk"].as_f64().is_some_and(|risk| risk < 0.7));
    assert!(case["confidence"].as_f64().is_some_and(|sure| sure > 0.5));
}

#[track_caller]
fn check(bug: &Bug, issue: &Value) {
    let analysis = &issue["case"]["analysis"];
    assert_eq!(issue["events"], bug.events, "{}", bug.function);
    assert_eq!(issue["class"], bug.class.as_str());
    assert_eq!(issue["culprit"], bug.function.as_str());
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

    let output = demo(folder.path(), &[]);

    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("git clone https://"), "{stderr}");
    assert_eq!(output.stdout, b"");
}

fn demo(folder: &Path, environment: &[(&str, &str)]) -> Output {
    // Demos build into one folder, which is one at a time.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let files = Folder::new();
    let (stdout, stderr) = (files.path().join("stdout"), files.path().join("stderr"));
    let create = |path: &Path| fs::File::create(path).expect("can be made");
    let mut child = Command::new(bugsage())
        .args(["demo", "--json"])
        .current_dir(folder)
        .envs(environment.iter().copied())
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
        trap: value("trap") == "true",
    }
}
