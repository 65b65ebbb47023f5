//! The usual scene: a gate with two guarded services and one enrolled client.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::capture::{Capture, Segment};
use crate::clients::Client;
use crate::gates::{CENTRAL, Configuration, Gate};
use crate::peers::{Reached, Service, reach};
use crate::programs::{Log, Running};
use crate::{Family, Host, Lab, waiting};

pub const SSH: u16 = 22;
pub const WEB: u16 = 8080;

/// Where decoys are, unless a configuration says otherwise.
pub const DECOY_RANGE: std::ops::RangeInclusive<u16> = 10_000..=32_767;

/// How long after its deadline a port may still be open.
const CLOSING: Duration = Duration::from_secs(6);
/// From a client's start until its question is answered.
const ASKING: Duration = Duration::from_secs(10);

/// A running gate, its services, and Alice, who may use both, at the lab's client.
pub struct Scene<'lab> {
    pub lab: &'lab Lab,
    pub family: Family,
    pub gate: Gate<'lab>,
    pub alice: Client<'lab>,
    _services: [Service; 2],
}

impl<'lab> Scene<'lab> {
    pub fn set(lab: &'lab Lab, family: Family) -> Result<Self> {
        Self::set_with(lab, family, "")
    }

    /// The scene with more sections in the configuration.
    pub fn set_with(lab: &'lab Lab, family: Family, sections: &str) -> Result<Self> {
        let address = lab.gate.ip(family).to_string();
        Self::set_with_configuration(
            lab,
            family,
            &Configuration::bare(lab, &address).with_services().with(sections),
        )
    }

    /// A gate without a central port: whatever is asked is asked by packet. With more sections in the configuration.
    pub fn by_packet(lab: &'lab Lab, family: Family, sections: &str) -> Result<Self> {
        let address = lab.gate.ip(family).to_string();
        let configuration = Configuration::for_packets(lab, &address).with_services().with(sections);
        Self::set_with_configuration(lab, family, &configuration)
    }

    /// The same with more keys in the table of ssh.
    pub fn by_packet_with_ssh(lab: &'lab Lab, family: Family, keys: &str) -> Result<Self> {
        let address = lab.gate.ip(family).to_string();
        let configuration = Configuration::for_packets(lab, &address).with_services();
        let table = format!("[service.ssh]\n{keys}\n");
        Self::set_with_configuration(lab, family, &configuration.replacing("[service.ssh]\n", &table)?)
    }

    pub fn set_with_configuration(lab: &'lab Lab, family: Family, text: &Configuration) -> Result<Self> {
        let services = [Service::start(&lab.gate, SSH, "ssh")?, Service::start(&lab.gate, WEB, "web")?];
        let mut gate = Gate::configured(lab, text)?;
        let profile = gate.enrol("alice", &["ssh", "web"], &[])?;
        let alice = Client::with_profile(lab, &lab.client, "alice", &profile)?;
        gate.start()?;
        Ok(Self { lab, family, gate, alice, _services: services })
    }

    /// What a host gets from a port of the gate.
    pub fn reached(&self, from: &Host, port: u16) -> Result<Reached> {
        reach(from, self.lab.gate.at(self.family, port))
    }

    pub fn must_be_open(&self, from: &Host, port: u16) -> Result<()> {
        match self.reached(from, port)? {
            Reached::Greeting(_) => Ok(()),
            other => bail!("port {port} should be open for {from:?}: {other:?}"),
        }
    }

    pub fn must_be_shut(&self, from: &Host, port: u16) -> Result<()> {
        match self.reached(from, port)? {
            Reached::Silence => Ok(()),
            other => bail!("port {port} should be shut and silent for {from:?}: {other:?}"),
        }
    }

    /// Waits until a port is shut again; returns when.
    pub fn wait_until_shut(&self, from: &Host, port: u16) -> Result<Instant> {
        let what = format!("port {port} is shut for {from:?}");
        waiting::until(&what, CLOSING, || {
            matches!(self.reached(from, port), Ok(Reached::Silence)).then(Instant::now)
        })
    }

    /// A knock of Alice's for ssh that succeeds, as an attacker on the path records it.
    pub fn recorded_knock(&self, seconds: u32) -> Result<crate::capture::Knock> {
        let capture = Capture::on(&self.lab.client)?;
        self.alice.knock_for("ssh", seconds)?.expect(0)?;
        let (client, gate) = (self.lab.client.ip(self.family), self.lab.gate.ip(self.family));
        waiting::until("a question and a sequence in the capture", Duration::from_secs(2), || {
            Some(capture.knock(client, gate, CENTRAL, SSH))
                .filter(|knock| !knock.asked.is_empty() && knock.ports.len() >= 3)
        })
    }

    /// A client asks for a number and then cannot knock: until the returned guard is dropped, the gate holds that number
    /// for it.
    pub fn stall(&self, client: &Client<'lab>, service: &str) -> Result<Stalled> {
        let host = client.host();
        host.nft(&format!(
            "table inet stall {{\n chain out {{\n type filter hook output priority 0\n \
             meta mark != {MARK} tcp dport {}-{} drop\n }}\n }}",
            DECOY_RANGE.start(),
            DECOY_RANGE.end()
        ))?;
        let capture = Capture::on(host)?;
        let (running, log) = client.begin_to_knock(service)?;
        let answer_from = self.lab.gate.at(self.family, CENTRAL);
        let (gate, asker) = (answer_from.ip(), host.ip(self.family));
        waiting::until_true("the gate's answer to the question", ASKING, || {
            let by_connection =
                |segment: &Segment| segment.from == answer_from && !segment.payload.is_empty();
            capture.segments().iter().any(by_connection)
                || capture.datagrams(gate, asker).is_ok_and(|answers| !answers.is_empty())
        })?;
        Ok(Stalled { running, log, host: host.clone() })
    }

    /// Every decoy of the gate, ascending. They are no secret to whoever may read a book.
    pub fn decoys(&self) -> Result<Vec<u16>> {
        // Each number uses six of a hundred decoys: after three hundred, every one has been used.
        let table = self.gate.tell(&["book", "show", "alice", "--numbers", "0..300"])?.expect(0)?.out;
        // A row of the table is a number and its ports; the lines above it are words.
        let rows = table.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
        let ports = rows.flat_map(|row| row.split_whitespace().skip(1)).filter_map(|word| word.parse().ok());
        let decoys: BTreeSet<u16> = ports.collect();
        ensure!(decoys.len() >= 16, "no decoys in the printed book:\n{table}");
        Ok(decoys.into_iter().collect())
    }

    /// Connects to decoys in ascending order as the same host, past the stall. No sequence is that long.
    pub fn knock_wrongly(&self, from: &Host) -> Result<()> {
        let gate = self.lab.gate.ip(self.family);
        let decoys = self.decoys()?;
        from.inside(|| {
            for port in decoys.into_iter().take(20) {
                connect_marked((gate, port).into())?;
            }
            Ok(())
        })
    }

    /// The agent runs, answers Alice, and opens for her as ever.
    pub fn must_be_healthy(&mut self) -> Result<()> {
        ensure!(self.gate.is_alive(), "the agent has ended");
        self.alice.status()?.expect(0).context("the gate does not answer a status question")?;
        Ok(())
    }
}

/// A client that holds a number and cannot use it.
pub struct Stalled {
    running: Running,
    pub log: Log,
    host: Host,
}

impl Stalled {
    /// Lets the client's packets through again and waits for its end.
    pub fn let_go(mut self) -> Result<()> {
        self.host.nft("delete table inet stall")?;
        let running = &mut self.running;
        waiting::until_true("the stalled client ends", Duration::from_secs(60), || !running.is_alive())
    }
}

/// Marks the packets of a test that acts in a client's place.
const MARK: u32 = 7;

fn connect_marked(to: std::net::SocketAddr) -> Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None)?;
    socket.set_mark(MARK)?;
    // Refused or not: the attempt is what counts.
    let _ = socket.connect_timeout(&to.into(), Duration::from_millis(300));
    Ok(())
}
