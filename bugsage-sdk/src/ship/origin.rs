//! A run whose reports are shipped: this one, or one that is over.
//!
//! Packs reports into batches, makes them safe, and books what became of them, in the order that
//! [`crate::spool`] explains.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bugsage_core::batch::{BatchBuilder, Sealed};
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, RunState};
use bugsage_core::id::BatchId;
use bugsage_core::span::Span;

use crate::fold::{self, Ticket};
use crate::ledger::{Reason, Tally};
use crate::queue;
use crate::record::RECORD_BYTES;
use crate::spans::finished;
use crate::spool;
use crate::spool::about::About;
use crate::spool::books::{Books, Settled};
use crate::spool::fault;
use crate::spool::folder::RunFolder;
use crate::spool::layout::{EPOCH_OFFSET_AT, SLOT_BYTES};

use super::news::{self, News};
use super::pending::{Due, Pending, Reports};

pub(super) struct Origin {
    pub(super) about: About,
    pub(super) books: Arc<Books>,
    /// Where its batches are kept; `None` where there is no spool.
    pub(super) folder: Option<RunFolder>,
    pub(super) is_own: bool,
    /// Whether nothing more will be packed, but for losses.
    pub(super) is_packed: Cell<bool>,
    pub(super) news: News,
}

/// Reports that became a batch, or were dropped on the way to it.
pub(super) struct Packed {
    sealed: Option<Sealed>,
    rest: Unbooked,
}

/// What has to be booked together with a batch.
#[derive(Default)]
struct Unbooked {
    tally: Tally,
    /// How many losses the batch tells, where it tells them.
    told: Option<u64>,
    /// How the run ended, where the batch tells that.
    ended_told: Option<u64>,
    slots: Vec<u16>,
    tickets: Vec<Ticket>,
    pages: Vec<u16>,
    /// How many spans the pages have, those that are dropped among them.
    spans: u64,
    span_tally: Tally,
}

/// A batch on its way.
pub(super) struct Parcel {
    pub(super) origin: Rc<Origin>,
    /// The how manieth it is in the outbox, from 1; 0 before it is there.
    pub(super) number: u64,
    pub(super) reports: u64,
    pub(super) spans: u64,
    pub(super) size_bytes: u64,
    pub(super) sealed_at: Timestamp,
    /// Whether it holds nothing but how a run is doing.
    pub(super) is_news: bool,
    /// The batch itself, unless only its file has it.
    pub(super) sealed: Option<Arc<Sealed>>,
    keep: Keep,
}

/// What makes a batch survive the process.
enum Keep {
    /// Its file, by number.
    File(u64),
    /// Nothing.
    Memory,
    /// Its file could not be written: its records stay where they are until somebody has it.
    Records(Box<Unbooked>),
}

/// What became of a batch, in numbers of reports and of spans.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) delivered: u64,
    pub(super) dropped: Tally,
    pub(super) spans_delivered: u64,
    pub(super) spans_dropped: Tally,
}

impl Outcome {
    /// All of it is lost.
    pub(super) fn dropped(reason: Reason, reports: u64, spans: u64) -> Self {
        let mut outcome = Self::default();
        outcome.dropped.add(reason, reports);
        outcome.spans_dropped.add(reason, spans);
        outcome
    }

    fn book(&self, settled: &mut Settled) {
        settled.delivered += self.delivered;
        settled.dropped.add_all(&self.dropped);
        settled.spans_delivered += self.spans_delivered;
        settled.spans_dropped.add_all(&self.spans_dropped);
    }
}

/// Ships a report, or says why not.
pub(super) type Prepare<'a> = dyn FnMut(Due, Reports) -> Result<Event, Reason> + 'a;

/// Ships a span, or says why not.
pub(super) type PrepareSpan<'a> = dyn Fn(Span) -> Result<Span, Reason> + 'a;

impl Origin {
    /// How the run is doing, where that is to be told now. `rides` is whether other news go out.
    fn news_of_run(&self, rides: bool) -> Option<RunState> {
        let run = &self.about.run;
        if self.is_own {
            self.news.of_own(&self.books.words, run, rides)
        } else {
            self.news.of_dead(&self.books, run)
        }
    }

    /// Packs what is due; `None` where nothing is. With `everything`, also what is not due yet, and
    /// news of losses even where there is nothing else to send.
    pub(super) fn pack(
        &self,
        pending: &mut Pending,
        everything: bool,
        id: BatchId,
        prepare: &mut Prepare<'_>,
        prepare_span: &PrepareSpan<'_>,
    ) -> Option<Packed> {
        let now = Instant::now();
        let mut batch = BatchBuilder::new();
        let mut rest = Unbooked::default();
        for slot in pending.take_unreadable() {
            rest.tally.add(Reason::Unreadable, 1);
            rest.slots.push(slot);
        }
        while batch.is_empty() || batch.fits(RECORD_BYTES * 2) {
            let Some(due) = pending.take_due(now, everything) else {
                break;
            };
            let reports = due.reports(&self.books.words);
            rest.slots.extend_from_slice(&due.slots);
            rest.tickets.extend_from_slice(&due.tickets);
            let count = reports.count;
            match prepare(due, reports) {
                // A filter may have changed the count; the account goes by ours.
                Ok(event) => batch.push(&Event { count, ..event }),
                Err(reason) => rest.tally.add(reason, count),
            }
        }
        // Never beside reports: where there is too much of both, spans go first.
        if batch.is_empty() {
            self.pack_spans(pending, &mut batch, &mut rest, prepare_span);
        }
        self.tell_losses(everything, &mut batch, &mut rest);
        if let Some(state) = self.news_of_run(!batch.is_empty()) {
            batch.push_run_state(&state);
            rest.ended_told = Some(news::told_number(state.ended));
        }
        if batch.is_empty() && rest.slots.is_empty() && rest.pages.is_empty() {
            return None;
        }
        let sealed = (!batch.is_empty()).then(|| batch.seal(id));
        Some(Packed { sealed, rest })
    }

    fn pack_spans(
        &self,
        pending: &mut Pending,
        batch: &mut BatchBuilder,
        rest: &mut Unbooked,
        prepare: &PrepareSpan<'_>,
    ) {
        let since_epoch = self.books.words.load(EPOCH_OFFSET_AT).cast_signed();
        while batch.fits(SLOT_BYTES * 4)
            && let Some((slot, page)) = pending.take_page()
        {
            let counted = u64::from(queue::spans_of(&self.books.words, slot));
            let spans = finished::read(&page, &self.about.run, since_epoch);
            let missing = counted.saturating_sub(spans.len() as u64);
            rest.span_tally.add(Reason::Unreadable, missing);
            rest.spans += counted.max(spans.len() as u64);
            rest.pages.push(slot);
            for span in spans {
                match prepare(span) {
                    Ok(span) => batch.push_span(&span),
                    Err(reason) => rest.span_tally.add(reason, 1),
                }
            }
        }
    }

    fn tell_losses(&self, everything: bool, batch: &mut BatchBuilder, rest: &mut Unbooked) {
        let (books, run) = (&self.books, self.about.run.id);
        let reports = books.lost(&rest.tally).total();
        let spans = books.spans_lost(&rest.span_tally).total();
        let lost = reports.saturating_add(spans);
        let has_news = lost > books.settled().told;
        if !has_news || (!everything && batch.is_empty()) {
            return;
        }
        if reports > 0 {
            batch.push_losses(&books.losses(run, &rest.tally));
        }
        if spans > 0 {
            batch.push_span_losses(&books.span_losses(run, &rest.span_tally, rest.spans));
        }
        rest.told = Some(lost);
    }

    /// Makes a batch safe and books it. `None` where there is nothing to send.
    pub(super) fn store(self: &Rc<Self>, packed: Packed, now: Timestamp) -> Option<Parcel> {
        let Packed { sealed, rest } = packed;
        let number = self.books.settled().batch + 1;
        let mut keep = Keep::Memory;
        let written = match (&self.folder, &sealed) {
            (Some(folder), Some(sealed)) => {
                keep = Keep::File(number);
                folder.write_batch(number, &sealed.bytes)
            }
            _ => Ok(()),
        };
        match written {
            Ok(()) => {
                self.book(number, &rest, &Outcome::default());
                if self.is_own && rest.ended_told.is_some() {
                    self.news.is_safe(&self.books.words);
                }
            }
            Err(_) => keep = Keep::Records(Box::new(rest)),
        }
        let is_news = sealed.as_ref().is_some_and(is_news);
        if is_news {
            self.news.waits(!matches!(keep, Keep::File(_)));
        }
        sealed.map(|sealed| Parcel {
            origin: self.clone(),
            number: 0,
            is_news,
            reports: sealed.reports,
            spans: sealed.spans,
            size_bytes: sealed.bytes.len() as u64,
            sealed_at: now,
            sealed: Some(Arc::new(sealed)),
            keep,
        })
    }

    /// Books a batch with all that belongs to it, and frees the records.
    fn book(&self, number: u64, rest: &Unbooked, outcome: &Outcome) {
        queue::assign(&self.books.words, &rest.slots, number);
        queue::assign(&self.books.words, &rest.pages, number);
        fault::point();
        self.books.commit(|settled| {
            settled.batch = number;
            settled.dropped.add_all(&rest.tally);
            settled.spans_packed += rest.spans;
            settled.spans_dropped.add_all(&rest.span_tally);
            outcome.book(settled);
            settled.told = rest.told.unwrap_or(settled.told);
            settled.ended_told = rest.ended_told.unwrap_or(settled.ended_told);
        });
        queue::release(&self.books.words, &rest.slots);
        fault::point();
        queue::release_pages(&self.books.words, &rest.pages);
        fault::point();
        for ticket in &rest.tickets {
            fold::release(&self.books.words, *ticket);
        }
    }

    /// Whether something about a run that is over is still to be told: what was lost, or how it ended.
    pub(super) fn has_news(&self) -> bool {
        let settled = self.books.settled();
        let ended = spool::ended_of_dead(&self.books.words);
        let lost = self.books.lost(&Tally::default()).total();
        let spans_lost = self.books.spans_lost(&Tally::default()).total();
        lost.saturating_add(spans_lost) > settled.told
            || settled.ended_told != news::told_number(ended)
    }
}

/// Whether a batch holds nothing but how a run is doing.
fn is_news(sealed: &Sealed) -> bool {
    sealed.reports == 0 && sealed.spans == 0 && !sealed.tells_losses
}

/// Reads a batch from its file. `None` where that is damaged or gone; an error is of the moment.
pub(super) fn read_sealed(folder: &RunFolder, number: u64) -> io::Result<Option<Sealed>> {
    match folder.read_batch(number) {
        Ok(bytes) => Ok(Sealed::read(bytes).ok()),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::InvalidData | ErrorKind::FileTooLarge => Ok(None),
            _ => Err(error),
        },
    }
}

impl Parcel {
    /// A batch that was found in the spool.
    pub(super) fn found(
        origin: &Rc<Origin>,
        number: u64,
        sealed: &Sealed,
        sealed_at: Timestamp,
    ) -> Self {
        Self {
            origin: origin.clone(),
            number: 0,
            is_news: is_news(sealed),
            reports: sealed.reports,
            spans: sealed.spans,
            size_bytes: sealed.bytes.len() as u64,
            sealed_at,
            sealed: None,
            keep: Keep::File(number),
        }
    }

    pub(super) fn is_in_file(&self) -> bool {
        matches!(self.keep, Keep::File(_))
    }

    /// The batch, from its file where need be. `None` where that is damaged or gone; an error is of
    /// the moment.
    pub(super) fn load(&self) -> io::Result<Option<Arc<Sealed>>> {
        if let Some(sealed) = &self.sealed {
            return Ok(Some(sealed.clone()));
        }
        let (Some(folder), Keep::File(number)) = (&self.origin.folder, &self.keep) else {
            return Ok(None);
        };
        let sealed = read_sealed(folder, *number)?;
        let is_it = |sealed: &Sealed| sealed.reports == self.reports && sealed.spans == self.spans;
        let sealed = sealed.filter(is_it);
        Ok(sealed.map(Arc::new))
    }

    /// Books what became of the batch; from here on nobody sends it again.
    pub(super) fn settle(self, outcome: &Outcome) {
        let books = &self.origin.books;
        if self.is_news {
            self.origin.news.went(!self.is_in_file());
        }
        match self.keep {
            Keep::File(number) => {
                books.commit(|settled| {
                    outcome.book(settled);
                    settled.gone = number;
                });
                if let Some(folder) = &self.origin.folder {
                    folder.remove_batch(number);
                }
            }
            Keep::Memory => books.commit(|settled| outcome.book(settled)),
            Keep::Records(rest) => {
                let number = books.settled().batch + 1;
                self.origin.book(number, &rest, outcome);
            }
        }
    }
}
