//! From which level on lines of the log count: as breadcrumbs, as events. May change at any time.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use bugsage_core::event::Level;
use bugsage_core::remote::LevelFilter;

use crate::record;

/// Targets with a level of their own. They are looked through one by one for each line.
const RULES_MAX: usize = 64;

/// Nothing counts.
const OFF: u8 = u8::MAX;

/// The collector asks for no level.
const NOT_ASKED: u8 = u8::MAX - 1;

/// Which lines become breadcrumbs.
pub(crate) static BREADCRUMBS: Levels = Levels::new(Level::Info);

/// Which lines become events.
pub(crate) static EVENTS: Levels = Levels::new(Level::Error);

/// In whose name a level is asked for: levels belong to the process, and what was asked of a client that is
/// no more must not hold for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Follower(u32);

impl Follower {
    /// Nobody.
    const NOBODY: Self = Self(0);

    /// One that nobody else is, in 16 million clients.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self((NEXT.fetch_add(1, Ordering::Relaxed) % 0xff_ffff) + 1)
    }

    /// A level beside whoever it is asked in the name of, so that both change at once.
    fn with(self, level: u8) -> u32 {
        self.0 << 8 | u32::from(level)
    }

    fn of(asked: u32) -> Self {
        Self(asked >> 8)
    }
}

/// From now on levels are asked for in the name of this one, which begins with none.
pub(crate) fn follow(follower: Follower) {
    for levels in [&EVENTS, &BREADCRUMBS] {
        levels.follow(follower);
    }
}

/// Nothing is asked for in the name of this one any more.
pub(crate) fn unfollow(follower: Follower) {
    for levels in [&EVENTS, &BREADCRUMBS] {
        levels.unfollow(follower);
    }
}

pub(crate) struct Levels {
    /// As the app has set it.
    own: AtomicU8,
    /// As the collector asks for it, or [`NOT_ASKED`]; and in whose name.
    asked: AtomicU32,
    has_rules: AtomicBool,
    rules: RwLock<Vec<(String, u8)>>,
}

impl Levels {
    const fn new(level: Level) -> Self {
        Self {
            own: AtomicU8::new(level as u8),
            asked: AtomicU32::new(NOT_ASKED as u32),
            has_rules: AtomicBool::new(false),
            rules: RwLock::new(Vec::new()),
        }
    }

    /// Whether a line of a level and target counts.
    pub(crate) fn take(&self, level: Level, target: &str) -> bool {
        let least = if self.has_rules.load(Ordering::Acquire) {
            self.least_for(target)
        } else {
            self.least()
        };
        least != OFF && record::level_number(level) >= least
    }

    fn least_for(&self, target: &str) -> u8 {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let fitting = rules
            .iter()
            .filter(|(prefix, _)| target.starts_with(prefix));
        let longest = fitting.max_by_key(|(prefix, _)| prefix.len());
        longest.map_or_else(|| self.least(), |(_, level)| *level)
    }

    /// The least level that counts of targets without one of their own.
    fn least(&self) -> u8 {
        match self.asked.load(Ordering::Relaxed) as u8 {
            NOT_ASKED => self.own.load(Ordering::Relaxed),
            asked => asked,
        }
    }

    /// Sets the app's own least level that counts; none does with `None`. It holds while the collector asks
    /// for none.
    pub(crate) fn set(&self, level: Option<Level>) {
        self.own.store(number(level), Ordering::Relaxed);
    }

    /// Sets the least level that the collector asks for; with `None` the app's own returns. Does nothing in
    /// the name of somebody who is no more.
    pub(crate) fn ask(&self, follower: Follower, level: Option<LevelFilter>) {
        let level = level.map_or(NOT_ASKED, |level| number(level.least()));
        self.change(follower, follower.with(level));
    }

    fn follow(&self, follower: Follower) {
        let nothing = follower.with(NOT_ASKED);
        self.asked.store(nothing, Ordering::Relaxed);
    }

    fn unfollow(&self, follower: Follower) {
        self.change(follower, Follower::NOBODY.with(NOT_ASKED));
    }

    /// No lock: a child made by `fork` may have to go on from the middle of this.
    fn change(&self, follower: Follower, to: u32) {
        let is_theirs = |asked| (Follower::of(asked) == follower).then_some(to);
        // Where it is not, there is nothing to do.
        let _ = (self.asked).fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_theirs);
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

    #[test]
    fn what_is_asked_wins_and_the_apps_own_level_returns() {
        let levels = Levels::new(Level::Error);
        let follower = Follower::new();
        levels.follow(follower);

        levels.ask(follower, Some(LevelFilter::Warn));
        assert!(levels.take(Level::Warn, "shop") && !levels.take(Level::Info, "shop"));
        levels.set(Some(Level::Debug));
        assert!(!levels.take(Level::Info, "shop"), "the own one waits");
        levels.set_for("audit", Some(Level::Info));
        assert!(levels.take(Level::Info, "audit"), "a rule keeps its word");
        levels.ask(follower, Some(LevelFilter::Off));
        assert!(!levels.take(Level::Fatal, "shop"));
        levels.ask(follower, None);
        assert!(levels.take(Level::Debug, "shop"), "and holds now");
    }

    #[test]
    fn nothing_is_asked_in_the_name_of_somebody_who_is_no_more() {
        let levels = Levels::new(Level::Error);
        let (first, second) = (Follower::new(), Follower::new());
        levels.follow(first);
        levels.ask(first, Some(LevelFilter::Trace));

        levels.follow(second);
        assert!(!levels.take(Level::Info, "shop"), "the next begins anew");
        levels.ask(first, Some(LevelFilter::Trace));
        levels.unfollow(first);
        assert!(!levels.take(Level::Info, "shop"), "an answer that is late");
        levels.ask(second, Some(LevelFilter::Info));
        assert!(levels.take(Level::Info, "shop"));
        levels.unfollow(second);
        assert!(!levels.take(Level::Info, "shop"));
    }
}
