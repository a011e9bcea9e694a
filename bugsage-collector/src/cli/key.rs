//! `bugsage key`: ingest keys of projects.

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use bugsage_core::clock::Clock;

use crate::clock::{SystemClock, rfc3339};
use crate::store::Store;
use crate::store::model::IngestKey;
use crate::store::scope::Scope;
use crate::view::ProjectView;

use super::project::{address, new_ingest_key, show};
use super::{DataArgs, output};

#[derive(Subcommand)]
pub(super) enum Key {
    /// List keys, those that were revoked among them
    List {
        /// Only of a project, by its name or number
        #[arg(long)]
        project: Option<String>,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Give a project a further key, and print the DSN with it
    Create {
        /// The project's name or number
        project: String,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key for ever: within a second nobody can send with it any more
    Revoke {
        /// The key or its number
        key: String,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct KeyView {
    id: u64,
    key: String,
    project: u64,
    project_name: String,
    created_at: String,
    revoked_at: Option<String>,
}

impl Key {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let scope = Scope::local_operator();
        match self {
            Self::List {
                project,
                data,
                json,
            } => {
                let store = data.open_existing()?;
                let keys = store.ingest_keys(&scope, project.as_deref()).await?;
                let views: Vec<KeyView> = keys.into_iter().map(KeyView::from).collect();
                list(&views, json)
            }
            Self::Create {
                project,
                data,
                json,
            } => {
                let (store, key) = (data.open_existing()?, new_ingest_key());
                let now = SystemClock.now();
                let project = store.add_ingest_key(&scope, &project, &key, now).await?;
                show(ProjectView::new(project, address(&data)?), json)
            }
            Self::Revoke { key, data, json } => {
                let store = data.open_existing()?;
                let now = SystemClock.now();
                let revoked = store.revoke_ingest_key(&scope, &key, now).await?;
                let view = KeyView::from(revoked);
                if json {
                    output::json(&view)?;
                } else {
                    output::line(&format!(
                        "key {} of {} is revoked",
                        view.id,
                        output::plain(&view.project_name)
                    ));
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl From<IngestKey> for KeyView {
    fn from(key: IngestKey) -> Self {
        Self {
            id: key.id,
            key: key.key,
            project: key.project,
            project_name: key.project_name,
            created_at: rfc3339(key.created_at),
            revoked_at: key.revoked_at.map(rfc3339),
        }
    }
}

fn list(keys: &[KeyView], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(&keys)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = keys.iter().map(|key| {
        vec![
            key.id.to_string(),
            output::cut(&key.project_name, 40),
            key.key.clone(),
            key.created_at.clone(),
            key.revoked_at.clone().unwrap_or_default(),
        ]
    });
    output::table(
        &["id", "project", "key", "created", "revoked"],
        &[0],
        &rows.collect::<Vec<_>>(),
    );
    Ok(ExitCode::SUCCESS)
}
