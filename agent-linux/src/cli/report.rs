//! `knockgated report`.

use std::path::{Path, PathBuf};

use clap::Args;
use knockgate_core::UnixTime;

use crate::admin::moment;
use crate::admin::report::{self, Wanted};

#[derive(Args)]
pub(super) struct Report {
    /// From when on: a span such as 7d, a day such as 2026-11-01, or a time with its zone
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = moment::since)]
    since: UnixTime,
    /// Until when; a day is included [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment::moment)]
    until: Option<UnixTime>,
    /// Write a page with charts instead of printing the figures; it needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Report {
    pub(super) fn run(self, config: &Path) -> anyhow::Result<String> {
        let Self { since, until, html } = self;
        report::run(config, Wanted { since, until, html })
    }
}
