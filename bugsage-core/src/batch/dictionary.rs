//! Builds a batch: every string, module, frame, stack and context goes in once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use serde::Serialize;

use crate::event::{Event, Losses, Pairs, Run, RunState, Text};
use crate::id::{BatchId, RunId};
use crate::limits;
use crate::recent::Recent;
use crate::span::Span;
use crate::stacktrace::{Frame, Module, StackTrace};

use super::bound::{Budget, STACK_BYTES_MAX, STACK_NAME_BYTES_MAX, Size};
use super::v1::{
    BreadcrumbV1, EventV1, FinishedSpanV1, FrameV1, LossesV1, ModuleV1, PairsV1, RunHourV1,
    RunStateV1, RunV1, SpanV1, StackV1, SurroundingsV1, TimingV1, kind_number, level_number,
};
use super::{Sealed, frame, kind};

/// What an event adds at most to the content beside its text, so that [`BatchBuilder::fits`] can
/// answer before anything is encoded.
const EVENT_OVERHEAD_BYTES: usize = 4 << 10;

/// What a span with a dozen short fields takes has room in half of it.
const SPAN_SCRATCH_BYTES: usize = 2 << 10;

/// Collects events until the batch is sealed.
#[derive(Default)]
pub struct BatchBuilder {
    strings: Interned<Text>,
    /// Where the latest of them stand.
    recent: Recent<u32>,
    modules: Interned<Arc<Module>>,
    frames: Interned<Arc<Frame>>,
    stacks: Interned<Arc<StackTrace>>,
    contexts: Interned<Pairs>,
    runs: Vec<RunId>,
    /// Encoded items, in their order within their own lists.
    run_items: Vec<Vec<u8>>,
    event_items: Vec<Vec<u8>>,
    surroundings_items: Vec<Vec<u8>>,
    /// One behind the other as they go into the content: there are thousands.
    spans: Vec<u8>,
    spans_count: usize,
    /// Room for one of them.
    scratch: Vec<u8>,
    losses_items: Vec<Vec<u8>>,
    span_losses_items: Vec<Vec<u8>>,
    state_items: Vec<Vec<u8>>,
    content_bytes: usize,
    budget: Budget,
    /// How many reports each event item stands for.
    event_reports: Vec<u64>,
}

/// Values in the order of their first use, each once.
///
/// They are found by their hash, so one kind of table serves all of them.
struct Interned<T> {
    positions: HashMap<u64, u32>,
    values: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self {
            positions: HashMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    /// The position of `value` and whether it is new.
    fn position(&mut self, value: &T) -> (u32, bool) {
        if let Some(position) = self.find(value) {
            return (position, false);
        }
        let position = self.values.len() as u32;
        self.positions.insert(self.hash(value), position);
        self.values.push(value.clone());
        (position, true)
    }

    fn find(&self, value: &T) -> Option<u32> {
        let position = *self.positions.get(&self.hash(value))?;
        if self.values.get(position as usize) == Some(value) {
            return Some(position);
        }
        // Another value has the same hash. It is keyed, so that nobody can bring this about.
        let position = self.values.iter().position(|known| known == value)?;
        Some(position as u32)
    }

    fn hash(&self, value: &T) -> u64 {
        self.positions.hasher().hash_one(value)
    }
}

impl BatchBuilder {
    /// A batch with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.event_items.is_empty()
            && self.spans_count == 0
            && self.losses_items.is_empty()
            && self.span_losses_items.is_empty()
            && self.state_items.is_empty()
    }

    /// How many finished spans are in.
    pub fn spans(&self) -> u64 {
        self.spans_count as u64
    }

    /// How many reports are in, repeats counted.
    pub fn reports(&self) -> u64 {
        self.event_reports
            .iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// About how many bytes the content has before compression.
    pub fn content_bytes(&self) -> usize {
        self.content_bytes
    }

    /// Whether `text_bytes` more of event text are sure to stay within the limits of a batch.
    ///
    /// The bound is the compressed limit although the content is not compressed yet: text that
    /// does not compress must fit too. The counts leave room for what one event can add to them.
    pub fn fits(&self, text_bytes: usize) -> bool {
        let bytes = self.content_bytes + text_bytes + EVENT_OVERHEAD_BYTES;
        bytes < limits::BATCH_BYTES_MAX * 3 / 4
            && self.budget.has_room()
            && self.event_items.len() < limits::BATCH_ITEMS_MAX / 4
            && self.spans_count < limits::BATCH_ITEMS_MAX / 4
            && self.strings.values.len() < limits::DICTIONARY_ENTRIES_MAX / 2
            && self.modules.values.len() + limits::FRAMES_MAX <= limits::MODULES_MAX
            && self.frames.values.len() + limits::FRAMES_MAX <= limits::DICTIONARY_ENTRIES_MAX
            && self.stacks.values.len() < limits::STACKS_MAX
            && self.contexts.values.len() < limits::CONTEXTS_MAX
    }

    /// Adds an event and whatever of its dictionary entries is new.
    pub fn push(&mut self, event: &Event) {
        let run = self.run(&event.run);
        let stack = event.stack.as_ref().map_or(0, |stack| self.stack(stack));
        let contexts = if event.contexts.is_empty() {
            0
        } else {
            self.contexts(&event.contexts)
        };
        let spans = event.spans.iter().map(|span| SpanV1 {
            name: self.string(&span.name),
            target: self.string(&span.target),
            fields: self.pairs(&span.fields),
        });
        let spans = spans.collect();
        let breadcrumbs = event.breadcrumbs.iter().map(|crumb| BreadcrumbV1 {
            before: event.first_at.0.wrapping_sub(crumb.at.0) as i64,
            level: level_number(crumb.level),
            target: self.string(&crumb.target),
            message: self.string(&crumb.message),
        });
        let breadcrumbs = breadcrumbs.collect();
        let errors = event.errors.iter();
        let errors = errors.map(|e| (self.maybe(e.type_name.as_ref()), self.string(&e.message)));
        let errors = errors.collect();
        let wire = EventV1 {
            id: event.id.to_bytes(),
            run,
            kind: kind_number(event.kind),
            level: level_number(event.level),
            count: event.count,
            first_at: event.first_at.0,
            last_after: event.last_at.micros_since(event.first_at),
            deltas: event.deltas_us.clone().into(),
            message: self.string(&event.message),
            errors,
            location: event
                .location
                .as_ref()
                .map(|l| (self.string(&l.file), l.line, l.column)),
            thread_name: self.maybe(event.thread.name.as_ref()),
            thread_id: event.thread.id,
            stack,
            spans,
            breadcrumbs,
            tags: self.pairs(&event.tags),
            user: self.maybe(event.user.as_ref()),
            contexts,
        };
        let item = encode(&wire);
        self.content_bytes += item.len() + frame::ITEM_OVERHEAD_BYTES;
        self.event_items.push(item);
        self.event_reports.push(event.count);
        self.budget.count(event);
        self.push_surroundings(event);
    }

    fn push_surroundings(&mut self, event: &Event) {
        let has_timing = event.spans.iter().any(|span| span.timing.is_some());
        if event.trace.is_none()
            && !has_timing
            && event.attached.is_empty()
            && event.inputs.is_empty()
        {
            return;
        }
        let timings = event.spans.iter().map(|span| match span.timing {
            Some(timing) => TimingV1 {
                id: timing.id.to_bytes(),
                open_us: timing.open_us,
                busy_us: timing.busy_us,
            },
            None => TimingV1 {
                id: [0; 8],
                open_us: 0,
                busy_us: None,
            },
        });
        let wire = SurroundingsV1 {
            event: self.event_items.len() as u32 - 1,
            trace: event.trace.map_or([0; 16], |trace| trace.id.to_bytes()),
            span: event.trace.map_or([0; 8], |trace| trace.span.to_bytes()),
            is_sampled: event.trace.is_some_and(|trace| trace.is_sampled),
            timings: timings.collect(),
            attached: self.pairs(&event.attached),
            inputs: self.pairs(&event.inputs),
        };
        let item = encode(&wire);
        self.content_bytes += item.len() + frame::ITEM_OVERHEAD_BYTES;
        self.surroundings_items.push(item);
    }

    /// Adds a finished span.
    pub fn push_span(&mut self, span: &Span) {
        let links = span.links.iter().take(limits::SPAN_LINKS_MAX);
        let wire = FinishedSpanV1 {
            run: self.run(&span.run),
            trace: span.trace.to_bytes(),
            id: span.id.to_bytes(),
            parent: span.parent.map_or([0; 8], |parent| parent.to_bytes()),
            is_entry: span.is_entry,
            links: links
                .map(|link| (link.trace.to_bytes(), link.span.to_bytes()))
                .collect(),
            name: self.string(&span.name),
            target: self.string(&span.target),
            location: span
                .location
                .as_ref()
                .map(|l| (self.string(&l.file), l.line, l.column)),
            kind: span.kind.number(),
            status: span.status.number(),
            started_at: span.started_at.0,
            duration_ns: span.duration_ns,
            busy_ns: span.busy_ns,
            thread_name: self.maybe(span.thread.name.as_ref()),
            thread_id: span.thread.id,
            fields: self.pairs(&span.fields),
        };
        self.scratch.resize(SPAN_SCRATCH_BYTES, 0);
        let before = self.spans.len();
        match postcard::to_slice(&wire, &mut self.scratch) {
            Ok(item) => frame::put_item(&mut self.spans, kind::SPAN, item),
            // It is longer than almost all are.
            Err(_) => frame::put_item(&mut self.spans, kind::SPAN, &encode(&wire)),
        }
        self.content_bytes += self.spans.len() - before;
        self.spans_count += 1;
        self.budget.count(span);
    }

    /// Adds the running totals of the reports that a run lost.
    pub fn push_losses(&mut self, losses: &Losses) {
        let item = self.losses(losses);
        self.losses_items.push(item);
    }

    /// Adds the running totals of the spans that a run lost.
    pub fn push_span_losses(&mut self, losses: &Losses) {
        let item = self.losses(losses);
        self.span_losses_items.push(item);
    }

    fn losses(&mut self, losses: &Losses) -> Vec<u8> {
        let dropped = losses
            .dropped
            .iter()
            .map(|(reason, n)| (self.string(reason), *n));
        let wire = LossesV1 {
            run: losses.run.to_bytes(),
            produced: losses.produced,
            dropped: dropped.collect(),
        };
        let item = encode(&wire);
        self.content_bytes += item.len() + frame::ITEM_OVERHEAD_BYTES;
        self.budget.count(losses);
        item
    }

    /// Adds how a run is doing.
    pub fn push_run_state(&mut self, state: &RunState) {
        let hours = state.hours.iter().map(|hour| RunHourV1 {
            hour: hour.hour,
            roots: hour.roots,
            roots_failed: hour.roots_failed,
            users: hour.users.steps().collect(),
            users_panicked: hour.users_panicked.steps().collect(),
        });
        let wire = RunStateV1 {
            run: self.run(&state.run),
            ended: state.ended.number(),
            alive_at: state.alive_at.0,
            hours: hours.collect(),
        };
        let item = encode(&wire);
        self.content_bytes += item.len() + frame::ITEM_OVERHEAD_BYTES;
        self.budget.count(state);
        self.state_items.push(item);
    }

    /// Fixes the batch under its id. From here on its bytes never change.
    pub fn seal(self, id: BatchId) -> Sealed {
        let mut content = Vec::with_capacity(self.content_bytes + 1_024);
        let strings: Vec<&str> = self.strings.values.iter().map(|s| &**s).collect();
        let known = &self.strings;
        let reference = |string: &Text| {
            let position = known.find(&shortened(string));
            position.map_or(0, |position| position + 1)
        };
        let modules = self.modules.values.iter().map(|module| ModuleV1 {
            path: reference(&module.path),
            build_id: reference(&module.build_id),
            base: module.base,
            size: module.size,
        });
        let frames = self.frames.values.iter().map(|frame| FrameV1 {
            function: frame.function.as_ref().map_or(0, reference),
            file: frame.file.as_ref().map_or(0, reference),
            line: frame.line.unwrap_or(0),
            column: frame.column.unwrap_or(0),
            address: frame.address,
            module: frame
                .module
                .as_ref()
                .and_then(|module| self.modules.find(module))
                .map_or(0, |position| position + 1),
            flags: u8::from(frame.inlined) | u8::from(frame.in_app) << 1,
        });
        let stacks = self.stacks.values.iter().map(|stack| StackV1 {
            symbolicated: stack.symbolicated,
            frames: stack
                .frames
                .iter()
                .filter_map(|f| self.frames.find(f))
                .collect(),
        });
        let contexts = self.contexts.values.iter();
        let contexts = contexts.map(|pairs| {
            pairs
                .iter()
                .map(|(k, v)| (reference(k), reference(v)))
                .collect::<Vec<_>>()
        });
        put_dictionary(&mut content, kind::STRINGS, strings);
        put_dictionary(&mut content, kind::MODULES, modules.collect::<Vec<_>>());
        put_dictionary(&mut content, kind::FRAMES, frames.collect::<Vec<_>>());
        put_dictionary(&mut content, kind::STACKS, stacks.collect::<Vec<_>>());
        put_dictionary(&mut content, kind::CONTEXTS, contexts.collect::<Vec<_>>());
        let dictionaries = [
            self.strings.values.is_empty(),
            self.modules.values.is_empty(),
            self.frames.values.is_empty(),
            self.stacks.values.is_empty(),
            self.contexts.values.is_empty(),
        ];
        let dictionaries = dictionaries.iter().filter(|is_empty| !**is_empty).count();
        put_items(&mut content, kind::RUN, &self.run_items);
        put_items(&mut content, kind::EVENT, &self.event_items);
        put_items(&mut content, kind::SURROUNDINGS, &self.surroundings_items);
        content.extend_from_slice(&self.spans);
        put_items(&mut content, kind::LOSSES, &self.losses_items);
        put_items(&mut content, kind::SPAN_LOSSES, &self.span_losses_items);
        put_items(&mut content, kind::RUN_STATE, &self.state_items);
        let first_event = dictionaries + self.run_items.len();
        let first_span = first_event + self.event_items.len() + self.surroundings_items.len();
        let effort = if self.spans_count == 0 {
            frame::Effort::Usual
        } else {
            frame::Effort::Fast
        };
        let first = |count: usize, at: usize| if count == 0 { 0 } else { at as u32 };
        Sealed {
            id,
            bytes: frame::seal(id, &content, effort),
            reports: self.reports(),
            spans: self.spans_count as u64,
            tells_losses: !self.losses_items.is_empty() || !self.span_losses_items.is_empty(),
            first_event: first(self.event_items.len(), first_event),
            event_reports: self.event_reports,
            first_span: first(self.spans_count, first_span),
        }
    }

    fn run(&mut self, run: &Run) -> u32 {
        if let Some(position) = self.runs.iter().position(|id| *id == run.id) {
            return position as u32;
        }
        let wire = RunV1 {
            id: run.id.to_bytes(),
            release: self.maybe(run.release.as_ref()),
            environment: self.maybe(run.environment.as_ref()),
            started_at: run.started_at.0,
            sdk: self.string(&run.sdk),
        };
        self.budget.count(run);
        self.run_items.push(encode(&wire));
        self.runs.push(run.id);
        self.runs.len() as u32 - 1
    }

    fn string(&mut self, string: &Text) -> u32 {
        if string.is_empty() {
            return 0;
        }
        let (strings, content_bytes) = (&mut self.strings, &mut self.content_bytes);
        let budget = &mut self.budget;
        self.recent.get(string, || {
            let string = shortened(string);
            let (position, new) = strings.position(&string);
            if new {
                *content_bytes += string.len() + 3;
                budget.count(&*string);
            }
            position + 1
        })
    }

    fn maybe(&mut self, string: Option<&Text>) -> u32 {
        string.map_or(0, |string| self.string(string))
    }

    fn pairs(&mut self, pairs: &Pairs) -> PairsV1 {
        pairs
            .iter()
            .map(|(key, value)| (self.string(key), self.string(value)))
            .collect()
    }

    fn contexts(&mut self, contexts: &Pairs) -> u32 {
        let (position, new) = self.contexts.position(contexts);
        if new {
            self.pairs(contexts);
            self.content_bytes += contexts.len() * 4;
            self.budget.count(contexts);
        }
        position + 1
    }

    fn stack(&mut self, stack: &Arc<StackTrace>) -> u32 {
        let stack = &*narrowed(stack);
        let (position, new) = self.stacks.position(stack);
        if new {
            self.content_bytes += stack.frames.len() * 3;
            self.budget.count(stack);
            for frame in &stack.frames {
                self.frame(frame);
            }
        }
        position + 1
    }

    fn frame(&mut self, frame: &Arc<Frame>) {
        let (_, new) = self.frames.position(frame);
        if !new {
            return;
        }
        self.content_bytes += 24;
        self.budget.count(frame);
        self.maybe(frame.function.as_ref());
        self.maybe(frame.file.as_ref());
        if let Some(module) = &frame.module
            && self.modules.position(module).1
        {
            self.content_bytes += 24;
            self.budget.count(module);
            self.string(&module.path);
            self.string(&module.build_id);
        }
    }
}

/// The stack as the dictionary has it: its names are cut where it is beyond all measure.
fn narrowed(stack: &Arc<StackTrace>) -> Cow<'_, Arc<StackTrace>> {
    if stack.size_bytes() <= STACK_BYTES_MAX {
        return Cow::Borrowed(stack);
    }
    let name = |name: &Text| cut(name, STACK_NAME_BYTES_MAX).into_owned();
    let module = |module: &Arc<Module>| {
        Arc::new(Module {
            path: name(&module.path),
            build_id: name(&module.build_id),
            ..**module
        })
    };
    let frames = stack.frames.iter().map(|frame| {
        Arc::new(Frame {
            function: frame.function.as_ref().map(name),
            file: frame.file.as_ref().map(name),
            module: frame.module.as_ref().map(module),
            ..**frame
        })
    });
    Cow::Owned(Arc::new(StackTrace {
        frames: frames.collect(),
        ..**stack
    }))
}

/// The string as the dictionary has it: within the limit of a single string.
fn shortened(string: &Text) -> Cow<'_, Text> {
    cut(string, limits::VALUE_BYTES_MAX)
}

fn cut(string: &Text, bytes_max: usize) -> Cow<'_, Text> {
    match limits::cut(string, bytes_max) {
        Cow::Borrowed(_) => Cow::Borrowed(string),
        Cow::Owned(cut) => Cow::Owned(cut.into()),
    }
}

fn put_dictionary<T: Serialize>(content: &mut Vec<u8>, kind: u8, entries: Vec<T>) {
    if !entries.is_empty() {
        frame::put_item(content, kind, &encode(&entries));
    }
}

fn put_items(content: &mut Vec<u8>, kind: u8, items: &[Vec<u8>]) {
    for item in items {
        frame::put_item(content, kind, item);
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Postcard fails on sequences of unknown length and on a full buffer; there is neither here.
    postcard::to_allocvec(value).unwrap_or_default()
}
