//! `bugsage serve`: runs the collector until it is told to stop.

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Setup};
use crate::config::Flag;
use crate::observe::log;
use crate::{faults, memory};

use super::output;
use super::settings::SettingsArgs;

#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen; pages are only shown on a loopback address [default: 127.0.0.1:4100]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let listen = self.listen.map(|text| Flag {
            key: "listen",
            name: "--listen",
            text,
        });
        let resolved = self.settings.resolve(listen.into_iter().collect())?;
        log::start(&resolved.config.log)?;
        faults::log_places();
        if let Some(file) = &resolved.file {
            tracing::info!("settings of {}", file.display());
        }
        let folder = self.settings.data.folder()?;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            folder = %folder.display(),
            "starting"
        );
        let setup = Setup::new(folder, resolved.config);
        memory::give_back_large_buffers();
        // Before the listener: a signal that comes early must stop it too.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // The terminal that it was started in was closed.
        let mut hangup = signal(SignalKind::hangup())?;
        let app = App::start(setup).await?;
        output::line(&format!("listening on http://{}", app.address()));
        app.run(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        })
        .await?;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    }
}
