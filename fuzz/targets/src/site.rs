//! A gateway's site image, and who may make one. A signature keeps a fuzzer out of what is inside, so every input is read twice: as
//! an image with its signature, and as the content of one.

use std::time::Duration;

use knockgate_core::book::{DecoySeed, Order, Shape};
use knockgate_core::file::Format;
use knockgate_core::gate::{LockoutScope, Prefixes, Service};
use knockgate_core::key::{DoorKey, GateId, PublicKey, SecretKey};
use knockgate_core::message::Mode;
use knockgate_core::profile::{PortRange, Protocol};
use knockgate_core::roster::Name;
use knockgate_core::site::{
    ALIGNMENT, Console, Draft, HEADER_LEN, Head, OuterAddress, Owner, PacketPorts, SIGNATURE_LEN, Signed,
    Site, SiteClient, SiteService,
};
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId, UnixTime};

use crate::file::each;
use crate::scene::{START, scene};

/// A site image.
pub fn site(data: &[u8]) {
    if let Ok(signed) = Signed::find(data) {
        assert_eq!(signed.length(), signed.image.len() + SIGNATURE_LEN);
        assert!(data.starts_with(signed.image) && signed.length() <= data.len());
        check(signed.image);
    }
    check(data);
    check(&image_of(data));
}

/// Who may make images.
pub fn owner(data: &[u8]) {
    each(Format { mark: *b"KGow", version: 1 }, data, |file| {
        let Ok(owner) = Owner::decode(file) else { return };
        let mut buffer = [0; Owner::MAX_LEN];
        let written = owner.encode(&mut buffer).expect("MAX_LEN bytes are enough");
        assert!(file.starts_with(written), "there is one file of every owner");
    });
}

/// What was read can be written, and is then read the same.
fn check(image: &[u8]) {
    let Ok(site) = Site::read(image) else { return };
    let (services, clients): (Vec<_>, Vec<_>) = (site.services().collect(), site.clients().collect());
    let (books, chain): (Vec<_>, Vec<_>) = (site.books().collect(), site.chain().collect());
    assert_eq!(clients.len(), site.client_count() as usize, "every item was read before");
    for (_, code) in &chain {
        let place = code.as_ptr().addr() - image.as_ptr().addr();
        assert!(code.is_empty() || place.is_multiple_of(ALIGNMENT), "compiled policies are aligned");
    }
    let policies: Vec<(Name, &[u8], &[u8])> =
        chain.iter().map(|(policy, code)| (policy.name.clone(), policy.rights, *code)).collect();
    let written = write(&Draft {
        head: &site.head,
        services: &services,
        clients: &clients,
        books: &books,
        policies: &policies,
    });
    let again = Site::read(&written).expect("an image of this version");
    assert_eq!(again.services().collect::<Vec<_>>(), services);
    assert_eq!(again.chain().collect::<Vec<_>>(), chain);
    assert!(
        again.clients().map(|client| client.client).eq(clients.iter().map(|client| client.client.clone()))
    );
    assert_eq!(again.books().count(), books.len());
}

fn write(draft: &Draft<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    draft.write(&mut buffer).expect("nothing here is longer").to_vec()
}

/// An image with this content and no compiled policies.
fn image_of(content: &[u8]) -> Vec<u8> {
    let length = (HEADER_LEN + content.len()).next_multiple_of(ALIGNMENT);
    let mut image = [b"KGsi\x01\0\0\0", &[0; 8][..], content].concat();
    image.resize(length, 0);
    let lengths =
        [content.len(), length].map(|length| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    image.get_mut(8..HEADER_LEN).expect("the header is there").copy_from_slice(&lengths.concat());
    image
}

/// An image with all that there can be, one with nothing, and their contents.
pub(crate) fn images() -> Vec<Vec<u8>> {
    let (services, clients, books) = (services(), clients(), [scene().books[0].clone()]);
    let policies: [(Name, &[u8], &[u8]); 2] =
        [(name("hours"), &[1, 2], b"compiled"), (name("limits"), &[], &[7; 40])];
    let head = head();
    let full = write(&Draft {
        head: &head,
        services: &services,
        clients: &clients,
        books: &books,
        policies: &policies,
    });
    let bare = Head { ipv4: None, ipv6: None, console: None, packet_ports: PacketPorts::Any, ..head.clone() };
    let bare = write(&Draft { head: &bare, services: &[], clients: &[], books: &[], policies: &[] });
    let no_code =
        write(&Draft { head: &head, services: &services, clients: &clients, books: &books, policies: &[] });
    let contents = [&bare, &no_code].map(|image| content(image));
    let signed = [&full, &bare].map(|image| [&image[..], b"ED", &[9; SIGNATURE_LEN - 2]].concat());
    signed.into_iter().chain(contents).chain([full]).collect()
}

/// A written owner, and its content alone.
pub(crate) fn owners() -> Vec<Vec<u8>> {
    let mut buffer = [0; Owner::MAX_LEN];
    let owner = Owner { key_id: [3; 8], key: [4; 32] };
    let file = owner.encode(&mut buffer).expect("MAX_LEN bytes are enough").to_vec();
    let content = file.get(5..file.len() - 8).unwrap_or_default().to_vec();
    vec![[&file[..], &[0xff; 9]].concat(), file, content]
}

fn content(image: &[u8]) -> Vec<u8> {
    let length =
        image.get(8..12).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes));
    image.iter().skip(HEADER_LEN).take(length as usize).copied().collect()
}

fn head() -> Head {
    Head {
        serial: 4,
        made: UnixTime::from_micros(START),
        name: name("lab"),
        gate: GateId([7; 16]),
        identity: SecretKey::from_bytes([9; 32]),
        door_keys: [5, 6].map(|byte| DoorKey::from_bytes([byte; 32])).into_iter().collect(),
        decoy_seed: DecoySeed::from_bytes([3; 32]),
        shape: Shape::new(1000, 6, 100, 10_000..=32_767).expect("within the limits"),
        mode: Mode::Closed,
        order: Order::Any,
        hold_ms: 10_000,
        strays: 2,
        lockout_s: 60,
        lockout_scope: LockoutScope::Everybody,
        max_age_ms: Some(60_000),
        ipv4: Some(OuterAddress {
            address: [192, 0, 2, 1].into(),
            prefix: 24,
            router: Some([192, 0, 2, 254].into()),
        }),
        ipv6: Some(OuterAddress { address: [1; 16].into(), prefix: 64, router: None }),
        central_port: Some(62_201),
        packet_ports: PacketPorts::Listed([PortRange { first: 62_201, last: 62_210 }].into_iter().collect()),
        console: Some(Console { service: 2, port: 2222 }),
    }
}

fn services() -> [SiteService; 2] {
    let service = |id| Service::new(id, Duration::from_secs(60), Duration::from_secs(3600));
    let prefixes = Some(Prefixes { v4: 24, v6: 64 });
    let site = |service, name: &str, hosts: &[std::net::IpAddr]| SiteService {
        service,
        name: self::name(name),
        protocol: Protocol::Tcp,
        ports: [22].into_iter().collect(),
        hosts: hosts.iter().copied().collect(),
    };
    let host = [192, 0, 2, 10].into();
    [
        site(Service { prefixes, confirm: true, ..service(1) }, "ssh", &[host, [2; 16].into()]),
        site(Service { second_factor: true, follow: true, ..service(2) }, "console", &[]),
    ]
}

fn clients() -> Vec<SiteClient> {
    let client = |number: u8, name: &str| Client {
        services: [1, 2].into_iter().collect(),
        expires: Some(UnixTime::from_micros(START)).filter(|_| number == 2),
        ..Client::new(
            ClientId(number.into()),
            self::name(name),
            PublicKey([number; 32]),
            scene().books[0].id(),
        )
    };
    [(1, "alice"), (2, "bob")]
        .map(|(number, name)| SiteClient {
            client: client(number, name),
            totp: Some(TotpSecret::from_bytes([4; 20])).filter(|_| number == 1),
        })
        .into()
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}
