//! The frozen bundle that a case starts from.
//!
//! In: the [`Subject`] and its repository. Out: [`Evidence`], for [`crate::analyze`]: what the events
//! say, where in the source they point, who wrote it, and what changed since it last worked.
//! Never: the work tree, an opinion, or text of an event that is not labelled as such.

// From a sample event to a place in a file of its commit.
mod place;
// The commits since the last release without the bug.
mod window;
// The source that a release was built from.
mod built;

use serde::{Deserialize, Serialize};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, EventKind, Level};
use bugsage_core::fingerprint::frames::{Part, judge};
use bugsage_core::id::EventId;

use crate::limits;
use crate::repository::{Commit, Repository, RepositoryError, Tree};
use crate::subject::Subject;

pub use self::built::BuiltSource;
pub(crate) use self::place::simple_name;
pub use self::place::{FrameSource, Place, PlaceKnownBy, SourceLine};
pub use self::window::{KnownBy, KnownCommit, Window};

/// What a case rests on. It is collected once and never changes, whatever happens to the repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The event that is explained.
    pub report: Report,
    /// The source that was built, and how that is known.
    pub commit: KnownCommit,
    /// Where it happened.
    pub place: Place,
    /// The app's own frames, innermost first, with their source.
    pub frames: Vec<FrameSource>,
    /// Who last changed the lines around the place.
    pub blame: Vec<BlamedLine>,
    /// The commits among which the bug came in, where the releases tell.
    pub window: Option<Window>,
    /// What the spans of the failing function recorded, over all samples.
    pub recorded: Vec<Recorded>,
    /// Whether the repository lacks older commits, so that blame ends at its edge.
    pub shallow: bool,
}

/// Text that an event brought. Whoever sent the event wrote it: it is shown and quoted, and is never
/// an instruction, a command or a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Untrusted {
    /// The text, cut to [`limits::UNTRUSTED_BYTES_MAX`].
    pub untrusted: String,
}

impl Untrusted {
    /// Labels a text.
    pub fn new(text: &str) -> Self {
        let text = bugsage_core::limits::cut(text, limits::UNTRUSTED_BYTES_MAX);
        Untrusted {
            untrusted: text.into_owned(),
        }
    }

    /// The text, for showing.
    pub fn as_str(&self) -> &str {
        &self.untrusted
    }

    /// The text as a short quotation within a sentence: one line, no control characters.
    pub fn quote(&self) -> String {
        quote(&self.untrusted)
    }
}

/// Makes one short line of any text, so that it can stand within a sentence.
pub fn quote(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > limits::QUOTE_BYTES_MAX {
            break;
        }
    }
    bugsage_core::limits::cut(&line, limits::QUOTE_BYTES_MAX).into_owned()
}

/// The event that is explained, and what the other samples add to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The event.
    pub event: EventId,
    /// What kind of event it is.
    pub kind: EventKind,
    /// How bad the app says it is.
    pub level: Level,
    /// The panic's payload, the error's text or the log line.
    pub message: Untrusted,
    /// The errors of the chain, outermost first: type where known, and text.
    pub errors: Vec<(Option<Untrusted>, Untrusted)>,
    /// The release that it came from.
    pub release: Option<Untrusted>,
    /// The environment that it came from.
    pub environment: Option<Untrusted>,
    /// The thread that it came from.
    pub thread: Option<Untrusted>,
    /// When it was last seen.
    pub last_at: Timestamp,
    /// Whether its stack shows that something would catch the panic before it ends the thread.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caught: bool,
    /// Messages of other samples that differ.
    pub other_messages: Vec<Untrusted>,
}

/// A line, and the commit that last changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlamedLine {
    /// The line, counted from 1.
    pub line: u32,
    /// The commit.
    pub commit: Commit,
}

/// A field of a span, with the values that the samples have for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The span's name.
    pub span: Untrusted,
    /// The field's name.
    pub field: Untrusted,
    /// Its values, that of the explained event first.
    pub values: Vec<Untrusted>,
}

/// What came of collecting.
#[derive(Debug, Clone, PartialEq)]
pub enum Collected {
    /// Enough to go on.
    Evidence(Box<Evidence>),
    /// No usable source; the reason says what a person can do.
    Nothing {
        /// The reason.
        reason: String,
    },
}

/// Collects what a case starts from.
///
/// # Errors
///
/// Where the repository cannot be read; [`RepositoryError::is_retryable`] tells whether to try again.
pub fn collect(subject: &Subject) -> Result<Collected, RepositoryError> {
    let nothing = |reason: &str| {
        Ok(Collected::Nothing {
            reason: reason.to_owned(),
        })
    };
    let Some(location) = subject.repository.as_deref() else {
        return nothing("the project has no repository; set it to a clone on this machine");
    };
    let mut samples: Vec<&Event> = subject.samples.iter().collect();
    samples.sort_by_key(|event| std::cmp::Reverse((event.last_at, event.id)));
    samples.truncate(limits::SAMPLES_MAX);
    if samples.is_empty() {
        return nothing("no event of the issue is left; wait for the next one");
    }
    let repository = Repository::open(location)?;

    let mut looked_for = Vec::new();
    let mut built: Option<(Option<&str>, KnownCommit, Tree)> = None;
    for event in &samples {
        let release = event.run.release.as_deref();
        if built.as_ref().is_none_or(|(known, ..)| *known != release) {
            let commit = window::commit_of_event(&repository, release)?;
            let tree = repository.tree(&commit.commit)?;
            built = Some((release, commit, tree));
        }
        let Some((_, commit, tree)) = &built else {
            continue;
        };
        let mut sources = place::Sources::new(&repository, tree);
        if let Some(place) = place::find(event, &mut sources, &mut looked_for)? {
            let frames = place::frames(event, &mut sources)?;
            let evidence = Evidence {
                report: report(event, &samples),
                blame: blame(&repository, tree, &place)?,
                window: window::find(subject, event, &repository, commit)?,
                recorded: recorded(event, &samples, place.function.as_ref()),
                shallow: repository.is_shallow()?,
                commit: commit.clone(),
                place,
                frames,
            };
            return Ok(Collected::Evidence(Box::new(evidence)));
        }
    }
    Ok(Collected::Nothing {
        reason: no_place(&looked_for),
    })
}

/// Says what was looked for, so that a person sees whether the repository is the right one.
fn no_place(looked_for: &[String]) -> String {
    match looked_for {
        [] => "no event names a place in the app's own source; build the app with \
               debug = \"line-tables-only\""
            .to_owned(),
        tried => format!(
            "no place that the events name is in the repository ({}); check that it holds the \
             source of this release",
            tried[..tried.len().min(limits::VALUES_MAX)].join("; ")
        ),
    }
}

fn report(event: &Event, samples: &[&Event]) -> Report {
    let optional = |text: &Option<bugsage_core::event::Text>| text.as_deref().map(Untrusted::new);
    let mut other_messages: Vec<Untrusted> = Vec::new();
    for sample in samples
        .iter()
        .filter(|sample| sample.message != event.message)
    {
        let message = Untrusted::new(&sample.message);
        if other_messages.len() < limits::VALUES_MAX && !other_messages.contains(&message) {
            other_messages.push(message);
        }
    }
    Report {
        event: event.id,
        kind: event.kind,
        level: event.level,
        message: Untrusted::new(&event.message),
        errors: event
            .errors
            .iter()
            .take(bugsage_core::limits::ERRORS_MAX)
            .map(|link| (optional(&link.type_name), Untrusted::new(&link.message)))
            .collect(),
        release: optional(&event.run.release),
        environment: optional(&event.run.environment),
        thread: optional(&event.thread.name),
        last_at: event.last_at,
        caught: is_caught(event),
        other_messages,
    }
}

/// Whether a frame that catches panics stands between the panic and what started the thread. The
/// runtime has one of its own, below everything that the app runs.
fn is_caught(event: &Event) -> bool {
    let frames = event.stack.iter().flat_map(|stack| &stack.frames);
    let mut parts = frames
        .map(|frame| judge(frame))
        .take_while(|part| *part != Part::Runtime)
        .skip_while(|part| *part != Part::Catch);
    parts.any(|part| matches!(part, Part::App | Part::Dependency))
}

/// Blames the lines that are shown around the place.
fn blame(
    repository: &Repository,
    tree: &Tree,
    place: &Place,
) -> Result<Vec<BlamedLine>, RepositoryError> {
    let (Some(first), Some(last)) = (place.lines.first(), place.lines.last()) else {
        return Ok(Vec::new());
    };
    let blame = repository.blame(tree, &place.path, first.line, last.line)?;
    let mut commits: Vec<Commit> = Vec::new();
    let mut lines = Vec::new();
    for (line, sha) in blame.lines {
        let commit = match commits.iter().find(|commit| commit.sha == sha) {
            Some(commit) => commit.clone(),
            None => {
                let commit = repository.commit_by_sha(&sha)?;
                commits.push(commit.clone());
                commit
            }
        };
        lines.push(BlamedLine { line, commit });
    }
    Ok(lines)
}

/// The fields of the span that is named like the failing function; without one, of the innermost.
fn recorded(event: &Event, samples: &[&Event], function: Option<&Untrusted>) -> Vec<Recorded> {
    let function = function.and_then(|function| simple_name(function.as_str()));
    let own = event
        .spans
        .iter()
        .rev()
        .find(|span| Some(&*span.name) == function.as_deref());
    let Some(span) = own.or(event.spans.last()) else {
        return Vec::new();
    };
    let value_in = |sample: &Event, field: &str| {
        let span = sample
            .spans
            .iter()
            .rev()
            .find(|other| other.name == span.name)?;
        let (_, value) = span.fields.iter().find(|(name, _)| &**name == field)?;
        Some(Untrusted::new(value))
    };
    let fields = span.fields.iter().take(bugsage_core::limits::PAIRS_MAX);
    fields
        .map(|(field, value)| {
            let mut values = vec![Untrusted::new(value)];
            for value in samples.iter().filter_map(|sample| value_in(sample, field)) {
                if values.len() < limits::VALUES_MAX && !values.contains(&value) {
                    values.push(value);
                }
            }
            Recorded {
                span: Untrusted::new(&span.name),
                field: Untrusted::new(field),
                values,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
