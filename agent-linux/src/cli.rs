//! The command line of `knockgated`.
//!
//! Exit status: 0 done, 1 failed (the message says the remedy), 2 the command line itself was wrong.

mod audit;
mod client;
#[cfg(feature = "engine")]
mod gateway;
mod import;
mod report;
mod running;

use std::io::Write;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::audit::Audit;
use self::client::{Client, Door};
#[cfg(feature = "engine")]
use self::gateway::Gateway;
use self::import::Import;
use self::report::Report;
use self::running::Running;
use crate::admin;
use crate::admin::init::{self, NewGateway, NewService};
use crate::config::{self, DEFAULT_PATH};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the message says what to do
  2  wrong usage

`knockgated COMMAND --help` tells the options of a command. RUST_LOG=debug makes `run` tell every refusal.";

/// The Knockgate gate: guards services until somebody knocks properly.
#[derive(Parser)]
#[command(name = "knockgated", version, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Configuration file
    #[arg(long, value_name = "FILE", global = true, default_value = DEFAULT_PATH)]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Guard the configured services, in the foreground
    Run,
    /// Check configuration and state, and say what would be guarded
    Check,
    /// Make the configuration, the keys and the state of a new gate, or keys and state for a configuration
    Init(Init),
    /// Make a configuration of one for knockd or fwknop, and say what it does not carry over
    #[command(subcommand)]
    Import(Import),
    /// Enrol, change, show and remove clients
    #[command(subcommand)]
    Client(Client),
    /// Change and show the door key, which all clients have
    #[command(subcommand)]
    Door(Door),
    /// Make and show knock books
    #[command(subcommand)]
    Book(Book),
    /// Check the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Tell what happened at the gate in some days: figures, or a page with charts
    Report(Report),
    /// Repair the record of what has been used
    #[command(subcommand)]
    State(State),
    /// Make what a gateway needs: firmware in front of the machines to guard
    #[cfg(feature = "engine")]
    #[command(subcommand)]
    Gateway(Gateway),
    #[command(flatten)]
    Running(Running),
    /// Guard the configured services without an agent, for the start of the machine; nobody can knock until `run`
    ///
    /// With a configuration that is wrong or cannot be read it guards what the last agent guarded, says what is wrong, and fails.
    Guard,
    /// Remove Knockgate's own firewall table, so that nothing is guarded any more; a running agent stops
    Unguard,
    /// What `run` starts to change the firewall for it; of no use to anybody else
    #[command(hide = true)]
    Broker,
    /// What `run` becomes to lose its rights where it is not root; of no use to anybody else
    #[command(hide = true)]
    Worker,
}

#[derive(Args)]
struct Init {
    /// Host name or address that clients dial; left out, the configuration that is there already is used
    #[arg(long, value_name = "HOST", value_parser = |text: &str| config::value::address(text).map(|_| text.to_owned()))]
    address: Option<String>,
    /// What to guard: NAME=tcp/PORT or udp/PORT, several ports with commas [default: ssh=tcp/22]
    #[arg(long, value_name = "NAME=PROTOCOL/PORT", requires = "address")]
    service: Vec<NewService>,
    /// Also let clients ask over TCP, at port 62201, for networks that block UDP
    #[arg(long, requires = "address")]
    central: bool,
    /// Where keys and state will be [default: /var/lib/knockgate]
    #[arg(long, value_name = "DIR", requires = "address")]
    state_dir: Option<PathBuf>,
    /// Where the audit log will be [default: /var/log/knockgate/audit.jsonl]
    #[arg(long, value_name = "FILE", requires = "address")]
    audit_log: Option<PathBuf>,
    /// Make the configuration of a gateway with this address of its own; twice for IPv4 and IPv6
    #[arg(long, value_name = "IP/PREFIX", requires_all = ["address", "host"], conflicts_with = "audit_log")]
    gateway: Vec<String>,
    /// The gateway's router
    #[arg(long, value_name = "IP", requires = "gateway")]
    router: Vec<IpAddr>,
    /// A machine behind the gateway that offers the services
    #[arg(long, value_name = "IP", requires = "gateway")]
    host: Vec<IpAddr>,
    /// Also guard the port of the ssh session that this runs in
    #[arg(long)]
    yes: bool,
}

#[derive(Subcommand)]
enum Book {
    /// Make a book that several clients can share
    New {
        /// A file that does not exist yet
        file: PathBuf,
        /// Ports of one knock
        #[arg(long)]
        length: Option<u8>,
        /// Decoys of the gate; all its books have the same
        #[arg(long)]
        decoy_count: Option<u16>,
        /// Knocks in the book
        #[arg(long)]
        count: Option<u32>,
    },
    /// Print a book as a table. It is as secret as the book itself
    Show {
        /// A book's file, or the name of a client
        #[arg(value_name = "FILE|CLIENT")]
        book: PathBuf,
        /// Only the numbers from A up to, without, B
        #[arg(long, value_name = "A..B", value_parser = numbers)]
        numbers: Option<Range<u32>>,
    },
}

#[derive(Subcommand)]
enum State {
    /// Replace a lost or damaged record by one that accepts nothing from before: every book is used up then
    Rebuild {
        /// Do it; without this, only say what would happen
        #[arg(long)]
        yes: bool,
    },
}

/// Every command and option, for man pages and completions.
pub fn command_line() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let Cli { command, config } = Cli::parse();
    match dispatch(command, config) {
        Ok(report) => print(&report),
        Err(error) => {
            for line in format!("{error:#}").lines() {
                eprintln!("knockgated: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// A reader that has closed the pipe has read enough.
fn print(report: &str) -> ExitCode {
    match std::io::stdout().write_all(report.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("knockgated: cannot print: {error}");
            ExitCode::FAILURE
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn dispatch(command: Command, config: PathBuf) -> anyhow::Result<String> {
    match command {
        Command::Run => crate::run::run(&config).map(|()| String::new()),
        Command::Check => admin::check::run(&config),
        Command::Init(init) => make_gate(config, init),
        Command::Import(import) => import.run(),
        Command::Client(client) => client.run(&config),
        Command::Door(door) => door.run(&config),
        Command::Book(Book::New { file, length, decoy_count, count }) => {
            admin::book::new(&config, &file, &admin::book::Figures { length, decoy_count, count })
        }
        Command::Book(Book::Show { book, numbers }) => admin::book::show(&config, &book, numbers),
        Command::Audit(audit) => audit.run(&config),
        Command::Report(report) => report.run(&config),
        Command::State(State::Rebuild { yes: true }) => admin::state::rebuild(&config),
        Command::State(State::Rebuild { yes: false }) => admin::state::explain_rebuild(&config),
        #[cfg(feature = "engine")]
        Command::Gateway(gateway) => gateway.run(&config),
        Command::Running(running) => running.run(&config),
        Command::Guard => admin::guard::run(&config),
        Command::Unguard => admin::unguard::run(),
        Command::Broker => crate::run::broker().map(|()| String::new()),
        Command::Worker => crate::run::worker(&config).map(|()| String::new()),
    }
}

fn make_gate(config: PathBuf, arguments: Init) -> anyhow::Result<String> {
    let Init { address, service, central, state_dir, audit_log, gateway, router, host, yes } = arguments;
    let consent = init::consent(yes);
    let Some(address) = address else { return init::complete(&config, consent) };
    let request = init::Request {
        config,
        address,
        services: if service.is_empty() { vec![NewService::ssh()] } else { service },
        central: init::central_port(central),
        state_dir: state_dir.unwrap_or_else(|| init::STATE_DIR.into()),
        audit_log: audit_log.unwrap_or_else(|| init::AUDIT_LOG.into()),
        worker: init::workers_user(),
        gateway: (!gateway.is_empty()).then_some(NewGateway { own: gateway, routers: router, hosts: host }),
    };
    init::run(&request, consent)
}

fn numbers(text: &str) -> Result<Range<u32>, String> {
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range
        .filter(|range: &Range<u32>| !range.is_empty())
        .ok_or_else(|| "write A..B with A below B: 0..10 shows the first ten".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_are_a_range_that_is_not_empty() {
        #[rustfmt::skip]
        let cases = [
            (1, "0..10", Some(0..10)), (2, "7..8", Some(7..8)), (3, "7..7", None), (4, "8..7", None), (5, "7", None),
            (6, "..7", None), (7, "7..", None), (8, "0..=7", None), (9, "-1..7", None), (10, "0..4294967296", None),
        ];
        for (case, text, expected) in cases {
            assert_eq!(numbers(text).ok(), expected, "case {case}");
        }
    }
}
