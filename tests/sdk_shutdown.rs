//! Dropping the guard takes no longer than its timeout, whatever the network does.
//!
//! The bounds here catch what hangs; how exact the timeout is, a bench says.

use std::time::Duration;

use crate::support::MARGIN;
use crate::support::program::subject;
use crate::support::sink::{Reply, Sink, closed_port_dsn};

const TIMEOUT: Duration = Duration::from_secs(1);

#[track_caller]
fn drop_is_bounded(dsn: &str) {
    let ended = subject("drop_guard").dsn(dsn).timeout(TIMEOUT).run().well();

    let took = ended.told_time("drop");
    assert!(took < TIMEOUT + MARGIN, "it took {took:?}");
    assert!(
        took >= TIMEOUT,
        "nothing was delivered, yet it took {took:?}"
    );
}

#[test]
fn a_guard_is_dropped_at_once_where_all_is_delivered() {
    let sink = Sink::open();
    let timeout = Duration::from_secs(40);

    let ended = subject("drop_guard")
        .dsn(sink.dsn())
        .timeout(timeout)
        .run()
        .well();

    assert!(ended.told_time("drop") < timeout / 2);
    assert_eq!(sink.reports(), 3);
}

#[test]
fn a_guard_is_dropped_in_time_where_nobody_listens() {
    let program = subject("drop_guard").dsn(closed_port_dsn());
    let program = program.env("BUGSAGE_SPOOL_DIR", "off");
    let ended = program.timeout(TIMEOUT).run().well();

    let took = ended.told_time("drop");
    assert!(
        took >= TIMEOUT,
        "it tries to the last, yet it took {took:?}"
    );
    assert!(took < TIMEOUT + MARGIN, "it took {took:?}");
}

#[test]
fn a_program_does_not_wait_for_nobody_with_all_of_its_reports_on_disk() {
    let timeout = Duration::from_secs(40);

    let program = subject("messages").arg("3").dsn(closed_port_dsn());
    let ended = program.timeout(timeout).run().well();

    assert_eq!(ended.account("account").spooled, 3);
    let took = ended.told_time("shutdown");
    assert!(took < timeout / 2, "it took {took:?}");
}

#[test]
fn a_program_does_not_wait_for_a_collector_that_does_not_know_its_key() {
    let sink = Sink::replying([Reply::Status(401), Reply::Status(401), Reply::Status(401)]);
    let timeout = Duration::from_secs(40);

    let program = subject("messages").arg("3").dsn(sink.dsn());
    let ended = program.timeout(timeout).run().well();

    assert_eq!(ended.account("account").spooled, 3);
    let took = ended.told_time("shutdown");
    assert!(took < timeout / 2, "it took {took:?}");
}

#[test]
fn a_guard_is_dropped_in_time_where_packets_vanish() {
    drop_is_bounded(&Sink::black_hole().dsn());
}

#[test]
fn a_guard_is_dropped_in_time_where_the_server_never_reads() {
    drop_is_bounded(&Sink::deaf().dsn());
}

#[test]
fn a_guard_is_dropped_in_time_where_the_server_never_answers() {
    let sink = Sink::silent();

    drop_is_bounded(&sink.dsn());

    assert_eq!(sink.received().len(), 1);
}

#[test]
fn a_guard_is_dropped_in_time_where_tls_is_never_agreed_on() {
    let sink = Sink::deaf();

    drop_is_bounded(&sink.dsn().replace("http://", "https://"));
}

#[test]
fn a_guard_is_dropped_in_time_where_the_queue_is_full() {
    let sink = Sink::silent();

    let program = subject("drop_full").dsn(sink.dsn()).timeout(TIMEOUT);
    let ended = program.env("BUGSAGE_SPOOL_DIR", "off").run().well();

    let took = ended.told_time("drop");
    assert!(took < TIMEOUT + MARGIN, "it took {took:?}");
    let flushed = ended.account("flushed");
    assert!(flushed.dropped_for("queue_full") > 0, "{flushed:?}");
}

#[test]
fn a_guard_is_dropped_in_time_where_the_disk_is_full() {
    let sink = Sink::silent();

    let program = subject("drop_guard").dsn(sink.dsn()).timeout(TIMEOUT);
    let ended = program.with_file_limit(64).run().well();

    let took = ended.told_time("drop");
    assert!(took < TIMEOUT + MARGIN, "it took {took:?}");
    assert!(ended.stderr.contains("no spool"), "{}", ended.stderr);
}

#[test]
fn a_guard_is_dropped_in_time_where_the_answer_drips() {
    drop_is_bounded(&Sink::dripping().dsn());
}

#[test]
fn a_guard_is_dropped_in_time_where_every_try_fails() {
    let sink = Sink::replying([Reply::Status(503); 100]);

    drop_is_bounded(&sink.dsn());
}

#[test]
fn a_guard_is_dropped_in_time_where_the_name_is_nobodys() {
    // A name that is reserved for never being one.
    let ended = subject("drop_guard")
        .dsn("http://k@collector.invalid:4100/1")
        .timeout(TIMEOUT)
        .run()
        .well();

    let took = ended.told_time("drop");
    assert!(took < TIMEOUT + MARGIN, "it took {took:?}");
}

#[test]
fn an_app_that_forgets_its_guard_still_ends() {
    let sink = Sink::silent();

    let ended = subject("forget_guard").dsn(sink.dsn()).run().well();

    assert_eq!(ended.told("went on"), "yes");
}

#[test]
fn what_could_not_be_delivered_in_time_is_counted() {
    let sink = Sink::silent();

    let program = subject("messages").arg("3").dsn(sink.dsn());
    let program = program.env("BUGSAGE_SPOOL_DIR", "off");
    let ended = program.timeout(TIMEOUT).run().well();

    let account = ended.account("account");
    assert_eq!((account.produced, account.dropped_for("shutdown")), (3, 3));
    let took = ended.told_time("shutdown");
    assert!(took < TIMEOUT + MARGIN, "it took {took:?}");
}
