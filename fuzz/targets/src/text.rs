//! Texts that people write: the agent's configuration, the client's settings, a policy's manifest.

use std::path::Path;

use knockgate::settings::{self, Choices, Settings};
use knockgate_agent::config::{BUILT_IN, Config, ConfigError, PacketMode, Service};
use knockgate_core::Name;
use knockgate_policy_abi::manifest::Services;
use knockgate_policy_abi::{Capability, Cause, Manifest, limits};

/// The agent's configuration. It is refused with every problem at its line, or keeps what its documentation promises.
pub fn agent_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(Path::new("agent.toml"), text) {
        Ok(config) => check_config(&config),
        Err(ConfigError::Wrong { problems, .. }) => {
            assert!(!problems.is_empty() && problems.is_sorted());
            for problem in &problems {
                assert_problem(problem.line, &problem.text, text);
            }
        }
        Err(other) => panic!("a text that was read cannot be unreadable: {other}"),
    }
}

/// The client's settings.
pub fn client_settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match settings::parse(text) {
        Ok(read) => check_settings(text, &read),
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.is_sorted_by(|one, two| one.line < two.line), "one for each line");
            for problem in &problems {
                assert_problem(problem.line, &problem.what, text);
            }
        }
    }
}

/// What a policy says about itself.
pub fn policy_manifest(data: &[u8]) {
    match Manifest::parse(data) {
        Ok(manifest) => {
            assert!(data.len() <= limits::MAX_MANIFEST_BYTES && !manifest.name.is_empty());
            let written = manifest_text(&manifest);
            let again = Manifest::parse(written.as_bytes()).expect("a manifest of this version");
            assert_eq!(manifest_text(&again), written, "it is read as it was written");
            assert_eq!((again.capabilities, again.causes), (manifest.capabilities, manifest.causes));
            for service in 1..=64 {
                assert_eq!(again.services.has(service), manifest.services.has(service));
            }
        }
        Err(error) => {
            let lines = data.split(|byte| *byte == b'\n').count();
            assert!(usize::try_from(error.line).is_ok_and(|line| line <= lines));
            assert!(!error.to_string().is_empty());
        }
    }
}

/// A problem is at a line of the text, names its remedy, and has no power over the terminal.
fn assert_problem(line: usize, what: &str, text: &str) {
    assert!(line >= 1 && line <= text.split('\n').count(), "line {line}: {what}");
    let says_what_fits = what.contains("a name has");
    assert!(what.contains(';') || says_what_fits, "no remedy: {what}");
    assert!(!what.chars().any(char::is_control), "{what:?}");
}

fn check_config(config: &Config) {
    assert!(!config.services.is_empty());
    assert!(config.services.is_sorted_by(|one, two| one.id < two.id), "numbers are told apart");
    assert!(config.central.is_some() || config.packet.mode != PacketMode::Off, "there is a way to knock");
    assert_eq!(config.gateway.is_none(), config.of_a_server().is_ok(), "it is for one of the two");
    for service in &config.services {
        let is_elsewhere = config.gateway.is_some() && !config.is_console(service);
        assert_eq!(is_elsewhere, !service.hosts.is_empty(), "a gateway has nothing but its console");
        assert_eq!(config.service(service.name.as_str()).map(|found| found.id), Some(service.id));
        check_service(service);
    }
    for listed in config.packet.listed() {
        assert!(!listed.is_empty() && *listed.start() != 0);
    }
    assert!(config.taken_ports().all(|port| port != 0));
    for name in config.policy.in_use() {
        assert!(name.as_str() == BUILT_IN || config.policy.module(name).is_some(), "{name} is defined");
    }
    assert!(config.policy.chains().all(|chain| !chain.is_empty()));
    for module in &config.policy.modules {
        assert!(module.services.iter().all(|id| config.service_by_id(*id).is_some()), "no unknown service");
    }
    assert!(config.warnings().iter().all(|warning| !warning.contains('\n')));
}

fn check_service(service: &Service) {
    assert!(!service.ports.is_empty() && !service.ports.contains(&0) && service.id != 0);
    let is_forwarded = service.forward_v4.is_some() || service.forward_v6.is_some();
    assert!(!is_forwarded || service.ports.len() == 1);
    assert!(service.open <= service.max_open && !service.open.is_zero());
    assert_eq!((service.open.subsec_nanos(), service.max_open.subsec_nanos()), (0, 0));
    assert!(
        service.prefix_v4.is_none_or(|bits| bits <= 32) && service.prefix_v6.is_none_or(|bits| bits <= 128)
    );
}

fn check_settings(text: &str, read: &Settings) {
    let windows = text.replace('\n', "\r\n");
    assert_eq!(settings::parse(&windows).as_ref(), Ok(read), "line ends do not matter");
    let longer = format!("{text}\nProfile *\nSeconds 1\nService late");
    let longer = settings::parse(&longer).expect("a good file with a good block behind it");
    for name in ["home", "office-1", "x"] {
        let name: Name = name.parse().expect("a name");
        let first = read.of(&name);
        let late = Choices { seconds: Some(1), service: "late".parse().ok(), ..Choices::default() };
        assert_eq!(longer.of(&name), first.or(&late), "the first value wins");
    }
}

fn manifest_text(manifest: &Manifest<'_>) -> String {
    let Manifest {
        abi,
        name,
        version,
        services,
        max_seconds,
        capabilities,
        causes,
        fuel,
        pages,
        optional,
        ..
    } = *manifest;
    let parameters: Vec<_> =
        manifest.parameters.iter().map(|(name, kind)| format!("{name}:{}", kind.name())).collect();
    let line = |key: &str, value: String| format!("{key}={value}\n");
    let words = |words: Vec<&str>| words.join(" ");
    let services = match services {
        Services::All => "*".to_owned(),
        Services::Listed(listed) => words(listed.iter().collect()),
    };
    let mut text = [
        line("abi", abi.to_string()),
        line("name", name.to_owned()),
        line("version", version.to_owned()),
        line("services", services),
        line("capabilities", words(capabilities.iter().map(Capability::name).collect())),
        line(
            "causes",
            words(Cause::ALL.iter().filter(|cause| causes.has(**cause)).map(|cause| cause.name()).collect()),
        ),
        line("optional", words(optional.iter().collect())),
        line("parameters", parameters.join(" ")),
    ]
    .concat();
    text.extend(max_seconds.map(|seconds| line("max-seconds", seconds.to_string())));
    text.extend(fuel.map(|fuel| line("fuel", fuel.to_string())));
    text.extend(pages.map(|pages| line("pages", pages.to_string())));
    text
}
