//! The real client against the real gate of the core, by datagram.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

mod live_gate;

use std::net::{IpAddr, Ipv4Addr, TcpListener, ToSocketAddrs, UdpSocket};
use std::thread;

use knockgate_core::message::Kind;
use live_gate::{LiveGate, Network, V4, V6};

/// A machine behind the gate: every address of this network is this host.
const BEHIND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

#[test]
fn one_packet_opens_the_service() {
    let gate = LiveGate::new().enrolled();

    let run = gate.run(&["knock", "home", "ssh", "--seconds", "90"]);

    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(run.stdout.starts_with("ssh on 127.0.0.1 is open for 90 s, until "), "{run:?}");
    assert!(!run.stdout.contains("left"), "a packet uses up no number: {run:?}");
    assert_eq!((gate.open(), gate.asked()), (vec![(V4, 1)], vec![Kind::Open]));
}

#[test]
fn json_tells_where_it_was_opened_and_to_whom() {
    let gate = LiveGate::new().enrolled();
    let json = gate.run(&["knock", "home", "--json"]).json();
    let port = gate.profile.packet_ports.unwrap().first;
    let expected = serde_json::json!({
        "command": "knock", "outcome": "open", "exit": 0, "reason": null, "gate": format!("127.0.0.1:{port}"),
        "address": "127.0.0.1", "service": "ssh", "left_seconds": 60, "number": null, "via": "packet", "seen": "127.0.0.1",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&json[key], value, "{key}");
    }
    let opened = &json["opened"][0];
    assert_eq!((&opened["address"], &opened["left_seconds"]), (&"127.0.0.1".into(), &60.into()));
    assert_eq!(opened["at"], "127.0.0.1:22", "a server is where its gate is");
    assert!(opened["grant"].is_u64() && json["opened"][1].is_null(), "{json}");
}

#[test]
fn a_lost_packet_is_sent_again_with_a_counter_beyond_what_a_crash_may_have_burnt() {
    for network in [Network::LosesQuestions(1), Network::LosesAnswers(1)] {
        let gate = LiveGate::new().over(Network::Fine).enrolled();
        assert_eq!(gate.run(&["status", "home"]).code, 0);
        let gate = gate.over(network);

        let run = gate.run(&["knock", "home"]);

        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{network:?}: {run:?}");
        assert!(gate.open().contains(&(V4, 1)), "{network:?}");
        let counters = gate.counters();
        let (first, last) = (counters.first().unwrap(), counters.last().unwrap());
        assert!(last - first >= 120_000_000, "{network:?}: {counters:?}");
        assert!(last - first < 200_000_000, "{network:?}: {counters:?}");
    }
}

#[test]
fn every_lost_packet_costs_one_jump() {
    let gate = LiveGate::new().over(Network::LosesQuestions(2)).enrolled();
    let before = unix_micros();
    assert_eq!(gate.run(&["knock", "home"]).code, 0);
    let ahead = gate.counters()[0] - before;
    assert!((240_000_000..320_000_000).contains(&ahead), "{ahead}");
}

#[test]
fn forged_answers_are_ignored() {
    let gate = LiveGate::new().forged().enrolled();
    for _ in 0..3 {
        let run = gate.run(&["knock", "home"]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    }
    assert_eq!(gate.asked().len(), 3, "nothing had to be asked again");
}

#[test]
fn silence_is_told_with_what_it_can_mean() {
    let gate = LiveGate::new().over(Network::LosesEverything).enrolled();
    let run = gate.run(&["knock", "home", "--timeout", "2"]);
    let port = gate.profile.packet_ports.unwrap().first;
    let expected = format!(
        "knockgate: no answer from 127.0.0.1:{port} (127.0.0.1: silence after 2 packets). Either the key in profile \"home\" is \
         not on the gate's roster, UDP {port} is blocked on the way, or the gate is down; `knockgate doctor home` tells which it \
         can rule out\n"
    );
    assert_eq!((run.code, run.stderr), (3, expected));
}

#[test]
fn a_port_that_is_shut_is_told() {
    let mut gate = LiveGate::new();
    let shut = UdpSocket::bind((V4, 0)).unwrap().local_addr().unwrap().port();
    gate.profile.packet_ports = Some(knockgate_core::profile::PortRange { first: shut, last: shut });
    let gate = gate.enrolled();
    let run = gate.run(&["knock", "home", "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (3, Some("unreachable")));
    assert!(run.stderr.contains("UDP port is shut"), "{run:?}");
}

#[test]
fn where_packets_are_lost_the_central_port_is_asked() {
    let gate = LiveGate::new().with_central_port().over(Network::LosesEverything).enrolled();
    let json = gate.run(&["knock", "home", "--json"]).json();
    assert_eq!((&json["exit"], &json["via"]), (&0.into(), &"tcp".into()));
    assert_eq!(gate.open(), [(V4, 1)]);
}

#[test]
fn the_way_can_be_chosen() {
    let gate = LiveGate::new().with_central_port().enrolled();
    for (via, told) in [("packet", "packet"), ("tcp", "tcp"), ("auto", "packet")] {
        let json = gate.run(&["knock", "home", "--via", via, "--json"]).json();
        assert_eq!((&json["exit"], &json["via"]), (&0.into(), &told.into()), "{via}");
    }
    let without = LiveGate::new().enrolled().run(&["knock", "home", "--via", "tcp", "--json"]);
    assert_eq!((without.code, without.json()["reason"].as_str()), (1, Some("no-central-port")));
    let without = LiveGate::new().with_central_port().without_packets().enrolled();
    let run = without.run(&["knock", "home", "--via", "packet", "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (1, Some("no-packets")));
    assert_eq!(without.run(&["knock", "home"]).code, 0, "a packet knock over TCP");
}

#[test]
fn a_gate_that_wants_the_address_confirmed_is_told_without_a_word() {
    let gate = LiveGate::with(|config| config.services[0].confirm = true).enrolled();
    let run = gate.run(&["knock", "home"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!(gate.asked(), [Kind::Open, Kind::Open]);
}

#[test]
fn a_code_is_read_from_stdin() {
    let gate = LiveGate::with(|config| config.services[0].second_factor = true).enrolled();

    let none = gate.run(&["knock", "home", "--json"]);
    let wrong = gate.run_with(&["knock", "home", "--code", "--json"], "000000\n");
    let short = gate.run_with(&["knock", "home", "--code", "--json"], "12345\n");
    let right = gate.run_with(&["knock", "home", "--code"], &format!("{}\nmore", gate.code()));

    let told = |run: &live_gate::Finished| (run.code, run.json()["reason"].as_str().unwrap().to_owned());
    assert_eq!(told(&none), (4, "code-wanted".to_owned()));
    assert_eq!(told(&wrong), (4, "wrong-code".to_owned()));
    assert_eq!(told(&short), (1, "code".to_owned()));
    assert_eq!(right.code, 0, "{right:?}");
    assert_eq!(gate.open(), [(V4, 1)]);
}

#[test]
#[cfg(unix)]
fn a_code_that_the_gate_wants_is_asked_for() {
    let gate = LiveGate::with(|config| config.services[0].second_factor = true).enrolled();
    let askpass = gate.write_file("askpass", format!("#!/bin/sh\necho {}\n", gate.code()).as_bytes());
    std::fs::set_permissions(&askpass, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let child = gate.command(&["knock", "home"]).env("KNOCKGATE_ASKPASS", askpass).spawn().unwrap();
    let run: live_gate::Finished = child.wait_with_output().unwrap().into();
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn a_code_whose_answer_was_lost_has_opened_all_the_same() {
    let gate = LiveGate::with(|config| config.services[0].second_factor = true).enrolled();
    let gate = gate.over(Network::LosesAnswers(1));
    let run = gate.run_with(&["knock", "home", "--code"], &gate.code());
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn a_new_door_key_is_stored_in_the_profile() {
    let gate = LiveGate::new().enrolled();
    let key = gate.change_door_key();
    assert!(!gate.stored_profile().door_key.is(&key));
    for _ in 0..2 {
        let run = gate.run(&["knock", "home"]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        assert!(gate.stored_profile().door_key.is(&key));
    }
}

#[test]
fn a_new_door_key_is_stored_in_a_locked_profile_which_stays_locked() {
    let gate = LiveGate::new().enrolled();
    let file = gate.write_file("passphrase", b"correct horse\n");
    let file = file.to_str().unwrap();
    assert_eq!(gate.run(&["passphrase", "home", "--new-passphrase-file", file]).code, 0);
    gate.change_door_key();
    let stored = || std::fs::read(gate.home.path().join("profiles/home.kgp")).unwrap();
    let before = stored();

    let run = gate.run(&["knock", "home", "--passphrase-file", file]);

    assert_eq!(run.code, 0, "{run:?}");
    assert!(stored() != before && stored().starts_with(b"KGlk"));
    // The gate forgets the old key: the new one is all that is left.
    let run = gate.run(&["status", "home", "--passphrase-file", file]);
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn a_prefix_is_asked_for() {
    let gate = LiveGate::new().enrolled();
    let run = gate.run(&["knock", "home", "--prefix"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(gate.open(), [("127.0.0.0".parse().unwrap(), 1)]);
}

#[test]
fn one_knock_opens_to_both_address_families() {
    let both = ("localhost", 0).to_socket_addrs().unwrap();
    let (v4, v6): (Vec<_>, Vec<_>) = both.partition(|address| address.is_ipv4());
    if v4.is_empty() || v6.is_empty() {
        // This machine's localhost has one family.
        return;
    }
    let gate = LiveGate::new().named("localhost").enrolled();

    let run = gate.run(&["knock", "home", "--json"]);

    let mut open = gate.open();
    open.sort();
    assert_eq!((run.code, open), (0, vec![(V4, 1), (V6, 1)]), "{run:?}");
    assert_eq!(run.json()["opened"].as_array().unwrap().len(), 2);
    assert_eq!(gate.run(&["close", "home"]).code, 0);
    assert_eq!(gate.open(), []);
    assert_eq!(gate.run(&["knock", "home", "-4"]).code, 0);
    assert_eq!(gate.open(), [(V4, 1)]);
}

#[test]
fn what_is_open_is_renewed_and_closed() {
    let gate = LiveGate::new().enrolled();
    gate.run(&["knock", "home", "--seconds", "5"]);

    let renewed = gate.run(&["renew", "home", "--seconds", "300"]);
    let status = gate.run(&["status", "home", "--json"]).json();
    let grant = status["open"][0]["grant"].to_string();
    let other = gate.run(&["close", "home", "web"]);
    let closed = gate.run(&["close", "home", "--grant", &grant]);
    let again = gate.run(&["renew", "home", "--json"]);

    assert_eq!(renewed.code, 0, "{renewed:?}");
    assert!(renewed.stdout.starts_with("ssh on 127.0.0.1 is open for 5 min, until "), "{renewed:?}");
    assert_eq!(
        (other.code, other.stderr.contains("refused web: nothing of that kind is open")),
        (4, true),
        "{other:?}"
    );
    assert_eq!(
        (closed.code, closed.stdout.as_str()),
        (0, "what this client had open on 127.0.0.1 is closed\n")
    );
    assert_eq!((again.code, again.json()["reason"].as_str()), (4, Some("no-grant")));
    assert_eq!(gate.open(), []);
}

#[test]
fn the_client_waits_until_the_service_answers() {
    let service = TcpListener::bind((V4, 0)).unwrap();
    let port = service.local_addr().unwrap().port();
    let gate = LiveGate::new().serving_at(port).enrolled();
    assert_eq!(gate.run(&["knock", "home", "--wait"]).code, 0);
    drop(service);

    let silent = gate.run(&["knock", "home", "--wait=1", "--json"]);
    assert_eq!((silent.code, silent.json()["reason"].as_str()), (8, Some("service-silent")));

    let late = gate.start(&["knock", "home", "--wait=20"]);
    let asked = gate.asked().len();
    gate.until("the knock", |gate| gate.asked().len() > asked || !gate.open().is_empty());
    let service = TcpListener::bind((V4, port)).unwrap();
    let accepting = thread::spawn(move || service.accept().map(|_| ()));
    assert!(late.wait_with_output().unwrap().status.success());
    accepting.join().unwrap().unwrap();
}

#[test]
fn a_service_behind_the_gate_is_told_and_waited_for_where_it_is() {
    let machine = TcpListener::bind((BEHIND, 0)).unwrap();
    let port = machine.local_addr().unwrap().port();
    // At the gate itself something listens at that port, too, and is not what is meant.
    let _at_the_gate = TcpListener::bind((V4, port)).unwrap();
    let gate = LiveGate::new().serving_at(port).behind(BEHIND).enrolled();

    let knock = gate.run(&["knock", "home", "--wait=5"]);
    let told = format!("ssh at {BEHIND}:{port} behind 127.0.0.1 is open for 60 s, until ");
    assert!(knock.code == 0 && knock.stdout.starts_with(&told), "{knock:?}");
    let json = gate.run(&["renew", "home", "--json"]).json();
    let opened = &json["opened"][0];
    let expected = (&"127.0.0.1".into(), &format!("{BEHIND}:{port}").into());
    assert_eq!((&opened["address"], &opened["at"]), expected, "{json}");

    drop(machine);
    let silent = gate.run(&["knock", "home", "--wait=1"]);
    assert_eq!(silent.code, 8, "{silent:?}");
    let told = format!("127.0.0.1 has opened ssh, but {BEHIND}:{port} accepted no connection within 1 s");
    assert!(silent.stderr.contains(&told), "{silent:?}");
}

#[test]
fn only_the_families_are_knocked_in_that_the_service_behind_the_gate_has() {
    let both = ("localhost", 0).to_socket_addrs().unwrap();
    let (v4, v6): (Vec<_>, Vec<_>) = both.partition(|address| address.is_ipv4());
    if !v4.is_empty() && !v6.is_empty() {
        let gate = LiveGate::new().named("localhost").behind(BEHIND).enrolled();
        assert_eq!(gate.run(&["knock", "home"]).code, 0);
        assert_eq!(gate.open(), [(V4, 1)]);
        let renewed = gate.run(&["renew", "home"]);
        assert_eq!((renewed.code, renewed.stderr.as_str()), (0, ""), "{renewed:?}");
    }
    let gate = LiveGate::new().behind("2001:db8::100".parse().unwrap()).enrolled();
    let run = gate.run(&["knock", "home", "--json"]);
    let json = run.json();
    assert_eq!((run.code, json["reason"].as_str()), (1, Some("other-family")), "{json}");
    let told = "ssh is behind 127.0.0.1 at an IPv6 address alone, and 127.0.0.1 cannot be knocked at over IPv6. \
                Leave -4 away, or ask the administrator for an address of each family";
    assert_eq!(json["message"], told);
    assert_eq!(gate.asked(), [], "nothing was sent");
}

#[test]
fn the_log_has_the_new_commands() {
    let gate = LiveGate::new().enrolled();
    for arguments in [&["knock", "home"][..], &["renew", "home"], &["close", "home"], &["doctor", "home"]] {
        gate.run(arguments);
    }
    let log = gate.run(&["log"]).stdout;
    let what: Vec<_> =
        log.lines().skip(1).map(|line| line.split_whitespace().skip(3).take(2).collect::<Vec<_>>()).collect();
    assert_eq!(what[0][0], "ssh");
    assert_eq!((what[1][..].join(" "), what[2][0], what[3][0]), ("ssh (renew)".to_owned(), "(close)", "ssh"));
}

fn unix_micros() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}
