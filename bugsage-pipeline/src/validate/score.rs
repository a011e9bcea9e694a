//! How sure it is that a patch is right, and what it could do wrong: two numbers with their reasons.
//!
//! The weights are our judgment and not measured; they order patches, they are no probabilities. The
//! order of risks is that of the templates in the literature: handing a failure on is least, a value
//! that nobody gave is most.

use serde::{Deserialize, Serialize};

use crate::fix::Way;
use crate::limits;
use crate::patch::Change;
use crate::validate::policy::Census;
use crate::validate::{Gate, Verdict};

/// Where a patch is of high risk: a person is told so first.
pub const HIGH_RISK: f64 = 0.7;

/// The most confidence that a patch can have whose failure nobody has seen again.
pub const UNREPRODUCED_CONFIDENCE_MAX: f64 = 0.5;

/// Calls that put a value in the place of a missing one.
const DEFAULTS: &[&str] = &[
    "unwrap_or",
    "unwrap_or_default",
    "unwrap_or_else",
    "map_or",
    "map_or_else",
    "or_default",
    "or_else",
    "default",
    "saturating_sub",
    "saturating_add",
    "saturating_mul",
    "clamp",
];

/// Calls that a fix takes away because they are the failure.
const FAILING: &[&str] = &["unwrap", "expect", "unwrap_err", "expect_err"];

/// What a function deals with when a wrong value costs money or memory.
const DEAR: &[&str] = &[
    "price", "cent", "amount", "balance", "total", "fee", "tax", "offset",
];

/// The two numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// How sure it is that the patch is right, from 0 to 1.
    pub confidence: f64,
    /// What it could do wrong, from 0 to 1.
    pub risk: f64,
    /// Why that sure and that risky.
    pub reasons: Vec<String>,
}

/// What an assessment looks at.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    /// How the patch deals with what was missing; `None` where no rule wrote it.
    pub(crate) way: Option<Way>,
    pub(crate) changes: &'a [Change<'a>],
    pub(crate) test_module: Option<&'a str>,
    pub(crate) verdicts: &'a [Verdict],
    /// What the function has already changed when it leaves early.
    pub(crate) half_done: Option<&'a str>,
    /// Whether the test holds text as somebody typed it.
    pub(crate) holds_recorded_text: bool,
    /// How sure the analysis is.
    pub(crate) analysis: f64,
    /// The failing function.
    pub(crate) function: &'a str,
}

/// Weighs a patch that passed its gates.
pub(crate) fn assess(ground: &Ground<'_>) -> Assessment {
    let mut reasons = Vec::new();
    let risk = risk(ground, &mut reasons);
    let confidence = confidence(ground, risk, &mut reasons);
    Assessment {
        confidence,
        risk,
        reasons,
    }
}

fn risk(ground: &Ground<'_>, reasons: &mut Vec<String>) -> f64 {
    let (mut risk, way): (f64, &str) = match ground.way {
        Some(Way::Propagate) => (0.15, "the failure is handed to the caller"),
        Some(Way::Correct) => (0.3, "the expression now gives a result where it failed"),
        Some(Way::Guard) => (0.35, "what cannot be done is left out without a word"),
        None => (0.4, "no rule stands behind the change"),
    };
    reasons.push(format!("risk: {way}"));
    let (mut silenced, mut removed) = (Vec::new(), Vec::new());
    for change in ground.changes {
        let (Some(before), Some(after)) = (
            Census::of(change.before, ground.test_module),
            Census::of(change.after, ground.test_module),
        ) else {
            continue;
        };
        let grown = |name: &&&str| after.calls.get(**name) > before.calls.get(**name);
        silenced.extend(
            DEFAULTS
                .iter()
                .filter(grown)
                .map(|name| format!("`{name}`")),
        );
        let shrunk = before.calls.iter().filter(|(name, count)| {
            // `Some` and `Err` are no work that could get lost.
            name.starts_with(|first: char| first.is_lowercase())
                && !FAILING.contains(&name.as_str())
                && after.calls.get(*name).unwrap_or(&0) < count
        });
        removed.extend(shrunk.map(|(name, _)| format!("`{name}`")));
        if after.names.contains_key("unsafe") {
            risk += 0.15;
            reasons.push(format!("risk: {} holds unsafe code", change.path));
        }
    }
    if !silenced.is_empty() && ground.way != Some(Way::Correct) {
        risk = risk.max(HIGH_RISK);
        reasons.push(format!(
            "risk: it adds {}, which can hide the failure behind a value",
            silenced.join(", ")
        ));
    }
    if !removed.is_empty() {
        risk = risk.max(HIGH_RISK + 0.05);
        removed.truncate(limits::VALUES_MAX);
        reasons.push(format!("risk: it removes calls of {}", removed.join(", ")));
    }
    if let Some(change) = ground.half_done {
        risk = risk.max(HIGH_RISK + 0.05);
        reasons.push(format!(
            "risk: {change} is already done when the function leaves early, and stays half done"
        ));
    }
    if ground.holds_recorded_text {
        risk += 0.1;
        reasons.push(
            "risk: the test holds text as it was recorded; look whether it may be published"
                .to_owned(),
        );
    }
    let function = ground.function.to_ascii_lowercase();
    if ground.way != Some(Way::Propagate)
        && let Some(word) = DEAR.iter().find(|word| function.contains(**word))
    {
        risk += 0.1;
        reasons.push(format!("risk: `{}` is about a {word}", ground.function));
    }
    if !has_passed(ground.verdicts, Gate::Red) {
        risk += 0.1;
        reasons.push("risk: the failure was not reproduced".to_owned());
    }
    round(risk.min(1.0))
}

fn confidence(ground: &Ground<'_>, risk: f64, reasons: &mut Vec<String>) -> f64 {
    let mut confidence: f64 = 0.35;
    if has_passed(ground.verdicts, Gate::Red) && has_passed(ground.verdicts, Gate::Green) {
        confidence += 0.3;
        reasons.push(
            "confidence: the recorded input fails before the change and passes after it".to_owned(),
        );
    }
    let suite = ground
        .verdicts
        .iter()
        .find(|verdict| verdict.gate == Gate::Suite);
    if let Some(suite) = suite.filter(|suite| suite.passed == Some(true)) {
        confidence += 0.1;
        reasons.push(format!("confidence: {}", suite.detail));
    }
    confidence += 0.2 * ground.analysis;
    reasons.push(format!(
        "confidence: the explanation itself is {:.2} sure",
        ground.analysis
    ));
    if risk >= HIGH_RISK {
        confidence -= 0.2;
        reasons.push(
            "confidence: a patch of high risk is probably not what its author wants".to_owned(),
        );
    }
    if !has_passed(ground.verdicts, Gate::Red) {
        confidence = confidence.min(UNREPRODUCED_CONFIDENCE_MAX);
    }
    round(confidence.clamp(0.0, 0.95))
}

fn has_passed(verdicts: &[Verdict], gate: Gate) -> bool {
    verdicts
        .iter()
        .any(|verdict| verdict.gate == gate && verdict.passed == Some(true))
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "fn pick(v: &[u8], i: usize) -> Option<u8> {\n    log(i);\n    Some(v[i])\n}\n";

    fn verdicts(reproduced: bool) -> Vec<Verdict> {
        [Gate::Red, Gate::Green, Gate::Suite]
            .into_iter()
            .map(|gate| Verdict {
                gate,
                passed: (gate == Gate::Suite || reproduced).then_some(true),
                detail: "9 tests pass".to_owned(),
                command: None,
                output: None,
                seconds: 0.0,
            })
            .collect()
    }

    fn assessed(way: Option<Way>, after: &str, reproduced: bool) -> Assessment {
        let change = Change {
            path: "src/lib.rs",
            before: BEFORE,
            after,
        };
        assess(&Ground {
            way,
            changes: &[change],
            test_module: None,
            verdicts: &verdicts(reproduced),
            half_done: None,
            holds_recorded_text: false,
            analysis: 0.9,
            function: "pick",
        })
    }

    #[test]
    fn a_reproduced_failure_that_is_handed_on_is_the_surest_and_the_least_risk() {
        let handed_on = assessed(
            Some(Way::Propagate),
            &BEFORE.replace("Some(v[i])", "v.get(i).copied()"),
            true,
        );

        assert!(handed_on.risk < 0.3, "{handed_on:?}");
        assert!(handed_on.confidence > 0.8, "{handed_on:?}");
        assert!(handed_on.reasons.len() >= 4);
    }

    #[test]
    fn without_a_reproduction_confidence_stays_low() {
        let after = BEFORE.replace("Some(v[i])", "v.get(i).copied()");

        let assessment = assessed(Some(Way::Propagate), &after, false);

        assert!(assessment.confidence <= UNREPRODUCED_CONFIDENCE_MAX);
    }

    #[test]
    fn a_default_and_deleted_code_are_of_high_risk_whoever_wrote_them() {
        let default = BEFORE.replace("Some(v[i])", "Some(v.get(i).copied().unwrap_or_default())");
        let deleted = BEFORE.replace("    log(i);\n    Some(v[i])", "    None");

        for way in [None, Some(Way::Propagate)] {
            assert!(assessed(way, &default, true).risk >= HIGH_RISK);
            assert!(assessed(way, &deleted, true).risk >= HIGH_RISK);
        }
    }
}
