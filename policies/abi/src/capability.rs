//! What a policy may do.

macro_rules! capabilities {
    ($($variant:ident = $bit:literal, $name:literal, $meaning:literal;)*) => {
        /// One thing that a policy may do, if its manifest asks for it and the configuration grants it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Capability {
            $(#[doc = $meaning] $variant = $bit,)*
        }

        impl Capability {
            /// Every capability.
            pub const ALL: &[Capability] = &[$(Capability::$variant),*];

            /// The name in a manifest and in a configuration.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Capability::$variant => $name,)*
                }
            }

            /// What it allows, for the guide.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Capability::$variant => $meaning,)*
                }
            }
        }
    };
}

capabilities! {
    Open = 0, "open", "Open a service to the knocker's address.";
    OpenPrefix = 1, "open-prefix", "Open a service to the knocker's whole prefix.";
    Extend = 2, "extend", "Let an open grant of the client last longer.";
    Revoke = 3, "revoke", "Close an open grant of the client.";
    Lockout = 4, "lockout", "Lock the source out.";
    Start = 5, "start", "Start a unit from the host's table.";
    Notify = 6, "notify", "Send a code to a channel from the host's table.";
    State = 7, "state", "Keep numbers between events.";
    Log = 8, "log", "Write lines for the operator.";
}

impl Capability {
    /// The capability of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|capability| capability.name() == name)
    }
}

/// A set of capabilities.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities(u16);

impl Capabilities {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self::of(Capability::ALL);

    /// What a gateway can do. It has no service manager, and nobody whom it could send a notice to.
    pub const GATEWAY: Self = Self::ALL.without(Self::of(&[Capability::Start, Capability::Notify]));

    /// The set of these.
    #[must_use]
    pub const fn of(list: &[Capability]) -> Self {
        let mut set = Self::NONE;
        let mut rest = list;
        while let [first, tail @ ..] = rest {
            set = set.with(*first);
            rest = tail;
        }
        set
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u16)
    }

    /// Whether the capability is in the set.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u16) != 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in the order of [`Capability::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |capability| self.has(*capability))
    }
}

/// The names, separated by spaces, as a manifest writes them.
impl core::fmt::Display for Capabilities {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (at, capability) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(capability.name())?;
        }
        Ok(())
    }
}

impl core::fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Capabilities({self})")
    }
}
