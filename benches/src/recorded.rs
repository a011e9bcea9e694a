//! Events that the programs of `tests/corpus` have reported.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use bugsage_core::batch;
use bugsage_core::event::Event;

/// The events of a file of batches, each behind its length in four bytes.
pub fn events(path: &Path) -> anyhow::Result<Vec<Event>> {
    let bytes = fs::read(path)?;
    let mut rest = &*bytes;
    let mut events = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (body, after) = after
            .split_at_checked(length)
            .with_context(|| format!("{} ends within a batch", path.display()))?;
        let batch = batch::decode(body)?;
        ensure!(
            batch.rejected.is_empty(),
            "{} has bad items: {:?}",
            path.display(),
            batch.rejected
        );
        events.extend(batch.events.into_iter().map(|(_, event)| event));
        rest = after;
    }
    Ok(events)
}
