//! The gates that build and run: `check`, `red`, `green`, `suite`, `clippy`.
//!
//! In: a patch, as the texts of the changed files, and the [`Base`]. Out: [`Verdict`]s.
//! Never: a pass that nothing shows: a log that is cut, a step that is late, an answer that ends
//! early, a test that was not run are failures.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::time::Duration;

use bugsage_core::panic_class::classify;

use crate::limits;
use crate::repository::header;
use crate::validate::base::{Base, ENVIRONMENT, clippy, errors_of};
use crate::validate::output::{self, TestResult};
use crate::validate::sandbox::{End, Job, Limits, Sandbox};
use crate::validate::session::{self, Done, Layout, Step};
use crate::validate::toolchain::Toolchain;
use crate::validate::workshop::Workshop;
use crate::validate::workspace::Workspace;
use crate::validate::{Gate, ValidateError, Verdict};

/// What a suite says that has no test of its own.
const NO_TESTS: &str = "there is no test of its own";

/// How often the reproduction must fail in the same way.
const RED_RUNS: usize = 3;

/// Where patches are tried.
pub(crate) struct Range<'a> {
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) toolchain: &'a Toolchain,
    pub(crate) workshop: &'a Workshop,
    pub(crate) workspace: &'a Workspace,
    /// The package of the failing file.
    pub(crate) package: &'a str,
    pub(crate) base: &'a Base,
}

/// A changed file, whole.
pub(crate) type Changed<'a> = (&'a str, &'a str);

/// The reproduction, and how the report says that it fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// The module that holds the test; no other test has it in its name.
    pub(crate) module: &'a str,
    /// The panic's message.
    pub(crate) message: &'a str,
    /// The file, as the compiler is given it.
    pub(crate) file: &'a str,
    pub(crate) line: u32,
    pub(crate) column: Option<u32>,
}

/// How much of the workspace is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Package,
    Workspace,
}

impl Range<'_> {
    /// The old tree with the reproduction: it must fail as reported, each time.
    pub(crate) fn red(
        &self,
        with_test: &[Changed<'_>],
        expected: &Expected<'_>,
    ) -> Result<Verdict, ValidateError> {
        let build = self.test(Scope::Package, "build", &["--no-run"]);
        let run = self
            .test(Scope::Package, "red", &[expected.module])
            .may_fail();
        let steps: Vec<Step> = std::iter::once(build)
            .chain(std::iter::repeat_n(run.clone(), RED_RUNS))
            .collect();
        let session = self.session(with_test, &steps)?;
        if let Some(built) = session
            .done
            .iter()
            .find(|done| done.name == "build" && done.code != 0)
        {
            let detail = format!(
                "the test does not compile: {}",
                first_line(&errors_of(built))
            );
            return Ok(verdict(Gate::Red, false, detail, &steps[0], Some(built)));
        }
        let runs: Vec<&Done> = session
            .done
            .iter()
            .filter(|done| done.name == "red")
            .collect();
        let mut detail = format!("{RED_RUNS} of {RED_RUNS} runs fail as reported");
        let differs = runs.iter().find_map(|run| difference(run, expected));
        let passed = runs.len() == RED_RUNS && differs.is_none();
        if let Some(differs) = differs {
            detail = differs;
        } else if runs.len() < RED_RUNS {
            detail = session.early();
        }
        let mut verdict = verdict(Gate::Red, passed, detail, &run, runs.first().copied());
        verdict.seconds = session.wall.as_secs_f64();
        Ok(verdict)
    }

    /// The new tree: it compiles, the reproduction passes, and nothing else is worse than before. The
    /// first gate that fails is the last.
    pub(crate) fn new_tree(
        &self,
        changed: &[Changed<'_>],
        scope: Scope,
        module: Option<&str>,
    ) -> Result<Vec<Verdict>, ValidateError> {
        let chosen = self.chosen(scope);
        let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
        let check = [&["check", "--offline", "--locked"], chosen.as_slice()].concat();
        let mut steps = vec![(Gate::Check, Step::cargo("check", &check))];
        if let Some(module) = module {
            steps.push((Gate::Green, self.test(scope, "green", &[module])));
        }
        let suite = self.test(scope, "suite", &["--no-fail-fast"]).may_fail();
        steps.push((Gate::Suite, suite));
        steps.push((Gate::Clippy, clippy(&chosen).may_fail()));
        let commands: Vec<Step> = steps.iter().map(|(_, step)| step.clone()).collect();
        let session = self.session(changed, &commands)?;
        let mut verdicts = Vec::new();
        for (gate, step) in &steps {
            let done = session.done.iter().find(|done| done.name == step.name);
            let (passed, detail) = match done {
                None => (false, session.early()),
                Some(done) if done.is_late() => (false, errors_of(done)),
                Some(done) if done.is_cut => (false, "it printed more than is read".to_owned()),
                Some(done) => match gate {
                    Gate::Check => judge_check(done),
                    Gate::Green => judge_green(done, module.unwrap_or_default()),
                    Gate::Suite => self.judge_suite(done, scope, module),
                    _ => self.judge_clippy(done),
                },
            };
            let mut verdict = verdict(*gate, passed, detail, step, done);
            if passed && *gate == Gate::Suite && verdict.detail == NO_TESTS {
                // Nothing stands against the patch, and nothing speaks for it.
                verdict.passed = None;
            }
            verdicts.push(verdict);
            if !passed {
                break;
            }
        }
        Ok(verdicts)
    }

    fn chosen(&self, scope: Scope) -> Vec<String> {
        match scope {
            Scope::Package => vec!["--package".to_owned(), self.package.to_owned()],
            Scope::Workspace => vec!["--workspace".to_owned()],
        }
    }

    fn test(&self, scope: Scope, name: &'static str, more: &[&str]) -> Step {
        let chosen = self.chosen(scope);
        let mut arguments = vec!["test", "--offline", "--locked"];
        arguments.extend(chosen.iter().map(String::as_str));
        arguments.extend(more);
        Step::cargo(name, &arguments)
    }

    fn session(&self, changed: &[Changed<'_>], steps: &[Step]) -> Result<Session, ValidateError> {
        let bench = self.workshop.bench()?;
        let archive = bench.path("changed.tar");
        write_archive(&archive, changed)?;
        let layout = Layout {
            source: &self.base.source,
            target: Some(self.base.target()),
            changed: Some(&archive),
            workspace: &self.workspace.folder,
            toolchain: self.toolchain,
        };
        let job = Job {
            script: &layout.script(steps, false),
            mounts: &layout.mounts(),
            environment: ENVIRONMENT,
            limits: Limits::default(),
        };
        let mut answer = Vec::new();
        let ended = self.sandbox.run(&job, &mut answer)?;
        let (done, _) = session::read(&answer);
        Ok(Session {
            done,
            end: ended.end,
            complaint: ended.complaint,
            wall: ended.wall,
        })
    }

    /// No test fails that did not fail before, and none is gone.
    fn judge_suite(&self, done: &Done, scope: Scope, module: Option<&str>) -> (bool, String) {
        let after = output::tests(&done.output);
        let about = &self.base.about;
        let failed: Vec<&String> = after
            .iter()
            .filter(|(_, result)| **result == TestResult::Failed)
            .map(|(test, _)| test)
            .collect();
        let newly: Vec<&&String> = failed
            .iter()
            .filter(|test| !about.is_known_to_fail(test))
            .collect();
        let programs: BTreeSet<&str> = after.keys().map(|test| program_of(test)).collect();
        let gone: Vec<&String> = about
            .tests
            .iter()
            .filter(|(test, result)| **result == TestResult::Passed && !about.flaky.contains(test))
            .map(|(test, _)| test)
            .filter(|test| scope == Scope::Workspace || programs.contains(program_of(test)))
            .filter(|test| after.get(*test) != Some(&TestResult::Passed))
            .filter(|test| !failed.contains(test))
            .collect();
        if let Some(test) = newly.first() {
            return (
                false,
                format!("{} tests fail that did not before: {test}", newly.len()),
            );
        }
        if let Some(test) = gone.first() {
            return (
                false,
                format!("{} tests did not run again: {test}", gone.len()),
            );
        }
        if done.code != 0 && failed.is_empty() {
            return (
                false,
                format!(
                    "it ended with {}: {}",
                    done.code,
                    first_line(&errors_of(done))
                ),
            );
        }
        let own = |test: &str| module.is_some_and(|module| is_in(test, module));
        let passed = after
            .iter()
            .filter(|(test, result)| **result == TestResult::Passed && !own(test))
            .count();
        if passed == 0 && failed.is_empty() {
            return (true, NO_TESTS.to_owned());
        }
        let whole = match scope {
            Scope::Package => self.package,
            Scope::Workspace => "the workspace",
        };
        let known = match failed.len() {
            0 => String::new(),
            n => format!(", {n} fail as they did before"),
        };
        let (tests, pass) = match passed {
            1 => ("test", "passes"),
            _ => ("tests", "pass"),
        };
        (true, format!("{passed} {tests} of {whole} {pass}{known}"))
    }

    fn judge_clippy(&self, done: &Done) -> (bool, String) {
        let Some(after) = output::complaints(&done.output) else {
            return (
                false,
                format!("clippy gave no answer: {}", first_line(&errors_of(done))),
            );
        };
        match output::new_complaints(&self.base.about.complaints, &after).first() {
            Some(complaint) => (false, format!("a new warning: {complaint}")),
            None => (true, "no new warning".to_owned()),
        }
    }
}

struct Session {
    done: Vec<Done>,
    end: End,
    complaint: String,
    wall: Duration,
}

impl Session {
    /// Why a step has no answer.
    fn early(&self) -> String {
        let said = first_line(self.complaint.trim()).to_owned();
        match self.end {
            End::Exited(0) => "it was not reached".to_owned(),
            End::Exited(code) => format!("the session ended with {code}: {said}"),
            End::TooLong => "the session took longer than it may".to_owned(),
            End::TooMuchMemory => "the session took more memory than it may".to_owned(),
            End::TooMuchOutput => "the session printed more than it may".to_owned(),
        }
    }
}

fn judge_check(done: &Done) -> (bool, String) {
    match done.code {
        0 => (true, "it compiles".to_owned()),
        _ => (
            false,
            format!("it does not compile: {}", first_line(&errors_of(done))),
        ),
    }
}

fn judge_green(done: &Done, module: &str) -> (bool, String) {
    let tests = output::tests(&done.output);
    let mut own = tests
        .iter()
        .filter(|(test, _)| is_in(test, module))
        .peekable();
    if own.peek().is_none() {
        let why = first_line(&errors_of(done)).to_owned();
        return (false, format!("the reproduction did not run: {why}"));
    }
    let all_pass = own.all(|(_, result)| *result == TestResult::Passed);
    match (
        all_pass && done.code == 0,
        output::panics(&done.output).first(),
    ) {
        (true, _) => (true, "the reproduction passes".to_owned()),
        (false, Some(panic)) => (
            false,
            format!(
                "the reproduction fails at {}:{}: {}",
                panic.file,
                panic.line,
                first_line(&panic.message)
            ),
        ),
        (false, None) => (false, "the reproduction fails".to_owned()),
    }
}

/// How a run of the reproduction differs from the report.
fn difference(done: &Done, expected: &Expected<'_>) -> Option<String> {
    if done.is_late() || done.is_cut {
        return Some(errors_of(done));
    }
    let tests = output::tests(&done.output);
    let own: Vec<_> = tests
        .iter()
        .filter(|(test, _)| is_in(test, expected.module))
        .collect();
    if done.code == 0 || own.iter().all(|(_, result)| **result == TestResult::Passed) {
        return Some("the recorded input does not fail on the old source".to_owned());
    }
    let panics = output::panics(&done.output);
    let class = classify(expected.message).class;
    let same = panics.iter().any(|panic| {
        classify(&panic.message).class == class
            && panic.file == expected.file
            && panic.line == expected.line
            && expected.column.is_none_or(|column| panic.column == column)
    });
    if same {
        return None;
    }
    Some(match panics.first() {
        Some(panic) => format!(
            "the recorded input fails otherwise than reported: at {}:{}:{}, {}",
            panic.file,
            panic.line,
            panic.column,
            first_line(&panic.message)
        ),
        None => "the recorded input fails without a panic".to_owned(),
    })
}

/// Whether a test belongs to the module of the reproduction.
fn is_in(test: &str, module: &str) -> bool {
    let name = test.split_once(": ").map_or(test, |(_, name)| name);
    name.split("::").any(|part| part == module)
}

fn program_of(test: &str) -> &str {
    test.split_once(": ").map_or("", |(program, _)| program)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn verdict(gate: Gate, passed: bool, detail: String, step: &Step, done: Option<&Done>) -> Verdict {
    let log = done.map(|done| {
        let output = match gate {
            Gate::Clippy => output::rendered(&done.output),
            _ => done.output.clone(),
        };
        let output = output.trim_end();
        let from = output.len().saturating_sub(limits::EVIDENCE_BYTES_MAX);
        output[output.ceil_char_boundary(from)..].to_owned()
    });
    Verdict {
        gate,
        passed: Some(passed),
        detail: bugsage_core::limits::cut(&detail, limits::LINE_BYTES_MAX).into_owned(),
        command: Some(step.line()),
        output: log,
        seconds: done.map_or(0.0, |done| done.took.as_secs_f64()),
    }
}

fn write_archive(place: &std::path::Path, changed: &[Changed<'_>]) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(BufWriter::new(File::create(place)?));
    for (path, text) in changed {
        let mut header = header(false, text.len() as u64, 0);
        archive.append_data(&mut header, format!("source/{path}"), text.as_bytes())?;
    }
    archive.finish()
}
