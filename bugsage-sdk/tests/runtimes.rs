//! Spans in tasks and on threads: what is carried along goes on with its trace, and whatever becomes of a
//! task, its spans are closed.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bugsage_sdk::event::Event;
use bugsage_sdk::span::{Span, SpanStatus};
use bugsage_sdk::test::{Attached, Recorder};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet, yield_now};
use tracing::{Instrument, error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

/// The subscriber of all threads, as apps have it.
fn subscribe() {
    static SUBSCRIBED: OnceLock<()> = OnceLock::new();
    SUBSCRIBED.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
        tracing::subscriber::set_global_default(subscriber).expect("is the only one");
    });
}

/// Records on the calling thread until it ends.
fn attach_for_ever(recorder: &Recorder) {
    thread_local! {
        static HELD: RefCell<Option<Attached>> = const { RefCell::new(None) };
    }
    HELD.set(Some(recorder.attach()));
}

/// Runs something in a runtime and tells what its threads closed and reported.
fn recorded<F: Future>(mut runtime: Builder, work: impl FnOnce() -> F) -> (Vec<Span>, Vec<Event>) {
    subscribe();
    let recorder = Recorder::new();
    let attached = recorder.attach();
    let on_threads = recorder.clone();
    let runtime = runtime
        .enable_time()
        .on_thread_start(move || attach_for_ever(&on_threads))
        .build()
        .expect("starts");
    runtime.block_on(work());
    // Also what its tasks left open.
    drop(runtime);
    drop(attached);
    (recorder.spans(), recorder.events())
}

fn many_threads() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(4);
    builder
}

fn one_thread() -> Builder {
    Builder::new_current_thread()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| &*span.name == name);
    let span = found.next();
    assert!(found.next().is_none(), "one span is named {name}");
    span.unwrap_or_else(|| panic!("no span is named {name}"))
}

/// Checks that a span lies in another one, in its trace.
#[track_caller]
fn is_child(spans: &[Span], child: &str, parent: &str) {
    let (child, parent) = (named(spans, child), named(spans, parent));
    assert_eq!((child.parent, child.trace), (Some(parent.id), parent.trace));
}

/// Checks that a span is the first of a trace of its own.
#[track_caller]
fn is_root(spans: &[Span], name: &str) {
    let root = named(spans, name);
    let others = spans.iter().filter(|span| span.trace == root.trace);
    assert_eq!((root.parent, others.count()), (None, 1));
}

fn messages(event: &Event) -> Vec<&str> {
    let crumbs = event.breadcrumbs.iter();
    crumbs.map(|crumb| &*crumb.message).collect()
}

/// What goes with a task: its number stands in all of it.
fn check_tasks(spans: &[Span], events: &[Event], tasks: usize) {
    assert_eq!((spans.len(), events.len()), (tasks, tasks));
    for event in events {
        let number = event.message.rsplit(' ').next().expect("is last");
        assert_eq!(event.tags, [("task".into(), number.into())]);
        assert_eq!(event.user.as_deref(), Some(number));
        assert_eq!(event.attached, [("of".into(), number.into())]);
        assert_eq!(event.inputs, [("job".into(), number.into())]);
        let expected = [format!("begins {number}"), format!("goes on {number}")];
        assert_eq!(messages(event), expected);
        let trace = event.trace.expect("a span was open");
        let span = spans.iter().find(|span| span.id == trace.span);
        let span = span.expect("was closed");
        assert_eq!(&*span.fields[0].1, number);
        assert_eq!(span.status, SpanStatus::Error);
    }
}

async fn task(number: usize) {
    let text = number.to_string();
    bugsage_sdk::set_tag("task", &text);
    bugsage_sdk::set_user(&text);
    yield_now().await;
    bugsage_sdk::set_context("of", &text);
    bugsage_sdk::set_input("job", number);
    info!("begins {number}");
    yield_now().await;
    info!("goes on {number}");
    yield_now().await;
    error!("failed {number}");
}

#[test]
fn tasks_that_share_threads_share_nothing_else() {
    for runtime in [many_threads(), one_thread()] {
        let (spans, events) = recorded(runtime, || async {
            let mut tasks = JoinSet::new();
            for number in 0..500 {
                tasks.spawn(task(number).instrument(info_span!("task", number)));
            }
            while tasks.join_next().await.is_some() {}
        });
        check_tasks(&spans, &events, 500);
    }
}

#[test]
fn tasks_of_a_local_set_share_nothing_but_their_thread() {
    let (spans, events) = recorded(one_thread(), || async {
        let local = LocalSet::new();
        for number in 0..200 {
            local.spawn_local(task(number).instrument(info_span!("task", number)));
        }
        local.await;
    });
    check_tasks(&spans, &events, 200);
}

#[test]
fn futures_joined_in_one_task_keep_their_parents_and_their_breadcrumbs() {
    let (spans, events) = recorded(many_threads(), || async {
        let work = |name: &'static str| async move {
            info!("{name} begins");
            yield_now().await;
            info_span!("step", name).in_scope(|| {});
            yield_now().await;
            error!("{name} failed");
        };
        let both = async move {
            tokio::join!(
                work("left").instrument(info_span!(parent: None, "left")),
                work("right").instrument(info_span!(parent: None, "right")),
            )
        };
        tokio::spawn(both).await.expect("no panic");
    });
    for event in &events {
        let name = event.message.split(' ').next().expect("is first");
        assert_eq!(messages(event), [format!("{name} begins")]);
        assert_eq!(&*event.spans[0].name, name);
    }
    for step in spans.iter().filter(|span| &*span.name == "step") {
        let around = named(&spans, &step.fields[0].1);
        assert_eq!((step.parent, step.trace), (Some(around.id), around.trace));
    }
    assert_eq!((spans.len(), events.len()), (4, 2));
}

#[test]
fn a_spawned_task_is_of_the_trace_whose_span_it_takes_along_and_else_of_its_own() {
    for runtime in [many_threads(), one_thread()] {
        let (spans, _) = recorded(runtime, || {
            let request = async {
                let alone = tokio::spawn(async { drop(info_span!("alone")) });
                let carried = async { drop(info_span!("carried")) };
                let carried = tokio::spawn(carried.in_current_span());
                let own = async { drop(info_span!("below")) };
                let own = tokio::spawn(own.instrument(info_span!("own")));
                for task in [alone, carried, own] {
                    task.await.expect("no panic");
                }
            };
            request.instrument(info_span!("request"))
        });
        is_root(&spans, "alone");
        is_child(&spans, "carried", "request");
        is_child(&spans, "own", "request");
        is_child(&spans, "below", "own");
    }
}

#[test]
fn blocking_work_begins_a_trace_unless_the_span_is_carried() {
    let (spans, events) = recorded(many_threads(), || {
        let request = async {
            let blocking = tokio::task::spawn_blocking(|| drop(info_span!("alone")));
            blocking.await.expect("no panic");
            info!("before");
            let span = tracing::Span::current();
            let blocking = tokio::task::spawn_blocking(move || {
                span.in_scope(|| {
                    drop(info_span!("carried"));
                    error!("on another thread");
                });
            });
            blocking.await.expect("no panic");
        };
        request.instrument(info_span!("request"))
    });
    is_root(&spans, "alone");
    is_child(&spans, "carried", "request");
    assert_eq!(messages(&events[0]), ["before"]);
    assert_ne!(
        named(&spans, "carried").thread.id,
        named(&spans, "request").thread.id
    );
}

#[test]
fn work_that_blocks_in_place_stays_in_its_span() {
    let (spans, _) = recorded(many_threads(), || async {
        let work = async {
            tokio::task::block_in_place(|| drop(info_span!("in place")));
            yield_now().await;
            drop(info_span!("after"));
        };
        let task = tokio::spawn(work.instrument(info_span!("task")));
        task.await.expect("no panic");
    });
    is_child(&spans, "in place", "task");
    is_child(&spans, "after", "task");
}

#[test]
fn a_runtime_within_another_goes_on_with_the_span_that_it_is_given() {
    let (spans, _) = recorded(many_threads(), || {
        let request = async {
            let span = tracing::Span::current();
            let blocking = tokio::task::spawn_blocking(move || {
                let inner = one_thread().build().expect("starts");
                let work = async {
                    yield_now().await;
                    drop(info_span!("inner"));
                };
                inner.block_on(work.instrument(span));
            });
            blocking.await.expect("no panic");
        };
        request.instrument(info_span!("request"))
    });
    is_child(&spans, "inner", "request");
}

#[test]
fn tasks_of_a_set_are_children_of_the_request_that_waits_for_them() {
    let (spans, _) = recorded(many_threads(), || {
        let request = async {
            let mut tasks = JoinSet::new();
            for number in 0..50 {
                let work = async {
                    yield_now().await;
                    drop(info_span!("leaf"));
                };
                tasks.spawn(work.instrument(info_span!("task", number)));
            }
            while tasks.join_next().await.is_some() {}
        };
        request.instrument(info_span!("request"))
    });
    let request = named(&spans, "request");
    assert_eq!(spans.len(), 101);
    assert!(spans.iter().all(|span| span.trace == request.trace));
    let parents = |name| {
        let some = spans.iter().filter(move |span| &*span.name == name);
        some.map(|span| span.parent.expect("has one"))
    };
    assert!(parents("task").all(|parent| parent == request.id));
    assert!(parents("leaf").all(|parent| parent != request.id));
}

#[test]
fn the_future_that_loses_a_select_leaves_a_closed_span_and_no_current_one() {
    let (spans, _) = recorded(one_thread(), || {
        let request = async {
            let loser = async {
                let _inner = info_span!("inner");
                pending::<()>().await;
            };
            tokio::select! {
                biased;
                () = loser.instrument(info_span!("loser")) => unreachable!("it never ends"),
                () = yield_now() => {}
            }
            drop(info_span!("after"));
        };
        request.instrument(info_span!("request"))
    });
    assert_eq!(spans.len(), 4);
    is_child(&spans, "loser", "request");
    is_child(&spans, "inner", "loser");
    is_child(&spans, "after", "request");
    assert_eq!(named(&spans, "loser").status, SpanStatus::Unset);
}

#[test]
fn a_future_whose_time_is_up_closes_its_span() {
    let (spans, _) = recorded(one_thread(), || {
        let request = async {
            let slow = pending::<()>().instrument(info_span!("slow"));
            let outcome = tokio::time::timeout(Duration::from_millis(1), slow).await;
            assert!(outcome.is_err());
            drop(info_span!("after"));
        };
        request.instrument(info_span!("request"))
    });
    is_child(&spans, "slow", "request");
    is_child(&spans, "after", "request");
}

#[test]
fn a_task_that_is_aborted_closes_its_spans() {
    for runtime in [many_threads(), one_thread()] {
        let (spans, events) = recorded(runtime, || async {
            let (begun, is_begun) = tokio::sync::oneshot::channel();
            let work = async {
                let inner = async {
                    let _ = begun.send(());
                    pending::<()>().await;
                };
                inner.instrument(info_span!("inner")).await;
            };
            let task = tokio::spawn(work.instrument(info_span!("task")));
            is_begun.await.expect("begins");
            task.abort();
            assert!(task.await.is_err_and(|error| error.is_cancelled()));
            error!("after it");
        });
        is_child(&spans, "inner", "task");
        // Nobody's span is left entered.
        assert_eq!((events[0].spans.len(), events[0].trace), (0, None));
    }
}

#[test]
fn a_runtime_that_is_dropped_closes_the_spans_of_its_tasks() {
    for runtime in [many_threads(), one_thread()] {
        let (spans, _) = recorded(runtime, || async {
            let (begun, is_begun) = tokio::sync::oneshot::channel();
            let work = async {
                let _ = begun.send(());
                pending::<()>().await;
            };
            tokio::spawn(work.instrument(info_span!("for ever")));
            is_begun.await.expect("begins");
        });
        is_root(&spans, "for ever");
    }
}

#[test]
fn a_task_that_panics_fails_its_span_and_leaves_nothing_to_the_next_on_its_thread() {
    let (spans, events) = recorded(one_thread(), || async {
        let work = async {
            info!("before");
            let _inner = info_span!("inner").entered();
            panic!("on purpose");
        };
        let task = tokio::spawn(work.instrument(info_span!("task")));
        assert!(task.await.is_err_and(|error| error.is_panic()));
        let next = tokio::spawn(async { drop(info_span!("next")) });
        next.await.expect("no panic");
    });
    is_child(&spans, "inner", "task");
    is_root(&spans, "next");
    assert_eq!(named(&spans, "inner").status, SpanStatus::Error);
    assert_eq!(
        (&*events[0].message, messages(&events[0])),
        ("on purpose", vec!["before"])
    );
}

#[test]
fn a_guard_held_over_an_await_misleads_others_only_until_it_is_dropped() {
    let (spans, events) = recorded(one_thread(), || async {
        let local = LocalSet::new();
        local.spawn_local(async {
            // What the documentation of `tracing` tells not to do.
            let _entered = info_span!("careless").entered();
            yield_now().await;
            yield_now().await;
        });
        local.spawn_local(async { drop(info_span!("misled")) });
        local.await;
        drop(info_span!("after"));
        error!("failed");
    });
    is_child(&spans, "misled", "careless");
    is_root(&spans, "after");
    assert_eq!(events[0].spans.len(), 0);
}

#[test]
fn a_pool_of_threads_works_in_the_span_that_comes_with_the_job() {
    subscribe();
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    type Job = Box<dyn FnOnce() + Send>;
    let (jobs, queue) = mpsc::channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (queue, recorder) = (queue.clone(), recorder.clone());
            scope.spawn(move || {
                attach_for_ever(&recorder);
                loop {
                    let job = queue.lock().expect("no panic").recv();
                    let Ok(job) = job else { break };
                    job();
                }
            });
        }
        for number in 0..100_u64 {
            let request = info_span!("request", number);
            // The last handle goes with the job: the span is closed on the thread that does it.
            let job = move || request.in_scope(|| info_span!("part", number).in_scope(|| {}));
            jobs.send(Box::new(job)).expect("is received");
        }
        drop(jobs);
    });

    let spans = recorder.spans();
    assert_eq!(spans.len(), 200);
    let ours = std::thread::current();
    for part in spans.iter().filter(|span| &*span.name == "part") {
        let request = spans.iter().find(|span| Some(span.id) == part.parent);
        let request = request.expect("was closed");
        assert_eq!((request.trace, &request.fields), (part.trace, &part.fields));
        assert_eq!(request.thread.id, part.thread.id);
        assert_ne!(
            format!("{:?}", ours.id()),
            format!("ThreadId({})", part.thread.id)
        );
    }
}

#[test]
fn a_span_entered_on_many_threads_at_once_is_one_span() {
    subscribe();
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let span = info_span!("shared", last = tracing::field::Empty);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (span, recorder) = (span.clone(), recorder.clone());
            scope.spawn(move || {
                let _attached = recorder.attach();
                for _ in 0..100 {
                    span.in_scope(|| info_span!("within", thread).in_scope(|| {}));
                    span.record("last", thread);
                }
            });
        }
    });
    drop(span);

    let spans = recorder.spans();
    let shared = named(&spans, "shared");
    assert_eq!((spans.len(), shared.fields.len()), (801, 1));
    let within = spans.iter().filter(|span| &*span.name == "within");
    assert!(
        within.clone().count() == 800 && within.clone().all(|span| span.parent == Some(shared.id))
    );
}
