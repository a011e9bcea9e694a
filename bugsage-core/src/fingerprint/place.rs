//! Which issue an event belongs to, of those that own fingerprints already.

use super::{Fingerprint, Strength};

/// Who owns fingerprints: a project's issues.
pub trait Owners {
    /// What tells an issue from others.
    type Issue: Copy;
    /// Why the answer cannot be told.
    type Error;

    /// The issue that owns a fingerprint.
    ///
    /// # Errors
    ///
    /// Where those who own cannot be asked now.
    fn owner(&mut self, fingerprint: Fingerprint) -> Result<Option<Self::Issue>, Self::Error>;

    /// Whether an issue owns a fingerprint that is stronger than this.
    ///
    /// # Errors
    ///
    /// Where those who own cannot be asked now.
    fn has_stronger(&mut self, issue: Self::Issue, than: Strength) -> Result<bool, Self::Error>;
}

/// The issue that an event with these fingerprints belongs to; `None` where it is the first of a new one.
///
/// The first fingerprint that somebody owns decides. Two bugs may share one that is not strong: where both the event
/// and the issue have better ones, it shows nothing.
///
/// # Errors
///
/// Those of `owners`.
pub fn find<O: Owners>(
    fingerprints: &[Fingerprint],
    owners: &mut O,
) -> Result<Option<O::Issue>, O::Error> {
    let best = fingerprints.iter().map(|it| it.strength()).max();
    for fingerprint in fingerprints {
        let Some(issue) = owners.owner(*fingerprint)? else {
            continue;
        };
        let strength = fingerprint.strength();
        if best > Some(strength) && owners.has_stronger(issue, strength)? {
            continue;
        }
        return Ok(Some(issue));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use super::*;

    /// Issues that own fingerprints, as a store has them.
    #[derive(Default)]
    struct Issues(HashMap<Fingerprint, usize>);

    impl Owners for Issues {
        type Issue = usize;
        type Error = Infallible;

        fn owner(&mut self, fingerprint: Fingerprint) -> Result<Option<usize>, Infallible> {
            Ok(self.0.get(&fingerprint).copied())
        }

        fn has_stronger(&mut self, issue: usize, than: Strength) -> Result<bool, Infallible> {
            let mut owned = self.0.iter().filter(|(_, owner)| **owner == issue);
            Ok(owned.any(|(fingerprint, _)| fingerprint.strength() > than))
        }
    }

    impl Issues {
        /// Where an event with these goes, which takes what nobody owns.
        fn place(&mut self, fingerprints: &[&str]) -> usize {
            let all: Vec<Fingerprint> = fingerprints.iter().map(|it| fingerprint(it)).collect();
            let Ok(found) = find(&all, self);
            let issue = found.unwrap_or_else(|| self.0.values().max().map_or(1, |last| last + 1));
            for fingerprint in all {
                self.0.entry(fingerprint).or_insert(issue);
            }
            issue
        }
    }

    /// `v1:a` is strong, of version 1, and about a.
    fn fingerprint(short: &str) -> Fingerprint {
        let (kind, about) = short.split_once(':').expect("has both");
        let digits: String = about.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{kind}-{digits:0>32}").parse().expect("is one")
    }

    #[test]
    fn a_new_version_of_the_rules_splits_and_reopens_nothing() {
        let mut issues = Issues::default();
        assert_eq!(issues.place(&["v1:a", "w1:a"]), 1);
        assert_eq!(issues.place(&["v1:b", "w1:b"]), 2);

        // New rules see what the old ones saw too, and more.
        assert_eq!(issues.place(&["v2:ax", "w2:a", "v1:a", "w1:a"]), 1);
        assert_eq!(issues.place(&["v2:ay", "w2:a", "v1:a", "w1:a"]), 1);
        assert_eq!(issues.place(&["v2:bx", "w2:b", "v1:b", "w1:b"]), 2);
        // And what is new is as the new ones say.
        assert_eq!(issues.place(&["v2:cx", "w2:c", "v1:c", "w1:c"]), 3);
        assert_eq!(issues.place(&["v2:ax"]), 1);
    }

    #[test]
    fn who_knows_better_is_not_led_by_less() {
        let mut issues = Issues::default();
        assert_eq!(issues.place(&["v1:helper-one", "s1:helper"]), 1);
        assert_eq!(issues.place(&["v1:helper-two", "s1:helper"]), 2);
        assert_eq!(issues.place(&["s1:helper"]), 1, "there is nothing better");

        assert_eq!(issues.place(&["s1:other", "p1:file"]), 3);
        assert_eq!(issues.place(&["s1:another", "p1:file"]), 4);
        assert_eq!(
            issues.place(&["v1:other-one", "w1:other-one", "s1:other"]),
            3
        );
        assert_eq!(
            issues.place(&["v1:other-two", "w1:other-two", "s1:other"]),
            5
        );
    }
}
