//! The report for readers.

use bugsage_core::fingerprint;

use crate::corpus::Sample;
use crate::measure::{Quality, Report};

pub(crate) fn print(report: &Report) {
    println!(
        "{} events of {} bugs in {} issues\n",
        report.events, report.bugs, report.issues
    );
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>10} {:>9} {:>9} {:>7}",
        "rules", "precision", "recall", "b-cubed", "overmerged", "stability", "plain", "issues"
    );
    line(
        "ours",
        &report.quality,
        report.stability,
        report.plain_release,
        report.issues,
    );
    let others = report.peers.iter().map(|(name, rules)| (*name, rules));
    let ours = [
        ("ours, without source", &report.without_source),
        ("ours, worst of orders", &report.shuffled),
    ];
    for (name, rules) in ours.into_iter().chain(others) {
        line(
            name,
            &rules.quality,
            rules.stability,
            rules.plain_release,
            rules.issues,
        );
    }
    let alone = &report.plain_release_alone;
    println!(
        "{:<22} {:>9.3} {:>9.3} {:>9.3} {:>10.3}",
        "plain release alone",
        alone.pairwise_precision,
        alone.pairwise_recall,
        alone.bcubed_f1,
        alone.overmerged,
    );
    println!("\nthe same issue in both of two builds, or by both of two ways, that differ in");
    for (axis, share) in &report.axes {
        println!("{axis:<22} {share:>9.3}");
    }
    let similar = &report.similar;
    println!(
        "\nsimilar issues, of {} without source that have others of their bug",
        similar.similar_issues
    );
    println!("{:<22} {:>9} {:>9}", "by", "recall@5", "right");
    println!(
        "{:<22} {:>9.3} {:>9.3}",
        "vectors", similar.similar_recall_at_5, similar.similar_precision_at_5
    );
    println!(
        "{:<22} {:>9.3}",
        "words of the message", similar.similar_recall_at_5_by_words
    );
    println!("\nsuggested to all issues that are as similar as");
    for at in &similar.similar_thresholds {
        println!(
            "{:<22} {:>9.3} {:>9.3}  {} of {} issues get {} suggestions",
            at.threshold,
            at.recall_at_5,
            at.precision,
            at.issues,
            similar.issues_without_source,
            at.suggestions
        );
    }
    println!("\nbugs in more than one issue, or with others in one");
    for case in &report.cases {
        if case.issues.len() > 1 || !case.shared_with.is_empty() {
            let mut counts: Vec<usize> = case.issues.values().copied().collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            println!("{:<48} {counts:?} with {:?}", case.bug, case.shared_with);
        }
    }
}

fn line(name: &str, quality: &Quality, stability: f64, plain: f64, issues: usize) {
    println!(
        "{name:<22} {:>9.3} {:>9.3} {:>9.3} {:>10.3} {stability:>9.3} {plain:>9.3} {issues:>7}",
        quality.pairwise_precision, quality.pairwise_recall, quality.bcubed_f1, quality.overmerged,
    );
}

/// What counted of each event of a bug, and the stacks with what became of each frame. False where no bug is
/// named so.
pub(crate) fn show(samples: &[Sample], bug: &str) -> bool {
    let mut shown = samples
        .iter()
        .filter(|sample| sample.bug.ends_with(bug))
        .peekable();
    let is_there = shown.peek().is_some();
    for sample in shown {
        let event = &sample.event;
        let explanation = sample.explain();
        println!(
            "{} by {} {}",
            sample.build.name(),
            sample.shown_by,
            sample.way
        );
        println!("  {:?} at {:?}", event.message, event.location);
        for kept in &explanation.kept {
            println!("  counts as {}: {}", kept.rule, kept.value);
        }
        for frame in event.stack.iter().flat_map(|stack| &stack.frames) {
            println!(
                "  {} {} {}:{}",
                fingerprint::frames::judge(frame).rule(),
                frame.function.as_deref().unwrap_or("?"),
                frame.file.as_deref().unwrap_or("?"),
                frame.line.unwrap_or(0),
            );
        }
    }
    is_there
}
