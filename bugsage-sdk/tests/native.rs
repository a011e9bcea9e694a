//! Spans without a registry: `span!`.

use std::cell::RefCell;

use bugsage_sdk::span::{Span, SpanStatus};
use bugsage_sdk::test::Recorder;
use bugsage_sdk::{SpanGuard, span};
use tracing_subscriber::layer::SubscriberExt;

fn spans_of(run: impl FnOnce()) -> Vec<Span> {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    run();
    recorder.spans()
}

fn fields(span: &Span) -> Vec<String> {
    let fields = span.fields.iter();
    fields
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| &*span.name == name);
    found.unwrap_or_else(|| panic!("no span is named {name}"))
}

#[test]
fn a_span_lasts_as_long_as_its_guard_and_tells_its_place() {
    let spans = spans_of(|| {
        let _outer = span!("outer");
        let inner = span!("inner");
        std::thread::sleep(std::time::Duration::from_millis(2));
        drop(inner);
        let _second = span!("second",);
    });

    let (outer, inner) = (named(&spans, "outer"), named(&spans, "inner"));
    assert_eq!(outer.parent, None);
    assert!(outer.is_entry && !inner.is_entry);
    assert_eq!(inner.parent, Some(outer.id));
    assert_eq!(named(&spans, "second").parent, Some(outer.id));
    assert!(spans.iter().all(|span| span.trace == outer.trace));
    assert!(inner.duration_ns >= 2_000_000, "{inner:?}");
    assert_eq!(inner.busy_ns, inner.duration_ns, "entered all the time");
    assert_eq!(&*outer.target, module_path!());
    let location = outer.location.as_ref().expect("is known");
    assert!(location.file.ends_with("native.rs"));
}

#[test]
fn fields_are_written_as_those_of_tracing_are() {
    #[derive(Debug)]
    struct Card;
    impl std::fmt::Display for Card {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("visa")
        }
    }
    struct Order {
        id: u32,
        card: Card,
    }
    let order = Order { id: 7, card: Card };
    let (items, region, card) = (3, "eu", Card);

    let spans = spans_of(|| {
        let _all = span!(
            "all",
            items,
            region = region,
            paid = false,
            total = -1.5,
            shop.name = "corner",
            "quoted name" = 1_u64,
            card = %order.card,
            ?card,
            order.id,
            %order.card,
            text = String::from("owned"),
            none = None::<u32>,
            debug = ?Some(1),
        );
    });

    let expected = [
        "items=3",
        "region=eu",
        "paid=false",
        "total=-1.5",
        "shop.name=corner",
        "quoted name=1",
        "card=visa",
        "card=Card",
        "order.id=7",
        "order.card=visa",
        "text=owned",
        "debug=Some(1)",
    ];
    assert_eq!(fields(&spans[0]), expected);
}

#[test]
fn names_of_the_app_do_not_meet_those_of_the_macro() {
    #[expect(
        non_upper_case_globals,
        reason = "a name that the macro could trip over"
    )]
    const fields: u32 = 1;
    #[expect(
        non_upper_case_globals,
        reason = "a name that the macro could trip over"
    )]
    static visitor: &str = "2";

    let spans = spans_of(|| {
        let _span = span!("names", fields = fields, visitor = visitor);
    });
    assert_eq!(self::fields(&spans[0]), ["fields=1", "visitor=2"]);
}

#[test]
fn spans_of_both_kinds_nest_in_each_other() {
    let spans = spans_of(|| {
        let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
        tracing::subscriber::with_default(subscriber, || {
            let _native = span!("native");
            tracing::info_span!("traced").in_scope(|| {
                let _innermost = span!("innermost");
            });
        });
    });

    assert_eq!(
        named(&spans, "traced").parent,
        Some(named(&spans, "native").id)
    );
    assert_eq!(
        named(&spans, "innermost").parent,
        Some(named(&spans, "traced").id)
    );
}

#[test]
fn an_error_tells_its_open_spans_sampled_or_not() {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    bugsage_sdk::set_traces_sample_rate(0.0);
    {
        let _job = span!("job", number = 7);
        let _step = span!("step");
        bugsage_sdk::set_tag("region", "eu");
        bugsage_sdk::capture_error(&std::fmt::Error);
    }

    assert_eq!(recorder.spans(), [], "the trace is not sampled");
    let events = recorder.events();
    let told: Vec<_> = events[0].spans.iter().map(|span| &*span.name).collect();
    assert_eq!(told, ["job", "step"]);
    assert_eq!(&*events[0].spans[0].fields[0].1, "7");
    assert_eq!(&*events[0].tags[0].1, "eu");
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    let spans = spans_of(|| {
        let first = span!("first");
        let second = span!("second");
        drop(first);
        drop(span!("third"));
        drop(second);
        drop(span!("fourth"));
    });

    let second = named(&spans, "second");
    assert_eq!(second.parent, Some(named(&spans, "first").id));
    assert_eq!(named(&spans, "third").parent, Some(second.id));
    assert_eq!(named(&spans, "fourth").parent, None);
}

#[test]
fn a_trace_of_another_service_goes_on() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let spans = spans_of(|| {
        let _span = bugsage_sdk::continue_trace(header.parse().ok(), || span!("request"));
        let context = bugsage_sdk::trace_context().expect("is open");
        assert!(
            context
                .to_string()
                .starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
        );
    });

    assert_eq!(
        spans[0].trace.to_string(),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_eq!(
        spans[0].parent.map(|id| id.to_string()).as_deref(),
        Some("00f067aa0ba902b7")
    );
}

#[test]
fn a_value_that_panics_or_opens_spans_itself_harms_nobody() {
    struct Panics;
    impl std::fmt::Debug for Panics {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("on purpose")
        }
    }
    struct Opens;
    impl std::fmt::Debug for Opens {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let _span = span!("within", depth = 1);
            f.write_str("opened")
        }
    }

    let spans = spans_of(|| {
        let _span = span!("around", first = ?Panics, second = ?Opens);
    });
    assert_eq!(
        fields(named(&spans, "around")),
        ["first=<panicked>", "second=opened"]
    );
    assert_eq!(fields(named(&spans, "within")), ["depth=1"]);
}

#[test]
fn spans_open_and_close_on_many_threads_at_once() {
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for round in 0..50_u64 {
                    let spans = spans_of(|| {
                        let _outer = span!("outer", thread, round);
                        let _inner: Vec<SpanGuard> =
                            (0..20).map(|depth| span!("inner", depth)).collect();
                    });
                    assert_eq!(spans.len(), 21);
                    let expected = [format!("thread={thread}"), format!("round={round}")];
                    assert_eq!(fields(named(&spans, "outer")), expected);
                }
            });
        }
    });
}

#[test]
fn a_guard_that_a_thread_leaves_behind_ends_with_it() {
    thread_local! {
        static LEFT: RefCell<Vec<SpanGuard>> = const { RefCell::new(Vec::new()) };
    }
    // More than there are cells: those of threads that are gone are free again.
    for _ in 0..40 {
        let thread = std::thread::spawn(|| {
            LEFT.with_borrow_mut(|left| left.extend((0..2_000).map(|depth| span!("left", depth))));
        });
        thread.join().expect("no panic");
    }

    assert_eq!(spans_of(|| drop(span!("there is room"))).len(), 1);
}

#[test]
fn a_panic_closes_the_spans_around_it() {
    let spans = spans_of(|| {
        let outcome = std::panic::catch_unwind(|| {
            let _span = span!("failing");
            panic!("on purpose");
        });
        assert!(outcome.is_err());
        drop(span!("after"));
    });

    assert_eq!(named(&spans, "failing").status, SpanStatus::Error);
    assert_eq!(named(&spans, "after").parent, None);
}
