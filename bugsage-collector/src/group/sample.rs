//! Chooses which events are kept whole, before anything is spent on them. All are counted.
//!
//! Of each issue the first events of an hour are kept, then fewer and fewer: as many of the second
//! thousand as of the first. So a flood costs little more than a trickle, and a bug that is rare is kept
//! wholly. Beside that an event is kept where something is seen for the first time (an issue, a release,
//! an environment), and where the last one that was kept is not recent any more.
//!
//! What is remembered here is a hint: it is lost with a restart, and bounded. That what must be kept is
//! kept, is up to the store, which knows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::Run;
use bugsage_core::fingerprint::Fingerprint;

/// Events of an issue in an hour that are all kept. Of further ones, half as many each time that their
/// number has doubled.
const WHOLE: u64 = 128;

/// How old the youngest kept event of an issue may be, as long as there are younger ones.
const RECENT_US: u64 = 10_000_000;

/// Issues that are remembered, at about 100 bytes each.
const ISSUES_MAX: usize = 65_536;

/// Releases and environments of an issue that are remembered.
const VARIANTS_MAX: usize = 16;

const HOUR_US: u64 = 3_600_000_000;

/// Which events a collector keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// As many as tell something new.
    #[default]
    Samples,
    /// All of them.
    All,
}

/// Remembers what was kept a moment ago.
#[derive(Debug, Default)]
pub struct Sampler {
    keep: Keep,
    issues: Mutex<HashMap<(u64, Fingerprint), Seen>>,
}

/// What was seen of an issue.
#[derive(Debug, Default)]
struct Seen {
    hour: u64,
    events: u64,
    kept_at: Timestamp,
    variants: Vec<u64>,
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The first fingerprint, which nearly always decides the issue.
    pub fingerprint: Fingerprint,
    /// The run that made the event.
    pub run: &'a Run,
    /// When it was made, as far as that can be.
    pub last_at: Timestamp,
}

impl Sampler {
    /// A sampler that remembers nothing.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            issues: Mutex::default(),
        }
    }

    /// Says of each event of a batch whether it is kept.
    pub fn choose<'a>(
        &self,
        project: u64,
        received_at: Timestamp,
        candidates: impl Iterator<Item = Candidate<'a>>,
    ) -> Vec<bool> {
        if self.keep == Keep::All {
            return candidates.map(|_| true).collect();
        }
        let mut issues = self.issues.lock().unwrap_or_else(PoisonError::into_inner);
        if issues.len() >= ISSUES_MAX {
            issues.clear();
        }
        let choose = |candidate: Candidate<'a>| {
            let seen = issues.entry((project, candidate.fingerprint));
            seen.or_default().choose(&candidate, received_at)
        };
        candidates.map(choose).collect()
    }
}

impl Seen {
    fn choose(&mut self, candidate: &Candidate<'_>, received_at: Timestamp) -> bool {
        let hour = received_at.0 / HOUR_US;
        if self.hour != hour {
            self.hour = hour;
            self.events = 0;
        }
        self.events += 1;
        let is_new = self.is_new(candidate.run);
        let is_due = candidate.last_at.micros_since(self.kept_at) > RECENT_US;
        let is_kept = is_new || is_due || is_sample(self.events);
        if is_kept {
            self.kept_at = self.kept_at.max(candidate.last_at);
        }
        is_kept
    }

    fn is_new(&mut self, run: &Run) -> bool {
        let variant = variant(run);
        if self.variants.contains(&variant) {
            return false;
        }
        if self.variants.len() == VARIANTS_MAX {
            self.variants.remove(0);
        }
        self.variants.push(variant);
        true
    }
}

/// Whether the event of this number in an hour, from 1, is kept.
fn is_sample(number: u64) -> bool {
    let step = 1
        << (number / WHOLE)
            .checked_ilog2()
            .map_or(0, |doublings| doublings + 1);
    number.is_multiple_of(step)
}

/// Stands for release and environment: FNV-1a, which is no promise; two that are taken for one cost a
/// hint.
fn variant(run: &Run) -> u64 {
    let release = run.release.as_deref().unwrap_or("").bytes();
    let environment = run.environment.as_deref().unwrap_or("").bytes();
    let bytes = release.chain([0]).chain(environment);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(until: u64) -> u64 {
        (1..=until).filter(|number| is_sample(*number)).count() as u64
    }

    #[test]
    fn a_trickle_is_kept_wholly_and_a_flood_by_its_logarithm() {
        assert_eq!(kept(WHOLE - 1), WHOLE - 1);
        for doublings in 1..20 {
            let (from, to) = (WHOLE << (doublings - 1), WHOLE << doublings);
            let more = kept(to - 1) - kept(from - 1);
            assert_eq!(more, WHOLE / 2, "from {from} to {to}");
        }
    }
}
