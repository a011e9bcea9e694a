//! How well the grouping rules fold reports into the bugs behind them, on the corpus of `tests/corpus`:
//! `cargo xtask grouping [--json]`; `--show BUG` tells what counted of each event
//! of a bug, `--record [BUILD]` makes the corpus again, and `--compare BUILD` tells whether that would change it.

mod corpus;
mod measure;
mod peers;
mod printed;
mod record;
mod similar;
mod table;
#[cfg(test)]
mod published;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = root.parent().context("the checkout has a root")?;
    let folder = root.join("tests/corpus");
    match *words.as_slice() {
        [] | ["--json"] => {
            let events = corpus::read(&folder)?;
            let report = measure::report(&events);
            if words.is_empty() {
                table::print(&report);
            } else {
                println!("{}", serde_json::to_string(&report)?);
            }
            Ok(())
        }
        ["--show", bug] => {
            let events = corpus::read(&folder)?;
            ensure!(
                table::show(&events, bug),
                "no bug is named {bug}: the table names those that are not alone in one issue"
            );
            Ok(())
        }
        ["--record"] => record::all(root, &folder),
        ["--record", build] => record::one(root, &folder, build),
        ["--compare", build] => record::compare(root, &folder, build),
        _ => bail!(
            "usage: cargo xtask grouping [--json | --show BUG | --record [BUILD] | --compare BUILD]"
        ),
    }
}
