//! The real knockd, at the gate's outer link.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Lab;
use crate::counted::Counted;

/// A knock that it listens for. Its TCP steps are segments with the flag SYN.
pub struct Door {
    pub name: &'static str,
    /// As `knockd.conf` has it: `7000,8000:udp`.
    pub sequence: String,
    /// Seconds.
    pub seq_timeout: u32,
    /// What it runs, with `%IP%` for the knocker.
    pub command: String,
    /// What it runs for a knock over IPv6, if that is something else.
    pub command_6: Option<String>,
}

/// Writes `knockd.conf` into the lab's folder.
pub fn configure(lab: &Lab, doors: &[Door]) -> Result<PathBuf> {
    let (file, log_file) = (lab.path("knockd.conf"), lab.path("knockd.log"));
    let sections: String = doors.iter().map(section).collect();
    std::fs::write(&file, format!("[options]\n\tlogfile = {}\n{sections}", log_file.display()))?;
    Ok(file)
}

/// Starts it with more options and waits until it listens. Its folder and namespace are the lab's.
pub fn start(lab: &Lab, program: &Path, options: &[&str], doors: &[Door]) -> Result<Counted> {
    let (file, log_file) = (configure(lab, doors)?, lab.path("knockd.log"));
    let mut command = lab.gate.command(program);
    let mut daemon =
        Counted::start(command.args(options).args(["-i", "eth0", "-c"]).arg(&file), Some(log_file))?;
    daemon.wait_for("listening on eth0").context("knockd does not come up")?;
    Ok(daemon)
}

fn section(door: &Door) -> String {
    let Door { name, sequence, seq_timeout, command, command_6 } = door;
    let command_6 =
        command_6.as_ref().map_or_else(String::new, |command| format!("\tcommand_6 = {command}\n"));
    format!(
        "[{name}]\n\tsequence = {sequence}\n\tseq_timeout = {seq_timeout}\n\ttcpflags = syn\n\tcommand = {command}\n{command_6}"
    )
}
