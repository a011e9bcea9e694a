//! Moves cases through the pipeline, one stage at a time.
//!
//! In: leased jobs of [`crate::store`]. Out: cases that were taken further and saved.
//! Never: two workers on one case; a stage that is not saved before the next begins.
//!
//! A worker that dies leaves a lease that runs out, or that the next collector takes back at its
//! start; the next worker finds the case as it was last saved and runs the same stage again, which
//! comes to the same result.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugsage_core::clock::{Clock, Timestamp};
use bugsage_core::id::CaseId;
use bugsage_pipeline::case::{Case, State, Transition};
use bugsage_pipeline::run::{self, Environment, Step};

use crate::observe::heartbeat::Heartbeat;
use crate::observe::{Observer, STUCK, metrics};
use crate::store::model::{LeasedJob, Work};
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

/// How long a lease lasts. It is renewed while a stage runs: a proof may take many minutes.
const LEASE: Duration = Duration::from_secs(120);

/// How often a running stage renews its lease.
const RENEW: Duration = Duration::from_secs(30);

/// How often an idle worker looks for work.
const LOOK: Duration = Duration::from_millis(250);

/// How long a worker may say nothing: a stage renews its lease, which waits for the writer.
const BEAT_MAX: Duration = RENEW
    .saturating_add(Duration::from_secs(10))
    .saturating_add(STUCK);

/// How long a job rests after a failure, times the number of its tries.
const REST: Duration = Duration::from_secs(10);

/// How often one job may be taken: a stage that kills its worker must not do so for ever.
const LEASES_MAX: u32 = 20;

/// Stages that one job may run in a row: two for each candidate and each list of arguments.
const STAGES_MAX: u32 = 64;

/// Where patches are built and tried, in the data folder.
const WORKSHOP: &str = "sandbox";

/// What the names of all workers inside a collector begin with.
const OWNER_PREFIX: &str = "serve-";

/// Takes cases further for as long as the collector runs.
pub struct CaseWorker {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    owner: String,
    scope: Scope,
    workshop: PathBuf,
    metrics: metrics::Cases,
    /// Of the collector's worker: one for explaining, one for proving.
    heartbeats: Option<[Heartbeat; 2]>,
}

impl CaseWorker {
    /// The collector's worker, with a name that no other worker has.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        data: &Path,
        observer: Observer,
    ) -> Self {
        let heartbeats = ["explain", "prove"].map(|it| observer.heartbeats.expect(it, BEAT_MAX));
        Self {
            metrics: observer.metrics.cases,
            heartbeats: Some(heartbeats),
            ..Self::named(OWNER_PREFIX, store, clock, data)
        }
    }

    /// A worker of a command's own.
    pub(crate) fn of_command(store: Arc<dyn Store>, clock: Arc<dyn Clock>, data: &Path) -> Self {
        Self::named("command-", store, clock, data)
    }

    fn named(prefix: &str, store: Arc<dyn Store>, clock: Arc<dyn Clock>, data: &Path) -> Self {
        Self {
            store,
            clock,
            owner: format!("{prefix}{}", uuid::Uuid::new_v4()),
            scope: Scope::system(),
            workshop: data.join(WORKSHOP),
            metrics: metrics::Cases::default(),
            heartbeats: None,
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

    /// Works until it is dropped: on explanations and on proofs side by side.
    pub async fn run(self) {
        tokio::join!(self.run_on(Work::Explain), self.run_on(Work::Prove));
    }

    async fn run_on(&self, work: Work) {
        loop {
            self.beat(work);
            match self.work(work).await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(LOOK).await,
                Err(error) => {
                    tracing::warn!(error = %error, "a case could not be worked on");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// Says that this work moves.
    fn beat(&self, work: Work) {
        if let Some([explain, prove]) = &self.heartbeats {
            let heartbeat = match work {
                Work::Explain => explain,
                Work::Prove => prove,
            };
            heartbeat.due_in(BEAT_MAX);
        }
    }

    /// Takes one case as far as this work goes. False where none waits.
    async fn work(&self, work: Work) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let leased = self
            .store
            .lease_case(&self.scope, work, &self.owner, now, later(now, LEASE))
            .await?;
        let Some(lease) = leased else {
            return Ok(false);
        };
        let case = self.store.case(&self.scope, lease.case).await?;
        if lease.attempts >= LEASES_MAX {
            let reason = format!("{LEASES_MAX} workers died or gave up on it: see the log");
            self.fail(&lease, case, reason).await?;
        } else {
            self.take_further(&lease, case, Some(work), &|_| ()).await?;
        }
        Ok(true)
    }

    /// Takes the lease of one case, so that nobody else changes it.
    pub(crate) async fn lease(&self, scope: &Scope, case: CaseId) -> Result<LeasedJob, StoreError> {
        let now = self.clock.now();
        self.store
            .lease_one(scope, case, &self.owner, now, later(now, LEASE))
            .await
    }

    /// Takes a leased case as far as it goes, or as this work goes, and tells each transition. Where
    /// it is put back for another try, tells why.
    pub(crate) async fn take_further(
        &self,
        lease: &LeasedJob,
        mut case: Case,
        work: Option<Work>,
        moved: &(dyn Fn(&Transition) + Sync),
    ) -> Result<Option<String>, StoreError> {
        for _ in 0..STAGES_MAX {
            if case.subject.is_none() {
                case.subject = Some(self.store.subject(&self.scope, case.issue).await?);
            }
            let (advanced, result) = self.advance(lease, case).await?;
            case = advanced;
            self.save(lease, &case).await?;
            match result {
                Ok(Step::Moved(transition)) => {
                    tracing::info!(
                        case.id = %case.id,
                        issue.id = case.issue,
                        "case {} is {}: {}",
                        case.id,
                        transition.to,
                        transition.reason
                    );
                    self.metrics.entered(transition.to.as_str());
                    moved(&transition);
                    if work.is_some_and(|work| !work.includes(case.state)) {
                        // The rest is another worker's, as soon as it has time.
                        let now = self.clock.now();
                        self.store.retry_job(&self.scope, lease, now, None).await?;
                        return Ok(None);
                    }
                }
                Ok(Step::Waits(_)) => {
                    self.store.finish_job(&self.scope, lease).await?;
                    return Ok(None);
                }
                Err(stopped) if stopped.is_retryable() => {
                    let reason = stopped.to_string();
                    self.give_back(lease, &case, &reason).await?;
                    return Ok(Some(reason));
                }
                Err(stopped) => {
                    self.fail(lease, case, stopped.to_string()).await?;
                    return Ok(None);
                }
            }
        }
        let reason = "the case moved more often than it has stages".to_owned();
        self.fail(lease, case, reason).await?;
        Ok(None)
    }

    /// Runs one stage off the async threads: it reads a repository and waits for programs. The lease
    /// is renewed meanwhile; whoever loses it finds out when the stage is saved.
    async fn advance(
        &self,
        lease: &LeasedJob,
        mut case: Case,
    ) -> Result<(Case, Result<Step, run::Stopped>), StoreError> {
        let (clock, workshop) = (self.clock.clone(), self.workshop.clone());
        let before = case.clone();
        let explains = Work::Explain.includes(case.state);
        let work = if explains { Work::Explain } else { Work::Prove };
        let begun = Instant::now();
        let mut stage = tokio::task::spawn_blocking(move || {
            let environment = Environment {
                clock: &*clock,
                workshop: &workshop,
            };
            let result = run::advance(&mut case, &environment);
            (case, result)
        });
        loop {
            self.beat(work);
            match tokio::time::timeout(RENEW, &mut stage).await {
                Ok(done) => {
                    self.metrics.stage.since(begun);
                    return done.map_err(|error| {
                        StoreError::Unavailable(format!("a stage broke: {error}"))
                    });
                }
                Err(_) => self.save(lease, &before).await?,
            }
        }
    }

    /// Lets go of a case, to be taken up by the next who comes.
    pub(crate) async fn let_go(&self, lease: &LeasedJob) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.retry_job(&self.scope, lease, now, None).await
    }

    /// Saves a case under its lease, which lasts longer by that.
    pub(crate) async fn save(&self, lease: &LeasedJob, case: &Case) -> Result<(), StoreError> {
        let until = later(self.clock.now(), LEASE);
        self.store.save_case(&self.scope, lease, case, until).await
    }

    /// Ends a case that no further try will help.
    async fn fail(
        &self,
        lease: &LeasedJob,
        mut case: Case,
        reason: String,
    ) -> Result<(), StoreError> {
        self.metrics.entered(State::Failed.as_str());
        tracing::error!(case.id = %case.id, "case {} failed: {reason}", case.id);
        // A case at rest stays as it is; only its job ends.
        let _ = case.enter(State::Failed, self.clock.now(), self.scope.actor(), reason);
        self.save(lease, &case).await?;
        self.store.finish_job(&self.scope, lease).await
    }

    async fn give_back(
        &self,
        lease: &LeasedJob,
        case: &Case,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.metrics.put_back.inc();
        tracing::warn!(case.id = %case.id, "case {} is put back: {reason}", case.id);
        let at = later(self.clock.now(), REST * (lease.attempts + 1).min(30));
        self.store
            .retry_job(&self.scope, lease, at, Some(reason))
            .await
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(by.as_micros() as u64))
}
