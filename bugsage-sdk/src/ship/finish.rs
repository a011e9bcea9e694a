//! The last steps before a report is packed: symbols, secrets, the app's own filter.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bugsage_core::event::{Event, Pairs};
use bugsage_core::scrub::{self, SpanCleaner};
use bugsage_core::span::Span;

use crate::client::Client;
use crate::ledger::Reason;

use super::pending::{Due, Reports};
use super::symbolicate::{Spot, Symbolicator};
use super::{BeforeSend, BeforeSendSpan};

/// Makes events ready: resolved, cleaned, seen by the app's filter.
pub(super) struct Finish {
    pub(super) client: &'static Client,
    pub(super) symbolicator: Symbolicator,
    before_send: Option<BeforeSend>,
    before_send_span: Option<BeforeSendSpan>,
}

impl Finish {
    pub(super) fn new(
        client: &'static Client,
        before_send: Option<BeforeSend>,
        before_send_span: Option<BeforeSendSpan>,
        symbols_bytes_max: u64,
    ) -> Self {
        Self {
            client,
            symbolicator: Symbolicator::new(symbols_bytes_max),
            before_send,
            before_send_span,
        }
    }

    /// How a finished span is made ready: cleaned, and seen by the app's filter.
    pub(super) fn prepare_span(&self) -> impl Fn(Span) -> Result<Span, Reason> + use<> {
        let before_send = self.before_send_span.clone();
        let cleaner = RefCell::new(SpanCleaner::default());
        move |mut span| {
            cleaner.borrow_mut().span(&mut span);
            let Some(before_send) = &before_send else {
                return Ok(span);
            };
            let kept = catch_unwind(AssertUnwindSafe(|| before_send(span)));
            kept.map_err(|_| Reason::BeforeSendPanicked)?
                .ok_or(Reason::BeforeSend)
        }
    }

    /// An event as it is shipped, or why it is not. `give_up` says when there is no time for symbols.
    pub(super) fn event(
        &mut self,
        due: Due,
        reports: Reports,
        contexts: &Pairs,
        spot: &dyn Fn(u64) -> Spot,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Event, Reason> {
        let make = || {
            let mut event = due.into_event(reports, &mut self.symbolicator, spot, give_up);
            event.contexts.clone_from(contexts);
            scrub::event(&mut event);
            event
        };
        let event = catch_unwind(AssertUnwindSafe(make)).map_err(|_| Reason::Unreadable)?;
        let Some(before_send) = &self.before_send else {
            return Ok(event);
        };
        let kept = catch_unwind(AssertUnwindSafe(|| before_send(event)));
        kept.map_err(|_| Reason::BeforeSendPanicked)?
            .ok_or(Reason::BeforeSend)
    }
}
