//! How far each flush has got.
//!
//! A flush is done once the batches are gone that held what was captured before it, and those that tell what was
//! lost of them. What is captured meanwhile does not hold it up: a busy app is never idle.

use std::collections::VecDeque;

/// Flushes that are told apart. Of more, the oldest end with the next one, which holds all of theirs: they add
/// up where nobody takes batches and an app flushes again and again.
const FLUSHES_MAX: usize = 64;

/// The flushes that are under way, oldest first.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    waiting: VecDeque<Flush>,
    /// Number of the latest that was asked for.
    asked: u64,
}

#[derive(Debug)]
struct Flush {
    number: u64,
    /// The last batch that it waits for; `None` before all that it is to deliver is sealed.
    up_to: Option<u64>,
    /// Whether it waits for news of losses: its reports are gone.
    is_telling: bool,
}

impl Flushes {
    /// Notes that all flushes up to this number are wanted. Tells whether that is new.
    pub(super) fn ask(&mut self, number: u64) -> bool {
        if number <= self.asked {
            return false;
        }
        self.asked = number;
        match self.waiting.back_mut() {
            Some(last) if last.up_to.is_none() && !last.is_telling => last.number = number,
            _ => self.waiting.push_back(Flush {
                number,
                up_to: None,
                is_telling: false,
            }),
        }
        if self.waiting.len() > FLUSHES_MAX {
            self.waiting.pop_front();
        }
        true
    }

    /// Whether somebody waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether all that there is is to be sealed now.
    pub(super) fn is_collecting(&self) -> bool {
        self.waiting.iter().any(|flush| flush.up_to.is_none())
    }

    /// All that there was is sealed, in batches up to this one.
    pub(super) fn collected(&mut self, up_to: u64) {
        for flush in &mut self.waiting {
            flush.up_to.get_or_insert(up_to);
        }
    }

    /// Notes which batch is the oldest that is not gone; `None` where all are. Returns the number up to which
    /// flushes are done, where one is.
    pub(super) fn gone_before(&mut self, oldest: Option<u64>) -> Option<u64> {
        let is_gone = |up_to: u64| oldest.is_none_or(|oldest| up_to < oldest);
        let mut done = None;
        self.waiting.retain_mut(|flush| {
            if !flush.up_to.is_some_and(is_gone) {
                return true;
            }
            if flush.is_telling {
                done = done.max(Some(flush.number));
                return false;
            }
            flush.is_telling = true;
            flush.up_to = None;
            true
        });
        done
    }

    /// Ends all of them. Returns the number of the last one.
    pub(super) fn end(&mut self) -> u64 {
        self.waiting.clear();
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_done_once_its_batches_and_the_news_of_them_are_gone() {
        let mut flushes = Flushes::default();
        assert!(flushes.ask(1));
        assert!(!flushes.ask(1), "it is known");
        assert!(flushes.is_collecting());
        flushes.collected(7);
        assert!(!flushes.is_collecting() && flushes.is_waiting());

        assert_eq!(flushes.gone_before(Some(7)), None, "its last is on its way");
        assert!(!flushes.is_collecting());
        assert_eq!(flushes.gone_before(Some(8)), None);
        assert!(flushes.is_collecting(), "losses are to be told");
        flushes.collected(9);
        assert_eq!(flushes.gone_before(Some(9)), None);
        assert_eq!(flushes.gone_before(Some(10)), Some(1));

        assert!(!flushes.is_waiting());
    }

    #[test]
    fn what_is_sealed_later_holds_nobody_up() {
        let mut flushes = Flushes::default();
        flushes.ask(1);
        for last in 1..100 {
            flushes.collected(last);
            // One batch is always on its way.
            if flushes.gone_before(Some(last)) == Some(1) {
                return;
            }
        }
        panic!("the flush goes on for ever: {flushes:?}");
    }

    #[test]
    fn a_later_flush_does_not_hold_up_an_earlier_one() {
        let mut flushes = Flushes::default();
        flushes.ask(1);
        flushes.collected(1);
        flushes.ask(2);
        flushes.collected(2);
        assert_eq!(flushes.gone_before(Some(2)), None);
        flushes.collected(2);
        flushes.ask(3);

        assert_eq!(flushes.gone_before(None), Some(1));
        assert!(flushes.is_waiting());
    }

    #[test]
    fn flushes_that_nobody_answers_are_bounded_and_all_end() {
        let mut flushes = Flushes::default();
        for number in 1..1_000 {
            flushes.ask(number);
            flushes.collected(number);
            assert_eq!(flushes.gone_before(Some(0)), None);
            assert!(flushes.waiting.len() <= FLUSHES_MAX);
        }
        assert_eq!(flushes.gone_before(None), None);
        flushes.collected(1_000);
        assert_eq!(flushes.gone_before(None), Some(999));
        assert!(!flushes.is_waiting());
    }
}
