//! A gateway's console, spoken with by the real client, behind the real gate of the core.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

mod live_gate;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use knockgate_core::book::{DecoySeed, Order, Shape};
use knockgate_core::gate::LockoutScope;
use knockgate_core::key::{GateId, SecretKey};
use knockgate_core::message::{Kind, Mode};
use knockgate_core::site::{Draft, Head, PacketPorts, SIGNATURE_LEN};
use knockgate_core::time::UnixTime;
use live_gate::console::{Manner, SERVICE, has_console, has_its_service};
use live_gate::{LiveGate, Network, V4, V6};

#[test]
fn the_status_is_told_after_a_knock_for_the_console() {
    let gate = gateway();

    let run = gate.run(&["console", "status", "home"]);

    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let expected = "127.0.0.1: up for 3 h 20 min with site image 4; 2 grants, 300 connections; \
                    heap 90000 bytes, at most 101000; room for an image of 458752 bytes\n";
    assert_eq!(run.stdout, expected);
    assert_eq!((gate.asked(), gate.open()), (vec![Kind::Open], vec![(V4, SERVICE)]));
}

#[test]
fn json_has_the_status_in_numbers() {
    let json = gateway().run(&["console", "status", "home", "--json"]).json();
    let gateway = serde_json::json!({
        "boot": 7, "serial": 4, "up_seconds": 12_000, "grants": 2, "flows": 300, "heap_bytes": 90_000,
        "most_heap_bytes": 101_000, "room_bytes": 458_752,
    });
    let expected = serde_json::json!({
        "command": "console status", "outcome": "ok", "exit": 0, "reason": null, "address": "127.0.0.1", "service": "console",
        "gateway": gateway,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&json[key], value, "{key}");
    }
}

#[test]
fn every_command_has_its_line_in_the_clients_own_log() {
    let gate = gateway();
    let image = gate.write_file("lab.site", &site());
    for arguments in [
        &["console", "status", "home"][..],
        &["console", "time", "home"],
        &["console", "update", "home", image.to_str().unwrap()],
        &["log", "--remote", "home"],
    ] {
        assert_eq!(gate.run(arguments).code, 0, "{arguments:?}");
    }
    let log = gate.run(&["log", "--json"]).stdout;
    let commands: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| format!("{} {}", line["command"].as_str().unwrap(), line["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(commands, ["console status ok", "console time ok", "console update ok", "log ok"]);
}

#[test]
fn the_console_is_reached_over_either_family() {
    let gate = gateway();
    for address in [V4, V6].map(|address| address.to_string()) {
        let json = gate.run(&["console", "status", "home", "--address", &address, "--json"]).json();
        assert_eq!((&json["exit"], &json["address"]), (&0.into(), &address.into()), "{json}");
    }
}

#[test]
fn a_gate_without_packet_ports_is_knocked_at_over_its_central_port() {
    let gate = LiveGate::with(has_console).with_console().with_central_port().without_packets().enrolled();
    assert_eq!(gate.run(&["console", "status", "home"]).code, 0);
}

#[test]
fn the_time_of_this_machine_is_given() {
    let gate = gateway();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();

    let run = gate.run(&["console", "time", "home"]);

    assert_eq!((run.code, run.stdout.as_str()), (0, "127.0.0.1 has the time of this machine\n"), "{run:?}");
    let given = Duration::from_micros(gate.console(|console| console.time).unwrap().as_micros());
    // A report of microseconds may be older than one of nanoseconds by less than one of the former.
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!((before - Duration::from_micros(1)..=after).contains(&given), "{given:?}");
}

#[test]
fn a_site_image_arrives_whole_and_without_what_stands_behind_it() {
    let gate = gateway();
    let (image, behind) = (site(), [0xff; 5000]);
    let file = gate.write_file("lab.site", &[&image[..], &behind].concat());

    let run = gate.run(&["console", "update", "home", file.to_str().unwrap()]);

    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let expected = format!(
        "127.0.0.1 has taken site image 5, of {} bytes, and starts with it; \
         `knockgate console status home` tells when it is up\n",
        image.len()
    );
    assert_eq!(run.stdout, expected);
    gate.console(|console| {
        assert!(console.image == image && console.finished);
        assert_eq!(console.length, u32::try_from(image.len()).ok());
    });
}

#[test]
fn a_file_that_is_no_site_image_is_refused_before_anything_is_sent() {
    let gate = gateway();
    let image = site();
    let mut newer = image.clone();
    newer[4] = 2;
    let mut senseless = image.clone();
    senseless[8..12].copy_from_slice(&7_u32.to_le_bytes());
    for (case, bytes, what) in [
        (1, &b"hello"[..], "is no site image"),
        (2, &image[..image.len() - 1], "is a site image that is cut off"),
        (3, &newer, "is a site image of version 2"),
        (4, &senseless, "is a site image whose content makes no sense"),
    ] {
        let file = gate.write_file("wrong.site", bytes);
        let run = gate.run(&["console", "update", "home", file.to_str().unwrap()]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "case {case}: {run:?}");
        assert!(
            run.stderr.starts_with(&format!("knockgate: {} {what}", file.display())),
            "case {case}: {run:?}"
        );
    }
    let missing = gate.run(&["console", "update", "home", "/nowhere/lab.site", "--json"]);
    assert_eq!((missing.code, missing.json()["reason"].as_str()), (1, Some("site-image")));
    assert_eq!(gate.asked(), []);
}

#[test]
#[cfg(unix)]
fn a_site_image_that_others_can_read_is_refused_with_the_command_that_helps() {
    use std::os::unix::fs::PermissionsExt;
    let gate = gateway();
    let file = gate.write_file("lab.site", &site());
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let run = gate.run(&["console", "update", "home", file.to_str().unwrap()]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("run: chmod 600 "), "{run:?}");
    assert_eq!(gate.asked(), []);
}

#[test]
fn the_gateways_log_is_printed_as_it_comes_and_from_where_it_is_wanted() {
    let gate = gateway();
    gate.console(|console| console.records = (1..=3).map(|number| format!("{{\"n\":{number}}}")).collect());

    let all = gate.run(&["log", "--remote", "home"]);
    assert_eq!((all.code, all.stdout.as_str()), (0, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"), "{all:?}");
    assert_eq!(
        all.stderr,
        "knockgate: the last record is number 3; `--after 3` leaves out what was printed\n"
    );

    let rest = gate.run(&["log", "--remote", "home", "--after", "2", "-q"]);
    assert_eq!((rest.stdout.as_str(), rest.stderr.as_str()), ("{\"n\":3}\n", ""), "{rest:?}");
    let nothing = gate.run(&["log", "--remote", "home", "--after", "3"]);
    assert_eq!((nothing.code, nothing.stdout.as_str(), nothing.stderr.as_str()), (0, "", ""));
}

#[test]
fn lost_records_are_told_on_stderr() {
    for (gone, told) in [(1, "1 record is lost"), (2, "2 records are lost")] {
        let gate = gateway();
        gate.console(|console| (console.records, console.gone) = (vec!["{}".to_owned(); 3], gone));
        let run = gate.run(&["log", "--remote", "home", "-q"]);
        assert_eq!((run.code, run.stdout.lines().count()), (0, 3 - gone), "{run:?}");
        assert!(run.stderr.starts_with(&format!("knockgate: warning: {told}: ")), "{run:?}");
    }
}

#[test]
fn a_record_cannot_command_the_terminal() {
    let gate = gateway();
    gate.console(|console| console.records = vec!["{\"x\":\"\u{1b}[2J\"}".to_owned()]);
    assert_eq!(gate.run(&["log", "--remote", "home"]).stdout, "{\"x\":\"[2J\"}\n");
}

#[test]
fn whoever_follows_is_told_what_comes() {
    let gate = gateway();
    gate.console(|console| console.records.push("{\"n\":1}".to_owned()));
    let mut child = gate.start(&["log", "--remote", "home", "--follow"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "{\"n\":1}");
    for number in 2..=3 {
        gate.console(|console| console.records.push(format!("{{\"n\":{number}}}")));
        assert_eq!(lines.next().unwrap().unwrap(), format!("{{\"n\":{number}}}"), "each once");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_console_that_misbehaves_is_told_apart() {
    #[rustfmt::skip]
    let cases = [
        (1, Manner::Closes, 3, "console-closed"), (2, Manner::Silent, 3, "silence"), (3, Manner::Garbles, 3, "not-the-gate"),
        (4, Manner::TooLong, 3, "not-the-gate"), (5, Manner::Newer, 3, "newer-gate"), (6, Manner::Refuses, 4, "console-refused"),
        (7, Manner::Forgetful, 3, "newer-gate"),
    ];
    let gate = gateway();
    for (case, manner, code, reason) in cases {
        gate.console(|console| console.manner = manner);
        for arguments in [&["console", "status"][..], &["console", "time"]] {
            let run = gate.run(&[arguments, &["home", "--timeout", "3", "--json"]].concat());
            assert_eq!(
                (run.code, run.json()["reason"].as_str()),
                (code, Some(reason)),
                "case {case}: {run:?}"
            );
        }
        let run = gate.run(&["log", "--remote", "home", "--timeout", "3"]);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "case {case}: {run:?}");
    }
}

#[test]
fn a_refusal_of_the_console_is_told_in_its_words_but_for_control_characters() {
    let gate = gateway();
    gate.console(|console| console.manner = Manner::Refuses);
    let file = gate.write_file("lab.site", &site());
    let run = gate.run(&["console", "update", "home", file.to_str().unwrap()]);
    let expected = "knockgate: the console of 127.0.0.1 refused: no room[2J; free some\n";
    assert_eq!((run.code, run.stderr.as_str()), (4, expected));
}

#[test]
fn a_gateway_that_asks_for_the_same_piece_again_is_not_sent_it_for_ever() {
    let gate = gateway();
    gate.console(|console| console.manner = Manner::Forgetful);
    let file = gate.write_file("lab.site", &site());
    let run = gate.run(&["console", "update", "home", file.to_str().unwrap(), "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (3, Some("unexpected-answer")), "{run:?}");
}

#[test]
fn who_may_not_speak_with_the_console_is_told_why() {
    let gate = LiveGate::with(has_its_service).with_console().enrolled();
    let run = gate.run(&["console", "status", "home"]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("refused console: it does not do what was asked"), "{run:?}");

    let gate = gateway();
    gate.refuse();
    let run = gate.run(&["console", "status", "home"]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("refused console: its policy said no"), "{run:?}");

    let gate = LiveGate::new().enrolled();
    let run = gate.run(&["console", "status", "home", "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (1, Some("unknown-service")));
    assert!(run.stderr.contains("no service \"console\"; it has: ssh, web"), "{run:?}");
}

#[test]
fn a_silent_gate_is_told_as_for_a_knock() {
    let gate = LiveGate::with(has_console).with_console().over(Network::LosesEverything).enrolled();
    let run = gate.run(&["log", "--remote", "home", "--timeout", "2"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.contains("silence after 2 packets"), "{run:?}");
}

#[test]
fn the_service_can_be_named_and_must_be_the_consoles() {
    let shut = TcpListener::bind((V4, 0)).unwrap().local_addr().unwrap().port();
    let gate = LiveGate::with(has_console).with_console().serving_at(shut).enrolled();
    assert_eq!(gate.run(&["console", "status", "home", "--service", "console"]).code, 0);
    let run = gate.run(&["console", "status", "home", "--service", "ssh", "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (8, Some("no-connection")));
}

#[test]
fn what_belongs_to_a_gateways_log_needs_a_gateway() {
    let gate = LiveGate::new();
    #[rustfmt::skip]
    let cases: [&[&str]; 5] = [
        &["log", "--after", "3"], &["log", "--follow"], &["log", "--remote", "home", "--profile", "home"], &["console"],
        &["console", "update", "home"],
    ];
    for arguments in cases {
        assert_eq!(gate.run(arguments).code, 2, "{arguments:?}");
    }
}

fn gateway() -> LiveGate {
    LiveGate::with(has_console).with_console().enrolled()
}

/// An image of some pieces, with a signature that only a gateway can tell from a good one.
fn site() -> Vec<u8> {
    let shape = Shape::new(1000, 6, 100, 10_000..=32_767).unwrap();
    let head = Head {
        serial: 5,
        made: UnixTime::from_micros(1),
        name: "lab".parse().unwrap(),
        gate: GateId([3; 16]),
        identity: SecretKey::from_bytes([4; 32]),
        door_keys: [].into_iter().collect(),
        decoy_seed: DecoySeed::from_bytes([5; 32]),
        shape,
        mode: Mode::Connect,
        order: Order::Strict,
        hold_ms: 10_000,
        strays: 2,
        lockout_s: 60,
        lockout_scope: LockoutScope::Source,
        max_age_ms: None,
        ipv4: None,
        ipv6: None,
        central_port: None,
        packet_ports: PacketPorts::Any,
        console: None,
    };
    let compiled: Vec<u8> = (0..3000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let policies = [("hours".parse().unwrap(), &b""[..], &compiled[..])];
    let draft = Draft { head: &head, services: &[], clients: &[], books: &[], policies: &policies };
    let mut buffer = vec![0; 8192];
    let image = draft.write(&mut buffer).unwrap().to_vec();
    [&image[..], b"ED", &[9; SIGNATURE_LEN - 2]].concat()
}
