//! The command line: one file a command, and what they share.

mod output;
mod settings;
mod serve;
mod config;
mod project;
mod key;
mod issues;
mod regroup;
mod similar;
mod rules;
mod events;
mod traces;
mod releases;
mod ledger;
mod quarantine;
mod backup;
mod fix;
mod doctor;
mod demo;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use bugsage_pipeline::review::Refused;

use crate::config::Problems;
use crate::store::StoreError;
use crate::store::sqlite::{OpenOptions, Owner, SqliteStore};

/// The exit codes, which scripts rely on.
mod exit {
    pub(super) const FAILED: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const NOT_FOUND: u8 = 3;
    pub(super) const REFUSED: u8 = 4;
}

/// Catches the panics and errors of Rust apps, folds them into the few bugs behind them, and
/// explains each from its source.
#[derive(Parser)]
#[command(name = "bugsage", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the whole main job on a real crate that really panics
    Demo(demo::Demo),
    /// Run the collector
    Serve(serve::Serve),
    /// Make and list projects
    #[command(subcommand)]
    Project(project::Project),
    /// List, make and revoke the keys that apps send with
    #[command(subcommand)]
    Key(key::Key),
    /// List issues, show one, say what becomes of it
    #[command(subcommand)]
    Issues(issues::Issues),
    /// Show, try and set what a project's events are grouped by
    #[command(subcommand)]
    Rules(rules::Rules),
    /// List the events of an issue, show one with its full stack
    #[command(subcommand)]
    Events(events::Events),
    /// List traces, show one as a waterfall
    #[command(subcommand)]
    Traces(traces::Traces),
    /// Show how releases are doing: crash-free runs and users
    Releases(releases::Releases),
    /// Show what became of all that was received
    Ledger(ledger::Ledger),
    /// List batches that the collector failed at, save one, try it again
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// Write and prove a fix, list and show them, decide about one
    #[command(subcommand)]
    Fix(fix::Fix),
    /// Write everything that is kept into a file, while a collector may run
    Backup(backup::Backup),
    /// Make a store out of such a file
    Restore(backup::Restore),
    /// Show what is set, and where each value comes from
    #[command(subcommand)]
    Config(config::Config),
    /// Check what is set: the file and the environment
    CheckConfig(config::CheckConfig),
    /// Check this machine and the data folder
    Doctor(doctor::Doctor),
}

/// Where the data is.
#[derive(Args, Clone)]
struct DataArgs {
    /// The data folder [default: bugsage in your state directory]
    #[arg(long, value_name = "DIR", env = "BUGSAGE_DATA")]
    data: Option<PathBuf>,
}

impl DataArgs {
    fn folder(&self) -> anyhow::Result<PathBuf> {
        match &self.data {
            Some(folder) => Ok(folder.clone()),
            None => default_folder().ok_or_else(|| {
                anyhow::anyhow!("there is no home directory to keep data in: give --data DIR")
            }),
        }
    }

    /// Opens the store beside a collector that may run.
    fn open(&self) -> anyhow::Result<SqliteStore> {
        let folder = self.folder()?;
        Ok(SqliteStore::open(OpenOptions::new(folder, Owner::Client))?)
    }

    /// Opens a store that must be there: a question to a wrong folder makes no new one.
    fn open_existing(&self) -> anyhow::Result<SqliteStore> {
        let folder = self.folder()?;
        if !SqliteStore::file(&folder).exists() {
            anyhow::bail!(
                "there is no data in {}: give --data DIR, or begin with `bugsage project create`",
                folder.display()
            );
        }
        self.open()
    }
}

fn default_folder() -> Option<PathBuf> {
    let is_set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = is_set("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| is_set("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("bugsage"))
}

/// Runs the command line and tells the exit code.
pub fn main() -> ExitCode {
    // Prints usage and ends with 2 by itself where the words are wrong.
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let code = match runtime.block_on(run(cli.command)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    };
    // A stage that still runs on a thread of its own is not waited for: it runs again at the next
    // start, and what it has in the sandbox ends with this process.
    runtime.shutdown_background();
    code
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(demo) => demo.run().await,
        Command::Serve(serve) => serve.run().await,
        Command::Project(project) => project.run().await,
        Command::Key(key) => key.run().await,
        Command::Issues(issues) => issues.run().await,
        Command::Rules(rules) => rules.run().await,
        Command::Events(events) => events.run().await,
        Command::Traces(traces) => traces.run().await,
        Command::Releases(releases) => releases.run().await,
        Command::Ledger(ledger) => ledger.run().await,
        Command::Quarantine(quarantine) => quarantine.run().await,
        Command::Fix(fix) => fix.run().await,
        Command::Backup(backup) => backup.run().await,
        Command::Restore(restore) => restore.run().await,
        Command::Config(config) => config.run(),
        Command::CheckConfig(check) => check.run(),
        Command::Doctor(doctor) => doctor.run().await,
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    let hint = match error.downcast_ref::<StoreError>() {
        Some(StoreError::NotFound { what, .. }) => where_to_look(what),
        _ => "",
    };
    output::error(&format!("bugsage: {error:#}{hint}"));
    let code = match error.downcast_ref::<StoreError>() {
        Some(StoreError::NotFound { .. }) => exit::NOT_FOUND,
        Some(
            StoreError::Forbidden
            | StoreError::Refused(_)
            | StoreError::Conflict { .. }
            | StoreError::Busy { .. },
        ) => exit::REFUSED,
        _ if error.is::<Refused>() || error.is::<Refusal>() => exit::REFUSED,
        _ if error.is::<WrongUsage>() || error.is::<Problems>() => exit::USAGE,
        _ => exit::FAILED,
    };
    ExitCode::from(code)
}

/// How to find the names of what there is.
fn where_to_look(what: &str) -> &'static str {
    match what {
        "project" => ": see `bugsage project list`",
        "issue" => ": see `bugsage issues list`",
        "event" => ": see `bugsage events list --issue ISSUE`; of most events only some are kept",
        "fingerprint" => ": `bugsage issues show` tells those that an issue has",
        "trace" => ": see `bugsage traces list`",
        "case" => ": see `bugsage fix list`",
        "version of these rules," => ": `bugsage rules show` tells the one that holds",
        "ingest key" => ": see `bugsage key list`",
        _ => "",
    }
}

/// The words of a command were understood, and make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

/// What was asked would harm what is there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
