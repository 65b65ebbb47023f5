//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use knockgate_core::Name;

use crate::settings::{Choices, Family, Host, MAX_PATIENCE, max_seconds};

const EXIT_CODES: &str = "\
Exit codes:
  0  the service is open; or the command did what it should
  1  a failure on this machine: profile, file, argument that does not fit the profile
  2  wrong usage
  3  no answer from the gate, or none that this version understands
  4  refused: by the gate, or by this client because the gate offered a number that was used before
  5  locked out for a while
  6  busy: somebody else kept the book, or the gate was overloaded, until the time was up
  7  the knock book is used up
  8  knocked, but the gate did not confirm an open service

Files, in $KNOCKGATE_HOME or else in the user's configuration directory under \"knockgate\"
(Linux ~/.config, macOS ~/Library/Application Support, Windows %APPDATA%):
  config             defaults and settings by profile, written like ssh_config; holds no secret
  profiles/NAME.kgp  the profile; holds secret keys, mode 0600
  state/NAME.json    the last counter and the highest number that was used of every book
  log.jsonl          every attempt, one JSON object per line; log.1.jsonl holds the ones before";

/// Knock at a gate, so that a service opens for this address and for nobody else.
#[derive(Debug, Parser)]
#[command(name = "knockgate", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say nothing about progress and waiting; warnings and errors still appear
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a profile file and store it in this client's directory
    Import(Import),
    /// Knock, and wait until the gate says that the service is open
    #[command(after_help = EXIT_CODES)]
    Knock(Knock),
    /// Ask the gate what is open and what became of the last knock
    Status(Status),
    /// Show this client's own log of every attempt, the newest last
    Log(Log),
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file that `knockgated client add` wrote; only its owner may have access to it (chmod 600)
    pub(crate) file: PathBuf,
    /// Name to store it under [default: the file's name without its ending]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) name: Option<Name>,
    /// Replace a profile that is there already
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Knock {
    /// Which profile [default: DefaultProfile in the settings file]
    pub(crate) profile: Option<Name>,
    /// Which service [default: Service in the settings file, or the first one of the profile]
    pub(crate) service: Option<Name>,
    /// Keep the service open for this many seconds [default: as the gate is configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(max_seconds())))]
    pub(crate) seconds: Option<u32>,
    #[command(flatten)]
    pub(crate) gate: GateOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Which profile [default: DefaultProfile in the settings file]
    pub(crate) profile: Option<Name>,
    #[command(flatten)]
    pub(crate) gate: GateOptions,
}

/// How to reach the gate and how to tell the result.
#[derive(Debug, Args)]
pub(crate) struct GateOptions {
    /// Print one JSON object on stdout, for success and failure alike
    #[arg(long)]
    json: bool,
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Give up after this many seconds, waiting for a busy gate included [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PATIENCE)))]
    timeout: Option<u32>,
    /// Where the gate is, instead of what the profile says
    #[arg(long, value_name = "HOST")]
    address: Option<Host>,
}

impl GateOptions {
    /// How the result is told.
    pub(crate) fn form(&self) -> Form {
        Form::of_json(self.json)
    }

    /// What the command line chose; the settings file fills in the rest.
    pub(crate) fn choices(&self) -> Choices {
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::Ipv4),
            (false, true) => Some(Family::Ipv6),
            (false, false) => None,
        };
        Choices { family, timeout: self.timeout, address: self.address.clone(), ..Choices::default() }
    }
}

impl Knock {
    pub(crate) fn choices(&self) -> Choices {
        Choices { service: self.service.clone(), seconds: self.seconds, ..self.gate.choices() }
    }
}

/// How a result is told on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

impl Form {
    pub(crate) fn of_json(flag: bool) -> Self {
        if flag { Self::Json } else { Self::Text }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// Attempts with this profile only
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<Name>,
    /// One JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_exit_code_is_documented() {
        for code in 0..=8 {
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")), "{code}");
        }
    }
}
