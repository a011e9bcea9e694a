//! Spans, from their opening to the page that the shipping thread reads.
//!
//! ```text
//! layer ─► table (a cell for each open span) ─► page (finished spans of one thread) ─► ship
//!              ▲ capture reads the open ones
//! ```
//!
//! Whether a trace is sampled is decided when its first span opens. Of one that is not, the open spans are
//! known with their fields, for a report that may come, and nothing is left of them when they close.
//! No thread waits for another here: a thread writes its own cells and its own page.

mod cell;
pub(crate) mod fields;
pub(crate) mod finished;
pub(crate) mod native;
pub(crate) mod sampling;
mod table;

use std::cell::{Cell as StdCell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use bugsage_core::span::Link;
use bugsage_core::trace_context::TraceContext;
use tracing::Metadata;

#[cfg(all(test, bugsage_loom))]
pub(crate) use cell::model;
pub(crate) use cell::{Extra, trace_of};
pub(crate) use finished::PageHandle;
use finished::Times;
pub(crate) use table::Handle;

use crate::client;
use crate::context::Local;
use cell::{Birth, Cell, words_of};
use sampling::Candidate;

/// Boxes that a thread keeps for the next spans that need one.
const EXTRAS_KEPT: usize = 8;

/// Places that a thread keeps, as many as spans of [`span!`](crate::span!) usually nest.
const PLACES_KEPT: usize = 32;

/// What stands for the layer of spans that came through none.
const NATIVE: u64 = u64::MAX;

/// What ids are made from beside a thread's own numbers. A child made by `fork` has the numbers of its
/// parent, and gets another salt.
static SALT: AtomicU64 = AtomicU64::new(0);

/// Chooses a new salt for ids, for a process that is new.
pub(crate) fn salt(keys: &RandomState) {
    SALT.store(keys.hash_one("salt of spans"), Ordering::Relaxed);
}

/// A span that is open.
#[derive(Clone, Copy)]
pub(crate) struct OpenSpan {
    cell: &'static Cell,
    pub(crate) handle: Handle,
}

impl Deref for OpenSpan {
    type Target = Cell;

    fn deref(&self) -> &Cell {
        self.cell
    }
}

impl OpenSpan {
    /// The span, as long as it is open.
    #[inline]
    pub(crate) fn of(handle: Handle) -> Option<Self> {
        let cell = handle.cell()?;
        Some(Self { cell, handle })
    }

    /// The outermost span around one.
    pub(crate) fn root_of(handle: Handle) -> Option<Self> {
        Self::of(handle)?.root()
    }

    /// The outermost span around this one, which may be itself.
    pub(crate) fn root(&self) -> Option<Self> {
        Self::of(self.cell.root())
    }

    /// The span around this one.
    pub(crate) fn parent(&self) -> Option<Self> {
        self.cell.parent().and_then(Self::of)
    }

    /// The span with a number, of those that came through a layer.
    #[inline]
    pub(crate) fn find(layer: u64, number: u64) -> Option<Self> {
        let (handle, cell) = table::find(layer, number)?;
        Some(Self { cell, handle })
    }

    /// What the next service is told.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        Some(TraceContext {
            trace: self.trace()?,
            span: self.id()?,
            is_sampled: self.is_sampled(),
        })
    }

    /// How another span refers to this one.
    pub(crate) fn link(&self) -> Option<Link> {
        Some(Link {
            trace: self.trace()?,
            span: self.id()?,
        })
    }

    /// Closes the span: counts it where it is a root, leaves it to the shipping thread where its trace is sampled,
    /// and forgets it. `None` is for a thread that is being taken down: it has no page to leave a span in.
    #[inline]
    pub(crate) fn close(self, local: Option<&Local>, closed_at: u64) {
        if let Some(client) = client::listening()
            && !client::is_paused()
        {
            if self.is_root() {
                client.hours.root_closed(self.has_failed());
            }
            let times = Times { closed_at };
            let leaves = || local.is_some_and(|local| local.leave(client, &self, &times));
            if self.is_sampled() && !leaves() {
                client.ledger.span_lost();
            }
        }
        self.forget(local.map(|local| &local.spare));
    }

    /// Forgets the span. What lay apart goes to the thread's spare memory.
    #[inline]
    pub(crate) fn forget(self, spare: Option<&Spare>) {
        if let (Some(extra), Some(spare)) = (self.cell.clear(), spare) {
            spare.keep(extra);
        }
    }
}

/// What a span is part of.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    /// A span of this process.
    Parent(OpenSpan),
    /// A span of the process that called.
    Remote(TraceContext),
    /// Nothing: a trace begins, sampled or not.
    Root { is_sampled: bool },
}

impl Origin {
    /// Of a span that nothing is around on this thread: another process's trace goes on, or one begins.
    #[inline]
    pub(crate) fn of_root(local: &Local, root: Candidate<'_>) -> Self {
        if let Some(remote) = local.take_remote() {
            return Origin::Remote(remote);
        }
        let is_sampled = client::listening()
            .is_some_and(|client| client.sampling.decides(root, local.spare.random()));
        Origin::Root { is_sampled }
    }

    /// Counts a span that there was no room for, if it would have been sent.
    pub(crate) fn note_lost(&self) {
        if self.is_sampled()
            && let Some(client) = client::listening()
        {
            client.ledger.span_lost();
        }
    }

    pub(crate) fn is_sampled(&self) -> bool {
        match self {
            Origin::Parent(parent) => parent.is_sampled(),
            Origin::Remote(context) => context.is_sampled,
            Origin::Root { is_sampled } => *is_sampled,
        }
    }
}

/// Opens a span; `None` where there are too many. `spare.random` gives it its name.
#[inline]
pub(crate) fn open(
    layer: u64,
    number: u64,
    metadata: &'static Metadata<'static>,
    origin: Origin,
    spare: &Spare,
    fields: &mut Vec<u8>,
) -> Option<OpenSpan> {
    let birth = birth(metadata, origin, spare);
    let (handle, cell) = table::open(layer, number, &birth, fields)?;
    Some(OpenSpan { cell, handle })
}

/// Opens a span that no registry knows, and tells the number that it has instead.
fn open_native(
    metadata: &'static Metadata<'static>,
    origin: Origin,
    spare: &Spare,
    fields: &mut Vec<u8>,
) -> Option<(OpenSpan, u64)> {
    let birth = birth(metadata, origin, spare);
    let key = spare.random();
    let (before, number) = spare.place();
    let (handle, cell) = table::open_anywhere(NATIVE, key, before, number, &birth, fields)?;
    Some((OpenSpan { cell, handle }, key))
}

#[inline]
fn birth(metadata: &'static Metadata<'static>, origin: Origin, spare: &Spare) -> Birth {
    let (parent, trace, parent_id, is_sampled) = match origin {
        Origin::Parent(parent) => (
            Some(parent.handle),
            parent.trace_words(),
            parent.id_word(),
            parent.is_sampled(),
        ),
        Origin::Remote(context) => {
            let span = u64::from_be_bytes(context.span.to_bytes());
            (None, words_of(context.trace), span, context.is_sampled)
        }
        Origin::Root { is_sampled } => (None, [spare.random(), spare.random()], 0, is_sampled),
    };
    let opened_at = if is_sampled {
        crate::ticks::now()
    } else {
        crate::ticks::coarse()
    };
    Birth {
        metadata,
        parent,
        trace,
        id: spare.random(),
        parent_id,
        is_sampled,
        opened_at,
    }
}

/// What a thread keeps so that spans take no memory of their own.
pub(crate) struct Spare {
    extras: RefCell<[Option<Box<Extra>>; EXTRAS_KEPT]>,
    /// A Weyl sequence; zero before its first number.
    state: StdCell<u64>,
    pub(crate) page: RefCell<Option<PageHandle>>,
    places: RefCell<Places>,
}

/// Where a thread's spans lay that no registry has numbered: the next ones lie there again.
struct Places {
    free: [u32; PLACES_KEPT],
    count: usize,
    /// The part of the table where the thread looks for new ones; zero before its first.
    shard: u64,
    taken: u64,
}

impl Spare {
    pub(crate) const fn new() -> Self {
        Self {
            extras: RefCell::new([const { None }; EXTRAS_KEPT]),
            state: StdCell::new(0),
            page: RefCell::new(None),
            places: RefCell::new(Places {
                free: [0; PLACES_KEPT],
                count: 0,
                shard: 0,
                taken: 0,
            }),
        }
    }

    /// Where the thread's next span is to lie, and from which number on to look if that is taken.
    fn place(&self) -> (Option<u32>, u64) {
        let Ok(mut places) = self.places.try_borrow_mut() else {
            return (None, self.random());
        };
        if places.count > 0 {
            places.count -= 1;
            let place = places.free[places.count];
            return (Some(place), self.random());
        }
        if places.shard == 0 {
            places.shard = self.random();
        }
        places.taken = places.taken.wrapping_add(1);
        (None, table::number_in(places.shard, places.taken))
    }

    /// Keeps a place for the next span.
    fn keep_place(&self, place: u32) {
        if let Ok(mut places) = self.places.try_borrow_mut() {
            let at = places.count;
            if let Some(free) = places.free.get_mut(at) {
                *free = place;
                places.count += 1;
            }
        }
    }

    pub(crate) fn extra(&self) -> Option<Box<Extra>> {
        let mut extras = self.extras.try_borrow_mut().ok()?;
        extras.iter_mut().find_map(Option::take)
    }

    fn keep(&self, mut extra: Box<Extra>) {
        if let Ok(mut extras) = self.extras.try_borrow_mut()
            && let Some(place) = extras.iter_mut().find(|place| place.is_none())
        {
            extra.reset();
            *place = Some(extra);
        }
    }

    /// A number that no other call gets, as far as chance goes, and that is not zero.
    ///
    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), from a seed of
    /// the system's for each thread. Names of spans are no secrets.
    #[inline]
    pub(crate) fn random(&self) -> u64 {
        let state = match self.state.get() {
            0 => RandomState::new().hash_one(std::thread::current().id()),
            state => state,
        };
        let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mut number = state ^ SALT.load(Ordering::Relaxed);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)).max(1)
    }
}
