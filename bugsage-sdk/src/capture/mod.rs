//! Takes down a report on the thread that makes it: into a slot of the queue, or, where an equal
//! report is on its way already, as a count.
//!
//! In: a [`Sighting`]. Out: a record for [`crate::ship`].
//! Never: waiting, the network, the symbolizer, a lock that code of the app can hold.

pub(crate) mod panic;
pub(crate) mod payload;
pub(crate) mod error;
pub(crate) mod text_stack;
pub(crate) mod backtrace;
pub(crate) mod modules;
pub(crate) mod executable;
pub(crate) mod host;

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{EventKind, Level};
use bugsage_core::id::EventId;
use bugsage_core::limits;

use crate::client::{self, Client};
use crate::context;
use crate::fold::Ticket;
use crate::ledger::Reason;
use crate::queue::Claim;
use crate::record::{self, Writer};
use crate::spans::OpenSpan;
use crate::spans::fields::Value;
use crate::ticks;

/// What a capturing thread knows about a report, all of it borrowed.
pub(crate) struct Sighting<'a> {
    pub(crate) kind: EventKind,
    pub(crate) level: Level,
    pub(crate) message: &'a str,
    /// Type (may be empty) and text of the error and its sources, outermost first.
    pub(crate) errors: &'a [(String, String)],
    /// File, line, column.
    pub(crate) location: Option<(&'a str, u32, u32)>,
    /// Return addresses, innermost first; empty where no stack was taken.
    pub(crate) addresses: &'a [usize],
    /// The stack that the error tells itself, as text; it counts before the addresses.
    pub(crate) stack: &'a str,
}

/// Takes down a report. `None` where nobody listens or no slot is free.
pub(crate) fn capture(sighting: &Sighting<'_>) -> Option<EventId> {
    if context::thread_is_ours() {
        return None;
    }
    let client = client::listening()?;
    let at = client::now();
    client.ledger.produced();
    if let Some(reason) = client.is_closed_to(sighting.kind, at) {
        client.ledger.lost_at_capture(reason);
        return None;
    }
    let current = context::current();
    note_failure(client, sighting, current.as_ref());
    let key = key(client, sighting, current.as_ref());
    if let Some(id) = client.folds.repeat(key, at.0) {
        return Some(EventId::from_bytes(join(id)));
    }
    if let Some(limiter) = &client.limiter
        && !limiter.allows(place(client, sighting), at)
    {
        client.ledger.lost_at_capture(Reason::RateLimited);
        return None;
    }
    let Some(mut claim) = client.queue.claim() else {
        client.ledger.lost_at_capture(Reason::QueueFull);
        return None;
    };
    let id = client.new_id(at);
    let ticket = client.folds.take(key, split(id), at.0);
    write(
        &mut claim,
        sighting,
        current.as_ref(),
        &Facts {
            key,
            ticket,
            id,
            at,
        },
    );
    let slot = claim.publish();
    if let Some(ticket) = ticket {
        client.folds.open(ticket);
    }
    client.wake(slot);
    Some(id)
}

/// Counts for the health of the release, before anything is folded or dropped.
fn note_failure(client: &Client, sighting: &Sighting<'_>, current: Option<&OpenSpan>) {
    if sighting.level >= Level::Error
        && let Some(span) = current
    {
        span.fail();
    }
    if sighting.kind == EventKind::Panic {
        let mut is_innermost = true;
        context::read_scopes(
            current,
            |_, _| {},
            |user| {
                if std::mem::take(&mut is_innermost) {
                    client.hours.user_panicked(user);
                }
            },
        );
    }
}

/// What equal reports have in common: all but time, thread, spans and breadcrumbs.
fn key(client: &Client, sighting: &Sighting<'_>, current: Option<&OpenSpan>) -> u64 {
    // Keyed by the process: nobody can choose messages that meet.
    let mut hasher = client.hash_keys.build_hasher();
    hash_place(&mut hasher, sighting);
    hasher.write_u8(record::level_number(sighting.level));
    hasher.write(sighting.message.as_bytes());
    for (type_name, message) in sighting.errors {
        hasher.write(type_name.as_bytes());
        hasher.write(message.as_bytes());
    }
    let hasher = std::cell::RefCell::new(hasher);
    context::read_scopes(
        current,
        |key, value| {
            let mut hasher = hasher.borrow_mut();
            hasher.write(key.as_bytes());
            hasher.write_u8(0);
            hasher.write(value.as_bytes());
            hasher.write_u8(1);
        },
        |user| hasher.borrow_mut().write(user.as_bytes()),
    );
    hasher.into_inner().finish()
}

/// Where a report was made, and by which way: of reports of one place only the words differ.
fn place(client: &Client, sighting: &Sighting<'_>) -> u64 {
    let mut hasher = client.hash_keys.build_hasher();
    hash_place(&mut hasher, sighting);
    hasher.finish()
}

fn hash_place(hasher: &mut impl Hasher, sighting: &Sighting<'_>) {
    hasher.write_u8(record::kind_number(sighting.kind));
    if let Some((file, line, column)) = sighting.location {
        hasher.write(file.as_bytes());
        hasher.write_u32(line);
        hasher.write_u32(column);
    }
    sighting
        .addresses
        .iter()
        .for_each(|address| hasher.write_usize(*address));
    hasher.write(sighting.stack.as_bytes());
}

/// What the capture itself adds to a record.
struct Facts {
    key: u64,
    ticket: Option<Ticket>,
    id: EventId,
    at: Timestamp,
}

/// Writes the record that [`crate::ship`] reads. The order of the parts is the order of their
/// worth, since what does not fit is left out at the end.
fn write(
    claim: &mut Claim<'_>,
    sighting: &Sighting<'_>,
    current: Option<&OpenSpan>,
    facts: &Facts,
) {
    let mut out = Writer::new(claim);
    out.u8(record::kind_number(sighting.kind));
    out.u8(record::level_number(sighting.level));
    out.u64(facts.key);
    let (slot, generation) = facts.ticket.map_or((u16::MAX, 0), Ticket::to_parts);
    out.u16(slot);
    out.u64(generation);
    split(facts.id).into_iter().for_each(|half| out.u64(half));
    out.u64(facts.at.0);
    let thread = std::thread::current();
    out.u64(context::thread_number(&thread));
    out.text(thread.name().unwrap_or(""), limits::NAME_BYTES_MAX);
    out.text(sighting.message, limits::MESSAGE_BYTES_MAX);
    let (file, line, column) = sighting.location.unwrap_or(("", 0, 0));
    out.text(file, limits::VALUE_BYTES_MAX);
    out.u64(line.into());
    out.u64(column.into());
    out.u16(sighting.addresses.len() as u16);
    sighting
        .addresses
        .iter()
        .for_each(|address| out.u64(*address as u64));
    out.text(sighting.stack, text_stack::STACK_BYTES_MAX);
    list(
        &mut out,
        sighting.errors.iter().take(limits::ERRORS_MAX),
        |out, (type_name, message)| {
            // A long chain leaves room for what comes after it: a record that ends too early
            // cannot be read at all.
            if out.room() < 8 << 10 {
                return false;
            }
            out.text(type_name, limits::NAME_BYTES_MAX);
            out.text(message, 2 << 10);
            true
        },
    );
    write_scopes(&mut out, current);
    write_trace(&mut out, current);
    write_spans(&mut out, current);
    write_own(&mut out, current);
    write_breadcrumbs(&mut out, current);
}

fn write_scopes(out: &mut Writer<'_, Claim<'_>>, current: Option<&OpenSpan>) {
    let count_at = out.reserve_count();
    let mut count = 0;
    // On the stack: the hook allocates nothing.
    let mut user = [0; limits::NAME_BYTES_MAX];
    let mut user_bytes = 0;
    context::read_scopes(
        current,
        |key, value| {
            if count < limits::PAIRS_MAX as u16 && out.room() > key.len() + value.len() + 512 {
                out.text(key, limits::KEY_BYTES_MAX);
                out.text(value, limits::VALUE_BYTES_MAX);
                count += 1;
            }
        },
        |name| {
            if user_bytes == 0 {
                user_bytes = name.floor_char_boundary(user.len());
                user[..user_bytes].copy_from_slice(&name.as_bytes()[..user_bytes]);
            }
        },
    );
    out.set_count(count_at, count);
    let user = std::str::from_utf8(&user[..user_bytes]).unwrap_or("");
    out.text(user, limits::NAME_BYTES_MAX);
}

/// What is known of the trace: none, not sampled, or sampled, and the names of trace and span.
fn write_trace(out: &mut Writer<'_, Claim<'_>>, current: Option<&OpenSpan>) {
    let state = match current {
        None => record::NO_TRACE,
        Some(span) if span.is_sampled() => record::SAMPLED_TRACE,
        Some(_) => record::UNSAMPLED_TRACE,
    };
    out.u8(state);
    if let Some(span) = current {
        span.trace_words()
            .into_iter()
            .for_each(|word| out.u64(word));
        out.u64(span.id_word());
    }
}

fn write_spans(out: &mut Writer<'_, Claim<'_>>, current: Option<&OpenSpan>) {
    let (now, coarse) = (ticks::now(), ticks::coarse());
    let spans = context::open_spans(current).take(context::SPANS_TOLD);
    list(out, spans, |out, span| {
        let Some(metadata) = span.metadata() else {
            return false;
        };
        if out.room() < 512 {
            return false;
        }
        out.text(metadata.name(), limits::NAME_BYTES_MAX);
        out.text(metadata.target(), limits::NAME_BYTES_MAX);
        out.u64(span.id_word());
        let clock = if span.is_sampled() { now } else { coarse };
        out.u64(clock.saturating_sub(span.opened_at()) / 1_000);
        out.u64(if span.is_sampled() {
            context::busy_ns(&span, now) / 1_000
        } else {
            record::NOT_KNOWN
        });
        let count_at = out.reserve_count();
        let mut count = 0;
        span.read_fields(|name, value| {
            // A long value leaves room for what is further out and for breadcrumbs.
            let value_max = (2 << 10).min(out.room() / 4);
            if out.room() < name.len() + value_max + 64 {
                return;
            }
            out.text(name, limits::KEY_BYTES_MAX);
            match value {
                Value::Text(text) => out.text(text, value_max),
                number => out.text(Digits::default().of(&number), value_max),
            }
            count += 1;
        });
        out.set_count(count_at, count);
        true
    });
}

/// What the app was working on, and what it attached, each with the innermost first. They leave room for
/// breadcrumbs.
fn write_own(out: &mut Writer<'_, Claim<'_>>, current: Option<&OpenSpan>) {
    for is_input in [true, false] {
        let count_at = out.reserve_count();
        let mut count = 0;
        let mut write = |name: &str, value: &str| {
            if count < limits::PAIRS_MAX as u16 && out.room() > name.len() + value.len() + (4 << 10)
            {
                out.text(name, limits::KEY_BYTES_MAX);
                out.text(value, limits::VALUE_BYTES_MAX);
                count += 1;
            }
        };
        context::each_scope(current, |scope| {
            if is_input {
                scope.inputs().for_each(|(name, value)| write(name, value));
            } else {
                scope
                    .attached()
                    .for_each(|(name, value)| write(name, value));
            }
        });
        out.set_count(count_at, count);
    }
}

/// Room for a number as text: the hook allocates nothing.
#[derive(Default)]
struct Digits {
    bytes: [u8; 32],
    used: usize,
}

impl Digits {
    fn of(&mut self, value: &Value<'_>) -> &str {
        // Only a float has more digits than there is room for: then the first of them are told.
        let _ = write!(self, "{value}");
        std::str::from_utf8(&self.bytes[..self.used]).unwrap_or("")
    }
}

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes().filter(u8::is_ascii) {
            let place = self.bytes.get_mut(self.used).ok_or(std::fmt::Error)?;
            *place = byte;
            self.used += 1;
        }
        Ok(())
    }
}

fn write_breadcrumbs(out: &mut Writer<'_, Claim<'_>>, current: Option<&OpenSpan>) {
    let count_at = out.reserve_count();
    let mut count = 0;
    context::read_breadcrumbs(current, |crumb| {
        let needed = 16 + crumb.target.len() + crumb.message.len();
        if count >= limits::BREADCRUMBS_MAX as u16 || out.room() < needed {
            return false;
        }
        out.u64(crumb.at);
        out.u8(record::level_number(crumb.level));
        out.text(crumb.target, limits::NAME_BYTES_MAX);
        out.text(crumb.message, limits::BREADCRUMB_BYTES_MAX);
        count += 1;
        true
    });
    out.set_count(count_at, count);
}

/// Writes items with their number before them, until one says that it did not fit.
fn list<T>(
    out: &mut Writer<'_, Claim<'_>>,
    items: impl Iterator<Item = T>,
    mut item: impl FnMut(&mut Writer<'_, Claim<'_>>, T) -> bool,
) {
    let count_at = out.reserve_count();
    let mut count = 0;
    for value in items {
        if !item(out, value) {
            break;
        }
        count += 1;
    }
    out.set_count(count_at, count);
}

fn split(id: EventId) -> [u64; 2] {
    let number = u128::from_be_bytes(id.to_bytes());
    [(number >> 64) as u64, number as u64]
}

fn join([high, low]: [u64; 2]) -> [u8; 16] {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}
