//! Puts what was approved into the repository.
//!
//! In: a case that is being applied. Out: a [`Branch`] with one commit on the base.
//! Never: a work tree, the repository's own index, a branch that somebody else made, or a second
//! commit for the same approval.

// One commit on a branch of its own, through git's plumbing.
mod branch;

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::repository::{Repository, RepositoryError};
use crate::review::{Refused, whole_patch};

/// A patch as it lies in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The branch: `bugsage/case-…`.
    pub name: String,
    /// Its commit.
    pub commit: String,
}

/// Why nothing was applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The approval does not cover it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A person's turn.
    #[error(
        "the branch {name} exists and is not ours; delete or rename it, then approve and apply again"
    )]
    BranchTaken {
        /// The branch.
        name: String,
    },
    /// A person's turn: a branch called `bugsage`, a repository that may not be written.
    #[error(
        "git does not write the branch {name}: {complaint}; mend that, then approve and apply again"
    )]
    BranchRefused {
        /// The branch.
        name: String,
        /// What git said.
        complaint: String,
    },
    /// The repository's or the machine's fault.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Writes the branch. Applied twice it is there once.
pub fn apply(case: &Case, repository: &Repository) -> Result<Branch, ApplyError> {
    let patch = whole_patch(case)?;
    let Some(approval) = &case.approval else {
        return Err(Refused::State {
            state: case.state,
            needed: "and nobody approved it",
        }
        .into());
    };
    if approval.sha256 != patch.sha256 {
        return Err(Refused::Changed {
            is: patch.sha256.clone(),
            asked: approval.sha256.clone(),
        }
        .into());
    }
    let name = format!("bugsage/case-{}", case.id);
    let message = message(case, &approval.approver);
    branch::write(repository, patch, &name, &message, approval.at)
}

/// The commit's message: what, why, and whose word it is.
fn message(case: &Case, approver: &str) -> String {
    let claim = case
        .fix
        .as_ref()
        .and_then(|fix| fix.chosen())
        .map_or("change what fails", |candidate| candidate.claim.as_str());
    let analysis = case.analysis.as_ref();
    let function = analysis.map_or("source", |analysis| analysis.function_or_file());
    let class = analysis.map_or("panic", |analysis| analysis.class.as_str());
    let function = function.rsplit("::").next().unwrap_or(function);
    let mut message = format!(
        "{function}: no longer panic ({})\n\n",
        class.replace('_', " ")
    );
    message.push_str(claim);
    message.push_str("\n\nChecked by BugSage:\n");
    for verdict in &case.verdicts {
        let passed = match verdict.passed {
            Some(true) => "passed",
            Some(false) => "failed",
            None => "not shown",
        };
        let gate = verdict.gate.as_str();
        message.push_str(&format!("- {gate}: {passed}, {}\n", verdict.detail));
    }
    let issue = case.issue;
    message.push_str(&format!(
        "\nBugSage-Issue: {issue}\nBugSage-Case: {}\n",
        case.id
    ));
    message.push_str(&format!("Approved-By: {approver}\n"));
    message
}
