//! Whatever an app attaches has its bound, and what is beyond it is left out or takes an older one's place.

use std::error::Error;
use std::fmt;
use std::sync::Barrier;

use bugsage_sdk::event::Event;
use bugsage_sdk::span::Span;
use bugsage_sdk::test::Recorder;
use tracing::{error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

fn recorded(run: impl FnOnce()) -> (Vec<Span>, Vec<Event>) {
    let recorder = Recorder::new();
    let attached = recorder.attach();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    tracing::subscriber::with_default(subscriber, run);
    drop(attached);
    (recorder.spans(), recorder.events())
}

fn messages(event: &Event) -> Vec<&str> {
    let crumbs = event.breadcrumbs.iter();
    crumbs.map(|crumb| &*crumb.message).collect()
}

#[test]
fn the_first_hundred_tags_are_kept_and_their_values_may_change() {
    let (_, events) = recorded(|| {
        info_span!("request").in_scope(|| {
            (0..101).for_each(|number| bugsage_sdk::set_tag(format!("t{number}"), "first"));
            bugsage_sdk::set_tag("t7", "second");
            bugsage_sdk::set_tag("t100", "second");
            error!("failed");
        });
    });

    let tags = &events[0].tags;
    assert_eq!(tags.len(), 100);
    assert!(tags.contains(&("t7".into(), "second".into())));
    assert!(tags.iter().all(|(name, _)| &**name != "t100"));
}

#[test]
fn of_the_tags_of_all_scopes_the_innermost_hundred_are_told() {
    let (_, events) = recorded(|| {
        (0..100).for_each(|number| bugsage_sdk::set_tag(format!("outer{number}"), "o"));
        info_span!("request").in_scope(|| {
            (0..60).for_each(|number| bugsage_sdk::set_tag(format!("inner{number}"), "i"));
            error!("failed");
        });
    });
    let tags = &events[0].tags;
    let inner = tags.iter().filter(|(name, _)| name.starts_with("inner"));
    assert_eq!((tags.len(), inner.count()), (100, 60));
}

#[test]
fn thirty_two_contexts_and_four_inputs_are_kept() {
    let (_, events) = recorded(|| {
        info_span!("request").in_scope(|| {
            for number in 0..33 {
                bugsage_sdk::set_context(format!("c{number}"), "first");
                bugsage_sdk::set_input(format!("i{number}"), number);
            }
            bugsage_sdk::set_context("c31", "second");
            bugsage_sdk::set_input("i3", "second");
            error!("failed");
        });
    });
    let event = &events[0];
    assert_eq!((event.attached.len(), event.inputs.len()), (32, 4));
    assert_eq!(event.attached[31], ("c31".into(), "second".into()));
    assert_eq!(event.inputs[3], ("i3".into(), "second".into()));
}

#[test]
fn names_and_values_that_are_too_long_are_cut_and_say_so() {
    let (name, value) = ("n".repeat(300), "v".repeat(9 << 10));
    let (_, events) = recorded(|| {
        info_span!("request").in_scope(|| {
            bugsage_sdk::set_tag(&name, &value);
            bugsage_sdk::set_context(&name, &value);
            bugsage_sdk::set_input(&name, &value);
            bugsage_sdk::set_user(&value);
            error!("failed");
        });
    });
    let event = &events[0];
    for pairs in [&event.tags, &event.attached, &event.inputs] {
        let [(name, value)] = &pairs[..] else {
            panic!("one is expected, there are {}", pairs.len());
        };
        assert!(name.len() <= 200 && name.ends_with('…'), "{name}");
        assert!(
            value.len() <= 8 << 10 && value.ends_with('…'),
            "{} bytes",
            value.len()
        );
        assert!(value.len() > 4 << 10, "{} bytes", value.len());
    }
    assert!(event.user.as_ref().is_some_and(|user| user.len() <= 200));
}

#[test]
fn a_report_with_all_that_it_may_have_is_told() {
    let value = "v".repeat(8 << 10);
    let (_, events) = recorded(|| {
        let mut open = Vec::new();
        for depth in 0..100 {
            open.push(info_span!("deep", depth, value = &value[..1_000]).entered());
            bugsage_sdk::set_tag(format!("t{depth}"), &value);
            bugsage_sdk::set_context(format!("c{depth}"), &value);
            bugsage_sdk::set_input(format!("i{depth}"), &value);
        }
        (0..500).for_each(|number| info!("{number} {value}"));
        error!("the last {value}");
        while let Some(span) = open.pop() {
            drop(span);
        }
    });
    let [event] = &events[..] else {
        panic!("one event is expected, there are {}", events.len());
    };
    assert!(event.message.starts_with("the last ") && event.message.len() <= 8 << 10);
    assert!(event.spans.len() <= 64 && event.tags.len() <= 100);
    // The innermost count.
    let innermost = event.spans.last().expect("there are some");
    assert!(
        innermost.fields.contains(&("depth".into(), "99".into())),
        "{innermost:?}"
    );
}

#[test]
fn a_span_follows_from_sixteen_others_and_never_from_one_that_is_closed() {
    let (spans, _) = recorded(|| {
        let effect = info_span!("effect");
        let closed = info_span!("closed");
        let id = closed.id();
        drop(closed);
        effect.follows_from(id);
        effect.follows_from(effect.id());
        for number in 0..127_u64 {
            effect.follows_from(info_span!("cause", number).id());
        }
    });
    let effect = spans
        .iter()
        .find(|span| &*span.name == "effect")
        .expect("is told");
    assert_eq!(effect.links.len(), 16);
    let closed = spans
        .iter()
        .find(|span| &*span.name == "closed")
        .expect("is told");
    assert!(effect.links.iter().all(|link| link.span != closed.id));
    assert_eq!(
        effect.links[0].span, effect.id,
        "its own link is as good as any"
    );
    assert_eq!(spans.len(), 129);
}

/// An error that is its own source.
#[derive(Debug)]
struct Circle;

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("round and round")
    }
}

impl Error for Circle {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// An error whose text has no end.
#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("and on ")?;
        }
    }
}

impl Error for Endless {}

/// An error whose source panics.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        panic!("in source")
    }
}

#[test]
fn an_error_without_an_end_is_told_up_to_its_bound_by_every_way() {
    fn told(error: &'static (dyn Error + 'static)) -> Vec<Event> {
        recorded(|| {
            bugsage_sdk::capture_error(error);
            error!(cause = error, "logged");
            info_span!("request", error).in_scope(|| error!("in a span"));
        })
        .1
    }
    for event in told(&Circle) {
        assert!(event.errors.len() <= 16);
    }
    let circle = told(&Circle);
    assert_eq!((circle[0].errors.len(), circle[1].errors.len()), (16, 16));
    for event in told(&Endless) {
        assert!(event.message.len() <= 8 << 10);
        assert!(
            event
                .errors
                .iter()
                .all(|error| error.message.len() <= (8 << 10) + 3)
        );
    }
    // The panics in it are reports themselves.
    let broken = told(&Broken);
    let told = broken.iter().filter(|event| event.errors.len() == 1);
    assert_eq!(told.count(), 2);
    assert!(broken.iter().any(|event| &*event.message == "in source"));
}

#[test]
fn a_thread_that_logs_a_flood_takes_nobody_elses_breadcrumbs() {
    let barrier = Barrier::new(2);
    let dispatch =
        tracing::Dispatch::new(tracing_subscriber::registry().with(bugsage_sdk::layer()));
    let event_of = |name: &str, lines: u32| {
        let recorder = Recorder::new();
        let _attached = recorder.attach();
        tracing::dispatcher::with_default(&dispatch, || {
            info!("{name} begins outside");
            info_span!("request").in_scope(|| {
                info!("{name} begins");
                barrier.wait();
                (0..lines).for_each(|line| info!("{name} {line}"));
                barrier.wait();
                error!("{name} failed");
            });
        });
        recorder.events().remove(0)
    };
    let (loud, quiet) = std::thread::scope(|scope| {
        let loud = scope.spawn(|| event_of("loud", 100_000));
        let quiet = event_of("quiet", 0);
        (loud.join().expect("no panic"), quiet)
    });

    assert_eq!(messages(&quiet), ["quiet begins outside", "quiet begins"]);
    assert_eq!(loud.breadcrumbs.len(), 100);
    assert_eq!(messages(&loud)[99], "loud 99999");
    assert_eq!(messages(&loud)[0], "loud 99900");
}

#[test]
fn a_span_that_is_entered_seventy_thousand_times_at_once_can_be_left_again() {
    let (spans, events) = recorded(|| {
        let span = info_span!("deep");
        let entered: Vec<_> = (0..70_000).map(|_| span.enter()).collect();
        drop(entered);
        error!("after it");
        let again = span.enter();
        drop(info_span!("child"));
        drop(again);
        // One after the other instead of within each other.
        (0..70_000).for_each(|_| span.in_scope(|| {}));
    });
    let deep = spans
        .iter()
        .find(|span| &*span.name == "deep")
        .expect("is told");
    let child = spans
        .iter()
        .find(|span| &*span.name == "child")
        .expect("is told");
    assert_eq!((events[0].spans.len(), child.parent), (0, Some(deep.id)));
    assert!(deep.busy_ns <= deep.duration_ns);
}

#[test]
fn spans_are_closed_on_other_threads_than_they_were_opened_on() {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let dispatch =
        tracing::Dispatch::new(tracing_subscriber::registry().with(bugsage_sdk::layer()));
    let open: Vec<_> = tracing::dispatcher::with_default(&dispatch, || {
        (0..1_000_u64)
            .map(|number| info_span!("moved", number))
            .collect()
    });
    std::thread::scope(|scope| {
        let mut open = open;
        while !open.is_empty() {
            let part = open.split_off(open.len().saturating_sub(250));
            let recorder = &recorder;
            scope.spawn(move || {
                let _attached = recorder.attach();
                drop(part);
            });
        }
    });
    let spans = recorder.spans();
    let mut numbers: Vec<u64> = spans
        .iter()
        .map(|span| span.fields[0].1.parse().expect("is a number"))
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..1_000));
    let ours = own_thread();
    assert!(spans.iter().all(|span| Some(span.thread.id) != ours));
}

/// The number of the calling thread, as a span tells it.
fn own_thread() -> Option<u64> {
    let (spans, _) = recorded(|| drop(info_span!("here")));
    spans.first().map(|span| span.thread.id)
}

#[test]
fn spans_that_are_open_when_their_recorder_goes_are_nobodys() {
    let dispatch =
        tracing::Dispatch::new(tracing_subscriber::registry().with(bugsage_sdk::layer()));
    tracing::dispatcher::with_default(&dispatch, || {
        let first = Recorder::new();
        let attached = first.attach();
        let span = info_span!("of the first").entered();
        bugsage_sdk::set_tag("of", "the first");
        drop(attached);
        assert_eq!(first.spans().len(), 0);
        drop(first);

        let second = Recorder::new();
        let _attached = second.attach();
        // Still open on this thread: what is reported now lies in it.
        error!("within it");
        drop(span);
        error!("after it");
        let events = second.events();
        assert_eq!((events[0].spans.len(), events[1].spans.len()), (1, 0));
        assert_eq!((events[0].tags.len(), events[1].tags.len()), (1, 0));
        // A span is recorded where it is closed.
        assert_eq!(second.spans().len(), 1);
    });
}
