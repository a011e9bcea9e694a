//! What was resolved stays resolved until a newer release has it again.

use serde_json::Value;

use crate::support::collector::{Collector, Project, operator};
use crate::support::events::EventBuilder;

/// A collector with one issue, seen in release 1.1.0.
struct Shop {
    collector: Collector,
    project: Project,
}

impl Shop {
    fn with_issue() -> Self {
        let collector = Collector::start();
        let project = collector.create_project("shop");
        let shop = Self { collector, project };
        shop.crash("shop@1.1.0");
        assert_eq!(shop.stands(), ("unresolved".to_owned(), "new".to_owned()));
        shop
    }

    fn crash(&self, release: &str) {
        let batch = EventBuilder::panic("price").release(release).seal();
        assert_eq!(self.collector.send(&self.project, &batch).taken(), (1, 0));
    }

    fn say(&self, word: &str) -> Value {
        self.collector.folder().json(&["issues", word, "1"])
    }

    fn stands(&self) -> (String, String) {
        let issue = self.collector.folder().only_issue();
        let text = |name: &str| issue[name].as_str().expect("is text").to_owned();
        (text("status"), text("substatus"))
    }

    fn history(&self) -> Vec<String> {
        let detail = self.collector.folder().issue(1);
        let history = detail["history"].as_array().expect("is a list");
        let entries = history.iter().map(|entry| {
            let text = |name: &str| entry[name].as_str().expect("is text").to_owned();
            format!("{} by {}", text("what"), text("actor"))
        });
        entries.collect()
    }
}

#[test]
fn an_older_or_the_same_release_leaves_an_issue_resolved() {
    let shop = Shop::with_issue();
    let resolved = shop.say("resolve");
    assert_eq!(resolved["status"], "resolved");

    for release in [
        "shop@1.1.0",
        "shop@1.0.9",
        "shop@0.9.0+0a1b2c3d",
        "shop@1.1.0-rc.1",
    ] {
        shop.crash(release);
        assert_eq!(shop.stands().0, "resolved", "after {release}");
    }

    assert_eq!(
        shop.collector.folder().only_issue()["events"],
        5,
        "they count"
    );
    assert_eq!(
        shop.history(),
        [
            "opened by system".to_owned(),
            format!("resolved by {}", operator())
        ]
    );
}

#[test]
fn a_newer_release_reopens_an_issue_as_regressed() {
    let shop = Shop::with_issue();
    shop.say("resolve");

    shop.crash("shop@1.10.0");

    assert_eq!(
        shop.stands(),
        ("unresolved".to_owned(), "regressed".to_owned())
    );
    let expected = [
        "opened by system".to_owned(),
        format!("resolved by {}", operator()),
        "regressed in shop@1.10.0 by system".to_owned(),
    ];
    assert_eq!(shop.history(), expected);
    shop.crash("shop@1.10.0");
    assert_eq!(shop.history(), expected, "once is enough");
}

#[test]
fn an_issue_can_be_resolved_and_come_back_again() {
    let shop = Shop::with_issue();
    for (release, again) in [("shop@1.2.0", "shop@1.2.0"), ("shop@1.3.0", "shop@1.2.5")] {
        shop.say("resolve");
        shop.crash(release);
        assert_eq!(shop.stands().1, "regressed", "in {release}");
        shop.say("resolve");
        shop.crash(again);
        assert_eq!(shop.stands().0, "resolved", "after {again}");
    }
}

#[test]
fn an_ignored_issue_stays_ignored_and_goes_on_counting() {
    let shop = Shop::with_issue();
    shop.say("ignore");

    shop.crash("shop@2.0.0");

    assert_eq!(shop.stands().0, "ignored");
    assert_eq!(shop.collector.folder().only_issue()["events"], 2);
    assert_eq!(shop.say("reopen")["status"], "unresolved");
}
