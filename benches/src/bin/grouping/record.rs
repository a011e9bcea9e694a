//! Makes the corpus: builds its programs in every way that people build them, runs them, and keeps what was
//! reported without what says on which machine that was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bugsage_benches::recorded;
use bugsage_core::batch::BatchBuilder;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, Run};
use bugsage_core::id::{BatchId, EventId, RunId};
use bugsage_core::stacktrace::{Frame, Module, StackTrace};

use crate::corpus::{self, BUILT_IN, Build};
use crate::printed;

/// All builds that are kept.
const BUILDS: &[&str] = &[
    "shop.debug.legacy",
    "shop.debug.v0",
    "shop.lines.legacy",
    "shop.lines.v0",
    "shop.release.legacy",
    "shop.release.v0",
    "shop.thin.legacy",
    "shop.thin.v0",
    "shop.small.legacy",
    "shop.small.v0",
    "shop.debug.legacy.drift",
    "shop.lines.legacy.drift",
    "shop.lines.v0.drift",
    "shop.debug.legacy.renamed",
    "shop.lines.legacy.renamed",
    "plain.debug.legacy",
    "plain.lines.legacy",
    "plain.release.legacy",
    "plain.debug.legacy.rust163",
    "plain.lines.legacy.rust163",
    "plain.debug.legacy.rust185",
    "plain.lines.legacy.rust185",
    "plain.debug.legacy.rust197",
    "plain.lines.legacy.rust197",
];

/// Other compilers, by the variant that they build, and where they are named.
const COMPILERS: &[(&str, &str, &str)] = &[
    (
        "rust163",
        "BUGSAGE_RUSTC_163",
        "Debian 12: the package rustc",
    ),
    (
        "rust185",
        "BUGSAGE_RUSTC_185",
        "Debian 12: the package rustc-web",
    ),
    (
        "rust197",
        "BUGSAGE_RUSTC_197",
        "rustup toolchain install nightly-2026-05-20",
    ),
];

/// Locals that the variant `renamed` calls otherwise: of another length, so that columns change too.
const RENAMED: &[(&str, &str)] = &[
    ("basket", "shopping_cart"),
    ("shelves", "rack"),
    ("boxes", "cartons"),
    ("number", "n"),
    ("text", "input"),
];

pub(crate) fn all(root: &Path, folder: &Path) -> anyhow::Result<()> {
    BUILDS.iter().try_for_each(|build| one(root, folder, build))
}

pub(crate) fn one(root: &Path, folder: &Path, name: &str) -> anyhow::Result<()> {
    let kept = folder.join("events");
    fs::create_dir_all(&kept)?;
    record(root, folder, name, &kept)
}

/// Records a build anew, and tells whether its bugs are the same and have the fingerprints of what is kept.
pub(crate) fn compare(root: &Path, folder: &Path, name: &str) -> anyhow::Result<()> {
    let again = root.join("target/corpus/again");
    let _ = fs::remove_dir_all(&again);
    fs::create_dir_all(&again)?;
    record(root, folder, name, &again)?;
    let fingerprints = |events: &Path| -> anyhow::Result<Vec<String>> {
        let samples = corpus::read_build(folder, &events.join(format!("{name}.batches")))?;
        let lines = samples.iter().map(|it| {
            let of = &it.group(true).fingerprints;
            let of: Vec<String> = of.iter().map(ToString::to_string).collect();
            let (bug, number) = (&it.bug, it.number);
            format!(
                "{bug} by {} {} {number}: {}",
                it.shown_by,
                it.way,
                of.join(" ")
            )
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        Ok(lines)
    };
    let (kept, now) = (fingerprints(&folder.join("events"))?, fingerprints(&again)?);
    let differ = kept
        .iter()
        .filter(|it| !now.contains(it))
        .map(|it| format!("- {it}"));
    let differ = differ.chain(
        now.iter()
            .filter(|it| !kept.contains(it))
            .map(|it| format!("+ {it}")),
    );
    let differ: Vec<String> = differ.collect();
    ensure!(
        differ.is_empty(),
        "{name} is not what is kept: look why, or keep it with `cargo xtask grouping --record {name}`\n{}",
        differ.join("\n")
    );
    println!("{name}: {} events are as they are kept", kept.len());
    Ok(())
}

/// Records a build into a folder.
fn record(root: &Path, folder: &Path, name: &str, kept: &Path) -> anyhow::Result<()> {
    let build = Build::parse(name).filter(|_| BUILDS.contains(&name));
    let build = build.with_context(|| format!("no build is {name}: {}", BUILDS.join(", ")))?;
    let work = root.join("target/corpus");
    let source = source(root, folder, &work, &build.variant)?;
    let events = match &*build.program {
        "plain" => printed_by(&source, &work, &build)?,
        _ => reported_by(&source, &work, &build)?,
    };
    let count = events.len();
    fs::write(
        kept.join(format!("{name}.batches")),
        pack(root, &work, events),
    )?;
    println!("{name}: {count} events");
    Ok(())
}

/// What the SDK reports.
fn reported_by(source: &Path, work: &Path, build: &Build) -> anyhow::Result<Vec<Event>> {
    let program = compile(source, work, build)?;
    let recorded = work.join(format!("{}.recorded", build.name()));
    let status = Command::new(&program)
        .arg(&recorded)
        .env_remove("BUGSAGE_DSN")
        .env("RUST_BACKTRACE", "0")
        .stderr(fs::File::create(recorded.with_extension("stderr"))?)
        .status()?;
    ensure!(status.success(), "{} ends with {status}", program.display());
    recorded::events(&recorded)
}

/// What std prints, by whatever compiler the variant names.
fn printed_by(source: &Path, work: &Path, build: &Build) -> anyhow::Result<Vec<Event>> {
    let other = COMPILERS
        .iter()
        .find(|(variant, ..)| *variant == build.variant);
    let rustc = match other {
        Some((_, variable, where_from)) => std::env::var(variable).with_context(|| {
            format!(
                "{} needs another compiler: name it in {variable} ({where_from})",
                build.name()
            )
        })?,
        None => "rustc".to_owned(),
    };
    let program = work.join(build.name());
    let mut words = rustc.split_whitespace();
    let mut command = Command::new(words.next().context("no compiler is named")?);
    command
        .args(words)
        .args(["--edition", "2021", "--crate-name", "corpus_plain"])
        // Some bugs need the SDK to be shown.
        .args(["-A", "dead_code"])
        .args([
            "--remap-path-prefix",
            &format!("{}={BUILT_IN}", source.display()),
        ])
        .arg("-o")
        .arg(&program)
        .arg("plain/src/main.rs")
        .current_dir(source);
    match &*build.profile {
        "debug" => command.args(["-C", "debuginfo=2"]),
        "lines" => command.args(["-O", "-C", "debuginfo=1"]),
        _ => command.args(["-O", "-C", "strip=debuginfo"]),
    };
    ensure!(
        command.status()?.success(),
        "{} does not build",
        build.name()
    );
    let output = Command::new(&program)
        .env("RUST_BACKTRACE", "full")
        .output()?;
    ensure!(
        output.status.success(),
        "{} ends with {}",
        build.name(),
        output.status
    );
    Ok(printed::events(&String::from_utf8_lossy(&output.stderr)))
}

/// The source as the variant has it, in a folder of its own.
fn source(root: &Path, folder: &Path, work: &Path, variant: &str) -> anyhow::Result<PathBuf> {
    let copy = work.join(format!("source-{variant}"));
    let _ = fs::remove_dir_all(&copy);
    copy_folder(folder, &copy, &|path, text| {
        if path.ends_with("shop/Cargo.toml") {
            let sdk = root.join("bugsage-sdk");
            return text.replace("../../../bugsage-sdk", &sdk.to_string_lossy());
        }
        match path.extension().is_some_and(|it| it == "rs") {
            true => varied(text, variant),
            false => text,
        }
    })?;
    Ok(copy)
}

fn copy_folder(
    from: &Path,
    to: &Path,
    change: &dyn Fn(&Path, String) -> String,
) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name == "events" || name == "target" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_folder(&path, &to.join(name), change)?;
        } else {
            let text = fs::read_to_string(&path)?;
            fs::write(to.join(name), change(&path, text))?;
        }
    }
    Ok(())
}

/// A file as the variant has it.
pub(crate) fn varied(text: String, variant: &str) -> String {
    match variant {
        "drift" => drifted(&text),
        "renamed" => renamed(&text),
        _ => text,
    }
}

/// Lines before every function, more with each.
fn drifted(text: &str) -> String {
    let mut functions = 0;
    let lines = text.lines().map(|line| {
        let is_function = ["fn ", "pub fn ", "pub async fn ", "async fn "];
        if !is_function.iter().any(|begin| line.starts_with(begin)) {
            return format!("{line}\n");
        }
        functions += 1;
        format!(
            "{}{line}\n",
            "// What came later.\n".repeat(functions % 5 + 1)
        )
    });
    lines.collect()
}

/// Locals by other names, where they stand as words.
fn renamed(text: &str) -> String {
    let mut renamed = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let other = RENAMED.iter().find(|(name, _)| *name == word);
        renamed.push_str(other.map_or(&word, |(_, other)| other));
        word.clear();
        renamed.push(c);
    }
    renamed.pop();
    renamed
}

fn compile(source: &Path, work: &Path, build: &Build) -> anyhow::Result<PathBuf> {
    let target = work.join(format!("target-{}", build.mangling));
    let mut flags = vec![
        // What was built where tells nothing about a bug.
        format!("--remap-path-prefix={}={BUILT_IN}", source.display()),
    ];
    if let Some(home) = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
    {
        flags.push(format!(
            "--remap-path-prefix={}=/home/dev/.cargo",
            home.display()
        ));
    }
    if build.mangling == "v0" {
        flags.push("-Csymbol-mangling-version=v0".to_owned());
    }
    let package = format!("corpus-{}", build.program);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--locked", "--package", &package])
        .current_dir(source)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let folder = match &*build.profile {
        "debug" => "debug",
        profile => {
            cargo.args(["--profile", profile]);
            profile
        }
    };
    ensure!(
        cargo.status()?.success(),
        "{package} does not build as {}",
        build.name()
    );
    Ok(target.join(folder).join(package))
}

/// The events in batches, without the machine, and with ids and times by their order: to record them again
/// changes only what the programs show.
fn pack(root: &Path, work: &Path, events: Vec<Event>) -> Vec<u8> {
    let cleaner = Cleaner {
        hidden: [work.to_string_lossy(), root.to_string_lossy()].map(|path| path.into_owned()),
    };
    let mut bytes = Vec::new();
    let mut batch = BatchBuilder::new();
    for (at, event) in events.into_iter().enumerate() {
        if !batch.fits(64 << 10) {
            put(&mut bytes, std::mem::take(&mut batch));
        }
        batch.push(&cleaner.clean(event, at as u64));
    }
    put(&mut bytes, batch);
    bytes
}

fn put(bytes: &mut Vec<u8>, batch: BatchBuilder) {
    if batch.is_empty() {
        return;
    }
    let sealed = batch.seal(BatchId::new(Timestamp(0), [0; 10]));
    bytes.extend_from_slice(&(sealed.bytes.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&sealed.bytes);
}

struct Cleaner {
    /// Folders of this machine.
    hidden: [String; 2],
}

impl Cleaner {
    fn clean(&self, event: Event, number: u64) -> Event {
        let run = Run {
            id: RunId::from_bytes([1; 16]),
            started_at: Timestamp(0),
            ..Run::clone(&event.run)
        };
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        Event {
            id: EventId::from_bytes(id),
            run: Arc::new(run),
            first_at: Timestamp(number),
            last_at: Timestamp(number),
            deltas_us: Vec::new(),
            breadcrumbs: Vec::new(),
            spans: Vec::new(),
            contexts: Vec::new(),
            trace: None,
            stack: event
                .stack
                .as_deref()
                .map(|stack| Arc::new(self.stack(stack))),
            ..event
        }
    }

    fn stack(&self, stack: &StackTrace) -> StackTrace {
        let frames = stack.frames.iter().map(|frame| {
            Arc::new(Frame {
                file: frame.file.as_deref().map(|file| self.path(file).into()),
                module: frame.module.as_deref().map(|module| {
                    let name = module.path.rsplit('/').next().unwrap_or_default();
                    Arc::new(Module {
                        path: name.into(),
                        build_id: "".into(),
                        base: 0,
                        size: module.size,
                    })
                }),
                ..Frame::clone(frame)
            })
        });
        StackTrace {
            frames: frames.collect(),
            symbolicated: stack.symbolicated,
        }
    }

    fn path(&self, path: &str) -> String {
        let hidden = self
            .hidden
            .iter()
            .find_map(|hidden| path.strip_prefix(&**hidden));
        hidden.map_or_else(|| path.to_owned(), |rest| format!("/home/dev{rest}"))
    }
}
