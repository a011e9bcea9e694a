//! From which level on lines of the log count: as breadcrumbs, as events. May change at any time.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

use bugsage_core::event::Level;

use crate::record;

/// Targets with a level of their own. They are looked through one by one for each line.
const RULES_MAX: usize = 64;

/// Nothing counts.
const OFF: u8 = u8::MAX;

/// Which lines become breadcrumbs.
pub(crate) static BREADCRUMBS: Levels = Levels::new(Level::Info);

/// Which lines become events.
pub(crate) static EVENTS: Levels = Levels::new(Level::Error);

pub(crate) struct Levels {
    level: AtomicU8,
    has_rules: AtomicBool,
    rules: RwLock<Vec<(String, u8)>>,
}

impl Levels {
    const fn new(level: Level) -> Self {
        Self {
            level: AtomicU8::new(level as u8),
            has_rules: AtomicBool::new(false),
            rules: RwLock::new(Vec::new()),
        }
    }

    /// Whether a line of a level and target counts.
    pub(crate) fn take(&self, level: Level, target: &str) -> bool {
        let least = if self.has_rules.load(Ordering::Acquire) {
            self.least_for(target)
        } else {
            self.level.load(Ordering::Relaxed)
        };
        least != OFF && record::level_number(level) >= least
    }

    fn least_for(&self, target: &str) -> u8 {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let fitting = rules
            .iter()
            .filter(|(prefix, _)| target.starts_with(prefix));
        let longest = fitting.max_by_key(|(prefix, _)| prefix.len());
        longest.map_or_else(|| self.level.load(Ordering::Relaxed), |(_, level)| *level)
    }

    /// Sets the least level that counts; none does with `None`.
    pub(crate) fn set(&self, level: Option<Level>) {
        self.level.store(number(level), Ordering::Relaxed);
    }

    /// Sets the least level of targets that begin so.
    pub(crate) fn set_for(&self, prefix: &str, level: Option<Level>) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.retain(|(known, _)| known != prefix);
        if rules.len() < RULES_MAX {
            rules.push((prefix.to_owned(), number(level)));
        }
        self.has_rules.store(true, Ordering::Release);
    }
}

fn number(level: Option<Level>) -> u8 {
    level.map_or(OFF, record::level_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_target_that_fits_counts_and_levels_may_be_off() {
        let levels = Levels::new(Level::Info);
        assert!(levels.take(Level::Info, "shop") && !levels.take(Level::Debug, "shop"));

        levels.set_for("hyper", None);
        levels.set_for("hyper::client", Some(Level::Warn));
        assert!(!levels.take(Level::Error, "hyper::server"));
        assert!(levels.take(Level::Warn, "hyper::client::conn"));
        assert!(!levels.take(Level::Info, "hyper::client::conn"));
        levels.set(Some(Level::Debug));
        assert!(levels.take(Level::Debug, "shop"));
        levels.set(None);
        assert!(!levels.take(Level::Fatal, "shop"));
        levels.set_for("hyper", Some(Level::Trace));
        assert!(levels.take(Level::Trace, "hyper::server"));
    }
}
