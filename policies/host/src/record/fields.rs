//! Reads single values of a record.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use core::net::IpAddr;
use core::ops::RangeInclusive;

use knockgate_policy_abi::Capability;
use serde_json::{Map, Value};

use super::{Capabilities, RecordError};

/// A record by its names.
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

/// A value that `name` cannot have.
pub(super) fn wrong(name: &str, found: &Value, expected: &'static str) -> RecordError {
    RecordError::Wrong { name: name.to_owned(), found: found.to_string(), expected }
}

const COUNT: &str = "a number, in digits and without quotation marks";

impl<'a> Fields<'a> {
    /// A number that is small enough for its place.
    pub(super) fn number<T: TryFrom<u64>>(
        &self,
        name: &str,
        expected: &'static str,
    ) -> Result<Option<T>, RecordError> {
        let Some(found) = self.0.get(name) else { return Ok(None) };
        let number = found.as_u64().and_then(|number| T::try_from(number).ok());
        number.map(Some).ok_or_else(|| wrong(name, found, expected))
    }

    pub(super) fn number_within<T: TryFrom<u64> + PartialOrd>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
        expected: &'static str,
    ) -> Result<Option<T>, RecordError> {
        match self.number(name, expected)? {
            Some(number) if !range.contains(&number) => {
                Err(wrong(name, self.0.get(name).unwrap_or(&Value::Null), expected))
            }
            number => Ok(number),
        }
    }

    /// A number that is 0 when it is left out.
    pub(super) fn count(&self, name: &str) -> Result<u32, RecordError> {
        Ok(self.number(name, COUNT)?.unwrap_or(0))
    }

    /// A number that must be there, because an action has it.
    pub(super) fn part<T: TryFrom<u64>>(&self, name: &'static str) -> Result<T, RecordError> {
        self.number(name, COUNT)?.ok_or(RecordError::NotThere(name))
    }

    /// A text that is empty when it is left out.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, RecordError> {
        match self.0.get(name) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(found) => Err(wrong(name, found, "a text in quotation marks")),
        }
    }

    /// One of several words.
    pub(super) fn word<T>(
        &self,
        name: &str,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, RecordError> {
        let Some(found) = self.0.get(name) else { return Ok(None) };
        found.as_str().and_then(read).map(Some).ok_or_else(|| wrong(name, found, expected))
    }

    /// Yes or no; no when it is left out. 0 and 1 are how a policy sees them.
    pub(super) fn flag(&self, name: &str) -> Result<bool, RecordError> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(found) => match found.as_u64() {
                Some(0) => Ok(false),
                Some(1) => Ok(true),
                _ => Err(wrong(name, found, "true or false")),
            },
        }
    }

    /// A number without which `parts` make no sense.
    pub(super) fn head<T: TryFrom<u64>>(
        &self,
        name: &'static str,
        expected: &'static str,
        parts: &[&'static str],
    ) -> Result<Option<T>, RecordError> {
        let head = self.number(name, expected)?;
        self.no_parts_alone(name, head.is_some(), parts).map(|()| head)
    }

    /// The address, without which `parts` make no sense.
    pub(super) fn address(
        &self,
        name: &'static str,
        parts: &[&'static str],
    ) -> Result<Option<IpAddr>, RecordError> {
        let expected = "an IPv4 or IPv6 address in quotation marks";
        let address = self.word(name, expected, |word| word.parse().ok())?;
        self.no_parts_alone(name, address.is_some(), parts).map(|()| address)
    }

    fn no_parts_alone(
        &self,
        name: &'static str,
        is_there: bool,
        parts: &[&'static str],
    ) -> Result<(), RecordError> {
        match parts.iter().find(|part| !is_there && self.0.contains_key(**part)) {
            Some(because) => Err(RecordError::Missing { name, because }),
            None => Ok(()),
        }
    }

    /// Two values that are known together or not at all.
    pub(super) fn both<A, B>(
        &self,
        (first_name, first): (&'static str, Option<A>),
        (second_name, second): (&'static str, Option<B>),
    ) -> Result<Option<(A, B)>, RecordError> {
        match (first, second) {
            (Some(first), Some(second)) => Ok(Some((first, second))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(RecordError::Missing { name: second_name, because: first_name }),
            (None, Some(_)) => Err(RecordError::Missing { name: first_name, because: second_name }),
        }
    }

    /// A list of capabilities.
    pub(super) fn capabilities(&self, name: &str) -> Result<Capabilities, RecordError> {
        let Some(found) = self.0.get(name) else { return Ok(Capabilities::NONE) };
        let read = |list: &Vec<Value>| {
            list.iter().try_fold(Capabilities::NONE, |set, word| {
                Some(set.with(Capability::from_name(word.as_str()?)?))
            })
        };
        found
            .as_array()
            .and_then(read)
            .ok_or_else(|| wrong(name, found, "a list of capabilities, such as [\"start\"]"))
    }
}
