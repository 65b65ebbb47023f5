//! The command line.

mod choices;
mod console;

use std::ffi::OsString;
use std::path::{self, Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::engine::ArgValueCandidates;
use knockgate_core::Name;

use crate::manage::completions::{self, Shell};
use crate::settings::{Host, MAX_PATIENCE, Via, max_seconds};

use console::{Console, Remote};

const EXIT_CODES: &str = "\
Exit codes:
  0  the service is open; or the command did what it should. run exits with its command's code
  1  a failure on this machine: profile, file, argument that does not fit the profile; or doctor found a problem
  2  wrong usage
  3  no answer from the gate, or none that this version understands
  4  refused: by the gate, also where it wants a code or the code is wrong; or by this client because the gate offered
     a number that was used before
  5  locked out for a while
  6  busy: somebody else kept the book, or the gate was overloaded, until the time was up
  7  the knock book is used up
  8  knocked, but the gate did not confirm an open service, or the service did not answer (--wait, proxy)

Files, in $KNOCKGATE_HOME or else in the user's configuration directory under \"knockgate\"
(Linux ~/.config, macOS ~/Library/Application Support, Windows %APPDATA%):
  config             defaults and settings by profile, written like ssh_config; holds no secret
  profiles/NAME.kgp  the profile; holds secret keys, mode 0600; locked if it has a passphrase
  keys/NAME.key      a secret key made by keygen that waits for its profile, mode 0600
  state/NAME.json    the last counter and the highest number that was used of every book
  log.jsonl          every attempt, one JSON object per line; log.1.jsonl holds the ones before";

const RUN_HELP: &str = "\
The command finds in its environment KNOCKGATE_PROFILE, KNOCKGATE_SERVICE, KNOCKGATE_HOST, KNOCKGATE_ADDRESS,
KNOCKGATE_PORT and KNOCKGATE_PROTOCOL. The service is renewed in time, and closed when the command ends; SIGINT, SIGTERM
and SIGHUP are passed on. Exits with the command's code, with 126 or 127 if it cannot be run, or as knock does.

  knockgate run home ssh -- sh -c 'ssh \"$KNOCKGATE_HOST\"'";

const PROXY_HELP: &str = "\
In ~/.ssh/config:

  Host gate.example
      ProxyCommand knockgate proxy home %h %p

Without SERVICE it is the one of the profile at that port. Says nothing unless it fails; exits as knock does.";

const LOG_HELP: &str = "\
With --remote, the console's service of that gateway is knocked for first. The gateway numbers its records from 1 on, anew after
each start, and keeps the newest; how many were lost is told on stderr.

  knockgate log --remote lab --follow";

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
    /// Make a key on this machine and print its public half, for the gate's administrator
    Keygen(Keygen),
    /// Check a profile and store it in this client's directory
    #[command(visible_alias = "import")]
    Enroll(Enroll),
    /// List the stored profiles
    Profiles(Profiles),
    /// Set, change or remove the passphrase of a profile
    Passphrase(Passphrase),
    /// Show a profile as a QR code, to move it to another machine; it is secret
    Qr(Qr),
    /// Knock, and wait until the gate says that the service is open; where the gate has addresses of both families, to both
    #[command(after_help = EXIT_CODES)]
    Knock(Knock),
    /// Ask the gate what is open and what became of the last knock
    Status(Status),
    /// Let what is open to this client stay open
    Renew(Renew),
    /// Close what is open to this client
    Close(Close),
    /// Keep a service open while a command runs
    #[command(after_help = RUN_HELP)]
    Run(Run),
    /// Knock and connect stdin and stdout with the service, for ssh's ProxyCommand
    #[command(after_help = PROXY_HELP, override_usage = "knockgate proxy [OPTIONS] <PROFILE> [SERVICE] <HOST> <PORT>")]
    Proxy(Proxy),
    /// Look for what may keep a knock from working; opens nothing
    Doctor(Doctor),
    /// Show this client's own log of every attempt, the newest last; or a gateway's
    #[command(after_help = LOG_HELP)]
    Log(Log),
    /// Speak with a gateway's console: how it is, its time, its site image
    #[command(after_help = console::HELP)]
    Console(Console),
    /// Print the completion script of a shell, for example: source <(knockgate completions bash)
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Name of the profile that the key is for
    pub(crate) name: Name,
    /// Replace a key that is there already
    #[arg(long)]
    force: bool,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Enroll {
    /// The file that `knockgated client add` wrote; only its owner may have access to it (chmod 600).
    /// "-" reads the profile, or its text, from stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Name to store it under [default: the file's name without its ending]
    #[arg(long, value_name = "PROFILE")]
    name: Option<Name>,
    /// The key that `knockgate keygen` made for this profile [default: the key of the same name]
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<Name>,
    /// Replace a profile that is there already
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    unlock: Unlock,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Profiles {
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Passphrase {
    /// Which profile
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    pub(crate) profile: Name,
    /// Remove the passphrase
    #[arg(long, conflicts_with = "new_passphrase_file")]
    remove: bool,
    #[command(flatten)]
    unlock: Unlock,
    /// Read the new passphrase from the first line of this file, or of a pipe (/dev/fd/N)
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Qr {
    /// Which profile
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    pub(crate) profile: Name,
    /// Write a picture to this file instead, for its owner alone
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the text that the code carries, for `knockgate enroll -`
    #[arg(long, conflicts_with = "svg")]
    text: bool,
    /// Print it although stdout is not a terminal
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    pub(crate) shell: Shell,
}

/// How a locked profile is unlocked.
#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// Read the passphrase of a locked profile from the first line of this file, or of a pipe (/dev/fd/N)
    /// [default: the program $KNOCKGATE_ASKPASS is asked, or the terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Knock {
    /// Which profile [default: DefaultProfile in the settings file]
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    pub(crate) profile: Option<Name>,
    /// Which service [default: Service in the settings file, or the first one of the profile]
    pub(crate) service: Option<Name>,
    #[command(flatten)]
    pub(crate) wish: WishOptions,
    /// Wait until the service accepts a connection, for at most so long [default: 10]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "10",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PATIENCE)))]
    wait: Option<u32>,
    #[command(flatten)]
    pub(crate) gate: GateOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Which profile
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    pub(crate) profile: Name,
    /// Which service
    pub(crate) service: Name,
    #[command(flatten)]
    pub(crate) wish: WishOptions,
    /// Start the command once the service accepts a connection, after at most so long [default: 10]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "10",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PATIENCE)))]
    wait: Option<u32>,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// Which profile
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    pub(crate) profile: Name,
    /// Where to connect to: ssh's %h and %p; before them the service, if it is not the profile's one at that port
    #[arg(value_names = ["HOST", "PORT"], num_args = 2..=3, required = true)]
    to: Vec<String>,
    /// Keep the service open for this many seconds [default: as the gate is configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(max_seconds())))]
    seconds: Option<u32>,
    /// Open it to this client's whole network, as far as the gate allows
    #[arg(long)]
    prefix: bool,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Which profile [default: DefaultProfile in the settings file]
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    pub(crate) profile: Option<Name>,
    /// Which service [default: as for knock]
    pub(crate) service: Option<Name>,
    #[command(flatten)]
    pub(crate) gate: GateOptions,
}

/// What shall be opened.
#[derive(Debug, Args)]
pub(crate) struct WishOptions {
    /// Keep the service open for this many seconds [default: as the gate is configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(max_seconds())))]
    pub(crate) seconds: Option<u32>,
    /// Open it to this client's whole network, as far as the gate allows
    #[arg(long)]
    prefix: bool,
    /// Send a code of the second factor: read from stdin, or asked for if that is a terminal
    /// [default: asked for if the gate wants one]
    #[arg(long)]
    code: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// Which profile [default: DefaultProfile in the settings file]
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    pub(crate) profile: Option<Name>,
    /// Which service [default: as for knock]
    pub(crate) service: Option<Name>,
    /// Which grant, by its number in the answer to status
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    grant: Option<u32>,
    /// Keep the service open for this many seconds from now on [default: as the gate is configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(max_seconds())))]
    seconds: Option<u32>,
    /// Send a code of the second factor: read from stdin, or asked for if that is a terminal
    #[arg(long)]
    code: bool,
    #[command(flatten)]
    pub(crate) gate: GateOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Close {
    /// Which profile [default: DefaultProfile in the settings file]
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
    pub(crate) profile: Option<Name>,
    /// Which service [default: everything that is open to this client at this address]
    pub(crate) service: Option<Name>,
    /// Which grant, by its number in the answer to status; it may be that of another address
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    grant: Option<u32>,
    #[command(flatten)]
    pub(crate) gate: GateOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Which profile [default: DefaultProfile in the settings file]
    #[arg(add = ArgValueCandidates::new(completions::profiles))]
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
    #[command(flatten)]
    place: PlaceOptions,
}

/// How to reach the gate.
#[derive(Debug, Args)]
pub(crate) struct PlaceOptions {
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
    /// How to ask and knock [default: auto]
    #[arg(long, value_name = "WAY")]
    via: Option<Via>,
    /// UDP port of the packet knock, instead of what the profile says
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    #[command(flatten)]
    unlock: Unlock,
}

/// A path on the command line begins at the working directory, one in the settings file at the client's directory.
fn from_here(file: &Path) -> PathBuf {
    path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// How a profile is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    Code,
    Text,
    /// In this file.
    Picture(PathBuf),
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
    json: bool,
    #[command(flatten, next_help_heading = "With --remote")]
    remote: Remote,
}

impl Log {
    pub(crate) fn form(&self) -> Form {
        Form::of_json(self.json)
    }
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
