//! The owner's keys: the secret one signs images, the public one is the gateway's owner.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use knockgate_core::site::Owner;
use knockgate_policy_host::signing::{KeyFile, PublicHalf, SecretKey};
use zeroize::Zeroizing;

use crate::state::private_file;

/// Longest passphrase of minisign's format, in bytes.
const MAX_PASSPHRASE: usize = 1024;

/// Reads the secret key, and asks for its passphrase if it has one and there is no file with it.
pub(super) fn secret(path: &Path, passphrase_file: Option<&Path>) -> anyhow::Result<SecretKey> {
    let content = Zeroizing::new(private_file::read(path)?);
    let text = str::from_utf8(&content).unwrap_or_default();
    let place = path.display();
    match KeyFile::parse(text).map_err(|error| anyhow!("{place}: {error}"))? {
        KeyFile::Open(key) => Ok(key),
        KeyFile::Locked(locked) => {
            let passphrase = passphrase(passphrase_file, &format!("Passphrase of {place}: "))?;
            locked.open(&passphrase).map_err(|error| anyhow!("{place}: {error}"))
        }
    }
}

/// Never from the command line, which other users can read, nor from the environment, which children inherit.
fn passphrase(file: Option<&Path>, question: &str) -> anyhow::Result<Zeroizing<String>> {
    let Some(file) = file else {
        return rpassword::prompt_password(question)
            .map(Zeroizing::new)
            .context("no terminal to ask for the passphrase at; use --passphrase-file");
    };
    let content = Zeroizing::new(private_file::read(file)?);
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).unwrap_or_default();
    if line.is_empty() || line.len() > MAX_PASSPHRASE {
        bail!(
            "{}: there is no passphrase on its first line; write one of at most {MAX_PASSPHRASE} bytes there",
            file.display()
        );
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Reads a public key: a `.pub` file, or its second line.
pub(super) fn owner(given: &str) -> anyhow::Result<Owner> {
    let path = Path::new(given);
    let text = if path.is_file() {
        std::fs::read_to_string(path)
            .with_context(|| format!("{given}: cannot be read; name a .pub file that you may read"))?
    } else {
        given.to_owned()
    };
    PublicHalf::parse(&text).map(into_owner).map_err(|error| anyhow!("{given}: {error}"))
}

pub(super) fn into_owner(half: PublicHalf) -> Owner {
    Owner { key_id: half.key_id, key: half.key }
}

/// A key's number as minisign prints it.
pub(super) fn name(key_id: [u8; 8]) -> String {
    format!("{:016X}", u64::from_le_bytes(key_id))
}
