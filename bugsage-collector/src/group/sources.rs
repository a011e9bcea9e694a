//! The source of what ran, as the repositories of projects have it: it names the functions that debug information
//! does not.
//!
//! ```text
//! batch ─► what is known ─► at once
//!     └─► one thread that asks git ─► within the batch's patience, else for the next one
//! ```
//!
//! Only a commit that is known for sure counts: a release that names it, or the tag of its version. Grouping goes on
//! without what is not there in time.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bugsage_core::event::Text;
use bugsage_core::fingerprint::source::{Functions, Sources};
use bugsage_pipeline::evidence::BuiltSource;

/// How long a batch waits for git altogether. To find a commit and read a file of it takes some 30 ms.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a command waits altogether.
const PATIENCE_OF_COMMANDS: Duration = Duration::from_secs(60);

/// Files that are asked for at a time. Beyond that nobody waits long enough.
const ASKED_MAX: usize = 64;

/// Files that one project may ask git for in a minute: so many are in a large release, and whoever makes names up
/// does not keep the others from theirs.
const ASKED_A_MINUTE: u32 = 600;

/// Releases whose lists of files are remembered. One takes some 200 bytes a file.
const BUILDS_MAX: usize = 16;

/// What all files that are remembered may take.
const FILES_BYTES_MAX: usize = 64 << 20;

/// Files that are remembered, those among them that are not there.
const FILES_MAX: usize = 50_000;

/// How long a release that the repository does not have, or a repository that cannot be read, is not asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

const MINUTE: Duration = Duration::from_secs(60);

/// Sources of all projects. Reading goes on in a thread of its own, which ends with this.
pub struct SourceCache {
    known: Arc<Mutex<Known>>,
    ask: SyncSender<Ask>,
}

#[derive(Default)]
struct Known {
    files: HashMap<Key, Remembered>,
    bytes: usize,
    /// By repository: since when it is counted, and how many files were asked for.
    asked: HashMap<Arc<str>, (Instant, u32)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    repository: Arc<str>,
    release: Text,
    file: Text,
}

struct Remembered {
    functions: Option<Arc<Functions>>,
    /// What is not there now may come.
    until: Option<Instant>,
}

struct Ask {
    key: Key,
    answer: SyncSender<Option<Arc<Functions>>>,
}

impl Default for SourceCache {
    fn default() -> Self {
        let known: Arc<Mutex<Known>> = Arc::default();
        let (ask, asked) = mpsc::sync_channel(ASKED_MAX);
        let worker = known.clone();
        // Where no thread can be had, nothing is found: the channel is closed.
        let _ = thread::Builder::new()
            .name("sources".to_owned())
            .spawn(move || answer(&asked, &worker));
        Self { known, ask }
    }
}

impl SourceCache {
    fn find(&self, key: Key, patience: &mut Duration) -> Option<Arc<Functions>> {
        let now = Instant::now();
        {
            let mut known = lock(&self.known);
            if let Some(found) = known.get(&key, now) {
                return found;
            }
            if patience.is_zero() || !known.may_ask(&key.repository, now) {
                return None;
            }
        }
        let (answer, answered) = mpsc::sync_channel(1);
        self.ask.try_send(Ask { key, answer }).ok()?;
        let found = answered.recv_timeout(*patience);
        *patience = patience.saturating_sub(now.elapsed());
        found.ok().flatten()
    }
}

impl Known {
    /// What is remembered of a file: `None` where nothing is.
    fn get(&self, key: &Key, now: Instant) -> Option<Option<Arc<Functions>>> {
        let remembered = self.files.get(key)?;
        let is_over = remembered.until.is_some_and(|until| until <= now);
        (!is_over).then(|| remembered.functions.clone())
    }

    fn may_ask(&mut self, repository: &Arc<str>, now: Instant) -> bool {
        self.asked
            .retain(|_, (since, _)| now.duration_since(*since) < MINUTE);
        let (_, asked) = self.asked.entry(repository.clone()).or_insert((now, 0));
        *asked += 1;
        *asked <= ASKED_A_MINUTE
    }

    fn remember(&mut self, key: Key, functions: Option<Arc<Functions>>, until: Option<Instant>) {
        if self.bytes > FILES_BYTES_MAX || self.files.len() >= FILES_MAX {
            *self = Self {
                asked: std::mem::take(&mut self.asked),
                ..Self::default()
            };
        }
        self.bytes += functions.as_ref().map_or(0, |it| it.size_bytes());
        self.files.insert(key, Remembered { functions, until });
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A release of a repository, as far as it is there, and until when that is believed.
type Builds = HashMap<(Arc<str>, Text), (Option<BuiltSource>, Option<Instant>)>;

/// Answers until nobody can ask any more.
fn answer(asked: &Receiver<Ask>, known: &Mutex<Known>) {
    let mut builds = Builds::new();
    while let Ok(Ask { key, answer }) = asked.recv() {
        let remembered = lock(known).get(&key, Instant::now());
        let found = remembered.unwrap_or_else(|| {
            let (functions, until) = read(&key, &mut builds);
            lock(known).remember(key, functions.clone(), until);
            functions
        });
        // Whoever has asked may have gone on without.
        let _ = answer.try_send(found);
    }
}

fn read(key: &Key, builds: &mut Builds) -> (Option<Arc<Functions>>, Option<Instant>) {
    let now = Instant::now();
    let failed = |error: &dyn std::fmt::Display| {
        tracing::warn!(repository = %key.repository, %error, "bugs are grouped without the source");
        Some(now + ASK_AGAIN)
    };
    let of = (key.repository.clone(), key.release.clone());
    builds.retain(|_, (_, until)| until.is_none_or(|until| until > now));
    if !builds.contains_key(&of) {
        if builds.len() >= BUILDS_MAX {
            builds.clear();
        }
        let build = match BuiltSource::of_release(&key.repository, &key.release) {
            Ok(Some(source)) => (Some(source), None),
            Ok(None) => (None, Some(now + ASK_AGAIN)),
            Err(error) => (None, failed(&error)),
        };
        builds.insert(of.clone(), build);
    }
    match builds.get(&of) {
        Some((Some(source), _)) => match source.text(&key.file) {
            Ok(text) => (text.map(|text| Arc::new(Functions::read(&text))), None),
            Err(error) => (None, failed(&error)),
        },
        Some((None, until)) => (None, *until),
        None => (None, None),
    }
}

/// The sources of events of a project, one event after the other.
pub struct EventSources<'a> {
    cache: &'a SourceCache,
    repository: Option<&'a Arc<str>>,
    release: Option<Text>,
    patience: Duration,
    /// Of the release at hand.
    known: HashMap<String, Option<Arc<Functions>>>,
}

impl<'a> EventSources<'a> {
    /// Those of a batch, or of a page: nobody waits for them for long.
    pub fn new(cache: &'a SourceCache, repository: Option<&'a Arc<str>>) -> Self {
        Self {
            cache,
            repository,
            release: None,
            patience: PATIENCE,
            known: HashMap::new(),
        }
    }

    /// Those of a command, which rather takes longer than does without.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.patience = PATIENCE_OF_COMMANDS;
        self
    }

    /// These are of a release now.
    pub fn of(&mut self, release: Option<&Text>) {
        if self.release.as_ref() != release {
            self.release = release.cloned();
            self.known.clear();
        }
    }
}

impl Sources for EventSources<'_> {
    fn functions(&mut self, file: &str) -> Option<Arc<Functions>> {
        let (repository, release) = (self.repository?, self.release.as_ref()?);
        if let Some(known) = self.known.get(file) {
            return known.clone();
        }
        let key = Key {
            repository: repository.clone(),
            release: release.clone(),
            file: file.into(),
        };
        let found = self.cache.find(key, &mut self.patience);
        self.known.insert(file.to_owned(), found.clone());
        found
    }
}
