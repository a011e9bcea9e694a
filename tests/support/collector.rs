//! The real `bugsage` binary: a collector as a child process, and the commands beside it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bugsage_core::batch::Sealed;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::PATIENCE;
use super::client::{Answer, Client};
use super::program::{Ended, Program};

/// The profile that the binary is built in: this test's, or `STORY_PROFILE` where figures are wanted.
pub(crate) fn collector_profile() -> String {
    let wanted = std::env::var("STORY_PROFILE").ok();
    wanted.unwrap_or_else(|| target_and_profile().1)
}

/// The binary, built once. It belongs to another package, so cargo does
/// not build it for us.
pub(crate) fn bugsage() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let (target, _) = target_and_profile();
        let profile = collector_profile();
        let package = ["--package", "bugsage-collector", "--bin", "bugsage"];
        cargo_build(&package, &target, &profile);
        let folder = if profile == "dev" { "debug" } else { &profile };
        target.join(folder).join("bugsage")
    })
}

/// Where cargo has put this test: `TARGET/PROFILE/deps/stories-HASH`.
pub(crate) fn target_and_profile() -> (PathBuf, String) {
    let this = std::env::current_exe().expect("a process knows its file");
    let mut folders = this.ancestors().skip(2);
    let profile = folders.next().and_then(Path::file_name);
    let profile = profile.and_then(|it| it.to_str()).expect("is a folder");
    let profile = if profile == "debug" { "dev" } else { profile };
    let target = folders.next().expect("has a folder");
    (target.to_owned(), profile.to_owned())
}

/// Runs `cargo build` with the lock file and downloads of the build that made this test.
pub(crate) fn cargo_build(words: &[&str], target: &Path, profile: &str) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--offline", "--quiet"])
        .args(["--profile", profile])
        .args(words)
        .arg("--target-dir")
        .arg(target)
        .current_dir(root());
    // What cargo told this test about its package would make build scripts run anew.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    let output = cargo.output().expect("cargo can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot build {words:?}: {stderr}");
}

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests stand in the root")
}

/// Whoever runs the tests, as the collector calls them: by the operating system's word, whatever the
/// environment says.
pub(crate) fn operator() -> String {
    let output = Command::new("id").arg("-un").output();
    let name = output.expect("coreutils are installed").stdout;
    format!("local:{}", String::from_utf8_lossy(&name).trim())
}

/// A folder of one story's own. It goes when the story ends.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        Self::inside(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    pub(crate) fn inside(parent: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("story-{}-{number}", std::process::id());
        let path = parent.join(name);
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path.canonicalize().expect("is there"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where a collector that is given this folder keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// A command on this folder's data.
    pub(crate) fn command(&self, words: &[&str]) -> Program {
        let mut program = Program::new(bugsage()).env("USER", "ann");
        for word in words {
            program = program.arg(word);
        }
        program.arg("--data").arg(self.data())
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        self.command(words).run()
    }

    /// The document that a command prints, which must end well.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let ended = self.command(words).arg("--json").run().well();
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"))
    }

    #[track_caller]
    pub(crate) fn create_project(&self, name: &str, repository: Option<&Path>) -> Project {
        let mut words = vec!["project", "create", name];
        let repository = repository.map(|path| path.to_str().expect("is text"));
        words.extend(repository.map(|_| "--repository"));
        words.extend(repository);
        Project::of(&self.json(&words))
    }

    /// All issues, in the order in which they were opened.
    #[track_caller]
    pub(crate) fn issues(&self) -> Vec<Value> {
        let Value::Array(mut issues) = self.json(&["issues", "list"]) else {
            panic!("a list is expected");
        };
        issues.sort_by_key(|issue| issue["id"].as_u64());
        issues
    }

    /// Reports of each issue, by the bug that its culprit names: `bug3` of `shop::bug3::fail`.
    #[track_caller]
    pub(crate) fn reports_by_bug(&self) -> BTreeMap<String, u64> {
        let issues = self.issues().into_iter().map(|issue| {
            let culprit = issue["culprit"].as_str().expect("is text");
            let bug = culprit.split("::").nth(1).expect("is a path");
            (
                bug.to_owned(),
                issue["events"].as_u64().expect("is a number"),
            )
        });
        issues.collect()
    }

    #[track_caller]
    pub(crate) fn only_issue(&self) -> Value {
        let mut issues = self.issues();
        assert_eq!(issues.len(), 1, "one issue is expected: {issues:#?}");
        issues.remove(0)
    }

    #[track_caller]
    pub(crate) fn issue(&self, id: u64) -> Value {
        self.json(&["issues", "show", &id.to_string()])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a failed story leaves behind helps whoever looks for the reason.
        if !thread::panicking() {
            fs::remove_dir_all(&self.0).expect("nobody uses the folder any more");
        }
    }
}

/// What an app needs to report.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) id: u64,
    pub(crate) key: String,
    pub(crate) dsn: String,
}

impl Project {
    #[track_caller]
    fn of(document: &Value) -> Self {
        let text = |name: &str| document[name].as_str().expect("is text").to_owned();
        Self {
            id: document["id"].as_u64().expect("is a number"),
            key: text("ingest_key"),
            dsn: text("dsn"),
        }
    }
}

/// A collector that runs. Dropped, it is killed.
pub(crate) struct Collector {
    child: Child,
    address: SocketAddr,
    /// `None` once it was handed on.
    folder: Option<Folder>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::start_on(Folder::new())
    }

    /// Starts on what another collector may have left behind.
    pub(crate) fn start_on(folder: Folder) -> Self {
        Self::start_with(folder, &[])
    }

    /// Starts with something in its environment.
    pub(crate) fn start_with(folder: Folder, environment: &[(&str, &str)]) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.path().join("log"))
            .expect("the log can be opened");
        let mut command = Command::new(bugsage());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BUGSAGE_") {
                command.env_remove(&name);
            }
        }
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.data())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the collector can be started");
        let stdout = child.stdout.take().expect("is piped");
        let (said, line) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens any more after the first line.
                let _ = said.send(line);
            }
        });
        let line = line.recv_timeout(PATIENCE);
        let address = line.ok().and_then(|line| {
            let address = line.strip_prefix("listening on http://")?;
            address.parse().ok()
        });
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            let log = fs::read_to_string(folder.path().join("log"));
            panic!("the collector does not start: {log:?}");
        };
        Self {
            child,
            address,
            folder: Some(folder),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn folder(&self) -> &Folder {
        self.folder.as_ref().expect("is handed on at the end")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    #[track_caller]
    pub(crate) fn create_project(&self, name: &str) -> Project {
        self.folder().create_project(name, None)
    }

    #[track_caller]
    pub(crate) fn send(&self, project: &Project, batch: &Sealed) -> Answer {
        self.client().send(&project.key, &batch.bytes)
    }

    /// Ends it as a crash does, and keeps what it leaves behind.
    pub(crate) fn kill(mut self) -> Folder {
        self.end_at_once();
        self.take_folder()
    }

    /// Ends it in the middle of something while others still use it.
    pub(crate) fn end_at_once(&mut self) {
        // Fails where it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> (ExitStatus, Folder) {
        self.terminate();
        let status = self.wait();
        (status, self.take_folder())
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it is our child");
    }

    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => return status,
                None if begun.elapsed() > PATIENCE => panic!("the collector does not stop"),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Stops it and starts it again on the same data.
    pub(crate) fn restart(self) -> Self {
        let (status, folder) = self.stop();
        assert!(status.success(), "{status}");
        Self::start_on(folder)
    }

    /// A line of what the system knows about the process, in KiB: `VmRSS`, `VmHWM`.
    #[track_caller]
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|it| it.parse().ok()).expect("is in KiB")
    }

    /// Forgets the most that it ever had in memory (`VmHWM`).
    pub(crate) fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(path, "5").expect("it runs, and is ours");
    }

    /// The time of processors that it has used, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(path).expect("it runs");
        // Behind the name, which may hold anything: the state, ten numbers, then user and system time.
        let rest = stat.rsplit(')').next().expect("has a name");
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields
            .map(|it| it.parse::<u64>().expect("is a number"))
            .sum();
        ticks * 1_000 / rustix::param::clock_ticks_per_second()
    }

    fn take_folder(&mut self) -> Folder {
        self.folder.take().expect("is handed on once")
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.end_at_once();
    }
}

/// Waits for something, and tells what it was.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
