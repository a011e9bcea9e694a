//! `bugsage demo`: the whole main job, on a real crate that really panics.
//!
//! ```text
//! examples/order-service ─► repository ─► build each release ─► run it against traffic
//!                                                                   │ panics
//!                  table ◄─ pipeline ◄─ collector on a free port ◄──┘
//! ```
//!
//! Nothing about the bugs is known here: everything shown was found by the collector and the
//! pipeline.

mod clone;
mod history;
mod service;
mod show;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use tokio::sync::oneshot;

use bugsage_core::clock::Clock;
use bugsage_core::id::CaseId;
use bugsage_pipeline::case::{Case, State, Transition};
use bugsage_pipeline::validate::sandbox::Sandbox;

use crate::app::{App, Setup};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::store::Store;
use crate::store::model::{IssueFilter, NewProject};
use crate::store::scope::Scope;
use crate::store::sqlite::{OpenOptions, Owner, SqliteStore};
use crate::view::{CaseView, IssueView, ProjectView};

use super::{exit, output};

/// How long the pipeline may take for all cases after the last panic: the base is built first, with
/// all that it depends on.
const PROVED_WITHIN: Duration = Duration::from_secs(20 * 60);

/// How long reports may take to arrive while the service still runs.
const ARRIVED_WITHIN: Duration = Duration::from_secs(60);

/// How often the demo looks whether all cases are done.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(super) struct Demo {
    /// Leave the collector running afterwards, to look at its pages
    #[arg(long)]
    keep: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What the demo ends with.
#[derive(Serialize)]
struct Outcome {
    issues: Vec<IssueView>,
    cases: Vec<CaseView>,
    url: String,
    seconds: f64,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let begun = Instant::now();
        let clone = clone::find(&std::env::current_dir()?)?;
        let workshop = Workshop::new()?;
        let seconds = |begun: Instant| begun.elapsed().as_secs_f64();
        let step = |text: &str| output::error(&format!("{:>6.1} s  {text}", seconds(begun)));

        step("copying examples/order-service and making its git history");
        let repository = workshop.path.join("order-service");
        let releases = history::make(&clone, &repository)?;

        let data = workshop.path.join("data");
        // Nothing that is set for another collector concerns the demo's.
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            ..Config::default()
        };
        let app = App::start(Setup::new(&data, config)).await?;
        let address = app.address();
        let url = format!("http://{address}");
        step(&format!("collector listens on {url}"));
        let (stop, stopped) = oneshot::channel::<()>();
        let collector = tokio::spawn(app.run(async move {
            // An error means that the demo ended early, which stops the collector too.
            let _ = stopped.await;
        }));

        let scope = Scope::local_operator();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(OpenOptions::new(&data, Owner::Client))?);
        let new = NewProject {
            name: "order-service".to_owned(),
            repository: Some(repository.to_string_lossy().into_owned()),
            ingest_key: format!("bsi_{}", uuid::Uuid::new_v4().simple()),
            at: SystemClock.now(),
        };
        let project = ProjectView::new(store.create_project(&scope, new).await?, address);
        let dsn = project.dsn().context("a new project has a key")?.to_owned();

        let mut panics = 0;
        for release in &releases {
            step(&format!("building release {}", release.version));
            let binary = service::build(&clone, &repository, release, &workshop.path).await?;
            step(&format!("running {} against its traffic", release.name));
            let before = panics;
            let arrived = async |answers: service::Answers| {
                arrived(&*store, &scope, before + answers.panics).await
            };
            let run = service::run(&clone, &binary, release, &dsn, &workshop.path, arrived);
            let answers = run.await?;
            panics += answers.panics;
            step(&format!(
                "{} requests answered, {} of them by a panic",
                answers.requests, answers.panics
            ));
        }

        step("waiting for the pipeline: explain, write a fix, prove it in the sandbox");
        let told = |case: &Case, transition: &Transition| {
            let reason = output::cut(&transition.reason, 110);
            step(&format!(
                "issue {} is {}: {reason}",
                case.issue, transition.to
            ));
        };
        let (issues, cases) = at_rest(&*store, &scope, told).await?;
        let no_sandbox = Sandbox::find().err();
        let outcome = Outcome {
            issues,
            cases,
            url: url.clone(),
            seconds: seconds(begun),
        };
        if self.json {
            output::json(&outcome)?;
        } else {
            show::table(&outcome.issues, outcome.seconds);
        }
        if let Some(why) = &no_sandbox {
            output::error(&format!(
                "\nNo fix was proved: {why}, and run the demo again."
            ));
        }
        if self.keep {
            output::error(&format!(
                "\nThe collector goes on. Open {url}/issues, stop with Ctrl-C."
            ));
            output::error(&format!(
                "Ask it, approve and apply: export BUGSAGE_DATA={}\nThe repository is {}",
                data.display(),
                repository.display()
            ));
            tokio::signal::ctrl_c().await?;
        }
        drop(stop);
        collector.await??;
        Ok(match no_sandbox {
            Some(_) => ExitCode::from(exit::FAILED),
            None => ExitCode::SUCCESS,
        })
    }
}

/// Waits until the collector has counted as many reports as there were panics, or for a while: on a
/// busy machine the symbols of a debug build take longer than a process waits at its end.
async fn arrived(store: &dyn Store, scope: &Scope, panics: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + ARRIVED_WITHIN;
    while Instant::now() < deadline {
        let filter = IssueFilter {
            limit: 100,
            ..IssueFilter::default()
        };
        let issues = store.issues(scope, filter).await?;
        if issues.iter().map(|issue| issue.events).sum::<u64>() >= panics {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until every case has come as far as it comes, tells each change, and reads what is there.
async fn at_rest(
    store: &dyn Store,
    scope: &Scope,
    told: impl Fn(&Case, &Transition),
) -> anyhow::Result<(Vec<IssueView>, Vec<CaseView>)> {
    let deadline = Instant::now() + PROVED_WITHIN;
    let mut known: HashMap<CaseId, usize> = HashMap::new();
    loop {
        let filter = IssueFilter {
            limit: 100,
            ..IssueFilter::default()
        };
        let mut views = Vec::new();
        let mut cases = Vec::new();
        let mut is_done = true;
        for issue in store.issues(scope, filter).await? {
            if let Some(case) = issue.case {
                let case = store.case(scope, case).await?;
                is_done &= is_at_rest(case.state);
                let known = known.entry(case.id).or_default();
                let news = case.history.iter().skip(*known);
                news.for_each(|transition| told(&case, transition));
                *known = case.history.len();
                cases.push(CaseView::brief(&case));
            }
            views.push(IssueView::load(store, scope, issue).await?);
        }
        if is_done {
            views.sort_by_key(|issue| std::cmp::Reverse(issue.events));
            return Ok((views, cases));
        }
        if Instant::now() > deadline {
            bail!(
                "the pipeline did not come to an end within {} s",
                PROVED_WITHIN.as_secs()
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the machine goes no further by itself.
fn is_at_rest(state: State) -> bool {
    use State::{Analyzed, Analyzing, Applying, Fixing, Queued, Validating};
    !matches!(
        state,
        Queued | Analyzing | Analyzed | Fixing | Validating | Applying
    )
}

/// A folder of this demo's own, which goes when the demo does.
struct Workshop {
    path: PathBuf,
}

impl Workshop {
    fn new() -> anyhow::Result<Self> {
        let path =
            std::env::temp_dir().join(format!("bugsage-demo-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        // The same name that git and the debug information see, even behind links.
        let path = path.canonicalize()?;
        Ok(Self { path })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        output::error(&format!(
            "bugsage: {} could not be removed: {error}",
            folder.display()
        ));
    }
}
