//! Frames and packets, byte by byte.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const GATE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const BROADCAST_MAC: [u8; 6] = [0xff; 6];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

pub(crate) const V4: u16 = 0x0800;
pub(crate) const V6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const SYN: u8 = 2;
const SOURCE_PORT: u16 = 50_000;

pub(crate) fn frame(to: [u8; 6], kind: u16, packet: &[u8]) -> Vec<u8> {
    [&to[..], &CLIENT_MAC, &kind.to_be_bytes(), packet].concat()
}

/// With the tag of a VLAN; number 0 says nothing but a priority.
pub(crate) fn tagged(number: u16, kind: u16, packet: &[u8]) -> Vec<u8> {
    let priority = 5 << 13;
    let inside = [priority | number, kind].map(u16::to_be_bytes).concat();
    frame(GATE_MAC, VLAN, &[&inside, packet].concat())
}

pub(crate) fn v4(to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    fragment_v4(to, 0, protocol, payload)
}

pub(crate) fn fragment_v4(to: Ipv4Addr, fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).expect("short");
    let head = [0x4500, length, 0, fragment, 0x4000 | u16::from(protocol), 0].map(u16::to_be_bytes).concat();
    [&head[..], &[10, 1, 0, 2], &to.octets(), payload].concat()
}

pub(crate) fn v6(to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let from: Ipv6Addr = "fd01::2".parse().expect("an address");
    let [high, low] = u16::try_from(payload.len()).expect("short").to_be_bytes();
    [&[0x60, 0, 0, 0, high, low, next, 64][..], &from.octets(), &to.octets(), payload].concat()
}

pub(crate) fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("short");
    [&[SOURCE_PORT, port, length, 0].map(u16::to_be_bytes).concat(), payload].concat()
}

pub(crate) fn segment(port: u16, flags: u8) -> Vec<u8> {
    let ports = [SOURCE_PORT, port].map(u16::to_be_bytes).concat();
    [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0]].concat()
}
