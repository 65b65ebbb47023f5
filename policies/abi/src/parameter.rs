//! What kind of value a policy's parameter takes.

macro_rules! kinds {
    ($($variant:ident = $name:literal, $meaning:literal;)*) => {
        /// What a parameter takes in the configuration, and what the policy is answered for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ParameterKind {
            $(#[doc = $meaning] $variant,)*
        }

        impl ParameterKind {
            /// Every kind.
            pub const ALL: &[ParameterKind] = &[$(ParameterKind::$variant),*];

            /// The name in a manifest.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(ParameterKind::$variant => $name,)*
                }
            }

            /// What it takes and what is answered, for the guide.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(ParameterKind::$variant => $meaning,)*
                }
            }
        }
    };
}

kinds! {
    Number = "number", "One number: one value.";
    Numbers = "numbers", "Numbers: one value each.";
    Seconds = "seconds", "A time such as `90`, `90s`, `5m`, `8h` or `7d`: one value, in seconds.";
    Minute = "minute", "A time of day from `00:00` to `24:00`: one value, the minute of the day.";
    Days = "days", "Days such as `mon-fri sun`: one value each, 1 Monday to 7 Sunday.";
    Networks = "networks", "Networks such as `192.0.2.0/24 2001:db8::/32`: three values each, address-high, address-low and bits of 128.";
}

impl ParameterKind {
    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}
