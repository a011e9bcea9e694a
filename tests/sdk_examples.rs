//! Every example of `examples/` does what it says, against a real collector.
//!
//! `examples/testing` is tests and nothing else: `cargo test --workspace` runs them. So it does with
//! `examples/library`, in an app; the gate runs that one alone as well, where it reports to nobody.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::client::{Client, Request};
use crate::support::collector::{
    Collector, Folder, Project, cargo_build, root, target_and_profile, wait_for,
};
use crate::support::program::{Program, Running, reporting};

/// The examples that are programs. They are built together, so that they share what they depend on.
const PROGRAMS: [&str; 4] = ["axum", "cli", "threads", "tokio"];

fn example(name: &str) -> Program {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    assert!(PROGRAMS.contains(&name), "{name} is not built");
    let folder = BUILT.get_or_init(|| {
        let (target, profile) = target_and_profile();
        let packages = PROGRAMS.map(|name| format!("--package=example-{name}"));
        cargo_build(&packages.each_ref().map(String::as_str), &target, &profile);
        let folder = if profile == "dev" { "debug" } else { &profile };
        target.join(folder)
    });
    reporting(&folder.join(format!("example-{name}")))
}

/// The one that aborts, which takes a profile of its own.
fn aborting_example() -> Program {
    let (target, _) = target_and_profile();
    cargo_build(&["--package=example-abort"], &target, "abort");
    reporting(&target.join("abort/example-abort"))
}

/// The latest event of each issue of a project.
#[track_caller]
fn events(collector: &Collector, project: &str) -> Vec<Value> {
    let folder = collector.folder();
    let issues = folder.json(&["issues", "list", "--project", project]);
    let issues = issues.as_array().expect("is a list").iter();
    let ids = issues.map(|issue| issue["latest_event"].as_str().expect("is kept").to_owned());
    ids.map(|id| folder.json(&["events", "show", &id]))
        .collect()
}

#[track_caller]
fn only_event(collector: &Collector, project: &str) -> Value {
    let mut events = events(collector, project);
    assert_eq!(events.len(), 1, "{events:#?}");
    events.remove(0)
}

/// The texts of a list's members.
#[track_caller]
fn texts<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    let members = list.as_array().expect("is a list").iter();
    let texts = members.map(|member| member[name].as_str().unwrap_or_default());
    texts.collect()
}

#[test]
fn a_command_line_tool_ends_with_its_own_codes_and_reports_why_it_failed() {
    let collector = Collector::start();
    let files = Folder::new();
    let prices = files.path().join("prices");
    fs::write(&prices, "tea 450\ncup 1200\n").expect("can be written");
    let wrong = files.path().join("wrong");
    fs::write(&wrong, "tea 450\ncup dear\n").expect("can be written");
    let run = |project: &Project, words: &[&Path]| {
        let program = words.iter().fold(example("cli"), |it, word| it.arg(word));
        program.dsn(&project.dsn).run()
    };

    let quiet = collector.create_project("quiet");
    run(&quiet, &[]).with_code(2);
    let ended = run(&quiet, &[&prices]).well();
    assert_eq!(ended.told("total"), "1650");
    assert_eq!(
        events(&collector, "quiet").len(),
        0,
        "nothing is to be mended"
    );

    let missing = collector.create_project("missing");
    let ended = run(&missing, &[&files.path().join("nowhere")]).with_code(1);
    assert!(ended.stderr.contains("cannot read"), "{ended:?}");
    let event = only_event(&collector, "missing");
    assert_eq!(event["kind"], "error");
    assert!(texts(&event["errors"], "message")[1].contains("No such file"));

    let broken = collector.create_project("broken");
    run(&broken, &[&wrong]).with_code(1);
    let event = only_event(&collector, "broken");
    let errors = texts(&event["errors"], "message");
    assert!(errors[0].starts_with("cannot add up"), "{errors:?}");
    assert_eq!(
        errors[1..],
        [
            "line 2 has no price in cents",
            "invalid digit found in string"
        ]
    );
    assert_eq!(event["spans"][0]["name"], "total");
    let crumbs = texts(&event["breadcrumbs"], "message");
    assert_eq!(crumbs, ["adding up prices"]);
    assert_eq!(event["inputs"][0]["value"], "tea 450\ncup dear\n");
    let release = event["release"].as_str().expect("is told");
    assert!(release.starts_with("example-cli@"), "{release}");
}

#[test]
fn a_library_reports_through_the_app_that_it_ends_up_in() {
    let collector = Collector::start();
    let project = collector.create_project("library");
    let files = Folder::new();
    let prices = files.path().join("prices");
    fs::write(&prices, "tea 450\n").expect("can be written");

    let program = example("cli").arg(&prices).arg("ten").dsn(&project.dsn);
    assert_eq!(program.run().well().told("total"), "450");

    let event = only_event(&collector, "library");
    assert_eq!(event["message"], "invalid digit found in string");
    let functions = texts(&event["frames"], "function");
    let reports = |function: &&str| function.starts_with("example_library::discounted_cents");
    assert!(functions.iter().any(reports), "{functions:#?}");
}

#[test]
fn jobs_in_tasks_report_with_their_own_spans() {
    let collector = Collector::start();
    let project = collector.create_project("tokio");

    let ended = example("tokio").dsn(&project.dsn).run().well();

    assert_eq!(ended.told("failed"), "2");
    let events = events(&collector, "tokio");
    assert_eq!(events.len(), 2, "{events:#?}");
    for (kind, job) in [("error", "2"), ("panic", "4")] {
        let event = events.iter().find(|event| event["kind"] == kind);
        let event = event.unwrap_or_else(|| panic!("no {kind} was reported"));
        assert_eq!(event["spans"][0]["name"], "job");
        assert_eq!(event["spans"][0]["fields"]["id"], job);
        let crumbs = texts(&event["breadcrumbs"], "message");
        assert_eq!(crumbs, [format!("job {job} begins")]);
    }
}

#[test]
fn threads_go_on_in_the_span_that_started_them() {
    let collector = Collector::start();
    let project = collector.create_project("threads");

    let ended = example("threads").dsn(&project.dsn).run().well();

    assert_eq!(ended.told("worker-1"), "2 rows");
    assert_eq!(ended.told("worker-3"), "panicked");
    let event = only_event(&collector, "threads");
    assert_eq!(event["thread"]["name"], "worker-3");
    assert_eq!(event["spans"][0]["name"], "import");
    assert_eq!(event["spans"][0]["fields"]["file"], "orders.csv");
    assert_eq!(event["tags"]["region"], "eu-west");
    assert_eq!(event["user"], "customer-4711");
    let crumbs = texts(&event["breadcrumbs"], "message");
    assert!(crumbs.contains(&"part 3 begins"), "{crumbs:?}");
}

#[test]
fn an_app_that_aborts_has_printed_and_delivered_before() {
    let collector = Collector::start();
    let project = collector.create_project("abort");
    let run = |word: &str| aborting_example().arg(word).dsn(&project.dsn).run();

    assert_eq!(run("2").well().told("on the shelf"), "pot");
    let ended = run("7").by_abort();

    assert!(ended.stderr.contains("index is 7"), "{}", ended.stderr);
    let event = only_event(&collector, "abort");
    assert_eq!(event["kind"], "panic");
    assert_eq!(event["spans"][0]["fields"]["shelf"], "7");
}

/// A service that was asked to take any free port.
struct Service {
    running: Running,
    client: Client,
}

impl Service {
    fn start(words: &[&str], project: &Project) -> Self {
        let program = words.iter().fold(example("axum"), |it, word| it.arg(word));
        let running = program.dsn(&project.dsn).spawn();
        let address = running.wait_for_line("listening on http://");
        let client = Client::new(address.parse().expect("is an address"));
        Self { running, client }
    }

    /// Asks it to end, which delivers what is left.
    fn stop(self) {
        self.running.terminate();
        self.running.wait().well();
    }
}

#[test]
fn a_trace_goes_through_two_services_and_a_panic_has_its_request() {
    let collector = Collector::start();
    let (shop, bank) = (
        collector.create_project("shop"),
        collector.create_project("bank"),
    );
    let bank_service = Service::start(&["bank", "127.0.0.1:0"], &bank);
    let address = bank_service.client.address().to_string();
    let mut shop_service = Service::start(&["shop", "127.0.0.1:0", &address], &shop);

    let paid = shop_service.client.get("/orders/7");
    assert_eq!((paid.status, &*paid.body), (200, "order 7 is paid"));
    assert_eq!(shop_service.client.get("/orders/2000").status, 502);
    let panicked = shop_service.client.try_ask(&Request::get("/orders/0"));
    assert!(panicked.is_err(), "its connection ends: {panicked:?}");
    shop_service.stop();
    bank_service.stop();

    // What the traces are is settled when both have come.
    let folder = collector.folder();
    let traces = wait_for("both services' parts of the traces", || {
        let listed = folder.json(&["traces", "list", "--project", "shop"]);
        let ids = texts(&listed, "id").into_iter();
        let traces: Vec<Value> = ids.map(|id| folder.json(&["traces", "show", id])).collect();
        let whole = traces.iter().filter(|trace| trace["spans"] == 3).count();
        (whole == 2).then_some(traces)
    });
    assert_eq!(traces.len(), 3);
    let paid = traces
        .iter()
        .find(|it| it["failed"] == 0)
        .expect("one went well");
    assert_eq!(
        texts(&paid["rows"], "name"),
        ["GET /orders/{number}", "charge", "GET /charges/{order}"]
    );

    let event = only_event(&collector, "bank");
    assert_eq!(event["message"], "order 2000 is not known to the bank");
    assert!(
        traces
            .iter()
            .any(|trace| trace["id"] == event["trace_id"] && trace["failed"] != 0)
    );
    let events = events(&collector, "shop");
    let panic = events.iter().find(|event| event["kind"] == "panic");
    let panic = panic.expect("was reported");
    assert_eq!(panic["spans"][0]["fields"]["url.path"], "/orders/0");
    let error = events.iter().find(|event| event["kind"] == "error");
    let message = error.expect("was reported")["message"].as_str();
    assert!(message.is_some_and(|it| it.contains("the bank says 500")));
}

#[test]
fn every_example_is_listed_and_tried() {
    let folders = fs::read_dir(root().join("examples")).expect("is there");
    let folders = folders.map(|entry| entry.expect("can be read").path());
    let mut names: Vec<String> = folders
        .filter(|path| path.is_dir())
        .map(|path| {
            path.file_name()
                .expect("has a name")
                .to_string_lossy()
                .into()
        })
        .collect();
    names.sort();

    // The demo's own story is `demo.rs`.
    let mut tried = [
        &PROGRAMS[..],
        &["abort", "library", "order-service", "testing"],
    ]
    .concat();
    tried.sort();
    assert_eq!(names, tried);
    let readme = fs::read_to_string(root().join("examples/README.md")).expect("is there");
    for name in names {
        assert!(readme.contains(&format!("| [{name}](")), "{name}");
    }
}
