//! What is worth a case gets exactly one, and it goes its way whatever is killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::collector::{Collector, Folder, wait_for};
use crate::support::events::EventBuilder;
use crate::support::repository;

/// An event of the bug that the repository has.
fn price() -> EventBuilder {
    EventBuilder::panic("price")
}

#[test]
fn a_panic_gets_one_case_however_often_it_comes() {
    let folder = Folder::new();
    let (repository, commit) = repository::make(&folder);
    let project = folder.create_project("shop", Some(&repository));
    let collector = Collector::start_on(folder);

    for _ in 0..5 {
        let batch = price()
            .release(&format!("shop@1.0.0+{commit}"))
            .count(100)
            .seal();
        collector.send(&project, &batch).taken();
    }

    let issue = analyzed(collector.folder(), 1);
    let case = &issue["case"];
    assert_eq!(issue["events"], 500);
    assert_eq!(case["analysis"]["file"], "src/price.rs");
    assert_eq!(case["analysis"]["line"], 7);
    let suspect = &case["analysis"]["suspect_commit"];
    assert_eq!(suspect["subject"], "price: charge by weight");
    assert_eq!(suspect["sha"], commit.as_str());
    assert_eq!(steps(case)[..2], EXPLAINED);
    collector.send(&project, &price().seal()).taken();
    let (_, folder) = collector.stop();
    assert_eq!(n_cases(&folder), 1);
}

#[test]
fn what_is_not_the_apps_own_failure_gets_no_case() {
    let folder = Folder::new();
    let (repository, _) = repository::make(&folder);
    let project = folder.create_project("shop", Some(&repository));
    let collector = Collector::start_on(folder);

    collector
        .send(&project, &EventBuilder::log("cannot reach the bank").seal())
        .taken();
    let foreign = EventBuilder::panic_in_dependency("serde");
    collector.send(&project, &foreign.seal()).taken();
    collector.send(&project, &price().seal()).taken();

    let issues = collector.folder().issues();
    assert_eq!(issues.len(), 3);
    // Cases are taken in their order, so the others would have one by now.
    analyzed(collector.folder(), 3);
    let (_, folder) = collector.stop();
    assert!(folder.issue(1)["case"].is_null());
    assert!(folder.issue(2)["case"].is_null());
    assert_eq!(n_cases(&folder), 1);
}

#[test]
fn an_error_that_the_app_hands_over_gets_a_case() {
    let folder = Folder::new();
    let (repository, _) = repository::make(&folder);
    let project = folder.create_project("shop", Some(&repository));
    let collector = Collector::start_on(folder);

    let error = EventBuilder::error("price", "the bank said no");
    collector.send(&project, &error.seal()).taken();

    wait_for("an end of the case", || {
        let case = collector.folder().issue(1)["case"].clone();
        let state = case["state"].as_str()?.to_owned();
        (state != "queued" && state != "analyzing").then_some(())
    });
}

#[test]
fn a_project_without_a_repository_gets_cases_once_it_has_one() {
    let folder = Folder::new();
    let (repository, _) = repository::make(&folder);
    let project = folder.create_project("shop", None);
    let collector = Collector::start_on(folder);
    collector.send(&project, &price().seal()).taken();
    assert!(collector.folder().only_issue()["case"].is_null());

    let path = repository.to_str().expect("is text");
    let set = ["project", "set", "shop", "--repository", path];
    assert_eq!(collector.folder().json(&set)["repository"], path);
    assert!(collector.folder().only_issue()["case"].is_null());
    collector.send(&project, &price().seal()).taken();

    analyzed(collector.folder(), 1);
    let (_, folder) = collector.stop();
    assert_eq!(n_cases(&folder), 1);
}

#[test]
fn a_regression_gets_a_case_of_its_own() {
    let folder = Folder::new();
    let (repository, _) = repository::make(&folder);
    let project = folder.create_project("shop", Some(&repository));
    let collector = Collector::start_on(folder);
    collector.send(&project, &price().seal()).taken();
    let first = analyzed(collector.folder(), 1)["case"]["id"].clone();

    collector.folder().json(&["issues", "resolve", "1"]);
    collector
        .send(&project, &price().release("shop@2.0.0").seal())
        .taken();

    let second = wait_for("the second case", || {
        let case = collector.folder().issue(1)["case"].clone();
        (is_explained(&case) && case["id"] != first).then_some(case)
    });
    assert_ne!(second["id"], first);
    let (_, folder) = collector.stop();
    assert_eq!(n_cases(&folder), 2);
}

#[test]
fn a_collector_that_is_killed_in_the_middle_of_a_case_takes_it_up_again() {
    let folder = Folder::new();
    let (repository, _) = repository::make(&folder);
    let project = folder.create_project("shop", Some(&repository));
    let git = SlowGit::new(&folder);
    let collector = Collector::start_with(folder, &[("PATH", &git.path)]);
    collector.send(&project, &price().seal()).taken();
    git.wait_until_asked();

    let folder = collector.kill();
    git.let_go();
    assert_eq!(folder.only_issue()["case"]["state"], "queued");
    let collector = Collector::start_on(folder);

    let issue = analyzed(collector.folder(), 1);
    assert_eq!(steps(&issue["case"])[..2], EXPLAINED);
    let (_, folder) = collector.stop();
    assert_eq!(n_cases(&folder), 1);
}

#[test]
fn a_repository_that_is_gone_is_told_and_keeps_no_other_case_waiting() {
    let folder = Folder::new();
    let (repository, _) = repository::make(&folder);
    let lost = folder.create_project("lost", Some(&repository));
    let moved = folder.path().join("moved");
    let shop = {
        fs::rename(&repository, &moved).expect("is on one disk");
        folder.create_project("shop", Some(&moved))
    };
    let collector = Collector::start_on(folder);

    collector.send(&lost, &price().seal()).taken();
    collector.send(&shop, &price().seal()).taken();

    analyzed(collector.folder(), 2);
    let case = wait_for("an end of the first case", || {
        let case = collector.folder().issue(1)["case"].clone();
        (case["state"] == "needs_human").then_some(case)
    });
    assert!(case["analysis"].is_null());
    let reason = case["reason"].as_str().expect("says why");
    assert!(reason.contains("there is no folder"), "{reason}");
}

/// The way of every case that can be explained.
const EXPLAINED: [&str; 2] = ["queued to analyzing", "analyzing to analyzed"];

/// Waits until an issue is explained, and its case at rest: the repository here is no cargo package,
/// so that no fix can be written.
#[track_caller]
fn analyzed(folder: &Folder, issue: u64) -> Value {
    wait_for("an analysis", || {
        let issue = folder.issue(issue);
        is_explained(&issue["case"]).then_some(issue)
    })
}

fn is_explained(case: &Value) -> bool {
    case["state"] == "needs_human" && case["analysis"].is_object()
}

fn steps(case: &Value) -> Vec<String> {
    let history = case["history"].as_array().expect("is a list");
    let step = |it: &Value| format!("{} to {}", text(it, "from"), text(it, "to"));
    history.iter().map(step).collect()
}

fn text(document: &Value, name: &str) -> String {
    document[name].as_str().expect("is text").to_owned()
}

/// No command counts cases, so the file is asked.
fn n_cases(folder: &Folder) -> u32 {
    let file = folder.data().join("bugsage.db");
    let connection = rusqlite::Connection::open(file).expect("can be opened");
    let count = connection.query_row("select count(*) from cases", [], |row| row.get(0));
    count.expect("can be counted")
}

/// A `git` before the real one that waits while a file is there.
struct SlowGit {
    folder: PathBuf,
    path: String,
}

impl SlowGit {
    fn new(story: &Folder) -> Self {
        let folder = story.path().join("bin");
        fs::create_dir(&folder).expect("can be made");
        let path = std::env::var("PATH").expect("is text");
        let here = folder.to_str().expect("is text");
        let script = format!(
            "#!/bin/sh\n\
             if [ -e {here}/hold ]; then touch {here}/asked; fi\n\
             while [ -e {here}/hold ]; do sleep 0.05; done\n\
             PATH={path} exec git \"$@\"\n"
        );
        fs::write(folder.join("hold"), "").expect("can be written");
        fs::write(folder.join("git"), script).expect("can be written");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join("git"), executable).expect("is ours");
        let path = format!("{here}:{path}");
        Self { folder, path }
    }

    fn wait_until_asked(&self) {
        let is_there = |path: &Path| path.exists().then_some(());
        wait_for("git to be asked", || is_there(&self.folder.join("asked")));
    }

    fn let_go(&self) {
        fs::remove_file(self.folder.join("hold")).expect("is there");
    }
}
