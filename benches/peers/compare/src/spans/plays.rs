//! What is played, with which programs, and what is promised of it.

use std::time::Duration;

use super::Column;
use super::goal::Goal;
use crate::server::Manner;

/// A scene as it is played.
pub(super) struct Play {
    pub(super) title: &'static str,
    pub(super) scene: &'static str,
    /// Which share of traces is sampled.
    pub(super) rate: f64,
    pub(super) columns: &'static [Column],
    /// Where BugSage sends to; without one it throws away, as its peers do.
    pub(super) network: Option<Manner>,
    /// Each with the figure that it is about.
    pub(super) goals: &'static [(&'static str, Goal)],
}

/// Programs that use `tracing`.
const LAYERS: &[Column] = &[
    Column::Bare,
    Column::Layered,
    Column::BugSage,
    Column::Sentry,
];

/// And `span!`, which does without.
const WITH_NATIVE: &[Column] = &[
    Column::Bare,
    Column::Layered,
    Column::BugSage,
    Column::Sentry,
    Column::Native,
];

const NO_ALLOCATION: (&str, Goal) = ("allocations", Goal::AtMost(0.0));

const fn play(
    title: &'static str,
    scene: &'static str,
    rate: f64,
    columns: &'static [Column],
    goals: &'static [(&'static str, Goal)],
) -> Play {
    Play {
        title,
        scene,
        rate,
        columns,
        network: None,
        goals,
    }
}

const SPAN: &[(&str, Goal)] = &[
    ("ns", Goal::TimesBare(2.0)),
    ("ns", Goal::PartOfSentry(0.2)),
    ("ns", Goal::NativeTimesFastrace(1.2)),
];

/// Fifty nanoseconds for each of three spans.
const UNSAMPLED: &[(&str, Goal)] = &[("ns", Goal::AboveBare(150.0)), NO_ALLOCATION];

const POLL: &[(&str, Goal)] = &[("ns", Goal::AboveBare(30.0)), NO_ALLOCATION];

const CRUMB_SPAN: (&str, Goal) = ("ns", Goal::TimesBare(2.5));

const ERROR: &[(&str, Goal)] = &[("ns", Goal::AtMost(1_200.0))];

const THREADS: &[(&str, Goal)] = &[("ratio", Goal::AtMost(1.2))];

/// How far one play may be from another that should cost the same.
const FLAT: f64 = 1.1;

const CRUMB_SAMPLED: &str = "span + breadcrumb, sampled";
const CRUMB_UNSAMPLED: &str = "span + breadcrumb, unsampled";

pub(super) const PLAYS: [Play; 21] = [
    play(
        "3 nested spans, sampled, without a pause",
        "nested",
        1.0,
        &Column::ALL,
        SPAN,
    ),
    play(
        "3 nested spans, sampled, 20,000 traces a second",
        "nested-paced",
        1.0,
        &Column::ALL,
        SPAN,
    ),
    play(
        "3 nested spans, unsampled",
        "nested",
        0.0,
        WITH_NATIVE,
        UNSAMPLED,
    ),
    play("poll in a span, sampled", "poll", 1.0, LAYERS, POLL),
    play("poll in a span, unsampled", "poll", 0.0, LAYERS, POLL),
    play(CRUMB_SAMPLED, "crumb-span", 1.0, LAYERS, &[CRUMB_SPAN]),
    play(
        "the same, 100 breadcrumbs held by the thread, sampled",
        "crumb-span-held",
        1.0,
        LAYERS,
        &[CRUMB_SPAN, ("ns", Goal::TimesPlay(CRUMB_SAMPLED, FLAT))],
    ),
    play(
        "the same, 100 held by the trace around it, sampled",
        "crumb-span-inside",
        1.0,
        LAYERS,
        &[CRUMB_SPAN],
    ),
    play(CRUMB_UNSAMPLED, "crumb-span", 0.0, LAYERS, &[CRUMB_SPAN]),
    play(
        "the same, 100 breadcrumbs held by the thread, unsampled",
        "crumb-span-held",
        0.0,
        LAYERS,
        &[CRUMB_SPAN, ("ns", Goal::TimesPlay(CRUMB_UNSAMPLED, FLAT))],
    ),
    play(
        "breadcrumb in an open span",
        "crumb",
        0.0,
        LAYERS,
        &[("ns", Goal::AtMost(100.0))],
    ),
    play("error!, equal ones", "error-equal", 0.0, LAYERS, ERROR),
    play(
        "error!, different ones, 5,000 a second",
        "error-different",
        0.0,
        LAYERS,
        ERROR,
    ),
    play(
        "1 and 2 threads, ns of a span, sampled",
        "threads",
        1.0,
        &Column::ALL,
        THREADS,
    ),
    play(
        "1 and 2 threads, ns of a span, unsampled",
        "threads",
        0.0,
        LAYERS,
        THREADS,
    ),
    app("app, collector alive, rate 1.0", 1.0, LAYERS, ALIVE),
    app(
        "app, collector hanging, rate 1.0",
        1.0,
        OURS,
        Manner::Silent,
    ),
    app("app, collector dead, rate 1.0", 1.0, OURS, Manner::Refuses),
    app("app, collector alive, rate 0.1", 0.1, LAYERS, ALIVE),
    app(
        "app, collector hanging, rate 0.1",
        0.1,
        OURS,
        Manner::Silent,
    ),
    app("app, collector dead, rate 0.1", 0.1, OURS, Manner::Refuses),
];

const ALIVE: Manner = Manner::Answers(Duration::ZERO);

const OURS: &[Column] = &[Column::Bare, Column::Layered, Column::BugSage];

/// Twenty spans and ten lines of log in 200 µs of work, a thousand times a second.
const fn app(title: &'static str, rate: f64, columns: &'static [Column], network: Manner) -> Play {
    Play {
        title,
        scene: "app",
        rate,
        columns,
        network: Some(network),
        goals: &[
            ("cpu_us", Goal::TimesBare(1.03)),
            ("p99_us", Goal::BareSpread),
        ],
    }
}

/// Nothing, for ten seconds after the start.
pub(super) const IDLE: Play = play(
    "idle for 10 s after the start",
    "idle",
    1.0,
    LAYERS,
    &[
        ("threads", Goal::AtMost(1.0)),
        ("memory_kib", Goal::AtMost(2_048.0)),
        ("switches", Goal::AtMost(0.0)),
    ],
);
