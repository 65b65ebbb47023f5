//! A gateway's site image and its owner: their bytes, and that nothing else is taken for one.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use knockgate_core::book::{DecoySeed, Order, Shape};
use knockgate_core::file::FileError;
use knockgate_core::gate::{LockoutScope, Prefixes, Service};
use knockgate_core::key::{DoorKey, SecretKey};
use knockgate_core::message::Mode;
use knockgate_core::profile::{PortRange, Protocol};
use knockgate_core::roster::Name;
use knockgate_core::site::{
    Console, Draft, Head, OuterAddress, Owner, PacketPorts, Signed, Site, SiteClient, SiteError, SiteService,
};
use knockgate_core::time::UnixTime;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId};

use crate::bytes::{Fields, address, bytes, counting_from, flat, hex, unhex};

const HEADER: &Fields = &[
    ("4b477369", "mark: KGsi"),
    ("01", "version: 1"),
    ("000000", "zeros"),
    ("9e010000", "content: 414 bytes"),
    ("c0010000", "before the signature: 448 bytes"),
];

const HEAD: &Fields = &[
    ("04", "serial: 4"),
    ("8080f9c0c1c48203", "made: 1 700 000 000 000 000"),
    ("036c6162", "name: lab"),
    ("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "gate"),
    ("202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "identity: secret half"),
    ("01", "door_keys: one"),
    ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "the one in force"),
    ("c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf", "decoy_seed"),
    ("e8070664904effff01", "shape: 1000 knocks of 6 out of 100 decoys at 10 000 to 32 767"),
    ("00", "mode: connect"),
    ("00", "order: strict"),
    ("904e", "hold_ms: 10 000"),
    ("02", "strays: 2"),
    ("3c", "lockout_s: 60"),
    ("00", "lockout_scope: source"),
    ("00", "max_age_ms: none"),
    ("01", "ipv4: some"),
    ("c000020118", "192.0.2.1/24"),
    ("01c00002fe", "router: 192.0.2.254"),
    ("01", "ipv6: some"),
    ("20010db800000000000000000000000140", "2001:db8::1/64"),
    ("00", "router: none"),
    ("01f9e503", "central_port: 62 201"),
    ("01", "packet_ports: listed"),
    ("01e0d403ffff03", "one range: 60 000 to 65 535"),
    ("0103ae11", "console: service 3 at TCP 2222"),
];

const SERVICES: &Fields = &[
    ("02", "two services"),
    ("01", "id: 1"),
    ("3c00", "open: 60 s"),
    ("901c00", "max_open: 3600 s"),
    ("01", "confirm: yes"),
    ("00", "second_factor: no"),
    ("00", "follow: no"),
    ("011840", "prefixes: /24 and /64"),
    ("03737368", "name: ssh"),
    ("00", "protocol: TCP"),
    ("0116", "ports: 22"),
    ("0100c000020a", "hosts: 192.0.2.10"),
    ("03", "id: 3"),
    ("3c00", "open: 60 s"),
    ("d80400", "max_open: 600 s"),
    ("00", "confirm: no"),
    ("01", "second_factor: yes"),
    ("00", "follow: no"),
    ("00", "prefixes: none"),
    ("07636f6e736f6c65", "name: console"),
    ("00", "protocol: TCP"),
    ("01ae11", "ports: 2222"),
    ("00", "hosts: none"),
];

const CLIENTS: &Fields = &[
    ("01", "one client"),
    ("01", "id: 1"),
    ("05616c696365", "name: alice"),
    ("79a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51a", "key"),
    ("020103", "services: 1 and 3"),
    ("b0b1b2b3b4b5b6b7", "book"),
    ("00", "former: none"),
    ("018080e2c4f2a29903", "expires: 1 800 000 000 000 000"),
    ("00", "confirm: no"),
    ("01505152535455565758595a5b5c5d5e5f60616263", "totp"),
];

/// The book of section 2.5 stands behind this.
const BOOKS: &Fields = &[("01", "one book")];

const POLICIES: &Fields = &[
    ("01", "one policy"),
    ("05686f757273", "name: hours"),
    ("020102", "rights: two bytes, as the policy host writes them"),
    ("08", "length: 8"),
    ("0000", "zeros up to 432 bytes"),
    ("636f6d70696c6564", "the compiled policy"),
    ("0000000000000000", "zeros up to 448 bytes"),
];

const SIGNATURE: &Fields = &[
    ("4544", "algorithm: ED"),
    ("9091929394959697", "key_id"),
    (
        "3efcb6779f85fd8b2bd33bbdc475eaa37408f965a4eaef30ae0a22110d3bc13a\
         2310c2c0bac32b4bc95e26d3de742cd0144495544ac814d6305453c1ec460607",
        "Ed25519 over the BLAKE2b-512 of all before ED",
    ),
];

const OWNER: &Fields = &[
    ("4b476f77", "mark: KGow"),
    ("01", "version: 1"),
    ("9091929394959697", "key_id"),
    ("7776e870b93354f2a0b24c23f2a36cc4e80e223218c1b97926fdd018396a2b9b", "key"),
    ("ccb24788fae5addd", "checksum"),
];

#[test]
fn a_site_image_has_these_bytes() {
    let (head, services, clients) = (head(), services(), clients());
    let policies: [(Name, &[u8], &[u8]); 1] = [(name("hours"), &[1, 2], b"compiled")];
    let books = [crate::book()];
    let draft =
        Draft { head: &head, services: &services, clients: &clients, books: &books, policies: &policies };

    // Whatever was in the buffer is not in the image.
    let mut buffer = [0xff; 1024];
    assert_eq!(hex(draft.write(&mut buffer).unwrap()), image());
    for len in 0..unhex(&image()).len() {
        let refused = draft.write(&mut buffer[..len]).err();
        assert_eq!(refused, Some(SiteError::NoRoom), "a buffer of {len} bytes");
    }
}

#[test]
fn a_site_image_is_read_as_it_was_written() {
    let file = unhex(&file());
    let signed = Signed::find(&file).unwrap();
    assert_eq!((hex(signed.image), signed.length()), (image(), file.len()));
    assert_eq!(signed.signature.key_id, counting_from(0x90));
    assert_eq!(hex(&signed.signature.bytes), flat(&SIGNATURE[2..]));

    let site = Site::read(signed.image).unwrap();
    assert_eq!((site.head.serial, site.head.made), (4, UnixTime::from_micros(1_700_000_000_000_000)));
    assert_eq!((site.head.name.as_str(), site.head.ipv4, site.head.ipv6), ("lab", ipv4(), ipv6()));
    assert_eq!(site.head.console, Some(Console { service: 3, port: 2222 }));
    assert_eq!(site.services().collect::<Vec<_>>(), services());
    assert_eq!(site.clients().map(|client| client.client).collect::<Vec<_>>(), [clients()[0].client.clone()]);
    assert_eq!(site.client_count(), 1);
    assert!(site.clients().all(|client| client.totp.is_some()));
    assert_eq!(site.books().map(|book| book.id()).collect::<Vec<_>>(), [crate::book().id()]);
    let chain: Vec<_> = site.chain().collect();
    let [(policy, code)] = &chain[..] else { panic!("one policy") };
    assert_eq!((policy.name.as_str(), policy.rights, *code), ("hours", &[1, 2][..], &b"compiled"[..]));
}

#[test]
fn the_image_is_found_whatever_follows_it() {
    let found = [unhex(&file()), vec![0xff; 3]].concat();
    assert_eq!(Signed::find(&found).map(|signed| signed.length()), Ok(unhex(&file()).len()));
}

#[test]
fn an_image_cut_off_anywhere_is_none() {
    let file = unhex(&file());
    for len in 0..file.len() {
        let error = Signed::find(&file[..len]).err();
        let expected = if len < 16 { SiteError::NotOne } else { SiteError::Truncated };
        assert_eq!(error, Some(expected), "{len} bytes");
    }
    let image = unhex(&image());
    for len in 0..image.len() {
        assert!(Site::read(&image[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_damaged_byte_anywhere_is_read_or_refused_but_never_followed_far() {
    let image = unhex(&image());
    for at in 0..image.len() {
        for change in [0x01, 0x10, 0x80, 0xff] {
            let mut damaged = image.clone();
            damaged[at] ^= change;
            if let Ok(site) = Site::read(&damaged) {
                let items = site.services().count() + site.clients().count() + site.books().count();
                assert!(items + site.chain().count() <= damaged.len(), "byte {at}");
            }
        }
    }
}

#[test]
fn another_mark_version_or_algorithm_is_told_apart() {
    for (case, at, byte, expected) in [
        (1, 0, b'X', SiteError::NotOne),
        (2, 3, 0xff, SiteError::NotOne),
        (3, 4, 2, SiteError::Version(2)),
        (4, 12, 0xff, SiteError::Truncated),
        (5, 15, 0xff, SiteError::Truncated),
        // `Ed` signs the image itself and not its hash.
        (6, 449, b'd', SiteError::Algorithm),
    ] {
        let mut file = unhex(&file());
        file[at] = byte;
        assert_eq!(Signed::find(&file).err(), Some(expected), "case {case}");
    }
    // Erased flash.
    assert_eq!(Signed::find(&[0xff; 4096]).err(), Some(SiteError::NotOne));
}

#[test]
fn a_list_that_claims_to_be_endless_ends_with_its_bytes() {
    let (before, after) = image().split_once(&flat(SERVICES)).map(|(a, b)| (unhex(a), unhex(b))).unwrap();
    let rest = unhex(&flat(&SERVICES[1..]));
    // 4 294 967 295 services; the content is four bytes longer, and so is the image.
    let mut image = [&before[..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &rest, &after].concat();
    image[8..12].copy_from_slice(&418_u32.to_le_bytes());
    assert_eq!(Site::read(&image).err(), Some(SiteError::Nonsense));
}

#[test]
fn policies_that_are_longer_or_shorter_than_what_follows_are_refused() {
    let image = unhex(&image());
    let length_at = 16 + 414 - 1;
    for (case, length, is_good) in
        [(1, 8, true), (2, 16, true), (3, 17, false), (4, 0, false), (5, 127, false)]
    {
        let mut image = image.clone();
        image[length_at] = length;
        assert_eq!(Site::read(&image).is_ok(), is_good, "case {case}");
    }
}

#[test]
fn every_refusal_of_an_image_says_what_to_do() {
    let faults = [
        SiteError::NotOne,
        SiteError::Version(2),
        SiteError::Truncated,
        SiteError::Algorithm,
        SiteError::Nonsense,
        SiteError::NoRoom,
    ];
    for fault in faults {
        assert!(fault.to_string().contains("; "), "{fault}");
    }
}

#[test]
fn an_owner_has_these_bytes() {
    let owner = Owner { key_id: counting_from(0x90), key: bytes(&OWNER[3..4]) };
    let mut buffer = [0; Owner::MAX_LEN];
    let written = owner.encode(&mut buffer).unwrap();
    assert_eq!((hex(written), written.len()), (flat(OWNER), Owner::MAX_LEN));
    assert_eq!(Owner::decode(written), Ok(owner));
    assert_eq!(Owner::decode(&[written, &[0xff; 100]].concat()), Ok(owner), "what follows it is flash");
}

#[test]
fn an_owner_cut_off_or_damaged_anywhere_is_none() {
    let owner = unhex(&flat(OWNER));
    for at in 0..owner.len() {
        assert_eq!(Owner::decode(&owner[..at]), Err(FileError::Truncated), "{at} bytes");
        let mut damaged = owner.clone();
        damaged[at] ^= 0x10;
        assert!(Owner::decode(&damaged).is_err(), "byte {at}");
    }
}

/// What `docs/protocol.md` shows.
pub(crate) fn examples() -> Vec<(&'static str, String)> {
    vec![("site image", file()), ("owner", flat(OWNER))]
}

fn image() -> String {
    [HEADER, HEAD, SERVICES, CLIENTS, BOOKS, crate::BOOK, POLICIES].map(flat).concat()
}

fn file() -> String {
    image() + &flat(SIGNATURE)
}

fn head() -> Head {
    Head {
        serial: 4,
        made: UnixTime::from_micros(1_700_000_000_000_000),
        name: name("lab"),
        gate: crate::GATE,
        identity: SecretKey::from_bytes(counting_from(0x20)),
        door_keys: [DoorKey::from_bytes(counting_from(0x00))].into_iter().collect(),
        decoy_seed: DecoySeed::from_bytes(counting_from(0xc0)),
        shape: Shape::new(1000, 6, 100, 10_000..=32_767).unwrap(),
        mode: Mode::Connect,
        order: Order::Strict,
        hold_ms: 10_000,
        strays: 2,
        lockout_s: 60,
        lockout_scope: LockoutScope::Source,
        max_age_ms: None,
        ipv4: ipv4(),
        ipv6: ipv6(),
        central_port: Some(62_201),
        packet_ports: PacketPorts::Listed([PortRange { first: 60_000, last: 65_535 }].into_iter().collect()),
        console: Some(Console { service: 3, port: 2222 }),
    }
}

fn ipv4() -> Option<OuterAddress<Ipv4Addr>> {
    let (address, router) = (Ipv4Addr::new(192, 0, 2, 1), Some(Ipv4Addr::new(192, 0, 2, 254)));
    Some(OuterAddress { address, prefix: 24, router })
}

fn ipv6() -> Option<OuterAddress<Ipv6Addr>> {
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    Some(OuterAddress { address, prefix: 64, router: None })
}

fn services() -> [SiteService; 2] {
    let service = |id, longest| Service::new(id, Duration::from_secs(60), Duration::from_secs(longest));
    let prefixes = Some(Prefixes { v4: 24, v6: 64 });
    [
        SiteService {
            service: Service { confirm: true, prefixes, ..service(1, 3600) },
            name: name("ssh"),
            protocol: Protocol::Tcp,
            ports: [22].into_iter().collect(),
            hosts: [address("192.0.2.10")].into_iter().collect(),
        },
        SiteService {
            service: Service { second_factor: true, ..service(3, 600) },
            name: name("console"),
            protocol: Protocol::Tcp,
            ports: [2222].into_iter().collect(),
            hosts: [].into_iter().collect(),
        },
    ]
}

fn clients() -> [SiteClient; 1] {
    let key = crate::identity(0x40).public();
    let client = Client {
        services: [1, 3].into_iter().collect(),
        expires: Some(UnixTime::from_micros(1_800_000_000_000_000)),
        ..Client::new(ClientId(1), name("alice"), key, crate::book().id())
    };
    [SiteClient { client, totp: Some(TotpSecret::from_bytes(counting_from(0x50))) }]
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}
