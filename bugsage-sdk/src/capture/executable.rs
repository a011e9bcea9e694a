//! How the program was built, as far as the program can tell.

use std::hint::black_box;
use std::panic::catch_unwind;
use std::sync::OnceLock;

/// Whether arithmetic that overflows panics, as this crate was compiled, which is as the app was unless its
/// profile says otherwise for dependencies. `None` where it cannot be tried: a program that aborts at a panic
/// would be gone.
///
/// There is no `cfg` of it on stable. In a build without debug assertions an addition is tried that overflows:
/// some 20 µs once, 200 µs where it is the first panic of the process.
pub(crate) fn overflow_checks() -> Option<bool> {
    static CHECKED: OnceLock<bool> = OnceLock::new();
    if cfg!(panic = "abort") {
        // Without debug assertions most builds have no checks either, but nobody knows.
        return None;
    }
    if let Some(known) = CHECKED.get() {
        return Some(*known);
    }
    let checked = super::panic::in_silence(|| {
        let most = black_box(u8::MAX);
        catch_unwind(|| black_box(most + black_box(1))).is_err()
    })?;
    Some(*CHECKED.get_or_init(|| checked))
}

/// The compiler that made the program, and whether the file has debug information.
#[cfg(target_os = "linux")]
pub(crate) fn file() -> (Option<String>, Option<&'static str>) {
    use std::fs::File;

    use object::{Object, ReadCache};

    let Ok(file) = File::open("/proc/self/exe") else {
        return (None, None);
    };
    let cache = ReadCache::new(&file);
    let Ok(elf) = super::modules::Elf::parse(&cache) else {
        return (None, None);
    };
    let has = |name: &str| elf.section_by_name(name).is_some();
    let debug_info = if has(".debug_line") {
        "inside"
    } else if has(".gnu_debuglink") {
        "apart"
    } else {
        "none"
    };
    (rustc(&elf), Some(debug_info))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn file() -> (Option<String>, Option<&'static str>) {
    (None, None)
}

/// What rustc left in the section where compilers leave their names.
#[cfg(target_os = "linux")]
fn rustc(elf: &super::modules::Elf<'_>) -> Option<String> {
    use object::{Object, ObjectSection};

    /// One name for each compiler that had a part in it.
    const COMMENT_BYTES_MAX: u64 = 4 << 10;

    let comment = elf.section_by_name(".comment")?;
    let bytes = comment.data_range(comment.address(), comment.size().min(COMMENT_BYTES_MAX));
    let names = bytes.ok()??.split(|byte| *byte == 0);
    let name = names
        .filter_map(|name| std::str::from_utf8(name).ok())
        .find_map(|name| name.strip_prefix("rustc version "))?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_is_checked_where_debug_assertions_are_on() {
        crate::capture::panic::install();
        // As Cargo's profiles have it where they say nothing else.
        assert_eq!(overflow_checks(), Some(cfg!(debug_assertions)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_compiler_left_its_name_in_this_test() {
        let (rustc, debug_info) = file();

        let rustc = rustc.expect("is there");
        assert!(rustc.starts_with("1."), "{rustc}");
        assert_eq!(debug_info, Some("inside"));
    }
}
