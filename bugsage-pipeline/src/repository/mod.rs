//! The source of a project at a commit.
//!
//! [`Repository`] reads a git repository on this machine through the `git` binary: objects only, no
//! work tree, no index, no hook, no helper program, no network. Only [`crate::apply`] writes: objects
//! and one branch. Names that come from events reach git
//! only after a check: a commit is hex or a tag's full name, a path is one that the commit's own tree
//! lists.

// Runs the binary, with bounds.
mod git;
// Who wrote a line, and which commits changed a function.
mod blame;
// Which file of a commit a path of an event means, and its text.
mod source;
// All files of a commit, and their archive.
mod snapshot;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits;

pub use self::blame::{Blame, Change};
pub(crate) use self::snapshot::header;
pub use self::snapshot::{ARCHIVE_SECONDS, Entry, EntryKind, Snapshot};
pub use self::source::{Located, SourceFile, Tree, Unusable, is_foreign};

/// A git repository on this machine, of which only objects are read.
#[derive(Debug, Clone)]
pub struct Repository {
    path: PathBuf,
}

/// Why the repository cannot be read. Says whose turn it is.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The project's setting: only local repositories can be read so far.
    #[error(
        "the repository {location} is a URL; clone it and set the project's repository to the clone"
    )]
    Remote {
        /// The setting.
        location: String,
    },
    /// The project's setting: nothing is there.
    #[error("there is no folder {}; set the project's repository to a clone on this machine", path.display())]
    NotFound {
        /// The setting.
        path: PathBuf,
    },
    /// The project's setting: a folder, but no repository's.
    #[error("{} is not the root of a git repository; set the project's repository to one", path.display())]
    NotARepository {
        /// The setting.
        path: PathBuf,
    },
    /// The repository's owner's turn: nothing was ever committed.
    #[error("the repository {} has no commit; commit the source that was built", path.display())]
    NoCommit {
        /// The repository.
        path: PathBuf,
    },
    /// The repository's owner's turn: it is too large for the bounds.
    #[error(
        "git {command} printed more than {limit_bytes} bytes; the repository is too large to analyze"
    )]
    TooLarge {
        /// The git command.
        command: String,
        /// The bound.
        limit_bytes: usize,
    },
    /// The operator's turn.
    #[error("git is not installed or not in PATH; install it where the worker runs")]
    GitMissing,
    /// Perhaps the machine is busy.
    #[error("git {command} took longer than {seconds} s; it will be tried again")]
    TimedOut {
        /// The git command.
        command: String,
        /// The bound.
        seconds: u64,
    },
    /// The machine's fault.
    #[error("git could not be run: {0}; it will be tried again")]
    Io(#[from] std::io::Error),
    /// Git refused: damaged objects, missing rights, a repository in the middle of a change.
    #[error("git {command} failed: {complaint}; mend the repository, it will be tried again")]
    Refused {
        /// The git command.
        command: String,
        /// What git said.
        complaint: String,
    },
}

impl RepositoryError {
    /// Whether the same call may succeed later without a change of settings.
    pub fn is_retryable(&self) -> bool {
        use RepositoryError::{GitMissing, Io, Refused, TimedOut};
        matches!(self, GitMissing | Io(_) | Refused { .. } | TimedOut { .. })
    }
}

/// A commit, as far as people need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The full object name.
    pub sha: String,
    /// The first line of its message.
    pub subject: String,
    /// The author's name.
    pub author: String,
    /// When it was committed: RFC 3339 in UTC.
    pub date: String,
    /// Whether nothing came before it, here: the first commit, or the edge of a shallow clone.
    pub first: bool,
}

impl Repository {
    /// Opens the repository at a project's setting.
    pub fn open(location: &str) -> Result<Self, RepositoryError> {
        let scheme = location.split_once("://").map(|(scheme, _)| scheme);
        let scp = location
            .split_once(':')
            .is_some_and(|(host, _)| host.contains('@'));
        let path = match scheme {
            Some("file") => &location["file://".len()..],
            Some(_) => {
                return Err(RepositoryError::Remote {
                    location: location.into(),
                });
            }
            None if scp => {
                return Err(RepositoryError::Remote {
                    location: location.into(),
                });
            }
            None => location,
        };
        let path = Path::new(path);
        let Ok(path) = path.canonicalize() else {
            return Err(RepositoryError::NotFound { path: path.into() });
        };
        if !path.is_dir() {
            return Err(RepositoryError::NotARepository { path });
        }
        let repository = Repository { path };
        match repository.git(&["rev-parse", "--git-dir"]) {
            Ok(_) => Ok(repository),
            Err(RepositoryError::Refused { complaint, .. })
                if complaint.contains("not a git repository") =>
            {
                Err(RepositoryError::NotARepository {
                    path: repository.path,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Where the repository is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commit of that name, if it exists and a ref leads to it. Anything but 7 to 40 hex digits
    /// is no name.
    pub fn commit(&self, name: &str) -> Result<Option<Commit>, RepositoryError> {
        let hex = name.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex || !(7..=40).contains(&name.len()) {
            return Ok(None);
        }
        let Some(sha) = self.resolve(&format!("{name}^{{commit}}"))? else {
            return Ok(None);
        };
        // A branch may be called like a commit; then git takes the branch.
        if !sha.starts_with(&name.to_ascii_lowercase()) || !self.is_reachable(&sha)? {
            return Ok(None);
        }
        self.describe(&sha).map(Some)
    }

    /// The commit that the tag `v<version>` names, if there is such a tag.
    pub fn tagged(&self, version: &str) -> Result<Option<Commit>, RepositoryError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+' | b'_');
        if version.is_empty() || version.len() > 100 || !version.bytes().all(plain) {
            return Ok(None);
        }
        match self.resolve(&format!("refs/tags/v{version}^{{commit}}"))? {
            Some(sha) => self.describe(&sha).map(Some),
            None => Ok(None),
        }
    }

    /// The commit that is checked out.
    pub fn head(&self) -> Result<Commit, RepositoryError> {
        match self.resolve("HEAD^{commit}")? {
            Some(sha) => self.describe(&sha),
            None => Err(RepositoryError::NoCommit {
                path: self.path.clone(),
            }),
        }
    }

    /// The commit that a full reference names, if it exists.
    pub(crate) fn reference(&self, name: &str) -> Result<Option<String>, RepositoryError> {
        self.resolve(&format!("{name}^{{commit}}"))
    }

    /// The commits that `to` has and `from` has not, newest first, without merges.
    pub fn between(&self, from: &Commit, to: &Commit) -> Result<Vec<Commit>, RepositoryError> {
        let count = format!("--max-count={}", limits::COMMITS_MAX);
        let range = format!("{}..{}", from.sha, to.sha);
        self.log(&["--no-merges", &count, &range, "--"])
    }

    /// Whether `ancestor` came before `commit`, or is it.
    pub fn is_ancestor(&self, ancestor: &Commit, commit: &Commit) -> Result<bool, RepositoryError> {
        self.git_says(&["merge-base", "--is-ancestor", &ancestor.sha, &commit.sha])
    }

    /// Whether older commits were left out of this clone.
    pub fn is_shallow(&self) -> Result<bool, RepositoryError> {
        Ok(self
            .git(&["rev-parse", "--is-shallow-repository"])?
            .trim_ascii()
            == b"true")
    }

    fn resolve(&self, revision: &str) -> Result<Option<String>, RepositoryError> {
        let arguments = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            revision,
        ];
        match self.git(&arguments) {
            Ok(output) => {
                let sha = String::from_utf8_lossy(output.trim_ascii()).into_owned();
                Ok(is_object_name(&sha).then_some(sha))
            }
            Err(RepositoryError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_reachable(&self, sha: &str) -> Result<bool, RepositoryError> {
        let contains = format!("--contains={sha}");
        let refs = self.git(&[
            "for-each-ref",
            "--count=1",
            "--format=%(refname)",
            &contains,
        ])?;
        if !refs.trim_ascii().is_empty() {
            return Ok(true);
        }
        // A detached HEAD is no ref, yet it is what somebody built.
        self.git_says(&["merge-base", "--is-ancestor", sha, "HEAD"])
    }

    fn describe(&self, sha: &str) -> Result<Commit, RepositoryError> {
        let commits = self.log(&["--max-count=1", sha, "--"])?;
        commits
            .into_iter()
            .next()
            .ok_or_else(|| RepositoryError::Refused {
                command: "log".into(),
                complaint: format!("no commit {sha}"),
            })
    }

    fn log(&self, arguments: &[&str]) -> Result<Vec<Commit>, RepositoryError> {
        let text = self.log_text(arguments)?;
        Ok(text.lines().filter_map(parse_commit).collect())
    }

    fn log_text(&self, arguments: &[&str]) -> Result<String, RepositoryError> {
        // Fields end in NUL, which no field can hold; the mark finds the line again among others.
        const FORMAT: &str = "--format=tformat:%x01%H%x00%an%x00%cd%x00%P%x00%s";
        let mut command = vec![
            "log",
            FORMAT,
            "--date=format-local:%Y-%m-%dT%H:%M:%SZ",
            "--no-show-signature",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--no-notes",
            "--encoding=UTF-8",
        ];
        command.extend(arguments);
        let output = self.git(&command)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }
}

fn parse_commit(line: &str) -> Option<Commit> {
    let mut fields = line.strip_prefix('\u{1}')?.splitn(5, '\0');
    let mut next = || fields.next().map(str::to_owned);
    let (sha, author, date, parents, subject) = (next()?, next()?, next()?, next()?, next()?);
    is_object_name(&sha).then_some(Commit {
        sha,
        subject,
        author,
        date,
        first: parents.is_empty(),
    })
}

fn is_object_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
