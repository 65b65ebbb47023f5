//! Strangers, liars and junk: who hears silence, and who is not kept out by it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::message::{Kind, Request};

use super::Scenario;
use super::stage::{Entrance, Place, Plan, Stage};
use super::verdicts::Verdicts;
use crate::capture::Capture;
use crate::packets::{self, Hand, SSH_SERVICE, WEB_SERVICE, unix_micros};
use crate::peers;
use crate::scenes::SSH;
use crate::{Family, waiting};

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "a packet with any one byte changed is silence and burns nothing",
        play: |stage, verdicts| changed_bytes(stage, verdicts, Family::V4),
        found: &[
            "ssh: client silence, visitor silence, stranger silence",
            "answers to 200 changed packets: 0",
            "the untouched packet: granted",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a packet with any one byte changed is silence and burns nothing over IPv6",
        play: |stage, verdicts| changed_bytes(stage, verdicts, Family::V6),
        found: &[
            "ssh: client silence, visitor silence, stranger silence",
            "answers to 200 changed packets: 0",
            "the untouched packet: granted",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "packets of any other length are silence",
        play: other_lengths,
        found: &[
            "ssh: client silence, visitor silence, stranger silence",
            "answers to 7 lengths: 0",
            "knock alice ssh: exit 0, open, packet, for 60 s",
        ],
        not_on: None,
    },
    Scenario {
        name: "who has the door key and is not on the roster hears silence whatever he asks",
        play: off_the_roster,
        found: &[
            "Status: silence",
            "NextNumber: silence",
            "Open: silence",
            "Renew: silence",
            "Close: silence",
            "Console: silence",
            "heard of the gate: 0",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a claimed source that is not the real one is refused",
        play: wrong_source,
        found: &[
            "bob claims the client's address: refused, wrong-source",
            "ssh: client silence, visitor silence, stranger silence",
            "bob claims his own: granted",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a service that a client may not have is refused",
        play: not_allowed,
        found: &[
            "bob asks for web: refused, not-allowed",
            "bob asks for a service that is not there: refused, not-allowed",
            "bob asks for the console: refused, unsupported",
            "ssh: client silence, visitor silence, stranger silence",
            "audit refused: source 10.77.3.2, reason not-allowed",
        ],
        not_on: None,
    },
    Scenario {
        name: "a knock that was held back for longer than max-age is stale and used up",
        play: held_back,
        found: &[
            "a knock of long ago: refused, stale",
            "ssh: client silence, visitor silence, stranger silence",
            "once more: silence",
            "a knock of now: granted",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a counter from the far future keeps its client in",
        play: far_future,
        found: &[
            "ten years ahead: granted",
            "the same again: silence",
            "the clock is right again: granted",
            "the same after a crash: silence",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "junk and half messages on the central port get silence and do not delay a client",
        play: junk_on_the_central_port,
        found: &[
            "1 bytes of junk: 0 bytes heard",
            "100 bytes of junk: 0 bytes heard",
            "199 bytes of junk: 0 bytes heard",
            "200 bytes of junk: 0 bytes heard",
            "201 bytes of junk: 0 bytes heard",
            "10000 bytes of junk: 0 bytes heard",
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "delayed: false",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
];

fn changed_bytes(stage: &Stage<'_>, verdicts: &mut Verdicts, family: Family) -> Result<()> {
    let mut site = stage.set(&Plan::of(family, Entrance::Packets).bob())?;
    let bob = site.hand("bob")?;
    let knock = bob.seal(&bob.open_ssh(60))?;
    let changed: Vec<_> = (0..MESSAGE_LEN).map(|at| with_one_bit_flipped(&knock.message, at)).collect();
    let capture = Capture::on(&stage.lab.visitor)?;

    packets::send_all(&stage.lab.visitor, site.door(), changed.iter().map(<[u8; MESSAGE_LEN]>::as_slice))?;
    site.look(verdicts, SSH)?;
    let heard = capture.heard_from(stage.lab.gate.ip(family))?.len();
    verdicts.note(format_args!("answers to {} changed packets: {heard}", changed.len()));

    site.sends(verdicts, ("the untouched packet", Place::Visitor), &knock)?;
    site.look(verdicts, SSH)?;
    site.is_healthy()
}

fn with_one_bit_flipped(message: &[u8; MESSAGE_LEN], at: usize) -> [u8; MESSAGE_LEN] {
    let mut changed = *message;
    changed[at] ^= 1 << (at % 8);
    changed
}

fn other_lengths(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    const LENGTHS: [usize; 7] = [0, 1, 8, 199, 201, 400, 1400];
    let site = stage.set(&Plan::by_packet().bob())?;
    let bob = site.hand("bob")?;
    let knock = bob.seal(&bob.open_ssh(60))?;
    let longer = [&knock.message[..], &[0; 1200]].concat();
    let capture = Capture::on(&stage.lab.visitor)?;

    packets::send_all(
        &stage.lab.visitor,
        site.door(),
        LENGTHS.iter().filter_map(|length| longer.get(..*length)),
    )?;

    site.look(verdicts, SSH)?;
    let heard = capture.heard_from(stage.lab.gate.ip(site.family))?.len();
    verdicts.note(format_args!("answers to {} lengths: {heard}", LENGTHS.len()));
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    Ok(())
}

fn off_the_roster(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet())?;
    let mallory = Hand::off_the_roster(&stage.lab.path("alice.kgp"))?;
    let capture = Capture::on(&stage.lab.stranger)?;
    for kind in [Kind::Status, Kind::NextNumber, Kind::Open, Kind::Renew, Kind::Close, Kind::Console] {
        let request = Request { service: SSH_SERVICE, seconds: 60, ..mallory.request(kind) };
        site.asks(verdicts, (&format!("{kind:?}"), Place::Stranger), &mallory, &request)?;
    }
    let heard = capture.heard_from(stage.lab.gate.ip(site.family))?.len();
    verdicts.note(format_args!("heard of the gate: {heard}"));
    site.look(verdicts, SSH)
}

fn wrong_source(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet().bob())?;
    let bob = site.hand("bob")?;
    let claims =
        |place: Place| Request { source: Some(place.host(stage.lab).ip(site.family)), ..bob.open_ssh(60) };
    site.asks(verdicts, ("bob claims the client's address", Place::Visitor), &bob, &claims(Place::Client))?;
    site.look(verdicts, SSH)?;
    site.asks(verdicts, ("bob claims his own", Place::Visitor), &bob, &claims(Place::Visitor))?;
    site.look(verdicts, SSH)
}

fn not_allowed(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet().bob())?;
    let bob = site.hand("bob")?;
    for (what, service) in [("web", WEB_SERVICE), ("a service that is not there", 77)] {
        let request = Request { service, ..bob.open_ssh(60) };
        site.asks(verdicts, (&format!("bob asks for {what}"), Place::Visitor), &bob, &request)?;
    }
    let console = Request { service: SSH_SERVICE, ..bob.request(Kind::Console) };
    site.asks(verdicts, ("bob asks for the console", Place::Visitor), &bob, &console)?;
    site.look(verdicts, SSH)?;
    site.audited(verdicts, "bob", &[("refused", &["source", "reason"])])?;
    Ok(())
}

fn held_back(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    const MAX_AGE: u64 = 3_000_000;
    let site = stage.set(&Plan::by_packet().bob().with("[packet]\nmax-age = \"3s\""))?;
    let bob = site.hand("bob")?;
    let knock = bob.seal(&bob.open_ssh(60))?;
    let sealed = unix_micros();
    waiting::until_true("the knock is too old", Duration::from_secs(10), || {
        unix_micros() > sealed + MAX_AGE + 1_500_000
    })?;
    site.sends(verdicts, ("a knock of long ago", Place::Visitor), &knock)?;
    site.look(verdicts, SSH)?;
    site.sends(verdicts, ("once more", Place::Visitor), &knock)?;
    site.asks(verdicts, ("a knock of now", Place::Visitor), &bob, &bob.open_ssh(60))?;
    site.look(verdicts, SSH)
}

fn far_future(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    const TEN_YEARS: u64 = 315_360_000_000_000;
    let mut site = stage.set(&Plan::by_packet().bob())?;
    let bob = site.hand("bob")?;
    let ahead = |request: Request| Request { counter: request.counter + TEN_YEARS, ..request };
    let late = bob.seal(&ahead(bob.open_ssh(2)))?;
    site.sends(verdicts, ("ten years ahead", Place::Visitor), &late)?;
    site.wait_until_shut(Place::Visitor, SSH)?;
    site.sends(verdicts, ("the same again", Place::Visitor), &late)?;
    site.asks(verdicts, ("the clock is right again", Place::Visitor), &bob, &bob.open_ssh(2))?;
    site.wait_until_shut(Place::Visitor, SSH)?;
    site.crash()?;
    site.sends(verdicts, ("the same after a crash", Place::Visitor), &late)?;
    site.look(verdicts, SSH)
}

fn junk_on_the_central_port(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    /// As many as one host can leave open without a word.
    const IDLE: usize = 20;
    let mut site = stage.set(&Plan::by_sequence())?;
    let (stranger, central) = (&stage.lab.stranger, site.central());
    for length in [1, 100, 199, 200, 201, 10_000] {
        let heard = peers::send(stranger, central, &packets::noise(length)?)?;
        verdicts.note(format_args!("{length} bytes of junk: {} bytes heard", heard.len()));
    }
    let idle =
        stranger.inside(|| Ok((0..IDLE).filter_map(|_| half_a_message(central)).collect::<Vec<_>>()))?;
    ensure!(!idle.is_empty(), "the central port took no connection at all");

    let started = Instant::now();
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    verdicts.note(format_args!("delayed: {}", started.elapsed() > Duration::from_secs(10)));
    site.look(verdicts, SSH)?;
    drop(idle);
    site.is_healthy()
}

/// A connection that has said something, and stays.
fn half_a_message(central: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&central, peers::PATIENCE).ok()?;
    stream.write_all(&[0x55; MESSAGE_LEN / 2]).ok()?;
    Some(stream)
}
