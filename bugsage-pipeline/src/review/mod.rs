//! What a person decides about a patch, and how long that holds.
//!
//! In: a case that is ready, and the hash and base that the person saw. Out: an [`Approval`], or a
//! rejection with its reason.
//! Never: an approval of something else than what was shown, by an agent, or for ever.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use bugsage_core::clock::Timestamp;

use crate::case::{Case, IllegalTransition, State};
use crate::limits;
use crate::patch::Patch;

/// A person's word that a patch may be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The patch, by its hash.
    pub sha256: String,
    /// The commit that it changes.
    pub base_commit: String,
    /// Who approved it: `local:ada`.
    pub approver: String,
    /// When.
    pub at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// Why a patch is not approved or not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is nothing to decide, or no more.
    #[error("the case is {state}, {needed}")]
    State {
        /// Where it stands.
        state: State,
        /// What would have to be.
        needed: &'static str,
    },
    /// The patch or its base are not what was asked about.
    #[error("the patch is {is}, not {asked}; look at it again before you decide")]
    Changed {
        /// The patch's hash.
        is: String,
        /// What was asked about.
        asked: String,
    },
    /// Somebody changed the saved patch.
    #[error(
        "the patch no longer has the hash that it was proved under; prove it again: bugsage fix run"
    )]
    Tampered,
    /// A commit came in between.
    #[error(
        "the branch has moved from {base} to {head} since the patch was proved; prove it again: \
         bugsage fix run"
    )]
    BaseMoved {
        /// The commit that the patch changes.
        base: String,
        /// What is checked out now.
        head: String,
    },
    /// Too late.
    #[error("the approval by {approver} has expired; approve it again")]
    Expired {
        /// Who gave it.
        approver: String,
    },
    /// Only people approve.
    #[error("{actor} is an agent, and agents propose; a person approves")]
    Agent {
        /// Who tried.
        actor: String,
    },
    /// A reason says what the next patch must do otherwise.
    #[error("a rejection needs a reason")]
    NoReason,
}

impl From<IllegalTransition> for Refused {
    fn from(illegal: IllegalTransition) -> Self {
        Refused::State {
            state: illegal.from,
            needed: "and cannot go there from here",
        }
    }
}

/// Who decides, about what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// Who: `local:ada`.
    pub actor: &'a str,
    /// When.
    pub at: Timestamp,
    /// What is checked out in the repository now.
    pub head: &'a str,
    /// The hash that the person saw, or its beginning; `None` where the case's own was shown.
    pub sha256: Option<&'a str>,
}

/// Approves the patch of a case that is ready.
pub fn approve(
    case: &mut Case,
    decision: &Decision<'_>,
    valid_for: Duration,
) -> Result<(), Refused> {
    if case.state != State::Ready {
        return Err(Refused::State {
            state: case.state,
            needed: "only a case that is ready can be approved",
        });
    }
    if decision.actor == "system" || decision.actor.starts_with("agent:") {
        return Err(Refused::Agent {
            actor: decision.actor.to_owned(),
        });
    }
    let patch = whole_patch(case)?;
    if let Some(asked) = decision.sha256
        && (asked.len() < HASH_BEGINNING || !patch.sha256.starts_with(asked))
    {
        return Err(Refused::Changed {
            is: patch.sha256.clone(),
            asked: asked.to_owned(),
        });
    }
    on_base(&patch.base_commit, decision.head)?;
    let valid_for = valid_for.min(limits::APPROVAL_TIME_MAX);
    let approval = Approval {
        sha256: patch.sha256.clone(),
        base_commit: patch.base_commit.clone(),
        approver: decision.actor.to_owned(),
        at: decision.at,
        expires_at: Timestamp(decision.at.0.saturating_add(valid_for.as_micros() as u64)),
    };
    let short = approval.sha256[..12].to_owned();
    case.enter(
        State::Approved,
        decision.at,
        decision.actor,
        format!("approved patch {short}"),
    )?;
    case.approval = Some(approval);
    Ok(())
}

/// How much of a hash must be given.
const HASH_BEGINNING: usize = 8;

/// Rejects the patch of a case.
pub fn reject(case: &mut Case, decision: &Decision<'_>, reason: &str) -> Result<(), Refused> {
    if reason.trim().is_empty() {
        return Err(Refused::NoReason);
    }
    if !matches!(case.state, State::Ready | State::Approved) {
        return Err(Refused::State {
            state: case.state,
            needed: "only a patch that waits for a decision can be rejected",
        });
    }
    let reason = bugsage_core::limits::cut(reason.trim(), limits::LINE_BYTES_MAX).into_owned();
    case.enter(State::Rejected, decision.at, decision.actor, reason)?;
    Ok(())
}

/// Begins to apply an approved patch. A case that is being applied already goes on.
pub fn begin_to_apply(case: &mut Case, decision: &Decision<'_>) -> Result<(), Refused> {
    if case.state == State::Applying {
        return Ok(());
    }
    let Some(approval) = case
        .approval
        .clone()
        .filter(|_| case.state == State::Approved)
    else {
        return Err(Refused::State {
            state: case.state,
            needed: "only an approved patch can be applied; approve it first",
        });
    };
    let patch = whole_patch(case)?;
    if patch.sha256 != approval.sha256 || patch.base_commit != approval.base_commit {
        return Err(Refused::Changed {
            is: patch.sha256.clone(),
            asked: approval.sha256,
        });
    }
    if decision.at >= approval.expires_at {
        let refused = Refused::Expired {
            approver: approval.approver.clone(),
        };
        // It waits for a decision again.
        case.enter(State::Ready, decision.at, "system", refused.to_string())?;
        case.approval = None;
        return Err(refused);
    }
    on_base(&approval.base_commit, decision.head)?;
    case.enter(
        State::Applying,
        decision.at,
        decision.actor,
        format!("approved by {}", approval.approver),
    )?;
    Ok(())
}

/// The case's patch, if it is the one that was proved.
pub(crate) fn whole_patch(case: &Case) -> Result<&Patch, Refused> {
    let patch = case.patch.as_ref().ok_or(Refused::State {
        state: case.state,
        needed: "and has no patch",
    })?;
    match patch.is_whole() {
        true => Ok(patch),
        false => Err(Refused::Tampered),
    }
}

fn on_base(base: &str, head: &str) -> Result<(), Refused> {
    if base == head {
        return Ok(());
    }
    let short = |commit: &str| commit.chars().take(10).collect();
    Err(Refused::BaseMoved {
        base: short(base),
        head: short(head),
    })
}

#[cfg(test)]
mod tests {
    use bugsage_core::id::CaseId;

    use super::*;
    use crate::patch::Change;

    fn ready() -> Case {
        let mut case = Case::new(CaseId::from_bytes([1; 16]), 1, 2, Timestamp(5));
        case.state = State::Ready;
        let change = Change {
            path: "src/lib.rs",
            before: "a\n",
            after: "b\n",
        };
        case.patch = Some(Patch::new("0123456789abcdef", &[change]));
        case
    }

    fn by(at: u64) -> Decision<'static> {
        Decision {
            actor: "local:ada",
            at: Timestamp(at),
            head: "0123456789abcdef",
            sha256: None,
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_approval_binds_hash_base_person_and_time() {
        let mut case = ready();
        let hash = case.patch.as_ref().unwrap().sha256.clone();
        let decision = Decision {
            sha256: Some(&hash[..10]),
            ..by(100)
        };

        approve(&mut case, &decision, HOUR).unwrap();

        let approval = case.approval.clone().unwrap();
        assert_eq!(
            (approval.sha256, approval.base_commit.as_str()),
            (hash, "0123456789abcdef")
        );
        assert_eq!(approval.expires_at, Timestamp(100 + 3_600_000_000));
        assert_eq!(case.history.last().unwrap().actor, "local:ada");
        begin_to_apply(&mut case, &by(200)).unwrap();
        assert_eq!(case.state, State::Applying);
        begin_to_apply(&mut case, &by(300)).unwrap();
    }

    #[test]
    fn what_the_person_did_not_see_is_not_approved() {
        let refused = |change: &dyn Fn(&mut Case, &mut Decision<'static>)| {
            let (mut case, mut decision) = (ready(), by(100));
            change(&mut case, &mut decision);
            let refused = approve(&mut case, &decision, HOUR).unwrap_err();
            assert!(case.approval.is_none());
            refused
        };

        assert!(matches!(
            refused(&|_, d| d.sha256 = Some("00000000")),
            Refused::Changed { .. }
        ));
        assert!(matches!(
            refused(&|_, d| d.sha256 = Some("")),
            Refused::Changed { .. }
        ));
        assert!(matches!(
            refused(&|_, d| d.head = "fedcba9876543210"),
            Refused::BaseMoved { .. }
        ));
        assert!(matches!(
            refused(&|_, d| d.actor = "system"),
            Refused::Agent { .. }
        ));
        assert!(matches!(
            refused(&|_, d| d.actor = "agent:fixer"),
            Refused::Agent { .. }
        ));
        assert!(matches!(
            refused(&|c, _| c.state = State::Analyzed),
            Refused::State { .. }
        ));
        assert!(matches!(
            refused(&|c, _| c.patch.as_mut().unwrap().diff.push('x')),
            Refused::Tampered
        ));
    }

    #[test]
    fn what_changed_after_the_approval_is_not_applied() {
        let refused = |change: &dyn Fn(&mut Case, &mut Decision<'static>)| {
            let (mut case, mut decision) = (ready(), by(200));
            approve(&mut case, &by(100), HOUR).unwrap();
            change(&mut case, &mut decision);
            let refused = begin_to_apply(&mut case, &decision).unwrap_err();
            assert_ne!(case.state, State::Applying);
            (refused, case.state)
        };
        let other = |case: &mut Case| {
            let change = Change {
                path: "src/lib.rs",
                before: "a\n",
                after: "c\n",
            };
            case.patch = Some(Patch::new("0123456789abcdef", &[change]));
        };

        let (moved, _) = refused(&|_, d| d.head = "fedcba9876543210");
        let (changed, _) = refused(&|c, _| other(c));
        let (tampered, _) = refused(&|c, _| c.patch.as_mut().unwrap().base_commit.push('x'));
        let (expired, state) = refused(&|_, d| d.at = Timestamp(100 + 3_600_000_000));

        assert!(matches!(moved, Refused::BaseMoved { .. }));
        assert!(matches!(changed, Refused::Changed { .. }));
        assert!(matches!(tampered, Refused::Tampered));
        assert!(matches!(expired, Refused::Expired { .. }));
        assert_eq!(state, State::Ready);
    }

    #[test]
    fn a_rejection_has_a_reason_and_ends_the_case() {
        let mut case = ready();

        assert_eq!(reject(&mut case, &by(100), "  "), Err(Refused::NoReason));
        reject(&mut case, &by(100), "the caller cannot deal with `None`").unwrap();

        assert_eq!(case.state, State::Rejected);
        assert_eq!(case.reason(), Some("the caller cannot deal with `None`"));
        assert!(approve(&mut case, &by(200), HOUR).is_err());
    }
}
