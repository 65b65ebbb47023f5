//! Values with rules of their own. Each function says what is wrong and the remedy, or returns the value.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use knockgate_core::Name;
use knockgate_core::limits::MAX_ADDRESS;

/// Longest name of a network interface: `IFNAMSIZ` less its zero.
const MAX_INTERFACE: usize = 15;
/// Longest label of a host name. Source: RFC 1035, section 2.3.4.
const MAX_LABEL: usize = 63;

/// A host name or an IP address, without a port.
pub(crate) fn address(text: &str) -> Result<heapless::String<MAX_ADDRESS>, String> {
    let is_address = text.parse::<IpAddr>().is_ok();
    if !is_address && !is_host_name(text) {
        return Err(format!(
            "{text:?} is neither a host name nor an IP address; write one of them, without a port and brackets"
        ));
    }
    heapless::String::try_from(text)
        .map_err(|_| format!("an address has at most {MAX_ADDRESS} bytes; use a shorter name"))
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone is a mistyped IPv4 address, never a host name.
    let last_is_digits =
        text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= MAX_ADDRESS && text.split('.').all(is_label) && !last_is_digits
}

pub(super) fn absolute_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(format!(
        "{text:?} is a relative path, which depends on where the agent is started; write one that begins with /"
    ))
}

pub(crate) fn interface(text: &str) -> Result<String, String> {
    let is_name = (1..=MAX_INTERFACE).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'"' | b'*' | b'\\'));
    if is_name {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} cannot be an interface; use a name that `ip link` shows, at most {MAX_INTERFACE} characters"
    ))
}

pub(super) fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error| format!("{text:?} is no name: {error}; choose another one"))
}

pub(super) fn port(number: i64) -> Result<u16, String> {
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| format!("port {number}; ports are 1 to 65535"))
}

/// Ports from the first to the last: `60000-60100`.
pub(crate) fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    let ends = text.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?)));
    let Some((first, last)) = ends else {
        return Err(format!(
            r#"{text:?} is no range of ports; write "FIRST-LAST" with ports of 1 to 65535, such as "60000-60099""#
        ));
    };
    if last < first {
        return Err(format!(r#"{text:?} ends before it begins; write "{last}-{first}""#));
    }
    Ok(first..=last)
}

/// Where a service is forwarded to.
pub(super) fn inner_host(text: &str) -> Result<SocketAddr, String> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(format!(r#"{text:?} is no address with port; write "10.0.0.5:22" or "[fd00::5]:22""#));
    };
    let ip = address.ip();
    if address.port() == 0 {
        return Err(format!("{text:?} has port 0; ports are 1 to 65535"));
    }
    if ip.is_loopback() {
        return Err(format!(
            "{text:?} is this host itself; leave out `forward` to guard a service that runs here"
        ));
    }
    let has_scope = matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0);
    if ip.is_unspecified() || ip.is_multicast() || ip.to_canonical() != ip || has_scope {
        return Err(format!("{text:?} is not the address of one host; write the inner host's own address"));
    }
    Ok(address)
}

/// A port that nobody but this host reaches.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(format!(r#"{text:?} is no address with port; write "127.0.0.1:9191" or "[::1]:9191""#));
    };
    if address.port() == 0 {
        return Err(format!("{text:?} has port 0; ports are 1 to 65535"));
    }
    if !address.ip().is_loopback() {
        return Err(format!(
            "{text:?} is for others than this host, and what is told there is not theirs; write 127.0.0.1 or [::1]"
        ));
    }
    Ok(address)
}

/// A SHA-256 in hexadecimal digits.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], String> {
    let wrong =
        || format!("{text:?} is no SHA-256; write the 64 hexadecimal digits that `sha256sum FILE` prints");
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_name_or_an_ip_address_alone() {
        #[rustfmt::skip]
        let cases = [
            (1, "gate.example", true), (2, "gate", true), (3, "192.0.2.1", true), (4, "2001:db8::1", true),
            (5, "xn--bcher-kva.example", true), (6, "", false), (7, "gate.example:22", false), (8, "[::1]", false),
            (9, "192.0.2.300", false), (10, "gate..example", false), (11, "-gate", false), (12, "gate_1", false),
            (13, "ga te", false), (14, "https://gate", false), (15, "192.0.2.0/24", false), (16, "gate.example.", false),
        ];
        for (case, text, good) in cases {
            assert_eq!(address(text).is_ok(), good, "case {case}: {text}");
        }
        assert!(address(&format!("{}.example", "a".repeat(64))).is_err());
        assert!(address(&["abcdefg"; 40].join(".")).is_err());
    }

    #[test]
    fn an_inner_host_is_one_host_and_not_this_one() {
        #[rustfmt::skip]
        let cases = [
            (1, "10.0.0.5:22", true), (2, "[fd00::5]:22", true), (3, "10.0.0.5", false), (4, "fd00::5:22:x", false),
            (5, "10.0.0.5:0", false), (6, "127.0.0.1:22", false), (7, "[::1]:22", false), (8, "0.0.0.0:22", false),
            (9, "224.0.0.1:22", false), (10, "[::ffff:10.0.0.5]:22", false), (11, "host:22", false),
            (12, "[fe80::1%2]:22", false), (13, "10.0.0.5:70000", false),
        ];
        for (case, text, good) in cases {
            assert_eq!(inner_host(text).is_ok(), good, "case {case}: {text}");
        }
    }

    #[test]
    fn a_loopback_address_is_of_this_host_alone() {
        #[rustfmt::skip]
        let cases = [
            (1, "127.0.0.1:9191", true), (2, "[::1]:9191", true), (3, "127.1.2.3:1", true), (4, "0.0.0.0:9191", false),
            (5, "[::]:9191", false), (6, "192.0.2.1:9191", false), (7, "127.0.0.1", false), (8, "localhost:9191", false),
            (9, "127.0.0.1:0", false), (10, "[::ffff:127.0.0.1]:9191", false), (11, "9191", false), (12, ":9191", false),
        ];
        for (case, text, good) in cases {
            assert_eq!(loopback(text).is_ok(), good, "case {case}: {text}");
        }
    }

    #[test]
    fn a_range_of_ports_has_two_ends_in_their_order() {
        #[rustfmt::skip]
        let cases = [
            (1, "1-65535", Some(1..=65535)), (2, "53 - 54", Some(53..=54)), (3, "7-7", Some(7..=7)), (4, "7", None), (5, "8-7", None),
            (6, "0-7", None), (7, "7-65536", None), (8, "-7", None), (9, "7-", None), (10, "1-2-3", None), (11, "any", None), (12, "", None),
        ];
        for (case, text, expected) in cases {
            assert_eq!(port_range(text).ok(), expected, "case {case}: {text}");
        }
    }

    #[test]
    fn a_pin_is_sixty_four_digits() {
        let good = "00ff".repeat(16);
        assert_eq!(sha256(&good).map(|hash| hash[..2].to_vec()), Ok(vec![0, 255]));
        for bad in ["", "00ff", &"0".repeat(63), &"g".repeat(64), &"+f".repeat(32), &"ä".repeat(32)] {
            assert!(sha256(bad).is_err(), "{bad}");
        }
    }
}
