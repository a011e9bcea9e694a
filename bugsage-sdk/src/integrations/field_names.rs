//! What the name of a field says about its value, remembered: a line of the log has the same names each time.

use std::cell::Cell;

use bugsage_core::scrub;

/// Names that a thread remembers; more take each other's places.
const KEPT: usize = 64;

/// What `tracing-log` puts before the names of its own fields.
const LOG_FIELDS: &str = "log.";

/// What a field of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Message,
    /// Says where a record of the crate `log` comes from.
    Source,
    Secret,
    Plain,
}

/// The roles of names by where the names lie, which for those of a callsite is one place for ever.
pub(crate) struct FieldNames {
    known: [Cell<(usize, usize, Role)>; KEPT],
}

impl FieldNames {
    pub(crate) const fn new() -> Self {
        Self {
            known: [const { Cell::new((0, 0, Role::Plain)) }; KEPT],
        }
    }

    pub(crate) fn role(&self, name: &'static str) -> Role {
        let (at, length) = (name.as_ptr().addr(), name.len());
        // Multiplied by the golden ratio, the upper bits differ for neighbours too.
        let hash = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &self.known[(hash >> (u64::BITS - KEPT.ilog2())) as usize];
        let (known, known_length, role) = place.get();
        if (known, known_length) == (at, length) {
            return role;
        }
        let role = role_of(name);
        place.set((at, length, role));
        role
    }
}

fn role_of(name: &str) -> Role {
    if name == "message" {
        Role::Message
    } else if name.starts_with(LOG_FIELDS) {
        Role::Source
    } else if scrub::is_secret_name(name) {
        Role::Secret
    } else {
        Role::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_role_whether_it_is_remembered_or_not() {
        // One place in memory for names of several lengths.
        const NAMES: &str = "message_token";
        let names = FieldNames::new();
        for _ in 0..3 {
            assert_eq!(names.role(&NAMES[..7]), Role::Message);
            assert_eq!(names.role(NAMES), Role::Secret);
            assert_eq!(names.role(&NAMES[..4]), Role::Plain);
            assert_eq!(names.role("log.file"), Role::Source);
        }
    }
}
