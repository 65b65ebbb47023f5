//! What an administrator does for a gateway: its configuration, its images and their numbers, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use knockgate_core::profile::{Hosts, Profile};
use knockgate_core::site::{Signed, Site};

use super::scene::{Said, Scene, chmod};

#[test]
fn init_makes_a_gateway_that_check_explains_and_nothing_guards_on_this_host() {
    let scene = Scene::new();
    let said = init(
        &scene,
        &[
            "--gateway",
            "192.0.2.1/24",
            "--gateway",
            "2001:db8::1/64",
            "--router",
            "192.0.2.254",
            "--host",
            "192.0.2.100",
            "--host",
            "2001:db8::100",
            "--service",
            "plc=tcp/502",
        ],
    )
    .good();
    assert!(
        said.contains("the gateway will guard:\n  plc (1): tcp/502 at 192.0.2.100 and 2001:db8::100"),
        "{said}"
    );
    assert!(said.contains("knockgated gateway image"), "{said}");

    let said = scene.run(&["check"]).good();
    assert!(
        said.contains("a gateway of its own: gate.example, 192.0.2.1/24 by 192.0.2.254, 2001:db8::1/64\n"),
        "{said}"
    );
    assert!(said.contains("console (100): tcp/62202, open for 1m"), "{said}");
    assert!(
        said.contains(
            "packets   udp/62201, which the gateway watches; no port is open; of any age, each stored"
        ),
        "{said}"
    );

    for command in ["run", "guard"] {
        let said = scene.run(&[command]).bad(1);
        assert!(
            said.contains("agent.toml: [gateway] says that a gateway guards, and not this host"),
            "{said}"
        );
    }
}

#[test]
fn init_of_a_gateway_asks_for_what_it_needs() {
    let scene = Scene::new();
    let said = init(&scene, &["--gateway", "192.0.2.1/24"]).bad(2);
    assert!(said.contains("--host"), "{said}");
    let said = init(&scene, &["--gateway", "192.0.2.1", "--host", "192.0.2.100"]).bad(1);
    assert!(said.contains("\"192.0.2.1\" is no address with a prefix"), "{said}");
    assert!(scene.snapshot().is_empty());
}

#[test]
fn a_serial_number_is_never_given_twice_also_if_the_image_was_not_written() {
    let scene = ready();
    make(&scene, &[]).good();
    let said = scene.run(&["gateway", "image", "--key", "owner.key", "--out", "nowhere/site.kgi"]).bad(1);
    assert!(said.contains("image 2 was not written; its number is used up"), "{said}");
    assert!(said.contains("make the directory that it is in"), "{said}");
    make(&scene, &["--force"]).good();
    assert_eq!(serial(&scene, "site.kgi"), 3);

    // The record is lost: the administrator says a number above every one that was given.
    fs::remove_file(scene.state().join("site-serial")).unwrap();
    make(&scene, &["--force", "--serial", "100"]).good();
    let said = make(&scene, &["--force", "--serial", "100"]).bad(1);
    assert!(said.contains("--serial 100 is not above the last image, which was 100"), "{said}");
    make(&scene, &["--force"]).good();
    assert_eq!(serial(&scene, "site.kgi"), 101);
}

#[test]
fn a_run_that_was_cut_off_while_the_number_was_stored_leaves_the_old_one() {
    let scene = ready();
    make(&scene, &[]).good();
    // What a crash leaves behind between writing and renaming.
    fs::write(scene.state().join("site-serial.new"), b"half").unwrap();
    make(&scene, &["--force"]).good();
    assert_eq!(serial(&scene, "site.kgi"), 2);
}

#[test]
fn what_is_made_is_private_and_overwrites_nothing_unless_told_to() {
    let scene = ready();
    make(&scene, &[]).good();
    scene.run(&["gateway", "owner", "--public-key", "owner.pub", "--out", "owner.bin"]).good();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&scene.path().join("site.kgi")), 0o600);
    assert_eq!(mode(&scene.state().join("site-serial")), 0o600);

    let before = file(&scene, "site.kgi");
    let said = make(&scene, &[]).bad(1);
    assert!(
        said.contains("site.kgi: exists already; choose another name, or replace it with --force"),
        "{said}"
    );
    assert_eq!(file(&scene, "site.kgi"), before);
    make(&scene, &["--force"]).good();
    assert_eq!(serial(&scene, "site.kgi"), 2, "a refusal uses no number up");
}

#[test]
fn a_preview_writes_nothing_and_uses_no_number_up() {
    let scene = ready();
    let before = scene.snapshot();
    let said = scene.run(&["gateway", "image", "--dry-run"]).good();
    assert!(
        said.contains("image     1 of site gate.example, ") && said.contains("0 clients: nobody can knock"),
        "{said}"
    );
    assert_eq!(scene.snapshot(), before);
    make(&scene, &[]).good();
    assert_eq!(serial(&scene, "site.kgi"), 1);
}

#[test]
fn a_key_with_a_passphrase_signs_only_with_it() {
    let scene = ready();
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("correct horse".into())).unwrap();
    let locked = scene.path().join("locked.key");
    fs::write(&locked, pair.sk.to_box(None).unwrap().into_string()).unwrap();
    let sign = |passphrase: &str| {
        let path = scene.path().join("passphrase");
        fs::write(&path, passphrase).unwrap();
        chmod(&path, 0o600);
        scene.run(&[
            "gateway",
            "image",
            "--out",
            "a.kgi",
            "--key",
            "locked.key",
            "--passphrase-file",
            "passphrase",
        ])
    };
    chmod(&locked, 0o644);
    let said = sign("correct horse\n").bad(1);
    assert!(said.contains("locked.key: holds secrets, but others can read or change it"), "{said}");
    chmod(&locked, 0o600);
    let said = sign("wrong horse").bad(1);
    assert!(said.contains("locked.key: the passphrase is wrong; try again"), "{said}");
    let said = sign("\n").bad(1);
    assert!(said.contains("there is no passphrase on its first line"), "{said}");
    sign("correct horse\n").good();
    let said = scene.run(&["gateway", "image", "--out", "b.kgi", "--key", "etc/agent.toml"]).bad(1);
    assert!(said.contains("is no secret key; name the .key file"), "{said}");
    assert_eq!(serial(&scene, "a.kgi"), 1, "no number was used up on the way");
}

#[test]
fn a_site_that_no_gateway_can_run_is_refused_before_anything_is_made() {
    let scene = ready();
    let config = fs::read_to_string(scene.config()).unwrap();
    let policy = |text: &str| format!("{config}\n[policy]\nchain = [\"p\"]\n[policy-module.p]\n{text}");
    let big = scene.path().join("component.wasm");
    fs::write(&big, wat::parse_str("(component)").unwrap()).unwrap();
    let file =
        format!("file = {:?}\nservices = [\"web\"]\ncapabilities = [\"open\"]\n", big.to_str().unwrap());
    let cases = [
        (
            1,
            policy("built-in = \"office-hours\"\nparameters = { days = \"noday\" }\n"),
            "agent.toml:",
            "policy p",
        ),
        (2, policy(&file), "component.wasm cannot be used: ", "agent.toml:"),
        (
            3,
            policy("file = \"/nowhere.wasm\"\nservices = []\ncapabilities = [\"open\"]\n"),
            "policy p",
            "/nowhere.wasm cannot be read",
        ),
    ];
    for (case, text, one, two) in cases {
        let said = scene
            .run_with_config(&text, &["gateway", "image", "--key", "owner.key", "--out", "site.kgi"])
            .bad(1);
        assert!(said.contains(one) && said.contains(two), "case {case}: {said}");
        let said = scene.run(&["check"]).bad(1);
        assert!(said.contains(one) && said.contains(two), "case {case}: {said}");
    }
    assert!(!scene.path().join("site.kgi").exists() && !scene.state().join("site-serial").exists());
}

#[test]
fn a_gateway_has_room_for_64_clients() {
    let scene = ready();
    for number in 0..64 {
        scene.run(&["client", "add", &format!("c{number}"), "--out", &format!("{number}.kgp")]).good();
    }
    make(&scene, &[]).good();
    scene.run(&["client", "add", "one-more"]).good();
    let said = make(&scene, &["--force"]).bad(1);
    assert!(
        said.contains(
            "65 clients are enrolled, and a gateway has room for 64; `knockgated client remove NAME`"
        ),
        "{said}"
    );
}

#[test]
fn a_server_has_no_image() {
    let scene = Scene::ready();
    make_key(&scene, "owner");
    let said = make(&scene, &[]).bad(1);
    assert!(said.contains("has no [gateway], so it is for a server"), "{said}");
}

#[test]
fn a_client_is_no_administrator_unless_it_is_said() {
    let scene = ready();
    let said = scene.run(&["client", "add", "alice"]).good();
    assert!(
        said.contains("may open web, from") && said.contains("the gateway learns it from its next image"),
        "{said}"
    );
    scene.run(&["client", "add", "bob", "--service", "console"]).good();
    let profile = Profile::decode(&file(&scene, "bob.kgp")).unwrap();
    let console = &profile.services[0];
    assert_eq!((console.name.as_str(), console.id, console.port), ("console", 100, 62202));
}

#[test]
fn a_profile_names_the_first_host_of_each_family_and_none_for_the_console() {
    let scene = Scene::new();
    let hosts = ["2001:db8::100", "192.0.2.100", "192.0.2.101"].map(|host| ["--host", host]);
    let own = ["--gateway", "192.0.2.1/24", "--gateway", "2001:db8::1/64", "--service", "web=tcp/8080"];
    init(&scene, &[own.as_slice(), hosts.as_flattened()].concat()).good();

    scene.run(&["client", "add", "alice", "--service", "web", "--service", "console"]).good();

    let profile = Profile::decode(&file(&scene, "alice.kgp")).unwrap();
    let hosts: Vec<_> =
        profile.services.iter().map(|service| (service.name.as_str(), service.hosts)).collect();
    let both = Hosts { v4: Some("192.0.2.100".parse().unwrap()), v6: Some("2001:db8::100".parse().unwrap()) };
    assert_eq!(hosts, [("web", both), ("console", Hosts::AT_GATE)]);
}

/// A key of the owner in the files `owner.key` and `owner.pub`.
pub(super) fn make_key(scene: &Scene, name: &str) -> minisign::KeyPair {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let secret = scene.path().join(format!("{name}.key"));
    fs::write(&secret, pair.sk.to_box(None).unwrap().into_string()).unwrap();
    chmod(&secret, 0o600);
    fs::write(scene.path().join(format!("{name}.pub")), pair.pk.to_box().unwrap().into_string()).unwrap();
    pair
}

fn init(scene: &Scene, arguments: &[&str]) -> Said {
    let mut command = scene.command(&["init", "--address", "gate.example"]);
    command.arg("--state-dir").arg(scene.state());
    Said::of(command.args(arguments))
}

/// A gateway with one machine behind it, an owner, and nobody who may knock.
pub(super) fn ready() -> Scene {
    let scene = Scene::new();
    init(&scene, &["--gateway", "192.0.2.1/24", "--host", "192.0.2.100", "--service", "web=tcp/8080"]).good();
    make_key(&scene, "owner");
    scene
}

pub(super) fn make(scene: &Scene, arguments: &[&str]) -> Said {
    let mut image = vec!["gateway", "image", "--key", "owner.key", "--out", "site.kgi"];
    image.extend(arguments);
    scene.run(&image)
}

pub(super) fn file(scene: &Scene, name: &str) -> Vec<u8> {
    fs::read(scene.path().join(name)).unwrap()
}

pub(super) fn serial(scene: &Scene, name: &str) -> u32 {
    let file = file(scene, name);
    Site::read(Signed::find(&file).unwrap().image).unwrap().head.serial
}
