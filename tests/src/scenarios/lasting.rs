//! Grants that live: prolonged, closed, kept open by a connection, opened to a whole network.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Scenario;
use super::stage::{Entrance, Place, Plan, Site, Stage};
use super::verdicts::Verdicts;
use crate::peers::{Quiet, reach_as, reach_from_here};
use crate::scenes::{SSH, WEB};
use crate::{Family, waiting};

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "renew prolongs what is open and close ends it",
        play: renew_and_close,
        found: &[
            "knock alice ssh --seconds 5: exit 0, open, packet, for 5 s",
            "renew alice ssh --seconds 30: exit 0, open, packet, for 30 s",
            "the same grant: true",
            "ssh: client greeted, visitor silence, stranger silence",
            "close alice ssh: exit 0, closed, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "audit grant-closed: service ssh, reason by-client",
        ],
        not_on: None,
    },
    Scenario {
        name: "renew and close do nothing where nothing is open",
        play: nothing_to_renew,
        found: &[
            "renew alice ssh: exit 4, refused, no-grant, packet",
            "close alice ssh: exit 4, refused, no-grant, packet",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "close without a service closes everything at this address",
        play: close_everything,
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock alice web: exit 0, open, packet, for 60 s",
            "web: client greeted, visitor silence, stranger silence",
            "close alice: exit 0, closed, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "web: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a grant can be closed by its number from another address",
        play: close_from_elsewhere,
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "close road ssh: exit 4, refused, no-grant, packet",
            "ssh: client greeted, visitor silence, stranger silence",
            "close by its number: exit Some(0)",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a wish for too long is cut",
        play: cut,
        found: &[
            "knock alice ssh: exit 0, open, packet, for 30 s",
            "knock alice ssh --seconds 100000: exit 0, open, packet, for 90 s",
        ],
        not_on: None,
    },
    Scenario {
        name: "a port that follows stays open for a connection and closes soon after it",
        play: follows,
        found: &[
            "knock bob shell: exit 0, open, packet, for 5 s",
            "open while a connection is established: true",
            "a stranger gets silence",
            "open soon after it: false",
        ],
        not_on: None,
    },
    Scenario {
        name: "a port that follows never stays open beyond its longest time",
        play: follows_to_the_end,
        found: &[
            "knock bob shell: exit 0, open, packet, for 5 s",
            "port 2323: shut for the visitor after 6 s",
            "the connection is still there",
        ],
        not_on: None,
    },
    Scenario {
        name: "a connection outlives the grant that let it in",
        play: outlives,
        found: &[
            "knock bob shell --seconds 3: exit 0, open, packet, for 5 s",
            "port 2323: shut for the visitor after 3 s",
            "the connection is still there",
        ],
        not_on: None,
    },
    Scenario {
        name: "a neighbour in the same prefix gets in where client and gate agree over IPv4",
        play: |stage, verdicts| neighbours(stage, verdicts, Family::V4),
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: neighbour silence",
            "knock alice ssh --prefix --seconds 60: exit 0, open, packet, for 60 s",
            "ssh: neighbour greeted",
            "ssh: client greeted, visitor silence, stranger silence",
            "web: client silence, visitor silence, stranger silence",
            "close alice ssh: exit 0, closed, packet",
            "ssh: neighbour silence",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a neighbour in the same prefix gets in where client and gate agree over IPv6",
        play: |stage, verdicts| neighbours(stage, verdicts, Family::V6),
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: neighbour silence",
            "knock alice ssh --prefix --seconds 60: exit 0, open, packet, for 60 s",
            "ssh: neighbour greeted",
            "ssh: client greeted, visitor silence, stranger silence",
            "web: client silence, visitor silence, stranger silence",
            "close alice ssh: exit 0, closed, packet",
            "ssh: neighbour silence",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "no prefix is opened where the gate has none",
        play: no_prefix,
        found: &[
            "knock alice ssh --prefix: exit 0, open, packet, for 60 s",
            "ssh: neighbour silence",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "clients behind one address keep a service open for each other, each for his own time",
        play: shared_address,
        found: &[
            "knock alice ssh --seconds 3: exit 0, open, packet, for 5 s",
            "knock bob ssh --seconds 30: exit 0, open, packet, for 30 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "close bob ssh: exit 0, closed, packet",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
];

fn renew_and_close(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet())?;
    let knocked = Instant::now();
    let first = site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--seconds", "5"])?;
    let renewed = site.tells(verdicts, "alice", &["renew", "alice", "ssh", "--seconds", "30"])?;
    let grant = |report: &Value| report["opened"][0]["grant"].clone();
    verdicts.note(format_args!("the same grant: {}", grant(&first) == grant(&renewed)));
    waiting::until_true("the first time is over", Duration::from_secs(10), || {
        knocked.elapsed() > Duration::from_secs(6)
    })?;
    site.look(verdicts, SSH)?;
    site.tells(verdicts, "alice", &["close", "alice", "ssh"])?;
    site.look(verdicts, SSH)?;
    site.audited(verdicts, "alice", &[("grant-closed", &["service", "reason"])])?;
    Ok(())
}

fn nothing_to_renew(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet())?;
    for command in ["renew", "close"] {
        site.tells(verdicts, "alice", &[command, "alice", "ssh"])?;
    }
    site.look(verdicts, SSH)
}

fn close_everything(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::of(Family::V6, Entrance::Packets))?;
    for service in ["ssh", "web"] {
        site.tells(verdicts, "alice", &["knock", "alice", service])?;
    }
    site.look(verdicts, WEB)?;
    site.tells(verdicts, "alice", &["close", "alice"])?;
    site.look(verdicts, SSH)?;
    site.look(verdicts, WEB)
}

fn close_from_elsewhere(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let mut site = stage.set(&Plan::by_packet())?;
    let road = crate::clients::Client::with_profile(
        stage.lab,
        &stage.lab.visitor,
        "road",
        &stage.lab.path("alice.kgp"),
    )?;
    site.admit("road", road);
    let report = site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    let grant = report["opened"][0]["grant"].as_u64().context("no number of the grant")?.to_string();
    // Nothing of hers is open there, so only the number says what is meant.
    site.tells(verdicts, "road", &["close", "road", "ssh"])?;
    site.look(verdicts, SSH)?;
    let said = site.client("road")?.tell(&["close", "road", "--grant", &grant])?;
    verdicts.note(format_args!("close by its number: exit {:?}", said.code));
    site.look(verdicts, SSH)
}

fn cut(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet().ssh("open = \"30s\"\nmax-open = \"90s\""))?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--seconds", "100000"])?;
    Ok(())
}

const SHELL: u16 = 2323;

/// A service that follows, and is open for three seconds by itself.
fn following(max_open: &str) -> Plan {
    let shell = format!(
        "[service.shell]\nid = 3\nprotocol = \"tcp\"\nports = [{SHELL}]\nopen = \"3s\"\n\
         max-open = \"{max_open}\"\nfollow = true"
    );
    Plan::by_packet().with(&shell).person("bob", Place::Visitor, &["shell"], &[])
}

fn connect(site: &Site<'_>, port: u16) -> Result<TcpStream> {
    let to = site.service(port);
    site.lab.visitor.inside(|| Ok(TcpStream::connect_timeout(&to, Duration::from_secs(2))?))
}

fn is_open(site: &Site<'_>, port: u16) -> Result<bool> {
    let to = site.service(port);
    let reached = site.lab.visitor.inside(|| Ok(reach_from_here(to, Duration::from_millis(300))))?;
    Ok(reached == crate::peers::Reached::Mute)
}

fn follows(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&following("1h"))?;
    let _shell = Quiet::start(site.host(), SHELL)?;
    site.tells(verdicts, "bob", &["knock", "bob", "shell"])?;
    let connection = connect(&site, SHELL)?;
    let connected = Instant::now();
    // Long past the three seconds, and nothing is said on the connection meanwhile.
    waiting::until_true("ten seconds with the port open", Duration::from_secs(12), || {
        connected.elapsed() > Duration::from_secs(10)
    })?;
    verdicts.note(format_args!("open while a connection is established: {}", is_open(&site, SHELL)?));
    verdicts.note(format_args!("a stranger gets {}", site.reached(Place::Stranger, SHELL)?.word()));
    drop(connection);
    // To look at the port would be a connection, too. Noticed within about a second, and three seconds of grace.
    waiting::until_true("the closing in the audit log", Duration::from_secs(10), || {
        let closed = |record: &Value| record["event"] == "grant-closed" && record["client"] == "bob";
        site.audit().is_ok_and(|records| records.iter().any(closed))
    })?;
    verdicts.note(format_args!("open soon after it: {}", is_open(&site, SHELL)?));
    Ok(())
}

fn follows_to_the_end(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&following("6s"))?;
    let _shell = Quiet::start(site.host(), SHELL)?;
    let knocked = Instant::now();
    site.tells(verdicts, "bob", &["knock", "bob", "shell"])?;
    let mut connection = connect(&site, SHELL)?;
    site.shuts_after(verdicts, (Place::Visitor, SHELL), 6, knocked)?;
    still_there(&mut connection, verdicts)
}

/// Established connections are not cut.
fn still_there(connection: &mut TcpStream, verdicts: &mut Verdicts) -> Result<()> {
    const WORDS: &[u8; 11] = b"still there";
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    connection.write_all(WORDS)?;
    let mut heard = [0; WORDS.len()];
    connection.read_exact(&mut heard)?;
    ensure!(&heard == WORDS);
    verdicts.note("the connection is still there");
    Ok(())
}

fn outlives(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let shell = format!("[service.shell]\nid = 3\nprotocol = \"tcp\"\nports = [{SHELL}]");
    let plan = Plan::by_packet().with(&shell).person("bob", Place::Visitor, &["shell"], &[]);
    let site = stage.set(&plan)?;
    let _shell = Quiet::start(site.host(), SHELL)?;
    let knocked = Instant::now();
    site.tells(verdicts, "bob", &["knock", "bob", "shell", "--seconds", "3"])?;
    let mut connection = connect(&site, SHELL)?;
    site.shuts_after(verdicts, (Place::Visitor, SHELL), 3, knocked)?;
    still_there(&mut connection, verdicts)
}

/// Another address of the client's network.
fn neighbour(stage: &Stage<'_>, family: Family) -> Result<IpAddr> {
    let (address, bits) = match family {
        Family::V4 => ("10.77.2.9", 24),
        Family::V6 => ("fd77:2::9", 64),
    };
    // Nothing leaves from there by itself.
    stage.lab.client.ip_batch(&format!("addr add {address}/{bits} dev eth0 preferred_lft 0"))?;
    Ok(address.parse()?)
}

fn looks_as(site: &Site<'_>, neighbour: IpAddr, verdicts: &mut Verdicts) -> Result<()> {
    let reached = reach_as(neighbour, &site.lab.client, site.service(SSH))?;
    verdicts.note(format_args!("ssh: neighbour {}", reached.word()));
    Ok(())
}

fn neighbours(stage: &Stage<'_>, verdicts: &mut Verdicts, family: Family) -> Result<()> {
    let plan = Plan::of(family, Entrance::Packets).ssh("prefix-v4 = 24\nprefix-v6 = 64");
    let site = stage.set(&plan)?;
    let neighbour = neighbour(stage, family)?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    looks_as(&site, neighbour, verdicts)?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--prefix", "--seconds", "60"])?;
    looks_as(&site, neighbour, verdicts)?;
    site.look(verdicts, SSH)?;
    site.look(verdicts, WEB)?;
    site.tells(verdicts, "alice", &["close", "alice", "ssh"])?;
    looks_as(&site, neighbour, verdicts)?;
    site.look(verdicts, SSH)
}

fn no_prefix(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet())?;
    let neighbour = neighbour(stage, Family::V4)?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--prefix"])?;
    looks_as(&site, neighbour, verdicts)?;
    site.look(verdicts, SSH)
}

fn shared_address(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet().person("bob", Place::Client, &["ssh"], &[]))?;
    let knocked = Instant::now();
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--seconds", "3"])?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh", "--seconds", "30"])?;
    waiting::until_true("alice's time is over", Duration::from_secs(10), || {
        knocked.elapsed() > Duration::from_secs(5)
    })?;
    site.look(verdicts, SSH)?;
    site.tells(verdicts, "bob", &["close", "bob", "ssh"])?;
    site.look(verdicts, SSH)
}
