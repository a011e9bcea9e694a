//! Errors that are reported in passing.

use std::error::Error;
use std::fmt;

use bugsage_sdk::ReportError;
use bugsage_sdk::event::{Event, EventKind};
use bugsage_sdk::test::capture;

#[derive(Debug)]
struct Declined {
    source: std::num::ParseIntError,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("payment declined")
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

fn declined() -> Declined {
    let source = "many".parse::<u64>().expect_err("is no number");
    Declined { source }
}

fn chain(event: &Event) -> Vec<String> {
    let link = |link: &bugsage_sdk::event::ErrorLink| {
        format!(
            "{}: {}",
            link.type_name.as_deref().unwrap_or("?"),
            link.message
        )
    };
    event.errors.iter().map(link).collect()
}

#[test]
fn an_error_is_reported_with_its_sources_and_handed_on() {
    let line = line!() + 2;
    let events = capture(|| {
        let outcome: Result<(), _> = Err(declined()).report();
        assert_eq!(
            outcome.expect_err("was handed on").to_string(),
            "payment declined"
        );
        assert_eq!(Ok::<_, Declined>(7).report().ok(), Some(7));
    });

    let [event] = &events[..] else {
        panic!("one event is expected");
    };
    assert_eq!(event.kind, EventKind::Error);
    assert_eq!(
        chain(event),
        [
            "errors::Declined: payment declined",
            "ParseIntError: invalid digit found in string"
        ]
    );
    let location = event.location.as_ref().expect("is known");
    assert!(location.file.ends_with("tests/errors.rs"));
    assert_eq!(location.line, line, "the place of the call");
}

#[test]
fn boxed_errors_of_both_kinds_are_reported() {
    let events = capture(|| {
        let plain: Result<(), Box<dyn Error>> = Err(declined().into());
        assert!(plain.report().is_err());
        let sendable: Result<(), Box<dyn Error + Send + Sync>> = Err(declined().into());
        assert!(sendable.report().is_err());
    });
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(chain(event)[0], "Declined: payment declined");
        assert_eq!(event.errors.len(), 2);
    }
}

#[test]
fn errors_of_anyhow_are_reported_with_their_contexts() {
    let events = capture(|| {
        let outcome: Result<(), anyhow::Error> = Err(declined().into());
        let outcome = outcome.map_err(|error| error.context("cannot check out"));
        assert!(outcome.report().is_err());
    });
    let messages: Vec<_> = events[0].errors.iter().map(|link| &*link.message).collect();
    assert_eq!(
        messages,
        [
            "cannot check out",
            "payment declined",
            "invalid digit found in string"
        ]
    );
}
