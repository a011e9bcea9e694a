//! Makes room: whole events and traces go, counts stay for ever.
//!
//! Two rules, both in small steps between batches. Events older than a project's days go. Where a project
//! has more bytes than its budget, those that tell least go first: passes over its packs until there is
//! room, each with the bar that would have made enough of it in the one before. What an event is worth falls with its age, and with how many of its
//! issue were kept before it; of these, round numbers stay, so that what is left is spread evenly (the
//! idea is Bugsink's).
//!
//! Never swept are the first event of an issue, its latest, the first in each release and environment, and
//! the first after it was resolved. Where these alone are more than the budget, it is said.
//!
//! Traces have a budget of their own: see [`traces`].

mod traces;

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use bugsage_core::clock::Timestamp;

use crate::store::StoreError;
use crate::store::model::{Retention, Swept};
use crate::store::pack::{Pack, Packer};

use super::{HOUR_US, sql, unsigned};

/// Bytes of documents that one step writes anew or deletes: some ten milliseconds.
const STEP_BYTES: u64 = 512 << 10;

/// Packs that one step looks at, however small they are.
const STEP_PACKS: u32 = 256;

/// Events that one step looks at: a few milliseconds.
const STEP_EVENTS: u64 = 4_096;

/// What an event is worth at most: new, and the first of its issue.
const WORTH_MAX: i64 = 64;

/// More than anything is worth: what always stays.
const PINNED: i64 = WORTH_MAX + 2;

/// Free pages of 4 KiB that stay in the file, to be used again soon.
const FREE_PAGES: i64 = 1_024;

/// Free pages that one step gives back to the disk.
const STEP_PAGES: i64 = 512;

/// One step: for the first project that has something to do.
pub(super) fn step(
    tx: &Connection,
    retention: Retention,
    now: Timestamp,
    without_room: &[u64],
) -> Result<Swept, StoreError> {
    let spaces: Vec<Space> = tx
        .prepare_cached("select project, bytes, aged_at, aged_pack, least_worth, next_pack, left_bytes from spaces")?
        .query_map([], |row| {
            Ok(Space {
                project: row.get(0)?,
                bytes: unsigned(row.get(1)?),
                aged_at: row.get(2)?,
                aged_pack: row.get(3)?,
                least_worth: row.get(4)?,
                next_pack: row.get(5)?,
                left: Left::read(row.get_ref(6)?.as_str()?),
            })
        })?
        .collect::<Result<_, _>>()?;
    for space in spaces {
        let swept = match space.age(tx, retention, now)? {
            Some(swept) => Some(swept),
            None if without_room.contains(&unsigned(space.project)) => None,
            None => space.thin(tx, retention, now)?,
        };
        if let Some(swept) = swept {
            return Ok(swept);
        }
    }
    Ok(traces::step(tx, retention, now)?.unwrap_or_default())
}

/// What came before this is older than so many days.
fn days_before(now: Timestamp, days: u32) -> u64 {
    now.0.saturating_sub(u64::from(days) * 24 * HOUR_US)
}

/// Whether the file has more free pages than it needs soon.
pub(super) fn has_free_pages(c: &Connection) -> Result<bool, StoreError> {
    Ok(free_pages(c)? > FREE_PAGES)
}

/// Gives free pages back to the disk, a few at a time.
pub(super) fn give_back(c: &Connection) -> Result<(), StoreError> {
    let pages = STEP_PAGES.min(free_pages(c)? - FREE_PAGES);
    if pages > 0 {
        // Each row of the answer is a page that was given back.
        let mut statement = c.prepare(&format!("pragma incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

fn free_pages(c: &Connection) -> Result<i64, StoreError> {
    let free = c
        .prepare_cached("pragma freelist_count")?
        .query_row([], |row| row.get(0))?;
    Ok(free)
}

/// What a project's packs take.
struct Space {
    project: i64,
    bytes: u64,
    aged_at: i64,
    aged_pack: i64,
    least_worth: i64,
    next_pack: i64,
    left: Left,
}

/// Bytes of what a pass has left, by what it is worth.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Left(BTreeMap<i64, u64>);

impl Left {
    /// What cannot be read is a pass that has seen nothing yet.
    fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    fn count(&mut self, worth: i64, bytes: u32) {
        let sum = self.0.entry(worth).or_default();
        *sum = sum.saturating_add(bytes.into());
    }

    /// The lowest bar that makes a project with so many bytes fit its budget, or the highest there is.
    /// `None` where nothing may go.
    fn bar(&self, bytes: u64, budget: u64) -> Option<i64> {
        let all: u64 = self.0.values().sum();
        // Packs are compressed, and these are not: the part that has to go is the same.
        let part = 1.0 - budget as f64 / bytes.max(1) as f64;
        let mut gone = 0;
        let mut bar = None;
        for (worth, bytes) in self.0.range(..PINNED) {
            bar = Some(worth + 1);
            gone += bytes;
            if gone as f64 >= part * all as f64 {
                break;
            }
        }
        bar
    }
}

/// A pack that is looked at.
struct Candidate {
    id: i64,
    created_at: u64,
    raw_bytes: u32,
    /// How many bytes it takes.
    bytes: u64,
}

impl Candidate {
    /// The length of its documents is read without them.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            created_at: unsigned(row.get(1)?),
            raw_bytes: row.get(2)?,
            bytes: unsigned(row.get(3)?),
        })
    }
}

/// A step, as far as it has got.
#[derive(Default)]
struct Step {
    events: u64,
    traces: u64,
    bytes: u64,
    /// Bytes of the packs that were changed, before compression.
    worked_bytes: u64,
    looked_at: u64,
    /// Traces that came before this are too old without an event.
    traces_until: u64,
}

impl Step {
    fn until(retention: Retention, now: Timestamp) -> Self {
        Self {
            traces_until: days_before(now, retention.trace_days),
            ..Self::default()
        }
    }

    /// Whether others should have the writer now.
    fn is_enough(&self) -> bool {
        self.worked_bytes >= STEP_BYTES || self.looked_at >= STEP_EVENTS
    }

    /// What the step did, where others follow.
    fn swept(&self) -> Swept {
        Swept {
            events: self.events,
            traces: self.traces,
            bytes: self.bytes,
            is_done: false,
            ..Swept::default()
        }
    }
}

/// An event in a pack.
struct Event {
    number: i64,
    id: [u8; 16],
    stack: Option<i64>,
    at: u32,
    bytes: u32,
    ordinal: u64,
    is_pinned: bool,
    trace: Option<[u8; 16]>,
}

impl Space {
    /// Sweeps what is too old. `None` where nothing is.
    fn age(
        &self,
        tx: &Connection,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Option<Swept>, StoreError> {
        let packs = self.aged_packs(tx, days_before(now, retention.days))?;
        let mut last = None;
        let mut step = Step::until(retention, now);
        for candidate in &packs {
            self.sweep(tx, candidate, &mut step, |_| true)?;
            last = Some(candidate);
            if step.is_enough() {
                break;
            }
        }
        let Some(last) = last else {
            return Ok(None);
        };
        tx.prepare_cached("update spaces set aged_at = ?, aged_pack = ? where project = ?")?
            .execute(params![sql(last.created_at), last.id, self.project])?;
        Ok(Some(step.swept()))
    }

    /// Sweeps what is worth least, where there is too much. `None` where there is room.
    fn thin(
        &self,
        tx: &Connection,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Option<Swept>, StoreError> {
        if self.bytes <= retention.bytes {
            if self.next_pack > 0 {
                // There is room: the bar may be lower next time.
                self.note(tx, self.least_worth - 1, 0, &Left::default())?;
            }
            return Ok(None);
        }
        let packs = self.next_packs(tx)?;
        if packs.is_empty() {
            // A whole pass was not enough.
            let Some(bar) = self.left.bar(self.bytes, retention.bytes) else {
                // It has left what always stays, and nothing else.
                self.note(tx, WORTH_MAX, 0, &Left::default())?;
                return Ok(Some(Swept {
                    has_no_room: Some(unsigned(self.project)),
                    is_done: false,
                    ..Swept::default()
                }));
            };
            self.note(tx, bar, 0, &Left::default())?;
            return Ok(Some(Step::default().swept()));
        }
        let (mut step, mut next_pack) = (Step::until(retention, now), self.next_pack);
        let mut left = self.left.clone();
        for candidate in &packs {
            // By our clock: a sender's may say anything.
            let age_us = now.0.saturating_sub(candidate.created_at);
            self.sweep(tx, candidate, &mut step, |event| {
                let worth = match event.is_pinned {
                    true => PINNED,
                    false => event.worth(age_us),
                };
                let goes = worth < self.least_worth;
                if !goes {
                    left.count(worth, event.bytes);
                }
                goes
            })?;
            next_pack = candidate.id;
            if step.is_enough() {
                break;
            }
        }
        self.note(tx, self.least_worth, next_pack, &left)?;
        Ok(Some(step.swept()))
    }

    fn note(
        &self,
        tx: &Connection,
        least_worth: i64,
        next_pack: i64,
        left: &Left,
    ) -> Result<(), StoreError> {
        let left = serde_json::to_string(left);
        let left = left.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        tx.prepare_cached(
            "update spaces set least_worth = ?, next_pack = ?, left_bytes = ? where project = ?",
        )?
        .execute(params![
            least_worth.clamp(0, WORTH_MAX + 1),
            next_pack,
            left,
            self.project
        ])?;
        Ok(())
    }

    /// The next packs that were made before a time and not looked at for age yet.
    fn aged_packs(&self, tx: &Connection, until: u64) -> Result<Vec<Candidate>, StoreError> {
        let packs = tx
            .prepare_cached(
                "select id, created_at, raw_bytes, length(documents) from packs
                 where project = ? and (created_at, id) > (?, ?) and created_at < ?
                 order by created_at, id limit ?",
            )?
            .query_map(
                params![
                    self.project,
                    self.aged_at,
                    self.aged_pack,
                    sql(until),
                    STEP_PACKS
                ],
                Candidate::read,
            )?
            .collect::<Result<_, _>>()?;
        Ok(packs)
    }

    /// The next packs of a pass, in the order of their ids.
    fn next_packs(&self, tx: &Connection) -> Result<Vec<Candidate>, StoreError> {
        let packs = tx
            .prepare_cached(
                "select id, created_at, raw_bytes, length(documents) from packs
                 where project = ? and id > ? order by id limit ?",
            )?
            .query_map(
                params![self.project, self.next_pack, STEP_PACKS],
                Candidate::read,
            )?
            .collect::<Result<_, _>>()?;
        Ok(packs)
    }

    /// Drops those of a pack's events that go and are not pinned, and writes the pack anew where that
    /// gains something.
    fn sweep(
        &self,
        tx: &Connection,
        candidate: &Candidate,
        step: &mut Step,
        mut goes: impl FnMut(&Event) -> bool,
    ) -> Result<(), StoreError> {
        let events = self.events(tx, candidate.id)?;
        step.looked_at += events.len() as u64;
        let (gone, left): (Vec<Event>, Vec<Event>) = events
            .into_iter()
            .partition(|event| goes(event) && !event.is_pinned);
        if gone.is_empty() && !left.is_empty() {
            return Ok(());
        }
        for event in &gone {
            event.forget(tx, self.project)?;
            if let Some(trace) = event.trace {
                traces::release(tx, self.project, trace, step)?;
            }
        }
        let after = if left.is_empty() {
            tx.prepare_cached("delete from packs where id = ?")?
                .execute([candidate.id])?;
            0
        } else {
            rewrite(tx, candidate, &left)?
        };
        let freed = candidate.bytes.saturating_sub(after);
        tx.prepare_cached("update spaces set bytes = max(0, bytes - ?) where project = ?")?
            .execute(params![sql(freed), self.project])?;
        step.events += gone.len() as u64;
        step.bytes += freed;
        step.worked_bytes += u64::from(candidate.raw_bytes);
        Ok(())
    }

    fn events(&self, tx: &Connection, pack: i64) -> Result<Vec<Event>, StoreError> {
        let events = tx
            .prepare_cached(
                "select e.id, e.event, e.stack, e.at, e.bytes, e.ordinal,
                     e.why > 0 or e.event = i.latest_event, e.trace
                 from events e join issues i on i.id = e.issue
                 where e.id >= ?1 << 16 and e.id < (?1 + 1) << 16 order by e.id",
            )?
            .query_map([pack], |row| {
                Ok(Event {
                    number: row.get(0)?,
                    id: row.get(1)?,
                    stack: row.get(2)?,
                    at: row.get(3)?,
                    bytes: row.get(4)?,
                    ordinal: unsigned(row.get(5)?),
                    is_pinned: row.get(6)?,
                    trace: row.get(7)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(events)
    }
}

impl Event {
    /// How much it tells, as a number that only compares. One for each time that its age in hours has
    /// grown fourfold goes off, and one for each doubling of the events before it, unless its number is a
    /// round one.
    fn worth(&self, age_us: u64) -> i64 {
        let hours = age_us / HOUR_US;
        let age = i64::from((hours + 1).ilog2() / 2);
        let number = self.ordinal + 1;
        let commonness = i64::from(number.ilog2() - number.trailing_zeros());
        WORTH_MAX - age - commonness
    }

    /// Its id stays known, so that it never counts again.
    fn forget(&self, tx: &Connection, project: i64) -> Result<(), StoreError> {
        tx.prepare_cached("delete from events where id = ?")?
            .execute([self.number])?;
        tx.prepare_cached("update seen_events set event = null where project = ? and id = ?")?
            .execute(params![project, self.id])?;
        if let Some(stack) = self.stack {
            tx.prepare_cached("update stacks set kept = kept - 1 where id = ?")?
                .execute([stack])?;
            tx.prepare_cached("delete from stacks where id = ? and kept <= 0")?
                .execute([stack])?;
        }
        Ok(())
    }
}

/// Writes a pack with the documents that are left, and tells its size.
fn rewrite(tx: &Connection, candidate: &Candidate, left: &[Event]) -> Result<u64, StoreError> {
    let unpackable = |error: std::io::Error| {
        StoreError::Unavailable(format!("pack {} cannot be read: {error}", candidate.id))
    };
    let pack = tx
        .prepare_cached("select raw_bytes, documents from packs where id = ?")?
        .query_row([candidate.id], |row| {
            Ok(Pack {
                raw_bytes: row.get(0)?,
                documents: row.get(1)?,
            })
        })?;
    let documents = pack.expand().map_err(unpackable)?;
    let mut packer = Packer::default();
    let mut slots = Vec::new();
    for event in left {
        let (at, bytes) = (event.at as usize, event.bytes as usize);
        let document = documents.get(at..at + bytes);
        let document =
            document.ok_or_else(|| unpackable(std::io::ErrorKind::UnexpectedEof.into()))?;
        slots.push(packer.push_document(document).map_err(unpackable)?);
    }
    let packs = packer.finish().map_err(unpackable)?;
    // Less than what was one pack is one pack.
    let Some(pack) = packs.first().filter(|_| packs.len() == 1) else {
        return Ok(candidate.bytes);
    };
    tx.prepare_cached("update packs set documents = ?, raw_bytes = ? where id = ?")?
        .execute(params![pack.documents, pack.raw_bytes, candidate.id])?;
    for (event, slot) in left.iter().zip(slots) {
        tx.prepare_cached("update events set at = ? where id = ?")?
            .execute(params![slot.at, event.number])?;
    }
    Ok(pack.documents.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_of_a_pass_is_the_lowest_that_makes_enough_room() {
        let mut left = Left::default();
        for (worth, bytes) in [(49, 100), (50, 200), (51, 300), (PINNED, 400)] {
            left.count(worth, bytes);
        }

        assert_eq!(left.bar(1_000, 950), Some(50));
        assert_eq!(left.bar(1_000, 900), Some(50));
        assert_eq!(left.bar(1_000, 750), Some(51));
        // The half of it, though it takes a tenth of that where it is compressed.
        assert_eq!(left.bar(100, 50), Some(52));
        assert_eq!(left.bar(1_000, 1), Some(52), "all that may go");
        let left = Left(BTreeMap::from([(PINNED, 400)]));
        assert_eq!(left.bar(1_000, 1), None, "nothing may go");
        assert_eq!(Left::default().bar(0, 0), None);
    }
}
