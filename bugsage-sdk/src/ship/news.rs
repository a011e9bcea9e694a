//! When the collector is told how a run is doing.
//!
//! At the start, so that a run is known that never fails; with every hour, which also says that it
//! lives; where somebody flushes and there is something new; and at its end, by itself or by whoever
//! finds what it left. News ride on a batch that goes out anyway, where one does.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Ended, Run, RunState};

use crate::spool::books::Books;
use crate::spool::hours;
use crate::spool::layout::{ALIVE_AT, STARTED_AT, Words};
use crate::spool::{ended_of, ended_of_dead};

/// How long a run waits for something to ride on before it tells that it has begun: programs that
/// are over sooner tell beginning and end at once.
const BEGUN_AFTER: Duration = Duration::from_secs(1);

/// Whether somebody wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    No,
    IfNew,
    Anyway,
}

/// What was told of a run, and what is wanted.
pub(super) struct News {
    wanted: Cell<Wanted>,
    told: RefCell<Option<RunState>>,
    /// The hour that the pages are to be turned to, once that was told.
    hour: Cell<u64>,
    begun_at: Instant,
    /// Batches of nothing but news that wait, and those of them that wait in memory.
    waiting: Cell<u32>,
    waiting_in_memory: Cell<u32>,
}

impl News {
    pub(super) fn new(hour: u64) -> Self {
        Self {
            wanted: Cell::new(Wanted::No),
            told: RefCell::new(None),
            hour: Cell::new(hour),
            begun_at: Instant::now(),
            waiting: Cell::new(0),
            waiting_in_memory: Cell::new(0),
        }
    }

    /// Somebody flushes: tells what is new.
    pub(super) fn ask(&self) {
        if self.wanted.get() == Wanted::No {
            self.wanted.set(Wanted::IfNew);
        }
    }

    /// The run lives: notes when, and sees whether its hour or its beginning is to be told.
    pub(super) fn alive(&self, words: &Words, now: Timestamp) {
        words.store(ALIVE_AT, now.0);
        let hour = hours::hour_of(now);
        let has_begun = self.told.borrow().is_none() && self.begun_at.elapsed() >= BEGUN_AFTER;
        // One batch of news at a time waits in memory; reports need the room more.
        if (hour > self.hour.get() || has_begun) && self.waiting_in_memory.get() == 0 {
            self.hour.set(hour);
            self.wanted.set(Wanted::Anyway);
        }
    }

    /// When the beginning is to be told.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let is_told = self.told.borrow().is_some();
        let at = self.begun_at.checked_add(BEGUN_AFTER);
        at.filter(|_| !is_told && self.wanted.get() == Wanted::No)
    }

    /// What to tell of this run now, with other news or alone.
    pub(super) fn of_own(&self, words: &Words, run: &Arc<Run>, rides: bool) -> Option<RunState> {
        let wanted = self.wanted.replace(Wanted::No);
        let is_first = self.told.borrow().is_none();
        if wanted == Wanted::No && !(rides && is_first) {
            return None;
        }
        let state = state(words, run, ended_of(words));
        let is_over = state.ended != Ended::Running;
        if wanted == Wanted::IfNew && self.waiting.get() > 0 && !rides && !is_over {
            // An app that flushes often while nobody answers: one is enough until the hour is over.
            return None;
        }
        let is_new = self
            .told
            .borrow()
            .as_ref()
            .is_none_or(|told| (told.ended, &told.hours) != (state.ended, &state.hours));
        if !is_new && wanted != Wanted::Anyway {
            return None;
        }
        self.told.replace(Some(state.clone()));
        Some(state)
    }

    /// What to tell of a run that is over, unless that was told before.
    pub(super) fn of_dead(&self, books: &Books, run: &Arc<Run>) -> Option<RunState> {
        let ended = ended_of_dead(&books.words);
        let is_booked = books.settled().ended_told == told_number(ended);
        // What cannot be written is booked once it was answered: it must not be packed again till then.
        if is_booked || self.told.borrow().is_some() {
            return None;
        }
        let state = state(&books.words, run, ended);
        self.told.replace(Some(state.clone()));
        Some(state)
    }

    /// What was told is safe: the page may be turned to a new hour.
    pub(super) fn is_safe(&self, words: &Words) {
        if let Some(told) = &*self.told.borrow() {
            hours::turn(words, &told.hours, self.hour.get());
        }
    }

    /// What was told is lost: it is told again.
    pub(super) fn forget(&self) {
        self.told.replace(None);
    }

    /// A batch of nothing but news waits.
    pub(super) fn waits(&self, in_memory: bool) {
        self.waiting.set(self.waiting.get() + 1);
        let more = self.waiting_in_memory.get() + u32::from(in_memory);
        self.waiting_in_memory.set(more);
    }

    /// A batch of nothing but news is done with.
    pub(super) fn went(&self, from_memory: bool) {
        self.waiting.set(self.waiting.get().saturating_sub(1));
        let left = self.waiting_in_memory.get();
        self.waiting_in_memory
            .set(left.saturating_sub(u32::from(from_memory)));
    }
}

/// How the books say what was told last; zero is nothing.
pub(super) fn told_number(ended: Ended) -> u64 {
    u64::from(ended.number()) + 1
}

fn state(words: &Words, run: &Arc<Run>, ended: Ended) -> RunState {
    RunState {
        run: run.clone(),
        ended,
        alive_at: Timestamp(words.load(ALIVE_AT).max(words.load(STARTED_AT))),
        hours: hours::read(words),
    }
}
