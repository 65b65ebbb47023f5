//! From configuration, keys and roster to what a site image holds.

use anyhow::{Context, bail};
use knockgate_core::book::Book;
use knockgate_core::limits::MAX_GATEWAY_CLIENTS;
use knockgate_core::profile::PortRange;
use knockgate_core::site::{Draft, Head, PacketPorts, SiteClient, SiteService};
use knockgate_core::{Name, UnixTime};

use crate::admin::SetUp;
use crate::config::{self, Config, Gateway, Packet, PacketMode, Service};
use crate::run::Loader;
use crate::state::RosterFile;

/// Everything that goes into an image.
pub(super) struct Site {
    pub(super) head: Head,
    services: Vec<SiteService>,
    clients: Vec<SiteClient>,
    books: Vec<Book>,
    policies: Vec<CompiledPolicy>,
}

struct CompiledPolicy {
    name: Name,
    rights: Vec<u8>,
    code: Vec<u8>,
}

/// First guess at the bytes of everything but the policies; an image that needs more gets more.
const BYTES: usize = 32 * 1024;
/// No board has room for a longer one.
const MAX_IMAGE: usize = 16 * 1024 * 1024;

impl Site {
    /// Puts it together, or says what keeps a gateway from it. The serial number is not known yet.
    pub(super) fn of(gate: &SetUp, roster: &RosterFile, now: UnixTime) -> anyhow::Result<Self> {
        let config = &gate.config;
        let Some(gateway) = &config.gateway else {
            bail!(
                "{}: has no [gateway], so it is for a server; add that table, or make a configuration with `knockgated init \
                 --gateway`",
                config.path.display()
            );
        };
        Ok(Self {
            head: head(gate, gateway, now),
            services: config.services.iter().map(service).collect(),
            clients: clients(roster)?,
            books: books(gate, roster)?,
            policies: policies(config)?,
        })
    }

    /// The image, to be signed.
    pub(super) fn write(&self) -> anyhow::Result<Vec<u8>> {
        let policies: Vec<_> = self
            .policies
            .iter()
            .map(|policy| (policy.name.clone(), &*policy.rights, &*policy.code))
            .collect();
        let draft = Draft {
            head: &self.head,
            services: &self.services,
            clients: &self.clients,
            books: &self.books,
            policies: &policies,
        };
        let code: usize = self.policies.iter().map(|policy| policy.code.len()).sum();
        let mut buffer = vec![0; BYTES + code];
        loop {
            match draft.write(&mut buffer).map(<[u8]>::len) {
                Ok(length) => {
                    buffer.truncate(length);
                    return Ok(buffer);
                }
                Err(_) if buffer.len() < MAX_IMAGE => buffer.resize(buffer.len() * 2, 0),
                Err(error) => return Err(error).context("the site is too large for any board"),
            }
        }
    }
}

fn head(gate: &SetUp, gateway: &Gateway, now: UnixTime) -> Head {
    let SetUp { config, identity, .. } = gate;
    let Config { packet, sequence, lockout, .. } = config;
    Head {
        serial: 0,
        made: now,
        name: gateway.name.clone(),
        gate: identity.id,
        identity: identity.secret.clone(),
        door_keys: identity.door.at(Some(now)),
        decoy_seed: identity.decoy_seed().clone(),
        shape: sequence.shape,
        mode: sequence.mode,
        order: sequence.order,
        hold_ms: milliseconds(sequence.hold),
        strays: sequence.strays,
        lockout_s: u32::try_from(lockout.duration.as_secs()).unwrap_or(u32::MAX),
        lockout_scope: lockout.scope.into(),
        max_age_ms: packet.max_age.map(milliseconds),
        ipv4: gateway.ipv4,
        ipv6: gateway.ipv6,
        central_port: config.central.map(|central| central.port),
        packet_ports: packet_ports(packet),
        console: gateway.console,
    }
}

/// The configuration allows none that is longer than a day.
fn milliseconds(time: std::time::Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn packet_ports(packet: &Packet) -> PacketPorts {
    match (packet.mode, &packet.ports) {
        (PacketMode::Off, _) => PacketPorts::Off,
        (PacketMode::Watch | PacketMode::Socket, config::PacketPorts::Any) => PacketPorts::Any,
        (PacketMode::Watch | PacketMode::Socket, config::PacketPorts::Listed(ranges)) => {
            let range = |range: &std::ops::RangeInclusive<u16>| PortRange {
                first: *range.start(),
                last: *range.end(),
            };
            PacketPorts::Listed(ranges.iter().map(range).collect())
        }
    }
}

fn service(service: &Service) -> SiteService {
    SiteService {
        service: service.into(),
        name: service.name.clone(),
        protocol: service.protocol,
        ports: service.ports.iter().copied().collect(),
        hosts: service.hosts.iter().copied().collect(),
    }
}

fn clients(roster: &RosterFile) -> anyhow::Result<Vec<SiteClient>> {
    let count = roster.clients().len();
    if count > MAX_GATEWAY_CLIENTS {
        bail!(
            "{count} clients are enrolled, and a gateway has room for {MAX_GATEWAY_CLIENTS}; `knockgated client remove NAME` \
             takes one away"
        );
    }
    let secret_of =
        |id| roster.second_factors().find(|(client, _)| *client == id).map(|(_, secret)| secret.clone());
    let clients = roster.clients().iter();
    Ok(clients.map(|client| SiteClient { client: client.clone(), totp: secret_of(client.id) }).collect())
}

/// The books that clients knock from. A shared one that nobody has is of no use there.
fn books(gate: &SetUp, roster: &RosterFile) -> anyhow::Result<Vec<Book>> {
    let mut books: Vec<Book> = Vec::new();
    for client in roster.clients() {
        let book = &roster
            .book(client.book)
            .context("the roster lacks a client's book; restore it from a backup")?
            .book;
        if !gate.identity.fits(book) {
            bail!(
                "the book of client {0} is for other decoys than this gate's; `knockgated client remove {0}`, and enrol it again",
                client.name
            );
        }
        if !books.iter().any(|other| other.id() == book.id()) {
            books.push(book.clone());
        }
    }
    Ok(books)
}

fn policies(config: &Config) -> anyhow::Result<Vec<CompiledPolicy>> {
    let loader = Loader::new(config)?;
    let compile = |name: &Name| {
        let compiled = loader.compile(name)?;
        Ok(CompiledPolicy { name: name.clone(), rights: compiled.rights.encode(), code: compiled.code })
    };
    config.policy.chain.iter().map(compile).collect()
}
