//! The values of the keywords. The same types are read from the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use knockgate_core::Name;
use knockgate_core::limits::{MAX_ADDRESS, MAX_GRANT};
use knockgate_core::message::Reach;

use super::line::Line;

/// Longest time that anybody waits for a gate or a service: an hour, in seconds.
pub(crate) const MAX_PATIENCE: u32 = 3600;
/// Characters of a bad value that are told.
const MAX_TOLD: usize = 60;

/// Which addresses of a gate are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Family {
    /// Both.
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// How a client knocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// As the profile allows: by packet if it can be, else by connection.
    #[default]
    Auto,
    /// One UDP datagram.
    Packet,
    /// The same message over TCP to the central port.
    Tcp,
    /// A number of the knock book, port by port.
    Sequence,
}

/// Whether to wait until the service answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    #[default]
    No,
    /// For at most so long.
    Seconds(u32),
}

/// A host name or an address, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

/// Why a line is a problem: what is wrong, then the remedy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Why(pub(super) String);

impl Why {
    pub(super) fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

impl Host {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        if is_host(text) { Ok(Self(text.to_owned())) } else { Err(NoHost) }
    }
}

/// It can be neither a host name nor an address.
#[derive(Debug, PartialEq, Eq)]
pub struct NoHost;

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no host name and no IP address; write one of them, without a port")
    }
}

impl std::error::Error for NoHost {}

/// Whether it can be a host name or an address. It is printed and logged, so control characters have no place in it.
pub(crate) fn is_host(address: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    (1..=MAX_ADDRESS).contains(&address.len()) && address.chars().all(allowed)
}

/// Longest time that a service can be asked for, in seconds.
pub(crate) fn max_seconds() -> u32 {
    u32::try_from(MAX_GRANT.as_secs()).expect("thirty days fit")
}

/// A value in a message: shortened, and without power over the terminal.
pub(super) fn quoted(value: &str) -> String {
    let start: String = value.chars().take(MAX_TOLD).collect();
    let dots = if start.len() < value.len() { "..." } else { "" };
    format!("{start:?}{dots}")
}

pub(super) fn name(line: &Line<'_>) -> Result<Name, Why> {
    let value = line.value()?;
    value.parse().map_err(|error| Why(format!("{} {} is no name: {error}", line.keyword, quoted(value))))
}

pub(super) fn grant_seconds(line: &Line<'_>) -> Result<u32, Why> {
    number(line, max_seconds(), "")
}

pub(super) fn patience_seconds(line: &Line<'_>) -> Result<u32, Why> {
    number(line, MAX_PATIENCE, "")
}

pub(super) fn port(line: &Line<'_>) -> Result<u16, Why> {
    let number = number(line, u16::MAX.into(), "")?;
    Ok(u16::try_from(number).expect("number() keeps the range"))
}

pub(super) fn host(line: &Line<'_>) -> Result<Host, Why> {
    let value = line.value()?;
    value.parse().map_err(|error| Why(format!("{} {} is {error}", line.keyword, quoted(value))))
}

pub(super) fn reach(line: &Line<'_>) -> Result<Reach, Why> {
    match line.value()? {
        "yes" => Ok(Reach::Prefix),
        "no" => Ok(Reach::Address),
        value => Err(Why(format!("{} {} is not known; write yes or no", line.keyword, quoted(value)))),
    }
}

pub(super) fn wait(line: &Line<'_>) -> Result<Wait, Why> {
    match line.value()? {
        "no" => Ok(Wait::No),
        _ => number(line, MAX_PATIENCE, "no, or ").map(Wait::Seconds),
    }
}

/// As it is written: the parser knows neither home nor directory.
pub(super) fn path(line: &Line<'_>) -> Result<PathBuf, Why> {
    match line.value()? {
        "" => Err(Why(format!("{} is empty; write a path", line.keyword))),
        value => Ok(value.into()),
    }
}

/// One of the words of `T`.
pub(super) fn word<T: ValueEnum>(line: &Line<'_>) -> Result<T, Why> {
    let value = line.value()?;
    T::from_str(value, true)
        .map_err(|_| Why(format!("{} {} is not known; write {}", line.keyword, quoted(value), words::<T>())))
}

fn words<T: ValueEnum>() -> String {
    let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let words: Vec<_> = values.map(|value| value.get_name().to_owned()).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some(_) | None => words.concat(),
    }
}

fn number(line: &Line<'_>, max: u32, or_else: &str) -> Result<u32, Why> {
    let value = line.value()?;
    let wrong = |what| {
        let keyword = line.keyword;
        Why(format!("{keyword} {} {what}; write {or_else}a number from 1 to {max}", quoted(value)))
    };
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("is not a number"));
    }
    // Only digits are left, so what cannot be read is too large.
    let number = value.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| wrong("is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gates_address_is_a_host_name_or_an_address() {
        #[rustfmt::skip]
        let cases = [
            (1, "gate.example", true), (2, "192.0.2.7", true), (3, "2001:db8::1", true), (4, "fe80::1%eth0", true),
            (5, "", false), (6, "gate example", false), (7, "gate\u{1b}[2J", false), (8, "gate/x", false),
        ];
        for (case, address, expected) in cases {
            assert_eq!(is_host(address), expected, "case {case}");
        }
    }

    #[test]
    fn a_long_value_is_shortened() {
        assert_eq!(quoted(&"x".repeat(100)), format!("\"{}\"...", "x".repeat(60)));
    }
}
