//! Reports that wait a moment for their repeats.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{
    Breadcrumb, ErrorLink, Event, EventTrace, Location, Pairs, Run, SpanContext, SpanTiming, Text,
    Thread,
};
use bugsage_core::id::EventId;
use bugsage_core::limits;
use bugsage_core::trace_context::SpanId;

use crate::capture::text_stack;
use crate::fold::{self, Ticket};
use crate::record::{self, Reader};
use crate::spans;
use crate::spool::layout::{SLOTS, Words};

use super::symbolicate::{Spot, Symbolicator};

/// How long the first report of a kind waits, so that a burst travels together.
const HOLD_FIRST: Duration = Duration::from_millis(100);

/// How long a kind that keeps coming waits at most. Each further time is twice the one before.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(10);

/// A kind that was quiet this long is new again.
const QUIET: Duration = Duration::from_secs(60);

/// Kinds that may wait at once: as many as have room for their records.
const PENDING_MAX: usize = SLOTS;

/// Kinds that were sent before, remembered for how long to hold them.
const KNOWN_MAX: usize = 4_096;

/// Reports by kind, and which of them is due next.
#[derive(Default)]
pub(super) struct Pending {
    waiting: HashMap<u64, Due>,
    order: BinaryHeap<Reverse<(Instant, u64)>>,
    known: HashMap<u64, (Duration, Instant)>,
    /// The slots of records that cannot be read.
    unreadable: Vec<u16>,
    /// Pages of finished spans, with their slots.
    pages: VecDeque<(u16, Vec<u8>)>,
}

/// A report with what it needs to become an event.
pub(super) struct Due {
    event: Event,
    addresses: Vec<u64>,
    pub(super) tickets: Vec<Ticket>,
    /// Where its records lie.
    pub(super) slots: Vec<u16>,
}

/// How often a report came, all in all.
pub(super) struct Reports {
    pub(super) count: u64,
    last_at: Timestamp,
    times: Vec<u64>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.unreadable.is_empty() && self.pages.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= PENDING_MAX
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.order.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a record in. One that cannot be read waits as a loss.
    pub(super) fn add(&mut self, slot: u16, record: &[u8], run: &Arc<Run>, now: Instant) {
        let Some(Record {
            key,
            ticket,
            event,
            addresses,
        }) = read(record, run)
        else {
            self.unreadable.push(slot);
            return;
        };
        if let Some(waiting) = self.waiting.get_mut(&key) {
            // Two threads met, or the table had no place: the same kind twice.
            waiting.event.count += 1;
            waiting.event.last_at = waiting.event.last_at.max(event.last_at);
            waiting.tickets.extend(ticket);
            waiting.slots.push(slot);
            return;
        }
        let due_at = now + self.hold(key, now);
        self.order.push(Reverse((due_at, key)));
        let tickets = Vec::from_iter(ticket);
        self.waiting.insert(
            key,
            Due {
                event,
                addresses,
                tickets,
                slots: vec![slot],
            },
        );
    }

    /// Takes in a page of finished spans. It is due at once: it has waited while it was written.
    pub(super) fn add_page(&mut self, slot: u16, page: Vec<u8>) {
        self.pages.push_back((slot, page));
    }

    pub(super) fn take_page(&mut self) -> Option<(u16, Vec<u8>)> {
        self.pages.pop_front()
    }

    /// The slots of records that could not be read.
    pub(super) fn take_unreadable(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.unreadable)
    }

    /// Takes out the next report whose time has come.
    pub(super) fn take_due(&mut self, now: Instant, everything: bool) -> Option<Due> {
        let Reverse((due_at, key)) = *self.order.peek()?;
        if due_at > now && !everything {
            return None;
        }
        self.order.pop();
        self.waiting.remove(&key)
    }

    fn hold(&mut self, key: u64, now: Instant) -> Duration {
        if self.known.len() >= KNOWN_MAX {
            self.known
                .retain(|_, (_, seen)| now.duration_since(*seen) < QUIET);
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
        }
        let hold = match self.known.get(&key) {
            Some((hold, seen)) if now.duration_since(*seen) < QUIET => (*hold * 2).min(HOLD_MAX),
            _ => HOLD_FIRST,
        };
        self.known.insert(key, (hold, now));
        hold
    }
}

impl Due {
    /// When the report was made.
    pub(super) fn at(&self) -> Timestamp {
        self.event.first_at
    }

    /// Closes the report's folds and adds up.
    pub(super) fn reports(&self, words: &Words) -> Reports {
        let mut reports = Reports {
            count: self.event.count,
            last_at: self.event.last_at,
            times: Vec::new(),
        };
        for ticket in &self.tickets {
            let repeats = fold::close(words, *ticket);
            reports.count += repeats.count;
            reports.last_at = reports.last_at.max(Timestamp(repeats.last_at));
            reports.times.extend(repeats.times);
        }
        reports.times.sort_unstable();
        reports
    }

    /// Makes the event, with its stack resolved unless `give_up` says that there is no time.
    pub(super) fn into_event(
        self,
        reports: Reports,
        symbolicator: &mut Symbolicator,
        spot: &dyn Fn(u64) -> Spot,
        give_up: impl Fn() -> bool,
    ) -> Event {
        let mut event = self.event;
        event.count = reports.count;
        event.last_at = reports.last_at;
        let mut before = event.first_at.0;
        for time in reports.times.iter().take(limits::DELTAS_MAX) {
            event.deltas_us.push(time.saturating_sub(before));
            before = *time;
        }
        if event.stack.is_none() && !self.addresses.is_empty() {
            let spots: Vec<Spot> = self.addresses.iter().map(|at| spot(*at)).collect();
            let stack = symbolicator.resolve(&spots, give_up);
            event.stack = Some(Arc::new(stack));
        }
        event
    }
}

struct Record {
    key: u64,
    ticket: Option<Ticket>,
    event: Event,
    addresses: Vec<u64>,
}

/// Reads what [`crate::capture`] wrote.
fn read(record: &[u8], run: &Arc<Run>) -> Option<Record> {
    let mut from = Reader::new(record);
    let kind = record::kind_of(from.u8()?)?;
    let level = record::level_of(from.u8()?)?;
    let key = from.u64()?;
    let (slot, generation) = (from.u16()?, from.u64()?);
    let ticket = (slot != u16::MAX).then(|| Ticket::from_parts(slot, generation));
    let id = u128::from(from.u64()?) << 64 | u128::from(from.u64()?);
    let at = Timestamp(from.u64()?);
    let thread_id = from.u64()?;
    let thread_name = from.text()?;
    let message = from.text()?.into();
    let (file, line, column) = (from.text()?, from.u64()?, from.u64()?);
    let location = (line != 0).then(|| Location {
        file: file.into(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    });
    let addresses = many(&mut from, |from| from.u64())?;
    let stack = text_stack::read(from.text()?);
    let errors = many(&mut from, |from| {
        let (type_name, message) = (from.text()?, from.text()?);
        Some(ErrorLink {
            type_name: (!type_name.is_empty()).then(|| type_name.into()),
            message: message.into(),
        })
    })?;
    let tags = read_pairs(&mut from)?;
    let user = from.text()?;
    let trace = read_trace(&mut from)?;
    let mut spans = many(&mut from, |from| {
        let (name, target) = (from.text()?, from.text()?.into());
        let (id, open_us, busy_us) = (from.u64()?, from.u64()?, from.u64()?);
        let mut name: Text = name.into();
        let mut fields = Pairs::new();
        for (key, value) in many(from, |from| Some((from.text()?, from.text()?)))? {
            // As finished spans have them: what says something about the span itself is no field.
            match key {
                "otel.name" => name = value.into(),
                "otel.kind" | "otel.status_code" => {}
                _ => fields.push((key.into(), value.into())),
            }
        }
        Some(SpanContext {
            name,
            target,
            fields,
            timing: SpanId::from_bytes(id.to_be_bytes()).map(|id| SpanTiming {
                id,
                open_us,
                busy_us: (busy_us != record::NOT_KNOWN).then_some(busy_us),
            }),
        })
    })?;
    spans.reverse();
    let (inputs, attached) = (read_pairs(&mut from)?, read_pairs(&mut from)?);
    let mut breadcrumbs = many(&mut from, |from| {
        Some(Breadcrumb {
            at: Timestamp(from.u64()?),
            level: record::level_of(from.u8()?)?,
            target: from.text()?.into(),
            message: from.text()?.into(),
        })
    })?;
    breadcrumbs.sort_by_cached_key(|breadcrumb| breadcrumb.at.0);
    let event = Event {
        id: EventId::from_bytes(id.to_be_bytes()),
        run: run.clone(),
        kind,
        level,
        count: 1,
        first_at: at,
        last_at: at,
        deltas_us: Vec::new(),
        message,
        errors,
        location,
        thread: Thread {
            name: (!thread_name.is_empty()).then(|| thread_name.into()),
            id: thread_id,
        },
        stack,
        spans,
        breadcrumbs,
        tags,
        user: (!user.is_empty()).then(|| user.into()),
        contexts: Vec::new(),
        attached,
        inputs,
        trace,
    };
    Some(Record {
        key,
        ticket,
        event,
        addresses,
    })
}

/// The trace, or none; nothing where what stands there is neither.
fn read_trace(from: &mut Reader<'_>) -> Option<Option<EventTrace>> {
    let is_sampled = match from.u8()? {
        record::NO_TRACE => return Some(None),
        record::UNSAMPLED_TRACE => false,
        record::SAMPLED_TRACE => true,
        _ => return None,
    };
    let trace = spans::trace_of([from.u64()?, from.u64()?]);
    let span = SpanId::from_bytes(from.u64()?.to_be_bytes());
    Some(trace.zip(span).map(|(id, span)| EventTrace {
        id,
        span,
        is_sampled,
    }))
}

/// Names and values. The innermost scope stands first and wins.
fn read_pairs(from: &mut Reader<'_>) -> Option<Pairs> {
    let mut pairs = Pairs::new();
    for (key, value) in many(from, |from| Some((from.text()?, from.text()?)))? {
        let is_known = pairs.iter().any(|(known, _)| &**known == key);
        if !is_known && pairs.len() < limits::PAIRS_MAX {
            pairs.push((key.into(), value.into()));
        }
    }
    Some(pairs)
}

fn many<'a, T>(
    from: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = from.u16()?;
    // Collected one by one: a count that lies ends with the record, not with the memory.
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(one(from)?);
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::layout::Memory;
    use bugsage_core::id::RunId;
    use proptest::prelude::*;

    fn run() -> Arc<Run> {
        Arc::new(Run {
            id: RunId::from_bytes([0; 16]),
            release: None,
            environment: None,
            started_at: Timestamp(0),
            sdk: "".into(),
        })
    }

    fn record_of(key: u64) -> Vec<u8> {
        let mut buffer = vec![0; 512];
        let mut space = record::Buffer::new(&mut buffer);
        let mut out = record::Writer::new(&mut space);
        out.u8(0);
        out.u8(5);
        out.u64(key);
        out.u16(u16::MAX);
        out.u64(0);
        buffer
    }

    #[test]
    fn a_kind_that_keeps_coming_waits_longer_and_a_quiet_one_is_new_again() {
        let mut pending = Pending::default();
        let mut now = Instant::now();
        let mut hold = |now: Instant| {
            pending.add(0, &record_of(1), &run(), now);
            let due_at = pending.next_due().expect("waits");
            pending.take_due(now, true).expect("waits");
            due_at - now
        };

        assert_eq!(hold(now), HOLD_FIRST);
        assert_eq!(hold(now), HOLD_FIRST * 2);
        (0..20).for_each(|_| assert!(hold(now) > HOLD_FIRST));
        assert_eq!(hold(now), HOLD_MAX);
        now += QUIET;
        assert_eq!(hold(now), HOLD_FIRST);
    }

    #[test]
    fn the_same_kind_waits_once_and_is_counted() {
        let mut pending = Pending::default();
        let now = Instant::now();
        for slot in 0..3 {
            pending.add(slot, &record_of(1), &run(), now);
        }

        assert!(pending.take_due(now, false).is_none(), "it is not due yet");
        let due = pending.take_due(now + HOLD_FIRST, false).expect("is due");
        let words = Words::Shared(Memory::anonymous().words);
        assert_eq!(due.reports(&words).count, 3);
        assert_eq!(
            due.slots,
            [0, 1, 2],
            "all of them are kept until it is safe"
        );
        assert!(pending.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, &run());
        }
    }
}
