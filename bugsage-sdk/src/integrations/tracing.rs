//! The `tracing` layer: errors become events, lesser lines breadcrumbs, the open spans are known to
//! whoever captures, and root spans are counted when they close.

use std::fmt;
use std::sync::Arc;

use bugsage_core::event::{EventKind, Level};
use bugsage_core::limits;
use bugsage_core::scrub;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::capture::error::{chain, contained, format_bounded, level_of};
use crate::capture::{Sighting, capture};
use crate::client;
use crate::context::{self, Crumb, OpenSpan};

/// Connects `tracing` with BugSage. Made by [`layer`].
///
/// `error!` becomes an event with the open spans, their fields, and the errors among its fields.
/// `warn!` and `info!` become breadcrumbs of what follows on the same thread or in the same tree
/// of spans; finer levels are left alone. Spans without a parent are counted by hour, those apart in
/// which an error or a panic was captured: what the health of a release is read from. It may be added before or after [`init`](crate::init).
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Layer;

/// Makes the layer for `tracing_subscriber::registry().with(..)`.
pub fn layer() -> Layer {
    Layer
}

impl<S> tracing_subscriber::Layer<S> for Layer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if context::thread_is_ours() {
            return;
        }
        // Formatted before anything is locked: `Debug` is the app's code.
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let Some(span) = ctx.span(id) else { return };
        let parent = if attributes.is_contextual() {
            // Not from the registry: another layer may hold the parent's lock on this very thread,
            // while it formats a value whose `Debug` opens a span.
            context::current()
        } else {
            span.parent().and_then(|parent| open_span(&parent))
        };
        let metadata = attributes.metadata();
        let open = OpenSpan::new(metadata.name(), metadata.target(), fields.0, parent);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(open) = ctx.span(id).and_then(|span| open_span(&span)) {
            open.record(fields.0);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if let Some(open) = ctx.span(id).and_then(|span| open_span(&span)) {
            context::enter(id.into_u64(), open);
        }
    }

    fn on_exit(&self, id: &Id, _ctx: Context<'_, S>) {
        context::exit(id.into_u64());
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(client) = client::active() else {
            return;
        };
        if let Some(open) = ctx.span(&id).and_then(|span| open_span(&span))
            && open.is_root()
        {
            client.hours.root_closed(open.has_failed());
        }
    }

    fn on_event(&self, event: &Event<'_>, _ctx: Context<'_, S>) {
        let metadata = event.metadata();
        let level = level_of(*metadata.level());
        if level < Level::Info || context::thread_is_ours() {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        if level == Level::Error {
            let message = line.text(limits::MESSAGE_BYTES_MAX);
            capture(&Sighting {
                kind: EventKind::Log,
                level,
                message: &message,
                errors: &line.errors,
                location: metadata
                    .file()
                    .zip(metadata.line())
                    .map(|(file, line)| (file, line, 0)),
                addresses: &[],
            });
        } else {
            let message = line.text(limits::BREADCRUMB_BYTES_MAX).into();
            let at = client::now().0;
            context::add_breadcrumb(Crumb {
                at,
                level,
                target: metadata.target(),
                message,
            });
        }
    }
}

/// `None` too where a panic of another layer has poisoned the span: asking the registry panics
/// then, and that must not meet a thread that is unwinding already.
fn open_span<S>(span: &SpanRef<'_, S>) -> Option<Arc<OpenSpan>>
where
    S: for<'a> LookupSpan<'a>,
{
    contained(|| span.extensions().get::<Arc<OpenSpan>>().cloned()).flatten()
}

/// The fields of a span.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.0.len() < limits::PAIRS_MAX {
            self.0.push((field.name(), format_bounded(2 << 10, value)));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, format_args!("{value}"));
    }
}

/// A line of the log: its message, its other fields, and the errors among them.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
    errors: Vec<(String, String)>,
}

impl Line {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" {
            self.message = format_bounded(limits::MESSAGE_BYTES_MAX, value);
        } else if scrub::is_secret_name(field.name()) {
            // In a line of text nobody could tell any more where the value ends.
            self.fields.push_str(&format!(" {}=[secret]", field.name()));
        } else if self.fields.len() < limits::MESSAGE_BYTES_MAX {
            self.fields.push_str(&format_bounded(
                2 << 10,
                format_args!(" {}={value}", field.name()),
            ));
        }
    }

    fn text(&self, bytes_max: usize) -> String {
        let text = format!("{}{}", self.message, self.fields);
        limits::cut(text.trim_start(), bytes_max).into_owned()
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, format_args!("{value}"));
        if self.errors.is_empty() {
            self.errors = chain("dyn Error", value);
        }
    }
}
