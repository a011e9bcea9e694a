//! Errors that the app hands over or logs arrive with all their sources.

use bugsage_core::event::{Event, EventKind, Level};
use bugsage_core::limits;

use crate::support::program::subject;
use crate::support::sink::Sink;
use crate::support::source;

fn errors(event: &Event) -> Vec<(&str, &str)> {
    let links = event.errors.iter();
    links
        .map(|link| (link.type_name.as_deref().unwrap_or(""), &*link.message))
        .collect()
}

#[test]
fn a_captured_error_arrives_with_its_chain_and_the_callers_stack() {
    let sink = Sink::open();

    let ended = subject("capture_error").dsn(sink.dsn()).run().well();

    let events = sink.events();
    let [known, boxed] = &events[..] else {
        panic!("two events are expected: {events:#?}");
    };
    assert_eq!((known.kind, known.level), (EventKind::Error, Level::Error));
    assert_eq!(ended.told("id"), known.id.to_string());
    assert_eq!(&*known.message, "the order cannot be booked");
    assert_eq!(
        errors(known),
        [
            (
                "subject::errors::BookingError",
                "the order cannot be booked"
            ),
            ("ParseIntError", "invalid digit found in string")
        ]
    );
    source::in_errors("known").is(known.location.as_ref());
    let stack = known.stack.as_ref().expect("a stack was taken");
    source::in_errors("known").is_called(&stack.frames[0], "errors::capture_known");

    assert_eq!(
        errors(boxed),
        [
            ("BookingError", "the order cannot be booked"),
            ("ParseIntError", "cannot parse integer from empty string")
        ]
    );
    source::in_errors("boxed").is(boxed.location.as_ref());
}

#[test]
fn a_logged_error_becomes_an_event_with_its_spans() {
    let sink = Sink::open();

    subject("log_error").dsn(sink.dsn()).run().well();

    let event = sink.only_event();
    assert_eq!((event.kind, event.level), (EventKind::Log, Level::Error));
    assert_eq!(
        &*event.message,
        "cannot book order=17 error=the order cannot be booked"
    );
    source::in_errors("logged").is(event.location.as_ref());
    assert_eq!(
        errors(&event),
        [
            ("BookingError", "the order cannot be booked"),
            ("ParseIntError", "invalid digit found in string")
        ]
    );
    let spans: Vec<_> = event
        .spans
        .iter()
        .map(|span| {
            let fields = span.fields.iter();
            let fields: Vec<_> = fields.map(|(name, value)| (&**name, &**value)).collect();
            (&*span.name, fields)
        })
        .collect();
    assert_eq!(
        spans,
        [
            ("request", vec![("id", "4711")]),
            ("step", vec![("name", "book"), ("outcome", "failed")])
        ]
    );
}

#[test]
fn a_chain_that_is_too_long_is_cut_and_costs_nothing_else() {
    let sink = Sink::open();

    let ended = subject("long_chain").dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("account").delivered, 1);
    let event = sink.only_event();
    assert!(event.errors.len() >= 5, "{} links", event.errors.len());
    assert!(event.errors[0].message.starts_with("error 39: long"));
    assert!(event.message.len() <= limits::MESSAGE_BYTES_MAX + limits::CUT.len());
    assert_eq!(event.user.as_deref(), Some("u7"));
    assert_eq!(event.tags, [("region".into(), "eu".into())]);
    assert_eq!(&*event.spans[0].name, "request");
    assert_eq!(&*event.breadcrumbs[0].message, "a breadcrumb");
}

/// The panic inside is contained; that it happened is reported like any panic.
#[test]
fn an_error_whose_text_panics_does_not_take_the_app_down() {
    let sink = Sink::open();

    let ended = subject("display_panics").dsn(sink.dsn()).run().well();

    assert_eq!(ended.told("went on"), "yes");
    let events = sink.events();
    let error = events.iter().find(|event| event.kind == EventKind::Error);
    let error = error.expect("the error is reported all the same");
    assert!(error.message.contains("panicked"), "{error:?}");
    assert!(
        events
            .iter()
            .any(|event| &*event.message == "inside Display")
    );
}

#[test]
fn a_field_whose_text_panics_does_not_take_the_app_down() {
    let sink = Sink::open();

    let ended = subject("debug_panics").dsn(sink.dsn()).run().well();

    assert_eq!(ended.told("went on"), "yes");
    let events = sink.events();
    let line = events.iter().find(|event| event.kind == EventKind::Log);
    let line = line.expect("the line is reported all the same");
    assert!(line.message.starts_with("a line"), "{line:?}");
    assert_eq!(line.breadcrumbs.len(), 1, "{line:?}");
    assert_eq!(&*line.spans[0].name, "request");
}
