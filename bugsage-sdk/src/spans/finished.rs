//! Finished spans, as a thread leaves them to the shipping thread: many to a page, which is a slot of the
//! queue and so survives the process.
//!
//! A page begins with the thread. Then come callsites, each before the first span that it made, and spans,
//! which name their callsite by number. All numbers are little-endian.

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Location, Pairs, Run, Text, Thread};
use bugsage_core::limits;
use bugsage_core::scrub;
use bugsage_core::span::{Link, Span, SpanKind, SpanStatus};
use bugsage_core::trace_context::SpanId;
use std::sync::Arc;
use tracing::Metadata;

use super::OpenSpan;
use super::cell::trace_of;
use super::fields::{Fields, Value};
use crate::queue::Queue;
use crate::record::Reader;

/// What a page begins with, so that nobody takes it for a report.
pub(crate) const MARK: u8 = 0xff;

const CALLSITE: u8 = 1;
const SPAN: u8 = 2;

/// Callsites of one page.
const CALLSITES_MAX: usize = 16;

/// Fields of one span that are told of a finished one: what a page has room for.
const FIELDS_TOLD_BYTES: usize = 1_200;

/// Texts of a callsite that are told: its name, target and file.
const NAME_BYTES_MAX: usize = 160;

/// A field's name, and what one ends with that was cut and is a secret's.
const FIELD_NAME_BYTES_MAX: usize = 64;
const SECRET_END: &str = ".secret";

/// What every span has before its links and fields: four bytes and seven words.
const HEAD_BYTES: usize = 4 + 7 * 8;

const IS_ENTRY: u8 = 1;
const IS_ERROR: u8 = 2;

/// The page that a thread is writing.
pub(crate) struct PageHandle {
    /// Whose queue it is of.
    queue: *const Queue,
    pub(crate) slot: u16,
    /// Tells the page from others that lay in the slot.
    pub(crate) sequence: u64,
    used: usize,
    /// Where the metadata of its callsites lies.
    callsites: [usize; CALLSITES_MAX],
    callsites_count: usize,
}

/// When a span was closed.
pub(crate) struct Times {
    pub(crate) closed_at: u64,
}

/// Leaves a finished span in the thread's page. False where there is no room for it. `opened` is told the
/// slot of each page that is begun.
pub(crate) fn leave(
    queue: &Queue,
    page: &mut Option<PageHandle>,
    span: &OpenSpan,
    times: &Times,
    opened: impl Fn(u16),
) -> bool {
    for _ in 0..2 {
        let is_ours = page
            .as_ref()
            .is_some_and(|page| std::ptr::eq(page.queue, queue));
        if !is_ours {
            *page = begin(queue, times.closed_at);
            if let Some(page) = page {
                opened(page.slot);
            }
        }
        let Some(own) = page else { return false };
        match add(queue, own, span, times) {
            Added::Yes => return true,
            Added::NoRoom => queue.page_is_full(own.slot, own.sequence),
            Added::Taken => {}
        }
        *page = None;
    }
    false
}

enum Added {
    Yes,
    NoRoom,
    /// The shipping thread has the page already.
    Taken,
}

fn begin(queue: &Queue, now: u64) -> Option<PageHandle> {
    let slot = queue.open_page(now)?;
    let mut page = PageHandle {
        queue,
        slot,
        sequence: now,
        used: 0,
        callsites: [0; CALLSITES_MAX],
        callsites_count: 0,
    };
    let thread = std::thread::current();
    queue.write_page(slot, now, |bytes| {
        let mut out = Out::new(bytes, 0);
        out.put(&[MARK]);
        out.put(&crate::context::thread_number(&thread).to_le_bytes());
        out.text(thread.name().unwrap_or(""), limits::NAME_BYTES_MAX);
        page.used = out.end()?;
        Some((page.used, 0))
    })?;
    Some(page)
}

fn add(queue: &Queue, page: &mut PageHandle, span: &OpenSpan, times: &Times) -> Added {
    let Some(metadata) = span.metadata() else {
        return Added::Yes;
    };
    let at = std::ptr::from_ref(metadata).addr();
    let known = page.callsites[..page.callsites_count]
        .iter()
        .position(|known| *known == at);
    if known.is_none() && page.callsites_count == CALLSITES_MAX {
        return Added::NoRoom;
    }
    let number = known.unwrap_or(page.callsites_count);
    let used = page.used;
    let mut is_full = false;
    let written = queue.write_page(page.slot, page.sequence, |bytes| {
        let mut out = Out::new(bytes, used);
        if known.is_none() {
            put_callsite(&mut out, metadata);
        }
        // What fits no page by itself is told without some of its fields.
        let is_alone = page.callsites_count == 0;
        put_span(&mut out, number as u8, span, times, is_alone);
        match out.end() {
            Some(end) => Some((end, 1)),
            None => {
                is_full = true;
                None
            }
        }
    });
    match written {
        Some(end) => {
            page.used = end;
            if known.is_none() {
                page.callsites[number] = at;
                page.callsites_count += 1;
            }
            Added::Yes
        }
        None if is_full => Added::NoRoom,
        None => Added::Taken,
    }
}

fn put_callsite(out: &mut Out<'_>, metadata: &'static Metadata<'static>) {
    out.put(&[CALLSITE]);
    out.text(metadata.name(), NAME_BYTES_MAX);
    out.text(metadata.target(), NAME_BYTES_MAX);
    out.text(metadata.file().unwrap_or(""), NAME_BYTES_MAX);
    out.put(&metadata.line().unwrap_or(0).to_le_bytes());
    out.put(&[metadata.fields().len() as u8]);
    for field in metadata.fields() {
        put_field_name(out, field.name());
    }
}

fn put_field_name(out: &mut Out<'_>, name: &str) {
    if name.len() > FIELD_NAME_BYTES_MAX && scrub::is_secret_name(name) {
        // What is cut off may be what says so.
        let end = name.floor_char_boundary(FIELD_NAME_BYTES_MAX - SECRET_END.len());
        let cut = format!("{}{SECRET_END}", &name[..end]);
        return out.text(&cut, FIELD_NAME_BYTES_MAX);
    }
    out.text(name, FIELD_NAME_BYTES_MAX);
}

fn put_span(out: &mut Out<'_>, callsite: u8, span: &OpenSpan, times: &Times, is_alone: bool) {
    let links = span.links();
    let is_error = span.status() == SpanStatus::Error;
    let flags = (u8::from(span.is_root()) * IS_ENTRY) | (u8::from(is_error) * IS_ERROR);
    let [trace, rest] = span.trace_words();
    let duration_ns = times.closed_at.saturating_sub(span.opened_at());
    let words = [
        trace,
        rest,
        span.id_word(),
        span.parent_id_word(),
        span.opened_at(),
        duration_ns,
        span.busy_ns(),
    ];
    // In one piece: one by one, to look whether each fits costs more than to write them.
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&[SPAN, callsite, flags, links.len() as u8]);
    for (place, word) in head[4..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    out.put(&head);
    for link in &links {
        out.put(&link.trace.to_bytes());
        out.put(&link.span.to_bytes());
    }
    let room = out.bytes.len().saturating_sub(out.at + 2);
    let bytes_max = if is_alone { room } else { FIELDS_TOLD_BYTES };
    span.with_raw_fields(|fields| out.fields(fields, bytes_max.min(FIELDS_TOLD_BYTES)));
}

/// Writes into what is left of a page.
struct Out<'a> {
    bytes: &'a mut [u8],
    at: usize,
    is_full: bool,
}

impl<'a> Out<'a> {
    fn new(bytes: &'a mut [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            is_full: false,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.at..self.at + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.at += bytes.len();
            }
            None => self.is_full = true,
        }
    }

    fn text(&mut self, text: &str, bytes_max: usize) {
        let text = &text[..text.floor_char_boundary(bytes_max)];
        self.put(&(text.len() as u16).to_le_bytes());
        self.put(text.as_bytes());
    }

    /// Whole fields, as many as are told.
    fn fields(&mut self, fields: &[u8], bytes_max: usize) {
        let fitting = if fields.len() <= bytes_max {
            fields
        } else {
            Fields::prefix(fields, bytes_max)
        };
        self.put(&(fitting.len() as u16).to_le_bytes());
        self.put(fitting);
    }

    /// Where the next part begins; `None` where something did not fit.
    fn end(self) -> Option<usize> {
        (!self.is_full).then_some(self.at)
    }
}

struct Callsite {
    name: Text,
    target: Text,
    location: Option<Location>,
    fields: Vec<Text>,
}

/// Reads the spans of a page. `since_epoch` is added to microseconds of the spans' clock to get those since
/// the epoch. What cannot be read ends the page.
pub(crate) fn read(page: &[u8], run: &Arc<Run>, since_epoch: i64) -> Vec<Span> {
    let mut spans = Vec::new();
    let _ = read_all(page, run, since_epoch, &mut spans);
    spans
}

fn read_all(page: &[u8], run: &Arc<Run>, since_epoch: i64, spans: &mut Vec<Span>) -> Option<()> {
    let mut from = Reader::new(page);
    if from.u8()? != MARK {
        return None;
    }
    let id = from.u64()?;
    let name = from.text()?;
    let thread = Thread {
        name: (!name.is_empty()).then(|| name.into()),
        id,
    };
    let mut callsites: Vec<Callsite> = Vec::new();
    while let Some(what) = from.u8() {
        match what {
            CALLSITE => callsites.push(read_callsite(&mut from)?),
            SPAN => {
                let callsite = callsites.get(usize::from(from.u8()?))?;
                let span = read_span(&mut from, callsite, run, since_epoch, &thread)?;
                spans.push(span);
            }
            _ => return None,
        }
    }
    Some(())
}

fn read_callsite(from: &mut Reader<'_>) -> Option<Callsite> {
    let (name, target, file) = (from.text()?, from.text()?, from.text()?);
    let line = from.u32()?;
    let fields = from.u8()?;
    let fields: Option<Vec<Text>> = (0..fields).map(|_| Some(from.text()?.into())).collect();
    Some(Callsite {
        name: name.into(),
        target: target.into(),
        location: (line != 0).then(|| Location {
            file: file.into(),
            line,
            column: 0,
        }),
        fields: fields?,
    })
}

fn read_span(
    from: &mut Reader<'_>,
    callsite: &Callsite,
    run: &Arc<Run>,
    since_epoch: i64,
    thread: &Thread,
) -> Option<Span> {
    let (flags, links) = (from.u8()?, from.u8()?);
    let trace = trace_of([from.u64()?, from.u64()?])?;
    let id = SpanId::from_bytes(from.u64()?.to_be_bytes())?;
    let parent = SpanId::from_bytes(from.u64()?.to_be_bytes());
    let opened_at = from.u64()?;
    let (duration_ns, busy_ns) = (from.u64()?, from.u64()?);
    let links: Option<Vec<Option<Link>>> = (0..links).map(|_| read_link(from)).collect();
    let raw = from.bytes()?;
    let mut span = Span {
        run: run.clone(),
        trace,
        id,
        parent,
        is_entry: flags & IS_ENTRY != 0,
        links: links?.into_iter().flatten().collect(),
        name: callsite.name.clone(),
        target: callsite.target.clone(),
        location: callsite.location.clone(),
        kind: SpanKind::Internal,
        status: if flags & IS_ERROR != 0 {
            SpanStatus::Error
        } else {
            SpanStatus::Unset
        },
        started_at: Timestamp(((opened_at / 1_000) as i64).wrapping_add(since_epoch) as u64),
        duration_ns,
        busy_ns,
        thread: thread.clone(),
        fields: Pairs::new(),
    };
    for (number, value) in Fields::new(raw).take(limits::PAIRS_MAX) {
        let name = callsite.fields.get(usize::from(number))?;
        take_field(&mut span, name, value);
    }
    Some(span)
}

fn read_link(from: &mut Reader<'_>) -> Option<Option<Link>> {
    let trace = [from.u64()?.swap_bytes(), from.u64()?.swap_bytes()];
    let span = from.u64()?.to_le_bytes();
    Some(trace_of(trace).and_then(|trace| {
        Some(Link {
            trace,
            span: SpanId::from_bytes(span)?,
        })
    }))
}

/// Fields that say something about the span itself, by the names that `tracing-opentelemetry` gave them,
/// are taken for that.
fn take_field(span: &mut Span, name: &Text, value: Value<'_>) {
    let word = match value {
        Value::Text(text) => text,
        _ => "",
    };
    let kind = |word: &str| {
        let kinds = SpanKind::ALL.iter().copied();
        kinds
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    };
    match &**name {
        "otel.name" if !word.is_empty() => span.name = word.into(),
        "otel.kind" if kind(word).is_some() => span.kind = kind(word).unwrap_or_default(),
        "otel.status_code" if word.eq_ignore_ascii_case("error") => {
            span.status = SpanStatus::Error;
        }
        "otel.status_code" if word.eq_ignore_ascii_case("ok") => {
            if span.status == SpanStatus::Unset {
                span.status = SpanStatus::Ok;
            }
        }
        _ => span.fields.push((name.clone(), value.to_string().into())),
    }
}

#[cfg(test)]
mod tests {
    use bugsage_core::batch::{self, BatchBuilder};
    use bugsage_core::id::{BatchId, RunId};
    use proptest::prelude::*;

    use super::*;
    use crate::spans::{self, Origin, Spare};
    use crate::spool::layout::Memory;

    /// A layer that no test makes.
    const LAYER: u64 = u64::MAX - 1;

    fn run() -> Arc<Run> {
        Arc::new(Run {
            id: RunId::from_bytes([1; 16]),
            release: None,
            environment: None,
            started_at: Timestamp(0),
            sdk: "".into(),
        })
    }

    fn metadata() -> &'static Metadata<'static> {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let span = tracing::info_span!("checkout", order = 7, note = "");
            span.metadata().expect("is enabled")
        })
    }

    /// Leaves spans with as much text in their fields, and reads them from their pages.
    fn left_and_read(texts: &[usize]) -> (Vec<Span>, usize) {
        let memory = Memory::anonymous();
        let queue = Queue::new(memory.words, memory.records);
        let (spare, mut page, mut pages) = (Spare::new(), None, std::cell::Cell::new(0));
        for (number, length) in texts.iter().enumerate() {
            let mut fields = vec![1, 4];
            fields.extend_from_slice(&(*length as u16).to_le_bytes());
            fields.resize(4 + length, b'x');
            let origin = Origin::Root { is_sampled: true };
            let number = number as u64 + 1;
            let span = spans::open(LAYER, number, metadata(), origin, &spare, &mut fields);
            let span = span.expect("there is room");
            let times = Times {
                closed_at: crate::ticks::now(),
            };
            assert!(leave(&queue, &mut page, &span, &times, |_| pages
                .set(pages.get() + 1)));
            span.forget(Some(&spare));
        }
        let taken = queue.take_pages(u64::MAX);
        let spans = taken
            .iter()
            .flat_map(|page| read(&queue.page(*page), &run(), 0));
        (spans.collect(), *pages.get_mut())
    }

    #[test]
    fn what_was_left_is_read_and_a_callsite_is_told_once_a_page() {
        let (spans, pages) = left_and_read(&[3; 40]);

        assert_eq!(spans.len(), 40);
        assert!(spans.iter().all(|span| &*span.name == "checkout"));
        assert!(spans.iter().all(|span| &*span.fields[0].1 == "xxx"));
        assert!(pages <= 3, "{pages} pages for 40 spans");
    }

    #[test]
    fn a_span_with_more_fields_than_a_page_has_room_for_is_told_without_some() {
        let (spans, _) = left_and_read(&[1_000, 3_000, 10]);

        let fields: Vec<_> = spans.iter().map(|span| span.fields.len()).collect();
        assert_eq!(fields, [1, 0, 1]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_spans_that_can_be_sent_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            kinds in prop::collection::vec((1..3_u8, any::<[u8; 24]>()), 0..8),
        ) {
            let mut page = vec![MARK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            for (kind, rest) in kinds {
                page.push(kind);
                page.extend_from_slice(&rest);
            }
            page.extend_from_slice(&bytes);
            let mut builder = BatchBuilder::new();
            read(&page, &run(), -5).iter().for_each(|span| builder.push_span(span));
            let sealed = builder.seal(BatchId::from_bytes([1; 16]));
            let batch = batch::decode(&sealed.bytes).expect("was built here");
            prop_assert_eq!(batch.rejected, []);
        }
    }
}
