//! A trace is whole wherever its spans come from, and every span is accounted for.

use bugsage_collector::store::sqlite::{SqliteStore, check};
use bugsage_core::event::{SpanContext, SpanTiming};
use serde_json::Value;

use crate::support::collector::{Collector, Project, wait_for};
use crate::support::events::{EventBuilder, Forgery, content, items, kind};
use crate::support::spans::{SpanBuilder, seal_both, seal_spans, trace_id};

fn account(collector: &Collector, project: &str) -> Value {
    let accounts = collector.folder().json(&["ledger", "--project", project]);
    accounts[0]["spans"].clone()
}

/// Outcomes of spans, with their reasons.
fn told(account: &Value) -> Vec<(String, String, u64)> {
    let outcomes = account["outcomes"].as_array().expect("is a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let outcomes = outcomes.map(|line| {
        let spans = line["spans"].as_u64().expect("is a number");
        (text(&line["outcome"]), text(&line["reason"]), spans)
    });
    outcomes.collect()
}

#[track_caller]
fn check_outcomes(collector: &Collector, project: &str, expected: &[(&str, &str, u64)]) {
    let account = account(collector, project);
    assert_eq!(account["balanced"], true, "{account:#}");
    let told = told(&account);
    let told: Vec<_> = told.iter().map(|(a, b, n)| (&**a, &**b, *n)).collect();
    assert_eq!(told, expected);
}

/// What the collector said of the spans of a batch.
#[track_caller]
fn taken(
    collector: &Collector,
    project: &Project,
    batch: &bugsage_core::batch::Sealed,
) -> (u64, u64) {
    let answer = collector.send(project, batch);
    assert_eq!(answer.status, 200, "{answer:?}");
    let spans = &answer.json()["spans"];
    let number = |name: &str| spans[name].as_u64().expect("is a number");
    (number("accepted"), number("duplicate"))
}

#[test]
fn a_trace_through_two_services_is_listed_shown_and_drawn() {
    let collector = Collector::start();
    let (shop, bank) = (
        collector.create_project("shop"),
        collector.create_project("bank"),
    );
    let trace = trace_id();
    let root = SpanBuilder::root(trace, "GET /checkout");
    let call = root.child("charge");
    let charge = call
        .child("POST /charges")
        .in_service("bank@2.0.0")
        .failed();
    let insert = charge.child("insert");

    // Innermost first, as spans close, and from whoever is faster.
    assert_eq!(
        taken(&collector, &bank, &seal_spans([&insert, &charge])),
        (2, 0)
    );
    let event = EventBuilder::panic("price").with(|event| event.trace = Some(call.context(true)));
    let late = seal_both([event.build()], [&call]);
    assert_eq!(taken(&collector, &shop, &late), (1, 0));
    let last = seal_spans([&root]);
    assert_eq!(taken(&collector, &shop, &last), (1, 0));
    assert_eq!(taken(&collector, &shop, &last), (0, 1));

    let folder = collector.folder();
    let listed = folder.json(&["traces", "list", "--project", "shop"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    let first = &listed[0];
    assert_eq!(first["id"], trace.to_string());
    assert_eq!(first["root"], "GET /checkout");
    assert_eq!(
        (&first["service"], &first["spans"]),
        (&"shop".into(), &2.into())
    );
    assert_eq!(first["duration_us"], 1_000_000);
    let shown = folder.json(&["traces", "show", &trace.to_string()]);
    let rows = shown["rows"].as_array().expect("is a list");
    let tree: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["name"].as_str().expect("is text"),
                row["depth"].as_u64(),
            )
        })
        .collect();
    let names = ["GET /checkout", "charge", "POST /charges", "insert"];
    assert_eq!(
        tree,
        names.into_iter().zip((0..).map(Some)).collect::<Vec<_>>()
    );
    assert_eq!((&shown["spans"], &shown["failed"]), (&4.into(), &1.into()));
    assert_eq!(shown["services"], serde_json::json!(["bank", "shop"]));
    let text = folder
        .run(&["traces", "show", &trace.to_string()])
        .well()
        .stdout;
    assert!(text.contains("    POST /charges"), "{text}");
    assert!(text.contains("error") && text.contains('━'), "{text}");
    let page = collector.client().get(&format!("/traces/{trace}"));
    assert_eq!(page.status, 200);
    for name in names {
        assert!(page.body.contains(name), "{name} in {}", page.body);
    }
    let all = collector.client().get("/traces?project=2").body;
    assert!(all.contains("POST /charges") && !all.contains("GET /checkout"));
    let issue = collector.client().get("/issues/1").body;
    assert!(
        issue.contains(&format!("/traces/{trace}?span={}", call.id())),
        "{issue}"
    );
    assert!(issue.contains("the event") && issue.contains("POST /charges"));
    check_outcomes(&collector, "bank", &[("stored", "", 2)]);
    check_outcomes(
        &collector,
        "shop",
        &[("duplicate", "batch", 1), ("stored", "", 2)],
    );
    let ledger = collector.client().get("/ledger").body;
    assert!(ledger.contains("spans") && !ledger.contains("does not balance"));
    let metrics = collector.client().get("/metrics").body;
    for line in [
        "bugsage_spans_total{project=\"1\",outcome=\"received\",reason=\"\"} 3",
        "bugsage_spans_total{project=\"1\",outcome=\"duplicate\",reason=\"batch\"} 1",
        "bugsage_spans_total{project=\"2\",outcome=\"stored\",reason=\"\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let (_, folder) = collector.stop();
    check(&SqliteStore::file(&folder.data())).expect("says the same everywhere");
}

#[test]
fn traces_of_one_batch_are_listed_from_the_latest_on() {
    let collector = Collector::start();
    let shop = collector.create_project("shop");
    let now = SpanBuilder::root(trace_id(), "").build().started_at.0;
    let began = |ms: u64| {
        let span = SpanBuilder::root(trace_id(), &format!("after {ms} ms"));
        span.with(|span| span.started_at.0 = now - 1_000_000 + ms * 1_000)
    };
    let spans = [40, 10, 90, 60, 20, 80, 30, 70, 50].map(began);

    taken(&collector, &shop, &seal_spans(&spans));

    let listed = collector
        .folder()
        .json(&["traces", "list", "--project", "shop"]);
    let names = listed.as_array().expect("is a list").iter();
    let names: Vec<_> = names
        .map(|trace| trace["root"].as_str().unwrap_or("?"))
        .collect();
    let expected = [90, 80, 70, 60, 50, 40, 30, 20, 10].map(|ms| format!("after {ms} ms"));
    assert_eq!(names, expected);
}

#[test]
fn what_was_acknowledged_of_a_trace_survives_a_kill() {
    let mut collector = Collector::start();
    let project = collector.create_project("shop");
    let trace = trace_id();
    let root = SpanBuilder::root(trace, "root");
    for number in 1..=5 {
        let child = root.child(&format!("child{number}"));
        let batch = seal_spans([&child]);
        assert_eq!(taken(&collector, &project, &batch), (1, 0));

        collector = Collector::start_on(collector.kill());

        assert_eq!(taken(&collector, &project, &batch), (0, 1), "it is there");
        let shown = collector
            .folder()
            .json(&["traces", "show", &trace.to_string()]);
        assert_eq!(shown["spans"], number);
        assert_eq!(shown["rows"][0]["parent_missing"], true);
    }
    check_outcomes(
        &collector,
        "shop",
        &[("duplicate", "batch", 5), ("stored", "", 5)],
    );
}

#[test]
fn an_event_tells_its_trace_its_open_spans_and_what_the_app_attached() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let root = SpanBuilder::root(trace_id(), "checkout");
    let event = EventBuilder::panic("price").with(|event| {
        event.trace = Some(root.context(true));
        event.attached = vec![
            ("cart".into(), "3 items".into()),
            ("os.name".into(), "its own".into()),
        ];
        event.inputs = vec![("request".into(), "GET /price".into())];
        event.spans = vec![SpanContext {
            name: "checkout".into(),
            target: "shop".into(),
            fields: Vec::new(),
            timing: Some(SpanTiming {
                id: root.id(),
                open_us: 1_500,
                busy_us: Some(700),
            }),
        }];
    });
    let event = event.build();
    let id = event.id.to_string();
    collector.send(&project, &seal_both([event], [])).taken();

    let shown = collector.folder().json(&["events", "show", &id]);

    assert_eq!(shown["trace_id"], root.build().trace.to_string());
    assert_eq!(shown["span_id"], root.id().to_string());
    assert_eq!(shown["trace_sampled"], true);
    let contexts = &shown["contexts"];
    assert_eq!(
        (&contexts["cart"], &contexts["os.name"]),
        (&"3 items".into(), &"linux".into())
    );
    assert_eq!(contexts["attached.os.name"], "its own");
    assert_eq!(shown["inputs"][0]["value"], "GET /price");
    assert_eq!(
        (&shown["spans"][0]["open_us"], &shown["spans"][0]["busy_us"]),
        (&1_500.into(), &700.into())
    );
    let text = collector
        .folder()
        .run(&["events", "show", &id])
        .well()
        .stdout;
    for part in [
        ", sampled",
        "open for 1.50 ms, busy for 700.0 µs",
        "cart = 3 items",
        "input request = GET /price",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let page = collector.client().get("/issues/1").body;
    for part in ["open for 1.50 ms", "3 items", "GET /price", "is not here"] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn an_event_of_a_trace_that_was_not_sampled_says_so() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let root = SpanBuilder::root(trace_id(), "checkout");
    let event = EventBuilder::panic("price").with(|event| event.trace = Some(root.context(false)));

    collector.send(&project, &event.seal()).taken();

    let page = collector.client().get("/issues/1").body;
    assert!(page.contains("was not sampled"), "{page}");
}

#[test]
fn a_bad_span_is_accounted_for_and_costs_its_neighbors_nothing() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let root = SpanBuilder::root(trace_id(), "root");
    let spans = [root.child("a"), root.child("b"), root.clone()];
    let batch = seal_both([EventBuilder::panic("price").build()], &spans);
    let mut items = items(&batch.bytes);
    let first = items.iter().position(|(kind, _)| *kind == kind::SPAN);
    items[first.expect("has spans")].1 = vec![0xff; 100];

    let broken = Forgery::of(&content(&items)).seal();
    let answer = collector.client().send(&project.key, &broken);

    assert_eq!(answer.taken(), (1, 0));
    assert_eq!(answer.json()["spans"]["accepted"], 2);
    assert_eq!(answer.json()["rejected"][0]["reason"], "malformed");
    check_outcomes(
        &collector,
        "shop",
        &[("invalid", "malformed", 1), ("stored", "", 2)],
    );
    let accounts = collector.folder().json(&["ledger"]);
    assert_eq!(accounts[0]["received"]["events"], 1, "a span is no event");
}

#[test]
fn spans_of_a_project_over_its_quota_are_limited_and_none_counts_against_it() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let quota = |number: &str| {
        let words = ["project", "set", "shop", "--monthly-quota", number];
        collector.folder().run(&words).well();
    };
    quota("1000");
    let root = SpanBuilder::root(trace_id(), "root");
    for _ in 0..3 {
        let spans: Vec<_> = (0..1_000).map(|_| root.child("child")).collect();
        assert_eq!(taken(&collector, &project, &seal_spans(&spans)), (1_000, 0));
    }

    let event = EventBuilder::panic("price").seal();
    assert_eq!(
        collector.send(&project, &event).taken(),
        (1, 0),
        "3,000 spans are no event"
    );
    quota("1");
    let mut stored = 3_000;
    wait_for("the quota, which takes effect within a second", || {
        let answer = collector.send(&project, &seal_spans([&root.child("late")]));
        stored += answer.json()["spans"]["accepted"].as_u64()?;
        answer.header("bugsage-pause").map(str::to_owned)
    });

    let limited = ("limited", "monthly_quota", 1);
    check_outcomes(&collector, "shop", &[limited, ("stored", "", stored)]);
}

#[test]
fn pages_of_traces_are_safe_and_small_whatever_spans_are_called() {
    const HOSTILE: &str = "</code><script>alert(1)</script> \" ' & \u{202e}gpj.exe";
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let trace = trace_id();
    let root = SpanBuilder::root(trace, HOSTILE).in_service(&format!("{HOSTILE}@1"));
    let mut spans = vec![root.clone()];
    for number in 0..300 {
        let around = &spans[number / 2];
        let name = match number % 4 {
            0 => HOSTILE.to_owned(),
            1 => "n".repeat(8 << 10),
            2 => String::new(),
            _ => "\u{202e}مرحبا".repeat(20),
        };
        let release = format!("{HOSTILE}{number}@1");
        let child = around.child(&name).failed().in_service(&release);
        spans.push(child.with(|span| {
            let fields = (0..20).map(|_| (HOSTILE.into(), HOSTILE.repeat(9).into()));
            span.fields = fields.collect();
        }));
    }
    let event =
        EventBuilder::panic("price").with(|event| event.trace = Some(spans[9].context(true)));
    let batch = seal_both([event.build()], &spans);
    assert_eq!(collector.send(&project, &batch).taken(), (1, 0));

    let pages = [
        format!("/traces/{trace}"),
        format!("/traces/{trace}?from=290&span={}", spans[9].id()),
        format!("/traces/{trace}?from=x&span=%3Cscript%3E"),
        format!("/traces/{trace}?from=18446744073709551615"),
        "/traces".to_owned(),
        "/traces?project=nobody".to_owned(),
        "/issues/1".to_owned(),
        "/ledger".to_owned(),
    ];
    for path in pages {
        let page = collector.client().get(&path);
        crate::pages::check_page(&page, 200);
    }
    let page = collector.client().get(&format!("/traces/{trace}")).body;
    assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("(no name)"));
    assert!(page.contains("of 301"), "the rest is counted");
    let text = collector
        .folder()
        .run(&["traces", "show", &trace.to_string()])
        .well()
        .stdout;
    assert!(!text.contains('\u{202e}'));
    for path in [
        "/traces/nonsense",
        "/traces/00000000000000000000000000000000",
    ] {
        crate::pages::check_page(&collector.client().get(path), 404);
    }
}

#[test]
fn an_account_of_spans_that_does_not_add_up_is_told() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let root = SpanBuilder::root(trace_id(), "root");
    taken(&collector, &project, &seal_spans([&root]));
    let (_, folder) = collector.stop();
    let file = SqliteStore::file(&folder.data());
    check(&file).expect("says the same everywhere");
    let change = |sql: &str| {
        let store = rusqlite::Connection::open(&file).expect("is there");
        store.execute_batch(sql).expect("is SQL");
    };
    let problem = || check(&file).expect_err("is noticed").to_string();

    change("update span_ledger set spans = spans + 1 where outcome = 'received'");
    let ended = folder.run(&["ledger"]).with_code(1);
    assert!(ended.stdout.contains("DOES NOT BALANCE"), "{ended:?}");
    assert!(problem().contains("2 spans received, 1 accounted for"));
    change("update span_ledger set spans = spans - 1 where outcome = 'received'");

    change("update trace_spaces set bytes = bytes + 1");
    assert!(problem().contains("bytes of traces"), "{}", problem());
    change("update trace_spaces set bytes = bytes - 1");

    change("update traces set spans = 9");
    assert!(problem().contains("9 spans in its traces"));
    change("update traces set spans = 1");

    change("update trace_pieces set document = zeroblob(length(document))");
    assert!(
        problem().contains("piece of a trace 1 cannot be read"),
        "{}",
        problem()
    );
}
