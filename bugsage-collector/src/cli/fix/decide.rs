//! `bugsage fix approve`, `reject` and `apply`: a person's decision, under the case's lease.

use std::time::Duration;

use bugsage_core::clock::Clock;
use bugsage_pipeline::case::Case;
use bugsage_pipeline::repository::Repository;
use bugsage_pipeline::review::{self, Decision, Refused};

use crate::clock::SystemClock;
use crate::store::StoreError;
use crate::store::model::LeasedJob;

use super::Desk;

pub(super) async fn approve(
    desk: &Desk,
    name: &str,
    hash: Option<&str>,
    valid_for: Duration,
) -> anyhow::Result<Case> {
    let hash = hash.map(str::to_ascii_lowercase);
    let (lease, mut case) = take(desk, name).await?;
    let decided = decide(desk, &case, hash.as_deref(), true, |case, decision| {
        review::approve(case, decision, valid_for)
    });
    finish(desk, &lease, &mut case, decided).await
}

pub(super) async fn reject(desk: &Desk, name: &str, reason: &str) -> anyhow::Result<Case> {
    let (lease, mut case) = take(desk, name).await?;
    let decided = decide(desk, &case, None, false, |case, decision| {
        review::reject(case, decision, reason)
    });
    finish(desk, &lease, &mut case, decided).await
}

pub(super) async fn apply(desk: &Desk, name: &str) -> anyhow::Result<Case> {
    let (lease, mut case) = take(desk, name).await?;
    if case.branch.is_some() {
        // Twice applied is once applied.
        desk.store.finish_job(&desk.scope, &lease).await?;
        return Ok(case);
    }
    let decided = decide(desk, &case, None, true, review::begin_to_apply);
    if !matches!(decided, Ok((_, None))) {
        return finish(desk, &lease, &mut case, decided).await;
    }
    case = decided?.0;
    desk.worker.save(&lease, &case).await?;
    // Killed from here on, whoever takes the case next goes on where this stopped.
    let id = case.id;
    let stopped = desk
        .worker
        .take_further(&lease, case, None, &|_| ())
        .await?;
    let case = desk.store.case(&desk.scope, id).await?;
    if case.branch.is_some() {
        return Ok(case);
    }
    let why = stopped.or(case.reason().map(str::to_owned));
    anyhow::bail!(
        "case {id} is not applied: {}",
        why.unwrap_or_else(|| case.state.to_string())
    )
}

async fn take(desk: &Desk, name: &str) -> anyhow::Result<(LeasedJob, Case)> {
    let id = desk.case(name).await?.id;
    let lease = match desk.worker.lease(&desk.scope, id).await {
        Err(StoreError::Conflict { .. }) => {
            return Err(StoreError::Busy {
                what: "case",
                name: id.to_string(),
            }
            .into());
        }
        lease => lease?,
    };
    // Read again under the lease: it may have moved since.
    let case = desk.store.case(&desk.scope, id).await?;
    Ok((lease, case))
}

/// Decides about a copy, which is the case afterwards even where the decision was refused: an expired
/// approval is taken back.
fn decide(
    desk: &Desk,
    case: &Case,
    sha256: Option<&str>,
    needs_head: bool,
    decide: impl FnOnce(&mut Case, &Decision<'_>) -> Result<(), Refused>,
) -> anyhow::Result<(Case, Option<Refused>)> {
    let location = case.subject.as_ref().and_then(|s| s.repository.as_deref());
    // Only what is built on a commit needs to know which one is checked out.
    let head = match location.filter(|_| needs_head) {
        Some(location) => Repository::open(location)?.head()?.sha,
        None => String::new(),
    };
    let decision = Decision {
        actor: desk.scope.actor(),
        at: SystemClock.now(),
        head: &head,
        sha256,
    };
    let mut case = case.clone();
    let refused = decide(&mut case, &decision).err();
    Ok((case, refused))
}

async fn finish(
    desk: &Desk,
    lease: &LeasedJob,
    case: &mut Case,
    decided: anyhow::Result<(Case, Option<Refused>)>,
) -> anyhow::Result<Case> {
    let result = match decided {
        Ok((changed, refused)) => {
            *case = changed;
            desk.worker.save(lease, case).await?;
            refused.map_or(Ok(()), |refused| Err(refused.into()))
        }
        Err(error) => Err(error),
    };
    desk.store.finish_job(&desk.scope, lease).await?;
    result.map(|()| case.clone())
}
