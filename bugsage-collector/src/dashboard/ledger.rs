//! What became of all that was received.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};

use crate::account::{self, AccountView, By, QuarantinedView, SpanAccountView};
use crate::store::model::Quarantined;
use crate::view::{counted, thousands};

use super::query::Ledger as Search;
use super::{Page, Pages, parts};

/// The choices of how far to look back, in hours.
const HOURS: [u32; 4] = [1, account::HOURS, 7 * 24, 30 * 24];

pub(super) async fn page(State(pages): State<Arc<Pages>>, Query(search): Query<Search>) -> Page {
    let hours = search.hours();
    let filter = account::filter(pages.clock.now(), hours, None);
    let accounts = pages.store.ledger(&pages.scope, filter).await?;
    let accounts = accounts
        .into_iter()
        .map(|it| AccountView::new(it, By::Reason));
    let accounts: Vec<_> = accounts.collect();
    let quarantined = pages.store.quarantined(&pages.scope).await?;
    Ok(parts::frame(
        "Ledger",
        html! {
            h1 { "Ledger" }
            form class="filters" method="get" action="/ledger" {
                select name="hours" aria-label="Hours" {
                    @for known in HOURS {
                        option value=(known) selected[known == hours] { (span(known)) }
                    }
                    @if !HOURS.contains(&hours) { option value=(hours) selected { (span(hours)) } }
                }
                button type="submit" { "Show" }
            }
            @if accounts.is_empty() { p { "There is no project yet." } }
            @for account in &accounts { (section(account)) }
            @if !quarantined.is_empty() { (quarantine(&quarantined)) }
            p class="quiet" {
                "Each event is counted once, and stands for the equal reports that were folded into it. \
                 What is sampled out is counted in its issue like all others; only its details are not kept."
            }
        },
    ))
}

/// They are few: a project's may take 16 MiB.
fn quarantine(quarantined: &[Quarantined]) -> Markup {
    html! {
        section class="account" {
            h2 { "Quarantine" }
            p {
                "The collector failed at these batches. They are safe, and nothing in them is counted yet: install a \
                 newer version and run " code { "bugsage quarantine replay --all" } "."
            }
            @for it in quarantined.iter().map(QuarantinedView::new) {
                p {
                    code { (it.id) } " of " (it.project_name) ", " (thousands(it.bytes)) " bytes, " (it.received_at) ": "
                    (it.reason)
                }
            }
        }
    }
}

fn span(hours: u32) -> String {
    match hours {
        1 => "this hour".to_owned(),
        hours if hours % 24 == 0 && hours > 24 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    }
}

fn section(account: &AccountView) -> Markup {
    html! {
        section class="account" {
            h2 { (account.project_name) }
            @if account.project.is_some() {
                table {
                    thead { tr { th { "outcome" } th { "reason" } th class="n" { "events" } th class="n" { "reports" } } }
                    tbody {
                        tr class="sum" { td { "received" } td {} td class="n" { (thousands(account.received.events)) } td class="n" { (thousands(account.received.reports)) } }
                        @for line in &account.outcomes {
                            tr {
                                td { (line.outcome.replace('_', " ")) }
                                td { (line.reason.as_deref().unwrap_or("").replace('_', " ")) }
                                td class="n" { (thousands(line.sum.events)) }
                                td class="n" { (thousands(line.sum.reports)) }
                            }
                        }
                    }
                }
                (balance(account.balanced))
            }
            @if !account.spans.is_empty() { (spans(&account.spans)) }
            @for refused in &account.refused {
                p class="quiet" {
                    "Turned away (" (refused.reason.replace('_', " ")) "): "
                    (counted(refused.requests, "request")) " with " (counted(refused.bytes, "byte")) "."
                }
            }
            @for (reason, reports) in &account.lost_before_sending {
                p class="quiet" { "Lost before it was sent (" (reason.replace('_', " ")) "): " (crate::view::reports(*reports)) "." }
            }
        }
    }
}

fn balance(is_balanced: bool) -> Markup {
    html! {
        @if is_balanced { p class="quiet" { "It balances." } }
        @else { p class="bad" { "It does not balance: that is a fault of the collector. Please report it." } }
    }
}

fn spans(account: &SpanAccountView) -> Markup {
    html! {
        table {
            thead { tr { th { "outcome" } th { "reason" } th class="n" { "spans" } } }
            tbody {
                tr class="sum" { td { "received" } td {} td class="n" { (thousands(account.received)) } }
                @for line in &account.outcomes {
                    tr {
                        td { (line.outcome.replace('_', " ")) }
                        td { (line.reason.as_deref().unwrap_or("").replace('_', " ")) }
                        td class="n" { (thousands(line.sum.spans)) }
                    }
                }
            }
        }
        (balance(account.balanced))
        @for (reason, spans) in &account.lost_before_sending {
            p class="quiet" { "Lost before it was sent (" (reason.replace('_', " ")) "): " (counted(*spans, "span")) "." }
        }
    }
}
