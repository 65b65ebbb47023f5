//! The manifest: what a policy says about itself, in the custom section `knockgate.manifest`.
//!
//! Lines of `key=value` in plain ASCII; `#` starts a comment line; lists are separated by spaces. What a policy does not ask
//! for here it does not have, whatever the configuration grants. An unknown key is an error: a typing mistake must not
//! silently widen or narrow a right. The parser borrows from the text and needs no heap.

mod fault;

pub use fault::{Fault, ManifestError};

use crate::{Capabilities, Capability, Cause, Causes, ParameterKind, Version, limits};

/// A manifest that was understood. Borrows from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest<'a> {
    /// `abi`: the ABI the policy was built for.
    pub abi: Version,
    /// `name`: lower-case letters, digits and hyphens.
    pub name: &'a str,
    /// `version`: the author's own; empty when not given.
    pub version: &'a str,
    /// `services`: which services it may open.
    pub services: Services<'a>,
    /// `max-seconds`: the longest grant it will ever ask for; without it the configuration alone decides.
    pub max_seconds: Option<u32>,
    /// `capabilities`: what it wants to do.
    pub capabilities: Capabilities,
    /// `causes`: what it wants to be asked about; knocks when not given.
    pub causes: Causes,
    /// `fuel`: the most it needs for one decision; the profile's limit when not given.
    pub fuel: Option<u64>,
    /// `pages`: the most memory it needs; the profile's limit when not given.
    pub pages: Option<u32>,
    /// `optional`: interfaces and capabilities it can do without.
    pub optional: Words<'a>,
    /// `parameters`: what the configuration may give it.
    pub parameters: Parameters<'a>,
}

/// The services that a manifest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Services<'a> {
    /// `services=*`: every service that the configuration grants.
    All,
    /// These numbers.
    Listed(Words<'a>),
}

impl Services<'_> {
    /// Whether the manifest asks for this service.
    #[must_use]
    pub fn has(self, service: u16) -> bool {
        match self {
            Services::All => true,
            Services::Listed(words) => words.iter().any(|word| word.parse() == Ok(service)),
        }
    }
}

/// Words of a list, separated by spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// The words in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.0.split_ascii_whitespace()
    }

    /// Whether the list has this word.
    #[must_use]
    pub fn has(self, word: &str) -> bool {
        self.iter().any(|other| other == word)
    }
}

/// The parameters that a policy takes, in order: their index is how the policy asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters<'a>(Words<'a>);

impl<'a> Parameters<'a> {
    /// Name and kind of each, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, ParameterKind)> {
        // Every word was held against this when the manifest was read.
        self.0.iter().filter_map(|word| parameter(word).ok())
    }
}

impl<'a> Manifest<'a> {
    /// Reads a manifest.
    ///
    /// # Errors
    /// The first line that is wrong, and what is wrong with it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ManifestError> {
        let whole = |fault| ManifestError { line: 0, fault };
        if bytes.len() > limits::MAX_MANIFEST_BYTES {
            return Err(whole(Fault::TooLong));
        }
        let text = core::str::from_utf8(bytes).map_err(|_| whole(Fault::NotAscii))?;
        let mut fields = Fields::default();
        for (line, content) in (1..).zip(text.lines()) {
            fields.take(content).map_err(|fault| ManifestError { line, fault })?;
        }
        fields.finish().map_err(whole)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Fields<'a> {
    abi: Option<Version>,
    name: Option<&'a str>,
    version: Option<&'a str>,
    services: Option<Services<'a>>,
    max_seconds: Option<u32>,
    capabilities: Option<Capabilities>,
    causes: Option<Causes>,
    fuel: Option<u64>,
    pages: Option<u32>,
    optional: Option<Words<'a>>,
    parameters: Option<Parameters<'a>>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, line: &'a str) -> Result<(), Fault> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if !line.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
            return Err(Fault::NotAscii);
        }
        let (key, value) = line.split_once('=').ok_or(Fault::NoEqualsSign)?;
        let value = value.trim();
        match key.trim() {
            "abi" => once(&mut self.abi, version(value)?),
            "name" => once(&mut self.name, name(value)?),
            "version" => once(&mut self.version, value),
            "services" => once(&mut self.services, services(value)?),
            "max-seconds" => once(&mut self.max_seconds, number(value)?),
            "capabilities" => once(&mut self.capabilities, capabilities(value)?),
            "causes" => once(&mut self.causes, causes(value)?),
            "fuel" => once(&mut self.fuel, number(value)?),
            "pages" => once(&mut self.pages, number(value)?),
            "optional" => once(&mut self.optional, Words(value)),
            "parameters" => once(&mut self.parameters, parameters(value)?),
            _ => Err(Fault::UnknownKey),
        }
    }

    fn finish(self) -> Result<Manifest<'a>, Fault> {
        Ok(Manifest {
            abi: self.abi.ok_or(Fault::Missing("abi"))?,
            name: self.name.ok_or(Fault::Missing("name"))?,
            version: self.version.unwrap_or(""),
            services: self.services.unwrap_or(Services::Listed(Words(""))),
            max_seconds: self.max_seconds,
            capabilities: self.capabilities.unwrap_or(Capabilities::NONE),
            causes: self.causes.unwrap_or(Causes::KNOCKS),
            fuel: self.fuel,
            pages: self.pages,
            optional: self.optional.unwrap_or(Words("")),
            parameters: self.parameters.unwrap_or(Parameters(Words(""))),
        })
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Fault> {
    if place.replace(value).is_some() { Err(Fault::Twice) } else { Ok(()) }
}

fn version(value: &str) -> Result<Version, Fault> {
    let (major, minor) = value.split_once('.').ok_or(Fault::NotAVersion)?;
    let part = |text: &str| text.parse().map_err(|_| Fault::NotAVersion);
    Ok(Version { major: part(major)?, minor: part(minor)? })
}

fn name(value: &str) -> Result<&str, Fault> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=limits::MAX_NAME_BYTES).contains(&value.len()) && value.bytes().all(allowed);
    if good { Ok(value) } else { Err(Fault::NotAName) }
}

fn services(value: &str) -> Result<Services<'_>, Fault> {
    if value == "*" {
        return Ok(Services::All);
    }
    let words = Words(value);
    for word in words.iter() {
        if !matches!(word.parse::<u16>(), Ok(1..)) {
            return Err(Fault::NotAService);
        }
    }
    Ok(Services::Listed(words))
}

fn number<T: core::str::FromStr + PartialOrd + From<u8>>(value: &str) -> Result<T, Fault> {
    let number: T = value.parse().map_err(|_| Fault::NotANumber)?;
    if number < T::from(1) { Err(Fault::NotANumber) } else { Ok(number) }
}

fn capabilities(value: &str) -> Result<Capabilities, Fault> {
    Words(value).iter().try_fold(Capabilities::NONE, |set, word| {
        Ok(set.with(Capability::from_name(word).ok_or(Fault::UnknownCapability)?))
    })
}

fn causes(value: &str) -> Result<Causes, Fault> {
    Words(value)
        .iter()
        .try_fold(Causes::NONE, |set, word| Ok(set.with(Cause::from_name(word).ok_or(Fault::UnknownCause)?)))
}

fn parameters(value: &str) -> Result<Parameters<'_>, Fault> {
    let words = Words(value);
    for (at, word) in words.iter().enumerate() {
        let (name, _) = parameter(word)?;
        let before = words.iter().take(at).filter_map(|word| parameter(word).ok());
        if at >= limits::MAX_PARAMETERS {
            return Err(Fault::TooManyParameters);
        }
        if before.into_iter().any(|(other, _)| other == name) {
            return Err(Fault::ParameterTwice);
        }
    }
    Ok(Parameters(words))
}

fn parameter(word: &str) -> Result<(&str, ParameterKind), Fault> {
    let (label, kind) = word.split_once(':').ok_or(Fault::NotAParameter)?;
    let label = name(label).map_err(|_| Fault::NotAParameter)?;
    Ok((label, ParameterKind::from_name(kind).ok_or(Fault::NotAParameter)?))
}
