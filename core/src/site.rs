//! The site image: everything that makes a generic gateway firmware the gateway of one site. Made by the agent's tools,
//! flashed beside the firmware or sent to the console.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | the letters `KGsi` |
//! | 4 | version, 1 |
//! | 5..8 | zeros |
//! | 8..12 | bytes of the content, little-endian |
//! | 12..16 | bytes of everything before the signature, little-endian |
//! | 16.. | the content: [`Head`], then services, clients, books and policies, each kind with its number in front, all in postcard |
//! | | zeros up to a multiple of 16; then the compiled policies in their order, each filled up likewise |
//! | the last 74 | a [`Signature`] of all that |
//!
//! It holds the gate's keys: whoever reads it can pretend to be the gate. The signature is checked by the host, which knows the
//! owner's key. Reading needs no heap: clients and books are handed out one by one. Rule: `docs/protocol.md`, section 8.1.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::book::{Book, DecoySeed, Order, Shape};
use crate::gate::{LockoutScope, Service};
use crate::key::{DoorKey, GateId, SecretKey};
use crate::limits::{MAX_DOOR_KEYS, MAX_PACKET_RANGES, MAX_SERVICE_HOSTS, MAX_SERVICE_PORTS};
use crate::message::Mode;
use crate::profile::{PortRange, Protocol};
use crate::roster::{Client, Name};
use crate::time::UnixTime;
use crate::totp::TotpSecret;

const MARK: [u8; 4] = *b"KGsi";
const VERSION: u8 = 1;
/// Bytes in front of the content.
pub const HEADER_LEN: usize = 16;
/// What compiled policies are aligned to, from the image's first byte.
pub const ALIGNMENT: usize = 16;
/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 2 + 8 + 64;

/// The gateway's address in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OuterAddress<A> {
    /// The address itself.
    pub address: A,
    /// Bits of it that its neighbours share.
    pub prefix: u8,
    /// The way to everybody else; `None` if there is nobody else.
    pub router: Option<A>,
}

/// Where packet knocks come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacketPorts {
    /// Nowhere.
    Off,
    /// At these UDP ports.
    Listed(Vec<PortRange, MAX_PACKET_RANGES>),
    /// At every UDP port.
    Any,
}

/// The gate's console, where it can be reached from afar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    /// The service that stands for it.
    pub service: u16,
    /// Its TCP port at the gateway's own address, open under a grant of that service alone.
    pub port: u16,
}

/// What there is one of.
#[derive(Clone, Serialize, Deserialize)]
pub struct Head {
    /// Grows with every image of a site. An older one is not taken over the air.
    pub serial: u32,
    /// When it was made.
    pub made: UnixTime,
    /// What people call the site.
    pub name: Name,
    /// Names the gate.
    pub gate: GateId,
    /// Its private key.
    pub identity: SecretKey,
    /// The keys that messages are sealed under, the one in force first.
    pub door_keys: Vec<DoorKey, MAX_DOOR_KEYS>,
    /// Its decoys are drawn by this.
    pub decoy_seed: DecoySeed,
    /// And in this shape.
    pub shape: Shape,
    /// How a sequence is knocked.
    pub mode: Mode,
    /// Whether its ports must come in order.
    pub order: Order,
    /// Milliseconds of a hold.
    pub hold_ms: u32,
    /// Wrong probes that [`Mode::Closed`] forgives.
    pub strays: u8,
    /// Seconds of a lockout.
    pub lockout_s: u32,
    /// Whom it locks out.
    pub lockout_scope: LockoutScope,
    /// Milliseconds of the oldest message that is served; none if any age will do.
    pub max_age_ms: Option<u32>,
    /// The gateway's own IPv4 address.
    pub ipv4: Option<OuterAddress<Ipv4Addr>>,
    /// Its own IPv6 address.
    pub ipv6: Option<OuterAddress<Ipv6Addr>>,
    /// TCP port of the secret handshake, if there is one.
    pub central_port: Option<u16>,
    /// Where packet knocks come in.
    pub packet_ports: PacketPorts,
    /// The console, if it can be reached from afar.
    pub console: Option<Console>,
}

/// A service of hosts behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteService {
    /// What the gate knows of it.
    pub service: Service,
    /// What people call it.
    pub name: Name,
    /// How it is reached.
    pub protocol: Protocol,
    /// Its ports.
    pub ports: Vec<u16, MAX_SERVICE_PORTS>,
    /// The hosts that offer it. None of the console.
    pub hosts: Vec<IpAddr, MAX_SERVICE_HOSTS>,
}

/// A client.
#[derive(Clone, Serialize, Deserialize)]
pub struct SiteClient {
    /// As on the roster.
    pub client: Client,
    /// The secret of the second factor, if it has one.
    pub totp: Option<TotpSecret>,
}

/// A policy of the chain, in the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitePolicy<'a> {
    /// What the site calls it.
    pub name: Name,
    /// What it may do: the policy host's `Rights` in postcard.
    #[serde(borrow)]
    pub rights: &'a [u8],
    /// Bytes of the compiled policy.
    pub length: u32,
}

/// Who made an image: minisign's signature, without its comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Names the key.
    pub key_id: [u8; 8],
    /// Ed25519 over the BLAKE2b-512 of everything before it.
    pub bytes: [u8; 64],
}

impl Signature {
    /// `ED`: hashed before it is signed. The only algorithm that is accepted.
    const ALGORITHM: [u8; 2] = *b"ED";

    /// Reads minisign's binary form; `None` if it is of another algorithm.
    pub fn read(bytes: &[u8; SIGNATURE_LEN]) -> Option<Self> {
        let (algorithm, rest) = bytes.split_first_chunk::<2>()?;
        let (key_id, signature) = rest.split_first_chunk::<8>()?;
        let bytes = *signature.first_chunk::<64>()?;
        (*algorithm == Self::ALGORITHM).then_some(Self { key_id: *key_id, bytes })
    }
}

/// An image and who made it, as it lies in flash or in a file. What follows it is left out.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// What is signed. Nothing in it is to be believed before the signature is checked.
    pub image: &'a [u8],
    /// By whom.
    pub signature: Signature,
}

/// Why bytes are no site image for this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteError {
    /// Something else, or nothing at all.
    NotOne,
    /// Laid out in another way.
    Version(u8),
    /// Cut off.
    Truncated,
    /// Signed in a way that is not accepted.
    Algorithm,
    /// What is in it cannot be read.
    Nonsense,
    /// Nothing that was read: what shall be written is longer than the room for it.
    NoRoom,
}

impl core::fmt::Display for SiteError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotOne => f.write_str("no site image; make one with `knockgated gateway image`"),
            Self::Version(version) => write!(
                f,
                "a site image of version {version}, and this release reads version {VERSION}; use tools and firmware of one \
                 release"
            ),
            Self::Truncated => f.write_str("a site image that is cut off; write all of it"),
            Self::Algorithm => {
                f.write_str("a site image signed in another way than minisign's; sign it again")
            }
            Self::Nonsense => f.write_str(
                "a site image whose content makes no sense; use tools and firmware of one release",
            ),
            Self::NoRoom => f.write_str(
                "a site that is longer than the room for it; use fewer clients, services or policies",
            ),
        }
    }
}

impl core::error::Error for SiteError {}

impl<'a> Signed<'a> {
    /// Finds the image at the beginning of `bytes`.
    ///
    /// # Errors
    /// There is none, or it is not whole.
    pub fn find(bytes: &'a [u8]) -> Result<Self, SiteError> {
        let header = bytes.first_chunk::<HEADER_LEN>().ok_or(SiteError::NotOne)?;
        if !header.starts_with(&MARK) {
            return Err(SiteError::NotOne);
        }
        let version = header.get(4).copied().unwrap_or_default();
        if version != VERSION {
            return Err(SiteError::Version(version));
        }
        let length = field(header, 12).ok_or(SiteError::Truncated)?;
        let (image, rest) = bytes.split_at_checked(length).ok_or(SiteError::Truncated)?;
        let signature = rest.first_chunk::<SIGNATURE_LEN>().ok_or(SiteError::Truncated)?;
        Ok(Self { image, signature: Signature::read(signature).ok_or(SiteError::Algorithm)? })
    }

    /// Bytes of image and signature.
    pub fn length(&self) -> usize {
        self.image.len() + SIGNATURE_LEN
    }
}

/// An image that was read. Its lists are read as they are asked for, and were all read once before.
#[derive(Clone)]
pub struct Site<'a> {
    /// What there is one of.
    pub head: Head,
    services: List<'a>,
    clients: List<'a>,
    books: List<'a>,
    policies: List<'a>,
    code: &'a [u8],
}

#[derive(Clone, Copy)]
struct List<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> Site<'a> {
    /// Reads an image whose signature was checked.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn read(image: &'a [u8]) -> Result<Self, SiteError> {
        let content = field(image, 8).ok_or(SiteError::Truncated)?;
        let content =
            image.get(HEADER_LEN..).and_then(|rest| rest.get(..content)).ok_or(SiteError::Truncated)?;
        let (head, rest) = postcard::take_from_bytes::<Head>(content).map_err(|_| SiteError::Nonsense)?;
        let (services, rest) = List::take::<SiteService>(rest)?;
        let (clients, rest) = List::take::<SiteClient>(rest)?;
        let (books, rest) = List::take::<Book>(rest)?;
        let (policies, rest) = List::take::<SitePolicy<'a>>(rest)?;
        let code = image.get(aligned(HEADER_LEN + content.len())..).ok_or(SiteError::Truncated)?;
        let site = Self { head, services, clients, books, policies, code };
        let code_len =
            site.policies().map(|(policy, code)| code.map(|_| padded(&policy))).sum::<Option<usize>>();
        if !rest.is_empty() || code_len != Some(code.len()) {
            return Err(SiteError::Nonsense);
        }
        Ok(site)
    }

    /// What is guarded.
    pub fn services(&self) -> impl Iterator<Item = SiteService> + 'a {
        self.services.items()
    }

    /// Who may knock.
    pub fn clients(&self) -> impl Iterator<Item = SiteClient> + 'a {
        self.clients.items()
    }

    /// How many may knock.
    pub fn client_count(&self) -> u32 {
        self.clients.count
    }

    /// What they knock from.
    pub fn books(&self) -> impl Iterator<Item = Book> + 'a {
        self.books.items()
    }

    /// The policies and their compiled files.
    fn policies(&self) -> impl Iterator<Item = (SitePolicy<'a>, Option<&'a [u8]>)> + 'a {
        let mut rest = self.code;
        self.policies.items().map(move |policy: SitePolicy<'a>| {
            let code = rest.get(..policy.length as usize);
            rest = rest.get(padded(&policy)..).unwrap_or_default();
            (policy, code)
        })
    }

    /// Who decides: the policies of the chain in the order in which they are asked, with their compiled files.
    pub fn chain(&self) -> impl Iterator<Item = (SitePolicy<'a>, &'a [u8])> + 'a {
        self.policies().filter_map(|(policy, code)| Some((policy, code?)))
    }
}

impl<'a> List<'a> {
    /// A list at the beginning of `bytes`, and what follows it.
    fn take<T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), SiteError> {
        let (count, items) = postcard::take_from_bytes::<u32>(bytes).map_err(|_| SiteError::Nonsense)?;
        // Every item has a byte at least, so the walk ends with the bytes, whatever the count says.
        let mut rest = items;
        for _ in 0..count {
            (_, rest) = postcard::take_from_bytes::<T>(rest).map_err(|_| SiteError::Nonsense)?;
        }
        Ok((Self { count, bytes: items }, rest))
    }

    fn items<T: Deserialize<'a>>(self) -> impl Iterator<Item = T> + 'a {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| {
            let (item, after) = postcard::take_from_bytes::<T>(rest).ok()?;
            rest = after;
            Some(item)
        })
    }
}

/// Everything that goes into an image.
pub struct Draft<'a> {
    /// What there is one of.
    pub head: &'a Head,
    /// What is guarded.
    pub services: &'a [SiteService],
    /// Who may knock.
    pub clients: &'a [SiteClient],
    /// What they knock from.
    pub books: &'a [Book],
    /// Who decides: name, rights in postcard, compiled file.
    pub policies: &'a [(Name, &'a [u8], &'a [u8])],
}

impl Draft<'_> {
    /// Writes the image, which is then to be signed and its signature put behind it.
    ///
    /// # Errors
    /// [`SiteError::NoRoom`] if `buffer` is too short.
    pub fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], SiteError> {
        buffer.fill(0);
        let mut at = HEADER_LEN;
        put(self.head, buffer, &mut at)?;
        put_all(self.services, buffer, &mut at)?;
        put_all(self.clients, buffer, &mut at)?;
        put_all(self.books, buffer, &mut at)?;
        put(&count(self.policies)?, buffer, &mut at)?;
        for (name, rights, code) in self.policies {
            let length = u32::try_from(code.len()).map_err(|_| SiteError::NoRoom)?;
            put(&SitePolicy { name: name.clone(), rights, length }, buffer, &mut at)?;
        }
        let content = at - HEADER_LEN;
        for (_, _, code) in self.policies {
            at = aligned(at);
            let place = buffer.get_mut(at..).and_then(|rest| rest.get_mut(..code.len()));
            place.ok_or(SiteError::NoRoom)?.copy_from_slice(code);
            at += code.len();
        }
        at = aligned(at);
        let image = buffer.get_mut(..at).ok_or(SiteError::NoRoom)?;
        let (header, _) = image.split_first_chunk_mut::<HEADER_LEN>().ok_or(SiteError::NoRoom)?;
        *header = header_of(content, at)?;
        Ok(image)
    }
}

fn header_of(content: usize, whole: usize) -> Result<[u8; HEADER_LEN], SiteError> {
    let mut header = [0; HEADER_LEN];
    let number = |value: usize| u32::try_from(value).map_err(|_| SiteError::NoRoom);
    let [first, second, third, fourth] = header.as_chunks_mut::<4>().0 else {
        return Err(SiteError::NoRoom);
    };
    *first = MARK;
    *second = [VERSION, 0, 0, 0];
    *third = number(content)?.to_le_bytes();
    *fourth = number(whole)?.to_le_bytes();
    Ok(header)
}

fn put_all<T: Serialize>(items: &[T], buffer: &mut [u8], at: &mut usize) -> Result<(), SiteError> {
    put(&count(items)?, buffer, at)?;
    items.iter().try_for_each(|item| put(item, buffer, at))
}

fn put(item: &impl Serialize, buffer: &mut [u8], at: &mut usize) -> Result<(), SiteError> {
    let place = buffer.get_mut(*at..).ok_or(SiteError::NoRoom)?;
    *at += postcard::to_slice(item, place).map_err(|_| SiteError::NoRoom)?.len();
    Ok(())
}

fn count<T>(items: &[T]) -> Result<u32, SiteError> {
    u32::try_from(items.len()).map_err(|_| SiteError::NoRoom)
}

fn padded(policy: &SitePolicy<'_>) -> usize {
    aligned(policy.length as usize)
}

const fn aligned(length: usize) -> usize {
    length.saturating_add(ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
}

/// A number of four bytes.
fn field(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// Who may make images for a gateway. Written once, with the cable, and never changed over the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Names the key.
    pub key_id: [u8; 8],
    /// An Ed25519 public key.
    pub key: [u8; 32],
}

impl Owner {
    /// Bytes of a written owner at most.
    pub const MAX_LEN: usize = crate::file::OVERHEAD + 8 + 32;
    const FORMAT: crate::file::Format = crate::file::Format { mark: *b"KGow", version: 1 };

    /// Writes it.
    ///
    /// # Errors
    /// `buffer` is shorter than [`Owner::MAX_LEN`].
    pub fn encode<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8], crate::file::FileError> {
        crate::file::encode(Self::FORMAT, self, buffer)
    }

    /// Reads what was written at the beginning of `bytes`, which may go on.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, crate::file::FileError> {
        let written = bytes.get(..Self::MAX_LEN).ok_or(crate::file::FileError::Truncated)?;
        crate::file::decode(Self::FORMAT, written)
    }
}
