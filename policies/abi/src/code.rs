//! Small numbers that cross the border: verdicts, answers to acts, log levels, kinds of host.

/// `decide` returns this to let everything queued happen.
pub const VERDICT_COMMIT: u32 = 0;
/// `decide` returns this to deny; nothing queued happens.
pub const VERDICT_DENY: u32 = 1;
/// `decide` returns this to pass the question on; nothing queued happens.
pub const VERDICT_ABSTAIN: u32 = 2;

/// Why an act was not queued. An act that was queued answers 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Refusal {
    /// An argument makes no sense: a service number above 65535, 0 seconds, a prefix longer than the address.
    Invalid = -1,
    /// Manifest and configuration together do not allow it to this policy.
    NotPermitted = -2,
    /// Too long, too wide, or too many in one decision.
    LimitReached = -3,
    /// No such grant, unit or channel.
    NoSuchThing = -4,
    /// This host cannot do it.
    NotOnThisHost = -5,
}

impl Refusal {
    /// Every refusal, from -1 downwards.
    pub const ALL: &[Refusal] = &[
        Refusal::Invalid,
        Refusal::NotPermitted,
        Refusal::LimitReached,
        Refusal::NoSuchThing,
        Refusal::NotOnThisHost,
    ];

    /// The number that the policy gets.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The refusal with that number.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| refusal.code() == code)
    }

    /// Few words, as logs and the guide put it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Invalid => "invalid",
            Refusal::NotPermitted => "not permitted",
            Refusal::LimitReached => "limit reached",
            Refusal::NoSuchThing => "no such thing",
            Refusal::NotOnThisHost => "not on this host",
        }
    }
}

/// How much a line of a policy matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LogLevel {
    /// 1: the policy cannot do its work.
    Error = 1,
    /// 2: somebody should look at this.
    Warning = 2,
    /// 3: worth knowing.
    Information = 3,
    /// 4 and any number that is not listed: for the author.
    Debug = 4,
}

impl LogLevel {
    /// The word for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warning => "warning",
            LogLevel::Information => "information",
            LogLevel::Debug => "debug",
        }
    }

    /// The level of that number; what is unknown is for the author.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => LogLevel::Error,
            2 => LogLevel::Warning,
            3 => LogLevel::Information,
            _ => LogLevel::Debug,
        }
    }
}

/// Where a policy runs, as the attribute `host-kind` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HostKind {
    /// The Linux agent.
    Linux = 1,
    /// The gateway firmware.
    Gateway = 2,
}

impl HostKind {
    /// The word for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HostKind::Linux => "linux",
            HostKind::Gateway => "gateway",
        }
    }
}
