//! Names: what ports are usually called, and names of the old configuration that would be none here.

use knockgate_core::profile::Protocol;

/// Longest name. Rule: `knockgate_core::Name`.
const MAX_NAME: usize = 32;

/// Services by the names that administrators, ufw and firewalld give them, the usual one first. Longer names stand before those
/// that they contain.
const WELL_KNOWN: [(&str, Protocol, u16); 18] = [
    ("openssh", Protocol::Tcp, 22),
    ("ssh", Protocol::Tcp, 22),
    ("smtps", Protocol::Tcp, 465),
    ("smtp", Protocol::Tcp, 25),
    ("https", Protocol::Tcp, 443),
    ("http", Protocol::Tcp, 80),
    ("imaps", Protocol::Tcp, 993),
    ("imap", Protocol::Tcp, 143),
    ("pop3s", Protocol::Tcp, 995),
    ("pop3", Protocol::Tcp, 110),
    ("ftp", Protocol::Tcp, 21),
    ("rdp", Protocol::Tcp, 3389),
    ("vnc", Protocol::Tcp, 5900),
    ("mysql", Protocol::Tcp, 3306),
    ("postgresql", Protocol::Tcp, 5432),
    ("openvpn", Protocol::Udp, 1194),
    ("wireguard", Protocol::Udp, 51820),
    ("rsync", Protocol::Tcp, 873),
];

/// The port of a service that is called so.
pub(super) fn by_name(name: &str) -> Option<(Protocol, u16)> {
    let name = name.to_ascii_lowercase();
    WELL_KNOWN.iter().find(|known| known.0 == name).map(|known| (known.1, known.2))
}

/// The port of a service whose name stands somewhere in this one.
pub(super) fn within_name(name: &str) -> Option<(Protocol, u16)> {
    let name = name.to_ascii_lowercase();
    WELL_KNOWN.iter().find(|known| name.contains(known.0)).map(|known| (known.1, known.2))
}

/// What a service at these ports is called.
pub(super) fn of_service(protocol: Protocol, ports: &[u16]) -> String {
    let usual = |port: u16| {
        let mut known = WELL_KNOWN.iter().filter(|known| known.0 != "openssh");
        known.find(|known| (known.1, known.2) == (protocol, port)).map(|known| known.0.to_owned())
    };
    match ports {
        [port] => usual(*port).unwrap_or_else(|| format!("{}-{port}", protocol.word())),
        [first, ..] => format!("{}-{first}-and-more", protocol.word()),
        [] => protocol.word().to_owned(),
    }
}

/// `wanted` as a name that is none of `taken`.
pub(super) fn fresh<'t>(wanted: &str, taken: impl Iterator<Item = &'t str> + Clone) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-') { letter } else { '-' }
    };
    let name: String = wanted.chars().map(plain).collect();
    let name = name.trim_matches(['-', '.']);
    let name = if name.is_empty() { "unnamed" } else { name };
    let is_taken = |name: &str| taken.clone().any(|other| other == name);
    let numbered = |number: u32| {
        let end = if number == 1 { String::new() } else { format!("-{number}") };
        let kept: String = name.chars().take(MAX_NAME.saturating_sub(end.len())).collect();
        format!("{kept}{end}")
    };
    (1..).map(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_plain_short_and_new() {
        #[rustfmt::skip]
        let cases = [
            (1, "openSSH", "openSSH-2"), (2, "open door!", "open-door"), (3, "--", "unnamed"), (4, "tür", "t-r"),
            (5, "0123456789012345678901234567890123456789", "01234567890123456789012345678901"),
        ];
        for (case, wanted, expected) in cases {
            let name = fresh(wanted, ["openSSH"].into_iter());
            assert_eq!(name, expected, "case {case}");
            assert!(name.parse::<knockgate_core::Name>().is_ok(), "case {case}");
        }
    }

    #[test]
    fn a_service_is_known_by_its_port_and_a_port_by_a_name() {
        assert_eq!(of_service(Protocol::Tcp, &[22]), "ssh");
        assert_eq!(of_service(Protocol::Udp, &[22]), "udp-22");
        assert_eq!(of_service(Protocol::Tcp, &[80, 443]), "tcp-80-and-more");
        assert_eq!(within_name("opencloseSMTPS"), Some((Protocol::Tcp, 465)));
        assert_eq!(within_name("garage"), None);
    }
}
