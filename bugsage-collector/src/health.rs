//! How releases are doing: what is asked of the store, and the answer as JSON under stable names.
//!
//! A run is crash-free unless it panicked or crashed. `killed` is shown apart and does not count
//! against a release: most services are ended by a signal that nobody handles, so that every deploy
//! would look like a crash; and what kills a process from outside is no bug of its release. `unknown`
//! does not count against it either. Shares are 0.0 to 1.0, and null where there is nothing to share.

use serde::Serialize;

use bugsage_core::clock::Timestamp;

use crate::clock::rfc3339;
use crate::store::model::{ReleaseFilter, ReleaseHealth, RunCounts};

/// Days that are looked back where nothing else is said.
pub const DAYS: u32 = 14;

/// The furthest that one may look back: longer than anything is kept.
pub const DAYS_MAX: u32 = 3_650;

/// A run tells every hour that it lives. After three it has ended, and nobody knows how.
const SILENT_US: u64 = 3 * 3_600_000_000;

const DAY_US: u64 = 24 * 3_600_000_000;

/// The releases of the last days.
pub fn filter(now: Timestamp, days: u32, limit: u32) -> ReleaseFilter {
    ReleaseFilter {
        project: None,
        environment: None,
        since: Timestamp(now.0.saturating_sub(u64::from(days) * DAY_US)),
        silent_since: Timestamp(now.0.saturating_sub(SILENT_US)),
        limit,
    }
}

/// How a release is doing in an environment.
#[derive(Debug, Serialize)]
pub struct ReleaseView {
    project: u64,
    /// The name of its project.
    pub project_name: String,
    /// The release.
    pub release: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// Its runs by how they ended.
    pub runs: RunsView,
    /// The share of runs that neither panicked nor crashed.
    pub crash_free_runs: Option<f64>,
    /// About how many users its runs told.
    pub users: u64,
    /// About how many of them met a panic.
    pub users_panicked: u64,
    /// The share of users who met no panic.
    pub crash_free_users: Option<f64>,
    /// Root spans that closed.
    pub roots: u64,
    /// Root spans in which something failed.
    pub roots_failed: u64,
    first_seen: String,
    last_seen: String,
    /// Reports of the release, in all environments and for ever.
    pub events: u64,
    /// Issues that it was the first to have, in all environments.
    pub new_issues: u64,
    /// The same as `first_seen`, for pages.
    #[serde(skip)]
    pub first_seen_at: Timestamp,
    /// The same as `last_seen`, for pages.
    #[serde(skip)]
    pub last_seen_at: Timestamp,
}

/// Runs by how they ended.
#[derive(Debug, Serialize)]
pub struct RunsView {
    /// All of them.
    pub total: u64,
    /// They go on.
    pub running: u64,
    /// As they should.
    pub clean: u64,
    /// By a panic.
    pub panicked: u64,
    /// By a native crash.
    pub crashed: u64,
    /// From outside, or by a word of their own.
    pub killed: u64,
    /// Nobody knows.
    pub unknown: u64,
}

impl ReleaseView {
    /// A release as it is told.
    pub fn new(health: ReleaseHealth) -> Self {
        let runs = RunsView::new(health.runs);
        Self {
            project: health.project,
            project_name: health.project_name,
            release: health.release,
            environment: health.environment,
            crash_free_runs: free_of(runs.panicked + runs.crashed, runs.total),
            runs,
            users: health.users,
            users_panicked: health.users_panicked,
            crash_free_users: free_of(health.users_panicked, health.users),
            roots: health.roots,
            roots_failed: health.roots_failed,
            first_seen: rfc3339(health.first_seen),
            last_seen: rfc3339(health.last_seen),
            events: health.events,
            new_issues: health.new_issues,
            first_seen_at: health.first_seen,
            last_seen_at: health.last_seen,
        }
    }
}

impl RunsView {
    fn new(runs: RunCounts) -> Self {
        let RunCounts {
            running,
            unknown,
            clean,
            killed,
            crashed,
            panicked,
        } = runs;
        Self {
            total: running + unknown + clean + killed + crashed + panicked,
            running,
            clean,
            panicked,
            crashed,
            killed,
            unknown,
        }
    }

    /// How they ended, without what did not occur.
    pub fn by_end(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("panicked", self.panicked),
            ("crashed", self.crashed),
            ("killed", self.killed),
            ("unknown", self.unknown),
            ("clean", self.clean),
            ("running", self.running),
        ];
        all.into_iter().filter(|(_, runs)| *runs > 0)
    }
}

fn free_of(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| whole.saturating_sub(part) as f64 / whole as f64)
}

/// A share in percent. Never rounded up: one crash in a million runs is not none.
pub fn percent(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(1.0) => "100 %".to_owned(),
        Some(share) => {
            let hundredths = (share * 10_000.0 + 1e-6).floor().clamp(0.0, 9_999.0);
            format!("{:.2} %", hundredths / 100.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(percent(free_of(0, 7)), "100 %");
        assert_eq!(percent(free_of(1, 1_000_000)), "99.99 %");
        assert_eq!(percent(free_of(1, 4)), "75.00 %");
        assert_eq!(percent(free_of(7, 7)), "0.00 %");
        assert_eq!(percent(free_of(0, 0)), "–");
    }

    #[test]
    fn a_killed_or_lost_run_does_not_count_against_its_release() {
        let runs = |killed, unknown, crashed| RunCounts {
            clean: 6,
            killed,
            unknown,
            crashed,
            panicked: 1,
            ..RunCounts::default()
        };
        let share = |runs: RunCounts| {
            let view = RunsView::new(runs);
            free_of(view.panicked + view.crashed, view.total)
        };

        assert_eq!(share(runs(2, 1, 0)), Some(0.9));
        assert_eq!(share(runs(0, 1, 2)), Some(0.7));
    }
}
