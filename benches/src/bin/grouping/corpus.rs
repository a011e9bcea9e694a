//! The events of the corpus, each with the bug that it really shows.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use bugsage_benches::recorded;
use bugsage_core::event::Event;
use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::source::{Functions, NoSources, Sources};
use bugsage_core::fingerprint::{self, Explanation, Grouping};

use crate::record;

/// How a program was built, as the name of its file says: `PROGRAM.PROFILE.MANGLING[.VARIANT]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Build {
    pub(crate) program: String,
    pub(crate) profile: String,
    pub(crate) mangling: String,
    /// What was done to the source before: `base` is nothing.
    pub(crate) variant: String,
}

impl Build {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.').map(str::to_owned);
        let build = Self {
            program: parts.next()?,
            profile: parts.next()?,
            mangling: parts.next()?,
            variant: parts.next().unwrap_or_else(|| "base".to_owned()),
        };
        parts.next().is_none().then_some(build)
    }

    pub(crate) fn name(&self) -> String {
        let Self {
            program,
            profile,
            mangling,
            variant,
        } = self;
        match &**variant {
            "base" => format!("{program}.{profile}.{mangling}"),
            _ => format!("{program}.{profile}.{mangling}.{variant}"),
        }
    }
}

/// A report of a bug that is known.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) build: Build,
    /// The bug: what counts.
    pub(crate) bug: String,
    /// The function that showed it: several may show one bug.
    pub(crate) shown_by: String,
    /// What led there.
    pub(crate) way: String,
    /// How many samples of the same build, function and way stand before it.
    pub(crate) number: usize,
    /// The files that were built.
    pub(crate) sources: Arc<Files>,
    /// What was reported, without the truth.
    pub(crate) event: Event,
}

impl Sample {
    /// What our rules say of it.
    pub(crate) fn group(&self, has_source: bool) -> Grouping {
        let rules = Rules::default();
        match has_source {
            true => fingerprint::group(&self.event, &mut &*self.sources, &rules),
            false => fingerprint::group(&self.event, &mut NoSources, &rules),
        }
    }

    /// Why they say so.
    pub(crate) fn explain(&self) -> Explanation {
        fingerprint::explain(&self.event, &mut &*self.sources, &Rules::default())
    }
}

/// All samples, build by build in the order of their names.
pub(crate) fn read(corpus: &Path) -> anyhow::Result<Vec<Sample>> {
    let folder = corpus.join("events");
    let entries = fs::read_dir(&folder)
        .with_context(|| format!("{} cannot be read: record it", folder.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    let mut samples: Vec<Sample> = Vec::new();
    for path in paths {
        samples.extend(read_build(corpus, &path)?);
    }
    ensure!(
        !samples.is_empty(),
        "{} is empty: record it",
        folder.display()
    );
    Ok(samples)
}

/// The samples of one build, whose file may lie anywhere.
pub(crate) fn read_build(corpus: &Path, path: &Path) -> anyhow::Result<Vec<Sample>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let build = name.and_then(|name| Build::parse(name.strip_suffix(".batches")?));
    let build = build.with_context(|| format!("{} is named for no build", path.display()))?;
    let files = Arc::new(Files::new(corpus, &build.variant));
    let mut samples: Vec<Sample> = Vec::new();
    for event in recorded::events(path)? {
        samples.push(sample(&build, event, &files)?);
        if let Some((last, before)) = samples.split_last_mut() {
            let is_same =
                |other: &&Sample| (&other.shown_by, &other.way) == (&last.shown_by, &last.way);
            last.number = before.iter().rev().take(64).filter(is_same).count();
        }
    }
    Ok(samples)
}

fn sample(build: &Build, mut event: Event, files: &Arc<Files>) -> anyhow::Result<Sample> {
    let mut take = |name: &str| {
        let at = event.tags.iter().position(|(known, _)| &**known == name);
        let at = at.with_context(|| format!("an event of {} has no {name}", build.name()))?;
        anyhow::Ok(event.tags.remove(at).1.to_string())
    };
    let (bug, shown_by, way) = (take("bug")?, take("shown_by")?, take("way")?);
    Ok(Sample {
        build: build.clone(),
        bug: format!("{}::{bug}", build.program),
        shown_by,
        way,
        number: 0,
        sources: files.clone(),
        event,
    })
}

/// The folder that the programs of the corpus are built in, as their frames tell it.
pub(crate) const BUILT_IN: &str = "/home/dev/shop";

/// Files of the corpus as who has the repository finds them, each read once.
pub(crate) struct Files {
    corpus: PathBuf,
    variant: String,
    known: Mutex<HashMap<String, Option<Arc<Functions>>>>,
}

impl Files {
    pub(crate) fn new(corpus: &Path, variant: &str) -> Self {
        Self {
            corpus: corpus.to_owned(),
            variant: variant.to_owned(),
            known: Mutex::default(),
        }
    }
}

impl Sources for &Files {
    fn functions(&mut self, file: &str) -> Option<Arc<Functions>> {
        let path = file.strip_prefix(BUILT_IN).unwrap_or(file);
        let path = path.trim_start_matches('/');
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let text = fs::read_to_string(self.corpus.join(path)).ok()?;
            let text = record::varied(text, &self.variant);
            Some(Arc::new(Functions::read(&text)))
        };
        let functions = known.entry(path.to_owned());
        functions.or_insert_with(read).clone()
    }
}
