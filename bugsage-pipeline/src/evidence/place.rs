//! From a sample event to a place in a file of its commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use bugsage_core::event::Event;
use bugsage_core::limits::cut;

use crate::evidence::{Untrusted, quote};
use crate::limits;
use crate::repository::{
    Located, Repository, RepositoryError, SourceFile, Tree, Unusable, is_foreign,
};

/// Where it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file in the repository.
    pub path: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1, where it is known.
    pub column: Option<u32>,
    /// The function as the debug information names it, where the stack tells.
    pub function: Option<Untrusted>,
    /// How the place is known.
    pub known_by: PlaceKnownBy,
    /// The lines around it.
    pub lines: Vec<SourceLine>,
}

/// How a place is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceKnownBy {
    /// The panic or the log line names it.
    Location,
    /// The location lies in the standard library or a dependency; this is the first frame of the app.
    Frame,
}

/// A frame of the app with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSource {
    /// The function as the debug information names it.
    pub function: Option<Untrusted>,
    /// The file as the debug information names it.
    pub file: Untrusted,
    /// The line, counted from 1.
    pub line: u32,
    /// The file in the repository, where one fits.
    pub path: Option<String>,
    /// The lines around it.
    pub lines: Vec<SourceLine>,
    /// Why there are no lines.
    pub note: Option<String>,
}

/// A line of source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// The line, counted from 1.
    pub line: u32,
    /// Its text, cut to [`limits::LINE_BYTES_MAX`].
    pub text: String,
}

/// The files of one commit, each read once.
pub(super) struct Sources<'a> {
    repository: &'a Repository,
    tree: &'a Tree,
    files: BTreeMap<String, Result<SourceFile, Unusable>>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(repository: &'a Repository, tree: &'a Tree) -> Self {
        Sources {
            repository,
            tree,
            files: BTreeMap::new(),
        }
    }

    /// The file that a path of an event means, if its text has that line; otherwise why not.
    fn look_up(
        &mut self,
        file: &str,
        line: u32,
    ) -> Result<Result<&SourceFile, String>, RepositoryError> {
        let path = match self.tree.locate(file) {
            Located::File(path) => path,
            Located::Ambiguous => return Ok(Err(format!("{} fits several files", quote(file)))),
            Located::Absent => return Ok(Err(format!("{} is not there", quote(file)))),
        };
        if !self.files.contains_key(&path) {
            if self.files.len() >= limits::SOURCE_FILES_MAX {
                return Ok(Err(format!(
                    "{path} was not read; the stack crosses too many files"
                )));
            }
            let source = self.repository.read(self.tree, &path)?;
            self.files.insert(path.clone(), source);
        }
        Ok(match &self.files[&path] {
            Err(unusable) => Err(format!("{path}: {unusable}")),
            Ok(source) if line == 0 || source.text.lines().nth(line as usize - 1).is_none() => {
                Err(format!("{path} has no line {line}"))
            }
            Ok(source) => Ok(source),
        })
    }
}

/// Finds where an event happened: the panic's own location, or else the innermost frame of the app.
pub(super) fn find(
    event: &Event,
    sources: &mut Sources<'_>,
    looked_for: &mut Vec<String>,
) -> Result<Option<Place>, RepositoryError> {
    let location = event
        .location
        .as_ref()
        .filter(|location| !is_foreign(&location.file));
    if let Some(location) = location {
        match sources.look_up(&location.file, location.line)? {
            Ok(source) => {
                return Ok(Some(Place {
                    path: source.path.clone(),
                    line: location.line,
                    column: (location.column > 0).then_some(location.column),
                    function: function_at(event, &location.file, location.line),
                    known_by: PlaceKnownBy::Location,
                    lines: lines_around(source, location.line),
                }));
            }
            Err(why) => looked_for.push(why),
        }
    }
    let stack = event.stack.iter().flat_map(|stack| &stack.frames);
    for frame in stack.filter(|frame| frame.in_app).take(limits::FRAMES_MAX) {
        let (Some(file), Some(line)) = (&frame.file, frame.line) else {
            continue;
        };
        if is_foreign(file) {
            continue;
        }
        match sources.look_up(file, line)? {
            Ok(source) => {
                return Ok(Some(Place {
                    path: source.path.clone(),
                    line,
                    column: frame.column.filter(|column| *column > 0),
                    function: frame.function.as_deref().map(Untrusted::new),
                    known_by: PlaceKnownBy::Frame,
                    lines: lines_around(source, line),
                }));
            }
            Err(why) if looked_for.contains(&why) => {}
            Err(why) => looked_for.push(why),
        }
    }
    Ok(None)
}

/// The app's own frames with their source, innermost first.
pub(super) fn frames(
    event: &Event,
    sources: &mut Sources<'_>,
) -> Result<Vec<FrameSource>, RepositoryError> {
    let mut frames = Vec::new();
    let stack = event.stack.iter().flat_map(|stack| &stack.frames);
    for frame in stack.filter(|frame| frame.in_app).take(limits::FRAMES_MAX) {
        let (Some(file), Some(line)) = (&frame.file, frame.line) else {
            continue;
        };
        let (path, lines, note) = match sources.look_up(file, line)? {
            Ok(source) => (Some(source.path.clone()), lines_around(source, line), None),
            Err(why) => (None, Vec::new(), Some(why)),
        };
        frames.push(FrameSource {
            function: frame.function.as_deref().map(Untrusted::new),
            file: Untrusted::new(file),
            line,
            path,
            lines,
            note,
        });
    }
    Ok(frames)
}

/// The function of the frame that stands at a place, or else of the innermost one in its file.
fn function_at(event: &Event, file: &str, line: u32) -> Option<Untrusted> {
    let frames = || {
        event
            .stack
            .iter()
            .flat_map(|stack| &stack.frames)
            .filter(|frame| frame.in_app)
    };
    let in_file = |frame: &&std::sync::Arc<bugsage_core::stacktrace::Frame>| {
        frame
            .file
            .as_deref()
            .is_some_and(|other| other.ends_with(file) || file.ends_with(other))
    };
    let frame = frames()
        .find(|frame| in_file(frame) && frame.line == Some(line))
        .or_else(|| frames().find(in_file))?;
    frame.function.as_deref().map(Untrusted::new)
}

fn lines_around(source: &SourceFile, line: u32) -> Vec<SourceLine> {
    let first = line.saturating_sub(limits::LINES_AROUND).max(1);
    let count = (line - first + limits::LINES_AROUND + 1) as usize;
    let lines = source
        .text
        .lines()
        .zip(1..)
        .skip(first as usize - 1)
        .take(count);
    lines
        .map(|(text, line)| SourceLine {
            line,
            text: cut(text, limits::LINE_BYTES_MAX).into_owned(),
        })
        .collect()
}

/// The last name of a demangled function, without generics, closures and futures:
/// `<shop::Cart as shop::Priced>::total::{{closure}}` is `total`.
pub(crate) fn simple_name(function: &str) -> Option<String> {
    let mut depth = 0_usize;
    let mut plain = String::new();
    for c in function.chars() {
        match c {
            '<' => depth += 1,
            // An arrow in a type is no bracket.
            '>' if plain.ends_with('-') => {}
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let name = plain
        .rsplit("::")
        .find(|part| !part.is_empty() && !part.starts_with('{'))?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::simple_name;

    #[test]
    fn a_simple_name_has_no_path_no_generics_and_no_closure() {
        let check = |function, name| assert_eq!(simple_name(function).as_deref(), Some(name));

        check("shop::cart::total", "total");
        check("shop::cart::total::{{closure}}", "total");
        check("shop::cart::total::{closure#0}::{async_fn#1}", "total");
        check("<shop::Cart as shop::Priced<u8>>::total", "total");
        check("shop::Cart<T>::total::<u8>", "total");
        check("main", "main");
        assert_eq!(simple_name("{{closure}}"), None);
        assert_eq!(simple_name(""), None);
    }
}
