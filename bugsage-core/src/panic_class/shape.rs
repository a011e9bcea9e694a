//! Fits a message to the words that it should have, from its first byte to its last.

use super::messages::FIXED;
use super::{Classified, PanicClass};

/// Messages that are always the same, and the operation that they name.
pub(super) fn fixed(message: &str) -> Option<Classified<'_>> {
    let &(_, class, operation) = FIXED.iter().find(|(text, ..)| *text == message)?;
    let classified = Classified::new(class);
    Some(if operation.is_empty() {
        classified
    } else {
        classified.with("operation", operation)
    })
}

/// Matches a whole message against a shape: literal text with `{name}` for a number, `{name:real}`
/// for a number with a fraction, `{name:char}` for a quoted character and `{name:text}` for all that
/// is left.
pub(super) fn fit<'a>(
    message: &'a str,
    shape: &'static str,
    class: PanicClass,
) -> Option<Classified<'a>> {
    // Most shapes begin otherwise, and there are many.
    let begin = shape.as_bytes().first();
    if begin != message.as_bytes().first() && begin != Some(&b'{') {
        return None;
    }
    let mut classified = Classified::new(class);
    let (mut message, mut shape) = (message, shape);
    while let Some((literal, rest)) = shape.split_once('{') {
        let (hole, after) = rest.split_once('}')?;
        let (name, kind) = hole.split_once(':').unwrap_or((hole, "number"));
        message = message.strip_prefix(literal)?;
        let length = hole_length(message, kind)?;
        classified = classified.with(name, &message[..length]);
        (message, shape) = (&message[length..], after);
    }
    (message == shape).then_some(classified)
}

/// How many bytes of `text` a hole of that kind takes, if it fits.
fn hole_length(text: &str, kind: &str) -> Option<usize> {
    let run = |fits: fn(char) -> bool| text.find(|c| !fits(c)).unwrap_or(text.len());
    let length = match kind {
        "text" => text.len(),
        "char" => quoted_char(text)?,
        "real" if text.starts_with("NaN") => 3,
        "real" => run(|c| matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'i' | 'n' | 'f')),
        "hex" => run(|c| matches!(c, '0'..='9' | 'a'..='f' | 'x')),
        _ => run(|c| c.is_ascii_digit()),
    };
    (length > 0).then_some(length)
}

/// The length of a character as `{:?}` prints it: `'é'`, `'\''`, `'\u{301}'`.
fn quoted_char(text: &str) -> Option<usize> {
    const LONGEST: usize = "'\\u{10ffff}'".len();
    let mut inside = text.strip_prefix('\'')?.char_indices();
    let (_, first) = inside.next()?;
    if first == '\\' {
        inside.next()?;
    }
    let (end, _) = inside
        .take_while(|(at, _)| *at < LONGEST)
        .find(|(_, c)| *c == '\'')?;
    Some(end + 2)
}

/// `assert_eq!` and its like, old and new. Both sides and the note may have many lines.
pub(super) fn comparison(message: &str) -> Option<Classified<'_>> {
    const NEW: &str = "assertion `left ";
    const OLD: &str = "assertion failed: `(left ";
    let (operator, rest, old) = if let Some(rest) = message.strip_prefix(NEW) {
        let (operator, rest) = rest.split_once(" right` failed")?;
        (operator, rest, false)
    } else {
        let (operator, rest) = message.strip_prefix(OLD)?.split_once(" right)`")?;
        (operator, rest, true)
    };
    if !matches!(operator, "==" | "!=" | "matches") {
        return None;
    }
    let (before, sides) = rest.split_once("\n  left: ")?;
    let (left, right) = sides.split_once("\n right: ")?;
    let assertion = Classified::new(PanicClass::Assertion).with("operator", operator);
    let (left, right, note) = if old {
        let left = left.strip_prefix('`')?.strip_suffix("`,")?;
        let right = right.strip_prefix('`')?;
        match right.split_once("`: ") {
            Some((right, note)) => (left, right, Some(note)),
            None => (left, right.strip_suffix('`')?, None),
        }
    } else if before.is_empty() {
        (left, right, None)
    } else {
        (left, right, Some(before.strip_prefix(": ")?))
    };
    let assertion = assertion.with("left", left).with("right", right);
    Some(match note {
        Some(note) => assertion.with("note", note),
        None => assertion,
    })
}

/// `unwrap` on the wrong variant. The error's `Debug` text tells channels, joins and poison apart,
/// where it cannot be mistaken: `Empty` or `Timeout` may be anybody's error.
pub(super) fn failed_unwrap(message: &str) -> Option<Classified<'_>> {
    if let Some(ok) = message.strip_prefix("called `Result::unwrap_err()` on an `Ok` value: ") {
        return Some(Classified::new(PanicClass::UnwrapOk).with("ok", ok));
    }
    let err = message.strip_prefix("called `Result::unwrap()` on an `Err` value: ")?;
    let bare = err.trim_matches('"');
    let class = match bare {
        "PoisonError { .. }" | "PoisonError { inner: .. }" => PanicClass::Poison,
        "Any { .. }" | "Any" => PanicClass::Join,
        _ if bare.starts_with("JoinError::") => PanicClass::Join,
        "SendError { .. }" | "SendError(..)" | "RecvError" | "RecvError(())" => PanicClass::Channel,
        _ if bare.starts_with("TrySendError::") => PanicClass::Channel,
        _ => PanicClass::UnwrapErr,
    };
    let mut classified = Classified::new(class).with("err", err);
    if let Some((name, rest)) = leading_name(err) {
        classified = classified.with("err_type", name);
        if let Some(kind) = err_kind(rest) {
            classified = classified.with("err_kind", kind);
        }
    }
    Some(classified)
}

/// The type or variant that a derived `Debug` text begins with, and what follows it.
fn leading_name(debug: &str) -> Option<(&str, &str)> {
    let end = debug
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(debug.len());
    let (name, rest) = debug.split_at(end);
    let named = name.starts_with(char::is_uppercase)
        && (rest.is_empty() || rest.starts_with(" {") || rest.starts_with('('));
    named.then_some((name, rest))
}

/// The `kind` field that the standard library's errors have.
fn err_kind(fields: &str) -> Option<&str> {
    let fields = fields.strip_prefix(" { ")?;
    let fields = match fields.strip_prefix("code: ") {
        Some(code) => {
            code.trim_start_matches(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        }
        None => fields,
    };
    let kind = fields
        .strip_prefix(", ")
        .unwrap_or(fields)
        .strip_prefix("kind: ")?;
    let end = kind
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(kind.len());
    (end > 0).then(|| &kind[..end])
}

/// What the runtime prints before it ends a process whose stack ran out.
pub(super) fn overflowed_stack(message: &str) -> Option<Classified<'_>> {
    let (line, _) = message.split_once('\n').unwrap_or((message, ""));
    let thread = line
        .strip_prefix("thread '")?
        .strip_suffix(" has overflowed its stack")?;
    let (name, id) = thread.rsplit_once('\'')?;
    let numbered = id.strip_prefix(" (").and_then(|id| id.strip_suffix(')'));
    let whole = match numbered {
        Some(id) => !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()),
        None => id.is_empty(),
    };
    whole.then(|| Classified::new(PanicClass::StackOverflow).with("thread", name))
}
