//! Valid inputs for every target, from the real encoders: what the corpus grows from.

use knockgate_agent::firewall::{Protocol as Guarded, Reach as Width, SetName};
use knockgate_agent::fuzzing::Element;
use knockgate_agent::state::roster_file::EnrolledBook;
use knockgate_agent::state::{GateIdentity, RosterFile};
use knockgate_core::book::{BookId, DecoySeed, Order, Shape};
use knockgate_core::envelope::Message;
use knockgate_core::file::{self, Format};
use knockgate_core::key::{DoorKey, GateId, PublicKey, SecretKey};
use knockgate_core::message::{Answer, Kind, Mode, Offer, OpenService, Reach, Request, Token, Verdict};
use knockgate_core::profile::{Hosts, PortRange, Profile, ProfileService, Protocol};
use knockgate_core::roster::FormerKey;
use knockgate_core::{Client, UnixTime, text_form};
use rand_core::Rng;
use serde::Serialize;

use crate::scene::{Door, Numbers, START, Sender, scene};
use crate::{bridge, console, file as files, kernel, site};

type Inputs = Vec<Vec<u8>>;

/// The inputs of the target of that name.
pub fn seeds(target: &str) -> Inputs {
    match target {
        "agent_config" => {
            texts(&[SMALL_CONFIG, LARGE_CONFIG, WRONG_CONFIG, GATEWAY_CONFIG, WRONG_GATEWAY_CONFIG])
        }
        "answer" => answers().into_iter().map(|answer| answer.encode().to_vec()).collect(),
        "book" => both(&mut file_of(BOOK, &scene().books[0])),
        "channel" => console::conversations(),
        "client_settings" => texts(&[SETTINGS, "Port 0\nColour red\nFile \"x\n"]),
        "console" => console::said(),
        "flows" => [(6, Some(3), 2), (6, Some(7), 2), (17, None, 2), (17, None, 0)].map(any_flow).to_vec(),
        "gate" => scripts(),
        "gate_identity" => identities(),
        "gateway_bridge" => bridge::scripts(),
        "locked_profile" => both(&mut files::cheaply_locked().expect("eight KiB are there")),
        "message_authentic" => authentic(),
        "message_raw" => around(datagram().to_vec()),
        "message_sealed" => {
            around(scene().opened(Door::Before, &datagram()).expect("sealed under it").to_vec())
        }
        "netlink" => {
            [kernel::report(&packet(false)), any_flow((6, Some(3), 2)), elements().concat()].to_vec()
        }
        "own_key" => both(&mut file_of(OWN_KEY, &SecretKey::from_bytes([9; 32]))),
        "owner" => site::owners(),
        "packet_knock" | "packet_probe" => packets(),
        // What wasm-smith makes of bytes nobody can write down; the corpus is from `examples/search.rs`.
        "policy_engines" => vec![vec![], vec![1; 600]],
        "policy_manifest" => texts(&[MANIFEST, "abi=1\nname=Guard\n"]),
        "profile" => profiles(),
        "request" => requests().into_iter().map(|request| request.encode().to_vec()).collect(),
        "roster_file" => rosters(),
        "routes" => routes(),
        "set_elements" => elements(),
        "site" => site::images(),
        "text_form" => text_forms(),
        unknown => panic!("there is no target {unknown}"),
    }
}

fn routes() -> Inputs {
    let [v4, v6, all] = ["192.0.2.1", "2001:db8::1", "ff00::"].map(|text| text.parse().expect("an address"));
    let own = [kernel::route(v4, 32, true), kernel::route(v6, 128, true)].concat();
    vec![own, kernel::route(all, 8, false), kernel::link(3, "eth0")]
}

const BOOK: Format = Format { mark: *b"KGbk", version: 1 };
const IDENTITY: Format = Format { mark: *b"KGid", version: 2 };
const OWN_KEY: Format = Format { mark: *b"KGck", version: 1 };
const ROSTER: Format = Format { mark: *b"KGro", version: 2 };
const PROFILE: Format = Format { mark: *b"KGpr", version: 3 };

const SMALL_CONFIG: &str = "[gate]\naddress = \"gate.example\"\nstate-dir = \"/s\"\naudit-log = \"/a\"\n[service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\n";
const LARGE_CONFIG: &str = r#"
[gate]
address = "192.0.2.1"
state-dir = "/var/lib/knockgate"
audit-log = "/var/log/knockgate/audit.jsonl"
interfaces = ["eth0"]
[packet]
mode = "watch"
ports = [62201, "50000-50010"]
max-age = "5m"
lease = "60s"
[central]
port = 62201
[sequence]
mode = "closed"
decoys = "holder"
order = "any"
length = 6
decoy-count = 100
count = 1000
port-range = [10000, 32767]
hold = "10s"
strays = 2
[lockout]
duration = "60s"
scope = "source"
[service.ssh]
id = 1
protocol = "tcp"
ports = [22, 2222]
open = "20s"
max-open = "1h"
confirm = true
second-factor = true
follow = true
prefix-v4 = 24
prefix-v6 = 64
[service.dns]
id = 2
protocol = "udp"
ports = [53]
[policy]
chain = ["hours"]
[policy-module.hours]
file = "/etc/knockgate/hours.wasm"
services = ["ssh"]
capabilities = ["revoke"]
max-seconds = 3600
"#;
const WRONG_CONFIG: &str =
    "[gate]\naddress = 7\n[service.ssh]\nid = 0\nprotocol = \"icmp\"\nports = [0, 70000]\nx = 1\n";
const GATEWAY_CONFIG: &str = r#"
[gate]
address = "gate.example"
state-dir = "/s"
[gateway]
name = "lab"
ipv4 = "192.0.2.1/24"
router-v4 = "192.0.2.254"
ipv6 = "2001:db8::1/64"
router-v6 = "fe80::1"
[gateway.console]
id = 100
port = 4000
follow = true
[service.plc]
id = 1
protocol = "udp"
ports = [62201]
hosts = ["192.0.2.100", "2001:db8::100"]
"#;
const WRONG_GATEWAY_CONFIG: &str = "[gate]\naddress = \"g\"\nstate-dir = \"/s\"\naudit-log = \"/a\"\n[gateway]\nname = \"lab\"\n\
    ipv4 = \"192.0.2.1\"\nrouter-v4 = \"::1\"\n[gateway.console]\n[service.console]\nforward = []\nhosts = [\"224.0.0.1\"]\n\
    [unit.a]\nid = 1\n";
const SETTINGS: &str = "DefaultProfile home\nProfile home office-* !office-lab\n  Service ssh\n  Seconds=600\n  Family ipv6\n  \
    Timeout 20\n  Via packet\n  Port 62201\n  Address 2001:db8::1\n  Prefix yes\n  Wait 15\n  File \"~/a b.kgp\" # there\n\
    Profile *\n  PassphraseFile /run/secrets/home\n";
const MANIFEST: &str = "# a policy\nabi=1.0\nname=hours\nversion=2\nservices=1 2\nmax-seconds=600\ncapabilities=revoke lockout\n\
    causes=packet renew\nfuel=100000\npages=2\noptional=clock\n";

fn texts(texts: &[&str]) -> Inputs {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn file_of(format: Format, content: &impl Serialize) -> Vec<u8> {
    let mut buffer = [0; 4096];
    file::encode(format, content, &mut buffer).expect("nothing here is longer").to_vec()
}

/// A file, and its content alone.
fn both(file: &mut Vec<u8>) -> Inputs {
    let content = file.get(5..file.len() - 8).unwrap_or_default().to_vec();
    vec![std::mem::take(file), content]
}

/// The bytes themselves, the genuine message behind them, and a small change of it.
fn around(bytes: Vec<u8>) -> Inputs {
    let mut inputs = vec![[&[0][..], &bytes].concat()];
    for which in 0..4 {
        inputs.push(vec![1, which]);
        inputs.push(vec![1, which, 30 * which, 0x80]);
    }
    inputs
}

fn datagram() -> Message {
    let request = Request { service: 1, ..Request::new(Kind::Open, START) };
    scene().ask(Sender::Alice, Door::Before, &request.encode()).1
}

fn requests() -> Vec<Request> {
    let plain = |kind| Request { service: 1, ..Request::new(kind, START + 7) };
    let kinds = [Kind::Status, Kind::NextNumber, Kind::Open, Kind::Renew, Kind::Close, Kind::Console];
    let full = Request {
        seconds: 600,
        source: Some([192, 0, 2, 1].into()),
        grant: 3,
        code: Some(123_456),
        token: Some(Token([8; 8])),
        reach: Reach::Prefix,
        ..plain(Kind::Renew)
    };
    let mapped = Request { source: "::ffff:192.0.2.1".parse().ok(), ..plain(Kind::Open) };
    kinds.into_iter().map(plain).chain([full, mapped]).collect()
}

fn authentic() -> Inputs {
    let mut inputs = Inputs::new();
    for (at, request) in (0..).zip(requests()) {
        for sender in 0..5 {
            inputs.push([&[sender, 0, at % 2, 0, 0][..], &request.encode()].concat());
        }
        inputs.push([&[0, at % 5, 0, 2, at + 3][..], &request.encode()].concat());
    }
    let two_factors = Request { service: 3, code: Some(scene().code(crate::scene::at(0))), ..requests()[2] };
    inputs.push([&[0, 0, 0, 0, 0][..], &two_factors.encode()].concat());
    inputs
}

fn answers() -> Vec<Answer> {
    let offer = Offer {
        book: BookId([1; 8]),
        number: 9,
        hold_ms: 10_000,
        mode: Mode::Closed,
        order: Order::Any,
        gap_ms: 15,
    };
    let verdicts = [
        Verdict::Nothing,
        Verdict::Offered,
        Verdict::Granted,
        Verdict::Pending,
        Verdict::Refused(10),
        Verdict::Confirm(Token([7; 8])),
        Verdict::Closed,
    ];
    let answer = |(grants, verdict): (usize, Verdict)| Answer {
        verdict,
        retry_ms: 20,
        time: START,
        book_left: 30,
        offer: Some(offer).filter(|_| verdict == Verdict::Offered),
        open: std::iter::repeat_n(OpenService { service: 1, left_ms: 60_000, grant: 4 }, grants % 5)
            .collect(),
        seen: Some([192, 0, 2, 1].into()),
        door_key: Some(DoorKey::from_bytes([5; 32])).filter(|_| grants == 3),
    };
    verdicts.into_iter().enumerate().map(answer).collect()
}

/// An open request of Alice over a connection.
const ALICE_OPENS: [u8; 13] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// One of Bob by packet, which he is to confirm, and the same with the token.
const BOB_OPENS: [u8; 13] = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const BOB_CONFIRMS: [u8; 14] = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
/// Alice, to whom that is open, asks for the console.
const ALICE_CONVERSES: [u8; 13] = [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// Alice asks for a number, and knocks it.
const ALICE_ASKS: [u8; 13] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const ALICE_KNOCKS: [u8; 6] = [13, 0, 0, 0, 0, 0];
const NEW_LEASE: [u8; 3] = [14, 1, 1];
const CRASH: [u8; 2] = [18, 1];
const FIRST_AGAIN: [u8; 4] = [4, 0, 0, 1];
const SETTLE: [u8; 1] = [19];

/// Scripts that lead somewhere, and steps in no particular order, but the same every time.
fn scripts() -> Inputs {
    let after_a_crash: [&[u8]; 6] = [&NEW_LEASE, &ALICE_OPENS, &SETTLE, &CRASH, &FIRST_AGAIN, &SETTLE];
    let confirmed: [&[u8]; 4] = [&BOB_OPENS, &SETTLE, &BOB_CONFIRMS, &SETTLE];
    let sequence: [&[u8]; 4] = [&ALICE_ASKS, &SETTLE, &ALICE_KNOCKS, &SETTLE];
    let console: [&[u8]; 4] = [&ALICE_OPENS, &SETTLE, &ALICE_CONVERSES, &SETTLE];
    let mut rng = Numbers(4);
    let mut any = |length| {
        let mut script = vec![0; length];
        rng.fill_bytes(&mut script);
        script
    };
    let led = [after_a_crash.concat(), confirmed.concat(), sequence.concat(), console.concat()];
    led.into_iter().chain((0..20).map(|_| any(300))).collect()
}

fn profile() -> Profile {
    let service = |(id, name, protocol): (u16, &str, Protocol)| ProfileService {
        id,
        name: name.parse().expect("a name"),
        protocol,
        port: 22,
        hosts: Hosts::AT_GATE,
    };
    Profile {
        client: "alice".parse().expect("a name"),
        address: "gate.example".try_into().expect("short"),
        central_port: 62_201,
        packet_ports: Some(PortRange { first: 62_201, last: 62_210 }),
        gate: GateId([7; 16]),
        gate_key: PublicKey([2; 32]),
        door_key: DoorKey::from_bytes([5; 32]),
        secret: Some(SecretKey::from_bytes([9; 32])),
        services: [(1, "ssh", Protocol::Tcp), (2, "dns", Protocol::Udp)].into_iter().map(service).collect(),
        book: scene().books[0].clone(),
    }
}

fn profiles() -> Inputs {
    let new = profile();
    let bare = Profile { packet_ports: None, secret: None, ..profile() };
    let mut behind = profile();
    behind.services[0].hosts = Hosts { v4: Some([192, 0, 2, 100].into()), v6: Some([0xfd; 16].into()) };
    behind.services[1].hosts.v6 = Some([0xfd; 16].into());
    // As version 2 had it: services without hosts.
    let service =
        |service: &ProfileService| (service.id, service.name.clone(), service.protocol, service.port);
    let services: Vec<_> = new.services.iter().map(service).collect();
    let (who, gate) =
        ((&new.client, &new.address, new.central_port), (new.gate, new.gate_key, &new.door_key));
    let second = (who, new.packet_ports, gate, &new.secret, &services, &new.book);
    let second = file_of(Format { version: 2, ..PROFILE }, &second);
    // As version 1 had it: neither packet ports nor a choice about the secret.
    let first = (who, gate, SecretKey::from_bytes([9; 32]), &services, &new.book);
    let first = file_of(Format { version: 1, ..PROFILE }, &first);
    let files = [&new, &bare, &behind].map(|profile| file_of(PROFILE, profile));
    files.into_iter().chain([second, first]).flat_map(|mut file| both(&mut file)).collect()
}

fn rosters() -> Inputs {
    let mut roster = RosterFile::default();
    for (number, name) in (0..).zip(["alice", "bob", "carol"]) {
        let book = EnrolledBook { book: scene().books[usize::from(number > 0)].clone(), shared: number > 0 };
        let (name, key, id) = (name.parse().expect("a name"), PublicKey([number; 32]), book.book.id());
        let former = FormerKey { key: PublicKey([number + 8; 32]), until: UnixTime::from_micros(START) };
        let enrol = |client| Client {
            services: (1..=3).collect(),
            former: Some(former).filter(|_| number == 1),
            expires: Some(UnixTime::from_micros(START)).filter(|_| number == 2),
            ..Client::new(client, name, key, id)
        };
        roster.add(enrol, book).expect("names and keys differ");
    }
    // As version 1 had it: clients with one key, and nothing behind the books.
    let client =
        |client: &Client| (client.id, client.name.clone(), client.key, client.services.clone(), client.book);
    let clients: Vec<_> = roster.clients().iter().map(client).collect();
    let old = file_of(Format { version: 1, ..ROSTER }, &(9_u32, clients, roster.books()));
    [file_of(ROSTER, &roster), old].iter_mut().flat_map(both).collect()
}

fn identities() -> Inputs {
    let shape = Shape::new(1000, 6, 100, 10_000..=32_767).expect("within the limits");
    let now = Some(UnixTime::from_micros(START));
    let identity = GateIdentity::generate(shape, &[22], now, &mut Numbers(5)).expect("there is room");
    // As version 1 had it: a list of door keys.
    let keys = vec![DoorKey::from_bytes([5; 32]), DoorKey::from_bytes([6; 32])];
    let old = (identity.id, SecretKey::from_bytes([9; 32]), keys, DecoySeed::from_bytes([3; 32]), shape);
    let old = file_of(Format { version: 1, ..IDENTITY }, &old);
    [file_of(IDENTITY, &identity), old].iter_mut().flat_map(both).collect()
}

fn text_forms() -> Inputs {
    let key = text_form::public_key(&PublicKey([7; 32]));
    let file = file_of(PROFILE, &profile());
    let mut buffer = vec![0; text_form::profile_len(file.len())];
    let text = text_form::profile(&file, &mut buffer).expect("the buffer has the length of the text");
    let broken = text.replace('A', "A\r\n ");
    vec![
        key.as_bytes().to_vec(),
        key.to_ascii_uppercase().into_bytes(),
        text.as_bytes().to_vec(),
        broken.into_bytes(),
        file,
    ]
}

/// A packet knock, or a SYN, over IPv4.
fn packet(is_syn: bool) -> Vec<u8> {
    let protocol = if is_syn { 6 } else { 17 };
    let head = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    [&head[..], &if is_syn { SYN.to_vec() } else { udp() }].concat()
}

const SYN: [u8; 20] = [0xc3, 0x50, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0];

fn udp() -> Vec<u8> {
    [&[50_000, 62_201, 208, 0].map(u16::to_be_bytes).concat()[..], &datagram()].concat()
}

fn packets() -> Inputs {
    let v6 = |next: u8, rest: &[u8]| {
        let addresses = [[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; 2].concat();
        [&[0x60, 0, 0, 0, 0, 0, next, 64][..], &addresses, rest].concat()
    };
    let behind = |header: &[u8], rest: &[u8]| [header, rest].concat();
    vec![
        packet(false),
        packet(true),
        v6(17, &udp()),
        v6(6, &SYN),
        // Hop by hop, destination options, an atomic fragment, authentication.
        v6(0, &behind(&[60, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0], &udp())),
        v6(44, &behind(&[17, 0, 0, 0, 0, 0, 0, 9], &udp())),
        v6(51, &behind(&[6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &SYN)),
    ]
}

fn any_flow((protocol, state, status): (u8, Option<u8>, u32)) -> Vec<u8> {
    kernel::flow([192, 0, 2, 1].into(), protocol, 22, state, status)
}

fn elements() -> Inputs {
    let element = |(set, address, door, reach): (SetName, &str, Option<(Guarded, u16)>, Option<Width>)| {
        let tag = reach.map(|reach| (7, 3, 1, reach));
        let address = address.parse().expect("an address");
        Element { address, door, timeout: Some(std::time::Duration::from_secs(60)), tag, comment: None }
            .write(set)
    };
    let (ssh, dns) = (Some((Guarded::Tcp, 22)), Some((Guarded::Udp, 53)));
    [
        (SetName::Grants4, "192.0.2.1", ssh, Some(Width::Address)),
        (SetName::Grants6, "2001:db8::1", dns, Some(Width::Address)),
        (SetName::Wide4, "192.0.2.0", ssh, Some(Width::Prefix(24))),
        (SetName::Wide6, "2001:db8::", dns, Some(Width::Prefix(64))),
        (SetName::Holders4, "192.0.2.1", None, None),
        (SetName::Holders6, "2001:db8::1", None, None),
    ]
    .map(element)
    .to_vec()
}
