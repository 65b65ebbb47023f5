use std::io;

use rustix::io::Errno;

use super::plan::PlanError;

/// Why the firewall could not be changed, and what helps.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    #[error("cannot guard this: {0}")]
    Plan(#[from] PlanError),
    #[error("not allowed to change the firewall; run as root or with CAP_NET_ADMIN")]
    NotAllowed,
    #[error("the program nft is missing; install the package nftables")]
    NftMissing,
    #[error("this kernel has no nf_tables; load the module nf_tables or boot a kernel that has it")]
    NoNfTables,
    #[error(
        "nft refused the rule set ({0}); the kernel or nft is too old (5.2 and 0.9.6 are needed), or lacks a part"
    )]
    Refused(String),
    #[error(
        "{family} forwarding is off, so service \"{service}\" cannot reach its inner host; run `sysctl -w {sysctl}=1`"
    )]
    ForwardingOff { service: String, family: &'static str, sysctl: &'static str },
    #[error("the table inet knockgate is gone or was changed by somebody else; install it again")]
    TableGone,
    #[error("the kernel holds as many grants as the set takes (65536); close some or wait for their end")]
    Full,
    #[error("a grant needs 1 to 16 ports and a deadline in the future; this one has {ports} ports")]
    EmptyGrant { ports: usize },
    #[error(
        "port {port} opens to no prefix of {bits} bits; give its service that prefix in the configuration, or ask for the address alone"
    )]
    NoSuchPrefix { port: u16, bits: u8 },
    #[error(
        "the firewall kept changing while it was read; another program rewrites it in a loop, stop that one"
    )]
    Restless,
    #[error("the kernel did not take the change ({0}); look for its reason in `dmesg` and try again")]
    Kernel(#[source] io::Error),
    #[error("the broker refuses: {0}")]
    Broker(String),
    #[error("the broker is gone, and nothing can be opened or closed any more; restart the agent")]
    BrokerGone,
    #[error(
        "the broker keeps the plan that it was started with; restart the agent to change what is guarded"
    )]
    PlanIsFixed,
}

impl From<Errno> for FirewallError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::PERM | Errno::ACCESS => Self::NotAllowed,
            Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => Self::NoNfTables,
            Errno::NOENT => Self::TableGone,
            Errno::NFILE => Self::Full,
            Errno::INTR => Self::Restless,
            other => Self::Kernel(other.into()),
        }
    }
}

impl From<io::Error> for FirewallError {
    fn from(error: io::Error) -> Self {
        Errno::from_io_error(&error).map_or_else(|| Self::Kernel(error), Self::from)
    }
}
