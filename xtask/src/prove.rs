//! Proofs that take longer than tests may: each has a slice of a minute or two in the gate, and the
//! whole by hand, under an hour on two cores.
//!
//! A proof that was interrupted is begun again and loses little: the fuzz targets keep what they have
//! learnt in the target folder, kills and soak begin anew.

use std::path::Path;

use crate::ci;
use crate::program::Program;

/// A proof by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// `kill -9` right after each capture, a thousand times: all arrives, nothing twice.
    Kills,
    /// Ten minutes of a thousand reports a second without a network, then `kill -9` and a restart: all
    /// arrives, in order, nothing twice.
    Offline,
    /// `kill -9` of the collector under load, two thousand times: nothing acknowledged is lost, nothing counts
    /// twice.
    Crashes,
    /// Ten thousand images of what a power cut may leave of the store: all that was acknowledged is there.
    Power,
    /// An error or a full disk at every write and sync: no acknowledgement after it, and it heals.
    Faults,
    /// Ten thousand bits that flip in the store's files: noticed, or without harm to any count.
    Rot,
    /// A million events, a third of them sent again by eight clients, over kills: every count is exact.
    Duplicates,
    /// Batches that are small on the wire and large behind it, and requests that lie: what each costs.
    Bombs,
    /// All orders in which threads can meet at what they share without a lock.
    Loom,
    /// AddressSanitizer and valgrind over all `unsafe` of the SDK.
    Sanitizers,
    /// Whatever bytes come from the network or lie in the spool, they are read and nothing breaks.
    Fuzz,
    /// Ten minutes at 10,000 reports a second over a network that comes and goes.
    Soak,
}

impl Proof {
    /// The name that is typed.
    pub(crate) fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(_, proof)| *proof == self);
        named.map_or("", |(name, _)| name)
    }
}

/// How much of a proof is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What the gate has time for.
    Slice,
    Whole,
}

/// The names that are typed.
pub(crate) const NAMES: &[(&str, Proof)] = &[
    ("kills", Proof::Kills),
    ("offline", Proof::Offline),
    ("crashes", Proof::Crashes),
    ("power", Proof::Power),
    ("faults", Proof::Faults),
    ("rot", Proof::Rot),
    ("duplicates", Proof::Duplicates),
    ("bombs", Proof::Bombs),
    ("loom", Proof::Loom),
    ("sanitizers", Proof::Sanitizers),
    ("fuzz", Proof::Fuzz),
    ("soak", Proof::Soak),
];

/// The programs of `fuzz/`, and the longest input that says something new.
const FUZZ_TARGETS: &[(&str, u32)] = &[
    ("batch_body", 65_536),
    ("batch_content", 65_536),
    ("request_head", 8_192),
    ("page_query", 8_192),
    ("config_text", 8_192),
    ("spool_run", 8_192),
    ("spool_record", 33_000),
    ("grouping_rules", 1_024),
    ("symbol", 512),
];

/// What libFuzzer needs to see where the program went, and a sanitizer that sees every byte that is
/// read or written where it must not be.
const FUZZ_FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address \
    --cfg fuzzing";

/// Instrumented programs are built for a named target, so that build scripts are not.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Tests of the SDK that go through its `unsafe`: mapped files, marks of a process, the client, stacks.
const UNSAFE_TESTS: &str =
    "spool birthmark ship::tests queue symbolicate test:: spans ticks context";

/// Those of them that valgrind gets through in a minute: it is fifty times slower.
const VALGRIND_TESTS: &str =
    "birthmark queue::tests::a_ test::tests spool:: ticks context::tests::fields";

/// Runs a proof; an error says how it failed.
pub(crate) fn run(root: &Path, proof: Proof, extent: Extent) -> Result<(), String> {
    for program in programs(root, proof, extent) {
        println!("-- {program}");
        let status = program.status(root);
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("{status}; alone: {program}")),
            Err(error) => return Err(format!("cannot start: {error}; alone: {program}")),
        }
    }
    Ok(())
}

/// What is run, one after the other, up to the first that fails.
pub(crate) fn programs(root: &Path, proof: Proof, extent: Extent) -> Vec<Program> {
    match proof {
        Proof::Kills => {
            let kills = if extent == Extent::Slice {
                "30"
            } else {
                "1000"
            };
            let story = story("what_was_captured_survives_kill_9_at_the_next_moment");
            vec![story.variable("STORY_KILLS", kills)]
        }
        Proof::Offline => {
            let seconds = if extent == Extent::Slice { "2" } else { "600" };
            let story =
                story("a_load_without_a_network_arrives_in_order_and_once_after_the_restart");
            vec![story.variable("STORY_OFFLINE_SECONDS", seconds)]
        }
        Proof::Crashes => long_story("collector_crash", "STORY_CRASHES", extent, ("50", "2000")),
        Proof::Power => long_story("collector_power", "STORY_IMAGES", extent, ("150", "10000")),
        Proof::Faults => long_story("collector_faults", "STORY_STRIDE", extent, ("29", "1")),
        Proof::Rot => long_story("collector_rot", "STORY_FLIPS", extent, ("60", "10000")),
        Proof::Duplicates => {
            let events = ("20000", "1000000");
            long_story("collector_duplicates", "STORY_EVENTS", extent, events)
        }
        Proof::Bombs => bombs(extent),
        Proof::Loom => {
            let tests = Program::cargo(
                "test --package bugsage-sdk --lib --release --no-default-features --features capture --locked -- loom::",
            );
            let tests = tests.variable("RUSTFLAGS", "--cfg bugsage_loom");
            vec![tests.variable("CARGO_TARGET_DIR", ci::target(root).join("loom"))]
        }
        Proof::Sanitizers => sanitizers(root),
        Proof::Fuzz => fuzz(root, if extent == Extent::Slice { 10 } else { 600 }),
        Proof::Soak => {
            // The gate has built it without optimization.
            let (release, seconds) = match extent {
                Extent::Slice => ("", "15"),
                Extent::Whole => ("--release", "600"),
            };
            let soak = Program::cargo("run --locked --package bugsage-benches --bin soak");
            vec![soak.args(release).arg("--").arg(seconds)]
        }
    }
}

/// Stories that go on as long as a variable says. Without optimization the whole takes minutes too.
fn long_story(
    name: &str,
    variable: &'static str,
    extent: Extent,
    (slice, whole): (&str, &str),
) -> Vec<Program> {
    let is_slice = extent == Extent::Slice;
    let value = if is_slice { slice } else { whole };
    let story = story(name).arg("--nocapture");
    vec![story.variable(variable, value)]
}

/// The whole is the story with a collector that is optimized: what it prints are the figures.
fn bombs(extent: Extent) -> Vec<Program> {
    // One after the other: each measures what its collector takes.
    let stride = if extent == Extent::Slice { "4" } else { "1" };
    let story = story("collector_bombs").args("--nocapture --test-threads=1");
    let story = story.variable("STORY_BOMBS_STRIDE", stride);
    match extent {
        Extent::Slice => vec![story],
        Extent::Whole => vec![story.variable("STORY_PROFILE", "release")],
    }
}

fn story(name: &str) -> Program {
    let tests = Program::cargo("test --package bugsage-tests --test stories --locked");
    tests.arg("--").arg(name)
}

fn sanitizers(root: &Path) -> Vec<Program> {
    let target = ci::target(root).join("asan");
    let asan = Program::cargo("test --package bugsage-sdk --lib --locked --target")
        .arg(TARGET)
        .arg("--")
        .args(UNSAFE_TESTS)
        .variable("RUSTC_BOOTSTRAP", "1")
        .variable("RUSTFLAGS", "-Zsanitizer=address")
        // Clients are leaked on purpose: a thread may be inside one at any time.
        .variable("ASAN_OPTIONS", "detect_leaks=0")
        .variable("CARGO_TARGET_DIR", target);
    let valgrind = Program::cargo("test --package bugsage-sdk --lib --locked --")
        .args(VALGRIND_TESTS)
        .arg("--test-threads=1")
        .variable(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
            "valgrind --quiet --error-exitcode=9 --leak-check=no",
        );
    vec![asan, valgrind]
}

fn fuzz(root: &Path, seconds_each: u32) -> Vec<Program> {
    let target = ci::target(root).join("fuzz");
    let build = Program::cargo("build --release --locked --manifest-path fuzz/Cargo.toml --target")
        .arg(TARGET)
        .variable("RUSTC_BOOTSTRAP", "1")
        .variable("RUSTFLAGS", FUZZ_FLAGS)
        .variable("CARGO_TARGET_DIR", &target);
    let mut programs = vec![build];
    for (name, length_max) in FUZZ_TARGETS {
        let learnt = target.join("corpus").join(name);
        let found = target.join(format!("found-{name}-"));
        let binary = target.join(TARGET).join("release").join(name);
        // Made by the shell, since libFuzzer wants its folder to be there.
        let script = format!(
            "mkdir -p '{learnt}' && exec '{binary}' -max_total_time={seconds_each} \
             -max_len={length_max} -rss_limit_mb=2048 -timeout=10 -verbosity=0 -print_final_stats=1 \
             -artifact_prefix='{found}' '{learnt}' 'fuzz/seeds/{name}'",
            learnt = learnt.display(),
            binary = binary.display(),
            found = found.display(),
        );
        programs.push(Program::new("sh", "-c").arg(&script));
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proof_has_programs_in_both_extents() {
        for (name, proof) in NAMES {
            for extent in [Extent::Slice, Extent::Whole] {
                let programs = programs(Path::new("/checkout"), *proof, extent);
                assert!(!programs.is_empty(), "{name} proves nothing");
            }
        }
    }

    #[test]
    fn every_fuzz_target_has_seeds() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        for (name, _) in FUZZ_TARGETS {
            assert!(fuzz.join("targets").join(format!("{name}.rs")).is_file());
            let seeds = std::fs::read_dir(fuzz.join("seeds").join(name));
            assert!(
                seeds.is_ok_and(|mut seeds| seeds.next().is_some()),
                "{name}"
            );
        }
    }
}
