//! When to try again.

use std::time::{Duration, Instant};

/// The wait after the first failure; it doubles with every further one.
const WAIT_FIRST: Duration = Duration::from_millis(250);

/// The longest wait that we choose ourselves.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The longest wait that a collector can ask for.
const ASKED_MAX: Duration = Duration::from_secs(300);

/// Counts failures and spaces the tries: exponential, with jitter, or as the collector asks.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    next: Option<Instant>,
    /// Whether the collector asked for the wait.
    is_asked: bool,
}

impl Retry {
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    pub(super) fn next_try(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Lets the next try happen at once, without forgetting how often it failed; unless it was the
    /// collector that asked for the wait.
    pub(super) fn hurry(&mut self) {
        if !self.is_asked {
            self.next = None;
        }
    }

    /// The wait is at least what the collector `asked` for and what our own `patience` says;
    /// `jitter` spreads the wait over its upper half, so that apps that failed together do not
    /// come back together.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        asked: Option<Duration>,
        patience: Duration,
        jitter: u8,
    ) {
        let doubled = WAIT_FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let chosen = doubled.min(WAIT_MAX);
        let spread = chosen / 2 + chosen / 2 * u32::from(jitter) / 255;
        let asked_for = asked.map_or(Duration::ZERO, |asked| asked.min(ASKED_MAX));
        let wait = spread.max(asked_for).max(patience);
        self.next = now.checked_add(wait);
        self.is_asked = asked.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_end_with_success() {
        let now = Instant::now();
        let mut retry = Retry::default();
        let wait = |retry: &Retry| retry.next_try().map(|next| next - now);

        retry.failed(now, None, Duration::ZERO, 255);
        assert_eq!(wait(&retry), Some(WAIT_FIRST));
        retry.failed(now, None, Duration::ZERO, 255);
        assert_eq!(wait(&retry), Some(WAIT_FIRST * 2));
        (0..50).for_each(|_| retry.failed(now, None, Duration::ZERO, 255));
        assert_eq!(wait(&retry), Some(WAIT_MAX));
        assert!(!retry.may_try(now));

        retry.succeeded();
        assert!(retry.may_try(now));
    }

    #[test]
    fn the_collector_may_ask_for_more_but_not_for_ever() {
        let now = Instant::now();
        let mut retry = Retry::default();

        retry.failed(now, Some(Duration::from_secs(86_400)), Duration::ZERO, 0);

        assert_eq!(retry.next_try(), Some(now + ASKED_MAX));
    }

    #[test]
    fn a_flush_ends_a_wait_of_our_own_and_none_that_was_asked_for() {
        let now = Instant::now();
        let mut retry = Retry::default();

        retry.failed(now, None, Duration::from_secs(60), 255);
        assert_eq!(retry.next_try(), Some(now + Duration::from_secs(60)));
        retry.hurry();
        assert!(retry.may_try(now));
        retry.failed(now, Some(Duration::from_secs(9)), Duration::ZERO, 255);
        retry.hurry();
        assert!(!retry.may_try(now));
    }
}
