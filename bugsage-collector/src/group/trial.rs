//! What rules would do to events that are there already: which issues they would merge, and which they would split.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::{self, Fingerprint};

use crate::store::model::StoredEvent;

use super::sources::EventSources;

/// What came of a trial.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// Kept events that were looked at.
    pub events: u64,
    /// Those that a rule fits.
    pub fitting: u64,
    /// Rules by their lines, with how many events each fits first.
    pub rules: BTreeMap<u32, u64>,
    /// Issues that would get events of each other.
    pub merged: Vec<Merged>,
    /// Issues whose events would no longer be one.
    pub split: Vec<Split>,
}

/// Issues that a rule would make one.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The line of the rule.
    pub rule: u32,
    /// The issues.
    pub issues: Vec<u64>,
}

/// An issue that rules would make several of.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Split {
    /// The issue.
    pub issue: u64,
    /// Its kept events that no rule fits: they stay.
    pub stay: u64,
    /// How many events each new issue would get, and by which rule.
    pub leave: Vec<Leaving>,
}

/// Events that would leave an issue together.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Leaving {
    /// The line of the rule.
    pub rule: u32,
    /// How many of the kept events.
    pub events: u64,
}

/// Holds rules against events.
pub fn run(rules: &Rules, events: &[StoredEvent], sources: &mut EventSources<'_>) -> Trial {
    let mut trial = Trial::default();
    // By what rules group by: the line, and how many events of which issue.
    let mut groups: BTreeMap<Fingerprint, (u32, BTreeMap<u64, u64>)> = BTreeMap::new();
    let mut stay: BTreeMap<u64, u64> = BTreeMap::new();
    for stored in events {
        trial.events += 1;
        sources.of(stored.event.run.release.as_ref());
        let grouping = fingerprint::group(&stored.event, sources, rules);
        let (Some(rule), Some(first)) = (grouping.rule, grouping.fingerprints.first()) else {
            *stay.entry(stored.issue).or_default() += 1;
            continue;
        };
        trial.fitting += 1;
        *trial.rules.entry(rule).or_default() += 1;
        let (_, issues) = groups.entry(*first).or_insert((rule, BTreeMap::new()));
        *issues.entry(stored.issue).or_default() += 1;
    }
    let mut leave: BTreeMap<u64, Vec<Leaving>> = BTreeMap::new();
    let mut merged: BTreeSet<(u32, Vec<u64>)> = BTreeSet::new();
    for (rule, issues) in groups.into_values() {
        if issues.len() > 1 {
            merged.insert((rule, issues.keys().copied().collect()));
        }
        for (issue, events) in issues {
            leave
                .entry(issue)
                .or_default()
                .push(Leaving { rule, events });
        }
    }
    trial.merged = merged
        .into_iter()
        .map(|(rule, issues)| Merged { rule, issues })
        .collect();
    for (issue, mut leave) in leave {
        let stay = stay.get(&issue).copied().unwrap_or(0);
        if stay > 0 || leave.len() > 1 {
            leave.sort_by_key(|it| (it.rule, it.events));
            trial.split.push(Split { issue, stay, leave });
        }
    }
    trial
}
