//! How the SDK is set up: the environment, or a builder.

use std::env;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bugsage_core::dsn::{Dsn, InvalidDsn};
use bugsage_core::event::{Event, Run};
use bugsage_core::id::RunId;
use bugsage_core::limits;

use crate::capture;
use crate::client::{self, Client};
use crate::guard::Guard;
use crate::ship::{self, BeforeSend, Shipment};

/// How long dropping the guard may take where nothing else is set.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Collects the settings of the SDK. Made by [`builder`](crate::builder).
///
/// What is not set is taken from the environment: `BUGSAGE_DSN`, `BUGSAGE_RELEASE` and
/// `BUGSAGE_ENVIRONMENT`.
#[derive(Default)]
#[must_use = "a builder does nothing before init() or try_init()"]
pub struct Builder {
    dsn: Option<String>,
    release: Option<String>,
    environment: Option<String>,
    before_send: Option<BeforeSend>,
    shutdown_timeout: Option<Duration>,
}

/// Why the SDK is not active. The app goes on all the same.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// No DSN was given: set `BUGSAGE_DSN` or call [`Builder::dsn`].
    #[error("there is no DSN: set BUGSAGE_DSN to what `bugsage project create` printed")]
    MissingDsn,
    /// The DSN cannot be read: copy it again from the collector.
    #[error("{0}; copy it from `bugsage project list`")]
    InvalidDsn(#[from] InvalidDsn),
    /// Another guard is alive: keep one for the whole of `main`.
    #[error("the SDK is active already: keep the first guard and drop this one")]
    AlreadyActive,
    /// The system gave no thread or no runtime to ship with.
    #[error("cannot start the shipping thread: {0}")]
    Thread(#[source] io::Error),
}

impl Builder {
    /// Where events go: `http://<ingest key>@host:port/<project id>`.
    pub fn dsn(mut self, dsn: impl Into<String>) -> Self {
        self.dsn = Some(dsn.into());
        self
    }

    /// What was built: `name@version[+commit]`. With the commit, BugSage reads the very source
    /// that ran. Cut at 200 bytes.
    pub fn release(mut self, release: impl Into<String>) -> Self {
        self.release = Some(release.into());
        self
    }

    /// Where it runs: `production`, `staging`, ... Cut at 200 bytes.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// Sees every event before it is shipped, changes it, or drops it by returning `None`.
    ///
    /// Runs on the shipping thread, after symbols were resolved and secrets removed. A panic in it
    /// drops the event and is counted, except under `panic = "abort"`, where it ends the process
    /// like any panic.
    pub fn before_send(
        mut self,
        before_send: impl Fn(Event) -> Option<Event> + Send + Sync + 'static,
    ) -> Self {
        self.before_send = Some(Box::new(before_send));
        self
    }

    /// How long dropping the guard may wait for delivery, 2 seconds where nothing is set. Under
    /// `panic = "abort"` also how long a panic may wait, after its message was printed.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Starts capturing. Where that cannot be, warns once on standard error and returns a guard
    /// that does nothing: a wrong setting never breaks the app.
    pub fn init(self) -> Guard {
        self.try_init().unwrap_or_else(|error| {
            // Not `eprintln!`, which panics where standard error is closed.
            let _ = writeln!(io::stderr(), "bugsage: nothing is reported: {error}");
            Guard::inactive()
        })
    }

    /// Starts capturing, or says why not.
    ///
    /// # Errors
    ///
    /// Where the DSN is missing or malformed, where a guard is alive already, or where no thread
    /// can be started.
    pub fn try_init(self) -> Result<Guard, InitError> {
        let dsn = self
            .dsn
            .or_else(|| variable("BUGSAGE_DSN"))
            .ok_or(InitError::MissingDsn)?;
        let dsn: Dsn = dsn.parse()?;
        if client::active().is_some() {
            return Err(InitError::AlreadyActive);
        }
        let client: &'static Client = Box::leak(Box::new(Client::new(
            self.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT),
        )));
        if !client::activate(client) {
            // Two threads at once: what this one has set aside stays unused.
            return Err(InitError::AlreadyActive);
        }
        let started_at = client::now();
        let name = |name: String| limits::cut(&name, limits::NAME_BYTES_MAX).into();
        let run = Run {
            id: RunId::new(started_at, client.random()),
            release: self
                .release
                .or_else(|| variable("BUGSAGE_RELEASE"))
                .map(name),
            environment: self
                .environment
                .or_else(|| variable("BUGSAGE_ENVIRONMENT"))
                .map(name),
            started_at,
            sdk: concat!("bugsage-sdk@", env!("CARGO_PKG_VERSION")).into(),
        };
        let shipment = Shipment {
            dsn,
            run: Arc::new(run),
            contexts: capture::host::contexts(),
            before_send: self.before_send,
        };
        if let Err(error) = ship::start(client, shipment) {
            client::deactivate(client);
            return Err(InitError::Thread(error));
        }
        capture::panic::install();
        Ok(Guard::new(client))
    }
}

/// A variable of the environment, unless it is empty or no text.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}
