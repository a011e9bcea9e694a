//! Guards in runtimes and on threads: where one begins and ends, all that was captured between is accounted
//! for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bugsage_sdk::event::Event;
use bugsage_sdk::span::Span;
use bugsage_sdk::transport::{Answer, Batch, Sending, Transport};
use bugsage_sdk::{Builder, Guard, InitError};
use tokio::runtime;
use tracing::{Level, error, info_span};
use tracing_subscriber::layer::SubscriberExt;

/// Long enough for whatever a test waits for.
const LONG: Duration = Duration::from_secs(600);

/// A process has one guard at a time, and these tests share theirs.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static SUBSCRIBED: OnceLock<()> = OnceLock::new();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    SUBSCRIBED.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
        tracing::subscriber::set_global_default(subscriber).expect("is the only one");
    });
    alone
}

/// Takes every batch while it is open.
#[derive(Clone)]
struct Shelf {
    is_open: Arc<AtomicBool>,
    /// How long it takes to answer.
    answers_after: Duration,
    batches: Arc<Mutex<Vec<Batch>>>,
}

impl Shelf {
    fn new() -> Self {
        Self {
            is_open: Arc::new(AtomicBool::new(true)),
            answers_after: Duration::ZERO,
            batches: Arc::default(),
        }
    }

    fn closed() -> Self {
        let shelf = Self::new();
        shelf.is_open.store(false, Ordering::Relaxed);
        shelf
    }

    fn builder(&self) -> Builder {
        let builder = bugsage_sdk::builder().transport(self.clone());
        builder
            .without_spool()
            .symbols_bytes_max(0)
            .traces_sample_rate(1.0)
            .shutdown_timeout(LONG)
    }

    fn start(&self) -> Guard {
        let guard = self.builder().try_init().expect("starts");
        assert!(guard.is_active());
        guard
    }

    fn events(&self) -> Vec<Event> {
        let batches = self.batches.lock().expect("no panic");
        batches.iter().flat_map(Batch::events).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let batches = self.batches.lock().expect("no panic");
        batches.iter().flat_map(Batch::spans).collect()
    }

    fn messages(&self) -> Vec<String> {
        let events = self.events();
        events
            .iter()
            .map(|event| event.message.to_string())
            .collect()
    }
}

impl Transport for Shelf {
    fn send(&mut self, batch: Batch) -> Sending {
        let answer = if self.is_open.load(Ordering::Relaxed) {
            self.batches.lock().expect("no panic").push(batch);
            Answer::Taken
        } else {
            Answer::Later { after: None }
        };
        let after = self.answers_after;
        Box::pin(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            answer
        })
    }
}

fn say(message: &str) {
    bugsage_sdk::capture_message(Level::ERROR, message);
}

fn runtimes() -> [runtime::Runtime; 2] {
    [
        runtime::Builder::new_multi_thread(),
        runtime::Builder::new_current_thread(),
    ]
    .map(|mut builder| builder.build().expect("starts"))
}

async fn request() {
    let work = async {
        tokio::task::yield_now().await;
        error!("failed");
    };
    tracing::Instrument::instrument(work, info_span!("request")).await;
}

#[test]
fn a_guard_from_before_a_runtime_ends_after_it() {
    let _alone = alone();
    for runtime in runtimes() {
        let shelf = Shelf::new();
        let guard = shelf.start();
        runtime.block_on(async { tokio::spawn(request()).await.expect("no panic") });
        drop(runtime);
        drop(guard);
        assert_eq!(
            (shelf.messages(), shelf.spans().len()),
            (vec!["failed".to_owned()], 1)
        );
    }
}

#[test]
fn a_guard_may_begin_flush_and_end_within_a_runtime() {
    let _alone = alone();
    for runtime in runtimes() {
        let shelf = Shelf::new();
        let inner = shelf.clone();
        runtime.block_on(async move {
            let guard = inner.start();
            tokio::spawn(request()).await.expect("no panic");
            assert_eq!(guard.flush(LONG).delivered, 1);
            // On a thread of the runtime itself.
            let ended = tokio::spawn(async move {
                request().await;
                guard.shutdown(LONG)
            });
            let report = ended.await.expect("no panic");
            assert_eq!((report.delivered, report.spans.delivered), (2, 2));
        });
        assert_eq!(shelf.messages(), ["failed", "failed"]);
    }
}

#[test]
fn a_guard_may_be_handed_to_another_thread_and_ends_there() {
    let _alone = alone();
    let shelf = Shelf::new();
    let guard = shelf.start();
    say("here");
    let ended = std::thread::spawn(move || {
        say("there");
        drop(guard);
    });
    ended.join().expect("no panic");
    say("after it");
    assert_eq!(shelf.messages(), ["here", "there"]);
}

#[test]
fn a_guard_that_goes_while_its_thread_unwinds_delivers_the_panic() {
    let _alone = alone();
    let shelf = Shelf::new();
    let guard = shelf.start();
    let main = std::thread::spawn(move || {
        let _guard = guard;
        let _span = info_span!("main").entered();
        panic!("on purpose");
    });
    assert!(main.join().is_err());
    assert_eq!(
        (shelf.messages(), shelf.spans().len()),
        (vec!["on purpose".to_owned()], 1)
    );
}

#[test]
fn one_of_many_threads_that_start_at_once_has_the_guard() {
    let _alone = alone();
    let shelf = Shelf::new();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let start = || shelf.builder().try_init();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let (guards, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((guards.len(), refused.len()), (1, 15));
    assert!(
        refused
            .iter()
            .all(|it| matches!(it, Err(InitError::AlreadyActive)))
    );
    // Those that were refused end nothing.
    drop(refused);
    say("told");
    drop(guards);
    assert_eq!(shelf.messages(), ["told"]);
}

#[test]
fn a_second_guard_does_nothing_and_ends_nothing() {
    let _alone = alone();
    let (first, second) = (Shelf::new(), Shelf::new());
    let guard = first.start();
    let other = second.builder().init();
    assert!(!other.is_active());
    say("once");
    assert_eq!(other.flush(LONG), bugsage_sdk::Report::default());
    drop(other);
    say("twice");
    drop(guard);
    assert_eq!((first.messages().len(), second.messages().len()), (2, 0));
}

#[test]
fn guards_that_follow_each_other_are_runs_of_their_own() {
    let _alone = alone();
    let mut runs = Vec::new();
    for round in 0..3 {
        let shelf = Shelf::new();
        let guard = shelf.start();
        let message = format!("round {round}");
        info_span!("request").in_scope(|| say(&message));
        let report = guard.shutdown(LONG);
        assert_eq!((report.produced, report.spans.produced), (1, 1));
        say("between two guards");
        drop(info_span!("between two guards"));
        let event = shelf.events().remove(0);
        assert_eq!((&*event.message, shelf.spans().len()), (&*message, 1));
        runs.push(event.run.id);
    }
    runs.dedup();
    assert_eq!(runs.len(), 3);
}

#[test]
fn a_start_that_fails_is_no_obstacle_to_the_next() {
    let _alone = alone();
    let wrong = bugsage_sdk::builder()
        .dsn("ftp://nobody")
        .without_spool()
        .try_init();
    assert!(matches!(wrong, Err(InitError::InvalidDsn(_))));
    let off = bugsage_sdk::builder()
        .dsn("ftp://nobody")
        .without_spool()
        .init();
    assert!(!off.is_active());
    info_span!("request").in_scope(|| say("nobody is told"));

    let shelf = Shelf::new();
    let guard = shelf.start();
    drop(off);
    info_span!("request").in_scope(|| say("told"));
    drop(guard);
    assert_eq!(
        (shelf.messages(), shelf.spans().len()),
        (vec!["told".to_owned()], 1)
    );
}

#[test]
fn a_flush_with_nothing_to_do_returns_and_one_after_another_adds_nothing() {
    let _alone = alone();
    let shelf = Shelf::new();
    let guard = shelf.start();
    assert_eq!(guard.flush(Duration::ZERO).produced, 0);
    assert_eq!(guard.flush(LONG).produced, 0);
    say("told");
    let first = guard.flush(Duration::MAX);
    let second = guard.flush(LONG);
    assert_eq!((first.delivered, &first), (1, &second));
    let report = guard.shutdown(LONG);
    assert_eq!((report.delivered, report.dropped_total()), (1, 0));
    assert_eq!(shelf.messages(), ["told"]);
}

#[test]
fn threads_that_flush_at_once_all_return_with_their_reports_delivered() {
    let _alone = alone();
    let shelf = Shelf::new();
    let guard = shelf.start();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let guard = &guard;
            scope.spawn(move || {
                for round in 0..5 {
                    say(&format!("thread {thread} round {round}"));
                    assert!(guard.flush(LONG).delivered > round);
                }
            });
        }
    });
    let report = guard.shutdown(LONG);
    assert_eq!((report.produced, report.delivered), (40, 40));
}

#[test]
fn a_flush_waits_for_what_came_before_it_and_not_for_what_comes_meanwhile() {
    let _alone = alone();
    let timeout = Duration::from_secs(20);
    let shelf = Shelf {
        answers_after: Duration::from_millis(20),
        ..Shelf::new()
    };
    let guard = shelf.start();
    let is_over = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        for thread in 0..2 {
            let is_over = &is_over;
            scope.spawn(move || {
                for number in (0_u64..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    info_span!("request", number).in_scope(|| say(&format!("{thread} {number}")));
                    std::thread::sleep(Duration::from_micros(500));
                }
            });
        }
        let mut rounds = Vec::new();
        for round in 0..3 {
            while shelf.messages().len() < 10 * (round + 1) {
                std::thread::yield_now();
            }
            info_span!("ours", round).in_scope(|| say("before"));
            let asked_at = Instant::now();
            guard.flush(timeout);
            rounds.push((asked_at.elapsed(), shelf.messages(), shelf.spans()));
        }
        is_over.store(true, Ordering::Relaxed);
        rounds
    });
    for (round, (took, messages, spans)) in rounds.into_iter().enumerate() {
        assert!(
            took < timeout,
            "round {round} waited for what came meanwhile"
        );
        assert!(messages.contains(&"before".to_owned()));
        let ours = spans.iter().filter(|span| &*span.name == "ours");
        assert_eq!(ours.count(), round + 1);
    }
    let report = guard.shutdown(LONG);
    assert_eq!(report.produced, report.delivered, "{report:?}");
}

#[test]
fn reports_arrive_in_the_order_in_which_a_thread_made_them() {
    let _alone = alone();
    let shelf = Shelf::new();
    let guard = shelf.start();
    let expected: Vec<_> = (0..500).map(|number| format!("message {number}")).collect();
    expected.iter().for_each(|message| say(message));
    drop(guard);
    assert_eq!(shelf.messages(), expected);
}

#[test]
fn what_is_captured_while_the_guard_ends_is_delivered_or_counted_or_nobodys() {
    let _alone = alone();
    let shelf = Shelf::new();
    let guard = shelf.start();
    let is_over = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        for thread in 0..2 {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut number = 0_u64;
                while !is_over.load(Ordering::Relaxed) {
                    info_span!("request", number).in_scope(|| {
                        say(&format!("thread {thread} number {}", number % 50));
                    });
                    number += 1;
                }
            });
        }
        while guard.flush(Duration::ZERO).spans.delivered < 100 {
            std::thread::yield_now();
        }
        let report = guard.shutdown(LONG);
        is_over.store(true, Ordering::Relaxed);
        report
    });
    let spans = &report.spans;
    assert_eq!(
        (report.pending, report.spooled, spans.pending, spans.spooled),
        (0, 0, 0, 0)
    );
    assert_eq!(
        report.produced,
        report.delivered + report.dropped_total(),
        "{report:?}"
    );
    assert_eq!(
        spans.produced,
        spans.delivered + spans.dropped_total(),
        "{report:?}"
    );
    assert_eq!(spans.delivered, shelf.spans().len() as u64);
    let counted: u64 = shelf.events().iter().map(|event| event.count).sum();
    let later: u64 = shelf
        .batches
        .lock()
        .expect("no panic")
        .iter()
        .map(Batch::reports)
        .sum();
    assert!(
        counted <= report.delivered && later == report.delivered,
        "{report:?}"
    );
}

#[test]
fn spans_that_nobody_takes_are_pending_or_counted_to_the_last_one() {
    let _alone = alone();
    let shelf = Shelf::closed();
    let guard = shelf.start();
    const SPANS: u64 = 200_000;
    let report = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..SPANS / 4).for_each(|number| drop(info_span!("load", number))));
        }
        // While they are being made.
        let meanwhile = guard.flush(Duration::ZERO).spans;
        let known = meanwhile.delivered + meanwhile.spooled + meanwhile.pending;
        assert_eq!(
            meanwhile.produced,
            known + meanwhile.dropped_total(),
            "{meanwhile:?}"
        );
        guard
    });
    let spans = report.flush(Duration::ZERO).spans;
    assert_eq!(
        (spans.produced, spans.delivered, spans.spooled),
        (SPANS, 0, 0)
    );
    assert_eq!(
        spans.produced,
        spans.pending + spans.dropped_total(),
        "{spans:?}"
    );
    assert!(
        spans.dropped.keys().all(|reason| reason == "queue_full"),
        "{spans:?}"
    );

    // What waited is delivered once somebody takes it, and nothing is lost any more.
    shelf.is_open.store(true, Ordering::Relaxed);
    let ended = report.shutdown(LONG).spans;
    assert_eq!((ended.produced, ended.pending), (SPANS, 0));
    assert_eq!(ended.delivered, shelf.spans().len() as u64);
    assert_eq!(ended.delivered + ended.dropped_total(), SPANS);
}

#[test]
fn spans_that_are_open_when_the_guard_ends_are_nobodys_and_harm_no_later_guard() {
    let _alone = alone();
    let (first, second) = (Shelf::new(), Shelf::new());
    let before = info_span!("from before any guard");
    let guard = first.start();
    let across = info_span!("from the first guard").entered();
    drop(before);
    let report = guard.shutdown(LONG);
    assert_eq!((report.spans.produced, first.spans().len()), (0, 0));
    drop(across);

    let guard = second.start();
    let again = info_span!("closed under the second guard");
    let report = {
        drop(again);
        guard.shutdown(LONG)
    };
    assert_eq!((report.spans.produced, report.spans.delivered), (1, 1));
    assert_eq!(second.spans()[0].parent, None);
}

#[test]
fn a_rate_that_is_no_number_samples_nothing_and_one_beyond_its_ends_is_at_them() {
    let _alone = alone();
    for (rate, told) in [
        (f64::NAN, 0),
        (-1.0, 0),
        (-0.0, 0),
        (2.0, 1),
        (f64::INFINITY, 1),
    ] {
        let shelf = Shelf::new();
        let guard = shelf.builder().traces_sample_rate(rate).init();
        drop(info_span!("request"));
        assert_eq!(guard.shutdown(LONG).spans.delivered, told, "at {rate}");
    }
}

#[test]
fn a_sampler_that_panics_leaves_the_decision_to_the_rate() {
    let _alone = alone();
    let shelf = Shelf::new();
    let guard = shelf.builder().traces_sampler(|root| {
        drop(info_span!("within the sampler"));
        assert_ne!(root.name, "panics", "in the sampler");
        (root.name == "unwanted").then_some(0.0)
    });
    let guard = guard.init();
    for name in ["panics", "unwanted", "other"] {
        drop(info_span!("request", otel.name = name));
    }
    drop(guard);
    let spans = shelf.spans();
    let names: Vec<_> = spans
        .iter()
        .map(|span| &*span.name)
        .filter(|it| !it.contains(' '))
        .collect();
    assert_eq!(names, ["panics", "other"]);
}

#[test]
fn nothing_of_what_is_made_while_the_app_has_paused_is_told() {
    let _alone = alone();
    let shelf = Shelf::new();
    let guard = shelf.start();
    bugsage_sdk::pause();
    bugsage_sdk::pause();
    info_span!("request", user = "ann").in_scope(|| say("nobody is told"));
    drop(bugsage_sdk::span!("another", user = "ann"));
    bugsage_sdk::resume();
    info_span!("later").in_scope(|| say("told"));
    let report = guard.shutdown(LONG);
    assert_eq!(
        (report.produced, report.delivered, report.dropped["paused"]),
        (2, 1, 1)
    );
    assert_eq!(
        (shelf.messages(), report.spans.delivered),
        (vec!["told".to_owned()], 1)
    );
}
