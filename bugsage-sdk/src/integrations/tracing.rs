//! The `tracing` layer: errors become events, lesser lines breadcrumbs, the open spans are known to
//! whoever captures, and root spans are counted when they close.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use bugsage_core::event::{EventKind, Level};
use bugsage_core::limits;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::breadcrumbs;
use crate::capture::error::{chain, level_of};
use crate::capture::{Sighting, capture, text_stack};
use crate::client;
use crate::context::{Local, with_local};
use crate::integrations::field_names::{FieldNames, Role};
use crate::levels;
use crate::spans::fields::{Recorder, digits, write_bounded, write_text};
use crate::spans::sampling::Candidate;
use crate::spans::{self, OpenSpan, Origin};
use crate::ticks;

/// Connects `tracing` with BugSage. Made by [`layer`].
///
/// `error!` becomes an event with the open spans, their fields, and the errors among its fields.
/// `warn!` and `info!` become breadcrumbs of what follows on the same thread or in the same tree
/// of spans; finer levels are left alone. Other levels may be set:
/// [`set_event_level`](crate::set_event_level), [`set_breadcrumb_level`](crate::set_breadcrumb_level). Spans
/// without a parent are counted by hour, those apart in which an error or a panic was captured: what the
/// health of a release is read from. The spans of a sampled trace are sent when they close; one of a trace
/// that is not sampled costs about 45 ns. It may be added before or after [`init`](crate::init). Of two in one
/// subscriber the second says so on standard error and does nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Layer {
    /// Registries give the same numbers to their spans; layers tell them apart.
    number: u64,
    /// Whether the subscriber has one already, which tells everything that this one would.
    is_second: bool,
}

impl Default for Layer {
    fn default() -> Self {
        layer()
    }
}

/// Makes the layer for `tracing_subscriber::registry().with(..)`.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt as _;
/// use tracing_subscriber::util::SubscriberInitExt as _;
///
/// tracing_subscriber::registry().with(bugsage_sdk::layer()).init();
/// ```
pub fn layer() -> Layer {
    static LAYERS: AtomicU64 = AtomicU64::new(0);
    Layer {
        number: LAYERS.fetch_add(1, Ordering::Relaxed) + 1,
        is_second: false,
    }
}

// Not generic, so that all of it is compiled here and not with each subscriber of an app: a callback makes one
// call into this crate.
impl Layer {
    fn opened(&self, attributes: &Attributes<'_>, id: &Id, parent_of: &dyn Fn() -> Option<u64>) {
        if self.is_second {
            return;
        }
        with_local(|local| {
            if local.is_ours() || client::is_off() {
                return;
            }
            // Formatted before anything is locked: `Debug` is the app's code.
            local.with_scratch(|fields| {
                attributes.record(&mut Recorder { bytes: fields });
                let origin = self.origin(local, attributes, fields, parent_of);
                let (metadata, number) = (attributes.metadata(), id.into_u64());
                let opened =
                    spans::open(self.number, number, metadata, origin, &local.spare, fields);
                if opened.is_none() {
                    origin.note_lost();
                }
            });
        });
    }

    /// Where a new span belongs.
    #[inline]
    fn origin(
        &self,
        local: &Local,
        attributes: &Attributes<'_>,
        fields: &[u8],
        parent_of: &dyn Fn() -> Option<u64>,
    ) -> Origin {
        let parent = if attributes.is_contextual() {
            // Not from the registry: another layer may hold the parent's lock on this very thread,
            // while it formats a value whose `Debug` opens a span.
            local.current().and_then(OpenSpan::of)
        } else {
            attributes.parent().and_then(|parent| {
                // A filter may have kept it from us: then the next one that it did not.
                let next = || OpenSpan::find(self.number, parent_of()?);
                OpenSpan::find(self.number, parent.into_u64()).or_else(next)
            })
        };
        let root = || Candidate {
            metadata: attributes.metadata(),
            fields,
        };
        parent.map_or_else(|| Origin::of_root(local, root()), Origin::Parent)
    }

    fn recorded(&self, id: &Id, values: &Record<'_>) {
        with_local(|local| {
            if let Some(span) = OpenSpan::find(self.number, id.into_u64()) {
                local.with_scratch(|fields| {
                    values.record(&mut Recorder { bytes: fields });
                    local.with_scratch(|spare| span.record(fields, spare));
                });
            }
        });
    }

    fn followed(&self, id: &Id, follows: &Id) {
        let span = OpenSpan::find(self.number, id.into_u64());
        let other = OpenSpan::find(self.number, follows.into_u64());
        if let Some(span) = span
            && span.is_sampled()
            && let Some(link) = other.and_then(|other| other.link())
        {
            span.add_link(link);
        }
    }

    fn entered(&self, id: &Id) {
        if let Some(span) = OpenSpan::find(self.number, id.into_u64()) {
            let at = if span.is_sampled() { ticks::now() } else { 0 };
            with_local(|local| local.enter(id.into_u64(), span.handle, at));
        }
    }

    fn exited(id: &Id) {
        let left = with_local(|local| local.exit(id.into_u64())).flatten();
        if let Some((handle, at)) = left
            && at != 0
            && let Some(span) = OpenSpan::of(handle)
        {
            span.add_busy(ticks::now().saturating_sub(at));
        }
    }

    fn closed(&self, id: &Id) {
        let Some(span) = OpenSpan::find(self.number, id.into_u64()) else {
            return;
        };
        let closed_at = if span.is_sampled() { ticks::now() } else { 0 };
        if with_local(|local| span.close(Some(local), closed_at)).is_none() {
            span.close(None, closed_at);
        }
    }
}

impl<S> tracing_subscriber::Layer<S> for Layer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_layer(&mut self, subscriber: &mut S) {
        let subscriber: &dyn Subscriber = subscriber;
        self.is_second = subscriber.is::<Self>();
        if self.is_second {
            // Not `eprintln!`, which panics where standard error is closed.
            let _ = writeln!(
                io::stderr(),
                "bugsage: this subscriber has two layers of BugSage, and the second does nothing: \
                 add bugsage_sdk::layer() once"
            );
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.opened(attributes, id, &|| {
            Some(ctx.span(id)?.parent()?.id().into_u64())
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _ctx: Context<'_, S>) {
        self.recorded(id, values);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _ctx: Context<'_, S>) {
        self.followed(id, follows);
    }

    fn on_enter(&self, id: &Id, _ctx: Context<'_, S>) {
        self.entered(id);
    }

    fn on_exit(&self, id: &Id, _ctx: Context<'_, S>) {
        Self::exited(id);
    }

    fn on_close(&self, id: Id, _ctx: Context<'_, S>) {
        self.closed(&id);
    }

    fn on_event(&self, event: &Event<'_>, _ctx: Context<'_, S>) {
        if self.is_second {
            return;
        }
        let metadata = event.metadata();
        let level = level_of(*metadata.level());
        if metadata.target() == LOG_TARGET && metadata.fields().field(LOG_FIELD).is_some() {
            let mut record = LogRecord::default();
            event.record(&mut record);
            return self.line(event, level, &record.source());
        }
        let source = Source {
            target: metadata.target(),
            location: metadata.file().zip(metadata.line()),
        };
        self.line(event, level, &source);
    }
}

/// Where a line of the log comes from.
struct Source<'a> {
    target: &'a str,
    location: Option<(&'a str, u32)>,
}

/// What `tracing-log` makes of a record of the crate `log`: the same metadata for all, and where it comes
/// from in fields.
const LOG_TARGET: &str = "log";
const LOG_FIELD: &str = "log.target";

/// Where a record of the crate `log` comes from.
#[derive(Default)]
struct LogRecord {
    target: String,
    file: String,
    line: u32,
}

impl LogRecord {
    fn source(&self) -> Source<'_> {
        Source {
            target: &self.target,
            location: (self.line != 0).then_some((&*self.file, self.line)),
        }
    }
}

impl Visit for LogRecord {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = || limits::cut(value, limits::NAME_BYTES_MAX).into_owned();
        match field.name() {
            LOG_FIELD => self.target = text(),
            "log.file" => self.file = text(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "log.line" {
            self.line = u32::try_from(value).unwrap_or(0);
        }
    }
}

impl Layer {
    fn line(&self, event: &Event<'_>, level: Level, source: &Source<'_>) {
        let is_report = levels::EVENTS.take(level, source.target);
        if !is_report && !levels::BREADCRUMBS.take(level, source.target) {
            return;
        }
        with_local(|local| {
            if local.is_ours() || client::is_off() {
                return;
            }
            if is_report {
                report(local, event, level, source);
            } else {
                add_breadcrumb(local, event, level, source);
            }
        });
    }
}

/// A field's value in an event, and in a breadcrumb: one long value leaves room for the others.
const EVENT_VALUE_BYTES_MAX: usize = 2 << 10;
const CRUMB_VALUE_BYTES_MAX: usize = limits::BREADCRUMB_BYTES_MAX;

fn report(local: &Local, event: &Event<'_>, level: Level, source: &Source<'_>) {
    local.with_scratch(|bytes| {
        let mut line = Line {
            names: &local.field_names,
            bytes,
            message_at: 0,
            bytes_max: limits::MESSAGE_BYTES_MAX,
            value_bytes_max: EVENT_VALUE_BYTES_MAX,
            found: Some(Found::default()),
        };
        event.record(&mut line);
        let found = line.found.unwrap_or_default();
        let Ok(message) = std::str::from_utf8(bytes) else {
            // Written as text, character by character.
            return;
        };
        capture(&Sighting {
            kind: EventKind::Log,
            level,
            message,
            errors: &found.errors,
            location: source.location.map(|(file, line)| (file, line, 0)),
            addresses: &[],
            stack: &found.stack,
        });
    });
}

fn add_breadcrumb(local: &Local, event: &Event<'_>, level: Level, source: &Source<'_>) {
    local.with_scratch(|bytes| {
        breadcrumbs::begin(bytes, client::now_of_spans().0, level, source.target);
        let message_at = bytes.len();
        let mut line = Line {
            names: &local.field_names,
            bytes,
            message_at,
            bytes_max: limits::BREADCRUMB_BYTES_MAX,
            value_bytes_max: CRUMB_VALUE_BYTES_MAX,
            found: None,
        };
        event.record(&mut line);
        local.add_breadcrumb(bytes);
    });
}

/// What a line's fields tell beside text.
#[derive(Default)]
struct Found {
    errors: Vec<(String, String)>,
    stack: String,
}

/// A line of the log, written where it will be read from: the message first, then the fields.
struct Line<'a> {
    names: &'a FieldNames,
    bytes: &'a mut Vec<u8>,
    /// Where it begins.
    message_at: usize,
    bytes_max: usize,
    value_bytes_max: usize,
    /// Filled in where somebody wants to know.
    found: Option<Found>,
}

/// What a field holds.
enum Value<'a> {
    Text(&'a str),
    ToFormat(fmt::Arguments<'a>),
}

impl Value<'_> {
    fn write(self, bytes: &mut Vec<u8>, bytes_max: usize) {
        match self {
            Value::Text(text) => write_text(bytes, bytes_max, text),
            Value::ToFormat(text) => write_bounded(bytes, bytes_max, text),
        }
    }
}

impl Line<'_> {
    fn format(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.add(field, Value::ToFormat(value));
    }

    fn add(&mut self, field: &Field, value: Value<'_>) {
        let used = self.bytes.len() - self.message_at;
        // Room for a mark that it was cut.
        let Some(room) = self.bytes_max.checked_sub(used + 16) else {
            return;
        };
        let name = field.name();
        let role = self.names.role(name);
        match role {
            Role::Source => {}
            Role::Message => {
                if used == 0 {
                    return value.write(self.bytes, room);
                }
                let fields = self.bytes.split_off(self.message_at);
                value.write(self.bytes, room);
                self.bytes.push(b' ');
                self.bytes.extend_from_slice(&fields);
            }
            Role::Secret | Role::Plain => {
                let Some(room) = room.checked_sub(name.len() + 2) else {
                    return;
                };
                if used > 0 {
                    self.bytes.push(b' ');
                }
                self.bytes.extend_from_slice(name.as_bytes());
                self.bytes.push(b'=');
                if role == Role::Secret {
                    // In a line of text nobody could tell any more where the value ends.
                    self.bytes.extend_from_slice(b"[secret]");
                } else {
                    value.write(self.bytes, room.min(self.value_bytes_max));
                }
            }
        }
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            return self.format(field, format_args!("{value:?}"));
        }
        let begin = self.bytes.len();
        self.format(field, format_args!("{value:?}"));
        // An error of `anyhow` or `eyre` tells its stack behind its text, on lines of its own: most values have
        // one line, and nothing is looked for in them.
        if let Some(found) = &mut self.found
            && self.bytes[begin..].contains(&b'\n')
            && let Ok(text) = std::str::from_utf8(&self.bytes[begin..])
            && let Some(stack) = text_stack::title(text)
        {
            self.bytes.truncate(begin + text[..stack].trim_end().len());
            found.stack = text_stack::of_debug(value);
        }
        if self.bytes[begin..].contains(&b'\x1b')
            && let Ok(text) = std::str::from_utf8(&self.bytes[begin..])
        {
            let plain = text_stack::without_colours(text);
            self.bytes.truncate(begin);
            self.bytes.extend_from_slice(plain.as_bytes());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Text(digits(value, &mut [0; 20])));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            Err(_) => self.format(field, format_args!("{value}")),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Text(if value { "true" } else { "false" }));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.format(field, format_args!("{value}"));
        if let Some(found) = &mut self.found
            && found.errors.is_empty()
        {
            found.errors = chain("dyn Error", value);
        }
    }
}
