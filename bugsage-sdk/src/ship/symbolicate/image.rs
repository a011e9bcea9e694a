//! The files that tell about a module: its own, and those that its debug information was split off to.
//!
//! In: a module of this process. Out: names from its symbol table, and its debug sections in memory.
//! Never: a file of another build, more bytes than were granted.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bugsage_core::stacktrace::Module;
use gimli::{Dwarf, DwarfPackage, EndianSlice, NativeEndian, SectionId};
use object::{
    CompressedFileRange, CompressionFormat, Object, ObjectSection, ObjectSegment, ReadCache,
};

use crate::capture::modules::{self, Elf};

use super::names;
use super::pages::Pages;

/// Segments are loaded at multiples of at least this.
const PAGE_BYTES: u64 = 4_096;

/// Where distributions put debug information that was split off.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// What a lookup reads. Types, variables and macros are in none of these.
const READ: [SectionId; 11] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugCuIndex,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

pub(super) type Bytes<'a> = EndianSlice<'a, NativeEndian>;

/// A module's files, open.
pub(super) struct Image {
    /// What is to be taken off an address of this process for one of the file.
    pub(super) bias: u64,
    /// The file that was loaded.
    file: File,
    /// The one that has symbols and debug information, where that is another.
    split: Option<File>,
    sections: Sections,
    package: Sections,
}

impl Image {
    /// Opens the files, and reads their debug sections where these are `bytes_max` at most. `None`
    /// where the file that was loaded is not there any more.
    pub(super) fn open(module: &Module, bytes_max: u64) -> Option<Self> {
        let is_same = |file: &File| {
            let found = modules::build_id_of(file).unwrap_or_default();
            *found == *module.build_id
        };
        let path = Path::new(&*module.path);
        // A program that was replaced on disk is found by way of the process.
        let mut files = [path, Path::new("/proc/self/exe")].into_iter();
        let file = files.find_map(|path| File::open(path).ok().filter(is_same))?;
        let (bias, link) = with_elf(&file, |elf| Some((bias(elf, module)?, debug_link(elf))))?;
        let mut sections = Sections::read(&file, false, bytes_max);
        let mut split = None;
        if !sections.has_any {
            split = split_off(path, module, link.as_deref())
                .filter_map(|path| File::open(path).ok())
                .find(is_same);
            if let Some(file) = &split {
                sections = Sections::read(file, false, bytes_max);
            }
        }
        let rest = bytes_max.saturating_sub(sections.bytes());
        let package = File::open(package_path(path));
        let package = package.map(|file| Sections::read(&file, true, rest));
        Some(Self {
            bias,
            file,
            split,
            sections,
            package: package.unwrap_or_default(),
        })
    }

    /// Whether there is debug information that was not read.
    pub(super) fn is_unread(&self) -> bool {
        self.sections.has_any && self.sections.read.is_empty()
    }

    /// How much memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.sections.bytes() + self.package.bytes()
    }

    /// The debug information; without any it has no units.
    pub(super) fn dwarf(&self) -> Dwarf<Bytes<'_>> {
        self.sections.dwarf()
    }

    /// The debug information of all units, where it was packed into one file.
    pub(super) fn package(&self) -> Option<DwarfPackage<Bytes<'_>>> {
        let empty = EndianSlice::new(&[], NativeEndian);
        let load = |id| Ok::<_, gimli::Error>(self.package.section(id));
        let package = DwarfPackage::load(load, empty);
        package.ok().filter(|_| self.package.has_any)
    }

    /// The linker's names of the functions that addresses of the file lie in, by one pass over the
    /// symbol table; nothing of it stays in memory.
    ///
    /// Debug information with line tables alone names a function without its path. The symbol of
    /// the function that was really called has the whole path, mangled.
    pub(super) fn function_names(&self, addresses: &[u64]) -> Vec<Option<String>> {
        let mut names = vec![None; addresses.len()];
        for file in [Some(&self.file), self.split.as_ref()]
            .into_iter()
            .flatten()
        {
            // A file that cannot be read any more names nothing.
            let _ = names::of(file, addresses, &mut names);
            if names.iter().all(Option::is_some) {
                break;
            }
        }
        names
    }
}

/// Debug sections in memory.
#[derive(Default)]
pub(super) struct Sections {
    read: Vec<(SectionId, Pages)>,
    /// Whether the file has any, read or not.
    has_any: bool,
}

impl Sections {
    /// Reads a file's sections, or none where they are more than `bytes_max` or damaged.
    pub(super) fn read(file: &File, is_split: bool, bytes_max: u64) -> Self {
        let ranges = with_elf(file, |elf| Some(ranges(elf, is_split))).unwrap_or_default();
        let has_any = ranges.iter().any(|(id, _)| *id == SectionId::DebugInfo);
        let bytes = ranges.iter().fold(0_u64, |sum, (_, range)| {
            sum.saturating_add(range.uncompressed_size)
        });
        let read = |(id, range): &(SectionId, CompressedFileRange)| {
            read_section(file, range).map(|pages| (*id, pages))
        };
        let read: io::Result<Vec<_>> = if has_any && bytes <= bytes_max {
            ranges.iter().map(read).collect()
        } else {
            Ok(Vec::new())
        };
        Self {
            read: read.unwrap_or_default(),
            has_any,
        }
    }

    fn bytes(&self) -> u64 {
        self.read.iter().map(|(_, pages)| pages.len() as u64).sum()
    }

    pub(super) fn dwarf(&self) -> Dwarf<Bytes<'_>> {
        Dwarf::load(|id| Ok::<_, std::convert::Infallible>(self.section(id)))
            .unwrap_or_else(|never| match never {})
    }

    fn section(&self, wanted: SectionId) -> Bytes<'_> {
        let mut read = self.read.iter();
        let found = read.find(|(id, _)| *id == wanted);
        EndianSlice::new(found.map_or(&[], |(_, pages)| pages), NativeEndian)
    }
}

/// Where a file has its sections.
fn ranges(elf: &Elf<'_>, is_split: bool) -> Vec<(SectionId, CompressedFileRange)> {
    let named = |id: SectionId| match is_split {
        true => id.dwo_name(),
        false => Some(id.name()),
    };
    let ranges = READ.into_iter().filter_map(|id| {
        let section = elf.section_by_name(named(id)?)?;
        Some((id, section.compressed_file_range().ok()?))
    });
    ranges
        .filter(|(_, range)| range.uncompressed_size > 0)
        .collect()
}

fn read_section(file: &File, range: &CompressedFileRange) -> io::Result<Pages> {
    let pages = |bytes: u64| Pages::new(usize::try_from(bytes).map_err(io::Error::other)?);
    let mut stored = pages(range.compressed_size)?;
    file.read_exact_at(&mut stored, range.offset)?;
    match range.format {
        CompressionFormat::None => Ok(stored),
        CompressionFormat::Zlib => {
            let mut whole = pages(range.uncompressed_size)?;
            let mut inflating = flate2::read::ZlibDecoder::new(&*stored);
            io::Read::read_exact(&mut inflating, &mut whole)?;
            Ok(whole)
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Hands over a file's headers; only what is asked for is read.
pub(super) fn with_elf<T>(file: &File, ask: impl FnOnce(&Elf<'_>) -> Option<T>) -> Option<T> {
    let cache = ReadCache::new(file);
    ask(&Elf::parse(&cache).ok()?)
}

fn bias(elf: &Elf<'_>, module: &Module) -> Option<u64> {
    // The file's first segment lies where the module was loaded.
    let first = elf.segments().map(|segment| segment.address()).min()?;
    Some(module.base.wrapping_sub(first & !(PAGE_BYTES - 1)))
}

fn debug_link(elf: &Elf<'_>) -> Option<PathBuf> {
    let (name, _) = elf.gnu_debuglink().ok()??;
    Some(Path::new(OsStr::from_bytes(name)).to_owned())
}

/// Where debug information may lie that was split off: by build-id, and by the name that the file
/// tells, in the order of `gdb`.
fn split_off(path: &Path, module: &Module, link: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    let by_id = module.build_id.split_at_checked(2).map(|(head, rest)| {
        let name = format!("{head}/{rest}.debug");
        Path::new(DEBUG_FOLDER).join(".build-id").join(name)
    });
    // The name only: what a file says is no way out of these folders.
    let name = link.and_then(Path::file_name);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let elsewhere = folder.strip_prefix("/").unwrap_or(folder);
    let folders = [
        folder.to_owned(),
        folder.join(".debug"),
        Path::new(DEBUG_FOLDER).join(elsewhere),
    ];
    let by_name = folders.into_iter();
    let by_name = by_name.filter_map(move |folder| Some(folder.join(name?)));
    let by_name: Vec<PathBuf> = by_name.collect();
    by_id.into_iter().chain(by_name)
}

/// The file that `-C split-debuginfo=packed` writes beside the program.
fn package_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".dwp");
    name.into()
}
