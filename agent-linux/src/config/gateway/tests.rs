use std::path::Path;
use std::time::Duration;

use knockgate_core::site::Console;

use super::super::*;

/// A gateway that guards one machine.
const GATE: &str = "[gate]\naddress = \"gate.example\"\nstate-dir = \"/s\"\n";
const SITE: &str = "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\n";
const SSH: &str = "[service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\nhosts = [\"192.0.2.100\"]\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("site.toml"), text)
}

fn parsed(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

fn with_ssh(text: &str) -> String {
    format!("{GATE}{SITE}{SSH}{text}")
}

#[test]
fn the_shortest_gateway_has_a_name_an_address_and_a_machine_behind_it() {
    let config = parsed(&with_ssh(""));
    let gateway = config.gateway.as_ref().unwrap();
    assert_eq!(gateway.to_string(), "lab, 192.0.2.1/24");
    assert!(gateway.ipv6.is_none() && gateway.console.is_none());
    assert_eq!(config.services[0].hosts, ["192.0.2.100".parse::<IpAddr>().unwrap()]);
    assert!(config.gate.audit_log.is_none());
}

#[test]
fn every_key_of_a_gateway_is_read() {
    let text = r#"
        [gate]
        address = "192.0.2.1"
        state-dir = "/s"
        [gateway]
        name = "plant-7"
        ipv4 = "192.0.2.1/24"
        router-v4 = "192.0.2.254"
        ipv6 = "2001:db8::1/64"
        router-v6 = "fe80::1"
        [gateway.console]
        id = 100
        port = 4000
        open = "30s"
        max-open = "2m"
        confirm = true
        second-factor = true
        follow = true
        [service.plc]
        id = 2
        protocol = "udp"
        ports = [62201, 4000]
        hosts = ["192.0.2.100", "2001:db8::100"]
    "#;
    let config = parsed(text);

    let gateway = config.gateway.as_ref().unwrap();
    assert_eq!(gateway.to_string(), "plant-7, 192.0.2.1/24 by 192.0.2.254, 2001:db8::1/64 by fe80::1");
    let console = config.service("console").unwrap();
    assert_eq!(gateway.console, Some(Console { service: 100, port: 4000 }));
    assert_eq!((console.id, console.protocol, console.ports.as_slice()), (100, Protocol::Tcp, &[4000][..]));
    assert_eq!((console.open, console.max_open), (Duration::from_secs(30), Duration::from_secs(120)));
    assert!(console.confirm && console.second_factor && console.follow && console.hosts.is_empty());
    assert!(config.is_console(console) && !config.is_console(config.service("plc").unwrap()));
    // What is at other machines' addresses leaves decoys and knocks at the gateway's own alone.
    assert_eq!(config.taken_ports().collect::<Vec<_>>(), [4000]);
}

#[test]
fn two_services_may_have_the_same_port_at_different_machines() {
    let other = |host: &str| {
        with_ssh(&format!(
            "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [22]\nhosts = [\"{host}\"]\n"
        ))
    };
    parsed(&other("192.0.2.101"));
    let refused = refused(&other("192.0.2.100"));
    assert!(refused.contains("services other and ssh both guard tcp port 22"), "{refused}");
}

#[test]
fn the_console_is_at_the_gateways_own_address_and_needs_a_port_of_its_own() {
    let console = "[gateway.console]\nid = 9\nport = 62201\n[central]\n";
    let refused = refused(&with_ssh(console));
    assert!(refused.contains("site.toml:"), "{refused}");
    assert!(
        refused.contains("service console guards tcp port 62201, which is the central port"),
        "{refused}"
    );
    parsed(&with_ssh("[gateway.console]\nid = 9\nport = 22\n"));
}

#[test]
fn a_wrong_gateway_is_refused_at_its_line_with_the_remedy() {
    #[rustfmt::skip]
    let cases = [
        (1, "[gateway]\n", "1: gateway.name is missing; say what the site is called"),
        (2, "[gateway]\nname = \"a b\"\n", "2: gateway.name: \"a b\" is no name"),
        (3, "[gateway]\nname = \"lab\"\n", "1: gateway has no address to knock at; add ipv4"),
        (4, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1\"\n", "3: gateway.ipv4: \"192.0.2.1\" is no address with a prefix"),
        (5, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/33\"\n", "3: gateway.ipv4: \"192.0.2.1/33\" is no address with a prefix"),
        (6, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/0\"\n", "is no address with a prefix"),
        (7, "[gateway]\nname = \"lab\"\nipv4 = \"224.0.0.1/24\"\n", "224.0.0.1 cannot be a gateway's own address"),
        (8, "[gateway]\nname = \"lab\"\nipv4 = \"127.0.0.1/8\"\n", "cannot be a gateway's own address"),
        (9, "[gateway]\nname = \"lab\"\nipv4 = \"255.255.255.255/8\"\n", "cannot be a gateway's own address"),
        (10, "[gateway]\nname = \"lab\"\nipv6 = \"fe80::1/64\"\n", "cannot be a gateway's own address"),
        (11, "[gateway]\nname = \"lab\"\nipv6 = \"::ffff:192.0.2.1/96\"\n", "cannot be a gateway's own address"),
        (12, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\nrouter-v4 = \"192.0.3.1\"\n", "4: gateway.router-v4 is 192.0.3.1, which is no neighbour of 192.0.2.1/24"),
        (13, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\nrouter-v4 = \"192.0.2.1\"\n", "which is no neighbour"),
        (14, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\nrouter-v4 = \"2001:db8::1\"\n", "is not the address of one host of that family"),
        (15, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\nrouter-v6 = \"fe80::1\"\n", "4: gateway.router-v6 needs ipv6"),
        (16, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\n[gateway.console]\n", "4: gateway.console.id is missing; give it a number like a service's: id = 100"),
        (17, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\n[gateway.console]\nid = 1\n", "services ssh and console both have id 1"),
        (18, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\nmac = 1\n", "4: gateway.mac is not known; known here: "),
        (19, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.0/24\"\n", "192.0.2.0 cannot be a gateway's own address"),
        (20, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.255/24\"\n", "192.0.2.255 cannot be a gateway's own address"),
        (21, "[gateway]\nname = \"lab\"\nipv6 = \"2001:db8::/64\"\n", "2001:db8:: cannot be a gateway's own address"),
        (22, "[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\nrouter-v4 = \"192.0.2.255\"\n", "which is no neighbour of 192.0.2.1/24"),
        (23, "gateway = 1\n", "1: gateway is a number; write a table [gateway]"),
    ];
    for (case, text, expected) in cases {
        let refused = refused(&format!("{text}{GATE}{SSH}"));
        assert!(refused.contains(expected), "case {case}: {refused}");
    }
}

#[test]
fn in_a_network_of_two_both_addresses_are_a_hosts() {
    for (own, router) in [("192.0.2.0", "192.0.2.1"), ("192.0.2.1", "192.0.2.0")] {
        let site = format!("[gateway]\nname = \"lab\"\nipv4 = \"{own}/31\"\nrouter-v4 = \"{router}\"\n");
        parsed(&format!("{GATE}{site}{SSH}"));
    }
    parsed(&format!(
        "{GATE}[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/32\"\nipv6 = \"2001:db8::/127\"\n{SSH}"
    ));
}

#[test]
fn wrong_hosts_are_refused_at_their_line_with_the_remedy() {
    let list = |count: u8| {
        (1..=count).map(|last| format!("\"192.0.2.{}\"", last + 1)).collect::<Vec<_>>().join(", ")
    };
    #[rustfmt::skip]
    let cases = [
        (1, "".to_owned(), "service.ssh.hosts is missing; name the machines that offer it"),
        (2, "hosts = []".into(), "service.ssh.hosts is empty; name the machines"),
        (3, "hosts = [\"192.0.2.100:22\"]".into(), "is not the address of one host; write the machine's own"),
        (4, "hosts = [\"plc.example\"]".into(), "is not the address of one host"),
        (5, "hosts = [\"192.0.2.100\", \"192.0.2.100\"]".into(), "names 192.0.2.100 twice; leave one out"),
        (6, format!("hosts = [{}]", list(9)), "has 9 hosts; a service has at most 8, so make it two"),
        (7, "hosts = [\"192.0.2.1\"]".into(), "names 192.0.2.1, which is the gateway itself"),
        (8, "hosts = [\"224.0.0.1\"]".into(), "is not the address of one host"),
        (9, "hosts = [\"192.0.2.254\"]".into(), "names 192.0.2.254, which is its router; name the machines behind it"),
    ];
    for (case, hosts, expected) in cases {
        let service = format!("[service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\n{hosts}\n");
        let refused = refused(&format!("{GATE}{SITE}router-v4 = \"192.0.2.254\"\n{service}"));
        assert!(refused.contains(expected), "case {case}: {refused}");
    }
    parsed(&format!(
        "{GATE}{SITE}[service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\nhosts = [{}]\n",
        list(8)
    ));
}

#[test]
fn hosts_without_a_gateway_are_refused() {
    let server = format!("{GATE}audit-log = \"/l\"\n{SSH}");
    let refused = refused(&server);
    assert_eq!(
        refused,
        "site.toml:9: service.ssh.hosts is for gateways, and this file has no [gateway]; leave it out, or use forward"
    );
}

#[test]
fn what_only_a_server_has_is_refused_at_its_line_with_what_a_gateway_has_instead() {
    #[rustfmt::skip]
    let cases = [
        (1, "[unit.a]\nid = 1\nunit = \"a.service\"\n", "12: unit.a is for servers and not for gateways: it has no units to start; leave it out"),
        (2, "[channel.a]\nid = 1\nsocket = \"/a\"\n", "12: channel.a is for servers"),
        (3, "[packet]\nlease = \"0s\"\n", "13: packet.lease is for servers and not for gateways: each counter is stored before it counts; leave it out"),
        (4, "[packet]\nmode = \"socket\"\n", "13: packet.mode is \"socket\", and a gateway has no sockets to bind"),
        (5, "[packet]\nports = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n", "13: packet.ports has 9 entries; a gateway takes at most 8"),
        (6, "[sequence]\nlistener = 9\n", "13: sequence.listener is for servers"),
        (7, "[sequence]\ndecoys = \"always\"\n", "13: sequence.decoys is \"always\", and a gateway's decoys answer only the holder"),
        (8, "forward = [\"10.0.0.5:22\"]\n", "12: service.ssh.forward is for servers and not for gateways: it passes on what it admits"),
        (9, "forward = [\"10.0.0.5:22\"]\nmasquerade = true\n", "13: service.ssh.masquerade is for servers"),
        (10, "[policy]\nshadow = [\"default\"]\n", "13: policy.shadow is for servers"),
        (11, "[policy]\ntime-zone = \"UTC\"\n", "13: policy.time-zone is for servers and not for gateways: its policies are told the time in UTC"),
        (12, "[policy.services]\nssh = [\"default\"]\n", "12: policy.services is for servers"),
        (13, "[policy.clients]\na = [\"default\"]\n", "12: policy.clients is for servers"),
        (14, "[policy-module.a]\nbuilt-in = \"office-hours\"\nunits = []\n", "14: policy-module.a.units is for servers"),
        (15, "[policy-module.a]\nbuilt-in = \"office-hours\"\nchannels = []\n", "14: policy-module.a.channels is for servers"),
        (16, "[policy-module.a]\nbuilt-in = \"office-hours\"\nwasi = \"inert\"\n", "14: policy-module.a.wasi is for servers"),
        (17, "[policy-module.\"a.b\"]\nbuilt-in = \"office-hours\"\ncapabilities = [\"open\", \"start\", \"notify\"]\n", "14: policy-module.a.b.capabilities has start notify, which a gateway cannot do"),
        (18, "[service.console]\nid = 5\nprotocol = \"tcp\"\nports = [1]\nhosts = [\"192.0.2.9\"]\n[gateway.console]\nid = 6\n", "12: service.console has the name of the gateway's own console"),
        (19, "[policy]\nengine = \"compiler\"\n", "13: policy.engine is for servers"),
    ];
    for (case, text, expected) in cases {
        let refused = refused(&with_ssh(text));
        assert!(refused.contains(&format!("site.toml:{expected}")), "case {case}: {refused}");
    }
    for (key, expected) in [
        (
            "audit-log = \"/l\"\n",
            "4: gate.audit-log is for servers and not for gateways: its log is read with `knockgate log --remote`",
        ),
        ("interfaces = [\"eth0\"]\n", "4: gate.interfaces is for servers"),
    ] {
        let refused = refused(&format!("{GATE}{key}{SITE}{SSH}"));
        assert!(refused.contains(&format!("site.toml:{expected}")), "{refused}");
    }
}

#[test]
fn a_name_in_quotes_makes_no_second_line() {
    let refused = refused(&with_ssh("[unit.\"a\\nb\"]\nid = 1\nunit = \"a.service\"\n"));
    assert!(refused.contains("unit.a b is for servers"), "{refused}");
    assert!(refused.lines().all(|line| line.starts_with("site.toml:12: ")), "{refused}");
}

#[test]
fn a_gateway_asks_four_policies_and_no_more() {
    let chain = |count: usize| {
        let names: Vec<_> = (0..count).map(|at| format!("p{at}")).collect();
        let modules: String = names
            .iter()
            .map(|name| format!("[policy-module.{name}]\nbuilt-in = \"office-hours\"\n"))
            .collect();
        with_ssh(&format!("[policy]\nchain = {names:?}\n{modules}"))
    };
    assert_eq!(parsed(&chain(4)).policy.chain.len(), 4);
    let refused = refused(&chain(5));
    assert!(
        refused.contains("site.toml:13: policy.chain has 5 policies; a gateway asks at most 4"),
        "{refused}"
    );
}

#[test]
fn a_gateway_guards_sixteen_services_and_no_more_and_its_console_is_one() {
    let services = |count: usize| -> String {
        let service = |id| {
            format!(
                "[service.s{id}]\nid = {id}\nprotocol = \"tcp\"\nports = [{id}]\nhosts = [\"192.0.2.100\"]\n"
            )
        };
        (2..=count).map(service).collect()
    };
    let console = "[gateway.console]\nid = 100\n";
    assert_eq!(parsed(&with_ssh(&services(16))).services.len(), 16);
    for too_many in [with_ssh(&services(17)), with_ssh(&(services(16) + console))] {
        let refused = refused(&too_many);
        assert!(
            refused.contains("there are 17 services, with the console; a gateway guards at most 16"),
            "{refused}"
        );
    }
}

#[test]
fn a_service_may_be_named_console_where_there_is_no_console() {
    let service = "[service.console]\nid = 5\nprotocol = \"tcp\"\nports = [1]\nhosts = [\"192.0.2.9\"]\n";
    assert_eq!(parsed(&with_ssh(service)).service("console").unwrap().id, 5);
}

#[test]
fn a_gateways_file_is_not_taken_for_a_servers() {
    let refused = parsed(&with_ssh("")).of_a_server().unwrap_err().to_string();
    assert!(refused.contains("knockgated gateway image --config site.toml"), "{refused}");
    assert!(
        parse(&format!(
            "{GATE}audit-log = \"/l\"\n[service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\n"
        ))
        .unwrap()
        .of_a_server()
        .is_ok()
    );
}
