//! `knockgated audit`.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::admin::audit::{self, Checked, Form, Request};
use crate::audit::Link;

#[derive(Subcommand)]
pub(super) enum Audit {
    /// Follow the chain through all files of the audit log, and say where it is broken first
    Verify {
        /// Files in the order of their records [default: all files of the configured log]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// A value that was noted elsewhere, as the agent's own log has it: it must be in the chain
        #[arg(long, value_name = "VALUE")]
        expect: Option<Link>,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Audit {
    pub(super) fn run(self, config: &Path) -> anyhow::Result<String> {
        let Self::Verify { files, expect, json } = self;
        let form = if json { Form::Programs } else { Form::People };
        let Checked { text, verdict } = audit::run(config, Request { files, expect, form })?;
        if verdict.is_err() {
            super::print(&text);
        }
        verdict.map(|()| text)
    }
}
