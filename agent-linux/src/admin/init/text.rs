//! The configuration that `init` writes: what was asked for, and as comments every default and what could be said instead.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, bail};
use knockgate_core::Name;

use super::{CentralPort, NewGateway, NewService, Request, WORKER, WorkersUser};

pub(super) fn configuration(request: &Request) -> anyhow::Result<String> {
    let (begin, packet) = match &request.gateway {
        None => (server(request)?, SERVER_PACKET),
        Some(gateway) => (site(request, gateway)?, GATEWAY_PACKET),
    };
    let mark = match request.central {
        CentralPort::Wanted => "",
        CentralPort::NotAsked => "# ",
    };
    let capture = match &request.gateway {
        None => SERVER_CAPTURE,
        Some(_) => "",
    };
    let process = match &request.gateway {
        None => process(request.worker),
        Some(_) => String::new(),
    };
    let sequence = match &request.gateway {
        None => SERVER_SEQUENCE,
        Some(_) => "",
    };
    let mut text = format!(
        r#"{begin}
{packet}{capture}{process}
# An open TCP port where clients can ask as well. Wanted where a network on the way blocks UDP.
{mark}[central]
{mark}port = 62201

# Defaults. What the books are made of (decoy-count, port-range) cannot change once clients are enrolled.
[sequence]
# mode = "connect"    # or "closed": no port ever answers
{sequence}# order = "strict"
# length = 6
# decoy-count = 100
# count = 1000
# port-range = [10000, 32767]
# hold = "10s"
# strays = 2    # closed mode

[lockout]
# duration = "60s"
# scope = "source"
"#
    );
    let place = match &request.gateway {
        None => "# forward = [\"10.0.0.5:22\"]    # to an inner host\n".to_owned(),
        Some(gateway) => {
            let hosts: Vec<_> = gateway.hosts.iter().map(IpAddr::to_string).collect();
            format!("hosts = {hosts:?}    # the machines behind the gateway that offer it\n")
        }
    };
    for (id, new) in (1..).zip(&request.services) {
        text += &service(id, new, &place);
    }
    if let (None, Some(first)) = (&request.gateway, request.services.first()) {
        text += &static_sequence(&first.name);
    }
    Ok(text)
}

fn server(request: &Request) -> anyhow::Result<String> {
    Ok(format!(
        r#"# Knockgate agent. `knockgated check` validates this file and says what it means.

[gate]
address = {address}    # what clients dial; goes into their profiles
state-dir = {state_dir}
audit-log = {audit_log}
# interfaces = ["eth0"]    # default: every interface but loopback
"#,
        address = quoted(&request.address),
        state_dir = quoted_path(&request.state_dir)?,
        audit_log = quoted_path(&request.audit_log)?,
    ))
}

fn site(request: &Request, gateway: &NewGateway) -> anyhow::Result<String> {
    for router in &gateway.routers {
        let family = gateway.own.iter().filter(|own| own.contains(':') == router.is_ipv6()).count();
        let routers = gateway.routers.iter().filter(|other| other.is_ipv6() == router.is_ipv6()).count();
        if family == 0 || routers > 1 {
            bail!(
                "--router {router} goes with no --gateway; give one router at most for each address, of its family"
            );
        }
    }
    let mut addresses = String::new();
    for own in &gateway.own {
        let (family, example) =
            if own.contains(':') { ("v6", "2001:db8::fe") } else { ("v4", "192.0.2.254") };
        let is_meant = |router: &&IpAddr| router.is_ipv6() == own.contains(':');
        let router = match gateway.routers.iter().find(is_meant) {
            Some(router) => format!("router-{family} = \"{router}\""),
            None => format!("# router-{family} = \"{example}\"    # the way to other networks"),
        };
        addresses += &format!("ip{family} = {}\n{router}\n", quoted(own));
    }
    Ok(format!(
        r#"# Knockgate gateway. `knockgated check` validates this file and says what it means; `knockgated gateway image` makes of it
# and of the enrolled clients what the gateway runs.

[gate]
address = {address}    # what clients dial; goes into their profiles
state-dir = {state_dir}

# The gateway itself. It has no other address than these, at its outer port.
[gateway]
name = {name}    # what the site is called
{addresses}
# Status, log and new images from afar, for clients that are enrolled with `--service console`. Leave it out, and the cable
# is the only way.
[gateway.console]
id = 100    # a number like a service's
# port = 62202
# open = "60s"
# max-open = "1h"
# confirm = false
# second-factor = false
# follow = false
"#,
        address = quoted(&request.address),
        state_dir = quoted_path(&request.state_dir)?,
        name = quoted(name_of(&request.address)),
    ))
}

/// The address if it can be a name, which only an IPv6 address or a long host name cannot.
fn name_of(address: &str) -> &str {
    if address.parse::<Name>().is_ok() { address } else { "gateway" }
}

const SERVER_PACKET: &str = r#"# Knocks of one UDP datagram. The guard takes them out of what comes in: no port is open.
[packet]
# mode = "watch"    # or "socket": a bound UDP socket; or "off"
# ports = [62201]    # goes into profiles; also ranges such as "60000-60099", or "any" instead of the list
# max-age = "5m"    # default: any age. Needs clients whose clocks are right
# lease = "60s"
"#;

const SERVER_CAPTURE: &str = r#"
[capture]
# via = "auto"    # packet sockets, or NFLOG without CAP_NET_RAW; or say which: "packet-sockets", "nflog"

# How the audit log is kept.
[audit]
# rotate-mib = 16
# rotate-age = "30d"    # put away at this age as well; default: never
# keep = 15    # files that were put away
# on-failure = "count"    # or "refuse": while it cannot be written, nothing is opened

[guard]
# on-change = "restore"    # or "report": when somebody else changes Knockgate's table

# By which `knockgated status` and its like speak with a running agent.
[control]
# directory = "/run/knockgate"
# group = "adm"    # whose members may look; default: root alone

# Where Prometheus can ask for figures, on this host alone.
[metrics]
# listen = "127.0.0.1:9191"    # default: nowhere
# socket = "/run/knockgate/metrics"    # default: nowhere. For those who may look by [control]
"#;

/// Two processes, if this host has a user for the one.
pub(in crate::admin) fn process(worker: WorkersUser) -> String {
    let (mark, remedy) = match worker {
        WorkersUser::There => ("", String::new()),
        WorkersUser::Missing => (
            "# ",
            format!(
                "# This host has no user for it: `useradd --system {WORKER}` makes one, who must own the folders above.\n"
            ),
        ),
    };
    format!(
        r#"
# Two processes: the one that strangers talk to has no right left, and a broker changes the firewall for it.
{remedy}[process]
{mark}separate = true
{mark}user = "{WORKER}"
# sandbox = "best-effort"    # or "require": no start where the kernel lacks Landlock as of Linux 6.12, or seccomp; or "off"
# forbidden = "refuse"    # or "kill"
"#
    )
}

const GATEWAY_PACKET: &str = r#"# Knocks of one UDP datagram. No port is open for them.
[packet]
# mode = "watch"    # or "off"
# ports = [62201]    # goes into profiles; also ranges such as "60000-60099", or "any" instead of the list
# max-age = "5m"    # default: any age. Needs a gateway with a calendar, and clients whose clocks are right
"#;

const SERVER_SEQUENCE: &str = r#"# decoys = "holder"    # or "always": decoys answer everybody
# listener = 9999    # behind the decoys; default: any free port. A firewall of yours that drops by default must let it in
"#;

fn service(id: u16, service: &NewService, place: &str) -> String {
    let NewService { name, protocol, ports } = service;
    // A dot would begin a table within the table.
    let name = if name.as_str().contains('.') { quoted(name.as_str()) } else { name.to_string() };
    let protocol = protocol.word();
    format!(
        "\n[service.{name}]\nid = {id}    # never change it: profiles and policies use it\nprotocol = \"{protocol}\"\n\
         ports = {ports:?}\n{place}# open = \"60s\"\n# max-open = \"1h\"\n\
         # confirm = false    # open only once the client has answered from its address\n\
         # second-factor = false    # needs a one-time code: `knockgated client totp`\n\
         # follow = false    # stay open while it is in use, up to max-open\n\
         # prefix-v4 = 24    # clients may ask to open to their network, at most this wide; prefix-v6 likewise\n"
    )
}

fn static_sequence(service: &Name) -> String {
    let service = quoted(service.as_str());
    format!(
        "\n# Fixed ports, for clients that cannot run `knockgate`. Whoever has seen them can repeat them.\n\
         # [[static-sequence]]\n# name = \"printer\"\n# sequence = [\"7000/tcp\", \"9000/udp\", \"8000/tcp\"]\n\
         # service = {service}\n# open = \"60s\"    # default: the service's\n# within = \"5s\"\n"
    )
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn quoted_path(path: &Path) -> anyhow::Result<String> {
    let absolute = std::path::absolute(path)?;
    let text = absolute
        .to_str()
        .with_context(|| format!("{}: this path is not UTF-8; choose another", path.display()))?;
    Ok(quoted(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_central_port_is_there_only_if_it_was_asked_for() {
        let mut request = request();
        for (central, port) in [(CentralPort::NotAsked, None), (CentralPort::Wanted, Some(62201))] {
            request.central = central;
            let config = Config::parse(&request.config, &configuration(&request).unwrap()).unwrap();
            assert_eq!(config.central.map(|central| central.port), port);
        }
    }

    #[test]
    fn the_made_configuration_is_valid_and_shows_the_defaults() {
        let request = request();
        let text = configuration(&request).unwrap();
        let config = Config::parse(&request.config, &text).unwrap();
        assert_eq!(config.gate.state_dir, request.state_dir);
        assert_eq!(config.service("a.b").map(|service| service.ports.clone()), Some(vec![53, 54]));

        let spelled_out = Config::parse(&request.config, &uncommented(&text)).unwrap();
        assert_eq!(spelled_out.gate.interfaces, ["eth0"]);
        assert_same_defaults(&spelled_out, &config);
    }

    #[test]
    fn the_example_of_a_static_sequence_needs_only_its_marks_taken_away() {
        let request = request();
        let text = configuration(&request).unwrap();
        let (before, example) = text.split_once("can repeat them.\n").unwrap();
        let text = format!("{before}\n{}", example.replace("# ", "").replace("    default", "    # default"));
        let config = Config::parse(&request.config, &text).unwrap();
        assert_eq!(config.statics.sequences.len(), 1);
        assert_eq!(config.service_by_id(config.statics.sequences[0].service).unwrap().name.as_str(), "ssh");
        let gateway = configuration(&Request { gateway: Some(gateway()), ..request }).unwrap();
        assert!(!gateway.contains("static-sequence"), "{gateway}");
    }

    #[test]
    fn the_made_configuration_of_a_gateway_is_valid_and_shows_the_defaults() {
        let request = Request { gateway: Some(gateway()), ..request() };
        let text = configuration(&request).unwrap();
        let config = Config::parse(&request.config, &text).unwrap();
        let site = config.gateway.as_ref().unwrap();
        assert_eq!(site.to_string(), "gate.example, 192.0.2.1/24 by 192.0.2.254, 2001:db8::1/64");
        assert_eq!(site.console.map(|console| (console.service, console.port)), Some((100, 62202)));
        assert_eq!(config.service("a.b").unwrap().hosts, gateway().hosts);

        let spelled_out = Config::parse(&request.config, &uncommented(&text)).unwrap();
        assert_eq!(
            spelled_out.gateway.as_ref().unwrap().ipv6.unwrap().router,
            Some("2001:db8::fe".parse().unwrap())
        );
        assert_same_defaults(&spelled_out, &config);
    }

    #[test]
    fn a_router_that_goes_with_no_address_is_refused() {
        let with = |routers: &[&str]| {
            let routers = routers.iter().map(|router| router.parse().unwrap()).collect();
            let own = vec!["192.0.2.1/24".into()];
            configuration(&Request { gateway: Some(NewGateway { own, routers, ..gateway() }), ..request() })
        };
        assert!(with(&["192.0.2.254"]).is_ok());
        for routers in [&["fe80::1"][..], &["192.0.2.254", "fe80::1"], &["192.0.2.254", "192.0.2.253"]] {
            let error = with(routers).unwrap_err().to_string();
            assert!(error.contains("goes with no --gateway; give one router"), "{routers:?}: {error}");
        }
    }

    #[test]
    fn where_there_is_a_user_for_it_the_agent_is_two_processes() {
        let mut request = request();
        let separation = |request: &Request| {
            Config::parse(&request.config, &configuration(request).unwrap()).unwrap().separation
        };
        assert_eq!(separation(&request), None);
        request.worker = WorkersUser::There;
        assert_eq!(separation(&request).unwrap().user.as_deref(), Some(WORKER));
    }

    fn assert_same_defaults(spelled_out: &Config, config: &Config) {
        assert_eq!(format!("{:?}", spelled_out.sequence), format!("{:?}", config.sequence));
        assert_eq!((&spelled_out.packet, spelled_out.central.is_none()), (&config.packet, true));
        assert_eq!(format!("{:?}", spelled_out.services), format!("{:?}", config.services));
    }

    /// What stands there as a comment is what holds without it; but these have no value that could be shown.
    fn uncommented(text: &str) -> String {
        let without = ["forward", "listener", "max-age", "prefix-v4", "port = 62201"];
        let text = text.split("# Fixed ports").next().unwrap();
        let line = |line: &str| {
            let commented = line.strip_prefix("# ").filter(|rest| rest.contains(" = "));
            let shown = commented.filter(|rest| !without.iter().any(|key| rest.starts_with(key)));
            format!("{}\n", shown.unwrap_or(line))
        };
        text.lines().map(line).collect()
    }

    fn gateway() -> NewGateway {
        NewGateway {
            own: vec!["192.0.2.1/24".into(), "2001:db8::1/64".into()],
            routers: vec!["192.0.2.254".parse().unwrap()],
            hosts: vec!["192.0.2.100".parse().unwrap(), "2001:db8::100".parse().unwrap()],
        }
    }

    fn request() -> Request {
        Request {
            config: "/x/agent.toml".into(),
            address: "gate.example".into(),
            services: vec!["ssh=tcp/22".parse().unwrap(), "a.b=udp/53,54".parse().unwrap()],
            central: CentralPort::NotAsked,
            state_dir: "/s \"quoted\"".into(),
            audit_log: "/l".into(),
            gateway: None,
            worker: WorkersUser::Missing,
        }
    }
}
