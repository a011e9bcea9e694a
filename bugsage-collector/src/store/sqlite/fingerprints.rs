//! The fingerprints of issues: who owns which, and where an event belongs by them.

use rusqlite::{Connection, OptionalExtension, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::fingerprint::place::{self, Owners};
use bugsage_core::fingerprint::{Fingerprint, Kept, Strength};

use crate::store::StoreError;

use super::sql;

/// The issue or part that events with these fingerprints belong to.
pub(super) fn find(
    tx: &Connection,
    project: u64,
    fingerprints: &[Fingerprint],
) -> Result<Option<i64>, StoreError> {
    place::find(fingerprints, &mut ProjectIssues { tx, project })
}

/// Gives an issue those fingerprints of its event that nobody owns, with what they are made of.
pub(super) fn own(
    tx: &Connection,
    project: u64,
    issue: i64,
    fingerprints: &[Fingerprint],
    reasons: &[Vec<Kept>],
    at: Timestamp,
) -> Result<(), StoreError> {
    let first = fingerprints.first().map(ToString::to_string);
    let mut reasons = reasons.iter();
    for fingerprint in fingerprints {
        let reason = reasons
            .next()
            .and_then(|kept| serde_json::to_string(kept).ok());
        tx.prepare_cached(
            "insert or ignore into fingerprints
                 (project, fingerprint, issue, reason, brought_by, added_at)
             values (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            sql(project),
            fingerprint.to_string(),
            issue,
            reason,
            first,
            sql(at.0)
        ])?;
    }
    Ok(())
}

/// The issues of a project, as those who own fingerprints.
struct ProjectIssues<'a> {
    tx: &'a Connection,
    project: u64,
}

impl Owners for ProjectIssues<'_> {
    type Issue = i64;
    type Error = StoreError;

    fn owner(&mut self, fingerprint: Fingerprint) -> Result<Option<i64>, StoreError> {
        let mut owner = self.tx.prepare_cached(
            "select issue from fingerprints where project = ? and fingerprint = ?",
        )?;
        let key = params![sql(self.project), fingerprint.to_string()];
        Ok(owner.query_row(key, |row| row.get(0)).optional()?)
    }

    fn has_stronger(&mut self, issue: i64, than: Strength) -> Result<bool, StoreError> {
        let mut stronger = self.tx.prepare_cached(
            "select 1 from fingerprints where project = ? and issue = ?
             and instr(?, substr(fingerprint, 1, 1)) > 0",
        )?;
        let letters = match than {
            Strength::Provisional => "swv",
            Strength::Single => "wv",
            Strength::Weak | Strength::Strong => "v",
        };
        Ok(stronger.exists(params![sql(self.project), issue, letters])?)
    }
}
