use std::path::Path;
use std::time::Duration;

use super::*;
use crate::confine::{Forbidden, Sandbox};

const GATE: &str = "[gate]\naddress = \"gate.example\"\nstate-dir = \"/s\"\naudit-log = \"/l/audit.jsonl\"\n";
const SSH: &str = "[service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("agent.toml"), text)
}

/// A configuration that begins with `text` and is complete beside it.
pub(super) fn with_ssh(text: &str) -> Result<Config, ConfigError> {
    parse(&format!("{text}{GATE}{SSH}"))
}

fn parsed(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_shortest_configuration_has_the_defaults_of_the_paper() {
    let config = parsed(&format!("{GATE}{SSH}"));

    let shape = config.sequence.shape;
    assert_eq!(
        (shape.count(), shape.length(), shape.decoys(), shape.ports()),
        (1000, 6, 100, 10_000..=32_767)
    );
    assert_eq!((config.sequence.mode, config.sequence.decoys), (Mode::Connect, DecoyAudience::Holder));
    assert_eq!((config.sequence.order, config.sequence.hold), (Order::Strict, Duration::from_secs(10)));
    assert_eq!(
        (config.lockout.duration, config.lockout.scope),
        (Duration::from_secs(60), LockoutScope::Source)
    );
    assert_eq!(
        (config.packet.mode, &config.packet.ports),
        (PacketMode::Watch, &PacketPorts::Listed(vec![62201..=62201]))
    );
    assert_eq!((config.packet.max_age, config.packet.lease), (None, Duration::from_secs(60)));
    assert_eq!(config.capture.via, Via::Auto);
    assert!(config.central.is_none());
    assert_eq!(config.policy.engine, Execution::Interpreted);
    assert_eq!(config.policy.chain.iter().map(Name::as_str).collect::<Vec<_>>(), [BUILT_IN]);
    assert_eq!(
        (config.services[0].open, config.services[0].max_open),
        (Duration::from_secs(60), Duration::from_secs(3600))
    );
}

#[test]
fn packets_are_heard_by_the_way_that_was_chosen() {
    for (word, via) in [("auto", Via::Auto), ("packet-sockets", Via::PacketSockets), ("nflog", Via::Nflog)] {
        let config = with_ssh(&format!("[capture]\nvia = \"{word}\"\n")).unwrap();
        assert_eq!(config.capture.via, via);
    }
    let refused = with_ssh("[capture]\nvia = \"pcap\"\n").unwrap_err().to_string();
    let expected = r#"agent.toml:2: capture.via is "pcap"; it must be "auto" or "packet-sockets" or "nflog""#;
    assert_eq!(refused, expected);
}

#[test]
fn the_agent_is_one_process_unless_the_configuration_says_otherwise() {
    assert_eq!(with_ssh("").unwrap().separation, None);
    assert_eq!(with_ssh("[process]\nseparate = false\n").unwrap().separation, None);
    let text =
        "[process]\nseparate = true\nuser = \"knockgate\"\nsandbox = \"require\"\nforbidden = \"kill\"\n";
    let apart = with_ssh(text).unwrap().separation.unwrap();
    assert_eq!(apart.user.as_deref(), Some("knockgate"));
    assert_eq!((apart.sandbox, apart.forbidden), (Sandbox::Require, Forbidden::Kill));
    let plain = with_ssh("[process]\nseparate = true\n").unwrap().separation.unwrap();
    assert_eq!((plain.sandbox, plain.forbidden), (Sandbox::BestEffort, Forbidden::Refuse));
    let refused = with_ssh("[process]\nsandbox = \"require\"\n").unwrap_err().to_string();
    assert!(
        refused.contains("agent.toml:2: process.sandbox is for the process beside a broker"),
        "{refused}"
    );
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [gate]
        address = "2001:db8::1"
        state-dir = "/var/lib/knockgate"
        audit-log = "/var/log/knockgate/audit.jsonl"
        interfaces = ["eth0", "wg-1"]
        [packet]
        mode = "socket"
        ports = [62201, "53-54"]
        max-age = "5m"
        lease = "0s"
        [central]
        port = 4000
        [sequence]
        mode = "closed"
        decoys = "holder"
        order = "any"
        length = 3
        decoy-count = 16
        count = 2
        port-range = [20_000, 20_100]
        hold = "2500ms"
        strays = 1
        [lockout]
        duration = "2m"
        scope = "global"
        [service.web]
        id = 9
        protocol = "udp"
        ports = [443]
        open = "30s"
        max-open = "30s"
        forward = ["10.0.0.5:8443", "[fd00::5]:8443"]
        masquerade = true
        confirm = true
        second-factor = true
        follow = true
        prefix-v4 = 24
        prefix-v6 = 64
        [service.ssh]
        id = 3
        protocol = "tcp"
        ports = [22, 2222]
    "#;
    let config = parsed(text);

    assert_eq!(config.gate.interfaces, ["eth0", "wg-1"]);
    assert_eq!(config.sequence.shape, Shape::new(2, 3, 16, 20_000..=20_100).unwrap());
    assert_eq!((config.sequence.strays, config.sequence.hold), (1, Duration::from_millis(2500)));
    assert_eq!(config.services.iter().map(|service| service.id).collect::<Vec<_>>(), [3, 9]);
    let web = config.service("web").unwrap();
    assert_eq!(web.forward_v4, Some("10.0.0.5:8443".parse().unwrap()));
    assert_eq!(web.forward_v6, Some("[fd00::5]:8443".parse().unwrap()));
    assert_eq!((web.confirm, web.second_factor, web.follow), (true, true, true));
    assert_eq!((web.prefix_v4, web.prefix_v6), (Some(24), Some(64)));
    assert_eq!(
        (config.packet.mode, config.packet.listed()),
        (PacketMode::Socket, &[62201..=62201, 53..=54][..])
    );
    assert_eq!(
        (config.packet.max_age, config.packet.lease),
        (Some(Duration::from_secs(300)), Duration::ZERO)
    );
    assert_eq!(config.taken_ports().collect::<Vec<_>>(), [22, 2222, 443, 4000, 62201, 53, 54]);
    assert_eq!(config.warnings().iter().filter(|text| text.contains("lockout.scope")).count(), 1);
}

#[test]
fn the_central_port_is_there_only_with_its_table() {
    let port = |text: &str| parsed(&format!("{GATE}{text}{SSH}")).central.map(|central| central.port);
    assert_eq!([port(""), port("[central]\n"), port("[central]\nport = 7\n")], [None, Some(62201), Some(7)]);
}

#[test]
fn any_port_and_no_port_leave_guarded_udp_ports_alone() {
    let dns = "[service.dns]\nid = 2\nprotocol = \"udp\"\nports = [62201]\n";
    let any = parsed(&format!("{GATE}{SSH}{dns}[packet]\nports = \"any\"\n"));
    assert_eq!((&any.packet.ports, any.packet.listed().len()), (&PacketPorts::Any, 0));
    parsed(&format!("{GATE}{SSH}{dns}[packet]\nmode = \"off\"\n[central]\n"));
}

#[test]
fn a_packet_port_may_be_a_decoy_unless_decoys_hear_datagrams() {
    let taken = |mode: &str| {
        let config = parsed(&format!("{GATE}{SSH}[sequence]\nmode = \"{mode}\"\n"));
        config.taken_ports().collect::<Vec<_>>()
    };
    assert_eq!((taken("connect"), taken("closed")), (vec![22], vec![22, 62201]));
}

#[test]
fn connect_mode_forgives_no_stray() {
    assert_eq!(parsed(&format!("{GATE}{SSH}[sequence]\nstrays = 2\n")).sequence.strays, 0);
}

#[test]
fn a_short_longest_grant_is_also_the_usual_one() {
    let config = parsed(&format!("{GATE}{SSH}max-open = \"20s\"\n"));
    assert_eq!(config.services[0].open, Duration::from_secs(20));
}

#[test]
fn the_audit_log_is_put_away_and_counts_what_it_loses_unless_something_else_is_said() {
    let AuditLog { on_failure, rotation } = parsed(&format!("{GATE}{SSH}")).audit;
    assert_eq!((on_failure, rotation), (OnFailure::Count, Rotation { size: 16 << 20, age: None, keep: 15 }));

    let said = "[audit]\non-failure = \"refuse\"\nrotate-mib = 2\nrotate-age = \"7days\"\nkeep = 0\n";
    let AuditLog { on_failure, rotation } = parsed(&format!("{GATE}{said}{SSH}")).audit;
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!(
        (on_failure, rotation),
        (OnFailure::Refuse, Rotation { size: 2 << 20, age: Some(week), keep: 0 })
    );
}

/// Every wrong value, the line where it stands and what is said about it. The text before is `GATE`, 4 lines; the cases
/// that say nothing about services have `SSH` after them.
#[test]
fn every_wrong_value_is_named_with_its_line_and_remedy() {
    #[rustfmt::skip]
    let cases: &[(u32, &str, usize, &str)] = &[
        // Syntax and structure.
        (1, "[central\nport = 1", 5, "not valid TOML"),
        (2, "[central]\nport = 1\nport = 2", 7, "not valid TOML: duplicate key; correct this line"),
        (3, "[centrall]\nport = 1", 5, "centrall is not known; known here: gate, gateway, guard, audit, packet, capture, control, metrics, process, central, sequence, lockout, service"),
        (4, "central = 7", 5, "gate.central is not known"),
        (5, "[central]\nPort = 1", 6, "central.Port is not known; known here: port"),
        (6, "[[central]]\nport = 1", 5, "central is a list; write a table [central]"),
        (7, "[service]\nother = 1", 6, "service.other is a number; write a table [service.other]"),
        // [gate]
        (10, "interfaces = []", 5, "gate.interfaces is empty; name one, or leave"),
        (11, "interfaces = [\"eth0/1\"]", 5, "gate.interfaces: \"eth0/1\" cannot be an interface; use a name"),
        (12, "interfaces = [\"abcdefghijklmnop\"]", 5, "cannot be an interface"),
        (13, "interfaces = \"eth0\"", 5, "gate.interfaces is a text; write a list in square brackets"),
        (14, "interfaces = [\n  \"eth0\",\n  7,\n]", 7, "gate.interfaces is a number; write a text in quotes"),
        // [central]
        (20, "[central]\nport = 0", 6, "central.port is 0; it must be 1 to 65535"),
        (21, "[central]\nport = 70000", 6, "central.port is 70000; it must be 1 to 65535"),
        (22, "[central]\nport = -1", 6, "central.port is -1; it must be 1 to 65535"),
        (23, "[central]\nport = \"62201\"", 6, "central.port is a text; write a whole number without quotes"),
        (24, "[central]\nport = 1.5", 6, "central.port is a number with a fraction; write a whole number"),
        (25, "[central]\nport = 99999999999999999999", 6, "central.port is 9223372036854775807; it must be 1 to 65535"),
        (26, "[central]\nport = 22", 10, "service ssh guards tcp port 22, which is the central port; set [central] port"),
        // [metrics]
        (260, "[metrics]\nlisten = 9191", 6, "metrics.listen is a number; write a text in quotes"),
        (261, "[metrics]\nlisten = \"0.0.0.0:9191\"", 6, "metrics.listen: \"0.0.0.0:9191\" is for others than this host"),
        (262, "[metrics]\nlisten = \"localhost:9191\"", 6, "metrics.listen: \"localhost:9191\" is no address with port; write"),
        (263, "[metrics]\nlisten = \"[::1]:0\"", 6, "metrics.listen: \"[::1]:0\" has port 0; ports are 1 to 65535"),
        (264, "[metrics]\nsocket = \"metrics\"", 6, "metrics.socket: \"metrics\" is a relative path"),
        (265, "[metrics]\nport = 9191", 6, "metrics.port is not known; known here: listen, socket"),
        // [packet]
        (300, "[packet]\nmode = \"listen\"", 6, "packet.mode is \"listen\"; it must be \"watch\" or \"socket\" or \"off\""),
        (301, "[packet]\nmode = \"off\"", 6, "there is no [central], so nobody could knock; add [central]"),
        (302, "[packet]\nports = 62201", 6, "packet.ports is a number; write a list in square brackets, or \"any\""),
        (303, "[packet]\nports = \"all\"", 6, "packet.ports is \"all\"; it must be \"any\" or a list"),
        (304, "[packet]\nports = []", 6, "packet.ports is empty; name a port, or switch this off"),
        (305, "[packet]\nports = [0]", 6, "packet.ports: port 0; ports are 1 to 65535"),
        (306, "[packet]\nports = [70000]", 6, "packet.ports: port 70000; ports are 1 to 65535"),
        (307, "[packet]\nports = [\"53\"]", 6, "packet.ports: \"53\" is no range of ports; write \"FIRST-LAST\""),
        (308, "[packet]\nports = [\"60-50\"]", 6, "\"60-50\" ends before it begins; write \"50-60\""),
        (309, "[packet]\nports = [\n  5,\n  \"1-9\",\n]", 8, "packet.ports names port 5 twice; leave one out"),
        (310, "[packet]\nports = [true]", 6, "packet.ports is true or false; write a list of whole numbers and texts"),
        (311, "[packet]\nmode = \"socket\"\nports = \"any\"", 7, "packet.ports is \"any\", but with mode = \"socket\" each port"),
        (312, "[packet]\nmode = \"socket\"\nports = [\"1-16\", 99]", 7, "packet.ports is 17 ports, but with mode"),
        (313, "[packet]\nmax-age = \"0s\"", 6, "packet.max-age is 0s; it must be 1s to 1day"),
        (314, "[packet]\nmax-age = 5", 6, "packet.max-age is no duration; write a text"),
        (315, "[packet]\nlease = \"61s\"", 6, "packet.lease is 1m 1s; it must be 0s to 1m"),
        (316, "[packet]\nport = 1", 6, "packet.port is not known; known here: mode, ports, max-age, lease"),
        (317, "[service.dns]\nid = 2\nprotocol = \"udp\"\nports = [53, 62201]", 8,
            "service dns guards udp port 62201, where packet knocks come in; take it out of [packet] ports"),
        (318, "[service.dns]\nid = 2\nprotocol = \"udp\"\nports = [53]\n[packet]\nports = [\"50-60\"]", 8, "guards udp port 53"),
        // [sequence]
        (30, "[sequence]\nmode = \"open\"", 6, "sequence.mode is \"open\"; it must be \"connect\" or \"closed\""),
        (31, "[sequence]\ndecoys = \"never\"", 6, "sequence.decoys is \"never\"; it must be \"holder\" or \"always\""),
        (32, "[sequence]\nmode = \"closed\"\ndecoys = \"always\"", 7, "in closed mode no port ever answers; use mode"),
        (33, "[sequence]\norder = \"random\"", 6, "sequence.order is \"random\"; it must be \"strict\" or \"any\""),
        (34, "[sequence]\nlength = 2", 6, "sequence.length is 2; it must be 3 to 16"),
        (35, "[sequence]\nlength = 17", 6, "sequence.length is 17; it must be 3 to 16"),
        (36, "[sequence]\ndecoy-count = 15", 6, "sequence.decoy-count is 15; it must be 16 to 1024"),
        (37, "[sequence]\ndecoy-count = 1025", 6, "sequence.decoy-count is 1025; it must be 16 to 1024"),
        (38, "[sequence]\ncount = 0", 6, "sequence.count is 0; it must be 1 to 65536"),
        (39, "[sequence]\ncount = 65537", 6, "sequence.count is 65537; it must be 1 to 65536"),
        (40, "[sequence]\nport-range = [10000]", 6, "sequence.port-range is not two numbers; write port-range = [FIRST, LAST]"),
        (41, "[sequence]\nport-range = [0, 100]", 6, "sequence.port-range: port 0; ports are 1 to 65535"),
        (42, "[sequence]\nport-range = [1, 70000]", 6, "sequence.port-range: port 70000; ports are 1 to 65535"),
        (43, "[sequence]\nport-range = [20000, 10000]", 6, "does not end before it begins; write port-range = [FIRST, LAST]"),
        (44, "[sequence]\nport-range = [10000, 10050]", 6, "fewer ports than there are decoys; widen sequence.port-range"),
        (45, "[sequence]\nhold = \"500ms\"", 6, "sequence.hold is 500ms; it must be 1s to 1m"),
        (46, "[sequence]\nhold = \"61s\"", 6, "sequence.hold is 1m 1s; it must be 1s to 1m"),
        (47, "[sequence]\nhold = 10", 6, "sequence.hold is no duration; write a text such as \"10s\""),
        (48, "[sequence]\nhold = \"10\"", 6, "sequence.hold is no duration; write a text such as \"10s\""),
        (49, "[sequence]\nhold = \"-1s\"", 6, "sequence.hold is no duration"),
        (50, "[sequence]\nstrays = 17", 6, "sequence.strays is 17; it must be 0 to 16"),
        // [lockout]
        (60, "[lockout]\nduration = \"0s\"", 6, "lockout.duration is 0s; it must be 1s to 1day"),
        (61, "[lockout]\nduration = \"2days\"", 6, "lockout.duration is 2days; it must be 1s to 1day"),
        (62, "[lockout]\nscope = \"everyone\"", 6, "lockout.scope is \"everyone\"; it must be \"source\" or \"global\""),
        // [guard]
        (63, "[guard]\non-change = \"ignore\"", 6, "guard.on-change is \"ignore\"; it must be \"restore\" or \"report\""),
        (64, "[guard]\non-flush = \"report\"", 6, "guard.on-flush is not known; known here: on-change"),
        // [audit]
        (65, "[audit]\non-failure = \"ignore\"", 6, "audit.on-failure is \"ignore\"; it must be \"count\" or \"refuse\""),
        (66, "[audit]\nrotate-mib = 0", 6, "audit.rotate-mib is 0; it must be 1 to 1048576"),
        (67, "[audit]\nrotate-age = \"59min\"", 6, "audit.rotate-age is 59m; it must be 1h to 1year 18h"),
        (68, "[audit]\nkeep = 1001", 6, "audit.keep is 1001; it must be 0 to 1000"),
        (69, "[audit]\nkeep-days = 7", 6, "audit.keep-days is not known; known here: on-failure, rotate-mib, rotate-age, keep"),
        // [service.*]; `other` stands beside ssh, which is at line 8.
        (70, "[service.\"a b\"]\nid = 2\nprotocol = \"tcp\"\nports = [1]", 5, "service \"a b\" is no name: ' ' cannot stand there"),
        (71, "[service.other]\nprotocol = \"tcp\"\nports = [1]", 5, "service.other.id is missing; give it a number of its own"),
        (72, "[service.other]\nid = 0\nprotocol = \"tcp\"\nports = [1]", 6, "service.other.id is 0; it must be 1 to 65535"),
        (73, "[service.other]\nid = 1\nprotocol = \"tcp\"\nports = [1]", 10, "services other and ssh both have id 1; give each"),
        (74, "[service.ssh]\n[service.ssh]", 6, "not valid TOML: duplicate key"),
        (75, "[service.other]\nid = 2\nports = [1]", 5, "service.other.protocol is missing; add protocol"),
        (76, "[service.other]\nid = 2\nprotocol = \"sctp\"\nports = [1]", 7, "it must be \"tcp\" or \"udp\""),
        (77, "[service.other]\nid = 2\nprotocol = \"tcp\"", 5, "service.other.ports is missing; name the ports"),
        (78, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = []", 8, "service.other.ports is empty; name at least one"),
        (79, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = 22", 8, "service.other.ports is a number; write a list"),
        (80, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [0]", 8, "service.other.ports: port 0; ports are 1 to 65535"),
        (81, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [70000]", 8, "service.other.ports: port 70000; ports are"),
        (82, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [5, 5]", 8, "names port 5 twice; leave one out"),
        (83, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", 8,
            "has 17 ports; a service has at most 16"),
        (84, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [22]", 12, "services other and ssh both guard tcp port 22"),
        (85, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nopen = \"2h\"", 9,
            "service.other.open is 2h, above service.other.max-open, which is 1h; raise that or lower this"),
        (86, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nopen = \"31days\"", 9, "it must be 1s to 30days"),
        (87, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nmax-open = \"0s\"", 9, "it must be 1s to 30days"),
        (88, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nopen = \"1500ms\"", 9, "use whole seconds"),
        (89, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nforward = []", 9, "service.other.forward is empty; write"),
        (90, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nforward = [\"10.0.0.5\"]", 9, "no address with port; write"),
        (91, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nforward = [\"127.0.0.1:1\"]", 9, "is this host itself; leave"),
        (92, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nforward = [\"10.0.0.5:0\"]", 9, "has port 0; ports are"),
        (93, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nforward = [\"10.0.0.5:1\", \"10.0.0.6:1\"]", 9,
            "two addresses of one family; keep one"),
        (94, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1, 2]\nforward = [\"10.0.0.5:1\"]", 9, "needs a service of one port"),
        (95, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nmasquerade = true", 9, "masquerade needs forward; add it"),
        (96, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nport = 1", 9, "service.other.port is not known; known here: id"),
        (97, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nconfirm = \"yes\"", 9, "confirm is a text; write true or false"),
        (98, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nsecond-factor = 1", 9, "is a number; write true or false"),
        (99, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nprefix-v4 = 32", 9, "prefix-v4 is 32; it must be 8 to 31"),
        (990, "[service.other]\nid = 2\nprotocol = \"tcp\"\nports = [1]\nprefix-v6 = 31", 9, "prefix-v6 is 31; it must be 32 to 127"),
    ];
    let mut failed = Vec::new();
    for (case, text, line, expected) in cases {
        let error = parse(&format!("{GATE}{text}\n{SSH}"))
            .map_or_else(|error| error.to_string(), |_| "accepted".into());
        let problem = error.lines().find(|problem| problem.contains(expected)).unwrap_or("");
        if !problem.starts_with(&format!("agent.toml:{line}: ")) || !problem.contains("; ") {
            failed.push(format!("case {case}, line {line}, {expected:?}: {error}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_wrong_value_of_the_gate_itself_is_named_too() {
    #[rustfmt::skip]
    let cases: &[(u32, &str, &str)] = &[
        (1, "", "agent.toml:1: gate.address is missing; add the name"),
        (2, "[gate]\nstate-dir = \"/s\"\naudit-log = \"/l\"", "agent.toml:1: gate.address is missing; add the name"),
        (3, "[gate]\naddress = \"g\"\naudit-log = \"/l\"", "agent.toml:1: gate.state-dir is missing; add state-dir"),
        (4, "[gate]\naddress = \"g\"\nstate-dir = \"/s\"", "agent.toml:1: gate.audit-log is missing; add audit-log"),
        (5, "[gate]\naddress = \"g:22\"\nstate-dir = \"/s\"\naudit-log = \"/l\"", "agent.toml:2: gate.address: \"g:22\" is neither"),
        (6, "[gate]\naddress = 5\nstate-dir = \"/s\"\naudit-log = \"/l\"", "agent.toml:2: gate.address is a number; write a text"),
        (7, "[gate]\naddress = \"g\"\nstate-dir = \"s\"\naudit-log = \"/l\"", "agent.toml:3: gate.state-dir: \"s\" is a relative path"),
        (8, "[gate]\naddress = \"g\"\nstate-dir = \"/s\"\naudit-log = \"l\"", "agent.toml:4: gate.audit-log: \"l\" is a relative path"),
    ];
    for (case, gate, expected) in cases {
        let error = parse(&format!("{gate}\n{SSH}")).expect_err("every case is wrong").to_string();
        assert!(error.starts_with(expected), "case {case}: {error}");
    }
    let error = parse(GATE).expect_err("nothing is guarded").to_string();
    assert!(error.starts_with("agent.toml:1: no service is guarded; add one"), "{error}");
    let many: String = (1..=65)
        .map(|id| format!("[service.s{id}]\nid = {id}\nprotocol = \"tcp\"\nports = [{id}]\n"))
        .collect();
    let error = parse(&format!("{GATE}{many}")).expect_err("65 services").to_string();
    assert!(error.contains("there are 65 services; a gate guards at most 64"), "{error}");
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_their_lines() {
    let error = parse("[gate]\naddress = 1\nstate-dir = \"s\"\n[central]\nport = 0\n")
        .expect_err("much is wrong")
        .to_string();
    let lines: Vec<_> = error.lines().map(|line| line.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["1", "1", "2", "3", "5"], "{error}");
}

#[test]
fn one_port_may_be_guarded_for_tcp_and_udp() {
    parsed(&format!("{GATE}{SSH}[service.dns]\nid = 2\nprotocol = \"udp\"\nports = [22, 62202]\n"));
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    let error = Config::load(Path::new("/nonexistent/agent.toml")).expect_err("there is none").to_string();
    assert!(
        error.contains("`knockgated init --config /nonexistent/agent.toml --address HOST` makes one"),
        "{error}"
    );
}

#[test]
fn decoys_among_ephemeral_ports_are_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("range");
    let config = parsed(&format!("{GATE}{SSH}"));
    #[rustfmt::skip]
    let cases = [(1, "32768\t60999\n", false), (2, "32767\t60999\n", true), (3, "1024 65535", true), (4, "1024 9999", false), (5, "", false)];
    for (case, text, warned) in cases {
        std::fs::write(&file, text).unwrap();
        assert_eq!(check::ephemeral_warning(&config, &file).is_some(), warned, "case {case}");
    }
}

#[test]
fn an_interface_that_is_not_there_is_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dev");
    std::fs::write(&file, "Inter-| Receive\n face |bytes\n    lo:  0 0\n  eth0: 0 0\n").unwrap();
    #[rustfmt::skip]
    let cases = [(1, "", false), (2, "\"eth0\"", false), (3, "\"eth0\", \"lo\"", false), (4, "\"eth1\"", true), (5, "\"eth0\", \"eth\"", true)];
    for (case, names, warned) in cases {
        let key = if names.is_empty() { String::new() } else { format!("interfaces = [{names}]\n") };
        let config = parsed(&format!("{GATE}{key}{SSH}"));
        assert_eq!(check::interface_warning(&config, &file).is_some(), warned, "case {case}");
    }
}
