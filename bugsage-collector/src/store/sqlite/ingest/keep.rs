//! Keeps whole events: their documents in packs, their stacks once.

use std::io;

use rusqlite::{Connection, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::scrub;

use crate::store::StoreError;
use crate::store::model::{GroupedBatch, GroupedEvent};
use crate::store::pack::StoredStack;
use crate::store::pack::{self, Pack, Packer};

use super::super::sql;
use super::cache::Cache;
use super::lookup::Place;
use super::tally::Tally;

/// Bits of an event's number that are its place in the pack.
const PLACE_BITS: u32 = 16;

/// Writes the events of one batch.
pub(super) struct Keeper<'a> {
    tx: &'a Connection,
    project: u64,
    received_at: Timestamp,
    /// The packs of the batch.
    packs: Vec<Stored>,
}

/// A pack that was stored.
struct Stored {
    id: i64,
    bytes: u64,
    /// How many of its events were kept.
    kept: u32,
}

impl<'a> Keeper<'a> {
    pub(super) fn begin(
        tx: &'a Connection,
        project: u64,
        batch: &GroupedBatch,
    ) -> Result<Self, StoreError> {
        let mut keeper = Self {
            tx,
            project,
            received_at: batch.received_at,
            packs: Vec::new(),
        };
        for pack in &batch.packs {
            let stored = keeper.store(pack)?;
            keeper.packs.push(stored);
        }
        Ok(keeper)
    }

    /// The number of an event that was chosen to be kept.
    pub(super) fn number(&self, grouped: &GroupedEvent) -> Option<i64> {
        let slot = grouped.document?;
        let pack = self.packs.get(slot.pack as usize)?;
        Some(pack.id << PLACE_BITS | i64::from(slot.place))
    }

    /// Keeps an event. Where nobody has chosen it before, it is packed alone.
    pub(super) fn keep(
        &mut self,
        cache: &mut Cache,
        tally: &mut Tally,
        grouped: &GroupedEvent,
        number: Option<i64>,
        place: Place,
    ) -> Result<(), StoreError> {
        let stack = match &grouped.stack {
            Some(stack) => {
                let id = store_stack(self.tx, cache, self.project, stack)?;
                *tally.stacks.entry(id).or_default() += 1;
                Some(id)
            }
            None => None,
        };
        let (number, at, bytes) = match (number, grouped.document) {
            (Some(number), Some(slot)) => {
                if let Some(pack) = self.packs.get_mut(slot.pack as usize) {
                    pack.kept += 1;
                }
                (number, slot.at, slot.bytes)
            }
            _ => self.keep_alone(grouped, tally)?,
        };
        let event = &grouped.event;
        self.tx
            .prepare_cached(
                "insert into events (id, project, issue, event, first_at, reports, stack, at, bytes, why,
                     ordinal, trace, fingerprint)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                number,
                sql(self.project),
                place.issue,
                event.id.to_bytes(),
                sql(event.first_at.0),
                sql(event.count),
                stack,
                at,
                bytes,
                place.why,
                sql(place.ordinal),
                event.trace.map(|trace| trace.id.to_bytes()),
                grouped.fingerprints.first().map(ToString::to_string),
            ])?;
        Ok(())
    }

    fn keep_alone(
        &self,
        grouped: &GroupedEvent,
        tally: &mut Tally,
    ) -> Result<(i64, u32, u32), StoreError> {
        let mut event = grouped.event.clone();
        scrub::event(&mut event);
        let mut packer = Packer::default();
        let slot = packer.push(&event).map_err(unpackable)?;
        let packs = packer.finish().map_err(unpackable)?;
        let mut number = 0;
        for pack in &packs {
            let stored = self.store(pack)?;
            number = stored.id << PLACE_BITS;
            *tally.spaces.entry(self.project).or_default() += stored.bytes;
        }
        self.tx
            .prepare_cached("update seen_events set event = ? where project = ? and id = ?")?
            .execute(params![number, sql(self.project), event.id.to_bytes()])?;
        Ok((number, slot.at, slot.bytes))
    }

    fn store(&self, pack: &Pack) -> Result<Stored, StoreError> {
        self.tx
            .prepare_cached(
                "insert into packs (project, created_at, raw_bytes, documents) values (?, ?, ?, ?)",
            )?
            .execute(params![
                sql(self.project),
                sql(self.received_at.0),
                pack.raw_bytes,
                pack.documents,
            ])?;
        Ok(Stored {
            id: self.tx.last_insert_rowid(),
            bytes: pack.documents.len() as u64,
            kept: 0,
        })
    }

    /// Drops packs of which nothing was kept: all of it was there before.
    pub(super) fn end(self, tally: &mut Tally) -> Result<(), StoreError> {
        for pack in &self.packs {
            if pack.kept == 0 {
                self.tx
                    .prepare_cached("delete from packs where id = ?")?
                    .execute([pack.id])?;
            } else {
                *tally.spaces.entry(self.project).or_default() += pack.bytes;
            }
        }
        Ok(())
    }
}

fn store_stack(
    tx: &Connection,
    cache: &mut Cache,
    project: u64,
    stack: &StoredStack,
) -> Result<i64, StoreError> {
    if let Some(id) = cache.stack(project, stack.hash) {
        return Ok(id);
    }
    let mut find = tx.prepare_cached("select id from stacks where project = ? and hash = ?")?;
    let mut rows = find.query(params![sql(project), stack.hash])?;
    let id = match rows.next()? {
        Some(row) => row.get(0)?,
        None => {
            let document =
                serde_json::to_vec(&*stack.stack).map_err(|error| unpackable(error.into()))?;
            let document = pack::compress(&document).map_err(unpackable)?;
            tx.prepare_cached("insert into stacks (project, hash, document) values (?, ?, ?)")?
                .execute(params![sql(project), stack.hash, document])?;
            tx.last_insert_rowid()
        }
    };
    cache.set_stack(project, stack.hash, id);
    Ok(id)
}

fn unpackable(error: io::Error) -> StoreError {
    StoreError::Unavailable(format!("an event cannot be packed: {error}"))
}
