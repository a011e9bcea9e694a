//! Finds the calls at some addresses in a module's debug information, and keeps nothing of it.
//!
//! A crate that answers many questions builds tables first, several times as large as the lines and
//! functions that they are about. A stack asks once: each unit that has an address in it is read from
//! its start to where the last of them was found.

mod entry;

use std::path::Path;

use gimli::{
    DebugInfoOffset, Dwarf, DwarfPackage, LineProgramHeader, LineRow, Unit, UnitOffset, UnitRef,
};

use super::image::{Bytes, Sections};
use entry::Entry;

/// How deep inlined calls are followed: more than compilers nest.
const INLINED_MAX: usize = 256;

/// A call, as far as the debug information tells it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Mangled, or a bare name where that is all there is.
    pub(super) function: Option<String>,
    pub(super) place: Place,
}

/// A place in the source.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
}

/// A module's debug information.
pub(super) struct Debug<'a> {
    pub(super) dwarf: Dwarf<Bytes<'a>>,
    pub(super) package: Option<DwarfPackage<Bytes<'a>>>,
    /// The most bytes that a unit in a file of its own may have.
    pub(super) bytes_max: u64,
}

impl Debug<'_> {
    /// The calls at each of these addresses, innermost first; none where nothing is known.
    pub(super) fn look_up(&self, addresses: &[u64]) -> Vec<Vec<Call>> {
        let mut calls = vec![Vec::new(); addresses.len()];
        for (offset, found) in units_of(&self.dwarf, addresses) {
            let here: Vec<u64> = found.iter().map(|at| addresses[*at]).collect();
            // A damaged unit tells nothing, and its neighbors are none the worse for it.
            let known = self.look_up_in(offset, &here).unwrap_or_default();
            for (at, known) in found.iter().zip(known) {
                calls[*at] = known;
            }
        }
        calls
    }

    fn look_up_in(
        &self,
        offset: DebugInfoOffset,
        addresses: &[u64],
    ) -> gimli::Result<Vec<Vec<Call>>> {
        let unit = self
            .dwarf
            .unit(self.dwarf.debug_info.header_from_offset(offset)?)?;
        let skeleton = UnitRef::new(&self.dwarf, &unit);
        let places = places(skeleton, addresses)?;
        // Lines stay in the program; functions may be in a file of their own.
        let packed = unit.dwo_id.zip(self.package.as_ref());
        let packed = packed.and_then(|(id, package)| package.find_cu(id, &self.dwarf).ok()?);
        let (loaded, mut apart);
        let split = match (packed, unit.dwo_id) {
            (Some(packed), _) => Some(packed),
            (None, Some(_)) => {
                loaded = split_file(skeleton, self.bytes_max);
                apart = loaded.as_ref().map(Sections::dwarf);
                if let Some(apart) = &mut apart {
                    apart.make_dwo(&self.dwarf);
                }
                apart
            }
            (None, None) => None,
        };
        let split = split.as_ref().and_then(|dwarf| {
            let mut split = dwarf.unit(dwarf.units().next().ok()??).ok()?;
            split.copy_relocated_attributes(&unit);
            Some((dwarf, split))
        });
        let functions = match &split {
            Some((dwarf, split)) => UnitRef::new(dwarf, split),
            None => skeleton,
        };
        let calls = calls(functions, addresses)?.into_iter().zip(places);
        Ok(calls
            .map(|(entries, place)| told(functions, skeleton, &entries, place))
            .collect())
    }
}

/// The units that addresses are in, each with the positions of its addresses.
fn units_of<'a>(dwarf: &Dwarf<Bytes<'a>>, addresses: &[u64]) -> Vec<(DebugInfoOffset, Vec<usize>)> {
    let mut owners: Vec<Option<DebugInfoOffset>> = vec![None; addresses.len()];
    // A damaged table leaves the rest of the addresses to the search through all units.
    let _ = by_table(dwarf, addresses, &mut owners);
    if owners.iter().any(Option::is_none) {
        let _ = by_unit(dwarf, addresses, &mut owners);
    }
    let mut units: Vec<(DebugInfoOffset, Vec<usize>)> = Vec::new();
    for (at, owner) in owners.into_iter().enumerate() {
        let Some(owner) = owner else { continue };
        match units.iter_mut().find(|(offset, _)| *offset == owner) {
            Some((_, found)) => found.push(at),
            None => units.push((owner, vec![at])),
        }
    }
    units
}

fn own(
    range: gimli::Range,
    offset: DebugInfoOffset,
    addresses: &[u64],
    owners: &mut [Option<DebugInfoOffset>],
) {
    for (address, owner) in addresses.iter().zip(owners) {
        if (range.begin..range.end).contains(address) {
            owner.get_or_insert(offset);
        }
    }
}

fn by_table(
    dwarf: &Dwarf<Bytes<'_>>,
    addresses: &[u64],
    owners: &mut [Option<DebugInfoOffset>],
) -> gimli::Result<()> {
    let mut headers = dwarf.debug_aranges.headers();
    while let Some(header) = headers.next()? {
        let mut entries = header.entries();
        while let Some(entry) = entries.next().transpose() {
            // One entry that makes no sense says nothing about the others; after an error that
            // does, the iterator ends.
            if let Ok(entry) = entry {
                own(entry.range(), header.debug_info_offset(), addresses, owners);
            }
        }
    }
    Ok(())
}

fn by_unit(
    dwarf: &Dwarf<Bytes<'_>>,
    addresses: &[u64],
    owners: &mut [Option<DebugInfoOffset>],
) -> gimli::Result<()> {
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let Some(offset) = header.debug_info_offset() else {
            continue;
        };
        let Ok(unit) = dwarf.unit(header) else {
            continue;
        };
        let Ok(mut ranges) = dwarf.unit_ranges(&unit) else {
            continue;
        };
        let mut declares = false;
        while let Ok(Some(range)) = ranges.next() {
            declares = true;
            own(range, offset, addresses, owners);
        }
        if !declares {
            let _ = by_lines(&unit, offset, addresses, owners);
        }
    }
    Ok(())
}

/// For a unit that declares no code and has some all the same: GCC says nothing of functions that it
/// made itself, such as those that register a file's globals with a sanitizer. One that has none has
/// no lines to be read either.
fn by_lines(
    unit: &Unit<Bytes<'_>>,
    offset: DebugInfoOffset,
    addresses: &[u64],
    owners: &mut [Option<DebugInfoOffset>],
) -> gimli::Result<()> {
    let Some(program) = unit.line_program.clone() else {
        return Ok(());
    };
    let mut rows = program.rows();
    let mut first = None;
    while let Some((_, row)) = rows.next_row()? {
        let begin = *first.get_or_insert(row.address());
        if row.end_sequence() {
            let end = row.address();
            let range = gimli::Range { begin, end };
            own(range, offset, addresses, owners);
            first = None;
        }
    }
    Ok(())
}

/// The file of its own that a unit's functions were split off to.
fn split_file(unit: UnitRef<'_, Bytes<'_>>, bytes_max: u64) -> Option<Sections> {
    let name = unit.attr_string(unit.dwo_name().ok()??).ok()?;
    let name = name.to_string_lossy();
    let folder = unit.comp_dir.map(|folder| folder.to_string_lossy());
    let folder = folder.unwrap_or_default();
    let file = std::fs::File::open(Path::new(&*folder).join(&*name)).ok()?;
    Some(Sections::read(&file, true, bytes_max))
}

/// Where in the source each address comes from, by one run through the unit's lines.
fn places(unit: UnitRef<'_, Bytes<'_>>, addresses: &[u64]) -> gimli::Result<Vec<Place>> {
    let mut places = vec![Place::default(); addresses.len()];
    let Some(program) = unit.line_program.clone() else {
        return Ok(places);
    };
    let mut rows = program.rows();
    let mut found: Vec<Option<LineRow>> = vec![None; addresses.len()];
    let mut before: Option<LineRow> = None;
    while let Some((_, row)) = rows.next_row()? {
        if let Some(before) = before {
            // A row is good up to the next one; of several at one address the last is.
            let good = before.address()..row.address();
            for (address, found) in addresses.iter().zip(&mut found) {
                if good.contains(address) {
                    *found = Some(before);
                }
            }
        }
        before = (!row.end_sequence()).then_some(*row);
    }
    for (place, row) in places.iter_mut().zip(found) {
        let Some(row) = row else { continue };
        let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
        let column = match row.column() {
            gimli::ColumnType::Column(column) if line.is_some() => Some(column.get()),
            _ => None,
        };
        *place = Place {
            file: file_path(unit, rows.header(), row.file_index()),
            line,
            column: column.and_then(|column| u32::try_from(column).ok()),
        };
    }
    Ok(places)
}

fn file_path<'a>(
    unit: UnitRef<'_, Bytes<'a>>,
    header: &LineProgramHeader<Bytes<'a>>,
    index: u64,
) -> Option<String> {
    let file = header.file(index)?;
    let mut path = match unit.comp_dir {
        Some(folder) => folder.to_string_lossy().into_owned(),
        None => String::new(),
    };
    // Folder 0 is the unit's own.
    let folder = (file.directory_index() != 0).then(|| file.directory(header));
    for part in [folder.flatten(), Some(file.path_name())] {
        let Some(part) = part else { continue };
        let part = unit.attr_string(part).ok()?;
        let part = part.to_string_lossy();
        if part.starts_with('/') {
            path.clear();
        } else if !path.is_empty() && !path.ends_with('/') {
            path.push('/');
        }
        path.push_str(&part);
    }
    Some(path)
}

/// The function that each address is in and the calls that were inlined there, outermost first.
fn calls<'a>(
    unit: UnitRef<'_, Bytes<'a>>,
    addresses: &[u64],
) -> gimli::Result<Vec<Vec<Entry<'a>>>> {
    let mut functions: Vec<Option<UnitOffset>> = vec![None; addresses.len()];
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() && functions.iter().any(Option::is_none) {
        let offset = entries.next_offset();
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        if abbreviation.tag() != gimli::DW_TAG_subprogram {
            entries.skip_attributes(abbreviation.attributes())?;
            continue;
        }
        let entry = Entry::read(&mut entries, abbreviation, unit)?;
        for range in entry.ranges(unit)? {
            for (address, function) in addresses.iter().zip(&mut functions) {
                if range.contains(address) {
                    *function = Some(offset);
                }
            }
        }
    }
    let chains = addresses.iter().zip(functions);
    chains
        .map(|(address, function)| match function {
            Some(function) => chain(unit, function, *address),
            None => Ok(Vec::new()),
        })
        .collect()
}

fn chain<'a>(
    unit: UnitRef<'_, Bytes<'a>>,
    function: UnitOffset,
    address: u64,
) -> gimli::Result<Vec<Entry<'a>>> {
    let mut entries = unit.entries_raw(Some(function))?;
    let outermost = entries.next_depth();
    let mut chain: Vec<Entry<'a>> = Vec::new();
    let mut innermost = outermost;
    while !entries.is_empty() && chain.len() < INLINED_MAX {
        let depth = entries.next_depth();
        if depth <= outermost && !chain.is_empty() {
            break;
        }
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        let tag = abbreviation.tag();
        if chain.is_empty() {
            chain.push(Entry::read(&mut entries, abbreviation, unit)?);
        } else if tag == gimli::DW_TAG_inlined_subroutine && depth > innermost {
            let entry = Entry::read(&mut entries, abbreviation, unit)?;
            if entry
                .ranges(unit)?
                .iter()
                .any(|range| range.contains(&address))
            {
                innermost = depth;
                chain.push(entry);
            }
        } else {
            entries.skip_attributes(abbreviation.attributes())?;
            // A function within a function has code of its own.
            while tag == gimli::DW_TAG_subprogram && entries.next_depth() > depth {
                if let Some(abbreviation) = entries.read_abbreviation()? {
                    entries.skip_attributes(abbreviation.attributes())?;
                }
            }
        }
    }
    Ok(chain)
}

/// The calls of a chain, innermost first: each stands where the one within it was called.
fn told<'a>(
    functions: UnitRef<'_, Bytes<'a>>,
    lines: UnitRef<'_, Bytes<'_>>,
    chain: &[Entry<'a>],
    innermost: Place,
) -> Vec<Call> {
    let mut place = innermost;
    if chain.is_empty() && place.file.is_some() {
        let function = None;
        return vec![Call { function, place }];
    }
    let calls = chain.iter().rev().map(|entry| {
        let file = lines.line_program.as_ref().zip(entry.call_file);
        let caller = Place {
            file: file.and_then(|(program, file)| file_path(lines, program.header(), file)),
            line: entry.call_line,
            column: entry.call_column,
        };
        Call {
            // A name that cannot be read is left out; the place tells more anyway.
            function: entry.function(functions).ok().flatten(),
            place: std::mem::replace(&mut place, caller),
        }
    });
    calls.collect()
}

/// The unit that an offset from elsewhere leads to.
fn unit_at<'a>(
    dwarf: &Dwarf<Bytes<'a>>,
    offset: DebugInfoOffset,
) -> gimli::Result<Option<(Unit<Bytes<'a>>, UnitOffset)>> {
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        if let Some(within) = offset.to_unit_offset(&header) {
            return Ok(Some((dwarf.unit(header)?, within)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use gimli::write::{
        Address, DwarfUnit, EndianVec, LineProgram, LineString, Sections as Written,
    };

    use super::*;

    /// Debug information of one unit that declares no code, and has some at these addresses.
    fn undeclared(addresses: std::ops::Range<u64>) -> Written<EndianVec<gimli::NativeEndian>> {
        let encoding = gimli::Encoding {
            format: gimli::Format::Dwarf32,
            version: 4,
            address_size: 8,
        };
        let mut dwarf = DwarfUnit::new(encoding);
        let text = |text: &str| LineString::String(text.as_bytes().to_vec());
        let mut lines = LineProgram::new(
            encoding,
            gimli::LineEncoding::default(),
            text("/src"),
            None,
            text("crypto.c"),
            None,
        );
        let file = lines.add_file(text("crypto.c"), lines.default_directory(), None);
        lines.begin_sequence(Some(Address::Constant(addresses.start)));
        lines.row().file = file;
        lines.row().line = 31;
        lines.generate_row();
        lines.end_sequence(addresses.end - addresses.start);
        dwarf.unit.line_program = lines;
        let mut sections = Written::new(EndianVec::new(gimli::NativeEndian));
        dwarf.write(&mut sections).expect("can be written");
        sections
    }

    #[test]
    fn code_that_its_unit_does_not_declare_is_found_by_its_lines() {
        let written = undeclared(0x1000..0x1020);
        let section = |id| {
            let bytes = written.get(id).map_or(&[][..], |section| section.slice());
            Ok::<_, gimli::Error>(Bytes::new(bytes, gimli::NativeEndian))
        };
        let debug = Debug {
            dwarf: Dwarf::load(section).expect("can be read"),
            package: None,
            bytes_max: 0,
        };

        let calls = debug.look_up(&[0xfff, 0x1000, 0x101f, 0x1020]);

        let place = Place {
            file: Some("crypto.c".to_owned()),
            line: Some(31),
            column: None,
        };
        let call = vec![Call {
            function: None,
            place,
        }];
        assert_eq!(calls, [vec![], call.clone(), call, vec![]]);
    }
}
