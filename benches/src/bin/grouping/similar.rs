//! How well issues of one bug that no fingerprint joins are suggested to each other.
//!
//! Samples are grouped without the source, where bugs lie in several issues. An issue stands for its first event: its
//! portrait is made of it, and its bug is that of this event. An issue is only compared with the others of its project.

use std::collections::{BTreeMap, BTreeSet};

use bugsage_core::fingerprint::message;
use bugsage_core::similar::{Portrait, SUGGESTED_MIN};
use serde::Serialize;

use crate::corpus::Sample;
use crate::measure::Clusters;

/// Issues that are suggested at most.
const NEAREST: usize = 5;

/// Similarities below which nothing would be suggested, to choose one of.
const THRESHOLDS: [f32; 6] = [0.0, 0.5, 0.6, 0.65, SUGGESTED_MIN, 0.8];

#[derive(Serialize)]
pub(crate) struct Similar {
    /// Issues where nobody has the source.
    pub(crate) issues_without_source: usize,
    /// Of these, those that have others of their bug.
    pub(crate) similar_issues: usize,
    /// For each of these issues: how many of the five issues nearest to it are of its bug, of as many as could be,
    /// which is five or the number of other issues of its bug, whichever is less. The mean over these issues.
    pub(crate) similar_recall_at_5: f64,
    /// Of the five nearest to these issues, the share that is of the same bug. It cannot be 1 where a bug has fewer
    /// than six issues.
    pub(crate) similar_precision_at_5: f64,
    /// The same recall where issues are ranked by the words of their messages alone: the share of words, of all
    /// that either has, that both have.
    pub(crate) similar_recall_at_5_by_words: f64,
    /// What comes of the vectors where nothing below a similarity is suggested.
    pub(crate) similar_thresholds: Vec<AtThreshold>,
}

#[derive(Serialize)]
pub(crate) struct AtThreshold {
    pub(crate) threshold: f32,
    /// As [`Similar::similar_recall_at_5`].
    pub(crate) recall_at_5: f64,
    /// Of what is suggested to any issue, five each at most, the share that is of the same bug.
    pub(crate) precision: f64,
    /// Issues that get a suggestion.
    pub(crate) issues: usize,
    pub(crate) suggestions: usize,
}

/// An issue by its first event.
struct Opened<'a> {
    project: &'a str,
    bug: &'a str,
    portrait: Portrait,
    words: BTreeSet<String>,
}

/// What is suggested to an issue, and how much of that is right.
#[derive(Default)]
struct Suggested {
    right: usize,
    all: usize,
    /// How many could be right.
    wanted: usize,
}

pub(crate) fn measure(samples: &[Sample], clusters: &Clusters) -> Similar {
    let issues = opened(samples, clusters);
    let by_vector =
        |a: &Opened<'_>, b: &Opened<'_>| a.portrait.vector.similarity(&b.portrait.vector);
    let vectors = suggested(&issues, 0.0, by_vector);
    let thresholds = THRESHOLDS.map(|threshold| {
        let all = suggested(&issues, threshold, by_vector);
        AtThreshold {
            threshold,
            recall_at_5: recall(&all),
            precision: precision(all.iter()),
            issues: all.iter().filter(|it| it.all > 0).count(),
            suggestions: all.iter().map(|it| it.all).sum(),
        }
    });
    Similar {
        issues_without_source: issues.len(),
        similar_issues: vectors.iter().filter(|it| it.wanted > 0).count(),
        similar_recall_at_5: recall(&vectors),
        similar_precision_at_5: precision(vectors.iter().filter(|it| it.wanted > 0)),
        similar_recall_at_5_by_words: recall(&suggested(&issues, 0.0, by_words)),
        similar_thresholds: thresholds.into(),
    }
}

fn opened<'a>(samples: &'a [Sample], clusters: &Clusters) -> Vec<Opened<'a>> {
    let mut issues: BTreeMap<usize, Opened<'_>> = BTreeMap::new();
    for (sample, issue) in samples.iter().zip(clusters) {
        issues.entry(*issue).or_insert_with(|| {
            let event = &sample.event;
            let class = sample.group(false).class;
            let words = message::template(&event.message).to_lowercase();
            Opened {
                project: &sample.build.program,
                bug: &sample.bug,
                portrait: Portrait::of(event, event.stack.as_deref(), &class),
                words: words.split_whitespace().map(str::to_owned).collect(),
            }
        });
    }
    issues.into_values().collect()
}

/// Of all words of two messages, the share that both have.
fn by_words(one: &Opened<'_>, other: &Opened<'_>) -> f32 {
    let both = one.words.intersection(&other.words).count();
    let any = one.words.union(&other.words).count();
    both as f32 / any.max(1) as f32
}

fn suggested(
    issues: &[Opened<'_>],
    threshold: f32,
    similarity: impl Fn(&Opened<'_>, &Opened<'_>) -> f32,
) -> Vec<Suggested> {
    let of = |(at, issue): (usize, &Opened<'_>)| {
        let others = issues.iter().enumerate();
        let others = others.filter(|(other_at, it)| *other_at != at && it.project == issue.project);
        let mut near: Vec<(f32, bool)> = others
            .map(|(_, other)| (similarity(issue, other), other.bug == issue.bug))
            .collect();
        let same = near.iter().filter(|(_, is_same)| *is_same).count();
        // Where two are as near, the one that was there first.
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.truncate(NEAREST);
        near.retain(|(similarity, _)| *similarity >= threshold);
        Suggested {
            right: near.iter().filter(|(_, is_same)| *is_same).count(),
            all: near.len(),
            wanted: same.min(NEAREST),
        }
    };
    issues.iter().enumerate().map(of).collect()
}

fn recall(suggested: &[Suggested]) -> f64 {
    let wanting: Vec<&Suggested> = suggested.iter().filter(|it| it.wanted > 0).collect();
    let shares = wanting.iter().map(|it| it.right as f64 / it.wanted as f64);
    shares.sum::<f64>() / wanting.len().max(1) as f64
}

fn precision<'a>(suggested: impl Iterator<Item = &'a Suggested>) -> f64 {
    let (right, all) = suggested.fold((0, 0), |sum, it| (sum.0 + it.right, sum.1 + it.all));
    right as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn issues_of_one_bug_find_each_other_as_they_did() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
        let samples = crate::corpus::read(&corpus).expect("is recorded");
        let in_order: Vec<usize> = (0..samples.len()).collect();
        let similar = measure(&samples, &crate::measure::ours(&samples, &in_order, false));
        let mut thresholds = similar.similar_thresholds.iter();
        let chosen = thresholds.find(|it| it.threshold == SUGGESTED_MIN);
        let chosen = chosen.expect("is one of them");

        // What was reached; a change of what a vector is made of may raise it.
        assert!(similar.similar_recall_at_5 > 0.98);
        assert!(similar.similar_recall_at_5 > similar.similar_recall_at_5_by_words + 0.15);
        assert!(chosen.recall_at_5 > 0.9, "{}", chosen.recall_at_5);
        assert!(chosen.precision > 0.8, "{}", chosen.precision);
    }

    #[test]
    fn recall_is_of_what_could_be_found_and_counts_no_issue_that_is_alone() {
        let suggested = |right, all, wanted| Suggested { right, all, wanted };
        let all = [suggested(1, 5, 1), suggested(2, 4, 4), suggested(0, 5, 0)];

        assert_eq!(recall(&all), (1.0 + 0.5) / 2.0);
        assert_eq!(precision(all.iter()), 3.0 / 14.0);
        assert_eq!((recall(&[]), precision([].iter())), (0.0, 0.0));
    }
}
