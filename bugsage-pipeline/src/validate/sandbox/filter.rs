//! The system calls that are refused, as a filter for the kernel.
//!
//! A list of what is refused and not of what is allowed: compilers, linkers and the tests of any
//! project run inside. What is refused has no place in a build: ways to new namespaces and mounts
//! (most of what has broken out of sandboxes began there), the kernel's keyrings, tracing of the
//! kernel, `io_uring`, which passes by every filter, and sockets of other families than local and IP.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Refused whatever their arguments.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    // With its flags in memory a filter cannot see them; the C library falls back to `clone`.
    libc::SYS_clone3,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_open_by_handle_at,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
];

/// Flags of `clone` that make a namespace.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// The families of sockets that the network namespace holds.
const FAMILIES: &[libc::c_int] = &[
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];

/// The filter in the form that bubblewrap hands to the kernel.
pub(super) fn bytes() -> io::Result<Vec<u8>> {
    let program = program().map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    Ok(bytes)
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in REFUSED {
        rules.insert(*call, Vec::new());
    }
    let mut of_clone = Vec::new();
    for flag in NAMESPACES {
        let flag = *flag as u64;
        of_clone.push(SeccompRule::new(vec![argument(
            0,
            SeccompCmpOp::MaskedEq(flag),
            flag,
        )?])?);
    }
    rules.insert(libc::SYS_clone, of_clone);
    let mut other_families = Vec::new();
    for family in FAMILIES {
        other_families.push(argument(0, SeccompCmpOp::Ne, *family as u64)?);
    }
    let other_families = vec![SeccompRule::new(other_families)?];
    rules.insert(libc::SYS_socket, other_families.clone());
    rules.insert(libc::SYS_socketpair, other_families);
    // Characters pushed into the terminal of whoever started us.
    let mut of_ioctl = Vec::new();
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        of_ioctl.push(SeccompRule::new(vec![argument(
            1,
            SeccompCmpOp::Eq,
            request as u64,
        )?])?);
    }
    rules.insert(libc::SYS_ioctl, of_ioctl);

    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    // "No such call": what programs that can do without expect of an old kernel.
    let refuse = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?.try_into()
}

/// System calls take flags and families as 32 bits; what stands above is ignored by the kernel.
fn argument(
    index: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
}
