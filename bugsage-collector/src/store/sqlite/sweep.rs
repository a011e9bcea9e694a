//! Makes room: whole events go, counts stay for ever.
//!
//! Two rules, both in small steps between batches. Events older than a project's days go. Where a project
//! has more bytes than its budget, those that tell least go first: passes over its packs, each with a
//! higher bar, until there is room. What an event is worth falls with its age, and with how many of its
//! issue were kept before it; of these, round numbers stay, so that what is left is spread evenly (the
//! idea is Bugsink's).
//!
//! Never swept are the first event of an issue, its latest, the first in each release and environment, and
//! the first after it was resolved. Where these alone are more than the budget, it is said.

use rusqlite::{Connection, params};

use bugsage_core::clock::Timestamp;

use crate::store::StoreError;
use crate::store::model::{Retention, Swept};
use crate::store::pack::{Pack, Packer};

use super::{sql, unsigned};

/// Bytes of documents that one step goes through: some ten milliseconds.
const STEP_BYTES: u64 = 1 << 20;

/// Packs that one step looks at, however small they are.
const STEP_PACKS: u32 = 64;

/// What an event is worth at most: new, and the first of its issue.
const WORTH_MAX: i64 = 64;

/// Free pages of 4 KiB that stay in the file, to be used again soon.
const FREE_PAGES: i64 = 1_024;

/// Free pages that one step gives back to the disk.
const STEP_PAGES: i64 = 512;

const HOUR_US: u64 = 3_600_000_000;

/// One step: for the first project that has something to do.
pub(super) fn step(
    tx: &Connection,
    retention: Retention,
    now: Timestamp,
) -> Result<Swept, StoreError> {
    let spaces: Vec<Space> = tx
        .prepare_cached("select project, bytes, aged_pack, least_worth, next_pack from spaces")?
        .query_map([], |row| {
            Ok(Space {
                project: row.get(0)?,
                bytes: unsigned(row.get(1)?),
                aged_pack: row.get(2)?,
                least_worth: row.get(3)?,
                next_pack: row.get(4)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    for space in spaces {
        let swept = match space.age(tx, retention, now)? {
            Some(swept) => Some(swept),
            None => space.thin(tx, retention, now)?,
        };
        if let Some(swept) = swept {
            return Ok(swept);
        }
    }
    Ok(Swept::default())
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
    aged_pack: i64,
    least_worth: i64,
    next_pack: i64,
}

/// A pack that is looked at.
struct Candidate {
    id: i64,
    created_at: u64,
    pack: Pack,
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
}

impl Space {
    /// Sweeps what is too old. `None` where nothing is.
    fn age(
        &self,
        tx: &Connection,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Option<Swept>, StoreError> {
        let until = now
            .0
            .saturating_sub(u64::from(retention.days) * 24 * HOUR_US);
        let packs = self.packs(tx, self.aged_pack, until)?;
        let Some(last) = packs.last() else {
            return Ok(None);
        };
        let mut swept = Swept {
            is_done: false,
            ..Swept::default()
        };
        for candidate in &packs {
            self.sweep(tx, candidate, &mut swept, |_| true)?;
        }
        tx.prepare_cached("update spaces set aged_pack = ? where project = ?")?
            .execute(params![last.id, self.project])?;
        Ok(Some(swept))
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
                self.note(tx, self.least_worth - 1, 0)?;
            }
            return Ok(None);
        }
        let packs = self.packs(tx, self.next_pack, u64::MAX)?;
        let Some(last) = packs.last() else {
            // A whole pass was not enough.
            if self.least_worth > WORTH_MAX {
                self.note(tx, WORTH_MAX, 0)?;
                return Ok(Some(Swept {
                    has_no_room: Some(unsigned(self.project)),
                    ..Swept::default()
                }));
            }
            self.note(tx, self.least_worth + 1, 0)?;
            return Ok(Some(Swept {
                is_done: false,
                ..Swept::default()
            }));
        };
        let mut swept = Swept {
            is_done: false,
            ..Swept::default()
        };
        for candidate in &packs {
            // By our clock: a sender's may say anything.
            let age_us = now.0.saturating_sub(candidate.created_at);
            self.sweep(tx, candidate, &mut swept, |event| {
                event.worth(age_us) < self.least_worth
            })?;
        }
        self.note(tx, self.least_worth, last.id)?;
        Ok(Some(swept))
    }

    fn note(&self, tx: &Connection, least_worth: i64, next_pack: i64) -> Result<(), StoreError> {
        tx.prepare_cached("update spaces set least_worth = ?, next_pack = ? where project = ?")?
            .execute(params![
                least_worth.clamp(0, WORTH_MAX + 1),
                next_pack,
                self.project
            ])?;
        Ok(())
    }

    /// The next packs of a step, in the order in which they were made.
    fn packs(
        &self,
        tx: &Connection,
        behind: i64,
        created_before: u64,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut select = tx.prepare_cached(
            "select id, created_at, raw_bytes, documents from packs
             where id > ? and project = ? and created_at < ? order by id limit ?",
        )?;
        let mut rows = select.query(params![
            behind,
            self.project,
            sql(created_before),
            STEP_PACKS
        ])?;
        let (mut packs, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let pack = Pack {
                raw_bytes: row.get(2)?,
                documents: row.get(3)?,
            };
            bytes += u64::from(pack.raw_bytes);
            packs.push(Candidate {
                id: row.get(0)?,
                created_at: unsigned(row.get(1)?),
                pack,
            });
            if bytes >= STEP_BYTES {
                break;
            }
        }
        Ok(packs)
    }

    /// Drops those of a pack's events that go and are not pinned, and writes the pack anew where that
    /// gains something.
    fn sweep(
        &self,
        tx: &Connection,
        candidate: &Candidate,
        swept: &mut Swept,
        goes: impl Fn(&Event) -> bool,
    ) -> Result<(), StoreError> {
        let events = self.events(tx, candidate.id)?;
        let (gone, left): (Vec<Event>, Vec<Event>) = events
            .into_iter()
            .partition(|event| !event.is_pinned && goes(event));
        if gone.is_empty() && !left.is_empty() {
            return Ok(());
        }
        for event in &gone {
            event.forget(tx, self.project)?;
        }
        swept.events += gone.len() as u64;
        let before = candidate.pack.documents.len() as u64;
        let after = if left.is_empty() {
            tx.prepare_cached("delete from packs where id = ?")?
                .execute([candidate.id])?;
            0
        } else {
            rewrite(tx, candidate, &left)?
        };
        swept.bytes += before.saturating_sub(after);
        tx.prepare_cached("update spaces set bytes = max(0, bytes - ?) where project = ?")?
            .execute(params![sql(before.saturating_sub(after)), self.project])?;
        Ok(())
    }

    fn events(&self, tx: &Connection, pack: i64) -> Result<Vec<Event>, StoreError> {
        let events = tx
            .prepare_cached(
                "select e.id, e.event, e.stack, e.at, e.bytes, e.ordinal,
                     e.why > 0 or e.event = i.latest_event
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
    let documents = candidate.pack.expand().map_err(unpackable)?;
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
        return Ok(candidate.pack.documents.len() as u64);
    };
    tx.prepare_cached("update packs set documents = ?, raw_bytes = ? where id = ?")?
        .execute(params![pack.documents, pack.raw_bytes, candidate.id])?;
    for (event, slot) in left.iter().zip(slots) {
        tx.prepare_cached("update events set at = ? where id = ?")?
            .execute(params![slot.at, event.number])?;
    }
    Ok(pack.documents.len() as u64)
}
