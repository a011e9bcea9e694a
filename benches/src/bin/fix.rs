//! How long does it take to prove a fix: the whole demo, and one gate run on a base that was built?
//!
//! Runs `bugsage demo --keep` once, in this clone, and then rejects one of its fixes and asks for it
//! anew, [`ROUNDS`] times. A gate run is what lies between two states of a case: the patch was
//! written, the patch is proved. Its control is the analysis of the same case, which runs nothing.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use bugsage_benches::load::bugsage;
use bugsage_benches::{Figures, ROUNDS, median};
use serde_json::Value;

fn main() -> anyhow::Result<()> {
    let binary = bugsage()?;
    let mut demo = Demo(
        Command::new(&binary)
            .args(["demo", "--keep", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?,
    );
    let stderr = demo.0.stderr.take().context("stderr is piped")?;
    let mut data = None;
    let mut seconds = 0.0;
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if let Some(told) = line.trim_start().split(" s  ").next() {
            seconds = told.parse().unwrap_or(seconds);
        }
        if let Some((_, folder)) = line.split_once("BUGSAGE_DATA=") {
            data = Some(folder.to_owned());
            break;
        }
    }
    let data = data.context("the demo did not come to its end")?;
    let ask = |words: &[&str]| -> anyhow::Result<Value> {
        let output = Command::new(&binary)
            .args(words)
            .args(["--json", "--data", &data])
            .output()?;
        if !output.status.success() {
            bail!("{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let ready = ask(&["fix", "list", "--state", "ready"])?;
    let ready = ready.as_array().context("a list")?;
    // The first that was proved waited for the base.
    let first = ready.last().context("no fix was proved")?;
    let cold = between(first, "validating", "ready")?;
    // One whose first input fails at once: a single gate run.
    let simple = ready.iter().find(|case| count(case, "validating") == 1);
    let mut case = simple.context("no fix took one run")?.clone();
    let (mut proved, mut analyzed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let id = case["id"].as_str().context("an id")?.to_owned();
        ask(&["fix", "reject", &id, "--reason", "measured again"])?;
        case = ask(&["fix", "run", &case["issue"].to_string()])?;
        proved.push(between(&case, "validating", "ready")?);
        analyzed.push(between(&case, "analyzing", "analyzed")?);
    }
    let mut figures = Figures::default();
    figures.add("demo_seconds", seconds, "the whole demo");
    figures.add(
        "first_gate_run_seconds",
        cold,
        "with the base and its dependencies",
    );
    figures.add(
        "warm_gate_run_seconds",
        median(proved),
        "one patch through all gates",
    );
    figures.add(
        "analysis_seconds",
        median(analyzed),
        "the control: runs nothing",
    );
    figures.print();
    Ok(())
}

/// The demo, which goes when this does.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.0.id() as i32) {
            // Interrupted, so that it removes its folder.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ = self.0.wait();
    }
}

/// How often a case entered a state.
fn count(case: &Value, state: &str) -> usize {
    let history = case["history"].as_array().into_iter().flatten();
    history.filter(|step| step["to"] == state).count()
}

/// Seconds between the first time that a case entered `from` and the last that it entered `to`.
fn between(case: &Value, from: &str, to: &str) -> anyhow::Result<f64> {
    let history = case["history"].as_array().context("a history")?;
    let at = |step: &Value| -> anyhow::Result<jiff::Timestamp> {
        Ok(step["at"].as_str().context("a time")?.parse()?)
    };
    let begun = history.iter().find(|step| step["to"] == from);
    let ended = history.iter().rfind(|step| step["to"] == to);
    let (begun, ended) = begun.zip(ended).context("the case went another way")?;
    Ok((at(ended)? - at(begun)?).total(jiff::Unit::Second)?)
}
