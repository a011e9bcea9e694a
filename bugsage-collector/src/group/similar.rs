//! How an event looks, for the issue that it opens to be compared with others.
//!
//! It is asked for where an issue is opened and nowhere else, so events of issues that are known cost nothing.

use bugsage_core::similar::Portrait;

use crate::store::model::GroupedEvent;

/// The portrait of an event that opens an issue. Takes some thirty microseconds.
pub fn portrait(grouped: &GroupedEvent) -> Portrait {
    let stack = grouped.stack.as_ref().map(|stored| &*stored.stack);
    Portrait::of(&grouped.event, stack, &grouped.class)
}
