//! What of a stack counts, worked out once for all events that share it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::event::Text;
use crate::stacktrace::{Frame, StackTrace};

use super::explain::Dropped;
use super::frames::{self, Part};
use super::source::Sources;
use super::symbol::{self, Symbol};

/// How many of the app's functions count: where it failed, and who asked for it. One alone would
/// fold all bugs of a shared helper; three would split a bug by the way that led to it.
pub(super) const ANCHORS_MAX: usize = 2;

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
    "deserialize",
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

/// The app's functions on a stack that count.
///
/// A closure is called by the function that it stands in, where its name says which. An optimized
/// build with line tables alone knows of an inlined closure only its file. So a stack that has
/// closures counts twice: by names, where all are known, and with no names for closures, which
/// every build can tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Where a closure among them has no name, up to [`CANDIDATES_MAX`]: named by the source, two may be one.
    pub(super) by_name: Vec<Anchor>,
    pub(super) nameless: Vec<Anchor>,
    /// How many of these are known for sure, where symbols of frames that lie between or behind them were not read in
    /// time.
    pub(super) known: Option<usize>,
}

impl Outline {
    /// The outline of a stack. Frames further out than those that count are hardly looked at.
    pub fn of(stack: &StackTrace) -> Self {
        walk(&mut Frames::of(stack), None)
    }

    /// The outline of a stack for a caller who has the part of each frame already, as [`frames::judge`] says.
    pub fn judged(stack: &StackTrace, parts: &[Part]) -> Self {
        let mut frames = Frames::of(stack);
        frames.parts = parts.iter().copied().map(Some).collect();
        walk(&mut frames, None)
    }

    /// The outline of a stack, and the frames that do not count with the rule that drops each.
    pub(super) fn explained(stack: &StackTrace, dropped: &mut Vec<Dropped>) -> Self {
        walk(&mut Frames::of(stack), Some(dropped))
    }

    /// Whether the file of a function that counts is known. Where it is not, the function around the event's location
    /// counts, for which its source has to be at hand.
    pub(super) fn has_files(&self) -> bool {
        self.nameless.iter().any(|anchor| anchor.has_file)
    }

    /// By names, innermost first, each once in a row, recursion folded. `None` where a closure that counts has no
    /// name, and the source does not tell it.
    pub(super) fn named(&self, sources: &mut dyn Sources) -> Option<Cow<'_, [Anchor]>> {
        if !self.by_name.iter().any(|anchor| anchor.is_nameless) {
            return Some(Cow::Borrowed(&self.by_name));
        }
        let mut named: Vec<Anchor> = Vec::new();
        for anchor in &self.by_name {
            let anchor = match anchor.is_nameless {
                true => anchor.named_by(sources)?,
                false => anchor.clone(),
            };
            if named.iter().any(|known| known.key == anchor.key) {
                continue;
            }
            // Those that follow do not count.
            if named.len() == ANCHORS_MAX {
                break;
            }
            named.push(anchor);
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
    /// The file of the frame and its line, where both are known.
    pub(super) place: Option<(Text, u32)>,
}

impl Anchor {
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

/// The frames of a stack, each of which is judged when somebody asks for its part.
struct Frames<'a> {
    all: &'a [Arc<Frame>],
    /// Whether all symbols were read that there are.
    symbolicated: bool,
    parts: Vec<Option<Part>>,
    /// Names that were read for that.
    names: Vec<Option<Cow<'a, str>>>,
    /// Parts by function and file: executors and iterators call by way of the same few functions again and again.
    /// Whoever makes names that collide makes some more comparisons, of frames that are few.
    known: HashMap<(Option<&'a str>, Option<&'a str>), Part, RandomState>,
}

impl<'a> Frames<'a> {
    fn of(stack: &'a StackTrace) -> Self {
        let all = &*stack.frames;
        Self {
            all,
            symbolicated: stack.symbolicated,
            parts: vec![None; all.len()],
            names: vec![None; all.len()],
            known: HashMap::with_capacity_and_hasher(all.len(), RandomState::default()),
        }
    }

    fn part(&mut self, at: usize) -> Part {
        if let Some(part) = self.parts[at] {
            return part;
        }
        let frame = &*self.all[at];
        let function = frame.function.as_deref();
        let part = match self.known.entry((function, frame.file.as_deref())) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let symbol = function.map(Symbol::read);
                let part = *unknown.insert(frames::judge_read(frame, symbol.as_ref()));
                self.names[at] = symbol.map(|symbol| symbol.name);
                part
            }
        };
        self.parts[at] = Some(part);
        part
    }
}

/// Looks for what counts, from the innermost frame on, and no further than needed where nobody asks why the others
/// do not count.
fn walk(frames: &mut Frames<'_>, mut dropped: Option<&mut Vec<Dropped>>) -> Outline {
    let all = frames.all;
    let start = frames::inner_end(all, |at| frames.part(at));
    let mut parents = Parents::default();
    let (mut by_name, mut nameless) = (Vec::new(), Vec::new());
    let mut end: Option<Part> = None;
    let mut known = None;
    let first = if dropped.is_some() { 0 } else { start };
    for (at, frame) in all.iter().enumerate().skip(first) {
        let is_settled = by_name.len() >= room(&by_name) && nameless.len() == ANCHORS_MAX;
        if dropped.is_none() && (is_settled || end.is_some()) {
            break;
        }
        let part = frames.part(at);
        if at >= start && is_end(part) {
            end.get_or_insert(part);
        }
        let counts = at >= start && end.is_none() && by_name.len() < ANCHORS_MAX;
        if counts && !frames.symbolicated && frame.function.is_none() {
            known.get_or_insert(by_name.len());
        }
        let rule = if at < start {
            Some(Part::Machinery.rule())
        } else if let Some(end) = end {
            Some(end.rule())
        } else if part != Part::App {
            Some(part.rule())
        } else if let Some(function) = &frame.function {
            let own = Name::read(function, frames.names[at].take());
            // The body of an async function is called by who awaits it, which is another function.
            let name = if own.last.is_none() && !function.contains("async") {
                parents.of(at, frames).unwrap_or(&own)
            } else {
                &own
            };
            let file = frame.file.as_deref().map(frames::crate_relative);
            let frame = (&**frame, file.as_deref());
            let with = push(&mut by_name, frame, name, true);
            let without = push(&mut nameless, frame, name, false);
            with.and(without).err()
        } else {
            None
        };
        if let (Some(rule), Some(dropped)) = (rule, dropped.as_deref_mut()) {
            dropped.push(Dropped {
                rule: rule.to_owned(),
                frame: shown(frame),
            });
        }
    }
    Outline {
        by_name,
        nameless,
        known,
    }
}

/// Whether nothing from here on tells about the bug: the runtime begins, or a panic would be caught. Who runs a task is
/// by chance, and an optimized build may show it otherwise.
fn is_end(part: Part) -> bool {
    matches!(part, Part::Runtime | Part::Catch)
}

/// How many functions are wanted, by what there is of them.
fn room(by_name: &[Anchor]) -> usize {
    match by_name.iter().any(|anchor| anchor.is_nameless) {
        true => CANDIDATES_MAX,
        false => ANCHORS_MAX,
    }
}

fn shown(frame: &Frame) -> String {
    match &frame.function {
        Some(function) => symbol::normalize(function),
        None => format!("{:#x}", frame.address),
    }
}

/// A function's name, and what of it may count.
struct Name<'a> {
    text: Cow<'a, str>,
    /// How much of it names the function that the closures stand in.
    function: usize,
    /// Where its last segment is that is a name and no closure.
    last: Option<Range<usize>>,
    is_closure: bool,
}

impl<'a> Name<'a> {
    fn read(symbol: &'a str, known: Option<Cow<'a, str>>) -> Self {
        let text = known.unwrap_or_else(|| Symbol::read(symbol).name);
        let mut function = &*text;
        while let Some(outer) = function.strip_suffix("::{closure}") {
            function = outer;
        }
        Self {
            function: function.len(),
            last: symbol::last_segment_at(function),
            is_closure: symbol::is_closure(symbol),
            text,
        }
    }

    fn function(&self) -> &str {
        &self.text[..self.function]
    }

    fn last(&self) -> Option<&str> {
        self.last.clone().map(|last| &self.text[last])
    }
}

/// Finds the functions that closures without a name stand in, most likely: the next of the app, if it is of the same
/// file. Between the two lies at most what calls closures, as iterators do.
#[derive(Default)]
struct Parents<'a> {
    /// Where the last was found, and its name. It is next for all closures up to it, so nothing is looked at again
    /// for each of them.
    next: usize,
    name: Option<Name<'a>>,
}

impl<'a> Parents<'a> {
    fn of(&mut self, closure: usize, frames: &mut Frames<'a>) -> Option<&Name<'a>> {
        let all = frames.all;
        if self.next <= closure {
            (self.next, self.name) = (all.len(), None);
            for (at, frame) in all.iter().enumerate().skip(closure + 1) {
                let part = frames.part(at);
                if is_end(part) {
                    break;
                }
                let function = frame.function.as_deref().filter(|_| part == Part::App);
                let name = function.map(|function| Name::read(function, None));
                if let Some(name) = name.filter(|name| name.last.is_some()) {
                    (self.next, self.name) = (at, Some(name));
                    break;
                }
            }
        }
        let parent = all.get(self.next)?;
        let is_beside = parent.file.is_some() && parent.file == all[closure].file;
        self.name.as_ref().filter(|_| is_beside)
    }
}

/// Adds a function of the app, or says why it does not count.
fn push(
    anchors: &mut Vec<Anchor>,
    (frame, file): (&Frame, Option<&str>),
    name: &Name<'_>,
    with_name: bool,
) -> Result<(), &'static str> {
    let last = name.last();
    let is_nameless = last.is_none() || (name.is_closure && !with_name);
    let counted = match (file, last) {
        (Some(_), _) if is_nameless => symbol::CLOSURE,
        (Some(_), Some(last)) => last,
        (None, Some(_)) => name.function(),
        (_, None) => return Err("closure without name and file"),
    };
    let is_same = |known: &Anchor| match file {
        Some(file) => {
            let behind = known.key.strip_prefix(file);
            behind.and_then(|it| it.strip_prefix('#')) == Some(counted)
        }
        None => known.key == counted,
    };
    // Until the source has named them nobody knows which of them are the same.
    let is_open = room(anchors) > ANCHORS_MAX && with_name;
    let room = if is_open { CANDIDATES_MAX } else { ANCHORS_MAX };
    if !is_open && anchors.iter().any(is_same) {
        Err("recursion")
    } else if anchors.len() >= room {
        // Kept out of the hash, but not looked at any longer either.
        Err("further out than what counts")
    } else {
        anchors.push(Anchor {
            key: match file {
                Some(file) => format!("{file}#{counted}"),
                None => counted.to_owned(),
            },
            function: last.map(|_| name.function().into()),
            has_file: file.is_some(),
            is_nameless,
            place: frame.file.clone().zip(frame.line),
        });
        Ok(())
    }
}
