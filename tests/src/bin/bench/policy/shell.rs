//! What a knocker without policies does: it starts a shell.
//!
//! Started as the standard library does, with `posix_spawn`, which is cheaper than `fork`, and awaited.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

#[derive(Clone, Copy)]
pub(super) enum Shell {
    /// The least that there is.
    Nothing,
    /// Office hours, as a shell knows them.
    Hours,
}

impl Shell {
    pub(super) const ALL: [Self; 2] = [Self::Nothing, Self::Hours];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Nothing => "`/bin/sh -c :`",
            Self::Hours => "`/bin/sh -c` with one external command, `date`, for the hour",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Nothing => ":",
            Self::Hours => r#"hour=$(date +%H); [ "${hour#0}" -lt 24 ]"#,
        }
    }

    /// From the decision to start it until its answer is there.
    pub(super) fn run(self) -> Result<Duration> {
        let begun = Instant::now();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", self.script()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = shell.status().context("cannot start /bin/sh")?;
        let took = begun.elapsed();
        ensure!(status.success(), "`/bin/sh -c '{}'` ended with {status}", self.script());
        Ok(took)
    }
}
