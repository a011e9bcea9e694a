//! Keeps the SDK alive, and delivers what is left when it is dropped.

use std::io::{self, Write};
use std::time::Duration;

use bugsage_core::event::Ended;

use crate::client::{self, Client, Stop};
use crate::ledger::Reason;
use crate::report::Report;

/// Keeps the SDK active. Bind it for the whole of `main`: `let _guard = bugsage_sdk::init();`.
///
/// Dropping it ends capturing and waits for delivery, at most
/// [`shutdown_timeout`](crate::Builder::shutdown_timeout), whatever the network does. Without it
/// (`let _ = ...` drops it at once, `std::process::exit` never does) the last reports wait in the
/// spool for the next start.
///
/// ```
/// use std::time::Duration;
///
/// let guard = bugsage_sdk::builder().dsn("stdout:").init();
/// // ... all of `main` ...
/// let report = guard.shutdown(Duration::from_secs(5));
/// assert_eq!(report.dropped_total(), 0);
/// ```
#[derive(Debug)]
#[must_use = "dropping the guard ends capturing: bind it to a name for the whole of main"]
pub struct Guard {
    client: Option<&'static Client>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("report", &self.ledger.report())
            .finish_non_exhaustive()
    }
}

impl Guard {
    pub(crate) fn new(client: &'static Client) -> Self {
        Self {
            client: Some(client),
        }
    }

    /// A guard for an app whose SDK could not start.
    pub(crate) fn inactive() -> Self {
        Self { client: None }
    }

    /// Whether events are captured: false where the SDK could not start.
    pub fn is_active(&self) -> bool {
        self.client.is_some()
    }

    /// Delivers what was captured so far, and waits at most `timeout` for that; what is captured meanwhile
    /// holds it up no longer than a batch or two take. What was not delivered by then is on its way still,
    /// `spooled` or, where there is no spool, `pending`. Blocks the calling thread: in async code it belongs
    /// into a blocking task. All zeros where nothing is captured.
    pub fn flush(&self, timeout: Duration) -> Report {
        let Some(client) = self.client.and_then(Client::of_this_process) else {
            return Report::default();
        };
        client.flush(timeout, Stop::No);
        client.ledger.report()
    }

    /// Ends capturing, delivers what is left within `timeout`, and tells what became of it all.
    /// What could not be delivered is `spooled` for the next start; where there is no spool it is
    /// dropped for `shutdown`. Blocks the calling thread as [`flush`](Self::flush) does.
    pub fn shutdown(mut self, timeout: Duration) -> Report {
        self.end(timeout)
    }

    fn end(&mut self, timeout: Duration) -> Report {
        // In a child there is nothing to end but what was started there.
        let Some(client) = self.client.take().and_then(Client::of_this_process) else {
            return Report::default();
        };
        client::deactivate(client);
        // A guard that goes while its thread unwinds was in a `main` that panicked.
        let is_unwinding = std::thread::panicking();
        client.ledger.ended(if is_unwinding {
            Ended::Panicked
        } else {
            Ended::Clean
        });
        client.flush(timeout, Stop::AfterFlush);
        let report = client.ledger.close();
        client.change_progress(|progress| progress.stop = Stop::Now);
        client.work.notify_one();
        report
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let report = self.end(client.shutdown_timeout);
        if let Some(lost) = report.dropped.get(Reason::Shutdown.as_str()) {
            // Nobody reads the report of a guard that is dropped.
            let timeout = client.shutdown_timeout;
            let _ = writeln!(
                io::stderr(),
                "bugsage: {lost} reports could not be delivered within {timeout:?} and are lost"
            );
        }
    }
}
