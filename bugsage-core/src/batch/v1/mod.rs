//! Format version 1: how what each item holds becomes the types of [`crate::event`] and [`crate::span`]. A
//! new format is a new folder.

mod dictionaries;
mod wire;

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::event::{
    Ended, EventKind, EventTrace, Level, Losses, Run, RunHour, RunState, SpanTiming,
};
use crate::id::{BatchId, RunId};
use crate::limits;
use crate::sketch::Sketch;
use crate::trace_context::{SpanId, TraceId};

use super::bound::{Budget, Size, within};
use super::frame::Items;
use super::{Batch, BatchError, ItemError, Rejected, kind};

pub(super) use wire::{
    BreadcrumbV1, EventV1, FinishedSpanV1, FrameV1, LossesV1, ModuleV1, PairsV1, RunHourV1,
    RunStateV1, RunV1, SketchV1, SpanV1, StackV1, SurroundingsV1, TimingV1,
};

use dictionaries::{Dictionaries, name, read};

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
