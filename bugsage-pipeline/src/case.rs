//! The thing that travels: one trip of an issue through the pipeline.
//!
//! In: a queued case, made by whoever forwards issues. Out: the same document, further on.
//! Never: a state that the table does not lead to, or a change of state without its transition.

use serde::{Deserialize, Serialize};

use bugsage_core::clock::Timestamp;
use bugsage_core::id::CaseId;

use crate::analyze::Analysis;
use crate::apply::Branch;
use crate::evidence::Evidence;
use crate::fix::{Candidate, Declined, Input};
use crate::limits;
use crate::patch::Patch;
use crate::repository::Commit;
use crate::review::Approval;
use crate::subject::Subject;
use crate::validate::score::Assessment;
use crate::validate::{Gate, Verdict};

/// One trip of an issue through the pipeline, as it is saved between two stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Names the case.
    pub id: CaseId,
    /// The project that the issue belongs to.
    pub project: u64,
    /// The issue.
    pub issue: u64,
    /// Where the case stands; [`Case::enter`] changes it.
    pub state: State,
    /// What is known about the issue. Filled in before the first stage.
    pub subject: Option<Subject>,
    /// What the case rests on, once it was collected.
    pub evidence: Option<Evidence>,
    /// What went wrong, once it is known.
    pub analysis: Option<Analysis>,
    /// What could be done about it, and what was tried.
    #[serde(default)]
    pub fix: Option<Fix>,
    /// The change that is proposed.
    #[serde(default)]
    pub patch: Option<Patch>,
    /// What its gates found.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// How sure it is that the patch is right, and what it could do wrong.
    #[serde(default)]
    pub assessment: Option<Assessment>,
    /// Who approved it.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// Where it was applied.
    #[serde(default)]
    pub branch: Option<Branch>,
    /// How often the present stage failed for a reason that may pass by itself.
    pub attempts: u32,
    /// How the case came to where it stands, oldest first.
    pub history: Vec<Transition>,
    /// When the case was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Case {
    /// Makes a case that waits for its first stage.
    pub fn new(id: CaseId, project: u64, issue: u64, at: Timestamp) -> Self {
        Case {
            id,
            project,
            issue,
            state: State::Queued,
            subject: None,
            evidence: None,
            analysis: None,
            fix: None,
            patch: None,
            verdicts: Vec::new(),
            assessment: None,
            approval: None,
            branch: None,
            attempts: 0,
            history: Vec::new(),
            created_at: at,
            updated_at: at,
        }
    }

    /// Why the case stands where it stands, in the words of its last transition.
    pub fn reason(&self) -> Option<&str> {
        self.history
            .last()
            .map(|transition| transition.reason.as_str())
    }

    /// Moves the case on. A case that is queued again starts over, with fresh evidence.
    pub fn enter(
        &mut self,
        to: State,
        at: Timestamp,
        actor: &str,
        reason: impl Into<String>,
    ) -> Result<Transition, IllegalTransition> {
        if !legal(self.state, to) {
            return Err(IllegalTransition {
                from: self.state,
                to,
            });
        }
        let transition = Transition {
            at,
            actor: actor.to_owned(),
            from: self.state,
            to,
            reason: reason.into(),
        };
        if to == State::Queued {
            self.subject = None;
            self.evidence = None;
            self.analysis = None;
            self.fix = None;
            self.patch = None;
            self.verdicts.clear();
            self.assessment = None;
            self.approval = None;
            self.branch = None;
        }
        self.state = to;
        self.attempts = 0;
        self.updated_at = at;
        self.history.push(transition.clone());
        let excess = self.history.len().saturating_sub(limits::HISTORY_MAX);
        self.history.drain(..excess);
        Ok(transition)
    }
}

/// What could be done about a bug, and what was tried. The stages fix and validate write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    /// The commit that is changed: what was checked out when the stage began.
    pub base: Commit,
    /// The failing file.
    pub path: String,
    /// The failing line at the base.
    pub line: u32,
    /// Its column, where it is known.
    pub column: Option<u32>,
    /// What the rules wrote, best first.
    pub candidates: Vec<Candidate>,
    /// What the rules left, and why.
    pub declined: Vec<Declined>,
    /// The call that failed, as it was recorded.
    pub input: Option<Input>,
    /// Why the failure cannot be reproduced, once that is known.
    pub unreproduced: Option<String>,
    /// Which list of the input's arguments is used.
    pub arguments: usize,
    /// Which candidate is tried.
    pub candidate: usize,
    /// What was tried before and did not hold.
    pub trials: Vec<Trial>,
}

/// A candidate that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The candidate's place in [`Fix::candidates`].
    pub candidate: usize,
    /// The gate that refused it.
    pub gate: Gate,
    /// What the gate found.
    pub detail: String,
}

impl Fix {
    /// The candidate that is tried or was chosen.
    pub fn chosen(&self) -> Option<&Candidate> {
        self.candidates.get(self.candidate)
    }
}

/// A change of state: who made it, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When the state changed.
    pub at: Timestamp,
    /// Who changed it: `system`, or a person.
    pub actor: String,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why, in words for a person.
    pub reason: String,
}

/// The caller asked for a change of state that the table does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a case that is {from} cannot become {to}; reload it, somebody may have moved it")]
pub struct IllegalTransition {
    /// Where the case stands.
    pub from: State,
    /// Where it should have gone.
    pub to: State,
}

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Where a case stands.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum State {
            $($(#[$doc])* $variant,)*
        }

        impl State {
            /// Every state there is, in the order of the flow.
            pub const ALL: &'static [State] = &[$(State::$variant,)*];

            /// The state's name in JSON and SQL.
            pub fn as_str(self) -> &'static str {
                match self { $(State::$variant => $name,)* }
            }
        }
    };
}

states! {
    /// Waits for a worker.
    Queued = "queued",
    /// Its evidence is frozen; the analysis is next.
    Analyzing = "analyzing",
    /// The bug is explained.
    Analyzed = "analyzed",
    /// A patch is being written.
    Fixing = "fixing",
    /// A patch is being proved.
    Validating = "validating",
    /// A proved patch waits for a person, or for a policy that stands in for one.
    Ready = "ready",
    /// Somebody who may has approved the patch.
    Approved = "approved",
    /// The patch is on its way into the repository.
    Applying = "applying",
    /// The patch is in the repository.
    Applied = "applied",
    /// The release with the patch runs, and is watched.
    Watching = "watching",
    /// The bug did not come back.
    Verified = "verified",
    /// The machine cannot go on without a person; the last reason says what is needed.
    NeedsHuman = "needs_human",
    /// A person refused the patch.
    Rejected = "rejected",
    /// A stage failed for good.
    Failed = "failed",
    /// A person stopped the case.
    Cancelled = "cancelled",
    /// The bug came back in spite of the patch.
    Regressed = "regressed",
    /// The patch was taken back.
    RolledBack = "rolled_back",
}

impl State {
    /// Whether nothing can follow.
    pub fn is_terminal(self) -> bool {
        successors(self).is_empty()
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        State::ALL
            .iter()
            .find(|state| state.as_str() == name)
            .copied()
            .ok_or(UnknownState)
    }
}

/// The name is not one of [`State::ALL`]; a newer version may have written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a case state of this version")]
pub struct UnknownState;

/// Whether a case may go from one state straight to another.
pub fn legal(from: State, to: State) -> bool {
    successors(from).contains(&to)
}

/// The states that may follow a state.
pub fn successors(from: State) -> &'static [State] {
    TRANSITIONS
        .iter()
        .find(|(state, _)| *state == from)
        .map_or(&[], |(_, next)| next)
}

/// Which state may follow which. A state without a line is terminal.
#[rustfmt::skip] // A table reads best with one state a line.
const TRANSITIONS: &[(State, &[State])] = {
    use State::*;
    &[
        (Queued,     &[Analyzing, NeedsHuman, Failed, Cancelled]),
        (Analyzing,  &[Analyzed, NeedsHuman, Failed, Cancelled]),
        (Analyzed,   &[Fixing, NeedsHuman, Failed, Cancelled]),
        (Fixing,     &[Validating, NeedsHuman, Failed, Cancelled]),
        // A patch that did not hold may be followed by another one.
        (Validating, &[Ready, Fixing, NeedsHuman, Failed, Cancelled]),
        // A branch that moved on asks for a new proof.
        (Ready,      &[Approved, Validating, Rejected, Cancelled]),
        // Approvals expire.
        (Approved,   &[Applying, Ready, Rejected, Cancelled]),
        (Applying,   &[Applied, Ready, NeedsHuman, Failed]),
        (Applied,    &[Watching, RolledBack, NeedsHuman]),
        (Watching,   &[Verified, Regressed, RolledBack, NeedsHuman]),
        (Regressed,  &[RolledBack, NeedsHuman]),
        // A person has mended what was missing, or gives up.
        (NeedsHuman, &[Queued, Cancelled]),
        (Failed,     &[Queued, Cancelled]),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_state_can_be_reached_from_the_queue() {
        let mut reached = BTreeSet::from([State::Queued]);
        let mut open = vec![State::Queued];

        while let Some(state) = open.pop() {
            open.extend(
                successors(state)
                    .iter()
                    .filter(|next| reached.insert(**next)),
            );
        }

        assert_eq!(reached, State::ALL.iter().copied().collect());
    }

    #[test]
    fn a_state_stands_once_in_the_table_and_never_follows_itself() {
        let states: BTreeSet<_> = TRANSITIONS.iter().map(|(from, _)| from).collect();

        assert_eq!(states.len(), TRANSITIONS.len());
        for (from, next) in TRANSITIONS {
            assert!(!next.contains(from), "{from}");
            assert_eq!(
                next.iter().collect::<BTreeSet<_>>().len(),
                next.len(),
                "{from}"
            );
        }
    }

    #[test]
    fn a_case_ends_verified_rejected_cancelled_or_rolled_back() {
        let ends: Vec<_> = State::ALL
            .iter()
            .copied()
            .filter(|state| state.is_terminal())
            .collect();

        assert_eq!(
            ends,
            [
                State::Verified,
                State::Rejected,
                State::Cancelled,
                State::RolledBack
            ]
        );
    }

    #[test]
    fn every_state_leads_to_an_end() {
        for start in State::ALL {
            let mut reached = BTreeSet::from([*start]);
            let mut open = vec![*start];
            while let Some(state) = open.pop() {
                open.extend(
                    successors(state)
                        .iter()
                        .filter(|next| reached.insert(**next)),
                );
            }
            assert!(reached.iter().any(|state| state.is_terminal()), "{start}");
        }
    }

    #[test]
    fn nothing_is_applied_without_a_validated_patch_and_an_approval() {
        let into = |to: State| -> Vec<State> {
            State::ALL
                .iter()
                .copied()
                .filter(|from| legal(*from, to))
                .collect()
        };

        assert_eq!(into(State::Applying), [State::Approved]);
        assert_eq!(into(State::Approved), [State::Ready]);
        assert_eq!(
            into(State::Ready),
            [State::Validating, State::Approved, State::Applying]
        );
    }

    #[test]
    fn a_state_survives_its_name() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert_eq!("lost".parse::<State>(), Err(UnknownState));
    }

    #[test]
    fn a_case_keeps_who_moved_it_and_why_and_starts_over_when_queued_again() {
        let mut case = Case::new(CaseId::from_bytes([1; 16]), 1, 2, Timestamp(10));

        case.enter(State::NeedsHuman, Timestamp(20), "system", "no repository")
            .unwrap();
        assert_eq!(case.reason(), Some("no repository"));
        let refused = case
            .enter(State::Ready, Timestamp(30), "local:ada", "")
            .unwrap_err();
        case.enter(State::Queued, Timestamp(40), "local:ada", "repository set")
            .unwrap();

        assert_eq!(
            refused,
            IllegalTransition {
                from: State::NeedsHuman,
                to: State::Ready
            }
        );
        assert_eq!(case.state, State::Queued);
        assert_eq!(case.updated_at, Timestamp(40));
        let path: Vec<_> = case
            .history
            .iter()
            .map(|t| (t.actor.as_str(), t.to))
            .collect();
        assert_eq!(
            path,
            [("system", State::NeedsHuman), ("local:ada", State::Queued)]
        );
    }
}
