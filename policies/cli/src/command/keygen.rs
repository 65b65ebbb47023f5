//! Makes a key to sign with, in the format of minisign.

use std::path::{Path, PathBuf};

use minisign::KeyPair;
use serde_json::json;

use crate::answer::{Exit, Section, Told, Trouble};
use crate::cli::Keygen;
use crate::passphrase;
use crate::private_file::{self, Readable};

pub(crate) fn run(keygen: &Keygen) -> Result<Told, Trouble> {
    let (secret, public) = (with_ending(&keygen.name, "key"), with_ending(&keygen.name, "pub"));
    for path in [&secret, &public] {
        if path.exists() {
            let told = format!(
                "{}: is there already; choose another name, or move it away, after which nobody can sign with it",
                path.display()
            );
            return Err(Trouble::with_use(Section::Signing, told));
        }
    }
    let (pair, comment) = make(keygen)?;
    let secret_text = pair.sk.to_box(Some(comment)).map_err(|error| fault(&error))?.into_string();
    let public_text = pair.pk.to_box().map_err(|error| fault(&error))?.into_string();
    private_file::create(&secret, secret_text.as_bytes(), Readable::ByOwner)?;
    private_file::create(&public, public_text.as_bytes(), Readable::ByEverybody)?;
    let line = pair.pk.to_base64();
    let lines = vec![
        format!("secret key: {}; keep it, and a copy of it, where only you can read it", secret.display()),
        format!("public key: {}; a gate that has it in agent.toml runs what you sign:", public.display()),
        "[policy]".to_owned(),
        format!("keys = [{line:?}]"),
    ];
    let facts = json!({ "secret-key": secret, "public-key-file": public, "public-key": line });
    Ok(Told { exit: Exit::Fine, lines, facts })
}

fn make(keygen: &Keygen) -> Result<(KeyPair, &'static str), Trouble> {
    if keygen.passphrase.no_passphrase {
        let pair = KeyPair::generate_unencrypted_keypair().map_err(|error| fault(&error))?;
        return Ok((pair, "secret key for Knockgate policies, without a passphrase"));
    }
    let passphrase = passphrase::ask_new(keygen.passphrase.passphrase_file.as_deref())?;
    let pair =
        KeyPair::generate_encrypted_keypair(Some(passphrase.to_string())).map_err(|error| fault(&error))?;
    Ok((pair, "secret key for Knockgate policies, encrypted"))
}

fn fault(error: &minisign::PError) -> Trouble {
    Trouble::with_use(Section::Signing, format!("no key could be made: {error}; try again"))
}

/// `NAME.key`, whatever dots NAME has.
fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}
