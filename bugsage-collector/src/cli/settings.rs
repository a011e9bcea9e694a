//! What is set: the arguments that all commands about it share.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::config::{self, Config, Flag, Resolved, Sources};

use super::DataArgs;

/// Where the data and the settings are.
#[derive(Args, Clone)]
pub(super) struct SettingsArgs {
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// The file with the settings [default: bugsage.toml in the data folder, if it is there]
    #[arg(long, value_name = "FILE", env = config::FILE_VARIABLE)]
    config: Option<PathBuf>,
}

impl SettingsArgs {
    /// Settings as all places together say, with the flags of a command.
    ///
    /// # Errors
    ///
    /// [`config::Problems`] with all that is wrong with them.
    pub(super) fn resolve(&self, flags: Vec<Flag>) -> anyhow::Result<Resolved> {
        let sources = Sources {
            flags,
            variables: variables(),
            file: self.config.clone(),
            data: self.data.folder()?,
        };
        Ok(sources.resolve()?)
    }
}

/// Where a collector on this data folder will listen, as far as that is set. What is wrong with the
/// settings, `serve` tells.
pub(super) fn listen(data: &DataArgs) -> SocketAddr {
    let file = std::env::var_os(config::FILE_VARIABLE).filter(|name| !name.is_empty());
    let settings = SettingsArgs {
        data: data.clone(),
        config: file.map(PathBuf::from),
    };
    let resolved = settings.resolve(Vec::new());
    resolved
        .map_or_else(|_| Config::default(), |it| it.config)
        .listen
}

/// The variables that may be about the collector. What is no text is told as far as it is.
fn variables() -> Vec<(String, String)> {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        config::is_ours(&name).then(|| (name, value.to_string_lossy().into_owned()))
    });
    let mut variables: Vec<_> = variables.collect();
    // Problems are told in the same order each time.
    variables.sort();
    variables
}
