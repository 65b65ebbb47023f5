use super::super::tests::with_ssh;
use super::*;

const LAB: &str = "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"ssh\"\n";

fn parsed(text: &str) -> Config {
    with_ssh(text).unwrap_or_else(|error| panic!("{error}"))
}

fn tcp(port: u16) -> Step {
    Step { transport: Transport::Tcp, port }
}

fn udp(port: u16) -> Step {
    Step { transport: Transport::Udp, port }
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [[static-sequence]]
        name = "lab"
        sequence = ["7000/tcp", 9000, "8000", "9000/udp"]
        service = "ssh"
        open = "90s"
        within = "10s"
    "#;
    let statics = parsed(&format!("{text}{}", LAB.replace("lab", "short"))).statics;

    let [lab, short] = statics.sequences.as_slice() else { panic!("{statics:?}") };
    assert_eq!(lab.sequence.steps(), [tcp(7000), tcp(9000), tcp(8000), udp(9000)]);
    assert_eq!(
        (lab.name.as_str(), lab.service, lab.open, lab.sequence.within(), lab.line),
        ("lab", 1, Some(Duration::from_secs(90)), Duration::from_secs(10), 2)
    );
    assert_eq!(lab.to_string(), "tcp/7000, tcp/9000, tcp/8000, udp/9000 within 10s");
    assert_eq!((short.open, short.sequence.within(), short.line), (None, Duration::from_secs(5), 8));
}

#[test]
fn a_gate_has_none_unless_it_is_told_to_and_warns_of_those_that_it_has() {
    let silent = parsed("");
    assert!(silent.statics.sequences.is_empty() && silent.statics.traps.is_empty());
    let is_warned = |config: &Config| config.warnings().iter().any(|text| text.contains("can repeat it"));
    assert!(!is_warned(&silent) && is_warned(&parsed(LAB)));
}

#[test]
fn the_neighbours_of_a_step_are_traps_unless_they_are_somebodys() {
    let text = LAB.replace("7000, 8000, 9000", "21, \"62202/udp\", 65535, 62202, 24");
    let central = "[central]\nport = 25\n";
    assert_eq!(
        parsed(&format!("{text}{central}")).statics.traps,
        [tcp(20), tcp(23), tcp(62201), tcp(62203), tcp(65534), udp(62203)]
    );
}

#[test]
fn no_decoy_is_a_step() {
    let taken: Vec<_> = parsed(LAB).taken_ports().collect();
    assert_eq!(taken, [22, 7000, 8000, 9000]);
}

#[test]
fn a_name_belongs_to_one_sequence_and_to_no_client() {
    let config = parsed(LAB);
    let [lab, anna]: [Name; 2] = ["lab", "anna"].map(|name| name.parse().unwrap());
    let name = |id| config.statics.sequence(id).map(|one| one.name.as_str());
    assert_eq!((name(ClientId::of_static(&lab)), name(ClientId::of_static(&anna))), (Some("lab"), None));
    assert!(config.check_names([&anna].into_iter()).is_ok());
    let said = config.check_names([&anna, &lab].into_iter()).unwrap_err().to_string();
    assert_eq!(said, "agent.toml:1: static sequence lab has the name of a client; give it a name of its own");
}

/// What is changed about a good sequence, the line that is at fault, and what is said.
#[test]
fn every_wrong_value_is_named_with_its_line_and_remedy() {
    #[rustfmt::skip]
    let cases: &[(u32, &str, &str, usize, &str)] = &[
        (1, "[[", "[", 1, "not valid TOML"),
        (2, "name = \"lab\"\n", "", 1, "static-sequence.name is missing; say what it is called"),
        (3, "\"lab\"", "\"the lab\"", 2, "static sequence \"the lab\" is no name"),
        (4, "\"lab\"", "5", 2, "static-sequence.name is a number; write a text in quotes"),
        (5, "sequence = [7000, 8000, 9000]\n", "", 1, "static-sequence.sequence is missing; name its ports"),
        (6, "8000, 9000", "8000", 3, "static-sequence.sequence has 2 ports; a sequence has 3 to 16"),
        (7, "7000, 8000, 9000", "", 3, "static-sequence.sequence has 0 ports; a sequence has 3 to 16"),
        (8, "8000", "8000, 8000", 3, "has tcp port 8000 twice, and a packet that came twice on the way could not be told"),
        (9, "8000", "0", 3, "static-sequence.sequence: port 0; ports are 1 to 65535"),
        (10, "8000", "\"80000/udp\"", 3, "static-sequence.sequence: port 80000; ports are 1 to 65535"),
        (11, "8000", "\"8000:udp\"", 3, "\"8000:udp\" is no step; write a port, or a port with its protocol such as \"7000/tcp\""),
        (12, "8000", "\"8000/sctp\"", 3, "\"8000/sctp\" is no step; write"),
        (13, "8000", "true", 3, "static-sequence.sequence is true or false; write a list of whole numbers and texts"),
        (14, "8000", "22", 3, "has tcp port 22, which is guarded as service ssh; take another port"),
        (15, "8000", "\"62201/udp\"", 3, "has udp port 62201, which is for packet knocks; take another port"),
        (16, "7000, 8000, 9000", "1000, 1001, 1002", 3, "whoever tries one port after the other opens it; leave gaps"),
        (17, "7000, 8000, 9000", "1004, 1002, 1000", 3, "whoever tries one port after the other opens it; leave gaps"),
        (18, "\"ssh\"", "\"shh\"", 4, "static-sequence.service names \"shh\", which is not defined; add [service.shh]"),
        (19, "service = \"ssh\"\n", "", 1, "static-sequence.service is missing; name what it opens"),
        (20, "\"ssh\"", "\"ssh\"\nopen = \"2h\"", 5, "open is 2h, above max-open of its service, which is 1h; raise that or lower"),
        (21, "\"ssh\"", "\"ssh\"\nopen = \"1500ms\"", 5, "open has a fraction of a second; use whole seconds"),
        (22, "\"ssh\"", "\"ssh\"\nopen = \"0s\"", 5, "static-sequence.open is 0s; it must be 1s to 30days"),
        (23, "\"ssh\"", "\"ssh\"\nwithin = \"61s\"", 5, "static-sequence.within is 1m 1s; it must be 1s to 1m"),
        (24, "\"ssh\"", "\"ssh\"\ntcpflags = \"syn\"", 5, "static-sequence.tcpflags is not known; known here: name"),
        (25, "\"ssh\"", "\"ssh\"\n[policy.clients]\nlab = [\"default\"]", 6, "policy.clients.lab is a static sequence and no client; give"),
    ];
    for (case, old, new, line, expected) in cases {
        let said = refused(with_ssh(&LAB.replacen(old, new, 1)));
        let found = said.lines().find(|problem| problem.contains(expected)).unwrap_or("");
        assert!(found.starts_with(&format!("agent.toml:{line}: ")), "case {case}, {expected:?}: {said}");
        assert!(found.contains("; "), "case {case} names no remedy: {found}");
    }
    let alone = refused(with_ssh(&LAB.replace("[[", "[").replace("]]", "]")));
    assert!(
        alone.starts_with("agent.toml:1: static-sequence is a table; write [[static-sequence]]"),
        "{alone}"
    );
}

#[test]
fn what_somebody_else_hears_is_no_step() {
    #[rustfmt::skip]
    let cases = [
        (1, "8000", "[central]\nport = 8000\n", "tcp port 8000, which is the central port"),
        (2, "8000", "[sequence]\nlistener = 8000\n", "tcp port 8000, which is the port behind the decoys"),
        (3, "\"53/udp\"", "[service.dns]\nid = 2\nprotocol = \"udp\"\nports = [53]\n", "udp port 53, which is guarded as service dns"),
        (4, "\"8000/udp\"", "[packet]\nports = [\"7900-8100\"]\n", "udp port 8000, which is for packet knocks"),
    ];
    for (case, step, others, expected) in cases {
        let said = refused(with_ssh(&format!("{}{others}", LAB.replace("8000", step))));
        assert!(said.contains(expected), "case {case}: {said}");
    }
    // The same number by the other protocol is another port.
    parsed(&format!("{}[central]\nport = 8000\n", LAB.replace("8000", "\"8000/udp\"")));
}

#[test]
fn a_service_that_asks_for_more_than_ports_is_not_opened_by_them() {
    for (key, lacking) in [("confirm", "a confirmation"), ("second-factor", "a one-time code")] {
        let door = format!("[service.door]\nid = 2\nprotocol = \"tcp\"\nports = [23]\n{key} = true\n");
        let said = refused(with_ssh(&format!("{}{door}", LAB.replace("ssh", "door"))));
        assert!(
            said.contains(&format!("opens only with {lacking}, and a static sequence has none")),
            "{said}"
        );
    }
}

#[test]
fn names_tell_sequences_apart() {
    let said = refused(with_ssh(&format!("{LAB}{}", LAB.replace("7000, 8000", "6000, 8000"))));
    assert!(said.contains("agent.toml:6: two static sequences are called lab"), "{said}");
}

#[test]
fn a_sequence_that_opens_another_one_in_its_place_is_refused() {
    let beside_lab = |ports: &str| {
        let other = LAB.replace("\"lab\"", "\"other\"").replace("7000, 8000, 9000", ports);
        with_ssh(&format!("{LAB}{other}"))
    };
    // The gate forgives it if two neighbours come in each other's place, so whoever knocks these knocks lab, too.
    for ports in ["7000, 8000, 9000", "8000, 7000, 9000", "7000, 9000, 8000", "7000, 8000, 6000, 9000"] {
        let said = refused(beside_lab(ports));
        let expected =
            "agent.toml:7: static-sequence.sequence: whoever knocks it opens lab instead; take other ports";
        assert!(said.contains(expected), "{ports}: {said}");
    }
    for ports in ["9000, 8000, 7000", "7000, 8000, 6000", "7000, 8000, 9000, 6000", "9000, 7000, 8000"] {
        assert!(beside_lab(ports).is_ok(), "{ports}: {}", refused(beside_lab(ports)));
    }
}

#[test]
fn sequences_that_begin_alike_are_refused_once_there_are_too_many_to_be_followed() {
    let one = |number: u16| {
        let ports = format!("7000, {}, {}", 9000 + number * 10, 8000 + number * 10);
        LAB.replace("lab", &format!("s{number}")).replace("7000, 8000, 9000", &ports)
    };
    let so_many = |count: u16| with_ssh(&(1..=count).map(one).collect::<String>());
    assert!(so_many(8).is_ok(), "{}", refused(so_many(8)));
    let said = refused(so_many(9));
    assert!(
        said.contains("too many others begin with its ports, so it never opens; take other ports"),
        "{said}"
    );
}

#[test]
fn a_gate_hears_sixteen() {
    let one = |number: u16| {
        let ports = format!("{}, {}, {}", 1000 + number * 10, 3000 + number * 10, 2000 + number * 10);
        LAB.replace("lab", &format!("s{number}")).replace("7000, 8000, 9000", &ports)
    };
    parsed(&(1..=16).map(one).collect::<String>());
    let said = refused(with_ssh(&(1..=17).map(one).collect::<String>()));
    assert!(said.contains("agent.toml:65: there are 17 static sequences; a gate hears at most 16"), "{said}");
}

#[test]
fn a_gateway_has_none() {
    let said = refused(with_ssh(&format!("{LAB}[gateway]\nname = \"lab\"\nipv4 = \"192.0.2.1/24\"\n")));
    assert!(
        said.contains("agent.toml:1: static-sequence is for servers and not for gateways: it opens only"),
        "{said}"
    );
}

fn refused(parsed: Result<Config, ConfigError>) -> String {
    parsed.map_or_else(|error| error.to_string(), |_| "accepted".into())
}
