//! How releases are doing: how many runs and users went without a crash.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};

use bugsage_core::clock::Timestamp;
use bugsage_core::limits::NAME_BYTES_MAX;

use crate::health::{self, ReleaseView, percent};
use crate::store::StoreError;
use crate::store::model::Project;
use crate::view::thousands;

use super::query::Releases as Search;
use super::{Page, Pages, parts};

/// Releases of one page, which is to stay below 100 KB.
const LIMIT: u32 = 50;

/// The choices of how far to look back.
const DAYS: [u32; 4] = [1, 7, health::DAYS, 90];

pub(super) async fn page(State(pages): State<Arc<Pages>>, Query(search): Query<Search>) -> Page {
    let now = pages.clock.now();
    let (days, filter) = (search.days(), search.filter(now, LIMIT));
    let projects = pages.store.projects(&pages.scope).await?;
    let releases = match pages.store.releases(&pages.scope, filter).await {
        // A project that is gone has no releases; the page says so.
        Err(StoreError::NotFound { .. }) => Vec::new(),
        releases => releases?,
    };
    let releases: Vec<_> = releases.into_iter().map(ReleaseView::new).collect();
    Ok(parts::frame(
        "Releases",
        html! {
            h1 { "Releases" }
            (filters(&search, days, &projects))
            @if releases.is_empty() {
                p { "No run was heard of. An app tells of itself a second after its start, and at its end." }
            } @else {
                ul class="issues releases" {
                    @for release in &releases { (row(release, projects.len() > 1, now)) }
                }
                @if releases.len() == LIMIT as usize {
                    p class="quiet" { "The newest " (LIMIT) " are shown." }
                }
                p class="quiet" {
                    "A run is crash-free unless it panicked or crashed; one that was killed is shown \
                     apart. Users are estimates, within some 2 %. Root spans and users are those of the \
                     days shown, events and new issues those of the release in all environments."
                }
            }
        },
    ))
}

fn filters(search: &Search, days: u32, projects: &[Project]) -> Markup {
    html! {
        form class="filters" method="get" action="/releases" {
            input type="search" name="environment" value=(search.environment) placeholder="environment" aria-label="Environment" maxlength=(NAME_BYTES_MAX);
            select name="days" aria-label="Days" {
                @for known in DAYS {
                    option value=(known) selected[known == days] {
                        (known) @if known == 1 { " day" } @else { " days" }
                    }
                }
                @if !DAYS.contains(&days) { option value=(days) selected { (days) " days" } }
            }
            @if projects.len() > 1 {
                select name="project" aria-label="Project" {
                    option value="" { "all projects" }
                    @for project in projects {
                        @let id = project.id.to_string();
                        option value=(id) selected[search.project.as_deref() == Some(id.as_str())] { (project.name) }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

fn row(release: &ReleaseView, with_project: bool, now: Timestamp) -> Markup {
    let runs = &release.runs;
    html! {
        li class="issue" {
            div class="main" {
                span class="title" {
                    @if release.release.is_some() { (parts::release(release.release.as_deref())) }
                    @else { "no release told" }
                }
                span class="culprit" {
                    (thousands(runs.total)) @if runs.total == 1 { " run" } @else { " runs" }
                    @for (end, count) in runs.by_end() { ", " (thousands(count)) " " (end) }
                }
            }
            div class="marks" {
                @if let Some(environment) = &release.environment { (parts::badge("plain", &parts::short(environment))) }
                @if with_project { (parts::badge("plain", &parts::short(&release.project_name))) }
                @if release.new_issues > 0 {
                    @let issues = if release.new_issues == 1 { "issue" } else { "issues" };
                    (parts::badge("high", &format!("{} new {issues}", thousands(release.new_issues))))
                }
            }
            dl class="numbers" {
                (share("crash-free runs", release.crash_free_runs))
                (share("crash-free users", release.crash_free_users))
                div { dt { "users" } dd { (thousands(release.users)) } }
                div { dt { "root spans" } dd { (thousands(release.roots)) } }
                div { dt { "failed" } dd { (thousands(release.roots_failed)) } }
                div { dt { "events" } dd { (thousands(release.events)) } }
                div { dt { "first seen" } dd { (parts::time(release.first_seen_at, now)) } }
                div { dt { "last seen" } dd { (parts::time(release.last_seen_at, now)) } }
            }
        }
    }
}

fn share(name: &str, share: Option<f64>) -> Markup {
    html! {
        div {
            dt { (name) }
            dd class=[share.is_some_and(|share| share < 1.0).then_some("bad")] { (percent(share)) }
        }
    }
}
