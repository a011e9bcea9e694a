//! Pages: whole without scripts, small, safe with whatever apps send, and only for this machine.

use std::sync::Arc;

use bugsage_collector::clock::SystemClock;
use bugsage_core::batch::BatchBuilder;
use bugsage_core::clock::Clock;
use bugsage_core::event::{Breadcrumb, Ended, Level, Run, RunState, SpanContext};
use bugsage_core::id::{BatchId, RunId};

use crate::support::client::{Answer, Request};
use crate::support::collector::Collector;
use crate::support::events::{EventBuilder, frame, stack, unique};

/// The most that a page may weigh.
const PAGE_BYTES_MAX: usize = 100 << 10;

/// Text that wants to be more than text: markup, quotes, and marks that turn the direction.
const HOSTILE: &str =
    "</title></h1><script>alert(1)</script><img src=x onerror='a()'> \" ' & \u{202e}gpj.exe";

/// Checks what every page must be.
#[track_caller]
pub(crate) fn check_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = answer
        .header("content-security-policy")
        .expect("has a policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!policy.contains("script-src"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert!(
        answer.body.starts_with("<!DOCTYPE html>"),
        "{}",
        answer.body
    );
    // What an app sends is escaped, so whatever stands here as it is would be ours.
    for forbidden in ["<script", "<img", "<style", " style=\"", "javascript:"] {
        assert!(
            !answer.body.contains(forbidden),
            "{forbidden} in {}",
            answer.body
        );
    }
    let size = answer.body.len();
    assert!(size <= PAGE_BYTES_MAX, "{size} bytes");
}

#[test]
fn releases_have_a_page_that_is_safe_with_whatever_runs_tell() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    check_page(&collector.client().get("/releases"), 200);
    let mut batch = BatchBuilder::new();
    let now = SystemClock.now();
    for number in 0..60 {
        batch.push_run_state(&RunState {
            run: Arc::new(Run {
                id: RunId::from_bytes(unique()),
                release: Some(format!("{HOSTILE} {number}").into()),
                environment: Some(HOSTILE.into()),
                started_at: now,
                sdk: HOSTILE.into(),
            }),
            ended: Ended::Panicked,
            alive_at: now,
            hours: Vec::new(),
        });
    }
    let sealed = batch.seal(BatchId::from_bytes(unique()));
    collector.send(&project, &sealed);

    for page in [
        "/releases",
        "/releases?days=1&project=1",
        "/releases?days=x&project=9",
    ] {
        check_page(&collector.client().get(page), 200);
    }
    let shown = collector.client().get("/releases").body;
    assert!(shown.contains("crash-free runs"));
    let issues = collector.client().get("/issues").body;
    assert!(issues.contains("href=\"/releases\""), "it is linked");
}

#[test]
fn pages_of_an_empty_collector_say_how_to_begin() {
    let collector = Collector::start();

    let page = collector.client().get("/issues");

    check_page(&page, 200);
    assert!(page.body.contains("bugsage project create"));
    let root = collector.client().get("/");
    assert_eq!(
        (root.status, root.header("location")),
        (303, Some("/issues"))
    );
    assert_eq!(collector.client().get("/assets/bugsage.css").status, 200);
}

#[test]
fn an_issue_is_listed_and_has_a_page_with_its_event() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    collector.send(&project, &full_event().seal()).taken();

    let list = collector.client().get("/issues");
    let page = collector.client().get("/issues/1");

    check_page(&list, 200);
    check_page(&page, 200);
    for text in ["index out of bounds", "shop::price::fail", "1,234"] {
        assert!(list.body.contains(text), "{text} in {}", list.body);
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    for text in [
        "a breadcrumb",
        "checkout",
        "order",
        "ann",
        "src/price.rs",
        "Why these events",
    ] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
}

#[test]
fn text_of_an_app_is_shown_as_text() {
    let collector = Collector::start();
    let project = collector.create_project(HOSTILE);
    let hostile = full_event().message(HOSTILE).user(HOSTILE).with(|event| {
        event.tags.push((HOSTILE.into(), HOSTILE.into()));
        event.contexts.push((HOSTILE.into(), HOSTILE.into()));
        event.thread.name = Some(HOSTILE.into());
        event.spans[0].name = HOSTILE.into();
        event.breadcrumbs[0].message = HOSTILE.into();
        event.stack = Some(stack([frame(HOSTILE, &format!("src/{HOSTILE}.rs"), 7)]));
    });
    let answer = collector.send(&project, &hostile.release(HOSTILE).seal());
    assert_eq!(answer.taken(), (1, 0));

    // Marks that turn the direction stay within their own piece of text.
    let style = collector.client().get("/assets/bugsage.css").body;
    assert!(style.contains("unicode-bidi: isolate"));
    let pages = ["/issues", "/issues/1", "/issues?status=all"];
    for path in pages {
        let page = collector.client().get(path);
        check_page(&page, 200);
        assert!(
            page.body.contains("&lt;script&gt;alert(1)"),
            "{}",
            page.body
        );
    }
}

#[test]
fn a_page_of_the_largest_event_keeps_its_weight() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let large = full_event().message(&"m".repeat(8_000)).with(|event| {
        let frames = (0..250).map(|n| frame(&format!("shop::f{n}"), "src/main.rs", n + 1));
        event.stack = Some(stack(frames));
        let crumb = event.breadcrumbs[0].clone();
        event.breadcrumbs = vec![crumb; 100];
        for crumb in &mut event.breadcrumbs {
            crumb.message = "b".repeat(1_000).into();
        }
        event.tags = (0..100)
            .map(|n| (format!("tag{n}").into(), "v".repeat(500).into()))
            .collect();
    });

    assert_eq!(collector.send(&project, &large.seal()).taken(), (1, 0));

    check_page(&collector.client().get("/issues/1"), 200);
}

#[test]
fn a_full_list_keeps_its_weight() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let events = (0..300).map(|n| EventBuilder::panic(&format!("part{n}")).build());
    let batch = crate::support::events::seal(events);
    assert_eq!(collector.send(&project, &batch).taken(), (300, 0));

    check_page(&collector.client().get("/issues"), 200);
}

#[test]
fn questions_in_the_address_are_no_more_than_questions() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    collector
        .send(&project, &EventBuilder::panic("price").seal())
        .taken();
    let ask = |path: &str| collector.client().get(path);

    let found = ask("/issues?q=PRICE+bounds");
    check_page(&found, 200);
    assert!(
        found.body.contains("/issues/1\""),
        "words are found in any case"
    );
    let script = ask("/issues?q=%3Cscript%3Ealert(1)%3C/script%3E&status=%22%3E");
    check_page(&script, 200);
    let long = format!("/issues?q={}", "a+".repeat(5_000));
    for path in [
        "/issues?q='+or+1=1+--&status=all",
        "/issues?q=%25&status='%3B+drop+table+issues",
        "/issues?project=nobody",
        "/issues?project='",
        "/issues?q=%00%e2%80%ae",
        &long,
    ] {
        let page = ask(path);
        check_page(&page, 200);
        assert!(!page.body.contains("/issues/1\""), "{path} finds nothing");
    }
    for path in ["/issues?q=%ff%fe", "/issues?q=a&q=b"] {
        let status = ask(path).status;
        assert!([200, 400].contains(&status), "{path}: {status}");
    }
    assert_eq!(collector.folder().only_issue()["events"], 1);
}

#[test]
fn what_is_not_there_is_told() {
    let collector = Collector::start();
    for path in [
        "/issues/1",
        "/issues/0",
        "/issues/-1",
        "/issues/18446744073709551615",
        "/issues/99999999999999999999999",
        "/issues/1%20or%201=1",
        "/issues/%3Cscript%3E",
    ] {
        check_page(&collector.client().get(path), 404);
    }
    assert_eq!(collector.client().get("/nowhere").status, 404);
    assert_eq!(
        collector
            .client()
            .get("/issues/..%2f..%2fetc%2fpasswd")
            .status,
        404
    );
    assert_eq!(collector.client().get("/assets/../Cargo.toml").status, 404);
}

#[test]
fn pages_answer_only_to_a_name_of_this_machine() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    collector
        .send(&project, &EventBuilder::panic("price").seal())
        .taken();

    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1:4100",
        "",
    ] {
        for path in ["/", "/issues", "/issues/1"] {
            let request = Request::get(path).header("host", host);
            let answer = collector.client().ask(&request);
            assert_eq!(answer.status, 403, "{host} {path}");
            assert!(!answer.body.contains("price"), "{}", answer.body);
            assert!(answer.header("content-security-policy").is_some());
        }
    }
    for host in ["localhost:4100", "127.0.0.1", "[::1]:80"] {
        let request = Request::get("/issues").header("host", host);
        check_page(&collector.client().ask(&request), 200);
    }
}

fn full_event() -> EventBuilder {
    EventBuilder::panic("price")
        .count(1_234)
        .user("ann")
        .with(|event| {
            event.spans.push(SpanContext {
                name: "checkout".into(),
                target: "shop".into(),
                fields: vec![("order".into(), "17".into())],
                timing: None,
            });
            event.breadcrumbs.push(Breadcrumb {
                at: event.first_at,
                level: Level::Info,
                target: "shop".into(),
                message: "a breadcrumb".into(),
            });
            event.tags.push(("region".into(), "eu".into()));
        })
}
