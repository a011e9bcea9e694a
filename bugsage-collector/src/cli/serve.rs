//! `bugsage serve`: runs the collector until it is told to stop.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app::{App, Config};
use crate::{faults, memory};

use super::{DataArgs, output};

/// The address where nothing else is said.
pub(super) const LISTEN: &str = "127.0.0.1:4100";

#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen; pages are only shown on a loopback address
    #[arg(long, value_name = "ADDR", env = "BUGSAGE_LISTEN", default_value = LISTEN)]
    listen: SocketAddr,
    #[command(flatten)]
    data: DataArgs,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let filter =
            EnvFilter::try_from_env("BUGSAGE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_env_filter(filter)
            .init();
        faults::log_places();
        let config = Config {
            listen: self.listen,
            data: self.data.folder()?,
            vfs: None,
            on_batch: None,
        };
        memory::give_back_large_buffers();
        // Before the listener: a signal that comes early must stop it too.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let app = App::start(config).await?;
        output::line(&format!("listening on http://{}", app.address()));
        app.run(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}
