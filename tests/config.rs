//! What an operator sets: by flags, variables and a file, checked as a whole before anything starts.

use std::fs;

use serde_json::Value;

use crate::support::collector::{Collector, Folder, bugsage};
use crate::support::events::{EventBuilder, seal};
use crate::support::program::Program;

const USAGE: i32 = 2;

fn with_file(text: &str) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.data()).expect("is not there yet");
    fs::write(folder.data().join("bugsage.toml"), text).expect("can be written");
    folder
}

/// A setting as `config show --json` tells it.
fn setting(folder: &Folder, variables: &[(&str, &str)], key: &str) -> Value {
    let mut command = folder.command(&["config", "show", "--json"]);
    for (name, value) in variables {
        command = command.env(name, value);
    }
    let shown: Value = serde_json::from_str(&command.run().well().stdout).expect("is JSON");
    let settings = shown["settings"].as_array().expect("is a list").iter();
    let mut of_key = settings.filter(|it| it["key"] == key);
    of_key.next().expect("is a setting").clone()
}

#[test]
fn each_value_is_shown_with_where_it_came_from() {
    let folder = with_file("[retention]\ndays = 7\nbytes = \"1 GiB\"\n");
    let variable = ("BUGSAGE_RETENTION_DAYS", "8");

    let of_file = setting(&folder, &[], "retention.days");
    let of_variable = setting(&folder, &[variable], "retention.days");
    let of_nobody = setting(&folder, &[variable], "limits.connections");
    let bytes = setting(&folder, &[], "retention.bytes");

    let origin = of_file["origin"].as_str().expect("is text");
    assert!(origin.ends_with("bugsage.toml:2"), "{origin}");
    assert_eq!(
        (&of_file["value"], &of_file["source"]),
        (&7.into(), &"file".into())
    );
    assert_eq!(of_variable["value"], 8);
    assert_eq!(of_variable["origin"], "BUGSAGE_RETENTION_DAYS");
    assert_eq!(of_nobody["source"], "default");
    assert_eq!(bytes["value"], 1 << 30);
}

#[test]
fn what_is_shown_is_a_file_that_says_the_same() {
    let folder = Folder::new();
    let shown = folder.run(&["config", "show", "--origin"]).well().stdout;
    let elsewhere = with_file(&shown);

    let again = elsewhere.run(&["config", "show"]).well().stdout;

    assert_eq!(again, folder.run(&["config", "show"]).well().stdout);
    assert_eq!(setting(&elsewhere, &[], "listen")["source"], "file");
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_nothing_starts() {
    let folder = with_file("lisen = \"127.0.0.1:1\"\n[retention]\ndays = 0\n");

    for words in [
        &["check-config"][..],
        &["config", "show"],
        &["serve", "--listen", "nowhere"],
    ] {
        let command = folder.command(words).env("BUGSAGE_LOG_FORMAT", "xml");
        let ended = command.run().with_code(USAGE);
        for expected in [
            "bugsage.toml:1: lisen is no setting: did you mean listen?",
            "bugsage.toml:3: retention.days is `0`, and takes 1 to 3650 days",
            "BUGSAGE_LOG_FORMAT: log.format is `xml`, and takes text or json",
        ] {
            assert!(ended.stderr.contains(expected), "{expected}: {ended:#?}");
        }
        let told = ended.stderr.contains("--listen: listen is `nowhere`");
        assert_eq!(told, words[0] == "serve");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_configuration_in_order_ends_with_nothing_wrong() {
    let folder = with_file("[log]\nformat = \"json\"\n");
    let file = folder.data().join("bugsage.toml");

    let checked = folder.json(&["check-config"]);
    let named = Program::new(bugsage()).arg("check-config").arg("--config");
    let named = named.arg(&file).arg("--data").arg("/nonexistent");

    assert_eq!(checked["ok"], true);
    assert_eq!(checked["file"].as_str(), file.to_str());
    assert!(named.run().well().stdout.contains("in order"));
}

#[test]
fn a_log_of_json_has_one_object_a_line_and_nothing_that_was_reported() {
    let folder = with_file("[log]\nlevel = \"trace\"\nformat = \"json\"\n");
    let project = folder.create_project("shop", None);
    let collector = Collector::start_on(folder);
    let batch = EventBuilder::panic("price")
        .message("no price for ann@example.org")
        .user("user-4711")
        .seal();

    collector.send(&project, &batch).taken();
    collector
        .client()
        .send("bsi_wrong", &batch.bytes)
        .error(401, "unknown_key");
    let (status, folder) = collector.stop();

    assert!(status.success());
    let log = fs::read_to_string(folder.path().join("log")).expect("is there");
    assert!(log.lines().count() > 0);
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("is JSON");
        assert!(
            line["timestamp"].is_string() && line["level"].is_string(),
            "{line}"
        );
    }
    for secret in [
        project.key.as_str(),
        "bsi_wrong",
        "ann@example",
        "user-4711",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn all_events_are_kept_where_that_is_set() {
    let environment = [("BUGSAGE_RETENTION_EVENTS", "all")];
    let collector = Collector::start_with(Folder::new(), &environment);
    let project = collector.create_project("shop");
    let events = (0..500).map(|_| EventBuilder::panic("price").build());

    collector.send(&project, &seal(events)).taken();

    let listed = ["events", "list", "--issue", "1", "--limit", "10000"];
    let kept = collector.folder().json(&listed);
    assert_eq!(kept.as_array().map(Vec::len), Some(500));
}

#[test]
fn a_connection_beyond_their_number_waits_until_another_ends() {
    let environment = [("BUGSAGE_LIMITS_CONNECTIONS", "1")];
    let collector = Collector::start_with(Folder::new(), &environment);
    let mut first = collector.client();
    assert_eq!(first.get("/healthz").status, 200);

    let (said, answered) = std::sync::mpsc::channel();
    let mut second = collector.client();
    let waiting = std::thread::spawn(move || said.send(second.get("/healthz").status));
    let early = answered.recv_timeout(std::time::Duration::from_millis(300));
    drop(first);

    assert!(early.is_err(), "the first connection is open");
    assert_eq!(answered.recv_timeout(crate::support::PATIENCE), Ok(200));
    waiting.join().expect("does not panic").expect("is heard");
}
