//! Which traces are sampled: decided when a trace begins, before anything else is paid for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::Metadata;

/// The app's own decision.
pub(crate) type Sampler = Arc<dyn Fn(&TraceRoot) -> Option<f64> + Send + Sync>;

/// Names with a rate of their own. They are looked through one by one when a trace begins.
pub(crate) const RULES_MAX: usize = 64;

/// The collector asks for no rate. Far from any threshold but all ones, and that is another number.
const NOT_ASKED: u64 = u64::MAX - 1;

/// The first span of a trace, as far as it is known before it is opened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TraceRoot {
    /// The span's name.
    pub name: &'static str,
    /// The module path that it is declared in, unless the app chose another target.
    pub target: &'static str,
}

/// A rate for spans whose name begins so.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) prefix: String,
    pub(crate) rate: f64,
}

/// The rates as they are now. They may change at any time.
pub(crate) struct Sampling {
    /// Of 2⁶⁴ traces, as the app has set it; all ones is every trace.
    own: AtomicU64,
    /// The same as the collector asks for it, or [`NOT_ASKED`].
    asked: AtomicU64,
    has_rules: AtomicBool,
    rules: RwLock<Vec<Rule>>,
    sampler: Option<Sampler>,
}

impl Sampling {
    pub(crate) fn new(rate: f64, rules: Vec<Rule>, sampler: Option<Sampler>) -> Self {
        let sampling = Self {
            own: AtomicU64::new(threshold(rate)),
            asked: AtomicU64::new(NOT_ASKED),
            has_rules: AtomicBool::new(false),
            rules: RwLock::default(),
            sampler,
        };
        sampling.set_rules(rules);
        sampling
    }

    /// Every trace, whatever was set before.
    pub(crate) fn sample_all(&self) {
        self.set_rules(Vec::new());
        self.set_rate(1.0);
    }

    /// Sets the app's own rate, which holds while the collector asks for none.
    pub(crate) fn set_rate(&self, rate: f64) {
        self.own.store(threshold(rate), Ordering::Relaxed);
    }

    /// Sets the rate that the collector asks for; with `None` the app's own returns.
    pub(crate) fn ask_rate(&self, rate: Option<f64>) {
        let asked = rate.map_or(NOT_ASKED, threshold);
        self.asked.store(asked, Ordering::Relaxed);
    }

    /// The rate in force for what has no rate of its own. Two loads, so that neither side ever has to read
    /// what the other has set.
    fn threshold(&self) -> u64 {
        match self.asked.load(Ordering::Relaxed) {
            NOT_ASKED => self.own.load(Ordering::Relaxed),
            asked => asked,
        }
    }

    pub(crate) fn set_rate_of(&self, prefix: &str, rate: f64) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.retain(|rule| rule.prefix != prefix);
        if rules.len() < RULES_MAX {
            rules.push(Rule {
                prefix: prefix.to_owned(),
                rate,
            });
        }
        self.has_rules.store(true, Ordering::Release);
    }

    fn set_rules(&self, mut rules: Vec<Rule>) {
        rules.truncate(RULES_MAX);
        let has_rules = !rules.is_empty();
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        self.has_rules.store(has_rules, Ordering::Release);
    }

    /// Whether a trace is sampled that begins with a span. `random` is any number of 64 bits.
    ///
    /// The app's own decision comes first, then the longest rule that fits, then the rate that the collector
    /// asks for, then the app's. A sampler that panics has not decided.
    pub(crate) fn decides(&self, metadata: &'static Metadata<'static>, random: u64) -> bool {
        let threshold = self
            .special(metadata)
            .map_or_else(|| self.threshold(), threshold);
        threshold == u64::MAX || random < threshold
    }

    fn special(&self, metadata: &'static Metadata<'static>) -> Option<f64> {
        if let Some(sampler) = &self.sampler {
            let root = TraceRoot {
                name: metadata.name(),
                target: metadata.target(),
            };
            let decided = crate::capture::error::contained(|| sampler(&root)).flatten();
            if decided.is_some() {
                return decided;
            }
        }
        if !self.has_rules.load(Ordering::Acquire) {
            return None;
        }
        // Held for the time it takes to read: who changes rates does so now and then.
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let fitting = rules
            .iter()
            .filter(|rule| metadata.name().starts_with(&rule.prefix));
        let longest = fitting.max_by_key(|rule| rule.prefix.len());
        longest.map(|rule| rule.rate)
    }
}

/// A rate is between nothing, 0.0, and everything, 1.0; what is no number is nothing.
fn threshold(rate: f64) -> u64 {
    if rate >= 1.0 {
        u64::MAX
    } else if rate > 0.0 {
        // At most 2⁶⁴ minus 2¹¹: the largest number below one has 53 digits.
        (rate * 18_446_744_073_709_551_616.0) as u64
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> &'static Metadata<'static> {
        tracing_subscriber::registry().with_default_span("checkout.pay")
    }

    trait WithDefaultSpan {
        fn with_default_span(self, name: &str) -> &'static Metadata<'static>;
    }

    impl WithDefaultSpan for tracing_subscriber::Registry {
        fn with_default_span(self, name: &str) -> &'static Metadata<'static> {
            let span =
                tracing::subscriber::with_default(self, || tracing::info_span!("checkout.pay"));
            let metadata = span.metadata().expect("is enabled");
            assert_eq!(metadata.name(), name);
            metadata
        }
    }

    fn rule(prefix: &str, rate: f64) -> Rule {
        Rule {
            prefix: prefix.to_owned(),
            rate,
        }
    }

    #[test]
    fn a_rate_is_a_share_of_all_traces() {
        let metadata = metadata();
        let share = |rate| {
            let sampling = Sampling::new(rate, Vec::new(), None);
            let traces = (0..1_000_u64).map(|n| n * (u64::MAX / 1_000));
            traces.filter(|n| sampling.decides(metadata, *n)).count()
        };

        assert_eq!(share(0.0), 0);
        assert_eq!(share(1.0), 1_000);
        assert_eq!(share(7.0), 1_000);
        assert_eq!(share(-1.0), 0);
        assert_eq!(share(f64::NAN), 0);
        assert!((249..=251).contains(&share(0.25)));
        let sampling = Sampling::new(1.0, Vec::new(), None);
        assert!(sampling.decides(metadata, u64::MAX));
        sampling.set_rate(0.0);
        assert!(!sampling.decides(metadata, 0));
    }

    #[test]
    fn what_is_asked_wins_and_the_apps_own_rate_returns() {
        let metadata = metadata();
        let sampling = Sampling::new(0.0, vec![rule("health", 1.0)], None);
        let decides = || sampling.decides(metadata, 5);

        sampling.ask_rate(Some(1.0));
        assert!(decides());
        sampling.set_rate(0.0);
        assert!(decides(), "what the app sets meanwhile waits");
        sampling.ask_rate(Some(0.0));
        sampling.set_rate(1.0);
        assert!(!decides());
        sampling.ask_rate(None);
        assert!(decides(), "and holds now");
        sampling.set_rate_of("check", 0.0);
        sampling.ask_rate(Some(1.0));
        assert!(!decides(), "a rule keeps its word");
    }

    #[test]
    fn the_longest_rule_that_fits_counts_and_the_app_has_the_first_word() {
        let metadata = metadata();
        let rules = vec![rule("check", 0.0), rule("checkout", 1.0), rule("z", 0.0)];
        let sampling = Sampling::new(0.0, rules.clone(), None);
        assert!(sampling.decides(metadata, 5));

        let sampler: Sampler =
            Arc::new(|root: &TraceRoot| root.name.ends_with("pay").then_some(0.0));
        let sampling = Sampling::new(1.0, rules.clone(), Some(sampler));
        assert!(!sampling.decides(metadata, 5));

        let sampler: Sampler = Arc::new(|_: &TraceRoot| panic!("on purpose"));
        let sampling = Sampling::new(0.0, rules, Some(sampler));
        assert!(sampling.decides(metadata, 5), "it has not decided");
    }
}
