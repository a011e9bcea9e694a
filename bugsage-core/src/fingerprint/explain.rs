//! Puts the rules together: an event in, its fingerprints and the reasons out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::{Event, EventKind};
use crate::panic_class::{self, PanicClass};
use crate::stacktrace::Frame;

use super::frames::{self, Part};
use super::{message, symbol};

/// The version of the rules in this module.
pub const VERSION: u8 = 1;

/// How many of the app's functions count: where it failed, and who asked for it. One alone would
/// fold all bugs of a shared helper; three would split a bug by the way that led to it.
const ANCHORS_MAX: usize = 2;

/// The identity of a bug: the rules' version and 128 bits of SHA-256 over what counted.
///
/// SHA-256, cut, because whoever can send events must not be able to aim at another bug's issue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    version: u8,
    hash: [u8; 16],
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}-", self.version)?;
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
        let (version, hex) = text
            .strip_prefix('v')
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
        Ok(Self { version, hash })
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
    /// Why it is so.
    pub explanation: Explanation,
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

/// Groups one event. Costs a few microseconds per frame.
pub fn group(event: &Event) -> Grouping {
    let class = class_of(event);
    let mut explanation = Explanation::default();
    let anchors = anchors(event, &mut explanation);
    explanation.keep("class", class.text.clone());

    let has_files = anchors.iter().any(|anchor| anchor.file.is_some());
    let location = event.location.as_ref();
    let separated = has_files && !anchors.is_empty();
    if separated {
        for anchor in anchors.iter().take(ANCHORS_MAX) {
            explanation.keep("function", anchor.key());
        }
    } else if let Some(location) = location {
        explanation.keep("file", frames::crate_relative(&location.file));
        // An event without any stack, such as a log line, has nothing that could still come.
        explanation.provisional = event.stack.is_some();
    } else {
        for anchor in anchors.iter().take(ANCHORS_MAX) {
            explanation.keep("function", anchor.key());
        }
        explanation.provisional = event.stack.is_some();
    }
    let words_count = match event.kind {
        EventKind::Panic => class.is_own_text || explanation.kept.len() < 2,
        EventKind::Error => explanation.kept.len() < 2,
        EventKind::Log => true,
    };
    if words_count {
        let words = message::opening(&message::template(&event.message));
        explanation.keep("words", words);
    }

    let culprit = anchors.first().map(|anchor| anchor.function.clone());
    let in_app = match &culprit {
        Some(_) => true,
        // Without frames the location says it: whatever std raises has a file of std's.
        None => location.is_some_and(|l| {
            frames::in_app(&Frame {
                file: Some(l.file.clone()),
                ..Frame::default()
            })
        }),
    };
    let place = location.map(|location| frames::crate_relative(&location.file));
    let culprit = culprit.or(place).unwrap_or_else(|| "unknown".to_owned());
    Grouping {
        fingerprints: vec![fingerprint(event.kind, &explanation.kept)],
        title: title(event, &class),
        class: class.text,
        culprit,
        in_app,
        explanation,
    }
}

impl Explanation {
    fn keep(&mut self, rule: &str, value: String) {
        self.kept.push(Kept {
            rule: rule.to_owned(),
            value,
        });
    }
}

fn fingerprint(kind: EventKind, kept: &[Kept]) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        // With its length, so that no two lists of parts look alike.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    part(kind.as_str());
    for kept in kept {
        part(&kept.rule);
        part(&kept.value);
    }
    let digest = hash.finalize();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    Fingerprint {
        version: VERSION,
        hash,
    }
}

struct Class {
    text: String,
    /// Whether the class only says that the app wrote the message itself.
    is_own_text: bool,
}

fn class_of(event: &Event) -> Class {
    match event.kind {
        EventKind::Panic => {
            let class = panic_class::classify(&event.message).class;
            Class {
                text: class.as_str().to_owned(),
                is_own_text: class == PanicClass::Custom,
            }
        }
        EventKind::Error => {
            let root = event
                .errors
                .iter()
                .rev()
                .find_map(|error| error.type_name.as_deref());
            let text = root.map_or("error".to_owned(), symbol::normalize);
            Class {
                text,
                is_own_text: false,
            }
        }
        EventKind::Log => Class {
            text: "log".to_owned(),
            is_own_text: true,
        },
    }
}

fn title(event: &Event, class: &Class) -> String {
    const TITLE_BYTES_MAX: usize = 200;
    let line = event
        .message
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
        .trim();
    let line = if line.is_empty() {
        class.text.as_str()
    } else {
        line
    };
    crate::limits::cut(line, TITLE_BYTES_MAX).into_owned()
}

/// A function that counts.
#[derive(PartialEq, Eq, Clone)]
struct Anchor {
    /// The whole normalized name, for readers.
    function: String,
    /// The last segment, which is what inlined frames have left of the name.
    name: String,
    file: Option<String>,
}

impl Anchor {
    fn key(&self) -> String {
        match &self.file {
            Some(file) => format!("{file}#{}", self.name),
            None => self.function.clone(),
        }
    }
}

/// The app's functions on the stack, innermost first, each once in a row, recursion folded.
fn anchors(event: &Event, explanation: &mut Explanation) -> Vec<Anchor> {
    let Some(stack) = &event.stack else {
        return Vec::new();
    };
    let names: Vec<Option<String>> = stack
        .frames
        .iter()
        .map(|f| f.function.as_deref().map(symbol::normalize))
        .collect();
    let parts: Vec<Part> = stack
        .frames
        .iter()
        .zip(&names)
        .map(|(frame, name)| frames::judge_named(frame, name.as_deref()))
        .collect();
    let bounds = frames::bounds(&parts);

    let mut anchors: Vec<Anchor> = Vec::new();
    for (at, frame) in stack.frames.iter().enumerate() {
        let shown = || {
            names[at]
                .clone()
                .unwrap_or_else(|| format!("{:#x}", frame.address))
        };
        let mut drop = |rule: &str| {
            explanation.dropped.push(Dropped {
                rule: rule.to_owned(),
                frame: shown(),
            });
        };
        if at < bounds.start {
            drop(Part::Machinery.rule());
        } else if at >= bounds.end {
            drop(Part::Runtime.rule());
        } else if parts[at] != Part::App {
            drop(parts[at].rule());
        } else if let Some(function) = &names[at] {
            let Some(name) = symbol::last_segment(function) else {
                drop("closure without a name");
                continue;
            };
            let anchor = Anchor {
                name: name.to_owned(),
                file: frame.file.as_deref().map(frames::crate_relative),
                function: function.trim_end_matches("::{closure}").to_owned(),
            };
            if anchors.iter().any(|known| known.key() == anchor.key()) {
                drop("recursion");
            } else if anchors.len() >= ANCHORS_MAX {
                drop("further out than what counts");
                // Kept out of the hash, but not looked at any longer either.
            } else {
                anchors.push(anchor);
            }
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::event::{Level, Location, Run, Thread};
    use crate::id::{EventId, RunId};
    use crate::stacktrace::StackTrace;

    const INDEX: &str = "index out of bounds: the len is 3 but the index is 9";
    const LIBRARY: &str = "/rustc/59807616e/library/core/src/panicking.rs";

    fn panic(message: &str, frames: &[(&str, &str, u32)]) -> Event {
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
        }
    }

    fn of(message: &str, frames: &[(&str, &str, u32)]) -> Fingerprint {
        group(&panic(message, frames)).fingerprints[0]
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
    fn without_debug_information_the_place_decides_for_now() {
        let grouping = group(&panic(
            INDEX,
            &[("shop::price::tier", "", 0), ("main", "", 0)],
        ));

        assert!(grouping.explanation.provisional);
        assert_eq!(grouping.culprit, "shop::price::tier");
        let kept: Vec<&str> = grouping
            .explanation
            .kept
            .iter()
            .map(|kept| &*kept.value)
            .collect();
        assert_eq!(kept, ["index_out_of_bounds", "src/price.rs"]);
    }

    #[test]
    fn the_explanation_names_what_counted_and_what_did_not() {
        let grouping = group(&panic(
            INDEX,
            &[
                ("core::panicking::panic_fmt", LIBRARY, 1),
                ("shop::tier", "src/price.rs", 7),
            ],
        ));

        let kept: Vec<_> = grouping
            .explanation
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
        let dropped: Vec<_> = grouping
            .explanation
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
