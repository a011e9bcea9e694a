//! Traces come in pieces, are put together when they are read, and go by a budget of their own.

use bugsage_core::event::{Event, EventTrace, Losses, Thread};
use bugsage_core::id::{BatchId, RunId};
use bugsage_core::span::{Span, SpanKind, SpanStatus};
use bugsage_core::trace_context::{SpanId, TraceId};

use crate::account::{AccountView, By};
use crate::group;
use crate::store::model::{GroupedBatch, LedgerFilter, Retention};
use crate::store::scope::Scope;
use crate::store::trace::{StoredTrace, TRACE_ENTRIES_MAX, TRACE_SPANS_MAX, Trace, TraceFilter};
use crate::store::{Store, StoreError};

use super::retention::{DAY_HOURS, KEEP_ALL, RECEIVED_HOURS, sweep};
use super::{NOW, Sender, Timestamp, at, decoded, grouped, later, operator, panic, run};

fn trace_id(number: u8) -> TraceId {
    TraceId::from_bytes([number; 16]).expect("is not zero")
}

fn span_id(number: u64) -> SpanId {
    SpanId::from_bytes(number.to_be_bytes()).expect("is not zero")
}

/// A span of a trace, under another one; span 1 is the root.
fn span(trace: u8, number: u64, parent: u64) -> Span {
    Span {
        run: run("shop@1.0.0"),
        trace: trace_id(trace),
        id: span_id(number),
        parent: SpanId::from_bytes(parent.to_be_bytes()),
        is_entry: parent == 0,
        links: Vec::new(),
        name: format!("span{number}").into(),
        target: "shop".into(),
        location: None,
        kind: SpanKind::Internal,
        status: SpanStatus::Unset,
        started_at: Timestamp(NOW.0 + number * 1_000),
        duration_ns: 1_000_000,
        busy_ns: 500_000,
        thread: Thread::default(),
        fields: vec![("order".into(), "7".into())],
    }
}

fn batch_id() -> BatchId {
    BatchId::from_bytes(*uuid::Uuid::new_v4().as_bytes())
}

fn spans(spans: impl IntoIterator<Item = Span>) -> GroupedBatch {
    grouped(decoded(batch_id(), [], spans), later(RECEIVED_HOURS))
}

fn spans_at(hours: u64, spans: impl IntoIterator<Item = Span>) -> GroupedBatch {
    grouped(decoded(batch_id(), [], spans), later(hours))
}

async fn trace(store: &dyn Store, number: u8) -> StoredTrace {
    let trace = store.trace(&operator(), trace_id(number)).await;
    trace.expect("is there")
}

async fn listed(store: &dyn Store, project: Option<&str>) -> Vec<Trace> {
    let filter = TraceFilter {
        project: project.map(str::to_owned),
        limit: 100,
    };
    store.traces(&operator(), filter).await.expect("is read")
}

async fn account(store: &dyn Store) -> AccountView {
    let filter = LedgerFilter {
        project: Some("shop".to_owned()),
        since: Timestamp(0),
    };
    let mut accounts = store.ledger(&operator(), filter).await.expect("is read");
    AccountView::new(accounts.remove(0), By::Reason)
}

/// Outcomes of spans with their reasons.
fn told(account: &AccountView) -> Vec<(&str, &str, u64)> {
    let outcomes = account.spans.outcomes.iter();
    let outcomes = outcomes.map(|line| {
        let reason = line.reason.as_deref().unwrap_or("");
        (&*line.outcome, reason, line.sum.spans)
    });
    outcomes.collect()
}

fn is_missing<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::NotFound { .. }))
}

pub(super) async fn a_trace_is_put_together_from_pieces_in_any_order(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let all = [span(1, 1, 0), span(1, 2, 1), span(1, 3, 2), span(1, 4, 2)];

    // Children first, as spans close.
    for piece in [&all[2..], &all[1..2], &all[..1]] {
        let receipt = shop.send(store, spans(piece.to_vec())).await;
        assert_eq!(receipt.spans, piece.len() as u64);
    }

    let mut stored = trace(store, 1).await;
    stored.spans.sort_by_key(|span| span.id);
    assert_eq!(stored.spans, all);
    let [part] = &stored.parts[..] else {
        panic!("one project has it: {stored:?}");
    };
    assert_eq!((part.spans, part.failed, part.left_out), (4, 0, 0));
    assert_eq!((&*part.root.name, part.root.rank), ("span1", 2));
    assert_eq!(part.first_at, all[0].started_at);
    assert_eq!(part.last_at, Timestamp(all[3].started_at.0 + 1_000));
}

pub(super) async fn a_span_that_comes_twice_is_shown_once(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let twice = [span(1, 2, 1), span(1, 2, 1)];

    shop.send(store, spans([span(1, 1, 0)])).await;
    shop.send(store, spans(twice)).await;
    shop.send(store, spans([span(1, 2, 1)])).await;

    assert_eq!(trace(store, 1).await.spans.len(), 2);
    let account = account(store).await;
    assert!(account.is_balanced());
    assert_eq!(
        told(&account),
        [("duplicate", "span", 1), ("stored", "", 3)]
    );
}

pub(super) async fn a_batch_of_spans_that_comes_again_is_a_duplicate(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let id = batch_id();
    let make = || grouped(decoded(id, [], [span(1, 1, 0), span(2, 2, 1)]), later(0));

    let first = shop.send(store, make()).await;
    let again = shop.send(store, make()).await;

    assert_eq!((first.spans, first.duplicate_spans), (2, 0));
    assert_eq!((again.spans, again.duplicate_spans), (0, 2));
    assert_eq!((first.accepted, again.duplicate), (0, 0));
    assert_eq!(trace(store, 1).await.spans.len(), 1);
    let account = account(store).await;
    assert!(account.is_balanced());
    assert_eq!(
        told(&account),
        [("duplicate", "batch", 2), ("stored", "", 2)]
    );
}

pub(super) async fn a_trace_goes_through_the_services_of_several_projects(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let bank = Sender::new(store, "bank").await;
    let called = Span {
        is_entry: true,
        run: run("bank@2.0.0"),
        status: SpanStatus::Error,
        ..span(1, 9, 1)
    };

    bank.send(store, spans([called.clone()])).await;
    shop.send(store, spans([span(1, 1, 0)])).await;

    let stored = trace(store, 1).await;
    assert_eq!((stored.parts.len(), stored.spans.len()), (2, 2));
    assert!(stored.spans.contains(&called));
    let of_bank = listed(store, Some("bank")).await;
    assert_eq!((of_bank.len(), of_bank[0].failed), (1, 1));
    assert_eq!(of_bank[0].root.release.as_deref(), Some("bank@2.0.0"));
    assert_eq!(listed(store, None).await.len(), 2);
}

pub(super) async fn no_other_scope_sees_a_trace(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let bank = Sender::new(store, "bank").await;
    shop.send(store, spans([span(1, 1, 0)])).await;

    // A key writes, and reads nothing: not even of its own project.
    for scope in [&shop.scope, &bank.scope] {
        let one = store.trace(scope, trace_id(1)).await;
        assert!(is_missing(&one), "{one:?}");
        let filter = TraceFilter {
            limit: 9,
            ..TraceFilter::default()
        };
        let all = store.traces(scope, filter).await.expect("is read");
        assert!(all.is_empty(), "{all:?}");
    }
    assert!(listed(store, Some("bank")).await.is_empty());
    let unknown = store.trace(&operator(), trace_id(2)).await;
    assert!(is_missing(&unknown), "{unknown:?}");
}

pub(super) async fn traces_are_listed_by_when_they_came_and_stand_for_their_root(
    store: &dyn Store,
) {
    let shop = Sender::new(store, "shop").await;
    let entry = Span {
        is_entry: true,
        ..span(2, 5, 4)
    };

    shop.send(store, spans_at(10, [span(1, 2, 1)])).await;
    shop.send(store, spans_at(11, [span(2, 3, 5), entry])).await;
    shop.send(store, spans_at(12, [span(1, 1, 0)])).await;

    let traces = listed(store, None).await;
    let traces: Vec<_> = traces.iter().map(|it| (it.id, &*it.root.name)).collect();
    assert_eq!(traces, [(trace_id(2), "span5"), (trace_id(1), "span1")]);
    let filter = TraceFilter {
        limit: 1,
        ..TraceFilter::default()
    };
    let first = store.traces(&operator(), filter).await.expect("is read");
    assert_eq!(first.len(), 1);
}

pub(super) async fn all_spans_are_accounted_for_by_what_became_of_them(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let mut bad = decoded(batch_id(), [], [span(1, 1, 0)]);
    bad.rejected = vec![bugsage_core::batch::Rejected {
        index: 7,
        is_span: true,
        reason: bugsage_core::batch::ItemError::Malformed { kind: 8 },
    }];
    let too_many = decoded(batch_id(), [], [span(1, 2, 1), span(1, 3, 1)]);

    shop.send(store, grouped(bad, later(1))).await;
    let limited = group::only_count(too_many, "monthly_quota", later(1));
    let receipt = shop.send(store, limited).await;

    assert_eq!(receipt.spans, 0);
    let account = account(store).await;
    assert!(account.is_balanced());
    assert_eq!((account.received.events, account.spans.received), (0, 4));
    let outcomes = [
        ("invalid", "malformed", 1),
        ("limited", "monthly_quota", 2),
        ("stored", "", 1),
    ];
    assert_eq!(told(&account), outcomes);
}

pub(super) async fn a_trace_beyond_its_bound_is_cut_and_keeps_its_entries(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let mut sent = 0;
    for _ in 0..6 {
        let piece: Vec<Span> = (0..3_000).map(|n| span(1, sent + n + 2, 1)).collect();
        shop.send(store, spans(piece)).await;
        sent += 3_000;
    }

    shop.send(store, spans([span(1, 1, 0)])).await;

    let stored = trace(store, 1).await;
    let part = &stored.parts[0];
    assert!(part.spans <= TRACE_SPANS_MAX + TRACE_ENTRIES_MAX);
    assert!(part.spans > 3_000, "{} spans", part.spans);
    assert_eq!(part.spans + part.left_out, sent + 1);
    assert_eq!(stored.spans.len() as u64, part.spans);
    assert!(stored.spans.iter().any(|span| span.id == span_id(1)));
    assert_eq!(&*part.root.name, "span1");
    let account = account(store).await;
    assert!(account.is_balanced());
    let cut = ("sampled_out", "trace_full", part.left_out);
    assert_eq!(told(&account), [cut, ("stored", "", part.spans)]);
}

pub(super) async fn what_apps_lost_of_their_spans_is_a_running_total(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    for lost in [5, 9, 7] {
        let mut batch = decoded(batch_id(), [], []);
        batch.span_losses = vec![Losses {
            run: RunId::from_bytes([1; 16]),
            produced: 100,
            dropped: vec![("queue_full".into(), lost)],
        }];
        shop.send(store, grouped(batch, later(1))).await;
    }

    let account = account(store).await;

    let lost = account.spans.lost_before_sending.into_iter();
    assert_eq!(lost.collect::<Vec<_>>(), [("queue_full".to_owned(), 9)]);
    assert!(account.lost_before_sending.is_empty());
}

/// An event that was made in a trace.
fn made_in(trace: u8, hours: u64) -> Event {
    let event = at(panic("price"), later(hours));
    Event {
        trace: Some(EventTrace {
            id: trace_id(trace),
            span: span_id(1),
            is_sampled: true,
        }),
        ..event
    }
}

pub(super) async fn a_trace_stays_as_long_as_the_event_that_was_made_in_it(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    // The first and the last event of an issue always stay, the one between them goes by its age.
    for (trace, hours) in [(1, 1), (2, 2), (3, 3)] {
        let event = made_in(trace, hours);
        let batch = decoded(batch_id(), [event], [span(trace, 1, 0)]);
        shop.send(store, grouped(batch, later(hours))).await;
    }
    shop.send(store, spans_at(4, [span(4, 1, 0)])).await;
    let retention = Retention {
        days: 90,
        trace_days: 30,
        ..KEEP_ALL
    };

    let young = sweep(store, retention, later(29 * DAY_HOURS)).await;
    let old = sweep(store, retention, later(31 * DAY_HOURS)).await;

    assert_eq!((young.traces, old.traces, old.events), (0, 1, 0));
    let gone = store.trace(&operator(), trace_id(4)).await;
    assert!(is_missing(&gone), "no event was made in it");

    let older = sweep(store, retention, later(91 * DAY_HOURS)).await;

    assert_eq!((older.events, older.traces), (1, 1));
    let left: Vec<TraceId> = listed(store, None).await.iter().map(|it| it.id).collect();
    assert_eq!(left, [trace_id(3), trace_id(1)]);
    assert_eq!(trace(store, 1).await.spans.len(), 1);
}

/// A span with half a kilobyte that cannot be compressed.
fn large(trace: u8) -> Span {
    let noise = || uuid::Uuid::new_v4().simple().to_string();
    let noise: String = (0..32).map(|_| noise()).collect();
    Span {
        fields: vec![("noise".into(), noise.into())],
        ..span(trace, 1, 0)
    }
}

pub(super) async fn a_budget_takes_the_oldest_traces_and_those_of_events_last(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let bank = Sender::new(store, "bank").await;
    let batch = decoded(batch_id(), [made_in(1, 1)], [large(1)]);
    shop.send(store, grouped(batch, later(1))).await;
    for number in 2..=200 {
        shop.send(store, spans_at(number.into(), [large(number)]))
            .await;
    }
    bank.send(store, spans_at(1, [large(201)])).await;
    let budget = Retention {
        trace_bytes: 40 << 10,
        ..KEEP_ALL
    };

    let swept = sweep(store, budget, later(RECEIVED_HOURS)).await;

    assert!(swept.traces > 50 && swept.bytes > 20 << 10, "{swept:?}");
    let left: Vec<TraceId> = listed(store, Some("shop"))
        .await
        .iter()
        .map(|it| it.id)
        .collect();
    let youngest = (201 - left.len() as u8 + 1..=200).rev().map(trace_id);
    assert_eq!(left, youngest.chain([trace_id(1)]).collect::<Vec<_>>());
    assert!(left.len() > 20, "no more went than had to: {}", left.len());
    assert_eq!(listed(store, Some("bank")).await.len(), 1);
    let usage = store.usage(&Scope::system(), NOW).await.expect("is read");
    assert!(usage.trace_bytes <= 42 << 10, "{}", usage.trace_bytes);
}

pub(super) async fn the_traces_of_events_alone_do_not_fill_a_disk(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    for number in 1..=50 {
        let event = made_in(number, number.into());
        let batch = decoded(batch_id(), [event], [large(number)]);
        shop.send(store, grouped(batch, later(number.into()))).await;
    }
    let budget = Retention {
        trace_bytes: 10 << 10,
        ..KEEP_ALL
    };

    let swept = sweep(store, budget, later(RECEIVED_HOURS)).await;

    assert_eq!(swept.events, 0, "events have a budget of their own");
    let left = listed(store, None).await;
    assert!((5..40).contains(&left.len()), "{} are left", left.len());
    assert_eq!(left[0].id, trace_id(50), "the oldest go first");
    let usage = store.usage(&Scope::system(), NOW).await.expect("is read");
    assert!(usage.trace_bytes <= 10 << 10, "{}", usage.trace_bytes);
}
