//! Which commit brought the bug in.
//!
//! A commit is suspected for three reasons: it lies between the last release without the bug and the
//! first one with it and changed the failing function; or it took away a line of the function that
//! names what the cause is about; or it last changed a line that the cause rests on. Blame alone misses
//! a commit that took a check away; the function's history finds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{Evidence, quote};
use crate::repository::{Change, Commit, Repository, RepositoryError, Tree};

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
    /// The bindings that the cause is about.
    pub(crate) names: &'a [String],
    /// The failing function, or the failing line alone.
    pub(crate) function: (u32, u32),
    /// What failed.
    pub(crate) failing: (u32, u32),
    /// Definitions and checks that the cause rests on.
    pub(crate) around: Vec<u32>,
}

/// What speaks for a suspicion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SuspectedBy {
    /// The commit lies among those that brought the bug in.
    Releases,
    /// It took away a line that names what the cause is about.
    Removal,
    /// It wrote lines that are there today.
    Blame,
}

/// Points of suspicion.
const IN_WINDOW_AND_FUNCTION: u32 = 100;
const IN_WINDOW_AND_FILE: u32 = 20;
/// More than all that blame can say.
const TOOK_A_LINE_AWAY: u32 = 120;
const WROTE_FAILING_LINE: u32 = 30;
const WROTE_LINE_AROUND: u32 = 20;
/// More than both of the above: what held before the last change of these lines may no longer hold.
const NEWEST_AUTHOR: u32 = 60;

#[derive(Default)]
struct Suspicion {
    points: u32,
    by: Option<SuspectedBy>,
    reasons: Vec<String>,
    commit: Option<Commit>,
}

/// Finds the commit that probably brought the bug in, and what speaks for that.
pub(crate) fn suspect(
    repository: &Repository,
    tree: &Tree,
    evidence: &Evidence,
    ground: &Ground<'_>,
) -> Result<Option<(SuspectCommit, SuspectedBy)>, RepositoryError> {
    let mut suspicions: BTreeMap<String, Suspicion> = BTreeMap::new();
    accuse_by_window(repository, tree, evidence, ground, &mut suspicions)?;
    if suspicions.values().all(|suspicion| suspicion.by.is_none()) {
        accuse_by_removal(repository, tree, ground, &mut suspicions)?;
    }
    accuse_by_blame(repository, tree, evidence, ground, &mut suspicions)?;

    let mut accused: Vec<Suspicion> = suspicions.into_values().collect();
    accused.sort_by(|one, other| {
        let date = |suspicion: &Suspicion| suspicion.commit.as_ref().map(|c| c.date.clone());
        (other.points, date(other)).cmp(&(one.points, date(one)))
    });
    let Some(Suspicion {
        by,
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
        by.unwrap_or(SuspectedBy::Blame),
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
        suspicion.by = Some(SuspectedBy::Releases);
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

/// Accuses the newest commit that took away a line which names what the cause is about.
fn accuse_by_removal(
    repository: &Repository,
    tree: &Tree,
    ground: &Ground<'_>,
    suspicions: &mut BTreeMap<String, Suspicion>,
) -> Result<(), RepositoryError> {
    if ground.names.is_empty() {
        return Ok(());
    }
    let changes = repository.changes_of_lines(tree, ground.path, ground.function)?;
    for change in changes {
        let Some((line, name)) = taken_away(&change, ground.names) else {
            continue;
        };
        let suspicion = suspicions.entry(change.commit.sha.clone()).or_default();
        suspicion.points += TOOK_A_LINE_AWAY;
        suspicion.by = Some(SuspectedBy::Removal);
        let line = quote(line);
        suspicion
            .reasons
            .push(format!("it took away `{line}`, which names `{name}`"));
        suspicion.commit = Some(change.commit);
        break;
    }
    Ok(())
}

/// A line that a change took away for good, and the name of the cause that it has: a check that is
/// gone or became another one, or the last that was said about the name there.
fn taken_away<'c>(change: &'c Change, names: &'c [String]) -> Option<(&'c str, &'c str)> {
    let removed = change.removed.iter().filter(|line| {
        // A head has all the names of the parameters, and a comment checks nothing.
        let counts = !line.starts_with("//") && !line.contains("fn ");
        counts && !change.added.contains(line)
    });
    let mut removed = removed.filter_map(|line| {
        let name = names.iter().find(|name| has_word(line, name))?;
        Some((line.as_str(), name.as_str()))
    });
    removed.find(|(line, name)| {
        is_check(line) || !change.added.iter().any(|added| has_word(added, name))
    })
}

/// What a line that may rule something out looks like; it need not parse by itself.
fn is_check(line: &str) -> bool {
    const SIGNS: &[&str] = &[
        "if ",
        "while ",
        "match ",
        "assert",
        "ensure!",
        "else ",
        ".get(",
        ".get_mut(",
        ".min(",
        ".max(",
        ".clamp(",
        "checked_",
        "saturating_",
        ".is_empty()",
        "?;",
    ];
    SIGNS.iter().any(|sign| line.contains(sign))
}

fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(inside) && !after.starts_with(inside)
    })
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
