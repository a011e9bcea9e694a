//! What a capturing thread leaves behind: one report in one flat buffer.
//!
//! Written without allocating, into memory that was set aside before; what does not fit is cut.
//! Read again by the shipping thread. The reader trusts nothing: a record may be torn.

use bugsage_core::event::{EventKind, Level};
use bugsage_core::limits::CUT;

/// Room for one report. The largest parts are 128 return addresses (1 KiB), a message of up to
/// 8 KiB, and spans and breadcrumbs in what is left.
pub(crate) const RECORD_BYTES: usize = 32 << 10;

/// No span was open.
pub(crate) const NO_TRACE: u8 = 0;
/// A span was open whose trace is not sent.
pub(crate) const UNSAMPLED_TRACE: u8 = 1;
/// A span was open whose trace is sent.
pub(crate) const SAMPLED_TRACE: u8 = 2;

/// A time that nobody took.
pub(crate) const NOT_KNOWN: u64 = u64::MAX;

/// Zeros that are read behind every record: what did not fit is read as nothing.
pub(crate) const REST_BYTES: usize = 64;

/// Where a record is written.
pub(crate) trait Space {
    /// How many bytes more there can be at most.
    fn room(&self) -> usize;

    /// Sees to it that so many bytes more can be written, and tells how many can: fewer where there
    /// is no more memory.
    fn grow(&mut self, bytes: usize) -> usize;

    /// Writes bytes for which there is room.
    fn put(&mut self, bytes: &[u8]);

    /// How many bytes were written.
    fn written(&self) -> usize;

    /// Writes over bytes that were written before.
    fn set(&mut self, at: usize, bytes: &[u8]);
}

/// One buffer.
pub(crate) struct Buffer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Buffer<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Space for Buffer<'_> {
    fn room(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn grow(&mut self, bytes: usize) -> usize {
        bytes.min(self.room())
    }

    fn put(&mut self, bytes: &[u8]) {
        self.set(self.at, bytes);
        self.at += bytes.len();
    }

    fn written(&self) -> usize {
        self.at
    }

    fn set(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

/// Writes the parts of a record one after the other. Once something did not fit it leaves out all
/// that comes later; a text is cut at a character.
pub(crate) struct Writer<'a, S> {
    space: &'a mut S,
    is_full: bool,
}

impl<'a, S: Space> Writer<'a, S> {
    pub(crate) fn new(space: &'a mut S) -> Self {
        Self {
            space,
            is_full: false,
        }
    }

    /// How many bytes may come at most.
    pub(crate) fn room(&self) -> usize {
        if self.is_full { 0 } else { self.space.room() }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// A text of at most `bytes_max` bytes and of at most 64 KiB; a longer one says that it was
    /// cut.
    pub(crate) fn text(&mut self, text: &str, bytes_max: usize) {
        let bytes_max = bytes_max.min(usize::from(u16::MAX));
        let wanted = text.len().min(bytes_max) + 2;
        let room = self.space.grow(wanted).saturating_sub(2).min(bytes_max);
        let (end, mark) = if text.len() <= room {
            (text.len(), "")
        } else if room < CUT.len() {
            (0, "")
        } else {
            (text.floor_char_boundary(room - CUT.len()), CUT)
        };
        self.u16((end + mark.len()) as u16);
        self.put(&text.as_bytes()[..end]);
        self.put(mark.as_bytes());
    }

    /// Leaves room for a count that is known only later.
    pub(crate) fn reserve_count(&mut self) -> Option<usize> {
        let at = self.space.written();
        self.u16(0);
        (!self.is_full).then_some(at)
    }

    /// Fills in a count that [`reserve_count`](Self::reserve_count) left open.
    pub(crate) fn set_count(&mut self, at: Option<usize>, count: u16) {
        if let Some(at) = at {
            self.space.set(at, &count.to_le_bytes());
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.is_full |= self.space.grow(bytes.len()) < bytes.len();
        if !self.is_full {
            self.space.put(bytes);
        }
    }
}

/// Reads a record again.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(record: &'a [u8]) -> Self {
        Self { rest: record }
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Bytes with their number before them.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }
}

pub(crate) fn kind_number(kind: EventKind) -> u8 {
    kind as u8
}

pub(crate) fn kind_of(number: u8) -> Option<EventKind> {
    EventKind::ALL.get(usize::from(number)).copied()
}

pub(crate) fn level_number(level: Level) -> u8 {
    level as u8
}

pub(crate) fn level_of(number: u8) -> Option<Level> {
    const LEVELS: [Level; 6] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ];
    LEVELS.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_written_is_read_again() {
        let mut buffer = [0; 64];
        let mut space = Buffer::new(&mut buffer);
        let mut writer = Writer::new(&mut space);
        writer.u8(7);
        let count = writer.reserve_count();
        writer.u64(9);
        writer.text("hello", 100);
        writer.set_count(count, 3);

        let mut reader = Reader::new(&buffer);
        assert_eq!(reader.u8(), Some(7));
        assert_eq!(reader.u16(), Some(3));
        assert_eq!(reader.u64(), Some(9));
        assert_eq!(reader.text(), Some("hello"));
    }

    #[test]
    fn what_does_not_fit_is_cut_at_a_character() {
        let mut buffer = [0; 8];
        let mut space = Buffer::new(&mut buffer);
        let mut writer = Writer::new(&mut space);
        writer.text("éé€", 100);
        writer.u64(1);
        writer.u8(7);

        assert_eq!(Reader::new(&buffer).text(), Some("é…"));
        assert_eq!(
            buffer[7], 0,
            "what comes after the first that did not fit is left out"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.u8().is_some() && reader.text().is_some() && reader.u64().is_some() {}
        }
    }
}
