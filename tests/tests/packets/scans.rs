//! What a scanner finds: the same as on the host without Knockgate.

use anyhow::{Context, Result, bail, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::KNOCK;
use knockgate_tests::peers::Service;
use knockgate_tests::programs::Said;
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "a scan of a host that drops by default finds the same with and without Knockgate",
            own_firewall,
        ),
        story("a scan of a bare host finds the same with and without packet knocks on every port", bare_host),
    ]
}

/// Everybody's page, which nothing guards.
const PAGE: u16 = 80;
/// Accepted by the host's firewall, and nobody listens.
const NOBODY: u16 = 443;
/// The datagram services that scanners ask for first, the knock's port, and its neighbours.
const UDP_PORTS: &str = "7,9,13,17,19,37,53,67-69,88,111,123,135-139,161,162,177,389,427,443,445,497,500,514-518,520,593,\
                         623,626,631,800,996-999,1022-1030,1194,1433,1434,1645,1646,1701,1718,1719,1812,1813,1900,2000,\
                         2048,2049,2222,3283,3456,3703,4444,4500,5000,5060,5353,5632,9200,10000,17185,20031,30718,31337,\
                         32768,32815,33281,49152-49156,49181-49194,51820,60000-60005,62200-62202,65535";

fn own_firewall(lab: &Lab) -> Result<()> {
    let _page = Service::start(&lab.gate, PAGE, "page")?;
    lab.gate.nft(&format!(
        "table inet own {{\n chain input {{\n type filter hook input priority filter; policy drop\n \
         iif lo accept\n ct state established,related accept\n meta l4proto ipv6-icmp accept\n \
         tcp dport {{ {PAGE}, {NOBODY} }} accept\n }}\n }}"
    ))?;
    let tcp = "80/open/tcp//http///, 443/closed/tcp//https///\tIgnored State: filtered (65533)";
    must_find(tcp, |pace| tcp_ports(lab, &[], pace))?;
    let udp = udp_ports(lab, Pace::Quick)?;
    ensure!(udp.starts_with("\tIgnored State: open|filtered"), "a host that drops by default: {udp}");

    let scene = Scene::by_packet(lab, Family::V4, "")?;
    // The services behind the guard are let in by the host's firewall now, and by the guard for those who knock.
    lab.gate.nft(&format!("add rule inet own input tcp dport {{ {SSH}, {WEB} }} accept"))?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;

    must_find(tcp, |pace| tcp_ports(lab, &[], pace))?;
    must_find(&udp, |pace| udp_ports(lab, pace))
}

fn bare_host(lab: &Lab) -> Result<()> {
    // A host that says of every datagram that nobody wants it, at once, or a scanner would take hours.
    lab.gate.sysctl(&[("ipv4/icmp_ratelimit", "0")])?;
    let (tcp, udp) = ("\tIgnored State: closed (65533)", "\tIgnored State: closed (114)");
    must_find(tcp, |pace| tcp_ports(lab, &[SSH, WEB], pace))?;
    must_find(udp, |pace| udp_ports(lab, pace))?;

    // In connect mode, the default, a listener waits behind the decoys; strangers must not find it.
    let scene = Scene::by_packet(lab, Family::V4, "[packet]\nports = \"any\"")?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;

    must_find(udp, |pace| udp_ports(lab, pace))?;
    // Where every other port says that it is closed, the guarded ones are silent: docs/running.md.
    must_find(tcp, |pace| tcp_ports(lab, &[SSH, WEB], pace))?;
    let guarded = scan(lab, &["-sS", "-p", &format!("{SSH},{WEB},{KNOCK}")], Pace::Patient)?;
    ensure!(guarded.contains("22/filtered") && guarded.contains("8080/filtered"), "{guarded}");
    ensure!(guarded.contains("62201/closed"), "{guarded}");
    Ok(())
}

/// How a scanner goes about it.
#[derive(Clone, Copy)]
enum Pace {
    Quick,
    /// A third as fast, asks five times, and waits for answers until a machine that is busy with other work has given them.
    Patient,
}

impl Pace {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Quick => &["--max-retries", "1"],
            Self::Patient => &["--max-retries", "5", "--min-rtt-timeout", "500ms", "--max-rtt-timeout", "2s"],
        }
    }

    /// Of a scan of all ports, in packets a second.
    fn rate(self) -> &'static str {
        match self {
            Self::Quick => "15000",
            Self::Patient => "5000",
        }
    }
}

/// A quick scan loses some packets on a busy machine. What is lost is found by a patient one; what differs is not.
fn must_find(expected: &str, look: impl Fn(Pace) -> Result<String>) -> Result<()> {
    const SCANS: [Pace; 4] = [Pace::Quick, Pace::Quick, Pace::Patient, Pace::Patient];
    let mut found = Vec::new();
    for pace in SCANS {
        let seen = look(pace)?;
        if seen == expected {
            return Ok(());
        }
        found.push(seen);
    }
    bail!("expected {expected:?}, and {} scans find {found:#?}", found.len())
}

/// The state of all TCP ports but some.
fn tcp_ports(lab: &Lab, without: &[u16], pace: Pace) -> Result<String> {
    let without: Vec<String> = without.iter().map(u16::to_string).collect();
    let without = without.join(",");
    let mut arguments = vec!["-sS", "-p-", "--min-rate", pace.rate()];
    if !without.is_empty() {
        arguments.extend(["--exclude-ports", &without]);
    }
    scan(lab, &arguments, pace)
}

fn udp_ports(lab: &Lab, pace: Pace) -> Result<String> {
    scan(lab, &["-sU", "-p", UDP_PORTS, "--max-rate", "200"], pace)
}

/// What nmap finds at the gate, from the stranger's host: ports with their states, then the state of all others.
fn scan(lab: &Lab, arguments: &[&str], pace: Pace) -> Result<String> {
    let gate = lab.gate.ip(Family::V4).to_string();
    let mut nmap = lab.stranger.command("nmap");
    nmap.args(["--privileged", "-n", "-Pn", "-T5", "-oG", "-"])
        .args(pace.options())
        .args(arguments)
        .arg(&gate);
    let said = Said::by(&mut nmap)?.expect(0)?;
    let found =
        said.out.lines().find_map(|line| line.split_once("Ports: ")).map(|(_, found)| found.to_owned());
    found.with_context(|| format!("nmap finds nothing: {said}"))
}
