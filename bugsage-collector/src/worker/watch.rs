//! Looks after the collector itself: room on the disk, whether the store can be read, and, after a write
//! that failed, whether writing works again.
//!
//! `/readyz` tells what was found here, so that whoever asks waits for nothing. Without the probe a
//! collector that gets no traffic because it is not ready would never be ready again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::observe::disk::Space;
use crate::observe::{Observer, STUCK, readiness};
use crate::store::Store;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// How long reading one number may take.
const READ_MAX: Duration = Duration::from_secs(2);

/// Looks until it is dropped.
pub async fn run(store: Arc<dyn Store>, data: PathBuf, observer: Observer) {
    let heartbeat = observer.heartbeats.expect("watch", STUCK);
    let mut probe = None;
    let mut told = Told::default();
    loop {
        heartbeat.due_in(LOOK + READ_MAX + STUCK);
        told.disk(look_at_disk(&data, &observer).await);
        let version = tokio::time::timeout(READ_MAX, store.schema_version()).await;
        observer.look.note(match version {
            Ok(Ok(version)) => Ok(version),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", READ_MAX.as_secs())),
        });
        probe = try_writing(&store, probe).await;
        let readiness = readiness::judge(&observer, &store.health().await);
        told.readiness(readiness.reason);
        tokio::time::sleep(LOOK).await;
    }
}

/// What the log knows already: what stays as it is is not said each second.
#[derive(Default)]
struct Told {
    is_unready: bool,
    is_disk_unknown: bool,
}

impl Told {
    fn readiness(&mut self, reason: Option<String>) {
        let was_unready = std::mem::replace(&mut self.is_unready, reason.is_some());
        match reason {
            Some(reason) if !was_unready => tracing::warn!(reason, "not ready"),
            None if was_unready => tracing::info!("ready again"),
            _ => {}
        }
    }

    fn disk(&mut self, looked: Result<(), String>) {
        let was_unknown = std::mem::replace(&mut self.is_disk_unknown, looked.is_err());
        if let Some(error) = looked.err().filter(|_| !was_unknown) {
            tracing::warn!(error, "the disk cannot be asked for its room");
        }
    }
}

async fn look_at_disk(data: &std::path::Path, observer: &Observer) -> Result<(), String> {
    let data = data.to_owned();
    // A file system of the network may take its time.
    let space = tokio::task::spawn_blocking(move || Space::of(&data)).await;
    let space = space.map_err(|error| error.to_string())?;
    observer
        .disk
        .note(space.map_err(|error| error.to_string())?);
    Ok(())
}

/// Starts a probe where the last write failed and none is under way: each waits for its turn, and for
/// whoever holds the store.
async fn try_writing(
    store: &Arc<dyn Store>,
    probe: Option<JoinHandle<()>>,
) -> Option<JoinHandle<()>> {
    if let Some(probe) = probe.filter(|probe| !probe.is_finished()) {
        return Some(probe);
    }
    let health = store.health().await;
    if health.refused.is_none() || health.failed.is_some() {
        return None;
    }
    let store = store.clone();
    Some(tokio::spawn(async move {
        // The writer has told why, and keeps it for whoever asks.
        if store.probe().await.is_ok() {
            tracing::info!("writing works again");
        }
    }))
}

#[cfg(test)]
mod tests {
    use bugsage_core::clock::Timestamp;
    use bugsage_core::id::BatchId;

    use crate::store::model::{GroupedBatch, NewProject};
    use crate::store::scope::Scope;
    use crate::store::sqlite::{OpenOptions, Owner, SqliteStore};
    use crate::store::trace::GroupedSpans;

    use super::*;

    #[tokio::test]
    async fn a_write_that_failed_is_tried_again_though_nobody_writes() {
        let name = format!("bugsage-watch-{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        let options = OpenOptions::new(&folder, Owner::Server);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).expect("can be made"));
        let at = Timestamp(1);
        let new = NewProject {
            name: "shop".to_owned(),
            repository: None,
            ingest_key: "key".to_owned(),
            at,
        };
        let made = store.create_project(&Scope::local_operator(), new).await;
        made.expect("can be made");
        let scope = store.ingest_scope("key").await.expect("is read");
        let scope = scope.expect("is a key");
        let other = rusqlite::Connection::open(SqliteStore::file(&folder)).expect("is there");
        let renamed = other.execute_batch("alter table batches rename to elsewhere");
        renamed.expect("nobody holds it");
        let batch = GroupedBatch {
            id: BatchId::from_bytes([1; 16]),
            received_at: at,
            events: Vec::new(),
            packs: Vec::new(),
            limited: None,
            rejected: Vec::new(),
            losses: Vec::new(),
            run_states: Vec::new(),
            spans: GroupedSpans::default(),
        };
        let refused = store.ingest(&scope, batch).await;
        assert!(refused.is_err(), "{refused:?}");
        assert!(store.health().await.refused.is_some());

        let observer = Observer::default();
        let watch = tokio::spawn(run(store.clone(), folder.clone(), observer.clone()));
        let healed = async {
            while store.health().await.refused.is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };

        let healed = tokio::time::timeout(Duration::from_secs(30), healed).await;
        watch.abort();
        assert!(healed.is_ok(), "it is refused still");
        assert!(observer.disk.space().is_some(), "it has looked at the disk");
        drop((store, other));
        std::fs::remove_dir_all(&folder).expect("can be removed");
    }
}
