//! `bugsage backup` and `bugsage restore`: copies of everything that is kept.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use bugsage_core::clock::Clock;

use crate::app::{self, Taken};
use crate::clock::SystemClock;
use crate::store::sqlite::{self, Copied, SqliteStore};
use crate::view::thousands;

use super::{DataArgs, Refusal, output};

#[derive(Args)]
pub(super) struct Backup {
    /// A file that is not there yet. It holds what your apps sent: keep it as safe as the data folder
    file: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Restore {
    /// A file that `bugsage backup` has written
    file: PathBuf,
    /// Put it in the place of a store that is there, which is moved aside and not deleted
    #[arg(long)]
    replace: bool,
    /// Only verify the file
    #[arg(long, conflicts_with = "replace")]
    check: bool,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct CopiedView {
    file: PathBuf,
    bytes: u64,
    issues: u64,
    events: u64,
    schema: u32,
    has_checksum: bool,
    seconds: f64,
    /// Where the store that was there is now.
    moved_to: Option<PathBuf>,
}

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        // Says where there is no store, and brings an older one up to date.
        drop(self.data.open_existing()?);
        let folder = self.data.folder()?;
        if self.file.exists() {
            let refusal = format!(
                "{} is there already: choose another name",
                self.file.display()
            );
            return Err(Refusal(refusal).into());
        }
        let begun = Instant::now();
        let file = self.file.clone();
        let copied = tokio::task::spawn_blocking(move || sqlite::backup(&folder, &file)).await??;
        let view = CopiedView::new(self.file, copied, begun, None);
        view.print(self.json, "written and verified")
    }
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let begun = Instant::now();
        let file = self.file.clone();
        if self.check {
            let copied = tokio::task::spawn_blocking(move || sqlite::check(&file)).await??;
            return CopiedView::new(self.file, copied, begun, None).print(self.json, "whole");
        }
        let folder = self.data.folder()?;
        if SqliteStore::file(&folder).exists() && !self.replace {
            let refusal = format!(
                "there is a store in {}: give another --data, or --replace, which moves it aside",
                folder.display()
            );
            return Err(Refusal(refusal).into());
        }
        let _lock = app::lock(&folder).map_err(|error| match error.is::<Taken>() {
            true => Refusal(error.to_string()).into(),
            false => error,
        })?;
        let at = SystemClock.now().0 / 1_000_000;
        let restored = tokio::task::spawn_blocking(move || sqlite::restore(&file, &folder, at));
        let (copied, moved_to) = restored.await??;
        CopiedView::new(self.file, copied, begun, moved_to).print(self.json, "restored")
    }
}

impl CopiedView {
    fn new(file: PathBuf, copied: Copied, begun: Instant, moved_to: Option<PathBuf>) -> Self {
        Self {
            file,
            bytes: copied.bytes,
            issues: copied.issues,
            events: copied.events,
            schema: copied.schema,
            has_checksum: copied.has_checksum,
            seconds: begun.elapsed().as_secs_f64(),
            moved_to,
        }
    }

    fn print(&self, json: bool, what: &str) -> anyhow::Result<ExitCode> {
        if json {
            output::json(self)?;
            return Ok(ExitCode::SUCCESS);
        }
        output::line(&format!(
            "{} {what}: {} bytes with {} issues and {} events, in {:.1} s",
            self.file.display(),
            thousands(self.bytes),
            thousands(self.issues),
            thousands(self.events),
            self.seconds
        ));
        if let Some(moved_to) = &self.moved_to {
            output::line(&format!(
                "the store that was there is now in {}",
                moved_to.display()
            ));
            output::line(
                "keys that were revoked since the copy are good again: see `bugsage key list`",
            );
        }
        if !self.has_checksum {
            output::line(
                "it has no checksum, since `bugsage backup` did not make it: only what SQLite and the \
                 counts can tell was verified",
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
