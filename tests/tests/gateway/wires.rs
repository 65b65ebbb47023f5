//! Frames as they are: what no socket can send or hear.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use knockgate_tests::Lab;
use knockgate_tests::gateways::Wire;
use knockgate_tests::harness::{Story, gateway_story};
use knockgate_tests::pings::checksum;
use knockgate_tests::scenarios::stage::Plan;

use super::site;

const PATIENCE: Duration = Duration::from_secs(1);
const INSIDE: Host = Host { hardware: [2, 0, 0, 0, 0, 0x10], address: Ipv4Addr::new(10, 77, 1, 10) };
const OUTSIDE: Host = Host { hardware: [2, 0, 0, 0, 0, 0x01], address: Ipv4Addr::new(10, 77, 1, 1) };
/// Longest payload of a UDP datagram in one frame.
const FULL: usize = 1500 - 20 - 8;

pub(crate) fn stories() -> Vec<Story> {
    vec![gateway_story("a host in a VLAN talks out, full frames too, and is reached in no other VLAN", vlan)]
}

/// A host as frames know it.
#[derive(Clone, Copy)]
struct Host {
    hardware: [u8; 6],
    address: Ipv4Addr,
}

/// Which VLAN a frame is tagged for.
type Tag = Option<u16>;

fn vlan(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet())?;
    let (gateway, ..) = site.gateway()?;
    gateway.cut_power()?;
    let [outer, inner] = gateway.take_ports()?;
    gateway.start()?;

    for (length, port) in [(20, 5000), (FULL, 5001)] {
        let there = datagram(Some(5), INSIDE, OUTSIDE, port, length);
        let back = |tag| datagram(tag, OUTSIDE, INSIDE, port, length);
        ensure!(!passes(&outer, &inner, &back(Some(5)))?, "what nobody has asked for comes in");
        ensure!(passes(&inner, &outer, &there)?, "{length} bytes with a tag do not get out");
        ensure!(passes(&outer, &inner, &back(Some(5)))?, "the answer does not come in");
        for other in [None, Some(6)] {
            ensure!(!passes(&outer, &inner, &back(other))?, "an answer comes in with the tag {other:?}");
        }
    }
    let twice = tagged_twice(&datagram(Some(5), OUTSIDE, INSIDE, 5000, 20));
    ensure!(!passes(&outer, &inner, &twice)?, "a frame with two tags comes in");
    Ok(())
}

fn passes(from: &Wire, to: &Wire, frame: &[u8]) -> Result<bool> {
    from.send(frame)?;
    to.hears(frame, PATIENCE)
}

/// A UDP datagram in an Ethernet frame. The port is the same on both sides.
fn datagram(tag: Tag, from: Host, to: Host, port: u16, length: usize) -> Vec<u8> {
    let word = |value: usize| u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![0x45, 0];
    packet.extend(word(20 + 8 + length));
    packet.extend([0, 1, 0x40, 0, 64, 17, 0, 0]);
    packet.extend(from.address.octets());
    packet.extend(to.address.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(port.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend(word(8 + length));
    // IPv4 allows a datagram without a sum.
    packet.extend([0, 0]);
    packet.resize(packet.len() + length, b'.');

    let mut frame = [to.hardware, from.hardware].concat();
    if let Some(tag) = tag {
        frame.extend([0x81, 0x00]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend([0x08, 0x00]);
    frame.extend(packet);
    // The shortest frame without its sum.
    frame.resize(frame.len().max(60), 0);
    frame
}

/// With a second tag in front of the first.
fn tagged_twice(frame: &[u8]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &[0x81, 0x00, 0, 7], rest].concat()
}
