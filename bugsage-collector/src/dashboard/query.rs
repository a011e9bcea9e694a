//! What the addresses of pages ask for. Anybody may write them by hand, so all of it is brought within bounds.

use serde::Deserialize;

use bugsage_core::clock::Timestamp;
use bugsage_core::limits;
use bugsage_core::trace_context::SpanId;

use crate::account;
use crate::health;
use crate::store::model::{IssueFilter, ReleaseFilter};

/// The longest search.
pub(super) const SEARCH_BYTES_MAX: usize = 200;

pub(super) const STATUSES: [&str; 3] = ["unresolved", "resolved", "ignored"];

/// The address of `/issues`.
#[derive(Debug, Default, Deserialize)]
pub struct Issues {
    #[serde(default)]
    pub(super) q: String,
    pub(super) status: Option<String>,
    pub(super) project: Option<String>,
}

/// The address of `/releases`.
#[derive(Debug, Default, Deserialize)]
pub struct Releases {
    pub(super) project: Option<String>,
    #[serde(default)]
    pub(super) environment: String,
    days: Option<String>,
}

/// The address of `/ledger`.
#[derive(Debug, Default, Deserialize)]
pub struct Ledger {
    hours: Option<String>,
}

/// The address of `/traces`.
#[derive(Debug, Default, Deserialize)]
pub struct Traces {
    project: Option<String>,
}

impl Traces {
    /// The project that is meant.
    pub(super) fn project(&self) -> Option<String> {
        named(self.project.as_deref())
    }
}

/// The address of `/traces/TRACE`.
#[derive(Debug, Default, Deserialize)]
pub struct Trace {
    from: Option<String>,
    span: Option<String>,
}

impl Trace {
    /// The first row that is meant, where somebody says so.
    pub(super) fn from(&self) -> Option<usize> {
        self.from.as_deref()?.parse().ok()
    }

    /// The span that somebody came for.
    pub(super) fn span(&self) -> Option<SpanId> {
        self.span.as_deref()?.parse().ok()
    }
}

impl Issues {
    /// The issues that are meant, at most so many.
    pub fn filter(&self, limit: u32) -> IssueFilter {
        let q = limits::cut(&self.q, SEARCH_BYTES_MAX);
        let status = self.status();
        IssueFilter {
            project: named(self.project.as_deref()),
            status: STATUSES.contains(&status).then(|| status.to_owned()),
            words: q.split_whitespace().map(str::to_owned).collect(),
            limit,
        }
    }

    pub(super) fn status(&self) -> &str {
        self.status.as_deref().unwrap_or("unresolved")
    }
}

impl Releases {
    /// The releases that are meant, at most so many.
    pub fn filter(&self, now: Timestamp, limit: u32) -> ReleaseFilter {
        let environment = limits::cut(self.environment.trim(), limits::NAME_BYTES_MAX);
        ReleaseFilter {
            project: named(self.project.as_deref()),
            environment: named(Some(&environment)),
            ..health::filter(now, self.days(), limit)
        }
    }

    /// How far to look back.
    pub fn days(&self) -> u32 {
        let days = self.days.as_deref().and_then(|days| days.parse().ok());
        days.unwrap_or(health::DAYS).clamp(1, health::DAYS_MAX)
    }
}

impl Ledger {
    /// How far to look back.
    pub fn hours(&self) -> u32 {
        let hours = self.hours.as_deref().and_then(|hours| hours.parse().ok());
        hours.unwrap_or(account::HOURS).clamp(1, account::HOURS_MAX)
    }
}

/// A form sends what is not chosen as nothing.
fn named(name: Option<&str>) -> Option<String> {
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}
