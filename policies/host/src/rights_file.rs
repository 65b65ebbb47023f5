//! Rights as bytes, for a host that is told them in a file: the site image of a gateway.
//!
//! Postcard; fields are only added, at the end. Capabilities are their bits, which the ABI never gives to others.

use alloc::string::String;
use alloc::vec::Vec;

use knockgate_policy_abi::{Capabilities, Capability};
use serde::{Deserialize, Serialize};

use crate::{Parameter, Rights, ServiceRight, Wasi};

#[derive(Serialize, Deserialize)]
struct Written {
    services: Vec<(u16, u32)>,
    capabilities: u16,
    max_seconds: u32,
    units: Vec<u16>,
    channels: Vec<u16>,
    parameters: Vec<(String, Vec<String>)>,
}

/// The bytes are no rights that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rights that cannot be read; use tools and firmware of one release")]
pub struct RightsUnreadable;

impl Rights {
    /// As bytes. That a policy may find an operating system is left out: no host that reads them has one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let bit = |capability: &Capability| 1 << *capability as u16;
        let written = Written {
            services: self.services.iter().map(|right| (right.service, right.max_seconds)).collect(),
            capabilities: Capability::ALL.iter().filter(|one| self.capabilities.has(**one)).map(bit).sum(),
            max_seconds: self.max_seconds,
            units: self.units.clone(),
            channels: self.channels.clone(),
            parameters: self.parameters.iter().map(|one| (one.name.clone(), one.given.clone())).collect(),
        };
        postcard::to_allocvec(&written).expect("numbers and texts in memory have a form as bytes")
    }

    /// Reads what [`Rights::encode`] wrote.
    ///
    /// # Errors
    /// [`RightsUnreadable`], also if there is a capability that this version does not know: it would be missed silently.
    pub fn decode(bytes: &[u8]) -> Result<Self, RightsUnreadable> {
        let (written, _) = postcard::take_from_bytes::<Written>(bytes).map_err(|_| RightsUnreadable)?;
        let mut unknown = written.capabilities;
        let mut capabilities = Capabilities::NONE;
        for one in Capability::ALL.iter().filter(|one| written.capabilities & (1 << **one as u16) != 0) {
            capabilities = capabilities.with(*one);
            unknown &= !(1 << *one as u16);
        }
        if unknown != 0 {
            return Err(RightsUnreadable);
        }
        let right = |(service, max_seconds)| ServiceRight { service, max_seconds };
        Ok(Self {
            services: written.services.into_iter().map(right).collect(),
            capabilities,
            max_seconds: written.max_seconds,
            units: written.units,
            channels: written.channels,
            parameters: written
                .parameters
                .into_iter()
                .map(|(name, given)| Parameter { name, given })
                .collect(),
            wasi: Wasi::None,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn rights() -> Rights {
        Rights {
            services: vec![
                ServiceRight { service: 1, max_seconds: 3600 },
                ServiceRight { service: 7, max_seconds: 60 },
            ],
            capabilities: Capabilities::of(&[Capability::Open, Capability::State]),
            max_seconds: 1800,
            units: vec![3],
            channels: vec![4, 5],
            parameters: vec![Parameter::new("days", ["mon-fri"])],
            wasi: Wasi::None,
        }
    }

    #[test]
    fn rights_are_read_as_they_were_written() {
        assert_eq!(Rights::decode(&rights().encode()), Ok(rights()));
        assert_eq!(Rights::decode(&Rights::default().encode()), Ok(Rights::default()));
    }

    #[test]
    fn rights_cut_off_anywhere_are_refused() {
        let bytes = rights().encode();
        for length in 0..bytes.len() {
            assert_eq!(Rights::decode(&bytes[..length]), Err(RightsUnreadable), "{length} bytes");
        }
    }

    #[test]
    fn a_capability_of_a_later_version_is_refused_and_not_forgotten() {
        let mut bytes = Rights::default().encode();
        // An empty list, then the capabilities as a variable-length number: the highest bit of sixteen.
        bytes.splice(1..2, [0x80, 0x80, 0x02]);
        assert_eq!(Rights::decode(&bytes), Err(RightsUnreadable));
    }
}
