//! Landlock: its own folders to write, what it is told by to read, and nothing else of the file system. No TCP port that it
//! has not opened before.

use std::path::{Path, PathBuf};

use anyhow::bail;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};

use super::Extent;

/// The newest rules that are used, those of Linux 6.12. An older kernel restricts what it can.
const NEWEST: ABI = ABI::V6;

/// Files of the system, each with the reason. What a host does not have is left out. A file that is replaced later is not
/// seen before the next start; in a folder it is.
const SYSTEM: [(&str, &str); 18] = [
    ("/etc/localtime", "the host's time zone, for policies"),
    ("/usr/share/zoneinfo", "other time zones"),
    ("/etc/hosts", "addresses of webhooks"),
    ("/etc/resolv.conf", "who is asked for them"),
    ("/run/systemd/resolve", "the same, where it is a link to there"),
    ("/run/resolvconf", "likewise"),
    ("/run/NetworkManager", "likewise"),
    ("/etc/nsswitch.conf", "in which order they are looked up"),
    ("/etc/host.conf", "how"),
    ("/etc/gai.conf", "which address is preferred"),
    ("/etc/services", "what the C library reads on the way"),
    ("/etc/ld.so.cache", "the C library's parts for looking up names"),
    ("/lib", "likewise"),
    ("/lib64", "likewise"),
    ("/usr/lib", "likewise"),
    ("/sys/devices/system/cpu", "how many processors there are"),
    ("/proc/sys/vm", "whether memory may be overcommitted"),
    ("/dev/urandom", "random numbers of an old kernel"),
];

const READING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// What the broker looks into; and what `nft` is made of and looks into.
const PROGRAMS: [&str; 12] = [
    "/proc/self",
    "/proc/sys/net",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/iproute2",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/services",
];
/// Where what it says to nobody goes.
const NOWHERE: &str = "/dev/null";

/// Whether every confined process may read there.
pub fn is_of_the_system(file: &Path) -> bool {
    SYSTEM.iter().any(|(path, _)| file.starts_with(path))
}

/// Keeps this thread, and those that it starts, to these.
pub(super) fn restrict(writes: &[PathBuf], reads: &[PathBuf]) -> anyhow::Result<Extent> {
    let all = AccessFs::from_all(NEWEST);
    let mut rules = rules()?;
    for folder in writes {
        rules = allow(rules, folder, all & !AccessFs::Execute)?;
    }
    let system = SYSTEM.iter().map(|(path, _)| PathBuf::from(path));
    for path in reads.iter().cloned().chain(system) {
        rules = allow(rules, &path, READING)?;
    }
    enforce(rules)
}

/// Keeps the broker to running `nft`.
pub(super) fn restrict_broker() -> anyhow::Result<Extent> {
    let mut rules = rules()?;
    for path in PROGRAMS {
        rules = allow(rules, &PathBuf::from(path), READING | AccessFs::Execute)?;
    }
    enforce(allow(rules, &PathBuf::from(NOWHERE), READING | AccessFs::WriteFile)?)
}

/// Nothing is allowed by them yet.
fn rules() -> anyhow::Result<RulesetCreated> {
    let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    let rules = rules.handle_access(AccessFs::from_all(NEWEST))?.handle_access(AccessNet::BindTcp)?;
    Ok(rules.scope(Scope::AbstractUnixSocket | Scope::Signal)?.create()?)
}

fn enforce(rules: RulesetCreated) -> anyhow::Result<Extent> {
    match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Ok(Extent::Whole),
        RulesetStatus::PartiallyEnforced => Ok(Extent::Part),
        RulesetStatus::NotEnforced => bail!("the kernel has no Landlock"),
    }
}

/// What is not there cannot be allowed, and need not be.
fn allow(
    rules: RulesetCreated,
    path: &PathBuf,
    access: BitFlags<AccessFs>,
) -> anyhow::Result<RulesetCreated> {
    let Ok(opened) = PathFd::new(path) else { return Ok(rules) };
    // Of a file only what can be done to files.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    Ok(rules.add_rule(PathBeneath::new(opened, access))?)
}
