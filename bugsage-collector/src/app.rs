//! The one place where the parts are joined: store, ingest, worker, pages, and the listener.

use std::fs::{File, TryLockError};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use bugsage_core::clock::Clock;

use crate::api::{self, Watched};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::dashboard::{self, Pages};
use crate::ingest::{self, Ingest, OnBatch};
use crate::observe::Observer;
use crate::observe::disk::{Disk, Space};
use crate::observe::exposition::Exposition;
use crate::observe::metrics::Connections;
use crate::store::Store;
use crate::store::model::Retention;
use crate::store::sqlite::{OpenOptions, Owner, SqliteStore, make_folder};
use crate::worker::cases::CaseWorker;
use crate::worker::{rekey, sweep, watch};

/// How long a client may take to send the head of a request, and how long a connection may idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(15);

/// The head of a request, all headers together.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long requests may take to finish after the collector was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a failed accept waits: the system is out of descriptors, and soon has some again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a collector is started with.
#[derive(Clone)]
pub struct Setup {
    /// Where the data is.
    pub data: PathBuf,
    /// What the operator has set.
    pub config: Config,
    /// A virtual file system for the store, for tests that watch or break it.
    pub vfs: Option<String>,
    /// What tells the time, for tests that make it jump.
    pub clock: Arc<dyn Clock>,
    /// See [`OnBatch`].
    pub on_batch: Option<OnBatch>,
}

impl Setup {
    /// A collector on a folder.
    pub fn new(data: impl Into<PathBuf>, config: Config) -> Self {
        Self {
            data: data.into(),
            config,
            vfs: None,
            clock: Arc::new(SystemClock),
            on_batch: None,
        }
    }
}

/// A collector that listens.
pub struct App {
    listener: TcpListener,
    connections_max: usize,
    connections: Connections,
    router: Router,
    worker: CaseWorker,
    store: Arc<dyn Store>,
    /// Jobs that end with the collector.
    background: JoinSet<()>,
    address: SocketAddr,
    /// Held while the collector runs, so that a second one is refused.
    _lock: FolderLock,
    address_file: PathBuf,
}

impl App {
    /// Opens the store and the listener. Requests wait until [`App::run`].
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        let Setup {
            data,
            config,
            vfs,
            clock,
            on_batch,
        } = setup;
        let observer = Observer {
            disk: Disk::new(config.limits.disk_free_bytes),
            ..Observer::default()
        };
        let options = OpenOptions {
            vfs,
            observer: observer.clone(),
            ..OpenOptions::new(&data, Owner::Server)
        };
        let lock = lock(&data)?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options)?);
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "cannot listen on {}: choose another --listen",
                config.listen
            )
        })?;
        let address = listener.local_addr()?;
        // Before the first batch; later on the watch looks.
        observer
            .disk
            .note(Space::of(&data).context("the disk cannot be asked for its room")?);
        let address_file = data.join("address");
        std::fs::write(&address_file, address.to_string())
            .with_context(|| format!("cannot write {}", address_file.display()))?;
        let ingest = Ingest::new(store.clone(), clock.clone(), config.retention.events);
        let ingest = ingest.with_on_batch(on_batch);
        let ingest = Arc::new(ingest.with_observer(observer.clone()));
        let refusals = ingest.note_refusals();
        let pages = Pages::new(
            store.clone(),
            clock.clone(),
            ingest.sources(),
            address.ip().is_loopback(),
        );
        let watched = Watched {
            store: store.clone(),
            ingest: ingest.clone(),
            clock: clock.clone(),
            observer: observer.clone(),
            exposition: Exposition::new(observer.clone(), data.clone()),
            is_local: address.ip().is_loopback(),
        };
        let router = Router::new()
            .merge(ingest::routes(ingest.clone()))
            .merge(api::routes(watched))
            .merge(dashboard::routes(Arc::new(pages)));
        let retention = retention(&config);
        let sweeper = sweep::run(store.clone(), clock.clone(), retention, observer.clone());
        let rekey = rekey::run(
            store.clone(),
            ingest.sources(),
            clock.clone(),
            observer.clone(),
        );
        let watch = watch::run(store.clone(), data.clone(), observer.clone());
        let connections = observer.metrics.connections.clone();
        let worker = CaseWorker::new(store.clone(), clock, &data, observer);
        worker.release_leases().await;
        let mut background = JoinSet::new();
        background.spawn(sweeper);
        background.spawn(refusals);
        background.spawn(watch);
        background.spawn(rekey);
        Ok(Self {
            listener,
            // On a platform where it does not fit, memory ends first.
            connections_max: config.limits.connections as usize,
            connections,
            router,
            worker,
            store,
            background,
            address,
            _lock: lock,
            address_file,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then lets running requests finish.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let worker = tokio::spawn(self.worker.run());
        let connections = Arc::new(Semaphore::new(self.connections_max));
        let graceful = GracefulShutdown::new();
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new())
            // Who has sent a whole request and nothing after it still wants the answer.
            .half_close(true)
            .header_read_timeout(HEAD_DEADLINE)
            .max_buf_size(HEAD_BYTES_MAX);
        let mut stop = std::pin::pin!(stop);
        loop {
            // Taken before the accept: beyond the cap, connections wait in the system's queue.
            let permit = tokio::select! {
                permit = connections.clone().acquire_owned() => permit?,
                () = &mut stop => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut stop => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    self.connections.failed.inc();
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Answers are small; waiting to fill a packet only delays them.
            let _ = stream.set_nodelay(true);
            let service = TowerToHyperService::new(self.router.clone());
            let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
            self.connections.accepted.inc();
            self.connections.open.inc();
            let open = self.connections.open.clone();
            tokio::spawn(async move {
                // A client that goes away is no event of ours.
                let _ = connection.await;
                open.dec();
                drop(permit);
            });
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not finish in time");
        }
        // A stage that is cut off here runs again at the next start.
        worker.abort();
        drop(self.background);
        if tokio::time::timeout(DRAIN, self.store.close())
            .await
            .is_err()
        {
            tracing::warn!("the store was not closed in time; the next start does what is left");
        }
        let _ = std::fs::remove_file(&self.address_file);
        Ok(())
    }
}

/// The address of the collector that runs on a data folder, if one does.
pub fn running_at(data: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(data.join("address"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn retention(config: &Config) -> Retention {
    Retention {
        days: u32::try_from(config.retention.days).unwrap_or(u32::MAX),
        bytes: config.retention.bytes,
        trace_days: u32::try_from(config.retention.trace_days).unwrap_or(u32::MAX),
        trace_bytes: config.retention.trace_bytes,
    }
}

/// Somebody else has the data folder.
#[derive(Debug, thiserror::Error)]
#[error("another collector runs on {}: stop it, or choose another --data", .0.display())]
pub(crate) struct Taken(PathBuf);

/// The right to a data folder.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // To close the file is not enough: a child that was forked and did not get to `exec` yet has the
        // same open file, and would keep it locked. Where it fails, the end of the process unlocks it.
        let _ = self.0.unlock();
    }
}

/// Holds a data folder for one collector, or for a command that no collector may run beside.
pub(crate) fn lock(data: &Path) -> anyhow::Result<FolderLock> {
    make_folder(data)?;
    let path = data.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(Taken(data.to_owned()).into()),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}
