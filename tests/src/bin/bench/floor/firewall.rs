//! One element into an nftables set, written to netlink by hand and acknowledged by the kernel.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use knockgate_tests::scenes::SSH;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::door;

/// How long the port is open.
const OPEN: Duration = Duration::from_secs(1);

/// Messages of linux/netfilter/nfnetlink.h and nf_tables.h.
const NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_ELEMENT: u16 = NFTABLES << 8 | 12;
const FAMILY_INET: u8 = 1;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
/// Attributes, each by its number in the message or nest that it stands in.
const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_TIMEOUT: u16 = 4;
const DATA_VALUE: u16 = 1;
const NESTED: u16 = 0x8000;
/// `NLMSG_ERROR`: with the number 0 it is an acknowledgement.
const ERROR: u16 = 2;

pub(super) struct Firewall {
    socket: OwnedFd,
    message: Vec<u8>,
}

impl Firewall {
    pub(super) fn connect() -> Result<Self> {
        let netfilter = Some(netlink::NETFILTER);
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            netfilter,
        )?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket, message: Vec::with_capacity(512) })
    }

    /// Opens the guarded port for a source, and waits until the kernel has done so.
    pub(super) fn open(&mut self, source: Ipv4Addr) -> Result<()> {
        self.message.clear();
        write_batch(&mut self.message, source);
        rustix::net::send(&self.socket, &self.message, SendFlags::empty())
            .context("netlink does not take a rule")?;
        let mut answer = [0; 512];
        let (length, _) = rustix::net::recv(&self.socket, &mut answer, RecvFlags::empty())?;
        match error_in(answer.get(..length).unwrap_or_default()) {
            Some(0) => Ok(()),
            Some(number) => {
                Err(io::Error::from_raw_os_error(-number)).context("the kernel refuses an element")
            }
            None => bail!("netlink answers something else"),
        }
    }
}

fn write_batch(message: &mut Vec<u8>, source: Ipv4Addr) {
    header(message, BATCH_BEGIN, REQUEST, 0, NFTABLES, |_| ());
    header(message, NEW_ELEMENT, REQUEST | ACKNOWLEDGE | CREATE, FAMILY_INET, 0, |message| {
        attribute(message, LIST_TABLE, |message| text(message, door::TABLE));
        attribute(message, LIST_SET, |message| text(message, door::SET));
        attribute(message, LIST_ELEMENTS | NESTED, |message| {
            attribute(message, LIST_ELEMENT | NESTED, |message| element(message, source));
        });
    });
    header(message, BATCH_END, REQUEST, 0, NFTABLES, |_| ());
}

fn element(message: &mut Vec<u8>, source: Ipv4Addr) {
    attribute(message, ELEMENT_KEY | NESTED, |message| {
        attribute(message, DATA_VALUE, |message| {
            message.extend(source.octets());
            message.extend(SSH.to_be_bytes());
            // Each part of a key is filled up to four bytes.
            message.extend([0; 2]);
        });
    });
    let milliseconds = u64::try_from(OPEN.as_millis()).unwrap_or(u64::MAX);
    attribute(message, ELEMENT_TIMEOUT, |message| message.extend(milliseconds.to_be_bytes()));
}

fn header(
    message: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    family: u8,
    resource: u16,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = message.len();
    message.extend([0; 4]);
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([family, 0]);
    message.extend(resource.to_be_bytes());
    body(message);
    let length = u32::try_from(message.len() - start).expect("a message is short");
    message[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

fn attribute(message: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = message.len();
    message.extend([0; 2]);
    message.extend(kind.to_ne_bytes());
    body(message);
    let length = u16::try_from(message.len() - start).expect("an attribute is short");
    message[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    message.resize(message.len().next_multiple_of(4), 0);
}

fn text(message: &mut Vec<u8>, text: &str) {
    message.extend(text.as_bytes());
    message.push(0);
}

/// The number in an error message of netlink; 0 is success.
fn error_in(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let number = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == ERROR).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_three_messages_end_to_end() {
        let mut message = Vec::new();
        write_batch(&mut message, Ipv4Addr::new(10, 77, 2, 2));
        let mut rest = message.as_slice();
        let mut kinds = Vec::new();
        while let Some(length) = rest.get(..4) {
            let length = usize::try_from(u32::from_ne_bytes(length.try_into().unwrap())).unwrap();
            kinds.push(u16::from_ne_bytes([rest[4], rest[5]]));
            rest = &rest[length..];
        }
        assert_eq!(kinds, [BATCH_BEGIN, NEW_ELEMENT, BATCH_END]);
        assert!(message.windows(8).any(|key| key == [10, 77, 2, 2, 0, 22, 0, 0]));
    }

    #[test]
    fn an_error_of_zero_is_an_acknowledgement() {
        let answer = |kind: u16, number: i32| {
            let mut bytes = vec![0; 20];
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[16..20].copy_from_slice(&number.to_ne_bytes());
            bytes
        };
        assert_eq!(error_in(&answer(ERROR, 0)), Some(0));
        assert_eq!(error_in(&answer(ERROR, -2)), Some(-2));
        assert_eq!(error_in(&answer(3, 0)), None);
        assert_eq!(error_in(&[]), None);
    }
}
