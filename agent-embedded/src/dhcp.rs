//! Machines inside that ask for an address, and may hear the answer.
//!
//! They ask everybody and from no address, so no flow covers the answer. It is known by the number of the question and by the
//! card that asked. Only who stands inside can make the gateway wait for an answer.
//! Source: RFC 2131 for IPv4, RFC 8415 for IPv6.

use core::net::IpAddr;

use heapless::Vec;
use knockgate_core::Instant;
use smoltcp::wire::EthernetAddress;

use crate::frame::{Ends, Frame, Segment, Transport};
use crate::limits::{DHCP_WAIT, DHCP_WAITS};

const CLIENT_V4: u16 = 68;
const SERVER_V4: u16 = 67;
const CLIENT_V6: u16 = 546;
const SERVER_V6: u16 = 547;

const UDP_HEADER: usize = 8;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// From RFC 8415, section 7.3: advertise and reply. What a server says of its own accord is not waited for.
const ANSWERS_V6: [u8; 2] = [2, 7];

/// What question and answer have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    number: u32,
    hardware: EthernetAddress,
    tag: Option<u16>,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// The questions that are open.
pub(crate) struct Waits(Vec<(Question, Instant), DHCP_WAITS>);

impl Waits {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes note of a frame from inside, if it is a question.
    pub(crate) fn goes_out(&mut self, now: Instant, frame: &Frame<'_>, segment: &Segment<'_>) {
        let Some(question) = asked(frame, segment) else { return };
        self.0.retain(|(other, until)| *until > now && *other != question);
        if self.0.is_full() {
            // The oldest: each is put at the end, also when it is asked again.
            self.0.remove(0);
        }
        // There is room now.
        let _ = self.0.push((question, now.after(DHCP_WAIT)));
    }

    /// Whether a frame from outside is an answer that is waited for. Several servers may answer.
    pub(crate) fn lets_in(&self, now: Instant, frame: &Frame<'_>, segment: &Segment<'_>) -> bool {
        let Some(answered) = answered(frame, segment) else { return false };
        self.0.iter().any(|(question, until)| *question == answered && *until > now)
    }
}

fn asked(frame: &Frame<'_>, segment: &Segment<'_>) -> Option<Question> {
    let (family, message) = message(segment, Side::Client)?;
    let (number, hardware) = match family {
        Family::V4 if message.first() == Some(&REQUEST) => boot(message)?,
        Family::V4 => return None,
        Family::V6 => (number_v6(message)?, frame.from),
    };
    Some(Question { number, hardware, tag: frame.tag, family })
}

fn answered(frame: &Frame<'_>, segment: &Segment<'_>) -> Option<Question> {
    let (family, message) = message(segment, Side::Server)?;
    let (number, hardware) = match family {
        Family::V4 if message.first() == Some(&REPLY) => boot(message)?,
        Family::V4 => return None,
        Family::V6 if ANSWERS_V6.contains(message.first()?) => (number_v6(message)?, frame.to),
        Family::V6 => return None,
    };
    Some(Question { number, hardware, tag: frame.tag, family })
}

/// Who says something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

fn message<'a>(segment: &Segment<'a>, side: Side) -> Option<(Family, &'a [u8])> {
    let Ends { transport, source, target } = segment.ends;
    let (family, ports) = match source.0 {
        IpAddr::V4(_) => (Family::V4, (CLIENT_V4, SERVER_V4)),
        IpAddr::V6(_) => (Family::V6, (CLIENT_V6, SERVER_V6)),
    };
    let (from, to) = match side {
        Side::Client => ports,
        Side::Server => (ports.1, ports.0),
    };
    // A server of IPv6 may answer from any port. Source: RFC 8415, section 7.2 names only those that they listen on.
    let from_fits = source.1 == from || (family, side) == (Family::V6, Side::Server);
    let fits = transport == Transport::Udp && from_fits && target.1 == to;
    fits.then(|| segment.bytes.get(UDP_HEADER..)).flatten().map(|message| (family, message))
}

/// The number, and the card that asked, which relays leave alone.
fn boot(message: &[u8]) -> Option<(u32, EthernetAddress)> {
    const ETHERNET: [u8; 2] = [1, 6];
    let number = u32::from_be_bytes(*message.get(4..)?.first_chunk()?);
    let hardware = EthernetAddress(*message.get(28..)?.first_chunk()?);
    (message.get(1..3)? == ETHERNET).then_some((number, hardware))
}

/// The three bytes behind the kind.
fn number_v6(message: &[u8]) -> Option<u32> {
    let [_, a, b, c] = *message.first_chunk()?;
    Some(u32::from_be_bytes([0, a, b, c]))
}
