//! Similar issues as JSON.

use serde::Serialize;

use crate::store::grouping::SimilarIssue;
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

/// Issues that are suggested to one.
const SUGGESTED_MAX: u32 = 5;

/// An issue that looks like another one.
#[derive(Debug, Serialize)]
pub struct SimilarView {
    /// Its number.
    pub issue: u64,
    /// One line for lists.
    pub title: String,
    /// The function or place that failed.
    pub culprit: String,
    /// Reports, repeats counted.
    pub events: u64,
    /// How much they look alike, up to 1; three digits.
    pub similarity: f64,
    /// Why: what both have, the weightiest first.
    pub shares: Vec<String>,
}

impl SimilarView {
    fn new(similar: SimilarIssue) -> Self {
        Self {
            issue: similar.issue.id,
            title: similar.issue.title,
            culprit: similar.issue.culprit,
            events: similar.issue.events,
            similarity: (f64::from(similar.similarity) * 1_000.0).round() / 1_000.0,
            shares: similar.shares,
        }
    }

    /// The issues that look like one, the most alike first.
    pub async fn load(
        store: &dyn Store,
        scope: &Scope,
        issue: u64,
    ) -> Result<Vec<Self>, StoreError> {
        let similar = store.similar(scope, issue, SUGGESTED_MAX).await?;
        Ok(similar.into_iter().map(Self::new).collect())
    }

    /// The similarity for people: `87 %`.
    pub fn percent(&self) -> String {
        format!("{:.0} %", self.similarity * 100.0)
    }

    /// Why, for people. Texts of the app are in it.
    pub fn reason(&self) -> String {
        if self.shares.is_empty() {
            return "many small things in common".to_owned();
        }
        format!("both have {}", self.shares.join(", "))
    }
}
