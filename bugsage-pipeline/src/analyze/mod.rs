//! What went wrong, why, and since which commit.
//!
//! In: frozen [`Evidence`] and the source at its commit. Out: [`Analysis`].
//! Never: a model, a guess that does not say so, or a word about lines that were not read.
//!
//! The message gives the class and its numbers; the syntax tree gives the expression that failed at
//! the reported line and column, the bindings that its values come from and the checks on the way;
//! the repository gives the commits that wrote those lines.

// The tree, and what stands at a line.
pub(crate) mod syntax;
// The caller, and functions that made a value.
mod elsewhere;
// Names, conditions and changes at one point.
pub(crate) mod scope;
// Small arithmetic with the numbers of a message.
mod value;
// The failing expression, and the class that only the source shows.
pub(crate) mod panic_class;
// What an expression is about.
mod names;
// Where values come from and what was checked.
mod story;
// The cause, class by class.
mod cause;
// Errors and logs.
mod failure;
// What the standard library means.
mod words;
// The commit.
mod suspect;
// Severity and confidence.
mod assess;

use serde::{Deserialize, Serialize};

use bugsage_core::event::EventKind;
use bugsage_core::panic_class::{Classified, PanicClass, classify};

use crate::analyze::elsewhere::{Caller, Elsewhere, caller};
use crate::analyze::scope::Scope;
use crate::analyze::story::Story;
use crate::analyze::syntax::{Body, SourceTree, Spot};
use crate::analyze::value::{Known, View};
use crate::evidence::{Evidence, Recorded, Report, quote, simple_name};
use crate::limits;
use crate::repository::{Repository, RepositoryError};
use crate::subject::Subject;

pub(crate) use self::syntax::with_tree;

pub use self::assess::Severity;
pub use self::suspect::SuspectCommit;

/// What went wrong, and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// The panic's class, by name; `error` for what is no panic.
    pub class: String,
    /// Why it happened, in plain words.
    pub root_cause: String,
    /// The function that it happened in.
    pub function: Option<String>,
    /// The file in the repository.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1, where it is known.
    pub column: Option<u32>,
    /// The expression that failed, as the source writes it.
    pub expression: Option<String>,
    /// How sure the explanation is, from 0 to 1.
    pub confidence: f64,
    /// How bad the issue is.
    pub severity: Severity,
    /// Why that sure and that bad.
    pub reasons: Vec<String>,
    /// The lines of source that the cause rests on.
    pub rests_on: Vec<SourceRef>,
    /// The commit that probably brought the bug in.
    pub suspect_commit: Option<SuspectCommit>,
}

impl Analysis {
    /// The function, or the file where no function is known.
    pub fn function_or_file(&self) -> &str {
        self.function.as_deref().unwrap_or(&self.file)
    }
}

/// A line of source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// The file in the repository.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// Its text.
    pub text: String,
}

/// What the events know beside the source.
pub(crate) struct Context<'s> {
    pub(crate) recorded: &'s [Recorded],
    pub(crate) caller: Option<Caller>,
    pub(crate) elsewhere: Elsewhere<'s>,
}

/// What the source shows of a failure.
struct Seen {
    class: Option<PanicClass>,
    function: Option<String>,
    function_lines: Option<(u32, u32)>,
    /// The last line of the function's head: parameters alone cause nothing.
    head_line: u32,
    is_test: bool,
    sentences: Vec<String>,
    lines: Vec<SourceRef>,
    /// The bindings that the cause is about.
    names: Vec<String>,
    failing: Option<FailingSeen>,
    traced: bool,
    proved: bool,
}

struct FailingSeen {
    text: String,
    lines: (u32, u32),
    exact: bool,
    rivals: usize,
}

/// Explains what the evidence shows.
///
/// # Errors
///
/// Where the repository cannot be read; [`RepositoryError::is_retryable`] tells whether to try again.
pub fn analyze(
    subject: &Subject,
    evidence: &Evidence,
    repository: &Repository,
) -> Result<Analysis, RepositoryError> {
    let place = &evidence.place;
    let tree = repository.tree(&evidence.commit.commit)?;
    let text = repository
        .read(&tree, &place.path)?
        .map(|source| source.text)
        .unwrap_or_default();
    let context = Context {
        recorded: &evidence.recorded,
        caller: caller(evidence, repository, &tree)?,
        elsewhere: Elsewhere {
            repository,
            tree: &tree,
        },
    };
    let seen = with_tree(&text, |source| look(source, evidence, &context));

    let is_error = evidence.report.kind != EventKind::Panic;
    let message_class = classify(evidence.report.message.as_str()).class;
    let class = seen
        .as_ref()
        .and_then(|seen| seen.class)
        .unwrap_or(message_class);
    let parsed = seen.is_some();
    let seen = seen.unwrap_or_else(|| unread(evidence, message_class));
    let failing = seen.failing.as_ref();
    let ground = suspect::Ground {
        path: &place.path,
        names: &seen.names,
        function: seen.function_lines.unwrap_or((place.line, place.line)),
        failing: failing.map_or((place.line, place.line), |failing| failing.lines),
        around: seen
            .lines
            .iter()
            .map(|line| line.line)
            .filter(|line| *line > seen.head_line)
            .collect(),
    };
    let suspected = suspect::suspect(repository, &tree, evidence, &ground)?;

    let mut reasons = Vec::new();
    let grounds = assess::Ground {
        class_known: !is_error && message_class != PanicClass::Custom,
        parsed,
        found: failing.is_some(),
        exact: failing.is_some_and(|failing| failing.exact),
        rivals: failing.map_or(0, |failing| failing.rivals),
        traced: seen.traced,
        proved: seen.proved,
        secondary: !is_error && class.is_secondary(),
        suspected_by: suspected.as_ref().map(|(_, by)| *by),
        is_error,
    };
    let confidence = assess::confidence(evidence, &grounds, &mut reasons);
    let severity = assess::severity(
        subject,
        evidence,
        (!is_error).then_some(class),
        &mut reasons,
    );
    if let Some(note) = &evidence.commit.note {
        reasons.push(format!("source: {note}"));
    }
    if seen.is_test {
        reasons.push("source: the failing function belongs to tests".to_owned());
    }
    Ok(Analysis {
        class: if is_error {
            failure::CLASS.into()
        } else {
            class.as_str().to_owned()
        },
        root_cause: seen.sentences.join(" "),
        function: function_name(evidence, seen.function.as_deref()),
        file: place.path.clone(),
        line: place.line,
        column: place.column,
        expression: seen.failing.map(|failing| failing.text),
        confidence,
        severity,
        reasons,
        rests_on: seen.lines,
        suspect_commit: suspected.map(|(suspect, _)| suspect),
    })
}

/// Looks at the failing place in the tree.
fn look(source: &SourceTree<'_>, evidence: &Evidence, context: &Context<'_>) -> Seen {
    let (place, report) = (&evidence.place, &evidence.report);
    let message = report.message.as_str();
    let classified = classify(message);
    let Some(body) = source.body_at(place.line) else {
        return unread(evidence, classified.class);
    };
    let is_error = report.kind != EventKind::Panic;
    let failing = if is_error {
        reporting(source, &body, evidence)
    } else {
        panic_class::failing(source, &body, place, &classified)
    };
    let class = match &failing {
        Some(failing) if !is_error => panic_class::class_in_source(message, failing.spot),
        _ => classified.class,
    };
    let scope = match &failing {
        Some(failing) => Scope::at(source, &body, failing.spot),
        None => Scope::default(),
    };
    let view = View {
        tree: source,
        scope: &scope,
    };
    let mut story = Story::new(view, &body, context);
    story.lines.insert(place.line);
    match &failing {
        Some(failing) if is_error => {
            failure::sentences(report)
                .into_iter()
                .for_each(|sentence| story.say(sentence));
            failure::tell(&mut story, failing.spot);
        }
        Some(failing) => {
            let plain = panic_class::plain_message(message, class, Some(failing.spot));
            let mut classified = classify(&plain);
            classified.class = class;
            if class.is_secondary() {
                story.say(words::meaning(class));
            }
            if !failing.rivals.is_empty() {
                doubt(&mut story, failing, report, &mut classified);
            }
            cause::tell(&mut story, failing.spot, &classified);
        }
        None => general(evidence, class)
            .into_iter()
            .for_each(|sentence| story.say(sentence)),
    }
    story.say_others(&report.other_messages);
    Seen {
        class: Some(class),
        function: Some(body.name()),
        function_lines: body.signature.map(|_| (body.first_line, body.last_line)),
        head_line: body.head_line(),
        is_test: body.is_test,
        names: story.told.into_iter().collect(),
        sentences: story.sentences,
        lines: story
            .lines
            .iter()
            .map(|line| source_ref(&place.path, *line, source.line(*line)))
            .collect(),
        failing: failing.map(|failing| FailingSeen {
            text: text_of(source, failing.spot),
            lines: failing.spot.lines(),
            exact: failing.exact,
            rivals: failing.rivals.len(),
        }),
        traced: story.traced,
        proved: story.proved,
    }
}

/// Says that the report does not tell which of several expressions failed, and takes the numbers of
/// the message for none of theirs.
fn doubt(
    story: &mut Story<'_, '_>,
    failing: &panic_class::Failing<'_>,
    report: &Report,
    classified: &mut Classified<'_>,
) {
    let text = |spot: &Spot<'_>| format!("`{}`", text_of(story.tree(), *spot));
    let mut all = vec![text(&failing.spot)];
    all.extend(failing.rivals.iter().map(text));
    all.dedup();
    all.truncate(limits::VALUES_MAX);
    let said = report.message.quote();
    story.known = Known::doubtful();
    story.say(format!(
        "Several expressions here can have failed, and the report does not tell which: {}. The \
         message was: {said}. If it was the first:",
        all.join(", ")
    ));
    if panic_class::states_numbers(classified.class) {
        classified.values.clear();
    }
}

fn text_of(source: &SourceTree<'_>, spot: Spot<'_>) -> String {
    match spot {
        Spot::Expr(expr) => source.text(expr),
        Spot::Macro(mac) => source.text(mac),
    }
}

/// The call that reported an error: whatever stands at the place.
fn reporting<'a>(
    source: &SourceTree<'a>,
    body: &Body<'a>,
    evidence: &Evidence,
) -> Option<panic_class::Failing<'a>> {
    let place = &evidence.place;
    let candidates = source.candidates(body, place.line);
    let mut calls = candidates.into_iter().filter(|reported| {
        matches!(
            reported.spot,
            Spot::Macro(_) | Spot::Expr(syn::Expr::Call(_) | syn::Expr::MethodCall(_))
        )
    });
    let exact = place
        .column
        .and_then(|column| calls.clone().find(|call| call.is_at(place.line, column)));
    let reported = exact.or_else(|| calls.next())?;
    Some(panic_class::Failing {
        spot: reported.spot,
        exact: exact.is_some(),
        rivals: Vec::new(),
    })
}

/// What can be said without the tree.
fn unread(evidence: &Evidence, class: PanicClass) -> Seen {
    let place = &evidence.place;
    let line = place.lines.iter().find(|line| line.line == place.line);
    let text = line.map_or("", |line| line.text.trim());
    Seen {
        class: None,
        function: None,
        function_lines: None,
        head_line: 0,
        is_test: false,
        sentences: general(evidence, class),
        lines: vec![source_ref(&place.path, place.line, text)],
        names: Vec::new(),
        failing: None,
        traced: false,
        proved: false,
    }
}

/// What the message alone says, and the line that it happened on.
fn general(evidence: &Evidence, class: PanicClass) -> Vec<String> {
    let (place, report) = (&evidence.place, &evidence.report);
    let mut sentences = if report.kind == EventKind::Panic {
        vec![
            words::meaning(class).to_owned(),
            format!("The message was: {}.", report.message.quote()),
        ]
    } else {
        failure::sentences(report)
    };
    if let Some(line) = place.lines.iter().find(|line| line.line == place.line) {
        sentences.push(format!(
            "It happened on line {} of {}: `{}`.",
            place.line,
            place.path,
            quote(&line.text)
        ));
    }
    sentences
}

/// The function as the stack names it where that agrees with the source, else as the source does.
fn function_name(evidence: &Evidence, in_source: Option<&str>) -> Option<String> {
    let on_stack = evidence
        .place
        .function
        .as_ref()
        .map(|function| function.as_str());
    let simple = in_source.map(|name| name.rsplit("::").next().unwrap_or(name));
    match on_stack {
        Some(function) if simple.is_none() || simple_name(function).as_deref() == simple => {
            Some(without_closures(function))
        }
        _ => in_source.map(str::to_owned),
    }
}

/// A demangled name up to the function: closures and futures within it are its own.
fn without_closures(function: &str) -> String {
    let end = function.find("::{").unwrap_or(function.len());
    bugsage_core::limits::cut(&function[..end], limits::LINE_BYTES_MAX).into_owned()
}

fn source_ref(path: &str, line: u32, text: &str) -> SourceRef {
    let text = bugsage_core::limits::cut(text, limits::LINE_BYTES_MAX).into_owned();
    SourceRef {
        file: path.to_owned(),
        line,
        text,
    }
}

#[cfg(test)]
mod tests;
