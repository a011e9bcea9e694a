//! Moves cases through the pipeline, one stage at a time.
//!
//! In: leased jobs of [`crate::store`]. Out: cases that were taken further and saved.
//! Never: two workers on one case; a stage that is not saved before the next begins.
//!
//! A worker that dies leaves a lease that runs out, or that the next collector takes back at its
//! start; the next worker finds the case as it was last saved and runs the same stage again, which
//! comes to the same result.

use std::sync::Arc;
use std::time::Duration;

use bugsage_core::clock::{Clock, Timestamp};
use bugsage_pipeline::case::{Case, State};
use bugsage_pipeline::run::{self, Environment, Step};

use crate::store::model::LeasedJob;
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

/// How long a lease lasts. Each stage renews it, and no stage may take longer: the limits of git
/// and of what is read keep stages to seconds.
const LEASE: Duration = Duration::from_secs(120);

/// How often an idle worker looks for work.
const LOOK: Duration = Duration::from_millis(250);

/// How long a job rests after a failure, times the number of its tries.
const REST: Duration = Duration::from_secs(10);

/// How often one job may be taken: a stage that kills its worker must not do so for ever.
const LEASES_MAX: u32 = 20;

/// Stages that one job may run in a row; the states form no circle that is longer.
const STAGES_MAX: u32 = 32;

/// What the names of all workers inside a collector begin with.
const OWNER_PREFIX: &str = "serve-";

/// Takes cases further for as long as the collector runs.
pub struct CaseWorker {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    owner: String,
    scope: Scope,
}

impl CaseWorker {
    /// A worker with a name that no other worker has.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let owner = format!("{OWNER_PREFIX}{}", uuid::Uuid::new_v4());
        Self {
            store,
            clock,
            owner,
            scope: Scope::system(),
        }
    }

    /// Takes back what workers of an earlier collector have left. The caller holds the lock of the
    /// data folder, so none of them lives, and nobody need wait for their leases to run out.
    pub async fn release_leases(&self) {
        match self.store.release_leases(&self.scope, OWNER_PREFIX).await {
            Ok(0) => {}
            Ok(released) => tracing::info!("{released} cases of a dead worker are taken up again"),
            // They run out by themselves, later.
            Err(error) => tracing::warn!(error = %error, "no lease could be taken back"),
        }
    }

    /// Works until it is dropped.
    pub async fn run(self) {
        loop {
            match self.work().await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(LOOK).await,
                Err(error) => {
                    tracing::warn!(error = %error, "a case could not be worked on");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// Takes one case as far as it goes. False where none waits.
    pub async fn work(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let leased = self
            .store
            .lease_case(&self.scope, &self.owner, now, later(now, LEASE))
            .await?;
        let Some(lease) = leased else {
            return Ok(false);
        };
        let mut case = self.store.case(&self.scope, lease.case).await?;
        if lease.attempts >= LEASES_MAX {
            let reason = format!("{LEASES_MAX} workers died or gave up on it: see the log");
            return self.fail(&lease, case, reason).await;
        }
        for _ in 0..STAGES_MAX {
            if case.subject.is_none() {
                case.subject = Some(self.store.subject(&self.scope, case.issue).await?);
            }
            let (advanced, result) = self.advance(case).await?;
            case = advanced;
            self.save(&lease, &case).await?;
            match result {
                Ok(Step::Moved(transition)) => tracing::info!(
                    case.id = %case.id,
                    issue.id = case.issue,
                    "case {} is {}: {}",
                    case.id,
                    transition.to,
                    transition.reason
                ),
                Ok(Step::Waits(_)) => {
                    self.store.finish_job(&self.scope, &lease).await?;
                    return Ok(true);
                }
                Err(stopped) if stopped.is_retryable() => {
                    return self.give_back(&lease, &case, &stopped.to_string()).await;
                }
                Err(stopped) => return self.fail(&lease, case, stopped.to_string()).await,
            }
        }
        let reason = "the case moved more often than it has stages".to_owned();
        self.fail(&lease, case, reason).await
    }

    /// Runs one stage off the async threads: it reads a repository.
    async fn advance(
        &self,
        mut case: Case,
    ) -> Result<(Case, Result<Step, run::Stopped>), StoreError> {
        let clock = self.clock.clone();
        let stage = tokio::task::spawn_blocking(move || {
            let result = run::advance(&mut case, &Environment { clock: &*clock });
            (case, result)
        });
        stage
            .await
            .map_err(|error| StoreError::Unavailable(format!("a stage broke: {error}")))
    }

    async fn save(&self, lease: &LeasedJob, case: &Case) -> Result<(), StoreError> {
        let until = later(self.clock.now(), LEASE);
        self.store.save_case(&self.scope, lease, case, until).await
    }

    /// Ends a case that no further try will help.
    async fn fail(
        &self,
        lease: &LeasedJob,
        mut case: Case,
        reason: String,
    ) -> Result<bool, StoreError> {
        tracing::error!(case.id = %case.id, "case {} failed: {reason}", case.id);
        // A case at rest stays as it is; only its job ends.
        let _ = case.enter(State::Failed, self.clock.now(), self.scope.actor(), reason);
        self.save(lease, &case).await?;
        self.store.finish_job(&self.scope, lease).await?;
        Ok(true)
    }

    async fn give_back(
        &self,
        lease: &LeasedJob,
        case: &Case,
        reason: &str,
    ) -> Result<bool, StoreError> {
        tracing::warn!(case.id = %case.id, "case {} is put back: {reason}", case.id);
        let at = later(self.clock.now(), REST * (lease.attempts + 1).min(30));
        self.store.retry_job(&self.scope, lease, at, reason).await?;
        Ok(true)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(by.as_micros() as u64))
}
