//! Which issue an event belongs to, of those that own fingerprints already.

use super::Fingerprint;

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

    /// Whether an issue owns a fingerprint that is not weak.
    ///
    /// # Errors
    ///
    /// Where those who own cannot be asked now.
    fn is_known_well(&mut self, issue: Self::Issue) -> Result<bool, Self::Error>;
}

/// The issue that an event with these fingerprints belongs to; `None` where it is the first of a new one.
///
/// The first fingerprint that somebody owns decides. Two bugs may share a weak one: it does not lead to an issue
/// that is known to be another.
///
/// # Errors
///
/// Those of `owners`.
pub fn find<O: Owners>(
    fingerprints: &[Fingerprint],
    owners: &mut O,
) -> Result<Option<O::Issue>, O::Error> {
    let is_known_well = fingerprints.iter().any(|it| !it.is_weak());
    for fingerprint in fingerprints {
        let Some(issue) = owners.owner(*fingerprint)? else {
            continue;
        };
        if fingerprint.is_weak() && is_known_well && owners.is_known_well(issue)? {
            continue;
        }
        return Ok(Some(issue));
    }
    Ok(None)
}
