//! What a good knock opens, for whom, until when, and how little of it is to be seen.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::stage::{Agent, Entrance, Place, Plan, Stage};
use super::verdicts::Verdicts;
use crate::Family;
use crate::capture::Capture;
use crate::scenes::{DECOY_RANGE, SSH, WEB};

const NOT_BY_A_CABLE: &str = "a gateway is the cable itself: while it is dead, nobody gets through at all";

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "a packet knock over IPv4 opens only the asked service and only to the knocker",
        play: |stage, verdicts| opens_for_one(stage, verdicts, &Plan::of(Family::V4, Entrance::Packets)),
        found: &[
            "ssh: client silence, visitor silence, stranger silence",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "web: client silence, visitor silence, stranger silence",
            "status alice: exit 0, ok, packet",
        ],
        not_on: None,
    },
    Scenario {
        name: "a packet knock over IPv6 opens only the asked service and only to the knocker",
        play: |stage, verdicts| opens_for_one(stage, verdicts, &Plan::of(Family::V6, Entrance::Packets)),
        found: &[
            "ssh: client silence, visitor silence, stranger silence",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "web: client silence, visitor silence, stranger silence",
            "status alice: exit 0, ok, packet",
        ],
        not_on: None,
    },
    Scenario {
        name: "a sequence over IPv4 opens only the asked service and only to the knocker",
        play: |stage, verdicts| opens_for_one(stage, verdicts, &Plan::of(Family::V4, Entrance::Central)),
        found: &[
            "ssh: client silence, visitor silence, stranger silence",
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "web: client silence, visitor silence, stranger silence",
            "status alice: exit 0, ok, tcp",
        ],
        not_on: None,
    },
    Scenario {
        name: "a sequence over IPv6 opens only the asked service and only to the knocker",
        play: |stage, verdicts| opens_for_one(stage, verdicts, &Plan::of(Family::V6, Entrance::Central)),
        found: &[
            "ssh: client silence, visitor silence, stranger silence",
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "web: client silence, visitor silence, stranger silence",
            "status alice: exit 0, ok, tcp",
        ],
        not_on: None,
    },
    Scenario {
        name: "a sequence of closed mode over IPv4 opens a service and answers no knock",
        play: |stage, verdicts| closed_mode(stage, verdicts, Family::V4),
        found: &[
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "answers of decoys: 0",
        ],
        not_on: None,
    },
    Scenario {
        name: "a sequence of closed mode over IPv6 opens a service and answers no knock",
        play: |stage, verdicts| closed_mode(stage, verdicts, Family::V6),
        found: &[
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "answers of decoys: 0",
        ],
        not_on: None,
    },
    Scenario {
        name: "a sequence whose number is asked by packet needs no central port",
        play: number_by_packet,
        found: &[
            "knock alice ssh --via sequence: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a packet knock is one datagram and its answer another, and nothing else is heard",
        play: one_datagram,
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "seen as 10.77.2.2",
            "asked [200], answered [200]",
            "the answer comes from where the question went: true",
            "heard of the gate: 1",
        ],
        not_on: None,
    },
    Scenario {
        name: "each knock goes to a port of its own out of a range",
        play: |stage, verdicts| picks_ports(stage, verdicts, "[packet]\nports = [\"62000-62499\"]"),
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "the ports are drawn: true",
        ],
        not_on: None,
    },
    Scenario {
        name: "where every port is watched each knock goes to a port of its own",
        play: |stage, verdicts| picks_ports(stage, verdicts, "[packet]\nports = \"any\""),
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "the ports are drawn: true",
        ],
        not_on: None,
    },
    Scenario {
        name: "the grant ends on time, and the audit log tells every step of it",
        play: ends_on_time,
        found: &[
            "knock alice ssh --seconds 4: exit 0, open, packet, for 5 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "ssh: shut for the client after 4 s",
            "status alice: exit 0, ok, packet",
            "audit packet-knock: kind open, source 10.77.2.2, service ssh",
            "audit decision: source 10.77.2.2, service ssh, policy default, verdict commit, actions [{\"act\":\"open\",\"seconds\":4,\"service\":1}]",
            "audit grant-opened: source 10.77.2.2, service ssh, seconds 4",
            "audit grant-closed: source 10.77.2.2, service ssh, reason expired",
        ],
        not_on: None,
    },
    Scenario {
        name: "the grant ends on time with the agent dead",
        play: ends_with_agent_dead,
        found: &[
            "knock alice ssh --seconds 4: exit 0, open, packet, for 5 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "ssh: shut for the client after 4 s",
        ],
        not_on: Some((Agent::Gateway, NOT_BY_A_CABLE)),
    },
    Scenario {
        name: "the audit log tells every step of a sequence",
        play: sequence_is_told,
        found: &[
            "knock alice ssh --seconds 2: exit 0, open, sequence, for 5 s",
            "audit offered: source 10.77.2.2, number 0, left 999",
            "audit knock: source 10.77.2.2, number 0, service ssh, ended complete",
            "audit decision: source 10.77.2.2, service ssh, policy default, verdict commit, actions [{\"act\":\"open\",\"seconds\":2,\"service\":1}]",
            "audit grant-opened: source 10.77.2.2, service ssh, seconds 2",
            "audit grant-closed: source 10.77.2.2, service ssh, reason expired",
            "ports seen: 6",
        ],
        not_on: None,
    },
    Scenario {
        name: "a knock that finds the gate down says so and opens once it is up",
        play: gate_down,
        found: &[
            "knock alice ssh --timeout 2: exit 3, no-answer, silence",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
];

fn opens_for_one(stage: &Stage<'_>, verdicts: &mut Verdicts, plan: &Plan) -> Result<()> {
    let mut site = stage.set(plan)?;
    site.look(verdicts, SSH)?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)?;
    site.look(verdicts, WEB)?;
    site.tells(verdicts, "alice", &["status", "alice"])?;
    site.is_healthy()
}

fn closed_mode(stage: &Stage<'_>, verdicts: &mut Verdicts, family: Family) -> Result<()> {
    let plan = Plan::of(family, Entrance::Central).with("[sequence]\nmode = \"closed\"");
    let site = stage.set(&plan)?;
    let capture = Capture::on(&stage.lab.client)?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)?;
    let gate = stage.lab.gate.ip(family);
    let knocks = |ports: &dyn Fn(&crate::capture::Segment) -> Option<u16>| {
        capture.segments().iter().filter_map(ports).filter(|port| DECOY_RANGE.contains(port)).count()
    };
    let asked = knocks(&|segment| (segment.to.ip() == gate).then(|| segment.to.port()));
    let answered = knocks(&|segment| (segment.from.ip() == gate).then(|| segment.from.port()));
    ensure!(asked >= 6, "{asked} knocks in the capture");
    verdicts.note(format_args!("answers of decoys: {answered}"));
    Ok(())
}

fn number_by_packet(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet())?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--via", "sequence"])?;
    site.look(verdicts, SSH)
}

fn one_datagram(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet())?;
    let (client, gate) = (stage.lab.client.ip(site.family), stage.lab.gate.ip(site.family));
    let (report, capture) = site.tells_at_once(verdicts, "alice", &["knock", "alice", "ssh"])?;
    verdicts.note(format_args!("seen as {}", report["seen"].as_str().unwrap_or("nobody")));
    let [asked, answered] = [capture.datagrams(client, gate)?, capture.datagrams(gate, client)?];
    let lengths = |datagrams: &[crate::capture::Datagram]| -> Vec<usize> {
        datagrams.iter().map(|datagram| datagram.payload.len()).collect()
    };
    verdicts.note(format_args!("asked {:?}, answered {:?}", lengths(&asked), lengths(&answered)));
    let back = answered.first().zip(asked.first());
    let turned = back.is_some_and(|(back, there)| (back.from, back.to) == (there.to, there.from));
    verdicts.note(format_args!("the answer comes from where the question went: {turned}"));
    verdicts.note(format_args!("heard of the gate: {}", capture.heard_from(gate)?.len()));
    Ok(())
}

fn picks_ports(stage: &Stage<'_>, verdicts: &mut Verdicts, packet: &str) -> Result<()> {
    const KNOCKS: usize = 4;
    let site = stage.set(&Plan::of(Family::V6, Entrance::Packets).with(packet))?;
    let capture = Capture::on(&stage.lab.client)?;
    for _ in 0..KNOCKS {
        site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    }
    site.look(verdicts, SSH)?;
    let asked = capture.datagrams(stage.lab.client.ip(Family::V6), stage.lab.gate.ip(Family::V6))?;
    let chosen: BTreeSet<u16> = asked.iter().map(|datagram| datagram.to.port()).collect();
    // Out of hundreds: some may be the same, all of them never are.
    verdicts.note(format_args!("the ports are drawn: {}", chosen.len() > 1));
    Ok(())
}

fn ends_on_time(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet())?;
    let knocked = Instant::now();
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--seconds", "4"])?;
    site.look(verdicts, SSH)?;
    site.shuts_after(verdicts, (Place::Client, SSH), 4, knocked)?;
    site.tells(verdicts, "alice", &["status", "alice"])?;
    let of_whom = ["client", "source", "service"];
    let told = site.audited(
        verdicts,
        "alice",
        &[
            ("packet-knock", &["kind", "source", "service"]),
            ("decision", &["source", "service", "policy", "verdict", "actions"]),
            ("grant-opened", &["source", "service", "seconds"]),
            ("grant-closed", &["source", "service", "reason"]),
        ],
    )?;
    ensure!(told.iter().all(|record| of_whom.iter().all(|name| record[name].is_string())), "{told:?}");
    same_decision(verdicts, &told)
}

/// What both agents must agree on and no table can know.
fn same_decision(verdicts: &mut Verdicts, told: &[serde_json::Value]) -> Result<()> {
    let decision = told.iter().find(|record| record["event"] == "decision").context("no decision")?;
    ensure!(decision["fuel"].as_u64().is_some_and(|fuel| fuel > 0), "no fuel: {decision}");
    verdicts.figure(format_args!("fuel {}", decision["fuel"]));
    Ok(())
}

fn ends_with_agent_dead(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let mut site = stage.set(&Plan::by_packet())?;
    let knocked = Instant::now();
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--seconds", "4"])?;
    site.die()?;
    site.look(verdicts, SSH)?;
    site.shuts_after(verdicts, (Place::Client, SSH), 4, knocked)
}

fn sequence_is_told(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_sequence())?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--seconds", "2"])?;
    site.wait_until_shut(Place::Client, SSH)?;
    let told = site.audited(
        verdicts,
        "alice",
        &[
            ("offered", &["source", "number", "left"]),
            ("knock", &["source", "number", "service", "ended"]),
            ("decision", &["source", "service", "policy", "verdict", "actions"]),
            ("grant-opened", &["source", "service", "seconds"]),
            ("grant-closed", &["source", "service", "reason"]),
        ],
    )?;
    let knock = told.iter().find(|record| record["event"] == "knock").context("no knock")?;
    let seen = knock["ports-seen"].as_array().map_or(0, Vec::len);
    verdicts.note(format_args!("ports seen: {seen}"));
    same_decision(verdicts, &told)
}

fn gate_down(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let mut site = stage.set(&Plan::by_packet())?;
    site.die()?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--timeout", "2"])?;
    site.come_back()?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)
}
