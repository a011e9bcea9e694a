//! Whether this machine has what a sandbox takes, found out by trying.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::validate::sandbox::{End, Job, Kind, Limits, Sandbox};

/// The oldest bubblewrap with a size for `tmpfs` and `--disable-userns`.
const VERSION_MIN: (u32, u32) = (0, 8);

/// Names the program where it is not on the path: `BUGSAGE_BWRAP=/opt/bubblewrap/bin/bwrap`.
const VARIABLE: &str = "BUGSAGE_BWRAP";

/// Where the programs are that the sandbox itself runs: the folders of its own path that belong to
/// the system.
const USUAL: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// What must be true inside, as the kernel tells it. A user id alone proves nothing. `Routes` counts
/// those by other interfaces than the local one: the interfaces alone say nothing, since tunnels that
/// lead nowhere come with some kernels.
const SCRIPT: &str = "cat /proc/self/status\n\
    for of in net pid mnt ipc uts; do echo Namespace-$of: $(readlink /proc/self/ns/$of); done\n\
    echo Routes: $(cat /proc/net/route /proc/net/ipv6_route 2>/dev/null \
    | grep -v ^Iface | grep -v ^lo | grep -vc 'lo$')";

/// The namespaces that must not be those of this process.
const NAMESPACES: [&str; 5] = ["net", "pid", "mnt", "ipc", "uts"];

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
    #[error(
        "BUGSAGE_BWRAP names {path}, and no program is there; install bubblewrap or mend the name"
    )]
    NotThere {
        /// What it names.
        path: String,
    },
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
        let bubblewrap = bubblewrap()?;
        let version = version(&bubblewrap)?;
        for (name, package) in [
            ("prlimit", "util-linux"),
            ("setpriv", "util-linux"),
            ("tar", "tar"),
            ("timeout", "coreutils"),
        ] {
            // Those of util-linux are started by their place.
            let folders = if package == "util-linux" {
                &USUAL[1..2]
            } else {
                &USUAL
            };
            let mut places = folders.iter().map(|folder| Path::new(folder).join(name));
            if !places.any(|place| place.is_file()) {
                return Err(NoSandbox::ProgramMissing {
                    program: name,
                    package,
                });
            }
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
            .map_err(|error| match error.kind() {
                // It runs, and `watch` has seen where.
                ErrorKind::Unsupported => NoSandbox::Leaks {
                    what: error.to_string(),
                },
                _ => refused(error.to_string()),
            })?;
        if ended.end != End::Exited(0) {
            let complaint = ended.complaint.trim().replace('\n', "; ");
            return Err(refused(match complaint.is_empty() {
                true => format!("it ended with {:?}", ended.end),
                false => complaint,
            }));
        }
        let status = String::from_utf8_lossy(&output);
        let own = NAMESPACES.map(|of| {
            let link = std::fs::read_link(format!("/proc/self/ns/{of}"));
            link.map(|link| link.to_string_lossy().into_owned())
                .unwrap_or_default()
        });
        let what = leak(&status, self.kind).or_else(|| shared(&status, &own));
        what.map_or(Ok(()), |what| Err(NoSandbox::Leaks { what }))
    }
}

/// What is not as it must be.
fn leak(status: &str, kind: Kind) -> Option<String> {
    let field = |name: &str| field(status, name);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        // Where a user namespace is all there is, its bounding set is of no use to anybody.
        let is_empty = field(set).is_some_and(|bits| bits.bytes().all(|bit| bit == b'0'));
        let may_be_full = set == "CapBnd" && kind == Kind::UserNamespace;
        if !is_empty && !may_be_full {
            return Some(format!("{set} is {}", field(set).unwrap_or("unknown")));
        }
    }
    for (name, expected) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("Routes", "0")] {
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

/// A namespace that is not a new one.
fn shared(status: &str, own: &[String; 5]) -> Option<String> {
    let pairs = NAMESPACES.iter().zip(own);
    let mut shared = pairs.filter(|(of, own)| {
        let inside = field(status, &format!("Namespace-{of}"));
        own.is_empty() || inside.is_none_or(|inside| inside.is_empty() || inside == *own)
    });
    let (of, _) = shared.next()?;
    Some(format!("the {of} namespace is that of this process"))
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
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

/// The program that the variable names, or the first on the path; the usual folders only where there
/// is no path, so that a path without it means what it says.
fn bubblewrap() -> Result<PathBuf, NoSandbox> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        let place = PathBuf::from(named);
        let is_there = place.is_absolute() && place.is_file();
        return is_there
            .then_some(place.clone())
            .ok_or(NoSandbox::NotThere {
                path: place.display().to_string(),
            });
    }
    let folders = match std::env::var_os("PATH") {
        Some(path) => std::env::split_paths(&path).collect(),
        None => USUAL.map(PathBuf::from).to_vec(),
    };
    // A relative folder would be another one for each caller.
    let mut places = folders.iter().filter(|folder| folder.is_absolute());
    places
        .find_map(|folder| Some(folder.join("bwrap")).filter(|place| place.is_file()))
        .ok_or(NoSandbox::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "Uid:\t1900000001\t1900000001\nCapInh:\t0000\nCapPrm:\t0000\nCapEff:\t0000\n\
        CapBnd:\t0000\nCapAmb:\t0000\nNoNewPrivs:\t1\nSeccomp:\t2\nRoutes: 0\n";

    #[test]
    fn a_sandbox_that_keeps_anything_of_root_is_none() {
        assert_eq!(leak(SOUND, Kind::OwnUser), None);
        for (sound, leaking) in [
            ("CapEff:\t0000", "CapEff:\t0001"),
            ("CapBnd:\t0000", "CapBnd:\t00ff"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Routes: 0", "Routes: 1"),
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
    fn a_namespace_that_is_not_new_is_found() {
        let own = NAMESPACES.map(|of| format!("{of}:[1]"));
        let new = NAMESPACES
            .map(|of| format!("Namespace-{of}: {of}:[2]\n"))
            .concat();

        assert_eq!(shared(&new, &own), None);
        for of in NAMESPACES {
            let line = format!("Namespace-{of}: {of}:[2]\n");
            for instead in [format!("Namespace-{of}: {of}:[1]\n"), String::new()] {
                assert!(
                    shared(&new.replace(&line, &instead), &own).is_some(),
                    "{of}"
                );
            }
        }
        assert!(shared(&new, &Default::default()).is_some());
    }

    #[test]
    fn what_is_missing_comes_with_the_way_to_get_it() {
        let missing = NoSandbox::Missing.to_string();
        let old = version(Path::new("/bin/echo")).unwrap_err().to_string();

        assert!(missing.contains("apt-get install bubblewrap"), "{missing}");
        assert!(old.contains("too old"), "{old}");
    }
}
