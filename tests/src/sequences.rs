//! Sequence knocks as others see them: recorded on the way, held up half-way, knocked wrongly.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::capture::{Capture, Knock, Segment};
use crate::clients::Client;
use crate::gates::{CENTRAL, Gate};
use crate::programs::{Log, Running};
use crate::scenes::{DECOY_RANGE, SSH};
use crate::{Family, Host, Lab, waiting};

/// From a client's start until its question is answered.
const ASKING: Duration = Duration::from_secs(10);
/// For whoever is answered at a decoy.
pub const FOR_AN_ANSWER: Duration = Duration::from_millis(300);
/// For whoever is not. The SYN goes at once, and the client whom he watches tries its ports for three seconds and not longer.
pub const IN_PASSING: Duration = Duration::from_millis(5);
/// Marks the packets of a test that acts in a client's place.
const MARK: u32 = 7;

/// A knock for ssh that succeeds, as an attacker on the path records it.
pub fn recorded_knock(lab: &Lab, family: Family, client: &Client<'_>, seconds: u32) -> Result<Knock> {
    let capture = Capture::on(client.host())?;
    client.knock_for("ssh", seconds)?.expect(0)?;
    let (from, gate) = (client.host().ip(family), lab.gate.ip(family));
    waiting::until("a question and a sequence in the capture", Duration::from_secs(2), || {
        Some(capture.knock(from, gate, CENTRAL, SSH))
            .filter(|knock| !knock.asked.is_empty() && knock.ports.len() >= 3)
    })
}

/// A client asks for a number and then cannot knock: until the returned guard is dropped, the gate holds that number for it.
pub fn stall(lab: &Lab, family: Family, client: &Client<'_>, service: &str) -> Result<Stalled> {
    let host = client.host();
    host.nft(&format!(
        "table inet stall {{\n chain out {{\n type filter hook output priority 0\n \
         meta mark != {MARK} tcp dport {}-{} drop\n }}\n }}",
        DECOY_RANGE.start(),
        DECOY_RANGE.end()
    ))?;
    let capture = Capture::on(host)?;
    let (running, log) = client.begin_to_knock(service)?;
    let answer_from = lab.gate.at(family, CENTRAL);
    let (gate, asker) = (answer_from.ip(), host.ip(family));
    waiting::until_true("the gate's answer to the question", ASKING, || {
        let by_connection = |segment: &Segment| segment.from == answer_from && !segment.payload.is_empty();
        capture.segments().iter().any(by_connection)
            || capture.datagrams(gate, asker).is_ok_and(|answers| !answers.is_empty())
    })?;
    Ok(Stalled { running, log, host: host.clone() })
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

/// Every decoy of a gate where Alice is enrolled, ascending. They are no secret to whoever may read a book.
pub fn decoys(gate: &Gate<'_>) -> Result<Vec<u16>> {
    // Each number uses six of a hundred decoys: after three hundred, every one has been used.
    let table = gate.tell(&["book", "show", "alice", "--numbers", "0..300"])?.expect(0)?.out;
    // A row of the table is a number and its ports; the lines above it are words.
    let rows = table.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    let ports = rows.flat_map(|row| row.split_whitespace().skip(1)).filter_map(|word| word.parse().ok());
    let decoys: BTreeSet<u16> = ports.collect();
    ensure!(decoys.len() >= 16, "no decoys in the printed book:\n{table}");
    Ok(decoys.into_iter().collect())
}

/// Connects to decoys in ascending order as the same host, past a stall, and waits so long for each. No sequence is that long.
pub fn knock_wrongly(decoys: &[u16], gate: IpAddr, from: &Host, patience: Duration) -> Result<()> {
    from.inside(|| decoys.iter().take(20).try_for_each(|&port| connect_marked((gate, port).into(), patience)))
}

fn connect_marked(to: SocketAddr, patience: Duration) -> Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None)?;
    socket.set_mark(MARK)?;
    // Refused or not: the attempt is what counts.
    let _ = socket.connect_timeout(&to.into(), patience);
    Ok(())
}
