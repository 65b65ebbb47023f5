//! A policy as a file: a module or component, or WebAssembly text, which is translated.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use knockgate_policy_abi::limits;
use sha2::{Digest, Sha256};

use crate::answer::{Section, Trouble};
use crate::text::plain;

/// More than the largest policy that runs anywhere: beyond it nothing is worth reading.
const MAX_BYTES: u64 = 16 * limits::SERVER.module_bytes as u64;

/// A policy that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyFile {
    pub(crate) path: PathBuf,
    /// What stands in the file.
    pub(crate) content: Vec<u8>,
    /// The module or component.
    pub(crate) module: Vec<u8>,
    pub(crate) written_as: WrittenAs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrittenAs {
    Binary,
    /// WebAssembly text.
    Text,
}

impl PolicyFile {
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        let content = read_bytes(path)?;
        let start = content.trim_ascii_start();
        if !start.starts_with(b"(") && !start.starts_with(b";;") {
            let module = content.clone();
            return Ok(Self { path: path.to_owned(), content, module, written_as: WrittenAs::Binary });
        }
        let module = translate(path, &content)?;
        Ok(Self { path: path.to_owned(), content, module, written_as: WrittenAs::Text })
    }

    /// As `sha256sum` prints it, of the file as it is.
    pub(crate) fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.content))
    }
}

/// The module that WebAssembly text means.
pub(crate) fn translate(path: &Path, text: &[u8]) -> Result<Vec<u8>, Trouble> {
    wat::Parser::new().parse_bytes(Some(path), text).map(std::borrow::Cow::into_owned).map_err(|error| {
        let told = error.to_string();
        Trouble::with_policy(
            Section::OtherLanguages,
            format!("{}: is no WebAssembly text: {}; correct it", path.display(), told.trim_end()),
        )
    })
}

/// The whole file, which is not larger than any policy.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Trouble> {
    let fault = |error: &std::io::Error| {
        let told = format!(
            "{}: cannot be read: {}; check the path and its permissions",
            path.display(),
            plain(error)
        );
        Trouble::with_use(Section::WhenItDoesNotWork, told)
    };
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| fault(&error))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(|error| fault(&error))?;
    if content.len() as u64 > MAX_BYTES {
        let told = format!(
            "{}: has more than {} MB, and no policy is as large; give the compiled `.wasm` file",
            path.display(),
            MAX_BYTES / (1024 * 1024)
        );
        return Err(Trouble::with_use(Section::Limits, told));
    }
    Ok(content)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
