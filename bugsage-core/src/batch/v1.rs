//! Format version 1: what each item holds, and how it becomes the types of [`crate::event`].
//!
//! These structs are the wire. They never change once released: a new format is a new file.
//! References to dictionaries are positions plus one, so that zero says "none" in one byte.
//! [`Bounded`] is a plain sequence on the wire.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::event::{
    Breadcrumb, Ended, ErrorLink, Event, EventKind, EventTrace, Level, Location, Losses, Pairs,
    Run, RunHour, RunState, SpanContext, SpanTiming, Text, Thread,
};
use crate::id::{BatchId, EventId, RunId};
use crate::limits;
use crate::sketch::{self, Sketch};
use crate::span::{Link, Span, SpanKind, SpanStatus};
use crate::stacktrace::{Frame, Module, StackTrace};
use crate::trace_context::{SpanId, TraceId};

use super::bound::{Bounded, Budget, Size, within};
use super::frame::Items;
use super::{Batch, BatchError, ItemError, Rejected, kind, text};

#[derive(Serialize, Deserialize)]
pub(super) struct ModuleV1 {
    pub(super) path: u32,
    pub(super) build_id: u32,
    pub(super) base: u64,
    pub(super) size: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FrameV1 {
    pub(super) function: u32,
    pub(super) file: u32,
    /// Zero where it is not known, as `column`.
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) address: u64,
    pub(super) module: u32,
    /// Bit 0: inlined. Bit 1: in_app.
    pub(super) flags: u8,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StackV1 {
    pub(super) symbolicated: bool,
    /// Positions in the frames, without the plus one: a stack has no gaps.
    pub(super) frames: Bounded<u32, { limits::FRAMES_MAX }>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RunV1 {
    pub(super) id: [u8; 16],
    pub(super) release: u32,
    pub(super) environment: u32,
    pub(super) started_at: u64,
    pub(super) sdk: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EventV1 {
    pub(super) id: [u8; 16],
    /// Position in the runs, without the plus one.
    pub(super) run: u32,
    pub(super) kind: u8,
    pub(super) level: u8,
    pub(super) count: u64,
    pub(super) first_at: u64,
    /// Microseconds from the first to the last.
    pub(super) last_after: u64,
    pub(super) deltas: Bounded<u64, { limits::DELTAS_MAX }>,
    pub(super) message: u32,
    pub(super) errors: Bounded<(u32, u32), { limits::ERRORS_MAX }>,
    pub(super) location: Option<(u32, u32, u32)>,
    pub(super) thread_name: u32,
    pub(super) thread_id: u64,
    pub(super) stack: u32,
    pub(super) spans: Bounded<SpanV1, { limits::SPANS_MAX }>,
    pub(super) breadcrumbs: Bounded<BreadcrumbV1, { limits::BREADCRUMBS_MAX }>,
    pub(super) tags: PairsV1,
    pub(super) user: u32,
    pub(super) contexts: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SpanV1 {
    pub(super) name: u32,
    pub(super) target: u32,
    pub(super) fields: PairsV1,
}

/// What goes with an event and is not in [`EventV1`], which was published without it.
#[derive(Serialize, Deserialize)]
pub(super) struct SurroundingsV1 {
    /// Which of the batch's event items it belongs to, counted from 0.
    pub(super) event: u32,
    /// Zeros where there is none.
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) is_sampled: bool,
    /// For each of the event's spans.
    pub(super) timings: Bounded<TimingV1, { limits::SPANS_MAX }>,
    pub(super) attached: PairsV1,
    pub(super) inputs: PairsV1,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TimingV1 {
    /// Zeros where nothing is known.
    pub(super) id: [u8; 8],
    pub(super) open_us: u64,
    pub(super) busy_us: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FinishedSpanV1 {
    /// Position in the runs, without the plus one.
    pub(super) run: u32,
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    /// Zeros where there is none.
    pub(super) parent: [u8; 8],
    pub(super) is_entry: bool,
    pub(super) links: Bounded<([u8; 16], [u8; 8]), { limits::SPAN_LINKS_MAX }>,
    pub(super) name: u32,
    pub(super) target: u32,
    pub(super) location: Option<(u32, u32, u32)>,
    pub(super) kind: u8,
    pub(super) status: u8,
    pub(super) started_at: u64,
    pub(super) duration_ns: u64,
    pub(super) busy_ns: u64,
    pub(super) thread_name: u32,
    pub(super) thread_id: u64,
    pub(super) fields: PairsV1,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BreadcrumbV1 {
    /// Microseconds before the event's `first_at`; negative where the crumb is younger.
    pub(super) before: i64,
    pub(super) level: u8,
    pub(super) target: u32,
    pub(super) message: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LossesV1 {
    pub(super) run: [u8; 16],
    pub(super) produced: u64,
    pub(super) dropped: Bounded<(u32, u64), { limits::LOSS_REASONS_MAX }>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RunStateV1 {
    /// Position in the runs, without the plus one.
    pub(super) run: u32,
    pub(super) ended: u8,
    pub(super) alive_at: u64,
    pub(super) hours: Bounded<RunHourV1, { limits::RUN_HOURS_MAX }>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RunHourV1 {
    pub(super) hour: u64,
    pub(super) roots: u64,
    pub(super) roots_failed: u64,
    pub(super) users: SketchV1,
    pub(super) users_panicked: SketchV1,
}

/// Marks as steps from one to the next.
pub(super) type SketchV1 = Bounded<u16, { sketch::REGISTERS }>;

/// Names and values; a set of contexts is just this.
pub(super) type PairsV1 = Bounded<(u32, u32), { limits::PAIRS_MAX }>;

pub(super) fn kind_number(kind: EventKind) -> u8 {
    match kind {
        EventKind::Panic => 0,
        EventKind::Error => 1,
        EventKind::Log => 2,
    }
}

pub(super) fn level_number(level: Level) -> u8 {
    match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
        Level::Fatal => 5,
    }
}

fn kind_of(number: u8) -> Result<EventKind, ItemError> {
    Ok(match number {
        0 => EventKind::Panic,
        1 => EventKind::Error,
        2 => EventKind::Log,
        _ => {
            return Err(ItemError::UnknownValue {
                field: "kind",
                value: number.into(),
            });
        }
    })
}

fn level_of(number: u8) -> Result<Level, ItemError> {
    Ok(match number {
        0 => Level::Trace,
        1 => Level::Debug,
        2 => Level::Info,
        3 => Level::Warn,
        4 => Level::Error,
        5 => Level::Fatal,
        _ => {
            return Err(ItemError::UnknownValue {
                field: "level",
                value: number.into(),
            });
        }
    })
}

pub(super) fn decode(id: BatchId, content: &[u8]) -> Result<Batch, BatchError> {
    let mut decoder = Decoder {
        dictionaries: Dictionaries::default(),
        budget: Budget::default(),
        first_event: None,
        batch: Batch {
            id,
            runs: Vec::new(),
            events: Vec::new(),
            spans: Vec::new(),
            losses: Vec::new(),
            span_losses: Vec::new(),
            run_states: Vec::new(),
            rejected: Vec::new(),
            unknown_items: 0,
            size_bytes: 0,
        },
    };
    for item in Items::new(content) {
        let (index, kind, bytes) = item?;
        if let Err(reason) = decoder.item(index, kind, bytes) {
            decoder.batch.rejected.push(Rejected {
                index,
                is_span: kind == kind::SPAN,
                reason,
            });
        }
    }
    decoder.batch.size_bytes = decoder.budget.used_bytes();
    Ok(decoder.batch)
}

struct Decoder {
    dictionaries: Dictionaries,
    /// What is left for items, so that one string referred to a million times stays bounded.
    budget: Budget,
    /// The index of the first item that is an event, good or bad.
    first_event: Option<u32>,
    batch: Batch,
}

impl Decoder {
    fn item(&mut self, index: u32, kind: u8, bytes: &[u8]) -> Result<(), ItemError> {
        let (dictionaries, budget) = (&mut self.dictionaries, &mut self.budget);
        match kind {
            kind::STRINGS => dictionaries.read_strings(budget, bytes),
            kind::MODULES => dictionaries.read_modules(budget, bytes),
            kind::FRAMES => dictionaries.read_frames(budget, bytes),
            kind::STACKS => dictionaries.read_stacks(budget, bytes),
            kind::CONTEXTS => dictionaries.read_contexts(budget, bytes),
            kind::RUN => self.run(bytes),
            kind::EVENT => {
                self.first_event.get_or_insert(index);
                self.event(index, bytes)
            }
            kind::SURROUNDINGS => self.surroundings(bytes),
            kind::SPAN => self.span(index, bytes),
            kind::LOSSES => {
                let losses = self.losses(kind, bytes, self.batch.losses.len())?;
                self.batch.losses.push(losses);
                Ok(())
            }
            kind::SPAN_LOSSES => {
                let losses = self.losses(kind, bytes, self.batch.span_losses.len())?;
                self.batch.span_losses.push(losses);
                Ok(())
            }
            kind::RUN_STATE => self.run_state(bytes),
            _ => {
                self.batch.unknown_items += 1;
                Ok(())
            }
        }
    }

    fn run(&mut self, bytes: &[u8]) -> Result<(), ItemError> {
        let wire: RunV1 = read(kind::RUN, bytes)?;
        let strings = &self.dictionaries.strings;
        let run = Run {
            id: RunId::from_bytes(wire.id),
            release: strings.maybe(wire.release)?.map(|s| name(&s)),
            environment: strings.maybe(wire.environment)?.map(|s| name(&s)),
            started_at: Timestamp(wire.started_at),
            sdk: name(&strings.one(wire.sdk)?),
        };
        self.budget.spend(&run)?;
        self.batch.runs.push(Arc::new(run));
        Ok(())
    }

    fn event(&mut self, index: u32, bytes: &[u8]) -> Result<(), ItemError> {
        within("event bytes", limits::EVENT_BYTES_MAX, bytes.len())?;
        let wire: EventV1 = read(kind::EVENT, bytes)?;
        let run = self.run_at(wire.run)?;
        let event = self.dictionaries.event(wire, run)?;
        within("event text", limits::EVENT_BYTES_MAX, event.size_bytes())?;
        self.budget.spend(&event)?;
        self.batch.events.push((index, event));
        Ok(())
    }

    fn run_state(&mut self, bytes: &[u8]) -> Result<(), ItemError> {
        let states = self.batch.run_states.len() + 1;
        within("run states", limits::RUN_STATES_MAX, states)?;
        let wire: RunStateV1 = read(kind::RUN_STATE, bytes)?;
        let hours = wire.hours.within("hours of a run")?.into_iter();
        let state = RunState {
            run: self.run_at(wire.run)?,
            ended: Ended::of_number(wire.ended.into()).ok_or(ItemError::UnknownValue {
                field: "ended",
                value: wire.ended.into(),
            })?,
            alive_at: Timestamp(wire.alive_at),
            hours: hours.map(run_hour).collect::<Result<_, _>>()?,
        };
        self.budget.spend(&state)?;
        self.batch.run_states.push(state);
        Ok(())
    }

    fn run_at(&self, position: u32) -> Result<Arc<Run>, ItemError> {
        let run = self.batch.runs.get(position as usize).cloned();
        run.ok_or(ItemError::MissingEntry {
            dictionary: "runs",
            entry: position,
        })
    }

    fn losses(&mut self, kind: u8, bytes: &[u8], known: usize) -> Result<Losses, ItemError> {
        within("accounts of losses", limits::LOSSES_MAX, known + 1)?;
        let wire: LossesV1 = read(kind, bytes)?;
        let strings = &self.dictionaries.strings;
        let dropped = wire.dropped.within("loss reasons")?;
        let dropped = dropped
            .into_iter()
            .map(|(reason, n)| Ok((name(&strings.one(reason)?), n)));
        let losses = Losses {
            run: RunId::from_bytes(wire.run),
            produced: wire.produced,
            dropped: dropped.collect::<Result<_, ItemError>>()?,
        };
        self.budget.spend(&losses)?;
        Ok(losses)
    }

    /// An event that was turned away takes what surrounded it along.
    fn surroundings(&mut self, bytes: &[u8]) -> Result<(), ItemError> {
        within("event bytes", limits::EVENT_BYTES_MAX, bytes.len())?;
        let wire: SurroundingsV1 = read(kind::SURROUNDINGS, bytes)?;
        let strings = &self.dictionaries.strings;
        let attached = strings.pairs(wire.attached)?;
        let inputs = strings.pairs(wire.inputs)?;
        let timings = wire.timings.within("spans")?;
        let missing = ItemError::MissingEntry {
            dictionary: "events",
            entry: wire.event,
        };
        let first = self.first_event.ok_or(missing.clone())?;
        let index = first.checked_add(wire.event).ok_or(missing.clone())?;
        let events = &mut self.batch.events;
        let at = events.binary_search_by_key(&index, |(index, _)| *index);
        let (_, event) = events
            .get_mut(at.map_err(|_| missing.clone())?)
            .ok_or(missing)?;
        within(
            "event text",
            limits::EVENT_BYTES_MAX,
            event.size_bytes() + attached.size_bytes() + inputs.size_bytes(),
        )?;
        self.budget.spend(&attached)?;
        self.budget.spend(&inputs)?;
        event.attached = attached;
        event.inputs = inputs;
        event.trace = trace(wire.trace, wire.span).map(|(id, span)| EventTrace {
            id,
            span,
            is_sampled: wire.is_sampled,
        });
        for (span, timing) in event.spans.iter_mut().zip(timings) {
            span.timing = SpanId::from_bytes(timing.id).map(|id| SpanTiming {
                id,
                open_us: timing.open_us,
                busy_us: timing.busy_us,
            });
        }
        Ok(())
    }

    fn span(&mut self, index: u32, bytes: &[u8]) -> Result<(), ItemError> {
        within("span bytes", limits::EVENT_BYTES_MAX, bytes.len())?;
        let wire: FinishedSpanV1 = read(kind::SPAN, bytes)?;
        let run = self.run_at(wire.run)?;
        let span = self.dictionaries.span(wire, run)?;
        within("span text", limits::EVENT_BYTES_MAX, span.size_bytes())?;
        self.budget.spend(&span)?;
        self.batch.spans.push((index, span));
        Ok(())
    }
}

/// A span in its trace; `None` where either is all zeros.
fn trace(trace: [u8; 16], span: [u8; 8]) -> Option<(TraceId, SpanId)> {
    Some((TraceId::from_bytes(trace)?, SpanId::from_bytes(span)?))
}

fn run_hour(wire: RunHourV1) -> Result<RunHour, ItemError> {
    Ok(RunHour {
        hour: wire.hour,
        roots: wire.roots,
        roots_failed: wire.roots_failed,
        users: sketch(wire.users)?,
        users_panicked: sketch(wire.users_panicked)?,
    })
}

fn sketch(wire: SketchV1) -> Result<Sketch, ItemError> {
    let steps = wire.within("marks of users")?;
    let malformed = ItemError::Malformed {
        kind: kind::RUN_STATE,
    };
    Sketch::from_steps(&steps).ok_or(malformed)
}

#[derive(Default)]
struct Dictionaries {
    strings: Strings,
    modules: Entries<Arc<Module>>,
    frames: Entries<Arc<Frame>>,
    stacks: Entries<Arc<StackTrace>>,
    contexts: Entries<Pairs>,
}

/// A dictionary. A bad entry leaves a gap, so that its neighbors keep their places.
type Entries<T> = Vec<Option<T>>;

struct Strings {
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
    fn maybe(&self, reference: u32) -> Result<Option<Text>, ItemError> {
        entry("strings", &self.entries, reference).map(Option::<&Text>::cloned)
    }

    fn one(&self, reference: u32) -> Result<Text, ItemError> {
        Ok(self.maybe(reference)?.unwrap_or_else(|| self.empty.clone()))
    }

    fn pairs(&self, wire: PairsV1) -> Result<Pairs, ItemError> {
        let pairs = wire.within("pairs")?.into_iter();
        pairs
            .map(|(key, value)| Ok((self.one(key)?, self.one(value)?)))
            .collect()
    }
}

impl Dictionaries {
    fn read_strings(&mut self, budget: &mut Budget, bytes: &[u8]) -> Result<(), ItemError> {
        read_entries(
            kind::STRINGS,
            &mut self.strings.entries,
            limits::DICTIONARY_ENTRIES_MAX,
            budget,
            bytes,
            |string: &str| Ok(text(&limits::cut(string, limits::VALUE_BYTES_MAX))),
        )
    }

    fn read_modules(&mut self, budget: &mut Budget, bytes: &[u8]) -> Result<(), ItemError> {
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

    fn read_frames(&mut self, budget: &mut Budget, bytes: &[u8]) -> Result<(), ItemError> {
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

    fn read_stacks(&mut self, budget: &mut Budget, bytes: &[u8]) -> Result<(), ItemError> {
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

    fn read_contexts(&mut self, budget: &mut Budget, bytes: &[u8]) -> Result<(), ItemError> {
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

    fn event(&self, wire: EventV1, run: Arc<Run>) -> Result<Event, ItemError> {
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

    fn span(&self, wire: FinishedSpanV1, run: Arc<Run>) -> Result<Span, ItemError> {
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

fn read<'a, T: Deserialize<'a>>(kind: u8, bytes: &'a [u8]) -> Result<T, ItemError> {
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

fn name(string: &Text) -> Text {
    if string.len() <= limits::NAME_BYTES_MAX {
        return string.clone();
    }
    text(&limits::cut(string, limits::NAME_BYTES_MAX))
}
