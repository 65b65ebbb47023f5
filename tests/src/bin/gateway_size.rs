//! Measures a running gateway for `cargo xtask gateway size`: one line for each number, `WHAT=NUMBER`.
//!
//! The site is full: as many clients as a gateway takes, one policy. The gateway is knocked at, its console is asked, its image
//! is exchanged, so that heap and stack have been as high as they get. QEMU counts instructions (`-icount`), and the gateway
//! tells how many its turns took; what a frame takes is the difference between before and after many of them.

use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_core::limits::MAX_GATEWAY_CLIENTS;
use knockgate_tests::clients::Client;
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::gateways::Gateway;
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::scenes::SSH;
use knockgate_tests::workshop::Workshop;
use knockgate_tests::{Family, Host, Lab, sandbox, waiting};

/// Frames of a kind.
const FRAMES: u32 = 300;
/// Bytes of their payload.
const PAYLOAD: [u8; 1000] = [b'.'; 1000];
/// A UDP port on both sides of the gateway.
const PORT: u16 = 5005;

fn main() -> ExitCode {
    match sandbox::enter().and_then(|()| measure()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let lab = Lab::build_for_gateway()?;
    measure_in(&lab).with_context(|| lab.all_logs())
}

fn measure_in(lab: &Lab) -> Result<()> {
    let address = lab.gate.ip(Family::V4).to_string();
    let configuration = Configuration::for_gateway(lab, &address).with_services().with_hosts(lab)?;
    let office = Gate::configured(lab, &configuration)?;
    let alice = Client::with_profile(lab, &lab.client, "alice", &office.enrol("alice", &["ssh"], &[])?)?;
    // Whoever sends updates is a client too.
    for number in 2..MAX_GATEWAY_CLIENTS {
        office.enrol(&format!("client-{number}"), &["ssh", "web"], &[])?;
    }
    let workshop = Workshop::open(lab, &office)?;
    let mut gateway = Gateway::with_flash(lab, &workshop.flash(&office)?);
    gateway.set_options(&["-icount", "shift=0"]);
    gateway.start()?;
    let _ssh = Service::start(&lab.inner, SSH, "ssh")?;

    frames(lab, &mut gateway)?;
    alice.knock("ssh")?.expect(0)?;
    let reached = reach(&lab.client, lab.inner.at(Family::V4, SSH))?;
    ensure!(matches!(reached, Reached::Greeting(_)), "ssh after a knock: {reached:?}");
    workshop.update(&office, &mut gateway)?;
    alice.knock("ssh")?.expect(0)?;
    let memory = gateway.tell("memory: ")?;
    for what in ["heap", "stack"] {
        println!("{what}={}", most(&memory, what)?);
    }
    Ok(())
}

fn frames(lab: &Lab, gateway: &mut Gateway<'_>) -> Result<()> {
    let [inside, outside] = [lab.inner.at(Family::V4, PORT), lab.client.at(Family::V4, PORT)];
    let (inner, outer) = (socket(&lab.inner, inside)?, socket(&lab.client, outside)?);
    // Neighbours are known afterwards, and the flow is.
    waiting::until_true("a datagram passes outward", Duration::from_secs(10), || {
        arrives(&inner, &outer, outside)
    })?;
    waiting::until_true("and its answer inward", Duration::from_secs(10), || {
        arrives(&outer, &inner, inside)
    })?;
    let stranger = socket(&lab.stranger, lab.stranger.at(Family::V4, PORT))?;
    let outward = cost(gateway, || passes(&inner, &outer, outside))?;
    let inward = cost(gateway, || passes(&outer, &inner, inside))?;
    // That a frame was refused is seen by nobody, so one that passes follows it: frames are worked off in their order.
    let both = cost(gateway, || {
        stranger.send_to(&PAYLOAD, inside)?;
        passes(&outer, &inner, inside)
    })?;
    println!("outward={outward}");
    println!("inward, of a flow={inward}");
    println!("inward, refused={}", both.saturating_sub(inward));
    Ok(())
}

/// Instructions of one act, in the mean of many.
fn cost(gateway: &mut Gateway<'_>, mut act: impl FnMut() -> Result<()>) -> Result<u64> {
    let before = cycles(gateway)?;
    for _ in 0..FRAMES {
        act()?;
    }
    Ok((cycles(gateway)? - before) / u64::from(FRAMES))
}

/// Sends a frame and sees it arrive, so that no two wait for each other.
fn passes(from: &UdpSocket, at: &UdpSocket, to: SocketAddr) -> Result<()> {
    ensure!(arrives(from, at, to), "a frame to {to} was lost");
    Ok(())
}

fn socket(host: &Host, at: SocketAddr) -> Result<UdpSocket> {
    host.inside(|| {
        let socket = UdpSocket::bind(at)?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        Ok(socket)
    })
}

fn arrives(from: &UdpSocket, at: &UdpSocket, to: SocketAddr) -> bool {
    let mut buffer = PAYLOAD;
    from.send_to(&PAYLOAD, to).is_ok() && at.recv(&mut buffer).is_ok()
}

/// Instructions of all turns so far.
fn cycles(gateway: &mut Gateway<'_>) -> Result<u64> {
    let line = gateway.tell("work: ")?;
    let number = line.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    number.with_context(|| format!("the gateway says {line:?}"))
}

/// The most bytes that were ever in use, from the line about memory.
fn most(line: &str, what: &str) -> Result<u32> {
    let part = line.split([':', ';']).find(|part| part.trim_start().starts_with(what));
    let number = part.and_then(|part| part.rsplit(' ').next()).and_then(|word| word.parse().ok());
    number.with_context(|| format!("the gateway says {line:?}"))
}
