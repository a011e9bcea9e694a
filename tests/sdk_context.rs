//! A report knows what surrounded it, and nobody's secrets.

use bugsage_core::event::Event;

use crate::support::program::subject;
use crate::support::sink::Sink;

fn breadcrumbs(event: &Event) -> Vec<&str> {
    let breadcrumbs = event.breadcrumbs.iter();
    breadcrumbs.map(|breadcrumb| &*breadcrumb.message).collect()
}

#[test]
fn guard_and_layer_may_come_in_any_order() {
    for first in ["guard", "layer"] {
        let sink = Sink::open();

        subject("context").arg(first).dsn(sink.dsn()).run().well();

        let event = sink.only_event();
        assert_eq!(&*event.message, "the card was refused", "{first} first");
        let spans: Vec<_> = event.spans.iter().map(|span| &*span.name).collect();
        assert_eq!(spans, ["request", "pay"], "{first} first");
        let fields = event.spans[0].fields.iter();
        let fields: Vec<_> = fields.map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(fields, [("id", "4711"), ("path", "/orders")]);
        assert_eq!(breadcrumbs(&event), ["the cart was read items=3"]);
    }
}

#[test]
fn breadcrumbs_stand_in_the_order_in_which_they_were_left() {
    let sink = Sink::open();

    subject("breadcrumbs").dsn(sink.dsn()).run().well();

    let events = sink.events();
    let [inside, outside] = &events[..] else {
        panic!("two events are expected: {events:#?}");
    };
    assert_eq!(
        breadcrumbs(inside),
        ["outside of any span", "first", "second tries=2", "third"]
    );
    assert!(
        inside
            .breadcrumbs
            .is_sorted_by_key(|breadcrumb| breadcrumb.at)
    );
    assert_eq!(breadcrumbs(outside), ["outside of any span"]);
}

#[test]
fn tags_and_user_follow_the_span_and_else_the_process() {
    let sink = Sink::open();

    subject("tags").dsn(sink.dsn()).run().well();

    let events = sink.events();
    let about = |message: &str| {
        let event = events.iter().find(|event| &*event.message == message);
        let event = event.expect("is reported");
        let tags = event.tags.iter();
        let mut tags: Vec<_> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        tags.sort();
        (tags.join(" "), event.user.as_deref())
    };
    assert_eq!(
        about("inside"),
        ("region=us shard=1".to_owned(), Some("u-request"))
    );
    assert_eq!(
        about("outside"),
        ("region=eu shard=1".to_owned(), Some("u-process"))
    );
}

#[test]
fn a_panic_under_a_lock_of_the_registry_is_reported_and_stays_a_panic() {
    let sink = Sink::open();

    let program = subject("hold_lock").arg("panics");
    program.dsn(sink.dsn()).run().well();

    let events = sink.events();
    assert_eq!(&*events[0].message, "under a lock of the registry");
    assert_eq!(&*events[0].spans[0].name, "outer");
}

#[test]
fn a_lock_of_the_registry_that_the_app_holds_does_not_hold_up_the_sdk() {
    let sink = Sink::open();

    subject("hold_lock")
        .arg("logs")
        .dsn(sink.dsn())
        .run()
        .well();

    let event = sink.only_event();
    assert_eq!(&*event.message, "under a lock of the registry");
    let spans: Vec<_> = event.spans.iter().map(|span| &*span.name).collect();
    assert_eq!(spans, ["outer", "inner"]);
}

#[test]
fn secrets_stay_in_the_process() {
    let sink = Sink::open();

    let ended = subject("secrets").dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("account").delivered, 3);
    let events = sink.events();
    assert!(
        events.iter().all(|event| event.user.is_some()),
        "{events:#?}"
    );
    assert!(events.iter().all(|event| !event.breadcrumbs.is_empty()));
    assert!(!format!("{events:?}").contains("planted"), "{events:#?}");
    let plain = sink.plain_bytes();
    assert!(!plain.windows(7).any(|window| window == b"planted"));
    assert!(plain.windows(5).any(|window| window == b"login"));
}

#[test]
fn an_event_tells_how_the_program_was_built_and_for_how_long_it_ran() {
    let sink = Sink::open();

    subject("capture_error").dsn(sink.dsn()).run().well();

    let event = &sink.events()[0];
    let fact = |name: &str| {
        let found = event.contexts.iter().find(|(known, _)| &**known == name);
        found.map(|(_, value)| &**value)
    };
    assert!(fact("build.rustc").is_some_and(|rustc| rustc.starts_with("1.")));
    let facts = [
        "profile",
        "debug_assertions",
        "overflow_checks",
        "panic",
        "debug_info",
    ];
    let facts = facts.map(|name| fact(&format!("build.{name}")).unwrap_or("?"));
    // The tests' programs are debug builds.
    assert_eq!(facts, ["debug", "on", "on", "unwind", "inside"]);
    let uptime = event.run.uptime_us(event.first_at).expect("is known");
    assert!(uptime < 600_000_000, "{uptime} µs");
}
