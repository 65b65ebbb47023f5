//! A gate of its own for a test: its files, and a real kernel in namespaces.
//!
//! The test runs itself again in there, so that it needs no privilege beyond those of users and touches nothing of the machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use knockgate_core::message::{Kind, Request};
use knockgate_core::profile::Profile;

use crate::admin::client::{self, Confirmation, Delivery, NewClient, SecondFactor, Show};
use crate::admin::init::{self, CentralPort, Consent, NewService, WorkersUser};

pub(super) const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2)), 50_000);
pub(super) const GATE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)), 62_201);
const INSIDE: &str = "KNOCKGATE_TEST_INSIDE";

/// Open ssh for a minute.
pub(super) fn open() -> Request {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let counter = u64::try_from(now.as_micros()).unwrap();
    Request { service: 1, seconds: 60, ..Request::new(Kind::Open, counter) }
}

/// The files of a gate that guards ssh, and of a client.
pub(super) fn gate_and_client(folder: &Path) -> Profile {
    let config = folder.join("agent.toml");
    let request = init::Request {
        config: config.clone(),
        address: "10.9.0.1".to_owned(),
        services: vec![NewService::ssh()],
        central: CentralPort::NotAsked,
        state_dir: folder.join("state"),
        audit_log: folder.join("audit.jsonl"),
        gateway: None,
        worker: WorkersUser::Missing,
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

/// Where a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the gate's namespaces.
    Inside,
    /// Beside them. The test has run inside, and well.
    Outside,
}

/// Runs the test of that name inside, or says that it does.
pub(super) fn place(name: &str) -> Place {
    if std::env::var_os(INSIDE).is_some() {
        shell("mount -t tmpfs tmpfs /run && ip link set lo up && ip address add 10.9.0.1/24 dev lo");
        return Place::Inside;
    }
    let flags = if rustix::process::geteuid().is_root() { "-nm" } else { "-Urnm" };
    let status = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "see above");
    Place::Outside
}

fn shell(command: &str) {
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
}
