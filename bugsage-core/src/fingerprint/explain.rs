//! Puts the rules together: an event in, its fingerprints and the reasons out.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::{Event, EventKind, Location};
use crate::panic_class::{self, PanicClass};
use crate::stacktrace::Frame;

use super::outline::{ANCHORS_MAX, Anchor, Outline};
use super::source::Functions;
use super::symbol::{self, Symbol};
use super::{frames, message};

/// The version of the rules in this module.
pub const VERSION: u8 = 1;

/// The longest class or culprit that is told. Whole batches of events may have one each, and no
/// reader looks at more.
const NAME_BYTES_MAX: usize = 300;

/// The identity of a bug: the rules' version and 128 bits of SHA-256 over what counted.
///
/// SHA-256, cut, because whoever can send events must not be able to aim at another bug's issue.
///
/// A weak one leaves out what not every build can tell, so that two bugs may share it. It finds an
/// issue for an event that has nothing better, or an issue that has nothing better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    is_weak: bool,
    version: u8,
    hash: [u8; 16],
}

impl Fingerprint {
    /// Whether two bugs may share it.
    pub fn is_weak(self) -> bool {
        self.is_weak
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_weak { 'w' } else { 'v' };
        write!(f, "{kind}{}-", self.version)?;
        self.hash
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint, which looks like v1-0123456789abcdef0123456789abcdef")]
pub struct InvalidFingerprint;

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let is_weak = text.starts_with('w');
        let (version, hex) = text
            .strip_prefix(['v', 'w'])
            .and_then(|t| t.split_once('-'))
            .ok_or(InvalidFingerprint)?;
        let version = version.parse().map_err(|_| InvalidFingerprint)?;
        if hex.len() != 32 || !hex.is_ascii() {
            return Err(InvalidFingerprint);
        }
        let mut hash = [0; 16];
        for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidFingerprint)?;
        }
        Ok(Self {
            is_weak,
            version,
            hash,
        })
    }
}

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
/// `source` is the file of the event's location as the commit that ran has it: where there is no debug information,
/// the function around the location counts.
pub fn group(event: &Event, source: Option<&str>) -> Grouping {
    let outline = event.stack.as_deref().map(Outline::of);
    group_on(event, &outline.unwrap_or_default(), source)
}

/// Groups an event on the outline of its stack, which many events may share.
pub fn group_on(event: &Event, outline: &Outline, source: Option<&str>) -> Grouping {
    let class = class_of(event);
    let words = Words::of(event);
    let judged = judge(event, &class, &words, outline, source);
    judged.into_grouping(event, &class)
}

/// Says why an event has its fingerprints, with what did not count of its stack. Groups it for that, but reads the
/// names of all frames.
pub fn explain(event: &Event, source: Option<&str>) -> Explanation {
    let mut dropped = Vec::new();
    let outline = match &event.stack {
        Some(stack) => Outline::explained(stack, &mut dropped),
        None => Outline::default(),
    };
    let (class, words) = (class_of(event), Words::of(event));
    let first = reasons(event, &outline, source).into_iter().next();
    let Some(reason) = first else {
        return Explanation::default();
    };
    let mut kept = Vec::new();
    reason.each_part(event.kind, &class, &words, |rule, value| {
        kept.push(Kept {
            rule: rule.to_owned(),
            value: value.to_owned(),
        });
    });
    Explanation {
        kept,
        dropped,
        provisional: reason.is_provisional,
    }
}

/// What does not depend on the message of an event, but for its class and perhaps its first words.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    fingerprints: Vec<Fingerprint>,
    culprit: String,
    in_app: bool,
}

impl Judged {
    pub(super) fn into_grouping(self, event: &Event, class: &Class<'_>) -> Grouping {
        Grouping {
            fingerprints: self.fingerprints,
            title: title(event, class),
            class: name(&class.text),
            culprit: self.culprit,
            in_app: self.in_app,
        }
    }
}

pub(super) fn judge(
    event: &Event,
    class: &Class<'_>,
    words: &Words<'_>,
    outline: &Outline,
    source: Option<&str>,
) -> Judged {
    let reasons = reasons(event, outline, source);
    let mut fingerprints = Vec::with_capacity(reasons.len());
    let mut before: Option<(&Reason<'_>, [u8; 16])> = None;
    for reason in &reasons {
        // A strong one and the weak one that follows it stand for the same.
        let hash = match before {
            Some((same, hash)) if same.is_of_same(reason) => hash,
            _ => reason.hash(event.kind, class, words),
        };
        before = Some((reason, hash));
        let fingerprint = Fingerprint {
            is_weak: reason.is_weak,
            version: VERSION,
            hash,
        };
        if !fingerprints.contains(&fingerprint) {
            fingerprints.push(fingerprint);
        }
    }

    let anchors = outline.named().unwrap_or(outline.nameless());
    let location = event.location.as_ref();
    let culprit = anchors.iter().find_map(|anchor| anchor.function.as_deref());
    let culprit = culprit.map(name);
    let in_app = match anchors {
        [_, ..] => true,
        // Without frames the location says it: whatever std raises has a file of std's.
        [] => location.is_some_and(is_in_app),
    };
    let place = location.map(|location| frames::crate_relative(&location.file).into_owned());
    let culprit = culprit.or(place).unwrap_or_else(|| "unknown".to_owned());
    Judged {
        fingerprints,
        culprit,
        in_app,
    }
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
    /// Whether other bugs may have the same.
    is_weak: bool,
    is_provisional: bool,
}

impl<'a> Reason<'a> {
    fn of(functions: [Option<Cow<'a, str>>; ANCHORS_MAX]) -> Self {
        Self {
            file: None,
            functions,
            is_weak: false,
            is_provisional: false,
        }
    }

    fn weak(mut self) -> Self {
        self.is_weak = true;
        self
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

    fn hash(&self, kind: EventKind, class: &Class<'_>, words: &Words<'_>) -> [u8; 16] {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            // With its length, so that no two lists of parts look alike.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        part(kind.as_str());
        self.each_part(kind, class, words, |rule, value| {
            part(rule);
            part(value);
        });
        let digest = hash.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        hash
    }

    fn is_of_same(&self, other: &Self) -> bool {
        self.file == other.file && self.functions == other.functions
    }
}

/// What may count of an event, the most telling first.
fn reasons<'a>(event: &'a Event, outline: &'a Outline, source: Option<&str>) -> Vec<Reason<'a>> {
    let location = event.location.as_ref();
    let keys = |anchors: &'a [Anchor]| {
        let mut anchors = anchors.iter();
        let failed = anchors.next().map(|failed| located(failed, location));
        let asked = anchors.next().map(|asked| asked.key.as_str().into());
        [failed, asked]
    };
    let (named, nameless) = (outline.named(), outline.nameless());
    if outline.has_files() {
        let mut reasons = Vec::with_capacity(5);
        if let Some(named) = named {
            let functions = keys(named);
            let failed = functions[0].clone();
            reasons.push(Reason::of(functions.clone()));
            // For those who know no better, and do not know whether they know all.
            reasons.push(Reason::of(functions).weak());
            if failed.is_some() {
                reasons.push(Reason::of([failed, None]).weak());
            }
        }
        reasons.push(Reason::of(keys(nameless)).weak());
        if let Some(failed) = nameless.first().filter(|failed| !failed.is_nameless) {
            reasons.push(Reason::of([Some(located(failed, location)), None]).weak());
        }
        return reasons;
    }
    let visible = named.and_then(<[Anchor]>::first);
    let Some(location) = event.location.as_ref().filter(|_| event.stack.is_some()) else {
        // A line of the log, or an error that nobody knows the place of.
        let is_provisional = event.stack.is_some();
        return vec![Reason {
            file: location.map(|location| frames::crate_relative(&location.file)),
            functions: named.map(keys).unwrap_or_default(),
            is_weak: is_provisional,
            is_provisional,
        }];
    };
    let file = frames::crate_relative(&location.file);
    let mut reasons = Vec::new();
    let functions = source.map(Functions::read);
    if let Some(functions) = functions
        && let Some(failing) = functions.at(location.line)
    {
        let failed: Cow<'_, str> = format!("{file}#{failing}").into();
        // It may have been inlined into who asked for it, and both into what is visible.
        let visible = visible.and_then(|anchor| symbol::last_segment(&anchor.key));
        if let Some(visible) = visible.filter(|visible| *visible != failing) {
            let asked = functions.caller(visible, failing).unwrap_or(visible);
            let asked = format!("{file}#{asked}").into();
            reasons.push(Reason::of([Some(failed.clone()), Some(asked)]).weak());
        }
        reasons.push(Reason::of([Some(failed), None]).weak());
    }
    if let Some(visible) = visible {
        let key = located(visible, Some(location));
        if *key != *visible.key {
            reasons.push(Reason {
                is_provisional: true,
                ..Reason::of([Some(key), None]).weak()
            });
        }
    }
    let visible = visible.map(|anchor| anchor.key.as_str().into());
    reasons.push(Reason {
        file: Some(file),
        is_provisional: true,
        ..Reason::of([visible, None]).weak()
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

fn title(event: &Event, class: &Class<'_>) -> String {
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

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::event::{Level, Location, Run, Thread};
    use crate::id::{EventId, RunId};
    use crate::stacktrace::StackTrace;

    const INDEX: &str = "index out of bounds: the len is 3 but the index is 9";
    const LIBRARY: &str = "/rustc/59807616e/library/core/src/panicking.rs";

    pub(in super::super) fn panic(message: &str, frames: &[(&str, &str, u32)]) -> Event {
        let frames = frames.iter().map(|(function, file, line)| {
            Arc::new(Frame {
                function: Some((*function).into()),
                file: (!file.is_empty()).then(|| (*file).into()),
                line: Some(*line),
                ..Frame::default()
            })
        });
        let run = Run {
            id: RunId::from_bytes([1; 16]),
            release: None,
            environment: None,
            started_at: Timestamp(0),
            sdk: "test".into(),
        };
        Event {
            id: EventId::from_bytes([2; 16]),
            run: Arc::new(run),
            kind: EventKind::Panic,
            level: Level::Fatal,
            count: 1,
            first_at: Timestamp(1),
            last_at: Timestamp(1),
            deltas_us: Vec::new(),
            message: message.into(),
            errors: Vec::new(),
            location: Some(Location {
                file: "src/price.rs".into(),
                line: 7,
                column: 5,
            }),
            thread: Thread::default(),
            stack: Some(Arc::new(StackTrace {
                frames: frames.collect(),
                symbolicated: true,
            })),
            spans: Vec::new(),
            breadcrumbs: Vec::new(),
            tags: Vec::new(),
            user: None,
            contexts: Vec::new(),
            attached: Vec::new(),
            inputs: Vec::new(),
            trace: None,
        }
    }

    fn of(message: &str, frames: &[(&str, &str, u32)]) -> Fingerprint {
        group(&panic(message, frames), None).fingerprints[0]
    }

    #[test]
    fn a_closure_without_a_name_shares_a_weak_fingerprint_with_the_same_one_that_has_one() {
        let list = ("list::pick", "src/list.rs", 3);
        let of_build = |closure: &str| {
            let frames = [list, (closure, "src/main.rs", 7)];
            group(&panic(INDEX, &frames), None).fingerprints
        };

        let debug = of_build("shop::run::{{closure}}");
        let release = of_build("{closure#0}");
        let other = of_build("shop::stop::{{closure}}");

        let kinds = |all: &[Fingerprint]| all.iter().map(|it| it.is_weak()).collect::<Vec<_>>();
        assert_eq!(kinds(&debug), [false, true, true, true]);
        assert_eq!(kinds(&release), [true, true]);
        assert_eq!(debug[3], release[0]);
        assert_ne!(debug[0], other[0]);
        assert_eq!(debug[3], other[3], "which is why it is weak");
        let named = [list, ("shop::run", "src/main.rs", 7)];
        let named = group(&panic(INDEX, &named), None).fingerprints;
        assert_eq!(kinds(&named), [false, true, true]);
    }

    #[test]
    fn a_closure_without_a_name_is_of_the_function_that_calls_it_from_the_same_file() {
        let std = "/rustc/59807616e/library/core/src/iter/adapters/map.rs";
        let stack = |closure: &str, caller: &str| {
            let stack = [
                (closure, "src/weigh.rs", 8),
                ("fold<u8>", std, 3),
                ("shop::weigh", caller, 7),
                ("shop::load", "src/load.rs", 2),
            ];
            group(&panic(INDEX, &stack), None).fingerprints
        };
        let debug = stack("shop::weigh::{{closure}}", "src/weigh.rs");

        assert_eq!(stack("{closure#1}", "src/weigh.rs")[..3], debug[..3]);
        assert_ne!(stack("{closure#1}", "src/scales.rs")[0], debug[0]);
        let of_async = stack("{async_fn#0}", "src/weigh.rs");
        assert!(
            of_async.iter().all(|it| it.is_weak()),
            "who awaits is another"
        );
    }

    #[test]
    fn who_runs_a_task_does_not_count() {
        let std = "/rustc/59807616e/library/std/src/panicking.rs";
        let task = ("shop::deliver", "src/courier.rs", 3);

        let in_debug = of(
            INDEX,
            &[
                task,
                ("std::panicking::catch_unwind::do_call", std, 1),
                ("__rust_try", "", 0),
                ("shop::main", "src/main.rs", 9),
            ],
        );
        let in_release = of(
            INDEX,
            &[
                task,
                ("do_call<&fn(), ()>", std, 1),
                ("shop::serve", "src/server.rs", 9),
            ],
        );

        assert_eq!(in_debug, in_release);
    }

    #[test]
    fn builds_and_lines_do_not_matter() {
        let debug = of(
            INDEX,
            &[
                ("core::panicking::panic_fmt", LIBRARY, 1),
                ("shop::price::tier", "src/price.rs", 7),
                ("shop::price::total::{{closure}}", "src/price.rs", 20),
                ("shop::price::total", "src/price.rs", 19),
                (
                    "std::sys::backtrace::__rust_begin_short_backtrace",
                    LIBRARY,
                    1,
                ),
            ],
        );
        let release = of(
            "index out of bounds: the len is 5 but the index is 5",
            &[
                ("tier", "/build/shop/src/price.rs", 9),
                ("total", "/build/shop/src/price.rs", 29),
                ("main", "/build/shop/src/main.rs", 29),
            ],
        );

        assert_eq!(debug, release);
    }

    #[test]
    fn different_bugs_in_one_helper_are_two() {
        let helper = ("shop::pick", "src/lib.rs", 7);
        let from_cart = of(INDEX, &[helper, ("shop::cart", "src/lib.rs", 20)]);
        let from_mail = of(INDEX, &[helper, ("shop::mail", "src/lib.rs", 40)]);
        let other_class = of(
            "attempt to divide by zero",
            &[helper, ("shop::cart", "src/lib.rs", 20)],
        );

        assert_ne!(from_cart, from_mail);
        assert_ne!(from_cart, other_class);
    }

    #[test]
    fn recursion_is_one_call() {
        let deep = ("shop::walk", "src/lib.rs", 7);
        let top = ("shop::start", "src/lib.rs", 1);

        assert_eq!(of(INDEX, &[deep, top]), of(INDEX, &[deep, deep, deep, top]));
    }

    #[test]
    fn words_count_where_the_class_says_nothing() {
        let stack = [("shop::check", "src/lib.rs", 7)];

        assert_ne!(
            of("no such order: 17", &stack),
            of("stock is empty", &stack)
        );
        assert_eq!(
            of("no such order: 17", &stack),
            of("no such order: 18", &stack)
        );
    }

    #[test]
    fn without_debug_information_the_source_says_what_failed() {
        let without = panic(INDEX, &[("shop::price::total", "", 0), ("main", "", 0)]);
        let with = panic(
            INDEX,
            &[
                ("shop::price::tier", "src/price.rs", 7),
                ("shop::price::total", "src/price.rs", 19),
            ],
        );
        let alone = panic(INDEX, &[("shop::price::tier", "src/price.rs", 7)]);

        let source = "fn total() { tier(); }\nfn tier() {\n\n\n\n\n\n}";
        let told = group(&without, Some(source));

        assert!(!explain(&without, Some(source)).provisional);
        assert!(told.fingerprints.iter().all(|it| it.is_weak()));
        let shared = |event: &Event| {
            group(event, None)
                .fingerprints
                .contains(&told.fingerprints[0])
        };
        assert!(shared(&with) && !shared(&alone));
        let failed = told.fingerprints[1];
        assert!(group(&alone, None).fingerprints.contains(&failed));
        let later = group(&without, None).fingerprints;
        assert_eq!(
            told.fingerprints.last(),
            later.last(),
            "it stays in its issue"
        );
    }

    #[test]
    fn without_debug_information_the_place_decides_for_now() {
        let event = panic(INDEX, &[("shop::price::tier", "", 0), ("main", "", 0)]);
        let explanation = explain(&event, None);

        assert!(explanation.provisional);
        assert_eq!(group(&event, None).culprit, "shop::price::tier");
        let kept: Vec<&str> = explanation.kept.iter().map(|kept| &*kept.value).collect();
        let expected = ["index_out_of_bounds", "src/price.rs#tier"];
        assert_eq!(kept, expected);
    }

    #[test]
    fn the_explanation_names_what_counted_and_what_did_not() {
        let frames = [
            ("core::panicking::panic_fmt", LIBRARY, 1),
            ("shop::tier", "src/price.rs", 7),
        ];
        let explanation = explain(&panic(INDEX, &frames), None);

        let kept: Vec<_> = explanation
            .kept
            .iter()
            .map(|k| (&*k.rule, &*k.value))
            .collect();
        assert_eq!(
            kept,
            [
                ("class", "index_out_of_bounds"),
                ("function", "src/price.rs#tier")
            ]
        );
        let dropped: Vec<_> = explanation
            .dropped
            .iter()
            .map(|d| (&*d.rule, &*d.frame))
            .collect();
        assert_eq!(dropped, [("panic machinery", "core::panicking::panic_fmt")]);
    }

    #[test]
    fn a_fingerprint_survives_its_text() {
        let fingerprint = of(INDEX, &[("shop::tier", "src/price.rs", 7)]);

        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!("v1-xyz".parse::<Fingerprint>(), Err(InvalidFingerprint));
    }
}
