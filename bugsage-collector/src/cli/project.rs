//! `bugsage project`: makes, lists, shows and sets up projects.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use bugsage_core::clock::Clock;

use crate::app;
use crate::clock::SystemClock;
use crate::store::model::NewProject;
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};
use crate::view::{ProjectView, reports};

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
    /// Tell where a project's source is
    Set {
        /// Its name or number
        project: String,
        /// The path of a local git repository; empty for none
        #[arg(long, value_name = "PATH")]
        repository: String,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
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
                let projects = data.open_existing()?.projects(&scope).await?;
                let by_name = projects.iter().find(|known| known.name == project);
                let found =
                    by_name.or_else(|| projects.iter().find(|p| p.id.to_string() == project));
                let not_found = StoreError::NotFound {
                    what: "project",
                    name: project.clone(),
                };
                let found = found.cloned().ok_or(not_found)?;
                show(ProjectView::new(found, address(&data)?), json)
            }
            Project::Set {
                project,
                repository,
                data,
                json,
            } => {
                let repository = match repository.as_str() {
                    "" => None,
                    path => Some(check_repository(path)?),
                };
                let store = data.open_existing()?;
                let project = store.set_repository(&scope, &project, repository).await?;
                // Cases that could not be explained for want of it get another chance.
                store
                    .requeue_cases(&scope, project.id, None, SystemClock.now())
                    .await?;
                show(ProjectView::new(project, address(&data)?), json)
            }
        }
    }
}

/// Where the collector on this data folder is reached, or will be.
fn address(data: &DataArgs) -> anyhow::Result<std::net::SocketAddr> {
    match app::running_at(&data.folder()?) {
        Some(address) => Ok(address),
        None => Ok(settings::listen(data)),
    }
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let is_plain = !name.trim().is_empty() && !name.chars().any(char::is_control);
    if is_plain && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let wrong =
        format!("a project's name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
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
fn new_ingest_key() -> String {
    format!("bsi_{}", uuid::Uuid::new_v4().simple())
}

fn show(project: ProjectView, json: bool) -> anyhow::Result<ExitCode> {
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
            ]
        })
        .collect();
    output::table(&["id", "name", "repository", "dsn"], &[0], &rows);
    Ok(ExitCode::SUCCESS)
}
