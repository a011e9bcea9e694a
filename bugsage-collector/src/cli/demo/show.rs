//! The demo's last page: each bug with its count, place, origin and cause.

use crate::cli::output;
use crate::view::{IssueView, thousands};

/// How wide the explanation is set.
const WIDTH: usize = 96;

pub(super) fn table(issues: &[IssueView], seconds: f64) {
    output::line("");
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
    for issue in issues {
        output::line("");
        output::line(&format!("#{} {}", issue.id, output::plain(&issue.title)));
        let Some(case) = &issue.case else { continue };
        match &case.analysis {
            Some(analysis) => {
                output::line(&format!(
                    "   {}:{}",
                    output::plain(&analysis.file),
                    analysis.line
                ));
                wrap(&output::plain(&analysis.root_cause));
                output::line(&format!(
                    "   severity {}, confidence {:.2}",
                    issue.severity, analysis.confidence
                ));
            }
            None => output::line(&format!("   {}", case.state)),
        }
    }
    output::line("");
    let events: u64 = issues.iter().map(|issue| issue.events).sum();
    let total = thousands(events);
    output::line(&format!(
        "{total} panics, {} bugs, explained after {seconds:.0} s",
        issues.len()
    ));
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

fn wrap(text: &str) {
    let mut line = String::from("  ");
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() + 1 > WIDTH {
            output::line(&line);
            line = String::from("  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    output::line(&line);
}
