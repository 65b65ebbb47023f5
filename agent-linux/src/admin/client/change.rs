//! What can be changed about a client that is enrolled, without a new profile.

use std::path::Path;

use anyhow::bail;
use knockgate_core::totp::TotpSecret;

use super::super::moment::{When, shown};
use super::super::noticed;
use super::{begin, clock, profile};
use crate::config::Config;
use crate::state::system_rng;
/// When an enrolment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    On(When),
    Never,
}

/// Whether every knock of a client is to be confirmed from its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    Wanted,
    /// Only where the service asks for it.
    AsTheService,
}

/// What becomes of a client's second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// A new one, in the place of one that is there.
    Wanted,
    Removed,
}

/// Sets the end of an enrolment.
pub fn expire(config: &Path, name: &str, end: End) -> anyhow::Result<String> {
    let now = clock()?;
    let config = Config::load(config)?;
    let mut edit = begin(&config)?;
    let client = edit.roster.client_mut(name)?;
    client.expires = match end {
        End::On(when) => Some(when.from(now)),
        End::Never => None,
    };
    let said = match client.expires {
        None => "does not end".into(),
        Some(end) if end <= now => format!("has ended ({}); what is open to it is closed", shown(end)),
        Some(end) => format!("ends {}", shown(end)),
    };
    edit.commit()?;
    Ok(format!("the enrolment of {name} {said}; {}\n", noticed(&config)))
}

/// Sets whether a client has to confirm.
pub fn confirm(config: &Path, name: &str, confirmation: Confirmation) -> anyhow::Result<String> {
    let config = Config::load(config)?;
    let mut edit = begin(&config)?;
    edit.roster.client_mut(name)?.confirm = confirmation == Confirmation::Wanted;
    edit.commit()?;
    let said = match confirmation {
        Confirmation::Wanted => "confirms every knock from its address",
        Confirmation::AsTheService => "confirms only where the service wants it",
    };
    Ok(format!("{name} {said}; {}\n", noticed(&config)))
}

/// Gives a client a second factor, or takes it away.
pub fn second_factor(config: &Path, name: &str, change: SecondFactor) -> anyhow::Result<String> {
    let config = Config::load(config)?;
    let mut edit = begin(&config)?;
    let client = edit.roster.client_mut(name)?;
    let (id, name) = (client.id, client.name.clone());
    if change == SecondFactor::Removed {
        if !edit.roster.has_second_factor(id) {
            bail!("{name} has no second factor; `knockgated client totp {name}` gives it one");
        }
        edit.roster.set_second_factor(id, None);
        edit.commit()?;
        return Ok(format!("{name} has no second factor any more; {}\n", noticed(&config)));
    }
    let secret = TotpSecret::generate(&mut system_rng());
    let told = profile::second_factor(&config.gate.address, &name, &secret)?;
    edit.roster.set_second_factor(id, Some(secret));
    edit.commit()?;
    Ok(format!("{name} has a new second factor; {}\n{told}", noticed(&config)))
}
