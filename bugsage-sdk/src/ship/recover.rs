//! Ships what runs that are over have left in the spool.
//!
//! In: a locked folder. Out: batches in the outbox, with the run's own release, environment, times
//! and ids. Everything here may be killed and begun again: what it has done stands in the dead run's
//! own books.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bugsage_core::clock::Timestamp;
use bugsage_core::id::BatchId;
use bugsage_core::limits;
use bugsage_core::span::Span;
use bugsage_core::stacktrace::{Frame, Module};

use crate::client;
use crate::ledger::{Reason, Tally};
use crate::queue;
use crate::record::REST_BYTES;
use crate::spool::about::About;
use crate::spool::books::Books;
use crate::spool::dead::FileWords;
use crate::spool::fault;
use crate::spool::folder::{self, RunFolder};
use crate::spool::layout::{ATTEMPTS_AT, Header, WORDS_BYTES, Words};

use super::news::News;
use super::origin::{Origin, Parcel, Prepare, PrepareSpan, read_sealed};
use super::outbox::Outbox;
use super::pending::{Due, Pending, Reports};
use super::symbolicate::Spot;
use super::{Shipper, new_id};

/// How often somebody may begin with a run's records. A process that always dies over them, in a
/// filter of the app's own for one, must come to other things some day.
const ATTEMPTS_MAX: u64 = 16;

/// A run that is over.
pub(super) struct Dead {
    pub(super) origin: Rc<Origin>,
    /// Its batches that are not acknowledged.
    pub(super) parcels: Vec<Parcel>,
    /// Which attempt at its records this is, from 1.
    pub(super) attempt: u64,
}

impl Dead {
    /// Opens what a run has left, and brings it to where its books say it is. `None` where nothing is
    /// left, or where it cannot be worked with now.
    pub(super) fn open(folder: RunFolder) -> Option<Self> {
        let about = folder
            .read(folder::ABOUT, limits::SPOOL_ABOUT_BYTES_MAX)
            .ok();
        let about = about.and_then(|bytes| About::from_bytes(&bytes));
        let about = about.filter(|about| about.run.id == folder.run);
        let about = about.unwrap_or_else(|| About::unknown(folder.run));
        let batches = folder.batches();
        let words = match open_words(&folder) {
            Ok(words) => words,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
            Err(error) if error.kind() == io::ErrorKind::NotFound && batches.is_empty() => {
                // Killed while it was being removed.
                folder.remove();
                return None;
            }
            Err(_) => {
                let last = batches.last().map_or(0, |(number, _)| *number);
                start_anew(&folder, last)?
            }
        };
        let books = Books::open(words);
        let attempt = books.words.load(ATTEMPTS_AT).saturating_add(1);
        books.words.store(ATTEMPTS_AT, attempt);
        queue::unassign(&books.words, books.settled().batch);
        let origin = Rc::new(Origin {
            about,
            books: Arc::new(books),
            folder: Some(folder),
            is_own: false,
            is_packed: false.into(),
            news: News::new(0),
        });
        let parcels = parcels(&origin, batches).ok()?;
        Some(Self {
            origin,
            parcels,
            attempt,
        })
    }

    /// The records that are in no batch yet.
    pub(super) fn records(&self) -> Pending {
        let mut pending = Pending::default();
        let books = &self.origin.books;
        let Words::Dead(file) = &books.words else {
            return pending;
        };
        if self.attempt > ATTEMPTS_MAX {
            return pending;
        }
        for left in queue::left(&books.words, books.settled().batch) {
            let record = file.record(&left.slots, left.length);
            // A damaged one is counted when the books are squared.
            if left.is_page {
                let page = record.unwrap_or_default();
                pending.add_page(left.head, page);
                continue;
            }
            if let Ok(mut record) = record
                && record.len() == left.length
                && queue::check([&*record]) == left.check
            {
                record.resize(left.length + REST_BYTES, 0);
                pending.add(left.head, &record, &self.origin.about.run, Instant::now());
            }
        }
        pending
    }
}

impl Shipper {
    /// Takes in what a run that is over has left.
    pub(super) fn recover(&mut self, folder: RunFolder) {
        let Some(mut dead) = Dead::open(folder) else {
            return;
        };
        let origin = dead.origin.clone();
        // First what is sealed: it can be sent this very moment.
        dead.parcels
            .drain(..)
            .for_each(|parcel| self.outbox.push(parcel));
        self.send(Instant::now());
        let mut pending = dead.records();
        let (about, here, finish) = (&origin.about, &self.modules, &mut self.finish);
        let oldest = self.outbox.oldest(client::now());
        let prepare_span = finish.prepare_span();
        let mut prepare = |due: Due, reports: Reports| {
            if due.at() < oldest {
                return Err(Reason::SpoolExpired);
            }
            let progress = || finish.client.progress();
            // Whoever died over this before may have had no time for symbols.
            let give_up = || dead.attempt > 1 || progress().is_past_symbols(Instant::now());
            let spot = |address| spot(address, &about.modules, here);
            finish.event(due, reports, &about.contexts, &spot, &give_up)
        };
        let new_id = || new_id(self.client);
        let outbox = &mut self.outbox;
        let prepare_span = |span: Span| {
            if span.started_at < oldest {
                return Err(Reason::SpoolExpired);
            }
            prepare_span(span)
        };
        pack_all(
            &origin,
            &mut pending,
            outbox,
            &new_id,
            &mut prepare,
            &prepare_span,
        );
    }

    pub(super) fn end_dead(&mut self, origin: &Rc<Origin>) {
        let new_id = || new_id(self.client);
        end(origin, &mut self.outbox, &new_id);
    }
}

/// Packs all records of a run that is over, and squares its books.
pub(super) fn pack_all(
    origin: &Rc<Origin>,
    pending: &mut Pending,
    outbox: &mut Outbox,
    new_id: &dyn Fn() -> (BatchId, Timestamp),
    prepare: &mut Prepare<'_>,
    prepare_span: &PrepareSpan<'_>,
) {
    loop {
        let (id, now) = new_id();
        let Some(packed) = origin.pack(pending, true, id, prepare, prepare_span) else {
            break;
        };
        if let Some(parcel) = origin.store(packed, now) {
            outbox.push(parcel);
        }
    }
    square(origin, outbox);
    end(origin, outbox, new_id);
}

/// Tells the losses of a run that is over and how it ended, and removes its folder once nothing is left to send.
pub(super) fn end(
    origin: &Rc<Origin>,
    outbox: &mut Outbox,
    new_id: &dyn Fn() -> (BatchId, Timestamp),
) {
    if origin.is_own || !origin.is_packed.get() || outbox.has_any_of(origin) {
        return;
    }
    if origin.has_news() {
        let (id, now) = new_id();
        let mut none = |_: Due, _: Reports| Err(Reason::Unreadable);
        let packed = origin.pack(&mut Pending::default(), true, id, &mut none, &Ok);
        if let Some(parcel) = packed.and_then(|packed| origin.store(packed, now)) {
            outbox.push(parcel);
            return;
        }
    }
    if let Some(folder) = &origin.folder {
        folder.remove();
    }
}

/// All that could be packed is packed: what was produced and is found nowhere is lost.
fn square(origin: &Rc<Origin>, outbox: &Outbox) {
    let books = &origin.books;
    let settled = books.settled();
    let lost = books.lost(&Tally::default()).total();
    let found = settled.delivered.saturating_add(lost);
    let (reports, spans) = outbox.reports_and_spans_of(origin);
    let found = found.saturating_add(reports);
    let missing = books.produced().saturating_sub(found);
    let spans_lost = books.spans_lost(&Tally::default()).total();
    let spans_found = settled.spans_delivered.saturating_add(spans_lost);
    let spans_found = spans_found.saturating_add(spans);
    let spans_missing = books.spans_counted().saturating_sub(spans_found);
    if missing > 0 || spans_missing > 0 {
        books.commit(|settled| {
            settled.dropped.add(Reason::SpoolCorrupt, missing);
            settled
                .spans_dropped
                .add(Reason::SpoolCorrupt, spans_missing);
        });
    }
    if let Words::Dead(file) = &books.words {
        file.cut_records();
        fault::point();
    }
    origin.is_packed.set(true);
}

/// Where an address of a dead run lies: in this process, where that has the very same module.
pub(super) fn spot(address: u64, dead: &[Arc<Module>], here: &[Arc<Module>]) -> Spot {
    let offset_in = |module: &Module| {
        let offset = address.checked_sub(module.base)?;
        (offset < module.size).then_some(offset)
    };
    let found = dead
        .iter()
        .find_map(|module| Some((module, offset_in(module)?)));
    let Some((module, offset)) = found else {
        return Spot::Elsewhere(Frame {
            address,
            ..Frame::default()
        });
    };
    let is_same =
        |loaded: &&Arc<Module>| !module.build_id.is_empty() && loaded.build_id == module.build_id;
    match here.iter().find(is_same) {
        Some(loaded) => Spot::Here(loaded.base.wrapping_add(offset)),
        None => Spot::Elsewhere(Frame {
            address: offset,
            module: Some(module.clone()),
            ..Frame::default()
        }),
    }
}

fn open_words(folder: &RunFolder) -> io::Result<Words> {
    let words = Words::Dead(FileWords::read(folder.records()?)?);
    match Header::read(&words) {
        Some(header) if header.run == folder.run => Ok(words),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Opens new books for a run whose own cannot be read: its batches go out, and what its records
/// were nobody knows, so they count as one loss.
fn start_anew(folder: &RunFolder, last_batch: u64) -> Option<Words> {
    // Not an array: that would be a constant of this size in every app.
    folder.write(folder::RECORDS, &vec![0; WORDS_BYTES]).ok()?;
    let words = Words::Dead(FileWords::read(folder.records().ok()?).ok()?);
    Books::open(words).lose_all(last_batch, folder.run)
}

/// The run's batches, without those that never counted or that are done with.
/// An error is of the moment: nothing was decided.
fn parcels(origin: &Rc<Origin>, batches: Vec<(u64, SystemTime)>) -> io::Result<Vec<Parcel>> {
    let settled = origin.books.settled();
    let mut parcels = Vec::new();
    let Some(folder) = &origin.folder else {
        return Ok(parcels);
    };
    for (number, at) in batches {
        if number > settled.batch || number == settled.gone {
            folder.remove_batch(number);
            continue;
        }
        match read_sealed(folder, number)? {
            Some(sealed) => {
                let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
                let at = Timestamp(at.as_micros() as u64);
                parcels.push(Parcel::found(origin, number, &sealed, at));
            }
            // What was in it is counted when the books are squared; had it told losses, they are
            // told again.
            None => {
                origin.books.commit(|settled| {
                    settled.told = 0;
                    settled.ended_told = 0;
                });
                folder.remove_batch(number);
            }
        }
    }
    Ok(parcels)
}
