//! Which grants are in use: conntrack's flows, asked for over netlink.
//!
//! A grant that follows its session stays while there is one. The guard itself makes conntrack see every flow to a guarded
//! port, and its original direction names the source and the port as the client dialled them, so a forwarded service is
//! found by its outer port. A TCP flow counts while both sides still talk; once one of them has said goodbye it has ended,
//! however long the other lets its half stand. A UDP flow counts from the first answer until conntrack forgets it.
//!
//! A table may hold a million flows: they are looked at as they come, and none is kept. What this leaves out: a client's
//! flow *through* a gate that is a router, to the same port of another host, counts for the client's grant too; it makes
//! the grant last no longer than its service allows.
//! Layout: `linux/netfilter/nfnetlink_conntrack.h`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;

use super::Grant;
use super::netlink::{AF_UNSPEC, Attributes, Message, Socket, array};
use super::plan::Protocol;

const CTNETLINK: u16 = 1 << 8;
const CT_NEW: u16 = CTNETLINK;
const CT_GET: u16 = CTNETLINK | 1;

const TUPLE_ORIG: u16 = 1;
const STATUS: u16 = 3;
const PROTOINFO: u16 = 4;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const V4_SRC: u16 = 1;
const V6_SRC: u16 = 3;
const PROTO_NUM: u16 = 1;
const DST_PORT: u16 = 3;
const PROTOINFO_TCP: u16 = 1;
const TCP_STATE: u16 = 1;

/// `IPS_SEEN_REPLY`
const SEEN_REPLY: u32 = 1 << 1;
/// `TCP_CONNTRACK_ESTABLISHED`
const ESTABLISHED: u8 = 3;

/// What goes through an open door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flows {
    /// At least one session.
    Alive,
    None,
}

/// Why conntrack cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum FlowsError {
    #[error("not allowed to look at connections; run as root or with CAP_NET_ADMIN")]
    NotAllowed,
    #[error(
        "this kernel does not tell of its connections; load the module nf_conntrack_netlink, or set follow = false"
    )]
    NoConntrack,
    #[error("the kernel did not tell of its connections ({0}); see `dmesg`")]
    Kernel(#[source] io::Error),
    #[error("the broker says: {0}")]
    Broker(String),
    #[error("the broker is gone")]
    BrokerGone,
}

/// The way to ask conntrack.
pub struct FlowTable {
    socket: Socket,
}

impl FlowTable {
    /// # Errors
    /// There is no netlink.
    pub fn open() -> Result<Self, FlowsError> {
        Socket::open().map(|socket| Self { socket }).map_err(FlowsError::Kernel)
    }

    /// Looks once through the table, and says of each grant whether something goes through it. Of a grant only source,
    /// reach, protocol and ports count. A second for a million flows, so not for the task that answers knocks.
    ///
    /// # Errors
    /// Nothing is known; whoever closes a grant for that would cut somebody off.
    pub fn look(&mut self, grants: &[Grant]) -> Result<Vec<Flows>, FlowsError> {
        if grants.is_empty() {
            return Ok(Vec::new());
        }
        // A kernel that does not know how to leave out the unanswered ones sends all.
        let answered = SEEN_REPLY.to_be_bytes();
        let found = self.socket.gather(
            CT_GET,
            AF_UNSPEC,
            |query| query.attribute(STATUS, &answered),
            || vec![Flows::None; grants.len()],
            |found, message| mark(found, grants, message),
        );
        found.map_err(blame)
    }
}

fn blame(errno: Errno) -> FlowsError {
    match errno {
        Errno::PERM | Errno::ACCESS => FlowsError::NotAllowed,
        Errno::INVAL | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT => FlowsError::NoConntrack,
        other => FlowsError::Kernel(other.into()),
    }
}

fn mark(found: &mut [Flows], grants: &[Grant], message: Message<'_>) {
    let Some(flow) = read(message) else { return };
    for (found, grant) in found.iter_mut().zip(grants) {
        if flow.goes_through(grant) {
            *found = Flows::Alive;
        }
    }
}

/// A session as the client began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) source: IpAddr,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

impl Flow {
    fn goes_through(self, grant: &Grant) -> bool {
        let Grant { source, reach, protocol, ports, .. } = grant;
        self.protocol == *protocol && ports.contains(&self.port) && reach.covers(*source, self.source)
    }
}

/// `None`: no flow that is alive, or none of ours.
pub(crate) fn read(message: Message<'_>) -> Option<Flow> {
    if message.kind != CT_NEW {
        return None;
    }
    let flow = message.attributes();
    let tuple = flow.nested(TUPLE_ORIG)?;
    let transport = tuple.nested(TUPLE_PROTO)?;
    let protocol = Protocol::from_number(*transport.find(PROTO_NUM)?.first()?)?;
    let alive = match protocol {
        Protocol::Tcp => tcp_state(flow)? == ESTABLISHED,
        Protocol::Udp => flow.u32(STATUS)? & SEEN_REPLY != 0,
    };
    let port = u16::from_be_bytes(array(transport.find(DST_PORT)?, 0)?);
    let source = source(tuple.nested(TUPLE_IP)?)?;
    alive.then_some(Flow { source, protocol, port })
}

fn tcp_state(flow: Attributes<'_>) -> Option<u8> {
    flow.nested(PROTOINFO)?.nested(PROTOINFO_TCP)?.find(TCP_STATE)?.first().copied()
}

fn source(address: Attributes<'_>) -> Option<IpAddr> {
    let v4 = || Some(Ipv4Addr::from(array::<4>(address.find(V4_SRC)?, 0)?).into());
    let v6 = || Some(Ipv6Addr::from(array::<16>(address.find(V6_SRC)?, 0)?).into());
    v4().or_else(v6)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::firewall::Reach;
    use crate::firewall::netlink::{Encoder, Messages};

    const TCP: u8 = 6;
    const UDP: u8 = 17;

    #[test]
    fn only_sessions_that_are_alive_are_flows() {
        let cases = [
            ("1 established", flow("192.0.2.1", TCP, 22, Some(3), SEEN_REPLY), true),
            ("2 half open", flow("192.0.2.1", TCP, 22, Some(2), SEEN_REPLY), false),
            ("3 one side has ended", flow("192.0.2.1", TCP, 22, Some(4), SEEN_REPLY), false),
            ("4 the other side has", flow("192.0.2.1", TCP, 22, Some(5), SEEN_REPLY), false),
            ("5 no state", flow("192.0.2.1", TCP, 22, None, SEEN_REPLY), false),
            ("6 answered", flow("192.0.2.1", UDP, 22, None, SEEN_REPLY), true),
            ("7 unanswered", flow("192.0.2.1", UDP, 22, None, 0x188), false),
            ("8 v6", flow("2001:db8::1", TCP, 22, Some(3), SEEN_REPLY), true),
            ("9 another protocol", flow("192.0.2.1", 1, 22, None, SEEN_REPLY), false),
        ];
        for (name, bytes, expected) in cases {
            let message = Messages(&bytes).next().expect("one message");
            assert_eq!(read(message).is_some(), expected, "{name}");
        }
    }

    #[test]
    fn a_flow_counts_for_the_grant_that_lets_it_through() {
        let cases = [
            ("192.0.2.1", Reach::Address, Protocol::Tcp, vec![22], Flows::Alive), // 1
            ("192.0.2.2", Reach::Address, Protocol::Tcp, vec![22], Flows::None),  // 2
            ("192.0.2.2", Reach::Prefix(24), Protocol::Tcp, vec![22], Flows::Alive), // 3
            ("192.0.3.2", Reach::Prefix(24), Protocol::Tcp, vec![22], Flows::None), // 4
            ("192.0.2.1", Reach::Address, Protocol::Udp, vec![22], Flows::None),  // 5
            ("192.0.2.1", Reach::Address, Protocol::Tcp, vec![23], Flows::None),  // 6
            ("192.0.2.1", Reach::Address, Protocol::Tcp, vec![21, 22], Flows::Alive), // 7
            ("2001:db8::1", Reach::Prefix(64), Protocol::Tcp, vec![22], Flows::None), // 8
        ];
        let grants: Vec<_> = cases
            .iter()
            .map(|(source, reach, protocol, ports, _)| Grant {
                id: 1,
                client: 1,
                service: 1,
                source: source.parse().expect("an address"),
                reach: *reach,
                protocol: *protocol,
                ports: heapless::Vec::from_slice(ports).expect("few"),
                timeout: Duration::ZERO,
            })
            .collect();
        let mut found = vec![Flows::None; grants.len()];
        let bytes = flow("192.0.2.1", TCP, 22, Some(3), SEEN_REPLY);
        mark(&mut found, &grants, Messages(&bytes).next().expect("one message"));
        let quiet = flow("192.0.3.2", TCP, 22, Some(7), SEEN_REPLY);
        mark(&mut found, &grants, Messages(&quiet).next().expect("one message"));
        for (number, (found, case)) in found.iter().zip(&cases).enumerate() {
            assert_eq!(*found, case.4, "{}", number + 1);
        }
    }

    #[test]
    fn flows_cut_at_every_length_are_none() {
        let whole = flow("2001:db8::1", TCP, 22, Some(3), SEEN_REPLY);
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            if let Some(stated) = cut.get_mut(..4) {
                stated.copy_from_slice(&u32::try_from(length).expect("short").to_ne_bytes());
            }
            assert_eq!(Messages(&cut).next().and_then(read), None, "{length}");
        }
    }

    /// As ctnetlink writes it, the state last.
    fn flow(source: &str, protocol: u8, port: u16, state: Option<u8>, status: u32) -> Vec<u8> {
        let mut out = Encoder::default();
        out.begin(CT_NEW, 0, 1, 2, 0);
        let tuple = out.nest(TUPLE_ORIG);
        let address = out.nest(TUPLE_IP);
        match source.parse().expect("an address") {
            IpAddr::V4(v4) => {
                out.attribute(V4_SRC, &v4.octets());
                out.attribute(2, &[192, 0, 2, 99]);
            }
            IpAddr::V6(v6) => {
                out.attribute(V6_SRC, &v6.octets());
                out.attribute(4, &[9; 16]);
            }
        }
        out.end_nest(address);
        let transport = out.nest(TUPLE_PROTO);
        out.attribute(PROTO_NUM, &[protocol]);
        out.attribute(2, &50_000_u16.to_be_bytes());
        out.attribute(DST_PORT, &port.to_be_bytes());
        out.end_nest(transport);
        out.end_nest(tuple);
        out.attribute(STATUS, &status.to_be_bytes());
        if let Some(state) = state {
            let info = out.nest(PROTOINFO);
            let tcp = out.nest(PROTOINFO_TCP);
            out.attribute(TCP_STATE, &[state]);
            out.end_nest(tcp);
            out.end_nest(info);
        }
        out.end();
        out.as_bytes().to_vec()
    }
}
