//! Finds functions in a file's symbol table, a piece of it at a time.
//!
//! The table of a large program has tens of megabytes, and a stack asks for a few dozen names.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use object::elf::{SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, ReadCache, pod};

use crate::capture::modules::Header;

/// Symbols that are looked through in one table: more than the largest programs have.
const SYMBOLS_MAX: u64 = 4_000_000;

/// Symbols that are read at a time.
const PIECE: usize = 4_096;

/// The longest name; the compiler hashes longer ones.
const NAME_BYTES_MAX: usize = 64 << 10;

/// What is read of a name at a time: more than most have.
const NAME_PIECE: usize = 512;

type Symbol = <Header as FileHeader>::Sym;

/// Where a symbol table lies in its file.
struct Table {
    endian: Endianness,
    at: u64,
    bytes: u64,
    names_at: u64,
    names_bytes: u64,
}

/// Fills in the names of functions that addresses of the file lie in, where there is none yet.
pub(super) fn of(file: &File, addresses: &[u64], names: &mut [Option<String>]) -> io::Result<()> {
    for table in tables(file) {
        table.look_through(file, addresses, names)?;
        if names.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(())
}

/// The linker's table, and the one that the loader needs.
fn tables(file: &File) -> Vec<Table> {
    let cache = ReadCache::new(file);
    let find = |kind| {
        let elf = Header::parse(&cache).ok()?;
        let endian = elf.endian().ok()?;
        let sections = elf.section_headers(endian, &cache).ok()?;
        let table = sections
            .iter()
            .find(|section| section.sh_type(endian) == kind)?;
        let names = sections.get(table.link(endian).0)?;
        let (at, bytes) = table.file_range(endian)?;
        let (names_at, names_bytes) = names.file_range(endian)?;
        Some(Table {
            endian,
            at,
            bytes,
            names_at,
            names_bytes,
        })
    };
    [SHT_SYMTAB, SHT_DYNSYM]
        .into_iter()
        .filter_map(find)
        .collect()
}

impl Table {
    fn look_through(
        &self,
        file: &File,
        addresses: &[u64],
        names: &mut [Option<String>],
    ) -> io::Result<()> {
        let count = (self.bytes / size_of::<Symbol>() as u64).min(SYMBOLS_MAX);
        // Words, so that symbols are aligned in it.
        let mut piece = vec![0_u64; PIECE * size_of::<Symbol>() / size_of::<u64>()];
        let piece = pod::bytes_of_slice_mut(&mut piece);
        let mut at = 0;
        while at < count {
            let symbols = (count - at).min(PIECE as u64) as usize;
            let bytes = &mut piece[..symbols * size_of::<Symbol>()];
            file.read_exact_at(bytes, self.at + at * size_of::<Symbol>() as u64)?;
            let Ok((symbols, _)) = pod::slice_from_bytes::<Symbol>(bytes, symbols) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            for symbol in symbols {
                self.note(file, symbol, addresses, names)?;
            }
            at += symbols.len() as u64;
        }
        Ok(())
    }

    fn note(
        &self,
        file: &File,
        symbol: &Symbol,
        addresses: &[u64],
        names: &mut [Option<String>],
    ) -> io::Result<()> {
        let endian = self.endian;
        let kind = symbol.st_type();
        if (kind != STT_FUNC && kind != STT_GNU_IFUNC) || symbol.is_undefined(endian) {
            return Ok(());
        }
        let (start, size) = (symbol.st_value(endian), symbol.st_size(endian));
        for (address, name) in addresses.iter().zip(names) {
            if name.is_none() && address.wrapping_sub(start) < size {
                *name = self.name(file, symbol.st_name(endian).into())?;
            }
        }
        Ok(())
    }

    fn name(&self, file: &File, offset: u64) -> io::Result<Option<String>> {
        let room = self
            .names_bytes
            .saturating_sub(offset)
            .min(NAME_BYTES_MAX as u64) as usize;
        let mut name = Vec::new();
        while name.len() < room {
            let begun = name.len();
            name.resize(room.min(begun + NAME_PIECE), 0);
            let at = self.names_at + offset + begun as u64;
            file.read_exact_at(&mut name[begun..], at)?;
            if let Some(end) = name[begun..].iter().position(|byte| *byte == 0) {
                name.truncate(begun + end);
                return Ok(String::from_utf8(name).ok());
            }
        }
        Ok(None)
    }
}
