//! seccomp: the system calls that the worker needs, each group with its reason, and no others.
//!
//! What is missing is missing on purpose: running a program, looking into another process, mounting, loading modules,
//! namespaces, keys, io_uring, BPF, raw and packet sockets. Those that are open already go on working.

use std::collections::BTreeMap;

use anyhow::Context;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// What becomes of a system call that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// It fails with EPERM.
    Refuse,
    /// It ends the process, and with it the broker.
    Kill,
}

/// Why they are needed, and which they are.
type Group = (&'static str, &'static [i64]);

#[rustfmt::skip]
const GROUPS: [Group; 10] = [
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
    ("memory; policies are compiled, so it has to become code", &[
        libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
        libc::SYS_mlock, libc::SYS_munlock, libc::SYS_membarrier, libc::SYS_mincore, libc::SYS_memfd_create,
    ]),
    ("threads", &[
        libc::SYS_clone, libc::SYS_clone3, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_futex,
        libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_set_tid_address, libc::SYS_rseq,
        libc::SYS_gettid, libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_setaffinity,
        libc::SYS_getcpu,
    ]),
    ("signals, of the service manager and of policies that trap", &[
        libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigtimedwait,
        libc::SYS_sigaltstack, libc::SYS_tgkill, libc::SYS_kill,
    ]),
    ("time", &[
        libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_gettimeofday,
    ]),
    ("chance", &[libc::SYS_getrandom]),
    ("who it is", &[
        libc::SYS_getpid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
        libc::SYS_getegid, libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrusage, libc::SYS_prlimit64,
        libc::SYS_capget, libc::SYS_prctl,
    ]),
    ("what of a terminal or socket there is; nothing else that it does needs a device", &[libc::SYS_ioctl]),
];

/// Names of the same acts from before there were folders to name files from.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLDER: Group = ("the same by older names", &[
    libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_newfstatat, libc::SYS_access, libc::SYS_readlink,
    libc::SYS_rename, libc::SYS_unlink, libc::SYS_mkdir, libc::SYS_chmod, libc::SYS_chown, libc::SYS_poll,
    libc::SYS_select, libc::SYS_epoll_wait, libc::SYS_pipe, libc::SYS_dup2, libc::SYS_accept, libc::SYS_time,
    libc::SYS_arch_prctl, libc::SYS_getrlimit,
]);
#[cfg(not(target_arch = "x86_64"))]
const OLDER: Group = ("the same by older names", &[libc::SYS_newfstatat, libc::SYS_accept]);

/// Families of new sockets: to the service manager and local webhooks, to webhooks, to the kernel about routes.
const SOCKETS: [(i32, Protocol); 4] = [
    (libc::AF_UNIX, Protocol::Any),
    (libc::AF_INET, Protocol::Any),
    (libc::AF_INET6, Protocol::Any),
    (libc::AF_NETLINK, Protocol::Default),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Any,
    /// Number 0: of netlink only what every user may ask.
    Default,
}

/// Without the flags that stand in the same number.
const KIND_OF_SOCKET: u64 = 0xf;

/// Keeps this thread, and those that it starts, to these.
pub(super) fn restrict(forbidden: Forbidden) -> anyhow::Result<()> {
    seccompiler::apply_filter(&program(forbidden)?).context("the kernel takes no filter of system calls")
}

fn program(forbidden: Forbidden) -> anyhow::Result<BpfProgram> {
    let plain = GROUPS.iter().chain([&OLDER]).flat_map(|(_, calls)| calls.iter());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = plain.map(|&call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, sockets(&SOCKETS)?);
    rules.insert(libc::SYS_socketpair, sockets(&SOCKETS[..1])?);
    let otherwise = match forbidden {
        Forbidden::Refuse => SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        Forbidden::Kill => SeccompAction::KillProcess,
    };
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(rules, otherwise, SeccompAction::Allow, machine)?.try_into()?)
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
            if protocol == Protocol::Default {
                conditions.push(argument(2, SeccompCmpOp::Eq, 0)?);
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
