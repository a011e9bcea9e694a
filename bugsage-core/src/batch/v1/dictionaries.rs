//! What items refer to: strings, modules, frames, stacks and contexts, each once in a batch.

use std::sync::Arc;

use serde::Deserialize;

use crate::batch::bound::{Budget, Size, within};
use crate::batch::{ItemError, kind, text};
use crate::clock::Timestamp;
use crate::event::{Breadcrumb, ErrorLink, Event, Location, Pairs, Run, SpanContext, Text, Thread};
use crate::id::EventId;
use crate::limits;
use crate::span::{Link, Span, SpanKind, SpanStatus};
use crate::stacktrace::{Frame, Module, StackTrace};
use crate::trace_context::SpanId;

use super::wire::{EventV1, FinishedSpanV1, FrameV1, ModuleV1, PairsV1, StackV1};
use super::{kind_of, level_of, trace};

#[derive(Default)]
pub(super) struct Dictionaries {
    pub(super) strings: Strings,
    modules: Entries<Arc<Module>>,
    frames: Entries<Arc<Frame>>,
    stacks: Entries<Arc<StackTrace>>,
    contexts: Entries<Pairs>,
}

/// A dictionary. A bad entry leaves a gap, so that its neighbors keep their places.
type Entries<T> = Vec<Option<T>>;

pub(super) struct Strings {
    entries: Entries<Text>,
    empty: Text,
}

impl Default for Strings {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            empty: text(""),
        }
    }
}

impl Strings {
    pub(super) fn maybe(&self, reference: u32) -> Result<Option<Text>, ItemError> {
        entry("strings", &self.entries, reference).map(Option::<&Text>::cloned)
    }

    pub(super) fn one(&self, reference: u32) -> Result<Text, ItemError> {
        Ok(self.maybe(reference)?.unwrap_or_else(|| self.empty.clone()))
    }

    pub(super) fn pairs(&self, wire: PairsV1) -> Result<Pairs, ItemError> {
        let pairs = wire.within("pairs")?.into_iter();
        pairs
            .map(|(key, value)| Ok((self.one(key)?, self.one(value)?)))
            .collect()
    }
}

impl Dictionaries {
    pub(super) fn read_strings(
        &mut self,
        budget: &mut Budget,
        bytes: &[u8],
    ) -> Result<(), ItemError> {
        read_entries(
            kind::STRINGS,
            &mut self.strings.entries,
            limits::DICTIONARY_ENTRIES_MAX,
            budget,
            bytes,
            |string: &str| Ok(text(&limits::cut(string, limits::VALUE_BYTES_MAX))),
        )
    }

    pub(super) fn read_modules(
        &mut self,
        budget: &mut Budget,
        bytes: &[u8],
    ) -> Result<(), ItemError> {
        let strings = &self.strings;
        read_entries(
            kind::MODULES,
            &mut self.modules,
            limits::MODULES_MAX,
            budget,
            bytes,
            |wire: ModuleV1| {
                Ok(Arc::new(Module {
                    path: strings.one(wire.path)?,
                    build_id: strings.one(wire.build_id)?,
                    base: wire.base,
                    size: wire.size,
                }))
            },
        )
    }

    pub(super) fn read_frames(
        &mut self,
        budget: &mut Budget,
        bytes: &[u8],
    ) -> Result<(), ItemError> {
        let (strings, modules) = (&self.strings, &self.modules);
        let limit = limits::DICTIONARY_ENTRIES_MAX;
        read_entries(
            kind::FRAMES,
            &mut self.frames,
            limit,
            budget,
            bytes,
            |wire: FrameV1| {
                Ok(Arc::new(Frame {
                    function: strings.maybe(wire.function)?,
                    file: strings.maybe(wire.file)?,
                    line: (wire.line != 0).then_some(wire.line),
                    column: (wire.column != 0).then_some(wire.column),
                    address: wire.address,
                    module: entry("modules", modules, wire.module)?.cloned(),
                    inlined: wire.flags & 1 != 0,
                    in_app: wire.flags & 2 != 0,
                }))
            },
        )
    }

    pub(super) fn read_stacks(
        &mut self,
        budget: &mut Budget,
        bytes: &[u8],
    ) -> Result<(), ItemError> {
        let frames = &self.frames;
        read_entries(
            kind::STACKS,
            &mut self.stacks,
            limits::STACKS_MAX,
            budget,
            bytes,
            |wire: StackV1| {
                let wire_frames = wire.frames.within("frames")?.into_iter();
                let frames = wire_frames.map(|at| {
                    let missing = ItemError::MissingEntry {
                        dictionary: "frames",
                        entry: at,
                    };
                    frames.get(at as usize).cloned().flatten().ok_or(missing)
                });
                Ok(Arc::new(StackTrace {
                    frames: frames.collect::<Result<_, _>>()?,
                    symbolicated: wire.symbolicated,
                }))
            },
        )
    }

    pub(super) fn read_contexts(
        &mut self,
        budget: &mut Budget,
        bytes: &[u8],
    ) -> Result<(), ItemError> {
        let strings = &self.strings;
        let limit = limits::CONTEXTS_MAX;
        read_entries(
            kind::CONTEXTS,
            &mut self.contexts,
            limit,
            budget,
            bytes,
            |wire: PairsV1| strings.pairs(wire),
        )
    }

    pub(super) fn event(&self, wire: EventV1, run: Arc<Run>) -> Result<Event, ItemError> {
        let strings = &self.strings;
        let reports = usize::try_from(wire.count).unwrap_or(usize::MAX);
        within("reports", limits::REPORTS_MAX, reports)?;
        if wire.count == 0 {
            return Err(ItemError::UnknownValue {
                field: "count",
                value: 0,
            });
        }
        let errors = wire.errors.within("errors")?.into_iter();
        let errors = errors.map(|(type_name, message)| {
            Ok(ErrorLink {
                type_name: strings.maybe(type_name)?,
                message: strings.one(message)?,
            })
        });
        let spans = wire.spans.within("spans")?.into_iter();
        let spans = spans.map(|span| {
            Ok(SpanContext {
                name: strings.one(span.name)?,
                target: strings.one(span.target)?,
                fields: strings.pairs(span.fields)?,
                timing: None,
            })
        });
        let breadcrumbs = wire.breadcrumbs.within("breadcrumbs")?.into_iter();
        let breadcrumbs = breadcrumbs.map(|crumb| {
            Ok(Breadcrumb {
                at: Timestamp(
                    wire.first_at
                        .saturating_add_signed(crumb.before.saturating_neg()),
                ),
                level: level_of(crumb.level)?,
                target: strings.one(crumb.target)?,
                message: strings.one(crumb.message)?,
            })
        });
        let location = match wire.location {
            Some((file, line, column)) => Some(Location {
                file: strings.one(file)?,
                line,
                column,
            }),
            None => None,
        };
        Ok(Event {
            id: EventId::from_bytes(wire.id),
            run,
            kind: kind_of(wire.kind)?,
            level: level_of(wire.level)?,
            count: wire.count,
            first_at: Timestamp(wire.first_at),
            last_at: Timestamp(wire.first_at.saturating_add(wire.last_after)),
            deltas_us: wire.deltas.within("time deltas")?,
            message: strings.one(wire.message)?,
            errors: errors.collect::<Result<_, ItemError>>()?,
            location,
            thread: Thread {
                name: strings.maybe(wire.thread_name)?.map(|s| name(&s)),
                id: wire.thread_id,
            },
            stack: entry("stacks", &self.stacks, wire.stack)?.cloned(),
            spans: spans.collect::<Result<_, ItemError>>()?,
            breadcrumbs: breadcrumbs.collect::<Result<_, ItemError>>()?,
            tags: strings.pairs(wire.tags)?,
            user: strings.maybe(wire.user)?.map(|s| name(&s)),
            contexts: entry("contexts", &self.contexts, wire.contexts)?
                .cloned()
                .unwrap_or_default(),
            attached: Vec::new(),
            inputs: Vec::new(),
            trace: None,
        })
    }

    pub(super) fn span(&self, wire: FinishedSpanV1, run: Arc<Run>) -> Result<Span, ItemError> {
        let strings = &self.strings;
        let (trace_id, id) = trace(wire.trace, wire.id).ok_or(ItemError::UnknownValue {
            field: "span",
            value: 0,
        })?;
        let links = wire.links.within("links")?.into_iter();
        let links = links.filter_map(|(id, span)| trace(id, span));
        let unknown = |field, value: u8| ItemError::UnknownValue {
            field,
            value: value.into(),
        };
        let location = match wire.location {
            Some((file, line, column)) => Some(Location {
                file: strings.one(file)?,
                line,
                column,
            }),
            None => None,
        };
        Ok(Span {
            run,
            trace: trace_id,
            id,
            parent: SpanId::from_bytes(wire.parent),
            is_entry: wire.is_entry,
            links: links.map(|(trace, span)| Link { trace, span }).collect(),
            name: strings.one(wire.name)?,
            target: strings.one(wire.target)?,
            location,
            kind: SpanKind::of_number(wire.kind).ok_or(unknown("kind", wire.kind))?,
            status: SpanStatus::of_number(wire.status).ok_or(unknown("status", wire.status))?,
            started_at: Timestamp(wire.started_at),
            duration_ns: wire.duration_ns,
            busy_ns: wire.busy_ns,
            thread: Thread {
                name: strings.maybe(wire.thread_name)?.map(|s| name(&s)),
                id: wire.thread_id,
            },
            fields: strings.pairs(wire.fields)?,
        })
    }
}

/// Looks up a reference; zero is none.
fn entry<'a, T>(
    dictionary: &'static str,
    entries: &'a [Option<T>],
    reference: u32,
) -> Result<Option<&'a T>, ItemError> {
    let Some(entry) = reference.checked_sub(1) else {
        return Ok(None);
    };
    match entries.get(entry as usize) {
        Some(Some(found)) => Ok(Some(found)),
        _ => Err(ItemError::MissingEntry { dictionary, entry }),
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(kind: u8, bytes: &'a [u8]) -> Result<T, ItemError> {
    postcard::from_bytes(bytes).map_err(|_| ItemError::Malformed { kind })
}

/// Reads the entries of a dictionary one by one, so that a lying count allocates nothing.
///
/// An entry that can be read but not used leaves a gap, and the first reason is returned at the end.
fn read_entries<'a, W: Deserialize<'a>, T: Size>(
    kind: u8,
    entries: &mut Entries<T>,
    limit: usize,
    budget: &mut Budget,
    bytes: &'a [u8],
    mut entry: impl FnMut(W) -> Result<T, ItemError>,
) -> Result<(), ItemError> {
    let malformed = |_| ItemError::Malformed { kind };
    let (count, mut rest) = postcard::take_from_bytes::<u32>(bytes).map_err(malformed)?;
    within(
        "dictionary entries",
        limit,
        entries.len().saturating_add(count as usize),
    )?;
    let mut first_reason = Ok(());
    for _ in 0..count {
        let (wire, behind) = postcard::take_from_bytes::<W>(rest).map_err(malformed)?;
        rest = behind;
        let entry = entry(wire).and_then(|entry| budget.spend(&entry).map(|()| entry));
        match entry {
            Ok(entry) => entries.push(Some(entry)),
            Err(reason) => {
                entries.push(None);
                first_reason = first_reason.and(Err(reason));
            }
        }
    }
    if rest.is_empty() {
        first_reason
    } else {
        Err(ItemError::Malformed { kind })
    }
}

pub(super) fn name(string: &Text) -> Text {
    if string.len() <= limits::NAME_BYTES_MAX {
        return string.clone();
    }
    text(&limits::cut(string, limits::NAME_BYTES_MAX))
}
