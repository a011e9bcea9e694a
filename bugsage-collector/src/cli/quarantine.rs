//! `bugsage quarantine`: batches that the collector failed at.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};

use bugsage_core::id::BatchId;

use crate::account::QuarantinedView;
use crate::clock::SystemClock;
use crate::group::sample::Keep;
use crate::ingest::Ingest;
use crate::store::Store;
use crate::store::scope::Scope;
use crate::store::sqlite::SqliteStore;
use crate::view::thousands;

use super::{DataArgs, WrongUsage, exit, output};

#[derive(Subcommand)]
pub(super) enum Quarantine {
    /// List them, the oldest first
    List {
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Write a batch to a file as it came, to report the fault with it
    Save {
        /// The id of the batch
        batch: BatchId,
        /// A file that is not there yet; it holds what your apps sent
        file: PathBuf,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Try batches again; what works counts from then on, and once
    Replay(Choice),
    /// Delete batches for ever
    Discard(Choice),
}

/// Some batches, or all.
#[derive(Args)]
pub(super) struct Choice {
    /// The ids of the batches
    batches: Vec<BatchId>,
    /// All that are there
    #[arg(long, conflicts_with = "batches")]
    all: bool,
    #[command(flatten)]
    data: DataArgs,
}

impl Quarantine {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { data, json } => list(&data, json).await,
            Self::Save { batch, file, data } => save(&data, batch, &file).await,
            Self::Replay(choice) => choice.replay().await,
            Self::Discard(choice) => choice.discard().await,
        }
    }
}

async fn list(data: &DataArgs, json: bool) -> anyhow::Result<ExitCode> {
    let store = data.open_existing()?;
    let quarantined = store.quarantined(&Scope::local_operator()).await?;
    let views: Vec<_> = quarantined.iter().map(QuarantinedView::new).collect();
    if json {
        output::json(&views)?;
        return Ok(ExitCode::SUCCESS);
    }
    if views.is_empty() {
        output::line("No batch is in quarantine.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = views.iter().map(|view| {
        vec![
            view.id.clone(),
            output::plain(&view.project_name),
            view.received_at.clone(),
            thousands(view.bytes),
            output::plain(&view.reason),
        ]
    });
    output::table(
        &["batch", "project", "received", "bytes", "reason"],
        &[3],
        &rows.collect::<Vec<_>>(),
    );
    Ok(ExitCode::SUCCESS)
}

async fn save(data: &DataArgs, batch: BatchId, file: &Path) -> anyhow::Result<ExitCode> {
    let store = data.open_existing()?;
    let (_, poison) = store.poison(&Scope::local_operator(), batch).await?;
    let written = write_new(file, &poison.body);
    written.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Nobody else should read what apps sent.
fn write_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let options = options.write(true).create_new(true).mode(0o600);
    options.open(file)?.write_all(bytes)
}

impl Choice {
    async fn replay(self) -> anyhow::Result<ExitCode> {
        let (store, batches) = self.chosen().await?;
        let ingest = Ingest::new(store, Arc::new(SystemClock), Keep::Samples);
        let (ingest, mut is_whole) = (Arc::new(ingest), true);
        for batch in batches {
            match ingest.clone().replay(&Scope::local_operator(), batch).await {
                Ok(receipt) => {
                    let (accepted, duplicate) = (receipt.accepted, receipt.duplicate);
                    output::line(&format!(
                        "{batch}: {accepted} events are counted now, {duplicate} were before"
                    ));
                }
                // The others are tried all the same.
                Err(error) => {
                    is_whole = false;
                    output::error(&format!("bugsage: {error:#}"));
                }
            }
        }
        Ok(if is_whole {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::FAILED)
        })
    }

    async fn discard(self) -> anyhow::Result<ExitCode> {
        let (store, batches) = self.chosen().await?;
        for batch in batches {
            store.discard(&Scope::local_operator(), batch).await?;
            output::line(&format!("{batch}: deleted"));
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn chosen(self) -> anyhow::Result<(Arc<SqliteStore>, Vec<BatchId>)> {
        let store = Arc::new(self.data.open_existing()?);
        if self.batches.is_empty() && !self.all {
            let message = "give the ids of batches, or --all: see `bugsage quarantine list`";
            return Err(WrongUsage(message.to_owned()).into());
        }
        if !self.all {
            return Ok((store, self.batches));
        }
        let quarantined = store.quarantined(&Scope::local_operator()).await?;
        let all = quarantined.iter().map(|it| it.batch).collect();
        Ok((store, all))
    }
}
