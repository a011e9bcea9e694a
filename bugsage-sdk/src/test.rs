//! What an app's own tests see of its reports: events in memory, nothing sent, tests in parallel.
//!
//! ```
//! let events = bugsage_sdk::test::capture(|| {
//!     bugsage_sdk::set_tag("region", "eu");
//!     let caught = std::panic::catch_unwind(|| panic!("no price"));
//!     assert!(caught.is_err());
//! });
//!
//! assert_eq!(&*events[0].message, "no price");
//! assert_eq!(events[0].count, 1);
//! ```

use std::cell::Cell;
use std::hash::RandomState;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, Run};
use bugsage_core::id::RunId;
use bugsage_core::span::Span;

use crate::capture;
use crate::client::{self, Client};
use crate::context::Scope;
use crate::ship::collect;
use crate::spool::layout::Memory;

thread_local! {
    /// Who records on this thread, instead of the process's client.
    static RECORDING: Cell<Option<&'static Client>> = const { Cell::new(None) };
}

/// Clients of recorders that are gone, for the next ones: a client lives for ever, since a thread may
/// be inside one at any time, and sets 8 MiB of address space aside.
static IDLE: Mutex<Vec<&'static Client>> = Mutex::new(Vec::new());

/// Whom this thread reports to, where a recorder is attached to it.
#[inline]
pub(crate) fn recording() -> Option<&'static Client> {
    RECORDING.try_with(Cell::get).ok().flatten()
}

/// Runs something and returns what it reported on this thread, in its order: panics that it caught,
/// errors, messages, and through the layer what it logged. Equal reports are folded into one event with
/// their count, as they are in life; secrets are removed; stacks hold addresses, not functions. Tags and
/// user that are set outside of any span are those of this capture alone. At most 4,096 different events
/// are kept.
///
/// Other threads report as they did before: attach a [`Recorder`] to them. So tests may run side by
/// side, and beside a real guard. A panic that `run` does not catch goes on after that.
pub fn capture(run: impl FnOnce()) -> Vec<Event> {
    let recorder = Recorder::new();
    let attached = recorder.attach();
    run();
    drop(attached);
    recorder.events()
}

/// Takes down what the threads report that it is attached to.
///
/// ```
/// let recorder = bugsage_sdk::test::Recorder::new();
/// let worker = std::thread::spawn({
///     let recorder = recorder.clone();
///     move || {
///         let _attached = recorder.attach();
///         bugsage_sdk::capture_message(tracing::Level::ERROR, "from a worker");
///     }
/// });
/// worker.join().unwrap();
///
/// assert_eq!(recorder.events().len(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Recorder {
    lease: Arc<Lease>,
}

/// A client that is given back for the next recorder.
#[derive(Debug)]
struct Lease {
    client: &'static Client,
    run: Arc<Run>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Nobody else's events may be found by the next.
        collect::events(self.client, &self.run);
        collect::spans(self.client, &self.run);
        *self
            .client
            .scope
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Scope::new();
        self.client.sampling.sample_all();
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(self.client);
    }
}

impl Recorder {
    /// A recorder that is attached to no thread yet. The first also puts the panic hook in front of
    /// the one that is installed, for the whole process. Each recorder that lives has 8 MiB of address space,
    /// which a later one uses again.
    pub fn new() -> Self {
        capture::panic::install();
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = idle.unwrap_or_else(|| {
            let keys = RandomState::new();
            Box::leak(Box::new(Client::recording(Memory::anonymous(), keys)))
        });
        let run = Run {
            id: RunId::new(client::now(), client.random()),
            release: None,
            environment: None,
            started_at: Timestamp(0),
            sdk: "".into(),
        };
        Self {
            lease: Arc::new(Lease {
                client,
                run: Arc::new(run),
            }),
        }
    }

    /// Takes down what this thread reports from now on, until what is returned is dropped. Recorders may be
    /// attached within each other; the innermost counts.
    pub fn attach(&self) -> Attached {
        Attached {
            before: RECORDING.replace(Some(self.lease.client)),
            _lease: self.lease.clone(),
            _thread: PhantomData,
        }
    }

    /// What was reported since it was last asked, in its order; at most 4,096 different events, of the largest
    /// 256.
    pub fn events(&self) -> Vec<Event> {
        collect::events(self.lease.client, &self.lease.run)
    }
}

impl Recorder {
    /// The spans that were closed since it was last asked, in the order in which they were opened: every
    /// trace that begins on a thread with a recorder is sampled. A span is recorded where it is closed.
    ///
    /// ```
    /// use tracing_subscriber::layer::SubscriberExt as _;
    ///
    /// let recorder = bugsage_sdk::test::Recorder::new();
    /// let _attached = recorder.attach();
    /// let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    /// tracing::subscriber::with_default(subscriber, || {
    ///     tracing::info_span!("checkout", items = 3).in_scope(|| {});
    /// });
    ///
    /// let spans = recorder.spans();
    /// assert_eq!(&*spans[0].name, "checkout");
    /// assert_eq!(spans[0].fields, [("items".into(), "3".into())]);
    /// ```
    pub fn spans(&self) -> Vec<Span> {
        collect::spans(self.lease.client, &self.lease.run)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

/// A thread whose reports are recorded. Dropped, it reports as it did before.
#[derive(Debug)]
#[must_use = "recording ends when this is dropped"]
pub struct Attached {
    before: Option<&'static Client>,
    _lease: Arc<Lease>,
    /// It belongs to the thread that made it.
    _thread: PhantomData<*const ()>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        // A thread that is being taken down has nothing left to restore.
        let _ = RECORDING.try_with(|recording| recording.set(self.before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn messages(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| &*event.message).collect()
    }

    #[test]
    fn what_a_thread_reports_is_recorded_in_its_order_and_folded() {
        let events = capture(|| {
            for number in [1, 2, 2, 3] {
                crate::capture_message(Level::ERROR, &format!("message {number}"));
            }
        });

        assert_eq!(messages(&events), ["message 1", "message 2", "message 3"]);
        let counts: Vec<u64> = events.iter().map(|event| event.count).collect();
        assert_eq!(counts, [1, 2, 1]);
    }

    #[test]
    fn threads_side_by_side_do_not_see_each_others_events() {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    for round in 0..20 {
                        let message = format!("thread {thread} round {round}");
                        let events = capture(|| {
                            crate::capture_message(Level::ERROR, &message);
                        });
                        assert_eq!(messages(&events), [&*message]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_recorder_inside_another_hides_it_and_gives_way_again() {
        let outer = capture(|| {
            let inner = capture(|| drop(crate::capture_message(Level::ERROR, "inner").to_string()));
            assert_eq!(messages(&inner), ["inner"]);
            crate::capture_message(Level::ERROR, "outer");
        });

        assert_eq!(messages(&outer), ["outer"]);
    }

    #[test]
    fn a_panic_that_is_not_caught_goes_on_and_leaves_nothing_to_the_next() {
        let outcome = std::panic::catch_unwind(|| capture(|| panic!("on its way")));

        assert!(outcome.is_err());
        assert!(recording().is_none());
        assert_eq!(capture(|| ()), []);
    }

    #[test]
    fn tags_stay_in_the_capture_that_set_them() {
        let set = capture(|| {
            crate::set_tag("region", "eu");
            crate::set_user("ada");
            crate::capture_message(Level::ERROR, "with a tag");
        });
        let other = capture(|| drop(crate::capture_message(Level::ERROR, "without").to_string()));

        assert_eq!(set[0].tags, [("region".into(), "eu".into())]);
        assert_eq!(set[0].user.as_deref(), Some("ada"));
        assert_eq!((other[0].tags.len(), &other[0].user), (0, &None));
    }

    #[test]
    fn secrets_are_removed() {
        let events = capture(|| {
            crate::capture_message(Level::ERROR, "login failed: password=hunter2abc");
        });

        assert!(!events[0].message.contains("hunter2abc"), "{events:?}");
    }
}
