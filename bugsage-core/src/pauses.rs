//! Kinds of events that a collector does not want for a while, as it says so in an answer.
//!
//! The header [`HEADER`] of any answer to a batch holds `kind=seconds` pairs: `log=60, error=5`.
//! Zero seconds end a pause. The SDK drops reports of such a kind where they are made, and counts them.

use std::time::Duration;

use crate::event::EventKind;

/// The header's name.
pub const HEADER: &str = "bugsage-pause";

/// The longest pause that is heard: a collector that asks for more would have lost the app.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// The longest value that is read; one that names every kind has about 60 bytes.
const VALUE_BYTES_MAX: usize = 512;

/// How long each kind of event is not wanted, where anything was said about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pauses([Option<Duration>; EventKind::ALL.len()]);

impl Pauses {
    /// Reads the header's value. What cannot be read says nothing: an answer is about more than this.
    pub fn parse(value: &str) -> Self {
        let mut pauses = Self::default();
        if value.len() > VALUE_BYTES_MAX {
            return pauses;
        }
        for pair in value.split(',') {
            let Some((name, seconds)) = pair.split_once('=') else {
                continue;
            };
            let kind = EventKind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == name.trim());
            if let (Some(kind), Ok(seconds)) = (kind, seconds.trim().parse()) {
                pauses.0[kind as usize] = Some(Duration::from_secs(seconds).min(PAUSE_MAX));
            }
        }
        pauses
    }

    /// The kinds about which something was said, and for how long they are not wanted.
    pub fn iter(&self) -> impl Iterator<Item = (EventKind, Duration)> {
        let all = EventKind::ALL.into_iter().zip(self.0);
        all.filter_map(|(kind, pause)| Some((kind, pause?)))
    }
}

/// The header's value that asks for no event of any kind, for whole seconds.
pub fn to_value(pause: Duration) -> String {
    let seconds = pause.min(PAUSE_MAX).as_secs();
    let pairs = EventKind::ALL.map(|kind| format!("{}={seconds}", kind.as_str()));
    pairs.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<(EventKind, u64)> {
        let pauses = Pauses::parse(value);
        let pauses = pauses.iter().map(|(kind, pause)| (kind, pause.as_secs()));
        pauses.collect()
    }

    #[test]
    fn kinds_and_seconds_are_read_and_all_else_says_nothing() {
        assert_eq!(
            read("log=60, panic = 0,error=5"),
            [
                (EventKind::Panic, 0),
                (EventKind::Error, 5),
                (EventKind::Log, 60)
            ]
        );
        assert_eq!(read("log=99999999"), [(EventKind::Log, 3_600)]);
        assert_eq!(read("span=4,log=-1,error,panic=x"), []);
        assert_eq!(read(&"log=1,".repeat(1_000)), []);
    }
}
