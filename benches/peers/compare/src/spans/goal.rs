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
    /// So many times fastrace's at most, for `span!`.
    NativeTimesFastrace(f64),
    /// A bound.
    AtMost(f64),
    /// No more than the upper quarter of the bare registry's rounds.
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
            Self::NativeTimesFastrace(bound) => {
                let (native, fastrace) = (row.of(Column::Native), row.of(Column::Fastrace));
                let ratios: Vec<f64> = native.iter().zip(fastrace).map(|(a, b)| a / b).collect();
                let value = (!ratios.is_empty()).then(|| median(&ratios));
                met("x fastrace, native", value, bound)
            }
            Self::AtMost(bound) => met("", (!ours.is_empty()).then(|| median(ours)), bound),
            Self::BareSpread => {
                let mut bare = bare.to_vec();
                bare.sort_by(f64::total_cmp);
                let spread = bare.get(bare.len() * 3 / 4)?;
                met("", (!ours.is_empty()).then(|| median(ours)), *spread)
            }
            Self::TimesPlay(title, bound) => {
                let other = table.row(title, &row.figure)?.of(Column::BugSage);
                met(&format!("x {title:?}"), of_rounds(other, ratio), bound)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plays::IDLE;
    use super::*;

    /// A row of these rounds, each with the bare registry's figure and BugSage's.
    fn judged(goal: Goal, rounds: &[(f64, f64)]) -> Met {
        let mut table = Table::default();
        for (bare, ours) in rounds {
            table.add(&IDLE, "ns".to_owned(), Column::Bare, *bare);
            table.add(&IDLE, "ns".to_owned(), Column::BugSage, *ours);
        }
        let row = table.row(IDLE.title, "ns").expect("it was added");
        goal.judge(row, &table).expect("both were played")
    }

    #[test]
    fn a_round_that_slowed_both_programs_changes_no_ratio() {
        let rounds = [(100.0, 190.0), (1_000.0, 1_900.0), (100.0, 190.0)];

        assert!(judged(Goal::TimesBare(2.0), &rounds).is_met());
        assert!(!judged(Goal::TimesBare(1.8), &rounds).is_met());
    }

    #[test]
    fn what_is_above_its_goal_is_missed() {
        let rounds = [(10.0, 41.0); 3];

        assert!(!judged(Goal::AboveBare(30.0), &rounds).is_met());
        assert!(!judged(Goal::AtMost(40.0), &rounds).is_met());
        assert!(!judged(Goal::BareSpread, &rounds).is_met());
        assert!(judged(Goal::AboveBare(31.0), &rounds).is_met());
    }
}
