//! What a packet costs in memory, from its arrival to the firewall of a real kernel.
//!
//! The test runs itself again in namespaces of its own, so that it needs no privilege beyond those of users and touches nothing of
//! the machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use knockgate_core::client::Keys;
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::message::{Kind, Request};
use knockgate_core::profile::Profile;
use rand_core::Rng;

use super::driver::Driver;
use super::start::make_ready;
use crate::admin::client::{self, Confirmation, Delivery, NewClient, SecondFactor, Show};
use crate::admin::init::{self, CentralPort, Consent, NewService};
use crate::state::system_rng;

const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2)), 50_000);
const GATE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)), 62_201);
const INSIDE: &str = "KNOCKGATE_TEST_INSIDE";
const NAME: &str =
    "run::allocations::a_knock_takes_no_memory_until_its_port_is_open_and_noise_takes_none_at_all";

#[test]
fn a_knock_takes_no_memory_until_its_port_is_open_and_noise_takes_none_at_all() {
    if std::env::var_os(INSIDE).is_none() {
        return run_inside();
    }
    shell("mount -t tmpfs tmpfs /run && ip link set lo up && ip address add 10.9.0.1/24 dev lo");
    let temp = tempfile::tempdir().unwrap();
    let profile = gate_and_client(temp.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let mut driver = make_ready(&temp.path().join("agent.toml")).unwrap().driver;
    let keys = Keys::of(&profile).unwrap();
    driver.turn();

    for round in 0..24 {
        let message = keys.ask(&open(), &mut system_rng()).unwrap().1;
        let mut is_known = false;
        let counted = allocation_counter::measure(|| {
            is_known = driver.hear(CLIENT, GATE, &message);
            driver.act_on_all();
        });
        assert!(is_known && driver.gate.open_grants().count() == 1, "round {round}");
        // Tables that grow with use have grown by then.
        if round >= 8 {
            assert_eq!((counted.count_total, counted.count_current), (0, 0), "round {round}");
        }
        driver.turn();
    }
    assert_eq!(driver.firewall.grants().unwrap().grants.len(), 1);

    let counted = allocation_counter::measure(|| noise(&mut driver));
    assert_eq!((counted.count_total, driver.noise.noise().unsealed), (0, 100_000));
}

fn noise(driver: &mut Driver) {
    let mut junk = [0; MESSAGE_LEN];
    for _ in 0..100_000 {
        system_rng().fill_bytes(&mut junk[..32]);
        driver.packet(CLIENT, GATE, &junk);
    }
}

fn open() -> Request {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let counter = u64::try_from(now.as_micros()).unwrap();
    Request { service: 1, seconds: 60, ..Request::new(Kind::Open, counter) }
}

/// The files of a gate that guards ssh, and of a client.
fn gate_and_client(folder: &Path) -> Profile {
    let config = folder.join("agent.toml");
    let request = init::Request {
        config: config.clone(),
        address: "10.9.0.1".to_owned(),
        services: vec![NewService::ssh()],
        central: CentralPort::NotAsked,
        state_dir: folder.join("state"),
        audit_log: folder.join("audit.jsonl"),
        gateway: None,
    };
    init::run(&request, Consent::Given).unwrap();
    let alice = NewClient {
        name: "alice".to_owned(),
        services: Vec::new(),
        book: None,
        key: None,
        confirm: Confirmation::AsTheService,
        expires: None,
        second_factor: SecondFactor::Removed,
    };
    let out: PathBuf = folder.join("alice.kgp");
    client::add(&config, alice, Delivery { out: Some(out.clone()), show: Show::No }).unwrap();
    Profile::decode(&std::fs::read(out).unwrap()).unwrap()
}

fn run_inside() {
    let flags = if rustix::process::geteuid().is_root() { "-nm" } else { "-Urnm" };
    let status = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "see above");
}

fn shell(command: &str) {
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
}
