//! What the base commit builds to, made once and taken over by every candidate.
//!
//! In: a commit. Out: a [`Base`]: the archive of its sources, the archive of its target folder, and
//! the baseline: which of its own tests pass, and what clippy says of it.
//! Never: a half-made base: its description is written last, and what it describes is whole.

use std::fs::{File, FileTimes};
use std::io::{BufWriter, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits;
use crate::repository::{Repository, Snapshot};
use crate::validate::ValidateError;
use crate::validate::output::{self, Complaints, TestResult, Tests};
use crate::validate::sandbox::{End, Job, Limits, Sandbox};
use crate::validate::session::{self, Done, Layout, Step};
use crate::validate::toolchain::Toolchain;
use crate::validate::workshop::Workshop;
use crate::validate::workspace::Workspace;

/// Raised when what a base holds changes its meaning.
const VERSION: &str = "base 1";

/// A base commit, built.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) source: PathBuf,
    pub(crate) answer: PathBuf,
    pub(crate) about: About,
}

/// What is known of a base.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct About {
    /// Where in the session's answer the target folder's archive begins.
    offset: u64,
    /// How its tests ended, in the first of two runs.
    pub(crate) tests: Tests,
    /// Those that ended otherwise in the second.
    pub(crate) flaky: Vec<String>,
    /// What clippy says.
    pub(crate) complaints: Complaints,
    /// How long it took to build and test.
    pub(crate) seconds: f64,
}

impl About {
    /// Whether a test is known to fail, or to fail at times.
    pub(crate) fn is_known_to_fail(&self, test: &str) -> bool {
        self.tests.get(test) == Some(&TestResult::Failed)
            || self.flaky.iter().any(|flaky| flaky == test)
    }
}

impl Base {
    /// The target folder for a [`Layout`].
    pub(crate) fn target(&self) -> (&std::path::Path, u64) {
        (&self.answer, self.about.offset)
    }

    /// The base of a commit, built now if it was not before.
    pub(crate) fn of(
        repository: &Repository,
        snapshot: &Snapshot,
        workspace: &Workspace,
        toolchain: &Toolchain,
        sandbox: &Sandbox,
        workshop: &Workshop,
    ) -> Result<Self, ValidateError> {
        let key = key(repository, snapshot, workspace, toolchain);
        let place = |suffix: &str| workshop.base(&key, suffix);
        if let Some(about) = known(&place("json")) {
            return Ok(Base {
                source: place("source"),
                answer: place("run"),
                about,
            });
        }
        let partial = |name: &str| place(&format!("{name}-run-{}-0", std::process::id()));
        let source = partial("source");
        let archive = BufWriter::new(File::create(&source)?);
        repository.archive(snapshot, "source", archive)?;
        let answer = partial("answer");
        let layout = Layout {
            source: &source,
            target: None,
            changed: None,
            workspace: &workspace.folder,
            toolchain,
        };
        let about = build(&layout, sandbox, &answer)?;
        std::fs::rename(&source, place("source"))?;
        std::fs::rename(&answer, place("run"))?;
        let description = partial("json");
        std::fs::write(
            &description,
            serde_json::to_vec(&about).map_err(std::io::Error::other)?,
        )?;
        std::fs::rename(&description, place("json"))?;
        workshop.forget_old_bases()?;
        Ok(Base {
            source: place("source"),
            answer: place("run"),
            about,
        })
    }
}

/// Everything that what is built depends on.
fn key(
    repository: &Repository,
    snapshot: &Snapshot,
    workspace: &Workspace,
    toolchain: &Toolchain,
) -> String {
    let mut hash = Sha256::new();
    for part in [
        VERSION,
        &repository.path().to_string_lossy(),
        snapshot.commit(),
        &workspace.folder,
        &toolchain.version,
        &toolchain.sysroot.to_string_lossy(),
    ] {
        hash.update(part);
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Reads a description, and marks it as used. One that cannot be read is made anew.
fn known(description: &PathBuf) -> Option<About> {
    let about = serde_json::from_slice(&std::fs::read(description).ok()?).ok()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "only orders what is removed first"
    )]
    let now = std::time::SystemTime::now();
    let file = File::options().append(true).open(description).ok()?;
    // The order of removal is all that depends on it.
    let _ = file.set_times(FileTimes::new().set_modified(now));
    Some(about)
}

/// Builds, tests twice and checks the base, and keeps the target folder.
fn build(layout: &Layout<'_>, sandbox: &Sandbox, answer: &PathBuf) -> Result<About, ValidateError> {
    let test = ["test", "--offline", "--locked", "--workspace"];
    let steps = [
        Step::cargo("build", &[&test[..], &["--no-run"]].concat()),
        Step::cargo("suite", &[&test[..], &["--no-fail-fast"]].concat()).may_fail(),
        Step::cargo("again", &[&test[..], &["--no-fail-fast"]].concat()).may_fail(),
        clippy(&["--workspace"]).may_fail(),
    ];
    let job = Job {
        script: &layout.script(&steps, true),
        mounts: &layout.mounts(),
        environment: ENVIRONMENT,
        limits: Limits {
            output_bytes: limits::BASE_BYTES_MAX,
            ..Limits::default()
        },
    };
    let mut file = File::create(answer)?;
    let ended = sandbox.run(&job, &mut file)?;
    drop(file);
    let mut logs = Vec::new();
    // All logs come before the archive.
    let logs_max = limits::LOG_BYTES_MAX * (steps.len() as u64 + 1);
    File::open(answer)?.take(logs_max).read_to_end(&mut logs)?;
    let (done, offset) = session::read(&logs);
    let step = |name: &str| done.iter().find(|done| done.name == name);
    let not_built = |complaint: String| ValidateError::NotBuilt { complaint };
    let Some(built) = step("build") else {
        return Err(not_built(format!(
            "{:?}: {}",
            ended.end,
            ended.complaint.trim()
        )));
    };
    if built.code != 0 {
        return Err(not_built(errors_of(built)));
    }
    let (Some(suite), Some(again), Some(clippy), Some(offset), End::Exited(0)) = (
        step("suite"),
        step("again"),
        step("clippy"),
        offset,
        ended.end,
    ) else {
        let last = done.last().map_or("", |done| done.name.as_str());
        let said = ended.complaint.trim();
        return Err(not_built(format!("{:?} after {last}: {said}", ended.end)));
    };
    for done in [suite, again] {
        if done.is_late() || done.is_cut {
            let seconds = done.took.as_secs();
            return Err(not_built(format!(
                "its own tests end neither quickly nor quietly enough ({seconds} s)"
            )));
        }
    }
    let complaints = output::complaints(&clippy.output)
        .ok_or_else(|| not_built(format!("clippy ends with {}", errors_of(clippy))))?;
    let (tests, again) = (output::tests(&suite.output), output::tests(&again.output));
    let flaky = tests
        .iter()
        .filter(|(test, result)| again.get(*test) != Some(result));
    Ok(About {
        offset,
        flaky: flaky.map(|(test, _)| test.clone()).collect(),
        tests,
        complaints,
        seconds: ended.wall.as_secs_f64(),
    })
}

/// What every session has in its environment.
pub(crate) const ENVIRONMENT: &[(&str, &str)] = &[
    ("CARGO_HOME", "/build/home/cargo"),
    ("CARGO_TARGET_DIR", session::TARGET),
    ("CARGO_NET_OFFLINE", "true"),
    ("CARGO_TERM_COLOR", "never"),
    ("RUST_BACKTRACE", "0"),
];

/// The step that asks clippy about everything that these arguments choose.
pub(crate) fn clippy(chosen: &[&str]) -> Step {
    let arguments = [
        &["clippy", "--offline", "--locked"],
        chosen,
        &["--all-targets", "--message-format=json"],
    ];
    Step::cargo("clippy", &arguments.concat())
}

/// The first errors of a log, for a sentence.
pub(crate) fn errors_of(done: &Done) -> String {
    if done.is_late() {
        return format!("it took longer than {} s", done.took.as_secs());
    }
    let lines = done.output.lines();
    let from_error: Vec<&str> = lines
        .skip_while(|line| !line.starts_with("error"))
        .collect();
    let shown = match from_error.is_empty() {
        true => done
            .output
            .lines()
            .rev()
            .take(5)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect(),
        false => from_error,
    };
    let text = shown.into_iter().take(12).collect::<Vec<_>>().join("\n");
    bugsage_core::limits::cut(text.trim(), limits::UNTRUSTED_BYTES_MAX).into_owned()
}
