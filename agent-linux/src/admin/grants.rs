//! `knockgated grants`, `revoke` and `rescue`: what is open, and how to change that from the host itself.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use knockgate_core::{ClientId, Network};
use serde_json::json;

use super::counted;
use super::running::{Form, Which, ask, json, load, span, table, unexpected};
use crate::config::Config;
use crate::control::{self, AskError, OpenGrant, Reply, Request};
use crate::firewall::{ExistingGrant, Firewall, Reach};
use crate::state::{RosterFile, StateDir};

/// Who has said what is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Agent,
    /// No agent runs: what it has left open ends on time.
    Kernel,
}

/// Lists what is open.
pub fn list(config: &Path, form: Form) -> anyhow::Result<String> {
    let config = load(config)?;
    let (grants, from) = match control::ask(&config.control.directory, &Request::Grants) {
        Ok(Reply::Grants { grants }) => (grants, From::Agent),
        Ok(other) => return unexpected(&other),
        // Only where the kernel cannot be asked either, the missing agent is the trouble.
        Err(error @ AskError::NoAgent(_)) => (in_kernel(&config).map_err(|_| error)?, From::Kernel),
        Err(error) => return Err(error.into()),
    };
    let source = match from {
        From::Agent => "agent",
        From::Kernel => "kernel",
    };
    match form {
        Form::Json => json(&json!({ "from": source, "grants": grants })),
        Form::Text => Ok(listed(&grants, from)),
    }
}

/// Closes what is meant.
pub fn revoke(config: &Path, which: Which, form: Form) -> anyhow::Result<String> {
    let request = match which {
        Which::All => Request::RevokeAll,
        Which::Named(what) => Request::Revoke { what },
    };
    match (ask(config, &request)?, form) {
        (Reply::Revoked { grants }, Form::Json) => json(&json!({ "revoked": grants })),
        (Reply::Revoked { grants }, Form::Text) if grants.is_empty() => Ok("nothing was open\n".to_owned()),
        (Reply::Revoked { grants }, Form::Text) => {
            let what = counted(grants.len(), "grant");
            Ok(format!("closed {what}; connections that are established go on:\n{}", rows(&grants)))
        }
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

/// Opens a service to an address.
pub fn rescue(
    config: &Path,
    service: String,
    address: IpAddr,
    lasts: Duration,
    form: Form,
) -> anyhow::Result<String> {
    let seconds = u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX);
    match (ask(config, &Request::Rescue { service, address, seconds })?, form) {
        (Reply::Rescued { grant }, Form::Json) => json(&json!({ "grant": grant })),
        (Reply::Rescued { grant }, Form::Text) => {
            let OpenGrant { grant, to, service, left_seconds, .. } = grant;
            let left = span(left_seconds);
            Ok(format!(
                "{service} is open to {to} for {left}, as grant {grant} of console.\n\
                 Next: `knockgated revoke {grant}` closes it earlier.\n"
            ))
        }
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

fn listed(grants: &[OpenGrant], from: From) -> String {
    let list = if grants.is_empty() { "nothing is open\n".to_owned() } else { rows(grants) };
    match from {
        From::Agent => list,
        From::Kernel => {
            format!("{list}no agent runs; this is what the kernel has open, and each ends on time\n")
        }
    }
}

fn rows(grants: &[OpenGrant]) -> String {
    let row = |grant: &OpenGrant| {
        let OpenGrant { grant, client, to, service, left_seconds } = grant.clone();
        [grant.to_string(), client, to, service, span(left_seconds)]
    };
    table(["GRANT", "CLIENT", "OPEN TO", "SERVICE", "LEFT"], &grants.iter().map(row).collect::<Vec<_>>())
}

/// What an agent has left open, with the names that can be read here.
fn in_kernel(config: &Config) -> anyhow::Result<Vec<OpenGrant>> {
    let roster = StateDir::open(&config.gate.state_dir).ok().and_then(|dir| RosterFile::load(&dir).ok());
    let open = |grant: ExistingGrant| {
        let to = match grant.reach {
            Reach::Address => Network::host(grant.source),
            Reach::Prefix(bits) => Network::of(grant.source, bits),
        };
        let service = config.service_by_id(grant.service);
        OpenGrant {
            grant: grant.id,
            client: name(config, roster.as_ref(), ClientId(grant.client)),
            to: to.to_string(),
            service: service
                .map_or_else(|| format!("#{}", grant.service), |service| service.name.to_string()),
            left_seconds: grant.remaining.as_secs(),
        }
    };
    Ok(Firewall::look()?.grants.into_iter().map(open).collect())
}

fn name(config: &Config, roster: Option<&RosterFile>, id: ClientId) -> String {
    if id == ClientId::CONSOLE {
        return crate::run::CONSOLE.to_owned();
    }
    let client = roster.and_then(|roster| roster.clients().iter().find(|client| client.id == id));
    let sequence = config.statics.sequence(id);
    let name = client.map(|client| &client.name).or_else(|| sequence.map(|one| &one.name));
    name.map_or_else(|| format!("#{}", id.0), ToString::to_string)
}
