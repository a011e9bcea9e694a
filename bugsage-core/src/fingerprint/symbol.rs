//! Brings a function's name into the one form that all compilers, profiles and manglings share.
//!
//! Generic arguments, hashes, disambiguators and the numbers of closures go; `<T as Trait>::m`
//! becomes `T::m`; the body of an async function is the function.

use std::borrow::Cow;
use std::ops::Range;

/// How deep `<T as Trait>` may nest before the rest is left out. Real symbols stay below four.
const DEPTH_MAX: usize = 6;

/// The longest name that is read; the rest of a longer one is generics of generics.
const SYMBOL_BYTES_MAX: usize = 8 << 10;

/// A function's name without what varies between builds, and the crate that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// The crate whose code it is: of `<Vec<T> as shop::Total>::total` it is `shop`, though the name begins with
    /// `alloc`. Empty where the symbol does not say.
    pub home: Cow<'a, str>,
}

impl<'a> Symbol<'a> {
    /// Reads a symbol, mangled or not. Costs a few passes over it.
    pub fn read(symbol: &'a str) -> Self {
        let symbol = &symbol[..symbol.floor_char_boundary(SYMBOL_BYTES_MAX)];
        let is_mangled = is_mangled(symbol);
        let plain = plain_length(symbol);
        // A dot is no part of a plain path, and may begin what the linker has added.
        let (symbol, plain) = if is_mangled || symbol[plain..].contains('.') {
            let symbol = symbol.split(".llvm.").next().unwrap_or(symbol);
            let symbol = symbol.strip_suffix(".cold").unwrap_or(symbol);
            (symbol, plain_length(symbol))
        } else {
            (symbol, plain)
        };
        if !is_mangled && plain == symbol.len() && is_plain(symbol) {
            // Most names of most stacks: nothing but a path, and perhaps a hash.
            let name = without_hash(symbol);
            return Self {
                name: name.into(),
                home: first_of_path(name).unwrap_or_default().into(),
            };
        }
        if is_mangled && let Ok(demangled) = rustc_demangle::try_demangle(symbol) {
            // Names made by an attacker may demangle to megabytes; the writer stops at the limit.
            let mut text = Bounded(String::new());
            let _ = std::fmt::write(&mut text, format_args!("{demangled:#}"));
            return Self {
                name: path(&text.0).into(),
                home: home(&text.0, 0).unwrap_or_default().to_owned().into(),
            };
        }
        Self {
            name: path(symbol).into(),
            home: home(symbol, 0).unwrap_or_default().into(),
        }
    }
}

/// A function's name without what varies between builds.
pub fn normalize(symbol: &str) -> String {
    Symbol::read(symbol).name.into_owned()
}

/// The crate that code stands in, without its disambiguator.
fn home(text: &str, depth: usize) -> Option<&str> {
    if depth == DEPTH_MAX {
        return None;
    }
    let Some(inner) = text.strip_prefix('<') else {
        // An impl stands where its path says, whatever it is for.
        return first_of_path(text);
    };
    let (own, of_trait) = split_top(inner, " as ");
    let own = home(bare_type(own), depth + 1);
    // What std has of one's own trait is one's own, and so is what one has of a trait of std's.
    let of_trait = || first_of_path(split_top(of_trait?, " as ").0);
    own.filter(|own| !is_std(own)).or_else(of_trait).or(own)
}

/// The first of several names, which is a crate's: types of the language and parameters stand alone.
fn first_of_path(path: &str) -> Option<&str> {
    let word = word_length(path);
    let end = if path.as_bytes().get(word)?.is_ascii() {
        word
    } else {
        path.find(|c: char| !c.is_alphanumeric() && c != '_')?
    };
    let (first, mut rest) = path.split_at(end);
    if is_disambiguator(rest.as_bytes()) {
        rest = rest.split_once(']')?.1;
    }
    (!first.is_empty() && rest.starts_with("::")).then_some(first)
}

/// Whether a crate comes with the compiler.
pub fn is_std(krate: &str) -> bool {
    matches!(
        krate,
        "std" | "core" | "alloc" | "proc_macro" | "test" | "compiler_builtins" | "std_detect"
    )
}

/// Whether a symbol has the beginning of a mangled one.
fn is_mangled(symbol: &str) -> bool {
    // Most names begin with the small letter of a crate.
    matches!(symbol.as_bytes().first(), Some(b'_' | b'Z' | b'R'))
        && ["_ZN", "ZN", "__ZN", "_R", "R", "__R"]
            .iter()
            .any(|p| symbol.starts_with(p))
}

/// How much of a symbol has nothing but identifiers and colons.
fn plain_length(symbol: &str) -> usize {
    let is_path = |byte: &u8| is_word(*byte) || matches!(byte, b':' | 0x80..);
    let other = symbol.as_bytes().iter().position(|byte| !is_path(byte));
    other.unwrap_or(symbol.len())
}

/// Whether a name of identifiers and colons is a path already.
fn is_plain(name: &str) -> bool {
    !name.starts_with(':') && !name.as_bytes().windows(3).any(|three| three == b":::")
}

/// Whether a byte is of an identifier in ASCII.
fn is_word(byte: u8) -> bool {
    KINDS[usize::from(byte)] & WORD != 0
}

/// Whether a bracket or a separator may be here.
fn is_mark(byte: u8) -> bool {
    KINDS[usize::from(byte)] & MARK != 0
}

const WORD: u8 = 1;
const MARK: u8 = 2;

/// What bytes are, in one table: they are asked for each byte of each name.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => WORD,
            b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b':' | b' ' => MARK,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

/// A plain name without the hash of a legacy symbol at its end.
fn without_hash(name: &str) -> &str {
    match name.len().checked_sub("::h0123456789abcdef".len()) {
        Some(end) if name.as_bytes()[end..].starts_with(b"::h") && is_hash(&name[end + 2..]) => {
            &name[..end]
        }
        _ => name,
    }
}

/// The last segment that is a name and not a closure.
pub fn last_segment(normalized: &str) -> Option<&str> {
    last_segment_at(normalized).map(|at| &normalized[at])
}

/// Where the last segment is that is a name and not a closure.
pub(super) fn last_segment_at(normalized: &str) -> Option<Range<usize>> {
    segments_from_end(normalized).find(|at| {
        let segment = &normalized[at.clone()];
        !segment.is_empty() && segment != CLOSURE
    })
}

/// Where the segments between `::` are, the last first.
fn segments_from_end(path: &str) -> impl Iterator<Item = Range<usize>> {
    let mut end = Some(path.len());
    std::iter::from_fn(move || {
        let segment_end = end?;
        let mut pairs = path.as_bytes()[..segment_end].windows(2);
        end = pairs.rposition(|pair| pair == b"::");
        Some(end.map_or(0, |at| at + 2)..segment_end)
    })
}

/// What stands for a closure or an async block in a normalized name.
pub const CLOSURE: &str = "{closure}";

/// Whether a symbol, as it came, is that of a closure, an async block or an async function's body.
/// With `debug = "line-tables-only"` that is all that an inlined one has of its name.
pub fn is_closure(symbol: &str) -> bool {
    let symbol = &symbol[..symbol.floor_char_boundary(SYMBOL_BYTES_MAX)];
    // As most of them end.
    if symbol.ends_with("{{closure}}") {
        return true;
    }
    let symbol = strip_generics(symbol);
    let mut segments = segments_from_end(&symbol).map(|at| &symbol[at]);
    let last = segments.find(|s| !s.is_empty() && !is_hash(s));
    let last = last.unwrap_or("");
    match kind_of_made(last) {
        Some(kind) => ["closure", "async_", "generator", "coroutine"]
            .iter()
            .any(|closure| kind.starts_with(closure)),
        None => false,
    }
}

/// What the compiler has made and named itself.
#[derive(PartialEq)]
enum Made {
    /// A closure, or an async block.
    Closure,
    /// What stands for the function or type around it.
    Transparent,
}

impl Made {
    fn read(name: &str) -> Option<Self> {
        let kind = kind_of_made(name)?;
        let is_transparent = ["async_fn", "impl", "shim"]
            .iter()
            .any(|transparent| kind.starts_with(transparent));
        Some(match is_transparent {
            true => Made::Transparent,
            false => Made::Closure,
        })
    }
}

/// The kind of what the compiler has named, as in `{closure#0}`, `{{closure}}`, and `closure$0` of debug information for
/// Windows.
fn kind_of_made(name: &str) -> Option<&str> {
    if name.starts_with('{') {
        return Some(name.trim_start_matches('{'));
    }
    let (kind, number) = name.split_once('$')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_kind = matches!(
        kind.strip_suffix("_env").unwrap_or(kind),
        "closure" | "async_block" | "async_fn" | "generator" | "coroutine" | "impl"
    );
    (is_number && is_kind).then_some(kind)
}

struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        if self.0.len() + s.len() > SYMBOL_BYTES_MAX {
            return Err(std::fmt::Error);
        }
        self.0.push_str(s);
        Ok(())
    }
}

fn path(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    write_path(text, 0, &mut path);
    path
}

fn write_path(text: &str, depth: usize, path: &mut String) {
    let start = path.len();
    // Where the last segment begins, if there is one.
    let mut last = None;
    let begin = |path: &mut String, last: &mut Option<usize>| {
        if last.is_some() {
            path.push_str("::");
        }
        *last = Some(path.len());
    };
    let mut rest = Some(text);
    while let Some(text) = rest {
        // Most segments are a word, perhaps with types, and need no more than to be copied.
        let word = word_length(text);
        let end = match text.as_bytes().get(word) {
            Some(b'<') if word > 0 => generics_length(&text[word..]).map(|length| word + length),
            _ => Some(word),
        };
        let behind = end.map(|end| &text[end..]);
        let behind = behind.map(|behind| (behind.strip_prefix("::"), behind.is_empty()));
        if let Some((behind @ Some(_), _) | (behind, true)) = behind {
            rest = behind;
            let word = &text[..word];
            if !word.is_empty() && !is_hash(word) {
                begin(path, &mut last);
                path.push_str(word);
            }
            continue;
        }
        if let Some((self_type, behind)) = plain_impl(text) {
            rest = behind;
            path.truncate(start);
            last = None;
            if depth < DEPTH_MAX {
                begin(path, &mut last);
                write_path(bare_type(self_type), depth + 1, path);
            }
            continue;
        }
        let (raw, behind) = match text {
            // How most closures end.
            "{{closure}}" => (text, None),
            _ => split_top(text, "::"),
        };
        rest = behind;
        let raw = trim(raw);
        if let Some(inner) = raw.strip_prefix('<') {
            // A qualified type, or the generic arguments of a turbofish, which are dropped.
            let inner = inner.strip_suffix('>').unwrap_or(inner);
            let self_type = self_type(inner);
            if self_type.is_some() {
                // `a::b::<impl T for U>::m` is `U::m` wherever the impl stands.
                path.truncate(start);
                last = None;
            }
            if last.is_none() && depth < DEPTH_MAX {
                begin(path, &mut last);
                write_path(bare_type(self_type.unwrap_or(inner)), depth + 1, path);
            }
            continue;
        }
        let name = strip_generics(raw);
        let name = trim(&name);
        if let Some(made) = Made::read(name) {
            let is_again = last.is_some_and(|last| &path[last..] == CLOSURE);
            if made == Made::Closure && !is_again {
                begin(path, &mut last);
                path.push_str(CLOSURE);
            }
        } else if !name.is_empty() && !is_hash(name) {
            begin(path, &mut last);
            path.push_str(name);
        }
    }
}

/// The type of `<impl Trait for Type>` at the beginning, where nothing is in it but paths and their types, and what
/// follows the `::` behind it.
fn plain_impl(text: &str) -> Option<(&str, Option<&str>)> {
    const FOR: &[u8] = b" for ";
    let bytes = text.as_bytes();
    let mut begin = bytes.strip_prefix(b"<impl ").map(|_| "<impl ".len())?;
    let (mut depth, mut end, mut is_for) = (1, None, false);
    for (at, byte) in bytes.iter().enumerate().skip(begin) {
        match byte {
            b'<' => depth += 1,
            b'>' if depth == 1 => {
                let behind = &text[at + 1..];
                let after = behind.strip_prefix("::");
                let is_whole = after.is_some() || behind.is_empty();
                return is_whole.then(|| (&text[begin..end.unwrap_or(at)], after));
            }
            b'>' => depth -= 1,
            b' ' if depth == 1 && at >= begin && bytes[at..].starts_with(FOR) => {
                if !is_for {
                    (begin, is_for) = (at + FOR.len(), true);
                } else if end.is_none() {
                    end = Some(at);
                }
            }
            b':' | b',' | b' ' | b'&' => {}
            byte if is_word(*byte) => {}
            _ => return None,
        }
    }
    None
}

/// How much of a text is a word.
pub(super) fn word_length(text: &str) -> usize {
    let end = text.as_bytes().iter().position(|byte| !is_word(*byte));
    end.unwrap_or(text.len())
}

/// The length of `<...>` at the beginning, where nothing is in it but paths and their types.
fn generics_length(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if depth == 1 => return Some(at + 1),
            b'>' => depth -= 1,
            b':' | b',' | b' ' | b'&' => {}
            byte if is_word(byte) => {}
            _ => return None,
        }
    }
    None
}

/// `str::trim`, which looks at what is no space for long.
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~', .., b'!'..=b'~'] => text,
        _ => text.trim(),
    }
}

/// `T` of `T as Trait` and of `impl Trait for T`; `impl T` is `T`.
fn self_type(inner: &str) -> Option<&str> {
    if let Some(rest) = inner.strip_prefix("impl ") {
        let (of_trait, self_type) = split_top(rest, " for ");
        return Some(self_type.map_or(of_trait, |rest| split_top(rest, " for ").0));
    }
    let (self_type, of_trait) = split_top(inner, " as ");
    of_trait.map(|_| self_type)
}

fn bare_type(mut name: &str) -> &str {
    let first = name.as_bytes().first();
    if first.is_some_and(|byte| is_word(*byte) && !matches!(byte, b'm' | b'd')) {
        return name;
    }
    loop {
        let before = name;
        for prefix in ["&", "mut ", "*const ", "*mut ", "dyn "] {
            name = name.strip_prefix(prefix).unwrap_or(name).trim_start();
        }
        if let Some(rest) = name.strip_prefix('\'') {
            name = rest.split_once(' ').map_or(rest, |(_, rest)| rest);
        }
        if name == before {
            return name;
        }
    }
}

/// Drops everything in angle brackets, and v0's disambiguators in square ones.
fn strip_generics(segment: &str) -> Cow<'_, str> {
    let bytes = segment.as_bytes();
    let is_mark = |byte: &u8| matches!(byte, b'<' | b'>' | b'[' | b']');
    let next_mark = |from: usize| {
        let mark = bytes[from..].iter().position(is_mark);
        mark.map(|length| from + length)
    };
    let Some(first) = next_mark(0) else {
        return segment.into();
    };
    let mut name = String::with_capacity(segment.len());
    let mut depth = 0_usize;
    // Where what is kept begins, while nothing is open.
    let mut kept = 0;
    // Whether the last square bracket was opened by a disambiguator.
    let mut is_numbered = false;
    let mut mark = Some(first);
    while let Some(at) = mark {
        mark = next_mark(at + 1);
        let before = depth;
        match bytes[at] {
            b'<' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => continue,
            b'>' => depth = depth.saturating_sub(1),
            b'[' => {
                is_numbered = is_disambiguator(&bytes[at..]);
                if depth > 0 || !is_numbered {
                    continue;
                }
                depth = 1;
            }
            _ if depth > 0 && is_numbered => depth -= 1,
            _ => continue,
        }
        if before == 0 {
            name.push_str(&segment[kept..at]);
        }
        kept = at + 1;
    }
    if depth == 0 {
        name.push_str(&segment[kept..]);
    }
    name.into()
}

/// Whether a text begins with `[` and 8 to 16 hex digits and `]`.
fn is_disambiguator(text: &[u8]) -> bool {
    let Some(hex) = text.strip_prefix(b"[") else {
        return false;
    };
    let digits = hex.iter().take(17).take_while(|it| it.is_ascii_hexdigit());
    let digits = digits.count();
    (8..=16).contains(&digits) && hex.get(digits) == Some(&b']')
}

/// The hash at the end of a legacy symbol: `h` and sixteen hex digits.
fn is_hash(segment: &str) -> bool {
    match segment.as_bytes() {
        [b'h', hex @ ..] if hex.len() == 16 => hex.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

/// What stands before a separator outside of all brackets, and what follows it. It begins with a colon or a space.
fn split_top<'a>(text: &'a str, separator: &'static str) -> (&'a str, Option<&'a str>) {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut from = 0;
    while let Some(length) = bytes[from..].iter().position(|byte| is_mark(*byte)) {
        let at = from + length;
        from = at + 1;
        match bytes[at] {
            b':' | b' ' => {
                if depth == 0
                    && let Some(behind) = bytes[at..].strip_prefix(separator.as_bytes())
                {
                    return (&text[..at], Some(&text[text.len() - behind.len()..]));
                }
            }
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            _ => depth = depth.saturating_sub(1),
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_manglings_of_a_function_have_one_name() {
        for symbol in [
            "shop::pricing::discount",
            "shop::pricing::discount::h1a2b3c4d5e6f7a8b",
            "_ZN4shop7pricing8discount17h1a2b3c4d5e6f7a8bE",
            "shop[732db11e2f5fb19e]::pricing::discount",
            "shop[732db11e2f5fb19e]::pricing::discount::<u64>",
            "shop::pricing::discount<u64, alloc::vec::Vec<u8>>",
            "shop::pricing::discount::{async_fn#0}",
            "shop::pricing::discount::async_fn$0",
            "shop::pricing::discount.llvm.123456",
        ] {
            assert_eq!(normalize(symbol), "shop::pricing::discount", "{symbol}");
        }
    }

    #[test]
    fn closures_lose_their_numbers() {
        for symbol in [
            "shop::run::{{closure}}",
            "shop::run::{closure#3}",
            "shop::run::{closure_env#0}",
            "shop::run::{async_block#0}",
            "shop::run::{{closure}}::{{closure}}::h1a2b3c4d5e6f7a8b",
            "shop::run::{closure#0}::{closure#2}::<fn() -> u8>",
            "shop::run::{generator#0}",
            "shop::run::closure$0",
            "shop::run::closure_env$1<u8>",
            "shop::run::async_block$0::closure$2",
            "shop::run::generator$0",
        ] {
            assert_eq!(normalize(symbol), "shop::run::{closure}", "{symbol}");
        }
    }

    #[test]
    fn a_method_of_a_trait_belongs_to_its_type() {
        for (symbol, name) in [
            ("<shop::Cart as shop::Total>::total", "shop::Cart::total"),
            (
                "<shop[732db11e2f5fb19e]::Cart<u8> as shop[732db11e2f5fb19e]::Total>::total",
                "shop::Cart::total",
            ),
            ("<shop::Cart>::total", "shop::Cart::total"),
            (
                "<&mut shop::Cart as core::fmt::Debug>::fmt",
                "shop::Cart::fmt",
            ),
            (
                "shop::cart::<impl shop::Total for shop::Cart>::total",
                "shop::Cart::total",
            ),
            ("alloc::slice::<impl [T]>::join", "[T]::join"),
            (
                "<alloc::vec::Vec<T,A> as core::ops::index::Index<I>>::index",
                "alloc::vec::Vec::index",
            ),
            (
                "<shop::{impl#2}::run::Thing<T> as core::ops::FnOnce<(u8,)>>::call_once",
                "shop::run::Thing::call_once",
            ),
            (
                "core::ops::function::FnOnce::call_once{{vtable.shim}}",
                "core::ops::function::FnOnce::call_once{{vtable.shim}}",
            ),
        ] {
            assert_eq!(normalize(symbol), name, "{symbol}");
        }
    }

    #[test]
    fn code_is_at_home_where_somebody_wrote_it() {
        for (symbol, home) in [
            ("shop::pricing::discount", "shop"),
            ("_ZN4shop7pricing8discount17h1a2b3c4d5e6f7a8bE", "shop"),
            ("shop[732db11e2f5fb19e]::pricing::discount", "shop"),
            ("<shop::Cart as core::fmt::Debug>::fmt", "shop"),
            ("<alloc::vec::Vec<T,A> as shop::Total>::total", "shop"),
            ("<u32 as shop::Total>::total", "shop"),
            ("<u32 as core::iter::traits::accum::Sum>::sum", "core"),
            ("<T as shop::Handler>::handle", "shop"),
            ("<&mut shop::Cart as core::fmt::Debug>::fmt", "shop"),
            ("<[shop::Cart] as core::fmt::Debug>::fmt", "core"),
            ("alloc::slice::<impl [T]>::join", "alloc"),
            ("shop::cart::<impl core::fmt::Debug for u32>::fmt", "shop"),
            (
                "core::str::traits::<impl core::ops::index::Index<I> for str>::index",
                "core",
            ),
            (
                "<<shop::Cart as shop::Total>::Sum as core::fmt::Debug>::fmt",
                "shop",
            ),
            ("main", ""),
            ("", ""),
            ("<", ""),
        ] {
            assert_eq!(Symbol::read(symbol).home, home, "{symbol}");
        }
    }

    #[test]
    fn closures_are_known_with_and_without_a_name() {
        for symbol in [
            "shop::run::{{closure}}",
            "shop::run::{{closure}}::h1a2b3c4d5e6f7a8b",
            "{closure#3}",
            "{closure_env#0}<u8>",
            "{async_fn#0}",
            "shop::run::{async_block#0}::<core::option::Option<u8>>",
            "shop::run::{generator#0}",
            "shop::run::closure$0",
            "async_fn$0",
        ] {
            assert!(is_closure(symbol), "{symbol}");
        }
        for symbol in [
            "shop::run",
            "run<shop::{closure_env#0}>",
            "shop::async_main",
            "shop::closures",
            "shop::impl$0",
            "<shop::{impl#2} as shop::Total>::total",
        ] {
            assert!(!is_closure(symbol), "{symbol}");
        }
    }

    #[test]
    fn the_last_segment_is_a_name() {
        assert_eq!(last_segment("shop::run::{closure}"), Some("run"));
        assert_eq!(last_segment("{closure}"), None);
    }

    proptest! {
        #[test]
        fn any_text_has_a_name_and_the_name_of_a_name_is_itself(symbol in "[<>a-z:&{}#0-9 \\[\\]()-]{0,80}") {
            let once = Symbol::read(&symbol);
            prop_assert!(once.name.len() <= symbol.len() + 64);
            prop_assert!(symbol.contains(&*once.home));
        }
    }
}
