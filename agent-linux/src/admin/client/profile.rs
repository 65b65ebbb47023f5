//! What a client gets: its profile, as a file, a QR code or a line of text; and the secret of its second factor.

use std::path::{Path, PathBuf};

use knockgate_core::key::{PublicKey, SecretKey};
use knockgate_core::profile::{Hosts, Profile, ProfileService};
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Name, text_form};

use super::super::{SetUp, qr};
use crate::config::Service;
use crate::state::roster_file::EnrolledBook;
use crate::state::{StateError, private_file, system_rng};

/// Where a profile goes.
pub struct Delivery {
    /// Not given: `NAME.kgp`, unless it is shown.
    pub out: Option<PathBuf>,
    pub show: Show,
}

/// Whether a profile is also printed, as a QR code and a line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    Yes,
    No,
}

/// Where a client's key comes from.
pub(super) enum Key {
    /// Made here; the profile brings it to the client.
    Made(SecretKey),
    /// Made by the client, which has told its public half.
    Told(PublicKey),
}

impl Key {
    /// The one that was told, or a new one.
    pub(super) fn or_new(told: Option<PublicKey>) -> Self {
        told.map_or_else(|| Self::Made(SecretKey::generate(&mut system_rng())), Self::Told)
    }

    pub(super) fn public(&self) -> PublicKey {
        match self {
            Self::Made(secret) => secret.public(),
            Self::Told(key) => *key,
        }
    }

    fn secret(&self) -> Option<SecretKey> {
        match self {
            Self::Made(secret) => Some(secret.clone()),
            Self::Told(_) => None,
        }
    }
}

pub(super) fn profile(
    gate: &SetUp,
    name: &Name,
    key: &Key,
    services: &[&Service],
    book: &EnrolledBook,
) -> Profile {
    // A service that is forwarded is dialled at the gate, so its own port counts.
    let service = |service: &&Service| ProfileService {
        id: service.id,
        name: service.name.clone(),
        protocol: service.protocol,
        port: service.ports.first().copied().unwrap_or(0),
        hosts: Hosts::first_of(&service.hosts),
    };
    Profile {
        client: name.clone(),
        address: gate.config.gate.address.clone(),
        central_port: gate.config.central.map_or(0, |central| central.port),
        packet_ports: gate.config.packet.profile_ports(),
        gate: gate.identity.id,
        gate_key: gate.identity.secret.public(),
        door_key: gate.identity.door.current.clone(),
        secret: key.secret(),
        services: services.iter().map(service).collect(),
        book: book.book.clone(),
    }
}

/// Whether the client has a profile of this gate already.
#[derive(Clone, Copy)]
pub(super) enum Profiles {
    First,
    Replaced,
}

/// A profile on its way to a client. What is on disk is taken back unless the client is enrolled with it.
pub(super) struct Package {
    /// The profile's file, as far as it goes to a file.
    file: Option<PathBuf>,
    /// What is printed.
    shown: String,
    /// What the client does with it.
    holds: &'static str,
}

impl Package {
    /// Writes the file and makes ready what will be printed. A file that exists is left alone.
    pub(super) fn make(profile: &Profile, delivery: Delivery) -> anyhow::Result<Self> {
        let mut buffer = [0; Profile::MAX_FILE];
        let out = match (delivery.out, delivery.show) {
            (None, Show::Yes) => None,
            (None, Show::No) => Some(PathBuf::from(format!("{}.kgp", profile.client))),
            (out @ Some(_), _) => out,
        };
        let named = out.as_deref().unwrap_or(Path::new("profile"));
        let content = profile
            .encode(&mut buffer)
            .map_err(|error| StateError::unreadable(named, "profile", error, "report this as a defect"))?;
        let shown = match delivery.show {
            Show::Yes => shown(content)?,
            Show::No => String::new(),
        };
        if let Some(out) = &out {
            private_file::create(out, content)?;
        }
        let holds = match profile.secret {
            Some(_) => "which is secret",
            None => {
                "which holds no secret key: the client has its own, but the gate's door key and the book are secret"
            }
        };
        Ok(Self { file: out, shown, holds })
    }

    /// Nobody is enrolled with it, so it is worthless. If it stays all the same, it opens nothing.
    pub(super) fn take_back(&self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }

    /// What the administrator does with it.
    pub(super) fn instructions(&self, profiles: Profiles) -> String {
        let mut text = String::new();
        let force = match profiles {
            Profiles::First => "",
            Profiles::Replaced => " --force",
        };
        if let Some(file) = &self.file {
            let path = file.display();
            text += &format!(
                "profile: {path}, {}\n\
                 Next: bring {path} to the client over a safe way, there `knockgate enroll{force} {path}`, and delete it here.\n",
                self.holds
            );
        }
        if !self.shown.is_empty() {
            text += &format!(
                "profile, {}; clear the screen afterwards:\n\n{}\n\
                 Next: there `knockgate enroll{force} -`, and paste the line.\n",
                self.holds, self.shown
            );
        }
        text
    }
}

fn shown(content: &[u8]) -> anyhow::Result<String> {
    let mut buffer = [0; text_form::profile_len(Profile::MAX_FILE)];
    let text = text_form::profile(content, &mut buffer)?;
    Ok(format!("{}\n{text}\n", qr::code(text)?))
}

/// How an authenticator app is told the secret of a second factor. It is shown this once.
pub(super) fn second_factor(address: &str, client: &Name, secret: &TotpSecret) -> anyhow::Result<String> {
    let uri = otpauth(address, client, secret);
    Ok(format!(
        "second factor of {client}, for an authenticator app; it is never shown again:\n\n{}\n{uri}\n",
        qr::code(&uri)?
    ))
}

/// Source: the key URI format of Google Authenticator, which every app reads.
fn otpauth(address: &str, client: &Name, secret: &TotpSecret) -> String {
    // Of what addresses consist of, only the colons of IPv6 mean something else there.
    let issuer = address.replace(':', "%3A");
    let secret = text_form::base32(secret.bytes()).to_ascii_uppercase();
    format!(
        "otpauth://totp/{issuer}:{client}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authenticator_gets_the_secret_in_its_own_form() {
        // The secret of RFC 6238, as every description of it has it.
        let secret = TotpSecret::from_bytes(*b"12345678901234567890");
        let uri = otpauth("2001:db8::1", &"alice".parse().unwrap(), &secret);
        assert_eq!(
            uri,
            "otpauth://totp/2001%3Adb8%3A%3A1:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=2001%3Adb8%3A%3A1\
             &algorithm=SHA1&digits=6&period=30"
        );
    }
}
