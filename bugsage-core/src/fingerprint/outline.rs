//! What of a stack counts, worked out once for all events that share it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::event::Text;
use crate::stacktrace::{Frame, StackTrace};

use super::explain::Dropped;
use super::frames::{self, Part};
use super::source::Sources;
use super::symbol::{self, Symbol};

/// How many of the app's functions count: where it failed, and who asked for it. One alone would
/// fold all bugs of a shared helper; three would split a bug by the way that led to it.
const ANCHORS_MAX: usize = 2;

/// How many functions are looked at for those that count, where the source has to name some first: a closure and what
/// it stands in are one, and recursion may lie between.
const CANDIDATES_MAX: usize = 8;

/// Functions that are called by operators, loops, macros, `?` or the end of a scope, without their name.
const IMPLICIT_CALLS: &[&str] = &[
    "add",
    "add_assign",
    "bitand",
    "bitand_assign",
    "bitor",
    "bitor_assign",
    "bitxor",
    "bitxor_assign",
    "borrow",
    "call",
    "call_mut",
    "call_once",
    "clone",
    "cmp",
    "deref",
    "deref_mut",
    "div",
    "div_assign",
    "drop",
    "eq",
    "fmt",
    "from",
    "from_output",
    "from_residual",
    "from_str",
    "ge",
    "gt",
    "index",
    "index_mut",
    "into",
    "into_future",
    "into_iter",
    "le",
    "lt",
    "main",
    "mul",
    "mul_assign",
    "ne",
    "neg",
    "next",
    "not",
    "partial_cmp",
    "poll",
    "rem",
    "rem_assign",
    "serialize",
    "deserialize",
    "shl",
    "shl_assign",
    "shr",
    "shr_assign",
    "sub",
    "sub_assign",
    "to_string",
    "try_from",
    "try_into",
];

/// Names of functions as they count, each worked out once: the frames of a batch share their text,
/// and a sender may let a thousand stacks refer to one that is long.
#[derive(Debug, Default)]
pub struct Names {
    /// By the address of the text, which stands beside it and so stays where it is.
    known: HashMap<*const u8, (Text, Name)>,
}

/// A function's name.
#[derive(Debug, Clone)]
struct Name {
    normalized: Text,
    /// The crate that it stands in; empty where that is not known.
    home: Text,
    is_closure: bool,
}

impl Names {
    /// What a frame is doing, as [`frames::judge`] says.
    pub fn judge(&mut self, frame: &Frame) -> Part {
        let name = self.of(frame);
        let named = name.as_ref().map(|name| (&*name.normalized, &*name.home));
        frames::judge_named(frame, named)
    }

    fn of(&mut self, frame: &Frame) -> Option<Name> {
        let function = frame.function.as_ref()?;
        let known = self.known.entry(function.as_ptr()).or_insert_with(|| {
            let symbol = Symbol::read(function);
            let name = Name {
                normalized: symbol.name.into(),
                home: symbol.home.into(),
                is_closure: symbol::is_closure(function),
            };
            (function.clone(), name)
        });
        Some(known.1.clone())
    }
}

/// The app's functions on a stack that count.
///
/// A closure is called by the function that it stands in, where its name says which. An optimized
/// build with line tables alone knows of an inlined closure only its file. So a stack that has
/// closures counts twice: by names, where all are known, and with no names for closures, which
/// every build can tell.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    /// Where a closure among them has no name, up to [`CANDIDATES_MAX`]: named by the source, two may be one.
    by_name: Vec<Anchor>,
    nameless: Vec<Anchor>,
}

impl Outline {
    /// The outline of a stack.
    pub fn of(stack: &StackTrace, names: &mut Names) -> Self {
        walk(stack, names, |_, _, _| {})
    }

    /// The outline of a stack, and the frames that do not count with the rule that drops each.
    pub(super) fn explained(
        stack: &StackTrace,
        names: &mut Names,
        dropped: &mut Vec<Dropped>,
    ) -> Self {
        walk(stack, names, |rule, frame, name| {
            let shown = name.map_or_else(|| format!("{:#x}", frame.address), str::to_owned);
            dropped.push(Dropped {
                rule: rule.to_owned(),
                frame: shown,
            });
        })
    }

    /// Whether the stack tells source files. Where it does not, the function around the event's location counts,
    /// for which its source has to be at hand.
    pub fn has_files(&self) -> bool {
        self.nameless.iter().any(|anchor| anchor.has_file)
    }

    /// By names, innermost first, each once in a row, recursion folded. `None` where a closure that counts has no
    /// name, and the source does not tell it.
    pub(super) fn named(&self, sources: &mut dyn Sources) -> Option<Cow<'_, [Anchor]>> {
        if !self.by_name.iter().any(|anchor| anchor.is_nameless) {
            return Some(Cow::Borrowed(&self.by_name));
        }
        let mut named = Vec::new();
        for anchor in &self.by_name {
            let anchor = match anchor.is_nameless {
                true => anchor.named_by(sources)?,
                false => anchor.clone(),
            };
            // Those that follow do not count.
            if push(&mut named, Some(anchor)).is_err() && named.len() == ANCHORS_MAX {
                break;
            }
        }
        Some(Cow::Owned(named))
    }

    /// The same, with no names for closures.
    pub(super) fn nameless(&self) -> &[Anchor] {
        &self.nameless
    }
}

/// A function that counts.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Anchor {
    /// What counts of it: file and last name, since an inlined function has no more.
    pub(super) key: String,
    /// The whole normalized name, for readers.
    pub(super) function: Option<Text>,
    pub(super) has_file: bool,
    /// Whether it is a closure that counts by its file alone.
    pub(super) is_nameless: bool,
    /// The line of the frame and its file, where both are known.
    place: Option<(Text, u32)>,
}

impl Anchor {
    fn new(frame: &Frame, name: &Name, with_name: bool) -> Option<Self> {
        let file = frame.file.as_deref().map(frames::crate_relative);
        let function = name.normalized.trim_end_matches("::{closure}");
        let last = symbol::last_segment(function);
        let is_nameless = last.is_none() || (name.is_closure && !with_name);
        let key = match (&file, last) {
            (Some(file), _) if is_nameless => format!("{file}#{}", symbol::CLOSURE),
            (Some(file), Some(last)) => format!("{file}#{last}"),
            (None, Some(_)) => function.to_owned(),
            (_, None) => return None,
        };
        Some(Self {
            key,
            function: last.map(|_| function.into()),
            has_file: file.is_some(),
            is_nameless,
            place: frame.file.clone().zip(frame.line),
        })
    }

    /// Whether this one only runs what it was handed, a function or a future: its source does not name what it called.
    pub(super) fn was_handed(&self, called: &Anchor, sources: &mut dyn Sources) -> bool {
        let called = called.function.as_deref().and_then(symbol::last_segment);
        let (Some(called), Some((file, line))) = (called, &self.place) else {
            return false;
        };
        if IMPLICIT_CALLS.contains(&called) {
            return false;
        }
        let functions = sources.functions(file);
        functions.is_some_and(|functions| functions.names(*line, called) == Some(false))
    }

    /// A closure without a name, by the function that it stands in.
    fn named_by(&self, sources: &mut dyn Sources) -> Option<Self> {
        let (file, line) = self.place.as_ref()?;
        let functions = sources.functions(file)?;
        let name = functions.at(*line)?;
        Some(Self {
            key: format!("{}#{name}", frames::crate_relative(file)),
            function: Some(name.into()),
            has_file: true,
            is_nameless: false,
            place: self.place.clone(),
        })
    }
}

fn walk(
    stack: &StackTrace,
    names: &mut Names,
    mut drop: impl FnMut(&'static str, &Frame, Option<&str>),
) -> Outline {
    let named: Vec<(Option<Name>, Part)> = stack
        .frames
        .iter()
        .map(|frame| (names.of(frame), names.judge(frame)))
        .collect();
    let parts: Vec<Part> = named.iter().map(|(_, part)| *part).collect();
    let bounds = frames::bounds(&parts);

    let (mut by_name, mut nameless) = (Vec::new(), Vec::new());
    for (at, (frame, (name, part))) in stack.frames.iter().zip(&named).enumerate() {
        let rule = if at < bounds.start {
            Some(Part::Machinery.rule())
        } else if at >= bounds.end {
            Some(parts[bounds.end].rule())
        } else if *part != Part::App {
            Some(part.rule())
        } else if let Some(name) = name {
            let within = &named[at + 1..bounds.end];
            let parent = || parent(frame, &stack.frames[at + 1..bounds.end], within);
            let name = &parent_if_nameless(frame, name, parent);
            let with = push_candidate(&mut by_name, Anchor::new(frame, name, true));
            let without = push(&mut nameless, Anchor::new(frame, name, false));
            with.and(without).err()
        } else {
            None
        };
        if let Some(rule) = rule {
            drop(rule, frame, name.as_ref().map(|name| &*name.normalized));
        }
    }
    Outline { by_name, nameless }
}

/// The name that counts of a function: of a closure that has none, that of who called it, where that is known.
fn parent_if_nameless(frame: &Frame, name: &Name, parent: impl FnOnce() -> Option<Name>) -> Name {
    let is_nameless = symbol::last_segment(&name.normalized).is_none();
    // The body of an async function is called by who awaits it, which is another function.
    let is_async = frame
        .function
        .as_deref()
        .is_some_and(|name| name.contains("async"));
    let parent = (is_nameless && !is_async).then(parent).flatten();
    parent.unwrap_or_else(|| name.clone())
}

/// The function that a closure stands in, most likely: the next of the app, if it is of the same file. Between the
/// two lies at most what calls closures, as iterators do.
fn parent(closure: &Frame, frames: &[Arc<Frame>], named: &[(Option<Name>, Part)]) -> Option<Name> {
    let mut outer = frames.iter().zip(named);
    let (frame, name) = outer.find_map(|(frame, (name, part))| {
        let name = name.as_ref().filter(|_| *part == Part::App)?;
        symbol::last_segment(&name.normalized)?;
        Some((frame, name))
    })?;
    (frame.file.is_some() && frame.file == closure.file).then(|| name.clone())
}

/// As [`push`], and beyond what counts where a closure among them has no name.
fn push_candidate(anchors: &mut Vec<Anchor>, anchor: Option<Anchor>) -> Result<(), &'static str> {
    let is_open = anchors.len() < CANDIDATES_MAX && anchors.iter().any(|it| it.is_nameless);
    match anchor {
        Some(anchor) if is_open => {
            anchors.push(anchor);
            Ok(())
        }
        anchor => push(anchors, anchor),
    }
}

/// Adds a function of the app, or says why it does not count.
fn push(anchors: &mut Vec<Anchor>, anchor: Option<Anchor>) -> Result<(), &'static str> {
    let anchor = anchor.ok_or("closure without name and file")?;
    if anchors.iter().any(|known| known.key == anchor.key) {
        Err("recursion")
    } else if anchors.len() >= ANCHORS_MAX {
        // Kept out of the hash, but not looked at any longer either.
        Err("further out than what counts")
    } else {
        anchors.push(anchor);
        Ok(())
    }
}
