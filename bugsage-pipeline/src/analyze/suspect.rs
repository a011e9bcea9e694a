//! Which commit brought the bug in.
//!
//! A commit is suspected for two reasons: it lies between the last release without the bug and the
//! first one with it and changed the failing function, or it last changed a line that the cause rests
//! on. Blame alone misses a commit that took a check away; the function's history finds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::repository::{Commit, Repository, RepositoryError, Tree};

/// The commit that probably brought the bug in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectCommit {
    /// The full object name.
    pub sha: String,
    /// The first line of its message.
    pub subject: String,
    /// The author's name.
    pub author: String,
    /// When it was committed: RFC 3339 in UTC.
    pub date: String,
    /// Why it is suspected.
    pub reason: String,
}

/// The lines that suspicion rests on.
pub(crate) struct Ground<'a> {
    pub(crate) path: &'a str,
    /// The failing function, or the failing line alone.
    pub(crate) function: (u32, u32),
    /// What failed.
    pub(crate) failing: (u32, u32),
    /// Definitions and checks that the cause rests on.
    pub(crate) around: Vec<u32>,
}

/// Points of suspicion.
const IN_WINDOW_AND_FUNCTION: u32 = 100;
const IN_WINDOW_AND_FILE: u32 = 20;
const WROTE_FAILING_LINE: u32 = 30;
const WROTE_LINE_AROUND: u32 = 20;
/// More than both of the above: what held before the last change of these lines may no longer hold.
const NEWEST_AUTHOR: u32 = 60;

#[derive(Default)]
struct Suspicion {
    points: u32,
    confirmed: bool,
    reasons: Vec<String>,
    commit: Option<Commit>,
}

/// Finds the commit that probably brought the bug in, and whether the releases confirm it.
pub(crate) fn suspect(
    repository: &Repository,
    tree: &Tree,
    evidence: &Evidence,
    ground: &Ground<'_>,
) -> Result<Option<(SuspectCommit, bool)>, RepositoryError> {
    let mut suspicions: BTreeMap<String, Suspicion> = BTreeMap::new();
    accuse_by_window(repository, tree, evidence, ground, &mut suspicions)?;
    accuse_by_blame(repository, tree, evidence, ground, &mut suspicions)?;

    let mut accused: Vec<Suspicion> = suspicions.into_values().collect();
    accused.sort_by(|one, other| {
        let date = |suspicion: &Suspicion| suspicion.commit.as_ref().map(|c| c.date.clone());
        (other.points, date(other)).cmp(&(one.points, date(one)))
    });
    let Some(Suspicion {
        confirmed,
        reasons,
        commit: Some(commit),
        ..
    }) = accused.into_iter().next()
    else {
        return Ok(None);
    };
    let Commit {
        sha,
        subject,
        author,
        date,
        ..
    } = commit;
    let reason = reasons.join("; ");
    Ok(Some((
        SuspectCommit {
            sha,
            subject,
            author,
            date,
            reason,
        },
        confirmed,
    )))
}

fn accuse_by_window(
    repository: &Repository,
    tree: &Tree,
    evidence: &Evidence,
    ground: &Ground<'_>,
    suspicions: &mut BTreeMap<String, Suspicion>,
) -> Result<(), RepositoryError> {
    let Some(window) = &evidence.window else {
        return Ok(());
    };
    let until = match &window.bad_release {
        Some(release) => format!("{} and {release}", window.good_release),
        None => format!("{} and the event's commit", window.good_release),
    };
    let in_window = |commit: &Commit| window.commits.iter().any(|known| known.sha == commit.sha);
    let good = Some(&window.good);
    let changed = repository.history_of_lines(tree, ground.path, ground.function, good)?;
    for commit in changed.into_iter().filter(in_window) {
        let suspicion = suspicions.entry(commit.sha.clone()).or_default();
        suspicion.points += IN_WINDOW_AND_FUNCTION;
        suspicion.confirmed = true;
        suspicion
            .reasons
            .push(format!("it changed the failing function between {until}"));
        suspicion.commit = Some(commit);
    }
    let changed = repository.history_of_file(tree, ground.path, good)?;
    for commit in changed.into_iter().filter(in_window) {
        let suspicion = suspicions.entry(commit.sha.clone()).or_default();
        if suspicion.points == 0 {
            suspicion
                .reasons
                .push(format!("it changed the file between {until}"));
        }
        suspicion.points += IN_WINDOW_AND_FILE;
        suspicion.commit = Some(commit);
    }
    Ok(())
}

fn accuse_by_blame(
    repository: &Repository,
    tree: &Tree,
    evidence: &Evidence,
    ground: &Ground<'_>,
    suspicions: &mut BTreeMap<String, Suspicion>,
) -> Result<(), RepositoryError> {
    let lines = || {
        ground
            .around
            .iter()
            .copied()
            .chain([ground.failing.0, ground.failing.1])
    };
    let first = lines().min().unwrap_or(ground.failing.0);
    let last = lines().max().unwrap_or(ground.failing.1);
    // Far-off lines, such as a constant at the top of a long file, are left to the failing ones.
    let near = last.saturating_sub(first) < crate::limits::BLAME_LINES_MAX;
    let (first, last) = if near { (first, last) } else { ground.failing };
    let blame = repository.blame(tree, ground.path, first, last)?;

    let mut authors: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for (line, sha) in &blame.lines {
        let (failing, around) = authors.entry(sha).or_default();
        *failing |= (ground.failing.0..=ground.failing.1).contains(line);
        *around |= ground.around.contains(line);
    }
    let mut newest: Option<Commit> = None;
    for (sha, (failing, around)) in authors.into_iter().filter(|(_, (f, a))| *f || *a) {
        let commit = match evidence
            .blame
            .iter()
            .find(|blamed| blamed.commit.sha == sha)
        {
            Some(blamed) => blamed.commit.clone(),
            None => repository.commit_by_sha(sha)?,
        };
        // At the edge of a shallow clone every older line seems to be that commit's.
        if commit.first && evidence.shallow {
            continue;
        }
        if newest
            .as_ref()
            .is_none_or(|newest| newest.date < commit.date)
        {
            newest = Some(commit.clone());
        }
        let suspicion = suspicions.entry(sha.to_owned()).or_default();
        if failing {
            suspicion.points += WROTE_FAILING_LINE;
            suspicion
                .reasons
                .push("it last changed the failing line".to_owned());
        }
        if around {
            suspicion.points += WROTE_LINE_AROUND;
            suspicion
                .reasons
                .push("it last changed a line that the cause rests on".to_owned());
        }
        suspicion.commit = Some(commit);
    }
    if let Some(newest) = newest {
        let suspicion = suspicions.entry(newest.sha).or_default();
        suspicion.points += NEWEST_AUTHOR;
        suspicion
            .reasons
            .push("no line of the cause was changed later".to_owned());
    }
    Ok(())
}
