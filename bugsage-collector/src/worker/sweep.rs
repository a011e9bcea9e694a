//! Makes room, from time to time and a little at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bugsage_core::clock::{Clock, Timestamp};

use crate::observe::{Observer, STUCK};
use crate::store::model::Retention;
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

use super::calendar::Calendar;

/// How often it is looked whether there is too much.
const LOOK: Duration = Duration::from_secs(30);

/// The pause after a step, as a multiple of the time that it took, leaves the writer to others for most of
/// the time.
const PAUSE_FACTOR: u32 = 4;

/// And at least this: waking up costs something too.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// How long a step may wait for the writer, and for whoever holds the store.
const STEP_MAX: Duration = Duration::from_secs(10).saturating_add(STUCK);

/// Sweeps until it is dropped.
pub async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    retention: Retention,
    observer: Observer,
) {
    let heartbeat = observer.heartbeats.expect("sweep", STEP_MAX);
    let metrics = observer.metrics.sweep;
    let scope = Scope::system();
    let mut is_told = false;
    let mut days = Days::default();
    loop {
        heartbeat.due_in(STEP_MAX);
        let (mut events, mut traces, mut bytes) = (0, 0, 0);
        // They are looked at again the next time: others must not wait for what cannot be.
        let mut without_room = Vec::new();
        let now = days.now(&*store, clock.now()).await;
        while let Some(now) = now {
            heartbeat.due_in(STEP_MAX);
            let begun = Instant::now();
            let swept = store.sweep(&scope, retention, now, &without_room).await;
            metrics.step.since(begun);
            let took = begun.elapsed();
            match swept {
                Ok(swept) => {
                    metrics.events.inc_by(swept.events);
                    metrics.traces.inc_by(swept.traces);
                    metrics.bytes.inc_by(swept.bytes);
                    events += swept.events;
                    traces += swept.traces;
                    bytes += swept.bytes;
                    if let Some(project) = swept.has_no_room {
                        without_room.push(project);
                        if !is_told {
                            is_told = true;
                            tracing::warn!(
                                project,
                                "its budget is too small for the events that always stay: raise retention.bytes"
                            );
                        }
                    }
                    if swept.is_done {
                        break;
                    }
                }
                Err(error) => {
                    metrics.failed.inc();
                    tracing::warn!(error = %error, "no room can be made now");
                    break;
                }
            }
            let pause = took.saturating_mul(PAUSE_FACTOR).max(PAUSE_MIN);
            tokio::time::sleep(pause).await;
        }
        if events > 0 || traces > 0 {
            tracing::info!(events, traces, bytes, "made room");
        }
        heartbeat.due_in(LOOK + STUCK);
        tokio::time::sleep(LOOK).await;
    }
}

/// Which time events are old by.
#[derive(Default)]
struct Days {
    calendar: Option<(Calendar, Instant)>,
}

impl Days {
    /// The time to go by, or `None` as long as nobody can tell.
    async fn now(&mut self, store: &dyn Store, told: Timestamp) -> Option<Timestamp> {
        let (calendar, heard) = match &mut self.calendar {
            Some(calendar) => calendar,
            none => match newest(store).await {
                Ok(newest) => {
                    let calendar = Calendar::since(newest.unwrap_or(told));
                    none.insert((calendar, Instant::now()))
                }
                Err(error) => {
                    tracing::warn!(error = %error, "nobody can tell what is old now");
                    return None;
                }
            },
        };
        let elapsed = heard.elapsed();
        *heard = Instant::now();
        Some(calendar.hear(told, elapsed))
    }
}

/// When the newest whole event or trace came, by the clock of then.
async fn newest(store: &dyn Store) -> Result<Option<Timestamp>, StoreError> {
    let usage = store.usage(&Scope::system(), Timestamp::default()).await?;
    Ok(usage.newest_at)
}
