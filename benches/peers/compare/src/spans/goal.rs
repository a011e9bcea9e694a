//! What is promised of a figure, and whether it is kept.

use super::Column;
use super::table::{Row, Table};
use crate::median;

/// What BugSage's figure should be.
#[derive(Clone, Copy)]
pub(super) enum Goal {
    /// So many times the bare registry's at most.
    TimesBare(f64),
    /// So much more than the bare registry's at most.
    AboveBare(f64),
    /// Such a part of sentry's at most.
    PartOfSentry(f64),
    /// A bound.
    AtMost(f64),
    /// No more than the bare registry's worst round.
    BareSpread,
    /// So many times the same figure of another play at most.
    TimesPlay(&'static str, f64),
}

/// How a goal was met.
pub(super) struct Met {
    pub(super) words: String,
    pub(super) value: f64,
    pub(super) bound: f64,
}

impl Met {
    pub(super) fn is_met(&self) -> bool {
        self.value <= self.bound
    }
}

impl Goal {
    /// Whether it is met. Nothing where what it is measured against was not played.
    pub(super) fn judge(self, row: &Row, table: &Table) -> Option<Met> {
        let ours = row.of(Column::BugSage);
        let bare = row.of(Column::Bare);
        let met = |words: &str, value: Option<f64>, bound| {
            let words = words.to_owned();
            value.map(|value| Met {
                words,
                value,
                bound,
            })
        };
        // Of each round by itself: what disturbed one round disturbed all its programs.
        let of_rounds = |theirs: &[f64], compare: fn(f64, f64) -> f64| {
            let rounds = ours.iter().zip(theirs);
            let rounds: Vec<f64> = rounds.map(|(ours, it)| compare(*ours, *it)).collect();
            (!rounds.is_empty()).then(|| median(&rounds))
        };
        let ratio = |ours, theirs| ours / theirs;
        match self {
            Self::TimesBare(bound) => met("x bare", of_rounds(bare, ratio), bound),
            Self::AboveBare(bound) => met(
                "above bare",
                of_rounds(bare, |ours, bare| ours - bare),
                bound,
            ),
            Self::PartOfSentry(bound) => {
                let sentry = row.of(Column::Sentry);
                met("x sentry", of_rounds(sentry, ratio), bound)
            }
            Self::AtMost(bound) => met("", (!ours.is_empty()).then(|| median(ours)), bound),
            Self::BareSpread => {
                let worst = bare.iter().copied().reduce(f64::max)?;
                met("", (!ours.is_empty()).then(|| median(ours)), worst)
            }
            Self::TimesPlay(title, bound) => {
                let other = table.row(title, &row.figure)?.of(Column::BugSage);
                met(&format!("x {title:?}"), of_rounds(other, ratio), bound)
            }
        }
    }
}
