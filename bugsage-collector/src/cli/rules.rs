//! `bugsage rules`: what a project's events are grouped by, where the built-in rules do not suit.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use bugsage_core::clock::Clock;
use bugsage_core::fingerprint::Fingerprint;
use bugsage_core::fingerprint::rules::{RULES_BYTES_MAX, Rules as ParsedRules};

use crate::clock::{SystemClock, rfc3339};
use crate::group::By;
use crate::group::sources::{EventSources, SourceCache};
use crate::group::trial::{self, Owned, Trial, Tried};
use crate::store::grouping::RulesVersion;
use crate::store::model::{IssueFilter, Project};
use crate::store::scope::Scope;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

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
`*` stands for anything, `?` for one character, `!` turns a condition round. The whole value has to fit, in any case
of letters. What has spaces stands in \", and # begins a comment.
Parts: words, {{ default }}, {{ class }}, {{ message }}, {{ culprit }}, {{ file }}, {{ release }},
{{ environment }}, {{ tag.NAME }}. A panic, an error and a line of the log are never one issue.

Up to 500 rules in 64 KiB, of 16 conditions and 16 parts each, of 200 bytes each.";

#[derive(Subcommand)]
#[command(after_help = LANGUAGE)]
pub(super) enum Rules {
    /// Show the rules of a project, or those that it had: `rules set` makes them hold again
    Show {
        /// The version; without it, that which holds
        #[arg(long)]
        version: Option<u64>,
        #[command(flatten)]
        of: Of,
    },
    /// Try rules on events that are kept: where these would come if they came again, beside the rules that hold
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
            Rules::Show { version, of } => {
                let store = of.data.open_existing()?;
                let past = store.past_grouping_rules(&scope, &of.project).await?;
                let mut past = past.iter();
                let rules = match version {
                    Some(version) => Some(
                        past.find(|it| it.version == version)
                            .ok_or_else(|| no_version(version, &of.project))?,
                    ),
                    None => past.next(),
                };
                show(rules, of.json)
            }
            Rules::Try { file, of } => {
                let (text, rules) = read(&file)?;
                let store = of.data.open_existing()?;
                let holding = store.grouping_rules(&scope, &of.project).await?;
                let trial = of.try_on(&store, &scope, &rules).await?;
                told(&trial, holding.as_ref(), &text, of.json)
            }
            Rules::Set { file, of } => {
                let (text, rules) = read(&file)?;
                let store = of.data.open_existing()?;
                let holding = store.grouping_rules(&scope, &of.project).await?;
                let hold_already = holds(holding.as_ref(), &text);
                let set = match holding {
                    Some(holding) if hold_already => Some(holding),
                    None if hold_already => None,
                    _ => {
                        let now = SystemClock.now();
                        let set = store.set_grouping_rules(&scope, &of.project, &text, now);
                        Some(set.await?)
                    }
                };
                let Some(set) = set else {
                    return show(None, of.json);
                };
                if of.json {
                    output::json(&document(Some(&set)))?;
                } else {
                    let what = match rules.len() {
                        _ if hold_already => "these rules hold already".to_owned(),
                        0 => "no rule: only the built-in ones hold from now on".to_owned(),
                        1 => "1 rule holds from now on".to_owned(),
                        n => format!("{n} rules hold from now on"),
                    };
                    output::line(&format!("version {}: {what}", set.version));
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
        let projects = store.projects(scope).await?;
        let named = |it: &Project| it.name == self.project || it.id.to_string() == self.project;
        let project = projects.iter().find(|it| named(it));
        let holding = match project {
            Some(project) => By::of(store, scope, project).await?,
            None => By::default(),
        };
        let cache = SourceCache::default();
        let mut sources = EventSources::new(&cache, holding.repository.as_ref()).patient();
        let mut tried = Vec::new();
        for issue in store.issues(scope, filter).await? {
            for event in store.events(scope, issue.id, EVENTS_MAX).await? {
                tried.push(trial::group(&holding.rules, rules, &event, &mut sources));
            }
        }
        let owned = match project {
            Some(project) => owned(store, scope, project.id, &tried).await?,
            None => Owned::default(),
        };
        let mut trial = trial::run(tried, owned);
        for line in rules.lines() {
            trial.rules.entry(line).or_default();
        }
        Ok(trial)
    }
}

/// Who owns what decides where events come.
async fn owned(
    store: &SqliteStore,
    scope: &Scope,
    project: u64,
    tried: &[Tried],
) -> anyhow::Result<Owned> {
    let all: BTreeSet<Fingerprint> = tried.iter().flat_map(Tried::fingerprints).collect();
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    let owners = store.owners(scope, project, &all).await?;
    let mut owned = Owned::default();
    for whole in owners.into_iter().flatten().collect::<BTreeSet<u64>>() {
        owned.add(whole, &store.issue(scope, whole).await?.fingerprints);
    }
    Ok(owned)
}

fn no_version(version: u64, project: &str) -> StoreError {
    StoreError::NotFound {
        what: "version of these rules,",
        name: format!("{version} of {project}"),
    }
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
                "version {}, set {} by {}:",
                rules.version,
                rfc3339(rules.set_at),
                rules.actor
            );
            // Standard output has the rules as they were set, for whoever sets them again.
            output::error(&of);
            for line in rules.rules.lines() {
                output::line(&output::plain(line));
            }
        }
        None => output::error("none: only the built-in rules hold"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a text is what holds already.
fn holds(holding: Option<&RulesVersion>, text: &str) -> bool {
    holding.map_or("", |holding| &holding.rules) == text
}

fn told(
    trial: &Trial,
    holding: Option<&RulesVersion>,
    text: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    if json {
        output::json(trial)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!(
        "of {} kept events, up to {EVENTS_MAX} of each of the latest {ISSUES_MAX} issues, a rule fits {}",
        trial.events, trial.fitting
    ));
    for (rule, events) in &trial.rules {
        output::line(&format!("  line {rule}: {events}"));
    }
    for merged in &trial.merged {
        let issues: Vec<String> = merged.issues.iter().map(u64::to_string).collect();
        let (issues, into) = (issues.join(", "), target(merged.into));
        let by = by(merged.rule);
        output::line(&format!(
            "events of issues {issues} would be one, {into} {by}"
        ));
    }
    for split in &trial.split {
        let leave = split.leave.iter().map(|leaving| {
            let (into, by) = (target(leaving.into), by(leaving.rule));
            format!("{} would come as {into} {by}", leaving.events)
        });
        let leave: Vec<String> = leave.collect();
        output::line(&format!(
            "issue {} would be split: {} of its events stay, {}",
            split.issue,
            split.stay,
            leave.join(", ")
        ));
    }
    for moved in &trial.moved {
        let (into, by) = (target(moved.into), by(moved.rule));
        output::line(&format!("issue {} would go on as {into} {by}", moved.issue));
    }
    if trial.merged.is_empty() && trial.split.is_empty() && trial.moved.is_empty() {
        output::line(match holds(holding, text) {
            true => "these rules hold already: what comes is grouped by them",
            false => "nothing would be merged or split that is not so by the rules that hold",
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn target(into: Option<u64>) -> String {
    into.map_or("a new issue".to_owned(), |issue| format!("issue {issue}"))
}

fn by(rule: Option<u32>) -> String {
    rule.map_or("as no rule fits any more".to_owned(), |line| {
        format!("by line {line}")
    })
}
