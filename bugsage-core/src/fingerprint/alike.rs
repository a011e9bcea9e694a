//! Groups events that are alike but for their numbers, without working it all out again.

use crate::event::{Event, EventKind, FINGERPRINT_TAG, Text};

use super::explain::{Class, Grouping, Judged, Words, class_of, judge};
use super::rules::Rules;
use super::source::Sources;
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
    line: Option<u32>,
    /// The sources are of its commit.
    release: Option<Text>,
    has_stack: bool,
    /// The words of the message, where they count. Whether they do depends on the rest.
    words: Option<String>,
    judged: Judged,
}

impl Alike {
    /// [`group_on`] for the next event of a stack, which must be the same for all events.
    pub fn group_on(
        &mut self,
        event: &Event,
        outline: &Outline,
        sources: &mut dyn Sources,
        rules: &Rules,
    ) -> Grouping {
        // These look at all of an event.
        if !rules.is_empty()
            || event
                .tags
                .iter()
                .any(|(name, _)| &**name == FINGERPRINT_TAG)
        {
            return group_on(event, outline, sources, rules);
        }
        // Without other files the line of the location says which function it is.
        let has_files = outline.has_files();
        let line = event
            .location
            .as_ref()
            .map(|it| it.line)
            .filter(|_| !has_files);
        let (class, words) = (class_of(event), Words::of(event));
        let mut known = self.known.iter();
        if let Some(known) = known.find(|known| known.is_like(event, line, &class, &words)) {
            return known.judged.clone().into_grouping(event, &class);
        }
        // What was asked for to compare it need not count.
        let words = Words::of(event);
        let judged = judge(event, &class, &words, outline, sources, rules);
        if self.known.len() == ALIKE_MAX {
            self.known.remove(0);
        }
        self.known.push(Known {
            kind: event.kind,
            class: class.text.clone().into_owned(),
            file: event.location.as_ref().map(|it| it.file.clone()),
            line,
            release: event.run.release.clone(),
            has_stack: event.stack.is_some(),
            words: words.into_counted(),
            judged: judged.clone(),
        });
        judged.into_grouping(event, &class)
    }
}

impl Known {
    fn is_like(
        &self,
        event: &Event,
        line: Option<u32>,
        class: &Class<'_>,
        words: &Words<'_>,
    ) -> bool {
        self.kind == event.kind
            && self.has_stack == event.stack.is_some()
            && self.class == class.text
            && self.line == line
            && self.release == event.run.release
            && self.file.as_deref() == event.location.as_ref().map(|it| &*it.file)
            && self
                .words
                .as_deref()
                .is_none_or(|known| known == words.get())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{Everywhere, panic};
    use super::*;
    use crate::event::ErrorLink;

    fn any_event() -> impl Strategy<Value = Event> {
        let message = prop::sample::select(vec![
            "index out of bounds: the len is 3 but the index is 9",
            "index out of bounds: the len is 4 but the index is 4",
            "attempt to divide by zero",
            "no such order: 17",
            "no such order: 18",
            "stock is empty",
            "",
        ]);
        let kind = prop::sample::select(vec![EventKind::Panic, EventKind::Error, EventKind::Log]);
        let file = prop::sample::select(vec![
            None,
            Some("src/price.rs"),
            Some("/rustc/1/library/core/src/a.rs"),
        ]);
        let error =
            prop::sample::select(vec![None, Some("shop::NoOrder"), Some("shop::Broken<u8>")]);
        (message, kind, file, error, any::<bool>()).prop_map(
            |(message, kind, file, error, has_stack)| {
                let mut event = panic(message, &[("shop::tier", "", 0)]);
                event.kind = kind;
                event.errors.extend(error.map(|name| ErrorLink {
                    type_name: Some(name.into()),
                    message: "".into(),
                }));
                event.stack = event.stack.filter(|_| has_stack);
                match (&mut event.location, file) {
                    (Some(location), Some(file)) => location.file = file.into(),
                    (location, _) => *location = None,
                }
                event
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_worked_out(
            events in prop::collection::vec(any_event(), 1..40),
            frames in prop::sample::select(vec![
                &[("shop::tier", "src/price.rs", 7), ("shop::total", "src/price.rs", 9)][..],
                &[("shop::tier::{{closure}}", "src/price.rs", 7)],
                &[("{closure#0}", "src/price.rs", 7)],
                &[("shop::price::tier", "", 7)],
                &[],
            ]),
            source in prop::sample::select(vec!["", "fn total() { tier(); }\nfn tier() {\n\n\n\n\n\n}"]),
            rules in prop::sample::select(vec!["", "message:*order* -> orders", "class:* -> {{ default }} {{ message }}"]),
        ) {
            let rules = Rules::parse(rules).expect("are rules");
            let mut sources = Everywhere(source);
            let outline = panic("", frames).stack.map(|stack| Outline::of(&stack)).unwrap_or_default();
            let mut alike = Alike::default();
            for event in events {
                let alike = alike.group_on(&event, &outline, &mut sources, &rules);
                prop_assert_eq!(alike, group_on(&event, &outline, &mut sources, &rules));
            }
        }
    }
}
