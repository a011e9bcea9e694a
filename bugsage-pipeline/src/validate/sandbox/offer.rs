//! Whether this machine has what a sandbox takes, found out by trying.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::validate::sandbox::{End, Job, Kind, Limits, Sandbox};

/// The oldest bubblewrap with a size for `tmpfs` and `--disable-userns`.
const VERSION_MIN: (u32, u32) = (0, 8);

/// What must be true inside, as the kernel tells it. A user id alone proves nothing.
const SCRIPT: &str = "cat /proc/self/status; echo Interfaces: $(grep -c : /proc/net/dev)";

/// Why there is no sandbox, and how to get one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSandbox {
    /// The operator's turn.
    #[error(
        "bubblewrap is not installed; install it (apt-get install bubblewrap, dnf install \
         bubblewrap, apk add bubblewrap, pacman -S bubblewrap)"
    )]
    Missing,
    /// The operator's turn.
    #[error("bubblewrap {found} is too old, 0.8 or newer is needed; install a newer one")]
    TooOld {
        /// What `bwrap --version` says.
        found: String,
    },
    /// The operator's turn: a program that belongs to every Linux.
    #[error("{program} is missing; install {package}")]
    ProgramMissing {
        /// The program.
        program: &'static str,
        /// Where it mostly comes from.
        package: &'static str,
    },
    /// The kernel's or the container's settings.
    #[error("bubblewrap cannot start here: {complaint}; {hint}")]
    Refused {
        /// What it said.
        complaint: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// It ran, and something was not as it must be. Nothing is run in such a sandbox.
    #[error("the sandbox does not hold here: {what}; run the worker on a machine where it does")]
    Leaks {
        /// What was found.
        what: String,
    },
}

impl Sandbox {
    /// The sandbox of this machine. It is tried once for each process.
    ///
    /// # Errors
    ///
    /// Says what is missing and how to get it.
    pub fn find() -> Result<Self, NoSandbox> {
        static FOUND: OnceLock<Result<Sandbox, NoSandbox>> = OnceLock::new();
        // What is missing may be installed while a collector runs.
        match FOUND.get() {
            Some(Ok(found)) => Ok(found.clone()),
            _ => {
                let found = Self::try_out();
                if found.is_ok() {
                    let _ = FOUND.set(found.clone());
                }
                found
            }
        }
    }

    fn try_out() -> Result<Self, NoSandbox> {
        let bubblewrap = program("bwrap").ok_or(NoSandbox::Missing)?;
        let version = version(&bubblewrap)?;
        for (name, package) in [
            ("prlimit", "util-linux"),
            ("setpriv", "util-linux"),
            ("tar", "tar"),
            ("timeout", "coreutils"),
        ] {
            program(name).ok_or(NoSandbox::ProgramMissing {
                program: name,
                package,
            })?;
        }
        let kind = if rustix::process::geteuid().is_root() {
            Kind::OwnUser
        } else {
            Kind::UserNamespace
        };
        let sandbox = Sandbox {
            bubblewrap,
            version,
            kind,
        };
        sandbox.prove()?;
        Ok(sandbox)
    }

    /// Starts it, and looks at what the kernel says of a process inside.
    fn prove(&self) -> Result<(), NoSandbox> {
        let job = Job {
            script: SCRIPT,
            mounts: &[],
            environment: &[],
            limits: Limits {
                wall: Duration::from_secs(20),
                disk_bytes: 16 << 20,
                ..Limits::default()
            },
        };
        let mut output = Vec::new();
        let refused = |complaint: String| NoSandbox::Refused {
            hint: match self.kind {
                Kind::OwnUser => {
                    "in a container give it CAP_SYS_ADMIN, or run the worker as an ordinary user \
                     or on the host"
                }
                Kind::UserNamespace => {
                    "allow user namespaces for bwrap (kernel.unprivileged_userns_clone=1, \
                     kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile), or \
                     run the worker as root"
                }
            },
            complaint,
        };
        let ended = self
            .run(&job, &mut output)
            .map_err(|error| refused(error.to_string()))?;
        if ended.end != End::Exited(0) {
            let complaint = ended.complaint.trim().replace('\n', "; ");
            return Err(refused(match complaint.is_empty() {
                true => format!("it ended with {:?}", ended.end),
                false => complaint,
            }));
        }
        let status = String::from_utf8_lossy(&output);
        leak(&status, self.kind).map_or(Ok(()), |what| Err(NoSandbox::Leaks { what }))
    }
}

/// What is not as it must be.
fn leak(status: &str, kind: Kind) -> Option<String> {
    let field = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        // Where a user namespace is all there is, its bounding set is of no use to anybody.
        let is_empty = field(set).is_some_and(|bits| bits.bytes().all(|bit| bit == b'0'));
        if !is_empty && !(set == "CapBnd" && kind == Kind::UserNamespace) {
            return Some(format!("{set} is {}", field(set).unwrap_or("unknown")));
        }
    }
    for (name, expected) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("Interfaces", "1")] {
        if field(name) != Some(expected) {
            return Some(format!("{name} is {}", field(name).unwrap_or("unknown")));
        }
    }
    let user = field("Uid").and_then(|ids| ids.split_whitespace().next());
    if user.is_none_or(|user| user == "0") {
        return Some("it still runs as root".to_owned());
    }
    None
}

fn version(bubblewrap: &Path) -> Result<String, NoSandbox> {
    let output = Command::new(bubblewrap)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let found = said.unwrap_or_default();
    let version = found.rsplit(' ').next().unwrap_or_default().to_owned();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let parsed = (numbers.next().flatten(), numbers.next().flatten());
    match parsed {
        (Some(major), Some(minor)) if (major, minor) >= VERSION_MIN => Ok(version),
        _ => Err(NoSandbox::TooOld { found: version }),
    }
}

/// A program on the path, or where such programs are if the path does not say.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let usual = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
    let mut places = folders.into_iter().chain(usual);
    places.find_map(|folder| {
        let place = folder.join(name);
        (folder.is_absolute() && place.is_file()).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "Uid:\t1900000001\t1900000001\nCapInh:\t0000\nCapPrm:\t0000\nCapEff:\t0000\n\
        CapBnd:\t0000\nCapAmb:\t0000\nNoNewPrivs:\t1\nSeccomp:\t2\nInterfaces: 1\n";

    #[test]
    fn a_sandbox_that_keeps_anything_of_root_is_none() {
        assert_eq!(leak(SOUND, Kind::OwnUser), None);
        for (sound, leaking) in [
            ("CapEff:\t0000", "CapEff:\t0001"),
            ("CapBnd:\t0000", "CapBnd:\t00ff"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Interfaces: 1", "Interfaces: 2"),
            ("Uid:\t1900000001", "Uid:\t0"),
            ("CapAmb:\t0000\n", ""),
        ] {
            let status = SOUND.replace(sound, leaking);
            assert!(leak(&status, Kind::OwnUser).is_some(), "{leaking}");
        }
        let bounded = SOUND.replace("CapBnd:\t0000", "CapBnd:\t00ff");
        assert_eq!(leak(&bounded, Kind::UserNamespace), None);
    }

    #[test]
    fn what_is_missing_comes_with_the_way_to_get_it() {
        let missing = NoSandbox::Missing.to_string();
        let old = version(Path::new("/bin/echo")).unwrap_err().to_string();

        assert!(missing.contains("apt-get install bubblewrap"), "{missing}");
        assert!(old.contains("too old"), "{old}");
    }
}
