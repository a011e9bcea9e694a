//! `bugsage project`: makes, lists, shows and sets up projects.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Subcommand};

use bugsage_core::clock::Clock;
use bugsage_core::remote::{LevelFilter, Rate, RemoteSettings};

use crate::app;
use crate::clock::SystemClock;
use crate::store::model::{self, Limits, NewProject};
use crate::store::scope::Scope;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};
use crate::view::{ProjectView, reports, thousands};

use super::{DataArgs, WrongUsage, output, settings};

/// The longest name of a project.
const NAME_BYTES_MAX: usize = 100;

#[derive(Subcommand)]
pub(super) enum Project {
    /// Make a project and print the DSN for its apps
    Create {
        /// What the project is called
        name: String,
        /// Where its source is: the path of a local git repository
        #[arg(long, value_name = "PATH")]
        repository: Option<String>,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List all projects
    List {
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show one project
    Show {
        /// Its name or number
        project: String,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Tell where a project's source is, how many events it may send, and what it asks of its apps
    Set {
        /// Its name or number
        project: String,
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// What is to be changed; the rest stays.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(super) struct Change {
    /// The path of a local git repository; empty for none
    #[arg(long, value_name = "PATH")]
    repository: Option<String>,
    /// Events that all its keys together may send in a minute, or `none`
    #[arg(long, value_name = "EVENTS")]
    rate: Option<Limit>,
    /// Events that each of its keys may send in a minute, or `none`
    #[arg(long, value_name = "EVENTS")]
    key_rate: Option<Limit>,
    /// Events that it may send in a month of UTC, or `none`; an hour with far more than is to be expected
    /// is cut short too
    #[arg(long, value_name = "EVENTS")]
    monthly_quota: Option<Limit>,
    /// The share of traces that its apps are to sample, from 0.0 to 1.0, or `unset` to leave it to them. Only
    /// apps that were built with `follow_collector()` heed this, as they do levels
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    traces_rate: Option<Asked<Rate>>,
    /// From which level on lines of its apps' logs are to become events: off, error, warn, info, debug,
    /// trace, or `unset` to leave it to them
    #[arg(long, value_name = "LEVEL")]
    event_level: Option<Asked<LevelFilter>>,
    /// The same of breadcrumbs
    #[arg(long, value_name = "LEVEL")]
    breadcrumb_level: Option<Asked<LevelFilter>>,
}

/// A number of events, or `none`.
#[derive(Clone, Copy)]
struct Limit(Option<u64>);

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.replace('_', "").parse() {
            Ok(events) if events > 0 => Ok(Self(Some(events))),
            _ if text == "none" => Ok(Self(None)),
            _ => Err("a number of events is expected, at least 1, or `none`"),
        }
    }
}

/// What apps are asked for, or `unset`.
#[derive(Clone, Copy)]
struct Asked<T>(Option<T>);

impl<T: FromStr<Err: Display>> FromStr for Asked<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unset" {
            return Ok(Self(None));
        }
        let asked = text.parse().map(|value| Self(Some(value)));
        asked.map_err(|error: T::Err| format!("{error}; `unset` leaves it to the apps"))
    }
}

impl<T> Asked<T> {
    fn or(asked: Option<Self>, old: Option<T>) -> Option<T> {
        asked.map_or(old, |asked| asked.0)
    }
}

impl Change {
    fn settings(&self, settings: RemoteSettings) -> RemoteSettings {
        RemoteSettings {
            traces_rate: Asked::or(self.traces_rate, settings.traces_rate),
            event_level: Asked::or(self.event_level, settings.event_level),
            breadcrumb_level: Asked::or(self.breadcrumb_level, settings.breadcrumb_level),
        }
    }

    fn limits(&self, limits: Limits) -> Limits {
        let new = |limit: Option<Limit>, old| limit.map_or(old, |limit| limit.0);
        Limits {
            rate: new(self.rate, limits.rate),
            key_rate: new(self.key_rate, limits.key_rate),
            monthly_quota: new(self.monthly_quota, limits.monthly_quota),
        }
    }
}

impl Project {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let scope = Scope::local_operator();
        match self {
            Project::Create {
                name,
                repository,
                data,
                json,
            } => {
                check_name(&name)?;
                let repository = repository.as_deref().map(check_repository).transpose()?;
                let ingest_key = new_ingest_key();
                let new = NewProject {
                    name,
                    repository,
                    ingest_key,
                    at: SystemClock.now(),
                };
                let project = data.open()?.create_project(&scope, new).await?;
                show(ProjectView::new(project, address(&data)?), json)
            }
            Project::List { data, json } => {
                let projects = data.open_existing()?.projects(&scope).await?;
                let address = address(&data)?;
                let projects = projects
                    .into_iter()
                    .map(|project| ProjectView::new(project, address));
                list(&projects.collect::<Vec<_>>(), json)
            }
            Project::Show {
                project,
                data,
                json,
            } => {
                let found = find(&data.open_existing()?, &project).await?;
                show(ProjectView::new(found, address(&data)?), json)
            }
            Project::Set {
                project,
                change,
                data,
                json,
            } => {
                let store = data.open_existing()?;
                let found = find(&store, &project).await?;
                let limits = change.limits(found.limits);
                let repository = match change.repository.as_deref() {
                    Some(path) if !path.is_empty() => Some(Some(check_repository(path)?)),
                    path => path.map(|_| None),
                };
                if limits != found.limits {
                    store.set_limits(&scope, &project, limits).await?;
                }
                let settings = change.settings(found.settings);
                if settings != found.settings {
                    store
                        .set_remote_settings(&scope, &project, settings)
                        .await?;
                }
                if let Some(repository) = repository {
                    store.set_repository(&scope, &project, repository).await?;
                    // Cases that could not be explained for want of it get another chance.
                    let now = SystemClock.now();
                    store.requeue_cases(&scope, found.id, None, now).await?;
                }
                let found = find(&store, &project).await?;
                show(ProjectView::new(found, address(&data)?), json)
            }
        }
    }
}

/// A project by its name, or else by its number.
async fn find(store: &SqliteStore, project: &str) -> anyhow::Result<model::Project> {
    let projects = store.projects(&Scope::local_operator()).await?;
    let by_name = projects.iter().find(|known| known.name == project);
    let found = by_name.or_else(|| projects.iter().find(|it| it.id.to_string() == project));
    let not_found = StoreError::NotFound {
        what: "project",
        name: project.to_owned(),
    };
    Ok(found.cloned().ok_or(not_found)?)
}

/// Where the collector on this data folder is reached, or will be.
pub(super) fn address(data: &DataArgs) -> anyhow::Result<std::net::SocketAddr> {
    match app::running_at(&data.folder()?) {
        Some(address) => Ok(address),
        None => Ok(settings::listen(data)),
    }
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let is_plain = !name.trim().is_empty() && !name.chars().any(char::is_control);
    let wrong = if !is_plain || name.len() > NAME_BYTES_MAX {
        format!("a project's name has 1 to {NAME_BYTES_MAX} bytes and no control characters")
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        // Every command takes both, and would not know which one is meant.
        "a name of digits alone would be taken for a project's number: add a letter".to_owned()
    } else {
        return Ok(());
    };
    Err(WrongUsage(wrong).into())
}

/// The absolute path of a local repository.
fn check_repository(path: &str) -> anyhow::Result<String> {
    if path.contains("://") {
        let wrong = format!("{path} is a URL: clone it, and give the path of the clone");
        return Err(WrongUsage(wrong).into());
    }
    let wrong =
        |what: &str| WrongUsage(format!("{path} {what}: give the path of a git repository"));
    let absolute = Path::new(path)
        .canonicalize()
        .map_err(|_| wrong("is not there"))?;
    let is_root = |folder: &&Path| folder.join(".git").exists();
    let is_bare = absolute.join("HEAD").is_file() && absolute.join("objects").is_dir();
    let root = if is_bare {
        Some(&*absolute)
    } else {
        absolute.ancestors().find(is_root)
    };
    let absolute = root.ok_or_else(|| wrong("lies in no git repository"))?;
    let absolute = absolute.to_str().ok_or_else(|| wrong("is no text"))?;
    Ok(absolute.to_owned())
}

/// A key that nobody guesses: 122 random bits.
pub(super) fn new_ingest_key() -> String {
    format!("bsi_{}", uuid::Uuid::new_v4().simple())
}

pub(super) fn show(project: ProjectView, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(&project)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!(
        "project {} ({})",
        output::plain(project.name()),
        project.id()
    ));
    output::line(&format!(
        "  repository  {}",
        project.repository().unwrap_or("none")
    ));
    output::line(&format!(
        "  dsn         {}",
        project.dsn().unwrap_or("none")
    ));
    for (name, limit) in project.limits() {
        output::line(&format!("  {name:<12}{} events", thousands(limit)));
    }
    if !project.settings().is_empty() {
        output::line(&format!("  settings    {}", project.settings()));
    }
    for (reason, count) in project.losses() {
        output::line(&format!(
            "  lost        {}, before they were sent: {reason}",
            reports(*count)
        ));
    }
    output::line("");
    output::line("Set BUGSAGE_DSN to the dsn for your app, and add to its main:");
    output::line("  let _guard = bugsage_sdk::init();");
    Ok(ExitCode::SUCCESS)
}

fn list(projects: &[ProjectView], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(&projects)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = projects
        .iter()
        .map(|project| {
            vec![
                project.id().to_string(),
                output::cut(project.name(), 40),
                output::plain(project.repository().unwrap_or("none")),
                project.dsn().unwrap_or("none").to_owned(),
                asked(project.settings()),
            ]
        })
        .collect();
    let columns = ["id", "name", "repository", "dsn", "settings"];
    output::table(&columns, &[0], &rows);
    Ok(ExitCode::SUCCESS)
}

fn asked(settings: RemoteSettings) -> String {
    if settings.is_empty() {
        return "none".to_owned();
    }
    settings.to_string()
}
