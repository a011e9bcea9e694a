//! `bugsage rules`: what a project's events are grouped by, where the built-in rules do not suit.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Subcommand;

use bugsage_core::clock::Clock;
use bugsage_core::fingerprint::rules::{RULES_BYTES_MAX, Rules as ParsedRules};

use crate::clock::{SystemClock, rfc3339};
use crate::group::sources::{EventSources, SourceCache};
use crate::group::trial::{self, Trial};
use crate::store::Store;
use crate::store::grouping::RulesVersion;
use crate::store::model::{IssueFilter, StoredEvent};
use crate::store::scope::Scope;
use crate::store::sqlite::SqliteStore;

use super::{DataArgs, WrongUsage, output};

/// Issues that rules are tried on, the latest first.
const ISSUES_MAX: u32 = 2_000;

/// Kept events of each that they are tried on.
const EVENTS_MAX: u32 = 10;

const LANGUAGE: &str = "\
One rule a line, the first that fits decides:

    # Whatever asks for the database: one issue.
    class:sqlx::Error message:\"*timed out*\" -> database-timeout
    # One issue for each tenant, otherwise as usual.
    function:shop::import::* !environment:test -> {{ default }} {{ tag.tenant }}

Fields: kind, level, class, type, message, function, culprit, file, release, environment, tag.NAME.
`*` stands for anything, `?` for one character, `!` turns a condition round.
Parts: words, {{ default }}, {{ class }}, {{ message }}, {{ culprit }}, {{ file }}, {{ release }},
{{ environment }}, {{ tag.NAME }}.";

#[derive(Subcommand)]
#[command(after_help = LANGUAGE)]
pub(super) enum Rules {
    /// Show the rules of a project
    Show {
        #[command(flatten)]
        of: Of,
    },
    /// Try rules on events that are kept: what they would merge and split
    Try {
        /// The file with the rules, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        of: Of,
    },
    /// Group by these rules from now on; what was counted stays where it is
    Set {
        /// The file with the rules, or - for standard input; an empty one leaves the built-in rules
        file: PathBuf,
        #[command(flatten)]
        of: Of,
    },
}

#[derive(clap::Args)]
pub(super) struct Of {
    /// The project, by its name or number
    #[arg(long)]
    project: String,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Rules {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let scope = Scope::local_operator();
        match self {
            Rules::Show { of } => {
                let store = of.data.open_existing()?;
                let rules = store.grouping_rules(&scope, &of.project).await?;
                show(rules.as_ref(), of.json)
            }
            Rules::Try { file, of } => {
                let (_, rules) = read(&file)?;
                let store = of.data.open_existing()?;
                let trial = of.try_on(&store, &scope, &rules).await?;
                told(&trial, of.json)
            }
            Rules::Set { file, of } => {
                let (text, _) = read(&file)?;
                let store = of.data.open_existing()?;
                let now = SystemClock.now();
                let set = store.set_grouping_rules(&scope, &of.project, &text, now);
                let set = set.await?;
                if of.json {
                    output::json(&document(Some(&set)))?;
                } else {
                    output::line(&format!(
                        "version {} of the rules holds from now on",
                        set.version
                    ));
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Of {
    async fn try_on(
        &self,
        store: &SqliteStore,
        scope: &Scope,
        rules: &ParsedRules,
    ) -> anyhow::Result<Trial> {
        let filter = IssueFilter {
            project: Some(self.project.clone()),
            limit: ISSUES_MAX,
            ..IssueFilter::default()
        };
        let mut events: Vec<StoredEvent> = Vec::new();
        for issue in store.issues(scope, filter).await? {
            events.extend(store.events(scope, issue.id, EVENTS_MAX).await?);
        }
        let repository = repository(store, scope, &self.project).await?;
        let cache = SourceCache::default();
        let mut sources = EventSources::new(&cache, repository.as_ref()).patient();
        Ok(trial::run(rules, &events, &mut sources))
    }
}

async fn repository(
    store: &SqliteStore,
    scope: &Scope,
    project: &str,
) -> anyhow::Result<Option<Arc<str>>> {
    let projects = store.projects(scope).await?;
    let named =
        |it: &crate::store::model::Project| it.name == project || it.id.to_string() == project;
    let found = projects.into_iter().find(named);
    Ok(found.and_then(|project| project.repository).map(Arc::from))
}

/// Reads rules, and refuses what is none.
fn read(file: &Path) -> anyhow::Result<(String, ParsedRules)> {
    let limit = RULES_BYTES_MAX as u64 + 1;
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file);
        let opened = opened.with_context(|| format!("cannot read {}", file.display()))?;
        opened.take(limit).read_to_string(&mut text)
    }
    .with_context(|| format!("cannot read {} as text", file.display()))?;
    let rules = ParsedRules::parse(&text)
        .map_err(|error| WrongUsage(format!("{}: {error}", file.display())))?;
    Ok((text, rules))
}

fn document(rules: Option<&RulesVersion>) -> serde_json::Value {
    serde_json::json!({
        "version": rules.map(|rules| rules.version),
        "rules": rules.map_or("", |rules| &rules.rules),
        "set_at": rules.map(|rules| rfc3339(rules.set_at)),
        "actor": rules.map(|rules| &rules.actor),
    })
}

fn show(rules: Option<&RulesVersion>, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(&document(rules))?;
        return Ok(ExitCode::SUCCESS);
    }
    match rules {
        Some(rules) => {
            let of = format!(
                "# version {}, set {} by {}",
                rules.version,
                rfc3339(rules.set_at),
                rules.actor
            );
            output::line(&of);
            for line in rules.rules.lines() {
                output::line(&output::plain(line));
            }
        }
        None => output::line("# none: only the built-in rules hold"),
    }
    Ok(ExitCode::SUCCESS)
}

fn told(trial: &Trial, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(trial)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!(
        "of {} kept events a rule fits {}",
        trial.events, trial.fitting
    ));
    for (rule, events) in &trial.rules {
        output::line(&format!("  line {rule}: {events}"));
    }
    for merged in &trial.merged {
        let issues: Vec<String> = merged.issues.iter().map(u64::to_string).collect();
        output::line(&format!(
            "line {} would merge issues {}",
            merged.rule,
            issues.join(", ")
        ));
    }
    for split in &trial.split {
        let leave: Vec<String> = split
            .leave
            .iter()
            .map(|leaving| format!("{} by line {}", leaving.events, leaving.rule))
            .collect();
        output::line(&format!(
            "issue {} would be split: {} stay, {}",
            split.issue,
            split.stay,
            leave.join(", ")
        ));
    }
    if trial.merged.is_empty() && trial.split.is_empty() {
        output::line("nothing would be merged or split");
    }
    Ok(ExitCode::SUCCESS)
}
