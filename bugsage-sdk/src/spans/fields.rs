//! The fields of a span as bytes: written where the span is made, read where it is told.
//!
//! A field is its number in the span's metadata, the type of its value, and the value; text has its
//! length before it. Numbers stay numbers until somebody wants to see them.

use std::error::Error;
use std::fmt::{self, Write};

use bugsage_core::limits;
use tracing::field::{Field, Visit};

use crate::capture::error::contained;

/// One value. What is longer was an accident, and all that is told of a span has to fit a page.
pub(crate) const VALUE_BYTES_MAX: usize = 1 << 10;

/// All fields of a span.
pub(crate) const FIELDS_BYTES_MAX: usize = 4 << 10;

const UNSIGNED: u8 = 0;
const SIGNED: u8 = 1;
const FLOAT: u8 = 2;
const BOOL: u8 = 3;
const TEXT: u8 = 4;

/// A value as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(value) => value.fmt(f),
            Value::Signed(value) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Bool(value) => value.fmt(f),
            Value::Text(value) => f.write_str(value),
        }
    }
}

/// Writes fields behind each other. Those that are too much are left out.
pub(crate) struct Recorder<'a> {
    pub(crate) bytes: &'a mut Vec<u8>,
}

impl Recorder<'_> {
    fn fixed<const N: usize>(&mut self, field: &Field, kind: u8, value: [u8; N]) {
        if self.bytes.len() + 2 + N <= FIELDS_BYTES_MAX {
            self.bytes.extend_from_slice(&[number(field), kind]);
            self.bytes.extend_from_slice(&value);
        }
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let begin = self.bytes.len();
        if begin + 4 + limits::CUT.len() > FIELDS_BYTES_MAX {
            return;
        }
        self.bytes.extend_from_slice(&[number(field), TEXT, 0, 0]);
        write_bounded(self.bytes, VALUE_BYTES_MAX, value);
        let length = (self.bytes.len() - begin - 4) as u16;
        self.bytes[begin + 2..begin + 4].copy_from_slice(&length.to_le_bytes());
        if self.bytes.len() > FIELDS_BYTES_MAX {
            self.bytes.truncate(begin);
        }
    }
}

/// A span has at most 32 fields.
fn number(field: &Field) -> u8 {
    field.index() as u8
}

/// Appends at most `bytes_max` bytes of text.
pub(crate) fn write_text(bytes: &mut Vec<u8>, bytes_max: usize, text: &str) {
    let room = bytes_max.saturating_sub(limits::CUT.len());
    if text.len() <= room {
        return bytes.extend_from_slice(text.as_bytes());
    }
    let fitting = &text[..text.floor_char_boundary(room)];
    bytes.extend_from_slice(fitting.as_bytes());
    bytes.extend_from_slice(limits::CUT.as_bytes());
}

/// Appends at most `bytes_max` bytes of text that is formatted now. A `Display` or `Debug` of the app that panics
/// is contained.
pub(crate) fn write_bounded(bytes: &mut Vec<u8>, bytes_max: usize, text: fmt::Arguments<'_>) {
    struct Bounded<'a> {
        bytes: &'a mut Vec<u8>,
        end: usize,
    }
    impl Write for Bounded<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = self.end - self.bytes.len();
            if text.len() <= room {
                self.bytes.extend_from_slice(text.as_bytes());
                return Ok(());
            }
            let fitting = &text[..text.floor_char_boundary(room)];
            self.bytes.extend_from_slice(fitting.as_bytes());
            // Ends the formatting: what follows would be thrown away.
            Err(fmt::Error)
        }
    }
    if let Some(text) = text.as_str() {
        return write_text(bytes, bytes_max, text);
    }
    let end = bytes.len() + bytes_max.saturating_sub(limits::CUT.len());
    let mut bounded = Bounded { bytes, end };
    match contained(|| bounded.write_fmt(text).is_ok()) {
        Some(true) => {}
        Some(false) => bytes.extend_from_slice(limits::CUT.as_bytes()),
        None => bytes.extend_from_slice(b"<panicked>"),
    }
}

/// The digits of a number, in a part of the price of `Display`.
pub(crate) fn digits(mut number: u64, room: &mut [u8; 20]) -> &str {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    // All of them are ASCII.
    std::str::from_utf8(&room[at..]).unwrap_or_default()
}

impl Visit for Recorder<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fixed(field, UNSIGNED, value.to_le_bytes());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fixed(field, SIGNED, value.to_le_bytes());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fixed(field, FLOAT, value.to_le_bytes());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fixed(field, BOOL, [value.into()]);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let begin = self.bytes.len();
        if value.len() > VALUE_BYTES_MAX {
            self.text(field, format_args!("{value}"));
        } else if begin + 4 + value.len() <= FIELDS_BYTES_MAX {
            let [low, high] = (value.len() as u16).to_le_bytes();
            self.bytes
                .extend_from_slice(&[number(field), TEXT, low, high]);
            self.bytes.extend_from_slice(value.as_bytes());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// Reads fields one after the other. Ends where the bytes are no fields.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// As many whole fields from the first on as have so many bytes at most.
    pub(crate) fn prefix(bytes: &[u8], bytes_max: usize) -> &[u8] {
        let mut fields = Fields::new(bytes);
        let mut end = 0;
        while fields.next().is_some() && bytes.len() - fields.rest.len() <= bytes_max {
            end = bytes.len() - fields.rest.len();
        }
        &bytes[..end]
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    /// The field's number in the metadata, and its value.
    type Item = (u8, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let [number, kind] = self.take()?;
        let value = match kind {
            UNSIGNED => Value::Unsigned(u64::from_le_bytes(self.take()?)),
            SIGNED => Value::Signed(i64::from_le_bytes(self.take()?)),
            FLOAT => Value::Float(f64::from_le_bytes(self.take()?)),
            BOOL => Value::Bool(self.take::<1>()? == [1]),
            TEXT => {
                let length = u16::from_le_bytes(self.take()?);
                let (text, rest) = self.rest.split_at_checked(length.into())?;
                self.rest = rest;
                Value::Text(std::str::from_utf8(text).ok()?)
            }
            _ => return None,
        };
        Some((number, value))
    }
}

/// Puts `newer` behind what is there, without the older values of its fields.
pub(crate) fn merge(known: &[u8], newer: &[u8], bytes: &mut Vec<u8>) {
    let is_newer = |number| Fields::new(newer).any(|(other, _)| other == number);
    let mut fields = Fields::new(known);
    loop {
        let before = fields.rest;
        let Some((number, _)) = fields.next() else {
            break;
        };
        if !is_newer(number) {
            bytes.extend_from_slice(&before[..before.len() - fields.rest.len()]);
        }
    }
    if bytes.len() + newer.len() <= FIELDS_BYTES_MAX {
        bytes.extend_from_slice(newer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(number: u8, value: &str) -> Vec<u8> {
        let mut bytes = vec![number, TEXT];
        bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
        bytes.extend_from_slice(value.as_bytes());
        bytes
    }

    #[test]
    fn a_newer_value_takes_the_place_of_the_older() {
        let known = [text(0, "a"), text(1, "b"), text(2, "c")].concat();
        let newer = [text(1, "new"), text(3, "d")].concat();

        let mut merged = Vec::new();
        merge(&known, &newer, &mut merged);

        let merged: Vec<String> = Fields::new(&merged)
            .map(|(number, value)| format!("{number}={value}"))
            .collect();
        assert_eq!(merged, ["0=a", "2=c", "1=new", "3=d"]);
    }

    #[test]
    fn a_text_that_is_too_long_says_that_it_was_cut_and_one_that_panics_that_it_did() {
        struct Panics;
        impl fmt::Display for Panics {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("on purpose")
            }
        }
        let mut bytes = Vec::new();
        write_bounded(&mut bytes, 8, format_args!("{}", "éééé€"));
        assert_eq!(String::from_utf8(bytes).as_deref(), Ok("éé…"));

        let mut bytes = Vec::new();
        write_bounded(&mut bytes, 80, format_args!("{Panics}"));
        assert_eq!(String::from_utf8(bytes).as_deref(), Ok("<panicked>"));
    }

    #[test]
    fn the_least_and_the_greatest_number_have_their_digits() {
        for number in [0, 9, 10, u64::MAX] {
            assert_eq!(digits(number, &mut [0; 20]), number.to_string());
        }
    }

    proptest! {
        #[test]
        fn digits_are_those_of_display(number: u64, places in 0_u32..64) {
            let number = number >> places;
            let mut room = [0; 20];
            prop_assert_eq!(digits(number, &mut room), number.to_string());
        }

        #[test]
        fn text_is_cut_the_same_way_whether_it_is_formatted_or_not(
            text in "\\PC{0,60}",
            bytes_max in 8_usize..80,
        ) {
            let (mut written, mut formatted) = (b"before ".to_vec(), b"before ".to_vec());
            write_text(&mut written, bytes_max, &text);
            write_bounded(&mut formatted, bytes_max, format_args!("{text}"));
            prop_assert_eq!(&written, &formatted);
            prop_assert!(written.len() <= "before ".len() + bytes_max);
        }

        #[test]
        fn any_bytes_are_fields_up_to_where_they_are_none(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let fields = Fields::new(&bytes).count();
            prop_assert!(fields <= bytes.len() / 3);
            let mut merged = Vec::new();
            merge(&bytes, &bytes, &mut merged);
            prop_assert!(merged.len() <= FIELDS_BYTES_MAX);
        }
    }
}
