use super::super::tests::with_ssh;
use super::super::{Config, ModuleSource};
use super::*;
use knockgate_policy_host::Wasi;

/// From minisign's own manual.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

fn parsed(text: &str) -> Config {
    with_ssh(text).unwrap_or_else(|error| panic!("{error}"))
}

fn words(names: &[Name]) -> Vec<&str> {
    names.iter().map(Name::as_str).collect()
}

#[test]
fn every_key_is_read() {
    let config = parsed(&format!(
        r#"
        [policy]
        engine = "compiler"
        chain = ["networks", "default"]
        shadow = ["hours"]
        time-zone = "Europe/Berlin"
        keys = ["{KEY}"]
        [policy.services]
        ssh = ["hours", "networks"]
        [policy.clients]
        anna = ["default"]
        [policy-module.hours]
        file = "/p/hours.wasm"
        sha256 = "ab00000000000000000000000000000000000000000000000000000000000000"
        services = ["ssh"]
        capabilities = ["open", "log"]
        max-seconds = 100
        units = ["backup"]
        channels = ["ops"]
        wasi = "inert"
        [policy-module.networks]
        built-in = "known-networks"
        [policy-module.networks.parameters]
        networks = ["192.0.2.0/24", "2001:db8::/32"]
        times = 3
        from = "08:00"
        [unit.backup]
        id = 7
        unit = "backup.service"
        [channel.ops]
        id = 9
        socket = "/run/x.sock"
        "#
    ));
    let policy = &config.policy;
    assert_eq!((words(&policy.chain), words(&policy.shadow)), (vec!["networks", "default"], vec!["hours"]));
    assert_eq!(policy.services.get(&1).map(|chain| words(chain)), Some(vec!["hours", "networks"]));
    assert_eq!(policy.clients.get("anna").map(|chain| words(chain)), Some(vec!["default"]));
    assert_eq!(policy.engine, Execution::Compiled);
    assert_eq!(policy.time_zone.as_ref().and_then(TimeZone::iana_name), Some("Europe/Berlin"));
    assert_eq!(policy.keys, [PublicKey::parse(KEY).unwrap()]);
    assert_eq!(
        words(&policy.in_use().into_iter().cloned().collect::<Vec<_>>()),
        ["networks", "default", "hours"]
    );

    let [hours, networks] = policy.modules.as_slice() else { panic!("{:?}", policy.modules) };
    let ModuleSource::File { path, sha256: Some(pin) } = &hours.source else { panic!("{hours:?}") };
    assert_eq!((path.to_str(), pin[0]), (Some("/p/hours.wasm"), 0xab));
    assert_eq!((hours.services.as_slice(), hours.max_seconds, hours.wasi), (&[1][..], 100, Wasi::Inert));
    assert_eq!((hours.units.as_slice(), hours.channels.as_slice()), (&[7][..], &[9][..]));

    let ModuleSource::BuiltIn(built_in) = &networks.source else { panic!("{networks:?}") };
    assert_eq!(
        (built_in.name, networks.services.as_slice(), networks.wasi),
        ("known-networks", &[1][..], Wasi::None)
    );
    let given: Vec<_> = networks
        .parameters
        .iter()
        .map(|parameter| (parameter.name.as_str(), parameter.given.join(" ")))
        .collect();
    assert_eq!(
        given,
        [
            ("from", "08:00".to_owned()),
            ("networks", "192.0.2.0/24 2001:db8::/32".to_owned()),
            ("times", "3".to_owned())
        ]
    );
}

#[test]
fn every_wrong_value_is_named_with_its_line_and_a_remedy() {
    #[rustfmt::skip]
    let cases: &[(u32, &str, usize, &str)] = &[
        (1, "[policy]\nchain = []", 2, "policy.chain is empty, so nothing would ever open; name a policy"),
        (2, "[policy]\nchain = [\"default\", \"x\"]", 2, "policy.chain names \"x\", which is not defined; add [policy-module.x]"),
        (3, "[policy]\nchain = [\"default\", \"default\"]", 2, "policy.chain names default twice; it says the same"),
        (4, "[policy]\nchain = \"default\"", 2, "policy.chain is a text; write a list"),
        (5, "[policy]\nshadow = [\"x\"]", 2, "policy.shadow names \"x\", which is not defined; add [policy-module.x]"),
        (6, "[policy]\nshadow = true", 2, "policy.shadow is true or false; write a list"),
        (7, "[policy]\ntime-zone = \"Mars/Olympus\"", 2, "policy.time-zone: \"Mars/Olympus\" is no time zone that this host knows; write"),
        (8, "[policy]\ntime-zone = 1", 2, "policy.time-zone is a number; write a text"),
        (9, "[policy]\nkeys = []", 2, "policy.keys is empty; name a key"),
        (10, "[policy]\nkeys = [\"RWQ\"]", 2, "policy.keys: no public key; give the second line of the `.pub` file"),
        (11, "[policy.services]\nweb = [\"default\"]", 2, "policy.services names \"web\", which is not defined; add [service.web]"),
        (12, "[policy.services]\nssh = []", 2, "policy.services.ssh is empty, so nothing would ever open; name"),
        (13, "[policy.services]\nssh = [\"x\"]", 2, "policy.services.ssh names \"x\", which is not defined; add"),
        (14, "[policy.services]\nssh = \"default\"", 2, "policy.services.ssh is a text; write a list"),
        (15, "[policy.clients]\n\"a b\" = [\"default\"]", 2, "policy.clients: \"a b\" is no name"),
        (16, "[policy.clients]\nanna = [1]", 2, "policy.clients.anna is a number; write a text in quotes"),
        (17, "[policy]\nclients = 1", 2, "policy.clients is a number; write a table [policy.clients]"),
        (18, "[policy]\nchains = []", 2, "policy.chains is not known; known here: engine, chain, shadow"),
        (19, "[policy]\nengine = \"pulley\"", 2, "policy.engine is \"pulley\"; it must be \"interpreter\" or \"compiler\""),
        (20, "[policy-module.default]\nfile = \"/p\"\nservices = []\ncapabilities = [\"open\"]", 1, "the name of the policy that needs no definition"),
        (21, "[policy-module.p]\nservices = []\ncapabilities = [\"open\"]", 1, "policy-module.p.file is missing; add file"),
        (22, "[policy-module.p]\nfile = \"p.wasm\"\nservices = []\ncapabilities = [\"open\"]", 2, "is a relative path"),
        (23, "[policy-module.p]\nfile = \"/p\"\ncapabilities = [\"open\"]", 1, "policy-module.p.services is missing; name"),
        (24, "[policy-module.p]\nfile = \"/p\"\nservices = [\"web\"]\ncapabilities = [\"open\"]", 3, "names \"web\", which is not defined"),
        (25, "[policy-module.p]\nfile = \"/p\"\nservices = []", 1, "policy-module.p.capabilities is missing; say what"),
        (26, "[policy-module.p]\nfile = \"/p\"\nservices = []\ncapabilities = [\"root\"]", 4, "names \"root\"; known are open open-prefix"),
        (27, "[policy-module.p]\nfile = \"/p\"\nservices = []\ncapabilities = []", 4, "is empty; name at least \"open\""),
        (28, "[policy-module.p]\nfile = \"/p\"\nservices = []\ncapabilities = [\"open\"]\nmax-seconds = 0", 5, "it must be 1 to 2592000"),
        (29, "[policy-module.p]\nfile = \"/p\"\nservices = []\ncapabilities = [\"open\"]\nsha256 = \"12\"", 5, "is no SHA-256; write"),
        (30, "[policy-module.\"p q\"]\nfile = \"/p\"\nservices = []\ncapabilities = [\"open\"]", 1, "policy module \"p q\" is no name"),
        (31, "[policy-module.p]\nbuilt-in = \"magic\"", 2, "policy-module.p.built-in names \"magic\"; there are default, "),
        (32, "[policy-module.p]\nbuilt-in = \"default\"\nfile = \"/p\"", 2, "a built-in policy has no file, so leave one out"),
        (33, "[policy-module.p]\nbuilt-in = 1", 2, "policy-module.p.built-in is a number; write a text"),
        (34, "[policy-module.p]\nbuilt-in = \"default\"\nunits = [\"u\"]", 3, "policy-module.p.units names \"u\", which is not defined; add [unit.u]"),
        (35, "[policy-module.p]\nbuilt-in = \"default\"\nchannels = [\"c\"]", 3, "names \"c\", which is not defined; add [channel.c]"),
        (36, "[policy-module.p]\nbuilt-in = \"default\"\nwasi = \"full\"", 3, "it must be \"none\" or \"inert\""),
        (37, "[policy-module.p]\nbuilt-in = \"default\"\nparameters = 1", 3, "policy-module.p.parameters is a number; write a table"),
        (38, "[policy-module.p]\nbuilt-in = \"default\"\nparameters.x = 1.5", 3, "parameters.x is a number with a fraction; write a text, a whole number"),
        (39, "[policy-module.p]\nbuilt-in = \"default\"\nparameters.x = [true]", 3, "parameters.x is true or false; write a text, a whole number"),
    ];
    let mut failed = Vec::new();
    for (case, text, line, expected) in cases {
        let error =
            with_ssh(&format!("{text}\n")).map_or_else(|error| error.to_string(), |_| "accepted".into());
        let problem = error.lines().find(|problem| problem.contains(expected)).unwrap_or("");
        if !problem.starts_with(&format!("agent.toml:{line}: ")) || !problem.contains("; ") {
            failed.push(format!("case {case}, line {line}, {expected:?}: {error}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn more_policies_than_can_decide_at_once_are_refused() {
    let module = |at: u32| format!("[policy-module.p{at}]\nbuilt-in = \"default\"\n");
    let with = |count: u32| {
        let names: Vec<_> = (0..count).map(|at| format!("\"p{at}\"")).collect();
        let modules: String = (0..count).map(module).collect();
        with_ssh(&format!("[policy]\nchain = [{}]\n{modules}", names.join(", ")))
    };
    assert!(with(16).is_ok());
    let error = with(17).unwrap_err().to_string();
    assert!(error.starts_with("agent.toml:1: policy has 17 policies in use; at most 16 can be"), "{error}");
}

#[test]
fn a_module_that_is_in_no_chain_is_warned_about() {
    let config = parsed(
        "[policy-module.p]\nbuilt-in = \"default\"\n[policy-module.q]\nbuilt-in = \"default\"\n[policy]\nshadow = [\"q\"]\n",
    );
    let warnings = config.warnings();
    assert!(warnings.contains(&"policy module p is defined and in no chain".to_owned()), "{warnings:?}");
    assert!(!warnings.iter().any(|warning| warning.contains("module q")), "{warnings:?}");
}
