//! Every size that somebody outside may choose, with its bound and the reason for it.
//!
//! Both ends use these numbers: the SDK stays below them, the collector refuses what is above.

/// A batch on the wire. One megabyte holds thousands of folded events; a larger body gains nothing
/// and costs memory for every connection that sends one.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// A batch after inflating. Deflate expands up to 1,032 times, so the output is counted, not guessed.
pub const BATCH_INFLATED_BYTES_MAX: usize = 8 << 20;

/// The text of all events and stacks of one batch after the dictionaries are applied. Dictionaries
/// let one string stand in many of them, so this bounds what a small batch can make a store write. With
/// what else such a batch takes on its way, one request takes 16 MiB at most.
pub const BATCH_TEXT_BYTES_MAX: usize = 11 << 20;

/// Items in one batch, dictionaries included.
pub const BATCH_ITEMS_MAX: usize = 16_384;

/// Entries of one dictionary of a batch: more than any batch of this size can use.
pub const DICTIONARY_ENTRIES_MAX: usize = 65_536;

/// Modules in one batch: a process with plugins has hundreds.
pub const MODULES_MAX: usize = 4_096;

/// Stacks in one batch. What is in them counts as text: every stack is written out by itself.
pub const STACKS_MAX: usize = 4_096;

/// Distinct sets of contexts in one batch.
pub const CONTEXTS_MAX: usize = 256;

/// The text of one event after the dictionaries are applied.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// A panic message or log line; longer ones are cut, and end in [`CUT`].
pub const MESSAGE_BYTES_MAX: usize = 8 << 10;

/// A breadcrumb's line.
pub const BREADCRUMB_BYTES_MAX: usize = 1 << 10;

/// Breadcrumbs of one event; older ones are left out first.
pub const BREADCRUMBS_MAX: usize = 100;

/// Frames of one stack; of longer stacks both ends are kept.
pub const FRAMES_MAX: usize = 250;

/// Open spans of one event; the outermost and the innermost are kept.
pub const SPANS_MAX: usize = 64;

/// Links of one finished span to others.
pub const SPAN_LINKS_MAX: usize = 16;

/// Tags, contexts or fields of one span.
pub const PAIRS_MAX: usize = 100;

/// The name of a tag, field or context.
pub const KEY_BYTES_MAX: usize = 200;

/// The value of a tag, field or context, and any other single string on the wire.
pub const VALUE_BYTES_MAX: usize = 8 << 10;

/// The name of a release, an environment, a user or a thread.
pub const NAME_BYTES_MAX: usize = 200;

/// Errors of one chain. `source()` may run in a circle.
pub const ERRORS_MAX: usize = 16;

/// Reports that one event may stand for. A thread folds some millions a second at most, for ten
/// seconds; sums of this bound stay within the integers of every store.
pub const REPORTS_MAX: usize = 1 << 32;

/// Time deltas kept of a folded event.
pub const DELTAS_MAX: usize = 32;

/// Reasons in one losses item.
pub const LOSS_REASONS_MAX: usize = 64;

/// Accounts of losses in one batch. An SDK sends one, for its own run; each reason in it becomes a row in a
/// store.
pub const LOSSES_MAX: usize = 64;

/// States of runs in one batch. An SDK sends one, for its own run or for one that is over; each becomes
/// rows in a store.
pub const RUN_STATES_MAX: usize = 64;

/// Hours in one state of a run. An SDK tells two; those who relay for others may tell two days.
pub const RUN_HOURS_MAX: usize = 48;

/// Root spans that one hour of a run may count: some hundred millions a second. Sums of this bound stay
/// within the integers of every store.
pub const ROOT_SPANS_MAX: u64 = 1 << 40;

/// Projects that metrics tell apart, those with the lowest numbers; the others share one label. Each adds
/// some ten time series to whoever scrapes them, for ever.
pub const METRIC_PROJECTS_MAX: u64 = 100;

/// Runs of one project that a collector remembers: a thousand process starts a day for three months.
/// Beyond that those go that were not heard of for longest.
pub const PROJECT_RUNS_MAX: u64 = 100_000;

/// Hours of runs that a collector remembers for one project: fifty processes for more than a year.
/// Beyond that the oldest hours go.
pub const PROJECT_RUN_HOURS_MAX: u64 = 500_000;

/// Hours of a release and environment of which a collector remembers the users, for one project: each
/// takes 8 KiB at most. Five releases at a time for more than a year; beyond that the oldest go.
pub const PROJECT_USER_HOURS_MAX: u64 = 50_000;

/// Sealed batches that one run may keep on disk where the app sets nothing else: some 60,000 different
/// reports, or days of an app that fails now and then, and no disk that runs full of them.
pub const SPOOL_BYTES_DEFAULT: u64 = 64 << 20;

/// How long reports may lie on disk where the app sets nothing else. A bug that was not heard of for
/// a week has come again, or nobody runs that release any more.
pub const SPOOL_DAYS_DEFAULT: u64 = 7;

/// Runs in one spool folder. One that was killed has 8 MiB until the next start trims it to what was
/// used, tens of KiB; a loop that kills thousands before anybody delivers goes on in memory.
pub const SPOOL_RUNS_MAX: usize = 4_096;

/// Runs of the past that one process takes care of at a time. Each holds two file descriptors, of
/// which the app may have a thousand.
pub const SPOOL_TAKEN_MAX: usize = 32;

/// Files that are looked at in one folder: of runs, or of one run. Somebody may have put in others.
pub const SPOOL_FILES_MAX: usize = 16_384;

/// Debug information that the SDK holds at a time to resolve a stack, unless the app sets another
/// limit: what most services have, and what a process that has just failed can spare for a moment.
pub const SYMBOLS_BYTES_MAX: u64 = 64 << 20;

/// What the spool notes about a run: release, contexts, modules.
pub const SPOOL_ABOUT_BYTES_MAX: usize = 1 << 20;

/// What stands at the end of a text that was cut.
pub const CUT: &str = "…";

/// Shortens `text` to at most `bytes_max` bytes at a character boundary, and marks the cut.
pub fn cut(text: &str, bytes_max: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= bytes_max {
        return text.into();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub(CUT.len()));
    format!("{}{CUT}", &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_is_within_its_limit_and_says_that_it_was_cut() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("a longer text", 8), "a lon…");
        assert_eq!(cut("ééééé", 8), "éé…");
    }
}
