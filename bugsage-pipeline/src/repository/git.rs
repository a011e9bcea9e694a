//! Runs the `git` binary, so that neither a repository nor an event can make it do more than read.
//!
//! A repository's own configuration can name programs (hooks, a file system monitor, pagers, text
//! converters, signature checkers) and remotes that git would call. All of them are switched off, the
//! environment is empty but for `PATH`, and no user's or system's settings are read.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::limits;
use crate::process::{self, Finished};
use crate::repository::{Repository, RepositoryError};

impl Repository {
    /// Runs git and returns what it printed. An exit code other than 0 is [`RepositoryError::Refused`].
    pub(super) fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, RepositoryError> {
        self.git_at_most(arguments, limits::GIT_OUTPUT_BYTES_MAX)
    }

    /// Asks git a question that it answers by its exit code.
    pub(super) fn git_says(&self, arguments: &[&str]) -> Result<bool, RepositoryError> {
        match self.git(arguments) {
            Ok(_) => Ok(true),
            Err(RepositoryError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`Repository::git`], with a bound of the caller's on the output.
    pub(super) fn git_at_most(
        &self,
        arguments: &[&str],
        bytes_max: usize,
    ) -> Result<Vec<u8>, RepositoryError> {
        finish(&mut self.command(arguments), arguments, b"", bytes_max)
    }

    /// Runs a command of git's plumbing that writes, and returns what it printed, without white space
    /// around it.
    pub(crate) fn write_git(
        &self,
        arguments: &[&str],
        environment: &[(&str, &OsStr)],
        input: &[u8],
    ) -> Result<String, RepositoryError> {
        let mut command = self.command(arguments);
        command
            .envs(environment.iter().copied())
            .stdin(Stdio::piped());
        let output = finish(&mut command, arguments, input, limits::GIT_OUTPUT_BYTES_MAX)?;
        Ok(String::from_utf8_lossy(output.trim_ascii()).into_owned())
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let path = self.path();
        let mut safe = std::ffi::OsString::from("safe.directory=");
        safe.push(path);
        let mut command = Command::new("git");
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_ALLOW_PROTOCOL", "")
            .arg("-C")
            .arg(path)
            .arg("-c")
            .arg(safe);
        // The folder itself is meant, never a repository that happens to lie above it.
        if let Some(parent) = path.parent() {
            command.env("GIT_CEILING_DIRECTORIES", parent);
        }
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.untrackedCache=false",
            "core.pager=cat",
            "core.attributesFile=/dev/null",
            "protocol.allow=never",
            "log.showSignature=false",
            "diff.orderFile=/dev/null",
            "i18n.logOutputEncoding=UTF-8",
        ] {
            command.arg("-c").arg(setting);
        }
        command
            .args(["--no-pager", "--no-optional-locks", "--literal-pathspecs"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

fn finish(
    command: &mut Command,
    arguments: &[&str],
    input: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, RepositoryError> {
    let name = || arguments.first().copied().unwrap_or_default().to_owned();
    let finished = process::run(
        command,
        input,
        bytes_max,
        limits::GIT_COMPLAINT_BYTES_MAX,
        limits::GIT_TIME_MAX,
    );
    let finished = finished.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => RepositoryError::GitMissing,
        _ => RepositoryError::Io(error),
    })?;
    match finished {
        Finished::Exited { status, output, .. } if status.success() => Ok(output),
        Finished::Exited {
            status, complaint, ..
        } => {
            let complaint = match complaint.trim() {
                "" => status.to_string(),
                text => text.to_owned(),
            };
            Err(RepositoryError::Refused {
                command: name(),
                complaint,
            })
        }
        Finished::TooMuch => Err(RepositoryError::TooLarge {
            command: name(),
            limit_bytes: bytes_max,
        }),
        Finished::TooLate => Err(RepositoryError::TimedOut {
            command: name(),
            seconds: limits::GIT_TIME_MAX.as_secs(),
        }),
    }
}
