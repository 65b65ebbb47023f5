//! seccomp: the system calls that the worker needs, each group with its reason, and no others; and those of the broker.
//!
//! What is missing is missing on purpose: running a program, looking into another process, mounting, loading modules,
//! namespaces, keys, io_uring, BPF, raw and packet sockets. Those that are open already go on working.

use std::collections::BTreeMap;

use anyhow::Context;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use serde::{Deserialize, Serialize};

/// What becomes of a system call that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forbidden {
    /// It fails with EPERM.
    Refuse,
    /// It ends the process, and with it the broker.
    Kill,
}

/// Whether the process may run machine code that it has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineCode {
    /// Policies are compiled.
    Made,
    /// No memory becomes executable any more.
    Never,
}

/// Why they are needed, and which they are.
type Group = (&'static str, &'static [i64]);

#[rustfmt::skip]
const GROUPS: [Group; 9] = [
    ("files of its own, which Landlock picks", &[
        libc::SYS_openat, libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64,
        libc::SYS_pwrite64, libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_close, libc::SYS_close_range, libc::SYS_lseek,
        libc::SYS_fstat, libc::SYS_statx, libc::SYS_fstatfs, libc::SYS_statfs, libc::SYS_faccessat,
        libc::SYS_faccessat2, libc::SYS_getdents64, libc::SYS_readlinkat, libc::SYS_fcntl, libc::SYS_flock,
        libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync_file_range, libc::SYS_ftruncate, libc::SYS_fallocate,
        libc::SYS_fadvise64, libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_unlinkat, libc::SYS_mkdirat,
        libc::SYS_linkat, libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_umask,
        libc::SYS_copy_file_range, libc::SYS_sendfile, libc::SYS_getcwd, libc::SYS_dup, libc::SYS_dup3,
    ]),
    ("waiting", &[
        libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2, libc::SYS_eventfd2, libc::SYS_pipe2, libc::SYS_timerfd_create,
        libc::SYS_timerfd_settime, libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_restart_syscall,
        libc::SYS_inotify_init1, libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch,
    ]),
    ("sockets; which new ones, `SOCKETS` says", &[
        libc::SYS_bind, libc::SYS_listen, libc::SYS_accept4, libc::SYS_connect, libc::SYS_getsockname,
        libc::SYS_getpeername, libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_sendto, libc::SYS_sendmsg,
        libc::SYS_sendmmsg, libc::SYS_recvfrom, libc::SYS_recvmsg, libc::SYS_recvmmsg, libc::SYS_shutdown,
    ]),
    ("memory; whether it may become code, `no_code` says", &[
        libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
        libc::SYS_mlock, libc::SYS_munlock, libc::SYS_membarrier, libc::SYS_mincore, libc::SYS_memfd_create,
    ]),
    ("threads; `NAMESPACES` says which, `no_clone3` by which call", &[
        libc::SYS_clone3, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_futex,
        libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_set_tid_address, libc::SYS_rseq,
        libc::SYS_gettid, libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_setaffinity,
        libc::SYS_getcpu,
    ]),
    ("signals, of the service manager; to whom, `program` says", &[
        libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigtimedwait,
        libc::SYS_sigaltstack,
    ]),
    ("time", &[
        libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_gettimeofday,
    ]),
    ("chance", &[libc::SYS_getrandom]),
    ("who it is", &[
        libc::SYS_getpid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
        libc::SYS_getegid, libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrusage,
        libc::SYS_capget, libc::SYS_prctl,
    ]),
];

/// What the broker needs beside: it starts `nft`, and waits for it.
const PROGRAMS: Group =
    ("another program", &[libc::SYS_execve, libc::SYS_wait4, libc::SYS_waitid, libc::SYS_pidfd_open]);

/// Names of the same acts from before there were folders to name files from.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLDER: Group = ("the same by older names", &[
    libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_newfstatat, libc::SYS_access, libc::SYS_readlink,
    libc::SYS_rename, libc::SYS_unlink, libc::SYS_mkdir, libc::SYS_chmod, libc::SYS_chown, libc::SYS_poll,
    libc::SYS_select, libc::SYS_epoll_wait, libc::SYS_pipe, libc::SYS_dup2, libc::SYS_accept, libc::SYS_time,
    libc::SYS_arch_prctl, libc::SYS_getrlimit,
]);
#[cfg(target_arch = "x86_64")]
const OLDER_PROGRAMS: Group = ("the same by an older name", &[libc::SYS_vfork]);
#[cfg(not(target_arch = "x86_64"))]
const OLDER_PROGRAMS: Group = ("the same by an older name", &[]);
#[cfg(not(target_arch = "x86_64"))]
const OLDER: Group = ("the same by older names", &[libc::SYS_newfstatat, libc::SYS_accept]);

/// Families of new sockets: to the service manager and local webhooks, to webhooks, to the kernel about routes.
const SOCKETS: [(i32, Protocol); 4] = [
    (libc::AF_UNIX, Protocol::Any),
    (libc::AF_INET, Protocol::Any),
    (libc::AF_INET6, Protocol::Any),
    (libc::AF_NETLINK, Protocol::Default),
];

/// Those of the broker and of `nft`: to the firewall, to conntrack.
const BROKERS_SOCKETS: [(i32, Protocol); 1] = [(libc::AF_NETLINK, Protocol::Netfilter)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Any,
    /// Number 0: of netlink only what every user may ask.
    Default,
    /// Of netlink the packet filter.
    Netfilter,
}

/// What `clone` may not make: whoever makes a namespace of users has every capability in there, and with it more of the kernel.
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Words for the terminal of whoever has started the agent, as if he had typed them; and its line discipline. Everything else
/// that is asked of a file or socket this way is harmless, or takes a capability. TIOCSTI, TIOCLINUX, TIOCSETD.
const TYPED: [i32; 3] = [0x5412, 0x541c, 0x5423];

/// Without the flags that stand in the same number.
const KIND_OF_SOCKET: u64 = 0xf;

/// Keeps the worker's thread, and those that it starts, to these.
pub(super) fn restrict(forbidden: Forbidden, code: MachineCode) -> anyhow::Result<()> {
    let no_code = match code {
        MachineCode::Made => None,
        MachineCode::Never => Some(no_code()?),
    };
    let own = program(forbidden, &[OLDER], &SOCKETS)?;
    apply([no_clone3()?].into_iter().chain(no_code).chain([own]).collect())
}

/// Keeps the broker, and what it starts, to these.
pub(super) fn restrict_broker(forbidden: Forbidden) -> anyhow::Result<()> {
    let own = program(forbidden, &[OLDER, PROGRAMS, OLDER_PROGRAMS], &BROKERS_SOCKETS)?;
    apply(vec![no_clone3()?, own])
}

/// The last one forbids that there are more.
fn apply(filters: Vec<BpfProgram>) -> anyhow::Result<()> {
    let applied = filters.iter().try_for_each(|filter| seccompiler::apply_filter(filter));
    applied.context("the kernel takes no filter of system calls")
}

/// Its flags lie in memory, where no filter sees them. A C library that hears that there is no such call takes `clone`.
fn no_clone3() -> anyhow::Result<BpfProgram> {
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    Ok(SeccompFilter::new(clone3, SeccompAction::Allow, unknown, machine()?)?.try_into()?)
}

/// Memory never becomes executable. It fails in either case: the C library asks for it when it wants another part of itself to look
/// up a name, and does without.
fn no_code() -> anyhow::Result<BpfProgram> {
    let executable = libc::PROT_EXEC.unsigned_abs();
    let asked = SeccompCmpOp::MaskedEq(executable.into());
    let becomes_code =
        |call| Ok((call, vec![SeccompRule::new(vec![argument(2, asked.clone(), libc::PROT_EXEC)?])?]));
    let calls = [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_pkey_mprotect].map(becomes_code);
    let rules = calls.into_iter().collect::<anyhow::Result<_>>()?;
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refused, machine()?)?.try_into()?)
}

fn program(forbidden: Forbidden, more: &[Group], families: &[(i32, Protocol)]) -> anyhow::Result<BpfProgram> {
    let plain = GROUPS.iter().chain(more).flat_map(|(_, calls)| calls.iter());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = plain.map(|&call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, sockets(families)?);
    rules.insert(libc::SYS_socketpair, sockets(&SOCKETS[..1])?);
    let no_namespace = argument(0, SeccompCmpOp::MaskedEq(u64::from(NAMESPACES.unsigned_abs())), 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_namespace])?]);
    let not_typed = TYPED.iter().map(|&typed| argument(1, SeccompCmpOp::Ne, typed));
    rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(not_typed.collect::<Result<_, _>>()?)?]);
    // To itself alone, as when it aborts; and limits of its own alone. A program that it starts has another number, and no need to.
    let own = i32::try_from(std::process::id())?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![argument(0, SeccompCmpOp::Eq, own)?])?]);
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![argument(0, SeccompCmpOp::Eq, 0)?])?]);
    let otherwise = match forbidden {
        Forbidden::Refuse => SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        Forbidden::Kill => SeccompAction::KillProcess,
    };
    Ok(SeccompFilter::new(rules, otherwise, SeccompAction::Allow, machine()?)?.try_into()?)
}

fn machine() -> anyhow::Result<TargetArch> {
    Ok(TargetArch::try_from(std::env::consts::ARCH)?)
}

/// A rule for each family and kind; raw sockets are of none.
fn sockets(families: &[(i32, Protocol)]) -> anyhow::Result<Vec<SeccompRule>> {
    let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET];
    let mut rules = Vec::new();
    for &(family, protocol) in families {
        // To netlink, raw and plain are the same, and the C library says raw.
        let netlink = (family == libc::AF_NETLINK).then_some(libc::SOCK_RAW);
        for kind in kinds.into_iter().chain(netlink) {
            let mut conditions = vec![
                argument(0, SeccompCmpOp::Eq, family)?,
                argument(1, SeccompCmpOp::MaskedEq(KIND_OF_SOCKET), kind)?,
            ];
            match protocol {
                Protocol::Any => {}
                Protocol::Default => conditions.push(argument(2, SeccompCmpOp::Eq, 0)?),
                Protocol::Netfilter => {
                    conditions.push(argument(2, SeccompCmpOp::Eq, libc::NETLINK_NETFILTER)?);
                }
            }
            rules.push(SeccompRule::new(conditions)?);
        }
    }
    Ok(rules)
}

fn argument(index: u8, is: SeccompCmpOp, value: i32) -> anyhow::Result<SeccompCondition> {
    let value = u64::from(value.unsigned_abs());
    Ok(SeccompCondition::new(index, SeccompCmpArgLen::Dword, is, value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: u32 = 0x7fff_0000;
    const REFUSED: u32 = 0x0005_0000;
    const KILLED: u32 = 0x8000_0000;

    #[test]
    fn calls_are_judged_by_what_they_ask_for() {
        let refused = REFUSED | libc::EPERM.unsigned_abs();
        let thread = u64::from((libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND).unsigned_abs());
        let number = |value: i32| u64::from(value.unsigned_abs());
        let (route, netfilter) = (number(libc::NETLINK_ROUTE), number(libc::NETLINK_NETFILTER));
        let (netlink, raw) = (number(libc::AF_NETLINK), number(libc::SOCK_RAW | libc::SOCK_CLOEXEC));
        #[rustfmt::skip]
        let cases: [(u32, i64, [u64; 3], u32); 16] = [
            (1, libc::SYS_clone, [thread, 0, 0], ALLOWED),
            (2, libc::SYS_clone, [number(libc::CLONE_NEWUSER), 0, 0], refused),
            (3, libc::SYS_clone, [thread | number(libc::CLONE_NEWNET), 0, 0], refused),
            (4, libc::SYS_unshare, [number(libc::CLONE_NEWUSER), 0, 0], refused),
            (5, libc::SYS_ioctl, [0, 0x541b, 0], ALLOWED), // FIONREAD
            (6, libc::SYS_ioctl, [0, 0x5412, 0], refused), // TIOCSTI
            (7, libc::SYS_ioctl, [0, 0x1_0000_5412, 0], refused), // the kernel looks at 32 bits
            (8, libc::SYS_socket, [netlink, raw, route], ALLOWED),
            (9, libc::SYS_socket, [netlink, raw, netfilter], refused),
            (10, libc::SYS_socket, [number(libc::AF_INET), raw, 0], refused),
            (11, libc::SYS_execve, [0, 0, 0], refused),
            (12, libc::SYS_futex, [0, 0, 0], ALLOWED),
            (13, libc::SYS_kill, [1, 0, 0], refused),
            (14, libc::SYS_tgkill, [1, 1, 0], refused),
            (15, libc::SYS_tgkill, [std::process::id().into(), 1, 6], ALLOWED),
            (16, libc::SYS_prlimit64, [1, 0, 0], refused),
        ];
        let filter = program(Forbidden::Refuse, &[OLDER], &SOCKETS).unwrap();
        for (case, call, arguments, expected) in cases {
            assert_eq!(judged(&filter, call, arguments), expected, "case {case}");
        }
        assert_eq!(
            judged(&program(Forbidden::Kill, &[], &SOCKETS).unwrap(), libc::SYS_execve, [0; 3]),
            KILLED
        );
    }

    #[test]
    fn the_broker_starts_a_program_and_speaks_with_the_firewall_alone() {
        let refused = REFUSED | libc::EPERM.unsigned_abs();
        let number = |value: i32| u64::from(value.unsigned_abs());
        let (netlink, raw) = (number(libc::AF_NETLINK), number(libc::SOCK_RAW | libc::SOCK_CLOEXEC));
        #[rustfmt::skip]
        let cases: [(u32, i64, [u64; 3], u32); 6] = [
            (1, libc::SYS_execve, [0, 0, 0], ALLOWED),
            (2, libc::SYS_socket, [netlink, raw, number(libc::NETLINK_NETFILTER)], ALLOWED),
            (3, libc::SYS_socket, [netlink, raw, number(libc::NETLINK_ROUTE)], refused),
            (4, libc::SYS_socket, [number(libc::AF_INET), number(libc::SOCK_STREAM), 0], refused),
            (5, libc::SYS_ptrace, [0, 0, 0], refused),
            (6, libc::SYS_bpf, [0, 0, 0], refused),
        ];
        let filter =
            program(Forbidden::Refuse, &[OLDER, PROGRAMS, OLDER_PROGRAMS], &BROKERS_SOCKETS).unwrap();
        for (case, call, arguments, expected) in cases {
            assert_eq!(judged(&filter, call, arguments), expected, "case {case}");
        }
    }

    #[test]
    fn there_is_no_clone3() {
        let filter = no_clone3().unwrap();
        assert_eq!(judged(&filter, libc::SYS_clone3, [0; 3]), REFUSED | libc::ENOSYS.unsigned_abs());
        assert_eq!(judged(&filter, libc::SYS_clone, [0; 3]), ALLOWED);
    }

    #[test]
    fn memory_becomes_no_code() {
        let (filter, refused) = (no_code().unwrap(), REFUSED | libc::EPERM.unsigned_abs());
        let number = |value: i32| u64::from(value.unsigned_abs());
        let (write, code) =
            (number(libc::PROT_READ | libc::PROT_WRITE), number(libc::PROT_READ | libc::PROT_EXEC));
        #[rustfmt::skip]
        let cases: [(u32, i64, u64, u32); 6] = [
            (1, libc::SYS_mmap, write, ALLOWED),
            (2, libc::SYS_mmap, code, refused),
            (3, libc::SYS_mprotect, write, ALLOWED),
            (4, libc::SYS_mprotect, code, refused),
            (5, libc::SYS_mprotect, write | code, refused),
            (6, libc::SYS_munmap, code, ALLOWED),
        ];
        for (case, call, protection, expected) in cases {
            assert_eq!(judged(&filter, call, [0, 0, protection]), expected, "case {case}");
        }
    }

    /// As the kernel would, for the instructions that filters consist of. Rule: `struct seccomp_data` and `bpf_common.h`.
    fn judged(filter: &BpfProgram, call: i64, arguments: [u64; 3]) -> u32 {
        let machine = match std::env::consts::ARCH {
            "x86_64" => 0xc000_003e,
            "aarch64" => 0xc000_00b7,
            "riscv64" => 0xc000_00f3,
            other => panic!("no filter is made for {other}"),
        };
        let mut data = vec![u32::try_from(call).unwrap(), machine, 0, 0];
        data.extend(
            arguments.iter().flat_map(|&value| {
                [value & 0xffff_ffff, value >> 32].map(|half| u32::try_from(half).unwrap())
            }),
        );
        let (mut at, mut value) = (0_usize, 0_u32);
        loop {
            let step = &filter[at];
            let jump = |is: bool| usize::from(if is { step.jt } else { step.jf });
            let skipped = match step.code {
                0x20 => {
                    value = data[usize::try_from(step.k).unwrap() / 4];
                    0
                }
                0x54 => {
                    value &= step.k;
                    0
                }
                0x05 => usize::try_from(step.k).unwrap(),
                0x15 => jump(value == step.k),
                0x25 => jump(value > step.k),
                0x35 => jump(value >= step.k),
                0x06 => return step.k,
                other => panic!("an instruction that no filter has: {other:#x}"),
            };
            at += 1 + skipped;
        }
    }
}
