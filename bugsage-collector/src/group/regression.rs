//! Decides whether a resolved issue has come back.

use bugsage_core::clock::Timestamp;
use bugsage_pipeline::subject::ReleaseParts;
use semver::Version;

/// A report of an issue that is resolved.
#[derive(Debug)]
pub struct Return<'a> {
    /// The release that the report comes from.
    pub release: Option<&'a str>,
    /// When the project first sent anything from that release.
    pub release_first_seen: Option<Timestamp>,
    /// When the last of the reports was made.
    pub last_at: Timestamp,
    /// The newest release of the project when the issue was resolved.
    pub resolved_release: Option<&'a str>,
    /// When it was resolved.
    pub resolved_at: Timestamp,
}

impl Return<'_> {
    /// Whether the issue is back: in a newer release than all there were when it was resolved.
    ///
    /// Old releases go on running for a while and prove nothing. Versions decide where both can be
    /// read as semantic versions and differ; otherwise what was first seen after the resolution is
    /// newer. Reports without a release count by their time.
    pub fn is_regression(&self) -> bool {
        let (Some(release), Some(resolved)) = (self.release, self.resolved_release) else {
            return self.last_at > self.resolved_at;
        };
        if release == resolved {
            return false;
        }
        if let (Some(now), Some(then)) = (version(release), version(resolved))
            && now != then
        {
            return now > then;
        }
        self.release_first_seen
            .is_some_and(|first_seen| first_seen > self.resolved_at)
    }
}

fn version(release: &str) -> Option<Version> {
    let text = ReleaseParts::of(release).version;
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_back(
        release: Option<&str>,
        resolved: Option<&str>,
        first_seen: u64,
        last_at: u64,
    ) -> bool {
        let returned = Return {
            release,
            release_first_seen: release.map(|_| Timestamp(first_seen)),
            last_at: Timestamp(last_at),
            resolved_release: resolved,
            resolved_at: Timestamp(100),
        };
        returned.is_regression()
    }

    #[test]
    fn a_newer_version_is_a_regression_and_an_older_one_is_not() {
        assert!(is_back(Some("shop@1.1.1"), Some("shop@1.1.0"), 200, 200));
        assert!(is_back(
            Some("shop@1.10.0+0a1b2c3d"),
            Some("shop@1.9.0+1111111"),
            200,
            200
        ));
        assert!(!is_back(Some("shop@1.1.0"), Some("shop@1.1.0"), 50, 200));
        assert!(
            !is_back(Some("shop@1.0.0"), Some("shop@1.1.0"), 200, 200),
            "an old release goes on"
        );
    }

    #[test]
    fn releases_without_versions_are_told_apart_by_when_they_came() {
        assert!(is_back(Some("blue"), Some("green"), 200, 200));
        assert!(!is_back(Some("blue"), Some("green"), 50, 200));
        assert!(is_back(
            Some("s@1.0.0+bbbbbbb"),
            Some("s@1.0.0+aaaaaaa"),
            200,
            200
        ));
    }

    #[test]
    fn without_a_release_time_decides() {
        assert!(is_back(None, Some("shop@1.0.0"), 0, 101));
        assert!(!is_back(None, None, 0, 100));
        assert!(is_back(Some("shop@1.0.0"), None, 0, 101));
    }
}
