//! Takes out what was captured, for somebody in this process who wants to see it.

use std::sync::Arc;
use std::time::Instant;

use bugsage_core::event::{Event, Run};
use bugsage_core::span::Span;

use crate::client::Client;
use crate::fold;
use crate::queue;
use crate::spans::finished;
use crate::spool::layout::{EPOCH_OFFSET_AT, Words};
use crate::ticks;

use super::finish::Finish;
use super::pending::Pending;
use super::symbolicate::Spot;

/// All that was captured since the last time, in its order, without symbols.
pub(crate) fn events(client: &'static Client, run: &Arc<Run>) -> Vec<Event> {
    let words: &Words = &client.ledger.books.words;
    let mut pending = Pending::default();
    let add = |slot, record: &[u8]| pending.add(slot, record, run, Instant::now());
    client.queue.drain(add);
    let mut finish = Finish::new(client, None, None, 0);
    let mut events = Vec::new();
    queue::release(words, &pending.take_unreadable());
    while let Some(due) = pending.take_due(Instant::now(), true) {
        let (slots, tickets) = (due.slots.clone(), due.tickets.clone());
        let reports = due.reports(words);
        let event = finish.event(due, reports, &Vec::new(), &Spot::Here, &|| true);
        // There is no filter, and a record that cannot be read was taken out before.
        events.extend(event.ok());
        queue::release(words, &slots);
        tickets
            .iter()
            .for_each(|ticket| fold::release(words, *ticket));
    }
    events
}

/// All spans that were closed since the last time, in the order of their pages.
pub(crate) fn spans(client: &'static Client, run: &Arc<Run>) -> Vec<Span> {
    let words = &client.ledger.books.words;
    ticks::note_epoch(words);
    let since_epoch = words.load(EPOCH_OFFSET_AT).cast_signed();
    let pages = client.queue.take_pages(u64::MAX);
    let prepare = Finish::new(client, None, None, 0).prepare_span();
    let mut spans = Vec::new();
    for page in &pages {
        let read = finished::read(&client.queue.page(*page), run, since_epoch);
        // There is no filter.
        spans.extend(read.into_iter().filter_map(|span| prepare(span).ok()));
    }
    queue::release_pages(words, &pages);
    spans.sort_by_cached_key(|span| (span.started_at, span.duration_ns));
    spans
}
