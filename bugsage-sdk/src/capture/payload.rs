//! What a panic was raised with, in words: text as it is, other values by their type.
//!
//! No code of the app runs here: the `Display` of a type of its own might panic, lock or never end,
//! and the record is not written yet.

use std::any::{Any, TypeId, type_name};
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::OnceLock;

/// What std's hook prints of a payload that is no text.
const NO_TEXT: &str = "Box<dyn Any>";

/// Types that an app may name; a panic looks through all of them.
const NAMED_MAX: usize = 32;

/// The types that the app has named, the first ones first.
static NAMED: [OnceLock<(TypeId, &'static str)>; NAMED_MAX] =
    [const { OnceLock::new() }; NAMED_MAX];

/// Notes the name of a type that panics may be raised with. More than [`NAMED_MAX`] stay unnamed.
pub(crate) fn name<T: 'static>() {
    let own = (TypeId::of::<T>(), type_name::<T>());
    for place in &NAMED {
        if place.get_or_init(|| own).0 == own.0 {
            return;
        }
    }
}

/// Room for a type's name and a number. Longer names are cut.
pub(crate) struct Words {
    bytes: [u8; 256],
    length: usize,
}

impl Words {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; 256],
            length: 0,
        }
    }
}

impl Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(self.bytes.len() - self.length);
        self.bytes[self.length..][..end].copy_from_slice(&text.as_bytes()[..end]);
        self.length += end;
        Ok(())
    }
}

/// The payload's text, or what is known about it, written into `words`.
pub(crate) fn describe<'a>(payload: &'a (dyn Any + Send), words: &'a mut Words) -> &'a str {
    if let Some(text) = text(payload) {
        return text;
    }
    // Writing to memory does not fail.
    let _ = match named(payload) {
        Some(name) => write!(words, "{NO_TEXT}: {name}"),
        None => value(payload, words),
    };
    std::str::from_utf8(&words.bytes[..words.length]).unwrap_or(NO_TEXT)
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let texts: [Option<&str>; 4] = [
        payload.downcast_ref::<&'static str>().copied(),
        payload.downcast_ref::<String>().map(|text| &**text),
        payload.downcast_ref::<Box<str>>().map(|text| &**text),
        payload
            .downcast_ref::<Cow<'static, str>>()
            .map(|text| &**text),
    ];
    texts.into_iter().flatten().next()
}

fn named(payload: &(dyn Any + Send)) -> Option<&'static str> {
    let named = NAMED.iter().map_while(OnceLock::get);
    let own = named.filter(|(id, _)| *id == payload.type_id());
    own.map(|(_, name)| *name).next()
}

/// Values of std that cost nothing to print, and types of std that panics are raised with.
fn value(payload: &(dyn Any + Send), words: &mut Words) -> fmt::Result {
    macro_rules! values {
        ($($type:ty)*) => {
            $(if let Some(value) = payload.downcast_ref::<$type>() {
                return write!(words, "{NO_TEXT}: {value} ({})", type_name::<$type>());
            })*
        };
    }
    macro_rules! types {
        ($($type:ty)*) => {
            $(if payload.is::<$type>() {
                return write!(words, "{NO_TEXT}: {}", type_name::<$type>());
            })*
        };
    }
    values!(i32 u32 i64 u64 usize isize i8 u8 i16 u16 i128 u128 f32 f64 bool char);
    types!(
        () std::io::Error fmt::Error
        Box<dyn std::error::Error + Send + Sync> Box<dyn std::error::Error + Send>
        Box<dyn Any + Send>
    );
    words.write_str(NO_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bugsage_core::panic_class::{PanicClass, classify};

    struct Failure;
    struct Unnamed;

    fn said(payload: &(dyn Any + Send)) -> String {
        describe(payload, &mut Words::new()).to_owned()
    }

    #[test]
    fn a_payload_is_told_by_its_text_its_value_or_its_type() {
        name::<Failure>();
        name::<Failure>();
        let error: Box<dyn std::error::Error + Send + Sync> = "broken".into();

        assert_eq!(said(&"a text"), "a text");
        assert_eq!(said(&String::from("a text")), "a text");
        assert_eq!(said(&Cow::Borrowed("a text")), "a text");
        assert_eq!(said(&-17_i32), "Box<dyn Any>: -17 (i32)");
        assert_eq!(
            said(&error),
            "Box<dyn Any>: alloc::boxed::Box<dyn core::error::Error + core::marker::Send + core::marker::Sync>"
        );
        assert!(said(&Failure).ends_with("payload::tests::Failure"));
        assert_eq!(said(&Unnamed), NO_TEXT);
    }

    #[test]
    fn whatever_is_known_about_it_the_class_is_the_same() {
        let classes = [said(&17_i32), said(&()), said(&Unnamed)];
        let classes = classes.map(|message| classify(&message).class);

        assert!(classes.iter().all(|class| *class == PanicClass::NonString));
    }
}
