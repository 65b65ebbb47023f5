//! A gateway in a lab: the firmware in QEMU, in the box between the router and the guarded host.
//!
//! What it says on its serial port is its log here. Killing QEMU is the power cut; the flash is a file, so what was written
//! before is there at the next start. Nothing else of a gateway lasts.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};
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
/// From QEMU's start until its taps are heard.
const PORTS: Duration = Duration::from_secs(10);
/// What the firmware says once it hears knocks.
pub const UP: &str = "gate up";

/// What a gateway's ports are plugged into.
#[derive(Clone, Copy)]
enum Cabling {
    /// The lab.
    Lab,
    /// The hands of a test: [`Wire`]s.
    Wires,
}

/// A gateway with its flash.
pub struct Gateway<'lab> {
    lab: &'lab Lab,
    flash: PathBuf,
    log: Log,
    cabling: Cabling,
    more: Vec<String>,
    starts: usize,
    running: Option<Running>,
}

impl<'lab> Gateway<'lab> {
    /// Not started yet. The file is changed by it.
    pub fn with_flash(lab: &'lab Lab, flash: &Path) -> Self {
        let log = lab.log("gateway");
        let (flash, cabling) = (flash.to_path_buf(), Cabling::Lab);
        Self { lab, flash, log, cabling, more: Vec::new(), starts: 0, running: None }
    }

    /// From its next start on its ports are in the hands of the test: the outer one, the inner one.
    pub fn take_ports(&mut self) -> Result<[Wire; 2]> {
        self.cabling = Cabling::Wires;
        Ok([Wire::plugged(self.lab, OUTER_WIRE)?, Wire::plugged(self.lab, INNER_WIRE)?])
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
        self.wait_for(words, seen)?;
        self.wait_for_ports()
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

    /// [`cut_power`](Self::cut_power), unless it is off.
    pub fn be_off(&mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), |mut running| running.kill())
    }

    /// Waits until QEMU ends by itself, which it is about to do.
    pub fn wait_for_its_end(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { bail!("the gateway is off") };
        running.wait().map(drop)
    }

    /// [`start`](Self::start), with somebody who watches what is written to the flash.
    pub fn start_watched(&mut self) -> Result<FlashWatch> {
        // One for each start: whoever reads the one before may not have seen its end yet.
        self.starts += 1;
        let report = self.lab.path(&format!("flash-writes-{}", self.starts));
        programs::run("mkfifo", &[&report.display().to_string()])?;
        let kept = std::mem::take(&mut self.more);
        let events = WRITES.iter().flat_map(|event| ["-trace", event]).map(str::to_owned);
        self.more = kept.iter().cloned().chain(events).collect();
        self.more.extend(["-D".to_owned(), report.display().to_string()]);
        let watch = FlashWatch::on(&report);
        let seen = self.said().len();
        let on = self.switch_on();
        self.more = kept;
        on?;
        watch.victim.store(self.pid()?, Ordering::Relaxed);
        self.wait_for(UP, seen)?;
        self.wait_for_ports()?;
        Ok(watch)
    }

    /// The kernel may take a second to see that somebody is at a tap again, and until then its bridge passes nothing on.
    fn wait_for_ports(&self) -> Result<()> {
        let ports = match self.cabling {
            Cabling::Lab => [OUTER, INNER].as_slice(),
            Cabling::Wires => &[],
        };
        ports.iter().try_for_each(|port| {
            let mut look = self.lab.gate.command("ip");
            look.args(["-details", "link", "show", "dev", port]);
            waiting::until_true(&format!("frames pass at the {port} port"), PORTS, || {
                programs::output(&mut look).is_ok_and(|shown| shown.contains("state forwarding"))
            })
        })
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

    /// It is on, and nothing has brought it down since it was first switched on.
    pub fn must_be_healthy(&mut self) -> Result<()> {
        ensure!(self.is_on(), "QEMU has ended");
        must_not_have_fallen(&self.said())
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
        for (port, hardware, wire) in
            [(OUTER, OUTER_HARDWARE, OUTER_WIRE), (INNER, INNER_HARDWARE, INNER_WIRE)]
        {
            let cable = match self.cabling {
                Cabling::Lab => format!("tap,id={port},ifname={port},script=no,downscript=no"),
                Cabling::Wires => {
                    let [near, far] = wire;
                    format!("socket,id={port},udp=127.0.0.1:{far},localaddr=127.0.0.1:{near}")
                }
            };
            command.arg("-netdev").arg(cable);
            command.arg("-device").arg(format!("virtio-net-device,netdev={port},mac={hardware}"));
        }
        command.args(&self.more);
        Ok(command)
    }
}

/// A panic, an exception or the watchdog ends with a line of its own before the machine starts again.
pub fn must_not_have_fallen(said: &str) -> Result<()> {
    let fall = said.lines().find(|line| line.starts_with("restart: "));
    ensure!(fall.is_none(), "the gateway said: {}", fall.unwrap_or_default());
    Ok(())
}

/// What QEMU reports for each word that is written to the flash, and each page that is erased.
const WRITES: [&str; 2] = ["pflash_data_write", "pflash_sector_erase_start"];

/// Counts what is written to a gateway's flash, and can cut the power at any of it.
pub struct FlashWatch {
    victim: Arc<AtomicU32>,
    written: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

impl FlashWatch {
    /// Reads a report of QEMU, which is a pipe, until QEMU ends.
    fn on(report: &Path) -> Self {
        let report = report.to_path_buf();
        let watch = Self {
            victim: Arc::default(),
            written: Arc::default(),
            last: Arc::new(AtomicU64::new(u64::MAX)),
        };
        let (victim, written, last) =
            (Arc::clone(&watch.victim), Arc::clone(&watch.written), Arc::clone(&watch.last));
        std::thread::spawn(move || {
            let Ok(pipe) = File::open(report) else { return };
            for line in BufReader::new(pipe).split(b'\n') {
                if line.is_err() {
                    return;
                }
                if written.fetch_add(1, Ordering::Relaxed) + 1 == last.load(Ordering::Relaxed) {
                    kill(victim.load(Ordering::Relaxed));
                }
            }
        });
        watch
    }

    /// How often the flash was written to since the start.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Cuts the power once so much more was written.
    pub fn cut_after(&self, more: u64) {
        self.last.store(self.written() + more, Ordering::Relaxed);
    }
}

/// It fails only if the process has ended, which is what is wanted.
fn kill(process: u32) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    let _ = process.map(|process| rustix::process::kill_process(process, Signal::KILL));
}

/// UDP ports that carry the frames of a wire: QEMU's end, the test's end.
const OUTER_WIRE: [u16; 2] = [7001, 8001];
const INNER_WIRE: [u16; 2] = [7002, 8002];

/// A port of the gateway in the hands of a test: every frame as it is.
pub struct Wire {
    socket: UdpSocket,
    gateway: u16,
}

impl Wire {
    fn plugged(lab: &Lab, [gateway, here]: [u16; 2]) -> Result<Self> {
        let socket = lab.gate.inside(|| Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, here))?))?;
        Ok(Self { socket, gateway })
    }

    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket.send_to(frame, (Ipv4Addr::LOCALHOST, self.gateway))?;
        Ok(())
    }

    /// Whether this very frame comes in time. Others are overlooked.
    pub fn hears(&self, frame: &[u8], patience: Duration) -> Result<bool> {
        let deadline = Instant::now() + patience;
        let mut buffer = [0; 2048];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.socket.set_read_timeout(Some(left))?;
            match waiting::uninterrupted(|| self.socket.recv(&mut buffer)) {
                Ok(length) if buffer.get(..length) == Some(frame) => return Ok(true),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
