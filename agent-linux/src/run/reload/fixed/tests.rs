use std::path::Path;

use knockgate_core::book::DecoySeed;

use super::*;

const ONE: &str = "[gate]\naddress = \"g\"\nstate-dir = \"/s\"\naudit-log = \"/l/audit\"\n\
     [sequence]\nhold = \"5s\"\n\
     [service.web]\nid = 3\nprotocol = \"tcp\"\nports = [80]\nmax-open = \"10m\"\n\
     [channel.old]\nid = 1\nwebhook = \"https://h/\"\nca-file = \"/secrets/ca\"\n";
const APART: &str = "[process]\nseparate = true\n";
const CENTRAL: &str = "[central]\nport = 4444\n";

fn config(text: &str) -> Config {
    Config::parse(Path::new("/etc/agent.toml"), text).unwrap()
}

fn judged(started: &str, in_force: &str, new: &str) -> Vec<String> {
    let (started, in_force, new) = (config(started), config(in_force), config(new));
    let decoys = Decoys::draw(&DecoySeed::from_bytes([2; 32]), &started.sequence.shape);
    only_by_a_restart(&Running { started: &started, in_force: &in_force, decoys: &decoys }, &new)
}

fn policy(file: &str, chain: &str) -> String {
    format!(
        "[policy]\nchain = [\"{chain}\"]\n[policy-module.own]\nfile = \"{file}\"\nservices = [\"web\"]\ncapabilities = [\"open\"]\n"
    )
}

fn channel(file: &str) -> String {
    format!("[channel.new]\nid = 2\nwebhook = \"https://h/\"\nheader-file = \"{file}\"\n")
}

#[test]
fn one_process_is_fixed_in_its_places_and_tables_alone() {
    let moved = |from: &str, to: &str| ONE.replace(from, to);
    let more = |text: &str| format!("{ONE}{text}");
    #[rustfmt::skip]
    let cases = [
        (1, more("# a comment\n"), None),
        (2, moved("\"/s\"", "\"/t\""), Some("`state-dir` cannot change from /s to /t")),
        (3, moved("/l/audit", "/m/audit"), Some("`audit-log` cannot change from /l/audit to /m/audit")),
        (4, more("[control]\ngroup = \"adm\"\n"), Some("[control] cannot change")),
        (5, more("[metrics]\nlisten = \"127.0.0.1:1\"\n"), Some("[metrics] cannot change")),
        (6, more(APART), Some("[process] cannot change")),
        (7, more("[audit]\nkeep = 3\n"), Some("when the audit log is put away cannot change")),
        (8, more("[audit]\non-failure = \"refuse\"\n"), None),
        (9, moved("[80]", "[80, 443]"), None),
        (10, moved("10m", "20m"), None),
        (11, more(CENTRAL), None),
        (12, more("[policy]\nengine = \"compiler\"\n"), None),
        (13, more(&policy("/elsewhere/own.wasm", "own")), None),
    ];
    for (case, new, expected) in cases {
        assert_is(case, &judged(ONE, ONE, &new), expected);
    }
}

#[test]
fn beside_a_broker_all_is_fixed_that_takes_a_right() {
    let apart = format!("{ONE}{APART}");
    let moved = |from: &str, to: &str| apart.replace(from, to);
    let more = |text: &str| format!("{apart}{text}");
    let vault = "[service.vault]\nid = 4\nprotocol = \"tcp\"\nports = [90]\n";
    let lab = "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"web\"\n";
    #[rustfmt::skip]
    let cases = [
        (1, more("[lockout]\nduration = \"7m\"\n"), None),
        (2, moved("[80]", "[80, 443]"), Some("service web: what is guarded cannot change while the agent runs with separate = true")),
        (3, more(vault), Some("service vault: what is guarded cannot change")),
        (4, moved("id = 3", "id = 3\nprefix-v4 = 24"), Some("service web: what is guarded cannot change")),
        (5, moved("[gate]\n", "[gate]\ninterfaces = [\"eth0\"]\n"), Some("`interfaces` in [gate] cannot change")),
        (6, moved("[sequence]\n", "[sequence]\nmode = \"closed\"\n"), Some("`mode`, `decoys` or `listener` in [sequence] cannot change")),
        (7, more("[packet]\nports = [1000]\n"), Some("`mode` or `ports` in [packet] cannot change")),
        (8, more(lab), Some("the ports of [[static-sequence]] cannot change")),
        (9, more("[capture]\nvia = \"nflog\"\n"), Some("`via` in [capture] cannot change")),
        (10, more(CENTRAL), Some("the port in [central] cannot change")),
        (11, moved("10m", "20m"), Some("service web: `max-open` is 20m, and the broker was started to open it for 10m at most; restart")),
        (12, moved("10m", "5m"), None),
        (13, moved("5s", "6s"), Some("`hold` in [sequence] is 6s, and the broker was started to watch for 5s at most; restart")),
        (14, moved("5s", "4s"), None),
        (15, more("[policy]\nengine = \"compiler\"\n"), Some("`engine` in [policy] is \"compiler\", and the agent was started without")),
        (16, more(&policy("/elsewhere/own.wasm", "own")), Some("/elsewhere/own.wasm is in a folder that the agent was not started with")),
        (17, more(&policy("/elsewhere/own.wasm", "default")), None),
        (18, more(&policy("/etc/policies/own.wasm", "own")), None),
        (19, more(&policy("/usr/lib/policies/own.wasm", "own")), None),
        (20, more(&policy("/s/own.wasm", "own")), None),
        (21, more(&channel("/elsewhere/token")), Some("/elsewhere/token is in a folder that the agent was not started with")),
        (22, more(&channel("/secrets/token")), None),
        (23, moved("/secrets/ca", "/secret/ca"), Some("/secret/ca is in a folder that the agent was not started with")),
    ];
    for (case, new, expected) in cases {
        assert_is(case, &judged(&apart, &apart, &new), expected);
    }
}

#[test]
fn without_a_sandbox_a_worker_may_read_compile_and_listen() {
    let apart = format!("{ONE}{APART}sandbox = \"off\"\n");
    let new = format!("{apart}{CENTRAL}{}", policy("/elsewhere/own.wasm", "own"));
    let new = new.replace("[policy]\n", "[policy]\nengine = \"compiler\"\n");
    assert_eq!(judged(&apart, &apart, &new), Vec::<String>::new());
}

#[test]
fn what_counts_is_what_the_broker_was_started_with_and_of_ports_what_is_open() {
    let apart = format!("{ONE}{APART}");
    let (brief, with_port) = (apart.replace("10m", "5m"), format!("{apart}{CENTRAL}"));
    assert_eq!(judged(&apart, &brief, &apart), Vec::<String>::new());
    assert_eq!(judged(&with_port, &with_port, &apart), Vec::<String>::new());
    assert_is(1, &judged(&with_port, &apart, &with_port), Some("the port in [central] cannot change"));
    // And whatever is in force needs no restart.
    assert_eq!(judged(&with_port, &apart, &apart), Vec::<String>::new());
}

fn assert_is(case: u8, lines: &[String], expected: Option<&str>) {
    match (lines, expected) {
        ([], None) => {}
        ([line], Some(expected)) => {
            let text = line.strip_prefix("/etc/agent.toml: ").unwrap();
            assert!(text.starts_with(expected), "case {case}: {text}");
            assert!(text.contains("restart"), "case {case} has no remedy: {text}");
        }
        _ => panic!("case {case}: {lines:?}"),
    }
}
