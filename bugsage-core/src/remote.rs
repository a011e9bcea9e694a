//! What a project asks of its apps while they run, in the header [`HEADER`] of an answer to a batch.
//!
//! The collector sends it with each answer that took a batch: `traces_rate=0.1, event_level=warn`. What is
//! not named is not asked for, and where nothing is, there is no header. An app follows only where it was
//! told that it may.

use std::fmt;
use std::str::FromStr;

use crate::event::Level;

/// The header's name.
pub const HEADER: &str = "bugsage-settings";

/// The longest value that is read; one that asks for everything has about 80 bytes.
const VALUE_BYTES_MAX: usize = 512;

const TRACES_RATE: &str = "traces_rate";
const EVENT_LEVEL: &str = "event_level";
const BREADCRUMB_LEVEL: &str = "breadcrumb_level";

/// What is asked for. `None` leaves it to the app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteSettings {
    /// The share of traces that is to be sampled.
    pub traces_rate: Option<Rate>,
    /// From which level on lines of the log are to become events.
    pub event_level: Option<LevelFilter>,
    /// From which level on lines of the log are to become breadcrumbs.
    pub breadcrumb_level: Option<LevelFilter>,
}

impl RemoteSettings {
    /// Reads the header's value. It comes from outside, and an answer is about more than this, so what
    /// cannot be read is no error:
    ///
    /// - a value of more than 512 bytes asks for nothing,
    /// - names that are not known are passed by,
    /// - a setting that has no legal value is not asked for,
    /// - of a name that comes several times the last one counts, legal or not.
    ///
    /// Costs one pass over the text, and allocates nothing.
    pub fn parse(value: &str) -> Self {
        let mut settings = Self::default();
        if value.len() > VALUE_BYTES_MAX {
            return settings;
        }
        for pair in value.split(',') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let value = value.trim();
            match name.trim() {
                TRACES_RATE => settings.traces_rate = value.parse().ok(),
                EVENT_LEVEL => settings.event_level = value.parse().ok(),
                BREADCRUMB_LEVEL => settings.breadcrumb_level = value.parse().ok(),
                _ => {}
            }
        }
        settings
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Writes the header's value: empty where nothing is asked for. It reads back as what it was.
impl fmt::Display for RemoteSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(rate) = self.traces_rate {
            write!(f, "{TRACES_RATE}={rate}")?;
            separator = ", ";
        }
        let levels = [
            (EVENT_LEVEL, self.event_level),
            (BREADCRUMB_LEVEL, self.breadcrumb_level),
        ];
        for (name, level) in levels {
            if let Some(level) = level {
                write!(f, "{separator}{name}={level}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// A share from 0.0, nothing, to 1.0, everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

/// It is always a number.
impl Eq for Rate {}

impl Rate {
    /// The share as a number, or nothing where it is none: below 0.0, above 1.0, not a number.
    pub fn new(share: f64) -> Option<Self> {
        // Adding zero makes a positive zero of a negative one.
        (0.0..=1.0).contains(&share).then_some(Self(share + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `{}`: a share close to zero would be written with hundreds of digits, more than is read.
        if self.0 != 0.0 && self.0 < 1e-6 {
            return write!(f, "{:e}", self.0);
        }
        self.0.fmt(f)
    }
}

/// What was given as a [`Rate`] and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a share is a number from 0.0, nothing, to 1.0, everything")]
pub struct InvalidRate;

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = text.parse().map_err(|_| InvalidRate)?;
        Self::new(share).ok_or(InvalidRate)
    }
}

/// From which level on lines of the log count, or that none does. In the words of `tracing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelFilter {
    /// None.
    Off,
    /// Errors alone.
    Error,
    /// Warnings and what is worse.
    Warn,
    /// The normal course and what is worse.
    Info,
    /// Details for developers too.
    Debug,
    /// All lines.
    Trace,
}

impl LevelFilter {
    /// All of them, from the fewest lines to the most.
    pub const ALL: [Self; 6] = [
        Self::Off,
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// The least level that counts; none does with `None`.
    pub fn least(self) -> Option<Level> {
        match self {
            LevelFilter::Off => None,
            LevelFilter::Error => Some(Level::Error),
            LevelFilter::Warn => Some(Level::Warn),
            LevelFilter::Info => Some(Level::Info),
            LevelFilter::Debug => Some(Level::Debug),
            LevelFilter::Trace => Some(Level::Trace),
        }
    }

    /// The filter's name in text, JSON and SQL.
    pub fn as_str(self) -> &'static str {
        self.least().map_or("off", Level::as_str)
    }
}

impl fmt::Display for LevelFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was given as a [`LevelFilter`] and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a level is one of `off`, `error`, `warn`, `info`, `debug` and `trace`")]
pub struct InvalidLevelFilter;

impl FromStr for LevelFilter {
    type Err = InvalidLevelFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|it| it.as_str() == text);
        known.ok_or(InvalidLevelFilter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn any_level() -> impl Strategy<Value = Option<LevelFilter>> {
        option::of(select(LevelFilter::ALL.to_vec()))
    }

    fn any_rate() -> impl Strategy<Value = Option<Rate>> {
        // Those close to zero have the longest texts.
        let share = prop_oneof![
            0.0..=1.0,
            Just(0.0),
            Just(1.0),
            Just(f64::MIN_POSITIVE),
            Just(5e-324),
            1e-300..1e-6,
        ];
        option::of(share.prop_map(|share| Rate::new(share).expect("is a share")))
    }

    fn any_settings() -> impl Strategy<Value = RemoteSettings> {
        let parts = (any_rate(), any_level(), any_level());
        parts.prop_map(
            |(traces_rate, event_level, breadcrumb_level)| RemoteSettings {
                traces_rate,
                event_level,
                breadcrumb_level,
            },
        )
    }

    /// Pieces of a value, in an order that nobody meant.
    fn any_value() -> impl Strategy<Value = String> {
        let pieces = vec![
            "traces_rate",
            "event_level",
            "breadcrumb_level",
            "=",
            ",",
            " ",
            "0.1",
            "1e999",
            "-0",
            "inf",
            "warn",
            "off",
            "é",
        ];
        let piece = prop_oneof![
            4 => select(pieces).prop_map(str::to_owned),
            1 => ".{0,20}",
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_it_was(settings in any_settings()) {
            let value = settings.to_string();

            prop_assert_eq!(RemoteSettings::parse(&value), settings);
            prop_assert_eq!(value.is_empty(), settings.is_empty());
            // A header's value, and no list of further ones.
            prop_assert!(value.len() < VALUE_BYTES_MAX);
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
        }

        #[test]
        fn whatever_comes_is_read_as_legal_settings(value in any_value()) {
            let settings = RemoteSettings::parse(&value);

            let share = settings.traces_rate.map_or(0.0, Rate::get);
            prop_assert!((0.0..=1.0).contains(&share) && share.is_sign_positive());
            prop_assert_eq!(RemoteSettings::parse(&settings.to_string()), settings);
        }
    }

    #[test]
    fn settings_are_read_and_all_else_says_nothing() {
        let all = "traces_rate=0.1, event_level=warn, breadcrumb_level=off";
        let read = RemoteSettings::parse(all);
        assert_eq!(read.traces_rate, Rate::new(0.1));
        assert_eq!(read.event_level, Some(LevelFilter::Warn));
        assert_eq!(read.breadcrumb_level, Some(LevelFilter::Off));
        assert_eq!(read.to_string(), all);
        assert_eq!(RemoteSettings::parse(""), RemoteSettings::default());

        let rate = |value: &str| RemoteSettings::parse(value).traces_rate.map(Rate::get);
        assert_eq!(rate("other=1,traces_rate = 1 ,=,event_level"), Some(1.0));
        for none in [
            "1.5", "-0.1", "NaN", "inf", "-inf", "1e999", "", "0,1", "half",
        ] {
            let value = format!("traces_rate=0.5, traces_rate={none}, event_level=warn");
            let read = RemoteSettings::parse(&value);
            let expected = if none == "0,1" { Some(0.0) } else { None };
            assert_eq!(read.traces_rate.map(Rate::get), expected, "{none:?}");
            assert_eq!(read.event_level, Some(LevelFilter::Warn), "beside {none:?}");
        }
        assert_eq!(rate("traces_rate=0.1, traces_rate=0.2"), Some(0.2));
        assert_eq!(
            rate("traces_rate=-0.0").map(f64::is_sign_positive),
            Some(true)
        );
        let level = |value: &str| RemoteSettings::parse(value).event_level;
        assert_eq!(level("event_level=fatal"), None, "no line of the log is");
        assert_eq!(level("event_level=WARN"), None);
        assert_eq!(rate(&"traces_rate=1,".repeat(100)), None, "too long");
    }
}
