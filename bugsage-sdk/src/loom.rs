//! Everything that threads share without waiting for each other, in all orders in which they can meet.

use loom::sync::Arc;
use loom::thread;

use bugsage_core::clock::Timestamp;

use crate::fold::{self, FoldTable};
use crate::limiter::{Limit, Limiter};
use crate::queue::{self, Queue};
use crate::record::{REST_BYTES, Space};
use crate::spans::model;
use crate::spool::layout::{Memory, Words};

/// Tries all orders with at most so many switches between threads that nothing forces: where there is
/// a fault, two nearly always show it.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

/// What a capturing thread does with reports of one kind; tells how many found no report on its way.
fn report(table: &FoldTable, reports: u64) -> (u64, Vec<fold::Ticket>) {
    let (mut firsts, mut tickets) = (0, Vec::new());
    for at in 1..=reports {
        if table.repeat(7, at).is_some() {
            continue;
        }
        firsts += 1;
        if let Some(ticket) = table.take(7, [1, 2], at) {
            table.open(ticket);
            tickets.push(ticket);
        }
    }
    (firsts, tickets)
}

#[test]
fn no_repeat_is_lost_or_counted_twice() {
    model(|| {
        let memory = Memory::anonymous();
        let table = Arc::new(FoldTable::new(memory.words));
        let words = Words::Shared(memory.words);
        let first = table.take(7, [1, 2], 1);
        let first = first.expect("the table is empty");
        table.open(first);

        let capturing = thread::spawn({
            let table = table.clone();
            move || report(&table, 2)
        });
        // The shipping thread packs the first report meanwhile.
        let mut counted = fold::close(&words, first).count;
        fold::release(&words, first);
        let (firsts, tickets) = capturing.join().expect("does not panic");

        for ticket in tickets {
            counted += fold::close(&words, ticket).count;
        }
        assert_eq!(counted + firsts, 2);
    });
}

#[test]
fn two_threads_that_meet_at_a_kind_count_each_report_once() {
    model(|| {
        let memory = Memory::anonymous();
        let table = Arc::new(FoldTable::new(memory.words));
        let words = Words::Shared(memory.words);

        let other = thread::spawn({
            let table = table.clone();
            move || report(&table, 1)
        });
        let (mut firsts, mut tickets) = report(&table, 2);
        let (others, their_tickets) = other.join().expect("does not panic");
        firsts += others;
        tickets.extend(their_tickets);

        let counts = tickets
            .into_iter()
            .map(|ticket| fold::close(&words, ticket).count);
        assert_eq!(firsts + counts.sum::<u64>(), 3);
    });
}

fn publish(queue: &Queue, record: &[u8]) -> bool {
    let Some(mut claim) = queue.claim() else {
        return false;
    };
    assert_eq!(claim.grow(record.len()), record.len());
    claim.put(record);
    claim.publish();
    true
}

#[test]
fn a_slot_that_is_given_back_is_found_however_full_it_was_before() {
    model(|| {
        let memory = Memory::anonymous();
        let words = Words::Shared(memory.words);
        let queue = Arc::new(Queue::new(memory.words, memory.records));
        while publish(&queue, &[1]) {}
        let mut heads = Vec::new();
        queue.drain(|head, _| heads.push(head));

        let capturing = thread::spawn({
            let queue = queue.clone();
            move || publish(&queue, &[2])
        });
        queue::release(&words, &heads[..1]);
        let is_published = capturing.join().expect("does not panic");

        assert_ne!(
            is_published,
            publish(&queue, &[3]),
            "one of them has the slot"
        );
    });
}

#[test]
fn every_record_comes_out_once_and_whole() {
    model(|| {
        let memory = Memory::anonymous();
        let words = Words::Shared(memory.words);
        let queue = Arc::new(Queue::new(memory.words, memory.records));

        let capturing = thread::spawn({
            let queue = queue.clone();
            move || u64::from(publish(&queue, &[1; 3])) + u64::from(publish(&queue, &[2; 3]))
        });
        let mut seen = Vec::new();
        let mut drain = || {
            let mut heads = Vec::new();
            queue.drain(|head, record| {
                heads.push(head);
                seen.push(record[..record.len() - REST_BYTES].to_vec());
            });
            queue::release(&words, &heads);
        };
        drain();
        let published = capturing.join().expect("does not panic");
        drain();

        assert_eq!(seen.len() as u64, published);
        assert!(
            seen.iter()
                .all(|record| *record == [1; 3] || *record == [2; 3])
        );
        assert!(queue.is_empty());
    });
}

#[test]
fn threads_that_meet_at_a_slot_do_not_share_it() {
    model(|| {
        let memory = Memory::anonymous();
        let queue = Arc::new(Queue::new(memory.words, memory.records));

        let other = thread::spawn({
            let queue = queue.clone();
            move || publish(&queue, &[1; 2])
        });
        let ours = publish(&queue, &[2; 2]);
        let theirs = other.join().expect("does not panic");

        let mut seen = Vec::new();
        queue.drain(|_, record| seen.push(record[0]));
        seen.sort_unstable();
        assert!(ours && theirs, "there is a slot for each");
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn threads_that_meet_at_a_limit_share_it() {
    model(|| {
        let limit = Limit {
            reports_max: 1,
            period: std::time::Duration::from_secs(1),
        };
        let limiter = Arc::new(Limiter::new(limit));

        let other = thread::spawn({
            let limiter = limiter.clone();
            move || limiter.allows(9, Timestamp(5))
        });
        let ours = limiter.allows(9, Timestamp(5));
        let theirs = other.join().expect("does not panic");

        assert!(ours != theirs, "one of them is allowed");
    });
}

/// A thread writes spans to its page, and another page where that was taken.
fn leave_spans(queue: &Queue, count: u8) -> u32 {
    let (mut page, mut left) = (None, 0);
    for number in 1..=count {
        let sequence = u64::from(number);
        let written = page.and_then(|(slot, sequence, end)| {
            let end = queue.write_page(slot, sequence, |bytes| {
                bytes[end] = number;
                Some((end + 1, 1))
            })?;
            Some((slot, sequence, end))
        });
        page = written.or_else(|| {
            let slot = queue.open_page(sequence)?;
            let end = queue.write_page(slot, sequence, |bytes| {
                bytes[0] = number;
                Some((1, 1))
            })?;
            Some((slot, sequence, end))
        });
        left += u32::from(page.is_some());
    }
    left
}

#[test]
fn every_span_of_a_page_comes_out_once_whenever_the_page_is_taken() {
    model(|| {
        let memory = Memory::anonymous();
        let words = Words::Shared(memory.words);
        let queue = Arc::new(Queue::new(memory.words, memory.records));

        let writing = thread::spawn({
            let queue = queue.clone();
            move || leave_spans(&queue, 2)
        });
        let (mut seen, mut counted) = (Vec::new(), 0);
        let mut take = || {
            let pages = queue.take_pages(u64::MAX);
            for page in &pages {
                seen.extend(queue.page(*page));
                counted += queue::spans_of(&words, *page);
            }
            queue::release_pages(&words, &pages);
        };
        take();
        let left = writing.join().expect("does not panic");
        take();

        assert_eq!((seen.len() as u32, counted), (left, left));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() as u32, left, "each once");
        assert!(queue.pages().is_none());
    });
}

#[test]
fn threads_that_meet_at_a_cell_do_not_share_it_and_whoever_finds_a_span_finds_all_of_it() {
    model(|| {
        let place = Arc::new(model::Place::new());

        let other = thread::spawn({
            let place = place.clone();
            move || place.open(7, 1, &[1; 3])
        });
        let ours = place.open(7, 2, &[2; 3]);
        for key in [1, 2_u8] {
            let found = place.find(7, key.into());
            assert!(found.is_none_or(|fields| fields == [key; 3]));
        }
        let theirs = other.join().expect("does not panic");

        assert!(ours != theirs, "one of them has it");
        assert_eq!(place.find(7, 2).is_some(), ours);
        assert_eq!(place.find(8, 2), None, "of another layer");
    });
}

#[test]
fn a_cell_that_was_given_back_is_the_next_spans_and_no_more_the_one_before() {
    model(|| {
        let place = Arc::new(model::Place::new());
        assert!(place.open(7, 1, &[1; 3]));

        let other = thread::spawn({
            let place = place.clone();
            move || place.open(7, 2, &[2; 3])
        });
        place.close();
        assert_eq!(place.find(7, 1), None);
        let theirs = other.join().expect("does not panic");

        assert!(theirs || place.open(7, 3, &[3; 3]), "it is free");
        assert_eq!(place.find(7, 2).is_some(), theirs);
    });
}

#[test]
fn fields_are_read_as_they_were_before_a_change_or_after_it() {
    model(|| {
        let span = Arc::new(model::Fields::new(&[1; 3]));

        let changing = thread::spawn({
            let span = span.clone();
            move || span.change(&[2; 5])
        });
        let seen = span.read();
        changing.join().expect("does not panic");

        assert!(
            seen.is_none() || seen.as_deref() == Some(&[1; 3]) || seen.as_deref() == Some(&[2; 5]),
            "{seen:?}"
        );
        assert_eq!(span.read().as_deref(), Some(&[2; 5][..]));
    });
}
