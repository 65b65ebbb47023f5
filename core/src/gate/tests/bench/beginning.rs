//! What a bench begins with: the configuration of its gate, and profiles.

use std::boxed::Box;

use super::{Config, HOLD, LOCKOUT, SSH, VAULT, WEB, seconds};
use crate::book::{Book, Order};
use crate::client::Keys;
use crate::gate::{LockoutScope, Service};
use crate::key::{DoorKey, GateId, Identity, SecretKey};
use crate::message::Mode;
use crate::profile::Profile;
use crate::replay::Burnt;
use crate::testing::TestRng;

pub(super) fn config(rng: &mut TestRng, book: &Book) -> Config {
    let service = |id, open, max_open| Service::new(id, seconds(open), seconds(max_open));
    Config {
        gate: GateId([7; 16]),
        identity: Identity::generate(rng),
        door_keys: [DoorKey::generate(rng), DoorKey::generate(rng)].into_iter().collect(),
        decoys: book.decoys(),
        mode: Mode::Connect,
        order: Order::Strict,
        hold: HOLD,
        strays: 2,
        lockout: LOCKOUT,
        lockout_scope: LockoutScope::Source,
        max_age: None,
        console: None,
        burnt: Burnt::default(),
        statics: heapless::Vec::new(),
        services: [service(SSH, 60, 3600), service(WEB, 30, 300), service(VAULT, 60, 60)]
            .into_iter()
            .collect(),
    }
}

pub(super) fn keys(config: &Config, door_key: usize, secret: &SecretKey, book: &Book) -> &'static Keys {
    let profile = Profile {
        client: "somebody".parse().unwrap(),
        address: "gate.example".try_into().unwrap(),
        central_port: 62_201,
        packet_ports: None,
        gate: config.gate,
        gate_key: config.identity.public(),
        door_key: config.door_keys[door_key].clone(),
        secret: Some(secret.clone()),
        services: heapless::Vec::new(),
        book: book.clone(),
    };
    Box::leak(Box::new(Keys::of(&profile).expect("a profile with its secret")))
}
