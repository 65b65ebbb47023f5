//! The passphrase of a key: from a file or from the person at the terminal. Never the command line, which other users can
//! read, and never the environment, which children inherit.

use std::path::Path;

use zeroize::Zeroizing;

use crate::answer::{Section, Trouble};
use crate::private_file;
use crate::text::plain;

/// Longest passphrase of the format, in bytes.
const MAX_LEN: usize = 1024;
/// A shorter new one is guessed in a day, whatever a guess costs.
const MIN_CHARACTERS: usize = 8;

/// The first line of a file that only its owner may read, or what somebody at the terminal says.
pub(crate) fn ask(file: Option<&Path>, question: &str) -> Result<Zeroizing<String>, Trouble> {
    match file {
        Some(path) => first_line(path),
        None => rpassword::prompt_password(question).map(Zeroizing::new).map_err(|error| {
            Trouble::with_use(
                Section::Signing,
                format!("no terminal to ask for a passphrase at ({}); use --passphrase-file", plain(&error)),
            )
        }),
    }
}

/// A new passphrase; somebody at a terminal is asked twice.
pub(crate) fn ask_new(file: Option<&Path>) -> Result<Zeroizing<String>, Trouble> {
    let trouble = |told: &str| Err(Trouble::with_use(Section::Signing, told));
    let passphrase = ask(file, "New passphrase: ")?;
    if passphrase.chars().count() < MIN_CHARACTERS {
        return trouble(
            "a passphrase has at least 8 characters; choose a longer one, or --no-passphrase if only you can read the file",
        );
    }
    if file.is_none() && ask(None, "The same again: ")? != passphrase {
        return trouble("the two passphrases are different; nothing was made, try again");
    }
    Ok(passphrase)
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, Trouble> {
    let bytes = private_file::read(path, MAX_LEN + 2)?;
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let trouble =
        |told: &str| Err(Trouble::with_use(Section::Signing, format!("{}: {told}", path.display())));
    if line.len() > MAX_LEN {
        return trouble("its first line is longer than 1024 bytes; name a file with a passphrase");
    }
    match str::from_utf8(line) {
        Ok(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        Ok(_) | Err(_) => trouble("there is no passphrase on its first line; write one there"),
    }
}
