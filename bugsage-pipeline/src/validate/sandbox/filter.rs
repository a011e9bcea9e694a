//! The system calls that are refused, as a filter for the kernel.
//!
//! A list of what is refused and not of what is allowed: compilers, linkers and the tests of any
//! project run inside. What is refused has no place in a build: ways to new namespaces and mounts
//! (most of what has broken out of sandboxes began there), the kernel's keyrings and log, tracing of
//! the kernel and of other processes, `io_uring`, which passes by every filter, memory that is in
//! nobody's count, and sockets other than local ones and those of plain IP.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
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
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_quotactl,
    libc::SYS_acct,
    // The machine's log, which any user may read on many systems.
    libc::SYS_syslog,
    // Other processes' memory: as an ordinary user bubblewrap's own first process has the same id.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Memory that neither the size of a file system nor that of a process counts.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_semget,
    libc::SYS_msgget,
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

/// The protocols of IP that programs speak: a rarer one is a module that the kernel would load for us.
const PROTOCOLS: &[libc::c_int] = &[
    0,
    libc::IPPROTO_ICMP,
    libc::IPPROTO_TCP,
    libc::IPPROTO_UDP,
    libc::IPPROTO_ICMPV6,
];

/// Kinds of IP sockets that stand for such a protocol by themselves.
const KINDS_OF_MODULES: &[libc::c_int] = &[libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP];

/// `SOCK_TYPE_MASK` of the kernel: flags stand above.
const KIND: u64 = 0xf;

/// What `x32` adds to its numbers: the same calls, for which no rule with a plain number holds.
const X32: u32 = 0x4000_0000;

/// Numbers that only `x32` has. Kernels before 5.4 take them without its mark too.
const ONLY_X32: std::ops::Range<u32> = 512..548;

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
    let is = |index, value: u64| argument(index, SeccompCmpOp::Eq, value);
    let masked = |index, mask, value| argument(index, SeccompCmpOp::MaskedEq(mask), value);

    let mut of_clone = Vec::new();
    for flag in NAMESPACES {
        let flag = *flag as u64;
        of_clone.push(SeccompRule::new(vec![masked(0, flag, flag)?])?);
    }
    rules.insert(libc::SYS_clone, of_clone);

    let sockets = sockets()?;
    rules.insert(libc::SYS_socket, sockets.clone());
    rules.insert(libc::SYS_socketpair, sockets);

    // Characters pushed into the terminal of whoever started us.
    let mut of_ioctl = Vec::new();
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        of_ioctl.push(SeccompRule::new(vec![is(1, (request as u32).into())?])?);
    }
    rules.insert(libc::SYS_ioctl, of_ioctl);

    // The limit on cores stays as `bubblewrap::alone` sets it, and says why.
    let core = u64::from(libc::RLIMIT_CORE);
    rules.insert(
        libc::SYS_setrlimit,
        vec![SeccompRule::new(vec![is(0, core)?])?],
    );
    let no_limit = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    let set_core = SeccompRule::new(vec![is(1, core)?, no_limit])?;
    rules.insert(libc::SYS_prlimit64, vec![set_core]);

    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(REFUSAL);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?;
    let mut program = numbers();
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
}

/// "No such call": what programs that can do without expect of an old kernel.
const REFUSAL: u32 = libc::ENOSYS as u32;

/// The sockets that are refused.
fn sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let mut rules = Vec::new();
    let mut others = Vec::new();
    for family in FAMILIES {
        others.push(argument(0, SeccompCmpOp::Ne, *family as u64)?);
    }
    rules.push(SeccompRule::new(others)?);
    let of = |family: libc::c_int| argument(0, SeccompCmpOp::Eq, family as u64);
    // Its own interfaces is all that anybody inside has to ask the kernel for.
    let route = libc::NETLINK_ROUTE as u64;
    let other = argument(2, SeccompCmpOp::Ne, route)?;
    rules.push(SeccompRule::new(vec![of(libc::AF_NETLINK)?, other])?);
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut other_protocols = vec![of(family)?];
        for protocol in PROTOCOLS {
            other_protocols.push(argument(2, SeccompCmpOp::Ne, *protocol as u64)?);
        }
        rules.push(SeccompRule::new(other_protocols)?);
        for kind in KINDS_OF_MODULES {
            let kind = argument(1, SeccompCmpOp::MaskedEq(KIND), *kind as u64)?;
            rules.push(SeccompRule::new(vec![of(family)?, kind])?);
        }
    }
    Ok(rules)
}

/// Refuses the numbers of `x32`, for which there is no rule below. Its calls carry the architecture
/// of 64 bits, so that the check for that lets them pass.
fn numbers() -> BpfProgram {
    let instruction = |code: u32, jt, jf, k| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let compare = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    if !cfg!(target_arch = "x86_64") {
        return Vec::new();
    }
    vec![
        // The number of the call is the first word of what a filter sees.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(compare, 2, 0, X32),
        instruction(compare, 0, 2, ONLY_X32.start),
        instruction(compare, 1, 0, ONLY_X32.end),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | REFUSAL,
        ),
    ]
}

/// System calls take flags and families as 32 bits; what stands above is ignored by the kernel.
fn argument(
    index: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: u32 = 0xc000_003e;

    /// What the kernel would make of a call.
    fn verdict(architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = vec![number, architecture, 0, 0];
        data.extend(
            arguments
                .iter()
                .flat_map(|a| [*a as u32, (*a >> 32) as u32]),
        );
        let program = program().unwrap();
        let (mut at, mut register) = (0, 0_u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            match code {
                0x20 => register = data[k as usize / 4],
                0x54 => register &= k,
                0x05 => at += k as usize,
                0x15 => at += jump(register == k),
                0x25 => at += jump(register > k),
                0x35 => at += jump(register >= k),
                0x06 => return k,
                code => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    fn passes(number: libc::c_long, arguments: [u64; 6]) -> bool {
        verdict(X86_64, number as u32, arguments) == libc::SECCOMP_RET_ALLOW
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn another_numbering_of_the_same_calls_is_no_way_around() {
        assert!(passes(libc::SYS_getpid, [0; 6]));
        assert!(passes(511, [0; 6]) && passes(548, [0; 6]));
        for number in [libc::SYS_getpid, libc::SYS_unshare, 512, 514, 547] {
            assert!(
                !passes(number | libc::c_long::from(X32), [0; 6]),
                "{number}"
            );
        }
        assert!(!passes(514, [0, libc::TIOCSTI, 0, 0, 0, 0]));
        let of_32_bits = verdict(0x4000_0003, 20, [0; 6]);
        assert_eq!(of_32_bits, libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn sockets_that_programs_need_pass_and_others_do_not() {
        let socket = |family: libc::c_int, kind: libc::c_int, protocol: libc::c_int| {
            let numbers = [family, kind, protocol].map(|number| number as u64);
            let [family, kind, protocol] = numbers;
            // What stands above 32 bits is ignored by the kernel, and by the filter.
            let high = 1 << 40;
            let plain = passes(libc::SYS_socket, [family, kind, protocol, 0, 0, 0]);
            let tricky = [family | high, kind | high, protocol | high, 0, 0, 0];
            assert_eq!(plain, passes(libc::SYS_socket, tricky));
            plain
        };
        for (family, kind, protocol) in [
            (libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0),
            (
                libc::AF_INET6,
                libc::SOCK_DGRAM | libc::SOCK_NONBLOCK,
                libc::IPPROTO_UDP,
            ),
            (libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
            (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        ] {
            assert!(socket(family, kind, protocol), "{family} {kind} {protocol}");
        }
        for (family, kind, protocol) in [
            (libc::AF_VSOCK, libc::SOCK_STREAM, 0),
            (libc::AF_PACKET, libc::SOCK_RAW, 0),
            (libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
            (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER),
            (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
            (libc::AF_INET6, libc::SOCK_DCCP | libc::SOCK_CLOEXEC, 0),
        ] {
            assert!(
                !socket(family, kind, protocol),
                "{family} {kind} {protocol}"
            );
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_limit_on_cores_can_be_read_and_not_set() {
        let core = u64::from(libc::RLIMIT_CORE);
        let files = u64::from(libc::RLIMIT_NOFILE);

        assert!(passes(libc::SYS_prlimit64, [0, core, 0, 0x7fff_0000, 0, 0]));
        assert!(passes(
            libc::SYS_prlimit64,
            [0, files, 0x7fff_0000, 0, 0, 0]
        ));
        // Wherever the new limit lies, on either side of 32 bits.
        assert!(!passes(libc::SYS_prlimit64, [0, core, 0x1000, 0, 0, 0]));
        assert!(!passes(libc::SYS_prlimit64, [0, core, 1 << 40, 0, 0, 0]));
        assert!(!passes(libc::SYS_setrlimit, [core, 0x1000, 0, 0, 0, 0]));
    }
}
