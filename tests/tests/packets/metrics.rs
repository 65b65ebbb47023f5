//! What Prometheus is told, by a worker that may do nothing else.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::{Reached, reach};
use knockgate_tests::scenes::{APART, SSH, Scene};
use knockgate_tests::scrapes::{Scrape, connect};
use knockgate_tests::{Family, Host, Lab, packets, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a confined worker tells its own host the figures, and nobody else", figures),
        story(
            "scrapers who ask for nonsense, too much or nothing keep no knock and no scrape waiting",
            abuse,
        ),
        story("a port of the metrics that another program has costs the figures and not the gate", taken),
    ]
}

const PORT: u16 = 9191;
/// The page is a second old at most, and the machine busy.
const WITHIN: Duration = Duration::from_secs(10);
/// More than the agent talks to at the same time, and fewer than wait to be accepted.
const CROWD: usize = 60;

fn figures(lab: &Lab) -> Result<()> {
    let listen = format!("listen = \"127.0.0.1:{PORT}\"");
    let mut scene = Scene::by_packet(lab, Family::V4, &format!("[metrics]\n{listen}\n{APART}"))?;
    let before = Scrape::at(&lab.gate, PORT)?;
    ensure!(before.value("knockgate_grants{service=\"ssh\"}")? == 0.0, "{before:?}");
    ensure!(before.value("knockgate_guard_whole")? == 1.0, "{before:?}");
    packets::send_all(&lab.stranger, lab.gate.at(Family::V4, 62201), [packets::noise(200)?.as_slice()])?;
    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    let after = waiting::until("the grant and the noise in the metrics", WITHIN, || {
        let scrape = Scrape::at(&lab.gate, PORT).ok()?;
        let is_there = |series| scrape.value(series).is_ok_and(|value| value == 1.0);
        (is_there("knockgate_grants{service=\"ssh\"}")
            && is_there("knockgate_noise_total{kind=\"unsealed\"}"))
        .then_some(scrape)
    })?;
    for (series, expected) in [
        ("knockgate_knocks_total{kind=\"packet\"}", 1.0),
        ("knockgate_grants_opened_total", 1.0),
        ("knockgate_grants{service=\"web\"}", 0.0),
        ("knockgate_policy_decisions_total{policy=\"default\"}", 1.0),
        ("knockgate_refusals_total{reason=\"replayed\"}", 0.0),
        ("knockgate_book_numbers_left_min", 1000.0),
        ("knockgate_audit_failing", 0.0),
        ("knockgate_clients", 1.0),
    ] {
        ensure!(after.value(series)? == expected, "{series}: {after:?}");
    }
    ensure!(!after.tells_of("alice") && !after.tells_of(&lab.client.ip(Family::V4).to_string()), "{after:?}");
    let outside = reach(&lab.stranger, lab.gate.at(Family::V4, PORT))?;
    ensure!(matches!(outside, Reached::Refused | Reached::Silence), "{outside:?}");
    from_a_real_address(&lab.gate, lab.gate.ip(Family::V4))?;

    let socket = lab.path("metrics");
    let text = fs::read_to_string(scene.gate.file())?;
    fs::write(scene.gate.file(), text.replace(&listen, &format!("socket = \"{}\"", socket.display())))?;
    scene.gate.tell(&["reload"])?.expect(1)?.complains_of(&["[metrics] cannot change", "restart"])?;
    scene.gate.stop()?;
    scene.gate.start()?;
    let taken_over = Scrape::over(UnixStream::connect(&socket).context("the metrics' socket")?)?;
    ensure!(taken_over.value("knockgate_grants{service=\"ssh\"}")? == 1.0, "{taken_over:?}");
    scene.must_be_healthy()?;
    // What is killed for a system call is no success; and the socket that a confined worker leaves is no obstacle.
    scene.gate.stop()?;
    scene.gate.start()
}

/// As what others send comes in where a host routes it to its loopback addresses.
fn from_a_real_address(gate: &Host, own: IpAddr) -> Result<()> {
    let answer = gate.inside(|| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&std::net::SocketAddr::new(own, 0).into())?;
        socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], PORT)).into())?;
        let mut stream = TcpStream::from(socket);
        let (mut answer, asked) = (Vec::new(), stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n"));
        // Whoever is let go before he has asked may find a reset.
        let read = asked.and_then(|()| stream.read_to_end(&mut answer));
        Ok((answer, read.is_ok()))
    })?;
    ensure!(answer.0.is_empty(), "a stranger was answered: {answer:?}");
    Ok(())
}

fn taken(lab: &Lab) -> Result<()> {
    let holder = lab.gate.inside(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?))?;
    let mut scene =
        Scene::by_packet(lab, Family::V4, &format!("[metrics]\nlisten = \"127.0.0.1:{PORT}\"\n"))?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    let log = scene.gate.log();
    ensure!(
        log.contains("metrics.listen: cannot listen at 127.0.0.1:9191")
            && log.contains("choose another port"),
        "{log}"
    );
    drop(holder);
    scene.must_be_healthy()
}

fn abuse(lab: &Lab) -> Result<()> {
    let tables = format!("[metrics]\nlisten = \"127.0.0.1:{PORT}\"\n{APART}");
    let mut scene = Scene::by_packet(lab, Family::V4, &tables)?;
    let too_long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let nonsense: &[u8] = b"\x16\x03\x01\x00\xff\r\n\r\n\r\n";
    for (request, status) in [
        (too_long.as_bytes(), "HTTP/1.1 431 "),
        (nonsense, "HTTP/1.1 400 "),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n".as_slice(), "HTTP/1.1 405 "),
        (b"GET /secrets HTTP/1.1\r\n\r\n".as_slice(), "HTTP/1.1 404 "),
    ] {
        let answer = answer_to(lab, request)?;
        // A reset takes an answer away that was not read in time.
        ensure!(answer.is_empty() || answer.starts_with(status), "{status}: {answer}");
    }
    let crowd = (0..CROWD).map(|number| {
        let mut stream = connect(&lab.gate, PORT)?;
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:")?,
            _ => stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")?,
        }
        Ok(stream)
    });
    let crowd: Vec<TcpStream> = crowd.collect::<Result<_>>()?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    let scrape = Scrape::at(&lab.gate, PORT)?;
    ensure!(scrape.value("knockgate_clients")? == 1.0, "{scrape:?}");
    drop(crowd);
    scene.must_be_healthy()?;
    scene.gate.stop()
}

fn answer_to(lab: &Lab, request: &[u8]) -> Result<String> {
    let mut stream = connect(&lab.gate, PORT)?;
    let mut answer = Vec::new();
    // Whoever sends more than is read may be cut off while he does.
    let _ = stream.write_all(request);
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
