//! What the service manager is told, and what it is not told any more once the gate hangs.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::tracing::{Interference, Tracer};
use knockgate_tests::{Lab, waiting};

use crate::reconfigure::{base, reload};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("the service manager is told of the start, of a reload and that the gate turns", |lab| {
            told(lab, &Manager::at_path(lab)?, "")
        }),
        story("the same is told by a worker that can connect to no abstract socket any more", |lab| {
            told(lab, &Manager::at_abstract_name(lab)?, "[process]\nseparate = true")
        }),
        story("a gate that hangs is not said to turn, and is again once it goes on", hangs),
    ]
}

/// The agent says every second that it turns. Long enough that each message comes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Beats of the gate that do not come.
const SILENCE: Duration = Duration::from_secs(4);

const BEAT: &str = "WATCHDOG=1";
/// How many of them are heard before something else must have come: half a minute's.
const BEATS: usize = 30;

/// Somebody who listens as systemd does.
struct Manager {
    socket: UnixDatagram,
    /// As `NOTIFY_SOCKET` has it.
    name: String,
}

impl Manager {
    fn at_path(lab: &Lab) -> Result<Self> {
        let path = lab.path("notify");
        Ok(Self { socket: UnixDatagram::bind(&path)?, name: path.display().to_string() })
    }

    fn at_abstract_name(lab: &Lab) -> Result<Self> {
        let name = format!("knockgate-{}", lab.path("notify").display());
        let address = SocketAddr::from_abstract_name(&name)?;
        let socket = lab.gate.inside(|| Ok(UnixDatagram::bind_addr(&address)?))?;
        Ok(Self { socket, name: format!("@{name}") })
    }

    fn start<'lab>(&self, lab: &'lab Lab, configuration: &Configuration) -> Result<Gate<'lab>> {
        let mut gate = Gate::configured(lab, configuration)?;
        let socket = format!("NOTIFY_SOCKET={}", self.name);
        gate.start_through(&["env", &socket, "WATCHDOG_USEC=5000000"])?;
        Ok(gate)
    }

    fn next(&self) -> Result<String> {
        self.next_within(PATIENCE)?.context("the service manager hears nothing")
    }

    /// What is not said every second.
    fn next_news(&self) -> Result<String> {
        for _ in 0..BEATS {
            let message = self.next()?;
            if message != BEAT {
                return Ok(message);
            }
        }
        bail!("nothing is told but that the gate turns")
    }

    fn next_within(&self, patience: Duration) -> Result<Option<String>> {
        self.socket.set_read_timeout(Some(patience))?;
        let mut message = [0; 256];
        match waiting::uninterrupted(|| self.socket.recv(&mut message)) {
            Ok(length) => Ok(message.get(..length).map(|said| String::from_utf8_lossy(said).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What was said before is heard first.
    fn must_fall_silent(&self) -> Result<()> {
        for _ in 0..BEATS {
            if self.next_within(SILENCE)?.is_none() {
                return Ok(());
            }
        }
        bail!("a gate that hangs goes on saying that it turns")
    }
}

fn told(lab: &Lab, manager: &Manager, sections: &str) -> Result<()> {
    let configuration = base(lab).with(sections);
    let mut gate = manager.start(lab, &configuration)?;
    ensure!(manager.next()? == "READY=1", "the start is told");
    ensure!(manager.next()? == BEAT, "the gate turns");
    reload(&gate, &configuration)?;
    let told = manager.next_news()?;
    ensure!(told.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told}");
    ensure!(manager.next_news()? == "READY=1", "the end of the reload is told");
    gate.stop()?;
    ensure!(manager.next_news()? == "STOPPING=1", "the stop is told");
    Ok(())
}

/// Everything else in the agent goes on; only the thread that decides does not come back from its wait.
fn hangs(lab: &Lab) -> Result<()> {
    let manager = Manager::at_path(lab)?;
    let mut gate = manager.start(lab, &base(lab))?;
    ensure!(manager.next()? == "READY=1", "the start is told");
    let for_ever = Interference::Delay { calls: "poll,ppoll", seconds: 600 };

    let held = Tracer::attach_to_thread(gate.pid()?, "gate", for_ever)?;

    manager.must_fall_silent()?;
    ensure!(!held.detach()?.is_empty(), "the gate does not wait by these calls");
    ensure!(manager.next()? == BEAT, "the gate goes on");
    gate.stop()
}
