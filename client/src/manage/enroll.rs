//! Takes a profile: from a file, or from stdin as its text form or as it is.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use knockgate_core::Name;
use knockgate_core::profile::Profile;
use knockgate_core::text_form;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Told, sentence};
use crate::cli::Enroll;
use crate::kept::{self, Kept};
use crate::own_key;
use crate::print;
use crate::private_file;
use crate::store::Store;
use crate::voice::Voice;

/// Longer than any profile's file or text, with the line ends that a mail may put in.
const LIMIT: usize = 4096;

pub(crate) fn run(enroll: &Enroll, voice: &Voice) -> Result<Told, String> {
    let (bytes, origin) = read(&enroll.file, voice)?;
    let name = enroll.name()?;
    let store = Store::find().map_err(sentence)?;
    let settings = store.settings().map_err(sentence)?;
    let source = store.passphrase(&enroll.choices().or(&settings.of(&name)));

    let mut new = kept::open(&bytes, origin, "the new profile", &source, voice).map_err(sentence)?;
    let brought = new.profile.secret.is_some();
    let own_key = match (&new.profile.secret, &enroll.key) {
        (Some(_), Some(_)) => return Err("the profile brings its own key; leave --key away".to_owned()),
        (Some(_), None) => None,
        (None, _) => put_key_in(&mut new.profile, &store, &name, enroll.key.as_ref())?,
    };
    let kept = store.add(&name, new, (enroll.replace(), &source), voice).map_err(sentence)?;
    if let Some(file) = &own_key {
        // From now on the key is in the profile, which may be locked; a second copy would not be.
        fs::remove_file(file)
            .map_err(|error| format!("{}: cannot be removed: {error}; do it yourself", file.display()))?;
    }
    Ok(told(enroll, name.as_str(), &kept, if brought { KeyOrigin::Gate } else { KeyOrigin::Own }))
}

/// Puts in the key that this machine made, and returns where it was. Without one the profile that is replaced may have it.
fn put_key_in(
    profile: &mut Profile,
    store: &Store,
    name: &Name,
    key: Option<&Name>,
) -> Result<Option<PathBuf>, String> {
    let file = store.key_path(key.unwrap_or(name)).map_err(sentence)?;
    if key.is_none() && !file.exists() {
        return Ok(None);
    }
    profile.secret = Some(own_key::read(&file).map_err(sentence)?);
    Ok(Some(file))
}

/// The bytes of a profile's file, and where they come from.
fn read<'a>(file: &'a Path, voice: &Voice) -> Result<(Zeroizing<Vec<u8>>, &'a Path), String> {
    if text_form::is_profile(file.as_os_str().as_encoded_bytes()) {
        return Err("a profile's text is secret: on the command line other users can read it, and the shell may keep it; \
                    use `knockgate enroll -` and paste it, and ask the gate's administrator for a new profile"
            .to_owned());
    }
    let (bytes, origin) = if is_stdin(file) {
        (read_stdin(voice)?, Path::new("standard input"))
    } else {
        (private_file::read(file, LIMIT).map_err(sentence)?, file)
    };
    let bytes = if text_form::is_profile(&bytes) { from_text(&bytes, origin)? } else { bytes };
    Ok((bytes, origin))
}

fn from_text(text: &[u8], origin: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut buffer = Zeroizing::new(vec![0; text.len()]);
    let file = text_form::parse_profile(text, &mut buffer).map_err(|fault| {
        format!("{}: no profile in it: {fault}; copy it again as a whole", origin.display())
    })?;
    Ok(Zeroizing::new(file.to_vec()))
}

/// What is pasted is not shown: it is secret.
fn read_stdin(voice: &Voice) -> Result<Zeroizing<Vec<u8>>, String> {
    if !io::stdin().is_terminal() {
        return private_file::read_at_most(LIMIT, io::stdin().lock(), Path::new("standard input"))
            .map_err(sentence);
    }
    voice.end();
    let line = rpassword::prompt_password("Paste the profile (kgprofile1-...), it is not shown: ");
    line.map(|line| Zeroizing::new(line.into_bytes()))
        .map_err(|error| format!("standard input: cannot be read: {error}; name a file instead"))
}

pub(crate) fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn told(enroll: &Enroll, name: &str, kept: &Kept, key: KeyOrigin) -> Told {
    let profile = &kept.profile;
    let gate = print::gate_of(profile);
    let services: Vec<_> = profile.services.iter().map(|service| service.name.as_str()).collect();
    let stored = kept.path.display();
    let mut lines = vec![format!(
        "enrolled profile \"{name}\": client {} at {gate}, services {}",
        profile.client,
        services.join(", ")
    )];
    let public = profile.secret.as_ref().map(|secret| text_form::public_key(&secret.public()).to_string());
    if let (KeyOrigin::Own, Some(public)) = (key, &public) {
        lines.push(format!(
            "it has this machine's own key now: {public}. Whether the gate knows it is told by `knockgate status {name}`"
        ));
    }
    let file = enroll.file.display();
    lines.push(match key {
        KeyOrigin::Gate if !is_stdin(&enroll.file) => {
            format!("stored in {stored}; {file} is no longer needed here and holds a secret key: delete it")
        }
        KeyOrigin::Gate | KeyOrigin::Own => format!("stored in {stored}"),
    });
    let facts = json!({
        "profile": name, "client": profile.client.as_str(), "gate": gate, "services": services,
        "public_key": public, "locked": kept.seal.is_some(), "stored": kept.path,
    });
    Told { lines, facts }
}

/// Who made the client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyOrigin {
    Gate,
    Own,
}
