//! What a project asks of its apps while they run is done by those that follow it, and by no others.

use std::fs;

use bugsage_core::batch::Sealed;
use serde_json::Value;

use crate::support::collector::{Collector, Folder, Project, wait_for};
use crate::support::events::{self, EventBuilder};
use crate::support::program::subject;

const HEADER: &str = "bugsage-settings";

fn batch() -> Sealed {
    events::seal([EventBuilder::panic("price").build()])
}

#[track_caller]
fn set(collector: &Collector, words: &[&str]) {
    let all = [&["project", "set", "shop"], words].concat();
    collector.folder().run(&all).well();
}

/// What the collector asks for in the answer to a batch.
#[track_caller]
fn asked(collector: &Collector, project: &Project) -> Option<String> {
    let answer = collector.send(project, &batch());
    assert_eq!(answer.taken(), (1, 0));
    answer.header(HEADER).map(str::to_owned)
}

#[track_caller]
fn wait_until_asked(collector: &Collector, project: &Project, value: Option<&str>) {
    wait_for("what was set", || {
        (asked(collector, project).as_deref() == value).then_some(())
    });
}

fn number(text: &str) -> u64 {
    text.parse().expect("is a number")
}

/// Spans that are stored.
fn stored_spans(collector: &Collector) -> u64 {
    let accounts = collector.folder().json(&["ledger", "--project", "shop"]);
    let account = &accounts[0]["spans"];
    assert_eq!(account["balanced"], true, "{account:#}");
    let outcomes = account["outcomes"].as_array().expect("is a list").iter();
    let stored = outcomes.filter(|line| line["outcome"] == "stored");
    stored.filter_map(|line| line["spans"].as_u64()).sum()
}

#[test]
fn an_app_that_follows_does_what_its_project_asks_for_as_long_as_it_asks() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let end = Folder::new();
    let end_file = end.path().join("end");

    let app = subject("follow").dsn(&project.dsn).arg(&end_file).spawn();
    app.wait_for_stderr("sampled=false warned=0 noted=true");
    set(&collector, &["--traces-rate", "1.0"]);
    app.wait_for_stderr("sampled=true warned=0 noted=true");
    set(
        &collector,
        &["--event-level", "warn", "--breadcrumb-level", "off"],
    );
    app.wait_for_stderr("sampled=true warned=1 noted=false");
    set(&collector, &["--traces-rate", "unset"]);
    app.wait_for_stderr("sampled=false warned=1 noted=false");
    set(&collector, &["--event-level", "unset"]);
    app.wait_for_stderr("sampled=false warned=0 noted=false");
    fs::write(&end_file, "").expect("can be written");
    let ended = app.wait().well();

    let spans = ended.account("account of spans");
    let (rounds, sampled) = (number(ended.told("rounds")), number(ended.told("sampled")));
    assert!(0 < sampled && sampled < rounds, "{ended:#?}");
    assert_eq!((spans.produced, spans.delivered), (sampled, sampled));
    assert_eq!(stored_spans(&collector), sampled);
    let traces = collector.folder().json(&["traces", "list"]);
    assert_eq!(traces[0]["root"], "round");
    let issues = collector.folder().issues();
    let events = |title: &str| {
        let is_it = |issue: &&Value| issue["title"].as_str().is_some_and(|it| it.contains(title));
        let issue = issues.iter().find(is_it);
        let issue = issue.unwrap_or_else(|| panic!("{title} is not in {issues:#?}"));
        issue["events"].as_u64().expect("is a number")
    };
    assert_eq!(events("nearly sold out"), number(ended.told("warnings")));
    assert_eq!(events("arrived"), rounds);
}

#[test]
fn an_app_that_does_not_follow_stays_as_it_is() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let all = "traces_rate=1, event_level=warn, breadcrumb_level=off";
    set(&collector, &["--traces-rate", "1"]);
    set(
        &collector,
        &["--event-level", "warn", "--breadcrumb-level", "off"],
    );
    wait_until_asked(&collector, &project, Some(all));

    let ended = subject("deaf").dsn(&project.dsn).arg("10").run().well();

    assert_eq!(ended.account("account").delivered, 10);
    assert_eq!((ended.told("sampled"), ended.told("warnings")), ("0", "0"));
    let states: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(states, ["sampled=false warned=0 noted=true"]);
    assert_eq!(stored_spans(&collector), 0);
}

#[test]
fn what_a_project_asks_for_is_shown_and_told_to_its_own_apps_until_it_is_unset() {
    let collector = Collector::start();
    let shop = collector.create_project("shop");
    let bank = collector.create_project("bank");
    assert_eq!(asked(&collector, &shop), None, "nothing is set");

    set(&collector, &["--traces-rate", "0.25", "--rate", "100000"]);
    set(&collector, &["--event-level", "off"]);
    let value = "traces_rate=0.25, event_level=off";
    wait_until_asked(&collector, &shop, Some(value));

    assert_eq!(asked(&collector, &bank), None, "is another project");
    let same = batch();
    for taken in [(1, 0), (0, 1)] {
        let answer = collector.send(&shop, &same);
        assert_eq!(answer.taken(), taken);
        assert_eq!(answer.header(HEADER), Some(value));
    }
    let refused = collector.client().send(&shop.key, b"no batch");
    assert_eq!((refused.status, refused.header(HEADER)), (400, None));
    let folder = collector.folder();
    let projects = folder.json(&["project", "list"]);
    assert_eq!(projects[0]["traces_rate"], 0.25);
    assert_eq!(projects[0]["event_level"], "off");
    assert!(projects[0]["breadcrumb_level"].is_null());
    assert_eq!(projects[0]["rate"], 100_000, "beside what else was set");
    assert!(projects[1]["traces_rate"].is_null());
    let list = folder.run(&["project", "list"]).well().stdout;
    assert!(list.contains(value), "{list}");
    let shown = folder.run(&["project", "show", "shop"]).well().stdout;
    assert!(shown.contains(value), "{shown}");
    let page = collector.client().get("/issues").body;
    assert!(page.contains(value), "{page}");

    let collector = collector.restart();
    assert_eq!(asked(&collector, &shop).as_deref(), Some(value), "is kept");
    set(
        &collector,
        &["--traces-rate", "unset", "--event-level", "unset"],
    );
    wait_until_asked(&collector, &shop, None);
    let projects = collector.folder().json(&["project", "list"]);
    assert!(projects[0]["traces_rate"].is_null() && projects[0]["event_level"].is_null());
}

#[test]
fn what_no_app_can_be_asked_for_is_refused_with_what_to_do() {
    let folder = Folder::new();
    folder.create_project("shop", None);
    let share = "a number from 0.0, nothing, to 1.0, everything";
    let level = "one of `off`, `error`, `warn`, `info`, `debug` and `trace`";
    for (project, words, code, says) in [
        ("shop", ["--traces-rate", "2"], 2, share),
        ("shop", ["--traces-rate", "-0.5"], 2, share),
        ("shop", ["--traces-rate", "NaN"], 2, share),
        ("shop", ["--traces-rate", "inf"], 2, share),
        ("shop", ["--traces-rate", ""], 2, share),
        ("shop", ["--traces-rate", "none"], 2, "`unset`"),
        ("shop", ["--event-level", "loud"], 2, level),
        ("shop", ["--event-level", "fatal"], 2, level),
        ("shop", ["--breadcrumb-level", "WARN"], 2, level),
        ("bank", ["--event-level", "warn"], 3, "bugsage project list"),
    ] {
        let all = [&["project", "set", project], &words[..]].concat();
        let ended = folder.run(&all).with_code(code);
        assert!(ended.stderr.contains(says), "{words:?}: {}", ended.stderr);
    }

    let shown = folder.json(&["project", "show", "shop"]);
    for name in ["traces_rate", "event_level", "breadcrumb_level"] {
        assert!(shown[name].is_null(), "{name} of {shown:#}");
    }
}
