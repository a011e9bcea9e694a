//! Spans of sampled traces arrive once, or are counted.

use std::collections::{BTreeMap, HashSet};

use bugsage_core::span::Span;

use crate::support::collector::Folder;
use crate::support::program::subject;
use crate::support::sink::{Reply, Sink, closed_port_dsn};

/// Four threads, three spans a request.
const SPANS_PER_REQUEST: u64 = 12;

/// Checks that no span came twice, and that each has its parent in its trace.
#[track_caller]
fn whole_traces(spans: &[Span]) {
    let ids: HashSet<_> = spans.iter().map(|span| (span.trace, span.id)).collect();
    assert_eq!(ids.len(), spans.len(), "every span came once");
    for span in spans {
        let parent = span
            .parent
            .map(|parent| ids.contains(&(span.trace, parent)));
        assert_eq!(parent, (&*span.name != "request").then_some(true));
    }
}

#[test]
fn every_span_of_a_sampled_trace_arrives_once() {
    let sink = Sink::open();
    let subject = subject("requests").dsn(sink.dsn()).arg("200");
    let ended = subject.env("BUGSAGE_TRACES_SAMPLE_RATE", "1").run().well();

    let spans = sink.spans();
    assert_eq!(spans.len() as u64, 200 * SPANS_PER_REQUEST);
    whole_traces(&spans);
    let account = ended.account("account of spans");
    assert_eq!((account.produced, account.delivered), (2_400, 2_400));
    let threads: HashSet<_> = spans.iter().map(|span| span.thread.name.clone()).collect();
    assert_eq!(threads.len(), 4);
    let load = spans
        .iter()
        .find(|span| &*span.name == "load")
        .expect("is there");
    assert_eq!(load.fields, [("table".into(), "orders".into())]);
}

#[test]
fn what_is_not_sampled_is_not_sent_and_a_trace_is_sampled_whole_or_not_at_all() {
    let sink = Sink::open();
    let nothing = subject("requests").dsn(sink.dsn()).arg("50").run().well();
    assert_eq!(sink.spans(), []);
    assert_eq!(nothing.account("account of spans").produced, 0);

    let half = subject("requests").dsn(sink.dsn()).arg("200");
    let half = half.env("BUGSAGE_TRACES_SAMPLE_RATE", "0.5").run().well();
    let spans = sink.spans();
    whole_traces(&spans);
    let mut by_trace: BTreeMap<_, u64> = BTreeMap::new();
    spans
        .iter()
        .for_each(|span| *by_trace.entry(span.trace).or_default() += 1);
    assert!(by_trace.values().all(|spans| *spans == 3));
    // Half of 800, within six standard deviations.
    assert!(
        (315..=485).contains(&by_trace.len()),
        "{} traces",
        by_trace.len()
    );
    assert_eq!(
        half.account("account of spans").produced,
        spans.len() as u64
    );
}

#[test]
fn a_rate_that_is_none_is_told_and_not_heeded() {
    let sink = Sink::open();
    let subject = subject("requests").dsn(sink.dsn()).arg("1");
    let ended = subject
        .env("BUGSAGE_TRACES_SAMPLE_RATE", "often")
        .run()
        .well();

    assert_eq!(sink.spans(), []);
    let said = "BUGSAGE_TRACES_SAMPLE_RATE is no number from 0.0 to 1.0";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn spans_that_were_closed_survive_kill_9_and_arrive_once() {
    let (sink, spool) = (Sink::open(), Folder::new());
    let die = subject("requests_and_die")
        .spool(spool.path())
        .dsn(sink.dsn());
    die.arg("20").run();
    let before = sink.spans().len();

    subject("nothing")
        .spool(spool.path())
        .dsn(sink.dsn())
        .run()
        .well();

    let spans = sink.spans();
    whole_traces(&spans);
    assert_eq!(
        spans.len() as u64,
        20 * SPANS_PER_REQUEST,
        "{before} of them before"
    );
    let seconds_ago = |span: &Span| {
        let now = std::time::UNIX_EPOCH
            .elapsed()
            .expect("is later")
            .as_micros() as u64;
        now.abs_diff(span.started_at.0) / 1_000_000
    };
    assert!(
        spans.iter().all(|span| seconds_ago(span) < 600),
        "times survive too"
    );
}

#[test]
fn spans_wait_in_the_spool_while_nobody_listens() {
    let spool = Folder::new();
    let alone = subject("requests")
        .spool(spool.path())
        .dsn(closed_port_dsn())
        .arg("10");
    let alone = alone.env("BUGSAGE_TRACES_SAMPLE_RATE", "1").run().well();
    let account = alone.account("account of spans");
    assert_eq!((account.produced, account.spooled), (120, 120));
}

#[test]
fn the_filter_of_the_app_sees_every_span_and_what_it_drops_is_counted() {
    let sink = Sink::open();
    let ended = subject("span_filter").dsn(sink.dsn()).run().well();

    let spans = sink.spans();
    assert_eq!(spans.len(), 40);
    assert!(spans.iter().all(|span| &*span.name == "renamed"));
    let account = ended.account("account of spans");
    assert_eq!((account.produced, account.delivered), (120, 40));
    assert_eq!(account.dropped["before_send"], 40);
    assert_eq!(account.dropped["before_send_panicked"], 40);
    let losses = sink.span_losses().expect("are told");
    let dropped: BTreeMap<_, _> = losses.dropped.iter().cloned().collect();
    assert_eq!(
        (dropped["before_send"], dropped["before_send_panicked"]),
        (40, 40)
    );
}

#[test]
fn a_flood_of_spans_is_counted_to_the_last_one_and_costs_no_report() {
    let sink = Sink::open();
    let ended = subject("flood_of_spans").dsn(sink.dsn()).run().well();

    let account = ended.account("account of spans");
    assert_eq!(account.produced, 1_200_000);
    assert_eq!(account.delivered, sink.spans().len() as u64);
    assert_eq!((account.pending, account.spooled), (0, 0));
    whole_or_counted(&account.dropped);
}

#[track_caller]
fn whole_or_counted(dropped: &BTreeMap<String, u64>) {
    assert!(
        dropped.keys().all(|reason| reason == "queue_full"),
        "{dropped:?}"
    );
}

#[test]
fn spans_that_are_refused_are_counted() {
    let sink = Sink::replying([Reply::Status(400)]);
    let ended = subject("requests").dsn(sink.dsn()).arg("5");
    let ended = ended.env("BUGSAGE_TRACES_SAMPLE_RATE", "1").run().well();
    let account = ended.account("account of spans");
    let refused = account.dropped.get("refused").copied().unwrap_or(0);
    assert_eq!((account.produced, account.delivered + refused), (60, 60));
    assert!(refused > 0);
}
