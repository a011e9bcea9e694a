//! A function or an inlined call, as its entry tells it.

use std::ops::Range;

use gimli::{Abbreviation, AttributeValue, EntriesRaw, UnitRef};

use super::super::image::Bytes;
use super::unit_at;

/// How often a name may be said to stand elsewhere: in a declaration, in another unit.
const REFERENCES_MAX: usize = 16;

/// What is asked of an entry.
#[derive(Default)]
pub(super) struct Entry<'a> {
    low: Option<u64>,
    high: Option<u64>,
    size: Option<u64>,
    ranges: Option<AttributeValue<Bytes<'a>>>,
    name: Option<AttributeValue<Bytes<'a>>>,
    linkage_name: Option<AttributeValue<Bytes<'a>>>,
    /// The entry that this one is an instance of.
    origin: Option<AttributeValue<Bytes<'a>>>,
    pub(super) call_file: Option<u64>,
    pub(super) call_line: Option<u32>,
    pub(super) call_column: Option<u32>,
}

impl<'a> Entry<'a> {
    /// Reads the entry whose abbreviation was read.
    pub(super) fn read(
        entries: &mut EntriesRaw<'_, Bytes<'a>>,
        abbreviation: &Abbreviation,
        unit: UnitRef<'_, Bytes<'a>>,
    ) -> gimli::Result<Self> {
        let mut entry = Self::default();
        let number = |value: &AttributeValue<Bytes<'a>>| {
            let number = value.udata_value()?;
            u32::try_from(number).ok().filter(|number| *number > 0)
        };
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            let value = attribute.value();
            match attribute.name() {
                gimli::DW_AT_low_pc => entry.low = unit.attr_address(value)?,
                gimli::DW_AT_high_pc => match value.udata_value() {
                    Some(size) => entry.size = Some(size),
                    None => entry.high = unit.attr_address(value)?,
                },
                gimli::DW_AT_ranges => entry.ranges = Some(value),
                gimli::DW_AT_name => entry.name = Some(value),
                gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                    entry.linkage_name = Some(value);
                }
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                    entry.origin = Some(value);
                }
                gimli::DW_AT_call_file => {
                    entry.call_file = match value {
                        AttributeValue::FileIndex(index) => Some(index),
                        other => other.udata_value(),
                    };
                }
                gimli::DW_AT_call_line => entry.call_line = number(&value),
                gimli::DW_AT_call_column => entry.call_column = number(&value),
                _ => {}
            }
        }
        Ok(entry)
    }

    /// The addresses of its code.
    pub(super) fn ranges(&self, unit: UnitRef<'_, Bytes<'a>>) -> gimli::Result<Vec<Range<u64>>> {
        let mut all = Vec::new();
        if let Some(ranges) = &self.ranges
            && let Some(mut ranges) = unit.attr_ranges(*ranges)?
        {
            while let Some(range) = ranges.next()? {
                all.push(range.begin..range.end);
            }
        } else if let Some(low) = self.low {
            let end = self.size.map(|size| low.wrapping_add(size));
            all.extend(self.high.or(end).map(|high| low..high));
        }
        Ok(all)
    }

    /// The function's name: mangled, where the compiler tells that.
    pub(super) fn function(&self, unit: UnitRef<'_, Bytes<'a>>) -> gimli::Result<Option<String>> {
        self.named(unit, REFERENCES_MAX)
    }

    fn named(
        &self,
        unit: UnitRef<'_, Bytes<'a>>,
        references_max: usize,
    ) -> gimli::Result<Option<String>> {
        let text = |value: &AttributeValue<Bytes<'a>>| {
            let text = unit.attr_string(*value).ok()?;
            Some(text.to_string_lossy().into_owned())
        };
        if let Some(name) = self.linkage_name.as_ref().and_then(text) {
            return Ok(Some(name));
        }
        if references_max == 0 {
            return Ok(None);
        }
        let elsewhere = match self.origin {
            Some(AttributeValue::UnitRef(offset)) => read_at(unit, offset, references_max)?,
            Some(AttributeValue::DebugInfoRef(offset)) => match unit_at(unit.dwarf, offset)? {
                Some((other, offset)) => {
                    read_at(UnitRef::new(unit.dwarf, &other), offset, references_max)?
                }
                None => None,
            },
            _ => None,
        };
        // An instance may have a bare name of its own, and what it is one of the whole name.
        Ok(elsewhere.or_else(|| self.name.as_ref().and_then(text)))
    }
}

fn read_at<'a>(
    unit: UnitRef<'_, Bytes<'a>>,
    offset: gimli::UnitOffset,
    references_max: usize,
) -> gimli::Result<Option<String>> {
    let mut entries = unit.entries_raw(Some(offset))?;
    let Some(abbreviation) = entries.read_abbreviation()? else {
        return Ok(None);
    };
    let entry = Entry::read(&mut entries, abbreviation, unit)?;
    entry.named(unit, references_max - 1)
}
