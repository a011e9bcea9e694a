//! Attributes, qualifiers and visibilities.

#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u8)]
pub enum Level {
    #[doc(alias = "none")]
    Off,
    On,
}

#[inline]
#[must_use]
pub(crate) fn level(levels: &[Level], at: usize) -> Option<Level> {
    #[cfg(not(windows))]
    let level = levels[at];
    #[cfg(windows)]
    let level = Level::Off;
    Some(level)
}

#[allow(clippy::needless_lifetimes, reason = "shown")]
pub fn named<'a>(names: &'a [&'a str], level: Level) -> Option<&'a str> {
    #[rustfmt::skip]
    let name   =   names[level as usize];
    Some(name)
}

pub extern "C" fn exported(at: usize) -> u8 {
    [1, 2, 3][at]
}

/// # Safety
///
/// The pointer is valid.
pub unsafe fn pointed(values: &[*const u8], at: usize) -> Option<u8> {
    let pointer = values[at];
    Some(unsafe { *pointer })
}

static NAMES: [&str; 2] = ["off", "on"];

pub fn text(levels: &[Level]) -> Option<String> {
    let last = levels.last().unwrap();
    let level = level(levels, 0).unwrap();
    Some(format!(
        "{} {}",
        NAMES[*last as usize], NAMES[level as usize]
    ))
}
