//! The one background thread: reads records, folds, resolves, cleans, seals, sends.
//!
//! In: records from [`crate::capture`]. Out: sealed batches at the collector.
//! Never: a lock that a capturing thread waits for; changing a batch once it is sealed.
//!
//! ```text
//! queue ─► pending (one entry per kind of report) ─► batch ─► sealed ─► collector
//! ```
//!
//! A report waits a moment in `pending`, where its repeats are counted. The more often a kind of
//! report comes, the longer it waits, up to [`HOLD_MAX`]: a loop that always fails costs a few
//! bytes a second. Where the network is slow, sealed batches wait in a short list; when that is
//! full nothing more is sealed, then nothing more is read, then the queue is full, and there
//! losses are counted.

mod pending;
mod symbolicate;
mod http;
mod retry;

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bugsage_core::batch::{BatchBuilder, Sealed};
use bugsage_core::dsn::Dsn;
use bugsage_core::event::{Event, Losses, Pairs, Run};
use bugsage_core::id::BatchId;
use bugsage_core::scrub;

use crate::client::{self, Client, Stop};
use crate::context;
use crate::ledger::Reason;

use http::{Answer, Http, Trouble};
use pending::{Due, Pending};
use retry::Retry;
use symbolicate::Symbolicator;

/// A filter of the app's own.
pub(crate) type BeforeSend = Box<dyn Fn(Event) -> Option<Event> + Send + Sync>;

/// Sealed batches that may wait for the network. Each has at most 768 KiB before compression.
const SEALED_MAX: usize = 16;

/// The longest sleep, so that a lost wake-up costs a minute and not the report.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What the thread is given at its start.
pub(crate) struct Shipment {
    pub(crate) dsn: Dsn,
    pub(crate) run: Arc<Run>,
    pub(crate) contexts: Pairs,
    pub(crate) before_send: Option<BeforeSend>,
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

type Sending = Pin<Box<dyn Future<Output = Answer>>>;

struct Shipper {
    client: &'static Client,
    shipment: Shipment,
    http: Http,
    symbolicator: Symbolicator,
    pending: Pending,
    sealed: VecDeque<Arc<Sealed>>,
    sending: Option<Sending>,
    retry: Retry,
    /// The flush that is under way: everything that was captured before it goes out at once.
    flushing: u64,
    /// How many reports were lost when the collector was last told.
    losses_told: u64,
    /// Whether a trouble was told already.
    has_warned: bool,
}

impl Shipper {
    fn new(client: &'static Client, shipment: Shipment) -> Self {
        Self {
            client,
            http: Http::new(&shipment.dsn),
            shipment,
            symbolicator: Symbolicator::default(),
            pending: Pending::default(),
            sealed: VecDeque::new(),
            sending: None,
            retry: Retry::default(),
            flushing: 0,
            losses_told: 0,
            has_warned: false,
        }
    }

    async fn run(mut self) {
        loop {
            self.client.looking();
            let progress = self.client.progress();
            if progress.stop == Stop::Now {
                return;
            }
            if progress.flush_wanted > self.flushing {
                self.flushing = progress.flush_wanted;
                // Somebody is waiting: try now, unless the collector asked for a pause.
                self.retry.hurry();
            }
            let is_flushing = self.flushing > progress.flush_done;
            self.read();
            self.seal(Instant::now(), is_flushing);
            if self.pending.is_empty() {
                self.symbolicator.rest();
            }
            self.send(Instant::now());
            let is_done = self.is_idle();
            if is_flushing && is_done {
                let flushed = self.flushing;
                self.client
                    .change_progress(|progress| progress.flush_done = flushed);
            }
            if progress.stop == Stop::AfterFlush && is_done {
                return;
            }
            if let Some(answer) = self.wait(is_flushing).await {
                self.settle(answer);
            }
        }
    }

    /// Reads what capturing threads left, as long as there is room for it.
    fn read(&mut self) {
        let client = self.client;
        while !self.pending.is_full() {
            let drained = client.queue.drain(|record| {
                if self
                    .pending
                    .add(record, &self.shipment.run, Instant::now())
                    .is_none()
                {
                    client.ledger.dropped(Reason::Unreadable, 1);
                }
            });
            if drained == 0 {
                return;
            }
        }
    }

    /// Seals what is due; during a flush everything is.
    fn seal(&mut self, now: Instant, everything: bool) {
        while self.sealed.len() < SEALED_MAX {
            let mut batch = BatchBuilder::new();
            while batch.is_empty() || batch.fits(crate::record::RECORD_BYTES * 2) {
                let Some(due) = self.pending.take_due(now, everything) else {
                    break;
                };
                let reports = due.reports(&self.client.folds);
                let total = reports.count;
                match catch_unwind(AssertUnwindSafe(|| self.prepare(due, reports))) {
                    Ok(Ok(event)) => {
                        // The filter may have changed the count; the account goes by ours.
                        batch.push(&Event {
                            count: total,
                            ..event
                        });
                    }
                    Ok(Err(reason)) => self.client.ledger.dropped(reason, total),
                    Err(_) => self.client.ledger.dropped(Reason::Unreadable, total),
                }
            }
            let lost = self.client.ledger.report().dropped_total();
            if batch.is_empty() && (lost == self.losses_told || !everything) {
                return;
            }
            if lost > self.losses_told {
                batch.push_losses(&self.losses());
                self.losses_told = lost;
            }
            let id = BatchId::new(client::now(), self.client.random());
            self.sealed.push_back(Arc::new(batch.seal(id)));
        }
    }

    fn losses(&self) -> Losses {
        let report = self.client.ledger.report();
        let dropped = report
            .dropped
            .iter()
            .map(|(reason, n)| (reason.as_str().into(), *n));
        Losses {
            run: self.shipment.run.id,
            produced: report.produced,
            dropped: dropped.collect(),
        }
    }

    /// Makes an event ready: resolved, cleaned, seen by the app's filter.
    fn prepare(&mut self, due: Due, reports: pending::Reports) -> Result<Event, Reason> {
        let client = self.client;
        let give_up = || client.progress().is_past_symbols(Instant::now());
        let mut event = due.into_event(reports, &mut self.symbolicator, give_up);
        event.contexts.clone_from(&self.shipment.contexts);
        scrub::event(&mut event);
        let Some(before_send) = &self.shipment.before_send else {
            return Ok(event);
        };
        let kept = catch_unwind(AssertUnwindSafe(|| before_send(event)));
        kept.map_err(|_| Reason::BeforeSendPanicked)?
            .ok_or(Reason::BeforeSend)
    }

    fn send(&mut self, now: Instant) {
        if self.sending.is_some() || !self.retry.may_try(now) {
            return;
        }
        if let Some(sealed) = self.sealed.front() {
            self.sending = Some(Box::pin(self.http.post(sealed.clone())));
        }
    }

    /// Waits for work, for an answer, or for the next thing that is due.
    async fn wait(&mut self, is_flushing: bool) -> Option<Answer> {
        let now = Instant::now();
        let retry_at = self.retry.next_try().filter(|_| !self.sealed.is_empty());
        let due_at = self
            .pending
            .next_due()
            .filter(|_| self.sealed.len() < SEALED_MAX && !is_flushing);
        let next = [retry_at, due_at].into_iter().flatten().min();
        let sleep = next
            .map_or(SLEEP_MAX, |at| at.saturating_duration_since(now))
            .min(SLEEP_MAX);
        let mut sleep = std::pin::pin!(tokio::time::sleep(sleep));
        let mut work = std::pin::pin!(self.client.work.notified());
        std::future::poll_fn(|cx| {
            if let Some(sending) = &mut self.sending
                && let Poll::Ready(answer) = sending.as_mut().poll(cx)
            {
                self.sending = None;
                return Poll::Ready(Some(answer));
            }
            if work.as_mut().poll(cx).is_ready() || sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Does what the answer says: the batch is done with, or waits with its bytes unchanged.
    fn settle(&mut self, answer: Answer) {
        match answer {
            Answer::Taken { rejected_items } => {
                self.retry.succeeded();
                if let Some(sealed) = self.sealed.pop_front() {
                    let rejected = rejected_items
                        .iter()
                        .map(|item| sealed.reports_of_item(*item));
                    let rejected = rejected.sum::<u64>().min(sealed.reports);
                    self.client.ledger.delivered(sealed.reports - rejected);
                    self.client.ledger.dropped(Reason::Rejected, rejected);
                }
            }
            Answer::Refused => {
                self.retry.succeeded();
                if let Some(sealed) = self.sealed.pop_front() {
                    self.client.ledger.dropped(Reason::Refused, sealed.reports);
                }
            }
            Answer::Later { after, trouble } => {
                self.warn(trouble);
                let jitter = self.client.random()[0];
                let patience = trouble.map_or(Duration::ZERO, Trouble::patience);
                self.retry.failed(Instant::now(), after, patience, jitter);
            }
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
        let dsn = &self.shipment.dsn;
        let _ = writeln!(
            io::stderr(),
            "bugsage: nothing arrives at {dsn:?}: {}",
            trouble.advice()
        );
    }

    fn is_idle(&self) -> bool {
        self.client.queue.is_empty()
            && self.pending.is_empty()
            && self.sealed.is_empty()
            && self.sending.is_none()
    }
}
