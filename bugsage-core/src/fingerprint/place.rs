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
