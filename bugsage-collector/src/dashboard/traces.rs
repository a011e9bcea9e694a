//! Traces, those that came last first.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};

use bugsage_core::clock::Timestamp;

use crate::store::StoreError;
use crate::store::model::Project;
use crate::store::trace::{Trace, TraceFilter};
use crate::view::{duration, thousands};

use super::query::Traces as Search;
use super::trace::name;
use super::{Page, Pages, parts};

/// Traces of one page, which is to stay below 100 KB.
const LIMIT: u32 = 50;

pub(super) async fn page(State(pages): State<Arc<Pages>>, Query(search): Query<Search>) -> Page {
    let now = pages.clock.now();
    let projects = pages.store.projects(&pages.scope).await?;
    let filter = TraceFilter {
        project: search.project(),
        limit: LIMIT,
    };
    let traces = match pages.store.traces(&pages.scope, filter).await {
        // A project that is gone has no traces; the page says so.
        Err(StoreError::NotFound { .. }) => Vec::new(),
        traces => traces?,
    };
    Ok(parts::frame(
        "Traces",
        html! {
            h1 { "Traces" }
            @if projects.len() > 1 { (filters(&search, &projects)) }
            @if traces.is_empty() {
                p { "No trace has come. An app sends those that its " code { "traces_sample_rate" } " chooses." }
            } @else {
                ul class="issues" {
                    @for trace in &traces { (row(trace, projects.len() > 1, now)) }
                }
                @if traces.len() == LIMIT as usize {
                    p class="quiet" { "The latest " (LIMIT) " are shown." }
                }
            }
        },
    ))
}

fn filters(search: &Search, projects: &[Project]) -> Markup {
    html! {
        form class="filters" method="get" action="/traces" {
            select name="project" aria-label="Project" {
                option value="" { "all projects" }
                @for project in projects {
                    @let id = project.id.to_string();
                    option value=(id) selected[search.project() == Some(id.clone())] { (project.name) }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

fn row(trace: &Trace, with_project: bool, now: Timestamp) -> Markup {
    let root = &trace.root;
    html! {
        li class="issue" {
            a class="main" href={ "/traces/" (trace.id) } {
                span class="title" { (name(&root.name)) }
                span class="culprit" { (trace.id) }
            }
            div class="marks" {
                @if trace.failed > 0 { (parts::badge("error", "error")) }
                @if trace.left_out > 0 { (parts::badge("plain", "cut")) }
                @if let Some(environment) = &root.environment { (parts::badge("plain", &parts::short(environment))) }
                @if with_project { (parts::badge("plain", &parts::short(&trace.project_name))) }
            }
            dl class="numbers" {
                div { dt { "duration" } dd { (duration(root.duration_ns)) } }
                div { dt { "spans" } dd { (thousands(trace.spans)) } }
                div { dt { "started" } dd { (parts::time(root.started_at, now)) } }
                div { dt { "release" } dd { (parts::release(root.release.as_deref())) } }
            }
        }
    }
}
