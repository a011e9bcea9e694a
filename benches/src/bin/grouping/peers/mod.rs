//! What others group by, as far as it is published: an event in, the text that its group is keyed by out.
//!
//! A panic is told to them as sentry 0.49 tells it: type `panic`, the message as value, frames with demangled
//! functions and an `in_app` of the SDK's.

use bugsage_core::event::{Event, EventKind};
use bugsage_core::fingerprint::{frames, message, symbol};
use bugsage_core::stacktrace::Frame;

/// A rule by its name.
pub(crate) type Rule = (&'static str, fn(&Event) -> String);

pub(crate) const ALL: &[Rule] = &[
    ("bugsink 1", bugsink_1),
    ("bugsink 2", bugsink_2),
    ("glitchtip", glitchtip),
    ("trapfall", trapfall),
    ("sentry frames", sentry),
];

fn type_name(event: &Event) -> String {
    let name = match event.kind {
        EventKind::Panic => "panic",
        EventKind::Error => event
            .errors
            .first()
            .and_then(|error| error.type_name.as_deref())
            .unwrap_or("Error"),
        EventKind::Log => "",
    };
    name.rsplit("::").next().unwrap_or(name).to_owned()
}

fn first_line(event: &Event) -> &str {
    event.message.lines().next().unwrap_or("")
}

fn app_frames(event: &Event) -> impl Iterator<Item = &Frame> {
    let frames = event.stack.iter().flat_map(|stack| &stack.frames);
    frames
        .map(|frame| &**frame)
        .filter(|frame| frames::in_app(frame))
}

fn function(frame: &Frame) -> String {
    let function = frame.function.as_deref().unwrap_or("?");
    symbol::normalize(function)
}

/// Type and the first line of the value.
fn bugsink_1(event: &Event) -> String {
    format!("{}: {}", type_name(event), first_line(event))
}

/// Type and the message without what varies.
fn bugsink_2(event: &Event) -> String {
    format!(
        "{}: {}",
        type_name(event),
        message::template(&event.message)
    )
}

/// Title, culprit and type; the culprit is the innermost function of the app.
fn glitchtip(event: &Event) -> String {
    let culprit = app_frames(event).next().map(function).unwrap_or_default();
    format!("{}: {}|{culprit}", type_name(event), first_line(event))
}

/// Type, innermost function of the app as it is, and its file.
fn trapfall(event: &Event) -> String {
    let innermost = app_frames(event).next();
    let function = innermost.and_then(|frame| frame.function.as_deref());
    let file = innermost.and_then(|frame| frame.file.as_deref());
    format!("{}|{function:?}|{file:?}", type_name(event))
}

/// All frames of the app by function, recursion folded, with the type; without frames type and message.
fn sentry(event: &Event) -> String {
    let mut functions: Vec<String> = app_frames(event).map(function).collect();
    functions.dedup();
    if functions.is_empty() {
        return bugsink_2(event);
    }
    format!("{}|{}", type_name(event), functions.join("|"))
}
