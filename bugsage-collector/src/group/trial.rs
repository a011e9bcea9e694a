//! What rules would do from now on, tried on events that are there already: which issues would go on as one, which
//! would be split, and which would go on as another.
//!
//! Every event is placed twice, as ingest would place it if it came again: by the rules that hold, and by those that
//! are tried. Only what differs is told.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use serde::Serialize;

use bugsage_core::clock::Timestamp;
use bugsage_core::fingerprint::place::{self, Owners};
use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::{self, Fingerprint, Strength};

use crate::store::grouping::OwnedFingerprint;
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
    /// Issues whose events would be one from now on.
    pub merged: Vec<Merged>,
    /// Issues whose events would no longer be one.
    pub split: Vec<Split>,
    /// Issues whose events would all come as another one alone.
    pub moved: Vec<Moved>,
}

/// Issues that would be one.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The line of the rule; `None` where it is because none fits any more.
    pub rule: Option<u32>,
    /// The issues.
    pub issues: Vec<u64>,
    /// The one that they would be; `None` for a new one.
    pub into: Option<u64>,
}

/// An issue that would be several.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Split {
    /// The issue.
    pub issue: u64,
    /// How many of its kept events would come there again.
    pub stay: u64,
    /// The others, by where they would come.
    pub leave: Vec<Leaving>,
}

/// Events that would leave an issue together.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Leaving {
    /// The line of the rule; `None` where it is because none fits any more.
    pub rule: Option<u32>,
    /// How many of the kept events.
    pub events: u64,
    /// Where they would come; `None` for a new issue.
    pub into: Option<u64>,
}

/// An issue whose events would all come as another one, which gets no others.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The issue.
    pub issue: u64,
    /// The line of the rule; `None` where it is because none fits any more.
    pub rule: Option<u32>,
    /// Where its events would come; `None` for a new issue.
    pub into: Option<u64>,
}

/// An event, as it would be grouped if it came again.
pub struct Tried {
    issue: u64,
    came_at: Timestamp,
    /// By the rules that hold.
    now: Vec<Fingerprint>,
    /// By those that are tried.
    then: Vec<Fingerprint>,
    /// The line of the tried rule that fits.
    rule: Option<u32>,
}

impl Tried {
    /// All fingerprints whose owners decide.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        self.now.iter().chain(&self.then).copied()
    }
}

/// Groups an event by the rules that hold and by those that are tried.
pub fn group(
    now: &Rules,
    then: &Rules,
    stored: &StoredEvent,
    sources: &mut EventSources<'_>,
) -> Tried {
    sources.of(stored.event.run.release.as_ref());
    let before = fingerprint::group(&stored.event, sources, now);
    let after = fingerprint::group(&stored.event, sources, then);
    Tried {
        issue: stored.issue,
        came_at: stored.event.first_at,
        now: before.fingerprints,
        then: after.fingerprints,
        rule: after.rule,
    }
}

/// Where an event would come. New issues are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Target {
    Issue(u64),
    New(u64),
}

/// Who owns the fingerprints of a project that a trial asks for.
#[derive(Clone, Default)]
pub struct Owned {
    owners: HashMap<Fingerprint, Target>,
    strongest: HashMap<Target, Strength>,
    /// Parts, with the issues that they are parts of.
    wholes: HashMap<u64, u64>,
    n_new: u64,
}

impl Owned {
    /// Adds all fingerprints of an issue and of its parts.
    pub fn add(&mut self, whole: u64, owned: &[OwnedFingerprint]) {
        for it in owned {
            self.wholes.insert(it.issue, whole);
            // Those of rules that nobody knows any more lead nowhere.
            if let Ok(fingerprint) = it.fingerprint.parse() {
                self.own(fingerprint, Target::Issue(it.issue));
            }
        }
    }

    fn own(&mut self, fingerprint: Fingerprint, by: Target) {
        let owner = *self.owners.entry(fingerprint).or_insert(by);
        let strength = fingerprint.strength();
        let strongest = self.strongest.entry(owner).or_insert(strength);
        *strongest = strength.max(*strongest);
    }

    /// Where an event comes, which owns then what nobody did.
    fn place(&mut self, fingerprints: &[Fingerprint]) -> Target {
        let Ok(found) = place::find(fingerprints, &mut Asked(self));
        let target = found.unwrap_or_else(|| {
            self.n_new += 1;
            Target::New(self.n_new)
        });
        for fingerprint in fingerprints {
            self.own(*fingerprint, target);
        }
        match target {
            Target::Issue(part) => Target::Issue(self.wholes.get(&part).copied().unwrap_or(part)),
            new => new,
        }
    }
}

/// Asks those who own.
struct Asked<'a>(&'a Owned);

impl Owners for Asked<'_> {
    type Issue = Target;
    type Error = Infallible;

    fn owner(&mut self, fingerprint: Fingerprint) -> Result<Option<Target>, Infallible> {
        Ok(self.0.owners.get(&fingerprint).copied())
    }

    fn has_stronger(&mut self, issue: Target, than: Strength) -> Result<bool, Infallible> {
        let strongest = self.0.strongest.get(&issue);
        Ok(strongest.is_some_and(|strongest| *strongest > than))
    }
}

/// By issue: how many of its events would come where, and by which rule.
type Ways = BTreeMap<u64, BTreeMap<Target, (Option<u32>, u64)>>;

/// Places events by both, and tells what differs.
pub fn run(mut tried: Vec<Tried>, owned: Owned) -> Trial {
    let mut trial = Trial::default();
    tried.sort_by_key(|it| it.came_at);
    let (mut before, mut after) = (owned.clone(), owned);
    let mut ways = Ways::new();
    for event in tried {
        trial.events += 1;
        if let Some(rule) = event.rule {
            trial.fitting += 1;
            *trial.rules.entry(rule).or_default() += 1;
        }
        let (from, to) = (before.place(&event.now), after.place(&event.then));
        let (from, to) = match from {
            Target::Issue(issue) => (issue, to),
            // It came by other rules, and would leave its issue whatever is tried.
            Target::New(_) if event.now == event.then => (event.issue, Target::Issue(event.issue)),
            Target::New(_) => (event.issue, to),
        };
        let way = ways.entry(from).or_default().entry(to);
        way.or_insert((event.rule, 0)).1 += 1;
    }
    let gathered = gathered(&ways);
    for (issue, mut ways) in ways {
        let stay = ways.remove(&Target::Issue(issue)).map_or(0, |it| it.1);
        match ways.into_iter().collect::<Vec<_>>().as_slice() {
            [] => {}
            [(to, _)] if stay == 0 && gathered.contains_key(to) => {}
            [(to, (rule, _))] if stay == 0 => trial.moved.push(Moved {
                issue,
                rule: *rule,
                into: existing(*to),
            }),
            leave => trial.split.push(Split {
                issue,
                stay,
                leave: leave.iter().map(|way| leaving(*way)).collect(),
            }),
        }
    }
    let merged = gathered.into_iter().map(|(to, (rule, issues))| Merged {
        rule,
        issues,
        into: existing(to),
    });
    trial.merged = merged.collect();
    trial
}

/// Where events of several issues would come.
fn gathered(ways: &Ways) -> BTreeMap<Target, (Option<u32>, Vec<u64>)> {
    let mut targets: BTreeMap<Target, (Option<u32>, Vec<u64>)> = BTreeMap::new();
    for (issue, ways) in ways {
        for (to, (rule, _)) in ways {
            let (of, issues) = targets.entry(*to).or_default();
            *of = of.or(*rule);
            issues.push(*issue);
        }
    }
    targets.retain(|_, (_, issues)| issues.len() > 1);
    targets
}

fn leaving((to, (rule, events)): (Target, (Option<u32>, u64))) -> Leaving {
    Leaving {
        rule,
        events,
        into: existing(to),
    }
}

fn existing(target: Target) -> Option<u64> {
    match target {
        Target::Issue(issue) => Some(issue),
        Target::New(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `v1:a` is strong, of version 1, and about a.
    fn fingerprint(short: &str) -> Fingerprint {
        let (kind, about) = short.split_once(':').expect("has both");
        let digits: String = about.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{kind}-{digits:0>32}").parse().expect("is one")
    }

    fn tried(issue: u64, now: &[&str], then: &[&str], rule: Option<u32>) -> Tried {
        let all = |short: &[&str]| short.iter().map(|it| fingerprint(it)).collect();
        Tried {
            issue,
            came_at: Timestamp(0),
            now: all(now),
            then: all(then),
            rule,
        }
    }

    fn owned(issues: &[(u64, u64, &[&str])]) -> Owned {
        let mut owned = Owned::default();
        for (whole, issue, fingerprints) in issues {
            let all = fingerprints.iter().map(|short| OwnedFingerprint {
                fingerprint: fingerprint(short).to_string(),
                issue: *issue,
                kept: Vec::new(),
                brought_by: None,
            });
            owned.add(*whole, &all.collect::<Vec<_>>());
        }
        owned
    }

    #[test]
    fn what_a_rule_gathers_is_a_new_issue() {
        let owned = owned(&[(1, 1, &["v1:a"]), (2, 2, &["v1:b"]), (3, 3, &["v1:c"])]);
        let events = [
            tried(1, &["v1:a"], &["v1:ab"], Some(4)),
            tried(2, &["v1:b"], &["v1:ab"], Some(5)),
            tried(3, &["v1:c"], &["v1:c"], None),
        ];
        let trial = run(events.into(), owned);

        assert_eq!((trial.events, trial.fitting), (3, 2));
        let merged = Merged {
            rule: Some(4),
            issues: vec![1, 2],
            into: None,
        };
        assert_eq!(trial.merged, [merged]);
        assert_eq!((&*trial.split, &*trial.moved), (&[][..], &[][..]));
    }

    #[test]
    fn rules_that_go_take_back_what_they_did() {
        // Rules made 3 of events of 1 and 2; without them these come there again.
        let owned = owned(&[(1, 1, &["v1:a"]), (2, 2, &["v1:b"]), (3, 3, &["v1:ab"])]);
        let events = [
            tried(1, &["v1:ab"], &["v1:a"], None),
            tried(3, &["v1:ab"], &["v1:a"], None),
            tried(3, &["v1:ab"], &["v1:b"], None),
        ];
        let trial = run(events.into(), owned);

        let leave = |events, into| Leaving {
            rule: None,
            events,
            into: Some(into),
        };
        let split = Split {
            issue: 3,
            stay: 0,
            leave: vec![leave(2, 1), leave(1, 2)],
        };
        assert_eq!(trial.split, [split]);
        assert_eq!(trial.moved, []);
    }

    #[test]
    fn a_rule_that_leads_to_an_issue_again_says_which() {
        // 2 is a part of 9, which a rule made before.
        let owned = owned(&[(1, 1, &["v1:a"]), (9, 2, &["v1:ab"])]);
        let events = [tried(1, &["v1:a"], &["v1:ab"], Some(1))];
        let trial = run(events.into(), owned);

        assert_eq!(trial.merged, []);
        let moved = Moved {
            issue: 1,
            rule: Some(1),
            into: Some(9),
        };
        assert_eq!(trial.moved, [moved]);
    }

    #[test]
    fn what_does_not_change_is_not_told() {
        // The last came by other rules, and would leave its issue whatever is tried.
        let owned = owned(&[(1, 1, &["v1:a", "s1:s"]), (2, 2, &["v1:b"])]);
        let events = [
            tried(1, &["v1:a", "s1:s"], &["v1:a", "s1:s"], None),
            tried(1, &["v1:b", "s1:s"], &["v1:b", "s1:s"], None),
            tried(2, &["v1:x"], &["v1:x"], None),
        ];
        let trial = run(events.into(), owned);

        let told = (&*trial.merged, &*trial.split, &*trial.moved);
        assert_eq!(told, (&[][..], &[][..], &[][..]));
    }
}
