//! Why a policy is asked.

macro_rules! causes {
    ($($variant:ident = $number:literal, $name:literal, $meaning:literal;)*) => {
        /// What happened, as the attribute `cause` numbers it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Cause {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl Cause {
            /// Every cause, by rising number.
            pub const ALL: &[Cause] = &[$(Cause::$variant),*];

            /// The name in a manifest.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Cause::$variant => $name,)*
                }
            }

            /// What the cause means, for the guide.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Cause::$variant => $meaning,)*
                }
            }
        }
    };
}

causes! {
    Sequence = 1, "sequence", "A client has knocked with a sequence.";
    Packet = 2, "packet", "A client has knocked with a packet.";
    Renew = 3, "renew", "A client asks to keep a grant open for longer.";
    Close = 4, "close", "A client has closed its grant.";
    Expiry = 5, "expiry", "A grant has reached its end.";
    Lockout = 6, "lockout", "A source or client has been locked out.";
    FailedAttempt = 7, "failed-attempt", "An attempt has failed.";
    StartUp = 8, "start-up", "The gate has started.";
}

impl Cause {
    /// The number that a policy sees.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The cause of that name in a manifest.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.name() == name)
    }
}

/// A set of causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Causes(u16);

impl Causes {
    /// No cause.
    pub const NONE: Self = Self(0);
    /// What a policy is asked about when its manifest does not say: a knock of either kind.
    pub const KNOCKS: Self = Self::NONE.with(Cause::Sequence).with(Cause::Packet);

    /// This set and one more.
    #[must_use]
    pub const fn with(self, cause: Cause) -> Self {
        Self(self.0 | 1 << cause as u16)
    }

    /// Whether the cause is in the set.
    #[must_use]
    pub const fn has(self, cause: Cause) -> bool {
        self.0 & (1 << cause as u16) != 0
    }
}
