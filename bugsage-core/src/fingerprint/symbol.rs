//! Brings a function's name into the one form that all compilers, profiles and manglings share.
//!
//! Generic arguments, hashes, disambiguators and the numbers of closures go; `<T as Trait>::m`
//! becomes `T::m`; the body of an async function is the function.

/// How deep `<T as Trait>` may nest before the rest is left out. Real symbols stay below four.
const DEPTH_MAX: usize = 6;

/// The longest name that is read; the rest of a longer one is generics of generics.
const SYMBOL_BYTES_MAX: usize = 8 << 10;

/// A function's name without what varies between builds, and the crate that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// The name.
    pub name: String,
    /// The crate whose code it is: of `<Vec<T> as shop::Total>::total` it is `shop`, though the name begins with
    /// `alloc`. Empty where the symbol does not say.
    pub home: String,
}

impl Symbol {
    /// Reads a symbol, mangled or not.
    pub fn read(symbol: &str) -> Self {
        let symbol = &symbol[..symbol.floor_char_boundary(SYMBOL_BYTES_MAX)];
        let symbol = symbol.split(".llvm.").next().unwrap_or(symbol);
        let symbol = symbol.strip_suffix(".cold").unwrap_or(symbol);
        if is_plain(symbol) {
            // Most names of most stacks: nothing but a path, and perhaps a hash.
            let name = match symbol.rsplit_once("::") {
                Some((path, last)) if is_hash(last) => path,
                _ => symbol,
            };
            return Self {
                name: name.to_owned(),
                home: first_of_path(name).unwrap_or_default().to_owned(),
            };
        }
        match rustc_demangle::try_demangle(symbol) {
            // Names made by an attacker may demangle to megabytes; the writer stops at the limit.
            Ok(demangled) => {
                let mut text = Bounded(String::new());
                let _ = std::fmt::write(&mut text, format_args!("{demangled:#}"));
                Self::of_text(&text.0)
            }
            Err(_) => Self::of_text(symbol),
        }
    }

    fn of_text(text: &str) -> Self {
        Self {
            name: path(text, 0),
            home: home(text, 0).unwrap_or_default().to_owned(),
        }
    }
}

/// A function's name without what varies between builds.
pub fn normalize(symbol: &str) -> String {
    Symbol::read(symbol).name
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
    let mut parts = split_top(inner, " as ");
    let own = parts.next().map(bare_type);
    let own = own.and_then(|own| home(own, depth + 1));
    let of_trait = parts.next().and_then(first_of_path);
    // What std has of one's own trait is one's own, and so is what one has of a trait of std's.
    own.filter(|own| !is_std(own)).or(of_trait).or(own)
}

/// The first of several names, which is a crate's: types of the language and parameters stand alone.
fn first_of_path(path: &str) -> Option<&str> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let (first, mut rest) = path.split_at(end);
    if rest.starts_with('[') && is_disambiguator(rest) {
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

/// Whether a name is a path of identifiers already: not mangled, without generics and closures.
fn is_plain(symbol: &str) -> bool {
    let is_mangled = ["_ZN", "ZN", "__ZN", "_R", "R", "__R"]
        .iter()
        .any(|p| symbol.starts_with(p));
    let is_path = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':' || b >= 0x80;
    !is_mangled
        && !symbol.starts_with(':')
        && symbol.bytes().all(is_path)
        && !symbol.contains(":::")
}

/// The last segment that is a name and not a closure, and whether a closure follows it.
pub fn last_segment(normalized: &str) -> Option<&str> {
    normalized
        .rsplit("::")
        .find(|segment| !segment.is_empty() && *segment != CLOSURE)
}

/// What stands for a closure or an async block in a normalized name.
pub const CLOSURE: &str = "{closure}";

/// Whether a symbol, as it came, is that of a closure, an async block or an async function's body.
/// With `debug = "line-tables-only"` that is all that an inlined one has of its name.
pub fn is_closure(symbol: &str) -> bool {
    let symbol = &symbol[..symbol.floor_char_boundary(SYMBOL_BYTES_MAX)];
    let symbol = strip_generics(symbol);
    let mut segments = symbol.rsplit("::").filter(|s| !s.is_empty() && !is_hash(s));
    let last = segments.next().unwrap_or("").trim_start_matches('{');
    ["closure", "async_"]
        .iter()
        .any(|kind| last.starts_with(kind))
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

fn path(text: &str, depth: usize) -> String {
    let mut segments: Vec<String> = Vec::new();
    for raw in split_top(text, "::") {
        let raw = raw.trim();
        if let Some(inner) = raw.strip_prefix('<') {
            // A qualified type, or the generic arguments of a turbofish, which are dropped.
            let inner = inner.strip_suffix('>').unwrap_or(inner);
            match self_type(inner) {
                Some(self_type) => {
                    // `a::b::<impl T for U>::m` is `U::m` wherever the impl stands.
                    segments.clear();
                    if depth < DEPTH_MAX {
                        segments.push(path(bare_type(self_type), depth + 1));
                    }
                }
                None if segments.is_empty() && depth < DEPTH_MAX => {
                    segments.push(path(bare_type(inner), depth + 1));
                }
                None => {}
            }
            continue;
        }
        let name = strip_generics(raw);
        let name = name.trim();
        if let Some(braced) = name.strip_prefix('{') {
            match braced.trim_start_matches('{') {
                b if b.starts_with("async_fn")
                    || b.starts_with("impl#")
                    || b.starts_with("shim") => {}
                _ if segments.last().is_some_and(|last| last == CLOSURE) => {}
                _ => segments.push(CLOSURE.to_owned()),
            }
        } else if !name.is_empty() && !is_hash(name) {
            segments.push(name.to_owned());
        }
    }
    segments.join("::")
}

/// `T` of `T as Trait` and of `impl Trait for T`; `impl T` is `T`.
fn self_type(inner: &str) -> Option<&str> {
    if let Some(rest) = inner.strip_prefix("impl ") {
        let mut parts = split_top(rest, " for ");
        let first = parts.next().unwrap_or(rest);
        return Some(parts.next().unwrap_or(first));
    }
    let mut parts = split_top(inner, " as ");
    let first = parts.next()?;
    parts.next().map(|_| first)
}

fn bare_type(mut name: &str) -> &str {
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
fn strip_generics(segment: &str) -> String {
    let mut name = String::with_capacity(segment.len());
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (at, c) in segment.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if previous != '-' => depth = depth.saturating_sub(1),
            '[' if depth == 0 && is_disambiguator(&segment[at..]) => depth += 1,
            ']' if depth > 0
                && segment[..at]
                    .rfind('[')
                    .is_some_and(|open| is_disambiguator(&segment[open..])) =>
            {
                depth -= 1
            }
            _ if depth == 0 => name.push(c),
            _ => {}
        }
        previous = c;
    }
    name
}

fn is_disambiguator(text: &str) -> bool {
    let Some((hex, _)) = text[1..].split_once(']') else {
        return false;
    };
    (1..=16).contains(&hex.len()) && hex.len() >= 8 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The hash at the end of a legacy symbol: `h` and sixteen hex digits.
fn is_hash(segment: &str) -> bool {
    let Some(hex) = segment.strip_prefix('h') else {
        return false;
    };
    hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Splits at a separator that stands outside all brackets.
fn split_top<'a>(text: &'a str, separator: &'static str) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let mut depth = 0_usize;
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'<' | b'(' | b'[' | b'{' => depth += 1,
                b'>' if at > 0 && bytes[at - 1] == b'-' => {}
                b'>' | b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                _ if depth == 0 && bytes[at..].starts_with(separator.as_bytes()) => {
                    rest = Some(&text[at + separator.len()..]);
                    return Some(&text[..at]);
                }
                _ => {}
            }
            at += 1;
        }
        rest = None;
        Some(text)
    })
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
        ] {
            assert!(is_closure(symbol), "{symbol}");
        }
        for symbol in [
            "shop::run",
            "run<shop::{closure_env#0}>",
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
            prop_assert!(symbol.contains(&once.home));
        }
    }
}
