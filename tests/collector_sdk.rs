//! The SDK and the collector together: what the app saw is what the issue says.

use crate::support::collector::Collector;
use crate::support::program::subject;

#[test]
fn a_hundred_thousand_equal_panics_are_one_issue_with_their_exact_number() {
    let collector = Collector::start();
    let project = collector.create_project("subject");

    let ended = subject("panic_many_times").dsn(&project.dsn).run().well();

    assert_eq!(ended.account("account").delivered, 100_000);
    let issue = collector.folder().only_issue();
    assert_eq!(issue["events"], 100_000);
    assert_eq!(issue["class"], "index_out_of_bounds");
    assert_eq!(issue["culprit"], "subject::panics::pick");
    assert_eq!(issue["first_release"], "subject@1.2.3+0a1b2c3d");
}

#[test]
fn what_the_app_lost_is_told_beside_the_issues() {
    let collector = Collector::start();
    let project = collector.create_project("subject");

    subject("before_send").dsn(&project.dsn).run().well();

    let shown = collector.folder().json(&["project", "show", "subject"]);
    let losses = shown["losses"].as_object().expect("is a map");
    let lost: u64 = losses.values().filter_map(|it| it.as_u64()).sum();
    assert_eq!(lost, 2, "{losses:?}");
    let page = collector.client().get("/issues");
    assert!(page.body.contains("lost reports"), "{}", page.body);
}

#[test]
fn an_app_whose_dsn_names_another_project_is_told_and_loses_nothing() {
    let collector = Collector::start();
    let project = collector.create_project("subject");
    let other = format!("{}2", project.dsn.strip_suffix('1').expect("is the first"));

    let ended = subject("messages").arg("3").dsn(&other).run().well();

    assert_eq!(ended.account("account").spooled, 3);
    assert!(
        ended.stderr.contains("not for this project"),
        "{}",
        ended.stderr
    );
}
