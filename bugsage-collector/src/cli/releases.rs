//! `bugsage releases`: how releases are doing.

use std::process::ExitCode;

use clap::Args;

use bugsage_core::clock::Clock;

use crate::clock::SystemClock;
use crate::health::{self, ReleaseView, percent};
use crate::store::Store;
use crate::store::model::ReleaseFilter;
use crate::store::scope::Scope;
use crate::view::thousands;

use super::{DataArgs, output};

/// Releases that are listed where nothing else is said.
const LIMIT: u32 = 50;

#[derive(Args)]
pub(super) struct Releases {
    /// Only those of a project, by its name or number
    #[arg(long)]
    project: Option<String>,
    /// Only runs in an environment
    #[arg(long)]
    environment: Option<String>,
    /// Only runs of the last days
    #[arg(long, default_value_t = health::DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(health::DAYS_MAX)))]
    days: u32,
    /// At most so many, the newest
    #[arg(long, default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Releases {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let store = self.data.open_existing()?;
        let filter = ReleaseFilter {
            project: self.project,
            environment: self.environment,
            ..health::filter(SystemClock.now(), self.days, self.limit)
        };
        let releases = store.releases(&Scope::local_operator(), filter).await?;
        let releases: Vec<_> = releases.into_iter().map(ReleaseView::new).collect();
        if self.json {
            output::json(&releases)?;
        } else if releases.is_empty() {
            let days = self.days;
            output::line(&format!("no run was heard of in the last {days} days"));
        } else {
            table(&releases);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(releases: &[ReleaseView]) {
    let name = |name: &Option<String>| output::cut(name.as_deref().unwrap_or("–"), 40);
    let rows = releases.iter().map(|release| {
        vec![
            name(&release.release),
            name(&release.environment),
            output::cut(&release.project_name, 24),
            thousands(release.runs.total),
            percent(release.crash_free_runs),
            thousands(release.runs.panicked + release.runs.crashed),
            thousands(release.runs.killed),
            thousands(release.users),
            percent(release.crash_free_users),
            thousands(release.roots),
            thousands(release.roots_failed),
            thousands(release.new_issues),
        ]
    });
    output::table(
        &[
            "release",
            "environment",
            "project",
            "runs",
            "crash-free",
            "crashed",
            "killed",
            "users",
            "crash-free",
            "root spans",
            "failed",
            "new issues",
        ],
        &[3, 4, 5, 6, 7, 8, 9, 10, 11],
        &rows.collect::<Vec<_>>(),
    );
}
