//! More than a gateway can look at: a client still gets in, who is in stays, and no memory is used up.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_tests::gateways::Gateway;
use knockgate_tests::harness::{Story, gateway_story};
use knockgate_tests::packets;
use knockgate_tests::peers::Quiet;
use knockgate_tests::pings::checksum;
use knockgate_tests::scenarios::stage::{Place, Plan, Site};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Host, Lab, waiting};
use socket2::{Domain, Protocol, Socket, Type};

use super::site;

const PACKETS: u16 = 10_000;
/// So many at a time, and then a pause: fast enough that a gateway in QEMU has no rest, and still a flood that all arrives.
const BURST: usize = 50;
const PAUSE: Duration = Duration::from_millis(5);
const SHELL: u16 = 2323;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        gateway_story("10 000 spoofed probes stop no knock and no flow and use no memory", |lab| {
            flooded(lab, &|stranger, gate| probe_for_everybody(stranger, gate))
        }),
        gateway_story(
            "10 000 junk packets of the right size stop no knock and no flow and use no memory",
            |lab| flooded(lab, &|stranger, gate| send_junk(stranger, gate)),
        ),
    ]
}

type Flood<'f> = &'f (dyn Fn(&Host, Ipv4Addr) -> Result<()> + Sync);

fn flooded(lab: &Lab, flood: Flood<'_>) -> Result<()> {
    let shell = format!("[service.shell]\nid = 3\nprotocol = \"tcp\"\nports = [{SHELL}]");
    let plan = Plan::by_packet().with(&shell).person("bob", Place::Visitor, &["shell"], &[]);
    let mut site = site(lab, &plan)?;
    let _shell = Quiet::start(&lab.inner, SHELL)?;
    site.client("bob")?.knock("shell")?.expect(0)?;
    let mut flow = lab.visitor.inside(|| Ok(TcpStream::connect(lab.inner.at(Family::V4, SHELL))?))?;
    flow.set_read_timeout(Some(Duration::from_secs(10)))?;
    // Whatever is used once was used before the flood.
    site.client("alice")?.knock("ssh")?.expect(0)?;
    let IpAddr::V4(gate) = lab.gate.ip(Family::V4) else { bail!("no IPv4 address") };
    let memory = most(&mut site)?;

    let flooding = AtomicBool::new(true);
    let mut knocks = 0;
    std::thread::scope(|scope| {
        let flooder = scope.spawn(|| {
            let sent = flood(&lab.stranger, gate);
            flooding.store(false, Ordering::Relaxed);
            sent
        });
        while flooding.load(Ordering::Relaxed) || knocks == 0 {
            site.client("alice")?.knock("ssh")?.expect(0)?;
            echoed(&mut flow)?;
            knocks += 1;
        }
        flooder.join().map_err(|_| anyhow::anyhow!("the flood panicked"))?
    })?;

    ensure!(site.reached(Place::Client, SSH)? != knockgate_tests::peers::Reached::Silence, "alice is out");
    ensure!(site.reached(Place::Stranger, SSH)? == knockgate_tests::peers::Reached::Silence);
    echoed(&mut flow)?;
    let after = most(&mut site)?;
    println!("memory before {PACKETS} packets: {memory}; after them and {knocks} knocks: {after}");
    ensure!(after == memory, "memory was used up: {memory} before, {after} after");
    site.is_healthy()
}

fn echoed(flow: &mut TcpStream) -> Result<()> {
    flow.write_all(b"still there")?;
    let mut heard = [0; 11];
    flow.read_exact(&mut heard).context("an established flow")?;
    ensure!(&heard == b"still there");
    Ok(())
}

/// The most of the heap that was ever in use. The stack's own mark is the deepest turn, which a flood may well be.
fn most(site: &mut Site<'_>) -> Result<String> {
    let (gateway, ..) = site.gateway()?;
    let line = Gateway::tell(gateway, "memory: ")?;
    let heap = line.split(';').next().and_then(|heap| heap.rsplit("at most ").next());
    heap.map(str::to_owned).with_context(|| format!("the gateway says {line:?}"))
}

fn in_bursts(mut send: impl FnMut(u16) -> Result<()>) -> Result<()> {
    for number in 0..PACKETS {
        send(number)?;
        if usize::from(number) % BURST == 0 {
            waiting::let_pass(PAUSE);
        }
    }
    Ok(())
}

/// Connection attempts at a port each, in the name of an address each.
fn probe_for_everybody(stranger: &Host, gate: Ipv4Addr) -> Result<()> {
    stranger.inside(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
        in_bursts(|number| {
            let source = Ipv4Addr::from(0xc612_0000 + u32::from(number));
            let probe = attempt(source, gate, 10_000 + number);
            socket.send_to(&probe, &SocketAddr::from((gate, 0)).into())?;
            Ok(())
        })
    })
}

/// `IPPROTO_RAW` of netinet/in.h: the sender writes the header.
const IPPROTO_RAW: i32 = 255;
const TCP: u8 = 6;
const SYN: u8 = 0x02;

/// An IPv4 packet with the first segment of a connection.
fn attempt(source: Ipv4Addr, target: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut segment = vec![0x9c, 0x40];
    segment.extend(port.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, SYN, 0xff, 0xff, 0, 0, 0, 0]);
    let pseudo = [&source.octets()[..], &target.octets(), &[0, TCP, 0, 20], &segment].concat();
    let sum = checksum(&pseudo);
    segment[16..18].copy_from_slice(&sum);
    // The kernel fills in the header's sum.
    let mut packet = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, TCP, 0, 0];
    packet.extend(source.octets());
    packet.extend(target.octets());
    packet.extend(segment);
    packet
}

fn send_junk(stranger: &Host, gate: Ipv4Addr) -> Result<()> {
    let noise = packets::noise(usize::from(PACKETS) + MESSAGE_LEN)?;
    let to = SocketAddr::from((gate, packets::KNOCK));
    stranger.inside(|| {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        in_bursts(|number| {
            // Windows into one piece of noise: no two packets are the same.
            let window = noise.get(usize::from(number)..).and_then(|rest| rest.get(..MESSAGE_LEN));
            socket.send_to(window.unwrap_or_default(), to)?;
            Ok(())
        })
    })
}
