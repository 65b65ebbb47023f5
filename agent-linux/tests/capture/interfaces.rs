//! Interfaces that count, come, go and are called otherwise.

use std::net::{IpAddr, UdpSocket};

use knockgate_agent::capture::watch::Wanted;

use crate::netns::{Host, Lab, wait_until};
use crate::scene::*;

pub(super) fn named() {
    let mut scene = Scene::new(&on(&["eth1", "wg*"]));
    assert_eq!(from_stranger(&mut scene), 0, "it comes in by eth2");
    assert_eq!(from_client(&mut scene), 1);
    let mut scene = Scene::new(&on(&["eth*"]));
    assert_eq!((from_stranger(&mut scene), from_client(&mut scene)), (1, 1));
}

pub(super) fn come_and_go() {
    let mut scene = Scene::new(&on(&["eth1", "wg*"]));
    for name in ["wg0", "wg1", "wg0"] {
        scene.change(|lab| rename(lab, "eth2", name));
        assert_eq!(from_stranger(&mut scene), 1, "{name}");
        scene.change(|lab| rename(lab, name, "eth2"));
        assert_eq!(from_stranger(&mut scene), 0, "its name is not one of those");
    }
    for _ in 0..2 {
        scene.change(|lab| replace(lab, "wg7"));
        assert_eq!(from_stranger(&mut scene), 1, "it is new");
        scene.change(|lab| lab.gate.ip("link delete wg7\n"));
        assert_eq!(from_client(&mut scene), 1, "the other one is as it was");
        scene.lab.wire_as(2, "eth2", &scene.lab.stranger);
    }
    assert_eq!(from_stranger(&mut scene), 0);
}

pub(super) fn down_and_up() {
    for wanted in [wanted(), on(&["eth1", "eth2"])] {
        let mut scene = Scene::new(&wanted);
        for _ in 0..2 {
            scene.lab.gate.ip("link set eth2 down\n");
            assert_eq!(from_client(&mut scene), 1);
            scene.lab.gate.ip("link set eth2 up\n");
            assert_eq!(from_stranger(&mut scene), 1);
        }
    }
}

pub(super) fn unnamed() {
    let mut scene = Scene::new(&wanted());
    replace(&scene.lab, "new");
    assert_eq!((from_stranger(&mut scene), from_client(&mut scene)), (1, 1));
}

pub(super) fn unfollowed() {
    const ROOM_FOR_FILTERS: &str = "/proc/sys/net/core/optmem_max";
    let mut scene = Scene::new(&on(&["eth1", "wg*"]));
    let room = |gate: &Host, bytes: &str| gate.on(|| std::fs::write(ROOM_FOR_FILTERS, bytes));
    if room(&scene.lab.gate, "16").is_err() {
        // Before Linux 6.8 only the whole machine had this setting, and it is not ours.
        return;
    }
    scene.change(|lab| rename(lab, "eth2", "wg0"));
    assert_eq!((from_stranger(&mut scene), from_client(&mut scene)), (0, 1), "what was known counts");
    room(&scene.lab.gate, "131072").expect("it was there before");
    wait_until("the new interface is heard, though the kernel has not said anything since", || {
        scene.watch.look_after();
        from_stranger(&mut scene) == 1
    });
}

fn on(names: &[&str]) -> Wanted {
    Wanted { interfaces: names.iter().map(|name| (*name).to_owned()).collect(), ..wanted() }
}

/// Wires the stranger to the gate by another interface, called `name` at the gate.
fn replace(lab: &Lab, name: &str) {
    lab.stranger.ip("link delete eth0\n");
    lab.wire_as(2, name, &lab.stranger);
}

fn rename(lab: &Lab, from: &str, to: &str) {
    lab.gate.ip(&format!("link set {from} down\nlink set {from} name {to}\nlink set {to} up\n"));
}

/// How much of one knock is heard.
fn from_stranger(scene: &mut Scene) -> usize {
    one_knock(scene, |lab| &lab.stranger, [10, 2, 0, 1].into())
}

fn from_client(scene: &mut Scene) -> usize {
    one_knock(scene, |lab| &lab.client, gates(0))
}

fn one_knock(scene: &mut Scene, who: fn(&Lab) -> &Host, to: IpAddr) -> usize {
    let host = who(&scene.lab);
    let witness = scene.lab.gate.on(|| UdpSocket::bind("0.0.0.0:0").expect("some port is free"));
    let port = witness.local_addr().expect("it is bound").port();
    witness.set_nonblocking(true).expect("a socket can be");
    // An interface that has just come up takes its time to send.
    wait_until("a way to the gate", || {
        send_udp(host, to, port, b"");
        witness.recv(&mut []).is_ok()
    });
    send_udp(host, to, KNOCK_PORT, &[1; 200]);
    scene.heard().len()
}
