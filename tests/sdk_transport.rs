//! The ways that batches can go: over one connection, through a proxy, by the app's own means, into
//! a file.

use crate::support::collector::Folder;
use crate::support::program::subject;
use crate::support::sink::{KEY, Reply, Sink};

#[test]
fn batches_share_a_connection() {
    let sink = Sink::open();

    let ended = subject("twice").dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("account").delivered, 2);
    assert!(sink.received().len() >= 2, "each flush sends a batch");
    assert_eq!(sink.connections_made(), 1);
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let proxy = Sink::open();
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let program = subject("messages").arg("1");
        let program = program.dsn(format!("http://{KEY}@collector.invalid:4100/1"));

        let ended = program.env(variable, proxy.address()).run().well();

        assert_eq!(ended.account("account").delivered, 1, "by {variable}");
    }
    let received = proxy.received();
    assert_eq!(
        received[0].request.line,
        "POST http://collector.invalid:4100/v1/batches"
    );
}

#[test]
fn a_host_that_is_exempt_from_the_proxy_is_reached_without_it() {
    let (sink, proxy) = (Sink::open(), Sink::open());

    let program = subject("messages").arg("1").dsn(sink.dsn());
    let program = program.env("HTTP_PROXY", proxy.address());
    program.env("NO_PROXY", "localhost,127.0.0.1").run().well();

    assert_eq!((sink.reports(), proxy.received().len()), (1, 0));
}

#[test]
fn a_proxy_that_cannot_be_read_costs_no_report() {
    let sink = Sink::open();
    for proxy in ["", "http://:99999", "not a proxy", "http://[::1"] {
        let program = subject("messages").arg("1").dsn(sink.dsn());

        let ended = program.env("HTTP_PROXY", proxy).run().well();

        let account = ended.account("account");
        assert_eq!(account.delivered + account.spooled, 1, "with {proxy:?}");
    }
}

#[test]
fn an_app_may_bring_a_way_of_its_own_whose_panics_cost_nothing() {
    let ended = subject("own_transport").run().well();

    assert_eq!(ended.account("account").delivered, 1);
    assert_eq!(ended.told("took"), "by another way of 1");
    assert_eq!(ended.told("tries"), "4");
}

#[test]
fn events_can_be_read_on_standard_output_without_a_collector() {
    let ended = subject("messages").arg("2").dsn("stdout:").run().well();

    let lines = ended.stdout.lines().filter(|line| line.starts_with('{'));
    let events: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).expect("is JSON"))
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["message"], "message 0");
    assert_eq!(events[0]["release"], "subject@1.2.3+0a1b2c3d");
    assert_eq!(ended.account("account").delivered, 2);
}

#[test]
fn events_can_be_collected_in_a_file_without_a_collector() {
    let folder = Folder::new();
    let file = folder.path().join("events.jsonl");
    let dsn = format!("file://{}", file.display());

    for _ in 0..2 {
        subject("panic_in_thread").dsn(&dsn).run();
    }

    let lines = std::fs::read_to_string(&file).expect("the file is there");
    assert_eq!(lines.lines().count(), 2, "the second run adds to the first");
    let event: serde_json::Value =
        serde_json::from_str(lines.lines().next().expect("has lines")).expect("is JSON");
    assert_eq!(event["kind"], "panic");
    let frames = event["frames"].as_array().expect("are there");
    assert!(frames.iter().any(|frame| frame["in_app"] == true));
}

#[test]
fn a_file_that_cannot_be_written_is_told_at_the_start() {
    for dsn in ["file:///nowhere/events.jsonl", "file://events.jsonl"] {
        let ended = subject("messages").arg("2").dsn(dsn).run().well();

        assert_eq!(ended.account("account").produced, 0);
        let path = dsn.strip_prefix("file://").expect("names a file");
        assert!(ended.stderr.contains(path), "{}", ended.stderr);
    }
}

#[test]
fn a_batch_goes_out_unchanged_by_whatever_connection_is_there() {
    // The server ends the connection with its first answer.
    let sink = Sink::replying([Reply::StatusAndClose(503)]);

    let ended = subject("messages").arg("1").dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("account").delivered, 1);
    assert_eq!(sink.connections_made(), 2);
    let received = sink.received();
    assert_eq!(received[0].request.body, received[1].request.body);
}
