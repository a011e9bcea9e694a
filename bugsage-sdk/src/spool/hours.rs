//! What a run counts of itself, by hour: root spans and users. Two hours have room in the words.
//!
//! Capturing threads add to the hour that counts, by single instructions and without looking at a
//! clock. The shipping thread turns the page: it tells both hours, empties the older one and lets it
//! count from then on. So the hour before stays for another hour, and who was slow to add to it is
//! told of with the next news. As long as nothing can be told, the page is not turned: then what
//! happened later counts in an earlier hour, and nothing is lost.

use std::sync::atomic::Ordering;

use bugsage_core::event::RunHour;
use bugsage_core::sketch::{Mark, REGISTERS, Sketch};

use super::layout::{HOUR_WORDS, HOURS, HOURS_AT, PAGE_AT, Words};
use crate::sync::AtomicU64;

// The words of an hour.
const HOUR: usize = 0;
const ROOTS: usize = 1;
const ROOTS_FAILED: usize = 2;
const USERS: usize = 3;
const USERS_PANICKED: usize = USERS + SKETCH_WORDS;

/// A byte for each register.
const SKETCH_WORDS: usize = REGISTERS / 8;

const _: () = assert!(
    USERS_PANICKED + SKETCH_WORDS <= HOUR_WORDS,
    "an hour has room for both sketches"
);

/// Microseconds of an hour.
const HOUR_US: u64 = 3_600_000_000;

/// The hour since the epoch.
pub(crate) fn hour_of(at: bugsage_core::clock::Timestamp) -> u64 {
    at.0 / HOUR_US
}

/// Counts for capturing threads: no lock, no allocation, no clock.
pub(crate) struct Hours {
    words: &'static [AtomicU64],
}

impl Hours {
    pub(crate) fn new(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    /// Counts a root span that was closed.
    pub(crate) fn root_closed(&self, has_failed: bool) {
        self.word(ROOTS).fetch_add(1, Ordering::Relaxed);
        if has_failed {
            self.word(ROOTS_FAILED).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a user of the app.
    pub(crate) fn user_seen(&self, user: &str) {
        self.mark(USERS, Mark::of(user));
    }

    /// Counts a user who met a panic.
    pub(crate) fn user_panicked(&self, user: &str) {
        let mark = Mark::of(user);
        self.mark(USERS, mark);
        self.mark(USERS_PANICKED, mark);
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        let page = self.words[PAGE_AT].load(Ordering::Relaxed);
        &self.words[begin(page) + at]
    }

    fn mark(&self, sketch: usize, mark: Mark) {
        let (at, shift) = place(mark.register);
        let rank = u64::from(mark.rank);
        let higher = |word: u64| {
            let known = word >> shift & 0xff;
            (known < rank).then(|| word & !(0xff << shift) | rank << shift)
        };
        // It fails where the rank is known, which is the usual case.
        let _ = self
            .word(sketch + at)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, higher);
    }
}

/// Word and shift of a register.
fn place(register: u16) -> (usize, u32) {
    (usize::from(register) / 8, u32::from(register) % 8 * 8)
}

/// Where the words of a page begin.
fn begin(page: u64) -> usize {
    HOURS_AT + (page % HOURS as u64) as usize * HOUR_WORDS
}

/// Lets the first page count for an hour.
pub(crate) fn start(words: &Words, hour: u64) {
    words.store(begin(0) + HOUR, hour);
}

/// The hours in which something happened, the earlier first.
pub(crate) fn read(words: &Words) -> Vec<RunHour> {
    let page = words.load(PAGE_AT);
    let pages = [page.wrapping_add(1), page].map(|page| read_page(words, begin(page)));
    let [earlier, counting] = pages;
    let is_empty = |hour: &RunHour| hour.roots == 0 && hour.users.is_empty();
    let pages = [earlier, counting].into_iter();
    pages.filter(|hour| !is_empty(hour)).collect()
}

fn read_page(words: &Words, at: usize) -> RunHour {
    RunHour {
        hour: words.load(at + HOUR),
        roots: words.load(at + ROOTS),
        roots_failed: words.load(at + ROOTS_FAILED),
        users: read_sketch(words, at + USERS),
        users_panicked: read_sketch(words, at + USERS_PANICKED),
    }
}

fn read_sketch(words: &Words, at: usize) -> Sketch {
    let registers = 0..REGISTERS as u16;
    Sketch::from_marks(registers.filter_map(|register| {
        let (offset, shift) = place(register);
        // Of a damaged file it may be anything; a rank has five bits.
        let rank = (words.load(at + offset) >> shift) as u8 & 0x1f;
        (rank > 0).then_some(Mark { register, rank })
    }))
}

/// Turns the page to an hour. `told` is what was told of both pages; what was added to the older one
/// since then goes on to the hour that counts from now on.
pub(crate) fn turn(words: &Words, told: &[RunHour], hour: u64) {
    let page = words.load(PAGE_AT);
    let (old, next) = (page, page.wrapping_add(1) % HOURS as u64);
    if words.load(begin(old) + HOUR) >= hour {
        // A clock that was set back.
        return;
    }
    let at = begin(next);
    let was_told = told.iter().find(|it| it.hour == words.load(at + HOUR));
    let (roots, failed) = was_told.map_or((0, 0), |told| (told.roots, told.roots_failed));
    take_away(words, at + ROOTS, roots);
    take_away(words, at + ROOTS_FAILED, failed);
    // A mark that a thread leaves here an hour late, between the news and this line, is lost: one
    // user of thousands in an estimate.
    (USERS..USERS_PANICKED + SKETCH_WORDS).for_each(|word| words.store(at + word, 0));
    words.store(at + HOUR, hour);
    words.store(PAGE_AT, next);
}

/// Takes from a count what was told of it, whoever adds to it at the same moment.
fn take_away(words: &Words, at: usize, told: u64) {
    let mut known = words.load(at);
    while let Err(now) = words.change(at, known, known.saturating_sub(told)) {
        known = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::layout::Memory;

    fn begun(hour: u64) -> (Hours, Words) {
        let memory = Memory::anonymous().words;
        let words = Words::Shared(memory);
        start(&words, hour);
        (Hours::new(memory), words)
    }

    fn roots(words: &Words) -> Vec<(u64, u64, u64)> {
        let hours = read(words).into_iter();
        hours
            .map(|it| (it.hour, it.roots, it.roots_failed))
            .collect()
    }

    #[test]
    fn an_hour_is_told_until_the_one_after_the_next_begins() {
        let (hours, words) = begun(7);
        assert_eq!(read(&words), []);

        hours.root_closed(true);
        hours.root_closed(false);
        turn(&words, &read(&words), 8);
        hours.root_closed(false);
        assert_eq!(roots(&words), [(7, 2, 1), (8, 1, 0)]);
        turn(&words, &read(&words), 11);
        hours.root_closed(false);

        assert_eq!(roots(&words), [(8, 1, 0), (11, 1, 0)]);
    }

    #[test]
    fn what_comes_between_the_news_and_the_turn_of_the_page_counts_later() {
        let (hours, words) = begun(7);
        turn(&words, &read(&words), 8);
        hours.root_closed(false);
        // Told, and then a slow thread adds to the page that is about to be emptied.
        let told = read(&words);
        turn(&words, &told, 9);
        let told = read(&words);
        words.store(begin(1) + ROOTS, 3);

        turn(&words, &told, 10);

        assert_eq!(roots(&words), [(10, 2, 0)]);
    }

    #[test]
    fn a_clock_that_was_set_back_changes_nothing() {
        let (hours, words) = begun(7);
        hours.root_closed(false);

        turn(&words, &read(&words), 6);

        assert_eq!(roots(&words), [(7, 1, 0)]);
    }

    #[test]
    fn users_are_those_that_were_told_and_a_panic_counts_its_user_twice() {
        let (hours, words) = begun(7);
        (0..40).for_each(|user| hours.user_seen(&format!("user-{user}")));
        hours.user_seen("user-1");
        hours.user_panicked("user-1");
        hours.user_panicked("somebody");

        let [hour] = &read(&words)[..] else {
            panic!("one hour is expected");
        };

        let mut expected = Sketch::default();
        (0..40).for_each(|user| expected.add(&format!("user-{user}")));
        expected.add("somebody");
        assert_eq!(hour.users, expected);
        assert_eq!(hour.users_panicked.estimate(), 2);
    }

    #[test]
    fn counts_of_many_threads_are_exact_and_users_of_one_word_all_kept() {
        let (hours, words) = begun(7);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let hours = &hours;
                scope.spawn(move || {
                    for n in 0..1_000 {
                        hours.root_closed(n % 10 == 0);
                        hours.user_seen(&format!("user-{thread}-{n}"));
                    }
                });
            }
        });

        let mut expected = Sketch::default();
        let all = (0..4).flat_map(|thread| (0..1_000).map(move |n| (thread, n)));
        let marks = all.map(|(thread, n)| Mark::of(&format!("user-{thread}-{n}")));
        expected.merge(&Sketch::from_marks(marks));
        assert_eq!(roots(&words), [(7, 4_000, 400)]);
        assert_eq!(read(&words)[0].users, expected);
    }
}
