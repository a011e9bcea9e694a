//! `bugsage issues similar`: issues that look like one, as suggestions.

use std::process::ExitCode;

use crate::store::scope::Scope;
use crate::view::{SimilarView, thousands};

use super::{DataArgs, output};

#[derive(clap::Args)]
pub(super) struct Similar {
    /// Its number
    issue: u64,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Similar {
    pub(super) async fn run(self, scope: &Scope) -> anyhow::Result<ExitCode> {
        let store = self.data.open_existing()?;
        let similar = SimilarView::load(&store, scope, self.issue).await?;
        if self.json {
            output::json(&similar)?;
            return Ok(ExitCode::SUCCESS);
        }
        if similar.is_empty() {
            output::line(&format!("no issue looks like issue {}", self.issue));
            return Ok(ExitCode::SUCCESS);
        }
        for other in &similar {
            output::line(&format!(
                "issue {}, {} alike, {} events: {}",
                other.issue,
                other.percent(),
                thousands(other.events),
                output::plain(&other.title)
            ));
            output::line(&format!("  {}", output::plain(&other.reason())));
        }
        output::line(&format!(
            "where one is the same bug: bugsage issues merge {} OTHER",
            self.issue
        ));
        Ok(ExitCode::SUCCESS)
    }
}
