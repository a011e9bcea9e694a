//! Runs a program as a child process: bounded in time, its output collected, killed on drop.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;
use super::account::Account;
use super::collector::{Folder, wait_for};

/// Output that is kept of one stream; more is read and thrown away.
const OUTPUT_BYTES_MAX: usize = 4 << 20;

/// A scenario of the app that the tests look at from outside.
pub(crate) fn subject(scenario: &str) -> Program {
    subject_at(Path::new(env!("CARGO_BIN_EXE_subject")), scenario)
}

/// The same of a copy of that app.
pub(crate) fn subject_at(path: &Path, scenario: &str) -> Program {
    reporting(path).arg(scenario)
}

/// A program that reports, with a spool of its own.
pub(crate) fn reporting(path: &Path) -> Program {
    let spool = Folder::new();
    Program::new(path).spool(spool.path()).keeping(spool)
}

/// The same app, built with `panic = "abort"`, and to lie at a fixed address. The build shares lock file and downloads with the
/// one that made this test, needs no network, and does nothing where it was done before.
pub(crate) fn aborting_subject(scenario: &str) -> Program {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    reporting(BUILT.get_or_init(build_aborting_subject)).arg(scenario)
}

fn build_aborting_subject() -> PathBuf {
    let unwinding = Path::new(env!("CARGO_BIN_EXE_subject"));
    let target = unwinding.ancestors().nth(2).expect("is two folders down");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["rustc", "--profile", "abort", "--bin", "subject"])
        .args(["--no-default-features", "--locked", "--offline", "--quiet"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .arg("--target-dir")
        .arg(target)
        .args(["--", "-Crelocation-model=static"]);
    // What cargo told this test about its package would make build scripts run anew.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }

    let output = cargo.output().expect("cargo can be started");

    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cannot build the subject: {stderr}"
    );
    target.join("abort").join("subject")
}

/// A program that is about to start.
pub(crate) struct Program {
    command: Command,
    /// Goes with the program.
    folder: Option<Folder>,
}

impl Program {
    pub(crate) fn new(path: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(path);
        command
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("RUST_BACKTRACE", "0");
        // The developer's own settings are no part of a story.
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy().to_ascii_lowercase();
            if name_text.starts_with("bugsage_") || name_text.ends_with("_proxy") {
                command.env_remove(&name);
            }
        }
        Self {
            command,
            folder: None,
        }
    }

    /// Where a subject's reports lie until they are delivered. Unset it is a folder of its own.
    pub(crate) fn spool(self, folder: &Path) -> Self {
        self.env("BUGSAGE_SPOOL_DIR", folder)
    }

    /// The file that is run.
    pub(crate) fn file(&self) -> &OsStr {
        self.command.get_program()
    }

    fn keeping(mut self, folder: Folder) -> Self {
        self.folder = Some(folder);
        self
    }

    /// The same program with a limit on the size of files, in units of 512 bytes.
    pub(crate) fn with_file_limit(mut self, blocks: u32) -> Self {
        let mut limited = Command::new("sh");
        let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
        limited.arg("-c").arg(script);
        limited.arg(self.command.get_program());
        limited.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        limited
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command = limited;
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Where a subject reports to.
    pub(crate) fn dsn(self, dsn: impl AsRef<str>) -> Self {
        self.env("BUGSAGE_DSN", dsn.as_ref())
    }

    /// How long a subject's guard may wait.
    pub(crate) fn timeout(self, timeout: Duration) -> Self {
        self.env("SUBJECT_TIMEOUT_MS", timeout.as_millis().to_string())
    }

    pub(crate) fn spawn(mut self) -> Running {
        let started = Instant::now();
        let mut child = wait_for("nobody to write the program", || {
            match self.command.spawn() {
                // Another story was forking while this one wrote it, and its child is not at exec yet.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
                spawned => Some(spawned.expect("the program can be started")),
            }
        });
        let stdout = Output::of(child.stdout.take().expect("is piped"));
        let stderr = Output::of(child.stderr.take().expect("is piped"));
        Running {
            child,
            stdout,
            stderr,
            started,
            _folder: self.folder,
        }
    }

    /// Starts it and waits for its end.
    pub(crate) fn run(self) -> Ended {
        self.spawn().wait()
    }
}

/// A child process. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    stdout: Output,
    stderr: Output,
    started: Instant,
    _folder: Option<Folder>,
}

impl Running {
    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        let status = self.child.try_wait();
        status.expect("it is our child").is_none()
    }

    /// Waits until the program has written `text` on standard error.
    pub(crate) fn wait_for_stderr(&self, text: &str) {
        let found = self.stderr.wait(|written| written.contains(text));
        assert!(found, "{text:?} is not in: {}", self.stderr.text());
    }

    /// Waits for a line of standard output that begins so, and tells how it goes on.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, beginning: &str) -> String {
        let rest = |written: &str| {
            let mut lines = written.split_inclusive('\n');
            lines.find_map(|line| {
                let line = line.strip_suffix('\n')?;
                line.strip_prefix(beginning).map(str::to_owned)
            })
        };
        self.stdout.wait(|written| rest(written).is_some());
        let stdout = self.stdout.text();
        rest(&stdout).unwrap_or_else(|| {
            let stderr = self.stderr.text();
            panic!("{beginning:?} is not in: {stdout}\nstderr: {stderr}")
        })
    }

    /// Asks it to end, as whoever supervises a service does.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it is our child");
    }

    /// Waits for the program's end. A program that hangs fails the story.
    pub(crate) fn wait(mut self) -> Ended {
        let status = loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => break status,
                None if self.started.elapsed() > PATIENCE => panic!(
                    "the program hangs\nstdout: {}\nstderr: {}",
                    self.stdout.text(),
                    self.stderr.text()
                ),
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        let took = self.started.elapsed();
        Ended {
            status,
            took,
            stdout: self.stdout.rest(),
            stderr: self.stderr.rest(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Checks that it ended well.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        self.with_code(0)
    }

    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// Checks that it ended by `kill -9`.
    #[track_caller]
    pub(crate) fn by_kill(self) -> Self {
        const SIGKILL: i32 = 9;
        assert_eq!(self.status.signal(), Some(SIGKILL), "{self:#?}");
        self
    }

    /// Checks that it ended by `abort()`.
    #[track_caller]
    pub(crate) fn by_abort(self) -> Self {
        const SIGABRT: i32 = 6;
        assert_eq!(self.status.signal(), Some(SIGABRT), "{self:#?}");
        self
    }

    /// What follows `name: ` at the beginning of a line of standard output.
    #[track_caller]
    pub(crate) fn told(&self, name: &str) -> &str {
        let mut lines = self.stdout.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .unwrap_or_else(|| panic!("{name} is not in: {self:#?}"))
    }

    /// A time in milliseconds that the program told.
    #[track_caller]
    pub(crate) fn told_time(&self, name: &str) -> Duration {
        Duration::from_millis(self.told(name).parse().expect("is a number"))
    }

    /// A report of the SDK that the program told.
    #[track_caller]
    pub(crate) fn account(&self, name: &str) -> Account {
        Account::parse(self.told(name))
    }
}

/// What a child writes to one stream, read as it comes.
struct Output {
    written: Arc<(Mutex<Vec<u8>>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let written: Arc<(Mutex<Vec<u8>>, Condvar)> = Arc::default();
        let kept = written.clone();
        let reader = thread::spawn(move || {
            let mut chunk = [0; 8 << 10];
            while let Ok(n @ 1..) = stream.read(&mut chunk) {
                let mut bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
                let room = OUTPUT_BYTES_MAX - bytes.len();
                bytes.extend_from_slice(&chunk[..n.min(room)]);
                kept.1.notify_all();
            }
        });
        Self {
            written,
            reader: Some(reader),
        }
    }

    fn wait(&self, is_enough: impl Fn(&str) -> bool) -> bool {
        let bytes = self.written.0.lock();
        let bytes = bytes.unwrap_or_else(PoisonError::into_inner);
        let waited = self.written.1.wait_timeout_while(bytes, PATIENCE, |bytes| {
            !is_enough(&String::from_utf8_lossy(bytes))
        });
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn text(&self) -> String {
        let bytes = self.written.0.lock();
        let bytes = bytes.unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Everything up to the stream's end.
    fn rest(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        self.text()
    }
}
