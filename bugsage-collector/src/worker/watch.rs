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
use crate::observe::{Observer, STUCK};
use crate::store::Store;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// How long reading one number may take.
const READ_MAX: Duration = Duration::from_secs(2);

/// Looks until it is dropped.
pub async fn run(store: Arc<dyn Store>, data: PathBuf, observer: Observer) {
    let heartbeat = observer.heartbeats.expect("watch", STUCK);
    let mut probe = None;
    loop {
        heartbeat.due_in(LOOK + READ_MAX + STUCK);
        look_at_disk(&data, &observer).await;
        let version = tokio::time::timeout(READ_MAX, store.schema_version()).await;
        observer.look.note(match version {
            Ok(Ok(version)) => Ok(version),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", READ_MAX.as_secs())),
        });
        probe = try_writing(&store, probe).await;
        tokio::time::sleep(LOOK).await;
    }
}

async fn look_at_disk(data: &std::path::Path, observer: &Observer) {
    let data = data.to_owned();
    // A file system of the network may take its time.
    match tokio::task::spawn_blocking(move || Space::of(&data)).await {
        Ok(Ok(space)) => observer.disk.note(space),
        Ok(Err(error)) => tracing::warn!(error = %error, "the disk cannot be asked for its room"),
        Err(error) => tracing::warn!(error = %error, "the disk was not looked at"),
    }
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
