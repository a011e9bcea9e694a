//! The binaries and libraries of this process: where they lie, and their build-ids.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use bugsage_core::limits;
use bugsage_core::stacktrace::Module;
use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{Object, ReadCache};

/// What is read of a loaded file's beginning: its headers, and the notes, which linkers put there.
const HEAD_BYTES: u64 = 4_096;

/// What a path in `/proc` ends in where the file has another name now, or none.
const DELETED: &str = " (deleted)";

/// How the files begin that this process can load.
#[cfg(target_pointer_width = "64")]
pub(crate) type Header = object::elf::FileHeader64<object::Endianness>;
#[cfg(not(target_pointer_width = "64"))]
pub(crate) type Header = object::elf::FileHeader32<object::Endianness>;

/// A file of that kind: what reads files of all systems is as large as our whole reader of debug
/// information.
pub(crate) type Elf<'a> = ElfFile<'a, Header, &'a ReadCache<&'a File>>;

/// Whether an address of this process lies in the module.
pub(crate) fn contains(module: &Module, address: u64) -> bool {
    let offset = address.checked_sub(module.base);
    offset.is_some_and(|offset| offset < module.size)
}

/// Lists what is mapped into this process now, with the build-ids of the first so many files. Empty
/// where the system has no `/proc`.
pub(crate) fn loaded(files_read_max: usize) -> Vec<Arc<Module>> {
    let mut modules = mapped();
    let unread = modules.iter_mut().take(files_read_max);
    unread.for_each(|module| module.build_id = build_id(module).into());
    modules.into_iter().map(Arc::new).collect()
}

/// Brings a list up to date, and tells whether something else is loaded than before: an address may
/// mean something else then.
pub(crate) fn update(known: &mut Vec<Arc<Module>>) -> bool {
    let is_same = |a: &Module, b: &Module| (&a.path, a.base, a.size) == (&b.path, b.base, b.size);
    let now = mapped();
    if now.len() == known.len() && now.iter().zip(known.iter()).all(|(a, b)| is_same(a, b)) {
        return false;
    }
    let modules = now.into_iter().map(|mut module| {
        // One that was there before may be another now, at the same place: it is read anew.
        module.build_id = build_id(&module).into();
        Arc::new(module)
    });
    *known = modules.collect();
    true
}

/// Files and where they are mapped, without build-ids.
fn mapped() -> Vec<Module> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut modules: Vec<Module> = Vec::new();
    for line in maps.lines() {
        let Some((start, end, path)) = mapping(line) else {
            continue;
        };
        let path = path.strip_suffix(DELETED).unwrap_or(path);
        let has_room = modules.len() < limits::MODULES_MAX;
        match modules.last_mut() {
            // A file's mappings stand together; the first is where it was loaded.
            Some(known) if &*known.path == path => known.size = end.saturating_sub(known.base),
            _ if has_room => modules.push(Module {
                path: path.into(),
                build_id: "".into(),
                base: start,
                size: end.saturating_sub(start),
            }),
            _ => break,
        }
    }
    modules
}

/// Start, end and file of a line of `/proc/self/maps`, where it has a file.
fn mapping(line: &str) -> Option<(u64, u64, &str)> {
    let path = line.find('/').map(|at| &line[at..])?;
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((
        u64::from_str_radix(start, 16).ok()?,
        u64::from_str_radix(end, 16).ok()?,
        path,
    ))
}

/// The build-id of what was loaded, which after a deploy is not what lies under its path. Empty
/// where there is none.
fn build_id(module: &Module) -> String {
    let loaded = build_id_in_memory(module.base);
    // A process that may not read its own memory this way has none but the file's.
    let known = loaded.or_else(|| build_id_of(&File::open(&*module.path).ok()?));
    known.unwrap_or_default()
}

/// Reads a module's notes from where it is loaded. By way of a file, since what is unmapped at this
/// moment by another thread is an error there and no fault.
fn build_id_in_memory(base: u64) -> Option<String> {
    let mut memory = File::open("/proc/self/mem").ok()?;
    memory.seek(SeekFrom::Start(base)).ok()?;
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    memory.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    let head = &*head;
    let elf = Header::parse(head).ok()?;
    let endian = elf.endian().ok()?;
    for segment in elf.program_headers(endian, head).ok()? {
        let Ok(Some(mut notes)) = segment.notes(endian, head) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            let is_build_id = note.n_type(endian) == object::elf::NT_GNU_BUILD_ID;
            if is_build_id && note.name() == object::elf::ELF_NOTE_GNU {
                return Some(hex(note.desc()));
            }
        }
    }
    None
}

/// The build-id that a file tells of itself.
pub(crate) fn build_id_of(file: &File) -> Option<String> {
    let cache = ReadCache::new(file);
    let file = Elf::parse(&cache).ok()?;
    file.build_id().ok().flatten().map(hex)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_in_one_of_the_modules() {
        let here = this_test_is_in_one_of_the_modules as fn() as usize as u64;

        let modules = loaded(usize::MAX);
        let module = modules
            .iter()
            .find(|module| contains(module, here))
            .expect("is loaded");

        let exe = std::env::current_exe().expect("is running");
        assert_eq!(&*module.path, exe.to_str().expect("is text"));
    }

    #[test]
    fn a_loaded_file_tells_the_build_id_that_its_file_tells() {
        let modules = loaded(usize::MAX);

        let mut compared = 0;
        for module in &modules {
            let in_memory = build_id_in_memory(module.base);
            let in_file = File::open(&*module.path).ok();
            let in_file = in_file.and_then(|file| build_id_of(&file));
            if in_memory.is_some() {
                assert_eq!(in_memory, in_file, "{}", module.path);
                compared += 1;
            }
        }
        assert!(compared >= 2, "the program and libc at least");
    }

    #[test]
    fn a_list_that_is_up_to_date_stays_as_it_is() {
        let mut modules = Vec::new();

        assert!(update(&mut modules), "everything is new");
        let missing = modules.pop();
        assert!(missing.is_some() && update(&mut modules), "one was missing");
    }

    #[test]
    fn lines_without_a_file_are_passed_by() {
        assert_eq!(
            mapping("7ffd000-7ffe000 rw-p 00000000 00:00 0    [stack]"),
            None
        );
        assert_eq!(
            mapping("1000-2000 r-xp 00000000 08:01 12   /usr/lib/a b.so"),
            Some((0x1000, 0x2000, "/usr/lib/a b.so"))
        );
    }
}
