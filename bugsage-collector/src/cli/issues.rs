//! `bugsage issues`: lists issues, shows one, and says what becomes of it.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use bugsage_core::clock::Clock;

use crate::clock::SystemClock;
use crate::store::Store;
use crate::store::model::{IssueFilter, Status};
use crate::store::scope::Scope;
use crate::view::{CaseView, IssueDetailView, IssueView, thousands};

use super::{DataArgs, output, regroup, similar};

/// Issues that are listed where nothing else is said.
const LIMIT: u32 = 100;

/// Fingerprints of an issue that are shown to a person.
const FINGERPRINTS_SHOWN: usize = 8;

const FINGERPRINTS: &str = "\
Events belong to an issue by its fingerprints, the first of theirs that an issue has. v1- is made of all that a stack \
tells, w1- of what every build tells, s1- of where it failed, whoever asked for it, and p1- of what is known for now. \
`issues split` takes the first one of an event: `events show` tells it.";

#[derive(Subcommand)]
pub(super) enum Issues {
    /// List issues, the latest first
    List {
        /// Words that title, class or function must have
        query: Vec<String>,
        /// Only those of a project, by its name or number
        #[arg(long)]
        project: Option<String>,
        /// Only those of a status
        #[arg(long)]
        status: Option<StatusArg>,
        /// At most so many
        #[arg(long, default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show an issue with its analysis
    #[command(after_help = FINGERPRINTS)]
    Show {
        /// Its number
        issue: u64,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Say that an issue is mended; a newer release that has it reopens it
    Resolve(SetStatus),
    /// Say that nobody wants to hear of an issue
    Ignore(SetStatus),
    /// Take a resolution or an ignore back
    Reopen(SetStatus),
    /// Suggest issues that may be the same bug, with what they share
    Similar(similar::Similar),
    /// Say that issues are one bug: they are shown, counted and resolved as one from now on
    Merge(regroup::Merge),
    /// Take a part out of an issue again, with all that it has counted
    Unmerge(regroup::Unmerge),
    /// Say that a fingerprint of an issue is another bug: what comes with it is an issue of its own
    Split(regroup::Split),
}

#[derive(clap::Args)]
pub(super) struct SetStatus {
    /// Its number
    issue: u64,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum StatusArg {
    Unresolved,
    Resolved,
    Ignored,
}

impl StatusArg {
    fn status(self) -> Status {
        match self {
            StatusArg::Unresolved => Status::Unresolved,
            StatusArg::Resolved => Status::Resolved,
            StatusArg::Ignored => Status::Ignored,
        }
    }
}

impl Issues {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let scope = Scope::local_operator();
        match self {
            Issues::List {
                query,
                project,
                status,
                limit,
                data,
                json,
            } => {
                let store = data.open_existing()?;
                let status = status.map(|status| status.status().as_str().to_owned());
                let words = query
                    .iter()
                    .flat_map(|q| q.split_whitespace())
                    .map(str::to_owned);
                let filter = IssueFilter {
                    project,
                    status,
                    words: words.collect(),
                    limit,
                };
                let mut issues = Vec::new();
                for issue in store.issues(&scope, filter).await? {
                    issues.push(IssueView::load(&store, &scope, issue).await?);
                }
                list(&issues, json)
            }
            Issues::Show { issue, data, json } => {
                let store = data.open_existing()?;
                let detail = store.issue(&scope, issue).await?;
                let view = IssueDetailView::load(&store, &scope, detail).await?;
                show(&view, json)
            }
            Issues::Resolve(set) => set.to(&scope, Status::Resolved).await,
            Issues::Ignore(set) => set.to(&scope, Status::Ignored).await,
            Issues::Reopen(set) => set.to(&scope, Status::Unresolved).await,
            Issues::Similar(similar) => similar.run(&scope).await,
            Issues::Merge(merge) => merge.run(&scope).await,
            Issues::Unmerge(unmerge) => unmerge.run(&scope).await,
            Issues::Split(split) => split.run(&scope).await,
        }
    }
}

impl SetStatus {
    async fn to(self, scope: &Scope, status: Status) -> anyhow::Result<ExitCode> {
        let store = self.data.open_existing()?;
        let now = SystemClock.now();
        let issue = store.set_status(scope, self.issue, status, now).await?;
        if status == Status::Unresolved {
            // Whoever takes an issue up again wants it explained, if it could not be before.
            store
                .requeue_cases(scope, issue.project, Some(issue.id), now)
                .await?;
        }
        if self.json {
            output::json(&IssueView::load(&store, scope, issue).await?)?;
        } else {
            output::line(&format!("issue {} is {}", issue.id, issue.status));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(issues: &[IssueView], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(&issues)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = issues
        .iter()
        .map(|issue| {
            vec![
                issue.id.to_string(),
                thousands(issue.events),
                issue.status.clone(),
                issue.severity.clone(),
                issue.class.clone(),
                output::cut(&issue.culprit, 44),
                issue
                    .case
                    .as_ref()
                    .map_or("no case", |case| &case.state)
                    .to_owned(),
                output::cut(&issue.title, 60),
            ]
        })
        .collect();
    if rows.is_empty() {
        output::error("no issue: none has come yet, or none is as you want them");
    }
    output::table(
        &[
            "id", "events", "status", "severity", "class", "function", "case", "title",
        ],
        &[0, 1],
        &rows,
    );
    Ok(ExitCode::SUCCESS)
}

fn show(view: &IssueDetailView, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(view)?;
        return Ok(ExitCode::SUCCESS);
    }
    let issue = &view.issue;
    output::line(&format!(
        "issue {}: {}",
        issue.id,
        output::plain(&issue.title)
    ));
    output::line(&format!("  class     {} ({})", issue.class, issue.severity));
    output::line(&format!("  function  {}", output::plain(&issue.culprit)));
    let status = match &*issue.status {
        "unresolved" => format!("unresolved, {}", issue.substatus),
        status => status.to_owned(),
    };
    output::line(&format!("  status    {status}"));
    let (events, users) = (thousands(issue.events), thousands(issue.users));
    output::line(&format!("  events    {events}, of {users} users"));
    let of = |release: &Option<String>| {
        let release = release.as_deref().unwrap_or("no release told");
        output::plain(release)
    };
    let (first, last) = (of(&issue.first_release), of(&issue.last_release));
    output::line(&format!("  first     {} ({first})", issue.first_seen));
    output::line(&format!("  last      {} ({last})", issue.last_seen));
    if let Some(whole) = issue.merged_into {
        output::line(&format!("  part of   issue {whole}"));
    }
    if !view.parts.is_empty() {
        let parts: Vec<String> = view.parts.iter().map(u64::to_string).collect();
        output::line(&format!("  parts     issues {}", parts.join(", ")));
    }
    let known_by = view.fingerprints.iter().take(FINGERPRINTS_SHOWN);
    for (number, fingerprint) in known_by.enumerate() {
        let name = if number == 0 { "known by" } else { "" };
        output::line(&format!("  {name:<9} {fingerprint}"));
    }
    if let Some(further @ 1..) = view.fingerprints.len().checked_sub(FINGERPRINTS_SHOWN) {
        output::line(&format!(
            "            and {further} further: --json tells all"
        ));
    }
    match &issue.case {
        Some(case) => analysis(case),
        None => output::line(
            "  case      none: only panics and errors in the app's own code, of a project with a repository, become cases",
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn analysis(case: &CaseView) {
    output::line(&format!("  case      {}", case.state));
    let Some(analysis) = &case.analysis else {
        output::line(&format!(
            "  reason    {}",
            output::plain(case.reason.as_deref().unwrap_or("none yet"))
        ));
        return;
    };
    output::line("");
    output::line(&output::plain(&analysis.root_cause));
    output::line("");
    for source in &analysis.rests_on {
        output::line(&format!(
            "  {}:{}  {}",
            source.file,
            source.line,
            output::plain(source.text.trim())
        ));
    }
    if let Some(commit) = &analysis.suspect_commit {
        let short = &commit.sha[..commit.sha.len().min(10)];
        let text = format!(
            "suspect: {short} {} ({}, {})",
            commit.subject, commit.author, commit.date
        );
        output::line("");
        output::line(&output::plain(&text));
    }
    output::line(&format!(
        "confidence {:.2}: {}",
        analysis.confidence,
        output::plain(&analysis.reasons.join("; "))
    ));
}
