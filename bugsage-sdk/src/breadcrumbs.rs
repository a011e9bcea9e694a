//! What was logged before a report: a fixed room of bytes for each tree of spans and each thread.

use std::mem;

use bugsage_core::event::Level;
use bugsage_core::limits;

use crate::record;

/// Breadcrumbs told of each ring.
const KEPT: usize = limits::BREADCRUMBS_MAX;

/// Room for as many of usual length.
const HALF_BYTES: usize = 12 << 10;

/// Something that was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crumb<'a> {
    /// Microseconds since the epoch.
    pub(crate) at: u64,
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    pub(crate) message: &'a str,
}

/// Bytes of a crumb before its target.
const HEAD_BYTES: usize = 8 + 1 + 1;

/// Writes all of a crumb but its message, which is to follow.
pub(crate) fn begin(bytes: &mut Vec<u8>, at: u64, level: Level, target: &str) {
    let target = &target[..target.floor_char_boundary(limits::NAME_BYTES_MAX)];
    bytes.clear();
    bytes.extend_from_slice(&at.to_le_bytes());
    bytes.extend_from_slice(&[record::level_number(level), target.len() as u8]);
    bytes.extend_from_slice(target.as_bytes());
}

/// The newest crumbs, in two halves: when the newer is full, the older is forgotten and becomes the next.
/// So adding one costs the same however many there are, and at least as many are kept as fit one half.
#[derive(Default)]
pub(crate) struct Ring {
    /// Crumbs, each with its length behind it, so that they can be read from the newest on.
    newer: Vec<u8>,
    newer_count: usize,
    older: Vec<u8>,
}

impl Ring {
    pub(crate) const fn new() -> Self {
        Self {
            newer: Vec::new(),
            newer_count: 0,
            older: Vec::new(),
        }
    }

    /// Keeps a crumb that [`begin`] was begun with.
    pub(crate) fn push(&mut self, crumb: &[u8]) {
        let length = crumb.len() as u16;
        if self.newer_count == KEPT || self.newer.len() + crumb.len() + 2 > HALF_BYTES {
            mem::swap(&mut self.newer, &mut self.older);
            self.newer.clear();
            self.newer_count = 0;
        }
        self.newer.extend_from_slice(crumb);
        self.newer.extend_from_slice(&length.to_le_bytes());
        self.newer_count += 1;
    }

    pub(crate) fn clear(&mut self) {
        self.newer.clear();
        self.newer_count = 0;
        self.older.clear();
    }

    /// The crumbs that are kept, newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Crumb<'_>> {
        backwards(&self.newer)
            .chain(backwards(&self.older))
            .take(KEPT)
    }
}

fn backwards(mut rest: &[u8]) -> impl Iterator<Item = Crumb<'_>> {
    std::iter::from_fn(move || {
        let (before, length) = rest.split_last_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (before, crumb) = before.split_at_checked(before.len().checked_sub(length)?)?;
        rest = before;
        read(crumb)
    })
}

fn read(crumb: &[u8]) -> Option<Crumb<'_>> {
    let (head, text) = crumb.split_first_chunk::<HEAD_BYTES>()?;
    let (at, rest) = head.split_first_chunk::<8>()?;
    let (target, message) = text.split_at_checked(rest[1].into())?;
    Some(Crumb {
        at: u64::from_le_bytes(*at),
        level: record::level_of(rest[0])?,
        target: std::str::from_utf8(target).ok()?,
        message: std::str::from_utf8(message).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(ring: &mut Ring, at: u64, message: &str) {
        let mut bytes = Vec::new();
        begin(&mut bytes, at, Level::Info, "shop::orders");
        bytes.extend_from_slice(message.as_bytes());
        ring.push(&bytes);
    }

    #[test]
    fn the_newest_hundred_are_kept_and_read_from_the_newest_on() {
        let mut ring = Ring::new();
        for at in 0..1_234 {
            push(&mut ring, at, &format!("message {at}"));
        }

        let crumbs: Vec<Crumb<'_>> = ring.iter().collect();

        assert_eq!(crumbs.len(), 100);
        assert_eq!(
            crumbs[0],
            Crumb {
                at: 1_233,
                level: Level::Info,
                target: "shop::orders",
                message: "message 1233",
            }
        );
        assert_eq!(crumbs[99].at, 1_134);
    }

    #[test]
    fn long_crumbs_are_fewer_and_take_no_more_room() {
        let mut ring = Ring::new();
        let long = "x".repeat(limits::BREADCRUMB_BYTES_MAX);
        for at in 0..100 {
            push(&mut ring, at, &long);
        }

        let kept = ring.iter().count();
        assert!((11..=22).contains(&kept), "{kept} are kept");
        assert!(ring.newer.len() + ring.older.len() <= 2 * HALF_BYTES);
        ring.clear();
        assert_eq!(ring.iter().count(), 0);
    }

    #[test]
    fn adding_one_takes_no_memory_once_both_halves_were_used() {
        let mut ring = Ring::new();
        for at in 0..1_000 {
            push(&mut ring, at, "message");
        }
        let room = (ring.newer.capacity(), ring.older.capacity());
        for at in 0..100 {
            push(&mut ring, at, "message");
        }

        let after = (ring.newer.capacity(), ring.older.capacity());
        assert!(room == after || room == (after.1, after.0));
    }
}
