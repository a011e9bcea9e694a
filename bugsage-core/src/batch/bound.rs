//! What keeps a decoded batch within its bounds, whatever the sender wrote.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::event::{Event, Losses, Pairs, Run, RunHour, RunState, Text};
use crate::limits;
use crate::span::Span;
use crate::stacktrace::{Frame, Module, StackTrace};

use super::ItemError;

/// A sequence on the wire of which at most `MAX` elements are kept, however many there are.
///
/// An element may take one byte on the wire and thirty in memory. So they are counted while they
/// are read, and not after: a batch of nothing but elements costs no more than its content.
pub(super) struct Bounded<T, const MAX: usize> {
    kept: Vec<T>,
    sent: usize,
}

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// The elements, where there are no more than there may be.
    pub(super) fn within(self, what: &'static str) -> Result<Vec<T>, ItemError> {
        within(what, MAX, self.sent)?;
        Ok(self.kept)
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T, const MAX: usize> From<Vec<T>> for Bounded<T, MAX> {
    fn from(elements: Vec<T>) -> Self {
        Self {
            sent: elements.len(),
            kept: elements,
        }
    }
}

impl<T, const MAX: usize> FromIterator<T> for Bounded<T, MAX> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        elements.into_iter().collect::<Vec<T>>().into()
    }
}

impl<T: Serialize, const MAX: usize> Serialize for Bounded<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.kept.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
            type Value = Bounded<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rest: A) -> Result<Self::Value, A::Error> {
                let expected = rest.size_hint().unwrap_or(0).min(MAX);
                let mut kept = Vec::with_capacity(expected);
                let mut sent = 0;
                while let Some(element) = rest.next_element()? {
                    sent += 1;
                    if sent <= MAX {
                        kept.push(element);
                    }
                }
                Ok(Bounded { kept, sent })
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// Turns away what there is too much of.
pub(super) fn within(what: &'static str, limit: usize, value: usize) -> Result<(), ItemError> {
    if value > limit {
        Err(ItemError::OverLimit { what, limit, value })
    } else {
        Ok(())
    }
}

/// What a batch takes once it is decoded: in memory, and about as much in a store.
///
/// Dictionaries let a byte on the wire stand for kilobytes. Both ends count what it stands for: the
/// builder to stay below the limit, the decoder to turn away what is above.
#[derive(Default)]
pub(super) struct Budget {
    used_bytes: usize,
}

impl Budget {
    /// Counts an entry or item that goes in, whether there is room or not.
    pub(super) fn count(&mut self, entry: &impl Size) {
        self.used_bytes = self.used_bytes.saturating_add(entry.size_bytes());
    }

    /// Takes room for an entry or item, where there is enough.
    pub(super) fn spend(&mut self, entry: &impl Size) -> Result<(), ItemError> {
        let used_bytes = self.used_bytes.saturating_add(entry.size_bytes());
        within("batch text", limits::BATCH_TEXT_BYTES_MAX, used_bytes)?;
        self.used_bytes = used_bytes;
        Ok(())
    }

    /// How much was counted.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Whether an event of any size has room, with its stack and the strings of both.
    pub(super) fn has_room(&self) -> bool {
        let event_bytes = limits::EVENT_BYTES_MAX + STACK_BYTES_MAX;
        self.used_bytes + 2 * event_bytes <= limits::BATCH_TEXT_BYTES_MAX
    }
}

/// What a decoded thing takes by itself. What it shares with others is counted where it stands
/// alone in a dictionary, except what a store writes out each time: the text of every event, and
/// the frames of every stack.
pub(super) trait Size {
    fn size_bytes(&self) -> usize;
}

/// The two counters before what an `Arc` holds.
const ARC_BYTES: usize = 16;

/// What a frame of a stack takes beside its text: its place in the stack, and its numbers where the stack is
/// written out, once for however many events.
const FRAME_BYTES: usize = 48;

/// The largest stack that a builder takes as it is: twenty times what long stacks of futures have. The names
/// in a larger one are cut, so that a batch need not hold back megabytes for the worst there can be.
pub(super) const STACK_BYTES_MAX: usize = 512 << 10;

/// How long a name in such a stack may be: what [`STACK_BYTES_MAX`] has for each of three names of a frame.
pub(super) const STACK_NAME_BYTES_MAX: usize =
    (STACK_BYTES_MAX / limits::FRAMES_MAX - FRAME_BYTES) / 4;

impl Size for Text {
    fn size_bytes(&self) -> usize {
        size_of::<Text>() + ARC_BYTES + self.len()
    }
}

impl Size for Arc<Module> {
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + ARC_BYTES + size_of::<Module>()
    }
}

impl Size for Arc<Frame> {
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + ARC_BYTES + size_of::<Frame>()
    }
}

impl Size for Arc<StackTrace> {
    fn size_bytes(&self) -> usize {
        let frames = self.frames.iter().map(|frame| {
            let module = frame.module.as_ref();
            FRAME_BYTES
                + length(&frame.function)
                + length(&frame.file)
                + module.map_or(0, |module| module.path.len() + module.build_id.len())
        });
        size_of::<Self>() + ARC_BYTES + size_of::<StackTrace>() + frames.sum::<usize>()
    }
}

impl Size for Pairs {
    fn size_bytes(&self) -> usize {
        let pairs = self.iter().map(|(k, v)| 32 + k.len() + v.len());
        size_of::<Self>() + pairs.sum::<usize>()
    }
}

impl Size for Run {
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + length(&self.release) + length(&self.environment) + self.sdk.len()
    }
}

impl Size for Losses {
    fn size_bytes(&self) -> usize {
        let dropped = self.dropped.iter().map(|(reason, _)| 48 + reason.len());
        size_of::<Self>() + dropped.sum::<usize>()
    }
}

impl Size for RunState {
    fn size_bytes(&self) -> usize {
        let hours = self.hours.iter();
        let hours = hours
            .map(|hour| size_of::<RunHour>() + 2 * (hour.users.len() + hour.users_panicked.len()));
        size_of::<Self>() + hours.sum::<usize>()
    }
}

impl Size for Event {
    fn size_bytes(&self) -> usize {
        let errors = self.errors.iter();
        let errors = errors.map(|e| 32 + e.message.len() + length(&e.type_name));
        let spans = self.spans.iter();
        let spans = spans.map(|s| 32 + s.name.len() + s.target.len() + s.fields.size_bytes());
        let crumbs = self.breadcrumbs.iter();
        let crumbs = crumbs.map(|c| 64 + c.target.len() + c.message.len());
        size_of::<Self>()
            + 8 * self.deltas_us.len()
            + self.message.len()
            + self.location.as_ref().map_or(0, |l| l.file.len())
            + length(&self.thread.name)
            + length(&self.user)
            + errors.sum::<usize>()
            + spans.sum::<usize>()
            + crumbs.sum::<usize>()
            + self.tags.size_bytes()
            + self.contexts.size_bytes()
            + self.attached.size_bytes()
            + self.inputs.size_bytes()
    }
}

impl Size for Span {
    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + 24 * self.links.len()
            + self.name.len()
            + self.target.len()
            + self.location.as_ref().map_or(0, |l| l.file.len())
            + length(&self.thread.name)
            + self.fields.size_bytes()
    }
}

fn length(text: &Option<Text>) -> usize {
    text.as_ref().map_or(0, |text| text.len())
}
