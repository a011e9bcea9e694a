//! `bugsage issues merge`, `unmerge` and `split`: what belongs to which issue, as people say it.

use std::process::ExitCode;

use bugsage_core::clock::Clock;

use crate::clock::SystemClock;
use crate::store::Store;
use crate::store::grouping;
use crate::store::scope::Scope;
use crate::view::IssueView;

use super::{DataArgs, output};

#[derive(clap::Args)]
pub(super) struct Merge {
    /// The number of the one that stays
    issue: u64,
    /// Those that become parts of it
    #[arg(required = true, num_args = 1..=100)]
    parts: Vec<u64>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
pub(super) struct Unmerge {
    /// The number of the part
    issue: u64,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
pub(super) struct Split {
    /// Its number
    issue: u64,
    /// The first fingerprint of an event of it, as `bugsage events show` tells it
    fingerprint: String,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
struct Shared {
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Merge {
    pub(super) async fn run(self, scope: &Scope) -> anyhow::Result<ExitCode> {
        let mut issues = self.parts;
        issues.sort_unstable();
        issues.dedup();
        let regroup = grouping::Regroup::Merge {
            into: self.issue,
            issues,
        };
        self.shared.say(scope, regroup).await
    }
}

impl Unmerge {
    pub(super) async fn run(self, scope: &Scope) -> anyhow::Result<ExitCode> {
        let regroup = grouping::Regroup::Unmerge { part: self.issue };
        self.shared.say(scope, regroup).await
    }
}

impl Split {
    pub(super) async fn run(self, scope: &Scope) -> anyhow::Result<ExitCode> {
        let regroup = grouping::Regroup::Split {
            issue: self.issue,
            fingerprint: self.fingerprint,
        };
        self.shared.say(scope, regroup).await
    }
}

impl Shared {
    async fn say(self, scope: &Scope, regroup: grouping::Regroup) -> anyhow::Result<ExitCode> {
        let store = self.data.open_existing()?;
        let done = match &regroup {
            grouping::Regroup::Merge { issues, .. } => {
                let issues: Vec<String> = issues.iter().map(u64::to_string).collect();
                format!("has {} as a part of it now", issues.join(", "))
            }
            grouping::Regroup::Unmerge { .. } => "stands by itself again".to_owned(),
            grouping::Regroup::Split { fingerprint, .. } => {
                format!("is what comes with {fingerprint} from now on")
            }
        };
        let issue = store.regroup(scope, regroup, SystemClock.now()).await?;
        if self.json {
            output::json(&IssueView::load(&store, scope, issue).await?)?;
        } else {
            output::line(&format!("issue {} {done}", issue.id));
        }
        Ok(ExitCode::SUCCESS)
    }
}
