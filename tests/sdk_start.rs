//! Settings that are wrong or missing never break an app.

use bugsage_core::event::EventKind;

use crate::support::program::subject;
use crate::support::sink::Sink;

/// Runs an app whose SDK cannot start, and gives the one line that it warned with.
#[track_caller]
fn warning(dsn: Option<&str>) -> String {
    let program = subject("nothing");
    let ended = match dsn {
        Some(dsn) => program.dsn(dsn).run(),
        None => program.run(),
    };
    let ended = ended.well();
    assert_eq!(ended.told("active"), "false");
    assert_eq!(ended.told("went on"), "yes");
    assert_eq!(ended.account("account").produced, 0);
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "one warning is enough: {lines:?}");
    lines[0].to_owned()
}

#[test]
fn an_app_without_a_dsn_runs_on_with_one_warning() {
    for nothing in [None, Some(""), Some("  ")] {
        let warning = warning(nothing);

        assert!(warning.contains("there is no DSN"), "{warning}");
        assert!(warning.contains("BUGSAGE_DSN"), "{warning}");
    }
}

#[test]
fn an_app_with_a_malformed_dsn_runs_on_with_one_warning_that_does_not_tell_the_key() {
    let warning = warning(Some("http://bsi_key@127.0.0.1:4100/shop"));

    assert!(warning.contains("<project id>"), "{warning}");
    assert!(!warning.contains("bsi_key"), "{warning}");
}

#[test]
fn an_app_that_has_nothing_to_report_tells_its_run_and_nothing_else() {
    let sink = Sink::open();

    let ended = subject("nothing").dsn(sink.dsn()).run().well();

    assert_eq!(ended.told("active"), "true");
    assert_eq!(ended.stderr, "");
    let received = sink.received();
    assert_eq!(received.len(), 1);
    let batch = received[0].batch();
    assert_eq!((batch.events.len(), batch.losses.len()), (0, 0));
    assert_eq!((batch.runs.len(), batch.run_states.len()), (1, 1));
}

#[test]
fn a_second_guard_is_refused_and_harms_nothing() {
    let sink = Sink::open();

    let ended = subject("two_guards").dsn(sink.dsn()).run().well();

    assert_eq!(ended.told("second is active"), "false");
    assert!(
        ended.told("refusal").contains("active already"),
        "{ended:?}"
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert_eq!(ended.account("account").delivered, 1);
    assert_eq!(sink.reports(), 1);
}

#[test]
fn the_sdk_can_start_again_once_its_guard_is_gone() {
    let sink = Sink::open();

    let ended = subject("two_lives").dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("first").delivered, 1);
    assert_eq!(ended.account("second").delivered, 1);
    let events = sink.events();
    let [first, second] = &events[..] else {
        panic!("nothing is reported between two lives: {events:#?}");
    };
    assert_ne!(first.run.id, second.run.id);
    assert_eq!(second.kind, EventKind::Panic);
}
