//! `bugsage ledger`: what became of all that was received.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use bugsage_core::clock::Clock;

use crate::account::{self, AccountView, By, LineView, SpanAccountView};
use crate::clock::SystemClock;
use crate::store::Store;
use crate::store::scope::Scope;
use crate::view::{counted, thousands};

use super::{DataArgs, exit, output};

#[derive(Args)]
pub(super) struct Ledger {
    /// Only a project, by its name or number
    #[arg(long)]
    project: Option<String>,
    /// What was received in the last hours
    #[arg(long, default_value_t = account::HOURS, value_parser = clap::value_parser!(u32).range(1..=i64::from(account::HOURS_MAX)))]
    hours: u32,
    /// Tell the lines apart by this too
    #[arg(long, value_enum)]
    by: Option<Column>,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Column {
    Key,
    Hour,
}

impl Ledger {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let store = self.data.open_existing()?;
        let filter = account::filter(SystemClock.now(), self.hours, self.project);
        let by = match self.by {
            Some(Column::Key) => By::Key,
            Some(Column::Hour) => By::Hour,
            None => By::Reason,
        };
        let accounts = store.ledger(&Scope::local_operator(), filter).await?;
        let views = accounts
            .into_iter()
            .map(|account| AccountView::new(account, by));
        let accounts: Vec<_> = views.collect();
        let is_balanced = accounts.iter().all(AccountView::is_balanced);
        if self.json {
            output::json(&accounts)?;
        } else {
            for account in &accounts {
                show(account, by);
            }
        }
        Ok(if is_balanced {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::FAILED)
        })
    }
}

fn show(account: &AccountView, by: By) {
    let name = output::plain(&account.project_name);
    match account.project {
        Some(number) => output::line(&format!("project {number} {name}")),
        None => output::line(&name),
    }
    let mut rows = vec![vec![
        "received".to_owned(),
        String::new(),
        String::new(),
        thousands(account.received.events),
        thousands(account.received.reports),
    ]];
    for line in &account.outcomes {
        let mut row = head(line);
        row.push(thousands(line.sum.events));
        row.push(thousands(line.sum.reports));
        rows.push(row);
    }
    if account.project.is_some() {
        output::table(
            &["outcome", "reason", column(by), "events", "reports"],
            &[3, 4],
            &rows,
        );
        balance(account.balanced);
    }
    if !account.spans.is_empty() {
        show_spans(&account.spans, by);
    }
    for refused in &account.refused {
        let requests = counted(refused.requests, "request");
        let bytes = counted(refused.bytes, "byte");
        output::line(&format!(
            "turned away, {}: {requests}, {bytes}",
            refused.reason
        ));
    }
    for (reason, reports) in &account.lost_before_sending {
        let (reason, reports) = (output::plain(reason), crate::view::reports(*reports));
        output::line(&format!("lost before it was sent, {reason}: {reports}"));
    }
    for (reason, spans) in &account.spans.lost_before_sending {
        let (reason, spans) = (output::plain(reason), counted(*spans, "span"));
        output::line(&format!("lost before it was sent, {reason}: {spans}"));
    }
    output::line("");
}

fn show_spans(account: &SpanAccountView, by: By) {
    let mut rows = vec![vec![
        "received".to_owned(),
        String::new(),
        String::new(),
        thousands(account.received),
    ]];
    for line in &account.outcomes {
        let mut row = head(line);
        row.push(thousands(line.sum.spans));
        rows.push(row);
    }
    output::line("");
    output::table(&["outcome", "reason", column(by), "spans"], &[3], &rows);
    balance(account.balanced);
}

/// Outcome, reason, and what lines are told apart by beside them.
fn head<S>(line: &LineView<S>) -> Vec<String> {
    let key = || line.key.map(|key| key.to_string());
    let hour = || line.hour.clone();
    vec![
        format!("  {}", line.outcome),
        line.reason.clone().unwrap_or_default(),
        key().or_else(hour).unwrap_or_default(),
    ]
}

fn column(by: By) -> &'static str {
    match by {
        By::Reason => "",
        By::Key => "key",
        By::Hour => "hour",
    }
}

fn balance(is_balanced: bool) {
    output::line(match is_balanced {
        true => "it balances",
        false => "DOES NOT BALANCE: that is a fault of the collector, please report it",
    });
}
