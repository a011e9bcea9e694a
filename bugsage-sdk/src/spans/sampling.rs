//! Which traces are sampled: decided when a trace begins, before anything else is paid for it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::Metadata;

use super::fields::{Fields, Value};
use crate::capture::error::contained;
use crate::context::with_local;

/// The app's own decision.
pub(crate) type Sampler = Arc<dyn Fn(&TraceRoot<'_>) -> Option<f64> + Send + Sync>;

/// Names with a rate of their own. They are looked through one by one when a trace begins.
pub(crate) const RULES_MAX: usize = 64;

/// The collector asks for no rate. Far from any threshold but all ones, and that is another number.
const NOT_ASKED: u64 = u64::MAX - 1;

/// The first span of a trace, as far as it is known before it is opened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TraceRoot<'a> {
    /// The span's name, which its field `otel.name` may set. Of a request it is method and route, as far as
    /// the route is known, else method and path: `GET /orders/{id}`.
    pub name: &'a str,
    /// The module path that it is declared in, unless the app chose another target.
    pub target: &'static str,
}

/// A span that may begin a trace: what it was declared with, and its fields as they were recorded.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) metadata: &'static Metadata<'static>,
    pub(crate) fields: &'a [u8],
}

impl<'a> Candidate<'a> {
    /// What rules and the app's sampler know the trace by.
    fn name(&self) -> Cow<'a, str> {
        let text = |wanted: &str| {
            let field = self.metadata.fields().field(wanted)?;
            let values = Fields::new(self.fields);
            let value = values
                .into_iter()
                .find(|(n, _)| usize::from(*n) == field.index());
            match value {
                Some((_, Value::Text(text))) if !text.is_empty() => Some(text),
                _ => None,
            }
        };
        let request = text("http.request.method").zip(text("url.path"));
        match request.filter(|_| text("http.route").is_none()) {
            Some((method, path)) => format!("{method} {path}").into(),
            None => text("otel.name").unwrap_or(self.metadata.name()).into(),
        }
    }
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
    pub(crate) fn decides(&self, root: Candidate<'_>, random: u64) -> bool {
        let threshold = self
            .special(root)
            .map_or_else(|| self.threshold(), threshold);
        threshold == u64::MAX || random < threshold
    }

    fn special(&self, root: Candidate<'_>) -> Option<f64> {
        let has_rules = self.has_rules.load(Ordering::Acquire);
        if self.sampler.is_none() && !has_rules {
            return None;
        }
        let name = root.name();
        if let Some(sampler) = &self.sampler {
            let root = TraceRoot {
                name: &name,
                target: root.metadata.target(),
            };
            // A span that the sampler itself opens is not decided by it: that would never end.
            let decided = with_local(|local| local.deciding(|| contained(|| sampler(&root))));
            let decided = decided.flatten().flatten().flatten();
            if decided.is_some() {
                return decided;
            }
        }
        if !has_rules {
            return None;
        }
        // Held for the time it takes to read: who changes rates does so now and then.
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let fitting = rules.iter().filter(|rule| name.starts_with(&rule.prefix));
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

    fn root() -> Candidate<'static> {
        let registry = tracing_subscriber::registry();
        let span =
            tracing::subscriber::with_default(registry, || tracing::info_span!("checkout.pay"));
        Candidate {
            metadata: span.metadata().expect("is enabled"),
            fields: &[],
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
        let root = root();
        let share = |rate| {
            let sampling = Sampling::new(rate, Vec::new(), None);
            let traces = (0..1_000_u64).map(|n| n * (u64::MAX / 1_000));
            traces.filter(|n| sampling.decides(root, *n)).count()
        };

        assert_eq!(share(0.0), 0);
        assert_eq!(share(1.0), 1_000);
        assert_eq!(share(7.0), 1_000);
        assert_eq!(share(-1.0), 0);
        assert_eq!(share(f64::NAN), 0);
        assert!((249..=251).contains(&share(0.25)));
        let sampling = Sampling::new(1.0, Vec::new(), None);
        assert!(sampling.decides(root, u64::MAX));
        sampling.set_rate(0.0);
        assert!(!sampling.decides(root, 0));
    }

    #[test]
    fn what_is_asked_wins_and_the_apps_own_rate_returns() {
        let root = root();
        let sampling = Sampling::new(0.0, vec![rule("health", 1.0)], None);
        let decides = || sampling.decides(root, 5);

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
        let root = root();
        let rules = vec![rule("check", 0.0), rule("checkout", 1.0), rule("z", 0.0)];
        let sampling = Sampling::new(0.0, rules.clone(), None);
        assert!(sampling.decides(root, 5));

        let sampler: Sampler =
            Arc::new(|root: &TraceRoot<'_>| root.name.ends_with("pay").then_some(0.0));
        let sampling = Sampling::new(1.0, rules.clone(), Some(sampler));
        assert!(!sampling.decides(root, 5));

        let sampler: Sampler = Arc::new(|_: &TraceRoot<'_>| panic!("on purpose"));
        let sampling = Sampling::new(0.0, rules, Some(sampler));
        assert!(sampling.decides(root, 5), "it has not decided");
    }

    #[test]
    fn a_root_is_known_by_the_name_that_it_is_shown_by() {
        let name = |open: fn() -> tracing::Span, values: &[(u8, &str)]| {
            let registry = tracing_subscriber::registry();
            let metadata = tracing::subscriber::with_default(registry, open).metadata();
            let mut fields = Vec::new();
            for (number, text) in values {
                fields.extend_from_slice(&[*number, 4, text.len() as u8, 0]);
                fields.extend_from_slice(text.as_bytes());
            }
            let root = Candidate {
                metadata: metadata.expect("is enabled"),
                fields: &fields,
            };
            root.name().into_owned()
        };
        let request = || {
            tracing::info_span!(
                "request",
                otel.name = "",
                http.request.method = "",
                url.path = "",
                http.route = ""
            )
        };

        assert_eq!(name(request, &[]), "request");
        assert_eq!(
            name(request, &[(1, "GET"), (2, "/healthz")]),
            "GET /healthz"
        );
        let path = [(0, "GET"), (1, "GET"), (2, "/orders/7")];
        let all = [
            (0, "GET /orders/{id}"),
            path[1],
            path[2],
            (3, "/orders/{id}"),
        ];
        assert_eq!(name(request, &path), "GET /orders/7");
        assert_eq!(name(request, &all), "GET /orders/{id}");
        assert_eq!(name(|| tracing::info_span!("job"), &[]), "job");
    }

    #[test]
    fn a_trace_that_the_sampler_begins_is_decided_without_it() {
        let sampling = Arc::new_cyclic(|weak: &std::sync::Weak<Sampling>| {
            let weak = weak.clone();
            let sampler: Sampler = Arc::new(move |_: &TraceRoot<'_>| {
                let inner = weak.upgrade().is_some_and(|own| own.decides(root(), 5));
                Some(if inner { 0.0 } else { 1.0 })
            });
            Sampling::new(1.0, Vec::new(), Some(sampler))
        });

        assert!(!sampling.decides(root(), 5), "the rate decided within it");
        assert!(!sampling.decides(root(), 5), "and so it does again");
    }
}
