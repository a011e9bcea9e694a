//! What a fingerprint is, and how much it tells.

use std::fmt;
use std::str::FromStr;

/// The version of the rules.
pub const VERSION: u8 = 1;

/// How much a fingerprint tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// No more than a file and what is visible: all bugs of a class there have it, until source or symbols come.
    Provisional,
    /// The function that failed, and not who asked for it, or a closure without its name: two bugs of one helper, or
    /// of one file, share it.
    Single,
    /// It leaves out what not every build can tell, so that two bugs may share it.
    Weak,
    /// All that there is to know: two bugs differ in it.
    Strong,
}

impl Strength {
    const ALL: [Strength; 4] = [
        Strength::Provisional,
        Strength::Single,
        Strength::Weak,
        Strength::Strong,
    ];

    /// What a fingerprint of this strength begins with.
    pub fn letter(self) -> char {
        match self {
            Strength::Provisional => 'p',
            Strength::Single => 's',
            Strength::Weak => 'w',
            Strength::Strong => 'v',
        }
    }

    fn of_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.letter() == letter)
    }
}

/// The identity of a bug: the rules' version and 128 bits of SHA-256 over what counted.
///
/// SHA-256, cut, because whoever can send events must not be able to aim at another bug's issue.
///
/// One that is not strong finds an issue for an event that has nothing better, or an issue that has nothing better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    strength: Strength,
    version: u8,
    hash: [u8; 16],
}

impl Fingerprint {
    /// One of the rules of this version.
    pub(super) fn new(strength: Strength, hash: [u8; 16]) -> Self {
        Self {
            strength,
            version: VERSION,
            hash,
        }
    }

    /// How much it tells.
    pub fn strength(self) -> Strength {
        self.strength
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}-", self.strength.letter(), self.version)?;
        self.hash
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint, which looks like v1-0123456789abcdef0123456789abcdef")]
pub struct InvalidFingerprint;

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let mut rest = text.chars();
        let strength = rest.next().and_then(Strength::of_letter);
        let strength = strength.ok_or(InvalidFingerprint)?;
        let (version, hex) = rest.as_str().split_once('-').ok_or(InvalidFingerprint)?;
        let version = version.parse().map_err(|_| InvalidFingerprint)?;
        if hex.len() != 32 || !hex.is_ascii() {
            return Err(InvalidFingerprint);
        }
        let mut hash = [0; 16];
        for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidFingerprint)?;
        }
        Ok(Self {
            strength,
            version,
            hash,
        })
    }
}
