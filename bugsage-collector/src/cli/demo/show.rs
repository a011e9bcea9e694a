//! The demo's last page: each bug with its count, place and origin, its cause, and its fix with the
//! gates that it passed; one fix whole.

use crate::cli::fix::show::{ending, patch, wrap};
use crate::cli::output;
use crate::view::{CaseView, IssueView, thousands};

pub(super) fn table(issues: &[IssueView], seconds: f64) {
    output::line("");
    bugs(issues);
    for issue in issues {
        explain(issue);
    }
    output::line("");
    fixes(issues);
    let ready: Vec<&CaseView> = issues
        .iter()
        .filter_map(|issue| issue.case.as_ref())
        .filter(|case| case.state == "ready" && mark(Some(case), "red") == "passed")
        .collect();
    if let Some(case) = ready.first() {
        output::line("");
        output::line(&format!("The fix of issue {}, with its proof:", case.issue));
        patch(case);
        let hash = case.patch.as_ref().and_then(|patch| patch.sha256.get(..12));
        output::line("");
        output::line("A person decides (after bugsage demo --keep):");
        let id = ending(&case.id);
        let hash = hash.unwrap_or_default();
        output::line(&format!("  bugsage fix approve {id} --hash {hash}"));
        output::line(&format!("  bugsage fix apply {id}"));
    }
    output::line("");
    let events: u64 = issues.iter().map(|issue| issue.events).sum();
    output::line(&format!(
        "{} panics, {} bugs, {} proved fixes after {seconds:.0} s",
        thousands(events),
        issues.len(),
        ready.len()
    ));
}

fn bugs(issues: &[IssueView]) {
    let rows: Vec<Vec<String>> = issues
        .iter()
        .map(|issue| {
            let analysis = issue.case.as_ref().and_then(|case| case.analysis.as_ref());
            let function = analysis.and_then(|a| a.function.clone());
            let suspect = analysis.and_then(|a| a.suspect_commit.as_ref());
            vec![
                issue.id.to_string(),
                thousands(issue.events),
                issue.class.clone(),
                output::cut(&function.unwrap_or_else(|| issue.culprit.clone()), 40),
                output::plain(version(issue.first_release.as_deref())),
                suspect.map_or("–".to_owned(), |s| {
                    format!("{} {}", short(&s.sha), output::cut(&s.subject, 40))
                }),
            ]
        })
        .collect();
    let head = [
        "issue",
        "events",
        "class",
        "function",
        "since",
        "suspect commit",
    ];
    output::table(&head, &[0, 1], &rows);
}

/// What happened, and what is done about it.
fn explain(issue: &IssueView) {
    output::line("");
    output::line(&format!("#{} {}", issue.id, output::plain(&issue.title)));
    let Some(case) = &issue.case else { return };
    let Some(analysis) = &case.analysis else {
        output::line(&format!("  {}", case.state));
        return;
    };
    output::line(&format!(
        "  {}:{}",
        output::plain(&analysis.file),
        analysis.line
    ));
    wrap(&output::plain(&analysis.root_cause));
    output::line(&format!(
        "  severity {}, confidence {:.2}",
        issue.severity, analysis.confidence
    ));
    let what = case.claim().filter(|_| case.state == "ready");
    match (what, &case.reason) {
        (Some(claim), _) => wrap(&format!("Fix: {}", output::plain(claim))),
        (None, Some(reason)) => wrap(&format!("No fix: {}", output::plain(reason))),
        (None, None) => {}
    }
}

/// Which gates each fix passed.
fn fixes(issues: &[IssueView]) {
    const GATES: [&str; 6] = ["diff", "check", "red", "green", "suite", "clippy"];
    let rows: Vec<Vec<String>> = issues
        .iter()
        .map(|issue| {
            let case = issue.case.as_ref();
            let mut row = vec![
                issue.id.to_string(),
                case.map_or("no case", |case| &case.state).to_owned(),
            ];
            row.extend(GATES.iter().map(|gate| mark(case, gate).to_owned()));
            for number in [
                case.filter(|case| case.risk.is_some())
                    .and_then(|case| case.confidence),
                case.and_then(|case| case.risk),
            ] {
                row.push(number.map_or("–".to_owned(), |number| format!("{number:.2}")));
            }
            row
        })
        .collect();
    let mut head = vec!["issue", "case"];
    head.extend(GATES);
    head.extend(["confidence", "risk"]);
    output::table(&head, &[0, 8, 9], &rows);
}

fn mark(case: Option<&CaseView>, gate: &str) -> &'static str {
    let verdict = case.and_then(|case| case.verdicts.iter().find(|v| v.gate == gate));
    match verdict.map(|verdict| verdict.passed) {
        Some(Some(true)) => "passed",
        Some(Some(false)) => "failed",
        Some(None) => "not shown",
        None => "–",
    }
}

/// `1.1.0` of `order-service@1.1.0+0a1b2c3`.
fn version(release: Option<&str>) -> &str {
    let version = release.and_then(|release| release.split('@').nth(1));
    version
        .and_then(|version| version.split('+').next())
        .unwrap_or("–")
}

fn short(sha: &str) -> &str {
    sha.get(..8).unwrap_or(sha)
}
