//! Stacks that errors carry, which is as text: std shows the backtraces that it takes in no other way.
//!
//! Of a [`Backtrace`] itself the text has the addresses, and those are resolved as our own are. `anyhow` and
//! `eyre` hide theirs in the `Debug` text of the error, with names instead of addresses: these are read.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::sync::Arc;

use bugsage_core::fingerprint::frames;
use bugsage_core::stacktrace::{Frame, StackTrace};

use super::backtrace::{ADDRESSES_MAX, Addresses};
use super::error::format_bounded;

/// The text of an error with its stack: a hundred frames with their files have half of it.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// What of it a record has room for, the innermost frames first.
pub(crate) const STACK_BYTES_MAX: usize = 12 << 10;

/// The functions in which std takes a backtrace, and what calls the unwinder for it.
const TAKING: [&str; 3] = [
    "backtrace::Backtrace::",
    "backtrace::Backtrace>::",
    "backtrace_rs",
];

/// What stands above the frames: in the text of `anyhow` and `eyre`, and in that of `color-eyre`.
const TITLES: [&str; 2] = ["Stack backtrace:", "━ BACKTRACE ━"];

/// The return addresses of a backtrace of std, innermost first. `None` where none was taken.
///
/// std resolves all symbols to tell them: the first time that takes tens of milliseconds, and later ones some.
pub(crate) fn addresses(backtrace: &Backtrace) -> Option<Addresses> {
    if backtrace.status() != BacktraceStatus::Captured {
        return None;
    }
    // In the long form, which has them.
    let text = format_bounded(TEXT_BYTES_MAX, format_args!("{backtrace:#}"));
    let mut taken: Vec<usize> = Vec::new();
    for line in text.lines() {
        let frame = numbered(line).and_then(|(_, rest)| address(rest));
        let Some((address, name)) = frame else {
            continue;
        };
        if TAKING.iter().any(|part| name.contains(part)) {
            // Up to here std was taking it.
            taken.clear();
            continue;
        }
        // Inlined calls stand at the address that they were inlined into, each by itself.
        if taken.last() != Some(&address) {
            taken.push(address);
        }
    }
    let addresses = Addresses::of(taken.into_iter().take(ADDRESSES_MAX));
    (!addresses.as_slice().is_empty()).then_some(addresses)
}

/// Where the title of a stack stands in an error's `Debug` text.
pub(crate) fn title(text: &str) -> Option<usize> {
    TITLES.iter().filter_map(|title| text.rfind(title)).max()
}

/// Where the frames begin below it.
fn find(text: &str) -> Option<usize> {
    let title = title(text)?;
    text[title..].find('\n').map(|end| title + end + 1)
}

/// The stack that an error tells in its `Debug` text, as text. Empty where it tells none.
pub(crate) fn of_debug(error: &(impl std::fmt::Debug + ?Sized)) -> String {
    let text = format_bounded(TEXT_BYTES_MAX, format_args!("{error:?}"));
    let Some(at) = find(&text) else {
        return String::new();
    };
    let mut stack = without_colours(&text[at..]);
    stack.truncate(stack.floor_char_boundary(STACK_BYTES_MAX));
    stack
}

/// Reads the frames of a stack as text. `None` where there are none: what cannot be read is no frame.
pub(crate) fn read(text: &str) -> Option<Arc<StackTrace>> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines() {
        if let Some((_, rest)) = numbered(line) {
            let (address, name) = address(rest).unwrap_or((0, rest));
            frames.push(Frame {
                address: address as u64,
                ..named(name)
            });
        } else if let Some(place) = line.trim_start().strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                locate(frame, place.trim_end());
            }
        } else if let Some(name) = line.strip_prefix("      ")
            // How many frames are hidden, in the words of `color-eyre`.
            && !name.contains('⋮')
            && let Some(inner) = frames.last_mut()
            && !name.trim().is_empty()
        {
            // Of an address with several names the ones before the last were inlined.
            inner.inlined = true;
            frames.push(named(name.trim()));
        }
        if frames.len() >= ADDRESSES_MAX {
            break;
        }
    }
    frames.iter_mut().for_each(qualify);
    let is_known = frames.iter().any(|frame| frame.function.is_some());
    is_known.then(|| Arc::new(frames::trim(frames, true)))
}

/// A frame's number, and what stands behind it.
fn numbered(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.split_once(": ")?;
    Some((number.trim().parse().ok()?, rest.trim()))
}

/// An address and what stands behind it, as the long form has it: `0x55d8c8 - main`.
fn address(rest: &str) -> Option<(usize, &str)> {
    let (address, name) = rest.split_once(" - ").unwrap_or((rest, ""));
    let digits = address.trim().strip_prefix("0x")?;
    Some((usize::from_str_radix(digits, 16).ok()?, name))
}

fn named(name: &str) -> Frame {
    let name = name.trim();
    let name = name.strip_suffix("<unknown>").unwrap_or(name);
    // `color-eyre` leaves the hash of the old mangling.
    let bare = name
        .rsplit_once("::h")
        .filter(|(_, hash)| hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit()))
        .map_or(name, |(bare, _)| bare);
    Frame {
        function: (!bare.is_empty()).then(|| bare.into()),
        ..Frame::default()
    }
}

/// Takes in `path:line:column` or `path:line`.
fn locate(frame: &mut Frame, place: &str) {
    let number = |text: &str| text.parse::<u32>().ok();
    let Some((rest, last)) = place.rsplit_once(':') else {
        return;
    };
    let (file, line, column) = match rest.rsplit_once(':') {
        Some((file, line)) if number(line).is_some() => (file, number(line), number(last)),
        _ => (rest, number(last), None),
    };
    if line.is_some() && !file.is_empty() {
        frame.file = Some(file.strip_prefix("./").unwrap_or(file).into());
        (frame.line, frame.column) = (line, column);
    }
}

/// Without full debug information a function has its last name alone: then its file stands for its module.
fn qualify(frame: &mut Frame) {
    if let (Some(function), Some(file)) = (&frame.function, &frame.file)
        && !function.contains("::")
        && let Some(module) = module_of(file)
    {
        frame.function = Some(format!("{module}::{function}").into());
    }
}

/// `billing::card` for `src/billing/card.rs`; nothing for files that make no module of their own, or that are
/// of no known crate.
fn module_of(file: &str) -> Option<String> {
    let relative = frames::crate_relative(file);
    let path = relative.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let is_root = matches!(path, "main" | "lib");
    (!is_root).then(|| path.replace('/', "::"))
}

/// The text without the sequences that colour it.
pub(crate) fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, coloured)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = coloured.find(|c: char| c.is_ascii_alphabetic());
        rest = end.map_or("", |end| &coloured[end + 1..]);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Vec<String> {
        let stack = read(text);
        let frames = stack.iter().flat_map(|stack| &stack.frames);
        let told = frames.map(|frame| {
            format!(
                "{} {}:{}{}",
                frame.function.as_deref().unwrap_or("?"),
                frame.file.as_deref().unwrap_or("?"),
                frame.line.unwrap_or(0),
                if frame.inlined { " inlined" } else { "" }
            )
        });
        told.collect()
    }

    #[test]
    fn frames_of_stds_text_are_read() {
        let text = "   0: shop::card::charge\n             at ./src/card.rs:12:9\n      \
                    shop::checkout\n             at ./src/lib.rs:4:5\n   1: <unknown>\n   2: shop::main\n";

        assert_eq!(
            told(text),
            [
                "shop::card::charge src/card.rs:12 inlined",
                "shop::checkout src/lib.rs:4",
                "? ?:0",
                "shop::main ?:0",
            ]
        );
    }

    #[test]
    fn a_short_name_is_completed_by_its_file() {
        let text =
            "0: {async_block#0}\n at ./src/billing/card.rs:7:3\n1: main\n at src/main.rs:2:1\n";

        assert_eq!(
            told(text),
            [
                "billing::card::{async_block#0} src/billing/card.rs:7",
                "main src/main.rs:2"
            ]
        );
    }

    #[test]
    fn colours_and_hashes_are_left_out() {
        struct Coloured;
        impl std::fmt::Debug for Coloured {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "failed\n\u{1b}[96m━━━━ BACKTRACE ━━━━\u{1b}[0m\n   \
                     ⋮ 4 frames hidden ⋮\n   5: \u{1b}[91mshop::main\u{1b}[0m\u{1b}[90m::h0123456789abcdef\
                     \u{1b}[0m\n      at \u{1b}[35m/shop/src/main.rs\u{1b}[0m:\u{1b}[35m9\u{1b}[0m\n",
                )
            }
        }

        assert_eq!(
            told(&of_debug(&Coloured)),
            ["shop::main /shop/src/main.rs:9"]
        );
    }

    #[test]
    fn the_addresses_of_a_backtrace_are_those_that_were_taken() {
        let backtrace = Backtrace::force_capture();
        let own = Addresses::take();

        let taken = addresses(&backtrace).expect("was taken");
        let outer = own.as_slice().last().expect("there is one");
        assert!(
            taken.as_slice().contains(outer),
            "both end at the thread's start"
        );
        assert!(addresses(&Backtrace::disabled()).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_a_stack_or_none(text in any::<String>(), lines in prop::collection::vec("( {0,8}[0-9]{0,3}: ?[a-z:0x-]{0,9}| +at .{0,9}:[0-9]{0,4})", 0..9)) {
            for text in [text, lines.join("\n")] {
                if let Some(stack) = read(&text) {
                    prop_assert!(stack.frames.len() <= ADDRESSES_MAX);
                }
                prop_assert!(without_colours(&text).len() <= text.len());
            }
        }
    }
}
