//! The ledger as it is told: sums by outcome and reason, and whether they balance.
//!
//! received = stored + sampled_out + duplicate + filtered + limited + invalid, in events and in reports, and
//! likewise in finished spans.
//! Beside the equation stand bodies that were turned away unread, and what apps say they lost.

use std::collections::BTreeMap;

use serde::Serialize;

use bugsage_core::clock::Timestamp;

use crate::clock::rfc3339;
use crate::store::model::{Account, LedgerFilter, LedgerLine, Quarantined};
use crate::store::trace::SpanAccount;

/// Hours that are looked back where nothing else is said.
pub const HOURS: u32 = 24;

/// The furthest that one may look back: ten years.
pub const HOURS_MAX: u32 = 87_600;

/// What the lines are to be told apart by, beside outcome and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// Nothing more.
    #[default]
    Reason,
    /// The ingest key.
    Key,
    /// The hour.
    Hour,
}

/// The ledger of the last hours, the one that began with the present hour included.
pub fn filter(now: Timestamp, hours: u32, project: Option<String>) -> LedgerFilter {
    const HOUR_US: u64 = 3_600_000_000;
    let back = u64::from(hours.saturating_sub(1)) * HOUR_US;
    LedgerFilter {
        project,
        since: Timestamp(now.0.saturating_sub(back)),
    }
}

/// What became of all that a project received.
#[derive(Debug, Serialize)]
pub struct AccountView {
    /// Null for what came under keys that are not known.
    pub project: Option<u64>,
    /// The name of the project.
    pub project_name: String,
    /// What came in.
    pub received: Sum,
    /// What became of it.
    pub outcomes: Vec<LineView>,
    /// Whether the outcomes add up to what was received.
    pub balanced: bool,
    /// Bodies that were turned away unread or unreadable.
    pub refused: Vec<RefusedView>,
    /// What apps say they lost before they could send it, by reason, for ever.
    pub lost_before_sending: BTreeMap<String, u64>,
    /// The same of finished spans.
    pub spans: SpanAccountView,
}

/// What became of all spans that a project received.
#[derive(Debug, Serialize)]
pub struct SpanAccountView {
    /// What came in.
    pub received: u64,
    /// What became of it.
    pub outcomes: Vec<LineView<Spans>>,
    /// Whether the outcomes add up to what was received.
    pub balanced: bool,
    /// What apps say they lost before they could send it, by reason, for ever.
    pub lost_before_sending: BTreeMap<String, u64>,
}

/// So many spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spans {
    /// Spans.
    pub spans: u64,
}

/// So many events, that stand for so many reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Events.
    pub events: u64,
    /// Reports that they stand for.
    pub reports: u64,
}

/// One outcome.
#[derive(Debug, Serialize)]
pub struct LineView<S = Sum> {
    /// `stored`, `sampled_out`, `duplicate`, `filtered`, `limited` or `invalid`.
    pub outcome: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// The number of the ingest key, where lines are told apart by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
    /// The hour, where lines are told apart by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub sum: S,
}

/// What lines are told apart by: hour and key where that is wanted, outcome, reason.
type Of = (Option<u64>, Option<u64>, String, String);

impl<S> LineView<S> {
    fn new(((hour, key, outcome, reason), sum): (Of, S)) -> Self {
        Self {
            outcome,
            reason: Some(reason).filter(|reason| !reason.is_empty()),
            key,
            hour: hour.map(|hour| rfc3339(Timestamp(hour.saturating_mul(3_600_000_000)))),
            sum,
        }
    }
}

impl By {
    fn of(self, key: u64, hour: u64, outcome: &str, reason: &str) -> Of {
        let key = (self == By::Key).then_some(key);
        let hour = (self == By::Hour).then_some(hour);
        (hour, key, outcome.to_owned(), reason.to_owned())
    }
}

/// Bodies that were turned away.
#[derive(Debug, Serialize)]
pub struct RefusedView {
    /// Why, in a word.
    pub reason: String,
    /// Requests.
    pub requests: u64,
    /// The length of their bodies, as far as they said.
    pub bytes: u64,
}

impl AccountView {
    /// An account as it is told.
    pub fn new(account: Account, by: By) -> Self {
        let (mut received, mut told) = (Sum::default(), Sum::default());
        let mut outcomes: BTreeMap<_, Sum> = BTreeMap::new();
        for line in &account.lines {
            if line.outcome == "received" {
                received.add(line);
                continue;
            }
            told.add(line);
            let of = by.of(line.key, line.hour, &line.outcome, &line.reason);
            outcomes.entry(of).or_default().add(line);
        }
        let mut refused: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for refusal in account.refusals {
            let (requests, bytes) = refused.entry(refusal.reason).or_default();
            *requests += refusal.requests;
            *bytes = bytes.saturating_add(refusal.bytes);
        }
        let refused = refused
            .into_iter()
            .map(|(reason, (requests, bytes))| RefusedView {
                reason,
                requests,
                bytes,
            });
        Self {
            project: Some(account.project).filter(|project| *project > 0),
            project_name: account.project_name,
            balanced: received == told,
            received,
            outcomes: outcomes.into_iter().map(LineView::new).collect(),
            refused: refused.collect(),
            lost_before_sending: account.losses.into_iter().collect(),
            spans: SpanAccountView::new(account.spans, by),
        }
    }
}

impl AccountView {
    /// Whether it adds up, in events and in spans.
    pub fn is_balanced(&self) -> bool {
        self.balanced && self.spans.balanced
    }
}

impl SpanAccountView {
    fn new(account: SpanAccount, by: By) -> Self {
        let (mut received, mut told) = (0_u64, 0_u64);
        let mut outcomes: BTreeMap<_, Spans> = BTreeMap::new();
        for line in &account.lines {
            if line.outcome == "received" {
                received = received.saturating_add(line.spans);
                continue;
            }
            told = told.saturating_add(line.spans);
            let of = by.of(line.key, line.hour, &line.outcome, &line.reason);
            let sum = outcomes.entry(of).or_default();
            sum.spans = sum.spans.saturating_add(line.spans);
        }
        Self {
            received,
            outcomes: outcomes.into_iter().map(LineView::new).collect(),
            balanced: received == told,
            lost_before_sending: account.losses.into_iter().collect(),
        }
    }

    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        self.received == 0 && self.outcomes.is_empty() && self.lost_before_sending.is_empty()
    }
}

impl Sum {
    fn add(&mut self, line: &LedgerLine) {
        self.events = self.events.saturating_add(line.events);
        self.reports = self.reports.saturating_add(line.reports);
    }
}

/// A batch that the collector failed at.
#[derive(Debug, Serialize)]
pub struct QuarantinedView {
    /// Its id.
    pub id: String,
    /// Its project's number.
    pub project: u64,
    /// Its project's name.
    pub project_name: String,
    /// When it came.
    pub received_at: String,
    /// The size of its body.
    pub bytes: u64,
    /// Where the collector failed, and how.
    pub reason: String,
}

impl QuarantinedView {
    /// What is shown of one.
    pub fn new(quarantined: &Quarantined) -> Self {
        Self {
            id: quarantined.batch.to_string(),
            project: quarantined.project,
            project_name: quarantined.project_name.clone(),
            received_at: rfc3339(quarantined.received_at),
            bytes: quarantined.bytes,
            reason: quarantined.reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::trace::SpanLine;

    use super::*;

    fn line(hour: u64, outcome: &str, reason: &str, reports: u64) -> LedgerLine {
        LedgerLine {
            key: 1,
            hour,
            outcome: outcome.to_owned(),
            reason: reason.to_owned(),
            events: 1,
            reports,
        }
    }

    fn account(lines: Vec<LedgerLine>) -> Account {
        Account {
            project: 1,
            project_name: "shop".to_owned(),
            lines,
            refusals: Vec::new(),
            losses: Vec::new(),
            spans: SpanAccount::default(),
        }
    }

    #[test]
    fn an_account_balances_where_all_that_came_is_accounted_for() {
        let mut lines = vec![
            line(7, "received", "", 5),
            line(8, "received", "", 2),
            line(7, "stored", "", 5),
            line(8, "duplicate", "event", 2),
        ];

        let whole = AccountView::new(account(lines.clone()), By::Reason);
        let by_hour = AccountView::new(account(lines.clone()), By::Hour);
        lines.pop();
        let broken = AccountView::new(account(lines), By::Reason);

        assert_eq!((whole.balanced, whole.received.reports), (true, 7));
        assert_eq!(whole.outcomes.len(), 2);
        assert!(by_hour.outcomes.iter().all(|line| line.hour.is_some()));
        assert!(!broken.balanced);
    }

    #[test]
    fn an_account_balances_only_where_its_spans_do_too() {
        let spans = |outcome: &str, spans| SpanLine {
            key: 1,
            hour: 7,
            outcome: outcome.to_owned(),
            reason: String::new(),
            spans,
        };
        let told = |stored| {
            let mut account = account(Vec::new());
            account.spans.lines = vec![spans("received", 5), spans("stored", stored)];
            AccountView::new(account, By::Reason)
        };

        let (whole, broken) = (told(5), told(4));

        assert!(whole.is_balanced() && !broken.is_balanced());
        assert_eq!(whole.spans.outcomes[0].sum.spans, 5);
    }
}
