//! What is in a site image and in the flash of a board, and that whoever looks at it notices a change.

use std::fs;

use knockgate_agent::config::BUILT_IN;
use knockgate_agent::state::{GateIdentity, RosterFile, StateDir};
use knockgate_core::board;
use knockgate_core::book::Order;
use knockgate_core::gate::{LockoutScope, Prefixes};
use knockgate_core::message::Mode;
use knockgate_core::profile::{PortRange, Protocol};
use knockgate_core::site::{Console, Owner, PacketPorts, SIGNATURE_LEN, Signed, Site};
use knockgate_policy_host::precompiled::{Precompiled, Target};
use knockgate_policy_host::{Capabilities, Rights, builtin};
use sha2::{Digest, Sha256};

use super::gateway::{file, make, make_key, ready, serial};

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
    assert_eq!(signed.length(), bytes.len());
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
        "alice (1): web, until 2101-02-",
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
                "qemu-riscv32",
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
    assert!(said.contains("there is no board \"toaster\"; known are qemu-riscv32, stm32h743"), "{said}");
}

#[test]
fn every_built_in_policy_goes_into_an_image() {
    let scene = ready();
    let config = fs::read_to_string(scene.config()).unwrap();
    for built_in in builtin::ALL.iter().filter(|built_in| built_in.name != BUILT_IN) {
        let name = built_in.name;
        let parameters = match name {
            "office-hours" => r#"{ days = "mon-fri", from = "08:00", until = "18:00" }"#,
            "known-networks" | "second-factor" => r#"{ networks = ["192.0.2.0/24", "2001:db8::/32"] }"#,
            "limit-per-client" => "{ open = 2, per-day = 3 }",
            _ => "{}",
        };
        let policy = format!(
            "{config}\n[policy]\nchain = [\"p\"]\n[policy-module.p]\nbuilt-in = \"{name}\"\nparameters = {parameters}\n"
        );
        fs::write(scene.config(), policy).unwrap();
        make(&scene, &["--force"]).good();
        let image = file(&scene, "site.kgi");
        let site = Site::read(Signed::find(&image).unwrap().image).unwrap();
        let (_, code) = site.chain().next().unwrap();
        let compiled = Precompiled::parse(code).unwrap();
        assert_eq!(*compiled.module_sha256(), <[u8; 32]>::from(Sha256::digest(built_in.module)), "{name}");
    }
}
