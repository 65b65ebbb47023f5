//! `knockgated import` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::admin::import::{Imported, Request, fwknop, knockd};
use crate::admin::init::workers_user;
use crate::config;

#[derive(Subcommand)]
pub(super) enum Import {
    /// Make a configuration of knockd's: its sequences and what they open
    Knockd {
        /// Usually /etc/knockd.conf
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Make a configuration of fwknop's: what its stanzas open, and whom to enrol. Its keys cannot be carried over
    Fwknop {
        /// Usually /etc/fwknop/access.conf
        #[arg(value_name = "ACCESS.CONF")]
        file: PathBuf,
        /// The daemon's own configuration, for ports, interface and the age of packets
        #[arg(long, value_name = "FILE")]
        fwknopd_conf: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(super) struct Output {
    /// Make this file instead of showing the configuration; one that exists is left alone
    #[arg(long, value_name = "FILE.toml")]
    write: Option<PathBuf>,
    /// Host name or address that clients dial [default: the name of this host]
    #[arg(long, value_name = "HOST", value_parser = |text: &str| config::value::address(text).map(|_| text.to_owned()))]
    address: Option<String>,
}

impl Import {
    /// The configuration is for standard output, so that it can be redirected; then the report goes to standard error.
    pub(super) fn run(self) -> anyhow::Result<String> {
        let Imported { configuration, report } = match self {
            Self::Knockd { file, output } => knockd::run(&file, &output.into())?,
            Self::Fwknop { file, fwknopd_conf, output } => {
                fwknop::run(&file, fwknopd_conf.as_deref(), &output.into())?
            }
        };
        let Some(configuration) = configuration else { return Ok(report) };
        eprint!("{report}");
        Ok(configuration)
    }
}

impl From<Output> for Request {
    fn from(Output { write, address }: Output) -> Self {
        Request { address, write, worker: workers_user() }
    }
}
