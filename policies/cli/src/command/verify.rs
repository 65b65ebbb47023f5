//! Checks a policy's signature as a gate does.

use std::fs;
use std::io;
use std::path::Path;

use knockgate_policy_host::signature::{self, PublicKey};
use serde_json::json;

use super::sign::beside;
use crate::agent_toml;
use crate::answer::{Exit, Section, Told, Trouble};
use crate::cli::Verify;
use crate::policy_file::{self, WrittenAs};
use crate::project::Meant;
use crate::text::plain;

pub(crate) fn run(verify: &Verify) -> Result<Told, Trouble> {
    let file = Meant::find(&verify.subject.path)?.policy;
    let path = file.path.display();
    let keys = keys(verify)?;
    if file.written_as == WrittenAs::Text {
        let told = format!("{path}: is WebAssembly text, which is never signed; give the `.wasm` file");
        return Err(Trouble::with_policy(Section::Signing, told));
    }
    let signature = read_signature(&beside(&file.path))?;
    signature::verify(&keys, &file.content, signature.as_deref())
        .map_err(|error| Trouble::with_policy(Section::Signing, format!("{path}: {error}")))?;
    let comment = signature.as_deref().and_then(trusted_comment).unwrap_or_default();
    let lines = vec![format!("{path}: the signature is good"), format!("  {comment}")];
    let facts = json!({ "file": file.path, "comment": comment, "sha256": file.sha256() });
    Ok(Told { exit: Exit::Fine, lines, facts })
}

fn keys(verify: &Verify) -> Result<Vec<PublicKey>, Trouble> {
    let Some(config) = &verify.config else {
        return verify.public_key.iter().map(|given| key_of(given)).collect();
    };
    let agent = agent_toml::read(config)?;
    if agent.keys().is_empty() {
        let told = format!(
            "{}: [policy] has no keys, so nothing need be signed; add keys, or give --public-key",
            config.display()
        );
        return Err(Trouble::with_use(Section::Signing, told));
    }
    agent.keys().iter().map(|line| parse(line)).collect()
}

/// A key, or the file that has it.
fn key_of(given: &str) -> Result<PublicKey, Trouble> {
    let path = Path::new(given);
    if !path.is_file() {
        return parse(given);
    }
    let bytes = policy_file::read_bytes(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find(|line| !line.starts_with("untrusted comment:")).unwrap_or_default();
    parse(line)
}

fn parse(line: &str) -> Result<PublicKey, Trouble> {
    PublicKey::parse(line).map_err(|error| Trouble::with_use(Section::Signing, format!("{line:?}: {error}")))
}

fn read_signature(path: &Path) -> Result<Option<String>, Trouble> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let told =
                format!("{}: cannot be read: {}; check its permissions", path.display(), plain(&error));
            Err(Trouble::with_use(Section::Signing, told))
        }
    }
}

/// What was signed together with the file.
fn trusted_comment(signature: &str) -> Option<&str> {
    signature.lines().find_map(|line| line.strip_prefix("trusted comment: "))
}
