//! Sockets that send and hear whole frames at one interface.

use anyhow::{Context, Result};
use rustix::net::netdevice::name_to_index;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use knockgate_tests::{Host, programs};

use crate::sys::{self, PacketOption};

/// `ETH_P_ALL` of linux/if_ether.h: every protocol, both directions.
pub(crate) const EVERY_PROTOCOL: u16 = 0x0003;
/// `ETH_P_IP` of linux/if_ether.h.
pub(crate) const IPV4: u16 = 0x0800;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// Room for the packets of a moment in which the reader does not run.
const BACKLOG_BYTES: usize = 8 << 20;

/// A socket for frames with their Ethernet header; it sends at an interface of the calling thread's namespace and hears nothing.
pub(crate) fn sender(interface: &str) -> Result<Socket> {
    let socket = unbound(Type::RAW)?;
    bind(&socket, interface, 0)?;
    sys::switch_on(&socket, PacketOption::PastTheQueue).context("packets cannot go past the queue")?;
    Ok(socket)
}

/// A socket that hears nothing until it is bound: `RAW` with the Ethernet header, `DGRAM` without.
pub(crate) fn unbound(kind: Type) -> Result<Socket> {
    Socket::new(Domain::PACKET, kind, None).context("no packet socket; run as root")
}

/// From now on the socket hears a protocol at an interface of the calling thread's namespace.
pub(crate) fn bind(socket: &Socket, interface: &str, protocol: u16) -> Result<()> {
    let index = name_to_index(socket, interface).with_context(|| format!("no interface {interface}"))?;
    let address = sys::interface_address(index, protocol)?;
    socket.bind(&address).with_context(|| format!("cannot bind a packet socket to {interface}"))
}

/// As much as a root may have; whoever is none gets what there is for everybody.
pub(crate) fn make_room(socket: &Socket) -> Result<()> {
    let forced = set_socket_recv_buffer_size_force(socket, BACKLOG_BYTES);
    forced.or_else(|_| socket.set_recv_buffer_size(BACKLOG_BYTES)).context("no room for packets")
}

/// The Ethernet address of a host's interface.
pub(crate) fn mac_of(host: &Host, interface: &str) -> Result<Mac> {
    let said = programs::output(host.command("ip").args(["-json", "link", "show", interface]))?;
    let links: Value = serde_json::from_str(&said)?;
    let address = links.pointer("/0/address").and_then(Value::as_str);
    let address = address.with_context(|| format!("{interface} has no Ethernet address: {said}"))?;
    parse_mac(address).with_context(|| format!("no Ethernet address: {address:?}"))
}

pub(crate) fn parse_mac(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ethernet_address_has_six_bytes() {
        assert_eq!(parse_mac("02:00:5e:10:00:ff"), Some([2, 0, 0x5e, 0x10, 0, 0xff]));
        assert_eq!(parse_mac("02:00:5e:10:00"), None);
        assert_eq!(parse_mac("02:00:5e:10:00:xx"), None);
    }
}
