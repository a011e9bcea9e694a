//! Runs the `git` binary, so that neither a repository nor an event can make it do more than read.
//!
//! A repository's own configuration can name programs (hooks, a file system monitor, pagers, text
//! converters, signature checkers) and remotes that git would call. All of them are switched off, the
//! environment is empty but for `PATH`, and no user's or system's settings are read.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::limits;
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
        let name = || arguments.first().copied().unwrap_or_default().to_owned();
        let mut child = self
            .command(arguments)
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => RepositoryError::GitMissing,
                _ => RepositoryError::Io(error),
            })?;
        let finished = finish(&mut child, bytes_max, limits::GIT_TIME_MAX);
        if !matches!(finished, Ok(Finished::Exited { .. })) {
            // It may have ended by itself in the meantime; what counts is that it is gone.
            let _ = child.kill();
            let _ = child.wait();
        }
        match finished? {
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

enum Finished {
    Exited {
        status: ExitStatus,
        output: Vec<u8>,
        complaint: String,
    },
    TooMuch,
    TooLate,
}

/// Waits for the child's output and end. Readers stand in threads of their own, so that a child that
/// prints nothing, or a grandchild that keeps a pipe open, cannot hold the caller.
fn finish(child: &mut Child, bytes_max: usize, time_max: Duration) -> std::io::Result<Finished> {
    let deadline = Instant::now() + time_max;
    let output = read_in_thread(child.stdout.take(), bytes_max + 1)?;
    let complaint = read_in_thread(child.stderr.take(), limits::GIT_COMPLAINT_BYTES_MAX)?;
    let left = || deadline.saturating_duration_since(Instant::now());

    let Ok(output) = output.recv_timeout(left()) else {
        return Ok(Finished::TooLate);
    };
    if output.len() > bytes_max {
        return Ok(Finished::TooMuch);
    }
    let complaint = complaint.recv_timeout(left()).unwrap_or_default();
    let complaint = String::from_utf8_lossy(&complaint).into_owned();
    // The pipe is closed, so the end is near; there is nothing to wait on with a timeout.
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Finished::Exited {
                status,
                output,
                complaint,
            });
        }
        if left().is_zero() {
            return Ok(Finished::TooLate);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads at most `bytes_max` and sends them. What is beyond is left, and the pipe closed.
fn read_in_thread(
    pipe: Option<impl Read + Send + 'static>,
    bytes_max: usize,
) -> std::io::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("git-output".into())
        .spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                // What was read before an error is still worth showing; the exit code tells of failure.
                let _ = pipe.take(bytes_max as u64).read_to_end(&mut bytes);
            }
            let _ = sender.send(bytes);
        })?;
    Ok(receiver)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn run(script: &str, bytes_max: usize, time_max: Duration) -> (Finished, Duration) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let finished = finish(&mut child, bytes_max, time_max).unwrap();
        let taken = start.elapsed();
        let _ = child.kill();
        child.wait().unwrap();
        (finished, taken)
    }

    #[test]
    fn a_program_that_hangs_is_left_after_its_time() {
        let time_max = Duration::from_millis(100);

        for script in [
            "exec sleep 60",
            "exec >&-; exec sleep 60",
            "sleep 1 & exit 0",
        ] {
            let (finished, taken) = run(script, 10, time_max);

            assert!(matches!(finished, Finished::TooLate), "{script}");
            assert!(taken < Duration::from_secs(30), "{script}: {taken:?}");
        }
    }

    #[test]
    fn a_program_that_prints_without_end_is_left_at_the_bound() {
        let (finished, _) = run("exec yes", 1_000, Duration::from_secs(60));

        assert!(matches!(finished, Finished::TooMuch));
    }

    #[test]
    fn a_complaint_is_kept_with_the_exit_code() {
        let (finished, _) = run(
            "echo out; echo no >&2; exit 3",
            1_000,
            Duration::from_secs(60),
        );

        let Finished::Exited {
            status,
            output,
            complaint,
        } = finished
        else {
            panic!()
        };
        assert_eq!(
            (status.code(), &*output, &*complaint),
            (Some(3), &b"out\n"[..], "no\n")
        );
    }
}
