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

#[test]
fn a_stack_that_an_error_took_where_it_was_made_stands_for_that_of_the_report() {
    let sink = Sink::open();

    let ended = subject("error_stacks").env("RUST_BACKTRACE", "1");
    ended.dsn(sink.dsn()).run().well();

    let events = sink.events();
    let made_in = |event: &Event, function: &str, place: &str| {
        let stack = event.stack.as_ref().expect("is told");
        let mut frames = stack.frames.iter().filter(|frame| frame.in_app);
        let first = frames.next().expect("one is the app's");
        source::in_errors(place).is_called(first, function);
    };
    let [reported, handed, logged, eyre, late] = &events[..] else {
        panic!("five events are expected: {events:#?}");
    };
    for event in [reported, handed, logged] {
        made_in(event, "errors::fails_as_anyhow", "anyhow");
    }
    let functions = |event: &Event| {
        let frames = event.stack.iter().flat_map(|stack| &stack.frames);
        let functions = frames.map(|frame| frame.function.clone().unwrap_or_default());
        functions.collect::<Vec<_>>()
    };
    let of_app = |event| {
        let functions = functions(event).into_iter();
        functions
            .filter(|it| it.ends_with("errors::fails_as_anyhow"))
            .count()
    };
    assert_eq!(of_app(handed), 1, "{:#?}", functions(handed));
    let is_taking = |it: &str| it.contains("backtrace::Backtrace") || it.contains("libunwind");
    assert!(
        !functions(handed).iter().any(|it| is_taking(it)),
        "{:#?}",
        functions(handed)
    );
    let address = |event: &Event| event.stack.iter().any(|it| it.frames[0].address != 0);
    assert!(
        address(handed) && !address(reported),
        "from addresses, and from text"
    );
    assert!(
        logged.message.starts_with("cannot book error=the order"),
        "{logged:?}"
    );
    assert!(!logged.message.contains("backtrace"), "{logged:?}");
    made_in(eyre, "errors::fails_as_eyre", "eyre");
    made_in(late, "errors::fails_later::{{closure}}", "async");
}

#[test]
fn without_a_stack_of_its_own_an_error_has_that_of_the_report() {
    let sink = Sink::open();

    let ended = subject("error_stacks").env("RUST_BACKTRACE", "0");
    ended.dsn(sink.dsn()).run().well();

    let functions: Vec<_> = sink
        .events()
        .iter()
        .filter_map(|event| event.stack.clone())
        .map(|stack| stack.frames[0].function.as_deref().unwrap_or("").to_owned())
        .collect();
    assert_eq!(functions.len(), 4, "a line of the log has none");
    for function in functions {
        assert!(function.ends_with("errors::with_stacks"), "{function}");
    }
}

#[test]
fn a_stack_in_colours_is_read_too() {
    let sink = Sink::open();

    let ended = subject("coloured_error_stack").env("RUST_BACKTRACE", "1");
    ended.dsn(sink.dsn()).run().well();

    let event = sink.only_event();
    let stack = event.stack.as_ref().expect("is told");
    let first = stack.frames.iter().find(|frame| frame.in_app);
    source::in_errors("eyre").is_called(first.expect("one is the app's"), "errors::fails_as_eyre");
}
