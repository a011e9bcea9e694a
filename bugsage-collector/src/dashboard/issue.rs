//! One issue: what it is, why it happens, and the event that shows it.

use std::sync::Arc;

use axum::extract::{Path, State};
use maud::{Markup, html};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, SpanContext};
use bugsage_core::limits::cut;
use bugsage_core::stacktrace::Frame;
use bugsage_pipeline::analyze::Analysis;
use bugsage_pipeline::case::{Case, State as CaseState};
use bugsage_pipeline::evidence::{Evidence, FrameSource};

use crate::clock::rfc3339;
use crate::group::why::{Reasons, Why};
use crate::store::StoreError;
use crate::store::model::IssueDetail;
use crate::view::{SimilarView, duration, place, thousands, visible, without_lines};

use super::{Page, Pages, chart, fix, parts, regroup, similar, trace};

const HOUR_US: u64 = 3_600_000_000;

/// Frames of a stack that are shown: the innermost. Deeper ones are recursion or a runtime.
const FRAMES_SHOWN: usize = 100;

/// Breadcrumbs that are shown: the latest.
const BREADCRUMBS_SHOWN: usize = 40;

/// The longest message that is shown whole.
const MESSAGE_BYTES_SHOWN: usize = 4 << 10;

pub(super) async fn page(State(pages): State<Arc<Pages>>, Path(id): Path<String>) -> Page {
    let not_found = || StoreError::NotFound {
        what: "issue",
        name: id.chars().take(40).collect(),
    };
    let number = id.parse().map_err(|_| not_found())?;
    let detail = pages.store.issue(&pages.scope, number).await?;
    let case = match detail.issue.case {
        Some(case) => Some(pages.store.case(&pages.scope, case).await?),
        None => None,
    };
    // The event that was explained, so that stack, source and explanation fit; else the latest.
    let explained = case
        .as_ref()
        .and_then(|case| case.evidence.as_ref())
        .map(|e| e.report.event);
    let event = match explained.or(detail.issue.latest_event) {
        Some(event) => Some(pages.store.event(&pages.scope, event).await?),
        None => None,
    };
    let why_here = match &event {
        Some(stored) => {
            let mut reasons = Reasons::new(&*pages.store, &pages.scope, pages.sources.clone());
            Some(reasons.of(stored).await?)
        }
        None => None,
    };
    let event = event.map(|stored| stored.event);
    let trace = match &event {
        Some(event) => Some(trace::of_event(&pages, event).await?),
        None => None,
    };
    let alike = SimilarView::load(&*pages.store, &pages.scope, number).await?;
    // A part takes no parts.
    let into = Some(number).filter(|_| detail.issue.merged_into.is_none());
    let now = pages.clock.now();
    Ok(parts::frame(
        &detail.issue.title,
        html! {
            (heading(&detail, now))
            (why(case.as_ref(), now))
            @if let Some(case) = &case { (fix::section(case, now)) }
            @if let Some(event) = &event { (event_sections(event, trace.as_ref(), case.as_ref(), now)) }
            (releases(&detail, now))
            (history(&detail, case.as_ref(), now))
            (similar::section(into, &alike))
            (regroup::section(&detail))
            @if let Some(why) = &why_here { (grouping(why)) }
        },
    ))
}

fn heading(detail: &IssueDetail, now: Timestamp) -> Markup {
    let issue = &detail.issue;
    html! {
        p class="quiet" { a href="/issues" { "Issues" } " / " (issue.project_name) " / " (issue.id) }
        h1 class="message" { (parts::short(&issue.title)) }
        p class="culprit" { (parts::short(&issue.culprit)) }
        div class="marks" {
            (parts::badge(&issue.severity, &issue.severity))
            (parts::badge("plain", &issue.class))
            (parts::badge("plain", &issue.kind))
            (parts::badge("plain", &issue.status))
            (parts::badge("plain", &issue.substatus))
        }
        dl class="numbers" {
            div { dt { "events" } dd { (thousands(issue.events)) } }
            div { dt { "users" } dd { (thousands(issue.users)) } }
            div { dt { "first seen" } dd { (parts::time(issue.first_seen, now)) } }
            div { dt { "last seen" } dd { (parts::time(issue.last_seen, now)) } }
            div { dt { "since" } dd { (parts::release(issue.first_release.as_deref())) } }
        }
        (chart::hours(&detail.hours, now.0 / HOUR_US))
    }
}

/// What the case found out, or why there is none.
fn why(case: Option<&Case>, now: Timestamp) -> Markup {
    let Some(case) = case else {
        return html! {
            section { h2 { "Why" }
                p class="quiet" {
                    "There is no case. One begins with a panic or error in the app's own code, of a project whose repository is known: "
                    code { "bugsage project set PROJECT --repository PATH" }
                }
            }
        };
    };
    html! {
        section class="why" {
            h2 { "Why" }
            @match &case.analysis {
                Some(analysis) => (explanation(analysis, case.evidence.as_ref())),
                None => p {
                    @match case.state {
                        CaseState::Queued | CaseState::Analyzing => "It is being looked into. Load the page again in a moment.",
                        _ => (case.reason().unwrap_or("It was not explained.")),
                    }
                },
            }
            p class="quiet" { "case " (case.id) ", " (parts::time(case.updated_at, now)) }
        }
    }
}

fn explanation(analysis: &Analysis, evidence: Option<&Evidence>) -> Markup {
    html! {
        p class="cause" { (parts::prose(&analysis.root_cause)) }
        p { code { (analysis.file) ":" (analysis.line) }
            @if let Some(function) = &analysis.function { " in " code { (function) } }
            @if let Some(expression) = &analysis.expression { ", at " code { (expression) } }
        }
        @if let Some(evidence) = evidence { (parts::source(&evidence.place.lines, analysis.line)) }
        @if !analysis.rests_on.is_empty() {
            h3 { "It rests on" }
            ul class="rests" {
                @for source in &analysis.rests_on {
                    li { span class="quiet" { (source.file) ":" (source.line) } " " code { (source.text.trim()) } }
                }
            }
        }
        @if let Some(commit) = &analysis.suspect_commit {
            h3 { "Suspect commit" }
            p { code { (commit.sha.chars().take(10).collect::<String>()) } " " strong { (commit.subject) } br;
                (commit.author) ", " (commit.date) }
            p class="quiet" { (commit.reason) }
        }
        p { "Confidence " strong { (format!("{:.2}", analysis.confidence)) } }
        ul class="reasons" { @for reason in &analysis.reasons { li { (reason) } } }
        @if let Some(evidence) = evidence {
            p class="quiet" { "Read at commit " code { (evidence.commit.short()) }
                @if let Some(note) = &evidence.commit.note { ". " (note) }
            }
        }
    }
}

fn event_sections(
    event: &Event,
    trace: Option<&Markup>,
    case: Option<&Case>,
    now: Timestamp,
) -> Markup {
    let sources = case.and_then(|case| case.evidence.as_ref());
    html! {
        section {
            h2 { @if sources.is_some() { "The event that was explained" } @else { "Latest event" } }
            p { span class="message" { (visible(&cut(&event.message, MESSAGE_BYTES_SHOWN))) } }
            (facts(event))
            @for error in event.errors.iter().skip(1) {
                p class="quiet" { "caused by "
                    @if let Some(name) = &error.type_name { code { (name) } ": " }
                    (parts::short(&error.message))
                }
            }
        }
        @if !event.spans.is_empty() {
            section {
                h2 { "Open spans" }
                @for span in &event.spans {
                    h3 { code { (span.name) } " " span class="quiet" { (span.target) (open(span)) } }
                    (parts::facts(span.fields.iter().map(|(name, value)| (&**name, &**value))))
                }
            }
        }
        @if let Some(trace) = trace { (trace) }
        @if let Some(stack) = &event.stack {
            section {
                h2 { "Stack" }
                @if let Some(why) = without_lines(event) { p class="quiet" { (why) } }
                ol class="stack" {
                    @for frame in stack.frames.iter().take(FRAMES_SHOWN) { (frame_item(frame, sources)) }
                }
                (more(stack.frames.len(), FRAMES_SHOWN, "frames further out", event))
            }
        }
        @if !event.breadcrumbs.is_empty() {
            section {
                h2 { "Breadcrumbs" }
                (more(event.breadcrumbs.len(), BREADCRUMBS_SHOWN, "earlier ones", event))
                ol class="crumbs" {
                    @let earlier = event.breadcrumbs.len().saturating_sub(BREADCRUMBS_SHOWN);
                    @for crumb in &event.breadcrumbs[earlier..] {
                        li {
                            (parts::badge(crumb.level.as_str(), crumb.level.as_str()))
                            span class="quiet" { (before(crumb.at, event.first_at)) }
                            span class="text" { (parts::short(&crumb.message)) }
                        }
                    }
                }
            }
        }
        @if !event.tags.is_empty() {
            section { h2 { "Tags" } (parts::facts(event.tags.iter().map(|(name, value)| (&**name, &**value)))) }
        }
        @if !event.attached.is_empty() {
            section { h2 { "Attached" } (parts::facts(event.attached.iter().map(|(name, value)| (&**name, &**value)))) }
        }
        @if !event.inputs.is_empty() {
            section { h2 { "Inputs" } (parts::facts(event.inputs.iter().map(|(name, value)| (&**name, &**value)))) }
        }
        @if !event.contexts.is_empty() {
            section {
                details {
                    summary { "Host and build" }
                    (parts::facts(event.contexts.iter().map(|(name, value)| (&**name, &**value))))
                }
                p class="quiet" { "event " (event.id) ", " (parts::time(event.first_at, now)) }
            }
        }
    }
}

/// For how long a span was open, where that is known.
fn open(span: &SpanContext) -> String {
    let timing = span.timing.map(|timing| {
        let open = duration(timing.open_us.saturating_mul(1_000));
        format!(", open for {open}")
    });
    timing.unwrap_or_default()
}

/// Says that not all of something is shown, and where the rest is.
fn more(all: usize, shown: usize, what: &str, event: &Event) -> Markup {
    html! {
        @if all > shown {
            p class="quiet" { (all - shown) " " (what) ": " code { "bugsage events show " (event.id) } }
        }
    }
}

fn facts(event: &Event) -> Markup {
    let mut facts: Vec<(&str, String)> = Vec::new();
    if let Some(location) = &event.location {
        facts.push(("at", place(location)));
    }
    facts.push((
        "thread",
        event.thread.name.as_deref().unwrap_or("unnamed").to_owned(),
    ));
    if let Some(uptime) = event.run.uptime_us(event.first_at) {
        facts.push(("uptime", duration(uptime.saturating_mul(1_000))));
    }
    facts.push(("level", event.level.as_str().to_owned()));
    if let Some(release) = &event.run.release {
        facts.push(("release", release.to_string()));
    }
    if let Some(environment) = &event.run.environment {
        facts.push(("environment", environment.to_string()));
    }
    if let Some(user) = &event.user {
        facts.push(("user", user.to_string()));
    }
    if event.count > 1 {
        facts.push((
            "reports",
            format!(
                "{} until {}",
                thousands(event.count),
                rfc3339(event.last_at)
            ),
        ));
    }
    parts::facts(facts.iter().map(|(name, value)| (*name, value.as_str())))
}

fn frame_item(frame: &Frame, evidence: Option<&Evidence>) -> Markup {
    let function = frame
        .function
        .as_deref()
        .map_or_else(|| format!("{:#x}", frame.address), str::to_owned);
    let place = frame.file.as_deref().zip(frame.line);
    let source = frame
        .in_app
        .then(|| evidence.and_then(|e| source_of(frame, e)))
        .flatten();
    html! {
        li class={ @if frame.in_app { "app" } @else { "other" } } {
            code class="function" { (parts::short(&function)) }
            @if frame.inlined { " " span class="quiet" { "inlined" } }
            @if let Some((file, line)) = place { div class="place" { (parts::short(file)) ":" (line) } }
            @if let Some(source) = source { (parts::source(&source.lines, source.line)) }
        }
    }
}

/// The source around a frame, where the case has read it.
fn source_of<'e>(frame: &Frame, evidence: &'e Evidence) -> Option<&'e FrameSource> {
    evidence.frames.iter().find(|known| {
        Some(known.line) == frame.line
            && frame.file.as_deref() == Some(known.file.as_str())
            && !known.lines.is_empty()
    })
}

/// How long before the event something was.
fn before(at: Timestamp, event: Timestamp) -> String {
    let before_ms = event.micros_since(at) as f64 / 1e3;
    if before_ms < 1_000.0 {
        format!("−{before_ms:.1} ms")
    } else {
        format!("−{:.1} s", before_ms / 1e3)
    }
}

fn releases(detail: &IssueDetail, now: Timestamp) -> Markup {
    if detail.releases.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Releases" }
            div class="wide" {
                table {
                    thead { tr { th { "release" } th class="n" { "events" } th { "first" } th { "last" } } }
                    tbody {
                        @for release in &detail.releases {
                            tr {
                                td { code { (release.release) } }
                                td class="n" { (thousands(release.events)) }
                                td { (parts::time(release.first_seen, now)) }
                                td { (parts::time(release.last_seen, now)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn history(detail: &IssueDetail, case: Option<&Case>, now: Timestamp) -> Markup {
    let issue = detail
        .history
        .iter()
        .map(|entry| (entry.at, entry.actor.as_str(), entry.what.clone()));
    let case = case
        .into_iter()
        .flat_map(|case| &case.history)
        .map(|transition| {
            let what = format!("case {}: {}", transition.to, transition.reason);
            (transition.at, transition.actor.as_str(), what)
        });
    let mut entries: Vec<_> = issue.chain(case).collect();
    entries.sort_by_key(|(at, ..)| *at);
    html! {
        section {
            h2 { "History" }
            ul class="history" {
                @for (at, actor, what) in entries {
                    li { (parts::time(at, now)) " " strong { (what) } " " span class="quiet" { (actor) } }
                }
            }
        }
    }
}

/// Why the event belongs to this issue.
fn grouping(why: &Why) -> Markup {
    let grouping = &why.explanation;
    html! {
        section {
            details {
                summary { "Why these events are one issue" }
                @if grouping.provisional {
                    p { "For now: there was no source file in the stack, and symbols or the source may still change it." }
                }
                @if let Some(line) = why.rule { p { "By line " (line) " of the project's rules." } }
                @if why.has_changed { p { "When the event came it was grouped by something else: the rules or the source have changed since." } }
                (parts::kept(&grouping.kept))
                @if let Some(nearest) = &why.nearest {
                    p { "The nearest other issue is " a href={ "/issues/" (nearest.issue) } { (nearest.issue) } ", "
                        (parts::short(&nearest.title)) ". It has these in common:" }
                    (parts::kept(&nearest.shares))
                    @if !nearest.differs.is_empty() { p { "And not these:" } (parts::kept(&nearest.differs)) }
                }
                @if !grouping.dropped.is_empty() {
                    p class="quiet" { "Frames that did not count:" }
                    ul class="quiet" {
                        @for dropped in grouping.dropped.iter().take(FRAMES_SHOWN) { li { (dropped.rule) ": " code { (parts::short(&dropped.frame)) } } }
                    }
                }
            }
        }
    }
}
