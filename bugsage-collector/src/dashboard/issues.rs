//! All issues: which there are, how often, since when, and what is known.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};

use bugsage_core::clock::Timestamp;

use crate::store::StoreError;
use crate::store::model::{Issue, Project};
use crate::view::thousands;

use super::query::{Issues as Search, SEARCH_BYTES_MAX, STATUSES};
use super::{Page, Pages, parts};

/// Issues of one page, which is to stay below 100 KB.
const LIMIT: u32 = 100;

pub(super) async fn page(State(pages): State<Arc<Pages>>, Query(search): Query<Search>) -> Page {
    let (status, filter) = (search.status(), search.filter(LIMIT));
    let projects = pages.store.projects(&pages.scope).await?;
    let issues = match pages.store.issues(&pages.scope, filter).await {
        // A project that is gone has no issues; the page says so.
        Err(StoreError::NotFound { .. }) => Vec::new(),
        issues => issues?,
    };
    let now = pages.clock.now();
    Ok(parts::frame(
        "Issues",
        html! {
            h1 { "Issues" }
            (filters(&search, status, &projects))
            @if issues.is_empty() {
                (nothing(&search, &projects))
            } @else {
                ul class="issues" {
                    @for issue in &issues { (row(issue, projects.len() > 1, now)) }
                }
                @if issues.len() == LIMIT as usize {
                    p class="quiet" { "The latest " (LIMIT) " are shown. Search to see others." }
                }
            }
            (settings(&projects))
            (losses(&projects))
        },
    ))
}

fn filters(search: &Search, status: &str, projects: &[Project]) -> Markup {
    html! {
        form class="filters" method="get" action="/issues" {
            input type="search" name="q" value=(search.q) placeholder="title, class or function" aria-label="Search" maxlength=(SEARCH_BYTES_MAX);
            select name="status" aria-label="Status" {
                @for known in STATUSES.iter().chain(&["all"]) {
                    option value=(known) selected[*known == status] { (known) }
                }
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

fn row(issue: &Issue, with_project: bool, now: Timestamp) -> Markup {
    html! {
        li class="issue" {
            a class="main" href={ "/issues/" (issue.id) } {
                span class="title" { (parts::short(&issue.title)) }
                span class="culprit" { (parts::short(&issue.culprit)) }
            }
            div class="marks" {
                (parts::badge(&issue.severity, &issue.severity))
                (parts::badge("plain", &issue.class))
                @if issue.substatus == "regressed" { (parts::badge("high", "regressed")) }
                @if issue.status != "unresolved" { (parts::badge("plain", &issue.status)) }
                @if issue.case.is_some() { (parts::badge("case", "case")) }
                @if with_project { (parts::badge("plain", &issue.project_name)) }
            }
            dl class="numbers" {
                div { dt { "events" } dd { (thousands(issue.events)) } }
                div { dt { "users" } dd { (thousands(issue.users)) } }
                div { dt { "last seen" } dd { (parts::time(issue.last_seen, now)) } }
                div { dt { "since" } dd { (parts::release(issue.first_release.as_deref())) } }
            }
        }
    }
}

fn nothing(search: &Search, projects: &[Project]) -> Markup {
    html! {
        @if projects.is_empty() {
            p { "There is no project yet. Make one, and set its DSN for your app:" }
            pre { "bugsage project create NAME --repository PATH" }
        } @else if search.q.is_empty() && search.status.is_none() {
            p { "Nothing is broken, as far as anybody has told." }
        } @else {
            p { "No issue fits. " a href="/issues" { "Show all unresolved ones" } }
        }
    }
}

/// What the apps are asked for: whoever misses a line of the log should see here why.
fn settings(projects: &[Project]) -> Markup {
    html! {
        @for project in projects.iter().filter(|project| !project.settings.is_empty()) {
            p class="quiet" {
                "Apps of " (project.name) " that follow the collector are asked for "
                code { (project.settings) } "."
            }
        }
    }
}

/// What the apps say they lost: a count that is not complete must not look complete.
fn losses(projects: &[Project]) -> Markup {
    html! {
        @for project in projects.iter().filter(|project| !project.losses.is_empty()) {
            p class="quiet" {
                "Apps of " (project.name) " say they lost reports before they could send them: "
                @for (at, (reason, reports)) in project.losses.iter().enumerate() {
                    @if at > 0 { ", " }
                    (thousands(*reports)) " (" (reason) ")"
                }
                "."
            }
        }
    }
}
