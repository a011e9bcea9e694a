//! What was captured outlives the process: a folder on disk that the next start empties.
//!
//! ```text
//! <spool>/<hash of the DSN>/<run id>/   0700, locked while its run lives
//!         records                        0600, mapped: header, counters, books, records, folds
//!         about                          release, environment, contexts, modules
//!         <number>.batch                 sealed, not acknowledged yet
//! ```
//!
//! Capturing threads write into the mapping ([`layout`], [`crate::queue`], [`crate::fold`]); all
//! else is the shipping thread's work. A run that is over, however it ended, has left its lock: any
//! later process of the same DSN takes the folder over and ships what is in it ([`dead`]).
//!
//! # Once, whatever is killed when
//!
//! 1. A record is published: state word last, length and checksum before it.
//! 2. Folds of the reports that go into batch *n* are closed; their counts stay where they are.
//! 3. The slots of these reports are assigned to *n*. Nothing counts yet.
//! 4. Batch *n* is written under another name and renamed.
//! 5. The books are changed: last batch *n*, and with it what was dropped on the way ([`books`]).
//!    **Storing one word makes all of this true at once.** A file with a higher number than the books
//!    know was never sent: recovery deletes it and packs its records again.
//! 6. Slots and folds are freed. Recovery passes by those that are assigned to *n* or less.
//! 7. The batch is sent, as often as it takes, always the same bytes: the collector counts it once.
//! 8. The answer is booked: delivered or dropped, and *n* is done with. One word again.
//! 9. The file is deleted. Recovery deletes it where the books say that it is done with.
//!
//! Whoever recovers does the same with the same words, so it may be killed at any step too. What
//! was produced and is found nowhere (a thread was killed between counting a report and publishing
//! it, or a file was damaged) is counted as `spool_corrupt`. Event ids are in the records, so even
//! a report that was delivered from memory, on a disk too full for step 4, counts once.
//!
//! Never: a mapping of a file that somebody else made, a link followed, a wait in the hook.

pub(crate) mod layout;
pub(crate) mod books;
pub(crate) mod hours;
pub(crate) mod about;
pub(crate) mod folder;
pub(crate) mod dead;
pub(crate) mod fault;
mod sys;

use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Ended, Run, Text};
use bugsage_core::id::RunId;
use bugsage_core::limits;

use about::About;
use folder::RunFolder;
use layout::{ENDED_AT, Header, Memory, STARTED_AT, Words};

use crate::queue;
use crate::ship::carrier::Destination;

/// How many runs a start looks at; each start has trimmed what was there before it.
const LOOKED_AT_MAX: usize = 8;

/// How this run ended, as it says itself; it runs as long as it says nothing.
pub(crate) fn ended_of(words: &Words) -> Ended {
    Ended::of_number(words.load(ENDED_AT)).unwrap_or(Ended::Unknown)
}

/// How a run ended that is over: one that says nothing was killed.
pub(crate) fn ended_of_dead(words: &Words) -> Ended {
    match ended_of(words) {
        Ended::Running => Ended::Killed,
        ended => ended,
    }
}

/// The run of this program before this one. See [`last_run`](crate::last_run).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// The run's id, as its events carry it.
    pub id: RunId,
    /// What was built, where the app told it.
    pub release: Option<Text>,
    /// When the SDK was initialized.
    pub started_at: Timestamp,
    /// How it ended.
    pub ended: Ended,
}

/// What the app has set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Whether there shall be a spool.
    pub(crate) is_on: bool,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) bytes_max: u64,
    pub(crate) age_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            is_on: true,
            folder: None,
            bytes_max: limits::SPOOL_BYTES_DEFAULT,
            age_max: Duration::from_secs(limits::SPOOL_DAYS_DEFAULT * 86_400),
        }
    }
}

/// What a start found and made.
pub(crate) struct Opened {
    /// What capturing threads write into; `None` where it cannot be a file.
    memory: Option<Memory>,
    /// This run's folder, where there is a spool.
    pub(crate) own: Option<RunFolder>,
    /// Where all runs of this DSN lie.
    pub(crate) home: Option<PathBuf>,
    pub(crate) last: Option<LastRun>,
}

/// Opens the spool. Where that cannot be there is memory, and the reason why.
///
/// What one app leaves must not be sent by another to its own project, so each destination has a
/// folder of its own.
pub(crate) fn open(
    settings: &Settings,
    destination: &Destination,
    about: &About,
) -> (Opened, Option<io::Error>) {
    let mut opened = Opened {
        memory: None,
        own: None,
        home: None,
        last: None,
    };
    let failure = if settings.is_on {
        open_files(settings, destination, about, &mut opened).err()
    } else {
        None
    };
    (opened, failure)
}

impl Opened {
    /// What capturing threads write into.
    pub(crate) fn take_memory(&mut self, started_at: Timestamp) -> Memory {
        self.memory.take().unwrap_or_else(|| {
            let memory = Memory::anonymous();
            let words = Words::Shared(memory.words);
            words.store(STARTED_AT, started_at.0);
            hours::start(&words, hours::hour_of(started_at));
            memory
        })
    }
}

fn open_files(
    settings: &Settings,
    destination: &Destination,
    about: &About,
    opened: &mut Opened,
) -> io::Result<()> {
    let spool = match &settings.folder {
        Some(folder) => folder.clone(),
        None => default_folder().ok_or(io::ErrorKind::NotFound)?,
    };
    if !spool.is_dir() {
        sys::make_folders(&spool)?;
    }
    sys::is_ours(&spool)?;
    let home = spool.join(hashed(destination.identity().as_bytes()));
    match sys::make_folder(&home) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => sys::is_ours(&home)?,
    }
    let runs = folder::runs(&home);
    let newest = runs.iter().rev().take(LOOKED_AT_MAX);
    let dead: Vec<RunFolder> = newest
        .filter_map(|name| RunFolder::take_over(&home, name))
        .collect();
    opened.last = last_run(&home, &dead, &about.executable);
    dead.iter().for_each(trim);
    drop(dead);
    opened.home = Some(home.clone());
    if runs.len() >= limits::SPOOL_RUNS_MAX {
        return Err(io::Error::other("too many runs in it were not recovered"));
    }
    let fill = |folder: &RunFolder, records: &File| {
        let memory = sys::map(records)?;
        let words = Words::Shared(memory.words);
        let header = Header {
            run: about.run.id,
            pid: std::process::id(),
            started_at: about.run.started_at,
        };
        header.write(&words);
        hours::start(&words, hours::hour_of(about.run.started_at));
        folder.write(folder::ABOUT, &about.to_bytes())?;
        Ok(memory)
    };
    let (own, memory) = RunFolder::create(&home, about.run.id, fill)?;
    opened.own = Some(own);
    opened.memory = Some(memory);
    Ok(())
}

/// Gives back what a run that was killed has set aside and not used, so that a thousand of them fit
/// where there would be room for eight.
fn trim(folder: &RunFolder) {
    let words = folder.records().and_then(dead::FileWords::read);
    let Ok(words) = words.map(Words::Dead) else {
        return;
    };
    if Header::read(&words).is_none() {
        return;
    }
    let slots_used = queue::used(&words);
    if let Words::Dead(file) = words {
        file.trim(slots_used);
    }
}

/// Locks runs in a folder that are over, the oldest first, and at most so many.
pub(crate) fn take_over(home: &Path, taken_max: usize) -> Vec<RunFolder> {
    let runs = folder::runs(home);
    let taken = runs
        .iter()
        .filter_map(|name| RunFolder::take_over(home, name));
    taken.take(taken_max).collect()
}

fn default_folder() -> Option<PathBuf> {
    let folder = |name| {
        let path = PathBuf::from(env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("bugsage").join("spool"))
}

/// FNV-1a, twice: the same in every build, and nobody gains by a collision.
fn hashed(bytes: &[u8]) -> String {
    let hash = |basis: u64| {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        bytes.iter().fold(basis, step)
    };
    let (first, second) = (0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142);
    format!("{:016x}{:016x}", hash(first), hash(second))
}

/// The file that tells how the last run of a program ended, once its folder is gone.
fn mark(executable: &str) -> String {
    format!("last-{}", hashed(executable.as_bytes()))
}

/// Notes how a run ended whose folder is about to be removed.
pub(crate) fn leave_mark(home: &Path, about: &About, ended: Ended) {
    let brief = About {
        contexts: Vec::new(),
        modules: Vec::new(),
        ..about.clone()
    };
    let mut bytes = vec![ended.number()];
    bytes.extend_from_slice(&brief.to_bytes());
    // Nobody is told of a last run where this fails.
    let _ = folder::write_whole(home, &mark(&about.executable), &bytes);
}

/// The newest of the runs that are over and that were of this program; `dead` has the newest first.
fn last_run(home: &Path, dead: &[RunFolder], executable: &str) -> Option<LastRun> {
    let left = dead.iter().find_map(|folder| {
        let about = folder
            .read(folder::ABOUT, limits::SPOOL_ABOUT_BYTES_MAX)
            .ok();
        let about = About::from_bytes(&about?)?;
        let words = folder.records().and_then(dead::FileWords::read);
        let words = words.ok().map(Words::Dead);
        let words = words.filter(|words| Header::read(words).is_some());
        let ended = words.map_or(Ended::Unknown, |words| ended_of_dead(&words));
        (about.executable == executable).then(|| LastRun::new(&about.run, ended))
    });
    let path = home.join(mark(executable));
    let marked = folder::read_bounded(&path, limits::SPOOL_ABOUT_BYTES_MAX).ok();
    let marked = marked.and_then(|bytes| {
        let (ended, about) = bytes.split_first()?;
        let about = About::from_bytes(about)?;
        let ended = Ended::of_number((*ended).into()).unwrap_or(Ended::Unknown);
        Some(LastRun::new(&about.run, ended))
    });
    left.into_iter().chain(marked).max_by_key(|run| run.id)
}

impl LastRun {
    fn new(run: &Arc<Run>, ended: Ended) -> Self {
        Self {
            id: run.id,
            release: run.release.clone(),
            started_at: run.started_at,
            ended,
        }
    }
}
