//! One open span, in words that any thread may read while its own thread writes.
//!
//! A span's own thread fills a cell without a lock; who reads it later, in a panic hook for one, finds
//! all of it or sees that it is changing. Only what few spans have (long fields, tags, breadcrumbs) lies
//! behind a lock.

use std::sync::PoisonError;
use std::sync::TryLockError;
use std::sync::atomic::{AtomicPtr, Ordering};

use bugsage_core::span::{Link, SpanStatus};
use bugsage_core::trace_context::{SpanId, TraceId};
use tracing::Metadata;

use super::fields::{Fields, Value, merge};
use super::table::Handle;
use crate::context::{Ring, Scope};
use crate::sync::{AtomicU64, RwLock, RwLockReadGuard, RwLockWriteGuard, fence};

/// Room for fields in the cell itself; longer ones lie apart.
const FIELD_WORDS: usize = if cfg!(bugsage_loom) { 2 } else { 24 };
const FIELD_BYTES: usize = FIELD_WORDS * 8;

/// How often a reader tries, about a microsecond in all.
const TRIES: usize = if cfg!(bugsage_loom) { 2 } else { 64 };

/// Spans that one follows from; more are left out.
const LINKS_MAX: usize = bugsage_core::limits::SPAN_LINKS_MAX;

const SAMPLED: u64 = 1;
/// An error or a panic was captured in the span or below it.
const FAILED: u64 = 1 << 1;
/// The span's own error.
const ERROR: u64 = 1 << 2;
/// Something lies in `extra`.
const HAS_EXTRA: u64 = 1 << 3;
/// The fields lie in `extra`.
const FIELDS_APART: u64 = 1 << 4;

pub(crate) struct Cell {
    /// The span's number in its registry; zero where the cell is free.
    pub(super) key: AtomicU64,
    /// The layer that it came through: registries give the same numbers.
    pub(super) layer: AtomicU64,
    metadata: StaticRef<Metadata<'static>>,
    parent: [AtomicU64; 2],
    root: [AtomicU64; 2],
    trace: [AtomicU64; 2],
    id: AtomicU64,
    /// The parent's id, which may be of another process.
    parent_id: AtomicU64,
    opened_at: AtomicU64,
    busy_ns: AtomicU64,
    flags: AtomicU64,
    /// Odd while the fields change.
    version: AtomicU64,
    fields_bytes: AtomicU64,
    fields: [AtomicU64; FIELD_WORDS],
    extra: RwLock<Option<Box<Extra>>>,
}

/// What few spans have.
#[derive(Default)]
pub(crate) struct Extra {
    fields: Vec<u8>,
    pub(crate) scope: Scope,
    pub(crate) breadcrumbs: Ring,
    links: Vec<Link>,
}

/// A reference that threads hand each other in one word.
struct StaticRef<T: 'static>(AtomicPtr<T>);

impl<T> StaticRef<T> {
    fn store(&self, value: &'static T) {
        let pointer = std::ptr::from_ref(value).cast_mut();
        self.0.store(pointer, Ordering::Release);
    }

    fn load(&self) -> Option<&'static T> {
        // SAFETY: null, or what `store` was given: a reference that lives for ever.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

/// What a span is made with.
pub(super) struct Birth {
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) parent: Option<Handle>,
    pub(super) trace: TraceWords,
    pub(super) id: u64,
    pub(super) parent_id: u64,
    pub(super) is_sampled: bool,
    pub(super) opened_at: u64,
}

/// A trace's name as two words.
pub(crate) type TraceWords = [u64; 2];

impl Cell {
    pub(super) fn new() -> Self {
        let word = || AtomicU64::new(0);
        Self {
            key: word(),
            layer: word(),
            metadata: StaticRef(AtomicPtr::default()),
            parent: [word(), word()],
            root: [word(), word()],
            trace: [word(), word()],
            id: word(),
            parent_id: word(),
            opened_at: word(),
            busy_ns: word(),
            flags: word(),
            version: word(),
            fields_bytes: word(),
            fields: std::array::from_fn(|_| word()),
            extra: RwLock::new(None),
        }
    }

    /// Takes the cell for a span, if it is free: nobody else's from now on.
    #[inline]
    pub(super) fn claim(&self, key: u64) -> bool {
        self.key.load(Ordering::Relaxed) == 0
            && self
                .key
                .compare_exchange(0, key, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    /// Lets the span be found, whose cell is filled.
    #[inline]
    pub(super) fn publish(&self, layer: u64) {
        self.layer.store(layer, Ordering::Release);
    }

    /// Whether it is the cell of the span with a number, of those that came through a layer.
    #[inline]
    pub(super) fn is_of(&self, layer: u64, key: u64) -> bool {
        self.key.load(Ordering::Acquire) == key && self.layer.load(Ordering::Acquire) == layer
    }

    /// Fills the cell of a span that nobody else knows yet.
    #[inline]
    pub(super) fn fill(&self, own: Handle, birth: &Birth, fields: &mut Vec<u8>) {
        self.metadata.store(birth.metadata);
        let root = match birth.parent {
            Some(parent) => parent.cell().map_or(own, |cell| load_handle(&cell.root)),
            None => own,
        };
        store_handle(&self.parent, birth.parent);
        store_handle(&self.root, Some(root));
        set(&self.trace[0], birth.trace[0]);
        set(&self.trace[1], birth.trace[1]);
        set(&self.id, birth.id);
        set(&self.parent_id, birth.parent_id);
        set(&self.opened_at, birth.opened_at);
        set(&self.busy_ns, 0);
        set(&self.flags, u64::from(birth.is_sampled) * SAMPLED);
        self.put_fields(fields);
    }

    /// Gives the cell back. What lay apart goes to whoever may need it next.
    #[inline]
    pub(super) fn clear(&self) -> Option<Box<Extra>> {
        let extra = if self.has(HAS_EXTRA) {
            write(&self.extra).take()
        } else {
            None
        };
        self.layer.store(0, Ordering::Release);
        self.key.store(0, Ordering::Release);
        extra
    }

    pub(crate) fn metadata(&self) -> Option<&'static Metadata<'static>> {
        self.metadata.load()
    }

    pub(crate) fn parent(&self) -> Option<Handle> {
        Some(load_handle(&self.parent)).filter(Handle::is_some)
    }

    /// The outermost span around this one, which may be itself.
    pub(crate) fn root(&self) -> Handle {
        load_handle(&self.root)
    }

    #[inline]
    pub(crate) fn is_root(&self) -> bool {
        self.parent().is_none()
    }

    pub(crate) fn trace_words(&self) -> TraceWords {
        [get(&self.trace[0]), get(&self.trace[1])]
    }

    pub(crate) fn trace(&self) -> Option<TraceId> {
        trace_of(self.trace_words())
    }

    pub(crate) fn id_word(&self) -> u64 {
        get(&self.id)
    }

    pub(crate) fn id(&self) -> Option<SpanId> {
        SpanId::from_bytes(self.id_word().to_be_bytes())
    }

    pub(crate) fn parent_id_word(&self) -> u64 {
        get(&self.parent_id)
    }

    pub(crate) fn opened_at(&self) -> u64 {
        get(&self.opened_at)
    }

    pub(crate) fn busy_ns(&self) -> u64 {
        get(&self.busy_ns)
    }

    pub(crate) fn add_busy(&self, ns: u64) {
        self.busy_ns.fetch_add(ns, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_sampled(&self) -> bool {
        self.has(SAMPLED)
    }

    /// Notes that an error or a panic was captured here.
    pub(crate) fn fail(&self) {
        self.flags.fetch_or(ERROR, Ordering::Relaxed);
        if let Some(root) = self.root().cell() {
            root.flags.fetch_or(FAILED, Ordering::Relaxed);
        }
    }

    /// Whether anything failed in this span or, where it is a root, below it.
    pub(crate) fn has_failed(&self) -> bool {
        self.has(FAILED | ERROR)
    }

    pub(crate) fn status(&self) -> SpanStatus {
        if self.has(ERROR) {
            SpanStatus::Error
        } else {
            SpanStatus::Unset
        }
    }

    /// Adds fields that were recorded after the span was made.
    pub(crate) fn record(&self, newer: &[u8], spare: &mut Vec<u8>) {
        // Whoever records at the same time waits for the lock, not for a reader.
        let mut extra = write(&self.extra);
        let mut known = Vec::new();
        self.read_raw(extra.as_deref(), &mut known);
        spare.clear();
        merge(&known, newer, spare);
        let version = get(&self.version);
        self.version.store(version | 1, Ordering::Release);
        fence(Ordering::Release);
        if spare.len() > FIELD_BYTES {
            extra.get_or_insert_default().fields.clone_from(spare);
            self.flags
                .fetch_or(HAS_EXTRA | FIELDS_APART, Ordering::Release);
        } else {
            self.put_inline(spare);
            self.flags.fetch_and(!FIELDS_APART, Ordering::Release);
        }
        self.version
            .store((version | 1).wrapping_add(1), Ordering::Release);
    }

    fn put_fields(&self, fields: &mut Vec<u8>) {
        if fields.len() <= FIELD_BYTES {
            self.put_inline(fields);
            return;
        }
        let mut extra = write(&self.extra);
        std::mem::swap(&mut extra.get_or_insert_default().fields, fields);
        self.flags
            .fetch_or(HAS_EXTRA | FIELDS_APART, Ordering::Release);
    }

    #[inline]
    fn put_inline(&self, fields: &[u8]) {
        let (words, rest) = fields.as_chunks::<8>();
        for (place, word) in self.fields.iter().zip(words) {
            set(place, u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            if let Some(place) = self.fields.get(words.len()) {
                set(place, u64::from_le_bytes(word));
            }
        }
        set(&self.fields_bytes, fields.len() as u64);
    }

    /// Hands the fields to `read`, unless another thread is changing them all the time.
    pub(crate) fn read_fields(&self, mut read: impl FnMut(&'static str, Value<'_>)) {
        let Some(metadata) = self.metadata() else {
            return;
        };
        self.with_raw_fields(|bytes| {
            for (number, value) in Fields::new(bytes) {
                let field = metadata.fields().iter().nth(number.into());
                if let Some(field) = field {
                    read(field.name(), value);
                }
            }
        });
    }

    /// Hands the fields' bytes to `read`, unless another thread is changing them all the time.
    pub(crate) fn with_raw_fields(&self, read: impl FnOnce(&[u8])) {
        if self.has(FIELDS_APART) {
            if let Some(extra) = self.try_extra()
                && let Some(extra) = &*extra
            {
                read(&extra.fields);
            }
            return;
        }
        let mut bytes = [0; FIELD_BYTES];
        for _ in 0..TRIES {
            let version = self.version.load(Ordering::Acquire);
            if version.is_multiple_of(2) {
                let length = self.copy_inline(&mut bytes);
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == version {
                    read(&bytes[..length]);
                    return;
                }
            }
            std::hint::spin_loop();
        }
    }

    /// For who holds the lock, so that nobody changes them.
    fn read_raw(&self, extra: Option<&Extra>, bytes: &mut Vec<u8>) {
        match extra {
            Some(extra) if self.has(FIELDS_APART) => bytes.clone_from(&extra.fields),
            _ => {
                bytes.resize(FIELD_BYTES, 0);
                let length = self.copy_inline(bytes);
                bytes.truncate(length);
            }
        }
    }

    fn copy_inline(&self, bytes: &mut [u8]) -> usize {
        let length = (get(&self.fields_bytes) as usize).min(FIELD_BYTES);
        let places = bytes.as_chunks_mut::<8>().0.iter_mut();
        for (place, word) in places.zip(&self.fields).take(length.div_ceil(8)) {
            *place = get(word).to_le_bytes();
        }
        length
    }

    /// Changes what few spans have. `spare` may give room for it.
    pub(crate) fn change_extra<T>(
        &self,
        spare: impl FnOnce() -> Option<Box<Extra>>,
        change: impl FnOnce(&mut Extra) -> T,
    ) -> T {
        let mut extra = write(&self.extra);
        if !self.has(HAS_EXTRA) {
            self.flags.fetch_or(HAS_EXTRA, Ordering::Release);
        }
        if extra.is_none() {
            *extra = spare();
        }
        change(extra.get_or_insert_default())
    }

    /// Hands what few spans have to `read`, where there is any and nobody is changing it.
    pub(crate) fn read_extra(&self, read: impl FnOnce(&Extra)) {
        if self.has(HAS_EXTRA)
            && let Some(extra) = self.try_extra()
            && let Some(extra) = &*extra
        {
            read(extra);
        }
    }

    pub(crate) fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        self.read_extra(|extra| links.clone_from(&extra.links));
        links
    }

    pub(crate) fn add_link(&self, link: Link) {
        self.change_extra(
            || None,
            |extra| {
                if extra.links.len() < LINKS_MAX {
                    extra.links.push(link);
                }
            },
        );
    }

    /// Tries a few times where somebody writes: writers are done after some instructions, unless the
    /// system has stopped them in between. Readers do not keep each other out.
    fn try_extra(&self) -> Option<RwLockReadGuard<'_, Option<Box<Extra>>>> {
        (0..TRIES).find_map(|_| match self.extra.try_read() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                std::hint::spin_loop();
                None
            }
        })
    }

    fn has(&self, flags: u64) -> bool {
        self.flags.load(Ordering::Acquire) & flags != 0
    }
}

impl Extra {
    /// Ready for another span, with the memory it has.
    pub(super) fn reset(&mut self) {
        self.fields.clear();
        self.scope.clear();
        self.breadcrumbs.clear();
        self.links.clear();
    }
}

pub(crate) fn trace_of(words: TraceWords) -> Option<TraceId> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_be_bytes());
    bytes[8..].copy_from_slice(&words[1].to_be_bytes());
    TraceId::from_bytes(bytes)
}

pub(crate) fn words_of(trace: TraceId) -> TraceWords {
    let number = u128::from_be_bytes(trace.to_bytes());
    [(number >> 64) as u64, number as u64]
}

fn set(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Relaxed);
}

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

fn store_handle(words: &[AtomicU64; 2], handle: Option<Handle>) {
    let (place, key) = handle.map_or((0, 0), Handle::to_words);
    set(&words[0], place);
    set(&words[1], key);
}

fn load_handle(words: &[AtomicU64; 2]) -> Handle {
    Handle::from_words(get(&words[0]), get(&words[1]))
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// A cell's parts alone, for `src/loom.rs`.
#[cfg(all(test, bugsage_loom))]
pub(crate) mod model {
    use super::Cell;

    /// A cell that spans open and close in.
    pub(crate) struct Place(Cell);

    impl Place {
        pub(crate) fn new() -> Self {
            Self(Cell::new())
        }

        /// Opens a span where the cell is free.
        pub(crate) fn open(&self, layer: u64, key: u64, fields: &[u8]) -> bool {
            if !self.0.claim(key) {
                return false;
            }
            self.0.put_fields(&mut fields.to_vec());
            self.0.publish(layer);
            true
        }

        /// The fields of a span, where it is open.
        pub(crate) fn find(&self, layer: u64, key: u64) -> Option<Vec<u8>> {
            let mut seen = None;
            if self.0.is_of(layer, key) {
                self.0
                    .with_raw_fields(|fields| seen = Some(fields.to_vec()));
            }
            seen
        }

        pub(crate) fn close(&self) {
            self.0.clear();
        }
    }

    pub(crate) struct Fields(Cell);

    impl Fields {
        pub(crate) fn new(fields: &[u8]) -> Self {
            let cell = Cell::new();
            cell.put_fields(&mut fields.to_vec());
            Self(cell)
        }

        pub(crate) fn change(&self, fields: &[u8]) {
            self.0.record(fields, &mut Vec::new());
        }

        pub(crate) fn read(&self) -> Option<Vec<u8>> {
            let mut seen = None;
            self.0
                .with_raw_fields(|fields| seen = Some(fields.to_vec()));
            seen
        }
    }
}
