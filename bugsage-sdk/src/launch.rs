//! Starts a client: at the app's start, and again in a child that it made by `fork`.
//!
//! A child has none of its parent's threads, so nobody would ship what it captures; and it has a copy
//! of all memory, so it would give its reports the ids of its parent's. The first report that it makes
//! starts a client of its own, with the same settings, as a run of its own.

use std::env;
use std::hash::RandomState;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bugsage_core::event::{Run, Text};
use bugsage_core::id::RunId;

use crate::capture;
use crate::client::{self, Client};
use crate::levels;
use crate::limiter::Limit;
use crate::options::InitError;
use crate::ship::carrier::Destination;
use crate::ship::{self, BeforeSend, BeforeSendSpan, Shipment};
use crate::spans::sampling::{Rule, Sampler, Sampling};
use crate::spool::about::About;
use crate::spool::{self, Settings};

/// How many modules' build-ids are read by the thread that starts the SDK: those of the program and
/// of what it cannot run without. The shipping thread reads the rest.
const BUILD_IDS_AT_START: usize = 4;

/// What the app and its environment have set.
pub(crate) struct Setup {
    pub(crate) destination: Destination,
    pub(crate) release: Option<Text>,
    pub(crate) environment: Option<Text>,
    pub(crate) before_send: Option<BeforeSend>,
    pub(crate) before_send_span: Option<BeforeSendSpan>,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) spool: Settings,
    pub(crate) limit: Option<Limit>,
    pub(crate) traces_sample_rate: f64,
    pub(crate) follows_collector: bool,
    pub(crate) traces_rules: Vec<Rule>,
    pub(crate) traces_sampler: Option<Sampler>,
    pub(crate) symbols_bytes_max: u64,
}

impl Setup {
    pub(crate) fn sampling(&self) -> Sampling {
        let sampler = self.traces_sampler.clone();
        Sampling::new(self.traces_sample_rate, self.traces_rules.clone(), sampler)
    }
}

/// Starts a client and makes it the one that captures, in place of its `parent` in a child.
pub(crate) fn launch(
    setup: Arc<Setup>,
    parent: Option<&'static Client>,
) -> Result<&'static Client, InitError> {
    if parent.is_none() && client::active().is_some() {
        return Err(InitError::AlreadyActive);
    }
    let hash_keys = RandomState::new();
    crate::spans::salt(&hash_keys);
    let started_at = client::now();
    let run = Run {
        id: RunId::new(started_at, client::random(&hash_keys, 0)),
        release: setup.release.clone(),
        environment: setup.environment.clone(),
        started_at,
        sdk: concat!("bugsage-sdk@", env!("CARGO_PKG_VERSION")).into(),
    };
    let executable = env::current_exe().unwrap_or_default();
    let modules = capture::modules::loaded(BUILD_IDS_AT_START);
    let about = About {
        run: Arc::new(run),
        executable: executable.to_string_lossy().into_owned(),
        contexts: capture::host::contexts(),
        modules,
    };
    let (mut opened, failure) = spool::open(&setup.spool, &setup.destination, &about);
    if let Some(error) = failure {
        // Not `eprintln!`, which panics where standard error is closed.
        let _ = writeln!(
            io::stderr(),
            "bugsage: there is no spool, so reports die with the process: {error}; \
             set BUGSAGE_SPOOL_DIR to a folder of this user alone, or to `off`"
        );
    }
    let (memory, last_run) = (opened.take_memory(started_at), opened.last.take());
    let shipment = Shipment {
        destination: setup.destination.clone(),
        about,
        before_send: setup.before_send.clone(),
        before_send_span: setup.before_send_span.clone(),
        settings: setup.spool.clone(),
        symbols_bytes_max: setup.symbols_bytes_max,
        opened,
    };
    let client: &'static Client =
        Box::leak(Box::new(Client::new(setup, memory, last_run, hash_keys)));
    if !client::activate(client, parent) {
        // Two threads at once: what this one has set aside stays unused.
        if let Some(folder) = shipment.opened.own {
            folder.remove();
        }
        return Err(InitError::AlreadyActive);
    }
    levels::follow(client.follower);
    if let Err(error) = ship::start(client, shipment) {
        client::deactivate(client);
        return Err(InitError::Thread(error));
    }
    Ok(client)
}
