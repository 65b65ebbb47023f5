//! A gateway in a lab: the firmware in QEMU, in the box between the router and the guarded host.
//!
//! What it says on its serial port is its log here. Killing QEMU is the power cut; the flash is a file, so what was written
//! before is there at the next start. Nothing else of a gateway lasts.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::network::{INNER, OUTER};
use crate::programs::{self, Log, Running};
use crate::{Lab, waiting};

const QEMU: &str = "qemu-system-riscv32";
/// By these the firmware knows its ports.
const OUTER_HARDWARE: &str = "52:4b:47:00:00:01";
const INNER_HARDWARE: &str = "52:4b:47:00:00:02";

/// From power to "gate up", on a machine that emulates several of them.
const START: Duration = Duration::from_secs(60);
/// What the firmware says once it hears knocks.
pub const UP: &str = "gate up";

/// A gateway with its flash.
pub struct Gateway<'lab> {
    lab: &'lab Lab,
    flash: PathBuf,
    log: Log,
    more: Vec<String>,
    running: Option<Running>,
}

impl<'lab> Gateway<'lab> {
    /// Not started yet. The file is changed by it.
    pub fn with_flash(lab: &'lab Lab, flash: &Path) -> Self {
        let log = lab.log("gateway");
        Self { lab, flash: flash.to_path_buf(), log, more: Vec::new(), running: None }
    }

    /// From its next start on QEMU gets these options, too.
    pub fn set_options(&mut self, options: &[&str]) {
        self.more = options.iter().map(|&option| option.to_owned()).collect();
    }

    /// Switches it on and waits until the gate is up.
    pub fn start(&mut self) -> Result<()> {
        self.start_until(UP)
    }

    /// Switches it on and waits until it says something.
    pub fn start_until(&mut self, words: &str) -> Result<()> {
        let seen = self.said().len();
        self.switch_on()?;
        self.wait_for(words, seen)
    }

    /// Switches it on and does not wait.
    pub fn switch_on(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "the gateway is on already");
        // Left over from before a power cut.
        let _ = std::fs::remove_file(self.monitor());
        self.running = Some(Running::start_with_keyboard(&mut self.command()?, &self.log)?);
        Ok(())
    }

    /// Power cut: it stops wherever it is.
    pub fn cut_power(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { bail!("the gateway is off") };
        running.kill()
    }

    /// Presses the reset button and waits until the gate is up again.
    pub fn reset(&mut self) -> Result<()> {
        let seen = self.said().len();
        let monitor = self.monitor();
        let mut button = UnixStream::connect(&monitor)
            .with_context(|| format!("no monitor of QEMU at {}", monitor.display()))?;
        button.write_all(b"system_reset\n")?;
        self.wait_for(UP, seen)
    }

    /// Waits until it says something after the first `from` bytes of its log.
    pub fn wait_for(&mut self, words: &str, from: usize) -> Result<()> {
        let Some(running) = &mut self.running else { bail!("the gateway is off") };
        running.wait_for_text(words, from, START)
    }

    pub fn is_on(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_alive)
    }

    /// The number of QEMU's process.
    pub fn pid(&self) -> Result<u32> {
        self.running.as_ref().map(Running::pid).context("the gateway is off")
    }

    /// Types a key at its serial port, upon which it says what it uses; returns the line that begins like this.
    pub fn tell(&mut self, beginning: &str) -> Result<String> {
        let seen = self.said().len();
        let Some(running) = &mut self.running else { bail!("the gateway is off") };
        running.type_in("?")?;
        // The last line of what it says.
        running.wait_for_text("work: ", seen, START)?;
        let said = self.said();
        let line = said.get(seen..).and_then(|new| new.lines().find(|line| line.starts_with(beginning)));
        Ok(line.with_context(|| format!("the gateway says no {beginning:?}"))?.trim_end().to_owned())
    }

    /// Everything it has said since it was first switched on.
    pub fn said(&self) -> String {
        self.log.text()
    }

    /// Every record of the audit log that it has printed.
    pub fn audit(&self) -> Vec<Value> {
        let said = self.said();
        // The last line may not be whole yet.
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter_map(|line| serde_json::from_str(line.get(line.find('{')?..)?).ok()).collect()
    }

    /// It has not panicked, and its watchdog has not restarted it.
    pub fn must_be_healthy(&mut self) -> Result<()> {
        ensure!(self.is_on(), "QEMU has ended");
        let said = self.said();
        for bad in ["panicked", "watchdog"] {
            let line = said.lines().find(|line| line.contains(bad));
            ensure!(line.is_none(), "the gateway said: {}", line.unwrap_or_default());
        }
        Ok(())
    }

    /// Where QEMU takes orders for the machine's buttons.
    fn monitor(&self) -> PathBuf {
        self.lab.path("monitor")
    }

    fn command(&self) -> Result<Command> {
        let mut command = self.lab.gate.command(QEMU);
        command.args(["-M", "virt", "-m", "32M", "-display", "none", "-serial", "stdio"]);
        command.arg("-monitor").arg(format!("unix:{},server=on,wait=off", self.monitor().display()));
        // As a BIOS, because with a flash chip QEMU 7 loads no kernel.
        command.arg("-bios").arg(programs::firmware()?);
        command.arg("-drive").arg(format!("if=pflash,unit=1,format=raw,file={}", self.flash.display()));
        command.args(["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-rng-device"]);
        for (port, hardware) in [(OUTER, OUTER_HARDWARE), (INNER, INNER_HARDWARE)] {
            command.arg("-netdev").arg(format!("tap,id={port},ifname={port},script=no,downscript=no"));
            command.arg("-device").arg(format!("virtio-net-device,netdev={port},mac={hardware}"));
        }
        command.args(&self.more);
        Ok(command)
    }
}

/// Waits until the gateway has printed an audit record for which the condition holds.
pub fn wait_for_audit(gateway: &Gateway<'_>, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    waiting::until(&format!("{what} in the audit log"), Duration::from_secs(5), || {
        gateway.audit().into_iter().find(|record| holds(record))
    })
}
