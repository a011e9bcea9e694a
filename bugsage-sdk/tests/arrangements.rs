//! The layer in every place that a subscriber has for it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bugsage_sdk::event::Event;
use bugsage_sdk::span::Span;
use bugsage_sdk::test::Recorder;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Subscriber, debug, debug_span, error, info, info_span, warn};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{Targets, dynamic_filter_fn, filter_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

/// A layer that writes what it sees as lines, and keeps fields with the registry's spans.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn seen(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut text = Text(String::new());
        attributes.record(&mut text);
        let span = ctx.span(id).expect("is open");
        span.extensions_mut().replace(text.0);
    }

    fn on_event(&self, event: &tracing::Event<'_>, ctx: Context<'_, S>) {
        let mut line = Text(String::new());
        for span in ctx.event_scope(event).into_iter().flatten() {
            let fields = span.extensions().get::<String>().cloned();
            line.0 += &format!("{}{{{}}}", span.name(), fields.unwrap_or_default().trim());
        }
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }
}

/// Runs something under a subscriber and tells what ours made of it.
fn recorded(subscriber: impl Into<Dispatch>, run: impl FnOnce()) -> (Vec<Span>, Vec<Event>) {
    // Another one that wants everything: alone in the process, a subscriber has `tracing` decide once for
    // all what it does not want.
    let _wanted = Dispatch::new(tracing_subscriber::registry());
    let recorder = Recorder::new();
    let attached = recorder.attach();
    tracing::dispatcher::with_default(&subscriber.into(), run);
    drop(attached);
    (recorder.spans(), recorder.events())
}

/// What a request usually does.
fn serve() {
    info_span!("request", path = "/orders").in_scope(|| {
        info!("looking");
        info_span!("query").in_scope(|| error!(code = 7, "no answer"));
    });
}

/// Checks that ours told all that [`serve`] does, once.
#[track_caller]
fn told_once((spans, events): (Vec<Span>, Vec<Event>)) {
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["request", "query"]);
    assert_eq!(spans[1].parent, Some(spans[0].id));
    let [event] = &events[..] else {
        panic!("one event is expected, there are {}", events.len());
    };
    let open: Vec<_> = event.spans.iter().map(|span| &*span.name).collect();
    assert_eq!((&*event.message, event.count), ("no answer code=7", 1));
    assert_eq!(
        (open, event.breadcrumbs.len()),
        (vec!["request", "query"], 1)
    );
}

#[test]
fn beside_a_layer_that_writes_lines_in_any_order_both_see_all() {
    let line = "query{}request{path=\"/orders\"} message=no answer code=7";
    let registry = tracing_subscriber::registry;
    let lines = [Lines::default(), Lines::default(), Lines::default()];
    let [first, second, around] = lines.clone();
    told_once(recorded(
        registry().with(first).with(bugsage_sdk::layer()),
        serve,
    ));
    told_once(recorded(
        registry().with(bugsage_sdk::layer()).with(second),
        serve,
    ));
    let between = registry().with(around.clone()).with(bugsage_sdk::layer());
    told_once(recorded(between.with(Lines::default()), serve));
    for lines in lines {
        assert_eq!(lines.seen().last().map(String::as_str), Some(line));
    }
}

#[test]
fn joined_boxed_optional_or_in_a_list_it_is_the_same_layer() {
    let registry = tracing_subscriber::registry;
    type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

    let after = Lines::default().and_then(bugsage_sdk::layer());
    told_once(recorded(registry().with(after), serve));
    let before = bugsage_sdk::layer().and_then(Lines::default());
    told_once(recorded(registry().with(before), serve));
    let boxed: Boxed = bugsage_sdk::layer().boxed();
    told_once(recorded(registry().with(boxed), serve));
    told_once(recorded(registry().with(Some(bugsage_sdk::layer())), serve));
    let list: Vec<Boxed> = vec![Lines::default().boxed(), bugsage_sdk::layer().boxed()];
    told_once(recorded(registry().with(list), serve));
    let nested: Vec<Boxed> = vec![Some(bugsage_sdk::layer().boxed()).boxed()];
    told_once(recorded(registry().with(nested), serve));
}

#[test]
fn a_place_that_is_left_empty_costs_the_others_nothing() {
    let lines = Lines::default();
    let nobody: Option<bugsage_sdk::Layer> = None;
    let subscriber = tracing_subscriber::registry()
        .with(nobody)
        .with(lines.clone());
    let (spans, events) = recorded(subscriber, serve);

    assert_eq!((spans.len(), events.len()), (0, 0));
    assert_eq!(lines.seen().len(), 2);
}

#[test]
fn the_filter_of_another_layer_is_not_ours() {
    let strict = Lines::default();
    let subscriber = tracing_subscriber::registry()
        .with(strict.clone().with_filter(LevelFilter::ERROR))
        .with(bugsage_sdk::layer());
    told_once(recorded(subscriber, serve));
    assert_eq!(strict.seen().len(), 1);

    let ours = bugsage_sdk::layer().with_filter(LevelFilter::ERROR);
    let all = Lines::default();
    let subscriber = tracing_subscriber::registry().with(ours).with(all.clone());
    let (spans, events) = recorded(subscriber, serve);
    assert_eq!((spans.len(), events.len()), (0, 1));
    assert_eq!((events[0].spans.len(), events[0].breadcrumbs.len()), (0, 0));
    assert_eq!(all.seen().len(), 2);
}

#[test]
fn a_filter_of_the_whole_subscriber_holds_for_ours_too() {
    for is_outside in [false, true] {
        let targets = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("noisy", LevelFilter::OFF);
        let registry = tracing_subscriber::registry();
        let subscriber: Dispatch = if is_outside {
            registry.with(bugsage_sdk::layer()).with(targets).into()
        } else {
            registry.with(targets).with(bugsage_sdk::layer()).into()
        };
        let (spans, events) = recorded(subscriber, || {
            info_span!(target: "noisy", "unwanted").in_scope(|| {
                debug_span!("too fine").in_scope(serve);
                error!(target: "noisy", "unwanted too");
            });
        });
        told_once((spans, events));
    }
}

#[test]
fn a_filter_that_looks_at_values_and_places_is_heeded_each_time() {
    let is_on = Arc::new(AtomicBool::new(true));
    let looking = is_on.clone();
    let by_flag = dynamic_filter_fn(move |metadata, ctx| {
        let in_health = ctx
            .lookup_current()
            .is_some_and(|span| span.name() == "health");
        looking.load(Ordering::Relaxed) && !in_health && *metadata.level() <= tracing::Level::INFO
    });
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer().with_filter(by_flag));
    let (spans, _) = recorded(subscriber, || {
        let open = || drop(info_span!("request"));
        open();
        is_on.store(false, Ordering::Relaxed);
        open();
        is_on.store(true, Ordering::Relaxed);
        open();
    });
    assert_eq!(spans.len(), 2);
}

#[test]
fn an_event_in_a_span_that_was_filtered_out_belongs_to_the_next_around() {
    let named = filter_fn(|metadata| metadata.name() != "hidden");
    let subscriber = tracing_subscriber::registry()
        .with(bugsage_sdk::layer().with_filter(named))
        .with(Lines::default());
    let (spans, events) = recorded(subscriber, || {
        info_span!("outer").in_scope(|| {
            info_span!("hidden").in_scope(|| {
                bugsage_sdk::set_tag("from", "hidden");
                warn!("before");
                error!("failed");
            });
            error!("after");
        });
    });

    assert_eq!(spans.len(), 1);
    for event in &events {
        let trace = event.trace.expect("a span was open");
        assert_eq!((trace.span, event.spans.len()), (spans[0].id, 1));
        assert_eq!((event.tags.len(), event.breadcrumbs.len()), (1, 1));
    }
    assert_eq!(events.len(), 2);
}

#[test]
fn a_layer_that_is_taken_out_and_put_back_goes_on() {
    let (layer, handle) = reload::Layer::new(Some(bugsage_sdk::layer()));
    let subscriber = tracing_subscriber::registry().with(layer);
    let (spans, events) = recorded(subscriber, || {
        drop(info_span!("first"));
        handle.reload(None).expect("is there");
        info_span!("meanwhile").in_scope(|| error!("nobody is told"));
        handle.reload(Some(bugsage_sdk::layer())).expect("is there");
        drop(info_span!("second"));
        error!("told");
    });

    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!((events.len(), &*events[0].message), (1, "told"));
}

#[test]
fn spans_that_are_open_while_the_layer_is_replaced_harm_no_later_ones() {
    let (layer, handle) = reload::Layer::new(bugsage_sdk::layer());
    let subscriber = tracing_subscriber::registry().with(layer);
    let (spans, events) = recorded(subscriber, || {
        let outer = info_span!("outer").entered();
        let inner = info_span!("inner");
        handle.reload(bugsage_sdk::layer()).expect("is there");
        // The new layer has never heard of either.
        inner.record("unknown", 1);
        inner.follows_from(outer.id());
        drop(inner);
        drop(outer);
        drop(info_span!("later"));
        error!("failed");
    });

    let later = spans.iter().find(|span| &*span.name == "later");
    assert_eq!(later.expect("is told").parent, None);
    assert_eq!((events[0].spans.len(), events[0].trace), (0, None));
}

#[test]
fn a_filter_may_be_reloaded_while_spans_are_open() {
    let (filter, handle) = reload::Layer::new(LevelFilter::INFO);
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(bugsage_sdk::layer());
    let (spans, _) = recorded(subscriber, || {
        let outer = info_span!("outer").entered();
        handle.reload(LevelFilter::ERROR).expect("is there");
        drop(info_span!("unwanted"));
        handle.reload(LevelFilter::DEBUG).expect("is there");
        drop(debug_span!("wanted"));
        drop(outer);
    });

    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["outer", "wanted"]);
    assert_eq!(spans[1].parent, Some(spans[0].id));
}

#[test]
fn a_subscriber_within_another_goes_on_with_the_trace_around_it() {
    let inner: Dispatch = tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .into();
    let outer = tracing_subscriber::registry().with(bugsage_sdk::layer());
    let (spans, events) = recorded(outer, || {
        let _outer = info_span!("outer").entered();
        info!("before");
        tracing::dispatcher::with_default(&inner, || {
            info_span!("inner").in_scope(|| error!("failed"));
        });
        drop(info_span!("after"));
    });

    let named = |name| spans.iter().find(|span| &*span.name == name);
    let outer = named("outer").expect("is told").id;
    for name in ["inner", "after"] {
        assert_eq!(named(name).expect("is told").parent, Some(outer));
    }
    assert_eq!((events[0].spans.len(), events[0].breadcrumbs.len()), (2, 1));
}

#[test]
fn where_nobody_subscribes_reports_are_taken_down_all_the_same() {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let nobody = Dispatch::new(tracing::subscriber::NoSubscriber::default());
    tracing::dispatcher::with_default(&nobody, || {
        let span = info_span!("unknown", value = 1);
        span.record("value", 2);
        span.follows_from(span.id());
        span.in_scope(|| {
            debug!("unknown");
            bugsage_sdk::set_tag("region", "eu");
            assert_eq!(bugsage_sdk::trace_context(), None);
            bugsage_sdk::capture_message(tracing::Level::ERROR, "told");
        });
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        bugsage_sdk::continue_trace(header.parse().ok(), || drop(info_span!("request")));
        let _native = bugsage_sdk::span!("native");
        let caught = std::panic::catch_unwind(|| panic!("on purpose"));
        assert!(caught.is_err());
    });

    let (spans, events) = (recorder.spans(), recorder.events());
    assert_eq!(spans.len(), 1);
    assert_eq!((&*spans[0].name, spans[0].parent), ("native", None));
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.tags.len() == 1));
    assert_eq!(events[1].spans.len(), 1);
}

#[test]
fn a_span_outlives_the_subscribers_scope_it_was_opened_in() {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let span = {
        let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
        let _subscribed = tracing::subscriber::set_default(subscriber);
        info_span!("long", late = tracing::field::Empty)
    };
    assert_eq!(recorder.spans().len(), 0);
    span.in_scope(|| assert!(bugsage_sdk::trace_context().is_some()));
    span.record("late", 3);
    drop(span);

    let spans = recorder.spans();
    assert_eq!(spans[0].fields, [("late".into(), "3".into())]);
    assert_eq!(bugsage_sdk::trace_context(), None);
}
