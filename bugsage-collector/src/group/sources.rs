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
use bugsage_pipeline::repository::RepositoryError;

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

/// A release, if it is there, and until when that is believed.
type Build = (Option<BuiltSource>, Option<Instant>);

/// What the thread that asks git remembers.
#[derive(Default)]
struct Asked {
    /// By repository and release.
    builds: HashMap<(Arc<str>, Text), Build>,
    /// Repositories that could not be read, and until when they are left alone: one that hangs takes half a minute
    /// for each question.
    broken: HashMap<Arc<str>, Instant>,
}

/// Answers until nobody can ask any more.
fn answer(asked: &Receiver<Ask>, known: &Mutex<Known>) {
    let mut memory = Asked::default();
    while let Ok(Ask { key, answer }) = asked.recv() {
        let remembered = lock(known).get(&key, Instant::now());
        let found = remembered.unwrap_or_else(|| {
            let (functions, until) = memory.read(&key);
            lock(known).remember(key, functions.clone(), until);
            functions
        });
        // Whoever has asked may have gone on without.
        let _ = answer.try_send(found);
    }
}

impl Asked {
    /// The functions of a file, and until when it is believed that they are these.
    fn read(&mut self, key: &Key) -> (Option<Arc<Functions>>, Option<Instant>) {
        let now = Instant::now();
        self.builds
            .retain(|_, (_, until)| until.is_none_or(|until| until > now));
        self.broken.retain(|_, until| *until > now);
        if let Some(until) = self.broken.get(&key.repository) {
            return (None, Some(*until));
        }
        let read = self.try_read(key, now);
        read.unwrap_or_else(|error| {
            let repository = &key.repository;
            tracing::warn!(%repository, %error, "bugs are grouped without the source");
            let until = now + ASK_AGAIN;
            self.broken.insert(repository.clone(), until);
            (None, Some(until))
        })
    }

    fn try_read(
        &mut self,
        key: &Key,
        now: Instant,
    ) -> Result<(Option<Arc<Functions>>, Option<Instant>), RepositoryError> {
        let of = (key.repository.clone(), key.release.clone());
        if !self.builds.contains_key(&of) {
            if self.builds.len() >= BUILDS_MAX {
                self.builds.clear();
            }
            let source = BuiltSource::of_release(&key.repository, &key.release)?;
            // What is not there may be fetched.
            let until = source.is_none().then(|| now + ASK_AGAIN);
            self.builds.insert(of.clone(), (source, until));
        }
        match self.builds.get(&of) {
            Some((Some(source), _)) => {
                let text = source.text(&key.file)?;
                Ok((text.map(|text| Arc::new(Functions::read(&text))), None))
            }
            Some((None, until)) => Ok((None, *until)),
            None => Ok((None, None)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(cache: &SourceCache, repository: &str, release: Option<&str>) -> Option<()> {
        let repository: Arc<str> = repository.into();
        let mut sources = EventSources::new(cache, Some(&repository)).patient();
        sources.of(release.map(Text::from).as_ref());
        sources.functions("src/main.rs").map(drop)
    }

    #[test]
    fn a_repository_that_cannot_be_read_is_left_alone_for_a_while() {
        let cache = SourceCache::default();
        let missing = "/nonexistent/repository";
        for number in 0..3 {
            let release = format!("shop@1.0.{number}");
            assert!(functions(&cache, missing, Some(&release)).is_none());
        }
        let known = lock(&cache.known);
        let untils: Vec<_> = known.files.values().map(|it| it.until).collect();
        assert_eq!(untils.len(), 3);
        assert!(untils[0].is_some() && untils.iter().all(|it| *it == untils[0]));
    }

    #[test]
    fn nobody_is_asked_without_a_release_or_too_often() {
        let cache = SourceCache::default();
        assert!(functions(&cache, "/nonexistent", None).is_none());
        assert!(lock(&cache.known).asked.is_empty());

        let repository: Arc<str> = "/nonexistent".into();
        let (mut known, now) = (Known::default(), Instant::now());
        let asked = (0..ASKED_A_MINUTE + 5).filter(|_| known.may_ask(&repository, now));
        assert_eq!(asked.count(), ASKED_A_MINUTE as usize);
        assert!(known.may_ask(&"/other".into(), now), "others may");
        assert!(known.may_ask(&repository, now + MINUTE));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = Known::default();
        let key = |number: usize| Key {
            repository: "/shop".into(),
            release: "shop@1.0.0".into(),
            file: format!("src/{number}.rs").into(),
        };
        for number in 0..FILES_MAX + 1 {
            known.remember(key(number), None, None);
        }
        assert_eq!(known.files.len(), 1);
        let large = Arc::new(Functions::read(&"fn f() { f() }\n".repeat(200_000)));
        let (mut kept, mut most) = (Known::default(), 0);
        for number in 0..100 {
            kept.remember(key(number), Some(large.clone()), None);
            most = most.max(kept.bytes);
        }
        assert!(most <= FILES_BYTES_MAX + large.size_bytes(), "{most} bytes");
    }
}
