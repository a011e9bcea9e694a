//! How the SDK is set up: the environment, or a builder.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[cfg(not(feature = "http"))]
use bugsage_core::dsn::Dsn;
use bugsage_core::dsn::InvalidDsn;
use bugsage_core::event::Event;
use bugsage_core::limits;
use bugsage_core::span::Span;

use crate::capture::{self, payload};
use crate::client;
use crate::guard::Guard;
use crate::launch::{Setup, launch};
use crate::limiter::Limit;
use crate::ship::carrier::Destination;
use crate::ship::lines::Lines;
use crate::ship::{BeforeSend, BeforeSendSpan};
use crate::spans::sampling::{Rule, Sampler, TraceRoot};
use crate::spool::Settings;
use crate::transport::Transport;

/// How long dropping the guard may take where nothing else is set.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Collects the settings of the SDK. Made by [`builder`](crate::builder).
///
/// ```
/// use std::time::Duration;
///
/// let _guard = bugsage_sdk::builder()
///     .release(bugsage_sdk::release!())
///     .environment("production")
///     .traces_sample_rate(0.1)
///     .shutdown_timeout(Duration::from_secs(5))
///     .init();
/// ```
///
/// What is not set is taken from the environment: `BUGSAGE_DSN`, `BUGSAGE_RELEASE`,
/// `BUGSAGE_ENVIRONMENT`, `BUGSAGE_TRACES_SAMPLE_RATE`, `BUGSAGE_SPOOL_DIR` and
/// `BUGSAGE_SYMBOLS_BYTES_MAX`.
#[derive(Default)]
#[must_use = "a builder does nothing before init() or try_init()"]
pub struct Builder {
    dsn: Option<String>,
    release: Option<String>,
    environment: Option<String>,
    before_send: Option<BeforeSend>,
    before_send_span: Option<BeforeSendSpan>,
    shutdown_timeout: Option<Duration>,
    spool: Settings,
    transport: Option<Box<dyn Transport>>,
    limit: Option<Limit>,
    traces_sample_rate: Option<f64>,
    follows_collector: bool,
    traces_rules: Vec<Rule>,
    traces_sampler: Option<Sampler>,
    symbols_bytes_max: Option<u64>,
    #[cfg(feature = "http")]
    roots: Vec<Vec<u8>>,
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
    /// The DSN names a file that events cannot be written to.
    #[error("events cannot be written to {path:?}: {source}; name an absolute path of a file", path = .0, source = .1)]
    File(PathBuf, #[source] io::Error),
    /// The DSN names a collector, and the SDK was built without the feature `http`.
    #[error("this SDK was built without the feature `http`: add it, or bring a transport")]
    NoTransport,
    /// Another guard is alive: keep one for the whole of `main`.
    #[error("the SDK is active already: keep the first guard and drop this one")]
    AlreadyActive,
    /// The system gave no thread or no runtime to ship with.
    #[error("cannot start the shipping thread: {0}")]
    Thread(#[source] io::Error),
}

impl Builder {
    /// Where events go: `http://<ingest key>@host:port/<project id>`. For development also `stdout:`
    /// and `file:///absolute/path`, which write each event as a line of JSON and use no spool. One that
    /// cannot be read is told by [`try_init`](Self::try_init). `BUGSAGE_DSN` does the same.
    pub fn dsn(mut self, dsn: impl Into<String>) -> Self {
        self.dsn = Some(dsn.into());
        self
    }

    /// What was built: `name@version[+commit]`. With the commit, BugSage reads the very source
    /// that ran: [`release!`](crate::release!) knows it. Cut at 200 bytes. `BUGSAGE_RELEASE` does the same.
    pub fn release(mut self, release: impl Into<String>) -> Self {
        self.release = Some(release.into());
        self
    }

    /// Where it runs: `production`, `staging`, ... Cut at 200 bytes. `BUGSAGE_ENVIRONMENT` does the same.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// Sees every event before it is shipped, changes it, or drops it by returning `None`.
    ///
    /// Runs on the shipping thread, after symbols were resolved and secrets removed. A panic in it
    /// drops the event and is counted, except under `panic = "abort"`, where it ends the process
    /// like any panic. What it drops is counted as `before_send`, what it panics at as
    /// `before_send_panicked`. What it logs or reports itself is not taken down. Other events wait for it, so
    /// it should be quick.
    ///
    /// ```
    /// let builder = bugsage_sdk::builder().before_send(|mut event| {
    ///     event.user = None;
    ///     let is_expected = event.message.starts_with("connection reset");
    ///     (!is_expected).then_some(event)
    /// });
    /// # let _ = builder;
    /// ```
    pub fn before_send(
        mut self,
        before_send: impl Fn(Event) -> Option<Event> + Send + Sync + 'static,
    ) -> Self {
        self.before_send = Some(Arc::new(before_send));
        self
    }

    /// Sees every finished span before it is shipped, changes it, or drops it by returning `None`. It runs
    /// where and as [`before_send`](Self::before_send) does.
    pub fn before_send_span(
        mut self,
        before_send: impl Fn(Span) -> Option<Span> + Send + Sync + 'static,
    ) -> Self {
        self.before_send_span = Some(Arc::new(before_send));
        self
    }

    /// Sends batches by a way of the app's own instead of HTTP; see [`Transport`]. The DSN, where one is set,
    /// then only tells spools apart.
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Trusts servers that these certificates vouch for, beside those that the system trusts. The
    /// text is PEM; what is none in it is passed by. May be called more than once. Nothing turns the checks
    /// off.
    #[cfg(feature = "http")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Takes down at most so many different reports of one place in the code in each `period`, and
    /// counts the others as `rate_limited`. Reports of a place have its line and stack in common, not
    /// their words; equal reports are folded and never limited. Unlimited where nothing is set.
    ///
    /// 1,024 places are told apart; beyond that a place may begin anew and let more pass, never less. Costs an
    /// atomic change or two for a report.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = bugsage_sdk::builder().rate_limit(100, Duration::from_secs(60));
    /// # let _ = builder;
    /// ```
    pub fn rate_limit(mut self, reports_max: u16, period: Duration) -> Self {
        self.limit = Some(Limit {
            reports_max,
            period,
        });
        self
    }

    /// Which share of traces is sent, from 0.0, none, to 1.0, all: 0.0 where nothing is set. It is decided
    /// when the first span of a trace opens; a trace that another service began keeps what was decided
    /// there. `BUGSAGE_TRACES_SAMPLE_RATE` does the same. More than 1.0 is all, what is no number is none.
    ///
    /// What is not sent costs next to nothing, and an error has its open spans all the same.
    pub fn traces_sample_rate(mut self, rate: f64) -> Self {
        self.traces_sample_rate = Some(rate);
        self
    }

    /// Lets the collector change the share of traces that is sampled, and from which level on lines of the
    /// log become events and breadcrumbs, as `bugsage project set` says. Off where nothing is set.
    ///
    /// What is asked for wins over what the app has set for the whole process, at its start or later, and
    /// the app's own value returns once it is asked for no more. Rules of the app keep their word:
    /// [`traces_sampler`](Self::traces_sampler), [`traces_sample_rate_of`](Self::traces_sample_rate_of),
    /// [`set_event_level_of`](crate::set_event_level_of) and
    /// [`set_breadcrumb_level_of`](crate::set_breadcrumb_level_of).
    ///
    /// The app hears of it with each batch that the collector takes: with any report or sampled trace,
    /// a second after the start, and at least once an hour. A `transport` of the app's own and the DSNs
    /// `stdout:` and `file:` ask for nothing.
    pub fn follow_collector(mut self) -> Self {
        self.follows_collector = true;
        self
    }

    /// A rate of its own for traces that begin with a span whose name begins so: `("GET /healthz", 0.0)`.
    /// [`TraceRoot::name`] says which name counts. Of several that fit the longest counts; at most 64 are
    /// kept.
    pub fn traces_sample_rate_of(mut self, name: impl Into<String>, rate: f64) -> Self {
        self.traces_rules.push(Rule {
            prefix: name.into(),
            rate,
        });
        self
    }

    /// Decides for each trace that begins: a rate for it, or `None` for what is set otherwise. It runs on
    /// the app's threads whenever a trace begins, so it should be quick. A panic in it decides nothing, and a
    /// trace that it begins itself is decided without it.
    ///
    /// ```
    /// let builder = bugsage_sdk::builder()
    ///     .traces_sample_rate(0.1)
    ///     .traces_sampler(|root| (root.target == "shop::checkout").then_some(1.0));
    /// # let _ = builder;
    /// ```
    pub fn traces_sampler(
        mut self,
        sampler: impl Fn(&TraceRoot<'_>) -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        self.traces_sampler = Some(Arc::new(sampler));
        self
    }

    /// Tells panics with a payload of this type by the type's name. Text, numbers and some types of
    /// std are known without it; at most 32 types of an app are. The value itself is never printed:
    /// that would be code of the app inside the panic hook.
    ///
    /// ```
    /// struct OutOfStock;
    ///
    /// let builder = bugsage_sdk::builder().panic_payload::<OutOfStock>();
    /// # let _ = builder;
    /// ```
    pub fn panic_payload<T: 'static>(self) -> Self {
        payload::name::<T>();
        self
    }

    /// How much debug information the SDK may hold in memory at a time, 64 MiB where nothing is set.
    /// It is read for a new stack and given back soon after. Of a program or library with more, only
    /// the symbol table is read: functions without files and lines. With 0 nothing is read for symbols:
    /// addresses and build-ids go out, for the collector to resolve.
    /// `BUGSAGE_SYMBOLS_BYTES_MAX` does the same.
    pub fn symbols_bytes_max(mut self, bytes: u64) -> Self {
        self.symbols_bytes_max = Some(bytes);
        self
    }

    /// How long dropping the guard may wait for delivery, 2 seconds where nothing is set. Under
    /// `panic = "abort"` also how long a panic may wait, after its message was printed. What is not delivered
    /// by then waits in the spool for the next start; without a spool it is lost and counted as `shutdown`.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Where reports lie until the collector has them, so that they survive the process: a folder of
    /// this user that nobody else can write to. Unset it is `BUGSAGE_SPOOL_DIR`, else
    /// `bugsage/spool` in `$XDG_STATE_HOME` or `~/.local/state`. Processes may share it. Where it cannot be
    /// used, one line says why, and reports are kept in memory.
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

    /// Writes nothing to disk: reports die with the process. `BUGSAGE_SPOOL_DIR=off` does the same, unless
    /// the app names a folder.
    pub fn without_spool(mut self) -> Self {
        self.spool.is_on = false;
        self
    }

    /// Starts capturing. Where that cannot be, warns once on standard error and returns a guard
    /// that does nothing: a wrong setting never breaks the app. [`try_init`](Self::try_init) says what it
    /// costs.
    pub fn init(self) -> Guard {
        self.try_init().unwrap_or_else(|error| {
            // Not `eprintln!`, which panics where standard error is closed.
            let _ = writeln!(io::stderr(), "bugsage: nothing is reported: {error}");
            client::set_off(client::active().is_none());
            Guard::inactive()
        })
    }

    /// Starts capturing, or says why not.
    ///
    /// Puts a panic hook in front of the one that is installed, maps 8 MiB, in the spool where there is one,
    /// and starts one thread, for the first second another one that keeps the hook in front. It does not wait
    /// for the network. Each start keeps its memory for good, so start once.
    ///
    /// # Errors
    ///
    /// Where the DSN is missing or malformed, names a file that cannot be written to, or a collector without
    /// the feature `http`; where a guard is alive already; or where no thread can be started. A spool that
    /// cannot be used is no error: reports are kept in memory then.
    ///
    /// ```
    /// # fn try_main() -> Result<(), bugsage_sdk::InitError> {
    /// let _guard = bugsage_sdk::builder().dsn("stdout:").try_init()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_init(self) -> Result<Guard, InitError> {
        let mut spool = spool_settings(self.spool);
        let dsn = self.dsn.or_else(|| variable("BUGSAGE_DSN"));
        let destination = match (self.transport, dsn) {
            (Some(transport), dsn) => {
                let name = dsn.unwrap_or_default();
                Destination::Own(name, Arc::new(Mutex::new(Some(transport))))
            }
            (None, None) => return Err(InitError::MissingDsn),
            (None, Some(dsn)) => match Lines::of(&dsn) {
                Some(lines) => {
                    lines.check()?;
                    // Nothing keeps them from going out at once.
                    spool.is_on = false;
                    Destination::Lines(lines)
                }
                None => collector(
                    &dsn,
                    #[cfg(feature = "http")]
                    self.roots,
                )?,
            },
        };
        let name = |name: String| limits::cut(&name, limits::NAME_BYTES_MAX).into();
        let release = self.release.or_else(|| variable("BUGSAGE_RELEASE"));
        let environment = self.environment.or_else(|| variable("BUGSAGE_ENVIRONMENT"));
        let setup = Setup {
            destination,
            release: release.map(name),
            environment: environment.map(name),
            before_send: self.before_send,
            before_send_span: self.before_send_span,
            shutdown_timeout: self.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT),
            spool,
            limit: self.limit,
            traces_sample_rate: traces_sample_rate(self.traces_sample_rate),
            follows_collector: self.follows_collector,
            traces_rules: self.traces_rules,
            traces_sampler: self.traces_sampler,
            symbols_bytes_max: symbols_bytes_max(self.symbols_bytes_max),
        };
        // First, since what is found out about the build may panic.
        capture::panic::install();
        let client = launch(Arc::new(setup), None)?;
        client::set_off(false);
        capture::panic::stay_in_front();
        Ok(Guard::new(client))
    }
}

#[cfg(feature = "http")]
fn collector(dsn: &str, roots: Vec<Vec<u8>>) -> Result<Destination, InitError> {
    Ok(Destination::Collector(dsn.parse()?, roots.into()))
}

#[cfg(not(feature = "http"))]
fn collector(dsn: &str) -> Result<Destination, InitError> {
    dsn.parse::<Dsn>()?;
    Err(InitError::NoTransport)
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

/// What is set, else what the environment says in bytes, else the default.
fn symbols_bytes_max(set: Option<u64>) -> u64 {
    let said = || {
        let said = variable("BUGSAGE_SYMBOLS_BYTES_MAX")?;
        let bytes = said.trim().parse().ok();
        if bytes.is_none() {
            // As good as unset: symbols are worth more than a strict setting.
            let _ = writeln!(
                io::stderr(),
                "bugsage: BUGSAGE_SYMBOLS_BYTES_MAX is no number of bytes and is not heeded: {said:?}"
            );
        }
        bytes
    };
    set.or_else(said).unwrap_or(limits::SYMBOLS_BYTES_MAX)
}

/// What is set, else what the environment says, else none.
fn traces_sample_rate(set: Option<f64>) -> f64 {
    let said = || {
        let said = variable("BUGSAGE_TRACES_SAMPLE_RATE")?;
        let rate = said.trim().parse().ok();
        let rate = rate.filter(|rate| (0.0..=1.0).contains(rate));
        if rate.is_none() {
            let _ = writeln!(
                io::stderr(),
                "bugsage: BUGSAGE_TRACES_SAMPLE_RATE is no number from 0.0 to 1.0 and is not heeded: \
                 {said:?}"
            );
        }
        rate
    };
    set.or_else(said).unwrap_or(0.0)
}

/// A variable of the environment, unless it is empty or no text.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}
