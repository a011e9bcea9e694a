//! The command line is a contract: exit codes, documents, and sentences that say what to do.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;

use bugsage_core::event::ErrorLink;
use serde_json::Value;

use crate::support::client::{Request, read_answer};
use crate::support::collector::{Collector, Folder, bugsage, wait_for};
use crate::support::events::EventBuilder;
use crate::support::repository;

const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;

/// Checks that a document has at least these fields.
#[track_caller]
fn has(document: &Value, fields: &str) {
    let known: BTreeSet<&str> = document
        .as_object()
        .expect("is an object")
        .keys()
        .map(String::as_str)
        .collect();
    for field in fields.split(", ") {
        assert!(known.contains(field), "{field} is not in {known:?}");
    }
}

#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().expect("is text");
    assert!(text.len() >= 20 && text.ends_with('Z'), "{text}");
    assert_eq!(&text[10..11], "T", "{text}");
}

#[test]
fn documents_have_the_fields_that_tools_rely_on() {
    let folder = Folder::new();
    let (repository, commit) = repository::make(&folder);
    let path = repository.to_str().expect("is text");
    let project = folder.json(&["project", "create", "shop", "--repository", path]);
    has(&project, "id, name, dsn, ingest_key");
    assert!(project["id"].is_u64());
    let dsn = project["dsn"].as_str().expect("is text");
    let key = project["ingest_key"].as_str().expect("is text").to_owned();
    assert_eq!(dsn, format!("http://{key}@127.0.0.1:4100/1"));
    let collector = Collector::start_on(folder);
    let release = format!("shop@1.0.0+{commit}");
    let batch = EventBuilder::panic("price")
        .release(&release)
        .count(3)
        .user("u1")
        .seal();
    collector.client().send(&key, &batch.bytes).taken();
    wait_for("an analysis", || {
        let case = collector.folder().only_issue()["case"].clone();
        (case["analysis"].is_object() && case["state"] == "needs_human").then_some(())
    });

    let issue = collector.folder().issue(1);
    has(
        &issue,
        "id, project, title, class, culprit, status, substatus, severity, events, users, \
         first_seen, last_seen, first_release, last_release, latest_event, case",
    );
    assert_eq!((&issue["id"], &issue["project"]), (&1.into(), &1.into()));
    assert_eq!((&issue["events"], &issue["users"]), (&3.into(), &1.into()));
    assert_eq!(issue["class"], "index_out_of_bounds");
    is_time(&issue["first_seen"]);
    is_time(&issue["last_seen"]);

    let case = &issue["case"];
    has(
        case,
        "id, issue, state, analysis, patch, verdicts, confidence, risk",
    );
    has(
        &case["analysis"],
        "class, root_cause, function, file, line, confidence, reasons, suspect_commit",
    );
    assert!(case["patch"].is_null() && case["risk"].is_null());
    assert!(case["id"].is_string() && case["verdicts"].is_array());

    let id = issue["latest_event"].as_str().expect("is text");
    let event = collector.folder().json(&["events", "show", id]);
    has(
        &event,
        "id, issue, count, first_at, last_at, commit, fingerprints, symbolicated, trace_id, \
         timestamp, level, message, location, thread, release, environment, frames, breadcrumbs, \
         spans, tags, contexts",
    );
    has(
        &event["frames"][0],
        "function, file, line, column, in_app, inlined, module",
    );
    assert_eq!(event["commit"], commit.as_str());
    assert_eq!(event["count"], 3);
    assert!(event["trace_id"].is_null());
    is_time(&event["timestamp"]);
    let events = collector.folder().json(&["events", "list", "--issue", "1"]);
    assert_eq!(events[0]["id"], event["id"]);
    let projects = collector.folder().json(&["project", "list"]);
    assert_eq!(projects[0]["issues"], 1);
    let here = format!("http://{key}@{}/1", collector.address());
    assert_eq!(
        projects[0]["dsn"], here,
        "it tells where the collector runs now"
    );
}

#[test]
fn an_event_is_shown_as_text_with_all_that_was_told_of_it() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let batch = EventBuilder::panic("price")
        .user("u1")
        .with(|event| {
            event.tags = vec![("region".into(), "eu".into())];
            event.errors = ["no price", "no connection"].map(link).to_vec();
        })
        .seal();
    collector.client().send(&project.key, &batch.bytes).taken();
    let issue = collector.folder().issue(1);
    let id = issue["latest_event"].as_str().expect("is text").to_owned();

    let shown = collector.folder().run(&["events", "show", &id]).well();

    let text = shown.stdout;
    for line in [
        "  1 report at ",
        "  at src/price.rs:7:5",
        "  release shop@1.0.0",
        "  user u1",
        "  tag region = eu",
        "  error no price",
        "  because of no connection",
        "  thread ",
        ">   0  shop::price::fail",
    ] {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
}

fn link(message: &str) -> ErrorLink {
    ErrorLink {
        type_name: None,
        message: message.into(),
    }
}

#[test]
fn what_is_not_there_ends_with_three() {
    let folder = Folder::new();
    folder.create_project("shop", None);

    let event = "0190a1b2-0000-7000-8000-000000000001";
    for words in [
        &["issues", "show", "7"][..],
        &["issues", "resolve", "7"],
        &["issues", "ignore", "7"],
        &["events", "list", "--issue", "7"],
        &["events", "show", event],
        &["traces", "show", "4bf92f3577b34da6a3ce929d0e0e4736"],
        &["traces", "list", "--project", "bank"],
        &["project", "show", "bank"],
        &["project", "set", "bank", "--repository", ""],
        &["issues", "list", "--project", "bank"],
    ] {
        let ended = folder.run(words).with_code(NOT_FOUND);
        assert!(
            ended.stderr.starts_with("bugsage: there is no "),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(": see `bugsage "), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    let folder = Folder::new();
    folder.create_project("shop", None);
    // Tests run inside a repository, and whatever lies in one may be given as one.
    let outside = Folder::inside(&std::env::temp_dir());
    let outside = outside.path().to_str().expect("is text");

    for words in [
        &["nonsense"][..],
        &["issues"],
        &["issues", "show"],
        &["issues", "show", "seven"],
        &["issues", "list", "--status", "odd"],
        &["issues", "list", "--limit", "0"],
        &["issues", "list", "--nonsense"],
        &["events", "list"],
        &["events", "show", "no-id"],
        &["traces", "show", "no-id"],
        &["traces", "show", "4BF92F3577B34DA6A3CE929D0E0E4736"],
        &["traces", "list", "--limit", "0"],
        &["project", "create", ""],
        &["project", "create", "a\tb"],
        &["project", "create", "17"],
        &[
            "project",
            "create",
            "bank",
            "--repository",
            "https://example.com/a.git",
        ],
        &["project", "create", "bank", "--repository", "/nonexistent"],
        &["project", "create", "bank", "--repository", outside],
        &["serve", "--listen", "nowhere"],
    ] {
        let ended = folder.run(words).with_code(USAGE);
        assert!(!ended.stderr.is_empty(), "{words:?} says what is wrong");
        assert_eq!(ended.stdout, "", "{words:?}");
    }
    assert_eq!(
        folder.json(&["project", "list"]).as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_name_that_is_taken_is_told() {
    let folder = Folder::new();
    folder.create_project("shop", None);

    let ended = folder.run(&["project", "create", "shop"]).with_code(FAILED);

    let said = "bugsage: there is a project named shop already: choose another name\n";
    assert_eq!(ended.stderr, said);
}

#[test]
fn a_question_to_a_folder_without_data_says_what_to_do_and_makes_none() {
    let folder = Folder::new();
    for words in [
        &["issues", "list"][..],
        &["issues", "show", "1"],
        &["events", "list", "--issue", "1"],
        &["project", "list"],
    ] {
        let ended = folder.run(words).with_code(FAILED);
        assert!(ended.stderr.contains("bugsage project create"), "{ended:?}");
        assert!(ended.stderr.contains("--data"), "{ended:?}");
    }
    assert!(!folder.data().exists());
}

#[test]
fn a_second_collector_on_the_same_folder_is_refused() {
    let collector = Collector::start();

    let second = ["serve", "--listen", "127.0.0.1:0"];
    let ended = collector.folder().run(&second).with_code(FAILED);

    assert!(
        ended.stderr.contains("another collector runs on"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("--data"), "{ended:?}");
    assert_eq!(collector.client().get("/readyz").status, 200);
    let projects = collector.folder().create_project("shop", None);
    assert!(projects.dsn.contains(&collector.address().to_string()));
}

#[test]
fn a_port_that_is_taken_is_told() {
    let collector = Collector::start();
    let other = Folder::new();

    let address = collector.address().to_string();
    let ended = other
        .run(&["serve", "--listen", &address])
        .with_code(FAILED);

    assert!(
        ended.stderr.contains("choose another --listen"),
        "{ended:?}"
    );
}

#[test]
fn a_collector_that_is_told_to_stop_finishes_what_it_has_begun() {
    let mut collector = Collector::start();
    let project = collector.create_project("shop");
    let batch = EventBuilder::panic("price").seal();
    let request = Request::batch(&project.key, &batch.bytes);
    let (bytes, body_at) = request.to_bytes(collector.address());
    let mut stream = collector.client().connect().expect("is accepted");
    write(&mut stream, &bytes[..body_at + 10]);
    // The collector is at work on it once another request was answered behind it.
    assert_eq!(collector.client().get("/healthz").status, 200);

    collector.terminate();
    wait_for("the listener to close", || {
        collector.client().connect().is_err().then_some(())
    });
    write(&mut stream, &bytes[body_at + 10..]);

    let answer = read_answer(&mut std::io::BufReader::new(stream));
    assert_eq!(answer.expect("is answered").taken(), (1, 0));
    assert_eq!(collector.wait().code(), Some(DONE));
    let folder = collector.kill();
    assert_eq!(folder.only_issue()["events"], 1);
    assert!(!folder.data().join("address").exists());
}

fn write(stream: &mut std::net::TcpStream, bytes: &[u8]) {
    std::io::Write::write_all(stream, bytes).expect("is taken");
}

#[test]
fn an_idle_connection_does_not_keep_a_collector_from_stopping() {
    let collector = Collector::start();
    let mut client = collector.client();
    assert_eq!(client.get("/healthz").status, 200);

    let (status, _folder) = collector.stop();

    assert_eq!(status.code(), Some(DONE));
}

#[test]
fn the_doctor_checks_the_machine_and_the_folder() {
    let collector = Collector::start();

    let report = collector.folder().json(&["doctor"]);

    assert_eq!(report["ok"], true, "{report:#}");
    let findings = report["findings"].as_array().expect("is a list");
    for finding in findings {
        has(finding, "name, ok, detail");
    }
    let detail = |name: &str| {
        let finding = findings.iter().find(|it| it["name"] == name);
        finding.expect("is checked")["detail"]
            .as_str()
            .expect("is text")
    };
    assert!(detail("collector").contains(&collector.address().to_string()));
    assert!(detail("data folder").contains("has a store"));
    assert!(detail("sqlite").contains("built in"));
}

#[test]
fn data_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let collector = Collector::start();
    collector.create_project("shop");

    let metadata = collector.folder().data().metadata().expect("is there");

    assert_eq!(metadata.permissions().mode() & 0o077, 0);
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let events = (0..2_000).map(|n| EventBuilder::panic(&format!("part{n}")).build());
    collector
        .send(&project, &crate::support::events::seal(events))
        .taken();

    let mut child = Command::new(bugsage())
        .args(["issues", "list", "--limit", "10000", "--data"])
        .arg(collector.folder().data())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("can be started");
    let mut first = [0; 1];
    let mut stdout = child.stdout.take().expect("is piped");
    stdout.read_exact(&mut first).expect("it prints");
    drop(stdout);
    let output = child.wait_with_output().expect("is our child");

    assert_eq!(output.status.code(), Some(DONE), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn text_of_an_app_cannot_steer_the_terminal() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let hostile = EventBuilder::panic("price").message("a\u{1b}[2J\u{202e}b\u{7}c");
    collector.send(&project, &hostile.seal()).taken();

    for words in [&["issues", "list"][..], &["issues", "show", "1"]] {
        let shown = collector.folder().run(words).well().stdout;
        let is_safe = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(shown.chars().all(is_safe), "{shown:?}");
    }
}

#[test]
fn commands_and_a_collector_work_on_one_folder_at_the_same_time() {
    let collector = Collector::start();
    let project = collector.create_project("shop");

    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for _ in 0..100 {
                let batch = EventBuilder::panic("price").seal();
                assert_eq!(collector.send(&project, &batch).taken(), (1, 0));
            }
        });
        let mut n_projects = 0;
        while !sending.is_finished() {
            n_projects += 1;
            collector
                .folder()
                .create_project(&format!("other{n_projects}"), None);
        }
        sending.join().expect("does not panic");
    });

    assert_eq!(collector.folder().only_issue()["events"], 100);
}
