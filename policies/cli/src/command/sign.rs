//! Signs a policy: `FILE.minisig` beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use knockgate_policy_host::signing::{KeyError, KeyFile, SecretKey};
use serde_json::json;

use crate::answer::{Exit, Section, Told, Trouble};
use crate::cli::Sign;
use crate::policy_file::{PolicyFile, WrittenAs};
use crate::project::Meant;
use crate::text::plain;
use crate::{passphrase, private_file};

/// More than any key file has.
const MAX_KEY_BYTES: usize = 4096;

pub(crate) fn run(sign: &Sign) -> Result<Told, Trouble> {
    let file = Meant::find(&sign.subject.path)?.policy;
    check_kind(&file)?;
    let key = key_of(sign)?;
    let comment = sign.comment.clone().unwrap_or_else(|| usual_comment(&file.path));
    if comment.contains(['\n', '\r']) {
        return Err(Trouble::with_use(Section::Signing, "--comment has more than one line; write one"));
    }
    let signed = key
        .sign(&file.content, &comment, UNTRUSTED)
        .map_err(|error| Trouble::with_use(Section::Signing, format!("{}: {error}", file.path.display())))?;
    let path = beside(&file.path);
    fs::write(&path, signed).map_err(|error| {
        let told = format!("{}: cannot be written: {}; check the folder", path.display(), plain(&error));
        Trouble::with_use(Section::Signing, told)
    })?;
    let line = format!("{}: signed; copy it and {} to the gate", file.path.display(), path.display());
    let facts = json!({ "file": file.path, "signature": path, "comment": comment, "sha256": file.sha256() });
    Ok(Told { exit: Exit::Fine, lines: vec![line], facts })
}

const UNTRUSTED: &str = "signature by knockgate-policy";

/// The signature's file.
pub(crate) fn beside(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(minisign::SIG_SUFFIX);
    path.into()
}

/// Only what runs as it is: text is translated, so what runs would not be what was signed.
fn check_kind(file: &PolicyFile) -> Result<(), Trouble> {
    let path = file.path.display();
    if file.written_as == WrittenAs::Text {
        let told = format!("{path}: is WebAssembly text; build it first, and sign the `.wasm` file");
        return Err(Trouble::with_use(Section::Signing, told));
    }
    super::manifest_of(file).map(drop)
}

fn usual_comment(file: &Path) -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let name = file.file_name().unwrap_or_default().to_string_lossy().replace(['\n', '\r'], " ");
    format!("timestamp:{time}\tfile:{name}\thashed")
}

fn key_of(sign: &Sign) -> Result<SecretKey, Trouble> {
    let path = &sign.key;
    let wrong = |error: KeyError| Trouble::with_use(Section::Signing, format!("{}: {error}", path.display()));
    let bytes = private_file::read(path, MAX_KEY_BYTES)?;
    let text = str::from_utf8(&bytes).map_err(|_| wrong(KeyError::NotOne))?;
    let locked = match KeyFile::parse(text).map_err(wrong)? {
        KeyFile::Open(key) => return Ok(key),
        KeyFile::Locked(locked) => locked,
    };
    let question = format!("Passphrase of {}: ", path.display());
    let passphrase = passphrase::ask(sign.passphrase_file.as_deref(), &question)?;
    locked.open(&passphrase).map_err(wrong)
}
