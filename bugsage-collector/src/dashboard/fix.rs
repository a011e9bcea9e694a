//! The fix of a case: what it claims, the change, each gate with its proof, and what decides it.

use maud::{Markup, html};

use bugsage_core::clock::Timestamp;
use bugsage_pipeline::case::{Case, State};
use bugsage_pipeline::validate::Verdict;
use bugsage_pipeline::validate::score::HIGH_RISK;

use crate::view::visible;

use super::parts;

/// Refused candidates that are shown.
const TRIALS_SHOWN: usize = 10;

/// What is known about a fix; nothing before the analysis is done.
pub(super) fn section(case: &Case, now: Timestamp) -> Markup {
    if case.analysis.is_none() {
        return html! {};
    }
    html! {
        section class="fix" {
            h2 { "Fix " (parts::badge("case", case.state.as_str())) }
            @match &case.patch {
                Some(_) => (patch(case, now)),
                None => p { (none(case)) },
            }
            (tried(case))
        }
    }
}

/// Why there is no patch.
fn none(case: &Case) -> Markup {
    match case.state {
        State::Analyzed | State::Fixing => html! { "One is being written." },
        _ => html! { (parts::prose(case.reason().unwrap_or("There is none."))) },
    }
}

fn patch(case: &Case, now: Timestamp) -> Markup {
    let claim = case.fix.as_ref().and_then(|fix| fix.chosen());
    html! {
        @if let Some(claim) = claim { p class="cause" { (parts::prose(&claim.claim)) } }
        @match case.state {
            State::Validating => p { "It is being proved. Load the page again in a moment." },
            State::NeedsHuman | State::Failed | State::Rejected | State::Cancelled => p {
                strong { "Not to be applied: " } (parts::prose(case.reason().unwrap_or("it was stopped")))
            },
            _ => {},
        }
        @if let Some(assessment) = &case.assessment {
            dl class="numbers" {
                div { dt { "confidence" } dd { (format!("{:.2}", assessment.confidence)) } }
                div { dt { "risk" } dd class=[(assessment.risk >= HIGH_RISK).then_some("bad")] { (format!("{:.2}", assessment.risk)) } }
                @if let Some(patch) = &case.patch {
                    div { dt { "base" } dd { code { (patch.base_commit.get(..10).unwrap_or_default()) } } }
                    div { dt { "patch" } dd { code title=(patch.sha256) { (patch.sha256.get(..12).unwrap_or_default()) } } }
                }
            }
        }
        @if let Some(patch) = &case.patch { (diff(&patch.diff)) }
        (gates(&case.verdicts))
        @if let Some(assessment) = &case.assessment {
            h3 { "Why that sure and that risky" }
            ul class="reasons" { @for reason in &assessment.reasons { li { (parts::prose(reason)) } } }
        }
        (decision(case, now))
    }
}

/// A unified diff, line by line. What is added and taken away is marked by its sign too, not by colour
/// alone.
fn diff(diff: &str) -> Markup {
    html! {
        div class="source diff" role="group" aria-label="change" {
            @for line in diff.lines() {
                div class={ "line " (kind(line)) } { code { (visible(&line.replace('\t', "    "))) } }
            }
        }
    }
}

fn kind(line: &str) -> &'static str {
    let is_head = ["diff ", "--- ", "+++ "]
        .iter()
        .any(|head| line.starts_with(head));
    match line.as_bytes().first() {
        _ if is_head => "head",
        Some(b'@') => "head",
        Some(b'+') => "added",
        Some(b'-') => "removed",
        _ => "",
    }
}

fn gates(verdicts: &[Verdict]) -> Markup {
    html! {
        @if !verdicts.is_empty() {
            h3 { "Proof" }
            ul class="gates" {
                @for verdict in verdicts {
                    li {
                        (parts::badge(outcome(verdict).0, outcome(verdict).1))
                        strong { (verdict.gate.as_str()) }
                        span class="text" { (parts::short(&verdict.detail)) }
                        @if verdict.seconds > 0.0 { span class="quiet" { (format!("{:.1} s", verdict.seconds)) } }
                        @if let (Some(command), Some(output)) = (&verdict.command, &verdict.output) {
                            details {
                                summary { "Log" }
                                pre { "$ " (command) "\n" (log(output)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn outcome(verdict: &Verdict) -> (&'static str, &'static str) {
    match verdict.passed {
        Some(true) => ("good", "passed"),
        Some(false) => ("high", "failed"),
        None => ("plain", "not shown"),
    }
}

/// What a command printed, with its line breaks and nothing else that steers.
fn log(output: &str) -> String {
    let lines: Vec<_> = output.lines().map(visible).collect();
    lines.join("\n")
}

/// Who decided, or the commands that do.
fn decision(case: &Case, now: Timestamp) -> Markup {
    let id = case.id.to_string();
    let short = &id[id.len() - 8..];
    let hash = case.patch.as_ref().and_then(|patch| patch.sha256.get(..12));
    html! {
        @if let Some(approval) = &case.approval {
            p { "Approved by " strong { (approval.approver) } ", " (parts::time(approval.at, now))
                @if case.state == State::Approved { ", until " (crate::clock::rfc3339(approval.expires_at)) }
            }
        }
        @match (case.state, hash) {
            (State::Ready, Some(hash)) => {
                h3 { "Decide" }
                pre { "bugsage fix approve " (short) " --hash " (hash) "\nbugsage fix reject " (short) " --reason WHY" }
            }
            (State::Approved, _) => pre { "bugsage fix apply " (short) },
            _ => {},
        }
        @if let Some(branch) = &case.branch {
            p { "On branch " code { (branch.name) } ", commit " code { (branch.commit.get(..10).unwrap_or_default()) } }
        }
    }
}

/// What was refused on the way, and what no rule would do.
fn tried(case: &Case) -> Markup {
    let Some(fix) = &case.fix else {
        return html! {};
    };
    html! {
        @if !fix.trials.is_empty() {
            details {
                summary { "Candidates that were refused" }
                ul class="reasons" {
                    @for trial in fix.trials.iter().take(TRIALS_SHOWN) {
                        li {
                            @if let Some(candidate) = fix.candidates.get(trial.candidate) { (parts::prose(&candidate.claim)) " " }
                            span class="quiet" { (trial.gate.as_str()) ": " (parts::short(&trial.detail)) }
                        }
                    }
                }
            }
        }
        @if !fix.declined.is_empty() && case.patch.is_some() {
            details {
                summary { "What no rule would do" }
                ul class="reasons" {
                    @for declined in fix.declined.iter().take(TRIALS_SHOWN) { li { (parts::prose(&declined.reason)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_what_is_added_and_taken_away_and_escapes_it() {
        let shown = diff("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a<b>\n+c\u{1b}[2J\n d\n").into_string();

        assert!(shown.contains("<div class=\"line removed\"><code>-a&lt;b&gt;</code>"));
        assert!(shown.contains("<div class=\"line added\"><code>+c [2J</code>"));
        assert!(shown.contains("<div class=\"line head\"><code>--- a/x</code>"));
        assert!(shown.contains("<div class=\"line \"><code> d</code>"));
    }
}
