//! Byte-range splices: an edit keeps every other byte of the file.

use std::ops::Range;

use proc_macro2::Span;
use serde::{Deserialize, Serialize};
use syn::spanned::Spanned;

/// A replacement of some bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Edit {
    /// The first byte that is replaced.
    pub start: usize,
    /// The byte after the last one that is replaced; `start` for an insertion.
    pub end: usize,
    /// What takes their place.
    pub text: String,
}

impl Edit {
    /// A replacement of a range.
    pub(super) fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Edit {
            start: range.start,
            end: range.end,
            text: text.into(),
        }
    }

    /// An insertion.
    pub(super) fn insert(at: usize, text: impl Into<String>) -> Self {
        Edit::replace(at..at, text)
    }
}

/// Applies edits that stand in ascending order without overlap. `None` where one of them does not
/// fit the text.
pub fn splice(text: &str, edits: &[Edit]) -> Option<String> {
    let mut spliced = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for edit in edits {
        if edit.start < at || edit.end < edit.start {
            return None;
        }
        spliced.push_str(text.get(at..edit.start)?);
        text.get(edit.start..edit.end)?;
        spliced.push_str(&edit.text);
        at = edit.end;
    }
    spliced.push_str(text.get(at..)?);
    Some(spliced)
}

/// The text of a file as its syntax tree sees it.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    text: &'s str,
    /// The bytes before what was parsed: a byte order mark.
    shift: usize,
}

impl<'s> Source<'s> {
    /// The text of a file.
    pub(super) fn new(text: &'s str) -> Self {
        let parsed = text.strip_prefix('\u{feff}').unwrap_or(text);
        Source {
            text,
            shift: text.len() - parsed.len(),
        }
    }

    /// The bytes of a span.
    pub(super) fn bytes(&self, span: Span) -> Range<usize> {
        let range = span.byte_range();
        range.start + self.shift..range.end + self.shift
    }

    /// The bytes of a piece of syntax.
    pub(super) fn range(&self, syntax: &impl Spanned) -> Range<usize> {
        self.bytes(syntax.span())
    }

    /// The text of some bytes; empty where they are none of this file.
    pub(super) fn slice(&self, range: Range<usize>) -> &'s str {
        self.text.get(range).unwrap_or_default()
    }

    /// The text of a piece of syntax, byte for byte.
    pub(super) fn of(&self, syntax: &impl Spanned) -> &'s str {
        self.slice(self.range(syntax))
    }

    /// The blanks that a byte's line begins with, where nothing else stands before the byte.
    pub(super) fn indent(&self, at: usize) -> Option<&'s str> {
        let before = self.text.get(..at)?;
        let indent = &before[before.rfind('\n').map_or(0, |newline| newline + 1)..];
        indent.trim().is_empty().then_some(indent)
    }

    /// How the file ends its lines.
    pub(super) fn newline(&self) -> &'static str {
        newline(self.text)
    }
}

/// How a text ends its lines, as its first one does.
pub(super) fn newline(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") {
        "\r\n"
    } else {
        "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_keep_every_other_byte() {
        let edits = [Edit::replace(2..3, "X"), Edit::insert(5, "é")];

        assert_eq!(splice("ab\u{63}deé", &edits).as_deref(), Some("abXdeéé"));
    }

    #[test]
    fn edits_that_do_not_fit_are_refused() {
        assert_eq!(splice("é", &[Edit::insert(1, "x")]), None);
        assert_eq!(splice("ab", &[Edit::insert(3, "x")]), None);
        let overlap = [Edit::replace(0..2, ""), Edit::insert(1, "x")];
        assert_eq!(splice("abc", &overlap), None);
    }
}
