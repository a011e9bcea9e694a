//! What may be changed while the app runs.

use tracing::level_filters::LevelFilter;

use crate::capture::error::level_of;
use crate::client;
use crate::levels::{BREADCRUMBS, EVENTS};
use bugsage_core::event::Level;

/// Changes which share of traces is sampled, from 0.0 to 1.0, for traces that begin from now on. Names
/// with a rate of their own keep it. More than 1.0 is all, what is no number is none. Does nothing where
/// nothing is captured. Costs one store.
///
/// While the collector asks for a rate and the app follows
/// ([`follow_collector`](crate::Builder::follow_collector)), that one counts; this one holds once it asks no
/// more. So it is with levels.
pub fn set_traces_sample_rate(rate: f64) {
    if let Some(client) = client::listening() {
        client.sampling.set_rate(rate);
    }
}

/// Changes the rate of traces that begin with a span whose name begins so, from 0.0 to 1.0, for traces that
/// begin from now on; see [`traces_sample_rate_of`](crate::Builder::traces_sample_rate_of).
///
/// Does nothing where nothing is captured. Of 64 names the rates are kept; that of a further one is left out.
/// Costs a lock that threads hold for an instant where a trace begins.
pub fn set_traces_sample_rate_of(name: &str, rate: f64) {
    if let Some(client) = client::listening() {
        client.sampling.set_rate_of(name, rate);
    }
}

/// Changes from which level on lines of the log become breadcrumbs: `INFO` where nothing is set. It holds
/// for the whole process, and for what is logged from now on. Costs one store.
///
/// Lines that [`set_event_level`] takes become events and no breadcrumbs. What a filter of `tracing` keeps
/// from the layer is neither. With `LevelFilter::OFF` there are none.
pub fn set_breadcrumb_level(level: LevelFilter) {
    BREADCRUMBS.set(level_from(level));
}

/// Changes the level for lines whose target, a module path, begins so. Of several that fit the longest counts;
/// at most 64 are kept, and a further one is left out.
///
/// ```
/// use tracing::level_filters::LevelFilter;
///
/// bugsage_sdk::set_breadcrumb_level_of("hyper", LevelFilter::WARN);
/// ```
pub fn set_breadcrumb_level_of(target: &str, level: LevelFilter) {
    BREADCRUMBS.set_for(target, level_from(level));
}

/// Changes from which level on lines of the log become events: `ERROR` where nothing is set. It holds for the
/// whole process, and for what is logged from now on; with `LevelFilter::OFF` none do. Costs one store.
pub fn set_event_level(level: LevelFilter) {
    EVENTS.set(level_from(level));
}

/// Changes the level for lines whose target, a module path, begins so. Of several that fit the longest counts;
/// at most 64 are kept, and a further one is left out.
pub fn set_event_level_of(target: &str, level: LevelFilter) {
    EVENTS.set_for(target, level_from(level));
}

fn level_from(level: LevelFilter) -> Option<Level> {
    level.into_level().map(level_of)
}
