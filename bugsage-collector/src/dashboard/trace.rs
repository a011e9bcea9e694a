//! One trace: when each of its spans ran, and which of them failed.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, EventTrace, Pairs};
use bugsage_core::limits::cut;
use bugsage_core::trace_context::{SpanId, TraceId};

use crate::store::StoreError;
use crate::store::trace::StoredTrace;
use crate::view::{counted, duration, left_out, service, thousands, visible};
use crate::waterfall::{Row, Waterfall};

use super::query::Trace as Search;
use super::{Page, Pages, parts};

/// Rows of one page, which is to stay below 100 KB.
const ROWS_SHOWN: usize = 120;

/// Rows on the page of an issue, which shows more than this.
const ROWS_OF_EVENT: usize = 40;

/// Spans around a span beyond which it is not indented further: as many as the style sheet knows.
const INDENTED_MAX: usize = 12;

/// Bytes of a name, and of all fields of a span, that a row has room for.
const NAME_BYTES_SHOWN: usize = 120;
const FIELDS_BYTES_SHOWN: usize = 160;

/// The width of a chart in its own units.
const WIDTH: u64 = 1_000;

pub(super) async fn page(
    State(pages): State<Arc<Pages>>,
    Path(id): Path<String>,
    Query(search): Query<Search>,
) -> Page {
    let not_found = || StoreError::NotFound {
        what: "trace",
        name: id.chars().take(40).collect(),
    };
    let id: TraceId = id.parse().map_err(|_| not_found())?;
    let stored = pages.store.trace(&pages.scope, id).await?;
    let waterfall = Waterfall::new(&stored.spans);
    let marked = search.span();
    let of_marked = || {
        let is_marked = |row: &Row<'_>| Some(row.span.id) == marked;
        let at = waterfall.rows.iter().position(is_marked).unwrap_or(0);
        at - at % ROWS_SHOWN
    };
    let from = search.from().unwrap_or_else(of_marked);
    let from = from.min(waterfall.rows.len());
    let to = (from + ROWS_SHOWN).min(waterfall.rows.len());
    Ok(parts::frame(
        &format!("Trace {id}"),
        html! {
            p class="quiet" { a href="/traces" { "Traces" } " / " code { (id) } }
            (heading(&stored, &waterfall, pages.clock.now()))
            section {
                h2 { "Spans" }
                (pager(id, marked, from, to, waterfall.rows.len()))
                (chart(waterfall.rows[from..to].iter(), &waterfall, marked, true))
                (pager(id, marked, from, to, waterfall.rows.len()))
            }
        },
    ))
}

fn heading(stored: &StoredTrace, waterfall: &Waterfall<'_>, now: Timestamp) -> Markup {
    let root = stored.parts.iter().map(|part| part.root.clone());
    let root = root.reduce(crate::store::trace::Root::better);
    let failed = waterfall.rows.iter().filter(|row| row.has_failed()).count();
    let left_out = left_out(stored);
    html! {
        h1 class="message" { @if let Some(root) = &root { (name(&root.name)) } }
        dl class="numbers" {
            div { dt { "duration" } dd { (duration(waterfall.duration_us.saturating_mul(1_000))) } }
            div { dt { "spans" } dd { (thousands(waterfall.rows.len() as u64)) } }
            div { dt { "failed" } dd class=[(failed > 0).then_some("bad")] { (thousands(failed as u64)) } }
            div { dt { "started" } dd { (parts::time(waterfall.started_at, now)) } }
            @if let Some(root) = &root {
                div { dt { "release" } dd { (parts::release(root.release.as_deref())) } }
                @if let Some(environment) = &root.environment { div { dt { "environment" } dd { (parts::short(environment)) } } }
            }
            @for part in &stored.parts { div { dt { "project" } dd { (parts::short(&part.project_name)) } } }
        }
        @if left_out > 0 {
            p class="bad" { "This trace is cut: " (counted(left_out, "span")) " more came than are kept of one trace." }
        }
    }
}

/// Which rows these are, and the way to the others.
fn pager(id: TraceId, marked: Option<SpanId>, from: usize, to: usize, all: usize) -> Markup {
    let href = |from: usize| match marked {
        Some(span) => format!("/traces/{id}?from={from}&span={span}"),
        None => format!("/traces/{id}?from={from}"),
    };
    html! {
        @if to - from < all {
            p class="quiet" {
                "Spans " (thousands(from as u64 + 1)) " to " (thousands(to as u64)) " of " (thousands(all as u64)) ". "
                @if from > 0 { a href=(href(from.saturating_sub(ROWS_SHOWN))) { "Earlier" } " " }
                @if to < all { a href=(href(to)) { "Later" } }
            }
        }
    }
}

/// The trace that an event was made in, or why it is not here.
pub(super) async fn of_event(pages: &Pages, event: &Event) -> Result<Markup, StoreError> {
    let Some(trace) = event.trace else {
        return Ok(html! {});
    };
    let section = |body: Markup| html! { section { h2 { "Trace" } (body) } };
    if !trace.is_sampled {
        return Ok(section(html! {
            p class="quiet" { "Trace " code { (trace.id) } " was not sampled, so its spans were not sent." }
        }));
    }
    match pages.store.trace(&pages.scope, trace.id).await {
        Ok(stored) => Ok(section(excerpt(&stored, trace))),
        Err(StoreError::NotFound { .. }) => Ok(section(html! {
            p class="quiet" {
                "Trace " code { (trace.id) } " is not here: its spans have not come yet, were lost on their way, or \
                 have made room for others."
            }
        })),
        Err(error) => Err(error),
    }
}

fn excerpt(stored: &StoredTrace, trace: EventTrace) -> Markup {
    let waterfall = Waterfall::new(&stored.spans);
    let rows = waterfall.telling(Some(trace.span), ROWS_OF_EVENT);
    let more = waterfall.rows.len() - rows.len();
    let is_here = stored.spans.iter().any(|span| span.id == trace.span);
    html! {
        p class="quiet" {
            a href={ "/traces/" (trace.id) "?span=" (trace.span) "#event" } { "Trace " (trace.id) } ": "
            (counted(waterfall.rows.len() as u64, "span")) " in "
            (duration(waterfall.duration_us.saturating_mul(1_000)))
            @if more > 0 { ", of which " (thousands(more as u64)) " are not shown here" }
            "."
            @if !is_here { " The span that the event was made in has not come." }
        }
        (chart(rows.into_iter(), &waterfall, Some(trace.span), false))
    }
}

/// Rows with a bar each, on the scale of the whole trace.
fn chart<'r, 's: 'r>(
    rows: impl Iterator<Item = &'r Row<'s>>,
    waterfall: &Waterfall<'_>,
    marked: Option<SpanId>,
    with_fields: bool,
) -> Markup {
    html! {
        ol class="waterfall" {
            @for row in rows { (item(row, waterfall.duration_us, marked, with_fields)) }
        }
    }
}

fn item(row: &Row<'_>, whole_us: u64, marked: Option<SpanId>, with_fields: bool) -> Markup {
    let span = row.span;
    let is_marked = marked == Some(span.id);
    let (x, width) = bar(row, whole_us);
    html! {
        li id=[is_marked.then_some("event")] class={ "d" (row.depth.min(INDENTED_MAX)) @if is_marked { " marked" } } {
            div class="what" {
                code { (name(&span.name)) }
                @if row.enters_release && let Some(release) = &span.run.release { " " span class="quiet" { (parts::short(service(release))) } }
                @if row.has_failed() { " " (parts::badge("error", "error")) }
                @if is_marked { " " (parts::badge("case", "the event") ) }
                @if row.is_orphan { " " span class="quiet" { "(its parent is not here)" } }
                @if with_fields && !span.fields.is_empty() { div class="fields" { (fields(&span.fields)) } }
            }
            svg class={ "bar" @if row.has_failed() { " failed" } } viewBox={ "0 0 " (WIDTH) " 8" } preserveAspectRatio="none" aria-hidden="true" {
                rect x=(x) width=(width) height="8" {}
            }
            span class="n" { (duration(span.duration_ns)) }
        }
    }
}

/// Where on the chart a span begins, and how wide it is: enough to be seen, however short it was.
fn bar(row: &Row<'_>, whole_us: u64) -> (u64, u64) {
    const WIDTH_MIN: u64 = 4;
    let scaled = |us: u64| {
        let units = u128::from(us) * u128::from(WIDTH) / u128::from(whole_us.max(1));
        u64::try_from(units).unwrap_or(WIDTH).min(WIDTH)
    };
    let x = scaled(row.offset_us).min(WIDTH - WIDTH_MIN);
    let width = scaled(row.duration_us()).max(WIDTH_MIN);
    (x, width.min(WIDTH - x))
}

/// A span's name; some have none.
pub(super) fn name(name: &str) -> String {
    let shown = visible(&cut(name, NAME_BYTES_SHOWN)).trim().to_owned();
    if shown.is_empty() {
        "(no name)".to_owned()
    } else {
        shown
    }
}

fn fields(pairs: &Pairs) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if text.len() > FIELDS_BYTES_SHOWN {
            break;
        }
        let value = cut(value, FIELDS_BYTES_SHOWN);
        text.push_str(&format!("{}={value} ", cut(name, FIELDS_BYTES_SHOWN)));
    }
    visible(&cut(text.trim_end(), FIELDS_BYTES_SHOWN)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_could_see_is_told_as_none() {
        assert_eq!(name(""), "(no name)");
        assert_eq!(name("\u{202e} \n"), "(no name)");
        assert_eq!(name("load"), "load");
        assert!(name(&"n".repeat(8 << 10)).len() <= NAME_BYTES_SHOWN);
    }
}
