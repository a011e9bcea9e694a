//! The one table of settings: key, type, bounds, variable, and what each means.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::group::sample::Keep;

use crate::observe::log;

use super::{Config, LogFormat, size};

/// What is shown in place of a secret.
const MASK: &str = "(secret)";

/// Where a value stands in the configuration.
type Field<T> = fn(&mut Config) -> &mut T;

/// One thing that can be set.
pub struct Setting {
    /// Its name: in the file, `log.format` is `format` in the section `[log]`.
    pub key: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// Whether nobody should see its value.
    pub is_secret: bool,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    kind: Kind,
}

/// What may be written for a setting, and where it goes.
enum Kind {
    Address(Field<SocketAddr>),
    Filter(Field<String>),
    Format(Field<LogFormat>),
    Events(Field<Keep>),
    Number {
        field: Field<u64>,
        range: RangeInclusive<u64>,
        unit: &'static str,
    },
    Bytes {
        field: Field<u64>,
        range: RangeInclusive<u64>,
    },
}

/// Every setting, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        variable: "BUGSAGE_LISTEN",
        is_secret: false,
        meaning: "Where the collector listens; pages and metrics are only shown on a loopback address.",
        kind: Kind::Address(|config| &mut config.listen),
    },
    Setting {
        key: "log.level",
        variable: "BUGSAGE_LOG",
        is_secret: false,
        meaning: "What is logged: a level, or several with targets such as `info,bugsage_collector::worker=debug`.",
        kind: Kind::Filter(|config| &mut config.log.level),
    },
    Setting {
        key: "log.format",
        variable: "BUGSAGE_LOG_FORMAT",
        is_secret: false,
        meaning: "How a line of the log looks: for people, or one JSON object.",
        kind: Kind::Format(|config| &mut config.log.format),
    },
    Setting {
        key: "retention.events",
        variable: "BUGSAGE_RETENTION_EVENTS",
        is_secret: false,
        meaning: "Which events are kept whole: as many as tell something new, or all; every one is counted.",
        kind: Kind::Events(|config| &mut config.retention.events),
    },
    Setting {
        key: "retention.days",
        variable: "BUGSAGE_RETENTION_DAYS",
        is_secret: false,
        meaning: "For how long events are kept.",
        kind: Kind::Number {
            field: |config| &mut config.retention.days,
            range: 1..=3_650,
            unit: "days",
        },
    },
    Setting {
        key: "retention.bytes",
        variable: "BUGSAGE_RETENTION_BYTES",
        is_secret: false,
        meaning: "How much the kept events of one project may take.",
        // Below the least, a project would not hold one event of each of its issues.
        kind: Kind::Bytes {
            field: |config| &mut config.retention.bytes,
            range: 16 << 20..=1 << 50,
        },
    },
    Setting {
        key: "retention.trace_days",
        variable: "BUGSAGE_RETENTION_TRACE_DAYS",
        is_secret: false,
        meaning: "For how long traces are kept; one of a kept event stays as long as the event.",
        kind: Kind::Number {
            field: |config| &mut config.retention.trace_days,
            range: 1..=3_650,
            unit: "days",
        },
    },
    Setting {
        key: "retention.trace_bytes",
        variable: "BUGSAGE_RETENTION_TRACE_BYTES",
        is_secret: false,
        meaning: "How much the traces of one project may take; the oldest go first, those of kept events last.",
        // One trace may have 4 MiB before compression.
        kind: Kind::Bytes {
            field: |config| &mut config.retention.trace_bytes,
            range: 16 << 20..=1 << 50,
        },
    },
    Setting {
        key: "limits.connections",
        variable: "BUGSAGE_LIMITS_CONNECTIONS",
        is_secret: false,
        meaning: "Connections that are open at the same time; further ones wait. An app needs one.",
        kind: Kind::Number {
            field: |config| &mut config.limits.connections,
            range: 1..=65_536,
            unit: "connections",
        },
    },
    Setting {
        key: "limits.disk_free_bytes",
        variable: "BUGSAGE_LIMITS_DISK_FREE_BYTES",
        is_secret: false,
        meaning: "Free disk space below which no batch is taken and the collector is not ready.",
        kind: Kind::Bytes {
            field: |config| &mut config.limits.disk_free_bytes,
            range: 0..=1 << 50,
        },
    },
];

/// A value as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// Text, in quotes where it stands in a file.
    Text(String),
    /// A number of a file.
    Number(i64),
    /// Anything else of a file, by its type.
    Other(&'static str),
}

impl Setting {
    /// The setting of a key.
    pub fn of_key(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Its value as people write it; a secret is masked.
    pub fn text(&self, config: &Config) -> String {
        let mut config = config.clone();
        if self.is_secret {
            return MASK.to_owned();
        }
        match &self.kind {
            Kind::Address(field) => field(&mut config).to_string(),
            Kind::Filter(field) => field(&mut config).clone(),
            Kind::Format(field) => word(FORMATS, *field(&mut config)).to_owned(),
            Kind::Events(field) => word(EVENTS, *field(&mut config)).to_owned(),
            Kind::Number { field, .. } => field(&mut config).to_string(),
            Kind::Bytes { field, .. } => size::human(*field(&mut config)),
        }
    }

    /// Its value for programs: numbers are numbers, sizes are bytes; a secret is masked.
    pub fn json(&self, config: &Config) -> Value {
        let number = match &self.kind {
            Kind::Number { field, .. } | Kind::Bytes { field, .. } if !self.is_secret => {
                Some(*field(&mut config.clone()))
            }
            _ => None,
        };
        number.map_or_else(|| self.text(config).into(), Value::from)
    }

    /// What it may be, in words.
    pub fn values(&self) -> String {
        match &self.kind {
            Kind::Address(_) => "an address and a port".to_owned(),
            Kind::Filter(_) => {
                "off, error, warn, info, debug, trace, or targets with levels".to_owned()
            }
            Kind::Format(_) => words(FORMATS),
            Kind::Events(_) => words(EVENTS),
            Kind::Number { range, unit, .. } => {
                format!("{} to {} {unit}", range.start(), range.end())
            }
            Kind::Bytes { range, .. } => format!(
                "{} to {}",
                size::human(*range.start()),
                size::human(*range.end())
            ),
        }
    }

    /// Puts what was written into its place, or says what is wrong with it.
    pub(super) fn set(&self, config: &mut Config, written: &Written) -> Result<(), String> {
        let wrong = |found: &str| format!("{} is {found}, and takes {}", self.key, self.values());
        let text = match (written, &self.kind) {
            (Written::Text(text), _) => text.trim(),
            (Written::Number(number), Kind::Number { .. } | Kind::Bytes { .. }) => {
                return self.set(config, &Written::Text(number.to_string()));
            }
            (Written::Number(number), _) => return Err(wrong(&format!("the number {number}"))),
            (Written::Other(kind), _) => return Err(wrong(&format!("of the type {kind}"))),
        };
        let shown = if self.is_secret { MASK } else { text };
        let wrong = || wrong(&format!("`{shown}`"));
        match &self.kind {
            Kind::Address(field) => *field(config) = text.parse().map_err(|_| wrong())?,
            Kind::Filter(field) => {
                log::filter(text).map_err(|reason| format!("{}: {reason}", wrong()))?;
                *field(config) = text.to_owned();
            }
            Kind::Format(field) => *field(config) = choose(FORMATS, text).ok_or_else(wrong)?,
            Kind::Events(field) => *field(config) = choose(EVENTS, text).ok_or_else(wrong)?,
            Kind::Number { field, range, .. } => {
                let number = text.parse().ok().filter(|number| range.contains(number));
                *field(config) = number.ok_or_else(wrong)?;
            }
            Kind::Bytes { field, range } => {
                let bytes = size::parse(text).filter(|bytes| range.contains(bytes));
                *field(config) = bytes.ok_or_else(wrong)?;
            }
        }
        Ok(())
    }

    /// The line of a file that sets it to what it is.
    pub fn line(&self, config: &Config) -> String {
        let text = self.text(config);
        match self.is_quoted() {
            // What JSON writes in quotes, TOML reads.
            true => format!("{} = {}", self.key, Value::from(text)),
            false => format!("{} = {text}", self.key),
        }
    }

    /// Whether a file writes its value in quotes.
    fn is_quoted(&self) -> bool {
        !matches!(self.kind, Kind::Number { .. })
    }
}

const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
const EVENTS: &[(&str, Keep)] = &[("samples", Keep::Samples), ("all", Keep::All)];

fn choose<T: Copy>(choices: &[(&str, T)], text: &str) -> Option<T> {
    let chosen = choices.iter().find(|(word, _)| *word == text);
    chosen.map(|(_, value)| *value)
}

fn word<T: Copy + PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    let chosen = choices.iter().find(|(_, known)| *known == value);
    chosen.map_or("", |(word, _)| word)
}

fn words<T>(choices: &[(&str, T)]) -> String {
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    words.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: &str, text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        let setting = Setting::of_key(key).expect("is a setting");
        setting.set(&mut config, &Written::Text(text.to_owned()))?;
        Ok(config)
    }

    #[test]
    fn every_setting_takes_its_own_default_and_says_it_the_same_way() {
        for setting in SETTINGS {
            let default = setting.text(&Config::default());

            let config = set(setting.key, &default);

            assert_eq!(config, Ok(Config::default()), "{}", setting.key);
            assert!(setting.is_quoted() || default.parse::<u64>().is_ok());
        }
    }

    #[test]
    fn the_readme_describes_every_setting_and_no_other() {
        let readme = include_str!("../../../README.md");
        let is_ours = |line: &&str| line.starts_with("| `") && line.contains("` | `BUGSAGE_");
        let described: Vec<&str> = readme.lines().filter(is_ours).collect();

        let default = Config::default();
        let expected = SETTINGS.iter().map(|setting| {
            format!(
                "| `{}` | `{}` | `{}` | {} | {} |",
                setting.key,
                setting.variable,
                setting.text(&default),
                setting.values(),
                setting.meaning
            )
        });

        assert_eq!(described, expected.collect::<Vec<String>>());
    }

    #[test]
    fn keys_and_variables_are_of_one_setting_each() {
        for (at, setting) in SETTINGS.iter().enumerate() {
            let others = &SETTINGS[at + 1..];
            assert!(others.iter().all(|other| other.key != setting.key));
            assert!(others.iter().all(|it| it.variable != setting.variable));
            assert!(setting.variable.starts_with("BUGSAGE_"));
            assert!(setting.meaning.ends_with('.') && !setting.meaning.contains('|'));
        }
    }

    #[test]
    fn a_value_beyond_its_bounds_is_refused_with_them() {
        for (key, text, expected) in [
            ("retention.days", "0", "1 to 3650 days"),
            ("retention.days", "3651", "1 to 3650 days"),
            ("retention.days", "ninety", "1 to 3650 days"),
            ("retention.bytes", "1 KiB", "16 MiB to 1 PiB"),
            ("limits.connections", "-1", "1 to 65536 connections"),
            ("listen", "4100", "an address and a port"),
            ("log.format", "xml", "text or json"),
            ("retention.events", "none", "samples or all"),
        ] {
            let error = set(key, text).expect_err(text);
            let words = [key, text, expected];
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
        let days = set("retention.days", "3650").expect("is the last");
        assert_eq!(days.retention.days, 3_650);
    }

    #[test]
    fn a_level_that_is_misspelt_does_not_turn_the_log_off() {
        for text in [
            "inof",
            "warning",
            "loud",
            "info,debgu",
            "info,",
            "",
            "hyper",
            "hyper=",
            "=info",
            "hyper=warning",
            "[{span=/(a{9}){9}/}]=info",
        ] {
            assert!(set("log.level", text).is_err(), "{text}");
        }
        for text in [
            "info",
            "OFF",
            "warn, bugsage_collector::worker=debug",
            "hyper=trace",
        ] {
            assert!(set("log.level", text).is_ok(), "{text}");
        }
        let error = set("log.level", "inof").expect_err("is no level");
        assert!(error.contains("did you mean info?"), "{error}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Setting {
            is_secret: true,
            key: "listen",
            variable: "BUGSAGE_SECRET",
            meaning: "A secret.",
            kind: Kind::Address(|config| &mut config.listen),
        };
        let mut config = Config::default();

        let error = secret.set(&mut config, &Written::Text("hunter2".to_owned()));

        assert!(!error.expect_err("is no address").contains("hunter2"));
        assert_eq!(secret.text(&config), MASK);
        assert_eq!(secret.json(&config), MASK);
    }
}
