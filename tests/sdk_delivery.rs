//! Every report is delivered once, or its loss is counted: the account always balances.

use std::time::Duration;

use crate::support::MARGIN;
use crate::support::program::subject;
use crate::support::sink::{Reply, Sink};

#[test]
fn a_batch_that_was_not_taken_comes_again_unchanged_and_counts_once() {
    for status in [500, 502, 503] {
        let sink = Sink::replying([Reply::Status(status), Reply::Status(status)]);

        let ended = subject("messages").arg("3").dsn(sink.dsn()).run().well();

        assert_eq!(ended.account("account").delivered, 3);
        let received = sink.received();
        assert_eq!(received.len(), 3, "after {status}");
        let first = &received[0].request.body;
        assert!(received.iter().all(|again| again.request.body == *first));
        drop(received);
        assert_eq!(sink.reports(), 3);
    }
}

#[test]
fn a_collector_that_asks_for_a_pause_gets_it() {
    for status in [429, 503] {
        let sink = Sink::replying([Reply::StatusAndPause(status, 1)]);

        let ended = subject("messages").arg("3").dsn(sink.dsn()).run().well();

        assert_eq!(ended.account("account").delivered, 3);
        let received = sink.received();
        assert_eq!(received.len(), 2);
        let pause = received[1].at - received[0].at;
        // A little less, for the clocks of two processes and a timer that rounds.
        assert!(
            pause >= Duration::from_millis(950),
            "{pause:?} after {status}"
        );
    }
}

#[test]
fn a_batch_that_is_refused_for_good_is_counted_and_not_sent_again() {
    for status in [400, 413] {
        let sink = Sink::replying([Reply::Status(status)]);

        let ended = subject("messages").arg("3").dsn(sink.dsn()).run().well();

        let account = ended.account("account");
        assert_eq!((account.delivered, account.dropped_for("refused")), (0, 3));
        assert_eq!(sink.reports(), 0, "after {status}");
        let losses = sink.losses().expect("the collector is told");
        assert_eq!(losses.produced, 3);
        assert_eq!(losses.dropped, [("refused".into(), 3)]);
    }
}

#[test]
fn an_event_that_is_turned_away_alone_is_counted_alone() {
    let sink = Sink::replying([Reply::TakenButTheFirst]);

    let ended = subject("messages").arg("3").dsn(sink.dsn()).run().well();

    let account = ended.account("account");
    assert_eq!((account.delivered, account.dropped_for("rejected")), (2, 1));
    let losses = sink.losses().expect("the collector is told");
    assert_eq!(losses.dropped, [("rejected".into(), 1)]);
}

#[test]
fn a_key_or_format_that_is_not_known_yet_costs_no_report() {
    // All three wait out their flush at the same time.
    let apps = [401, 403, 415].map(|status| {
        let sink = Sink::replying([Reply::Status(status)]);
        let program = subject("flush_then_shutdown").arg("3000");
        let running = program.dsn(sink.dsn()).spawn();
        (status, sink, running)
    });

    for (status, sink, running) in apps {
        let ended = running.wait().well();

        let flushed = ended.account("flushed");
        let kept = (flushed.delivered, flushed.spooled);
        assert_eq!(kept, (0, 3), "after {status}");
        assert_eq!(ended.account("account").delivered, 3);
        let received = sink.received();
        let again = received.iter().filter(|it| !it.batch().events.is_empty());
        assert_eq!(again.count(), 2, "it backs off after {status}");
        assert_eq!(received[0].request.body, received[1].request.body);
    }
}

#[test]
fn a_flush_ends_when_all_is_delivered() {
    let sink = Sink::open();

    let program = subject("flush_then_shutdown").arg("30000");
    let ended = program.dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("flushed").delivered, 3);
    assert!(ended.told_time("flush") < Duration::from_secs(20));
    let received = sink.received();
    let events: Vec<_> = received.iter().map(|it| it.batch().events.len()).collect();
    assert_eq!(events, [3, 0], "the second tells how the run ended");
}

#[test]
fn more_than_can_wait_is_counted() {
    let sink = Sink::silent();

    let program = subject("messages").arg("5000").dsn(sink.dsn());
    let ended = program.timeout(Duration::from_secs(1)).run().well();

    let account = ended.account("account");
    assert_eq!((account.produced, account.delivered), (5_000, 0));
    assert!(account.spooled > 0, "what was taken down is not lost");
    assert_eq!(account.pending, 0);
    let took = ended.told_time("capture");
    assert!(
        took < MARGIN,
        "capturing waits for nobody, yet it took {took:?}"
    );
}

#[test]
fn a_filter_of_the_app_may_change_and_drop_events_and_even_panic() {
    let sink = Sink::open();

    let ended = subject("before_send").dsn(sink.dsn()).run().well();

    let account = ended.account("account");
    assert_eq!(account.delivered, 1);
    assert_eq!(account.dropped_for("before_send"), 1);
    assert_eq!(account.dropped_for("before_send_panicked"), 1);
    let event = sink.only_event();
    assert_eq!((&*event.message, event.count), ("changed", 1));
    assert_eq!(event.tags, [("changed".into(), "yes".into())]);
    let losses = sink.losses().expect("the collector is told");
    assert_eq!(losses.produced, 3);
    assert_eq!(losses.dropped.len(), 2, "{losses:?}");
}
