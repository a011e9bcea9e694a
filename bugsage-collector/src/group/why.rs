//! Why an event is where it is: what counted, what did not, and where else it nearly went.
//!
//! It is found out anew, with the rules and the source as they are now. What the event was grouped by when it came is
//! told beside it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use bugsage_core::fingerprint::{self, Explanation, Kept};

use crate::store::model::StoredEvent;
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

use super::By;
use super::sources::{EventSources, SourceCache};

/// Why an event belongs to its issue.
#[derive(Debug, Default, Serialize)]
pub struct Why {
    /// What counted, and which frames did not.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// The fingerprints that it would have now, most telling first.
    #[serde(skip)]
    pub fingerprints: Vec<String>,
    /// Whether it came with another one: the rules or the source have changed since.
    pub has_changed: bool,
    /// The line of the project's rule that decides.
    pub rule: Option<u32>,
    /// The issue that it would belong to if less counted.
    pub nearest: Option<Nearest>,
}

/// Another issue that has much of what an event has.
#[derive(Debug, Serialize)]
pub struct Nearest {
    /// Its number.
    pub issue: u64,
    /// One line for lists.
    pub title: String,
    /// What it shares.
    pub shares: Vec<Kept>,
    /// What the event has beside that.
    pub differs: Vec<Kept>,
}

/// Answers for events of any project of a scope.
pub struct Reasons<'a> {
    store: &'a dyn Store,
    scope: &'a Scope,
    sources: Arc<SourceCache>,
    is_patient: bool,
    by: HashMap<u64, By>,
}

impl<'a> Reasons<'a> {
    /// For pages: what git does not tell soon is left out.
    pub fn new(store: &'a dyn Store, scope: &'a Scope, sources: Arc<SourceCache>) -> Self {
        Self {
            store,
            scope,
            sources,
            is_patient: false,
            by: HashMap::new(),
        }
    }

    /// For a command, which rather takes longer.
    pub fn of_command(store: &'a dyn Store, scope: &'a Scope) -> Self {
        Self {
            is_patient: true,
            ..Self::new(store, scope, Arc::default())
        }
    }

    /// Why an event belongs to its issue.
    pub async fn of(&mut self, stored: &StoredEvent) -> Result<Why, StoreError> {
        let by = self.by(stored.project).await?;
        let (event, sources, is_patient) =
            (stored.event.clone(), self.sources.clone(), self.is_patient);
        // It may wait for git.
        let found = tokio::task::spawn_blocking(move || {
            let mut of_event = EventSources::new(&sources, by.repository.as_ref());
            if is_patient {
                of_event = of_event.patient();
            }
            of_event.of(event.run.release.as_ref());
            let grouping = fingerprint::group(&event, &mut of_event, &by.rules);
            let explanation = fingerprint::explain(&event, &mut of_event, &by.rules);
            (grouping, explanation)
        });
        let (grouping, explanation) = found
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let fingerprints: Vec<String> = grouping
            .fingerprints
            .iter()
            .map(ToString::to_string)
            .collect();
        let nearest = self
            .nearest(stored, &fingerprints, &grouping.reasons)
            .await?;
        let first = fingerprints.first();
        let has_changed = stored.fingerprint.is_some() && stored.fingerprint.as_ref() != first;
        Ok(Why {
            explanation,
            has_changed,
            rule: grouping.rule,
            nearest,
            fingerprints,
        })
    }

    async fn by(&mut self, project: u64) -> Result<By, StoreError> {
        if let Some(by) = self.by.get(&project) {
            return Ok(by.clone());
        }
        let projects = self.store.projects(self.scope).await?;
        let by = match projects.iter().find(|it| it.id == project) {
            Some(found) => By::of(self.store, self.scope, found).await?,
            None => By::default(),
        };
        self.by.insert(project, by.clone());
        Ok(by)
    }

    async fn nearest(
        &self,
        stored: &StoredEvent,
        fingerprints: &[String],
        reasons: &[Vec<Kept>],
    ) -> Result<Option<Nearest>, StoreError> {
        let owners = self.store.owners(self.scope, stored.project, fingerprints);
        let owners = owners.await?;
        let other = owners
            .iter()
            .zip(reasons)
            .find_map(|(owner, shares)| Some((owner.filter(|it| *it != stored.issue)?, shares)));
        let Some((issue, shares)) = other else {
            return Ok(None);
        };
        let all = reasons.first().into_iter().flatten();
        let differs = all.filter(|kept| !shares.contains(kept)).cloned();
        Ok(Some(Nearest {
            issue,
            title: self.store.issue(self.scope, issue).await?.issue.title,
            shares: shares.clone(),
            differs: differs.collect(),
        }))
    }
}
