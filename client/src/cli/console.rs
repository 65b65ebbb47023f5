//! What can be asked of a gateway's console.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;
use knockgate_core::Name;

use super::{Form, GateOptions, Log, PlaceOptions, from_here};
use crate::code::Codes;
use crate::console::log::{Until, Wanted};
use crate::console::{Asked, ConsoleCall};
use crate::manage::completions;
use crate::settings::Choices;

pub(super) const HELP: &str = "\
Knocks for the console's service first, so the profile needs that service. For the gateway's audit log see
`knockgate log --remote`. Exits as knock does; 4 also if the gateway refuses what it was asked for.

  knockgate console status lab
  knockgate console update lab lab.kgi";

#[derive(Debug, Args)]
pub(crate) struct Console {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How the gateway is: since when it is up, with which site image, what is open
    Status(ConsoleOptions),
    /// Give it the time of this machine, if it has no calendar of its own
    Time(ConsoleOptions),
    /// Give it a new site image, which it checks and then starts with
    Update(Update),
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    options: ConsoleOptions,
    /// The image that `knockgated gateway image` wrote; only its owner may have access to it (chmod 600)
    file: PathBuf,
}

#[derive(Debug, Args)]
struct ConsoleOptions {
    /// Which profile
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    profile: Name,
    #[command(flatten)]
    knock: ConsoleKnock,
    #[command(flatten)]
    gate: GateOptions,
}

/// How the console's service is opened.
#[derive(Debug, Args)]
pub(crate) struct ConsoleKnock {
    /// The service that stands for the gateway's console [default: console]
    #[arg(long, value_name = "NAME")]
    service: Option<Name>,
    /// Send a code of the second factor: read from stdin, or asked for if that is a terminal
    /// [default: asked for if the gate wants one]
    #[arg(long)]
    code: bool,
}

impl Console {
    pub(crate) fn call(&self) -> ConsoleCall {
        match &self.what {
            What::Status(options) => options.call(Asked::Status),
            What::Time(options) => options.call(Asked::Time),
            What::Update(update) => update.options.call(Asked::Update(from_here(&update.file))),
        }
    }
}

impl ConsoleOptions {
    fn call(&self, asked: Asked) -> ConsoleCall {
        let choices = self.knock.choices(self.gate.choices());
        let (codes, form) = (self.knock.codes(), self.gate.form());
        ConsoleCall { profile: self.profile.clone(), choices, codes, asked, form }
    }
}

impl ConsoleKnock {
    fn choices(&self, choices: Choices) -> Choices {
        Choices { service: self.service.clone(), ..choices }
    }

    fn codes(&self) -> Codes {
        Codes::of_flag(self.code)
    }
}

/// The log of a gateway instead of this client's own.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// Print the audit log of this profile's gateway instead, one JSON object per line
    #[arg(long, value_name = "PROFILE", conflicts_with = "profile", add = ArgValueCandidates::new(completions::profiles))]
    remote: Option<Name>,
    /// Only records above this number
    #[arg(long, value_name = "N", requires = "remote")]
    after: Option<u64>,
    /// Go on with new records until interrupted
    #[arg(long, requires = "remote")]
    follow: bool,
    #[command(flatten)]
    knock: ConsoleKnock,
    #[command(flatten)]
    place: PlaceOptions,
}

impl Log {
    /// What is asked of a gateway, if one is named.
    pub(crate) fn call(&self) -> Option<ConsoleCall> {
        let Remote { remote, after, follow, knock, place } = &self.remote;
        let until = if *follow { Until::Stopped } else { Until::Now };
        let asked = Asked::Log(Wanted { after: after.unwrap_or(0), until });
        let (choices, codes) = (knock.choices(place.choices()), knock.codes());
        let form = Form::Text;
        remote.clone().map(|profile| ConsoleCall { profile, choices, codes, asked, form })
    }
}
