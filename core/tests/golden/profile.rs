//! The profile: its bytes, and those of the versions that are still read.

use std::net::{Ipv4Addr, Ipv6Addr};

use knockgate_core::key::{DoorKey, PublicKey, SecretKey};
use knockgate_core::profile::{Hosts, PortRange, Profile, ProfileService, Protocol};

use crate::bytes::{Fields, bytes, counting_from, flat, hex, unhex};
use crate::{BOOK, GATE, book};

const MARK: &Fields = &[("4b477072", "mark: KGpr"), ("03", "version: 3")];
const HEAD: &Fields = &[
    ("05616c696365", "client: alice"),
    ("0c676174652e6578616d706c65", "address: gate.example"),
    ("f9e503", "central_port: 62 201"),
    ("01", "packet_ports: some"),
    ("e0d403", "first: 60 000"),
    ("ffff03", "last: 65 535"),
    ("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "gate"),
    ("358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254", "gate_key"),
    ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "door_key"),
];
const SECRET: &Fields = &[
    ("01", "secret: some"),
    ("404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f", "the client's"),
];
const NO_SECRET: &Fields = &[("00", "secret: none, the client has made its key itself")];
const SERVICES: &Fields = &[
    ("02", "services: two"),
    ("01", "id: 1"),
    ("03737368", "name: ssh"),
    ("00", "protocol: TCP"),
    ("16", "port: 22"),
    ("01", "v4: some"),
    ("c0000264", "192.0.2.100"),
    ("01", "v6: some"),
    ("20010db8000000000000000000000100", "2001:db8::100"),
    ("02", "id: 2"),
    ("03646e73", "name: dns"),
    ("01", "protocol: UDP"),
    ("35", "port: 53"),
    ("00", "v4: none"),
    ("00", "v6: none, it is at the gate"),
    // The book follows, without mark, version and checksum of its own.
];
const TAIL: &Fields = &[("e6dbd42241a8ef96", "checksum")];
const NO_SECRET_TAIL: &Fields = &[("35b0de473312f9a3", "checksum")];

/// The second version knows no hosts.
const V2_MARK: &Fields = &[("4b477072", "mark: KGpr"), ("02", "version: 2")];
const V2_SERVICES: &Fields = &[
    ("02", "services: two"),
    ("01", "id: 1"),
    ("03737368", "name: ssh"),
    ("00", "protocol: TCP"),
    ("16", "port: 22"),
    ("02", "id: 2"),
    ("03646e73", "name: dns"),
    ("01", "protocol: UDP"),
    ("35", "port: 53"),
];
const V2_TAIL: &Fields = &[("22aebb4cb9b6676c", "checksum")];
const V2_NO_SECRET_TAIL: &Fields = &[("0da2ab4ba507473e", "checksum")];

/// The first one has services as the second.
const V1_HEAD: &Fields = &[
    ("4b477072", "mark: KGpr"),
    ("01", "version: 1"),
    ("05616c696365", "client: alice"),
    ("0c676174652e6578616d706c65", "address: gate.example"),
    ("f9e503", "central_port: 62 201"),
    ("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "gate"),
    ("358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254", "gate_key"),
    ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "door_key"),
    ("404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f", "secret"),
];
const V1_TAIL: &Fields = &[("c5f9284ddc108d42", "checksum")];

#[test]
fn a_profile_file_has_these_bytes() {
    let without = Profile { secret: None, ..profile() };
    for (profile, file) in [(profile(), file()), (without, file_without_secret())] {
        assert_eq!(written(&profile), file);
        let read = Profile::decode(&unhex(&file)).ok().unwrap();
        assert_eq!((written(&read), read.address.as_str()), (file, "gate.example"));
    }
}

#[test]
fn a_profile_file_of_the_second_version_is_read_as_one_of_services_at_the_gate() {
    for (file, secret) in [(file_v2(), profile().secret), (file_v2_without_secret(), None)] {
        let read = Profile::decode(&unhex(&file)).ok().unwrap();
        assert_eq!(written(&read), written(&Profile { secret, ..at_gate() }));
    }
}

#[test]
fn a_profile_file_of_the_first_version_is_read_as_one_without_packet_knocks() {
    let read = Profile::decode(&unhex(&file_v1())).ok().unwrap();
    assert_eq!(written(&read), written(&Profile { packet_ports: None, ..at_gate() }));
}

pub(crate) fn examples() -> Vec<(&'static str, String)> {
    vec![
        ("profile file", file()),
        ("profile file without a secret", file_without_secret()),
        ("profile file of the second version", file_v2()),
        ("profile file of the first version", file_v1()),
    ]
}

fn file() -> String {
    [MARK, HEAD, SECRET, SERVICES, BOOK, TAIL].map(flat).concat()
}

fn file_without_secret() -> String {
    [MARK, HEAD, NO_SECRET, SERVICES, BOOK, NO_SECRET_TAIL].map(flat).concat()
}

fn file_v2() -> String {
    [V2_MARK, HEAD, SECRET, V2_SERVICES, BOOK, V2_TAIL].map(flat).concat()
}

fn file_v2_without_secret() -> String {
    [V2_MARK, HEAD, NO_SECRET, V2_SERVICES, BOOK, V2_NO_SECRET_TAIL].map(flat).concat()
}

fn file_v1() -> String {
    [V1_HEAD, V2_SERVICES, BOOK, V1_TAIL].map(flat).concat()
}

/// As it is written.
fn written(profile: &Profile) -> String {
    hex(profile.encode(&mut [0; Profile::MAX_FILE]).unwrap())
}

pub(crate) fn profile() -> Profile {
    let hosts = Hosts {
        v4: Some(Ipv4Addr::new(192, 0, 2, 100)),
        v6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100)),
    };
    let ssh =
        ProfileService { id: 1, name: "ssh".parse().unwrap(), protocol: Protocol::Tcp, port: 22, hosts };
    let dns = ProfileService {
        id: 2,
        name: "dns".parse().unwrap(),
        protocol: Protocol::Udp,
        port: 53,
        hosts: Hosts::AT_GATE,
    };
    Profile {
        client: "alice".parse().unwrap(),
        address: "gate.example".try_into().unwrap(),
        central_port: 62_201,
        packet_ports: Some(PortRange { first: 60_000, last: 65_535 }),
        gate: GATE,
        gate_key: PublicKey(bytes(&[HEAD[7]])),
        door_key: DoorKey::from_bytes(counting_from(0x00)),
        secret: Some(SecretKey::from_bytes(counting_from(0x40))),
        services: [ssh, dns].into_iter().collect(),
        book: book(),
    }
}

fn at_gate() -> Profile {
    let mut profile = profile();
    profile.services.iter_mut().for_each(|service| service.hosts = Hosts::AT_GATE);
    profile
}
