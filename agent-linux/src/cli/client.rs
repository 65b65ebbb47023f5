//! `knockgated client` and `knockgated door` on the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use knockgate_core::key::PublicKey;
use knockgate_core::text_form;

use crate::admin::client::{self, Confirmation, Delivery, End, NewClient, SecondFactor, Show};
use crate::admin::door;
use crate::admin::moment::{When, moment, span};
use crate::state::Handover;

/// How long a client's key before stays good: a week in which to import the new profile.
const KEY_GRACE: Duration = Duration::from_secs(7 * 86_400);
/// How long a door key before stays good: a month in which to knock once.
const DOOR_GRACE: Duration = Duration::from_secs(30 * 86_400);

#[derive(Subcommand)]
pub(super) enum Client {
    /// Enrol a client and write its profile
    Add(Add),
    /// Show the clients and how much of their books is left
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Give a client a new key, in a new profile; the one before stays good for a while
    Rotate {
        /// As `client list` shows it
        name: String,
        #[command(flatten)]
        handover: Until,
        #[command(flatten)]
        key: Key,
        #[command(flatten)]
        output: Output,
    },
    /// Set when an enrolment ends
    Expire {
        /// As `client list` shows it
        name: String,
        #[command(flatten)]
        end: Ending,
    },
    /// Let a client confirm every knock from its address, or only where the service wants it
    Confirm {
        /// As `client list` shows it
        name: String,
        confirm: Switch,
    },
    /// Give a client a second factor and show it for an authenticator app; one that is there is replaced
    Totp {
        /// As `client list` shows it
        name: String,
        /// Take it away instead
        #[arg(long)]
        remove: bool,
    },
    /// Remove a client; its profile is worthless from then on
    Remove {
        /// As `client list` shows it
        name: String,
    },
}

#[derive(Args)]
pub(super) struct Add {
    /// What the client is called here: letters, digits and . _ -
    name: String,
    /// A service that it may ask for; all of them unless given
    #[arg(long, value_name = "SERVICE")]
    service: Vec<String>,
    /// A book that several clients share; a book of its own unless given
    #[arg(long, value_name = "FILE")]
    book: Option<PathBuf>,
    #[command(flatten)]
    key: Key,
    /// Let it confirm every knock from its address
    #[arg(long)]
    confirm: bool,
    /// The last day of the enrolment (2027-01-31), a time (2027-01-31T18:00:00Z), or how long it lasts (30d)
    #[arg(long, value_name = "WHEN")]
    expires: Option<When>,
    /// Give it a second factor and show that for an authenticator app
    #[arg(long)]
    totp: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
pub(super) struct Key {
    /// The public key of a client that has made its own: what `knockgate keygen` prints. The profile holds no secret key then
    #[arg(long, value_name = "KGPUB", value_parser = text_form::parse_public_key)]
    key: Option<PublicKey>,
}

#[derive(Args)]
pub(super) struct Output {
    /// Where to write the profile [default: NAME.kgp, or no file with --qr]
    #[arg(long, value_name = "FILE.kgp")]
    out: Option<PathBuf>,
    /// Show the profile as a QR code and as a line of text
    #[arg(long)]
    qr: bool,
}

#[derive(Args)]
pub(super) struct Until {
    /// How long the key before stays good [default: 7d for a client, 30d for the door]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    grace: Option<Duration>,
    /// The key before is worthless at once
    #[arg(long, conflicts_with = "grace")]
    now: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Ending {
    /// The last day (2027-01-31), or a time (2027-01-31T18:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    at: Option<knockgate_core::UnixTime>,
    /// How long from now on: 30d
    #[arg(long = "in", value_name = "SPAN", value_parser = span)]
    after: Option<Duration>,
    /// It does not end
    #[arg(long)]
    never: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

#[derive(Subcommand)]
pub(super) enum Door {
    /// Make a new door key; clients learn it with their next answer
    Rotate {
        #[command(flatten)]
        handover: Until,
    },
    /// Show when the door key was made and how long the one before is good
    Show,
}

impl Client {
    pub(super) fn run(self, config: &Path) -> anyhow::Result<String> {
        match self {
            Self::Add(add) => {
                let (new, delivery) = add.split();
                client::add(config, new, delivery)
            }
            Self::List { json: false } => client::table(config),
            Self::List { json: true } => client::json(config),
            Self::Rotate { name, handover, key, output } => {
                client::rotate(config, &name, handover.or(KEY_GRACE), key.key, output.delivery())
            }
            Self::Expire { name, end } => client::expire(config, &name, end.end()),
            Self::Confirm { name, confirm: Switch::On } => {
                client::confirm(config, &name, Confirmation::Wanted)
            }
            Self::Confirm { name, confirm: Switch::Off } => {
                client::confirm(config, &name, Confirmation::AsTheService)
            }
            Self::Totp { name, remove: false } => client::second_factor(config, &name, SecondFactor::Wanted),
            Self::Totp { name, remove: true } => client::second_factor(config, &name, SecondFactor::Removed),
            Self::Remove { name } => client::remove(config, &name),
        }
    }
}

impl Door {
    pub(super) fn run(self, config: &Path) -> anyhow::Result<String> {
        match self {
            Self::Rotate { handover } => door::rotate(config, handover.or(DOOR_GRACE)),
            Self::Show => door::show(config),
        }
    }
}

impl Add {
    fn split(self) -> (NewClient, Delivery) {
        let Self { name, service, book, key, confirm, expires, totp, output } = self;
        let confirm = if confirm { Confirmation::Wanted } else { Confirmation::AsTheService };
        let second_factor = if totp { SecondFactor::Wanted } else { SecondFactor::Removed };
        let new = NewClient { name, services: service, book, key: key.key, confirm, expires, second_factor };
        (new, output.delivery())
    }
}

impl Output {
    fn delivery(self) -> Delivery {
        Delivery { out: self.out, show: if self.qr { Show::Yes } else { Show::No } }
    }
}

impl Until {
    fn or(self, grace: Duration) -> Handover {
        if self.now { Handover::AtOnce } else { Handover::Grace(self.grace.unwrap_or(grace)) }
    }
}

impl Ending {
    /// One of the three is given.
    fn end(self) -> End {
        let at = self.at.map(When::At);
        at.or(self.after.map(When::In)).map_or(End::Never, End::On)
    }
}
