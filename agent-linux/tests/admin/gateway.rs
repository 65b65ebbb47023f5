//! What an administrator makes for a gateway: configuration, site image, owner, and the bytes for a board.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use knockgate_agent::state::{GateIdentity, RosterFile, StateDir};
use knockgate_core::board;
use knockgate_core::book::Order;
use knockgate_core::gate::{LockoutScope, Prefixes};
use knockgate_core::message::Mode;
use knockgate_core::profile::{PortRange, Profile, Protocol};
use knockgate_core::site::{Console, Owner, PacketPorts, SIGNATURE_LEN, Signed, Site};
use knockgate_policy_host::precompiled::{Precompiled, Target};
use knockgate_policy_host::{Capabilities, Rights};

use super::scene::{Said, Scene, chmod};

/// A key of the owner in the files `owner.key` and `owner.pub`.
fn make_key(scene: &Scene, name: &str) -> minisign::KeyPair {
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
fn ready() -> Scene {
    let scene = Scene::new();
    init(&scene, &["--gateway", "192.0.2.1/24", "--host", "192.0.2.100", "--service", "web=tcp/8080"]).good();
    make_key(&scene, "owner");
    scene
}

fn make(scene: &Scene, arguments: &[&str]) -> Said {
    let mut image = vec!["gateway", "image", "--key", "owner.key", "--out", "site.kgi"];
    image.extend(arguments);
    scene.run(&image)
}

fn file(scene: &Scene, name: &str) -> Vec<u8> {
    fs::read(scene.path().join(name)).unwrap()
}

fn serial(scene: &Scene, name: &str) -> u32 {
    let file = file(scene, name);
    Site::read(Signed::find(&file).unwrap().image).unwrap().head.serial
}

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
fn an_image_reads_back_field_by_field() {
    let scene = ready();
    let text = r#"
        [gate]
        address = "gate.example"
        state-dir = "STATE"
        [gateway]
        name = "plant-7"
        ipv4 = "192.0.2.1/24"
        router-v4 = "192.0.2.254"
        ipv6 = "2001:db8::1/64"
        [gateway.console]
        id = 9
        port = 4000
        [packet]
        ports = [62201, "60000-60009"]
        max-age = "5m"
        [central]
        port = 443
        [sequence]
        mode = "closed"
        order = "any"
        hold = "2500ms"
        strays = 3
        [lockout]
        duration = "2m"
        scope = "global"
        [service.web]
        id = 1
        protocol = "udp"
        ports = [53, 54]
        hosts = ["192.0.2.100", "2001:db8::100"]
        open = "30s"
        max-open = "2m"
        confirm = true
        second-factor = true
        follow = true
        prefix-v4 = 24
        [policy]
        chain = ["hours", "default"]
        [policy-module.hours]
        built-in = "office-hours"
        services = ["web"]
        max-seconds = 60
        parameters = { days = "mon-sat" }
    "#;
    let text = text.replace("STATE", scene.state().to_str().unwrap());
    scene.run_with_config(&text, &["client", "add", "alice", "--service", "web", "--totp"]).good();
    scene.run(&["client", "add", "bob", "--service", "web", "--service", "console"]).good();
    scene.run(&["door", "rotate"]).good();

    let said = make(&scene, &[]).good();
    assert!(said.contains("image     1 of site plant-7, "), "{said}");
    assert!(said.contains("clients   2 clients: alice, bob\n"), "{said}");
    assert!(said.contains("policies  hours, default, in this order\n"), "{said}");

    let bytes = file(&scene, "site.kgi");
    let signed = Signed::find(&bytes).unwrap();
    assert_eq!(signed.len(), bytes.len());
    let site = Site::read(signed.image).unwrap();
    let dir = StateDir::open(&scene.state()).unwrap();
    let (identity, roster) = (GateIdentity::load(&dir).unwrap(), RosterFile::load(&dir).unwrap());

    let head = &site.head;
    assert_eq!((head.serial, head.name.as_str(), head.gate), (1, "plant-7", identity.id));
    assert_eq!(head.identity.public(), identity.secret.public());
    let former = &identity.door.former.as_ref().unwrap().key;
    assert!(head.door_keys[0].is(&identity.door.current) && head.door_keys[1].is(former));
    assert!(identity.fits(&site.books().next().unwrap()));
    assert_eq!((head.mode, head.order, head.hold_ms, head.strays), (Mode::Closed, Order::Any, 2500, 3));
    assert_eq!((head.lockout_s, head.lockout_scope), (120, LockoutScope::Everybody));
    assert_eq!((head.max_age_ms, head.central_port), (Some(300_000), Some(443)));
    let (v4, v6) = (head.ipv4.unwrap(), head.ipv6.unwrap());
    assert_eq!(
        (v4.address.to_string(), v4.prefix, v4.router.unwrap().to_string()),
        ("192.0.2.1".into(), 24, "192.0.2.254".into())
    );
    assert_eq!((v6.address.to_string(), v6.prefix, v6.router), ("2001:db8::1".into(), 64, None));
    let ranges = [PortRange { first: 62201, last: 62201 }, PortRange { first: 60000, last: 60009 }];
    assert_eq!(head.packet_ports, PacketPorts::Listed(ranges.into_iter().collect()));
    assert_eq!(head.console, Some(Console { service: 9, port: 4000 }));

    let services: Vec<_> = site.services().collect();
    assert_eq!(services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["web", "console"]);
    let web = &services[0];
    assert_eq!((web.protocol, &web.ports[..]), (Protocol::Udp, &[53, 54][..]));
    assert_eq!(
        web.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["192.0.2.100", "2001:db8::100"]
    );
    assert_eq!((web.service.open.as_secs(), web.service.max_open.as_secs()), (30, 120));
    assert!(web.service.confirm && web.service.second_factor && web.service.follow);
    assert_eq!(web.service.prefixes, Some(Prefixes { v4: 24, v6: 128 }));
    assert!(services[1].hosts.is_empty());

    let clients: Vec<_> = site.clients().collect();
    assert_eq!(
        clients.iter().map(|entry| &entry.client).collect::<Vec<_>>(),
        roster.clients().iter().collect::<Vec<_>>()
    );
    assert_eq!(clients.iter().map(|entry| entry.totp.is_some()).collect::<Vec<_>>(), [true, false]);
    let books: Vec<_> = site.books().map(|book| book.id()).collect();
    assert_eq!(books, roster.books().iter().map(|enrolled| enrolled.book.id()).collect::<Vec<_>>());

    let chain: Vec<_> = site.chain().collect();
    assert_eq!(
        chain.iter().map(|(policy, _)| policy.name.as_str()).collect::<Vec<_>>(),
        ["hours", "default"]
    );
    for (_, code) in &chain {
        assert_eq!(Precompiled::parse(code).unwrap().target(), Target::Gateway);
    }
    let hours = Rights::decode(chain[0].0.rights).unwrap();
    assert_eq!(
        hours.services.iter().map(|right| (right.service, right.max_seconds)).collect::<Vec<_>>(),
        [(1, 120)]
    );
    assert_eq!((hours.max_seconds, hours.capabilities), (60, Capabilities::GATEWAY));
    assert_eq!(
        (hours.parameters[0].name.as_str(), &hours.parameters[0].given[..]),
        ("days", &["mon-sat".to_owned()][..])
    );
    let default = Rights::decode(chain[1].0.rights).unwrap();
    assert_eq!(default.services.iter().map(|right| right.service).collect::<Vec<_>>(), [1, 9]);
}

#[test]
fn two_images_of_one_site_differ_in_serial_time_and_signature_alone() {
    let scene = ready();
    scene.run(&["client", "add", "alice"]).good();
    let [one, two] = ["1.kgi", "2.kgi"].map(|name| {
        scene.run(&["gateway", "image", "--key", "owner.key", "--out", name]).good();
        file(&scene, name)
    });
    let content = |file: &[u8]| {
        let site = Site::read(Signed::find(file).unwrap().image).unwrap();
        let head = &site.head;
        let head = knockgate_core::site::Head {
            serial: 0,
            made: knockgate_core::UnixTime::from_micros(0),
            ..head.clone()
        };
        let policies: Vec<Vec<u8>> = site.chain().map(|(_, code)| code.to_vec()).collect();
        (serde_json::to_value(&head).unwrap(), site.services().collect::<Vec<_>>(), policies)
    };
    assert_eq!(content(&one), content(&two));
    assert_eq!((serial(&scene, "1.kgi"), serial(&scene, "2.kgi")), (1, 2));
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
        (2, policy(&file), "policy p: ", "component.wasm cannot be used"),
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
fn show_tells_what_is_in_an_image_and_none_of_its_secrets() {
    let scene = ready();
    let pair = make_key(&scene, "owner");
    make_key(&scene, "other");
    scene.run(&["client", "add", "alice", "--totp", "--expires", "2101-02-03"]).good();
    make(&scene, &[]).good();

    let said = scene.run(&["gateway", "show", "site.kgi"]).good();
    for line in [
        "image     1 of site gate.example, ",
        "services  web (1): tcp/8080 at 192.0.2.100\n",
        "console (100): tcp/62202 at the gateway itself",
        "alice (1): services 1, until 2101-02-",
        "with a second factor",
        "policy    default, ",
        "packets   udp/62201\n",
        "not checked; give --public-key",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let id: [u8; 8] = pair.pk.keynum().try_into().unwrap();
    let id = format!("{:016X}", u64::from_le_bytes(id));
    let line = pair.pk.to_base64();
    for key in ["owner.pub", &line] {
        let said = scene.run(&["gateway", "show", "site.kgi", "--public-key", key]).good();
        assert!(said.contains(&format!("signed    by key {id}, as it should be\n")), "{said}");
    }
    let said = scene.run(&["gateway", "show", "site.kgi", "--public-key", "other.pub"]).bad(1);
    assert!(said.contains(&format!("it is signed by key {id}, and this public key is ")), "{said}");
    let said = scene.run(&["gateway", "show", "site.kgi", "--public-key", "etc/agent.toml"]).bad(1);
    assert!(said.contains("is no public key"), "{said}");
}

#[test]
fn an_image_that_was_changed_anywhere_is_not_taken_for_the_owners() {
    let scene = ready();
    make(&scene, &[]).good();
    let good = file(&scene, "site.kgi");
    let end = good.len() - SIGNATURE_LEN;
    for at in [20, end / 2, end - 1, end + 11, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(scene.path().join("site.kgi"), &bytes).unwrap();
        let said = scene.run(&["gateway", "show", "site.kgi", "--public-key", "owner.pub"]).bad(1);
        assert!(said.contains("the signature is not of this image"), "byte {at}: {said}");
        let said = scene
            .run(&[
                "gateway",
                "flash-file",
                "site.kgi",
                "--board",
                "qemu",
                "--public-key",
                "owner.pub",
                "--out",
                "flash",
            ])
            .bad(1);
        assert!(said.contains("the signature is not of this image"), "byte {at}: {said}");
    }
    for (bytes, expected) in [(&good[..good.len() - 1], "cut off"), (b"other".as_slice(), "no site image")] {
        fs::write(scene.path().join("site.kgi"), bytes).unwrap();
        let said = scene.run(&["gateway", "show", "site.kgi"]).bad(1);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_boards_region_is_owner_and_image_and_nothing_used_up() {
    let scene = ready();
    make(&scene, &[]).good();
    let image = file(&scene, "site.kgi");
    scene.run(&["gateway", "owner", "--public-key", "owner.pub", "--out", "owner.bin"]).good();
    let owner = file(&scene, "owner.bin");
    for board in board::ALL {
        let said = scene
            .run(&[
                "gateway",
                "flash-file",
                "site.kgi",
                "--board",
                board.name,
                "--public-key",
                "owner.pub",
                "--out",
                board.name,
            ])
            .good();
        assert!(said.contains("with image 1 and the owner "), "{said}");
        let region = file(&scene, board.name);
        assert_eq!(region.len(), board.size as usize);
        assert!(region.starts_with(&owner));
        let [slot, _] = &board.slots;
        let start = slot.start as usize;
        assert!(region[start..].starts_with(&image));
        let erased = |place: &[u8]| place.iter().all(|byte| *byte == board::ERASED);
        assert!(
            erased(&region[owner.len()..start]) && erased(&region[start + image.len()..]),
            "{}",
            board.name
        );
        assert!(Owner::decode(&region).is_ok() && Signed::find(&region[start..]).is_ok());
    }
    let said = scene
        .run(&[
            "gateway",
            "flash-file",
            "site.kgi",
            "--board",
            "toaster",
            "--public-key",
            "owner.pub",
            "--out",
            "x",
        ])
        .bad(2);
    assert!(said.contains("there is no board \"toaster\"; known are qemu, stm32h743"), "{said}");
}
