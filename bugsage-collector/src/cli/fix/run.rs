//! `bugsage fix run`: takes an issue's case as far as it goes, now.
//!
//! The command takes the case's lease as any worker does. Where a collector has it, the command waits
//! for that one and tells what it does.

use std::time::{Duration, Instant};

use anyhow::bail;

use bugsage_core::clock::Clock;
use bugsage_core::id::CaseId;
use bugsage_pipeline::case::{Case, State, Transition};
use bugsage_pipeline::repository::Repository;

use crate::cli::output;
use crate::clock::SystemClock;
use crate::store::StoreError;

use super::Desk;

/// How often a case that somebody else works on is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// How long somebody else may take without a change.
const STANDSTILL_MAX: Duration = Duration::from_secs(45 * 60);

pub(super) async fn run(desk: &Desk, issue: u64) -> anyhow::Result<Case> {
    let id = case_to_run(desk, issue).await?;
    let mut told = 0;
    let mut has_waited = false;
    let mut moved_at = Instant::now();
    loop {
        match desk.worker.lease(&desk.scope, id).await {
            Ok(lease) => {
                let case = desk.store.case(&desk.scope, id).await?;
                let stopped = tokio::select! {
                    stopped = desk.worker.take_further(&lease, case, None, &tell) => stopped?,
                    // What runs in the sandbox ends with this process.
                    interrupted = tokio::signal::ctrl_c() => {
                        desk.worker.let_go(&lease).await?;
                        interrupted?;
                        bail!("stopped; the case goes on with the next fix run, or in a collector");
                    }
                };
                if let Some(why) = stopped {
                    output::error(&format!(
                        "it will be tried again: {}",
                        output::cut(&why, 200)
                    ));
                }
                return Ok(desk.store.case(&desk.scope, id).await?);
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let case = desk.store.case(&desk.scope, id).await?;
        if !has_waited {
            has_waited = true;
            output::error(
                "somebody works on it: a collector, or a command that was killed within the last two \
                 minutes; waiting",
            );
        }
        let news = case.history.iter().skip(told);
        news.for_each(tell);
        if told != case.history.len() {
            told = case.history.len();
            moved_at = Instant::now();
        } else if moved_at.elapsed() > STANDSTILL_MAX {
            bail!("case {id} is worked on by somebody else, and does not move; try again later");
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn tell(transition: &Transition) {
    let reason = output::cut(&transition.reason, 140);
    output::error(&format!("{}: {reason}", transition.to));
}

/// The issue's case, made ready to run: a new one where the last has ended or its base has moved.
async fn case_to_run(desk: &Desk, issue: u64) -> anyhow::Result<CaseId> {
    let detail = desk.store.issue(&desk.scope, issue).await?;
    let now = SystemClock.now();
    let Some(id) = detail.issue.case else {
        return Ok(desk.store.open_case(&desk.scope, issue, now).await?);
    };
    let case = desk.store.case(&desk.scope, id).await?;
    match case.state {
        State::NeedsHuman | State::Failed => {
            let project = detail.issue.project;
            desk.store
                .requeue_cases(&desk.scope, project, Some(issue), now)
                .await?;
            Ok(id)
        }
        State::Ready | State::Approved if has_moved(&case) => {
            let reason = "the branch has moved; the fix is written and proved anew";
            cancel(desk, id, reason).await?;
            Ok(desk.store.open_case(&desk.scope, issue, now).await?)
        }
        State::Rejected | State::Cancelled | State::Verified | State::RolledBack => {
            Ok(desk.store.open_case(&desk.scope, issue, now).await?)
        }
        _ => Ok(id),
    }
}

/// Whether the repository has another commit checked out than the one that the patch changes. A
/// repository that cannot be read has not moved.
fn has_moved(case: &Case) -> bool {
    let repository = case.subject.as_ref().and_then(|s| s.repository.as_deref());
    let head = repository.and_then(|location| Repository::open(location).ok()?.head().ok());
    match (head, &case.patch) {
        (Some(head), Some(patch)) => head.sha != patch.base_commit,
        _ => false,
    }
}

async fn cancel(desk: &Desk, id: CaseId, reason: &str) -> anyhow::Result<()> {
    let lease = desk.worker.lease(&desk.scope, id).await?;
    let mut case = desk.store.case(&desk.scope, id).await?;
    case.enter(
        State::Cancelled,
        SystemClock.now(),
        desk.scope.actor(),
        reason,
    )?;
    desk.worker.save(&lease, &case).await?;
    desk.store.finish_job(&desk.scope, &lease).await?;
    Ok(())
}
