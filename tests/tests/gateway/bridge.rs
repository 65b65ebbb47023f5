//! The guarded host, to which nothing was done: it reaches everybody as if there were no gateway, and nobody reaches it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::gateways::Gateway;
use knockgate_tests::harness::{Story, gateway_story};
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::pings::{advertise, is_answered};
use knockgate_tests::scenarios::stage::{Place, Plan};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Host, Lab, programs, waiting};
use socket2::{Domain, Socket, Type};

use super::site;

/// What comes at all comes at once; an emulated machine takes its time.
const PATIENCE: Duration = Duration::from_secs(2);
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const DATAGRAMS: u16 = 5300;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        gateway_story("the guarded host connects to whomever it likes, and nobody to it", connects),
        gateway_story("an echo is answered outside and never inside", echoes),
        gateway_story("datagrams are answered where the guarded host has begun", datagrams),
        gateway_story("large datagrams pass in fragments where the guarded host has begun", fragments),
        gateway_story("a narrow link on the way is told to the guarded host", narrow_link),
        gateway_story("the guarded host makes itself an address of a router's prefix", router_prefix),
        gateway_story("the guarded host asks for its address by DHCP, and nobody else offers one", dhcp),
        gateway_story("a gateway without a site lets the guarded host out and nobody in", without_a_site),
    ]
}

fn connects(lab: &Lab) -> Result<()> {
    let site = site(lab, &Plan::by_packet())?;
    let outside = [&lab.net, &lab.client];
    let _pages = outside.map(|host| Service::start(host, 80, "page"));
    for family in FAMILIES {
        // The router has no address in the lab's table.
        let near = match family {
            Family::V4 => IpAddr::from([10, 77, 1, 1]),
            Family::V6 => "fd77:1::1".parse()?,
        };
        for page in [SocketAddr::new(near, 80), lab.client.at(family, 80)] {
            let reached = reach(&lab.inner, page)?;
            ensure!(reached == Reached::Greeting("page".to_owned()), "{page} from inside: {reached:?}");
        }
        for host in [&lab.net, &lab.client] {
            let reached = reach(host, lab.inner.at(family, SSH))?;
            ensure!(reached == Reached::Silence, "ssh from {host:?}: {reached:?}");
        }
    }
    ensure!(site.reached(Place::Stranger, SSH)? == Reached::Silence);
    Ok(())
}

fn echoes(lab: &Lab) -> Result<()> {
    let _site = site(lab, &Plan::by_packet())?;
    for family in FAMILIES {
        for host in [&lab.client, &lab.stranger] {
            for payload in [8, 1400] {
                let to = host.ip(family);
                ensure!(is_answered(&lab.inner, to, payload, PATIENCE)?, "{to} does not answer an echo");
            }
        }
        for target in [&lab.inner, &lab.gate] {
            let to = target.ip(family);
            ensure!(!is_answered(&lab.stranger, to, 8, PATIENCE)?, "{to} answers a stranger's echo");
        }
    }
    Ok(())
}

/// A UDP socket of a host.
fn socket(host: &Host, family: Family, port: u16) -> Result<UdpSocket> {
    let any: IpAddr = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    host.inside(|| {
        let socket = UdpSocket::bind((any, port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    })
}

/// Sends so many bytes; whether they arrive whole.
fn arrives(length: usize, from: &UdpSocket, at: &UdpSocket, to: SocketAddr) -> Result<bool> {
    let said = vec![b'.'; length];
    from.send_to(&said, to)?;
    let mut heard = vec![0; length + 1];
    match waiting::uninterrupted(|| at.recv(&mut heard)) {
        Ok(count) => Ok(heard.get(..count) == Some(&said[..])),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn datagrams(lab: &Lab) -> Result<()> {
    let _site = site(lab, &Plan::by_packet())?;
    both_ways(lab, 100)
}

fn fragments(lab: &Lab) -> Result<()> {
    let _site = site(lab, &Plan::by_packet())?;
    both_ways(lab, 4000)
}

/// A stranger's datagrams do not come in; somebody's do to whom one was sent, from where it was sent to.
fn both_ways(lab: &Lab, length: usize) -> Result<()> {
    for family in FAMILIES {
        let [inner, outer, stranger] =
            [&lab.inner, &lab.client, &lab.stranger].map(|host| socket(host, family, DATAGRAMS));
        let (inner, outer, stranger) = (inner?, outer?, stranger?);
        let [inside, outside] = [&lab.inner, &lab.client].map(|host| host.at(family, DATAGRAMS));
        ensure!(!arrives(length, &outer, &inner, inside)?, "{length} bytes come in unasked: {family:?}");
        ensure!(arrives(length, &inner, &outer, outside)?, "{length} bytes do not get out: {family:?}");
        ensure!(arrives(length, &outer, &inner, inside)?, "the answer does not come in: {family:?}");
        ensure!(!arrives(length, &stranger, &inner, inside)?, "a stranger's come in: {family:?}");
    }
    Ok(())
}

/// Segments are too long for a link behind the router, which says so; whoever does not hear it waits for ever.
fn narrow_link(lab: &Lab) -> Result<()> {
    const BYTES: usize = 300_000;
    let _site = site(lab, &Plan::by_packet())?;
    lab.net.ip_batch("link set to2 mtu 1280")?;
    for family in FAMILIES {
        let listener = lab.client.inside(|| Ok(TcpListener::bind(lab.client.at(family, 80))?))?;
        let counting = std::thread::spawn(move || count(&listener));
        let mut stream = lab.inner.inside(|| Ok(TcpStream::connect(lab.client.at(family, 80))?))?;
        stream.set_write_timeout(Some(PATIENCE * 5))?;
        stream.write_all(&vec![b'.'; BYTES])?;
        stream.shutdown(Shutdown::Write)?;
        let counted = counting.join().map_err(|_| anyhow::anyhow!("the counting thread panicked"))??;
        ensure!(counted == BYTES, "{counted} of {BYTES} bytes arrive over {family:?}");
    }
    Ok(())
}

fn count(listener: &TcpListener) -> Result<usize> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE * 5))?;
    let mut all = Vec::new();
    Ok(stream.read_to_end(&mut all)?)
}

fn router_prefix(lab: &Lab) -> Result<()> {
    let _site = site(lab, &Plan::by_packet())?;
    lab.inner.sysctl(&[("ipv6/conf/eth0/accept_ra", "2"), ("ipv6/conf/eth0/autoconf", "1")])?;
    let has_address = || {
        let table = lab.inner.inside(|| Ok(std::fs::read_to_string("/proc/thread-self/net/if_inet6")?));
        table.is_ok_and(|table| table.lines().any(|address| address.starts_with("fd99")))
    };
    ensure!(!has_address(), "an address that nobody has announced");
    waiting::until_true("an address of the announced prefix", Duration::from_secs(10), || {
        let announced = advertise(&lab.net, "to1", "fd99::".parse().unwrap_or(Ipv6Addr::UNSPECIFIED));
        announced.is_ok() && has_address()
    })
}

/// Messages of DHCP. Source: RFC 2131, RFC 2132.
mod bootp {
    pub(super) const SERVER: u16 = 67;
    pub(super) const CLIENT: u16 = 68;
    pub(super) const DISCOVER: [u8; 2] = [1, 1];
    pub(super) const OFFER: [u8; 2] = [2, 2];
    const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
    const ETHERNET: [u8; 2] = [1, 6];
    const BROADCAST: [u8; 2] = [0x80, 0];

    /// A message of this operation and type, which offers `address` if it is an offer.
    pub(super) fn message(
        [operation, kind]: [u8; 2],
        number: u32,
        hardware: [u8; 6],
        address: [u8; 4],
    ) -> Vec<u8> {
        let mut message = vec![operation];
        message.extend(ETHERNET);
        message.push(0);
        message.extend(number.to_be_bytes());
        message.extend([0, 0]);
        message.extend(BROADCAST);
        message.extend([0; 4]);
        message.extend(address);
        message.extend([0; 8]);
        message.extend(hardware);
        // The rest of the hardware address, the server's name, a file's name.
        message.extend([0; 10 + 64 + 128]);
        message.extend(COOKIE);
        message.extend([53, 1, kind, 255]);
        message.resize(300, 0);
        message
    }
}

fn dhcp(lab: &Lab) -> Result<()> {
    const ASKED: u32 = 0x1234_5678;
    let _site = site(lab, &Plan::by_packet())?;
    let hardware = hardware_address(&lab.inner, "eth0")?;
    // A host that knows nothing of itself.
    lab.inner.ip_batch("addr del 10.77.1.10/24 dev eth0")?;
    let client = broadcaster(&lab.inner, "eth0", bootp::CLIENT)?;
    let server = broadcaster(&lab.net, "to1", bootp::SERVER)?;
    let [to_servers, to_clients] =
        [bootp::SERVER, bootp::CLIENT].map(|port| SocketAddr::from((Ipv4Addr::BROADCAST, port)));
    let offer = |number| bootp::message(bootp::OFFER, number, hardware, [10, 77, 1, 10]);

    server.send_to(&offer(ASKED), to_clients)?;
    ensure!(hear(&client)?.is_none(), "an offer comes in that nobody has asked for");

    client.send_to(&bootp::message(bootp::DISCOVER, ASKED, hardware, [0; 4]), to_servers)?;
    ensure!(hear(&server)?.is_some(), "the question does not get out");
    server.send_to(&offer(ASKED + 1), to_clients)?;
    ensure!(hear(&client)?.is_none(), "an offer comes in for another question");
    server.send_to(&offer(ASKED), to_clients)?;
    ensure!(hear(&client)? == Some(offer(ASKED)), "the offer does not come in");
    Ok(())
}

fn hardware_address(host: &Host, link: &str) -> Result<[u8; 6]> {
    let shown = programs::output(host.command("ip").args(["-o", "link", "show", "dev", link]))?;
    let text = shown.split("link/ether ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let octets = text.into_iter().flat_map(|text| text.split(':'));
    let octets: Result<Vec<u8>, _> = octets.map(|octet| u8::from_str_radix(octet, 16)).collect();
    octets?.try_into().ok().with_context(|| format!("no hardware address in {shown}"))
}

/// A socket for broadcasts at one link, also of a host without an address.
fn broadcaster(host: &Host, link: &str, port: u16) -> Result<UdpSocket> {
    host.inside(|| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(link.as_bytes()))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket.into())
    })
}

fn hear(socket: &UdpSocket) -> Result<Option<Vec<u8>>> {
    let mut buffer = [0; 1500];
    match waiting::uninterrupted(|| socket.recv(&mut buffer)) {
        Ok(length) => Ok(buffer.get(..length).map(<[u8]>::to_vec)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A box that was not told who it is.
fn without_a_site(lab: &Lab) -> Result<()> {
    let flash = lab.path("blank.bin");
    std::fs::write(&flash, vec![0xff; usize::try_from(knockgate_core::board::QEMU.size)?])?;
    let mut gateway = Gateway::with_flash(lab, &flash);
    gateway.start_until("the gate stays shut")?;
    let _page = Service::start(&lab.client, 80, "page")?;
    let _ssh = Service::start(&lab.inner, SSH, "ssh")?;
    for family in FAMILIES {
        let out = reach(&lab.inner, lab.client.at(family, 80))?;
        ensure!(out == Reached::Greeting("page".to_owned()), "{out:?}");
        for target in [&lab.inner, &lab.gate] {
            let reached = reach(&lab.client, target.at(family, SSH))?;
            ensure!(matches!(reached, Reached::Silence | Reached::Error(_)), "{reached:?}");
        }
    }
    Ok(())
}
