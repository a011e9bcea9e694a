//! What is known of spans: their place in the trace, fields, times, and what becomes of them.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bugsage_sdk::event::Event;
use bugsage_sdk::span::{Span, SpanKind, SpanStatus};
use bugsage_sdk::test::Recorder;
use bugsage_sdk::trace::TraceContext;
use tracing::{Instrument, debug_span, error, info, info_span, instrument, trace_span};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt};

/// Runs something with a registry and the layer, and tells the spans that it closed.
fn spans_of(run: impl FnOnce()) -> Vec<Span> {
    recorded(run).0
}

fn recorded(run: impl FnOnce()) -> (Vec<Span>, Vec<Event>) {
    let recorder = Recorder::new();
    let attached = recorder.attach();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    tracing::subscriber::with_default(subscriber, run);
    drop(attached);
    (recorder.spans(), recorder.events())
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| &*span.name == name);
    let span = found.next();
    assert!(found.next().is_none(), "one span is named {name}");
    span.unwrap_or_else(|| panic!("no span is named {name}"))
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| &*span.name).collect()
}

/// Waits for as many polls as there are threads to be polled on.
struct Yields(u8);

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
    }
}

#[test]
fn a_span_tells_name_target_fields_place_and_thread() {
    let spans = spans_of(|| {
        info_span!(
            target: "shop::cart",
            "checkout",
            items = 3,
            total = -1.5,
            paid = false,
            customer = "customer-17",
            debug = ?Some(1),
        )
        .in_scope(|| {});
    });

    let [span] = &spans[..] else {
        panic!("one span is expected");
    };
    assert_eq!((&*span.name, &*span.target), ("checkout", "shop::cart"));
    let fields: Vec<String> = span
        .fields
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let expected = [
        "items=3",
        "total=-1.5",
        "paid=false",
        "customer=customer-17",
        "debug=Some(1)",
    ];
    assert_eq!(fields, expected);
    let location = span.location.as_ref().expect("is known");
    assert!(location.file.ends_with("tests/spans.rs"), "{location:?}");
    assert_eq!(span.thread.name.as_deref(), std::thread::current().name());
    assert_eq!((span.parent, span.is_entry), (None, true));
    assert_eq!(
        (span.kind, span.status),
        (SpanKind::Internal, SpanStatus::Unset)
    );
}

#[test]
fn children_name_their_parent_and_share_the_trace() {
    let spans = spans_of(|| {
        let outer = info_span!("outer");
        outer.in_scope(|| {
            info_span!("first").in_scope(|| info_span!("inner").in_scope(|| {}));
            info_span!("second").in_scope(|| {});
        });
        drop(outer);
        info_span!("other").in_scope(|| {});
    });

    let outer = named(&spans, "outer");
    let parent = |name| named(&spans, name).parent;
    assert_eq!(parent("first"), Some(outer.id));
    assert_eq!(parent("second"), Some(outer.id));
    assert_eq!(parent("inner"), Some(named(&spans, "first").id));
    let trace = |name| named(&spans, name).trace;
    assert_eq!(trace("inner"), outer.trace);
    assert_ne!(trace("other"), outer.trace);
    assert!(
        spans
            .iter()
            .all(|span| span.is_entry == span.parent.is_none())
    );
}

#[test]
fn busy_time_is_the_time_entered_and_the_rest_is_idle() {
    let pause = Duration::from_millis(20);
    let spans = spans_of(|| {
        let span = info_span!("request");
        span.in_scope(|| std::thread::sleep(pause));
        std::thread::sleep(pause);
        span.in_scope(|| {
            // Entered twice, its time counts once.
            span.in_scope(|| std::thread::sleep(pause));
        });
    });

    let span = &spans[0];
    let (busy, all) = (span.busy_ns, span.duration_ns);
    let pause = pause.as_nanos() as u64;
    assert!(busy >= 2 * pause, "busy for {busy}");
    assert!(
        all >= busy + pause * 9 / 10,
        "{all} in all, busy for {busy}"
    );
}

#[test]
fn a_span_that_is_not_entered_is_told_and_was_never_busy() {
    let spans = spans_of(|| drop(info_span!("waiting")));
    assert_eq!((spans.len(), spans[0].busy_ns), (1, 0));
}

#[test]
fn explicit_parents_and_roots_count_and_not_what_is_entered() {
    let spans = spans_of(|| {
        let parent = info_span!("parent");
        let entered = info_span!("entered").entered();
        info_span!(parent: &parent, "child").in_scope(|| {
            info_span!("grandchild").in_scope(|| {});
        });
        info_span!(parent: None, "root").in_scope(|| {});
        drop(entered);
    });

    assert_eq!(
        named(&spans, "child").parent,
        Some(named(&spans, "parent").id)
    );
    assert_eq!(
        named(&spans, "grandchild").parent,
        Some(named(&spans, "child").id)
    );
    assert_eq!(named(&spans, "root").parent, None);
}

#[test]
fn follows_from_is_a_link_and_no_parent() {
    let spans = spans_of(|| {
        let cause = info_span!("cause");
        let effect = info_span!("effect");
        effect.follows_from(&cause);
        effect.follows_from(cause.id());
    });

    let (cause, effect) = (named(&spans, "cause"), named(&spans, "effect"));
    assert_eq!(effect.parent, None);
    assert_eq!(effect.links.len(), 2);
    assert_eq!(
        (effect.links[0].trace, effect.links[0].span),
        (cause.trace, cause.id)
    );
}

#[test]
fn fields_recorded_later_are_told_and_the_last_value_counts() {
    let spans = spans_of(|| {
        let span = info_span!("request", status = tracing::field::Empty, tries = 1);
        span.record("status", 200);
        span.record("tries", 2);
        span.record("status", 503);
    });
    let fields: Vec<String> = spans[0]
        .fields
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(fields, ["tries=2", "status=503"]);
}

#[test]
fn fields_that_say_what_a_span_is_are_taken_for_that() {
    let spans = spans_of(|| {
        info_span!(
            "request",
            otel.name = "GET /orders",
            otel.kind = "server",
            otel.status_code = "ERROR",
            route = "/orders",
        );
        info_span!("ok", otel.status_code = "ok");
    });
    let span = named(&spans, "GET /orders");
    assert_eq!(
        (span.kind, span.status),
        (SpanKind::Server, SpanStatus::Error)
    );
    assert_eq!(span.fields, [("route".into(), "/orders".into())]);
    assert_eq!(named(&spans, "ok").status, SpanStatus::Ok);
}

#[test]
fn secrets_are_not_told() {
    let spans = spans_of(|| {
        drop(info_span!(
            "login",
            password = "hunter2",
            user = "a@b.example"
        ))
    });
    let text = format!("{:?}", spans[0].fields);
    assert!(
        !text.contains("hunter2") && !text.contains("a@b.example"),
        "{text}"
    );
}

#[test]
fn an_error_makes_its_span_failed_and_not_its_neighbours() {
    let (spans, events) = recorded(|| {
        info_span!("request").in_scope(|| {
            info_span!("fails").in_scope(|| error!("no price"));
            info_span!("works").in_scope(|| info!("fine"));
        });
    });

    let fails = named(&spans, "fails");
    assert_eq!(fails.status, SpanStatus::Error);
    assert_eq!(named(&spans, "works").status, SpanStatus::Unset);
    let trace = events[0].trace.expect("a span was open");
    assert_eq!(
        (trace.id, trace.span, trace.is_sampled),
        (fails.trace, fails.id, true)
    );
}

#[test]
fn an_error_keeps_its_open_spans_with_fields_and_times() {
    let (spans, events) = recorded(|| {
        info_span!("request", path = "/orders").in_scope(|| {
            std::thread::sleep(Duration::from_millis(5));
            info_span!("price", item = 7).in_scope(|| error!("no price"));
        });
    });

    let open = &events[0].spans;
    let told: Vec<_> = open
        .iter()
        .map(|span| (&*span.name, &span.fields[..]))
        .collect();
    let request = ("path".into(), "/orders".into());
    assert_eq!(told[0], ("request", &[request][..]));
    assert_eq!(told[1], ("price", &[("item".into(), "7".into())][..]));
    let timing = open[0].timing.expect("is known");
    assert_eq!(timing.id, named(&spans, "request").id);
    assert!(timing.open_us >= 5_000, "{timing:?}");
    assert!(
        timing.busy_us.is_some_and(|busy| busy >= 5_000),
        "{timing:?}"
    );
}

#[test]
fn a_panic_makes_its_span_failed_and_closes_all_of_them() {
    let (spans, events) = recorded(|| {
        let caught = std::panic::catch_unwind(|| {
            info_span!("request").in_scope(|| {
                info_span!("price").in_scope(|| panic!("on purpose"));
            });
        });
        assert!(caught.is_err());
    });
    assert_eq!(names(&spans), ["request", "price"]);
    assert_eq!(named(&spans, "price").status, SpanStatus::Error);
    assert_eq!(
        events[0].trace.map(|trace| trace.span),
        Some(named(&spans, "price").id)
    );
}

#[instrument(fields(order = id))]
async fn load(id: u32) -> u32 {
    info!("before");
    Yields(3).await;
    info_span!("decode").in_scope(|| id * 2)
}

#[test]
fn an_instrumented_future_is_one_span_however_often_it_is_polled() {
    let spans = spans_of(|| {
        let request = info_span!("request");
        let doubled = block_on(load(21).instrument(request));
        assert_eq!(doubled, 42);
    });

    assert_eq!(names(&spans), ["request", "load", "decode"]);
    assert_eq!(
        named(&spans, "load").parent,
        Some(named(&spans, "request").id)
    );
    assert_eq!(
        named(&spans, "decode").parent,
        Some(named(&spans, "load").id)
    );
    assert!(
        named(&spans, "load")
            .fields
            .contains(&("order".into(), "21".into()))
    );
}

#[test]
fn futures_on_one_thread_do_not_bleed_into_each_other() {
    let (spans, events) = recorded(|| {
        let tasks: Vec<_> = (0..1_000)
            .map(|task| {
                let work = async move {
                    info!("task {task} begins");
                    Yields(2).await;
                    error!("task {task} failed");
                };
                Box::pin(work.instrument(info_span!(parent: None, "task", task)))
            })
            .collect();
        let mut tasks = tasks;
        for _ in 0..3 {
            for task in &mut tasks {
                // Ready at the last round.
                let _ = poll_once(task.as_mut());
            }
        }
    });

    assert_eq!((spans.len(), events.len()), (1_000, 1_000));
    for event in &events {
        let task = event.message.split(' ').nth(1).expect("is named");
        assert_eq!(event.spans[0].fields[0].1, task.into());
        let crumbs: Vec<_> = event
            .breadcrumbs
            .iter()
            .map(|crumb| &*crumb.message)
            .collect();
        assert_eq!(crumbs, [format!("task {task} begins")]);
        let trace = event.trace.expect("a span was open");
        let span = spans
            .iter()
            .find(|span| span.id == trace.span)
            .expect("was closed");
        assert_eq!(span.fields[0].1, task.into());
    }
}

#[test]
fn a_breadcrumb_from_before_an_await_is_there_after_it() {
    let (_, events) = recorded(|| {
        let work = async {
            info!("before");
            Yields(1).await;
            error!("failed");
        };
        let mut work = pin!(work.instrument(info_span!("request")));
        assert!(poll_once(work.as_mut()).is_pending());
        info_span!("another").in_scope(|| info!("of another"));
        assert!(poll_once(work).is_ready());
    });
    let crumbs: Vec<_> = events[0]
        .breadcrumbs
        .iter()
        .map(|crumb| &*crumb.message)
        .collect();
    assert_eq!(crumbs, ["before"]);
}

#[test]
fn a_future_that_moves_between_threads_is_one_span_of_one_trace() {
    let recorder = Recorder::new();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    let dispatch = tracing::Dispatch::new(subscriber);
    let work = tracing::dispatcher::with_default(&dispatch, || {
        let work = async {
            for step in 0..4 {
                info!("step {step}");
                Yields(1).await;
                info_span!("step", step).in_scope(|| {});
            }
            error!("failed");
        };
        let _attached = recorder.attach();
        Box::pin(work.instrument(info_span!("request")))
    });

    let mut work = work;
    for _ in 0..5 {
        let (dispatch, recorder) = (dispatch.clone(), recorder.clone());
        work = std::thread::spawn(move || {
            let _attached = recorder.attach();
            tracing::dispatcher::with_default(&dispatch, || {
                let _ = poll_once(work.as_mut());
            });
            work
        })
        .join()
        .expect("does not panic");
    }
    {
        let _attached = recorder.attach();
        tracing::dispatcher::with_default(&dispatch, || drop(work));
    }

    let (spans, events) = (recorder.spans(), recorder.events());
    let request = named(&spans, "request");
    assert_eq!(spans.len(), 5);
    assert!(spans.iter().all(|span| span.trace == request.trace));
    assert_eq!(events[0].breadcrumbs.len(), 4);
}

/// A subscriber of another thread, as long as it lives. Alone in the process, a subscriber has `tracing`
/// decide once for all what it does not want.
fn wants_everything() -> tracing::Dispatch {
    tracing::Dispatch::new(tracing_subscriber::registry())
}

#[test]
fn spans_that_are_filtered_out_leave_their_children_to_the_next_around() {
    let _wanted = wants_everything();
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let layer = bugsage_sdk::layer().with_filter(LevelFilter::INFO);
    let others = tracing_subscriber::registry()
        .with(layer)
        .with(bugsage_sdk::layer().with_filter(filter_fn(|_| false)));
    tracing::subscriber::with_default(others, || {
        info_span!("outer").in_scope(|| {
            let hidden = debug_span!("hidden");
            hidden.in_scope(|| info_span!("inner").in_scope(|| {}));
            info_span!(parent: &hidden, "explicit").in_scope(|| {});
            trace_span!("never").in_scope(|| {});
        });
    });

    let spans = recorder.spans();
    let outer = named(&spans, "outer").id;
    assert_eq!(spans.len(), 3);
    assert_eq!(named(&spans, "inner").parent, Some(outer));
    assert_eq!(named(&spans, "explicit").parent, Some(outer));
}

#[test]
fn two_registries_at_once_do_not_mix_their_spans() {
    let spans = {
        let recorder = Recorder::new();
        let _attached = recorder.attach();
        let dispatch =
            || tracing::Dispatch::new(tracing_subscriber::registry().with(bugsage_sdk::layer()));
        let (one, other) = (dispatch(), dispatch());
        let open = |dispatch: &tracing::Dispatch, name: &'static str| {
            tracing::dispatcher::with_default(dispatch, || info_span!("registry", name))
        };
        let first = open(&one, "one");
        let second = open(&other, "other");
        assert_eq!(first.id(), second.id(), "registries count alike");
        drop((first, second));
        recorder.spans()
    };
    let mut told: Vec<_> = spans
        .iter()
        .map(|span| span.fields[0].1.to_string())
        .collect();
    told.sort_unstable();
    assert_eq!(told, ["one", "other"]);
}

#[test]
fn a_trace_of_another_service_goes_on_here_with_its_decision() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    let context =
        |flags: &str| -> Option<TraceContext> { format!("{header}-{flags}").parse().ok() };
    let spans = spans_of(|| {
        let open = || info_span!("request");
        bugsage_sdk::continue_trace(context("01"), open).in_scope(|| {
            info_span!("inner").in_scope(|| {});
            let onward = bugsage_sdk::trace_context().expect("a span is open");
            assert_eq!(onward.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_ne!(onward.span.to_string(), "00f067aa0ba902b7");
        });
        bugsage_sdk::continue_trace(context("00"), || info_span!("unsampled")).in_scope(|| {
            let onward = bugsage_sdk::trace_context().expect("a span is open");
            assert!(!onward.is_sampled);
        });
        bugsage_sdk::continue_trace(None, || info_span!("own")).in_scope(|| {});
        info_span!("later").in_scope(|| {});
    });

    let request = named(&spans, "request");
    assert_eq!(
        request.parent.map(|id| id.to_string()).as_deref(),
        Some("00f067aa0ba902b7")
    );
    assert!(
        request.is_entry,
        "it is where the trace enters this process"
    );
    assert_eq!(names(&spans), ["request", "inner", "own", "later"]);
    assert_ne!(named(&spans, "later").trace, request.trace);
}

#[test]
fn a_deep_nest_and_a_long_span_take_no_more_than_others() {
    let spans = spans_of(|| {
        let long = info_span!("long").entered();
        let mut open = Vec::new();
        for depth in 0..10_000 {
            open.push(info_span!("deep", depth).entered());
        }
        while let Some(span) = open.pop() {
            drop(span);
        }
        drop(long);
    });
    let long = named(&spans, "long");
    assert_eq!(spans.len(), 10_001);
    assert!(spans.iter().all(|span| span.trace == long.trace));
}

#[test]
fn a_field_that_panics_or_never_ends_costs_nothing_but_itself() {
    struct Panics;
    impl std::fmt::Debug for Panics {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("in Debug")
        }
    }
    struct Endless;
    impl std::fmt::Debug for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            loop {
                f.write_str("endless ")?;
            }
        }
    }
    let spans = spans_of(|| drop(info_span!("strange", a = ?Panics, b = ?Endless, c = 3)));
    let fields = &spans[0].fields;
    assert_eq!(&*fields[0].1, "<panicked>");
    assert!(fields[1].1.len() <= 1_024 && fields[1].1.ends_with('…'));
    assert_eq!(&*fields[2].1, "3");
}

#[test]
fn a_field_whose_debug_opens_spans_and_logs_does_not_deadlock() {
    #[derive(Clone, Copy)]
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            info_span!("within", depth = 1).in_scope(|| info!(value = 3, "formatting"));
            f.write_str("chatty")
        }
    }
    let _wanted = wants_everything();
    let (spans, events) = recorded(|| {
        let span = info_span!("outer", value = ?Chatty, later = tracing::field::Empty);
        span.record("later", tracing::field::debug(Chatty));
        span.in_scope(|| error!(value = ?Chatty, "failed"));
    });
    assert_eq!(named(&spans, "outer").fields.len(), 2);
    // `tracing` itself lets nothing through while a span is made; what is recorded later it does.
    assert!(spans.iter().any(|span| &*span.name == "within"));
    assert_eq!(&*events[0].message, "failed value=chatty");
}

#[test]
fn two_layers_in_one_subscriber_tell_everything_once() {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let subscriber = tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .with(bugsage_sdk::layer());
    tracing::subscriber::with_default(subscriber, || {
        info_span!("request").in_scope(|| {
            info!("on its way");
            error!("failed");
        });
    });

    assert_eq!(recorder.spans().len(), 1);
    let events = recorder.events();
    let breadcrumbs: Vec<_> = events
        .iter()
        .map(|it| (it.count, it.breadcrumbs.len()))
        .collect();
    assert_eq!(breadcrumbs, [(1, 1)]);
}
