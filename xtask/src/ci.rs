//! The whole gate: every step in the order of its price, up to the first that fails.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::api;
use crate::msrv;
use crate::prerequisites;
use crate::program::Program;
use crate::prove::{self, Extent, Proof};
use crate::sandbox;
use crate::tidy;

/// The example that `bugsage demo` copies: a workspace of its own.
const EXAMPLE: &str = "examples/order-service/Cargo.toml";

/// One step of the gate.
struct Step {
    name: &'static str,
    work: Work,
}

enum Work {
    Prerequisites,
    OldestRust,
    Sandbox,
    Tidy,
    Api,
    Run(Program),
    /// A slice of what `cargo xtask prove` proves.
    Prove(Proof),
    /// Where there is no sandbox, without the tests that need one.
    Tests(Program),
    /// Runs where the first program works, otherwise prints the advice and passes.
    RunWhere(Program, Program, &'static str),
}

/// Runs all steps.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let started = Instant::now();
    let steps = steps(root);
    let mut skipped = Vec::new();
    for step in &steps {
        let has_sandbox = !skipped.contains(&SANDBOX);
        println!("== {}: {}", step.name, step.work.line(has_sandbox));
        let started = Instant::now();
        let passed = step.work.run(root, has_sandbox);
        let took = seconds(started.elapsed());
        match passed {
            Ok(true) => println!("== {}: passed in {took}\n", step.name),
            Ok(false) => {
                println!("== {}: skipped\n", step.name);
                skipped.push(step.name);
            }
            Err(reason) => {
                let alone = step.work.line(has_sandbox);
                let name = step.name;
                return Err(format!(
                    "ci failed: {name} after {took}: {reason}; alone: {alone}"
                ));
            }
        }
    }
    let took = seconds(started.elapsed());
    let n_passed = steps.len() - skipped.len();
    let skipped_text = match skipped.as_slice() {
        [] => String::new(),
        names => format!(", skipped: {}", names.join(", ")),
    };
    println!("ci passed: {n_passed} steps in {took}{skipped_text}");
    if let Some(line) = unproved(&skipped) {
        println!("{line}");
    }
    Ok(())
}

/// The step that a machine may refuse.
const SANDBOX: &str = "sandbox";

/// The last line of a gate that went on without a sandbox.
fn unproved(skipped: &[&str]) -> Option<String> {
    let is_skipped = skipped.contains(&SANDBOX);
    is_skipped.then(|| format!("not proved here: {SANDBOX}"))
}

fn steps(root: &Path) -> Vec<Step> {
    let step = |name, work| Step { name, work };
    let run = |name, program| step(name, Work::Run(program));
    // Where the demo builds it too: its dependencies are the same.
    let example_target = target(root).join("demo");
    let example = |args: &str| {
        let args = format!("{args} --manifest-path {EXAMPLE} --workspace --locked");
        Program::cargo(&args).variable("CARGO_TARGET_DIR", &example_target)
    };
    // Two builds of the corpus recorded anew, whose bugs must have the fingerprints of what is kept.
    let corpus = |build: &str| {
        Program::cargo("run --quiet --locked --package bugsage-benches --bin grouping --")
            .arg("--compare")
            .arg(build)
    };
    let strict = |program: Program| program.arg("--").arg("-D").arg("warnings");
    vec![
        step("prerequisites", Work::Prerequisites),
        step("oldest Rust", Work::OldestRust),
        step(SANDBOX, Work::Sandbox),
        run("format", Program::cargo("fmt --all --check")),
        run(
            "format of the example",
            Program::cargo(&format!("fmt --all --check --manifest-path {EXAMPLE}")),
        ),
        step("tidy", Work::Tidy),
        run(
            "clippy",
            strict(Program::cargo(
                "clippy --workspace --all-targets --all-features --locked",
            )),
        ),
        run(
            "docs",
            Program::cargo("doc --workspace --no-deps --all-features --locked")
                .variable("RUSTDOCFLAGS", "-D warnings"),
        ),
        step("api of the sdk", Work::Api),
        run(
            "sdk with the other crypto provider",
            Program::cargo(
                "check --package bugsage-sdk --no-default-features --features aws-lc --locked",
            ),
        ),
        run(
            "sdk without HTTP",
            strict(Program::cargo(
                "clippy --package bugsage-sdk --no-default-features --features capture --locked",
            )),
        ),
        run(
            "sdk of libraries",
            Program::cargo(
                "test --package bugsage-sdk --package example-library --no-default-features --locked",
            ),
        ),
        // The tests look at apps that abort where they panic, and find them built.
        run(
            "aborting app",
            Program::cargo(
                "rustc --profile abort --package bugsage-tests --bin subject --no-default-features --locked -- -Crelocation-model=static",
            ),
        ),
        run(
            "aborting example",
            Program::cargo("build --profile abort --package example-abort --locked"),
        ),
        step(
            "tests",
            Work::Tests(Program::cargo("test --workspace --all-features --locked")),
        ),
        run("corpus as std prints it", corpus("plain.debug.legacy")),
        run("corpus as the sdk reports it", corpus("shop.debug.legacy")),
        step("threads in all orders", Work::Prove(Proof::Loom)),
        step("memory", Work::Prove(Proof::Sanitizers)),
        step("hostile bytes", Work::Prove(Proof::Fuzz)),
        step("a flapping network", Work::Prove(Proof::Soak)),
        run(
            "clippy of the example",
            strict(example("clippy --all-targets")),
        ),
        run("tests of the example", example("test")),
        step(
            "dependencies",
            Work::RunWhere(
                Program::cargo("deny --version"),
                Program::cargo("deny check bans licenses sources"),
                "cargo-deny is not installed; get it with `cargo install --locked cargo-deny`",
            ),
        ),
    ]
}

impl Work {
    /// Does it; `false` says that there was nothing to do it with.
    fn run(&self, root: &Path, has_sandbox: bool) -> Result<bool, String> {
        match self {
            Work::Prerequisites => prerequisites::ensure(root).map(|()| true),
            Work::Sandbox => sandbox::ensure(root),
            Work::Tests(program) => passes(&tests(program, has_sandbox), root).map(|()| true),
            Work::OldestRust => msrv::run(root).map(|()| true),
            Work::Tidy => tidy::run(root).map(|()| true),
            Work::Api => api::run(root, false).map(|()| true),
            Work::Run(program) => passes(program, root).map(|()| true),
            Work::Prove(proof) => prove::run(root, *proof, Extent::Slice).map(|()| true),
            Work::RunWhere(probe, program, _) if probe.works(root) => {
                passes(program, root).map(|()| true)
            }
            Work::RunWhere(_, _, advice) => {
                println!("{advice}");
                Ok(false)
            }
        }
    }

    /// What to type to do this step alone.
    fn line(&self, has_sandbox: bool) -> String {
        match self {
            Work::Tests(program) => tests(program, has_sandbox).to_string(),
            // They are looked at by every run and cost nothing.
            Work::Prerequisites | Work::OldestRust | Work::Sandbox => "cargo xtask ci".to_owned(),
            Work::Tidy => "cargo xtask tidy".to_owned(),
            Work::Api => "cargo xtask api".to_owned(),
            Work::Prove(proof) => format!("cargo xtask prove {} --slice", proof.name()),
            Work::Run(program) | Work::RunWhere(_, program, _) => program.to_string(),
        }
    }
}

fn tests(program: &Program, has_sandbox: bool) -> Program {
    let program = program.clone();
    if has_sandbox {
        program
    } else {
        program.args("-- --skip").arg(sandbox::SKIPPED)
    }
}

fn passes(program: &Program, root: &Path) -> Result<(), String> {
    let status = program.status(root);
    let status = status.map_err(|error| format!("it cannot be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string())
    }
}

/// Where cargo builds to.
pub(crate) fn target(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").filter(|target| !target.is_empty());
    // `join` takes the right side whole where it is absolute.
    root.join(target.map_or_else(|| "target".into(), PathBuf::from))
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_gives_its_reason() {
        let here = Path::new(".");
        let work = Work::Run(Program::new("sh", "-c").arg("exit 3"));

        assert_eq!(work.run(here, true), Err("exit status: 3".to_owned()));
        assert_eq!(work.line(true), "sh -c 'exit 3'");
    }

    #[test]
    fn a_step_without_its_tool_is_skipped_and_never_passed() {
        let missing = Program::new("no-such-program-anywhere", "");
        let work = Work::RunWhere(missing.clone(), missing, "get it somewhere");

        assert_eq!(work.run(Path::new("."), true), Ok(false));
    }

    #[test]
    fn a_gate_without_a_sandbox_skips_what_needs_one_and_says_so() {
        let steps = steps(Path::new("/checkout"));
        let work = &steps.iter().find(|step| step.name == "tests").unwrap().work;

        let line = "cargo test --workspace --all-features --locked";
        assert_eq!(work.line(true), line);
        assert_eq!(work.line(false), format!("{line} -- --skip sandboxed"));
        assert_eq!(unproved(&["dependencies"]), None);
        let last = unproved(&["sandbox", "dependencies"]);
        assert_eq!(last.as_deref(), Some("not proved here: sandbox"));
    }

    #[test]
    fn the_example_is_built_under_the_main_target_folder() {
        let steps = steps(Path::new("/checkout"));
        let lines: Vec<String> = steps.iter().map(|step| step.work.line(true)).collect();

        let example = lines.iter().find(|line| line.contains("cargo test --man"));
        let example = example.expect("the example is tested");
        assert!(example.contains("/demo cargo test"), "{example}");
        assert!(example.ends_with("--workspace --locked"), "{example}");
    }

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(187)), "3 min 7 s");
    }
}
