//! Old configurations, from the command line: what is made of them is a gate that `init` completes and `check` accepts.

use std::fs;
use std::path::PathBuf;

use crate::scene::{Said, Scene, knockgated};

/// Example 1 of knockd(1), version 0.8.
const KNOCKD: &str = "[options]\n    logfile = /var/log/knockd.log\n\n\
    [openSSH]\n    sequence    = 7000,8000,9000\n    seq_timeout = 10\n    tcpflags    = syn\n\
    \x20   command     = /sbin/iptables -A INPUT -s %IP% --dport 22 -j ACCEPT\n\n\
    [closeSSH]\n    sequence    = 9000,8000,7000\n    seq_timeout = 10\n    tcpflags    = syn\n\
    \x20   command     = /sbin/iptables -D INPUT -s %IP% --dport 22 -j ACCEPT\n";
const FWKNOP: &str =
    "SOURCE 192.0.2.0/24\nREQUIRE_USERNAME anna\nOPEN_PORTS tcp/22\nKEY_BASE64 aHVudGVyMg==\n";

/// An old file, and where the new one goes.
fn old(scene: &Scene, name: &str, text: &str) -> PathBuf {
    fs::create_dir_all(scene.path().join("etc")).expect("a folder in the scene");
    let file = scene.path().join(name);
    fs::write(&file, text).expect("a file in the scene");
    file
}

fn import(scene: &Scene, tool: &str, arguments: &[&str]) -> Said {
    let mut command = knockgated();
    Said::of(command.current_dir(scene.path()).args(["import", tool]).args(arguments))
}

/// The written file, moved from the system's places to the scene's.
fn complete(scene: &Scene) -> String {
    let text = fs::read_to_string(scene.config()).expect("what import has written");
    let state = scene.state().display().to_string();
    let text = text.replace("/var/lib/knockgate", &state).replace("/var/log/knockgate", &state);
    fs::write(scene.config(), text).expect("the scene's configuration");
    scene.run(&["init"]).good();
    scene.run(&["check"]).good()
}

#[test]
fn a_configuration_of_knockd_becomes_a_gate() {
    let scene = Scene::new();
    old(&scene, "knockd.conf", KNOCKD);
    let arguments = ["knockd.conf", "--address", "gate.example", "--write", "etc/agent.toml"];
    let said = import(&scene, "knockd", &arguments).good();
    for words in ["etc/agent.toml is ready\n", "knockd.conf:2: LogFile", "1 service, 1 static sequence"] {
        assert!(said.contains(words), "no {words:?} in:\n{said}");
    }

    let check = complete(&scene);

    assert!(check.contains("guards    ssh (1): tcp/22, open for 1m, at most 1h\n"), "{check}");
    let door = "statics   openSSH: tcp/7000, tcp/8000, tcp/9000 within 10s open ssh for 1h\n";
    assert!(check.contains(door), "{check}");
}

#[test]
fn a_configuration_of_fwknop_becomes_a_gate_and_its_lines_enrol_the_clients() {
    let scene = Scene::new();
    old(&scene, "access.conf", FWKNOP);
    let arguments = ["access.conf", "--address", "gate.example", "--write", "etc/agent.toml"];
    let said = import(&scene, "fwknop", &arguments).good();
    assert!(said.contains("knockgated client add anna --service ssh --config "), "{said}");

    complete(&scene);
    scene.run(&["client", "add", "anna", "--service", "ssh", "--out", "anna.kgp"]).good();

    let check = scene.run(&["check"]).good();
    assert!(check.contains("networks-1"), "{check}");
    assert_eq!(scene.clients(), ["anna"]);
}

#[test]
fn without_a_file_to_write_the_configuration_is_shown_and_the_report_goes_elsewhere() {
    let scene = Scene::new();
    old(&scene, "knockd.conf", KNOCKD);
    let shown = import(&scene, "knockd", &["knockd.conf"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(shown.out.starts_with("# Made by `knockgated import`"), "{}", shown.out);
    assert!(shown.err.contains("gate.address is") && shown.err.contains("next:\n"), "{}", shown.err);
}

#[test]
fn an_import_that_fails_writes_nothing_and_one_that_works_overwrites_nothing() {
    let scene = Scene::new();
    old(&scene, "bad.conf", "[door]\nsequence = 7000,8000\n[door\n");
    let arguments = ["bad.conf", "--write", "etc/agent.toml"];
    let refusal = import(&scene, "knockd", &arguments).bad(1);
    assert!(refusal.contains("bad.conf:3: "), "{refusal}");
    assert!(!scene.config().exists());

    old(&scene, "knockd.conf", KNOCKD);
    fs::write(scene.config(), "mine").unwrap();
    let refusal = import(&scene, "knockd", &["knockd.conf", "--write", "etc/agent.toml"]).bad(1);
    assert!(refusal.contains("exists already; move it away, or choose another name"), "{refusal}");
    assert_eq!(fs::read_to_string(scene.config()).unwrap(), "mine");

    let refusal = import(&scene, "fwknop", &["missing.conf"]).bad(1);
    assert!(refusal.contains("missing.conf: cannot be read; name the old configuration"), "{refusal}");
}
