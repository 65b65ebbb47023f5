//! Parameters: what the configuration gives to a policy, as the numbers that the policy reads.
//!
//! A manifest names its parameters and their kinds; a configuration gives texts or numbers for them. Both meet when the policy
//! is loaded, so that a mistake is said then and with the parameter's name, and never costs a knock. A parameter that is not
//! given has no values; what the policy does without it is the policy's matter. Rule: `docs/policies.md#parameters`.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use knockgate_policy_abi::attr::{PARAMETER_KEYS, PARAMETERS};
use knockgate_policy_abi::limits::MAX_PARAMETER_VALUES;
use knockgate_policy_abi::{Manifest, ParameterKind};

/// What a configuration gives for one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the manifest.
    pub name: String,
    /// What stands there: a text, a number in digits, or each element of a list. A text may have several, separated by spaces.
    pub given: Vec<String>,
}

impl Parameter {
    /// What a configuration gives for the parameter `name`.
    pub fn new(name: &str, given: impl IntoIterator<Item: Into<String>>) -> Self {
        Self { name: name.into(), given: given.into_iter().map(Into::into).collect() }
    }
}

/// What is wrong with what was given for a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The policy has no parameter of that name.
    #[error("this policy takes {}", known_names(.known))]
    Unknown {
        /// Those that it has.
        known: Vec<String>,
    },
    /// Two are given with one name.
    #[error("it is given twice; put everything in one list")]
    Twice,
    /// Nothing is given.
    #[error("nothing is given; give a value, or leave the parameter out")]
    Nothing,
    /// More than one value where one is meant.
    #[error("{found} values are given and it takes one; give one")]
    OneOnly {
        /// How many there are.
        found: usize,
    },
    /// More values than a parameter has keys.
    #[error("more than {limit} values are given; give fewer (a network counts as three)")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// No number.
    #[error("{0:?} is no number; write it in digits")]
    NotANumber(String),
    /// No time.
    #[error(
        "{0:?} is no time in seconds; write digits and a unit without a space: `90s`, `5m`, `8h` or `7d`"
    )]
    NotSeconds(String),
    /// No time of day.
    #[error("{0:?} is no time of day; write HH:MM, from 00:00 to 24:00")]
    NotAMinute(String),
    /// No day or range of days.
    #[error("{0:?} is no day; write mon, tue, wed, thu, fri, sat or sun, or a range such as mon-fri")]
    NotADay(String),
    /// No network.
    #[error("{0:?} is no network; write an address and its bits, such as 192.0.2.0/24 or 2001:db8::/32")]
    NotANetwork(String),
    /// A network whose address does not begin it.
    #[error("{given:?} is an address inside a network; write {meant} for the network, or leave out /{bits}")]
    InsideANetwork {
        /// What is given.
        given: String,
        /// Its bits.
        bits: u8,
        /// The network that it lies in.
        meant: String,
    },
}

fn known_names(known: &[String]) -> String {
    match known {
        [] => "no parameters; remove it".into(),
        known => alloc::format!("{}; correct the name", known.join(", ")),
    }
}

/// The values that a policy is answered for what is given for a parameter of this kind.
///
/// # Errors
/// What is wrong with it, with what to write instead.
pub fn values(kind: ParameterKind, given: &[String]) -> Result<Vec<u64>, ParameterError> {
    let words: Vec<&str> = given.iter().flat_map(|text| text.split_ascii_whitespace()).collect();
    if words.is_empty() {
        return Err(ParameterError::Nothing);
    }
    let values = match kind {
        ParameterKind::Number => single(&words, number)?,
        ParameterKind::Numbers => words.into_iter().map(number).collect::<Result<_, _>>()?,
        ParameterKind::Seconds => single(&words, seconds)?,
        ParameterKind::Minute => single(&words, minute)?,
        ParameterKind::Days => days(&words)?,
        ParameterKind::Networks => {
            words.into_iter().map(network).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
        }
    };
    if values.len() > MAX_PARAMETER_VALUES {
        return Err(ParameterError::TooMany { limit: MAX_PARAMETER_VALUES });
    }
    Ok(values)
}

fn single(words: &[&str], read: fn(&str) -> Result<u64, ParameterError>) -> Result<Vec<u64>, ParameterError> {
    match words {
        [word] => Ok(alloc::vec![read(word)?]),
        _ => Err(ParameterError::OneOnly { found: words.len() }),
    }
}

fn number(word: &str) -> Result<u64, ParameterError> {
    digits(word).ok_or_else(|| ParameterError::NotANumber(word.into()))
}

/// Digits only: `parse` alone would take a sign, too.
fn digits<T: core::str::FromStr>(word: &str) -> Option<T> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) { word.parse().ok() } else { None }
}

fn seconds(word: &str) -> Result<u64, ParameterError> {
    let digits_end = word.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = word.split_at(digits_end);
    let unit = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    digits::<u64>(count)
        .zip(unit)
        .and_then(|(count, unit)| count.checked_mul(unit))
        .ok_or_else(|| ParameterError::NotSeconds(word.into()))
}

fn minute(word: &str) -> Result<u64, ParameterError> {
    let read = |word: &str| {
        let (hour, minute) = word.split_once(':')?;
        let [hour, minute]: [u64; 2] = [two_digits(hour)?, two_digits(minute)?];
        // 24:00 is the end of a day: `until` needs it.
        let whole = hour * 60 + minute;
        (minute < 60 && whole <= 24 * 60).then_some(whole)
    };
    read(word).ok_or_else(|| ParameterError::NotAMinute(word.into()))
}

fn two_digits(word: &str) -> Option<u64> {
    if (1..=2).contains(&word.len()) { digits(word) } else { None }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn days(words: &[&str]) -> Result<Vec<u64>, ParameterError> {
    let mut chosen = [false; DAYS.len()];
    for word in words {
        let wrong = || ParameterError::NotADay((*word).into());
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (day(first).ok_or_else(wrong)?, day(last).ok_or_else(wrong)?);
        // A range may go over the end of the week: fri-mon.
        let length = (last + DAYS.len() - first) % DAYS.len();
        for step in 0..=length {
            chosen.get_mut((first + step) % DAYS.len()).into_iter().for_each(|day| *day = true);
        }
    }
    Ok((1..).zip(chosen).filter_map(|(number, chosen)| chosen.then_some(number)).collect())
}

fn day(word: &str) -> Option<usize> {
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(word))
}

/// Both halves of the address as attributes have it, and the bits of 128: IPv4 is `::ffff:a.b.c.d`, so 96 more.
fn network(word: &str) -> Result<[u64; 3], ParameterError> {
    let wrong = || ParameterError::NotANetwork(word.into());
    let (address, bits) = match word.split_once('/') {
        Some((address, bits)) => (address, Some(digits::<u8>(bits).ok_or_else(wrong)?)),
        None => (word, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let (whole, longest, before) = match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 32, 96),
        IpAddr::V6(address) => (address.to_bits(), 128, 0),
    };
    let bits = bits.unwrap_or(longest);
    if bits > longest {
        return Err(wrong());
    }
    let bits_of_128 = before + bits;
    let mask = u128::MAX.checked_shl(u32::from(128 - bits_of_128)).unwrap_or(0);
    if whole & !mask != 0 {
        let meant = start_of_network(address, whole & mask);
        return Err(ParameterError::InsideANetwork {
            given: word.into(),
            bits,
            meant: alloc::format!("{meant}/{bits}"),
        });
    }
    let (high, low) = crate::event::halves(whole);
    Ok([high, low, bits_of_128.into()])
}

fn start_of_network(address: IpAddr, start: u128) -> IpAddr {
    let start = core::net::Ipv6Addr::from_bits(start);
    match (address, start.to_ipv4_mapped()) {
        (IpAddr::V4(_), Some(start)) => start.into(),
        _ => start.into(),
    }
}

/// The values of every parameter of a manifest, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<Vec<u64>>);

impl Parameters {
    /// What is given, held against what the manifest takes.
    ///
    /// # Errors
    /// The name of the first parameter that is wrong, and what is wrong with it.
    pub(crate) fn resolve(
        manifest: &Manifest<'_>,
        given: &[Parameter],
    ) -> Result<Self, (String, ParameterError)> {
        let takes = |name: &str| manifest.parameters.iter().any(|(known, _)| known == name);
        for (at, parameter) in given.iter().enumerate() {
            let name = || parameter.name.clone();
            if !takes(&parameter.name) {
                let known = manifest.parameters.iter().map(|(name, _)| name.into()).collect();
                return Err((name(), ParameterError::Unknown { known }));
            }
            if given.iter().take(at).any(|before| before.name == parameter.name) {
                return Err((name(), ParameterError::Twice));
            }
        }
        let resolve_one = |(name, kind): (&str, ParameterKind)| {
            let Some(parameter) = given.iter().find(|parameter| parameter.name == name) else {
                return Ok(Vec::new());
            };
            values(kind, &parameter.given).map_err(|error| (name.into(), error))
        };
        manifest.parameters.iter().map(resolve_one).collect::<Result<_, _>>().map(Self)
    }

    /// What `attr` answers: how many values, or a value; `None` for what is not given, and for every other key.
    pub(crate) fn number(&self, key: u32) -> Option<u64> {
        let key = key.checked_sub(PARAMETERS)?;
        let values = self.0.get(usize::try_from(key / PARAMETER_KEYS).ok()?)?;
        match usize::try_from(key % PARAMETER_KEYS).ok()?.checked_sub(1) {
            Some(at) => values.get(at).copied(),
            None if values.is_empty() => None,
            None => u64::try_from(values.len()).ok(),
        }
    }
}

#[cfg(test)]
mod tests;
