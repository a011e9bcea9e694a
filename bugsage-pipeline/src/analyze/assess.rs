//! How bad it is, and how sure the explanation is: numbers with their reasons.

use serde::{Deserialize, Serialize};

use bugsage_core::event::EventKind;
use bugsage_core::panic_class::PanicClass;

use crate::analyze::suspect::SuspectedBy;
use crate::evidence::{Evidence, KnownBy, PlaceKnownBy};
use crate::subject::Subject;

/// How bad an issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Can wait.
    Low,
    /// Should be mended.
    Medium,
    /// Hurts many users, or ends the process.
    High,
    /// Data or memory may be damaged, or the app is hardly usable.
    Critical,
}

impl Severity {
    /// The severity's name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// Events an hour above which an issue is critical: an app that fails every few seconds.
const CRITICAL_EVENTS_PER_HOUR: u64 = 1_000;
/// Events, or users, above which an issue is of high severity.
const MANY_EVENTS: u64 = 100;
const MANY_USERS: u64 = 10;

/// How bad an issue is, with the reasons.
pub(crate) fn severity(
    subject: &Subject,
    evidence: &Evidence,
    class: Option<PanicClass>,
    reasons: &mut Vec<String>,
) -> Severity {
    use PanicClass::*;
    let hours = subject.last_seen.micros_since(subject.first_seen) / 3_600_000_000 + 1;
    let per_hour = subject.events / hours;
    let panicked = evidence.report.kind == EventKind::Panic;
    let thread = evidence
        .report
        .thread
        .as_ref()
        .map(|thread| thread.as_str());
    let mut severity = if panicked {
        Severity::Medium
    } else {
        Severity::Low
    };
    let mut raise = |to: Severity, reason: String| {
        if to >= severity {
            severity = to;
        }
        reasons.push(format!("severity: {reason}"));
    };
    raise(
        if panicked {
            Severity::Medium
        } else {
            Severity::Low
        },
        format!(
            "{} in {} event{}",
            if panicked { "a panic" } else { "an error" },
            subject.events,
            if subject.events == 1 { "" } else { "s" }
        ),
    );
    if matches!(
        class,
        Some(UnsafePrecondition | MisalignedPointer | NullPointer | InvalidEnum | StackOverflow)
    ) {
        raise(
            Severity::Critical,
            "it ends the process, and memory may be damaged".into(),
        );
    }
    if panicked && per_hour >= CRITICAL_EVENTS_PER_HOUR {
        raise(Severity::Critical, format!("{per_hour} events an hour"));
    } else if subject.events >= MANY_EVENTS {
        raise(
            if panicked {
                Severity::High
            } else {
                Severity::Medium
            },
            "it happens often".into(),
        );
    }
    if subject.users >= MANY_USERS {
        raise(
            Severity::High,
            format!("{} users are affected", subject.users),
        );
    }
    if panicked && thread == Some("main") && !evidence.report.caught {
        raise(
            Severity::High,
            "the main thread panicked, which ends the process".into(),
        );
    }
    severity
}

/// What the explanation rests on.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    pub(crate) class_known: bool,
    pub(crate) parsed: bool,
    pub(crate) found: bool,
    pub(crate) exact: bool,
    pub(crate) rivals: usize,
    pub(crate) traced: bool,
    pub(crate) proved: bool,
    pub(crate) secondary: bool,
    pub(crate) suspected_by: Option<SuspectedBy>,
    pub(crate) is_error: bool,
}

/// What every explanation begins with, and what no weight can take it out of.
const PERCENT_AT_FIRST: i32 = 20;
const PERCENT_MIN: i32 = 5;
const PERCENT_MAX: i32 = 95;

/// How sure the explanation is, from 0 to 1, with the reasons.
pub(crate) fn confidence(evidence: &Evidence, ground: &Ground, reasons: &mut Vec<String>) -> f64 {
    let mut percent = PERCENT_AT_FIRST;
    reasons.push(format!("confidence {percent}: to begin with"));
    let mut weigh = |points: i32, reason: &str| {
        percent += points;
        reasons.push(format!("confidence {points:+}: {reason}"));
    };
    match evidence.commit.known_by {
        KnownBy::Event => weigh(10, "the event names its commit"),
        KnownBy::Tag => weigh(5, "the commit is known by the version's tag"),
        KnownBy::Guessed => weigh(-15, "the commit is a guess"),
    }
    if evidence.place.known_by == PlaceKnownBy::Frame {
        weigh(-3, "the place is that of the first frame of the app");
    }
    if ground.class_known {
        weigh(15, "the message tells exactly what failed");
    } else if !ground.is_error {
        weigh(
            0,
            "the message is the app's own; the class is read from the source",
        );
    }
    match (ground.parsed, ground.found, ground.exact) {
        (false, ..) => weigh(-10, "the file could not be read as Rust"),
        (true, false, _) => weigh(-10, "no expression at that place can fail like this"),
        (true, true, true) => weigh(25, "the failing expression begins at the reported column"),
        (true, true, false) => weigh(10, "the failing expression stands on the reported line"),
    }
    if ground.rivals > 0 {
        weigh(
            -15,
            "other expressions at the same place can fail like this too",
        );
    }
    if ground.traced {
        weigh(10, "the value was followed to where it enters the function");
    }
    if ground.proved {
        weigh(10, "the numbers prove that a check lets it through");
    }
    match ground.suspected_by {
        Some(SuspectedBy::Releases) => weigh(5, "the releases confirm the suspect commit"),
        Some(SuspectedBy::Blame) => {
            weigh(-5, "nothing but blame speaks against the suspect commit")
        }
        Some(SuspectedBy::Removal) | None => {}
    }
    if ground.secondary {
        weigh(-40, "this panic is the echo of an earlier one");
    }
    let within = percent.clamp(PERCENT_MIN, PERCENT_MAX);
    if within != percent {
        let points = within - percent;
        reasons.push(format!(
            "confidence {points:+}: it is kept from {PERCENT_MIN} to {PERCENT_MAX}"
        ));
    }
    f64::from(within) / 100.0
}
