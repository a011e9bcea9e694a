//! Reads what std's own hook prints of panics with `RUST_BACKTRACE=full`, of all versions since 1.63.

use std::sync::Arc;

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, EventKind, Level, Location, Run, Thread};
use bugsage_core::fingerprint::frames;
use bugsage_core::id::{EventId, RunId};
use bugsage_core::stacktrace::Frame;

/// The events of a run of the program `plain`, with the truth that stands before each.
pub(crate) fn events(printed: &str) -> Vec<Event> {
    let run = Arc::new(Run {
        id: RunId::from_bytes([1; 16]),
        release: Some("plain@1.0.0".into()),
        environment: None,
        started_at: Timestamp(0),
        sdk: "std".into(),
    });
    // At the beginning of a line: messages of assertions have the same two characters.
    let printed = format!("\n{printed}");
    let parts = printed.split("\n== ").skip(1);
    let events = parts.filter_map(|part| {
        let (truth, text) = part.split_once('\n')?;
        let (bug, way) = truth.split_once(' ')?;
        let mut event = event(text, &run)?;
        for (name, value) in [("bug", bug), ("shown_by", bug), ("way", way)] {
            event.tags.push((name.into(), value.into()));
        }
        Some(event)
    });
    events.collect()
}

fn event(text: &str, run: &Arc<Run>) -> Option<Event> {
    let (head, stack) = text.split_once("stack backtrace:\n")?;
    let (_, told) = head.split_once("panicked at ")?;
    let (message, place) = if told.starts_with('\'') {
        // Up to 1.72: the message in quotes, then the place.
        let (message, place) = told.trim_end().rsplit_once("', ")?;
        (message.strip_prefix('\'')?, place)
    } else {
        let (place, message) = told.split_once(":\n")?;
        (message.trim_end(), place)
    };
    let mut place = place.trim().rsplitn(3, ':');
    let (column, line) = (place.next()?.parse().ok()?, place.next()?.parse().ok()?);
    let stack = frames::trim(frames_of(stack), true);
    Some(Event {
        id: EventId::from_bytes([0; 16]),
        run: run.clone(),
        kind: EventKind::Panic,
        level: Level::Fatal,
        count: 1,
        first_at: Timestamp(0),
        last_at: Timestamp(0),
        deltas_us: Vec::new(),
        message: message.into(),
        errors: Vec::new(),
        location: Some(Location {
            file: place.next()?.into(),
            line,
            column,
        }),
        thread: Thread { name: None, id: 1 },
        stack: Some(Arc::new(stack)),
        spans: Vec::new(),
        breadcrumbs: Vec::new(),
        tags: Vec::new(),
        user: None,
        contexts: Vec::new(),
        attached: Vec::new(),
        inputs: Vec::new(),
        trace: None,
    })
}

/// Each function stands on a line of its own, with its place on the next where that is known. Of the functions of
/// one address all but the last are inlined, and only the first has the address.
fn frames_of(stack: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in stack.lines() {
        if let Some(place) = line.trim_start().strip_prefix("at ") {
            let mut parts = place.rsplitn(3, ':');
            let (column, line) = (parts.next(), parts.next());
            if let (Some(frame), Some(file)) = (frames.last_mut(), parts.next()) {
                frame.file = Some(file.into());
                frame.line = line.and_then(|line| line.parse().ok());
                frame.column = column.and_then(|column| column.parse().ok());
            }
            continue;
        }
        let Some((before, name)) = line.split_once(" - ") else {
            continue;
        };
        let address = before
            .rsplit_once("0x")
            .and_then(|(_, hex)| u64::from_str_radix(hex.trim(), 16).ok());
        if address.is_none()
            && let Some(inlined) = frames.last_mut()
        {
            inlined.inlined = true;
        }
        frames.push(Frame {
            function: (name != "<unknown>").then(|| name.into()),
            address: address.unwrap_or_else(|| frames.last().map_or(0, |it| it.address)),
            ..Frame::default()
        });
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "== parse::city direct
thread 'main' panicked at 'called `Option::unwrap()` on a `None` value', shop/src/parse.rs:40:33
stack backtrace:
   0:     0x55a0 - std::panicking::begin_panic_handler::h0123456789abcdef
                               at /rustc/x/library/std/src/panicking.rs:584:5
   1:     0x55b0 - corpus_plain::parse::field::h0123456789abcdef
                               at /home/dev/shop/src/parse.rs:40:33
                 - corpus_plain::parse::city::h0123456789abcdef
                               at /home/dev/shop/src/parse.rs:30:5
   2:     0x55c0 - <unknown>
== parse::date direct
";

    const NEW: &str = "== orders::total thread

thread '<unnamed>' (77) panicked at shop/src/orders.rs:9:5:
assertion `left == right` failed: totals differ
  left: 1
 right: 2
stack backtrace:
   0:     0x55b0 - corpus_plain::orders::check
                               at /home/dev/shop/src/orders.rs:9:5
";

    #[test]
    fn panics_of_all_versions_are_read() {
        let events = events(&format!("{OLD}{NEW}"));
        let [old, new] = &*events else {
            panic!("{events:?}");
        };
        assert_eq!(&*old.message, "called `Option::unwrap()` on a `None` value");
        let location = old.location.as_ref().expect("is told");
        assert_eq!((&*location.file, location.line), ("shop/src/parse.rs", 40));
        let stack = old.stack.as_deref().expect("is told");
        let told: Vec<_> = stack
            .frames
            .iter()
            .map(|frame| (frame.function.as_deref(), frame.line, frame.inlined))
            .collect();
        let field = Some("corpus_plain::parse::field::h0123456789abcdef");
        let city = Some("corpus_plain::parse::city::h0123456789abcdef");
        assert_eq!(
            told,
            [
                (field, Some(40), true),
                (city, Some(30), false),
                (None, None, false)
            ]
        );
        assert!(new.message.starts_with("assertion `left == right` failed"));
        assert_eq!(&*new.tags[2].1, "thread");
    }
}
