//! What is known about an issue when its case begins.

use serde::{Deserialize, Serialize};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::Event;

/// The issue a case is about, as the store knows it: plain data, so that a case can travel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The issue's title.
    pub title: String,
    /// Events of the issue so far.
    pub events: u64,
    /// Different users among them, where the app names its users.
    pub users: u64,
    /// When the first event was made.
    pub first_seen: Timestamp,
    /// When the last event was made.
    pub last_seen: Timestamp,
    /// Some of its events, of which the latest that has a place in the source is explained.
    pub samples: Vec<Event>,
    /// Where the project's source is: the path of a repository on this machine.
    pub repository: Option<String>,
    /// The releases of the project, in any order.
    pub releases: Vec<ReleaseSeen>,
}

/// A release of the project, and whether the issue was seen in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSeen {
    /// `name@version[+commit]`.
    pub name: String,
    /// When the project first sent an event or a run of it.
    pub first_seen: Timestamp,
    /// When the project last did.
    pub last_seen: Timestamp,
    /// Whether any of the issue's events came from it.
    pub has_issue: bool,
}

impl ReleaseSeen {
    /// The version and the commit in the release's name.
    pub fn parts(&self) -> ReleaseParts<'_> {
        ReleaseParts::of(&self.name)
    }
}

/// A release's name, taken apart. A `+` that is followed by no commit belongs to the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseParts<'a> {
    /// What follows the `@`; the whole name where there is none.
    pub version: &'a str,
    /// The commit: 7 to 40 hex digits.
    pub commit: Option<&'a str>,
}

impl<'a> ReleaseParts<'a> {
    /// Takes `name@version[+commit]` apart.
    pub fn of(release: &'a str) -> Self {
        let version = release
            .rsplit_once('@')
            .map_or(release, |(_, version)| version);
        match version.rsplit_once('+') {
            Some((version, commit)) if is_commit(commit) => ReleaseParts {
                version,
                commit: Some(commit),
            },
            _ => ReleaseParts {
                version,
                commit: None,
            },
        }
    }
}

fn is_commit(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_a_version_and_perhaps_a_commit() {
        let parts = |release| {
            let parts = ReleaseParts::of(release);
            (parts.version, parts.commit)
        };

        assert_eq!(parts("shop@1.2.0+0a1b2c3d"), ("1.2.0", Some("0a1b2c3d")));
        assert_eq!(parts("shop@1.2.0+build"), ("1.2.0+build", None));
        assert_eq!(parts("@scope/shop@1.2.0"), ("1.2.0", None));
        assert_eq!(parts("1.2.0"), ("1.2.0", None));
        assert_eq!(parts(""), ("", None));
    }
}
