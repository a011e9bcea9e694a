//! The real toolchain: what the proxies of rustup would start.
//!
//! In: the channel that the repository names, if it does. Out: a [`Toolchain`] that can be mounted.
//! Never: a toolchain that is downloaded, or a program that a repository names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::repository::{Repository, RepositoryError, Snapshot};

/// A compiler with cargo and clippy, in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The folder.
    pub sysroot: PathBuf,
    /// What `rustc --version` says.
    pub version: String,
    /// What it compiles for: `x86_64-unknown-linux-gnu`.
    pub host: String,
    /// Where cargo keeps what it downloads.
    pub cargo_home: PathBuf,
}

/// Why there is no toolchain; for the operator to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoToolchain {
    /// Nothing is installed, or nothing that runs.
    #[error("no Rust toolchain is installed for the worker ({0}); install one with rustup")]
    Missing(String),
    /// The repository names one that is not there.
    #[error(
        "the repository asks for the toolchain {channel}, which is not installed; run: rustup toolchain install {channel} --component clippy"
    )]
    Absent {
        /// What it names.
        channel: String,
    },
    /// A program is missing in it.
    #[error("the toolchain has no {program}; {hint}")]
    Incomplete {
        /// The program.
        program: &'static str,
        /// How to get it.
        hint: &'static str,
    },
}

impl Toolchain {
    /// The toolchain that a repository is built with.
    ///
    /// # Errors
    ///
    /// Says what to install.
    pub fn find(channel: Option<&str>) -> Result<Self, NoToolchain> {
        let cargo_home = cargo_home();
        let rustc = rustc(&cargo_home);
        let sysroot =
            ask(&rustc, channel, &["--print", "sysroot"]).map_err(|said| match channel {
                Some(channel) => NoToolchain::Absent {
                    channel: channel.to_owned(),
                },
                None => NoToolchain::Missing(said),
            })?;
        let sysroot = PathBuf::from(sysroot.trim());
        for (program, hint) in [
            ("rustc", "install Rust with rustup"),
            ("cargo", "install Rust with rustup"),
            ("cargo-clippy", "run: rustup component add clippy"),
            ("clippy-driver", "run: rustup component add clippy"),
        ] {
            if !sysroot.join("bin").join(program).is_file() {
                return Err(NoToolchain::Incomplete { program, hint });
            }
        }
        let about =
            ask(&sysroot.join("bin/rustc"), None, &["-vV"]).map_err(NoToolchain::Missing)?;
        let field = |name: &str| {
            let mut lines = about.lines();
            lines
                .find_map(|line| line.strip_prefix(name))
                .map(|text| text.trim().to_owned())
        };
        let release = field("release:").unwrap_or_default();
        // Where rustup is not asked, the channel was not either.
        if let Some(channel) = channel
            && channel.starts_with(|first: char| first.is_ascii_digit())
            && !release.starts_with(channel)
        {
            return Err(NoToolchain::Absent {
                channel: channel.to_owned(),
            });
        }
        Ok(Toolchain {
            version: about.lines().next().unwrap_or_default().to_owned(),
            host: field("host:").ok_or_else(|| NoToolchain::Missing(about.clone()))?,
            sysroot,
            cargo_home,
        })
    }

    /// Its cargo.
    pub fn cargo(&self) -> PathBuf {
        self.sysroot.join("bin/cargo")
    }
}

/// The channel that a repository names: `stable`, `1.90.0`, `nightly-2026-01-01`.
pub fn channel(
    repository: &Repository,
    snapshot: &Snapshot,
) -> Result<Option<String>, RepositoryError> {
    for path in ["rust-toolchain.toml", "rust-toolchain"] {
        if let Some(bytes) = repository.content(snapshot, path)? {
            return Ok(channel_in(&String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(None)
}

fn channel_in(text: &str) -> Option<String> {
    let named = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "channel").then_some(value)
    });
    let whole = (text.lines().count() == 1).then_some(text);
    let value = named.or(whole)?.split('#').next()?;
    let channel = value.trim().trim_matches(['"', '\'']);
    let is_plain = channel
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    // It becomes the value of a variable that rustup reads.
    (is_plain && (1..=60).contains(&channel.len()) && !channel.starts_with('-'))
        .then(|| channel.to_owned())
}

fn cargo_home() -> PathBuf {
    let home = || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// A service's path often lacks what a login adds to it.
fn rustc(cargo_home: &Path) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push(cargo_home.join("bin"));
    let mut places = folders.iter().map(|folder| folder.join("rustc"));
    places
        .find(|place| place.is_file())
        .unwrap_or_else(|| "rustc".into())
}

/// Asks a compiler, in a folder where no file of a repository can answer in its place.
fn ask(rustc: &Path, channel: Option<&str>, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(rustc);
    command
        .args(arguments)
        .current_dir("/")
        .env_remove("RUSTC_WRAPPER")
        .env("RUSTUP_AUTO_INSTALL", "0")
        .stdin(Stdio::null());
    if let Some(channel) = channel {
        command.env("RUSTUP_TOOLCHAIN", channel);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_read_from_both_forms_and_is_never_more_than_a_name() {
        assert_eq!(
            channel_in("[toolchain]\nchannel = \"1.90.0\" # pinned\n").as_deref(),
            Some("1.90.0")
        );
        assert_eq!(
            channel_in("nightly-2026-01-01\n").as_deref(),
            Some("nightly-2026-01-01")
        );
        assert_eq!(channel_in("[toolchain]\npath = \"/evil\"\n"), None);
        assert_eq!(channel_in("channel = \"../../evil\"\n"), None);
        assert_eq!(channel_in("channel = \"--version\"\n"), None);
    }

    #[test]
    fn the_toolchain_is_the_real_one_and_not_a_proxy() {
        let toolchain = Toolchain::find(None).unwrap();

        assert!(toolchain.sysroot.join("lib").is_dir());
        assert!(toolchain.version.starts_with("rustc 1."));
        assert!(toolchain.host.contains('-'));
        let absent = Toolchain::find(Some("1.0.99")).unwrap_err().to_string();
        assert!(absent.contains("1.0.99"), "{absent}");
    }
}
