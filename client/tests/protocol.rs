//! The real client against a gate stand-in that speaks the real protocol over real TCP.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

mod stand_in;

use std::fs;
use std::net::{IpAddr, Ipv6Addr, TcpListener};

use knockgate_core::Refusal;
use knockgate_core::message::{Kind, Mode};
use stand_in::{Reply, StandIn};

const OFFER: Reply = Reply::Offer(7, Mode::Connect);

#[test]
fn a_knock_opens_the_service_and_says_until_when() {
    let gate = StandIn::new(&[OFFER]).imported();

    let run = gate.run(&["knock", "home", "ssh", "--seconds", "90"]);

    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let (before, after) = run.stdout.trim_end().split_once(", until ").unwrap();
    assert_eq!(before, "ssh on 127.0.0.1 is open for 58 s");
    assert!(after.ends_with("; 993 knocks left"), "{after}");
    assert_eq!(gate.knocked(), gate.sequence(7));
    let asked = gate.requests()[0];
    assert_eq!((asked.kind, asked.service, asked.seconds, asked.source), (Kind::NextNumber, 1, 90, None));
    gate.has_no_complaint();
}

#[test]
fn the_first_service_is_knocked_for_when_none_is_named() {
    let gate = StandIn::new(&[OFFER]).imported();
    assert_eq!(gate.run(&["knock", "home"]).code, 0);
    assert_eq!((gate.requests()[0].service, gate.requests()[0].seconds), (1, 0));
}

#[test]
fn a_knock_over_ipv6_works_the_same_way() {
    let gate = StandIn::at(IpAddr::V6(Ipv6Addr::LOCALHOST), &[OFFER]).imported();
    let run = gate.run(&["knock", "home", "-6"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.starts_with("ssh on ::1 is open"), "{run:?}");
}

#[test]
fn closed_mode_probes_every_port() {
    let gate = StandIn::new(&[Reply::Offer(7, Mode::Closed)]).imported();

    let run = gate.run(&["knock", "home"]);

    assert_eq!(run.code, 0, "{run:?}");
    let sequence = gate.sequence(7);
    assert!(gate.knocked().iter().all(|port| sequence.contains(port)), "a port outside the sequence");
    gate.has_no_complaint();
}

#[cfg(target_os = "linux")]
#[test]
fn a_slow_disk_holds_back_the_last_port_alone() {
    let gate = StandIn::new(&[OFFER]).imported();

    let run = gate.run_on_slow_disk(&["knock", "home"]);

    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(gate.knocked(), gate.sequence(7));
    assert_eq!(gate.noted(), [false, false, false, false, false, true]);
    gate.has_no_complaint();
}

#[test]
fn a_number_that_cannot_be_stored_is_not_knocked_to_its_end() {
    let gate = StandIn::new(&[OFFER]).spoiling_the_ledger().imported();

    let run = gate.run(&["knock", "home"]);

    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("home.json: cannot write"), "{run:?}");
    assert_eq!(gate.knocked(), &gate.sequence(7)[..5]);
}

#[test]
fn success_as_json_has_everything() {
    let gate = StandIn::new(&[OFFER]).imported();

    let json = gate.run(&["knock", "home", "--json"]).json();

    let expected = serde_json::json!({
        "command": "knock", "outcome": "open", "exit": 0, "reason": null, "profile": "home",
        "gate": format!("127.0.0.1:{}", gate.profile.central_port), "address": "127.0.0.1", "service": "ssh",
        "left_seconds": 58, "number": 7, "book": gate.profile.book.id().to_string(), "book_left": 993,
        "retry_ms": null,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&json[key], value, "{key}");
    }
    assert!(json["elapsed_ms"].is_u64() && json["until"].is_string() && json["time"].is_string(), "{json}");
    assert!(json["message"].as_str().unwrap().starts_with("ssh on 127.0.0.1 is open for 58 s"), "{json}");
}

#[test]
fn failure_as_json_has_everything() {
    let gate = StandIn::new(&[Reply::Refuse(Refusal::Denied, 0)]).imported();

    let run = gate.run(&["knock", "home", "web", "--json"]);

    let json = run.json();
    assert_eq!((run.code, &json["exit"]), (4, &4.into()));
    let told = [&json["outcome"], &json["reason"], &json["service"]].map(|value| value.as_str().unwrap());
    assert_eq!(told, ["refused", "denied", "web"]);
    assert!(json["until"].is_null() && json["number"].is_null() && json["left_seconds"].is_null(), "{json}");
    assert_eq!(run.stderr, format!("knockgate: {}\n", json["message"].as_str().unwrap()));
}

#[test]
fn a_busy_gate_is_asked_again() {
    let gate = StandIn::new(&[Reply::Refuse(Refusal::Busy, 300), OFFER]).imported();
    let run = gate.run(&["knock", "home"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stderr, "knockgate: 127.0.0.1 is busy; asking again in under a second\n");
    gate.has_no_complaint();
}

#[test]
fn a_gate_that_still_decides_about_the_last_knock_is_asked_again() {
    let gate = StandIn::new(&[Reply::Pending, OFFER]).imported();
    let run = gate.run(&["knock", "home"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn a_wrong_port_is_told_with_the_time_of_the_lockout() {
    let gate = StandIn::new(&[OFFER]).statuses(&[Reply::Refuse(Refusal::WrongPort, 60_000)]).imported();
    let run = gate.run(&["knock", "home", "--json"]);
    assert_eq!((run.code, &run.json()["retry_ms"]), (4, &60_000.into()));
    assert!(
        run.stderr.starts_with("knockgate: 127.0.0.1 refused ssh: a connection came to a wrong port."),
        "{run:?}"
    );
    assert!(run.stderr.ends_with(". Locked out for 60 s\n"), "{run:?}");
}

#[test]
fn quiet_says_nothing_about_waiting() {
    let gate = StandIn::new(&[Reply::Refuse(Refusal::Busy, 300), OFFER]).imported();
    let run = gate.run(&["knock", "home", "--quiet"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn a_gate_that_stays_busy_longer_than_the_client_waits_ends_with_6() {
    let gate = StandIn::new(&[Reply::Refuse(Refusal::Busy, 4_000)]).imported();
    let run = gate.run(&["knock", "home", "--timeout", "2"]);
    assert_eq!(run.code, 6);
    assert_eq!(
        run.stderr,
        "knockgate: 127.0.0.1 is busy, and 2 s were not enough to wait: another client holds a number of this book or \
         at this address; try again in 4 s, or with a longer --timeout\n"
    );
}

#[test]
fn a_lockout_is_told_with_its_time() {
    let gate = StandIn::new(&[Reply::Refuse(Refusal::LockedOut, 58_000)]).imported();
    let run = gate.run(&["knock", "home"]);
    assert_eq!(run.code, 5);
    assert_eq!(
        run.stderr,
        "knockgate: 127.0.0.1 has locked out this client or its address for 58 s more; try again after that\n"
    );
}

#[test]
fn an_exhausted_book_is_told_with_its_remedy() {
    let gate = StandIn::new(&[Reply::Refuse(Refusal::Exhausted, 0)]).book_left(0).imported();
    let run = gate.run(&["knock", "home"]);
    assert_eq!(run.code, 7);
    assert_eq!(
        run.stderr,
        "knockgate: every number of the knock book in profile \"home\" has been used; \
         ask the administrator of 127.0.0.1 for a new profile (`knockgated client add`)\n"
    );
}

#[test]
fn a_book_that_runs_low_is_told_with_the_number_left() {
    let gate = StandIn::new(&[OFFER]).book_left(17).imported();
    let run = gate.run(&["knock", "home", "-q"]);
    assert_eq!(run.code, 0);
    assert_eq!(
        run.stderr,
        "knockgate: warning: the knock book of profile \"home\" has 17 knocks left; \
         ask the administrator of 127.0.0.1 for a new profile\n"
    );
}

#[test]
fn a_gate_with_another_key_is_no_answer() {
    let gate = StandIn::new(&[OFFER]).with_another_key().imported();
    let run = gate.run(&["knock", "home"]);
    assert_eq!(run.code, 3);
    let start = format!(
        "knockgate: no answer from 127.0.0.1:{} (127.0.0.1: connected, then closed without an answer). Either the key in profile \
         \"home\" is not on the gate's roster, ",
        gate.profile.central_port
    );
    assert!(run.stderr.starts_with(&start), "{run:?}");
    assert!(gate.knocked().is_empty());
}

#[test]
fn silence_is_no_answer() {
    let gate = StandIn::new(&[Reply::Silence]).imported();
    let run = gate.run(&["knock", "home", "--timeout", "1", "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (3, Some("silence")));
}

#[test]
fn junk_instead_of_an_answer_is_not_the_gate() {
    let gate = StandIn::new(&[Reply::Junk]).imported();
    let run = gate.run(&["knock", "home", "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (3, Some("not-the-gate")));
    assert!(run.stderr.contains("the answer is not from the gate"), "{run:?}");
}

#[test]
fn a_gate_that_is_down_is_no_answer() {
    let mut gate = StandIn::new(&[]);
    gate.profile.central_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gate = gate.imported();
    let run = gate.run(&["knock", "home"]);
    assert_eq!(run.code, 3);
    let port = gate.profile.central_port;
    assert_eq!(
        run.stderr,
        format!(
            "knockgate: no answer from 127.0.0.1:{port} (127.0.0.1: connection refused). Either the gate is down, \
             TCP port {port} is blocked on the way, or the gate has moved; try another network, \
             or ask the administrator of 127.0.0.1\n"
        )
    );
}

#[test]
fn a_number_that_was_used_before_is_never_knocked_again() {
    let earlier = Reply::Offer(6, Mode::Connect);
    let gate = StandIn::new(&[OFFER, OFFER, earlier]).imported();
    assert_eq!(gate.run(&["knock", "home"]).code, 0);
    for (offered, profile) in [(7, "home"), (6, "home")] {
        let run = gate.run(&["knock", profile]);
        assert_eq!(run.code, 4);
        let start = format!(
            "knockgate: 127.0.0.1 offers knock number {offered}, but this client has used the numbers up to 7. Not knocked: "
        );
        assert!(run.stderr.starts_with(&start), "{run:?}");
        assert!(gate.knocked().is_empty(), "nothing may be sent");
    }
}

#[test]
fn a_number_of_another_book_is_not_knocked() {
    let gate = StandIn::new(&[Reply::ForeignOffer]).imported();
    let run = gate.run(&["knock", "home", "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (1, Some("foreign-book")));
    assert!(
        run.stderr.contains("take the newer profile with `knockgate enroll FILE --name home --force`"),
        "{run:?}"
    );
}

#[test]
fn a_blocked_port_is_named() {
    let gate = StandIn::with_blocked_port(&[OFFER], 2).imported();
    let run = gate.run(&["knock", "home"]);
    assert_eq!(run.code, 8);
    let start = format!(
        "knockgate: knock 3 of 6 failed: TCP port {} of 127.0.0.1: connection refused. Either something on the way \
         blocks that port, ",
        gate.sequence(7)[2]
    );
    assert!(run.stderr.starts_with(&start), "{run:?}");
    assert_eq!(gate.knocked(), gate.sequence(7)[..2], "nothing comes after the blocked port");
}

#[test]
fn the_gates_own_reason_for_a_blocked_port_is_preferred() {
    let gate =
        StandIn::with_blocked_port(&[OFFER], 2).statuses(&[Reply::Refuse(Refusal::TooLate, 0)]).imported();
    let run = gate.run(&["knock", "home", "--json"]);
    assert_eq!((run.code, run.json()["reason"].as_str()), (4, Some("too-late")));
}

#[test]
fn the_client_asks_until_the_gate_has_decided() {
    #[rustfmt::skip]
    let cases: [(u32, &[Reply], i32, &str); 9] = [
        (1, &[Reply::Pending, Reply::Pending],                        0, "open"),
        (2, &[Reply::Pending, Reply::Refuse(Refusal::Denied, 0)],     4, "refused"),
        (3, &[Reply::Refuse(Refusal::WrongPort, 0)],                  4, "refused"),
        (4, &[Reply::RefuseFor(200)],                                 4, "refused"),
        (5, &[Reply::Refuse(Refusal::LockedOut, 60_000)],             5, "locked-out"),
        (6, &[Reply::Nothing],                                        8, "unconfirmed"),
        (7, &[Reply::GrantNothing],                                   8, "unconfirmed"),
        (8, &[Reply::Close, Reply::Pending],                          0, "open"),
        (9, &[Reply::Close, Reply::Close, Reply::Close],              8, "unconfirmed"),
    ];
    for (case, statuses, code, outcome) in cases {
        let gate = StandIn::new(&[OFFER]).statuses(statuses).imported();
        let run = gate.run(&["knock", "home", "--json"]);
        assert_eq!((run.code, run.json()["outcome"].as_str()), (code, Some(outcome)), "case {case}: {run:?}");
        assert_eq!(run.json()["number"], 7, "case {case}");
        gate.has_no_complaint();
    }
}

#[test]
fn a_name_is_tried_at_every_address_until_one_answers() {
    let gate = StandIn::new(&[OFFER, Reply::Offer(8, Mode::Connect)]).named("localhost").imported();
    for arguments in [&["knock", "home"][..], &["knock", "home", "-4"]] {
        let run = gate.run(arguments);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.starts_with("ssh on localhost (127.0.0.1) is open"), "{run:?}");
    }
}

#[test]
fn an_address_of_the_wrong_family_is_not_dialled() {
    let gate = StandIn::new(&[]).imported();
    let run = gate.run(&["knock", "home", "-6"]);
    assert_eq!(run.code, 3);
    assert_eq!(run.stderr, "knockgate: 127.0.0.1 has no IPv6 address; leave -6 away\n");
}

#[test]
fn two_clients_at_once_on_one_profile_knock_one_after_the_other() {
    let gate = StandIn::new(&[OFFER, Reply::Offer(8, Mode::Connect)]).imported();
    let clients = [gate.start(&["knock", "home", "-q"]), gate.start(&["knock", "home", "-q"])];
    for client in clients {
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    gate.has_no_complaint();
}

#[test]
fn status_tells_what_is_open() {
    let gate = StandIn::new(&[OFFER]).imported();
    gate.run(&["knock", "home"]);

    let run = gate.run(&["status", "home"]);
    let json = gate.run(&["status", "home", "--json"]).json();

    assert!(run.stdout.starts_with("127.0.0.1: ssh is open for 58 s, until "), "{run:?}");
    assert!(run.stdout.ends_with("; 993 knocks left\n"), "{run:?}");
    assert_eq!((run.code, json["outcome"].as_str()), (0, Some("ok")));
    assert_eq!((&json["open"][0]["service"], &json["open"][0]["left_seconds"]), (&"ssh".into(), &58.into()));
    assert_eq!(json["last_knock"], serde_json::json!({ "verdict": "granted", "reason": null }));
}

#[test]
fn status_tells_what_became_of_the_last_knock_and_when_the_client_is_locked_out() {
    let replies =
        [Reply::Nothing, Reply::Refuse(Refusal::TooLate, 0), Reply::Refuse(Refusal::LockedOut, 9_000)];
    let gate = StandIn::new(&[]).statuses(&replies).imported();

    let nothing = gate.run(&["status", "home"]);
    let too_late = gate.run(&["status", "home"]);
    let locked_out = gate.run(&["status", "home"]);

    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "127.0.0.1: nothing is open; 993 knocks left\n"));
    assert_eq!(too_late.code, 0);
    assert!(
        too_late.stdout.contains("\nthe last knock was refused: the sequence was not complete in time."),
        "{too_late:?}"
    );
    assert_eq!(locked_out.code, 5);
}

#[test]
fn the_log_has_every_attempt_and_survives_damage() {
    let gate = StandIn::new(&[OFFER, Reply::Refuse(Refusal::Exhausted, 0)]).imported();
    gate.run(&["knock", "home"]);
    let log = gate.home.path().join("log.jsonl");
    fs::write(&log, [&fs::read(&log).unwrap()[..], b"{\"time\":\"20"].concat()).unwrap();
    gate.run(&["knock", "home"]);
    gate.run(&["knock", "office"]);

    let run = gate.run(&["log"]);

    assert_eq!(run.code, 0);
    let lines: Vec<_> = run.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    let port = gate.profile.central_port;
    let outcomes: Vec<_> = lines.iter().map(|line| line[2..].join(" ")).collect();
    assert_eq!(lines[0].join(" "), "TIME PROFILE WHAT GATE NUMBER OUTCOME TOOK");
    assert!(outcomes[1].starts_with(&format!("home ssh 127.0.0.1:{port} 7 open ")), "{outcomes:?}");
    assert!(outcomes[2].starts_with(&format!("home ssh 127.0.0.1:{port} - exhausted ")), "{outcomes:?}");
    assert!(outcomes[3].starts_with("office (knock) - - failed: profile "), "{outcomes:?}");
    assert!(run.stderr.starts_with("knockgate: warning: 1 line of the log in "), "{run:?}");

    let json = gate.run(&["log", "--profile", "office", "--json"]);
    assert_eq!(json.json()["reason"], "profile");
}

#[test]
fn no_secret_is_in_the_log_or_the_state() {
    let gate = StandIn::new(&[OFFER]).imported();
    gate.run(&["knock", "home"]);
    let mut buffer = [0; 1280];
    let file = gate.profile.encode(&mut buffer).unwrap();
    for path in ["log.jsonl", "state/home.json"] {
        let text = fs::read(gate.home.path().join(path)).unwrap();
        // Sixteen bytes in a row of any key, as they are or in hexadecimal.
        for window in file.windows(16) {
            let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!contains(&text, window) && !contains(&text, hex.as_bytes()), "{path}");
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
