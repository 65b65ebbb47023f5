//! The commands that go on after the knock: run, proxy and doctor.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]
#![cfg(unix)]

mod live_gate;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener};
use std::process::{Child, Stdio};
use std::thread;

use knockgate_core::key::Identity;
use knockgate_core::message::Kind;
use knockgate_core::profile::Hosts;
use live_gate::{Finished, LiveGate, Network, V4};

/// A machine behind the gate: every address of this network is this host.
const BEHIND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

#[test]
fn run_ends_with_the_code_of_the_command_and_closes() {
    let gate = LiveGate::new().enrolled();
    let script = "echo $KNOCKGATE_PROFILE $KNOCKGATE_SERVICE $KNOCKGATE_HOST $KNOCKGATE_ADDRESS $KNOCKGATE_PORT; exit 7";

    let run = gate.run(&["run", "home", "ssh", "--", "sh", "-c", script]);

    assert_eq!((run.code, run.stdout.as_str()), (7, "home ssh 127.0.0.1 127.0.0.1 22\n"), "{run:?}");
    assert!(run.stderr.starts_with("knockgate: ssh on 127.0.0.1 is open for 60 s"), "{run:?}");
    assert_eq!(gate.asked(), [Kind::Open, Kind::Close]);
    assert_eq!(gate.open(), []);
}

#[test]
fn run_tells_the_command_where_a_service_behind_the_gate_is() {
    let machine = TcpListener::bind((BEHIND, 0)).unwrap();
    let port = machine.local_addr().unwrap().port();
    let gate = LiveGate::new().serving_at(port).behind(BEHIND).enrolled();
    let script = "echo $KNOCKGATE_HOST $KNOCKGATE_ADDRESS $KNOCKGATE_PORT";

    let run = gate.run(&["run", "home", "ssh", "--wait=5", "--", "sh", "-c", script]);

    let told = format!("{BEHIND} {BEHIND} {port}\n");
    assert_eq!((run.code, run.stdout.as_str()), (0, told.as_str()), "{run:?}");
}

#[test]
fn run_renews_while_the_command_runs() {
    let gate = LiveGate::new().enrolled();
    let mut child = waiting(&gate, &["run", "home", "ssh", "--seconds", "4", "-q", "--"]);
    gate.until("three renewals", |gate| count(gate, Kind::Renew) >= 3);
    assert_eq!(gate.open(), [(V4, 1)]);

    drop(child.stdin.take());

    let run: Finished = child.wait_with_output().unwrap().into();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!(count(&gate, Kind::Open), 1);
    assert_eq!(gate.open(), []);
}

#[test]
fn run_knocks_again_if_the_grant_is_lost() {
    let gate = LiveGate::new().enrolled();
    let mut child = waiting(&gate, &["run", "home", "ssh", "--seconds", "3", "-q", "--"]);
    gate.until("the command runs", |gate| count(gate, Kind::Open) == 1 && !gate.open().is_empty());
    assert_eq!(gate.run(&["close", "home"]).code, 0);
    gate.until("another knock", |gate| count(gate, Kind::Open) == 2);
    drop(child.stdin.take());
    let run: Finished = child.wait_with_output().unwrap().into();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
}

#[test]
fn a_refused_renewal_is_told_once_and_ends_nothing() {
    let gate = LiveGate::new().enrolled();
    let mut child = waiting(&gate, &["run", "home", "ssh", "--seconds", "2", "-q", "--"]);
    gate.until("the command runs", |gate| !gate.open().is_empty());
    gate.refuse();
    gate.until("the end of the grant", |gate| gate.open().is_empty());
    drop(child.stdin.take());
    let run: Finished = child.wait_with_output().unwrap().into();
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stderr.matches("is not renewed and closes in").count(), 1, "{run:?}");
    assert!(run.stderr.contains("the command goes on: 127.0.0.1 refused ssh: its policy said no"), "{run:?}");
}

#[test]
fn a_signal_reaches_the_command_and_the_service_is_closed() {
    let gate = LiveGate::new().enrolled();
    let mut child = gate
        .command(&[
            "run",
            "home",
            "ssh",
            "-q",
            "--",
            "sh",
            "-c",
            "sleep 60 & trap 'kill $!; echo caught; exit 9' TERM; echo ready; wait",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");

    let process = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();

    let mut caught = [0; 7];
    stdout.read_exact(&mut caught).unwrap();
    assert_eq!((&caught, child.wait().unwrap().code()), (b"caught\n", Some(9)));
    assert_eq!(gate.open(), []);
}

#[test]
fn a_command_that_cannot_be_run_is_told_as_shells_do() {
    let gate = LiveGate::new().enrolled();
    let run = gate.run(&["run", "home", "ssh", "-q", "--", "no-such-program"]);
    assert_eq!(run.code, 127);
    assert!(run.stderr.starts_with("knockgate: no-such-program: cannot be run: "), "{run:?}");
    assert_eq!(gate.open(), []);
}

#[test]
fn run_that_cannot_knock_starts_nothing() {
    let gate = LiveGate::new().enrolled();
    gate.refuse();
    let run = gate.run(&["run", "home", "ssh", "--", "echo", "started"]);
    assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{run:?}");
}

#[test]
fn proxy_passes_bytes_both_ways_and_ends_of_them_too() {
    let server = TcpListener::bind((V4, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let gate = LiveGate::new().serving_at(port).enrolled();
    // It answers only once the question has ended: the end is passed on before the answer.
    let serving = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut question = Vec::new();
        stream.read_to_end(&mut question).unwrap();
        stream.write_all(&question.repeat(2)).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    });
    let bytes: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    let mut child = gate
        .command(&["proxy", "home", "127.0.0.1", &port.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, question) = (child.stdin.take().unwrap(), bytes.clone());
    let writing = thread::spawn(move || stdin.write_all(&question).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    serving.join().unwrap();

    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == bytes.repeat(2), "{} bytes", output.stdout.len());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!((gate.asked(), gate.open()), (vec![Kind::Open], vec![(V4, 1)]));
}

#[test]
fn proxy_ends_when_the_server_does_although_stdin_is_open() {
    let server = TcpListener::bind((V4, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let gate = LiveGate::new().enrolled();
    let serving = thread::spawn(move || server.accept().unwrap().0.write_all(b"bye").unwrap());
    let mut child = gate
        .command(&["proxy", "home", "ssh", "127.0.0.1", &port.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    serving.join().unwrap();
    drop(stdin);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"bye".as_slice()));
}

#[test]
fn proxy_reaches_the_machine_behind_the_gate_by_its_own_name_and_by_the_gates() {
    let machine = TcpListener::bind((BEHIND, 0)).unwrap();
    let port = machine.local_addr().unwrap().port();
    let mut gate = LiveGate::new().serving_at(port);
    // The first one at that port is another machine's.
    gate.profile.services[1].port = port;
    gate.profile.services[1].hosts = Hosts::first_of(&[BEHIND]);
    gate.profile.services[0].hosts = Hosts::first_of(&["127.0.0.8".parse().unwrap()]);
    let gate = gate.enrolled();
    let serving = thread::spawn(move || {
        for _ in 0..2 {
            machine.accept().unwrap().0.write_all(b"bye").unwrap();
        }
    });
    for (host, service) in [("127.0.0.9", None), ("127.0.0.1", Some("web"))] {
        let port = port.to_string();
        let named = ["proxy", "home"].into_iter().chain(service).chain([host, &port]).collect::<Vec<_>>();
        let run = gate.run(&named);
        assert_eq!((run.code, run.stdout.as_str()), (0, "bye"), "{host}: {run:?}");
        assert_eq!(gate.open(), [(V4, 2)], "{host}");
    }
    serving.join().unwrap();
}

#[test]
fn proxy_says_on_stderr_why_it_failed() {
    let gate = LiveGate::new().enrolled();
    let shut = TcpListener::bind((V4, 0)).unwrap().local_addr().unwrap().port().to_string();
    let refused = gate.run(&["proxy", "home", "127.0.0.1", &shut]);
    assert_eq!((refused.code, refused.stdout.as_str()), (8, ""));
    assert!(
        refused.stderr.starts_with("knockgate: 127.0.0.1 has opened ssh, but there is no connection to "),
        "{refused:?}"
    );
    #[rustfmt::skip]
    let cases: [&[&str]; 4] = [
        &["proxy", "home", "127.0.0.1"], &["proxy", "home", "127.0.0.1", "ssh"], &["proxy", "home", "a b", "22"],
        &["proxy", "home", "1", "2", "3", "4"],
    ];
    for arguments in cases {
        let run = gate.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}: {run:?}");
    }
}

#[test]
fn doctor_finds_nothing_where_nothing_is_wrong() {
    let gate = LiveGate::new().with_central_port().serving_at(shut_port()).enrolled();
    let run = gate.run(&["doctor", "home"]);
    assert_eq!(run.code, 0, "{run:?}");
    let states: Vec<_> = run
        .stdout
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "profile ok",
        "name ok",
        "route ok",
        "packet ok",
        "tcp ok",
        "clock ok",
        "key ok",
        "book ok",
        "service ok",
    ];
    assert_eq!(states, expected, "{run:?}");
    assert_eq!((gate.open(), gate.asked()), (vec![], vec![]), "it only asks for the status");
}

#[test]
fn doctor_tells_what_is_wrong() {
    let answering = TcpListener::bind((V4, 0)).unwrap();
    let answering_port = answering.local_addr().unwrap().port();
    let usual = || LiveGate::new().serving_at(shut_port());
    let mut wrong_key = usual();
    wrong_key.profile.gate_key = Identity::generate(&mut rand_core::UnwrapErr(getrandom::SysRng)).public();
    #[rustfmt::skip]
    let cases: [(u32, LiveGate, &[Expected]); 6] = [
        (1, usual().over(Network::LosesEverything), &[("packet", "problem", "is silent after"), ("key", "cannot-tell", "looks like one that is down")]),
        (2, wrong_key, &[("packet", "problem", "is silent after"), ("key", "cannot-tell", "does not know this client")]),
        (3, usual().with_central_port().over(Network::LosesEverything), &[("packet", "problem", "is silent after"), ("tcp", "ok", "answers in"), ("key", "ok", "knows")]),
        (4, usual().clock(3600), &[("clock", "problem", "this machine's clock is 60 min behind the gate's"), ("packet", "ok", "")]),
        (5, usual().clock(-20), &[("clock", "ok", "agrees")]),
        (6, LiveGate::new().serving_at(answering_port), &[("service", "problem", "answers although ssh is not open")]),
    ];
    for (case, gate, expected) in cases {
        let run = gate.enrolled().run(&["doctor", "home", "--json"]);
        let json = run.json();
        let is_fine = expected.iter().all(|(_, state, _)| *state == "ok");
        assert_eq!(run.code, i32::from(!is_fine), "case {case}: {json}");
        for (check, state, part) in expected {
            let found =
                json["checks"].as_array().unwrap().iter().find(|found| found["check"] == *check).unwrap();
            assert_eq!(found["state"], *state, "case {case}: {json}");
            assert!(found["message"].as_str().unwrap().contains(part), "case {case}: {found}");
            assert_eq!(found["remedy"].is_null(), *state == "ok", "case {case}: {found}");
        }
    }
}

#[test]
fn doctor_begins_with_the_profile() {
    let gate = LiveGate::new().enrolled();
    let run = gate.run(&["doctor", "nowhere", "--json"]);
    assert_eq!((run.code, &run.json()["checks"][0]["check"]), (1, &"profile".into()), "{run:?}");
}

/// A check, its state, and a part of what is said.
type Expected = (&'static str, &'static str, &'static str);

/// Runs `cat` until its stdin is closed.
fn waiting(gate: &LiveGate, arguments: &[&str]) -> Child {
    let arguments: Vec<_> = arguments.iter().copied().chain(["cat"]).collect();
    gate.command(&arguments).stdin(Stdio::piped()).spawn().unwrap()
}

fn count(gate: &LiveGate, kind: Kind) -> usize {
    gate.asked().into_iter().filter(|asked| *asked == kind).count()
}

fn shut_port() -> u16 {
    TcpListener::bind((V4, 0)).unwrap().local_addr().unwrap().port()
}
