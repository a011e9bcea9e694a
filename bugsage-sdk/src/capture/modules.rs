//! The binaries and libraries of this process: where they lie, and their build-ids.

use std::fs::File;
use std::sync::Arc;

use bugsage_core::limits;
use bugsage_core::stacktrace::Module;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, ReadCache, SymbolKind};

/// Symbols that are looked through in one module: more than the largest programs have.
const SYMBOLS_MAX: usize = 4_000_000;

/// Segments are loaded at multiples of at least this.
const PAGE_BYTES: u64 = 4_096;

/// A loaded file.
pub(crate) struct LoadedModule {
    pub(crate) module: Arc<Module>,
    /// How large its debug sections are.
    pub(crate) debug_bytes: u64,
}

impl LoadedModule {
    /// The linker's names of the functions that addresses lie in, by one pass over the symbol
    /// table; nothing of it stays in memory.
    ///
    /// Debug information with line tables alone names a function without its path. The symbol of
    /// the function that was really called has the whole path, mangled.
    pub(crate) fn function_names(&self, addresses: &[u64]) -> Vec<Option<String>> {
        let mut names = vec![None; addresses.len()];
        let Some(file) = File::open(&*self.module.path).ok() else {
            return names;
        };
        let cache = ReadCache::new(file);
        let Ok(file) = object::File::parse(&cache) else {
            return names;
        };
        let Some(first) = file.segments().map(|segment| segment.address()).min() else {
            return names;
        };
        // The file's first segment lies where the module was loaded.
        let bias = self.module.base.wrapping_sub(first & !(PAGE_BYTES - 1));
        let functions = file
            .symbols()
            .filter(|s| s.kind() == SymbolKind::Text && s.size() > 0);
        for symbol in functions.take(SYMBOLS_MAX) {
            let start = symbol.address().wrapping_add(bias);
            for (address, name) in addresses.iter().zip(&mut names) {
                // A return address may lie just behind a function whose last instruction is a call.
                let within = address.wrapping_sub(1).wrapping_sub(start) < symbol.size();
                if within && name.is_none() {
                    *name = symbol.name().ok().map(str::to_owned);
                }
            }
        }
        names
    }

    pub(crate) fn contains(&self, address: u64) -> bool {
        address
            .checked_sub(self.module.base)
            .is_some_and(|offset| offset < self.module.size)
    }
}

/// Lists what is mapped into this process now, with the build-ids of the first so many files. Empty
/// where the system has no `/proc`.
pub(crate) fn loaded(files_read_max: usize) -> Vec<LoadedModule> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut modules: Vec<(String, u64, u64)> = Vec::new();
    for line in maps.lines() {
        let Some((start, end, path)) = mapping(line) else {
            continue;
        };
        let has_room = modules.len() < limits::MODULES_MAX;
        match modules.last_mut() {
            // A file's mappings stand together; the first is where it was loaded.
            Some((known, _, known_end)) if known == path => *known_end = end,
            _ if has_room => modules.push((path.to_owned(), start, end)),
            _ => break,
        }
    }
    modules
        .into_iter()
        .enumerate()
        .map(|(index, (path, base, end))| load(path, base, end, index < files_read_max))
        .collect()
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

fn load(path: String, base: u64, end: u64, is_read: bool) -> LoadedModule {
    let facts = is_read.then(|| read(&path)).flatten();
    let (build_id, debug_bytes) = facts.unwrap_or_default();
    let module = Module {
        path: path.into(),
        build_id: build_id.into(),
        base,
        size: end.saturating_sub(base),
    };
    LoadedModule {
        module: Arc::new(module),
        debug_bytes,
    }
}

/// Reads build-id and sizes from the file's headers; the sections themselves stay on disk.
fn read(path: &str) -> Option<(String, u64)> {
    let cache = ReadCache::new(File::open(path).ok()?);
    let file = object::File::parse(&cache).ok()?;
    let build_id = file.build_id().ok().flatten().unwrap_or_default();
    let build_id = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let debug = file.sections().filter(|section| {
        section
            .name()
            .is_ok_and(|name| name.starts_with(".debug_") || name.starts_with(".zdebug_"))
    });
    Some((build_id, debug.map(|section| section.size()).sum()))
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
            .find(|module| module.contains(here))
            .expect("is loaded");

        let exe = std::env::current_exe().expect("is running");
        assert_eq!(&*module.module.path, exe.to_str().expect("is text"));
        assert!(module.debug_bytes > 0);
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
