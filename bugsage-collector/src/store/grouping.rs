//! What is known and said about the grouping of a project's events.

use std::sync::Arc;

use bugsage_core::clock::Timestamp;
use bugsage_core::fingerprint::{Fingerprint, Kept};
use bugsage_core::id::EventId;

use super::model::Issue;

/// What a person says belongs together, or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regroup {
    /// These issues become parts of another one: all are shown, counted and resolved as one. They must be of one
    /// project, and not be parts of a third.
    Merge {
        /// The one that stays.
        into: u64,
        /// The others.
        issues: Vec<u64>,
    },
    /// A part becomes an issue of its own again, with all that it has counted.
    Unmerge {
        /// The part.
        part: u64,
    },
    /// A fingerprint becomes an issue of its own, with those that came with it. Kept events go along with what they
    /// were counted as, the latest 20,000; the counts of others, of which nobody knows any more what they were, and of users stay. The
    /// issue must have another one.
    Split {
        /// The issue.
        issue: u64,
        /// The first fingerprint of an event.
        fingerprint: String,
    },
}

/// A fingerprint of an issue or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFingerprint {
    /// The fingerprint.
    pub fingerprint: String,
    /// The issue or part that owns it.
    pub issue: u64,
    /// What it is made of; nothing where that was not written down.
    pub kept: Vec<Kept>,
    /// The first fingerprint of the event that brought it, where that was written down.
    pub brought_by: Option<String>,
}

/// Kept events of an issue that was grouped for now, as they are grouped where more is known of them: symbols or
/// source have come.
#[derive(Debug, Clone)]
pub struct Rekey {
    /// The issue.
    pub issue: u64,
    /// Its events, all that are known better.
    pub events: Vec<RekeyedEvent>,
}

/// An event whose fingerprints are better than those that it came with.
#[derive(Debug, Clone)]
pub struct RekeyedEvent {
    /// The event.
    pub event: EventId,
    /// Its fingerprints, most telling first.
    pub fingerprints: Vec<Fingerprint>,
    /// What each is made of, in the same order.
    pub reasons: Arc<[Vec<Kept>]>,
    /// The function that failed.
    pub culprit: String,
}

/// What a project groups by instead of the built-in rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesVersion {
    /// Counted from 1.
    pub version: u64,
    /// The rules, as they were written.
    pub rules: String,
    /// When they were set.
    pub set_at: Timestamp,
    /// By whom.
    pub actor: String,
}

/// An issue that looks like another one. A suggestion: only people merge issues.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarIssue {
    /// The issue.
    pub issue: Issue,
    /// How much they look alike: 1 where they look the same.
    pub similarity: f32,
    /// Why: of what the two are mostly told by, what both have.
    pub shares: Vec<String>,
}
