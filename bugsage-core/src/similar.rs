//! Says how much two events look alike, for issues that may be one bug though no fingerprint says so.
//!
//! A [`Portrait`] is a small vector and the features that it is mostly made of. It is a pure function of an event:
//! no model, no download, the same on every machine. What it is made of, in groups:
//!
//! - the class of the event,
//! - the words of its message, without the values in it ([`message::template`]),
//! - the types of its errors, the root first,
//! - the app's functions on the stack, whole and as words, the innermost weighing most,
//! - the modules and files that these and the location lie in,
//! - the spans that were open, the innermost weighing most,
//! - the crates of dependencies on the stack.
//!
//! Lines, addresses, tags and what an app attached are no part of it. Each group has the same length whatever it holds
//! (its share), so that a long message does not outweigh a stack, and the cosine of two vectors is the
//! mean of how alike their groups are, by these shares.
//!
//! Features become numbers by signed feature hashing (Weinberger, Dasgupta, Langford, Smola and Attenberg: *Feature
//! Hashing for Large Scale Multitask Learning*, ICML 2009, <https://arxiv.org/abs/0902.2206>): a hash chooses two of
//! [`DIMENSIONS`] and their signs, so that features that meet by chance cancel out on average instead of adding up. Each
//! number is then rounded to eight bits. The hash is no cryptographic one: who aims at another issue gains a
//! suggestion that a person looks at, and nothing else.

use std::collections::HashSet;

use crate::event::Event;
use crate::fingerprint::frames::{self, Part};
use crate::fingerprint::message;
use crate::fingerprint::symbol::{self, Symbol};
use crate::limits::cut;
use crate::panic_class::PanicClass;
use crate::stacktrace::{Frame, StackTrace};

/// The version of what a vector is made of. Vectors of different versions cannot be compared.
pub const VERSION: u8 = 1;

/// Numbers of a vector. An event has some twenty to forty features.
pub const DIMENSIONS: usize = 256;

/// A vector as it is stored: its version and its numbers.
pub const VECTOR_BYTES: usize = 1 + DIMENSIONS;

/// Issues that look less alike than this are not suggested.
///
/// Chosen on the corpus of `tests/corpus`, where `cargo xtask grouping` tells what comes of others: with this one,
/// most of the issues that have others of their bug are suggested those, and four of five suggestions are right. A
/// lower one finds hardly more and is wrong far more often, and nobody reads suggestions that are mostly wrong.
pub const SUGGESTED_MIN: f32 = 0.7;

/// Features that are kept as text beside the vector, the weightiest.
const TELLING_MAX: usize = 16;

/// A feature as text. What is beyond counts, and is not shown.
const FEATURE_BYTES_MAX: usize = 80;

/// Words of a message that count.
const WORDS_MAX: usize = 24;

/// Frames that are looked at, from the innermost on.
const FRAMES_MAX: usize = 64;

/// The app's functions that count, from the innermost on.
const FUNCTIONS_MAX: usize = 8;

/// Errors of a chain that count, from the root on.
const ERRORS_MAX: usize = 4;

/// Spans that count, from the innermost on.
const SPANS_MAX: usize = 4;

/// Modules that count of one function, from the innermost on.
const MODULES_MAX: usize = 4;

/// Words of one name that count. Of a longer one the others are left out.
const NAME_WORDS_MAX: usize = 8;

/// What a feature further out weighs of what the one before it does.
const OUTWARD: f32 = 0.7;

/// Words that all messages have.
const STOP_WORDS: &[&str] = &[
    "and", "are", "but", "can", "could", "for", "from", "has", "have", "into", "its", "that",
    "the", "this", "was", "were", "with",
];

/// How an event looks: what others are compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Portrait {
    /// What is compared.
    pub vector: Vector,
    /// What it is mostly made of, the weightiest first: a kind of feature, a space, and the feature.
    pub telling: Vec<String>,
}

impl Portrait {
    /// The portrait of an event of a class, as grouping tells it. The stack is told apart, since whoever groups has
    /// taken it off the event.
    pub fn of(event: &Event, stack: Option<&StackTrace>, class: &str) -> Self {
        let groups = groups(event, stack, class);
        let mut numbers = [0.0; DIMENSIONS];
        let mut features = Vec::new();
        for group in groups {
            let length = group.features.iter().map(|it| it.weight * it.weight);
            let length = length.sum::<f32>().sqrt();
            for feature in group.features {
                let weight = feature.weight * group.share.sqrt() / length;
                for (at, sign) in places(&feature.text) {
                    numbers[at] += weight * sign;
                }
                features.push(Feature { weight, ..feature });
            }
        }
        // Stable, so that of the same weight the order of the groups holds.
        features.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let telling = features.iter().take(TELLING_MAX);
        Self {
            vector: Vector::rounded(&numbers),
            telling: telling
                .map(|it| cut(&it.text, FEATURE_BYTES_MAX).into_owned())
                .collect(),
        }
    }
}

/// Which of the features that two events are told by both have, in the order of the first.
pub fn shared<'a>(one: &'a [String], other: &[String]) -> Vec<&'a str> {
    let of_both = one.iter().filter(|feature| other.contains(feature));
    of_both.map(String::as_str).collect()
}

/// Numbers that are near each other where events look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector([i8; DIMENSIONS]);

impl Vector {
    /// Rounded, the largest number to the largest that there is.
    fn rounded(numbers: &[f32; DIMENSIONS]) -> Self {
        let largest = numbers.iter().fold(0.0_f32, |most, it| most.max(it.abs()));
        let factor = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        Self(numbers.map(|it| (it * factor).round() as i8))
    }

    /// The cosine of the angle between two vectors: 1 where they are the same, about 0 where nothing is. A vector of
    /// nothing is like no other.
    pub fn similarity(&self, other: &Self) -> f32 {
        let length = (self.dot(self) as f32 * other.dot(other) as f32).sqrt();
        if length > 0.0 {
            (self.dot(other) as f32 / length).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }

    fn dot(&self, other: &Self) -> i32 {
        // At most 256 × 127², which fits.
        let products = self.0.iter().zip(&other.0);
        products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> [u8; VECTOR_BYTES] {
        let mut bytes = [VERSION; VECTOR_BYTES];
        for (byte, number) in bytes[1..].iter_mut().zip(self.0) {
            *byte = number.cast_unsigned();
        }
        bytes
    }

    /// One that was stored; `None` where it is of another version.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let numbers: &[u8; DIMENSIONS] = bytes.strip_prefix(&[VERSION])?.try_into().ok()?;
        Some(Self(numbers.map(u8::cast_signed)))
    }
}

/// Where a feature counts, and whether it adds or takes away there: FNV-1a, whose bits a last step mixes.
///
/// These are two places: of 20,000 issues some forty would have a feature in the one place and sign of another by
/// chance, and look the same where nothing else differs; in both places hardly any two do.
fn places(feature: &str) -> [(usize, f32); 2] {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = feature.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    // The last step of MurmurHash3: every bit of the input turns about half of the bits.
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let hash = hash ^ (hash >> 33);
    [hash as u32, (hash >> 32) as u32].map(|half| {
        let sign = if half >> 31 == 0 { 1.0 } else { -1.0 };
        (half as usize % DIMENSIONS, sign)
    })
}

/// Something that an event has, with how much it counts within its group.
struct Feature {
    text: String,
    weight: f32,
}

/// Features that together have the same length in every event that has any.
struct Group {
    /// How much it counts beside the other groups. These are judgment; on the corpus of `tests/corpus` half or twice
    /// of any of them changes what is found by a tenth at most. Its programs have no spans and hardly an error's type.
    share: f32,
    features: Vec<Feature>,
    known: HashSet<String>,
}

impl Group {
    fn new(share: f32) -> Self {
        Self {
            share,
            features: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// Adds a feature that is not there yet: the first time weighs most.
    fn push(&mut self, kind: &str, value: &str, weight: f32) {
        let text = format!("{kind} {value}");
        if !value.is_empty() && self.known.insert(text.clone()) {
            self.features.push(Feature { text, weight });
        }
    }
}

fn groups(event: &Event, stack: Option<&StackTrace>, class: &str) -> [Group; 7] {
    let mut of_class = Group::new(1.0);
    of_class.push("class", class, 1.0);
    let [functions, modules, dependencies] = of_stack(event, stack);
    [
        of_class,
        words(event, class),
        errors(event),
        functions,
        modules,
        spans(event),
        dependencies,
    ]
}

/// The words of the message, where the class does not say the same.
fn words(event: &Event, class: &str) -> Group {
    let mut group = Group::new(1.0);
    let has_own_words = class.parse().is_ok_and(|class| {
        matches!(
            class,
            PanicClass::Custom | PanicClass::Expect | PanicClass::UnwrapErr
        )
    });
    if class.parse::<PanicClass>().is_ok() && !has_own_words {
        return group;
    }
    let template = message::template(&event.message).to_lowercase();
    let words = template.split(|c: char| !c.is_alphanumeric() && !"<>_".contains(c));
    let words = words.filter(|word| {
        word.chars().count() > 2 && !word.starts_with('<') && !STOP_WORDS.contains(word)
    });
    for word in words.take(WORDS_MAX) {
        group.push("word", word, 1.0);
    }
    group
}

fn errors(event: &Event) -> Group {
    let mut group = Group::new(0.5);
    let mut weight = 1.0;
    let types = event.errors.iter().rev();
    let types = types.filter_map(|error| error.type_name.as_deref());
    for name in types.take(ERRORS_MAX) {
        group.push("error", &Symbol::read(name).name, weight);
        weight *= OUTWARD;
    }
    group
}

fn spans(event: &Event) -> Group {
    let mut group = Group::new(0.5);
    let mut weight = 1.0;
    for span in event.spans.iter().rev().take(SPANS_MAX) {
        group.push("span", &span.name, weight);
        weight *= OUTWARD;
    }
    group
}

/// Functions of the app, what they and the location lie in, and dependencies.
fn of_stack(event: &Event, stack: Option<&StackTrace>) -> [Group; 3] {
    let (mut functions, mut modules, mut dependencies) =
        (Group::new(2.0), Group::new(1.0), Group::new(0.25));
    if let Some(location) = &event.location {
        modules.push("file", stem(&location.file), 1.0);
    }
    let mut weight = 1.0;
    let mut n_functions = 0;
    let frames = stack.map_or(&[][..], |stack| &stack.frames);
    for frame in frames.iter().take(FRAMES_MAX) {
        let symbol = frame.function.as_deref().map(Symbol::read);
        match frames::judge_read(frame, symbol.as_ref()) {
            Part::App if n_functions == FUNCTIONS_MAX => break,
            Part::App => {
                n_functions += 1;
                push_frame(frame, symbol.as_ref(), weight, &mut functions, &mut modules);
                weight *= OUTWARD;
            }
            // Who runs a task is by chance.
            Part::Runtime | Part::Catch if n_functions > 0 => break,
            Part::Dependency => {
                let home = symbol.as_ref().map_or("", |symbol| &*symbol.home);
                dependencies.push("crate", home, 1.0);
            }
            _ => {}
        }
    }
    [functions, modules, dependencies]
}

fn push_frame(
    frame: &Frame,
    symbol: Option<&Symbol<'_>>,
    weight: f32,
    functions: &mut Group,
    modules: &mut Group,
) {
    if let Some(file) = &frame.file {
        modules.push("file", stem(file), weight);
    }
    let Some(symbol) = symbol else {
        return;
    };
    let Some(last) = symbol::last_segment(&symbol.name) else {
        return;
    };
    functions.push("function", last, weight);
    for word in name_words(last).take(NAME_WORDS_MAX) {
        functions.push("name", &word, weight);
    }
    // All functions of a crate have its name.
    let path = symbol.name.split_once("::").map_or("", |(_, path)| path);
    let path = path
        .rsplit("::")
        .filter(|it| *it != last && *it != symbol::CLOSURE);
    for module in path.take(MODULES_MAX) {
        // A module mostly has the name of its file, and an optimized build may know one of the two only.
        modules.push("file", module, weight);
    }
}

/// The name of a file that says something: of `src/cart/mod.rs` it is `cart`.
fn stem(file: &str) -> &str {
    let mut parts = file.trim_end_matches(".rs").rsplit(['/', '\\']);
    match parts.next() {
        Some("mod") => parts.next().unwrap_or(""),
        name => name.unwrap_or(""),
    }
}

/// The words of a name in snake case or camel case, in small letters.
fn name_words(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        let is_start = c == '_' || (c.is_uppercase() && was_small);
        if is_start {
            words.push(String::new());
        }
        was_small = c.is_lowercase() || c.is_numeric();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.into_iter().filter(|word| word.chars().count() > 1)
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::event::{ErrorLink, SpanContext};
    use crate::fingerprint::tests::panic;

    const INDEX: &str = "index out of bounds: the len is 3 but the index is 9";

    fn portrait(event: &Event) -> Portrait {
        let class = crate::panic_class::classify(&event.message).class;
        Portrait::of(event, event.stack.as_deref(), class.as_str())
    }

    fn priced(message: &str) -> Event {
        let frames = [
            ("shop::price::tier_of", "src/price.rs", 7),
            ("shop::cart::total", "src/cart.rs", 12),
            ("shop::main", "src/main.rs", 3),
        ];
        panic(message, &frames)
    }

    #[test]
    fn values_lines_and_builds_change_nothing() {
        let one = portrait(&priced(INDEX));
        let frames = [
            (
                "_ZN4shop5price7tier_of17h1a2b3c4d5e6f7a8bE",
                "/home/ann/shop/src/price.rs",
                90,
            ),
            (
                "shop[732db11e2f5fb19e]::cart::total::<u8>",
                "/ci/src/cart.rs",
                1,
            ),
            ("shop::main", "src/main.rs", 3),
        ];
        let mut other = panic(
            "index out of bounds: the len is 0 but the index is 1",
            &frames,
        );
        other.tags = vec![("region".into(), "eu".into())];

        assert_eq!(portrait(&other), one);
    }

    #[test]
    fn what_is_told_most_is_what_the_event_is_mostly_made_of() {
        let mut event = priced("no tier for customer 17");
        event.errors.push(ErrorLink {
            type_name: Some("shop::NoTier<u8>".into()),
            message: "".into(),
        });
        event.spans.push(SpanContext {
            name: "checkout".into(),
            target: "shop".into(),
            fields: Vec::new(),
            timing: None,
        });

        let telling = portrait(&event).telling;

        for feature in [
            "class custom",
            "function tier_of",
            "name tier",
            "file price",
            "word customer",
            "error shop::NoTier",
            "span checkout",
        ] {
            assert!(
                telling.iter().any(|it| it == feature),
                "{feature}: {telling:?}"
            );
        }
        assert_eq!(telling[0], "class custom");
    }

    #[test]
    fn a_bug_that_moved_is_like_itself_and_another_one_is_not() {
        let before = portrait(&priced(INDEX));
        let moved = [
            ("shop::pricing::tier_of", "src/pricing.rs", 7),
            ("shop::cart::total", "src/cart.rs", 12),
            ("shop::serve", "src/serve.rs", 3),
        ];
        let after = portrait(&panic(INDEX, &moved));
        let other = [
            ("shop::mail::send", "src/mail.rs", 7),
            ("shop::main", "src/main.rs", 3),
        ];
        let other = portrait(&panic(
            "called `Option::unwrap()` on a `None` value",
            &other,
        ));

        let alike = before.vector.similarity(&after.vector);
        assert!(alike >= SUGGESTED_MIN, "{alike}");
        assert_eq!(
            shared(&before.telling, &after.telling)[0],
            "class index_out_of_bounds"
        );
        let unlike = before.vector.similarity(&other.vector);
        assert!(unlike < SUGGESTED_MIN, "{unlike}");
    }

    #[test]
    fn a_vector_is_made_as_its_version_says() {
        // Where this fails, stored vectors cannot be compared with new ones: a new version is due.
        let vector = portrait(&priced("no tier for customer 17")).vector;
        let crc = crate::checksum::crc32c(&vector.to_bytes());
        assert_eq!((VERSION, crc), (1, 0x5169_f68f));
    }

    #[test]
    fn a_vector_is_read_as_it_was_stored_and_no_other_version_is() {
        let vector = portrait(&priced(INDEX)).vector;
        let mut bytes = vector.to_bytes();
        assert_eq!(Vector::from_bytes(&bytes), Some(vector));
        assert_eq!(Vector::from_bytes(&bytes[1..]), None);
        bytes[0] += 1;
        assert_eq!(Vector::from_bytes(&bytes), None);
    }

    #[test]
    fn a_portrait_of_much_is_as_small_as_any() {
        let name = format!("shop::{}", "a_very_long_name::".repeat(2_000));
        let frames = vec![(&*name, &*name, 1); 300];
        let message = "word9x number and ".repeat(10_000);

        let portrait = portrait(&panic(&message, &frames));

        assert!(portrait.telling.len() <= TELLING_MAX);
        assert!(
            portrait
                .telling
                .iter()
                .all(|it| it.len() <= FEATURE_BYTES_MAX)
        );
    }

    proptest! {
        #[test]
        fn any_event_is_like_itself_and_as_like_another_as_that_is_like_it(
            events in prop::collection::vec(("\\PC{0,60}", "[a-zA-Z_:<>{}# ]{0,40}", "[a-z/.]{0,20}"), 2),
        ) {
            let portraits: Vec<Portrait> = events
                .iter()
                .map(|(message, function, file)| portrait(&panic(message, &[(function, file, 1)])))
                .collect();
            let (one, other) = (&portraits[0].vector, &portraits[1].vector);
            prop_assert!((one.similarity(one) - 1.0).abs() < 0.001);
            prop_assert_eq!(one.similarity(other), other.similarity(one));
            prop_assert!(one.similarity(other).abs() <= 1.0);
        }
    }
}
