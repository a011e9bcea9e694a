//! Writes events as lines of JSON, for somebody who develops and has no collector at hand.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use bugsage_core::event::{Event, Pairs};

use crate::options::InitError;
use crate::transport::{Answer, Batch, Sending, Transport};

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Standard output.
    Stdout,
    /// The end of a file.
    File(PathBuf),
}

impl Lines {
    /// Reads a DSN that names no collector: `stdout:` or `file:///absolute/path`.
    pub(crate) fn of(dsn: &str) -> Option<Self> {
        let dsn = dsn.trim();
        if dsn == "stdout:" {
            return Some(Lines::Stdout);
        }
        let path = dsn.strip_prefix("file://")?;
        Some(Lines::File(PathBuf::from(path)))
    }

    /// Whether lines can be written there: somebody who develops shall not wait to see it.
    pub(crate) fn check(&self) -> Result<(), InitError> {
        let Lines::File(path) = self else {
            return Ok(());
        };
        let opened = if path.is_absolute() {
            OpenOptions::new().append(true).create(true).open(path)
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        };
        opened
            .map(drop)
            .map_err(|error| InitError::File(path.clone(), error))
    }

    fn write(&self, lines: &str) -> io::Result<()> {
        match self {
            Lines::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines.as_bytes())?;
                out.flush()
            }
            Lines::File(path) => {
                let mut options = OpenOptions::new();
                // One write, so that processes that share the file do not tear each other's lines.
                options
                    .append(true)
                    .create(true)
                    .open(path)?
                    .write_all(lines.as_bytes())
            }
        }
    }
}

impl Transport for Lines {
    fn send(&mut self, batch: Batch) -> Sending {
        let mut lines = String::new();
        for event in batch.events() {
            object(&mut lines, |json| event_fields(json, &event));
            lines.push('\n');
        }
        let answer = match self.write(&lines) {
            Ok(()) => Answer::Taken,
            Err(_) => Answer::Later { after: None },
        };
        Box::pin(std::future::ready(answer))
    }
}

fn event_fields(json: &mut Object<'_>, event: &Event) {
    json.text("id", &event.id.to_string());
    json.text("kind", event.kind.as_str());
    json.text("level", event.level.as_str());
    json.text("message", &event.message);
    json.number("count", event.count);
    json.number("first_at_us", event.first_at.0);
    json.number("last_at_us", event.last_at.0);
    if let Some(location) = &event.location {
        json.object("location", |json| {
            json.text("file", &location.file);
            json.number("line", location.line.into());
            json.number("column", location.column.into());
        });
    }
    json.object("thread", |json| {
        json.maybe("name", event.thread.name.as_deref());
        json.number("id", event.thread.id);
    });
    json.list("errors", &event.errors, |json, error| {
        json.maybe("type", error.type_name.as_deref());
        json.text("message", &error.message);
    });
    let frames = event.stack.iter().flat_map(|stack| &stack.frames);
    json.list("frames", frames, |json, frame| {
        json.maybe("function", frame.function.as_deref());
        json.maybe("file", frame.file.as_deref());
        json.number("line", frame.line.unwrap_or(0).into());
        json.number("column", frame.column.unwrap_or(0).into());
        json.boolean("in_app", frame.in_app);
        json.boolean("inlined", frame.inlined);
    });
    json.list("spans", &event.spans, |json, span| {
        json.text("name", &span.name);
        json.text("target", &span.target);
        json.object("fields", |json| pairs(json, &span.fields));
    });
    json.list("breadcrumbs", &event.breadcrumbs, |json, crumb| {
        json.number("at_us", crumb.at.0);
        json.text("level", crumb.level.as_str());
        json.text("target", &crumb.target);
        json.text("message", &crumb.message);
    });
    json.object("tags", |json| pairs(json, &event.tags));
    json.maybe("user", event.user.as_deref());
    json.object("contexts", |json| pairs(json, &event.contexts));
    json.text("run", &event.run.id.to_string());
    json.maybe("release", event.run.release.as_deref());
    json.maybe("environment", event.run.environment.as_deref());
}

fn pairs(json: &mut Object<'_>, pairs: &Pairs) {
    for (name, value) in pairs {
        json.text(name, value);
    }
}

/// An object that is being written.
struct Object<'a> {
    out: &'a mut String,
    is_first: bool,
}

fn object(out: &mut String, fields: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fields(&mut Object {
        out,
        is_first: true,
    });
    out.push('}');
}

impl Object<'_> {
    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(',');
        }
        string(self.out, name);
        self.out.push(':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        string(self.out, value);
    }

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => {
                self.name(name);
                self.out.push_str("null");
            }
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        // A `String` takes all that is written to it.
        let _ = write!(self.out, "{value}");
    }

    fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.push_str(if value { "true" } else { "false" });
    }

    fn object(&mut self, name: &str, fields: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        object(self.out, fields);
    }

    fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fields: impl FnMut(&mut Object<'_>, T),
    ) {
        self.name(name);
        self.out.push('[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            object(self.out, |json| fields(json, item));
        }
        self.out.push(']');
    }
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // A terminal obeys what is among these.
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dsn_names_standard_output_or_a_file() {
        assert_eq!(Lines::of("stdout:"), Some(Lines::Stdout));
        let file = Lines::File(PathBuf::from("/var/log/shop.jsonl"));
        assert_eq!(Lines::of("file:///var/log/shop.jsonl"), Some(file));
        assert_eq!(Lines::of("http://key@localhost/1"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_again_as_it_was(text: String, name: String) {
            let mut json = String::new();
            object(&mut json, |json| {
                json.text(&name, &text);
                json.list("list", [1, 2], |json, n| json.number("n", n));
                json.maybe("none", None);
            });

            let read: serde_json::Value = serde_json::from_str(&json).expect("is JSON");
            if name != "list" && name != "none" {
                prop_assert_eq!(&read[&name], &text);
            }
            prop_assert_eq!(&read["list"], &serde_json::json!([{"n": 1}, {"n": 2}]));
            let is_one_line = !json.chars().any(char::is_control);
            prop_assert!(is_one_line);
        }
    }
}
