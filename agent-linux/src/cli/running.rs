//! The commands that speak with a running agent.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::admin::running::{Form, Which};
use crate::admin::{grants, lockouts, moment, people, reload, status, top, why};

const KEYS: &str = "\
Keys:
  q, Esc, Ctrl-C               quit
  Up, Down, j, k               scroll grants and lockouts
  Page up, Page down, Space    the same by a page
  Home                         back to the first row";

#[derive(Subcommand)]
pub(super) enum Running {
    /// Tell how a running agent is
    Status {
        #[command(flatten)]
        output: Output,
    },
    /// Show how a running agent is, on the whole terminal, anew every second
    #[command(after_help = KEYS)]
    Top,
    /// List what is open; without an agent, what the kernel has open
    Grants {
        #[command(flatten)]
        output: Output,
    },
    /// Close what is open, at once
    Revoke {
        /// A grant's number, an address, a prefix, or a client's name
        #[arg(value_name = "ID|CLIENT|ADDRESS", required_unless_present = "all")]
        what: Option<String>,
        /// Everything that is open
        #[arg(long, conflicts_with = "what")]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// List who is locked out
    Lockouts {
        #[command(flatten)]
        output: Output,
    },
    /// Let somebody in again who is locked out, and forget the failed attempts
    Unlock {
        /// A client's name, an address or a prefix
        #[arg(value_name = "CLIENT|ADDRESS", required_unless_present = "all")]
        whom: Option<String>,
        /// Everybody
        #[arg(long, conflicts_with = "whom")]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// List the clients with their last knock, failed attempts and open grants
    Clients {
        #[command(flatten)]
        output: Output,
    },
    /// Open a service to an address for a while, without a knock and without a policy
    Rescue {
        /// Name of the service
        service: String,
        /// Whom it is opened to
        address: IpAddr,
        /// How long; never longer than the service's `max-open`
        #[arg(long = "for", value_name = "SPAN", default_value = "10m", value_parser = moment::span)]
        lasts: Duration,
        #[command(flatten)]
        output: Output,
    },
    /// Tell step by step what has become of somebody's last knocks, and what to do about it
    Why {
        /// An address, or a client's or a static sequence's name
        #[arg(value_name = "ADDRESS|CLIENT")]
        whom: String,
        #[command(flatten)]
        output: Output,
    },
    /// Have a running agent read its configuration again: it goes over to it whole, or not at all
    Reload {
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(super) struct Output {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Running {
    pub(super) fn run(self, config: &Path) -> anyhow::Result<String> {
        match self {
            Self::Status { output } => status::run(config, output.form()),
            Self::Top => top::run(config),
            Self::Grants { output } => grants::list(config, output.form()),
            Self::Revoke { what, output, .. } => grants::revoke(config, Which::of(what), output.form()),
            Self::Lockouts { output } => lockouts::list(config, output.form()),
            Self::Unlock { whom, output, .. } => lockouts::unlock(config, Which::of(whom), output.form()),
            Self::Clients { output } => people::list(config, output.form()),
            Self::Rescue { service, address, lasts, output } => {
                grants::rescue(config, service, address, lasts, output.form())
            }
            Self::Why { whom, output } => why::run(config, whom, output.form()),
            Self::Reload { output } => reload::run(config, output.form()),
        }
    }
}

impl Output {
    fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }
}
