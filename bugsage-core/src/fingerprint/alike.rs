//! Groups events that are alike but for their numbers, without working it all out again.

use crate::event::{Event, EventKind, Text};

use super::explain::{Class, Grouping, Judged, Words, class_of, judge};
use super::{Outline, group_on};

/// Kinds of events that are remembered. A stack has one, or a few where one place logs different texts.
const ALIKE_MAX: usize = 8;

/// What came of the events of one stack. The next ones are most likely like one of them.
///
/// It grows by what counted of an event at most, and no further than a few of them.
#[derive(Debug, Default)]
pub struct Alike {
    known: Vec<Known>,
}

/// All that counts of an event beside its stack, and what came of it.
#[derive(Debug)]
struct Known {
    kind: EventKind,
    class: String,
    file: Option<Text>,
    has_stack: bool,
    /// The words of the message, where they count. Whether they do depends on the rest.
    words: Option<String>,
    judged: Judged,
}

impl Alike {
    /// [`group_on`] for the next event of a stack, which must be the same for all events.
    pub fn group_on(&mut self, event: &Event, outline: &Outline, source: Option<&str>) -> Grouping {
        // The source is too long to be compared, and counts where nothing else tells of files.
        if source.is_some() && !outline.has_files() {
            return group_on(event, outline, source);
        }
        let (class, words) = (class_of(event), Words::of(event));
        let mut known = self.known.iter();
        if let Some(known) = known.find(|known| known.is_like(event, &class, &words)) {
            return known.judged.clone().into_grouping(event, &class);
        }
        // What was asked for to compare it need not count.
        let words = Words::of(event);
        let judged = judge(event, &class, &words, outline, source);
        if self.known.len() == ALIKE_MAX {
            self.known.remove(0);
        }
        self.known.push(Known {
            kind: event.kind,
            class: class.text.clone().into_owned(),
            file: event.location.as_ref().map(|it| it.file.clone()),
            has_stack: event.stack.is_some(),
            words: words.into_counted(),
            judged: judged.clone(),
        });
        judged.into_grouping(event, &class)
    }
}

impl Known {
    fn is_like(&self, event: &Event, class: &Class<'_>, words: &Words<'_>) -> bool {
        self.kind == event.kind
            && self.has_stack == event.stack.is_some()
            && self.class == class.text
            && self.file.as_deref() == event.location.as_ref().map(|it| &*it.file)
            && self
                .words
                .as_deref()
                .is_none_or(|known| known == words.get())
    }
}
