//! What the writer has looked up, so that it need not do so for each event again.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use bugsage_core::clock::Timestamp;
use bugsage_core::event::Text;
use bugsage_core::fingerprint::Fingerprint;

use crate::store::StoreError;

/// Entries of each kind. All are forgotten where there are more: at about 200 bytes each, what is
/// remembered takes some tens of megabytes, and to learn it again takes a fraction of a second.
const ENTRIES_MAX: usize = 50_000;

/// What is known, as long as nobody else writes.
#[derive(Default)]
pub(in crate::store::sqlite) struct Cache {
    /// Changes with each transaction of another connection.
    data_version: i64,
    /// By project and all fingerprints of an event: where those led once they always lead.
    places: HashMap<u64, HashMap<Vec<Fingerprint>, i64>>,
    issues: HashMap<i64, Known>,
    /// Issues with the hashes of releases and environments that they were seen in.
    variants: HashSet<(i64, u64)>,
    stacks: HashMap<(u64, [u8; 16]), i64>,
    /// By project, name and value. A project that stands here does so with all its names, and a name
    /// with all its values or none.
    facets: HashMap<u64, HashMap<Text, HashMap<Text, i64>>>,
    entries: usize,
}

/// An issue as far as its next event asks for it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// When it was resolved and in which release, while it is.
    pub(super) resolved: Option<(Timestamp, Option<String>)>,
    /// Whether it may still get its first case.
    pub(super) may_have_case: bool,
    /// How many of its events were kept.
    pub(super) kept: u64,
    /// The issue that it is a part of, or itself.
    pub(super) whole: i64,
}

impl Cache {
    /// Forgets everything: a transaction was rolled back, or something else was changed.
    pub(in crate::store::sqlite) fn clear(&mut self) {
        *self = Self {
            data_version: self.data_version,
            ..Self::default()
        };
    }

    /// Forgets what another connection may have changed, or what is too much.
    pub(super) fn look(&mut self, tx: &Connection) -> Result<(), StoreError> {
        let version = tx
            .prepare_cached("pragma data_version")?
            .query_row([], |row| row.get(0))?;
        if version != self.data_version || self.entries > ENTRIES_MAX {
            self.data_version = version;
            self.clear();
        }
        Ok(())
    }

    pub(super) fn place(&self, project: u64, fingerprints: &[Fingerprint]) -> Option<i64> {
        self.places.get(&project)?.get(fingerprints).copied()
    }

    pub(super) fn set_place(&mut self, project: u64, fingerprints: &[Fingerprint], issue: i64) {
        self.entries += 1;
        let places = self.places.entry(project).or_default();
        places.insert(fingerprints.to_vec(), issue);
    }

    pub(super) fn issue(&mut self, issue: i64) -> Option<&mut Known> {
        self.issues.get_mut(&issue)
    }

    pub(super) fn set_issue(&mut self, issue: i64, known: Known) {
        self.entries += 1;
        self.issues.insert(issue, known);
    }

    /// Counts an event that was kept.
    pub(super) fn kept(&mut self, issue: i64) {
        if let Some(known) = self.issues.get_mut(&issue) {
            known.kept += 1;
        }
    }

    /// Whether the issue is known to have been seen in a release and environment.
    pub(super) fn has_variant(&self, issue: i64, variant: u64) -> bool {
        self.variants.contains(&(issue, variant))
    }

    pub(super) fn set_variant(&mut self, issue: i64, variant: u64) {
        self.entries += 1;
        self.variants.insert((issue, variant));
    }

    pub(super) fn stack(&self, project: u64, hash: [u8; 16]) -> Option<i64> {
        self.stacks.get(&(project, hash)).copied()
    }

    pub(super) fn set_stack(&mut self, project: u64, hash: [u8; 16], id: i64) {
        self.entries += 1;
        self.stacks.insert((project, hash), id);
    }

    pub(super) fn facet(&self, project: u64, name: &str, value: &str) -> Option<i64> {
        self.facets.get(&project)?.get(name)?.get(value).copied()
    }

    /// How many names a project's facets have, where that is known.
    pub(super) fn facet_names(&self, project: u64) -> Option<usize> {
        self.facets.get(&project).map(HashMap::len)
    }

    /// Notes all names that a project's facets have.
    pub(super) fn set_facet_names(&mut self, project: u64, names: Vec<Text>) {
        self.entries += names.len();
        let names = names.into_iter().map(|name| (name, HashMap::new()));
        self.facets.insert(project, names.collect());
    }

    /// Whether a project's facets have a name.
    pub(super) fn has_facet_name(&self, project: u64, name: &str) -> bool {
        let names = self.facets.get(&project);
        names.is_some_and(|names| names.contains_key(name))
    }

    /// How many values of a name are known: all of them, or none.
    pub(super) fn facet_values(&self, project: u64, name: &str) -> usize {
        let names = self.facets.get(&project);
        names
            .and_then(|names| names.get(name))
            .map_or(0, HashMap::len)
    }

    pub(super) fn set_facet(&mut self, project: u64, name: &str, value: &str, id: i64) {
        self.entries += 1;
        let names = self.facets.entry(project).or_default();
        let values = names.entry(name.into()).or_default();
        values.insert(value.into(), id);
    }
}
