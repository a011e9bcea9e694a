//! How the SDK is set up: the environment, or a builder.

use std::env;
use std::hash::RandomState;
use std::io::{self, Write};
use std::path::PathBuf;
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
use crate::spool::about::About;
use crate::spool::{self, Settings};

/// How long dropping the guard may take where nothing else is set.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// How many modules' build-ids are read by the thread that starts the SDK: those of the program and
/// of what it cannot run without. The shipping thread reads the rest.
const BUILD_IDS_AT_START: usize = 4;

/// Collects the settings of the SDK. Made by [`builder`](crate::builder).
///
/// What is not set is taken from the environment: `BUGSAGE_DSN`, `BUGSAGE_RELEASE`,
/// `BUGSAGE_ENVIRONMENT` and `BUGSAGE_SPOOL_DIR`.
#[derive(Default)]
#[must_use = "a builder does nothing before init() or try_init()"]
pub struct Builder {
    dsn: Option<String>,
    release: Option<String>,
    environment: Option<String>,
    before_send: Option<BeforeSend>,
    shutdown_timeout: Option<Duration>,
    spool: Settings,
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

    /// Where reports lie until the collector has them, so that they survive the process: a folder of
    /// this user that nobody else can write to. Unset it is `BUGSAGE_SPOOL_DIR`, else
    /// `bugsage/spool` in `$XDG_STATE_HOME` or `~/.local/state`. Processes may share it.
    pub fn spool_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool.folder = Some(folder.into());
        self
    }

    /// How many bytes of batches one run may keep on disk, 64 MiB where nothing is set. Beyond that
    /// the oldest are dropped and counted for `spool_full`. The records of a run that lives or was
    /// killed take 8 MiB beside that.
    pub fn spool_bytes_max(mut self, bytes: u64) -> Self {
        self.spool.bytes_max = bytes;
        self
    }

    /// How long reports may lie on disk, 7 days where nothing is set. Older ones are dropped and
    /// counted for `spool_expired`.
    pub fn spool_age_max(mut self, age: Duration) -> Self {
        self.spool.age_max = age;
        self
    }

    /// Writes nothing to disk: reports die with the process. `BUGSAGE_SPOOL_DIR=off` does the same.
    pub fn without_spool(mut self) -> Self {
        self.spool.is_on = false;
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
        let hash_keys = RandomState::new();
        let started_at = client::now();
        let name = |name: String| limits::cut(&name, limits::NAME_BYTES_MAX).into();
        let release = self.release.or_else(|| variable("BUGSAGE_RELEASE"));
        let environment = self.environment.or_else(|| variable("BUGSAGE_ENVIRONMENT"));
        let run = Run {
            id: RunId::new(started_at, client::random(&hash_keys, 0)),
            release: release.map(name),
            environment: environment.map(name),
            started_at,
            sdk: concat!("bugsage-sdk@", env!("CARGO_PKG_VERSION")).into(),
        };
        let executable = env::current_exe().unwrap_or_default();
        let about = About {
            run: Arc::new(run),
            executable: executable.to_string_lossy().into_owned(),
            contexts: capture::host::contexts(),
            modules: capture::modules::loaded(BUILD_IDS_AT_START)
                .into_iter()
                .map(|loaded| loaded.module)
                .collect(),
        };
        let settings = spool_settings(self.spool);
        let (mut opened, failure) = spool::open(&settings, &dsn, &about);
        if let Some(error) = failure {
            // Not `eprintln!`, which panics where standard error is closed.
            let _ = writeln!(
                io::stderr(),
                "bugsage: there is no spool, so reports die with the process: {error}"
            );
        }
        let client: &'static Client = Box::leak(Box::new(Client::new(
            self.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT),
            opened.take_memory(started_at),
            opened.last.take(),
            hash_keys,
        )));
        if !client::activate(client) {
            // Two threads at once: what this one has set aside stays unused.
            if let Some(folder) = opened.own {
                folder.remove();
            }
            return Err(InitError::AlreadyActive);
        }
        let shipment = Shipment {
            dsn,
            about,
            before_send: self.before_send,
            opened,
            settings,
        };
        if let Err(error) = ship::start(client, shipment) {
            client::deactivate(client);
            return Err(InitError::Thread(error));
        }
        capture::panic::install();
        Ok(Guard::new(client))
    }
}

/// What is set, and where it is not, what the environment says.
fn spool_settings(mut settings: Settings) -> Settings {
    match variable("BUGSAGE_SPOOL_DIR") {
        _ if settings.folder.is_some() => {}
        Some(off) if off == "off" => settings.is_on = false,
        folder => settings.folder = folder.map(PathBuf::from),
    }
    settings
}

/// A variable of the environment, unless it is empty or no text.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}
