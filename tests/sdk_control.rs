//! What an app and its collector may say about how much is reported: each loss is counted.

use crate::support::program::subject;
use crate::support::sink::{Reply, Sink};

#[test]
fn a_place_makes_as_many_different_reports_as_the_app_allows() {
    let sink = Sink::open();

    let ended = subject("limited").dsn(sink.dsn()).run().well();

    let account = ended.account("account");
    assert_eq!(account.produced, 15);
    assert_eq!(account.dropped_for("rate_limited"), 7);
    assert_eq!(
        account.delivered, 8,
        "three here, and five equal ones there"
    );
    let losses = sink.losses().expect("the collector is told");
    assert_eq!(losses.dropped, [("rate_limited".into(), 7)]);
}

#[test]
fn nothing_is_taken_down_while_the_app_has_paused() {
    let sink = Sink::open();

    let ended = subject("paused").dsn(sink.dsn()).run().well();

    let account = ended.account("account");
    assert_eq!((account.produced, account.dropped_for("paused")), (3, 2));
    assert_eq!(&*sink.only_event().message, "resumed");
}

#[test]
fn a_kind_that_the_collector_does_not_want_is_not_sent() {
    let sink = Sink::replying([Reply::TakenUnwanting("log=600, error=600")]);

    let ended = subject("unwanted").dsn(sink.dsn()).run().well();

    let account = ended.account("account");
    assert_eq!((account.delivered, account.dropped_for("unwanted")), (2, 1));
    let events = sink.events();
    let messages: Vec<&str> = events.iter().map(|event| &*event.message).collect();
    assert_eq!(messages, ["before", "of another kind"]);
}

#[test]
fn a_kind_is_wanted_again_when_the_collector_says_so() {
    let sink = Sink::replying([Reply::TakenUnwanting("log=0")]);

    let ended = subject("unwanted").dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("account").delivered, 3);
}
