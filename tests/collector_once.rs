//! Whatever comes twice counts once, and the answer says what became of it.

use bugsage_collector::clock::{SystemClock, rfc3339};
use bugsage_core::clock::{Clock, Timestamp};
use serde_json::json;

use crate::support::collector::Collector;
use crate::support::events::{EventBuilder, seal};

#[test]
fn a_batch_that_comes_twice_counts_once_before_and_after_a_restart() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let folded = EventBuilder::panic("price").count(41).build();
    let batch = seal([folded, EventBuilder::panic("price").build()]);

    assert_eq!(collector.send(&project, &batch).taken(), (2, 0));
    assert_eq!(collector.send(&project, &batch).taken(), (0, 2));
    let collector = collector.restart();
    assert_eq!(collector.send(&project, &batch).taken(), (0, 2));
    let collector = Collector::start_on(collector.kill());
    assert_eq!(collector.send(&project, &batch).taken(), (0, 2));

    assert_eq!(collector.folder().only_issue()["events"], 42);
}

#[test]
fn an_event_that_comes_in_another_batch_is_a_duplicate_and_its_neighbor_is_not() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let event = EventBuilder::panic("price").count(10).build();
    let neighbor = EventBuilder::panic("price").build();

    let first = collector.send(&project, &seal([event.clone()]));
    let second = collector.send(&project, &seal([event.clone(), neighbor]));
    let twice_in_one = collector.send(&project, &seal([event.clone(), event]));

    assert_eq!(first.taken(), (1, 0));
    assert_eq!(second.taken(), (1, 1));
    assert_eq!(twice_in_one.taken(), (0, 2));
    assert_eq!(collector.folder().only_issue()["events"], 11);
}

#[test]
fn a_batch_that_comes_many_times_at_once_counts_once() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let batch = EventBuilder::panic("price").count(5).seal();

    let taken: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let send = || collector.send(&project, &batch).taken();
        let senders: Vec<_> = (0..16).map(|_| scope.spawn(send)).collect();
        let taken = senders.into_iter().map(|it| it.join());
        taken.map(|it| it.expect("does not panic")).collect()
    });

    assert_eq!(taken.iter().map(|(accepted, _)| accepted).sum::<u64>(), 1);
    assert_eq!(
        taken.iter().map(|(_, duplicate)| duplicate).sum::<u64>(),
        15
    );
    assert_eq!(collector.folder().only_issue()["events"], 5);
}

#[test]
fn projects_have_ids_and_issues_of_their_own() {
    let collector = Collector::start();
    let (shop, bank) = (
        collector.create_project("shop"),
        collector.create_project("bank"),
    );
    let batch = EventBuilder::panic("price").seal();

    assert_eq!(collector.send(&shop, &batch).taken(), (1, 0));
    assert_eq!(collector.send(&bank, &batch).taken(), (1, 0));

    let issues = collector.folder().issues();
    let projects: Vec<_> = issues.iter().map(|issue| &issue["project"]).collect();
    assert_eq!(projects, [&json!(shop.id), &json!(bank.id)]);
}

#[test]
fn the_answer_says_what_became_of_the_batch() {
    let collector = Collector::start();
    let project = collector.create_project("shop");

    let answer = collector.send(&project, &EventBuilder::panic("price").seal());

    let expected = json!({
        "accepted": 1,
        "duplicate": 0,
        "limited": 0,
        "spans": {"accepted": 0, "duplicate": 0},
        "quarantined": false,
        "rejected": [],
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn a_clock_that_is_ahead_dates_nothing_into_the_future() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let day_us = 24 * 3_600_000_000;
    let ahead = Timestamp(SystemClock.now().0 + day_us);

    let batch = EventBuilder::panic("price").at(ahead).seal();
    assert_eq!(collector.send(&project, &batch).taken(), (1, 0));

    let issue = collector.folder().only_issue();
    let last_seen = issue["last_seen"].as_str().expect("is text");
    assert!(
        last_seen <= rfc3339(SystemClock.now()).as_str(),
        "{last_seen}"
    );
    let event = issue["latest_event"].as_str().expect("is text");
    let event = collector.folder().json(&["events", "show", event]);
    let ahead_us = event["contexts"]["clock.ahead_us"].as_str();
    let ahead_us: u64 = ahead_us.and_then(|it| it.parse().ok()).expect("is told");
    assert!((day_us / 2..=day_us).contains(&ahead_us), "{ahead_us}");
}
