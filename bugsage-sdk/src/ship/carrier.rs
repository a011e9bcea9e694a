//! Hands batches to whoever takes them, and understands what they say.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bugsage_core::batch::Sealed;
#[cfg(feature = "http")]
use bugsage_core::dsn::Dsn;
use bugsage_core::pauses::Pauses;
use bugsage_core::remote::RemoteSettings;

use crate::transport::{Answer, Batch, Sending, Transport};

#[cfg(feature = "http")]
use super::http::Http;
use super::lines::Lines;

/// Where batches go.
#[derive(Clone)]
pub(crate) enum Destination {
    /// A collector, which is trusted over TLS where the system or one of these PEM texts vouches for it.
    #[cfg(feature = "http")]
    Collector(Dsn, Arc<[Vec<u8>]>),
    /// Lines of JSON.
    Lines(Lines),
    /// What the app has brought, and a name for it. It can be taken once: a child made by `fork` has
    /// none.
    Own(String, Arc<Mutex<Option<Box<dyn Transport>>>>),
}

impl Destination {
    /// Tells this destination from all others. No text of it is told to anybody: it holds the key.
    pub(crate) fn identity(&self) -> String {
        match self {
            #[cfg(feature = "http")]
            Destination::Collector(dsn, _) => {
                format!("{} {} {}", dsn.batches_url(), dsn.project(), dsn.key())
            }
            Destination::Lines(lines) => format!("{lines:?}"),
            Destination::Own(name, _) => name.clone(),
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "http")]
            Destination::Collector(dsn, _) => dsn.fmt(f),
            Destination::Lines(lines) => lines.fmt(f),
            Destination::Own(..) => f.write_str("the app's own transport"),
        }
    }
}

/// Takes nothing: reports stay in the spool for the next start.
struct Nobody;

impl Transport for Nobody {
    fn send(&mut self, _: Batch) -> Sending {
        let hour = Duration::from_secs(3_600);
        Box::pin(std::future::ready(Answer::Later { after: Some(hour) }))
    }
}

/// Who takes batches.
pub(super) enum Carrier {
    /// The collector.
    #[cfg(feature = "http")]
    Http(Http),
    /// What the app has brought, or a file.
    Other(Box<dyn Transport>),
}

/// What was said about a batch.
#[derive(Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) answer: Answer,
    /// Events of a batch that was taken which were turned away, by the index of their item.
    pub(super) rejected_items: Vec<u32>,
    /// What a person has to mend.
    pub(super) trouble: Option<Trouble>,
    /// Kinds of events that are not wanted for some time.
    pub(super) pauses: Pauses,
    /// What the project asks of its apps; `None` where the answer says nothing about that.
    pub(super) asked: Option<RemoteSettings>,
}

impl From<Answer> for Heard {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            rejected_items: Vec::new(),
            trouble: None,
            pauses: Pauses::default(),
            asked: None,
        }
    }
}

/// What a person has to mend before anything arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What to do about it, in words.
    pub(super) advice: &'static str,
    /// Whether nobody takes anything before a person acts: then a program that ends need not wait to
    /// see that again.
    pub(super) is_down: bool,
    /// How long to leave the collector alone: a person has to act before it helps to try again.
    pub(super) patience: Duration,
}

/// A batch on its way.
pub(super) type Post = Pin<Box<dyn Future<Output = Heard>>>;

impl Carrier {
    /// Costs some milliseconds for a collector: the system's certificates are read.
    pub(super) fn new(destination: Destination) -> Self {
        match destination {
            #[cfg(feature = "http")]
            Destination::Collector(dsn, roots) => Carrier::Http(Http::new(&dsn, &roots)),
            Destination::Lines(lines) => Carrier::Other(Box::new(lines)),
            Destination::Own(_, transport) => {
                let transport = transport
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                Carrier::Other(transport.unwrap_or_else(|| Box::new(Nobody)))
            }
        }
    }

    /// Sends the bytes as they were sealed.
    pub(super) fn post(&mut self, sealed: Arc<Sealed>) -> Post {
        match self {
            #[cfg(feature = "http")]
            Carrier::Http(http) => Box::pin(http.post(sealed)),
            Carrier::Other(transport) => {
                let batch = Batch::new(sealed);
                let sending = catch_unwind(AssertUnwindSafe(|| transport.send(batch)));
                Box::pin(contained(sending.ok()))
            }
        }
    }
}

/// The answer of a transport of the app's own, whose panics stay there.
async fn contained(mut sending: Option<Sending>) -> Heard {
    let answer = std::future::poll_fn(|cx| {
        let Some(sending) = &mut sending else {
            return Poll::Ready(Answer::Later { after: None });
        };
        let polled = catch_unwind(AssertUnwindSafe(|| sending.as_mut().poll(cx)));
        polled.unwrap_or(Poll::Ready(Answer::Later { after: None }))
    });
    answer.await.into()
}
