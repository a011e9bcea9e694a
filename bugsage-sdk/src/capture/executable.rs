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

/// The compiler that made the program, and whether the file has debug information. Four reads of the file.
#[cfg(target_os = "linux")]
pub(crate) fn file() -> (Option<String>, Option<&'static str>) {
    let Some(sections) = sections::Sections::of_this_program() else {
        return (None, None);
    };
    let debug_info = if sections.find(".debug_line").is_some() {
        "inside"
    } else if sections.find(".gnu_debuglink").is_some() {
        "apart"
    } else {
        "none"
    };
    let comment = sections.read(".comment", COMMENT_BYTES_MAX);
    // One name for each compiler that had a part in it.
    let rustc = comment.and_then(|comment| {
        let mut names = comment
            .split(|byte| *byte == 0)
            .filter_map(|name| std::str::from_utf8(name).ok());
        let rustc = names.find_map(|name| name.strip_prefix("rustc version "))?;
        Some(rustc.trim().to_owned())
    });
    (rustc, Some(debug_info))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn file() -> (Option<String>, Option<&'static str>) {
    (None, None)
}

/// More than all compilers' names have.
#[cfg(target_os = "linux")]
const COMMENT_BYTES_MAX: u64 = 4 << 10;

/// The sections of the program's file, without its symbols: those may be megabytes.
#[cfg(target_os = "linux")]
mod sections {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use object::Endianness;
    use object::pod;
    use object::read::elf::{FileHeader, SectionHeader};

    use crate::capture::modules::Header;

    type Section = <Header as FileHeader>::SectionHeader;

    /// More than linkers make, and what their names take.
    const SECTIONS_MAX: u64 = 4_096;
    const NAMES_BYTES_MAX: u64 = 64 << 10;

    pub(super) struct Sections {
        file: File,
        endian: Endianness,
        table: Vec<u8>,
        names: Vec<u8>,
    }

    impl Sections {
        pub(super) fn of_this_program() -> Option<Self> {
            let file = File::open("/proc/self/exe").ok()?;
            let head = read_at(&file, 0, size_of::<Header>() as u64)?;
            let elf = Header::parse(&*head).ok()?;
            let endian = elf.endian().ok()?;
            let count = u64::from(elf.e_shnum(endian)).min(SECTIONS_MAX);
            let bytes = count * size_of::<Section>() as u64;
            let table = read_at(&file, number(elf.e_shoff(endian)), bytes)?;
            let mut sections = Self {
                file,
                endian,
                table,
                names: Vec::new(),
            };
            let names = sections.all().get(usize::from(elf.e_shstrndx(endian).0))?;
            sections.names = sections.bytes_of(names, NAMES_BYTES_MAX)?;
            Some(sections)
        }

        fn all(&self) -> &[Section] {
            let count = self.table.len() / size_of::<Section>();
            pod::slice_from_bytes(&self.table, count).map_or(&[], |(sections, _)| sections)
        }

        pub(super) fn find(&self, name: &str) -> Option<&Section> {
            self.all().iter().find(|section| {
                let at = section.sh_name(self.endian) as usize;
                let rest = self
                    .names
                    .get(at..)
                    .and_then(|it| it.strip_prefix(name.as_bytes()));
                rest.is_some_and(|rest| rest.first() == Some(&0))
            })
        }

        pub(super) fn read(&self, name: &str, bytes_max: u64) -> Option<Vec<u8>> {
            self.bytes_of(self.find(name)?, bytes_max)
        }

        fn bytes_of(&self, section: &Section, bytes_max: u64) -> Option<Vec<u8>> {
            let bytes = number(section.sh_size(self.endian));
            read_at(
                &self.file,
                number(section.sh_offset(self.endian)),
                bytes.min(bytes_max),
            )
        }
    }

    /// A word of the file, which has 32 or 64 bits as the machine does.
    fn number(word: impl Into<u64>) -> u64 {
        word.into()
    }

    fn read_at(file: &File, at: u64, bytes: u64) -> Option<Vec<u8>> {
        let mut read = vec![0; usize::try_from(bytes).ok()?];
        file.read_exact_at(&mut read, at).ok()?;
        Some(read)
    }
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
