//! What people say about grouping holds, and what they are told about it is so.

use bugsage_core::event::{Event, FINGERPRINT_TAG, Location};
use serde_json::{Value, json};

use crate::pages::check_page;
use crate::support::client::Request;
use crate::support::collector::{Collector, Project, wait_for};
use crate::support::events::{EventBuilder, frame, seal, stack};
use crate::support::repository::commit_all;

/// Reports by issue.
fn counts(collector: &Collector) -> Vec<(u64, u64)> {
    let issues = collector.folder().issues();
    let count = |issue: &Value| Some((issue["id"].as_u64()?, issue["events"].as_u64()?));
    let mut counts: Vec<(u64, u64)> = issues.iter().filter_map(count).collect();
    counts.sort_unstable();
    counts
}

fn send(collector: &Collector, project: &Project, events: impl IntoIterator<Item = Event>) {
    let events: Vec<Event> = events.into_iter().collect();
    let sent = events.len() as u64;
    assert_eq!(collector.send(project, &seal(events)).taken(), (sent, 0));
}

#[test]
fn issues_that_people_merge_are_one_until_they_are_taken_apart() {
    let collector = Collector::start();
    let shop = collector.create_project("shop");
    let bugs = ["cart", "price", "mail"];
    send(
        &collector,
        &shop,
        bugs.map(|bug| EventBuilder::panic(bug).build()),
    );
    assert_eq!(counts(&collector), [(1, 1), (2, 1), (3, 1)]);

    let merged = collector.folder().json(&["issues", "merge", "1", "2", "3"]);
    assert_eq!((&merged["id"], &merged["events"]), (&json!(1), &json!(3)));
    send(
        &collector,
        &shop,
        bugs.map(|bug| EventBuilder::panic(bug).build()),
    );
    assert_eq!(counts(&collector), [(1, 6)]);
    let detail = collector.folder().issue(1);
    assert_eq!(detail["parts"], json!([2, 3]));

    let page = collector.client().get("/issues/1");
    check_page(&page, 200);
    assert!(
        page.body.contains("action=\"/issues/2/unmerge\""),
        "{}",
        page.body
    );
    let answer = collector
        .client()
        .ask(&Request::form("/issues/2/unmerge", ""));
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/issues/2"))
    );
    assert_eq!(counts(&collector), [(1, 4), (2, 2)]);
    let answer = collector
        .client()
        .ask(&Request::form("/issues/1/merge", "issue=2"));
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/issues/1"))
    );
    assert_eq!(counts(&collector), [(1, 6)]);
    let part = collector.client().get("/issues/2");
    check_page(&part, 200);
    assert!(part.body.contains("href=\"/issues/1\""), "{}", part.body);

    collector
        .folder()
        .run(&["issues", "merge", "1", "1"])
        .with_code(4);
    collector
        .folder()
        .run(&["issues", "unmerge", "99"])
        .with_code(3);
}

#[test]
fn a_form_from_elsewhere_changes_nothing() {
    let collector = Collector::start();
    let shop = collector.create_project("shop");
    send(
        &collector,
        &shop,
        ["cart", "price"].map(|bug| EventBuilder::panic(bug).build()),
    );
    let form = Request::form("/issues/1/merge", "issue=2");

    for request in [
        form.clone().header("sec-fetch-site", "cross-site"),
        form.clone().header("sec-fetch-site", "same-site"),
        form.clone().header("sec-fetch-site", "none"),
        form.clone().without("sec-fetch-site"),
        form.clone()
            .without("sec-fetch-site")
            .header("origin", "http://evil.example"),
        form.clone().header("host", "evil.example"),
    ] {
        let answer = collector.client().ask(&request);
        assert_eq!(answer.status, 403, "{request:?}");
    }
    for (path, fields, status) in [
        ("/issues/1/merge", "issue=one", 400),
        ("/issues/1/merge", "", 400),
        ("/issues/1/merge", "issue=1", 409),
        ("/issues/1/merge", "issue=99", 404),
        ("/issues/1/split", "", 400),
        ("/issues/1/split", "fingerprint=%3Cscript%3E", 404),
        ("/issues/99/unmerge", "", 404),
    ] {
        let answer = collector.client().ask(&Request::form(path, fields));
        check_page(&answer, status);
    }
    assert_eq!(counts(&collector), [(1, 1), (2, 1)]);
}

#[test]
fn rules_are_tried_on_what_is_there_and_hold_for_what_comes() {
    let collector = Collector::start();
    let shop = collector.create_project("shop");
    let of_tenant = |bug: &str, tenant: &str| {
        let tag = ("tenant".into(), tenant.into());
        EventBuilder::panic(bug)
            .with(|event| event.tags = vec![tag])
            .build()
    };
    let events = || {
        [
            of_tenant("cart", "north"),
            of_tenant("price", "north"),
            of_tenant("mail", "north"),
            of_tenant("mail", "south"),
        ]
    };
    send(&collector, &shop, events());
    let rules = collector.folder().path().join("shop.rules");
    let text = "# Two are one, and one is two.\n\
        culprit:*::cart::fail -> money\n\
        culprit:*::price::fail -> money\n\
        file:*mail.rs -> {{ default }} {{ tag.tenant }}\n";
    std::fs::write(&rules, text).expect("can be written");
    let rules = rules.to_str().expect("is text");
    let of_shop = |words: &[&str]| {
        let words = [words, &["--project", "shop"]].concat();
        collector.folder().json(&words)
    };

    let tried = of_shop(&["rules", "try", rules]);
    assert_eq!(
        (&tried["events"], &tried["fitting"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(tried["rules"], json!({"2": 1, "3": 1, "4": 2}));
    let merged = json!([{"rule": 2, "issues": [1, 2], "into": null}]);
    let leave = json!({"rule": 4, "events": 1, "into": null});
    let split = json!([{"issue": 3, "stay": 0, "leave": [leave, leave]}]);
    assert_eq!(tried["merged"], merged, "{tried:#}");
    assert_eq!(tried["split"], split, "{tried:#}");
    assert_eq!(counts(&collector).len(), 3, "trying changes nothing");

    let set = of_shop(&["rules", "set", rules]);
    assert_eq!(set["version"], json!(1));
    assert_eq!(of_shop(&["rules", "set", rules])["version"], json!(1));
    assert_eq!(of_shop(&["rules", "show"])["rules"], json!(text));
    wait_for("the rules to hold", || {
        send(&collector, &shop, [of_tenant("cart", "north")]);
        (counts(&collector).len() > 3).then_some(())
    });
    let before = counts(&collector);
    send(&collector, &shop, events());
    let after = counts(&collector);
    let grown = |issue: u64| {
        let of =
            |counts: &[(u64, u64)]| counts.iter().find(|it| it.0 == issue).map_or(0, |it| it.1);
        of(&after) - of(&before)
    };
    assert_eq!([grown(1), grown(2), grown(3)], [0, 0, 0], "{after:?}");
    assert_eq!(grown(4), 2, "{after:?}");
    assert_eq!([grown(5), grown(6)], [1, 1], "{after:?}");
    let event = collector.folder().json(&["events", "list", "--issue", "4"])[0].clone();
    assert!(event["grouping"]["rule"].is_u64(), "{event:#}");
    assert_eq!(
        event["grouping"]["kept"],
        json!([{"rule": "rule", "value": "money"}])
    );

    // Without them, what they gathered comes where it came before.
    let none = collector.folder().path().join("none.rules");
    std::fs::write(&none, "").expect("can be written");
    let tried = of_shop(&["rules", "try", none.to_str().expect("is text")]);
    let splits = tried["split"].as_array().expect("is a list");
    let split = splits.iter().find(|it| it["issue"] == json!(4));
    let split = split.unwrap_or_else(|| panic!("4 is split: {tried:#}"));
    assert_eq!(split["leave"][0]["into"], json!(1), "{tried:#}");
    assert_eq!(split["leave"][1]["into"], json!(2), "{tried:#}");
    assert_eq!(split["leave"][1]["rule"], json!(null), "{tried:#}");

    // Nothing on standard input: only the built-in ones hold again.
    assert_eq!(of_shop(&["rules", "set", "-"])["version"], json!(2));
    assert_eq!(of_shop(&["rules", "show"])["rules"], json!(""));
    let first = of_shop(&["rules", "show", "--version", "1"]);
    assert_eq!(first["rules"], json!(text));
    let missing = ["rules", "show", "--version", "3", "--project", "shop"];
    collector.folder().run(&missing).with_code(3);
}

#[test]
fn what_an_app_calls_one_bug_is_one() {
    let collector = Collector::start();
    let shop = collector.create_project("shop");
    let wanting = |bug: &str, wanted: &str| {
        let tag = (FINGERPRINT_TAG.into(), wanted.into());
        EventBuilder::panic(bug)
            .with(|event| event.tags = vec![tag])
            .build()
    };
    let events = [
        wanting("cart", "supplier 17"),
        wanting("price", "supplier 17"),
        wanting("cart", "{{ default }}\nsupplier 18"),
        wanting("price", "{{ default }}\nsupplier 18"),
        EventBuilder::panic("cart").build(),
    ];
    send(&collector, &shop, events);

    let counted: Vec<u64> = counts(&collector)
        .iter()
        .map(|(_, events)| *events)
        .collect();
    assert_eq!(counted, [2, 1, 1, 1]);
}

/// A file with two functions that fail alike, and who only runs what it is handed.
const SOURCE: &str = "fn total(prices: &[u64]) -> u64 {
    prices[3]
}

fn discount(prices: &[u64]) -> u64 {
    prices[7]
}

fn invoice() -> u64 {
    total(&[]) + discount(&[])
}

fn run(job: fn() -> u64) -> u64 {
    job()
}

fn retry(job: fn() -> u64) -> u64 {
    job()
}
";

/// A project whose source is a repository, and the release that its commit is.
fn with_source(collector: &Collector) -> (Project, String) {
    let (path, commit) = commit_all(collector.folder(), &[("src/price.rs", SOURCE)]);
    let project = collector.folder().create_project("shop", Some(&path));
    (project, format!("shop@1.0.0+{commit}"))
}

fn at(event: &mut Event, line: u32) {
    event.location = Some(Location {
        file: "src/price.rs".into(),
        line,
        column: 5,
    });
}

#[test]
fn a_build_without_debug_information_is_grouped_by_the_source_of_its_commit() {
    let collector = Collector::start();
    let (shop, release) = with_source(&collector);
    let debug = |function: &str, line: u32| {
        let frames = [
            frame(
                &format!("shop::price::{function}"),
                "/build/src/price.rs",
                line,
            ),
            frame("shop::price::invoice", "/build/src/price.rs", 10),
        ];
        let event = EventBuilder::panic("price").release(&release);
        let event = event.with(|event| {
            at(event, line);
            event.stack = Some(stack(frames));
        });
        event.build()
    };

    let plain = [2, 6, 2].map(|line| plain(&release, line));
    send(&collector, &shop, plain);
    assert_eq!(counts(&collector), [(1, 2), (2, 1)]);
    send(&collector, &shop, [debug("total", 2), debug("discount", 6)]);
    assert_eq!(counts(&collector), [(1, 3), (2, 2)]);

    let event = collector.folder().json(&["events", "list", "--issue", "1"])[0].clone();
    let kept = event["grouping"]["kept"].to_string();
    assert!(kept.contains("src/price.rs#total"), "{kept}");
    assert_eq!(event["grouping"]["has_changed"], json!(false), "{event:#}");
    assert_eq!(event["grouping"]["provisional"], json!(false), "{event:#}");
    // A release that nobody knows the commit of is grouped for now.
    let unknown = EventBuilder::panic("price").release("shop@2.0.0");
    let unknown = unknown.with(|event| {
        at(event, 6);
        event.stack = Some(stack([frame("shop::price::invoice", "", 0)]));
    });
    send(&collector, &shop, [unknown.build()]);
    assert_eq!(counts(&collector).len(), 3);
    let page = collector.client().get("/issues/3");
    check_page(&page, 200);
    assert!(page.body.contains("For now"), "{}", page.body);
}

/// All that Cargo's plain release tells: addresses with names of functions, and the place of the panic.
fn plain(release: &str, line: u32) -> Event {
    let event = EventBuilder::panic("price").release(release);
    let event = event.with(|event| {
        at(event, line);
        event.stack = Some(stack([frame("shop::price::invoice", "", 0)]));
    });
    event.build()
}

#[test]
fn what_was_grouped_for_now_is_grouped_anew_once_its_source_is_there() {
    let collector = Collector::start();
    let (path, commit) = commit_all(collector.folder(), &[("src/price.rs", SOURCE)]);
    let release = format!("shop@1.0.0+{commit}");
    let shop = collector.create_project("shop");
    // Two bugs of one file and class, and one of the two by a build that knows its functions.
    send(
        &collector,
        &shop,
        [2, 2, 6].map(|line| plain(&release, line)),
    );
    assert_eq!(counts(&collector), [(1, 3)]);
    let frames = [
        frame("shop::price::discount", "src/price.rs", 6),
        frame("shop::price::invoice", "src/price.rs", 10),
    ];
    let debug = EventBuilder::panic("price").release(&release);
    let debug = debug.with(|event| event.stack = Some(stack(frames)));
    send(&collector, &shop, [debug.build()]);
    assert_eq!(counts(&collector), [(1, 3), (2, 1)]);

    let path = path.to_str().expect("is text");
    let set = ["project", "set", "shop", "--repository", path];
    collector.folder().json(&set);

    let events_of = |issue: &str| {
        let events = collector
            .folder()
            .json(&["events", "list", "--issue", issue]);
        events.as_array().expect("is a list").len()
    };
    wait_for("the bugs to be told apart", || {
        (events_of("1") == 2).then_some(())
    });
    assert_eq!(events_of("2"), 2, "the kept event went along");
    assert_eq!(counts(&collector), [(1, 2), (2, 2)]);
    let copy = collector.folder().path().join("copy.db");
    let copy = copy.to_str().expect("is text");
    // Its counts are the same everywhere.
    for command in [&["backup", copy][..], &["restore", copy, "--check"]] {
        collector.folder().run(command).well();
    }
    let issue = collector.folder().json(&["issues", "show", "1"]);
    let history = issue["history"].to_string();
    assert!(history.contains("src/price.rs#total"), "{history}");
    send(&collector, &shop, [2, 6].map(|line| plain(&release, line)));
    assert_eq!(counts(&collector), [(1, 3), (2, 3)]);
}

#[test]
fn who_only_runs_what_it_is_handed_makes_no_second_issue_where_the_source_is_known() {
    let collector = Collector::start();
    let (shop, release) = with_source(&collector);
    let by = |caller: &str, line: u32| {
        let frames = [
            frame("shop::price::total", "src/price.rs", 2),
            frame(&format!("shop::price::{caller}"), "src/price.rs", line),
        ];
        let event = EventBuilder::panic("price").release(&release);
        event
            .with(|event| event.stack = Some(stack(frames)))
            .build()
    };

    send(&collector, &shop, [by("run", 14), by("retry", 18)]);
    assert_eq!(counts(&collector), [(1, 2)]);
    send(&collector, &shop, [by("invoice", 10)]);
    assert_eq!(counts(&collector).len(), 2, "which calls it itself");
    let event = collector.folder().json(&["events", "list", "--issue", "2"])[0].clone();
    let nearest = &event["grouping"]["nearest"];
    assert_eq!(nearest["issue"], json!(1), "{event:#}");
    assert!(
        nearest["shares"].to_string().contains("#total"),
        "{nearest:#}"
    );
}
