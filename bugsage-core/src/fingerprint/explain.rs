//! Puts the rules together: an event in, its fingerprints and the reasons out.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::{Event, EventKind, Location};
use crate::panic_class::{self, PanicClass};
use crate::stacktrace::Frame;

use super::identity::{Fingerprint, Strength};
use super::outline::{ANCHORS_MAX, Anchor, Outline};
use super::rules::{self, Part, Rules, Seen};
use super::source::Sources;
use super::symbol::{self, Symbol};
use super::{frames, message};

/// The longest class or culprit that is told. Whole batches of events may have one each, and no
/// reader looks at more.
const NAME_BYTES_MAX: usize = 300;

/// What grouping found out about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The fingerprints, most telling first. An issue that has one of them has the event.
    pub fingerprints: Vec<Fingerprint>,
    /// The class: of the panic, or `error` or `log`.
    pub class: String,
    /// The function that failed, or the place, as a reader names it.
    pub culprit: String,
    /// One line for lists.
    pub title: String,
    /// Whether the culprit is code of the app.
    pub in_app: bool,
    /// What each fingerprint is made of, in the same order.
    pub reasons: Arc<[Vec<Kept>]>,
    /// The line of the project's rule that decided.
    pub rule: Option<u32>,
}

/// Why an event has its fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What counted, in order.
    pub kept: Vec<Kept>,
    /// The frames that did not, with the rule that dropped them.
    pub dropped: Vec<Dropped>,
    /// Whether symbols may still change it.
    pub provisional: bool,
}

/// Something that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The rule.
    pub rule: String,
    /// What it took from the event.
    pub value: String,
}

/// A frame that did not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The rule.
    pub rule: String,
    /// The frame's function, or its address.
    pub frame: String,
}

/// Groups one event.
///
/// `sources` are those of the commit that ran: where debug information does not name a function, the source does, and
/// it tells who calls it. They are asked for nothing else. `rules` are the project's own.
pub fn group(event: &Event, sources: &mut dyn Sources, rules: &Rules) -> Grouping {
    let outline = event.stack.as_deref().map(Outline::of);
    group_on(event, &outline.unwrap_or_default(), sources, rules)
}

/// Groups an event on the outline of its stack, which many events may share.
pub fn group_on(
    event: &Event,
    outline: &Outline,
    sources: &mut dyn Sources,
    rules: &Rules,
) -> Grouping {
    let class = class_of(event);
    let words = Words::of(event);
    let judged = judge(event, &class, &words, outline, sources, rules);
    judged.into_grouping(event, &class)
}

/// Says why an event has its fingerprints, with what did not count of its stack. Groups it for that, but reads the
/// names of all frames.
pub fn explain(event: &Event, sources: &mut dyn Sources, rules: &Rules) -> Explanation {
    let mut dropped = Vec::new();
    let outline = match &event.stack {
        Some(stack) => Outline::explained(stack, &mut dropped),
        None => Outline::default(),
    };
    let (class, words) = (class_of(event), Words::of(event));
    let named = outline.named(sources);
    let told = Told::of(event, &class, &outline, named.as_deref(), rules);
    let first = told.reasons(event, &outline, named.as_deref(), sources);
    let Some(reason) = first.into_iter().next() else {
        return Explanation::default();
    };
    Explanation {
        kept: told.kept(&reason, event.kind, &class, &words),
        dropped,
        provisional: reason.is_provisional,
    }
}

/// What does not depend on the message of an event, but for its class and perhaps its first words.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    fingerprints: Vec<Fingerprint>,
    reasons: Arc<[Vec<Kept>]>,
    rule: Option<u32>,
    culprit: String,
    in_app: bool,
}

impl Judged {
    pub(super) fn into_grouping(self, event: &Event, class: &Class<'_>) -> Grouping {
        Grouping {
            fingerprints: self.fingerprints,
            title: title_of(event, class),
            class: name(&class.text),
            culprit: self.culprit,
            in_app: self.in_app,
            reasons: self.reasons,
            rule: self.rule,
        }
    }
}

pub(super) fn judge(
    event: &Event,
    class: &Class<'_>,
    words: &Words<'_>,
    outline: &Outline,
    sources: &mut dyn Sources,
    rules: &Rules,
) -> Judged {
    let named = outline.named(sources);
    let told = Told::of(event, class, outline, named.as_deref(), rules);
    let reasons = told.reasons(event, outline, named.as_deref(), sources);
    let mut fingerprints = Vec::with_capacity(reasons.len());
    let mut kept = Vec::with_capacity(reasons.len());
    let mut before: Option<(&Reason<'_>, [u8; 16])> = None;
    for reason in &reasons {
        // A strong one and the weak one that follows it stand for the same.
        let hash = match before {
            Some((same, hash)) if same.is_of_same(reason) => hash,
            _ => told.hash(reason, event.kind, class, words),
        };
        before = Some((reason, hash));
        let fingerprint = Fingerprint::new(reason.strength, hash);
        if !fingerprints.contains(&fingerprint) {
            fingerprints.push(fingerprint);
            kept.push(told.kept(reason, event.kind, class, words));
        }
    }
    Judged {
        fingerprints,
        reasons: kept.into(),
        rule: told.rule(),
        in_app: match named.as_deref().unwrap_or(outline.nameless()) {
            [_, ..] => true,
            // Without frames the location says it: whatever std raises has a file of std's.
            [] => event.location.as_ref().is_some_and(is_in_app),
        },
        culprit: told.culprit,
    }
}

/// What is told of an event beside its fingerprints, and what somebody wants it grouped by.
struct Told {
    culprit: String,
    wanted: Option<Wanted>,
}

/// What a rule of the project or the app itself says that an event is grouped by.
struct Wanted {
    /// The line of the rule; `None` where the app says it.
    rule: Option<u32>,
    parts: Vec<String>,
    /// Whether it counts beside what would count otherwise.
    has_default: bool,
}

impl Told {
    fn of(
        event: &Event,
        class: &Class<'_>,
        outline: &Outline,
        named: Option<&[Anchor]>,
        rules: &Rules,
    ) -> Self {
        let anchors = named.unwrap_or(outline.nameless());
        let culprit = anchors.iter().find_map(|anchor| anchor.function.as_deref());
        let culprit = culprit.map(name);
        let location = event.location.as_ref();
        let place = location.map(|location| frames::crate_relative(&location.file).into_owned());
        let culprit = culprit.or(place).unwrap_or_else(|| "unknown".to_owned());
        let wanted = wanted(event, class, &culprit, rules);
        Self { culprit, wanted }
    }

    fn rule(&self) -> Option<u32> {
        self.wanted.as_ref()?.rule
    }

    /// What may count, the most telling first.
    fn reasons<'a>(
        &self,
        event: &'a Event,
        outline: &'a Outline,
        named: Option<&'a [Anchor]>,
        sources: &mut dyn Sources,
    ) -> Vec<Reason<'a>> {
        match &self.wanted {
            Some(wanted) if !wanted.has_default => vec![Reason::of([None, None], Strength::Strong)],
            _ => reasons(event, outline, named, sources),
        }
    }

    /// Calls for all that counts of an event where a reason does, with the rule.
    fn each_part(
        &self,
        reason: &Reason<'_>,
        kind: EventKind,
        class: &Class<'_>,
        words: &Words<'_>,
        mut part: impl FnMut(&'static str, &str),
    ) {
        if self.wanted.as_ref().is_none_or(|it| it.has_default) {
            reason.each_part(kind, class, words, &mut part);
        }
        if let Some(wanted) = &self.wanted {
            let rule = if wanted.rule.is_some() { "rule" } else { "app" };
            wanted.parts.iter().for_each(|value| part(rule, value));
        }
    }

    fn kept(
        &self,
        reason: &Reason<'_>,
        kind: EventKind,
        class: &Class<'_>,
        words: &Words<'_>,
    ) -> Vec<Kept> {
        let mut kept = Vec::with_capacity(3);
        self.each_part(reason, kind, class, words, |rule, value| {
            kept.push(Kept {
                rule: rule.into(),
                value: value.to_owned(),
            });
        });
        kept
    }

    fn hash(
        &self,
        reason: &Reason<'_>,
        kind: EventKind,
        class: &Class<'_>,
        words: &Words<'_>,
    ) -> [u8; 16] {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            // With its length, so that no two lists of parts look alike.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        part(kind.as_str());
        self.each_part(reason, kind, class, words, |rule, value| {
            part(rule);
            part(value);
        });
        let digest = hash.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        hash
    }
}

/// What the first rule that fits says, or else the app.
fn wanted(event: &Event, class: &Class<'_>, culprit: &str, rules: &Rules) -> Option<Wanted> {
    let of_client = rules::of_client(event);
    if rules.is_empty() && of_client.is_none() {
        return None;
    }
    let functions = rules::functions(event);
    let seen = Seen {
        class: &class.text,
        functions: &functions,
        culprit,
    };
    let rule = rules.find(event, &seen);
    let parts = match rule {
        Some(rule) => rule.parts(),
        None => of_client.as_deref()?,
    };
    let text = |part: &Part| match part {
        Part::Default => None,
        Part::Value(value) => Some(value.of(event, &seen).into_owned()),
        Part::Word(word) => Some(word.clone()),
    };
    Some(Wanted {
        rule: rule.map(|rule| rule.line()),
        parts: parts.iter().filter_map(text).collect(),
        has_default: parts.contains(&Part::Default),
    })
}

fn is_in_app(location: &Location) -> bool {
    frames::in_app(&Frame {
        file: Some(location.file.clone()),
        ..Frame::default()
    })
}

/// What may count of an event beside its class and its words.
struct Reason<'a> {
    file: Option<Cow<'a, str>>,
    functions: [Option<Cow<'a, str>>; ANCHORS_MAX],
    strength: Strength,
    /// Whether symbols or sources may still change it.
    is_provisional: bool,
}

impl<'a> Reason<'a> {
    fn of(functions: [Option<Cow<'a, str>>; ANCHORS_MAX], strength: Strength) -> Self {
        Self {
            file: None,
            functions,
            strength,
            is_provisional: false,
        }
    }

    /// By the function that failed, whoever asked for it.
    fn single(failed: Cow<'a, str>) -> Self {
        Self::of([Some(failed), None], Strength::Single)
    }

    /// Calls for all that counts of an event where this does, with the rule.
    fn each_part(
        &self,
        kind: EventKind,
        class: &Class<'_>,
        words: &Words<'_>,
        mut part: impl FnMut(&'static str, &str),
    ) {
        part("class", &class.text);
        if let Some(file) = &self.file {
            part("file", file);
        }
        for function in self.functions.iter().flatten() {
            part("function", function);
        }
        let is_class_alone = self.file.is_none() && self.functions[0].is_none();
        let words_count = match kind {
            EventKind::Panic => class.is_own_text || is_class_alone,
            EventKind::Error => is_class_alone,
            EventKind::Log => true,
        };
        if words_count {
            part("words", words.get());
        }
    }

    fn is_of_same(&self, other: &Self) -> bool {
        self.file == other.file && self.functions == other.functions
    }
}

/// What may count of an event, the most telling first.
fn reasons<'a>(
    event: &'a Event,
    outline: &'a Outline,
    named: Option<&'a [Anchor]>,
    sources: &mut dyn Sources,
) -> Vec<Reason<'a>> {
    let location = event.location.as_ref();
    let keys = |anchors: &'a [Anchor]| {
        let mut anchors = anchors.iter();
        let failed = anchors.next().map(|failed| located(failed, location));
        let asked = anchors.next().map(|asked| asked.key.as_str().into());
        [failed, asked]
    };
    let nameless = outline.nameless();
    if outline.has_files() && outline.known.is_some_and(|known| known > 0) {
        // Who asked for it nobody knows: another bug of the same helper looks the same.
        let failed = nameless.first().filter(|failed| !failed.is_nameless);
        let failed = named.and_then(<[Anchor]>::first).or(failed);
        if let Some(failed) = failed {
            return vec![Reason {
                is_provisional: true,
                ..Reason::single(located(failed, location))
            }];
        }
    }
    if outline.has_files() && outline.known != Some(0) {
        let mut reasons = Vec::with_capacity(6);
        if let Some(named) = named {
            let functions = keys(named);
            let failed = functions[0].clone();
            let is_handed =
                matches!(named, [failed, asked, ..] if asked.was_handed(failed, sources));
            if is_handed {
                reasons.push(Reason::of([failed.clone(), None], Strength::Strong));
            }
            reasons.push(Reason::of(functions.clone(), Strength::Strong));
            // For those who know no better, and do not know whether they know all.
            reasons.push(Reason::of(functions, Strength::Weak));
            reasons.extend(failed.map(Reason::single));
        }
        // Which closure it is nobody knows by a file alone.
        let strength = match nameless.iter().any(|anchor| anchor.is_nameless) {
            true => Strength::Single,
            false => Strength::Weak,
        };
        reasons.push(Reason::of(keys(nameless), strength));
        if let Some(failed) = nameless.first().filter(|failed| !failed.is_nameless) {
            reasons.push(Reason::single(located(failed, location)));
        }
        return reasons;
    }
    let visible = named.and_then(<[Anchor]>::first);
    let visible = visible.filter(|_| outline.known != Some(0));
    let Some(location) = event.location.as_ref().filter(|_| event.stack.is_some()) else {
        // A line of the log, or an error that nobody knows the place of.
        let is_provisional = event.stack.is_some();
        let strength = match is_provisional {
            true => Strength::Provisional,
            false => Strength::Strong,
        };
        return vec![Reason {
            file: location.map(|location| frames::crate_relative(&location.file)),
            is_provisional,
            ..Reason::of(named.map(keys).unwrap_or_default(), strength)
        }];
    };
    let file = frames::crate_relative(&location.file);
    let mut reasons = Vec::new();
    let source = sources.functions(&location.file);
    let failing = source
        .as_ref()
        .and_then(|it| Some((it, it.at(location.line)?)));
    if let Some((source, failing)) = failing {
        let failed: Cow<'_, str> = format!("{file}#{failing}").into();
        // It may have been inlined into who asked for it, and both into what is visible.
        let visible = named.into_iter().flatten().filter_map(|anchor| {
            let name = symbol::last_segment(&anchor.key)?;
            (name != failing).then_some(name)
        });
        if let Some(visible) = visible.into_iter().next() {
            let asked = source.caller(visible, failing);
            let strength = match asked {
                Some(_) => Strength::Weak,
                None => Strength::Single,
            };
            let asked = format!("{file}#{}", asked.unwrap_or(visible)).into();
            reasons.push(Reason::of([Some(failed.clone()), Some(asked)], strength));
        }
        reasons.push(Reason::single(failed));
    } else if let Some(visible) = visible {
        let key = located(visible, Some(location));
        if *key != *visible.key {
            reasons.push(Reason {
                is_provisional: true,
                ..Reason::single(key)
            });
        }
    }
    let visible = visible.map(|anchor| anchor.key.as_str().into());
    reasons.push(Reason {
        file: Some(file),
        is_provisional: true,
        ..Reason::of([visible, None], Strength::Provisional)
    });
    reasons
}

/// What counts of the innermost function: where its frame has no file, the location's is its own if the function's
/// path names the same module.
fn located<'a>(anchor: &'a Anchor, location: Option<&Location>) -> Cow<'a, str> {
    let location = location.filter(|_| !anchor.has_file);
    let Some(file) = location.map(|location| frames::crate_relative(&location.file)) else {
        return anchor.key.as_str().into();
    };
    let mut folders = file.trim_end_matches(".rs").rsplit('/');
    let stem = match folders.next() {
        Some("mod") => folders.next(),
        stem => stem,
    };
    let is_root = matches!(stem, Some("lib" | "main"));
    let mut modules = anchor.key.split("::");
    let is_of_file = is_root || modules.any(|module| Some(module) == stem);
    match symbol::last_segment(&anchor.key) {
        Some(last) if is_of_file => format!("{file}#{last}").into(),
        _ => anchor.key.as_str().into(),
    }
}

/// The words of an event's message that may count, made when they do.
pub(super) struct Words<'a> {
    message: &'a str,
    words: OnceCell<String>,
}

impl<'a> Words<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        Self {
            message: &event.message,
            words: OnceCell::new(),
        }
    }

    pub(super) fn get(&self) -> &str {
        self.words.get_or_init(|| message::words(self.message))
    }

    /// Those that counted.
    pub(super) fn into_counted(self) -> Option<String> {
        self.words.into_inner()
    }
}

/// The class of an event.
pub(super) struct Class<'a> {
    pub(super) text: Cow<'a, str>,
    /// Whether the class only says that the app wrote the message itself.
    is_own_text: bool,
}

pub(super) fn class_of(event: &Event) -> Class<'_> {
    match event.kind {
        EventKind::Panic => {
            let class = panic_class::classify(&event.message).class;
            Class {
                text: class.as_str().into(),
                is_own_text: class == PanicClass::Custom,
            }
        }
        EventKind::Error => {
            let root = event
                .errors
                .iter()
                .rev()
                .find_map(|error| error.type_name.as_deref());
            let text = root.map_or("error".into(), |root| Symbol::read(root).name);
            Class {
                text,
                is_own_text: false,
            }
        }
        EventKind::Log => Class {
            text: "log".into(),
            is_own_text: true,
        },
    }
}

fn name(name: &str) -> String {
    crate::limits::cut(name, NAME_BYTES_MAX).into_owned()
}

/// What an event is told by in lists, in one line.
pub fn title(event: &Event) -> String {
    title_of(event, &class_of(event))
}

fn title_of(event: &Event, class: &Class<'_>) -> String {
    const TITLE_BYTES_MAX: usize = 200;
    let line = event
        .message
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
        .trim();
    let line = if line.is_empty() { &class.text } else { line };
    crate::limits::cut(line, TITLE_BYTES_MAX).into_owned()
}
