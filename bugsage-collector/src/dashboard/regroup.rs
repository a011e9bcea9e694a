//! What belongs to an issue, and the forms that say otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use bugsage_core::fingerprint::{Fingerprint, Kept, Strength};

use crate::store::grouping::{OwnedFingerprint, Regroup};
use crate::store::model::IssueDetail;
use crate::view::thousands;

use super::{PageError, Pages, parts};

/// Fingerprints that are shown, by the first of an event. An issue has a few, one for each way of building.
const FINGERPRINTS_SHOWN: usize = 20;

/// Parts that are shown.
const PARTS_SHOWN: usize = 50;

type Done = Result<Redirect, PageError>;

#[derive(Deserialize)]
pub(super) struct Merge {
    /// The issue that becomes a part.
    issue: String,
}

#[derive(Deserialize)]
pub(super) struct Split {
    fingerprint: String,
}

pub(super) async fn merge(
    State(pages): State<Arc<Pages>>,
    Path(into): Path<u64>,
    form: Result<Form<Merge>, FormRejection>,
) -> Done {
    let wanted = form.map(|form| form.0.issue.trim().trim_start_matches('#').to_owned());
    let number = wanted.ok().and_then(|wanted| wanted.parse().ok());
    let number = number.ok_or(PageError::Wrong(
        into,
        "Name an issue by its number, as 12.",
    ))?;
    let regroup = Regroup::Merge {
        into,
        issues: vec![number],
    };
    say(&pages, into, regroup).await
}

pub(super) async fn unmerge(State(pages): State<Arc<Pages>>, Path(part): Path<u64>) -> Done {
    say(&pages, part, Regroup::Unmerge { part }).await
}

pub(super) async fn split(
    State(pages): State<Arc<Pages>>,
    Path(issue): Path<u64>,
    form: Result<Form<Split>, FormRejection>,
) -> Done {
    let form = form.map_err(|_| PageError::Wrong(issue, "Name a fingerprint of the issue."))?;
    let fingerprint = form.0.fingerprint;
    say(&pages, issue, Regroup::Split { issue, fingerprint }).await
}

async fn say(pages: &Pages, of: u64, regroup: Regroup) -> Done {
    let now = pages.clock.now();
    let issue = pages.store.regroup(&pages.scope, regroup, now).await;
    let issue = issue.map_err(|error| PageError::Form(of, error))?;
    // With GET, so that to load the page again says nothing again.
    Ok(Redirect::to(&format!("/issues/{}", issue.id)))
}

/// What an issue is made of.
pub(super) fn section(detail: &IssueDetail) -> Markup {
    let id = detail.issue.id;
    let mut brought: BTreeMap<(u64, &str), Vec<&OwnedFingerprint>> = BTreeMap::new();
    for owned in &detail.fingerprints {
        let first = owned.brought_by.as_deref().unwrap_or(&owned.fingerprint);
        brought.entry((owned.issue, first)).or_default().push(owned);
    }
    html! {
        section id="belongs" {
            h2 { "What belongs to it" }
            @if let Some(whole) = detail.issue.merged_into {
                p { "It is a part of issue " a href={ "/issues/" (whole) } { (whole) } ", which shows it, and is resolved with it." }
                form class="say" method="post" action={ "/issues/" (id) "/unmerge" } { button { "Take it out" } }
            }
            @if !detail.parts.is_empty() {
                p { "Issues that are one bug with it:" }
                ul class="belongs" {
                    @for part in detail.parts.iter().take(PARTS_SHOWN) {
                        li {
                            a href={ "/issues/" (part.id) } { (part.id) } " " (parts::short(&part.title)) " "
                            span class="quiet" { (thousands(part.events)) " events, " (parts::short(&part.culprit)) }
                            form class="say" method="post" action={ "/issues/" (part.id) "/unmerge" } { button { "Take out" } }
                        }
                    }
                }
            }
            p class="quiet" { "Events belong to it by any of these:" }
            ul class="belongs" {
                @for ((owner, first), owned) in brought.iter().take(FINGERPRINTS_SHOWN) {
                    @let others = brought.keys().filter(|(issue, _)| issue == owner).count() > 1;
                    li {
                        code { (first) }
                        @for (strength, kept) in distinct(owned) {
                            div class="quiet" {
                                (words(strength)) ": "
                                @for (at, kept) in kept.iter().enumerate() {
                                    @if at > 0 { ", " } (kept.rule) " " (parts::value(&kept.value))
                                }
                            }
                        }
                        @if others {
                            form class="say" method="post" action={ "/issues/" (owner) "/split" } {
                                input type="hidden" name="fingerprint" value=(first);
                                button { "Another bug: split it off" }
                            }
                        }
                    }
                }
            }
            @if brought.len() > FINGERPRINTS_SHOWN {
                p class="quiet" { (brought.len() - FINGERPRINTS_SHOWN) " more: " code { "bugsage issues show " (id) " --json" } }
            }
            @if detail.issue.merged_into.is_none() {
                form class="say" method="post" action={ "/issues/" (id) "/merge" } {
                    label { "The same bug as issue " input name="issue" inputmode="numeric" required size="8"; }
                    " " button { "Merge that one into this" }
                }
            }
        }
    }
}

/// What fingerprints are made of, the most telling first, each once.
fn distinct<'a>(owned: &[&'a OwnedFingerprint]) -> Vec<(Option<Strength>, &'a [Kept])> {
    let strength = |owned: &OwnedFingerprint| {
        let parsed = owned.fingerprint.parse().map(Fingerprint::strength);
        parsed.ok()
    };
    let told = owned.iter().filter(|owned| !owned.kept.is_empty());
    let mut distinct: Vec<_> = told.map(|owned| (strength(owned), &*owned.kept)).collect();
    distinct.sort_by_key(|(strength, _)| std::cmp::Reverse(*strength));
    let mut seen: Vec<&[Kept]> = Vec::new();
    distinct.retain(|(_, kept)| {
        let is_new = !seen.contains(kept);
        seen.push(kept);
        is_new
    });
    distinct
}

/// How much a fingerprint tells, in words.
fn words(strength: Option<Strength>) -> &'static str {
    match strength {
        Some(Strength::Strong) => "by all that its stack tells",
        Some(Strength::Weak) => "by what every build tells",
        Some(Strength::Single) => "by where it failed, whoever asked for it",
        Some(Strength::Provisional) => "for now",
        None => "by rules of another version",
    }
}
