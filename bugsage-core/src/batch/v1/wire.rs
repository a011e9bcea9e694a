//! The structs of format version 1 as they are on the wire. They never change once released.
//!
//! References to dictionaries are positions plus one, so that zero says "none" in one byte. [`Bounded`] is
//! a plain sequence on the wire.

use serde::{Deserialize, Serialize};

use crate::batch::bound::Bounded;
use crate::{limits, sketch};

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct ModuleV1 {
    pub(in crate::batch) path: u32,
    pub(in crate::batch) build_id: u32,
    pub(in crate::batch) base: u64,
    pub(in crate::batch) size: u64,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct FrameV1 {
    pub(in crate::batch) function: u32,
    pub(in crate::batch) file: u32,
    /// Zero where it is not known, as `column`.
    pub(in crate::batch) line: u32,
    pub(in crate::batch) column: u32,
    pub(in crate::batch) address: u64,
    pub(in crate::batch) module: u32,
    /// Bit 0: inlined. Bit 1: in_app.
    pub(in crate::batch) flags: u8,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct StackV1 {
    pub(in crate::batch) symbolicated: bool,
    /// Positions in the frames, without the plus one: a stack has no gaps.
    pub(in crate::batch) frames: Bounded<u32, { limits::FRAMES_MAX }>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct RunV1 {
    pub(in crate::batch) id: [u8; 16],
    pub(in crate::batch) release: u32,
    pub(in crate::batch) environment: u32,
    pub(in crate::batch) started_at: u64,
    pub(in crate::batch) sdk: u32,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct EventV1 {
    pub(in crate::batch) id: [u8; 16],
    /// Position in the runs, without the plus one.
    pub(in crate::batch) run: u32,
    pub(in crate::batch) kind: u8,
    pub(in crate::batch) level: u8,
    pub(in crate::batch) count: u64,
    pub(in crate::batch) first_at: u64,
    /// Microseconds from the first to the last.
    pub(in crate::batch) last_after: u64,
    pub(in crate::batch) deltas: Bounded<u64, { limits::DELTAS_MAX }>,
    pub(in crate::batch) message: u32,
    pub(in crate::batch) errors: Bounded<(u32, u32), { limits::ERRORS_MAX }>,
    pub(in crate::batch) location: Option<(u32, u32, u32)>,
    pub(in crate::batch) thread_name: u32,
    pub(in crate::batch) thread_id: u64,
    pub(in crate::batch) stack: u32,
    pub(in crate::batch) spans: Bounded<SpanV1, { limits::SPANS_MAX }>,
    pub(in crate::batch) breadcrumbs: Bounded<BreadcrumbV1, { limits::BREADCRUMBS_MAX }>,
    pub(in crate::batch) tags: PairsV1,
    pub(in crate::batch) user: u32,
    pub(in crate::batch) contexts: u32,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct SpanV1 {
    pub(in crate::batch) name: u32,
    pub(in crate::batch) target: u32,
    pub(in crate::batch) fields: PairsV1,
}

/// What goes with an event and is not in [`EventV1`], which was published without it.
#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct SurroundingsV1 {
    /// Which of the batch's event items it belongs to, counted from 0.
    pub(in crate::batch) event: u32,
    /// Zeros where there is none.
    pub(in crate::batch) trace: [u8; 16],
    pub(in crate::batch) span: [u8; 8],
    pub(in crate::batch) is_sampled: bool,
    /// For each of the event's spans.
    pub(in crate::batch) timings: Bounded<TimingV1, { limits::SPANS_MAX }>,
    pub(in crate::batch) attached: PairsV1,
    pub(in crate::batch) inputs: PairsV1,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct TimingV1 {
    /// Zeros where nothing is known.
    pub(in crate::batch) id: [u8; 8],
    pub(in crate::batch) open_us: u64,
    pub(in crate::batch) busy_us: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct FinishedSpanV1 {
    /// Position in the runs, without the plus one.
    pub(in crate::batch) run: u32,
    pub(in crate::batch) trace: [u8; 16],
    pub(in crate::batch) id: [u8; 8],
    /// Zeros where there is none.
    pub(in crate::batch) parent: [u8; 8],
    pub(in crate::batch) is_entry: bool,
    pub(in crate::batch) links: Bounded<([u8; 16], [u8; 8]), { limits::SPAN_LINKS_MAX }>,
    pub(in crate::batch) name: u32,
    pub(in crate::batch) target: u32,
    pub(in crate::batch) location: Option<(u32, u32, u32)>,
    pub(in crate::batch) kind: u8,
    pub(in crate::batch) status: u8,
    pub(in crate::batch) started_at: u64,
    pub(in crate::batch) duration_ns: u64,
    pub(in crate::batch) busy_ns: u64,
    pub(in crate::batch) thread_name: u32,
    pub(in crate::batch) thread_id: u64,
    pub(in crate::batch) fields: PairsV1,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct BreadcrumbV1 {
    /// Microseconds before the event's `first_at`; negative where the crumb is younger.
    pub(in crate::batch) before: i64,
    pub(in crate::batch) level: u8,
    pub(in crate::batch) target: u32,
    pub(in crate::batch) message: u32,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct LossesV1 {
    pub(in crate::batch) run: [u8; 16],
    pub(in crate::batch) produced: u64,
    pub(in crate::batch) dropped: Bounded<(u32, u64), { limits::LOSS_REASONS_MAX }>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct RunStateV1 {
    /// Position in the runs, without the plus one.
    pub(in crate::batch) run: u32,
    pub(in crate::batch) ended: u8,
    pub(in crate::batch) alive_at: u64,
    pub(in crate::batch) hours: Bounded<RunHourV1, { limits::RUN_HOURS_MAX }>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::batch) struct RunHourV1 {
    pub(in crate::batch) hour: u64,
    pub(in crate::batch) roots: u64,
    pub(in crate::batch) roots_failed: u64,
    pub(in crate::batch) users: SketchV1,
    pub(in crate::batch) users_panicked: SketchV1,
}

/// Marks as steps from one to the next.
pub(in crate::batch) type SketchV1 = Bounded<u16, { sketch::REGISTERS }>;

/// Names and values; a set of contexts is just this.
pub(in crate::batch) type PairsV1 = Bounded<(u32, u32), { limits::PAIRS_MAX }>;
