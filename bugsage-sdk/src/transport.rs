//! How batches get to where they go, for apps that want another way than HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bugsage_core::batch::{self, Sealed};
use bugsage_core::event::Event;
use bugsage_core::id::BatchId;
use bugsage_core::span::Span;

/// A batch as it travels. Its bytes were fixed before it was sent for the first time, and are the
/// same each time.
#[derive(Debug, Clone)]
pub struct Batch {
    sealed: Arc<Sealed>,
}

impl Batch {
    pub(crate) fn new(sealed: Arc<Sealed>) -> Self {
        Self { sealed }
    }

    /// Names the batch for ever: by it a receiver knows one that comes twice.
    pub fn id(&self) -> BatchId {
        self.sealed.id
    }

    /// What `POST /v1/batches` of a collector takes, 1 MiB at most.
    pub fn bytes(&self) -> &[u8] {
        &self.sealed.bytes
    }

    /// How many reports it carries, repeats counted; zero where it only tells of losses.
    pub fn reports(&self) -> u64 {
        self.sealed.reports
    }

    /// The events in it. Costs decoding all of it, about 10 µs an event.
    pub fn events(&self) -> Vec<Event> {
        // It was encoded here, or read back whole from the spool.
        let batch = batch::decode(&self.sealed.bytes);
        let events = batch.map(|batch| batch.events).unwrap_or_default();
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// The finished spans in it. Costs decoding all of it, about a microsecond a span.
    pub fn spans(&self) -> Vec<Span> {
        let batch = batch::decode(&self.sealed.bytes);
        let spans = batch.map(|batch| batch.spans).unwrap_or_default();
        spans.into_iter().map(|(_, span)| span).collect()
    }
}

/// What became of a batch that was sent.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is safe where it went. Never say so before that: it is deleted here.
    Taken,
    /// It will never be taken: it is dropped and counted as `refused`.
    Refused,
    /// Not now. The same batch is sent again, with growing waits; no sooner than `after`, of which
    /// five minutes are heard at most.
    Later {
        /// How long to wait at least.
        after: Option<Duration>,
    },
}

/// A batch on its way.
pub type Sending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Takes batches to where they go: a message queue, a socket, a host that is not a web server.
///
/// Runs on the shipping thread, inside a `tokio` runtime of one thread with a timer, one batch at a
/// time and in their order. It may take as long as it likes: nobody waits for it longer than the
/// timeout of a flush. A panic in it counts as [`Answer::Later`].
///
/// ```
/// use bugsage_sdk::transport::{Answer, Batch, Sending, Transport};
///
/// struct Folder(std::path::PathBuf);
///
/// impl Transport for Folder {
///     fn send(&mut self, batch: Batch) -> Sending {
///         let path = self.0.join(batch.id().to_string());
///         let written = std::fs::write(path, batch.bytes());
///         let answer = match written {
///             Ok(()) => Answer::Taken,
///             Err(_) => Answer::Later { after: None },
///         };
///         Box::pin(std::future::ready(answer))
///     }
/// }
///
/// let folder = std::env::temp_dir();
/// let _guard = bugsage_sdk::builder().transport(Folder(folder)).without_spool().init();
/// ```
pub trait Transport: Send {
    /// Sends a batch, or sends it again after [`Answer::Later`]. The future may be dropped unfinished where the
    /// process ends; with a spool the next start sends that batch again.
    fn send(&mut self, batch: Batch) -> Sending;
}
