//! What bubblewrap is asked for: the mounts, the namespaces, the limits, the user.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::validate::sandbox::{Job, Kind, Limits, ROOT, Sandbox, is_there};

/// The folders of programs and their libraries. Where one is a link, as `/bin` mostly is, it stays
/// one.
const SYSTEM: &[&str] = &[
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// What programs need of `/etc`: which compiler `cc` is, and where libraries are.
const ETC: &[&str] = &[
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
];

/// Shared memory: tests that use it need little.
pub(super) const SHM_BYTES: u64 = 64 << 20;

/// How long a run waits to be watched. The one who is to watch looks all the time.
const STOPPED_SECONDS_MAX: u32 = 60;

/// User ids that no system gives to anybody: above those of containers and directory services, and
/// below the highest that all programs understand.
const USERS: std::ops::Range<u32> = 1_900_000_000..2_000_000_000;

/// Makes the command that runs `job`.
pub(super) fn command(sandbox: &Sandbox, job: &Job<'_>, filter: &File) -> Command {
    let mut command = Command::new(&sandbox.bubblewrap);
    command.env_clear().current_dir("/");
    namespaces(&mut command, sandbox.kind);
    system(&mut command);
    writable(&mut command, job);
    for (name, value) in [
        ("PATH", "/build/toolchain/bin:/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/build/home"),
        ("TMPDIR", "/build/tmp"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
    ]
    .iter()
    .chain(job.environment)
    {
        command.args(["--setenv", name, value]);
    }
    command.args(["--chdir", ROOT]);
    command.args(["--seccomp", &filter.as_raw_fd().to_string(), "--"]);
    limited(&mut command, &job.limits);
    if sandbox.kind == Kind::OwnUser {
        as_nobody_else(&mut command);
    }
    // The first that the kernel ends when memory runs out, and the last to get the processor. Then it
    // waits until `watch` knows the run's first process and lets the stopped one go on: nothing of
    // others runs before somebody outside can end it. If that somebody dies meanwhile, nobody ever
    // does, and it ends by itself.
    let script = format!(
        "echo 1000 > /proc/self/oom_score_adj 2>/dev/null; renice -n 10 $$ >/dev/null 2>&1\n\
         timeout -s KILL {STOPPED_SECONDS_MAX} /bin/sh -c 'kill -STOP $$' || exit 125\n{}",
        job.script
    );
    command.args(["/bin/sh", "-c", &script]);
    alone(&mut command, filter.as_raw_fd());
    command
}

/// Nothing of this process goes along but what bubblewrap is to have.
fn alone(command: &mut Command, filter: RawFd) {
    let parent = std::process::id();
    let prepare = move || {
        // A library that forgets to close a file on exec would hand it to code that nobody has read:
        // bubblewrap passes on whatever it finds open.
        // SAFETY: the calls take numbers and what lives here, and may be made between `fork` and
        // `exec`.
        unsafe {
            let cloexec = libc::CLOSE_RANGE_CLOEXEC as libc::c_uint;
            if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, cloexec) != 0
                || libc::fcntl(filter, libc::F_SETFD, 0) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            // bubblewrap asks for this too, when it has read its arguments. Whoever dies before that
            // would leave it to nobody.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() as u32 != parent {
                libc::_exit(125);
            }
            // A keyring of its own in the place of the operator's. The filter refuses all that reads
            // keys; where keyrings are refused here too, as in containers, there are none.
            libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, 0);
            // Not zero: such a core would still go to the program that the system names for cores,
            // which runs as root outside. With one byte the kernel starts no program and writes no
            // file. The filter lets nobody inside change it, so it is set here. Where an operator may
            // not have cores at all and is not root, it stays zero.
            let core = libc::rlimit {
                rlim_cur: 1,
                rlim_max: 1,
            };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const core);
        }
        Ok(())
    };
    // SAFETY: it allocates nothing, takes no lock, and makes system calls only.
    unsafe { command.pre_exec(prepare) };
}

fn namespaces(command: &mut Command, kind: Kind) {
    command.args([
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--hostname",
        "sandbox",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--cap-drop",
        "ALL",
    ]);
    match kind {
        // What it takes to become somebody else; `setpriv` drops these too.
        Kind::OwnUser => {
            for capability in ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"] {
                command.args(["--cap-add", capability]);
            }
        }
        Kind::UserNamespace => {
            command.args(["--unshare-user", "--disable-userns"]);
            command.args(["--uid", "1000", "--gid", "1000"]);
        }
    }
}

/// Programs and devices, read-only.
fn system(command: &mut Command) {
    for folder in SYSTEM {
        let path = Path::new(folder);
        if let Ok(target) = path.read_link() {
            command.arg("--symlink").arg(target).arg(folder);
        } else if path.is_dir() {
            command.args(["--ro-bind", folder, folder]);
        }
    }
    command.args(["--perms", "0755", "--dir", "/etc"]);
    for path in ETC.iter().filter(|path| is_there(Path::new(path))) {
        command.args(["--ro-bind", path, path]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    command.args(["--perms", "1777", "--size", &SHM_BYTES.to_string()]);
    command.args(["--tmpfs", "/dev/shm", "--remount-ro", "/dev"]);
}

/// The memory that can be written, with the mounts in it.
fn writable(command: &mut Command, job: &Job<'_>) {
    let size = writable_bytes(job.limits.disk_bytes).to_string();
    command.args(["--perms", "1777", "--size", &size, "--tmpfs", ROOT]);
    for folder in ["home", "tmp"] {
        command.args(["--perms", "1777", "--dir", &format!("{ROOT}/{folder}")]);
    }
    let mut parents = BTreeSet::new();
    for mount in job.mounts {
        let above = Path::new(&mount.to).ancestors().skip(1);
        parents.extend(above.take_while(|path| *path != Path::new(ROOT)));
    }
    // bubblewrap would make them for root's eyes only.
    for parent in parents {
        command.args(["--perms", "0755", "--dir"]).arg(parent);
    }
    for mount in job.mounts {
        command.arg("--ro-bind").arg(&mount.from).arg(&mount.to);
    }
    command.args(["--symlink", "build/tmp", "/tmp"]);
    command.args(["--remount-ro", "/"]);
}

/// What a run may write. It lies in memory, of which others need some: a run that needs more than
/// there is ends with a full disk, and the machine goes on.
fn writable_bytes(limit: u64) -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    let free = bytes("MemAvailable:").map(|memory| memory + bytes("SwapFree:").unwrap_or(0));
    limit.min(free.map_or(u64::MAX, |free| free / 4 * 3))
}

/// Each process's limits, inherited by all that follow.
fn limited(command: &mut Command, limits: &Limits) {
    let memory = limits.memory_bytes;
    // Address space is far more than memory: allocators and linkers reserve what they never touch.
    let address_space = memory.saturating_mul(4);
    let cpu_seconds = limits.wall.as_secs().max(1);
    // By their places, where `offer` has seen them, since the path begins with a mounted folder, and these two run before all
    // rights are given up.
    command.arg("/usr/bin/prlimit").args([
        format!("--nproc={}", limits.processes),
        format!("--data={memory}"),
        format!("--as={address_space}"),
        format!("--fsize={}", limits.file_bytes),
        format!("--cpu={cpu_seconds}"),
        "--nice=0".to_owned(),
        "--rtprio=0".to_owned(),
        "--nofile=4096".to_owned(),
    ]);
}

fn as_nobody_else(command: &mut Command) {
    let user = own_user().to_string();
    command.args(["/usr/bin/setpriv", "--reuid", &user, "--regid", &user]);
    command.args([
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
    ]);
}

/// A user id that no process has: limits on processes count by user.
fn own_user() -> u32 {
    let taken = users_of_processes();
    loop {
        let random = RandomState::new().hash_one(std::process::id());
        let span = u64::from(USERS.end - USERS.start);
        let user = USERS.start + (random % span) as u32;
        if !taken.contains(&user) {
            return user;
        }
    }
}

#[cfg(unix)]
fn users_of_processes() -> BTreeSet<u32> {
    use std::os::unix::fs::MetadataExt;
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| Some(entry.metadata().ok()?.uid()))
        .collect()
}
