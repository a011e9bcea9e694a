//! A child made by `fork` has none of its parent's threads and a copy of all its memory. It reports
//! as a run of its own, and costs its parent nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::program::subject;
use crate::support::sink::Sink;

/// The messages that arrived, in alphabetical order, and from how many runs.
#[track_caller]
fn arrived(sink: &Sink) -> (Vec<String>, usize) {
    let events = sink.events();
    let ids: BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len(), "no two events have one id");
    let runs: BTreeSet<_> = events.iter().map(|event| event.run.id).collect();
    let mut messages: Vec<String> = events.iter().map(|e| e.message.to_string()).collect();
    messages.sort_unstable();
    (messages, runs.len())
}

#[test]
fn a_child_reports_as_a_run_of_its_own() {
    let sink = Sink::open();

    let ended = subject("fork").arg("report").dsn(sink.dsn()).run().well();

    let all = ["child", "child panics", "parent after", "parent before"];
    assert_eq!(arrived(&sink), (all.map(str::to_owned).to_vec(), 2));
    assert_eq!(ended.account("account").delivered, 2, "the child's");
    let parent = ended.account("parent");
    assert_eq!((parent.produced, parent.delivered), (2, 2));
}

#[test]
fn a_child_that_reports_nothing_ends_at_once_and_leaves_its_parent_alone() {
    let sink = Sink::open();

    let ended = subject("fork").arg("nothing").dsn(sink.dsn()).run().well();

    assert!(ended.told_time("drop") < Duration::from_secs(10));
    assert_eq!(ended.account("parent").delivered, 2);
    assert_eq!(arrived(&sink).1, 1);
}

#[test]
fn what_a_child_captured_survives_its_kill() {
    let sink = Sink::open();
    let folder = crate::support::collector::Folder::new();

    let program = subject("fork").arg("killed").spool(folder.path());
    program.dsn(sink.dsn()).run().well();
    let program = subject("nothing").spool(folder.path());
    program.dsn(sink.dsn()).run().well();

    let all = ["child", "parent after", "parent before"];
    assert_eq!(arrived(&sink), (all.map(str::to_owned).to_vec(), 2));
}

#[test]
fn a_daemon_reports_when_its_parent_is_gone() {
    let sink = Sink::open();

    let ended = subject("fork").arg("daemon").dsn(sink.dsn()).run().well();

    // Its standard output is read up to its end, which is the daemon's.
    assert_eq!(ended.account("daemon").delivered, 1);
    let all = ["daemon", "parent before"];
    assert_eq!(arrived(&sink), (all.map(str::to_owned).to_vec(), 2));
}

#[test]
fn children_that_report_at_the_same_moment_are_told_apart() {
    let sink = Sink::open();

    subject("fork").arg("many").dsn(sink.dsn()).run().well();

    let (messages, runs) = arrived(&sink);
    assert_eq!((messages.len(), runs), (9, 9));
}

#[test]
fn a_child_of_an_app_with_a_way_of_its_own_leaves_its_reports_to_the_next_start() {
    let folder = crate::support::collector::Folder::new();
    let timeout = Duration::from_millis(200);

    let program = subject("fork").arg("own_transport").spool(folder.path());
    let ended = program.timeout(timeout).run().well();

    assert_eq!(ended.account("account").spooled, 2);
    assert_eq!(ended.account("parent").spooled, 2);
}
