//! What was found, changed and proved, for a terminal.

use std::process::ExitCode;

use crate::cli::{exit, output};
use crate::view::{CaseView, VerdictView};

/// How wide prose is set.
const WIDTH: usize = 96;

/// Cases, one a line.
pub(super) fn list(cases: &[CaseView]) {
    let rows: Vec<Vec<String>> = cases
        .iter()
        .map(|case| {
            vec![
                ending(&case.id).to_owned(),
                case.issue.to_string(),
                case.state.clone(),
                number(case.confidence),
                number(case.risk),
                output::cut(what(case), 80),
            ]
        })
        .collect();
    let head = ["case", "issue", "state", "confidence", "risk", "what"];
    output::table(&head, &[1, 3, 4], &rows);
}

/// The fix where one waits or was applied, else why the case stands where it stands.
fn what(case: &CaseView) -> &str {
    let is_fixed = matches!(case.state.as_str(), "ready" | "approved" | "applied");
    let claim = case.claim().filter(|_| is_fixed);
    claim.or(case.reason.as_deref()).unwrap_or("")
}

/// A whole case.
pub(in crate::cli) fn case(case: &CaseView) {
    output::line(&format!(
        "case {} of issue {}: {}",
        case.id, case.issue, case.state
    ));
    if let Some(analysis) = &case.analysis {
        output::line("");
        wrap(&output::plain(&analysis.root_cause));
    }
    patch(case);
    let is_stopped = matches!(
        case.state.as_str(),
        "needs_human" | "failed" | "rejected" | "cancelled"
    );
    if let Some(reason) = case.reason.as_ref().filter(|_| is_stopped) {
        output::line("");
        wrap(&format!("Stopped: {}", output::plain(reason)));
    }
    next(case);
}

/// The claim, the diff, the gates and the numbers.
pub(in crate::cli) fn patch(case: &CaseView) {
    let Some(patch) = &case.patch else { return };
    if let Some(claim) = case.claim() {
        output::line("");
        wrap(&format!("Fix: {}", output::plain(claim)));
    }
    output::line("");
    for line in patch.diff.lines() {
        output::line(&format!("  {}", line_of_diff(line)));
    }
    if !case.verdicts.is_empty() {
        output::line("");
        gates(&case.verdicts);
    }
    if let Some(risk) = case.risk {
        output::line("");
        output::line(&format!(
            "confidence {}, risk {risk:.2}",
            number(case.confidence)
        ));
        for reason in &case.reasons {
            output::line(&format!("  - {}", output::plain(reason)));
        }
    }
    output::line("");
    output::line(&format!("patch {}", patch.sha256));
    output::line(&format!("base  {}", patch.base_commit));
}

/// The gates with what they found.
pub(in crate::cli) fn gates(verdicts: &[VerdictView]) {
    let rows: Vec<Vec<String>> = verdicts
        .iter()
        .map(|verdict| {
            let mark = match verdict.passed {
                Some(true) => "passed",
                Some(false) => "FAILED",
                None => "not shown",
            };
            vec![
                verdict.gate.to_owned(),
                mark.to_owned(),
                format!("{:.1} s", verdict.seconds),
                output::cut(&verdict.detail, 100),
            ]
        })
        .collect();
    output::table(&["gate", "", "time", "found"], &[2], &rows);
}

/// What a gate's command printed.
pub(super) fn log(case: &CaseView, gate: &str) -> anyhow::Result<ExitCode> {
    let Some(verdict) = case.verdicts.iter().find(|verdict| verdict.gate == gate) else {
        let gates: Vec<&str> = case.verdicts.iter().map(|verdict| verdict.gate).collect();
        output::error(&format!(
            "bugsage: case {} has no gate {}; it has: {}",
            case.id,
            output::cut(gate, 40),
            gates.join(", ")
        ));
        return Ok(ExitCode::from(exit::NOT_FOUND));
    };
    if let Some(command) = &verdict.command {
        output::line(&format!("$ {command}"));
    }
    output::line(&output::plain(&verdict.detail));
    for line in verdict.output.as_deref().unwrap_or_default().lines() {
        output::line(&output::plain(line));
    }
    Ok(ExitCode::SUCCESS)
}

/// The commands that go on from here.
fn next(case: &CaseView) {
    let short = ending(&case.id);
    let hash = case.patch.as_ref().and_then(|patch| patch.sha256.get(..12));
    let lines = match (case.state.as_str(), hash) {
        ("ready", Some(hash)) => vec![
            format!("approve: bugsage fix approve {short} --hash {hash}"),
            format!("reject:  bugsage fix reject {short} --reason WHY"),
        ],
        ("approved", _) => vec![format!("apply: bugsage fix apply {short}")],
        ("applied", _) => match &case.branch {
            Some(branch) => vec![format!("look at it: git show {}", branch.name)],
            None => Vec::new(),
        },
        ("needs_human" | "failed" | "rejected", _) => {
            vec![format!("try again: bugsage fix run {}", case.issue)]
        }
        _ => Vec::new(),
    };
    if !lines.is_empty() {
        output::line("");
    }
    lines.iter().for_each(|line| output::line(line));
}

/// The end of an id: its beginning is the time, which cases of a minute share.
pub(in crate::cli) fn ending(id: &str) -> &str {
    &id[id.len().saturating_sub(8)..]
}

fn number(number: Option<f64>) -> String {
    number.map_or("–".to_owned(), |number| format!("{number:.2}"))
}

/// A line of a diff keeps its leading spaces.
fn line_of_diff(line: &str) -> String {
    output::plain(&line.replace('\t', "    "))
}

/// Sets a text in lines of a width.
pub(in crate::cli) fn wrap(text: &str) {
    let mut line = String::from(" ");
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() + 1 > WIDTH {
            output::line(&line);
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    output::line(&line);
}
