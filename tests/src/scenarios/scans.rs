//! What a scanner finds: a host that drops whatever it does not know.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::Scenario;
use super::stage::{Agent, Entrance, Plan, Site, Stage};
use super::verdicts::Verdicts;
use crate::Family;
use crate::programs::Said;
use crate::scenes::SSH;

/// The datagram services that scanners ask for first, the knock's port, and its neighbours.
const UDP_PORTS: &str = "7,53,67-69,123,161,500,514,1194,1900,4500,5353,51820,62200-62202,65535";

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "a scan of the gate's address finds nothing over IPv4",
        play: |stage, verdicts| scanned(stage, verdicts, Family::V4),
        found: &[
            "knock alice ssh --seconds 600: exit 0, open, packet, for 600 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "TCP: filtered (65535)",
            "UDP: open|filtered (18)",
            "renew alice ssh --seconds 600: exit 0, open, packet, for 600 s",
        ],
        not_on: None,
    },
    Scenario {
        name: "a scan of the gate's address finds nothing over IPv6",
        play: |stage, verdicts| scanned(stage, verdicts, Family::V6),
        found: &[
            "knock alice ssh --seconds 600: exit 0, open, packet, for 600 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "TCP: filtered (65535)",
            "UDP: open|filtered (18)",
            "renew alice ssh --seconds 600: exit 0, open, packet, for 600 s",
        ],
        not_on: None,
    },
];

fn scanned(stage: &Stage<'_>, verdicts: &mut Verdicts, family: Family) -> Result<()> {
    let mut site = stage.set(&Plan::of(family, Entrance::Packets))?;
    if stage.agent == Agent::Linux {
        // As a gateway is by itself. The services are let in here, and by the guard for those who knock.
        stage.lab.gate.nft(
            "table inet own {\n chain input {\n type filter hook input priority filter; policy drop\n \
             iif lo accept\n ct state established,related accept\n \
             icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept\n \
             tcp dport { 22, 8080 } accept\n }\n }",
        )?;
    }
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--seconds", "600"])?;
    site.look(verdicts, SSH)?;
    for (what, arguments) in [
        ("TCP", &["-sS", "-p-", "--min-rate", "8000"][..]),
        ("UDP", &["-sU", "-p", UDP_PORTS, "--max-rate", "100"]),
    ] {
        verdicts.note(format_args!("{what}: {}", scan(&site, arguments)?));
    }
    site.tells(verdicts, "alice", &["renew", "alice", "ssh", "--seconds", "600"])?;
    site.is_healthy()
}

/// What nmap finds, from the stranger's host: how many ports are in which state.
fn scan(site: &Site<'_>, arguments: &[&str]) -> Result<String> {
    let gate = site.lab.gate.ip(site.family);
    let mut nmap = site.lab.stranger.command("nmap");
    if gate.is_ipv6() {
        nmap.arg("-6");
    }
    nmap.args(["--privileged", "-n", "-Pn", "-T5", "--max-retries", "1", "-oG", "-"]);
    let said = Said::by(nmap.args(arguments).arg(gate.to_string()))?.expect(0)?;
    let found = said.out.lines().find_map(|line| line.split_once("Ports: "));
    let (_, found) = found.with_context(|| format!("nmap finds nothing: {said}"))?;
    Ok(states(found))
}

/// nmap lists few ports one by one, as `PORT/STATE/...`, and then says how many more are alike.
fn states(found: &str) -> String {
    let (listed, others) = found.split_once("\tIgnored State: ").unwrap_or((found, ""));
    let mut counts = BTreeMap::<&str, usize>::new();
    for state in listed.split(", ").filter_map(|port| port.split('/').nth(1)) {
        *counts.entry(state).or_default() += 1;
    }
    let counts = counts.into_iter().map(|(state, count)| format!("{state} ({count})"));
    let others = Some(others.trim().to_owned()).filter(|others| !others.is_empty());
    counts.chain(others).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_counted_by_their_states() {
        for (found, counted) in [
            ("\tIgnored State: filtered (65535)", "filtered (65535)"),
            ("22/open/tcp//ssh///, 80/open/tcp//http///, 81/closed/tcp/////", "closed (1), open (2)"),
            ("22/open/tcp//ssh///\tIgnored State: filtered (9)", "open (1), filtered (9)"),
        ] {
            assert_eq!(states(found), counted);
        }
    }
}
