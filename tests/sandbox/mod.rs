//! What code in the sandbox could do to the machine, to others and to the operator is tried, by a
//! program that means it: as root, and as an ordinary user.
//!
//! Where an attempt could fail for other reasons than the sandbox, it is made without one too, and
//! must succeed there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::program::{Ended, Program};

// Without a sandbox nothing runs.
mod refusals;
// All that needs one.
mod sandboxed;

/// Somebody who starts sandboxes, with a folder of his own.
struct Operator {
    /// Who it is, where that is not who runs the tests.
    user: Option<u32>,
    is_root: bool,
    folder: PathBuf,
    mark: String,
    /// That of shared memory which its process has.
    sysv_key: String,
}

impl Operator {
    /// Root and an ordinary user where the tests run as root, else who runs them.
    fn all() -> Vec<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let own = Self::new(None, is_root);
        if !is_root {
            return vec![own];
        }
        // An id that nobody has, for the user of this story alone.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let user = 1_800_000_000 + std::process::id() % 1_000_000 * 50;
        let user = user + NEXT.fetch_add(1, Ordering::Relaxed);
        vec![own, Self::new(Some(user), false)]
    }

    fn new(user: Option<u32>, is_root: bool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("probe-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&mark);
        fs::create_dir(&folder).expect("a folder can be made");
        // Whoever it is must be able to start it, wherever the build put it.
        let program = folder.join("probe");
        fs::copy(env!("CARGO_BIN_EXE_probe"), &program).expect("it is built");
        let operator = Self {
            user,
            is_root,
            folder,
            mark,
            sysv_key: (std::process::id() % 1_000_000 * 1_000 + number + 1).to_string(),
        };
        operator.give(&program, 0o755);
        operator.give(&operator.folder, 0o755);
        operator
    }

    fn name(&self) -> &'static str {
        if self.is_root {
            "root"
        } else {
            "an ordinary user"
        }
    }

    /// Makes it the operator's own.
    fn give(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
        if let Some(user) = self.user {
            chown(path, Some(user), Some(user)).expect("root may");
        }
    }

    /// Makes a file in the operator's folder.
    fn plant(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.join(name);
        let parents = path
            .strip_prefix(&self.folder)
            .expect("is below")
            .ancestors()
            .skip(1);
        for parent in parents.collect::<Vec<_>>().into_iter().rev() {
            let parent = self.folder.join(parent);
            fs::create_dir_all(&parent).expect("a folder can be made");
            self.give(&parent, 0o755);
        }
        fs::write(&path, text).expect("the folder is writable");
        self.give(&path, mode);
        path
    }

    /// `program` as this operator.
    fn command(&self, program: impl AsRef<Path>) -> (PathBuf, Vec<String>) {
        let program = program.as_ref().to_path_buf();
        match self.user {
            None => (program, Vec::new()),
            Some(user) => {
                let mut arguments = vec![format!("--reuid={user}"), format!("--regid={user}")];
                arguments.push("--clear-groups".to_owned());
                arguments.push(program.display().to_string());
                ("/usr/bin/setpriv".into(), arguments)
            }
        }
    }

    /// The probe in a role, with these words.
    fn probe(&self, role: &str, words: &[String]) -> Program {
        let (program, arguments) = self.command(self.folder.join("probe"));
        let mut probe = Program::new(program)
            .env("HOME", &self.folder)
            .env("PROBE_MARK", &self.mark)
            .env("RUST_BACKTRACE", "0");
        for argument in &arguments {
            probe = probe.arg(argument);
        }
        probe = probe.arg(role);
        for word in words {
            probe = probe.arg(word);
        }
        if role == "direct" {
            // Inside, the run has a folder of its own.
            probe = probe.env("PROBE_FOLDER", &self.folder);
        }
        probe
    }

    /// The words in the sandbox.
    fn outside(&self, words: &[&str]) -> Program {
        self.probe("outside", &owned(words))
    }

    /// The same without it.
    fn direct(&self, words: &[&str]) -> Program {
        self.probe("direct", &owned(words))
    }

    /// Some other process of the operator's.
    fn bystander(&self) -> Bystander {
        let (program, arguments) = self.command("/usr/bin/sleep");
        let mut command = Command::new(program);
        let child = command
            .args(arguments)
            .arg("300")
            .stdin(Stdio::null())
            .spawn();
        Bystander(child.expect("it is installed"))
    }

    /// The processes that have this operator's mark, by their ids.
    fn living(&self) -> Vec<i32> {
        let wanted = format!("PROBE_MARK={}", self.mark);
        let processes = fs::read_dir("/proc").expect("it is there").flatten();
        processes
            .filter(|process| {
                let environment = fs::read(process.path().join("environ")).unwrap_or_default();
                let mut variables = environment.split(|byte| *byte == 0);
                variables.any(|variable| variable == wanted.as_bytes())
            })
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// All files below the operator's folder, with what they hold.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("it is ours").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = fs::read(&path).expect("it is ours");
                    files.insert(path, content);
                }
            }
        }
        files
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        for process in self.living() {
            if let Some(process) = rustix::process::Pid::from_raw(process) {
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A process that has nothing to do with it.
struct Bystander(Child);

impl Bystander {
    fn is_alive(&mut self) -> bool {
        self.0.try_wait().expect("it is our child").is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Checks that a run in the sandbox came to its end, with nothing left of it.
#[track_caller]
fn ended_as(ended: &Ended, end: &str, who: &str) {
    assert_eq!(ended.status.code(), Some(0), "as {who}: {ended:#?}");
    assert_eq!(ended.told("end"), end, "as {who}: {ended:#?}");
    assert_eq!(ended.told("left"), "0", "as {who}: {ended:#?}");
}
