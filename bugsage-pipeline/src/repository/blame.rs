//! Who wrote a line, and which commits changed a function.

use std::collections::BTreeMap;

use crate::limits;
use crate::repository::{Commit, Repository, RepositoryError, Tree, is_object_name, parse_commit};

/// The commit that last changed each line of a range, white space aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blame {
    /// Line, and the full name of the commit.
    pub lines: BTreeMap<u32, String>,
}

/// What a commit did to some lines, white space at their ends aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub commit: Commit,
    /// The lines that it took away.
    pub removed: Vec<String>,
    /// The lines that it wrote.
    pub added: Vec<String>,
}

impl Repository {
    /// Blames lines of a file at the tree's commit. A range that the file does not have has no lines.
    pub fn blame(
        &self,
        tree: &Tree,
        path: &str,
        first: u32,
        last: u32,
    ) -> Result<Blame, RepositoryError> {
        let last = last.min(first.saturating_add(limits::BLAME_LINES_MAX - 1));
        if first == 0 || last < first || !tree.contains(path) {
            return Ok(Blame::default());
        }
        let range = format!("-L{first},{last}");
        let commit = tree.commit();
        let arguments = [
            "blame",
            "--porcelain",
            "-w",
            "--no-textconv",
            &range,
            commit,
            "--",
            path,
        ];
        let output = match self.git(&arguments) {
            Ok(output) => output,
            // The range ends behind the file's end, or the repository names a list of commits to pass
            // over that is not there, which no option of git overrules.
            Err(RepositoryError::Refused { complaint, .. })
                if complaint.contains("has only") || complaint.contains("object name list") =>
            {
                return Ok(Blame::default());
            }
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&output);
        Ok(Blame {
            lines: text.lines().filter_map(parse_line).collect(),
        })
    }

    /// The commits that changed lines of a file, newest first: all that `to` reaches, without those
    /// that `from` reaches.
    ///
    /// Unlike blame it also finds commits that removed something.
    pub fn history_of_lines(
        &self,
        tree: &Tree,
        path: &str,
        (first, last): (u32, u32),
        from: Option<&Commit>,
    ) -> Result<Vec<Commit>, RepositoryError> {
        if first == 0 || last < first || !tree.contains(path) {
            return Ok(Vec::new());
        }
        let lines = format!("-L{first},{last}:{path}");
        let count = format!("--max-count={}", limits::FUNCTION_COMMITS_MAX);
        let range = match from {
            Some(from) => format!("{}..{}", from.sha, tree.commit()),
            None => tree.commit().to_owned(),
        };
        match self.log(&["--no-patch", &count, &lines, &range]) {
            Err(RepositoryError::Refused { complaint, .. }) if complaint.contains("has only") => {
                Ok(Vec::new())
            }
            commits => commits,
        }
    }

    /// The commits that changed lines of a file, newest first, each with the lines that it took away
    /// and those that it wrote. A history that takes too long to walk has no commits.
    pub fn changes_of_lines(
        &self,
        tree: &Tree,
        path: &str,
        (first, last): (u32, u32),
    ) -> Result<Vec<Change>, RepositoryError> {
        if first == 0 || last < first || !tree.contains(path) {
            return Ok(Vec::new());
        }
        let lines = format!("-L{first},{last}:{path}");
        let count = format!("--max-count={}", limits::FUNCTION_COMMITS_MAX);
        match self.log_text(&["--patch", &count, &lines, tree.commit()]) {
            Ok(text) => Ok(changes(&text)),
            Err(RepositoryError::Refused { complaint, .. }) if complaint.contains("has only") => {
                Ok(Vec::new())
            }
            Err(RepositoryError::TimedOut { .. } | RepositoryError::TooLarge { .. }) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// The commits that changed a file, newest first, as above.
    pub fn history_of_file(
        &self,
        tree: &Tree,
        path: &str,
        from: Option<&Commit>,
    ) -> Result<Vec<Commit>, RepositoryError> {
        if !tree.contains(path) {
            return Ok(Vec::new());
        }
        let count = format!("--max-count={}", limits::FUNCTION_COMMITS_MAX);
        let range = match from {
            Some(from) => format!("{}..{}", from.sha, tree.commit()),
            None => tree.commit().to_owned(),
        };
        self.log(&["--no-merges", &count, &range, "--", path])
    }

    /// A commit by its full name, as blame gives it.
    pub fn commit_by_sha(&self, sha: &str) -> Result<Commit, RepositoryError> {
        self.describe(sha)
    }
}

/// Reads a log with patches. Lines of a patch begin with a sign or a space, never with a commit's
/// mark.
fn changes(text: &str) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut in_hunk = false;
    for line in text.lines() {
        if let Some(commit) = parse_commit(line) {
            in_hunk = false;
            changes.push(Change {
                commit,
                removed: Vec::new(),
                added: Vec::new(),
            });
            continue;
        }
        // `--- a/file` stands before the first hunk only.
        in_hunk = (in_hunk || line.starts_with("@@")) && !line.starts_with("diff ");
        let Some(change) = changes.last_mut().filter(|_| in_hunk) else {
            continue;
        };
        if let Some(removed) = line.strip_prefix('-') {
            change.removed.push(removed.trim().to_owned());
        } else if let Some(added) = line.strip_prefix('+') {
            change.added.push(added.trim().to_owned());
        }
    }
    changes
}

/// `<sha> <line before> <line now> [<lines>]` opens each line of a porcelain blame.
fn parse_line(header: &str) -> Option<(u32, String)> {
    let mut fields = header.split(' ');
    let sha = fields.next().filter(|sha| is_object_name(sha))?;
    let line = fields.nth(1)?.parse().ok()?;
    Some((line, sha.to_owned()))
}
