//! The source that was built, and the commits since the last release without the bug.

use serde::{Deserialize, Serialize};

use bugsage_core::event::Event;

use crate::evidence::quote;
use crate::limits;
use crate::repository::{Commit, Repository, RepositoryError};
use crate::subject::{ReleaseParts, ReleaseSeen, Subject};

/// The source that an event was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCommit {
    /// The commit.
    pub commit: Commit,
    /// How it is known.
    pub known_by: KnownBy,
    /// What could not be used, in words for a person.
    pub note: Option<String>,
}

impl KnownCommit {
    /// The first digits of its name.
    pub fn short(&self) -> &str {
        &self.commit.sha[..self.commit.sha.len().min(10)]
    }
}

/// How the commit of an event is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// The event's release names it, and a ref leads to it.
    Event,
    /// The tag of the event's version.
    Tag,
    /// Neither: it is what is checked out, and may not be what was built.
    Guessed,
}

/// The commits among which a bug came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The last release without the bug.
    pub good_release: String,
    /// Its commit.
    pub good: Commit,
    /// The first release with the bug.
    pub bad_release: Option<String>,
    /// Its commit; that of the event where the release cannot be found.
    pub bad: Commit,
    /// What lies between, newest first, without merges.
    pub commits: Vec<Commit>,
    /// Whether there are more than [`limits::COMMITS_MAX`].
    pub truncated: bool,
}

/// The commit that an event was built from: what its release names, else the version's tag, else
/// what is checked out.
pub(super) fn commit_of_event(
    repository: &Repository,
    release: Option<&str>,
) -> Result<KnownCommit, RepositoryError> {
    let mut notes = Vec::new();
    if let Some(release) = release {
        let parts = ReleaseParts::of(release);
        if let Some(name) = parts.commit {
            match repository.commit(name)? {
                Some(commit) => {
                    return Ok(KnownCommit {
                        commit,
                        known_by: KnownBy::Event,
                        note: None,
                    });
                }
                None => notes.push(format!("no ref of the repository leads to commit {name}")),
            }
        }
        match repository.tagged(parts.version)? {
            Some(commit) => {
                return Ok(KnownCommit {
                    commit,
                    known_by: KnownBy::Tag,
                    note: joined(notes),
                });
            }
            None => notes.push(format!("there is no tag v{}", quote(parts.version))),
        }
    } else {
        notes.push("the event names no release".to_owned());
    }
    notes.push("the source is that of HEAD, which is a guess".to_owned());
    let commit = repository.head()?;
    Ok(KnownCommit {
        commit,
        known_by: KnownBy::Guessed,
        note: joined(notes),
    })
}

fn joined(notes: Vec<String>) -> Option<String> {
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// Finds the last release without the bug that came before the first one with it.
pub(super) fn find(
    subject: &Subject,
    event: &Event,
    repository: &Repository,
    built: &KnownCommit,
) -> Result<Option<Window>, RepositoryError> {
    let mut releases: Vec<&ReleaseSeen> = subject.releases.iter().collect();
    releases.sort_by_key(|release| (release.first_seen, release.name.as_str()));
    let excess = releases.len().saturating_sub(limits::RELEASES_MAX);
    releases.drain(..excess);
    let current = event.run.release.as_deref();
    let is_bad = |release: &ReleaseSeen| release.has_issue || Some(&*release.name) == current;
    let Some(first_bad) = releases.iter().position(|release| is_bad(release)) else {
        return Ok(None);
    };

    let mut bad = (None, built.commit.clone());
    if let Some(commit) = commit_of_release(repository, releases[first_bad])?
        && repository.is_ancestor(&commit, &built.commit)?
    {
        bad = (Some(releases[first_bad].name.clone()), commit);
    }
    let (bad_release, bad) = bad;
    for release in releases[..first_bad].iter().rev().take(limits::VALUES_MAX) {
        let Some(good) = commit_of_release(repository, release)? else {
            continue;
        };
        // A release of another branch, or of the very same commit, bounds nothing.
        if good.sha == bad.sha || !repository.is_ancestor(&good, &bad)? {
            continue;
        }
        let commits = repository.between(&good, &bad)?;
        let truncated = commits.len() >= limits::COMMITS_MAX;
        let good_release = release.name.clone();
        return Ok(Some(Window {
            good_release,
            good,
            bad_release,
            bad,
            commits,
            truncated,
        }));
    }
    Ok(None)
}

fn commit_of_release(
    repository: &Repository,
    release: &ReleaseSeen,
) -> Result<Option<Commit>, RepositoryError> {
    let parts = release.parts();
    if let Some(name) = parts.commit
        && let Some(commit) = repository.commit(name)?
    {
        return Ok(Some(commit));
    }
    repository.tagged(parts.version)
}
