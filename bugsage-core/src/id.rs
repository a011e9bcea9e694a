//! Ids that travel: 128 bits, UUIDv7, so that they sort by time and never meet.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::clock::Timestamp;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "model", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "model", serde(transparent))]
        pub struct $name(Uuid);

        impl $name {
            /// Makes the UUIDv7 of this moment from ten random bytes.
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(at.millis(), &random).into_uuid())
            }

            /// Takes an id as it came, whoever made it.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The id as sixteen bytes, most significant first.
            pub const fn to_bytes(self) -> [u8; 16] {
                *self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }
    };
}

uuid_id!(
    /// Names one event for ever; an event that comes twice is known by it.
    EventId
);
uuid_id!(
    /// Names one batch, fixed before its first send and kept over every resend.
    BatchId
);
uuid_id!(
    /// Names one process start of an app.
    RunId
);
uuid_id!(
    /// Names one trip of an issue through the pipeline.
    CaseId
);

/// The text is not a UUID, with or without hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a UUID")
    }
}

impl std::error::Error for InvalidId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = EventId::new(Timestamp(1_000_000), [0xff; 10]);
        let late = EventId::new(Timestamp(2_000_000), [0; 10]);

        assert!(early < late);
    }

    #[test]
    fn an_id_survives_its_text() {
        let id = BatchId::new(Timestamp(1_700_000_000_000_000), [7; 10]);

        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("no uuid".parse::<BatchId>(), Err(InvalidId));
    }
}
