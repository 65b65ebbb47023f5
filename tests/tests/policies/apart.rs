//! Policies in a worker that has given its rights up: whatever they set going, and whatever else the agent does only now and then,
//! is among the system calls that it may make.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::Quiet;
use knockgate_tests::scenes::{APART, SSH, Scene};
use knockgate_tests::{Family, Lab, waiting};
use serde_json::Value;

use crate::modules::{OPENS, install, module};

pub(crate) fn stories() -> Vec<Story> {
    vec![story(
        "in a confined worker a module notifies, sequences open, ports follow and the audit log is put away",
        everything,
    )]
}

const SHELL: u16 = 2323;
const WITHIN: Duration = Duration::from_secs(10);
/// Tells the local listener and the web server, and opens what was asked for.
const TELLS: &str =
    "(drop (call $notify (i32.const 8) (i32.const 42))) (drop (call $notify (i32.const 9) (i32.const 43)))";

fn everything(lab: &Lab) -> Result<()> {
    let ops = UnixListener::bind(lab.path("ops.sock"))?;
    let web = lab.gate.inside(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?;
    let url = format!("http://127.0.0.1:{}/notices", web.local_addr()?.port());
    let asked = "sequence packet";
    install(lab, "tells", &module("tells", asked, &format!("{TELLS} {OPENS}"))?)?;
    // A log that is full when the agent has written to it once.
    let line = format!("{{\"filler\":\"{}\"}}\n", "x".repeat(1000));
    fs::write(lab.path("audit.jsonl"), line.repeat(1100))?;
    let _shell = Quiet::start(&lab.gate, SHELL)?;
    let (ops_here, web_here) = (thread::spawn(move || first_line(&ops)), thread::spawn(move || posted(&web)));

    let mut scene = Scene::by_packet(lab, Family::V4, &sections(lab, &url))?;
    let carol = scene.gate.enrol("carol", &["shell"], &[])?;
    let carol = knockgate_tests::clients::Client::with_profile(lab, &lab.visitor, "carol", &carol)?;
    carol.knock("shell")?.expect(0)?;
    let (connection, knocked) = (connect(lab)?, Instant::now());
    scene.alice.tell(&["knock", "alice", "ssh", "--via", "sequence"])?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;

    for (notice, code, channel) in [(end(ops_here)?, 42, "ops"), (end(web_here)?, 43, "web")] {
        let notice: Value = serde_json::from_str(&notice).with_context(|| notice.clone())?;
        ensure!(notice["code"] == code && notice["channel"] == channel, "{notice}");
    }
    for channel in ["ops", "web"] {
        scene.gate.wait_for_audit(channel, |record| {
            record["event"] == "notice" && record["channel"] == channel && record["outcome"] == "sent"
        })?;
    }
    let begins = |record: &Value| record["event"] == "log-begins" && record["reason"] == "next-file";
    scene.gate.wait_for_audit("the next file of the log", begins)?;
    install(lab, "tells", &module("tells", asked, OPENS)?)?;
    scene.gate.wait_for_log("policy tells", 0)?;
    scene.alice.knock("ssh")?.expect(0)?;

    // Open by itself for three seconds, and it follows the connection.
    must_follow(&scene, connection, knocked + Duration::from_secs(5))?;
    scene.must_be_healthy()?;
    // What is killed for a system call is no success.
    scene.gate.stop()
}

fn sections(lab: &Lab, url: &str) -> String {
    let path = |name: &str| lab.path(name).display().to_string();
    format!(
        "{APART}\n\n[central]\n\n[audit]\nrotate-mib = 1\n\n\
         [service.shell]\nid = 3\nprotocol = \"tcp\"\nports = [{SHELL}]\nopen = \"3s\"\nfollow = true\n\n\
         [policy]\nchain = [\"tells\"]\n\n\
         [policy-module.tells]\nfile = \"{}\"\nservices = [\"ssh\", \"web\", \"shell\"]\n\
         capabilities = [\"open\", \"notify\"]\nchannels = [\"ops\", \"web\"]\n\n\
         [channel.ops]\nid = 8\nsocket = \"{}\"\n\n[channel.web]\nid = 9\nwebhook = \"{url}\"\n",
        path("tells.wasm"),
        path("ops.sock"),
    )
}

fn connect(lab: &Lab) -> Result<TcpStream> {
    let to = lab.gate.at(Family::V4, SHELL);
    lab.visitor.inside(|| Ok(TcpStream::connect_timeout(&to, Duration::from_secs(2))?))
}

/// `end`: when it would be shut if it did not.
fn must_follow(scene: &Scene<'_>, connection: TcpStream, end: Instant) -> Result<()> {
    let records = |event: &str| -> Result<Vec<Value>> {
        let of_carol = |record: &Value| record["event"] == event && record["client"] == "carol";
        Ok(scene.gate.audit()?.into_iter().filter(of_carol).collect())
    };
    waiting::until_true("the grant is prolonged", WITHIN, || {
        let grants = scene.gate.tell(&["grants", "--json"]).and_then(|said| said.expect(0)?.json());
        grants.is_ok_and(|grants| grants["grants"].to_string().contains("carol"))
            && records("grant-opened").is_ok_and(|opened| !opened.is_empty())
            && Instant::now() > end
    })?;
    ensure!(records("grant-closed")?.is_empty(), "it was closed while somebody was inside");
    drop(connection);
    waiting::until_true("the closing in the audit log", WITHIN, || {
        records("grant-closed").is_ok_and(|closed| !closed.is_empty())
    })
}

fn first_line(listener: &UnixListener) -> Result<String> {
    let mut line = String::new();
    BufReader::new(listener.accept()?.0).read_line(&mut line)?;
    Ok(line)
}

/// The body of the first thing that is posted.
fn posted(listener: &TcpListener) -> Result<String> {
    let (stream, _) = listener.accept()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
            Some(_) => {}
            None if line.trim().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut body)?;
    (&stream).write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok(String::from_utf8(body)?)
}

fn end(listener: JoinHandle<Result<String>>) -> Result<String> {
    listener.join().map_err(|_| anyhow!("a listener has panicked"))?
}
