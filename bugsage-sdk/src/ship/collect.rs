//! Takes out what was captured, for somebody in this process who wants to see it.

use std::sync::Arc;
use std::time::Instant;

use bugsage_core::event::{Event, Run};

use crate::client::Client;
use crate::fold;
use crate::queue;
use crate::spool::layout::Words;

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
