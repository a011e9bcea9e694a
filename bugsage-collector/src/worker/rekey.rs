//! Groups issues anew that were grouped for now, once the source of what ran is there: a repository was set, or has got
//! the commit.
//!
//! Ingest does it for what comes; this is for what came before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugsage_core::clock::Clock;
use bugsage_core::fingerprint::source::NoSources;
use bugsage_core::fingerprint::{self, Strength};

use crate::group::By;
use crate::group::sources::{EventSources, SourceCache};
use crate::observe::{Observer, STUCK};
use crate::store::grouping::{Rekey, RekeyedEvent};
use crate::store::model::{Project, StoredEvent};
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

/// How often it is looked whether a project has another repository than before.
const LOOK: Duration = Duration::from_secs(5);

/// How often projects are looked through whose repository is the same: it may have got commits.
const LOOK_THROUGH: Duration = Duration::from_secs(60);

/// How long an issue is left alone of which nothing better was found out.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// Issues of a project that are looked at in one go: with twenty events each, some tenths of a second.
const ISSUES_MAX: usize = 200;

/// Kept events of an issue that are looked at: all that most issues have.
const EVENTS_MAX: u32 = 100;

/// Issues that are remembered to be left alone. Where there are more, all are forgotten.
const REMEMBERED_MAX: usize = 20_000;

/// How long looking at one issue may take: as long as a command waits for git, and longer.
const ISSUE_MAX: Duration = Duration::from_secs(90).saturating_add(STUCK);

/// Looks until it is dropped.
pub async fn run(
    store: Arc<dyn Store>,
    sources: Arc<SourceCache>,
    clock: Arc<dyn Clock>,
    observer: Observer,
) {
    let heartbeat = observer.heartbeats.expect("rekey", ISSUE_MAX);
    let mut rekeyer = Rekeyer {
        store,
        sources,
        clock,
        left_alone: HashMap::new(),
        looked_through: HashMap::new(),
    };
    loop {
        let begun = rekeyer.look(|| heartbeat.due_in(ISSUE_MAX)).await;
        if let Err(error) = begun {
            tracing::warn!(%error, "issues could not be grouped anew");
        }
        heartbeat.due_in(LOOK + ISSUE_MAX);
        tokio::time::sleep(LOOK).await;
    }
}

struct Rekeyer {
    store: Arc<dyn Store>,
    sources: Arc<SourceCache>,
    clock: Arc<dyn Clock>,
    /// Issues that nothing better is known of, and until when that is believed.
    left_alone: HashMap<u64, Instant>,
    /// By project: the repository, and when all was looked through last.
    looked_through: HashMap<u64, (String, Instant)>,
}

impl Rekeyer {
    async fn look(&mut self, alive: impl Fn()) -> Result<(), StoreError> {
        let scope = Scope::system();
        for project in self.store.projects(&scope).await? {
            alive();
            let Some(repository) = &project.repository else {
                self.looked_through.remove(&project.id);
                continue;
            };
            let now = Instant::now();
            let before = self.looked_through.get(&project.id);
            let is_same = before.is_some_and(|(before, _)| before == repository);
            if is_same && before.is_some_and(|(_, at)| now.duration_since(*at) < LOOK_THROUGH) {
                continue;
            }
            let of = (repository.clone(), now);
            self.looked_through.insert(project.id, of);
            if !is_same {
                self.left_alone.clear();
            }
            self.look_through(&scope, &project, &alive).await?;
        }
        Ok(())
    }

    async fn look_through(
        &mut self,
        scope: &Scope,
        project: &Project,
        alive: &impl Fn(),
    ) -> Result<(), StoreError> {
        let now = Instant::now();
        self.left_alone.retain(|_, until| *until > now);
        if self.left_alone.len() > REMEMBERED_MAX {
            self.left_alone.clear();
        }
        let issues = self.store.provisional(scope, project.id).await?;
        let issues = issues
            .into_iter()
            .filter(|id| !self.left_alone.contains_key(id));
        let issues: Vec<u64> = issues.take(ISSUES_MAX).collect();
        if issues.is_empty() {
            return Ok(());
        }
        let by = By::of(&*self.store, scope, project).await?;
        for issue in issues {
            alive();
            let events = self.store.events(scope, issue, EVENTS_MAX).await?;
            let (sources, by) = (self.sources.clone(), by.clone());
            // It may wait for git.
            let events = tokio::task::spawn_blocking(move || known_better(&events, &sources, &by));
            let events = events
                .await
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let rekey = Rekey { issue, events };
            let is_better = !rekey.events.is_empty();
            if is_better && self.store.rekey(scope, rekey, self.clock.now()).await? {
                tracing::info!(issue, "an issue is grouped by its source now");
            }
            // One that is known to be one function may stay so.
            self.left_alone.insert(issue, now + LOOK_AGAIN);
        }
        Ok(())
    }
}

/// Those events that more is known of than when they came. Only of the source: rules that were set since hold for what
/// comes.
fn known_better(events: &[StoredEvent], sources: &SourceCache, by: &By) -> Vec<RekeyedEvent> {
    let mut sources = EventSources::new(sources, by.repository.as_ref()).patient();
    let better = events.iter().filter_map(|stored| {
        sources.of(stored.event.run.release.as_ref());
        let grouping = fingerprint::group(&stored.event, &mut sources, &by.rules);
        let without = fingerprint::group(&stored.event, &mut NoSources, &by.rules);
        let (now, then) = (
            grouping.fingerprints.first()?,
            without.fingerprints.first()?,
        );
        let came_without = stored.fingerprint.as_deref() == Some(&*then.to_string());
        let is_better = now != then && now.strength() > Strength::Provisional;
        (came_without && is_better).then_some(RekeyedEvent {
            event: stored.event.id,
            fingerprints: grouping.fingerprints,
            reasons: grouping.reasons,
            culprit: grouping.culprit,
        })
    });
    better.collect()
}
