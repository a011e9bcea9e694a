//! The one background thread: reads records, folds, resolves, cleans, seals, sends.
//!
//! In: records from [`crate::capture`], and what earlier runs left in [`crate::spool`]. Out: sealed
//! batches at the collector.
//! Never: a lock that a capturing thread waits for; changing a batch once it is sealed.
//!
//! ```text
//! queue ──► pending (one entry per kind) ─► batch ─► spool ─► outbox ─► collector
//! earlier runs ──────────────────────────────┘         └────────┘
//! ```
//!
//! A report waits a moment in `pending`, where its repeats are counted. The more often a kind of
//! report comes, the longer it waits, up to [`HOLD_MAX`]: a loop that always fails costs a few
//! bytes a second. Where the network is slow, sealed batches wait in files, and the oldest make room;
//! without a spool they wait in a short list, and when that is full nothing more is sealed, then
//! nothing more is read, then the queue is full, and there losses are counted.

mod pending;
mod symbolicate;
mod finish;
mod flush;
pub(crate) mod collect;
mod news;
mod origin;
mod outbox;
mod recover;
pub(crate) mod carrier;
#[cfg(feature = "http")]
mod http;
pub(crate) mod lines;
mod retry;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bugsage_core::batch::Sealed;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::Event;
use bugsage_core::id::BatchId;
use bugsage_core::limits;
use bugsage_core::remote::RemoteSettings;
use bugsage_core::span::Span;
use bugsage_core::stacktrace::Module;

use crate::capture::modules;
use crate::client::{self, Client, Stop};
use crate::context;
use crate::ledger::Reason;
use crate::spool::about::About;
use crate::spool::folder::{self, RunFolder};
use crate::spool::hours;
use crate::spool::{self, Opened, Settings};
use crate::ticks;
use crate::transport::Answer;

use carrier::{Carrier, Destination, Heard, Post, Trouble};
use finish::Finish;
use flush::Flushes;
use news::News;
use origin::{Origin, Outcome};
use outbox::Outbox;
use pending::{Due, Pending, Reports};
use retry::Retry;
use symbolicate::Spot;

/// A filter of the app's own.
pub(crate) type BeforeSend = Arc<dyn Fn(Event) -> Option<Event> + Send + Sync>;

/// The same for finished spans.
pub(crate) type BeforeSendSpan = Arc<dyn Fn(Span) -> Option<Span> + Send + Sync>;

/// The longest sleep, so that a lost wake-up costs a minute and not the report.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// How long somebody waits where nothing gets on and nothing is at stake: who flushes news of runs
/// alone, and a program that ends, with all of its reports on disk, while nobody is at the address. It
/// is tried twice in that time.
const STUCK_MAX: Duration = Duration::from_millis(500);

/// How long finished spans wait for more, so that they travel together.
const SPANS_HOLD: Duration = Duration::from_millis(100);

/// Pages of spans that need not wait: some thousands of spans.
const PAGES_AT_ONCE: usize = 256;

/// A sleep so short that no report needs to end it.
const NAP_MAX: Duration = Duration::from_millis(100);

/// How often in a row more runs that are over are looked for: often enough for all that a folder may
/// have, and not for ever where some cannot be worked with.
const LOOKS_MAX: usize = limits::SPOOL_RUNS_MAX / (limits::SPOOL_TAKEN_MAX / 2);

/// What the thread is given at its start.
pub(crate) struct Shipment {
    pub(crate) destination: Destination,
    pub(crate) about: About,
    pub(crate) before_send: Option<BeforeSend>,
    pub(crate) before_send_span: Option<BeforeSendSpan>,
    pub(crate) opened: Opened,
    pub(crate) settings: Settings,
    pub(crate) symbols_bytes_max: u64,
}

/// Starts the thread.
pub(crate) fn start(client: &'static Client, shipment: Shipment) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new().name("bugsage".to_owned());
    thread.spawn(move || {
        context::mark_thread_ours();
        // A fault of ours must not keep anybody waiting for this thread.
        let run = || runtime.block_on(Shipper::new(client, shipment).run());
        let _ = catch_unwind(AssertUnwindSafe(run));
        client.change_progress(|progress| progress.ended = true);
    })?;
    Ok(())
}

struct Shipper {
    client: &'static Client,
    /// Where batches go, in words that may be printed.
    destination: String,
    finish: Finish,
    carrier: Carrier,
    /// This run.
    own: Rc<Origin>,
    pending: Pending,
    /// Runs that are over and wait for somebody to look at them.
    dead: VecDeque<RunFolder>,
    /// Where more of them may appear, and when that was last looked at.
    home: Option<PathBuf>,
    looked_at: Instant,
    /// How often to look again at once, since there were more than could be taken at a time.
    looks_left: usize,
    /// What is loaded here, as it was a minute ago at most.
    modules: Vec<Arc<Module>>,
    outbox: Outbox,
    /// What is on its way to the collector.
    sending: Option<(Arc<Sealed>, Post)>,
    retry: Retry,
    /// Who waits for delivery: everything that was captured before goes out at once.
    flushes: Flushes,
    /// Since when nothing has got on, for a flush.
    stuck_since: Instant,
    /// Whether nobody was at the address when it was last tried.
    is_down: bool,
    /// What the collector asked for last.
    asked: RemoteSettings,
    /// Whether a trouble was told already.
    has_warned: bool,
    calibration: ticks::Calibration,
}

impl Shipper {
    fn new(client: &'static Client, shipment: Shipment) -> Self {
        let Shipment {
            destination,
            about,
            before_send,
            before_send_span,
            opened,
            settings,
            symbols_bytes_max,
        } = shipment;
        let own = Origin {
            about,
            books: client.ledger.books.clone(),
            folder: opened.own,
            is_own: true,
            is_packed: false.into(),
            news: News::new(hours::hour_of(client::now())),
        };
        Self {
            client,
            destination: format!("{destination:?}"),
            carrier: Carrier::new(destination),
            finish: Finish::new(client, before_send, before_send_span, symbols_bytes_max),
            own: Rc::new(own),
            pending: Pending::default(),
            dead: VecDeque::new(),
            looks_left: opened.home.as_ref().map_or(0, |_| LOOKS_MAX),
            home: opened.home,
            looked_at: Instant::now(),
            modules: Vec::new(),
            outbox: Outbox::new(settings.bytes_max, settings.age_max),
            sending: None,
            retry: Retry::default(),
            flushes: Flushes::default(),
            stuck_since: Instant::now(),
            is_down: false,
            asked: RemoteSettings::default(),
            has_warned: false,
            calibration: ticks::Calibration::default(),
        }
    }

    async fn run(mut self) {
        self.client.queue.warm();
        self.note_modules();
        loop {
            self.client.looking();
            let progress = self.client.progress();
            if progress.stop == Stop::Now {
                return;
            }
            if self.flushes.ask(progress.flush_wanted) {
                // Somebody is waiting: try now, unless the collector asked for a pause.
                self.retry.hurry();
                self.own.news.ask();
                self.stuck_since = Instant::now();
            }
            self.own.news.alive(&self.own.books.words, client::now());
            let is_ending = progress.stop == Stop::AfterFlush;
            self.note_flushed(is_ending);
            let everything = self.flushes.is_collecting() || is_ending;
            self.look_for_dead();
            if let Some(folder) = self.dead.pop_front() {
                self.recover(folder);
            }
            self.collect(everything);
            if self.pending.is_empty() {
                self.finish.symbolicator.rest();
            }
            self.bound();
            self.send(Instant::now());
            self.note_flushed(is_ending);
            let is_idle = self.is_idle();
            if is_ending && is_idle {
                self.leave();
            }
            if self.flushes.is_waiting() && (is_idle || self.is_stuck(progress.stop)) {
                let flushed = self.flushes.end();
                self.client
                    .change_progress(|progress| progress.flush_done = flushed);
                if is_ending {
                    return;
                }
            }
            if let Some((sealed, heard)) = self.wait().await {
                self.settle(&sealed, &heard);
            }
        }
    }

    /// Reads and seals what is due, or everything that there is.
    fn collect(&mut self, everything: bool) {
        // Where there is no room now, pages of spans stay where they are.
        let takes_all = everything && self.may_seal(true);
        self.read();
        self.read_pages(everything);
        self.seal(everything || self.client.queue.is_tight());
        // Where so many were pending that nothing more was read, each slot was one of theirs.
        let is_all = self.pending.is_empty() && self.dead.is_empty() && self.looks_left == 0;
        if takes_all && is_all {
            self.flushes.collected(self.outbox.pushed());
        }
    }

    /// Tells those who wait how far their flushes have got. Where the program ends nothing is captured any more, and
    /// all of them wait for idleness.
    fn note_flushed(&mut self, is_ending: bool) {
        if is_ending || !self.flushes.is_waiting() {
            return;
        }
        if let Some(flushed) = self.flushes.gone_before(self.outbox.oldest_number()) {
            self.client
                .change_progress(|progress| progress.flush_done = progress.flush_done.max(flushed));
        }
    }

    /// Reads what capturing threads left, as long as there is room for it.
    fn read(&mut self) {
        let run = &self.own.about.run;
        while !self.pending.is_full() {
            // Each with a time of its own: it is what they are sealed in order by.
            let add = |slot, record: &[u8]| self.pending.add(slot, record, run, Instant::now());
            if self.client.queue.drain(add) == 0 {
                return;
            }
        }
    }

    /// Takes the pages of spans that threads have written for long enough.
    fn read_pages(&mut self, everything: bool) {
        self.calibration.go_on();
        let now = ticks::note_epoch(&self.own.books.words);
        if !self.may_seal(everything) {
            return;
        }
        let Some((oldest, pages)) = self.client.queue.pages() else {
            return;
        };
        let is_due = now.saturating_sub(oldest) >= SPANS_HOLD.as_nanos() as u64;
        if everything || is_due || pages >= PAGES_AT_ONCE {
            let before = if everything { u64::MAX } else { now };
            for slot in self.client.queue.take_pages(before) {
                let page = self.client.queue.page(slot);
                self.pending.add_page(slot, page);
            }
        }
    }

    /// When the oldest page of spans is due.
    fn pages_due_at(&self, now: Instant) -> Option<Instant> {
        let (oldest, pages) = self.client.queue.pages()?;
        let age = Duration::from_nanos(ticks::now().saturating_sub(oldest));
        let left = SPANS_HOLD.saturating_sub(age);
        Some(if pages >= PAGES_AT_ONCE {
            now
        } else {
            now + left
        })
    }

    /// Whether what is due may be sealed; `everything` is where somebody waits, or room is needed.
    fn may_seal(&self, everything: bool) -> bool {
        self.outbox.has_room() && (everything || !self.outbox.is_behind())
    }

    /// Seals what is due; during a flush everything is.
    fn seal(&mut self, everything: bool) {
        self.finish.symbolicator.look_again();
        let prepare_span = self.finish.prepare_span();
        while self.may_seal(everything) {
            let (own, finish) = (&self.own, &mut self.finish);
            let mut prepare = |due: Due, reports: Reports| {
                let progress = || finish.client.progress();
                let give_up = || progress().is_past_symbols(Instant::now());
                let contexts = &own.about.contexts;
                finish.event(due, reports, contexts, &Spot::Here, &give_up)
            };
            let (id, now) = new_id(self.client);
            let packed = own.pack(
                &mut self.pending,
                everything,
                id,
                &mut prepare,
                &prepare_span,
            );
            let Some(packed) = packed else {
                return;
            };
            if let Some(parcel) = own.store(packed, now) {
                self.outbox.push(parcel);
            }
        }
    }

    /// Looks for runs that were killed meanwhile, from time to time.
    fn look_for_dead(&mut self) {
        let Some(home) = &self.home else { return };
        let room = limits::SPOOL_TAKEN_MAX.saturating_sub(self.outbox.dead_runs());
        // Not for each single one that is done with: it means to read the whole folder.
        if !self.dead.is_empty() || room < limits::SPOOL_TAKEN_MAX / 2 {
            return;
        }
        if self.looks_left > 0 {
            self.dead = spool::take_over(home, room).into();
            let is_all = self.dead.len() < room;
            self.looks_left = if is_all { 0 } else { self.looks_left - 1 };
        } else if self.looked_at.elapsed() >= SLEEP_MAX {
            self.looked_at = Instant::now();
            self.looks_left = LOOKS_MAX;
            self.note_modules();
        }
    }

    /// Notes for the next start where every module lies; at the start there was no time for it.
    fn note_modules(&mut self) {
        if self.home.is_none() {
            return;
        }
        self.modules = modules::loaded(usize::MAX);
        let Some(folder) = &self.own.folder else {
            return;
        };
        let about = About {
            modules: self.modules.clone(),
            ..self.own.about.clone()
        };
        // Where that fails there are the modules of the start.
        let _ = folder.write(folder::ABOUT, &about.to_bytes());
    }

    /// Drops what is more than the spool may hold.
    fn bound(&mut self) {
        let is_sending = self.sending.is_some();
        for origin in self.outbox.bound(is_sending, client::now()) {
            self.end_dead(&origin);
        }
    }

    /// All is delivered and nobody captures any more: leaves nothing behind but how it ended.
    fn leave(&self) {
        let Some(folder) = &self.own.folder else {
            return;
        };
        if let Some(home) = &self.home {
            spool::leave_mark(home, &self.own.about, self.client.ledger.how_it_ended());
        }
        folder.remove();
    }

    fn send(&mut self, now: Instant) {
        if self.sending.is_some() || !self.retry.may_try(now) {
            return;
        }
        let (sealed, damaged) = self.outbox.first();
        if let Some(sealed) = sealed {
            let post = self.carrier.post(sealed.clone());
            self.sending = Some((sealed, post));
        }
        for origin in damaged {
            self.end_dead(&origin);
        }
    }

    /// Waits for work, for an answer, or for the next thing that is due.
    async fn wait(&mut self) -> Option<(Arc<Sealed>, Heard)> {
        let now = Instant::now();
        let retry_at = self.retry.next_try().filter(|_| !self.outbox.is_empty());
        let due_at = self.pending.next_due().filter(|_| self.may_seal(false));
        let has_dead = !self.dead.is_empty() || (self.looks_left > 0 && self.outbox.is_empty());
        let dead_at = has_dead.then_some(now);
        let stuck_at = self.stuck_since.checked_add(STUCK_MAX);
        let is_safe = self.outbox.is_only_news() || self.is_down;
        let stuck_at = stuck_at.filter(|at| self.flushes.is_waiting() && is_safe && *at > now);
        let news_at = self.own.news.due_at();
        let pages_at = self.pages_due_at(now).filter(|_| self.may_seal(false));
        let clock_at = self.calibration.due_in().map(|left| now + left);
        let next = [
            retry_at, due_at, dead_at, stuck_at, news_at, pages_at, clock_at,
        ];
        let next = next.into_iter().flatten().min();
        let sleep = next
            .map_or(SLEEP_MAX, |at| at.saturating_duration_since(now))
            .min(SLEEP_MAX);
        // While the network is behind there is nothing to do about a report but to let it wait.
        if sleep <= NAP_MAX || !self.may_seal(false) {
            self.client.napping();
        }
        let mut sleep = std::pin::pin!(tokio::time::sleep(sleep));
        let mut work = std::pin::pin!(self.client.work.notified());
        std::future::poll_fn(|cx| {
            if let Some((sealed, post)) = &mut self.sending
                && let Poll::Ready(heard) = post.as_mut().poll(cx)
            {
                let answered = (sealed.clone(), heard);
                self.sending = None;
                return Poll::Ready(Some(answered));
            }
            if work.as_mut().poll(cx).is_ready() || sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Does what the answer says: the batch is done with, or waits with its bytes unchanged.
    fn settle(&mut self, sealed: &Sealed, heard: &Heard) {
        self.client.heard(&heard.pauses, client::now());
        if let Some(asked) = heard.asked
            && asked != self.asked
        {
            self.asked = asked;
            self.client.follow(asked);
        }
        self.is_down = heard.trouble.is_some_and(|trouble| trouble.is_down);
        let outcome = match heard.answer {
            Answer::Taken => {
                let rejected = heard
                    .rejected_items
                    .iter()
                    .map(|item| sealed.reports_of_item(*item));
                let rejected = rejected.sum::<u64>().min(sealed.reports);
                let spans = heard.rejected_items.iter();
                let spans = spans.filter(|item| sealed.is_span(**item)).count() as u64;
                let spans = spans.min(sealed.spans);
                Outcome {
                    delivered: sealed.reports - rejected,
                    spans_delivered: sealed.spans - spans,
                    ..Outcome::dropped(Reason::Rejected, rejected, spans)
                }
            }
            Answer::Refused => Outcome::dropped(Reason::Refused, sealed.reports, sealed.spans),
            Answer::Later { after } => {
                self.warn(heard.trouble);
                let jitter = self.client.random()[0];
                let patience = heard
                    .trouble
                    .map_or(Duration::ZERO, |trouble| trouble.patience);
                self.retry.failed(Instant::now(), after, patience, jitter);
                return;
            }
        };
        self.retry.succeeded();
        self.stuck_since = Instant::now();
        if let Some(origin) = self.outbox.settle_first(&outcome) {
            self.end_dead(&origin);
        }
    }

    /// Tells the first trouble that a person has to mend, once: somebody who has just set a DSN wants
    /// to know why nothing arrives.
    fn warn(&mut self, trouble: Option<Trouble>) {
        let Some(trouble) = trouble.filter(|_| !self.has_warned) else {
            return;
        };
        self.has_warned = true;
        // Not `eprintln!`, which panics where standard error is closed.
        let destination = &self.destination;
        let _ = writeln!(
            io::stderr(),
            "bugsage: nothing arrives at {destination}: {}",
            trouble.advice
        );
    }

    /// Whether a flush has waited long enough: only news of runs are left, or the program ends and
    /// all is on disk, and nobody takes it. It goes out at the next start, where there is a spool.
    fn is_stuck(&self, stop: Stop) -> bool {
        let is_kept = stop == Stop::AfterFlush && self.is_down && self.outbox.is_in_files();
        // Not those of further runs that are over: they wait for room in the outbox.
        self.client.queue.is_empty()
            && self.pending.is_empty()
            && self.dead.is_empty()
            && (self.outbox.is_only_news() || is_kept)
            && self.stuck_since.elapsed() >= STUCK_MAX
    }

    fn is_idle(&self) -> bool {
        self.client.queue.is_empty()
            && self.pending.is_empty()
            && self.dead.is_empty()
            && self.looks_left == 0
            && self.outbox.is_empty()
            && self.sending.is_none()
            && self.client.queue.pages().is_none()
    }
}

/// An id for a batch of this moment.
fn new_id(client: &Client) -> (BatchId, Timestamp) {
    let now = client::now();
    (BatchId::new(now, client.random()), now)
}
