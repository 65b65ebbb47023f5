//! The profile: the one file that a client needs to knock at a gate. It is made by the gate and holds secrets.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::file::{self, FileError, Format};
use crate::key::{DoorKey, GateId, PublicKey, SecretKey};
use crate::limits::{MAX_ADDRESS, MAX_CLIENT_SERVICES};
use crate::roster::Name;

/// Transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The number in the IP header.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// A service that the client may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileService {
    /// Names it in requests.
    pub id: u16,
    /// What people call it.
    pub name: Name,
    /// How to reach it once it is open.
    pub protocol: Protocol,
    /// Its first port.
    pub port: u16,
    /// Where it is.
    pub hosts: Hosts,
}

impl ProfileService {
    /// The address to connect to once it is open at the address `gate` of the gate; `None` if it has none in that family.
    pub fn address(&self, gate: IpAddr) -> Option<IpAddr> {
        let Hosts { v4, v6 } = self.hosts;
        match gate {
            _ if self.hosts == Hosts::AT_GATE => Some(gate),
            IpAddr::V4(_) => v4.map(IpAddr::V4),
            IpAddr::V6(_) => v6.map(IpAddr::V6),
        }
    }
}

/// The machines behind a gateway that offer a service, one of each family at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// Where it is for those who come over IPv4.
    pub v4: Option<Ipv4Addr>,
    /// Likewise for IPv6.
    pub v6: Option<Ipv6Addr>,
}

impl Hosts {
    /// Nobody behind the gate: the service is at the gate's own addresses.
    pub const AT_GATE: Self = Self { v4: None, v6: None };

    /// The first of each family.
    pub fn first_of(hosts: &[IpAddr]) -> Self {
        let v4 = hosts.iter().find_map(|host| match host {
            IpAddr::V4(host) => Some(*host),
            IpAddr::V6(_) => None,
        });
        let v6 = hosts.iter().find_map(|host| match host {
            IpAddr::V4(_) => None,
            IpAddr::V6(host) => Some(*host),
        });
        Self { v4, v6 }
    }
}

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// The lowest, not 0.
    pub first: u16,
    /// The highest, not below `first`.
    pub last: u16,
}

impl PortRange {
    /// Whether it holds a port at all.
    pub fn is_valid(self) -> bool {
        self.first != 0 && self.first <= self.last
    }
}

/// All that a client needs.
#[derive(Clone, Serialize, Deserialize)]
pub struct Profile {
    /// The client's name on the gate's roster.
    pub client: Name,
    /// Host name or address of the gate.
    pub address: String<MAX_ADDRESS>,
    /// TCP port of the secret handshake; 0 if the gate has none.
    pub central_port: u16,
    /// UDP ports for packet knocks, each as good as the other; none if the gate takes none.
    pub packet_ports: Option<PortRange>,
    /// Which gate it is.
    pub gate: GateId,
    /// Proves that it is the gate.
    pub gate_key: PublicKey,
    /// Makes messages worth looking at.
    pub door_key: DoorKey,
    /// Proves that it is the client; none in a profile for a client that has made its key itself.
    pub secret: Option<SecretKey>,
    /// What the client may ask for; the first is asked when none is named.
    pub services: Vec<ProfileService, MAX_CLIENT_SERVICES>,
    /// What the client knocks from.
    pub book: Book,
}

/// The second version: every service is at the gate.
#[derive(Deserialize)]
struct ProfileV2 {
    client: Name,
    address: String<MAX_ADDRESS>,
    central_port: u16,
    packet_ports: Option<PortRange>,
    gate: GateId,
    gate_key: PublicKey,
    door_key: DoorKey,
    secret: Option<SecretKey>,
    services: Vec<ServiceV2, MAX_CLIENT_SERVICES>,
    book: Book,
}

/// Of the first and the second version.
#[derive(Deserialize)]
struct ServiceV2 {
    id: u16,
    name: Name,
    protocol: Protocol,
    port: u16,
}

impl From<ServiceV2> for ProfileService {
    fn from(old: ServiceV2) -> Self {
        let ServiceV2 { id, name, protocol, port } = old;
        Self { id, name, protocol, port, hosts: Hosts::AT_GATE }
    }
}

impl From<ProfileV2> for Profile {
    fn from(old: ProfileV2) -> Self {
        let ProfileV2 { client, address, central_port, packet_ports, gate, gate_key, .. } = old;
        let ProfileV2 { door_key, secret, services, book, .. } = old;
        let services = services.into_iter().map(ProfileService::from).collect();
        Self { client, address, central_port, packet_ports, gate, gate_key, door_key, secret, services, book }
    }
}

/// The first version: a secret key always, no packet knocks.
#[derive(Deserialize)]
struct ProfileV1 {
    client: Name,
    address: String<MAX_ADDRESS>,
    central_port: u16,
    gate: GateId,
    gate_key: PublicKey,
    door_key: DoorKey,
    secret: SecretKey,
    services: Vec<ServiceV2, MAX_CLIENT_SERVICES>,
    book: Book,
}

impl From<ProfileV1> for Profile {
    fn from(old: ProfileV1) -> Self {
        let ProfileV1 { client, address, central_port, gate, gate_key, door_key, secret, services, book } =
            old;
        let (packet_ports, secret) = (None, Some(secret));
        Self::from(ProfileV2 {
            client,
            address,
            central_port,
            packet_ports,
            gate,
            gate_key,
            door_key,
            secret,
            services,
            book,
        })
    }
}

const FORMAT: Format = Format { mark: *b"KGpr", version: 3 };
const FORMAT_V2: Format = Format { version: 2, ..FORMAT };
const FORMAT_V1: Format = Format { version: 1, ..FORMAT };

impl Profile {
    /// Longest file of a profile, in bytes.
    pub const MAX_FILE: usize = 1536;

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&ProfileService> {
        self.services.iter().find(|service| service.name.as_str() == name)
    }

    /// Writes the profile's file into `buffer` ([`Profile::MAX_FILE`] bytes are enough) and returns the part that is the file.
    ///
    /// # Errors
    /// [`FileError::TooLong`] if the buffer is too small.
    pub fn encode<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8], FileError> {
        file::encode(FORMAT, self, buffer)
    }

    /// Reads a profile's file.
    ///
    /// # Errors
    /// [`FileError`] says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        match file::decode(FORMAT, bytes) {
            Err(FileError::Version(2)) => file::decode::<ProfileV2>(FORMAT_V2, bytes).map(Self::from),
            Err(FileError::Version(1)) => file::decode::<ProfileV1>(FORMAT_V1, bytes).map(Self::from),
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{DecoySeed, Shape};
    use crate::testing::TestRng;

    #[test]
    fn the_longest_profile_fits_its_buffer() {
        let mut rng = TestRng::new(1);
        let name: Name = "n2345678901234567890123456789012".parse().unwrap();
        let shape = Shape::new(65_536, 16, 1024, 60_000..=65_535).unwrap();
        let decoy_seed = DecoySeed::from_bytes([255; 32]);
        let service = ProfileService {
            id: u16::MAX,
            name: name.clone(),
            protocol: Protocol::Udp,
            port: u16::MAX,
            hosts: Hosts { v4: Some(Ipv4Addr::BROADCAST), v6: Some(Ipv6Addr::LOCALHOST) },
        };
        let profile = Profile {
            client: name,
            address: "a".repeat(MAX_ADDRESS).as_str().try_into().unwrap(),
            central_port: u16::MAX,
            packet_ports: Some(PortRange { first: u16::MAX, last: u16::MAX }),
            gate: GateId([255; 16]),
            gate_key: PublicKey([255; 32]),
            door_key: DoorKey::from_bytes([255; 32]),
            secret: Some(SecretKey::from_bytes([255; 32])),
            services: core::iter::repeat_n(service, MAX_CLIENT_SERVICES).collect(),
            book: Book::generate(shape, decoy_seed, &mut rng),
        };

        let mut buffer = [0; Profile::MAX_FILE];
        let file = profile.encode(&mut buffer).unwrap();

        assert_eq!(file.len(), 1501);
        assert_eq!(Profile::decode(file).unwrap().services, profile.services);
    }

    /// For whoever comes over IPv4, and over IPv6.
    type ByFamily = [Option<&'static str>; 2];

    #[test]
    fn a_service_is_where_its_host_of_that_family_is_and_else_at_the_gate() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(at);
        #[rustfmt::skip]
        let cases: [(u32, &[&str], ByFamily); 5] = [
            (1, &[], [Some("192.0.2.1"), Some("2001:db8::1")]),
            (2, &["192.0.2.100"], [Some("192.0.2.100"), None]),
            (3, &["2001:db8::100"], [None, Some("2001:db8::100")]),
            (4, &["2001:db8::100", "192.0.2.100"], [Some("192.0.2.100"), Some("2001:db8::100")]),
            (5, &["192.0.2.101", "192.0.2.100"], [Some("192.0.2.101"), None]),
        ];
        for (case, hosts, expected) in cases {
            let hosts: std::vec::Vec<_> = hosts.iter().copied().map(at).collect();
            let service = ProfileService {
                id: 1,
                name: "ssh".parse().unwrap(),
                protocol: Protocol::Tcp,
                port: 22,
                hosts: Hosts::first_of(&hosts),
            };
            let found = [v4, v6].map(|gate| service.address(gate));
            assert_eq!(found, expected.map(|address| address.map(at)), "case {case}");
        }
    }
}
