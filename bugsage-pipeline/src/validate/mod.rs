//! Proves a patch, or finds out that it does not hold.
//!
//! ```text
//! patch ─► diff ─► red ─► check ─► green ─► suite ─► clippy ─► suite and clippy of the workspace
//!          policy  old    └──────────── new tree ────────────┘
//!                  tree + test
//! ```
//!
//! In: a [`Task`]. Out: a [`Verdict`] for each gate, up to the first that fails.
//! Never: code that runs outside of the [`sandbox`]; a pass that nothing shows.
//!
//! What a patch's own tests print and how they end is their word: code under test runs as the same
//! user as the program that counts its tests. The gate `diff` and a person stand against a patch that
//! would lie; the rules' patches do not.

// The gate `diff`.
pub(crate) mod policy;
// Where code that nobody has read is built and run.
pub mod sandbox;
// The real toolchain.
pub mod toolchain;
// What cargo knows of the workspace.
pub mod workspace;
// The folder that validation works in.
pub mod workshop;
// Several commands in one sandbox.
pub mod session;
// What cargo's programs print.
pub mod output;
// What the base commit builds to.
mod base;
// The gates that build and run.
mod gates;
// How sure, and how risky.
pub mod score;

use serde::{Deserialize, Serialize};

use crate::patch::Change;
use crate::repository::{Commit, Repository, RepositoryError};

use self::base::Base;
use self::gates::{Expected, Range, Scope};
use self::sandbox::{NoSandbox, Sandbox};
use self::toolchain::{NoToolchain, Toolchain};
use self::workshop::Workshop;
use self::workspace::Workspace;

/// One check of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gate {
    /// What the patch may touch at all.
    Diff,
    /// It compiles.
    Check,
    /// The reproduction fails on the old tree as reported.
    Red,
    /// The reproduction passes on the new tree.
    Green,
    /// No test fails that passed before.
    Suite,
    /// No new warning.
    Clippy,
}

impl Gate {
    /// Its name in JSON and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Diff => "diff",
            Gate::Check => "check",
            Gate::Red => "red",
            Gate::Green => "green",
            Gate::Suite => "suite",
            Gate::Clippy => "clippy",
        }
    }
}

/// What a gate found, with the proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The gate.
    pub gate: Gate,
    /// Whether it lets the patch through; `None` where it could not be tried and need not be.
    pub passed: Option<bool>,
    /// What it found, in one sentence.
    pub detail: String,
    /// The command that was run in the sandbox.
    pub command: Option<String>,
    /// The end of what it printed.
    pub output: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// What is to be proved.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The commit that the patch changes.
    pub base: &'a Commit,
    /// The failing file.
    pub path: &'a str,
    /// The changed files, the reproduction included.
    pub changes: &'a [Change<'a>],
    /// The reproduction, if there is one.
    pub reproduction: Option<Reproduction<'a>>,
}

/// The test that fails as reported.
#[derive(Debug, Clone, Copy)]
pub struct Reproduction<'a> {
    /// The module that holds it.
    pub module: &'a str,
    /// The failing file with the test and without the change.
    pub old_with_test: &'a str,
    /// The panic's message.
    pub message: &'a str,
    /// The line that the panic names.
    pub line: u32,
    /// Its column.
    pub column: Option<u32>,
}

/// Puts a patch through its gates.
///
/// # Errors
///
/// Where nothing can be proved here and now; [`ValidateError::is_retryable`] tells whether another
/// try may help.
pub fn prove(
    task: &Task<'_>,
    repository: &Repository,
    workshop: &Workshop,
) -> Result<Vec<Verdict>, ValidateError> {
    let module = task.reproduction.map(|reproduction| reproduction.module);
    let mut verdicts = vec![diff(task.changes, module)];
    if is_over(&verdicts) {
        return Ok(verdicts);
    }
    let sandbox = Sandbox::find()?;
    let snapshot = repository.snapshot(task.base)?;
    let toolchain = Toolchain::find(toolchain::channel(repository, &snapshot)?.as_deref())?;
    let workspace = Workspace::prepare(repository, &snapshot, task.path, &toolchain, workshop)?;
    let package = workspace
        .package_of(task.path)
        .ok_or_else(|| ValidateError::NoPackage {
            path: task.path.to_owned(),
        })?;
    let base = Base::of(
        repository, &snapshot, &workspace, &toolchain, &sandbox, workshop,
    )?;
    let range = Range {
        sandbox: &sandbox,
        toolchain: &toolchain,
        workshop,
        workspace: &workspace,
        package: &package.name,
        base: &base,
    };
    if let Some(reproduction) = task.reproduction {
        let expected = Expected {
            module: reproduction.module,
            message: reproduction.message,
            file: workspace.relative(task.path),
            line: reproduction.line,
            column: reproduction.column,
        };
        verdicts.push(range.red(&[(task.path, reproduction.old_with_test)], &expected)?);
        if is_over(&verdicts) {
            return Ok(verdicts);
        }
    }
    let changed: Vec<_> = task
        .changes
        .iter()
        .map(|change| (change.path, change.after))
        .collect();
    let alone = workspace.packages.len() == 1;
    if !alone {
        verdicts.extend(range.new_tree(&changed, Scope::Package, module)?);
        if is_over(&verdicts) {
            return Ok(verdicts);
        }
    }
    for verdict in range.new_tree(&changed, Scope::Workspace, module)? {
        // The last word on each gate; red stays, which only the old tree can say.
        verdicts.retain(|known| known.gate != verdict.gate);
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

/// Whether a gate has refused.
pub fn is_over(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|verdict| verdict.passed == Some(false))
}

fn diff(changes: &[Change<'_>], module: Option<&str>) -> Verdict {
    let objections = policy::objections(changes, module);
    let files: Vec<&str> = changes.iter().map(|change| change.path).collect();
    Verdict {
        gate: Gate::Diff,
        passed: Some(objections.is_empty()),
        detail: match objections.is_empty() {
            true => format!("a small change of {}", files.join(", ")),
            false => objections.join("; "),
        },
        command: None,
        output: None,
        seconds: 0.0,
    }
}

/// Why nothing can be proved. Says whose turn it is.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The operator's turn.
    #[error("validation runs code only in a sandbox, and there is none: {0}")]
    NoSandbox(#[from] NoSandbox),
    /// The operator's turn.
    #[error(transparent)]
    NoToolchain(#[from] NoToolchain),
    /// The repository's owner's turn.
    #[error("{path} belongs to no package: there is no Cargo.toml above it that builds")]
    NoPackage {
        /// The file.
        path: String,
    },
    /// The repository's owner's turn.
    #[error("{path} is not committed; commit it, so that what is proved is what is built")]
    NoLock {
        /// Where it would be.
        path: String,
    },
    /// The network's turn, or the repository's owner's.
    #[error("cargo {command} failed: {complaint}")]
    Cargo {
        /// The command.
        command: String,
        /// What it said.
        complaint: String,
        /// Whether another try may help.
        may_pass: bool,
    },
    /// The repository's owner's turn: the base itself does not build without a network.
    #[error("the project does not build in the sandbox, before any change: {complaint}")]
    NotBuilt {
        /// The end of what was printed.
        complaint: String,
    },
    /// The repository cannot be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The machine's fault.
    #[error("validation could not work: {0}; it will be tried again")]
    Io(#[from] std::io::Error),
}

impl ValidateError {
    /// Whether the same call may succeed later without anybody's doing.
    pub fn is_retryable(&self) -> bool {
        match self {
            ValidateError::Repository(error) => error.is_retryable(),
            ValidateError::Cargo { may_pass, .. } => *may_pass,
            ValidateError::Io(_) => true,
            _ => false,
        }
    }
}

// Everything named so needs a sandbox to run.
#[cfg(test)]
mod sandboxed;
