//! The commands of `knockgated` as an administrator runs them: what they make, and what they say when something is wrong.

#[path = "admin/audit.rs"]
mod audit;
#[path = "admin/browser.rs"]
mod browser;
#[path = "admin/clients.rs"]
mod clients;
#[path = "admin/gateway.rs"]
mod gateway;
#[path = "admin/import.rs"]
mod import;
#[path = "admin/keys.rs"]
mod keys;
#[path = "admin/policies.rs"]
mod policies;
#[path = "admin/scene.rs"]
mod scene;
#[path = "admin/site_image.rs"]
mod site_image;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use knockgate_core::profile::Profile;
use scene::{Scene, chmod, knockgated};

#[test]
fn init_makes_a_gate_that_check_accepts() {
    let scene = Scene::new();
    let said = scene.init(&[]).good();
    assert!(said.contains("`knockgated run` will guard:\n  web (1): tcp/8080"), "{said}");
    assert!(said.contains("`knockgated unguard` on the console"), "{said}");

    let said = scene.run(&["check"]).good();

    assert!(said.contains("guards    web (1): tcp/8080, open for 1m, at most 1h\n"), "{said}");
    assert!(
        said.contains("packets   udp/62201, which the guard watches; no port is open; of any age"),
        "{said}"
    );
    assert!(said.contains("central   none\n"), "{said}");
    assert!(said.contains("keyspace  8.58e11 sequences in order (39.6 bits)\n"), "{said}");
    assert!(
        said.contains("decoys    100 in 10000 to 32767, that answer only the holder of a number\n"),
        "{said}"
    );
}

#[test]
fn check_says_how_knocks_come_in_and_what_a_service_asks_for() {
    let scene = Scene::new();
    scene.init(&["--central"]).good();
    let text = fs::read_to_string(scene.config()).unwrap();
    assert!(scene.run(&["check"]).good().contains("central   tcp/62201\n"));
    let text = text
        .replace("# mode = \"watch\"", "mode = \"socket\"")
        .replace("# ports = [62201]", "ports = [53, \"60000-60009\"]")
        .replace("# max-age = \"5m\"", "max-age = \"5m\"")
        .replace("# lease = \"60s\"", "lease = \"0s\"")
        .replace("# confirm = false", "confirm = true")
        .replace("# second-factor = false", "second-factor = true")
        .replace("# follow = false", "follow = true")
        .replace("# prefix-v4 = 24", "prefix-v4 = 24");

    let said = scene.run_with_config(&text, &["check"]).good();

    assert!(
        said.contains(
            "packets   udp/53,60000-60009, each a socket; at most 5m old, each stored before it counts\n"
        ),
        "{said}"
    );
    let service = "at most 1h, after a confirmation, with a one-time code, while it is in use, to networks of up to /24 on demand\n";
    assert!(said.contains(service), "{said}");
}

#[test]
fn what_init_makes_is_private() {
    let scene = Scene::ready();
    let mode = |name: &str| fs::metadata(scene.state().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        [mode("."), mode("gate.key"), mode("roster"), mode("state.redb")],
        [0o700, 0o600, 0o600, 0o600]
    );
}

#[test]
fn init_refuses_to_guard_the_session_it_runs_in_and_writes_nothing() {
    let scene = Scene::new();
    let mut init = scene.init_command(&["--service", "ssh=tcp/22", "--service", "web=tcp/80"]);
    init.env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");

    let said = scene::Said::of(&mut init).bad(1);

    assert!(said.contains("ssh (1): tcp/22") && said.contains("over ssh on port 22"), "{said}");
    assert!(
        said.contains("nothing was written") && said.contains("--yes") && said.contains("unguard"),
        "{said}"
    );
    assert_eq!(fs::read_dir(scene.path()).unwrap().count(), 0, "nothing was written");

    init.arg("--yes");
    scene::Said::of(&mut init).good();
    scene.run(&["check"]).good();
}

#[test]
fn init_guards_other_ports_than_that_of_the_session_without_asking() {
    let scene = Scene::new();
    let mut init = scene.init_command(&["--service", "ssh=tcp/22", "--service", "dns=udp/2222"]);
    scene::Said::of(init.env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 2222")).good();
}

#[test]
fn init_overwrites_nothing() {
    let scene = Scene::ready();
    let before = scene.snapshot();
    let said = scene.init(&[]).bad(1);
    assert!(said.contains("agent.toml: exists already; leave --address out"), "{said}");
    fs::remove_file(scene.config()).unwrap();
    let said = scene.init(&[]).bad(1);
    assert!(said.contains("gate.key: exists already, so this gate is set up"), "{said}");
    assert_eq!(scene.snapshot().len(), before.len() - 1);
}

#[test]
fn a_configuration_that_everybody_may_change_is_refused() {
    let scene = Scene::ready();
    chmod(&scene.config(), 0o646);
    let said = scene.run(&["check"]).bad(1);
    assert!(said.contains("mode 0646") && said.contains("chmod o-w"), "{said}");
}

#[test]
fn init_that_fails_at_its_last_step_leaves_nothing_behind() {
    let scene = Scene::new();
    // The configuration would have to be made inside a file.
    fs::write(scene.path().join("etc"), "").unwrap();
    let said = scene.init(&[]).bad(1);
    assert!(said.contains("nothing was written"), "{said}");
    assert_eq!(scene.snapshot().len(), 1, "only the file that was there");
}

#[test]
fn init_with_values_that_cannot_be_says_which() {
    let scene = Scene::new();
    let said = scene.init(&["--central", "--service", "central=tcp/62201"]).bad(1);
    assert!(said.contains("guards tcp port 62201, which is the central port"), "{said}");
    let said = scene.init(&["--service", "a=tcp/1", "--service", "b=tcp/1"]).bad(1);
    assert!(said.contains("services a and b both guard tcp port 1"), "{said}");
    scene.init(&["--service", "a=tcp/70000"]).bad(2);
    assert_eq!(scene.snapshot().len(), 0);
}

#[test]
fn no_message_says_the_same_twice() {
    let said = Scene::new().run(&["check"]).bad(1);
    assert!(said.contains("there is no such file") && !said.contains("os error"), "{said}");
    let scene = Scene::ready();
    let said = scene.run(&["client", "add", "bob", "--out", "no/such/dir.kgp"]).bad(1);
    assert_eq!(said.matches("os error").count(), 1, "{said}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    #[rustfmt::skip]
    let cases: &[(u32, &[&str])] = &[
        (1, &[]), (2, &["frobnicate"]), (3, &["client"]), (4, &["client", "add"]), (5, &["init", "--yes", "--service", "a=tcp/1"]),
        (6, &["init", "--address", "gate:22"]), (7, &["book", "show", "x", "--numbers", "9..1"]), (8, &["check", "extra"]),
        (9, &["init", "--address", "g", "--service", "ssh"]), (10, &["client", "expire", "x"]),
        (11, &["client", "expire", "x", "--never", "--in", "1d"]), (12, &["client", "expire", "x", "--at", "soon"]),
        (13, &["client", "rotate", "x", "--now", "--grace", "1d"]), (14, &["client", "add", "x", "--key", "kgpub1-x"]),
        (15, &["client", "confirm", "x", "maybe"]), (16, &["door", "rotate", "--grace", "0s"]),
    ];
    for (case, arguments) in cases {
        let said = scene::Said::of(knockgated().args(*arguments));
        assert_eq!(said.code, Some(2), "case {case}: {}", said.err);
    }
}

/// The configuration's own tests know every wrong value; here is one of each kind, as the administrator sees it.
#[test]
fn a_wrong_configuration_is_refused_by_every_command_with_file_line_and_remedy() {
    #[rustfmt::skip]
    let cases = [
        (1, "[gate", "1: not valid TOML"),
        (2, "[gate]\nadress = \"x\"", "2: gate.adress is not known; known here: address, state-dir"),
        (3, "[central]\nport = 70000", "2: central.port is 70000; it must be 1 to 65535"),
        (4, "[sequence]\nhold = \"1h\"", "2: sequence.hold is 1h; it must be 1s to 1m"),
        (5, "[sequence]\nmode = \"stealth\"", "2: sequence.mode is \"stealth\"; it must be \"connect\" or \"closed\""),
        (6, "[service.a]\nid = 1\nprotocol = \"tcp\"\nports = [0]", "4: service.a.ports: port 0; ports are 1 to 65535"),
        (7, "[policy]\nchain = [\"x\"]", "2: policy.chain names \"x\", which is not defined; add [policy-module.x]"),
        (8, "", "1: gate.address is missing; add the name or address"),
    ];
    let scene = Scene::ready();
    for (case, text, expected) in cases {
        fs::write(scene.config(), text).unwrap();
        for command in
            [&["check"][..], &["client", "list"], &["client", "add", "x"], &["client", "remove", "x"]]
        {
            let said = scene.run(command).bad(1);
            let expected = format!("knockgated: {}:{expected}", scene.config().display());
            assert!(said.lines().any(|line| line.starts_with(&expected)), "case {case}, {command:?}: {said}");
        }
    }
}

#[test]
fn a_secret_that_others_can_read_is_refused_with_the_command_that_helps() {
    let scene = Scene::ready();
    scene.run(&["book", "new", "team.kgb"]).good();
    let state = |name: &str| scene.state().join(name);
    #[rustfmt::skip]
    let cases = [
        (1, state("gate.key"), 0o644, 0o600, &["check"][..]),
        (2, state("roster"), 0o640, 0o600, &["client", "list"]),
        (3, state("state.redb"), 0o660, 0o600, &["check"]),
        (4, scene.state(), 0o755, 0o700, &["check"]),
        (5, scene.path().join("team.kgb"), 0o644, 0o600, &["book", "show", "team.kgb"]),
    ];
    for (case, path, wrong, right, command) in cases {
        chmod(&path, wrong);
        let said = scene.run(command).bad(1);
        let remedy = format!("`chmod {right:o} {}`", path.display());
        let named = said.contains(&remedy) || said.contains("`chmod 600 team.kgb`");
        assert!(named && said.contains(&format!("mode {wrong:04o}")), "case {case}: {said}");
        chmod(&path, right);
        scene.run(command).good();
    }
}

#[test]
fn a_state_that_is_missing_or_damaged_names_the_file_and_the_remedy() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    #[rustfmt::skip]
    let cases = [
        (1, "gate.key", None, "the gate identity is missing; run `knockgated init` if this gate is new, else restore it"),
        (2, "gate.key", Some("KGid"), "this gate identity is cut off; restore it from a backup"),
        (3, "gate.key", Some("-----BEGIN"), "this is no gate identity but another kind of file; name the right file"),
        (4, "roster", None, "the roster is missing; restore it from a backup"),
        (5, "roster", Some("KGro\x01xxxxxxxxxxxx"), "this roster is damaged or cut off"),
        (6, "state.redb", None, "old knocks could be accepted again; stop the agent, then `knockgated state rebuild`"),
        (7, "state.redb", Some("redb?"), "the record of used numbers is damaged"),
    ];
    for (case, name, content, expected) in cases {
        let file = scene.state().join(name);
        let whole = fs::read(&file).unwrap();
        match content {
            None => fs::remove_file(&file).unwrap(),
            Some(content) => fs::write(&file, content).unwrap(),
        }
        let said = scene.run(&["check"]).bad(1);
        assert!(
            said.contains(&format!("{}: ", file.display())) && said.contains(expected),
            "case {case}: {said}"
        );
        fs::write(&file, whole).unwrap();
        chmod(&file, 0o600);
        scene.run(&["check"]).good();
    }
}

#[test]
fn a_lost_record_of_used_numbers_is_rebuilt_only_on_demand_and_uses_every_book_up() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    fs::remove_file(scene.state().join("state.redb")).unwrap();
    assert!(scene.run(&["client", "list"]).good().contains("? of 1000"));
    let said = scene.run(&["state", "rebuild"]).bad(1);
    assert!(
        said.contains("1 client with 1 book") && said.contains("nothing was changed; say --yes"),
        "{said}"
    );
    assert!(!scene.state().join("state.redb").exists());

    scene.run(&["state", "rebuild", "--yes"]).good();

    assert!(scene.run(&["client", "list"]).good().contains("0 of 1000"));
    scene.run(&["check"]).good();
}

#[test]
fn a_gate_whose_decoys_are_configured_away_is_refused_with_both_ways_out() {
    let scene = Scene::ready();
    let text = fs::read_to_string(scene.config()).unwrap();
    fs::write(scene.config(), text.replace("# decoy-count = 100", "decoy-count = 101")).unwrap();
    let said = scene.run(&["check"]).bad(1);
    assert!(
        said.contains("set them back to decoy-count = 100 and port-range = [10000, 32767], or move"),
        "{said}"
    );

    scene.run_with_config(&text, &["client", "add", "alice"]).good();
    let profile = Profile::decode(&fs::read(scene.path().join("alice.kgp")).unwrap()).unwrap();
    let decoy = profile.book.decoys().ports()[0];
    let said = scene.run_with_config(&text.replace("[8080]", &format!("[{decoy}]")), &["check"]).bad(1);
    assert!(said.contains(&format!("port {decoy} is one of this gate's decoys")), "{said}");
}

#[test]
fn what_should_be_thought_over_is_warned_about() {
    let scene = Scene::ready();
    let text = fs::read_to_string(scene.config()).unwrap();
    let text = text
        .replace("# scope = \"source\"", "scope = \"global\"")
        .replace("# order = \"strict\"", "order = \"any\"");
    let said = scene.run_with_config(&text, &["check"]).good();
    assert!(
        said.contains("warning: lockout.scope is \"global\": any client's wrong knock shuts the gate"),
        "{said}"
    );
    assert!(
        said.contains("warning: sequence.order is \"any\": a sequence is worth 30.2 bits instead of 39.6"),
        "{said}"
    );
    assert!(said.contains("keyspace  1.19e9 sequences in any order (30.2 bits)"), "{said}");
}

#[test]
fn unguard_without_a_guard_says_so_and_needs_no_configuration() {
    // A network and a /run of its own, so that no guard of this machine is removed and no agent of it stops.
    let mut unguard = std::process::Command::new("unshare");
    unguard.args(["--map-root-user", "--user", "--net", "--mount", "sh", "-c"]);
    unguard.args(["mount -t tmpfs tmpfs /run && exec \"$0\" unguard", env!("CARGO_BIN_EXE_knockgated")]);
    let said = scene::Said::of(&mut unguard).good();
    assert!(said.contains("Nothing was guarded"), "{said}");
}
