//! Where one thread leaves work for another one, and sees when it is done.
//!
//! Channels of std would do, and bring three kinds of them into every app, of which one is used.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Opens a desk with its two sides.
pub(super) fn open<W>() -> (Asker<W>, Worker<W>) {
    let desk = Arc::new(Desk {
        state: Mutex::new(State {
            waiting: VecDeque::new(),
            asked: 0,
            done: 0,
            is_left: false,
        }),
        changed: Condvar::new(),
    });
    (Asker(desk.clone()), Worker(desk))
}

struct Desk<W> {
    state: Mutex<State<W>>,
    changed: Condvar,
}

struct State<W> {
    waiting: VecDeque<W>,
    /// How many pieces of work were left here, and how many are done.
    asked: u64,
    done: u64,
    /// Whether one of the two sides is gone.
    is_left: bool,
}

impl<W> Desk<W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State<W>)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// Leaves work. When it is dropped, the worker finds no more than there is.
pub(super) struct Asker<W>(Arc<Desk<W>>);

impl<W> Asker<W> {
    /// Leaves a piece of work and tells its number, or gives it back where nobody works any more.
    pub(super) fn ask(&self, work: W) -> Result<u64, W> {
        let mut state = self.0.lock();
        if state.is_left {
            return Err(work);
        }
        state.waiting.push_back(work);
        state.asked += 1;
        self.0.changed.notify_all();
        Ok(state.asked)
    }

    /// Waits so long at most; tells whether there is nothing more to wait for.
    pub(super) fn is_over(&self, number: u64, wait: Duration) -> bool {
        let is_open = |state: &mut State<W>| state.done < number && !state.is_left;
        let changed = &self.0.changed;
        let waited = changed.wait_timeout_while(self.0.lock(), wait, is_open);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl<W> Drop for Asker<W> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_left = true);
    }
}

/// Does the work. When it is dropped, by a panic too, nobody waits for it any more.
pub(super) struct Worker<W>(Arc<Desk<W>>);

impl<W> Worker<W> {
    /// Waits for the next piece of work. Where none comes for so long it calls `rest`, and goes on
    /// waiting. `None` where none will come.
    pub(super) fn next(&self, idle: Duration, rest: impl FnOnce()) -> Option<W> {
        let is_idle = |state: &mut State<W>| state.waiting.is_empty() && !state.is_left;
        let changed = &self.0.changed;
        let waited = changed.wait_timeout_while(self.0.lock(), idle, is_idle);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            drop(state);
            rest();
            let waited = changed.wait_while(self.0.lock(), is_idle);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.pop_front()
    }

    /// Tells that a piece of work is done.
    pub(super) fn done(&self) {
        self.0.change(|state| state.done += 1);
    }
}

impl<W> Drop for Worker<W> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_left = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn work_is_done_in_its_order_and_waited_for() {
        let (asker, worker) = open();
        let work = move || {
            let mut all = Vec::new();
            while let Some(work) = worker.next(LONG, || ()) {
                all.push(work);
                worker.done();
            }
            all
        };
        let first = asker.ask('a').expect("somebody works");
        let second = asker.ask('b').expect("somebody works");
        assert!(!asker.is_over(first, Duration::ZERO));

        let thread = std::thread::spawn(work);
        assert!(asker.is_over(second, LONG));
        assert!(asker.is_over(first, Duration::ZERO));
        drop(asker);

        assert_eq!(thread.join().expect("does not panic"), ['a', 'b']);
    }

    #[test]
    fn nobody_waits_for_a_worker_that_panics() {
        let (asker, worker) = open();
        let number = asker.ask(()).expect("somebody works");

        let thread = std::thread::spawn(move || {
            worker.next(LONG, || ());
            panic!("as planned");
        });

        assert!(asker.is_over(number, LONG));
        assert!(thread.join().is_err());
        assert_eq!(asker.ask(()), Err(()));
    }

    #[test]
    fn a_worker_rests_where_no_work_comes_and_then_goes_on() {
        let (asker, worker) = open();

        let work = worker.next(Duration::ZERO, || {
            asker.ask("after the rest").expect("somebody works");
        });

        assert_eq!(work, Some("after the rest"));
    }
}
