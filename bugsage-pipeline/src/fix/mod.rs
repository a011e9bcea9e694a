//! Writes candidate patches for a failing place, and the test that reproduces the failure.
//!
//! In: the failing [`Site`] in the text of a file. Out: a [`Proposal`]: ranked candidates as
//! byte-range splices, what the rules declined and why, and the recorded input as a call.
//! Never: a reprint of code, a line outside the edit, `unsafe`, `wrapping_*`, `#[allow]`, a
//! dependency, a removed assertion, or a value that nobody gave.

// Byte-range splices.
pub mod splice;
// The item that a body belongs to.
mod owner;
// What stands around an expression.
mod path;
// What a function can say to its caller.
mod returns;
// The failing expression and the function around it, as the rules see them.
mod site;
// What runs before the failing expression.
mod order;
// What a turn of a loop has changed.
mod state;
// How a function already says that something failed.
mod errors;
// From what may be missing to a word for the caller.
mod lift;
// One family of panic classes a file.
mod rules;
// What an early return would leave half done.
mod half_done;
// From recorded fields to a test that fails as the report says.
pub mod reproduce;

use serde::{Deserialize, Serialize};

use crate::analyze::syntax::{SourceTree, with_tree};
use crate::evidence::Recorded;
use crate::fix::rules::Ruled;
use crate::fix::site::Ground;
use crate::limits;

pub use self::reproduce::Input;
pub use self::splice::{Edit, splice};

/// The failing place, in the text of its file at the base commit.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The text of the file.
    pub text: &'a str,
    /// The line that the panic names, counted from 1.
    pub line: u32,
    /// Its column, counted from 1, where it is known.
    pub column: Option<u32>,
    /// The panic's message. Untrusted: only its class and its numbers are used.
    pub message: &'a str,
    /// The fields that the failing function's span recorded.
    pub recorded: &'a [Recorded],
    /// The oldest Rust that the package is to build with: `(1, 85)`. `None` where it does not say.
    pub rust_version: Option<(u32, u32)>,
}

/// How a candidate deals with what was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The caller is told: `?`, `return None`, `return Err(…)`.
    Propagate,
    /// What cannot be done is left out: `return;`, `continue;`.
    Guard,
    /// The expression means what it was meant to: a cut at the character's boundary.
    Correct,
}

/// What a call of the changed function gives for the input that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// `None`.
    None,
    /// An `Err`.
    Err,
    /// Whatever it gives: the proof is only that it does not panic.
    Any,
}

/// One way to change the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The rule that wrote it: `index/get`.
    pub rule: String,
    /// How it deals with what was missing.
    pub way: Way,
    /// What the change makes of the failure, in one sentence.
    pub claim: String,
    /// Why it stands where it stands among the candidates.
    pub reason: String,
    /// What a call gives for the failing input.
    pub outcome: Outcome,
    /// The change of the failing file, in ascending order, without overlaps.
    pub edits: Vec<Edit>,
    /// What the function has already changed when it leaves early, as the source writes it.
    #[serde(default)]
    pub half_done: Option<String>,
}

/// A rule that looked and left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// The rule.
    pub rule: String,
    /// Why, in words for a person.
    pub reason: String,
}

/// What the rules make of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Best first.
    pub candidates: Vec<Candidate>,
    /// What was left, and why.
    pub declined: Vec<Declined>,
    /// The recorded input, or why there is none.
    pub input: Result<Input, String>,
}

/// Writes what the rules have for a site.
pub fn propose(site: &Site<'_>) -> Proposal {
    let looked = with_tree(site.text, |tree| look(tree, site));
    let Some((ruled, input)) = looked else {
        let reason = "the file is no Rust that can be parsed".to_owned();
        return Proposal {
            candidates: Vec::new(),
            declined: vec![Declined {
                rule: "syntax".to_owned(),
                reason: reason.clone(),
            }],
            input: Err(reason),
        };
    };
    let Ruled {
        candidates,
        mut declined,
    } = ruled;
    let n_written = candidates.len();
    let candidates = kept(site.text, candidates);
    if candidates.is_empty() && n_written > 0 {
        declined.push(Declined {
            rule: "syntax".to_owned(),
            reason: "no edit leaves a file that can be parsed".to_owned(),
        });
    }
    Proposal {
        candidates,
        declined,
        input,
    }
}

fn look(tree: &SourceTree<'_>, site: &Site<'_>) -> (Ruled, Result<Input, String>) {
    let Some(body) = tree.body_at(site.line) else {
        let reason = format!("no function of the file holds line {}", site.line);
        let mut ruled = Ruled::default();
        ruled.declined.push(Declined {
            rule: "syntax".to_owned(),
            reason: reason.clone(),
        });
        return (ruled, Err(reason));
    };
    let input = reproduce::input(tree, &body, site.recorded);
    let ruled = match Ground::at(tree, body, site) {
        Ok(ground) => {
            let mut ruled = rules::rule(&ground);
            let half_done = half_done::half_done(&ground);
            let leaving = ruled.candidates.iter_mut();
            leaving
                .filter(|candidate| candidate.way == Way::Propagate)
                .for_each(|candidate| candidate.half_done.clone_from(&half_done));
            ruled
        }
        Err(declined) => Ruled {
            candidates: Vec::new(),
            declined: vec![declined],
        },
    };
    (ruled, input)
}

/// The candidates whose result still parses, without repeats.
fn kept(text: &str, candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut results: Vec<String> = Vec::new();
    let mut kept = Vec::new();
    for candidate in candidates {
        let Some(result) = splice(text, &candidate.edits) else {
            continue;
        };
        if kept.len() == limits::CANDIDATES_MAX || results.contains(&result) {
            continue;
        }
        if with_tree(&result, |_| ()).is_some() {
            results.push(result);
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
