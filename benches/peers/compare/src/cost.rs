//! What an SDK adds to a build: CPU seconds from nothing, bytes of the stripped program, crates.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{PROGRAMS, Table};

/// Builds of which the median is taken. CPU time varies little, and each takes minutes.
const BUILDS: usize = 1;

/// Sentry with TLS compiled in, as BugSage has it.
const SENTRY_RUSTLS: &str = "beside-sentry-rustls";

pub(crate) fn builds(table: &mut Table) -> anyhow::Result<()> {
    let [without, sentry, bugsage] = PROGRAMS;
    // Each with the columns that its figures go into: those of BugSage stand beside both of sentry's.
    let programs = [
        (without, vec![("", without), (", over rustls", without)]),
        (sentry, vec![("", sentry)]),
        (SENTRY_RUSTLS, vec![(", over rustls", sentry)]),
        (bugsage, vec![("", bugsage), (", over rustls", bugsage)]),
    ];
    for (program, columns) in &programs {
        let crates = crates(program)?;
        for (suffix, column) in columns {
            table.add(&format!("crates, normal and build{suffix}"), column, crates);
        }
        for _ in 0..BUILDS {
            let target = std::env::temp_dir().join(format!("bugsage-peers-cost-{program}"));
            // From nothing, whatever was there.
            let _ = std::fs::remove_dir_all(&target);
            let seconds = build(program, &target)?;
            let size = std::fs::metadata(target.join("release").join(program))?.len();
            std::fs::remove_dir_all(&target)?;
            for (suffix, column) in columns {
                table.add(
                    &format!("cold release build{suffix}, CPU s"),
                    column,
                    seconds,
                );
                let kib = size as f64 / 1_024.0;
                table.add(&format!("stripped program{suffix}, KiB"), column, kib);
            }
        }
    }
    Ok(())
}

fn build(program: &str, target: &Path) -> anyhow::Result<f64> {
    let before = children_cpu_seconds()?;
    let status = cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--package",
            program,
        ])
        .args(["--config", "profile.release.strip=true"])
        .args(["--config", "profile.release.debug=false"])
        .arg("--target-dir")
        .arg(target)
        .status()?;
    ensure!(status.success(), "{program} cannot be built");
    Ok(children_cpu_seconds()? - before)
}

fn crates(program: &str) -> anyhow::Result<f64> {
    let output = cargo()
        .args([
            "tree",
            "--locked",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args(["--package", program])
        .output()?;
    ensure!(output.status.success(), "cargo tree of {program} fails");
    let text = String::from_utf8(output.stdout)?;
    let crates: std::collections::BTreeSet<&str> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    // Without the program itself and what plays its scenes.
    Ok((crates.len() - 2) as f64)
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    cargo
}

/// CPU time of all children that were waited for, as the kernel counts it.
fn children_cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().context("the kernel tells")?;
    let ticks = fields.split(' ').skip(13).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // `USER_HZ`, which is 100 on every Linux that Rust runs on.
    Ok(ticks as f64 / 100.0)
}
