//! Rights, and ways to more of them.

use std::ffi::CString;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

use crate::{Outcome, must_all_fail, must_fail, sys};

/// What the kernel says of a process that this one sees.
pub(crate) fn rights(process: &str) -> Outcome {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it is there");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.strip_prefix(':'))
            .map_or("", str::trim)
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        if field(set).bytes().any(|digit| digit != b'0') {
            return Outcome::BrokeOut(format!("{set} is {}", field(set)));
        }
    }
    for (name, value) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
        if field(name) != value {
            return Outcome::BrokeOut(format!("{name} is {}", field(name)));
        }
    }
    // bubblewrap's own first process stays root where there are no rights in that.
    if process == "self" && field("Uid").split_whitespace().any(|user| user == "0") {
        return Outcome::BrokeOut("a user id is root's".to_owned());
    }
    // Groups that are not mapped into a user namespace all look like nobody's.
    if field("Groups")
        .split_whitespace()
        .any(|group| group != "65534")
    {
        return Outcome::BrokeOut(format!("groups are {}", field("Groups")));
    }
    Outcome::Held(format!("user {}", field("Uid")))
}

pub(crate) fn becomes_root() -> Outcome {
    let group = 0_u32;
    let groups = [1, std::ptr::from_ref(&group) as usize];
    must_all_fail([
        must_fail("groups", sys::call(libc::SYS_setgroups, groups)),
        must_fail("group", sys::call(libc::SYS_setgid, [0])),
        must_fail("user", sys::call(libc::SYS_setuid, [0])),
        must_fail("all users", sys::call(libc::SYS_setresuid, [0, 0, 0])),
        must_fail(
            "files' user",
            sys::call(libc::SYS_chown, [c"/build".as_ptr() as usize, 0, 0]),
        ),
    ])
}

/// Programs that make root of whoever starts them.
pub(crate) fn setuid_programs() -> Outcome {
    // SAFETY: zeros are a state of this struct, and the call fills it in.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: both point to what lives here.
    let asked = unsafe { libc::statvfs(c"/usr".as_ptr(), &raw mut found) };
    if asked == 0 && found.f_flag & libc::ST_NOSUID == 0 {
        return Outcome::BrokeOut("they work under /usr".to_owned());
    }
    let switched = Command::new("su")
        .args(["-c", "id -u"])
        .stdin(Stdio::null())
        .output();
    match switched {
        Ok(output) if output.status.success() => Outcome::BrokeOut("su works".to_owned()),
        Ok(output) => Outcome::Held(format!("su: {}", output.status)),
        Err(error) => Outcome::Held(error.to_string()),
    }
}

const NAMESPACES: [(&str, libc::c_int); 8] = [
    ("user", libc::CLONE_NEWUSER),
    ("mounts", libc::CLONE_NEWNS),
    ("processes", libc::CLONE_NEWPID),
    ("network", libc::CLONE_NEWNET),
    ("host name", libc::CLONE_NEWUTS),
    ("IPC", libc::CLONE_NEWIPC),
    ("cgroups", libc::CLONE_NEWCGROUP),
    (
        "mounts of a new user",
        libc::CLONE_NEWUSER | libc::CLONE_NEWNS,
    ),
];

/// New namespaces, by every call that makes them.
pub(crate) fn namespaces() -> Outcome {
    must_all_fail(NAMESPACES.iter().flat_map(|(name, flags)| {
        let flags = *flags as usize;
        let cloned = sys::call(
            libc::SYS_clone,
            [flags | libc::SIGCHLD as usize, 0, 0, 0, 0],
        );
        if let Ok(0) = cloned {
            std::process::exit(0);
        }
        // `struct clone_args`: flags first, the signal as the fifth.
        let arguments = [flags as u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
        let arguments = [arguments.as_ptr() as usize, 64];
        let cloned_3 = sys::call(libc::SYS_clone3, arguments);
        if let Ok(0) = cloned_3 {
            std::process::exit(0);
        }
        [
            must_fail(name, cloned),
            must_fail(name, cloned_3),
            must_fail(name, sys::call(libc::SYS_unshare, [flags])),
        ]
    }))
}

/// The sandbox's own tool, once more.
pub(crate) fn bubblewrap() -> Outcome {
    let arguments = "--unshare-user --ro-bind / / --tmpfs /tmp true";
    let again = Command::new("bwrap")
        .args(arguments.split(' '))
        .stderr(Stdio::null())
        .status();
    match again {
        Ok(status) if status.success() => Outcome::BrokeOut("it runs".to_owned()),
        Ok(status) => Outcome::Held(status.to_string()),
        Err(error) => Outcome::Held(error.to_string()),
    }
}

pub(crate) fn mounts() -> Outcome {
    let text = |text: &str| CString::new(text).expect("has no zero");
    let (root, usr, tmp) = (text("/"), text("/usr"), text("/build/tmp"));
    let (tmpfs, proc) = (text("tmpfs"), text("proc"));
    let at = |text: &CString| text.as_ptr() as usize;
    let mount = |what: &CString, to: &CString, kind: &CString, flags: libc::c_ulong| {
        let arguments = [at(what), at(to), at(kind), flags as usize, 0];
        sys::call(libc::SYS_mount, arguments)
    };
    // Who may do the first may do all of it, and is not to do it to this machine.
    let first = must_fail("chroot", sys::call(libc::SYS_chroot, [at(&root)]));
    if let Outcome::BrokeOut(_) = first {
        return first;
    }
    must_all_fail([
        first,
        must_fail(
            "writable",
            mount(&usr, &usr, &tmpfs, libc::MS_REMOUNT | libc::MS_BIND),
        ),
        must_fail("bind", mount(&usr, &tmp, &tmpfs, libc::MS_BIND)),
        must_fail("tmpfs", mount(&tmpfs, &tmp, &tmpfs, 0)),
        must_fail("proc", mount(&proc, &tmp, &proc, 0)),
        must_fail(
            "unmount",
            sys::call(libc::SYS_umount2, [at(&usr), libc::MNT_DETACH as usize]),
        ),
        must_fail(
            "pivot",
            sys::call(libc::SYS_pivot_root, [at(&tmp), at(&tmp)]),
        ),
        must_fail("new mount", sys::call(libc::SYS_fsopen, [at(&tmpfs), 0])),
        must_fail(
            "tree",
            sys::call(libc::SYS_open_tree, [libc::AT_FDCWD as usize, at(&usr), 1]),
        ),
    ])
}

/// The keys of whoever started the sandbox.
pub(crate) fn keyring() -> Outcome {
    let (kind, name) = (c"user".as_ptr() as usize, c"probe".as_ptr() as usize);
    let session = libc::KEY_SPEC_SESSION_KEYRING as usize;
    let get_id = libc::KEYCTL_GET_KEYRING_ID as usize;
    let first = must_fail("id", sys::call(libc::SYS_keyctl, [get_id, session, 0]));
    if let Outcome::BrokeOut(_) = first {
        return first;
    }
    must_all_fail([
        first,
        must_fail(
            "add",
            sys::call(libc::SYS_add_key, [kind, name, name, 5, session]),
        ),
        must_fail("ask", sys::call(libc::SYS_request_key, [kind, name, 0, 0])),
    ])
}

/// The kernel's log knows addresses, devices and other people's programs.
pub(crate) fn log() -> Outcome {
    let mut buffer = vec![0_u8; 4096];
    let read_all = 3;
    let arguments = [read_all, buffer.as_mut_ptr() as usize, buffer.len()];
    must_fail("read", sys::call(libc::SYS_syslog, arguments))
}

/// Types into the terminal of whoever started this.
pub(crate) fn terminal() -> Outcome {
    let character = c"x".as_ptr() as usize;
    let terminal = fs::File::options().read(true).write(true).open("/dev/tty");
    let push =
        |request: libc::c_ulong| {
            // What stands above the 32 bits that the kernel looks at must not matter.
            let requests = [request as usize, request as usize | 1 << 32];
            must_all_fail(requests.map(|request| {
                must_fail("type", sys::call(libc::SYS_ioctl, [0, request, character]))
            }))
        };
    must_all_fail([
        must_fail("open", terminal),
        push(libc::TIOCSTI),
        push(libc::TIOCLINUX),
    ])
}

/// Shared memory of a process outside, by its key.
pub(crate) fn sysv_of_host(key: &str) -> Outcome {
    let key: usize = key.parse().expect("is a number");
    must_fail("found", sys::call(libc::SYS_shmget, [key, 0, 0]))
}

/// Each limit one higher, where there is one.
pub(crate) fn limits() -> Outcome {
    let raise = |name: &str, resource: libc::__rlimit_resource_t| {
        let (old, new) = match read_limit(resource) {
            Ok(limit) if limit.rlim_max == libc::RLIM_INFINITY => {
                return Outcome::BrokeOut(format!("{name} has none"));
            }
            Ok(limit) => (limit.rlim_max, limit.rlim_max + 1),
            Err(error) => return Outcome::BrokeOut(error.to_string()),
        };
        must_fail(&format!("{name} of {old}"), set_limit(resource, new))
    };
    must_all_fail([
        raise("processes", libc::RLIMIT_NPROC),
        raise("memory", libc::RLIMIT_DATA),
        raise("address space", libc::RLIMIT_AS),
        raise("file size", libc::RLIMIT_FSIZE),
        raise("files", libc::RLIMIT_NOFILE),
        raise("processor time", libc::RLIMIT_CPU),
        raise("core", libc::RLIMIT_CORE),
    ])
}

/// A core of no size still goes to the program that the host named for it, and that runs as root
/// outside. Only the size of one byte tells the kernel not to start it.
pub(crate) fn core_limit() -> Outcome {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    match read_limit(libc::RLIMIT_CORE) {
        Ok(limit) if limit.rlim_cur == 1 => {}
        // An ordinary user who may have no cores cannot have one of a byte.
        Ok(limit) if limit.rlim_max == 0 && !pattern.starts_with('|') => {}
        other => {
            return Outcome::BrokeOut(format!("it is {:?}", other.map(|limit| limit.rlim_cur)));
        }
    }
    must_all_fail([
        must_fail("none", set_limit(libc::RLIMIT_CORE, 0)),
        must_fail("none", {
            let limit = [0_u64; 2];
            let resource = libc::RLIMIT_CORE as usize;
            sys::call(libc::SYS_setrlimit, [resource, limit.as_ptr() as usize])
        }),
    ])
}

fn read_limit(resource: libc::__rlimit_resource_t) -> io::Result<libc::rlimit> {
    let mut limit = [0_u64; 2];
    let at = limit.as_mut_ptr() as usize;
    sys::call(libc::SYS_prlimit64, [0, resource as usize, 0, at])?;
    let [rlim_cur, rlim_max] = limit;
    Ok(libc::rlimit { rlim_cur, rlim_max })
}

fn set_limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<i64> {
    let limit = [value; 2];
    let at = limit.as_ptr() as usize;
    sys::call(libc::SYS_prlimit64, [0, resource as usize, at, 0])
}

/// Before everybody else.
pub(crate) fn priority() -> Outcome {
    let level = 1_i32;
    let real_time = [
        0,
        libc::SCHED_RR as usize,
        std::ptr::from_ref(&level) as usize,
    ];
    let first = -10_isize as usize;
    must_all_fail([
        must_fail("nice", sys::call(libc::SYS_setpriority, [0, 0, first])),
        must_fail(
            "real time",
            sys::call(libc::SYS_sched_setscheduler, real_time),
        ),
    ])
}

/// Calls that have no place in a build, without arguments: refused they must be before these count.
pub(crate) fn refused_calls() -> Outcome {
    let calls = [
        ("bpf", libc::SYS_bpf),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("io_uring_enter", libc::SYS_io_uring_enter),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ("setns", libc::SYS_setns),
        ("ptrace", libc::SYS_ptrace),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("process_vm_writev", libc::SYS_process_vm_writev),
        ("pidfd_getfd", libc::SYS_pidfd_getfd),
        ("syslog", libc::SYS_syslog),
        ("memfd_create", libc::SYS_memfd_create),
        ("shmget", libc::SYS_shmget),
        ("semget", libc::SYS_semget),
        ("msgget", libc::SYS_msgget),
        ("quotactl", libc::SYS_quotactl),
        ("swapon", libc::SYS_swapon),
        ("reboot", libc::SYS_reboot),
    ];
    must_all_fail(
        calls.map(|(name, number)| match sys::call(number, [usize::MAX; 6]) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                Outcome::Held(name.to_owned())
            }
            other => Outcome::BrokeOut(format!("the kernel looked at {name}: {other:?}")),
        }),
    )
}

/// The same kernel by its old numbers, which mean other calls.
#[cfg(target_arch = "x86_64")]
pub(crate) fn calls_of_32_bit() -> Outcome {
    const X32: libc::c_long = 0x4000_0000;
    let x32 = sys::call(X32 | libc::SYS_getpid, []);
    if x32.is_ok() {
        return Outcome::BrokeOut("x32".to_owned());
    }
    let result: i64;
    // SAFETY: `getpid` of 32 bits, number 20, changes nothing but the register of its result.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if result > 0 {
        Outcome::BrokeOut("int 0x80".to_owned())
    } else {
        Outcome::Held(format!("int 0x80 gives {result}"))
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn calls_of_32_bit() -> Outcome {
    Outcome::Held("this processor has none".to_owned())
}
